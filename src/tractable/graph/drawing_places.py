"""Places in a drawing: lines as upright as the boxes beside each other allow, layers one below the other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate, islice, pairwise

from tractable.graph.drawing_order import Threaded

SWEEPS = 16
"""So often all layers are placed from top to bottom and back."""

ALONG_THREADS, TO_THREADS = 8.0, 2.0
"""How much a line weighs between two nodes of a thread, and at its ends; between two boxes it weighs one."""

UNPULLED = 0.01
"""The weight of the place that a node has where nothing pulls at it."""


def across(whole: Threaded, order: Sequence[Sequence[int]], widths: Sequence[float], gap: float) -> list[float]:
    """The middle of each node, from zero to the right: Σ weight (x_a − x_b)² over lines, one layer after the other made
    as small as the distances within it allow."""
    apart = [_distances(layer, whole.n, widths, gap) for layer in order]
    x = _packed(order, apart, len(widths))
    pulls = _pulls(whole)
    down, up = range(1, len(order)), range(len(order) - 2, -1, -1)
    for sweep in range(SWEEPS):
        for rows, side in ((down, 0), (up, 1)):
            for r in rows:
                _place(order[r], apart[r], x, pulls[2 if sweep > SWEEPS // 2 else side])
    rooms = _rooms(order, apart)
    for chain in whole.chains:
        _straighten(chain, x, rooms)
    left = min(own - width / 2 for own, width in zip(x, widths, strict=True))
    return [own - left for own in x]


def _packed(order: Sequence[Sequence[int]], apart: Sequence[Sequence[float]], n: int) -> list[float]:
    """Every layer as narrow as it can be, around one middle."""
    x = [0.0] * n
    for layer, steps in zip(order, apart, strict=True):
        for v, start in zip(layer, accumulate(steps, initial=-sum(steps) / 2), strict=True):
            x[v] = start
    return x


Rooms = dict[int, tuple[int, float, int, float]]
"""Node → its neighbour to the left, −1 for none, how far that is at least, and the same to the right."""


def _rooms(order: Sequence[Sequence[int]], apart: Sequence[Sequence[float]]) -> Rooms:
    out: Rooms = {}
    for layer, steps in zip(order, apart, strict=True):
        neighbours = zip(layer, [-1, *layer[:-1]], [0.0, *steps], [*layer[1:], -1], [*steps, 0.0], strict=True)
        out |= {v: own for v, *own in neighbours}  # pyright: ignore[reportAssignmentType]
    return out


def _straighten(chain: Sequence[int], x: list[float], rooms: Rooms) -> None:
    """Make a thread upright as far as it has room, from its beginning to its end; under the box at an end if it can."""
    run: list[int] = []
    room = -math.inf, math.inf
    for v in chain[1:-1]:
        left, near, right, far = rooms[v]
        least = x[left] + near if left >= 0 else -math.inf
        most = max(x[right] - far if right >= 0 else math.inf, least)
        if max(room[0], least) > min(room[1], most):
            _move(run, x, room, chain)
            run, room = [], (-math.inf, math.inf)
        run.append(v)
        room = max(room[0], least), min(room[1], most)
    _move(run, x, room, chain)


def _move(run: Sequence[int], x: list[float], room: tuple[float, float], chain: Sequence[int]) -> None:
    """Place all nodes of a run one below the other, within the room that they share."""
    ends = [x[end] for end, own in ((chain[0], chain[1]), (chain[-1], chain[-2])) if own in run]
    middle = sum(x[v] for v in run) / max(len(run), 1)
    wanted = next((own for own in ends if room[0] <= own <= room[1]), ends[0] if ends else middle)
    for v in run:
        x[v] = min(max(wanted, room[0]), room[1])


def _distances(layer: Sequence[int], n: int, widths: Sequence[float], gap: float) -> list[float]:
    """The least distances between the middles of neighbours; threads pass closer than boxes stand."""
    return [(widths[a] + widths[b]) / 2 + (gap if a < n and b < n else gap / 2) for a, b in pairwise(layer)]


def _pulls(whole: Threaded) -> list[list[list[tuple[int, float]]]]:
    """What pulls at each node, and how much: above it, below it, on both sides."""

    def weight(a: int, b: int) -> float:
        return (1.0, TO_THREADS, ALONG_THREADS)[(a >= whole.n) + (b >= whole.n)]

    above, below = (
        [[(w, weight(v, w)) for w in near] for v, near in enumerate(side)] for side in (whole.above, whole.below)
    )
    return [above, below, [a + b for a, b in zip(above, below, strict=True)]]


def _place(layer: Sequence[int], apart: Sequence[float], x: list[float], pulls: Sequence[Sequence]) -> None:
    """Place a layer by least squares: each node where it is pulled to, neighbours pooled where they would meet."""
    pools: list[tuple[float, float, int]] = []  # weighted sum of where its nodes want to begin, weight, number of nodes
    starts = list(accumulate(apart, initial=0.0))
    for v, start in zip(layer, starts, strict=True):
        weight, wanted = _pulled(pulls[v], x)
        weight, wanted = (weight, wanted / weight) if weight else (UNPULLED, x[v])
        pool = (wanted - start) * weight, weight, 1
        while pools and pools[-1][0] * pool[1] >= pool[0] * pools[-1][1]:
            total, mass, n = pools.pop()
            pool = total + pool[0], mass + pool[1], n + pool[2]
        pools.append(pool)
    nodes = iter(zip(layer, starts, strict=True))
    for total, mass, n in pools:
        for v, start in islice(nodes, n):
            x[v] = total / mass + start


def _pulled(pulls: Sequence[tuple[int, float]], x: Sequence[float]) -> tuple[float, float]:
    """The sum of what pulls at a node, and of where it pulls to."""
    return sum(w for _, w in pulls), sum(x[u] * w for u, w in pulls)


def down(
    whole: Threaded, order: Sequence[Sequence[int]], heights: Sequence[float], x: Sequence[float], gap: float
) -> list[tuple[float, float]]:
    """Where each layer begins and ends from the top; wider apart where lines go far to the side."""
    bands: list[tuple[float, float]] = []
    top = 0.0
    for layer in order:
        bottom = top + max(heights[v] for v in layer)
        bands.append((top, bottom))
        top = bottom + gap * _spread([abs(x[v] - x[w]) for v in layer for w in whole.below[v]], gap)
    return bands


def _spread(sideways: Iterable[float], gap: float) -> float:
    """So many gaps between two layers: one, and up to three where lines go far to the side."""
    return 1 + min(max(max(sideways, default=0.0) / gap - 4, 0.0) / 12, 2.0)
