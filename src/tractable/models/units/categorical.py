"""Units with several states without an order (Potts units)."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.models.units import _random, _remedies
from tractable.models.units._base import Units


class Categorical(Units):
    """x ∈ {0, …, q − 1}, its features a vector with a single one: Γ(θ) = log Σ_k e^θ_k.

    Examples
    --------
    >>> machine = tr.restricted(tr.Categorical(2, 3), 2)
    >>> machine.couplings["visible", "hidden"].shape
    (6, 2)
    >>> sorted({int(x) for row in tr.sample(machine, 50) for x in row})
    [0, 1, 2]
    """

    n: int = eqx.field(static=True)
    zero_one: ClassVar[bool] = True
    q: int = eqx.field(static=True, default=2)

    @property
    def n_features(self) -> int:
        return self.n * self.q

    @property
    def n_states(self) -> float:
        return self.q

    def _split(self, features: Any) -> Any:
        return features.reshape(*features.shape[:-1], self.n, self.q)

    def cumulant(self, theta: Float[Array, "*b f"]) -> Float[Array, "*b n"]:
        return jax.nn.logsumexp(self._split(theta), axis=-1)

    def mean(self, theta: Float[Array, "*b f"]) -> Float[Array, "*b f"]:
        return jax.nn.softmax(self._split(theta), axis=-1).reshape(theta.shape)

    def sample(self, key: Any, rows: Any, theta: Float[Array, "c f"]) -> Float[Array, "c f"]:
        gumbel = -jnp.log(-jnp.log(_random.uniform(key, rows, theta.shape[-1], theta.dtype)))
        states = jnp.argmax(self._split(theta + gumbel), axis=-1)
        return jax.nn.one_hot(states, self.q, dtype=theta.dtype).reshape(theta.shape)

    def field_with_mean(self, mean: np.ndarray, n_rows: float) -> np.ndarray:
        return np.log((np.asarray(mean, np.float64) * n_rows + 0.5) / (n_rows + 0.5 * self.q))

    def encode(self, values: Any) -> Any:
        one_hot = jnp.asarray(values)[..., None] == jnp.arange(self.q)
        return one_hot.reshape(*one_hot.shape[:-2], -1).astype(float)

    def decode(self, features: Any) -> Any:
        return self._split(features).argmax(axis=-1)

    def allowed(self, values: np.ndarray) -> np.ndarray:
        return (values >= 0) & (values < self.q) & (values == np.floor(values))

    @property
    def domain(self) -> str:
        return f"a whole number from 0 to {self.q - 1}"

    def remedy(self, values: np.ndarray) -> str:
        return _remedies.of_categories(values)

    def take(self, units: np.ndarray) -> Categorical:
        return Categorical(len(units), self.q)

    def states(self) -> np.ndarray:
        return np.eye(self.q)
