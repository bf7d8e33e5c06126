"""Real-valued units."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.models._base import ModelError
from tractable.models.units import _random
from tractable.models.units._base import Units


class Gaussian(Units):
    """x ∈ ℝ with precision γ: q(x) = exp(−γx²/2), Γ(θ) = θ²/(2γ) + ½ log(2π/γ).

    The precision stays as given unless `learned`.

    Examples
    --------
    >>> import math
    >>> apart = tr.restricted(tr.Gaussian(1, log_precision=math.log(4)), 1, couplings=[[0.0]])
    >>> round(math.exp(tr.log_partition(apart)), 4)  # 2 √(2π/γ), of precision γ = 4
    2.5066
    """

    n: int = eqx.field(static=True)
    log_precision: Float[Any, " n"]
    learned: bool = eqx.field(static=True)

    def __init__(self, n: int, log_precision: Any = 0.0, learned: bool = False, *, columns: Any = None):
        self.n, self.learned, self.columns = n, learned, columns
        self.log_precision = np.array(np.broadcast_to(log_precision, (n,)), getattr(log_precision, "dtype", np.float32))

    @property
    def n_states(self) -> float:
        return np.inf

    @property
    def _log_precision(self) -> Array:
        return self.log_precision if self.learned else jax.lax.stop_gradient(self.log_precision)

    def cumulant(self, theta: Float[Array, "*b n"]) -> Float[Array, "*b n"]:
        log_precision = self._log_precision
        return 0.5 * (theta**2 * jnp.exp(-log_precision) + jnp.log(2 * jnp.pi) - log_precision)

    def sample(self, key: Any, rows: Any, theta: Float[Array, "c n"]) -> Float[Array, "c n"]:
        noise = _random.normal(key, rows, self.n, theta.dtype)
        return theta * jnp.exp(-self.log_precision) + noise * jnp.exp(-0.5 * self.log_precision)

    def field_with_mean(self, mean: np.ndarray, n_rows: float) -> np.ndarray:
        return np.asarray(mean, np.float64) * np.exp(np.asarray(self.log_precision))

    def log_base(self, features: Float[Array, "*b n"]) -> Float[Array, "*b"]:
        return -0.5 * (features**2 * jnp.exp(self._log_precision)).sum(-1)

    def allowed(self, values: np.ndarray) -> np.ndarray:
        return np.isfinite(values)

    @property
    def domain(self) -> str:
        return "a finite number"

    def scaled(self, beta: float) -> Gaussian:
        if beta <= 0:
            raise ModelError(f"Gaussian units have a distribution at a positive beta only, got {beta:g}")
        log_precision = self.log_precision + np.log(beta).astype(self.log_precision.dtype)
        return Gaussian(self.n, log_precision, self.learned, columns=self.columns)

    def take(self, units: np.ndarray) -> Gaussian:
        return Gaussian(len(units), self.log_precision[units], self.learned)
