"""Units with states 0 and 1."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from tractable.models.units import _random, _remedies
from tractable.models.units._base import Units


class Bernoulli(Units):
    """x ∈ {0, 1}: Γ(θ) = log(1 + e^θ).

    Examples
    --------
    >>> tr.restricted(tr.Bernoulli(3), tr.Bernoulli(2)).n_visible
    3
    >>> tr.Bernoulli(1).states().tolist()
    [[0.0], [1.0]]
    """

    n: int = eqx.field(static=True)
    zero_one: ClassVar[bool] = True

    def cumulant(self, theta: Float[Array, "*b n"]) -> Float[Array, "*b n"]:
        return jax.nn.softplus(theta)

    def mean(self, theta: Float[Array, "*b n"]) -> Float[Array, "*b n"]:
        return jax.nn.sigmoid(theta)

    def sample(self, key: Any, rows: Any, theta: Float[Array, "c n"]) -> Float[Array, "c n"]:
        return _random.bernoulli(key, rows, theta)

    def field_with_mean(self, mean: np.ndarray, n_rows: float) -> np.ndarray:
        p = (np.asarray(mean, np.float64) * n_rows + 0.5) / (n_rows + 1)
        return np.log(p) - np.log1p(-p)

    def allowed(self, values: np.ndarray) -> np.ndarray:
        return (values == 0) | (values == 1)

    @property
    def domain(self) -> str:
        return "0 or 1"

    def remedy(self, values: np.ndarray) -> str:
        return _remedies.of_bits(values)

    def states(self) -> np.ndarray:
        return np.array([[0.0], [1.0]])
