"""Where variables are drawn: layers from top to bottom along the arrows, few crossings, no box upon another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from tractable.graph import drawing_order, drawing_places
from tractable.graph._base import Graph

XY = tuple[float, float]
THREAD = 4.0
"""The width that a line takes where it passes between the boxes of a layer."""


@dataclass(frozen=True)
class Route:
    """The line between two variables: from the border of one box to that of the other, past all others.

    `points` come in pairs: from the first to the second, the third to the fourth, … the line runs straight down (or up)
    through a layer; between them, from the second to the third, it crosses to its next place, as a straight line or as
    a curve that begins and ends upright, and meets no box either way. `directed`: an arrow, from `tail` to `head`.

    Examples
    --------
    >>> (route,) = tr.graph.layout(tr.Graph(None, "rain -> wet"), {"rain": (40, 20), "wet": (40, 20)}).routes
    >>> route.tail, route.head, route.points[0], route.points[-1]
    ('rain', 'wet', (20.0, 20.0), (20.0, 54.0))
    """

    tail: str
    head: str
    directed: bool
    points: tuple[XY, ...]


@dataclass(frozen=True)
class LayeredDrawing:
    """A drawing: the middle of each variable's box, y from the top down, and the lines between them.

    The units are those of the boxes that were given; everything lies between 0 and `width`, and 0 and `height`.

    Examples
    --------
    >>> found = tr.graph.layout(tr.Graph(None, "rain -> wet <- sprinkler"))
    >>> found.places["wet"][1] > found.places["rain"][1] == found.places["sprinkler"][1]
    True
    """

    width: float
    height: float
    places: Mapping[str, XY]
    routes: tuple[Route, ...]


def layout(
    graph: Graph, boxes: Mapping[str, tuple[float, float]] | None = None, gaps: tuple[float, float] = (16.0, 34.0)
) -> LayeredDrawing:
    """A layered drawing of a graph: arrows point down, links and what closes a cycle run either way.

    Layers by longest paths, then shortened; crossings reduced by medians and exchanges of neighbours; places by least
    squares along the lines, with the boxes of a layer kept apart (Sugiyama, Tagawa, Toda 1981; Gansner et al. 1993).
    Undirected links are layered by their distance from one end of the graph. Parts that are not connected come side by
    side. The same graph always gives the same drawing.

    Parameters
    ----------
    graph : any graph; links of more than two variables are drawn as pairs.
    boxes : variable → width and height of its box; 96 by 32 where none is given.
    gaps : between boxes side by side, and at least between layers.

    Examples
    --------
    >>> found = tr.graph.layout(tr.Graph(None, "a -> b -> c; a -> c"), dict.fromkeys("abc", (20, 10)), gaps=(5, 30))
    >>> [found.places[v][1] for v in "abc"], found.height
    ([5.0, 45.0, 85.0], 90.0)
    >>> [(route.tail, route.head, len(route.points)) for route in found.routes]
    [('a', 'b', 4), ('b', 'c', 4), ('a', 'c', 6)]
    """
    sizes = {v: (boxes or {}).get(v, (96.0, 32.0)) for v in graph.sizes}
    parts = [_part(graph, names, sizes, gaps) for names in graph.components()]
    return _side_by_side(parts, gaps)


def drawn_pairs(graph: Graph) -> Iterator[tuple[str, str, bool]]:
    """All lines of a drawing, each pair of variables once: tail, head, and whether it is an arrow."""
    seen: set[frozenset[str]] = set()
    arrows = ((parent, child, True) for child, own in graph.parents.items() for parent in own)
    links = ((a, b, False) for link in graph.links for a, b in combinations(link, 2))
    for a, b, directed in (*arrows, *links):
        if a != b and (pair := frozenset((a, b))) not in seen:
            seen.add(pair)
            yield a, b, directed


def _part(graph: Graph, names: Sequence[str], sizes: Mapping[str, tuple[float, float]], gaps: XY) -> LayeredDrawing:
    """A connected part by itself."""
    place = {v: i for i, v in enumerate(names)}
    lines = list(drawn_pairs(_within(graph, place)))
    whole = drawing_order.in_layers(len(names), [(place[a], place[b], directed) for a, b, directed in lines])
    order = drawing_order.ordered(whole)
    box = [sizes[v] for v in names] + [(THREAD, 0.0)] * (len(whole.ranks) - len(names))
    wide, high = zip(*box, strict=True)
    x = drawing_places.across(whole, order, wide, gaps[0])
    bands = drawing_places.down(whole, order, high, x, gaps[1])
    middle = [sum(bands[r]) / 2 for r in whole.ranks]
    routes = []
    for (a, b, directed), chain in zip(lines, whole.chains, strict=True):
        points = _points(chain if chain[0] == place[a] else chain[::-1], whole.ranks, box, x, bands)
        routes.append(Route(a, b, directed, points))
    width = max(own + w / 2 for own, w in zip(x, wide, strict=True))
    return LayeredDrawing(width, bands[-1][1], {v: (x[i], middle[i]) for v, i in place.items()}, tuple(routes))


def _within(graph: Graph, names: Mapping[str, int]) -> Graph:
    """A connected part of a graph as one."""
    if len(names) == len(graph.sizes):
        return graph
    parents = {v: own for v, own in graph.parents.items() if v in names}
    return Graph({v: graph.sizes[v] for v in names}, parents, [own for own in graph.links if own and own[0] in names])


def _points(
    chain: Sequence[int],
    ranks: Sequence[int],
    box: Sequence[XY],
    x: Sequence[float],
    bands: Sequence[XY],
) -> tuple[XY, ...]:
    """A line along its places, two points for each layer that it passes."""
    down = ranks[chain[0]] < ranks[chain[-1]]
    out: list[XY] = []
    for v in chain:
        top, bottom = bands[ranks[v]]
        ends = (top, bottom) if down else (bottom, top)
        half = box[v][1] / 2 if down else -box[v][1] / 2
        if v == chain[0]:
            ends = ((top + bottom) / 2 + half, ends[1])
        elif v == chain[-1]:
            ends = (ends[0], (top + bottom) / 2 - half)
        out += [(x[v], y) for y in ends]
    return tuple(out)


def _side_by_side(parts: Sequence[LayeredDrawing], gaps: XY) -> LayeredDrawing:
    """Parts in rows from left to right, the high ones first, low ones below each other."""
    places: dict[str, XY] = {}
    routes: list[Route] = []
    width = height = 0.0
    parts = sorted(parts, key=lambda own: -own.height)
    for part, (left, top) in zip(parts, _corners([(own.width, own.height) for own in parts], gaps), strict=True):
        places |= {v: (x + left, y + top) for v, (x, y) in part.places.items()}
        for own in part.routes:
            routes.append(Route(own.tail, own.head, own.directed, tuple((x + left, y + top) for x, y in own.points)))
        width, height = max(width, left + part.width), max(height, top + part.height)
    return LayeredDrawing(width, height, places, tuple(routes))


def _corners(sizes: Sequence[tuple[float, float]], gaps: XY) -> Iterator[XY]:
    """The upper left corner of each part; all together about as wide as a page on its side."""
    area = sum((width + 2 * gaps[0]) * (height + gaps[1]) for width, height in sizes)
    most = max([math.sqrt(2 * area), *(width for width, _ in sizes)], default=0.0)
    left = right = top = y = bottom = 0.0
    for width, height in sizes:
        if y > top and y + height > bottom:  # the column is full
            left, y = right + 2 * gaps[0], top
        if left and left + width > most:  # and so is the row
            left, top, y = 0.0, bottom + gaps[1], bottom + gaps[1]
        yield left, y
        right = max(right if y > top else left, left + width)
        bottom = max(bottom, y + height)
        y += height + gaps[1]
