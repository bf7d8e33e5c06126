"""Places in a drawing: lines as upright as the boxes beside each other allow, layers one below the other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from tractable.graph.layout_order import Layered

SWEEPS = 16
"""So often all layers are placed from top to bottom and back."""

ALONG_THREADS, TO_THREADS = 8.0, 2.0
"""How much a line weighs between two nodes of a thread, and at its ends; between two boxes it weighs one."""


def across(whole: Layered, order: Sequence[Sequence[int]], widths: Sequence[float], gap: float) -> list[float]:
    """The middle of each node from left to right: Σ weight (x_a − x_b)² over lines, layer by layer made as small as the
    distances within the layer allow."""
    x = [0.0] * len(widths)
    apart = [_distances(layer, whole.n, widths, gap) for layer in order]
    for layer, steps in zip(order, apart, strict=True):
        at = -sum(steps) / 2
        for v, step in zip(layer, [*steps, 0.0], strict=True):
            x[v], at = at, at + step
    pulls = _pulls(whole)
    down, up = range(1, len(order)), range(len(order) - 2, -1, -1)
    for sweep in range(SWEEPS):
        for rows, sides in ((down, 0), (up, 1)):
            for r in rows:
                _place(order[r], apart[r], x, pulls[2] if sweep > SWEEPS // 2 else pulls[sides])
    room = _rooms(order, apart)
    for chain in whole.chains:
        _straighten(chain, x, room)
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
    low, high = -math.inf, math.inf
    for v in chain[1:-1]:
        left, near, right, far = rooms[v]
        least = x[left] + near if left >= 0 else -math.inf
        own = least, max(x[right] - far if right >= 0 else math.inf, least)
        if max(low, own[0]) > min(high, own[1]):
            _move(run, x, (low, high), x[chain[0]] if run[0] == chain[1] else None)
            run, low, high = [], -math.inf, math.inf
        run.append(v)
        low, high = max(low, own[0]), min(high, own[1])
    if run:
        first = x[chain[0]] if run[0] == chain[1] else math.inf
        ends = [own for own in (first, x[chain[-1]]) if low <= own <= high]
        _move(run, x, (low, high), ends[0] if ends else None)


def _move(run: Sequence[int], x: list[float], room: tuple[float, float], wanted: float | None) -> None:
    """Place all nodes of a run one below the other, within the room that they share."""
    middle = sum(x[v] for v in run) / len(run) if wanted is None else wanted
    for v in run:
        x[v] = min(max(middle, room[0]), room[1])



def _distances(layer: Sequence[int], n: int, widths: Sequence[float], gap: float) -> list[float]:
    """The least distances between the middles of neighbours; threads pass closer than boxes stand."""
    pairs = zip(layer, layer[1:], strict=False)
    return [(widths[a] + widths[b]) / 2 + (gap if a < n and b < n else gap / 2) for a, b in pairs]


def _pulls(whole: Layered) -> list[list[list[tuple[int, float]]]]:
    """What pulls at each node, and how much: above it, below it, on both sides."""

    def weight(a: int, b: int) -> float:
        return (1.0, TO_THREADS, ALONG_THREADS)[(a >= whole.n) + (b >= whole.n)]

    above, below = (
        [[(w, weight(v, w)) for w in near] for v, near in enumerate(side)] for side in (whole.above, whole.below)
    )
    return [above, below, [a + b for a, b in zip(above, below, strict=True)]]


def _place(layer: Sequence[int], apart: Sequence[float], x: list[float], pulls: Sequence[Sequence]) -> None:
    """Place a layer by least squares: each node where it is pulled to, neighbours pooled where they would meet."""
    offset, pools = 0.0, []  # each pool: weighted sum of where its nodes want to begin, weight, number of nodes
    for v, step in zip(layer, [*apart, 0.0], strict=True):
        weight = sum(w for _, w in pulls[v])
        wanted = sum(x[u] * w for u, w in pulls[v]) / weight if weight else x[v]
        weight = weight or 0.01
        pools.append([(wanted - offset) * weight, weight, 1])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
        offset += step
    nodes, offset = iter(zip(layer, [*apart, 0.0], strict=True)), 0.0
    for total, weight, n in pools:
        for _ in range(n):
            v, step = next(nodes)
            x[v], offset = total / weight + offset, offset + step


def down(
    whole: Layered, order: Sequence[Sequence[int]], heights: Sequence[float], x: Sequence[float], gap: float
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
    return 1 + min(max(sideways, default=0.0) / (12 * gap), 2.0)
