"""The box of a variable: its name, and what is believed of its states, measured before it is placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.plots._base import FILL, INK, LINE, OBSERVED, SOFT
from tractable.plots._text import put, shown, width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE, TEXT = 8.0, 6.5
"""Sizes of letters in points."""

PAD, HEAD, ROW, BAR, SPACE = 5.0, 12.0, 10.0, 44.0, 5.0
"""Points: around what stands in a box, the heights of its name and of a line, a bar's length, between columns."""


@dataclass(frozen=True)
class Line:
    """A state and its probability with its ends; without a value, text alone."""

    label: str
    said: str = ""
    value: float | None = None
    lower: float = 0.0
    upper: float = 0.0


@dataclass(frozen=True)
class Box:
    """What stands in the box of a variable."""

    title: str
    lines: tuple[Line, ...] = ()
    observed: bool = False

    @property
    def columns(self) -> tuple[float, float]:
        """The widths of the states and of the numbers."""
        with_bars = [own for own in self.lines if own.value is not None]
        widths = ((width_of(own.label, TEXT), width_of(own.said, TEXT)) for own in with_bars)
        labels, numbers = zip(*widths, strict=True) if with_bars else ((0.0,), (0.0,))
        return max(labels), max(numbers)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""
        texts = [width_of(own.label, TEXT) for own in self.lines if own.value is None]
        if any(own.value is not None for own in self.lines):
            texts.append(sum(self.columns) + BAR + 2 * SPACE)
        wide = max([width_of(self.title, TITLE, "bold"), *texts])
        return wide + 2 * PAD, HEAD + ROW * len(self.lines) + PAD


def percent(p: float) -> str:
    """A probability as it is told: what is not certain never looks so.

    >>> percent(0.1234), percent(1e-9), percent(1.0), percent(1 - 1e-9)
    ('12.3 %', '<0.1 %', '100 %', '>99.9 %')
    """
    if p <= 0 or p >= 1 - 1e-12:
        return f"{100 * min(max(p, 0.0), 1.0):.0f} %"
    return "<0.1 %" if p < 5e-4 else ">99.9 %" if p > 0.9995 else f"{100 * p:.1f} %"


def _ends(found: Any, p: float, low: float, high: float) -> str:
    """The number beside a bar: an interval as one, an estimate as about so much."""
    if found.kind == "exact":
        return percent(p)
    if found.kind == "estimate":
        return f"≈ {percent(p)}"
    return f"{100 * max(low, 0.0):.1f} – {100 * min(high, 1.0):.1f} %"


def beliefs(found: Any, names: Sequence[str], row: int | None, most: int) -> tuple[Line, ...]:
    """The states of a variable as lines of its box: all, or the most probable and how many there are besides."""
    value, lower, upper = (np.asarray(end)[... if row is None else row] for end in _of_kind(found))
    if not len(value) or np.isnan(value[0]):
        return (Line("impossible"),)
    chosen = range(len(names))
    if len(names) > most:
        chosen = sorted(np.argsort(-value, kind="stable")[:most].tolist())
    lines = []
    for i in chosen:
        p, low, high = (float(end[i]) for end in (value, lower, upper))
        lines.append(Line(shown(names[i], 14), _ends(found, p, low, high), p, low, high))
    if more := len(names) - len(chosen):
        lines.append(Line(f"… and {more:,} more: {percent(max(1 - float(value[list(chosen)].sum()), 0.0))}"))
    return tuple(lines)


def _of_kind(found: Any) -> tuple[Any, Any, Any]:
    """A marginal and its ends; an estimate has none."""
    drawn = found.kind not in ("exact", "estimate")
    return (found.value, found.lower, found.upper) if drawn else (found.value,) * 3


def draw(ax: Axes, boxes: Sequence[tuple[Box, tuple[float, float], str]]) -> None:
    """Boxes where they are placed, by the middle of each, with the colour of their border; y goes down."""
    from matplotlib.collections import LineCollection, PatchCollection, PolyCollection
    from matplotlib.patches import FancyBboxPatch

    frames, back, bars, ends = [], [], [], []
    for box, (x, y), border in boxes:
        width, height = box.size
        left, top = x - width / 2, y - height / 2
        shape = "round,pad=0,rounding_size=3"
        frame = FancyBboxPatch((left, top), width, height, shape, linewidth=0.8 if border == SOFT else 2.0)
        frame.set(facecolor=OBSERVED if box.observed else "white", edgecolor=border)
        frames.append(frame)
        put(ax, x, top + HEAD / 2 + 1, box.title, size=TITLE, weight="bold", color=INK, **CENTRED)
        labels, numbers = box.columns
        start = left + PAD + labels + SPACE
        long = width - 2 * (PAD + SPACE) - labels - numbers
        for i, line in enumerate(box.lines):
            middle = top + HEAD + ROW * (i + 0.5)
            if line.value is None:
                put(ax, x, middle, line.label, size=TEXT, color=SOFT if not box.observed else INK, **CENTRED)
                continue
            put(ax, left + PAD, middle, line.label, size=TEXT, color=INK, ha="left", va="center_baseline", zorder=4)
            put(
                ax,
                left + width - PAD,
                middle,
                line.said,
                size=TEXT,
                color=INK,
                ha="right",
                va="center_baseline",
                zorder=4,
            )
            back.append(_bar(start, middle, long))
            bars.append(_bar(start, middle, long * min(max(line.value, 0.0), 1.0)))
            if line.lower < line.upper:
                ends += _interval(start + long * max(line.lower, 0.0), start + long * min(line.upper, 1.0), middle)
    ax.add_collection(PatchCollection(frames, match_original=True, zorder=2), autolim=False)
    ax.add_collection(PolyCollection(back, facecolors=LINE, linewidths=0, zorder=3), autolim=False)
    ax.add_collection(PolyCollection(bars, facecolors=FILL, linewidths=0, zorder=3.1), autolim=False)
    ax.add_collection(LineCollection(ends, colors=INK, linewidths=0.9, zorder=3.2), autolim=False)


CENTRED = {"ha": "center", "va": "center_baseline", "zorder": 4}


def _bar(left: float, middle: float, length: float) -> list[tuple[float, float]]:
    top, bottom = middle - 0.32 * ROW, middle + 0.32 * ROW
    return [(left, top), (left + length, top), (left + length, bottom), (left, bottom)]


def _interval(low: float, high: float, middle: float) -> list[list[tuple[float, float]]]:
    """A line with a stop at each end."""
    stops = [[(x, middle - 0.2 * ROW), (x, middle + 0.2 * ROW)] for x in (low, high)]
    return [[(low, middle), (high, middle)], *stops]
