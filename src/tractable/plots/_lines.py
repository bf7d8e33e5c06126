"""The lines of a drawing: curves that stand upright at both ends, arrows with their heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tractable.graph.drawing import XY, Route

LENGTH, HALF = 5.5, 2.4
"""An arrow's head in points: how long, and half of how wide."""


def draw(ax: Axes, routes: Iterable[Route], arrows: bool = True, **style: object) -> None:
    """Routes as one path, with heads where they are arrows."""
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    vertices: list[XY] = []
    codes: list[Any] = []
    heads = []
    for route in routes:
        points = list(route.points)
        if route.directed and arrows:
            points, head = _with_head(points)
            heads.append(head)
        vertices += _curve(points)
        codes += [Path.MOVETO, Path.LINETO]
        codes += [Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO] * (len(points) // 2 - 1)
    if vertices:
        ax.add_patch(PathPatch(Path(vertices, codes), facecolor="none", **style))  # pyright: ignore[reportArgumentType]
        told = {"facecolors": style["edgecolor"], "linewidths": 0, "zorder": style["zorder"]}
        ax.add_collection(PolyCollection(heads, **told), autolim=False)  # pyright: ignore[reportArgumentType]


def _curve(points: Sequence[XY]) -> list[XY]:
    """Straight through layers, and from one to the next with upright ends."""
    out = [points[0], points[1]]
    for (x, y), (u, v), after in zip(points[1::2], points[2::2], points[3::2], strict=False):
        middle = (y + v) / 2
        out += [(x, middle), (u, middle), (u, v), after]
    return out


def _with_head(points: list[XY]) -> tuple[list[XY], list[XY]]:
    """The points less the room of the head, and the head."""
    (x, tip), before = points[-1], points[-3][1]
    way = LENGTH if before < tip else -LENGTH
    base = tip - way
    last = min(points[-2][1], base) if way > 0 else max(points[-2][1], base)
    return [*points[:-2], (x, last), (x, base)], [(x, tip), (x - HALF, base), (x + HALF, base)]
