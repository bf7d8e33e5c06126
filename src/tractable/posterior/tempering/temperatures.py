"""Where the temperatures stand: even or curved steps, and steps of equal cost by what runs tell."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from tractable.posterior.tempering._base import Path, run

PILOTS = (25, 50, 125)
"""Temperatures of the pilot runs, each placed by the one before."""

BINS = 20
UNIFORM = 0.1
"""The part of the steps that is spread evenly, for places that a pilot run took for easier than they are."""


class Pilot(NamedTuple):
    """What pilot runs tell: the density of steps at places on the way, and n × the variance of the work of n steps."""

    betas: Float[np.ndarray, " k"]
    density: Float[np.ndarray, " k-1"]
    variance: float

    def temperatures(self, n: int) -> Float[np.ndarray, " n+1"]:
        """`n` steps placed by the density."""
        return evenly(np, self.density * np.diff(self.betas), self.betas, n)


def evenly(xp: Any, costs: Any, betas: Any, n: int) -> Any:
    """Temperatures [n + 1] at steps of equal cost; `costs` are those of the steps between `betas`, arrays of `xp`."""
    share = xp.concatenate([xp.zeros(1, costs.dtype), xp.cumsum(costs)])
    inside = xp.interp(xp.linspace(0, 1, n + 1)[1:-1], share / share[-1], betas)
    return xp.concatenate([betas[:1], inside, betas[-1:]])


def linear(n: int) -> Float[np.ndarray, " n+1"]:
    """`n` even steps."""
    return np.linspace(0.0, 1.0, n + 1)


def curved(n: int) -> Float[np.ndarray, " n+1"]:
    """`n` steps that are finer at both ends, where a factorized q and a posterior differ most per step."""
    raw = 1 / (1 + np.exp(-4 * np.linspace(-1, 1, n + 1)))
    return (raw - raw[0]) / (raw[-1] - raw[0])


def pilot(path: Path, key: Any, n_chains: int, sizes: tuple[int, ...] = PILOTS) -> Pilot:
    """Runs of more and more steps, each placed so that the work of every step has about the same variance.

    With dU/dβ the increment per change of temperature, n steps of size Δ have work of variance ΣΔ² ζ(β), where ζ counts
    the variance of dU/dβ and its correlation over the following sweeps; it is least for Δ ∝ 1/√ζ (Sivak & Crooks 2012).
    ζ is read off the mean of dU/dβ over a bin of steps: its variance among chains times the length of the bin.
    """
    found = Pilot(np.array([0.0, 1.0]), np.ones(1), np.inf)
    for i, n in enumerate(sizes):
        betas = found.temperatures(n)
        own = jax.random.fold_in(key, i)
        found = measured(betas, run(path, own, betas, path.start(own, n_chains)).increments)
    return found


def measured(betas: np.ndarray, increments: np.ndarray) -> Pilot:
    """What a run tells about where steps are needed."""
    n = len(betas) - 1
    edges = np.linspace(0, n, min(BINS, n) + 1).astype(int)
    slope = increments / np.diff(betas)[:, None]
    with np.errstate(invalid="ignore"):  # what is not finite is so in the end, and told there
        zeta = [slope[a:b].mean(axis=0).var() * (b - a) for a, b in pairwise(edges)]
        variance = float(n * increments.sum(axis=0).var())
    at = betas[edges]
    density = np.sqrt(np.asarray(zeta)) + 1e-12
    even = (density * np.diff(at)).sum()
    return Pilot(at, (1 - UNIFORM) * density / even + UNIFORM, variance)
