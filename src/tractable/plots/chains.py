"""Hidden Markov chains: which states a sequence went through, and how states follow each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.plots._base import INK, SOFT, columns_of_numbers, figure
from tractable.plots._text import name_axes, name_legend, put, shown, width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELLED = 0.005
"""A transition that is less probable is not drawn."""

RADIUS = 0.3
"""Of a state's circle; the states stand on one of radius one."""

LEGEND = 20
"""So many states, or columns, are named."""


def state_path(states: Any, rows: Any = None, names: Sequence[str] | None = None, *, path: Any = None) -> Figure:
    """The states of a sequence over time, under its columns if they are given.

    Behind the columns are the colours of the states, as strong as these are probable.

    Parameters
    ----------
    states : a path of numbers [t], such as ``most_probable(model, rows).assignment["state"]``, or probabilities [t, K],
        such as ``infer(model, rows).marginals["state"]``, which are stacked.
    rows : the sequence [t] or [t, d], NaN where something is missing, or a table, whose columns of numbers are drawn
        and named. names : of the states.
    path : the most probable path [t], a strip above the probabilities of each row by itself, from which it may differ.

    Raises
    ------
    ValueError : a path that is not one of whole numbers, rows or a path of another length, names that do not suffice.

    Examples
    --------
    >>> [ax.get_ylabel() for ax in tr.plots.state_path([0, 0, 1], [0.1, 0.2, 5.0]).axes]
    ['columns', 'state']
    >>> fig = tr.plots.state_path([[0.9, 0.1], [0.6, 0.4], [0.1, 0.9]], path=[0, 1, 1])
    >>> [ax.get_ylabel() for ax in fig.axes]
    ['path', 'state']
    """
    shares = _shares(states)
    best = None if path is None else _shares(path)
    labels = _names(names, shares.shape[1])
    columns, named = (None, []) if rows is None else columns_of_numbers(rows)
    _check_rows(columns, len(shares))
    _check_path(best, shares)
    heights = [2.0] * (columns is not None) + [0.25] * (best is not None) + [1.75 if columns is not None else 2.0]
    fig = figure(8, sum(heights) + 0.25)
    axes = list(fig.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    edges = np.arange(len(shares) + 1) - 0.5
    if columns is not None:
        _columns(axes[0], columns, named)
        _shade(axes[0], shares, edges, 0.3)
    if best is not None:
        _shade(axes[-2], best, edges, 1.0)
        axes[-2].set_ylabel("path", rotation=0, ha="right", va="center")
        axes[-2].set_yticks([])
    bands = axes[-1].stackplot(np.repeat(edges, 2)[1:-1], np.repeat(shares, 2, axis=0).T, colors=_colours(len(labels)))
    axes[-1].set(xlabel="row", ylabel="state", ylim=(0, 1), xlim=(edges[0], edges[-1]), yticks=[])
    name_legend(axes[-1], bands[:LEGEND], labels[:LEGEND], loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def _columns(ax: Axes, columns: np.ndarray, named: Sequence[str]) -> None:
    """The columns of a sequence as lines."""
    lines = ax.plot(columns, linewidth=0.8, color=INK if columns.ndim == 1 or columns.shape[1] == 1 else None)
    name_axes(ax, y=named[0] if len(named) == 1 else "columns")
    if len(named) > 1:
        name_legend(ax, lines[:LEGEND], named[:LEGEND], loc="center left", bbox_to_anchor=(1, 0.5))


def _colours(k: int) -> list[str]:
    return [f"C{i % 10}" for i in range(k)]


def _shade(ax: Axes, shares: np.ndarray, edges: np.ndarray, alpha: float) -> None:
    """The colours of the states over time, mixed as these are probable."""
    from matplotlib.colors import to_rgb

    mixed = shares @ np.array([to_rgb(colour) for colour in _colours(shares.shape[1])])
    low, high = ax.get_ylim()
    extent = (edges[0], edges[-1], low, high)
    image = np.clip(mixed, 0, 1)[None]
    ax.imshow(image, extent=extent, aspect="auto", alpha=alpha, interpolation="nearest", zorder=0)
    ax.set_ylim(low, high)


def _check_path(best: np.ndarray | None, shares: np.ndarray) -> None:
    if best is not None and (len(best) != len(shares) or best.shape[1] > shares.shape[1]):
        raise ValueError(f"expected a path of {len(shares)} rows, got {len(best)}, with {best.shape[1]} states")


def _shares(states: Any) -> np.ndarray:
    """Probabilities of the states [t, K]; of a path ones and zeros."""
    given = np.asarray(states)
    if given.ndim == 2 and given.size and given.dtype.kind == "f":
        return given
    if given.ndim != 1 or not given.size or given.dtype.kind not in "iu" or given.min() < 0:
        raise ValueError(f"expected a path of states 0, 1, … [t] or probabilities [t, K], got the shape {given.shape}")
    return np.eye(int(given.max()) + 1)[given]


def _names(names: Sequence[str] | None, k: int) -> list[str]:
    found = [f"state {i}" for i in range(k)] if names is None else [str(name) for name in names]
    if len(found) < k:
        raise ValueError(f"{k} states need as many names, got {len(found)}")
    return found[:k]


def _check_rows(found: np.ndarray | None, length: int) -> None:
    if found is not None and (found.ndim not in (1, 2) or len(found) != length):
        raise ValueError(f"expected {length} rows as the states have, got the shape {found.shape}")


def transition_graph(transition: Any, names: Sequence[str] | None = None) -> Figure:
    """The states on a circle, an arrow for each transition, wide where it is probable and labelled.

    Transitions less probable than half a percent are left out.

    Parameters
    ----------
    transition : A [K, K], or a hidden Markov model, which has it. names : of the states.

    Raises
    ------
    ValueError : an array that is not square, names that do not suffice.

    Examples
    --------
    >>> texts = tr.plots.transition_graph([[0.9, 0.1], [0.0, 1.0]], ["on", "off"]).axes[0].texts
    >>> [text.get_text() for text in texts if text.get_text()]
    ['on', 'off', '0.90', '0.10', '1.00']
    """
    a = np.asarray(getattr(transition, "transition", transition), float)
    if a.ndim != 2 or a.shape[0] != a.shape[1] or not a.size:
        raise ValueError(f"expected transitions [K, K], got the shape {a.shape}")
    from matplotlib.patches import Circle

    fig = figure(5, 5)
    ax = fig.add_subplot()
    angle = np.pi / 2 - 2 * np.pi * np.arange(len(a)) / len(a)
    places = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for (x, y), name in zip(places, _names(names, len(a)), strict=True):
        told = shown(name, 16)
        ax.add_patch(Circle((x, y), RADIUS, facecolor="white", edgecolor=SOFT, zorder=2))
        put(ax, x, y, told, size=10 * min(1.0, 46 / width_of(told, 10)), ha="center", va="center", zorder=3)
    for i, j in zip(*np.nonzero(a >= LABELLED), strict=True):
        _arrow(ax, places[i], places[j], float(a[i, j]))
    ax.set(xlim=(-1.8, 1.8), ylim=(-1.8, 1.8), aspect="equal")
    ax.set_axis_off()
    return fig


def _arrow(ax: Axes, start: np.ndarray, end: np.ndarray, p: float) -> None:
    """An arc between the rims of two states that leaves room for the way back, or a loop outside the circle."""
    if (start == end).all():
        side, out = np.array([-start[1], start[0]]), start / math.hypot(*start)
        tail, head = (start + RADIUS * (0.9 * out + turn * 0.44 * side) for turn in (-1, 1))
        bend, label = 1.7, start + (RADIUS + 0.36) * out
    else:
        way = (end - start) / math.hypot(*(end - start))
        across = np.array([way[1], -way[0]])
        tail, head = start + RADIUS * (way + 0.3 * across), end - RADIUS * (way - 0.3 * across)
        bend, label = 0.15, start + 0.4 * (end - start) + (0.3 * RADIUS + 0.07 * math.hypot(*(end - start))) * across
    style = {"arrowstyle": "-|>", "lw": 0.5 + 2.5 * p, "connectionstyle": f"arc3,rad={bend}", "alpha": 0.3 + 0.7 * p}
    style |= {"shrinkA": 0, "shrinkB": 0, "color": INK, "mutation_scale": 9 + 4 * p}
    ax.annotate("", xy=tuple(head), xytext=tuple(tail), arrowprops=style, zorder=1)
    around = {"boxstyle": "round,pad=0.1", "facecolor": "white", "linewidth": 0}
    ax.text(label[0], label[1], f"{p:.2f}", ha="center", va="center", fontsize="small", bbox=around, zorder=1.5)
