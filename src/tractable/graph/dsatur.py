"""Proper colourings."""

from __future__ import annotations

import heapq

from tractable.graph._base import Graph


def colouring(graph: Graph) -> dict[str, int]:
    """A colour for each variable, 0 upwards, such that no two variables of one family or link share one.

    Variables of one colour are independent given all others, so a Gibbs sampler may update them together. Greedy, the
    variable with the most colours around it first (Brélaz's DSATUR): two colours where two suffice.

    >>> square = tr.Graph({"a": 2, "b": 2, "c": 2, "d": 2}, links=(("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")))
    >>> tr.graph.colouring(square)
    {'a': 0, 'b': 1, 'c': 0, 'd': 1}
    """
    near = graph.blankets
    seen: dict[str, set[int]] = {name: set() for name in graph.sizes}
    urgency = {name: (0, -len(near[name]), i, name) for i, name in enumerate(graph.sizes)}
    heap = sorted(urgency.values())
    colours: dict[str, int] = {}
    while heap:
        *_, name = heapq.heappop(heap)
        if name in colours:
            continue
        colours[name] = next(c for c in range(len(near)) if c not in seen[name])
        for u in near[name]:
            seen[u].add(colours[name])
            heapq.heappush(heap, (-len(seen[u]), *urgency[u][1:]))
    return {name: colours[name] for name in graph.sizes}
