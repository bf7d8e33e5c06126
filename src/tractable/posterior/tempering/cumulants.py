"""Changes of cumulants, taken so that small ones are not lost between large numbers."""

from __future__ import annotations

from functools import singledispatch

import jax.numpy as jnp
from jaxtyping import Array

from tractable.models.units import Bernoulli, Gaussian, Spin, Units


@singledispatch
def cumulant_change(units: Units, theta: Array, delta: Array) -> Array:
    """Γ(θ + δ) − Γ(θ) of each unit."""
    return units.cumulant(theta + delta) - units.cumulant(theta)


@cumulant_change.register
def _bernoulli(_: Bernoulli, theta: Array, delta: Array) -> Array:
    """Γ(θ) = max(θ, 0) + log(1 + e^−|θ|), and the second part is at most log 2."""
    new = theta + delta
    a, b = jnp.exp(-jnp.abs(theta)), jnp.exp(-jnp.abs(new))
    linear = jnp.where(jnp.minimum(theta, new) > 0, delta, jnp.maximum(new, 0) - jnp.maximum(theta, 0))
    return linear + jnp.log1p((b - a) / (1 + a))


@cumulant_change.register
def _spin(units: Spin, theta: Array, delta: Array) -> Array:
    return _bernoulli(Bernoulli(units.n), 2 * theta, 2 * delta) - delta


@cumulant_change.register
def _gaussian(units: Gaussian, theta: Array, delta: Array) -> Array:
    return delta * (theta + delta / 2) * jnp.exp(-jnp.asarray(units.log_precision))
