"""Variables to condition on: in turn, to save memory; or by observing them, as advice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tractable.kernels import Scopes
from tractable.plan._base import ContractionTree

CANDIDATES = 12
MAX_FIXED = 64


def fix_until(
    scopes: Scopes, pairs: np.ndarray, fits: Callable[[np.ndarray, float], bool]
) -> tuple[ContractionTree, float] | None:
    """Fix variables one by one, each time that which shrinks the large tables most, until the tree's cost fits.

    Returns the tree with the fixed variables and log2 of the number of their joint states, or None if no set of
    reasonable size is enough. `fits` gets the cost of the tree and that logarithm.
    """
    chosen: list[int] = []
    log_slices = 0.0
    cost = scopes.cost(pairs)
    while not fits(cost, log_slices):
        if len(chosen) == MAX_FIXED:
            return None
        best = _next(scopes.fixed(tuple(chosen)), pairs, cost[1])
        if best is None:
            return None
        chosen.append(best)
        log_slices += float(scopes.log_size[best])
        cost = scopes.fixed(tuple(chosen)).cost(pairs)
    return ContractionTree(pairs, cost, tuple(chosen)), log_slices


def _next(scopes: Scopes, pairs: np.ndarray, width: float) -> int | None:
    _, weight = scopes.widest(pairs, width - 3)
    ranked = np.argsort(-weight)[:CANDIDATES]
    free = [int(v) for v in ranked if weight[v] > 0 and scopes.log_size[v] > 0]
    if not free:
        return None

    def price(v: int) -> float:  # what all slices together cost, with memory weighing as much as time
        cost = scopes.fixed((v,)).cost(pairs)
        return float(np.log2(cost[0] + cost[4]) + scopes.log_size[v] + np.log2(cost[6]))

    return min(free, key=price)
