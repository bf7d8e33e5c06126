"""Layers of a drawing, and the order within each: longest paths, and few crossings."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tractable.graph._base import closure

Arcs = list[tuple[int, int]]
ROUNDS = 12
"""So often the layers are sorted from top to bottom and back."""

PATIENCE = 2
"""So many rounds without a better order are the last."""

EXCHANGES = 3
"""So often all neighbours within layers are looked at."""


@dataclass
class Threaded:
    """Nodes in layers, a thread of more nodes for each long arc, so that every arc joins two layers next to each other.

    `chains` has the nodes along each arc, from its upper to its lower end; `above` and `below` the neighbours there.
    """

    ranks: list[int]
    chains: list[list[int]]
    n: int
    above: list[list[int]] = field(default_factory=list)
    below: list[list[int]] = field(default_factory=list)


def in_layers(n: int, lines: Sequence[tuple[int, int, bool]]) -> Threaded:
    """Nodes in layers along arrows, and along links from one end of the graph on; lines that are arrows say so."""
    far = _distances(n, lines)
    arcs = [(a, b) if directed or (far[a], a) < (far[b], b) else (b, a) for a, b, directed in lines]
    back = _closing_cycles(n, arcs)
    arcs = [(b, a) if (a, b) in back else (a, b) for a, b in arcs]
    return threaded(ranked(n, arcs), arcs)


def _closing_cycles(n: int, arcs: Arcs) -> set[tuple[int, int]]:
    """Arcs without which there is no cycle: those that a walk in depth meets on its way back."""
    out = _from(n, arcs)
    state: list[int] = [0] * n  # 1: on the way, 2: done
    back: set[tuple[int, int]] = set()
    has_parent = {b for _, b in arcs}
    for root in sorted(range(n), key=lambda v: v in has_parent):
        stack = [(root, iter(out[root]))] if not state[root] else []
        state[root] = state[root] or 1
        while stack:
            v, rest = stack[-1]
            w = next(rest, None)
            if w is None:
                state[v] = 2
                stack.pop()
            elif state[w] == 1:
                back.add((v, w))
            elif not state[w]:
                state[w] = 1
                stack.append((w, iter(out[w])))
    return back


def _from(n: int, arcs: Iterable[tuple[int, int]]) -> list[list[int]]:
    out: list[list[int]] = [[] for _ in range(n)]
    for a, b in arcs:
        out[a].append(b)
    return out


def _distances(n: int, lines: Sequence[tuple[int, int, bool]]) -> list[int]:
    """How far each node is from one end of the graph, that of the first node, where there are links; else nothing."""
    if all(directed for _, _, directed in lines):
        return [0] * n
    near = _from(n, [pair for a, b, _ in lines for pair in ((a, b), (b, a))])
    far = _steps(near, 0)
    most = max(far)
    far = _steps(near, min((v for v in range(n) if far[v] == most), key=lambda v: (len(near[v]), v)))
    return [-own for own in far] if 2 * far[0] > max(far) else far


def _steps(near: Sequence[Sequence[int]], start: int) -> list[int]:
    """The number of steps from one node to each."""
    far = [-1] * len(near)
    far[start] = 0
    queue = [start]
    for v in queue:  # grows while it runs
        for w in near[v]:
            if far[w] < 0:
                far[w] = far[v] + 1
                queue.append(w)
    return far


# ---------------------------------------------------------------- layers


def ranked(n: int, arcs: Arcs) -> list[int]:
    """A layer for each node, below those of its parents, arcs as short as single moves make them."""
    children, parents = _from(n, arcs), _from(n, [(b, a) for a, b in arcs])
    order = _topological(children, parents)
    ranks = [0] * n
    for v in order:
        ranks[v] = max((ranks[u] + 1 for u in parents[v]), default=0)
    for _ in range(ROUNDS):
        down = [_moved(v, ranks, (parents, children), 1) for v in reversed(order)]
        if not any([*down, *(_moved(v, ranks, (children, parents), -1) for v in order)]):
            break
    _narrow(ranks, parents, children)
    least = min(ranks)
    return [rank - least for rank in ranks]


def _topological(children: Sequence[Sequence[int]], parents: Sequence[Sequence[int]]) -> list[int]:
    waiting = list(map(len, parents))
    order = [v for v, n in enumerate(waiting) if not n]
    for v in order:  # grows while it runs
        for w in children[v]:
            waiting[w] -= 1
            if not waiting[w]:
                order.append(w)
    return order


def _moved(v: int, ranks: list[int], ends: tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]], way: int) -> bool:
    """Move a node one way, with all that it pushes before it, if that makes arcs shorter together; whether it moved."""
    behind, before = ends
    moved = closure([v], lambda u: (w for w in before[u] if (ranks[w] - ranks[u]) * way == 1))
    room = [(ranks[w] - ranks[u]) * way - 1 for u in moved for w in before[u] if w not in moved]
    if len(room) <= sum(w not in moved for u in moved for w in behind[u]):
        return False
    for u in moved:
        ranks[u] += way * min(room)
    return True


def _narrow(ranks: list[int], parents: Sequence[Sequence[int]], children: Sequence[Sequence[int]]) -> None:
    """Break layers that are far too wide: nodes without children go on to the next one, those without parents back."""
    most = max(10, math.isqrt(2 * len(ranks)))
    for step, beyond in ((1, children), (-1, parents)):
        layers: dict[int, list[int]] = {}
        for v, rank in enumerate(ranks):
            layers.setdefault(rank, []).append(v)
        rank = min(layers) if step > 0 else max(layers)
        while rank in layers:
            excess = len(layers[rank]) - most
            gone = [v for v in layers[rank] if not beyond[v]][-excess:] if excess > 0 else []
            for v in gone:
                ranks[v] = rank + step
                layers.setdefault(rank + step, []).append(v)
            rank += step


def threaded(ranks: Sequence[int], arcs: Arcs) -> Threaded:
    """Long arcs as threads, a node for each layer that they pass."""
    whole = Threaded(list(ranks), [], len(ranks))
    for a, b in arcs:
        between = range(ranks[a] + 1, ranks[b])
        first = len(whole.ranks)
        whole.ranks.extend(between)
        whole.chains.append([a, *range(first, first + len(between)), b])
    pairs = [pair for chain in whole.chains for pair in pairwise(chain)]
    whole.below = _from(len(whole.ranks), pairs)
    whole.above = _from(len(whole.ranks), [(b, a) for a, b in pairs])
    return whole


# ---------------------------------------------------------------- crossings


def ordered(whole: Threaded) -> list[list[int]]:
    """The nodes of each layer from left to right: the order with the fewest crossings among those that are tried."""
    return min((_sorted(whole, down) for down in (True, False)), key=lambda own: crossings(own, whole))


def _sorted(whole: Threaded, down: bool) -> list[list[int]]:
    """The best order of sweeps that begin at one end, which stop where they lead nowhere."""
    layers = _first_order(whole, down)
    best, fewest, since = layers, math.inf, 0
    for _ in range(ROUNDS):
        _sort(layers, whole, down)
        _sort(layers, whole, not down)
        _exchange(layers, whole)
        since += 1
        if (found := crossings(layers, whole)) < fewest:
            best, fewest, since = [list(layer) for layer in layers], found, 0
        if not found or since > PATIENCE:
            break
    return best


def _first_order(whole: Threaded, down: bool) -> list[list[int]]:
    """Each node as soon as it is met on walks along the arcs, so that what belongs together stands together."""
    layers: list[list[int]] = [[] for _ in range(max(whole.ranks) + 1)]
    first, then = (whole.below, whole.above) if down else (whole.above, whole.below)
    seen: set[int] = set()
    roots = sorted(range(len(whole.ranks)), key=lambda v: whole.ranks[v] if down else -whole.ranks[v])
    for root in roots:
        stack = [root]
        while stack:
            v = stack.pop()
            if v not in seen:
                seen.add(v)
                layers[whole.ranks[v]].append(v)
                stack += [*reversed(then[v]), *reversed(first[v])]
    return layers


def _sort(layers: list[list[int]], whole: Threaded, down: bool) -> None:
    """Sort each layer by the middle of what each node joins in the layer before it."""
    if down:
        for r in range(1, len(layers)):
            layers[r] = _resorted(layers[r], layers[r - 1], whole.above)
    else:
        for r in range(len(layers) - 2, -1, -1):
            layers[r] = _resorted(layers[r], layers[r + 1], whole.below)


def _resorted(layer: Sequence[int], before: Sequence[int], near: Sequence[Sequence[int]]) -> list[int]:
    """A layer by the middle of what each node joins in another one; those that join nothing stay."""
    at = {v: i for i, v in enumerate(before)}
    joined = [v for v in layer if near[v]]
    wanted = {v: _middle(sorted(map(at.__getitem__, near[v]))) for v in joined}
    free = iter(sorted(joined, key=wanted.__getitem__))
    return [next(free) if near[v] else v for v in layer]


def _middle(places: Sequence[int]) -> float:
    """The median; of an even number of places the point between the two in the middle, nearer to the denser side."""
    n = len(places)
    if n % 2 or n <= 2:
        return (places[n // 2] + places[(n - 1) // 2]) / 2 if n else -1.0
    low, high = places[n // 2 - 1], places[n // 2]
    left, right = low - places[0], places[-1] - high
    return (low * right + high * left) / (left + right) if left + right else (low + high) / 2


def _exchange(layers: list[list[int]], whole: Threaded) -> None:
    """Exchange neighbours within layers wherever that saves crossings."""
    at = {v: i for layer in layers for i, v in enumerate(layer)}
    for _ in range(EXCHANGES):
        if not sum(_exchanged(layer, whole, at) for layer in layers):
            return


def _exchanged(layer: list[int], whole: Threaded, at: dict[int, int]) -> bool:
    saved = False
    for i in range(len(layer) - 1):
        v, w = layer[i], layer[i + 1]
        gain = 0
        for near in (whole.above, whole.below):
            mine, other = [at[u] for u in near[v]], [at[u] for u in near[w]]
            gain += sum((a > b) - (a < b) for a in mine for b in other)
        if gain > 0:
            layer[i], layer[i + 1] = w, v
            at[v], at[w] = i + 1, i
            saved = True
    return saved


def crossings(layers: Sequence[Sequence[int]], whole: Threaded) -> int:
    """How many pairs of arcs cross."""
    total = 0
    for upper, lower in pairwise(layers):
        at = {v: i for i, v in enumerate(lower)}
        seen: list[int] = []
        for v in upper:
            ends = sorted(at[w] for w in whole.below[v])
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total
