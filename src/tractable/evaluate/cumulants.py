"""Changes of cumulants, taken so that small ones are not lost between large numbers."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tractable.models.units import Bernoulli, Gaussian, Spin, Units

GENTLE = 5.0
"""Couplings up to this let `TwoStates` work with probabilities: in single precision."""

GROUP = 8


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


class AnyStates(NamedTuple):
    """Units that are summed out, by their natural parameters."""

    theta: Float[Array, "c f"]

    def flipped(self, units: Units, w: Array, move: Array) -> tuple[Array, AnyStates]:
        """Σ Γ(θ + move w) − Γ(θ) [c], and the units after that move."""
        delta = move[:, None] * w
        return cumulant_change(units, self.theta, delta).sum(-1), AnyStates(self.theta + delta)


class TwoStates(NamedTuple):
    """Units with two states that are summed out, by the probability p of the upper one.

    A move of their parameters by δ changes Γ by log(1 + p (e^δ − 1)). A kept unit moves all chains by ±w, so e^δ is one
    of two vectors, and the logarithm is taken of products of eight: no transcendental function for each unit and chain.
    """

    p: Float[Array, "c f"]

    def flipped(self, units: Units, w: Array, move: Array) -> tuple[Array, TwoStates]:
        """Σ Γ(θ + move w) − Γ(θ) [c], and the units after that move."""
        scale, shift = _line(units)
        size = jnp.abs(move[0])
        growth = jnp.where(move[:, None] > 0, jnp.expm1(scale * size * w), jnp.expm1(-scale * size * w))
        ratio = 1 + self.p * growth
        padded = jnp.pad(ratio, ((0, 0), (0, -ratio.shape[1] % GROUP)), constant_values=1)
        total = jnp.log(padded.reshape(len(ratio), -1, GROUP).prod(-1)).sum(-1)
        return total + shift * move * w.sum(), TwoStates(self.p * (1 + growth) / ratio)


def _line(units: Units) -> tuple[float, float]:
    """(s, t) with Γ(θ) = log(1 + e^sθ) + tθ."""
    return (2.0, -1.0) if isinstance(units, Spin) else (1.0, 0.0)


def marginal(units: Units, theta: Array, gentle: bool) -> Any:
    """Units that are summed out, in the form in which single kept units are flipped fastest."""
    if gentle and isinstance(units, Bernoulli | Spin):
        return TwoStates(jax.nn.sigmoid(_line(units)[0] * theta))
    return AnyStates(theta)
