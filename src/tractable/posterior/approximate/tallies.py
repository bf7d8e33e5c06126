"""Weighted draws counted in bounded memory: masses at the points of a grid of weights, by label and block of time.

A draw between two points counts for both by shares that keep its mean, so that the mean of any function that is concave
in the weight comes out no larger than over the draws themselves.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tractable.kernels.betting import Masses, placed
from tractable.plan.interval_memory import BLOCKS, LEVELS, POINTS

ABOVE, BELOW = 7, 4
"""Points of the grid of weights above the largest of the pilot, and below the smallest."""


class Drawing(NamedTuple):
    """Draws in one block of time: log weights [n], labels [T, n], values [V, n]; so many `zeros` had no weight."""

    block: int
    log_weights: np.ndarray
    labels: np.ndarray
    values: np.ndarray
    zeros: int = 0

    @property
    def n(self) -> int:
        """All draws."""
        return len(self.log_weights) + self.zeros


class WeightTally:
    """Masses at the points: of all draws, by label [blocks, 1 + labels, points], by value [blocks, V, levels, points].

    `points` are logarithms; labels of question q are the rows from 1 + starts[q] on.
    """

    def __init__(self, log_weights: np.ndarray, starts: np.ndarray, n_values: int):
        self.points, self.starts = grid(log_weights), starts
        self.mass = np.zeros((BLOCKS, 1 + starts[-1], POINTS))
        self.value_mass = np.zeros((BLOCKS, n_values, LEVELS, POINTS))
        self.drawn = np.zeros(1, np.int64)

    def add(self, piece: Drawing) -> None:
        """Count the draws."""
        to = Masses(self.mass[piece.block], self.value_mass[piece.block], self.drawn)
        placed(self.points, piece.log_weights).tally(self.starts, piece.labels, piece.values, piece.zeros, to)


class WeightMoments(NamedTuple):
    """Of draws so far: their number, log max X, and sums of (X/max, its square) by label and by value.

    The first of `sums` [1 + labels, 2] is over all draws; those by value are [V, levels, 2]. `spreads`: the variances
    of X and of 1 − X, each relative to the square of its mean.
    """

    n: float
    top: float
    sums: np.ndarray
    value_sums: np.ndarray
    spreads: tuple[float, float]

    @classmethod
    def of(cls, tally: WeightTally) -> WeightMoments:
        """What a tally tells."""
        all_draws = tally.mass[:, 0].sum(0)
        top = largest(tally.points, all_draws)
        x = relative(tally.points, top)
        powers = np.stack([x, x**2], 1)
        sums, value_sums = tally.mass.sum(0) @ powers, tally.value_mass.sum(0) @ powers
        spreads = spread(tally.points, all_draws), spread(complement(tally.points), all_draws)
        return cls(all_draws.sum(), top, sums, value_sums, spreads)


def largest(log_x: np.ndarray, mass: np.ndarray) -> float:
    """The largest logarithm that has a mass."""
    return float(np.max(log_x[mass > 0], initial=-np.inf))


def relative(log_x: np.ndarray, top: float) -> np.ndarray:
    """x/e^top, one where that is more; no point is above −∞ where the largest is that."""
    return np.exp(np.minimum(log_x - top, 0.0)) if top > -np.inf else np.zeros(len(log_x))


def complement(log_x: np.ndarray) -> np.ndarray:
    """log(1 − x) from log x ≤ 0."""
    with np.errstate(divide="ignore"):
        return np.where(log_x < -0.7, np.log1p(-np.exp(log_x)), np.log(-np.expm1(log_x)))


def log_mean(log_x: np.ndarray, mass: np.ndarray) -> float:
    """The logarithm of the mean of masses [points]."""
    top = largest(log_x, mass)
    if top == -np.inf:
        return -np.inf
    return float(top + np.log(mass @ relative(log_x, top) / mass.sum()))


def deviations(log_x: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """X/E[X] − 1 at the points that have a mass, −1 at the others."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.expm1(np.where(mass > 0, log_x - log_mean(log_x, mass), -np.inf))


def spread(log_x: np.ndarray, mass: np.ndarray) -> float:
    """E[(X/E[X] − 1)²], infinite where the mean is zero."""
    if log_mean(log_x, mass) == -np.inf:
        return np.inf
    with np.errstate(over="ignore"):
        return float(mass @ deviations(log_x, mass) ** 2 / mass.sum())


def grid(log_weights: np.ndarray) -> np.ndarray:
    """Points for weights like these, from log 0 to log 1, where to split a draw between two adds the least variance.

    That is where there are as many as the cube root of the density of weights (Panter & Dite 1951); beyond the largest
    weight seen, up to one, and below the smallest, down to zero, the farther away the farther apart.
    """
    seen, counts = np.unique(log_weights, return_counts=True)
    if len(seen) == 0:
        seen, counts = np.array([-1.0]), np.array([1])
    room = POINTS - 2 - ABOVE - BELOW
    if len(seen) > room:
        width = -np.exp(seen[1:] - seen[-1]) * np.expm1(-np.diff(seen))
        density = np.concatenate([[0.0], np.cumsum(np.cbrt(counts[:-1] * width**2))])
        chosen = np.searchsorted(density, np.linspace(0, density[-1], room))
        seen = seen[chosen.clip(max=len(seen) - 1)]
    above = seen[-1] * _nearer(ABOVE)
    below = complement(complement(seen[0]) * _nearer(BELOW)) if seen[0] < 0 else above
    points = np.unique(np.concatenate([[-np.inf, 0.0], below, seen, above]))
    spare = points[1] - 1 - np.arange(POINTS - len(points))
    return np.sort(np.concatenate([points, spare]))


def _nearer(n: int) -> np.ndarray:
    """Shares of a way to go, n of them, the closer together the nearer they are to the whole way."""
    return 1 - (np.arange(1, n + 1) / (n + 1)) ** 2
