"""What speaks against annealed weights, with what would help, and what is said where nothing does."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int

ERRORS, TOLERANCE = 4.0, 0.05
"""Estimates may differ by so many standard errors, and so many nats beyond them."""

MIN_EFFECTIVE, MAX_TAIL = 10.0, 1.0
TRIPS = 3.0
"""Round trips of each ladder: fewer say that replicas did not travel; as many prove nothing."""

UNCERTAIN = 0.1
"""The standard error of log Z by replica exchange, in nats, above which it is no witness, or a quarter of what an
interval claims if that is more."""

SMALL = 0.01
"""The weight below which a phase is not counted among those that a verdict names."""


def against_weights(runs: Iterable[tuple[float, float, int]], least: float = 0.0) -> list[str]:
    """`runs`: the effective sample size of some weights, the shape of their tail, and their number; NaN is against."""
    runs = list(runs)
    few = np.min([effective for effective, *_ in runs])
    if not few >= max(MIN_EFFECTIVE, least):
        return [f"few chains carry the weight (effective sample size {few:.1f}); use more temperatures"]
    heavy = np.max([-np.inf, *(tail for effective, tail, n in runs if not effective >= n / 2)])
    if not heavy <= MAX_TAIL:
        return [f"the weights have a heavy tail (Pareto shape {heavy:.2f}); use more temperatures"]
    return []


def against_exchange(apart: float, errors: tuple[float, float], round_trips: float, width: float = 0.0) -> list[str]:
    """By how much log Z from replica exchange differs; its standard error, and that of the other; round trips of a
    ladder; and the width of the interval that it is a witness of.
    """
    (own, other), out = errors, []
    if not own <= max(UNCERTAIN, width / 4):
        out.append(f"replica exchange leaves log Z uncertain by {own:.2g} nats; use a longer burn-in")
    if not abs(apart) <= ERRORS * np.hypot(own, other) + TOLERANCE:
        told = f"exchange and annealing differ by {abs(apart):.3g} nats"
        out.append(f"{told}; use a longer burn-in and more temperatures")
    if not round_trips >= TRIPS:
        out.append(f"replicas hardly travel ({round_trips:.1f} round trips a ladder); use a longer burn-in")
    return out


def given_the_phases(region: Int[np.ndarray, " c"], w: Float[np.ndarray, " c"]) -> str:
    """The phases that chains of these log weights ended in, with their shares."""
    share = np.bincount(region, np.exp(w - np.max(w)))
    share = np.sort(share / share.sum())[::-1]
    counted = share[share >= SMALL]
    if len(counted) == 1:
        return "reliable given the phases found: 1"
    told = "/".join(f"{s:.2f}" for s in counted[:4]) + ("/…" if len(counted) > 4 else "")
    return f"reliable given the phases found: {len(counted)}, weights {told}"
