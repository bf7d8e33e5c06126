"""A lower bound on the width of every contraction tree: what no search can get below is refused without one."""

from __future__ import annotations

import heapq
import time

import numpy as np

from tractable.kernels import Scopes

SECONDS, ROUNDING = 1.0, 1e-9
"""What was found after so long is a bound as well; and sums of logarithms are that exact."""


def log2_width(scopes: Scopes) -> float:
    """log2 of the entries that the largest table of any tree must have: contraction degeneracy, weighted by states.

    Every order meets all neighbours of the variable that it begins with, so that the largest table is at least the
    least one over a variable and its neighbours; joining two neighbours, to one with the fewer states of the two, makes
    no order worse. The bound is the largest of these minima on the way down to one variable.

    Source: Gogate & Dechter 2004 (minor-min-width); Bodlaender, Koster & Wolle 2004.

    >>> square = Scopes(np.full(4, 2, np.int32), 2 * np.arange(5), np.array([0, 1, 1, 2, 2, 3, 3, 0], np.int32))
    >>> round(log2_width(square), 6)
    3.0
    """
    near, bits, end = _neighbours(scopes), scopes.log_size.tolist(), time.perf_counter() + SECONDS
    weight = {v: bits[v] + sum(bits[u] for u in others) for v, others in near.items()}
    heap = [(w, v) for v, w in weight.items()]
    heapq.heapify(heap)
    best = 0.0
    while heap and time.perf_counter() < end:
        w, v = heapq.heappop(heap)
        if v not in near or w != weight[v]:
            continue
        best = max(best, w)
        for u in _contracted(near, bits, weight, v):
            heapq.heappush(heap, (weight[u], u))
    return best - ROUNDING


def _neighbours(scopes: Scopes) -> dict[int, set[int]]:
    """Who shares a scope with whom; variables of one state count for nothing."""
    near: dict[int, set[int]] = {}
    for own in np.split(scopes.members, scopes.starts[1:-1]):
        members = [v for v in own.tolist() if scopes.log_size[v] > 0]
        for v in members:
            near.setdefault(v, set()).update(members)
    for v, others in near.items():
        others.discard(v)
    return near


def _contracted(near: dict[int, set[int]], bits: list[float], weight: dict[int, float], v: int) -> set[int]:
    """Join a variable to the neighbour with which it shares fewest others; returns those whose weight changed."""
    others = near.pop(v)
    if not others:
        return set()
    to = min(others, key=lambda u: len(near[u] & others))
    for u in others:
        near[u].discard(v)
        weight[u] -= bits[v]
    gained = others - near[to] - {to}
    near[to] |= gained
    for u in gained:
        near[u].add(to)
        weight[u] += bits[to]
        weight[to] += bits[u]
    if bits[v] >= bits[to]:
        return others
    for u in (to, *near[to]):
        weight[u] -= bits[to] - bits[v]
    bits[to] = bits[v]
    return others | near[to]
