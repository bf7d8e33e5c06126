"""Variables to condition on: in turn, to save memory or stay in cache; or by observing them, as advice.

Conditioning on a variable multiplies the runs and divides the tables. Where the variable is in all large tables that
costs no arithmetic, the tables come to fit a core's cache, and the slices run on all cores at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tractable.kernels import Scopes
from tractable.plan._base import Budget, ContractionTree
from tractable.plan.budget import MAX_LOG2_SLICES, predicted_bytes, predicted_seconds

CANDIDATES = 12
MAX_FIXED = 128
STALE = 4
WORTH_SLICING = 0.2


class Fixed(NamedTuple):
    """Some variables taken to have one state: the cost of the rest, and log2 of the number of their joint states."""

    variables: tuple[int, ...]
    cost: np.ndarray
    log_slices: float


def fixings(scopes: Scopes, pairs: np.ndarray) -> Iterator[Fixed]:
    """Fix nothing, then variables one by one, each time the one that shrinks the large tables at the least price."""
    chosen: tuple[int, ...] = ()
    log_slices = 0.0
    while True:
        cost = scopes.fixed(chosen).cost(pairs)
        yield Fixed(chosen, cost, log_slices)
        best = _next(scopes.fixed(chosen), pairs, cost[1]) if len(chosen) < MAX_FIXED else None
        if best is None:
            return
        chosen += (best,)
        log_slices += float(scopes.log_size[best])


def sliced(scopes: Scopes, tree: ContractionTree, query: str, budget: Budget) -> ContractionTree:
    """The tree with the slices that fit the memory and run fastest; the tree as it is where none do better."""

    def price(fixed: Fixed) -> tuple[bool, float]:
        slices = 2.0**fixed.log_slices
        over = predicted_bytes(fixed.cost, query, slices) > budget.memory
        return over, predicted_seconds(fixed.cost, scopes.m - 1, query, slices)

    best = Fixed((), tree.cost, 0.0)
    over, seconds = price(best)
    if not over and seconds < WORTH_SLICING:
        return tree
    stale = 0
    for fixed in fixings(scopes, tree.pairs):
        if fixed.log_slices > MAX_LOG2_SLICES or stale == STALE:
            break
        if price(fixed) < price(best):
            best, stale = fixed, 0
        else:
            stale += not price(best)[0]
    return ContractionTree(scopes, tree.pairs, best.cost, best.variables, round(2.0**best.log_slices))


def advice(scopes: Scopes, tree: ContractionTree, query: str, budget: Budget) -> tuple[int, ...]:
    """Variables whose observation would bring the query within the budget; none of them can be left out."""

    def fits(cost: np.ndarray) -> bool:
        seconds = predicted_seconds(cost, scopes.m - 1, query)
        return predicted_bytes(cost, query) <= budget.memory and seconds <= budget.seconds

    found = next((f.variables for f in fixings(scopes, tree.pairs) if fits(f.cost)), ())
    chosen = list(found)
    for v in found:
        rest = tuple(u for u in chosen if u != v)
        if fits(scopes.fixed(rest).cost(tree.pairs)):
            chosen.remove(v)
    return tuple(chosen)


def _next(scopes: Scopes, pairs: np.ndarray, width: float) -> int | None:
    _, weight = scopes.widest(pairs, width - 3)
    weight = np.where((scopes.log_size > 0) & (scopes.keep[: scopes.n] == 0), weight, 0.0)
    free = [int(v) for v in np.argsort(-weight)[:CANDIDATES] if weight[v] > 0]
    if not free:
        return None

    def price(v: int) -> float:  # what all slices together cost, with memory weighing as much as time
        cost = scopes.fixed((v,)).cost(pairs)
        return float(np.log2(cost[0] + 4 * cost[4]) + scopes.log_size[v] + np.log2(cost[6]))

    return min(free, key=price)
