"""How wide the intervals of log Z and of a share will be after so many draws, and how many draws a width takes.

At its planned end a bet on a mean with relative variance v excludes what is off by the share δ = L/(n c) + c v/2, with
c = √(2 L/(n v)), at most 0.98, and L = log(1/level) + log(4/3): √(2 L v/n) where the variance rules, L/n where an event
that has not been seen does. For the upper end the bet is on 1 − X, so that δ counts e^gap times as much:
log(1 + L e^gap/n) where weights are far below their bound.
"""

from __future__ import annotations

import math

import numpy as np

TUNED = 0.75
"""The part of a gambler's capital that lies on the stakes that are best for the planned number of draws."""

LARGEST = 0.98
"""Of the largest stake that cannot ruin, the share that is ever staked."""

MOST = 1e18
"""Draws that are not going to be made."""


def log_width(n: float, gap: float, spread: float, level: float) -> float:
    """The width of the interval of log Z at `level` after n draws.

    `gap` is U − log Z, `spread` the variance of the weights relative to the square of their mean.

    >>> round(log_width(1e5, 10.0, 1.7, 0.05), 2)
    0.65
    """
    if not n > 0 or not math.isfinite(gap + spread):
        return math.inf
    lower = math.log1p(_share_off(n, spread, level / 2))
    if gap <= 0:
        return lower
    beside = -math.expm1(-gap)  # E[1 − X]
    off = _share_off(n, spread * (math.exp(-gap) / beside) ** 2, level / 2)
    return lower + min(gap, float(np.logaddexp(0, math.log(off) + gap)) - math.log1p(off))


def draws_for(width: float, gap: float, spread: float, level: float) -> float:
    """The draws after which the interval of log Z at `level` is as narrow as that; infinity if never.

    >>> round(draws_for(0.65, 10.0, 1.7, 0.05), -4)
    100000.0
    """
    least, most = 0.0, math.log(MOST)
    if log_width(MOST, gap, spread, level) > width:
        return math.inf
    while most - least > 1e-3:
        middle = (least + most) / 2
        wide = log_width(math.exp(middle), gap, spread, level) > width
        least, most = (middle, most) if wide else (least, middle)
    return math.exp(most)


def share_width(n: float, p: float, gap: float, spread: float, level: float) -> float:
    """The width of the interval of a share p at `level` after n draws, if its labels have nothing to do with weights.

    >>> round(share_width(1e5, 0.5, 2.0, 1.7, 0.05), 3)
    0.014
    """
    if not n > 0 or not math.isfinite(gap + spread):
        return 1.0
    ends = []
    for q in (p, 1 - p):
        mean_g2 = math.exp(-2 * gap) * (1 + spread) * (1 - q) / q if q > 0 else 0.0
        ends.append(q / (1 + _share_off(n, mean_g2, level / 2) * math.exp(min(gap, 700.0))))
    return 1 - sum(ends)


def _share_off(n: float, spread: float, level: float) -> float:
    log_inverse = math.log(1 / level / TUNED)
    stake = min(LARGEST, math.sqrt(2 * log_inverse / (n * spread))) if spread > 0 else LARGEST
    return log_inverse / (n * stake) + stake * spread / 2
