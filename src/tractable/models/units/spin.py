"""Units with states −1 and +1."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.models.units import _random, _remedies
from tractable.models.units._base import Units


class Spin(Units):
    """x ∈ {−1, +1}: Γ(θ) = log(2 cosh θ).

    Examples
    --------
    >>> import math
    >>> pair = tr.boltzmann(units=tr.Spin(2), couplings=[[0.0, 1.0], [1.0, 0.0]])
    >>> round(math.exp(tr.log_partition(pair)), 4)  # 2e + 2/e
    6.1723
    """

    n: int = eqx.field(static=True)

    def cumulant(self, theta: Float[Array, "*b n"]) -> Float[Array, "*b n"]:
        return jax.nn.softplus(2 * theta) - theta

    def mean(self, theta: Float[Array, "*b n"]) -> Float[Array, "*b n"]:
        return jnp.tanh(theta)

    def sample(self, key: Any, rows: Any, theta: Float[Array, "c n"]) -> Float[Array, "c n"]:
        return 2 * _random.bernoulli(key, rows, 2 * theta) - 1

    def field_with_mean(self, mean: np.ndarray, n_rows: float) -> np.ndarray:
        return np.arctanh(np.asarray(mean, np.float64) * n_rows / (n_rows + 1))

    def allowed(self, values: np.ndarray) -> np.ndarray:
        return (values == -1) | (values == 1)

    @property
    def domain(self) -> str:
        return "−1 or 1"

    def remedy(self, values: np.ndarray) -> str:
        return _remedies.of_spins(values)

    def states(self) -> np.ndarray:
        return np.array([[-1.0], [1.0]])
