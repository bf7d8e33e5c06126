"""The interval of a sum of logarithms of means, Σ c log Z over cases, by one bet on the draws of all of them.

Each case has K draws X in [0, 1] of unknown mean m, and Z = m + f with f known. Stakes λ, set before these draws, make

    h(log Z) = Σ log(1 + λ (X/m − 1)),   u(log Z) = Σ log(1 + λ (m − X)/(1 − m))

logarithms of fair capitals at the true means; cases being independent, so are their sums over cases, each of which
exceeds log(1/level) with probability `level` at most. Both are convex in log Z. So with the points where their slopes
are κ c, the same κ for all cases, tangents say

    Σ c log Z ≥ Σ c log Z₀ + (Σ h(log Z₀) − log(1/level))/κ,

above likewise, for every κ: one narrows as the root of the number of cases, where intervals of each one would add up.
Of draws the tally is enough (`betting.py`): the capital of the tally is never larger.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

LARGEST_LOWER, LARGEST_UPPER = 0.5, 0.9
"""Stakes at most."""

LEAST_SPREAD = 0.02
"""Relative variances are taken for no less: the draws that foresee them are few."""

STEPS, TRIALS = 45, 12
"""Halvings in the search for a point, and in that for κ."""

GOLDEN = (math.sqrt(5) - 1) / 2

ROUNDING = 1e-7
"""What is charged for points that are found up to rounding, for each case once."""


class CaseDraws(NamedTuple):
    """Draws of n cases: c [n], their number, masses [n, points] at logarithms of X; log f, and the least log Z.

    `mean`, `spread` [n]: E[X] and the relative variance as other draws foresee them.
    """

    c: np.ndarray
    n_draws: int
    log_x: np.ndarray
    mass: np.ndarray
    log_f: np.ndarray
    least: np.ndarray
    mean: np.ndarray
    spread: np.ndarray


class _Side(NamedTuple):
    """Of log m [n]: the capital's logarithm and the size of its slope in log Z; whether that falls."""

    value: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    sign: int


def ends(cases: CaseDraws, level: float) -> tuple[float, float]:
    """Σ c log Z is between these, each end missing with probability `level` at most."""
    log_inverse = math.log(1 / level)
    spread = cases.c**2 @ np.maximum(cases.spread, LEAST_SPREAD)
    stake = math.sqrt(2 * log_inverse / (cases.n_draws * spread))
    out = [
        _end(cases, side, stake * cases.n_draws, log_inverse) for side in (_lower(cases, stake), _upper(cases, stake))
    ]
    return out[0], max(out)  # that they cross has probability `level` at most


def _lower(cases: CaseDraws, stake: float) -> _Side:
    own = np.minimum(stake * cases.c, LARGEST_LOWER)[:, None]
    top = cases.log_x.max(1, where=cases.mass > 0, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0.0)
    relative = own * np.exp(np.minimum(cases.log_x - top[:, None], 0.0))

    def ratio(log_m: np.ndarray) -> np.ndarray:
        return relative * np.exp(np.minimum(top - log_m, 600.0))[:, None]

    def value(log_m: np.ndarray) -> np.ndarray:
        return (cases.mass * np.log1p(ratio(log_m) - own)).sum(1)

    def slope(log_m: np.ndarray) -> np.ndarray:
        r = ratio(log_m)
        return (cases.mass * r / (1 - own + r)).sum(1) * (1 + np.exp(np.minimum(cases.log_f - log_m, 600.0)))

    return _Side(value, slope, -1)


def _upper(cases: CaseDraws, stake: float) -> _Side:
    odds = (1 - cases.mean) / np.maximum(cases.mean, 1e-300)
    own, x = np.minimum(stake * cases.c * odds, LARGEST_UPPER)[:, None], np.exp(cases.log_x)

    def value(log_m: np.ndarray) -> np.ndarray:
        m = np.exp(log_m)[:, None]
        return (cases.mass * np.log1p(own * (m - x) / (1 - m))).sum(1)

    def slope(log_m: np.ndarray) -> np.ndarray:
        m = np.exp(log_m)[:, None]
        gained = own * (1 - x) / ((1 - m) * (1 - own * x - (1 - own) * m))
        return (cases.mass * gained).sum(1) * np.exp(np.logaddexp(log_m, cases.log_f))

    return _Side(value, slope, 1)


def _end(cases: CaseDraws, side: _Side, kappa: float, log_inverse: float) -> float:
    """The best end that values of κ near the foreseen one give, by golden section: it is convex in 1/κ."""

    def at(k: float) -> float:
        return side.sign * _at(cases, side, kappa * math.exp(k), log_inverse)

    low, high = -2.0, 2.0
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_a, at_b = at(a), at(b)
    for _ in range(TRIALS):
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - GOLDEN * (high - low)
            at_a = at(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + GOLDEN * (high - low)
            at_b = at(b)
    return side.sign * min(at_a, at_b)


def _at(cases: CaseDraws, side: _Side, kappa: float, log_inverse: float) -> float:
    """The end for one κ: log Z is bounded, so that where no slope is κ c the nearer bound serves."""
    low = cases.least + np.log(-np.expm1(np.minimum(cases.log_f - cases.least, -1e-12)))
    high = np.log(-np.expm1(np.minimum(cases.log_f, -1e-12))) - 1e-12
    low = np.minimum(low, high)
    for _ in range(STEPS):
        middle = (low + high) / 2
        beyond = side.sign * (side.slope(middle) - kappa * cases.c) > 0
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    log_m = low if side.sign > 0 else high
    at = float(cases.c @ np.logaddexp(log_m, cases.log_f))
    told = (side.value(log_m).sum() - log_inverse) / kappa
    return at - side.sign * told + side.sign * ROUNDING * float(cases.c.sum())


class BlockMeans(NamedTuple):
    """Numbers of n cases, m of each: between 0 and `width` [n]; their mean and variance as other draws foresee them."""

    numbers: np.ndarray
    width: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def least_mean(c: np.ndarray, blocks: BlockMeans, level: float) -> float:
    """Σ c E[Y] of Y in [0, width] is at least this, but with probability `level`: an empirical Bernstein bound.

    For ξ ≥ −1 and stakes λ < 1, exp(λ ξ + (λ + log(1 − λ)) ξ²) ≤ 1 + λ ξ (Fan, Grama & Liu 2015), with ξ = Y/width − ρ
    and the foreseen mean ρ.
    """
    x, m = blocks.numbers / blocks.width[:, None], blocks.numbers.shape[1]
    weights, log_inverse = c * blocks.width, math.log(1 / level)
    stake = math.sqrt(2 * log_inverse / (m * max(float(c**2 @ blocks.variance), 1e-12)))
    stake = min(stake, LARGEST_LOWER / float(weights.max()))
    own, rho = stake * weights, np.clip(blocks.mean / blocks.width, 0.0, 1.0)
    charged = float((-np.log1p(-own) - own) @ ((x - rho[:, None]) ** 2).sum(1)) + log_inverse
    return max(float(weights @ x.mean(1)) - charged / (stake * m), 0.0)
