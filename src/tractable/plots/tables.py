"""Tables of a network as heat, and beliefs before and after something is known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, product
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.plots._base import INK, LINE, SOFT, figure
from tractable.plots._text import name_axes, name_legend, name_ticks, plain, put, shown, width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tractable.posterior import Posterior

ROWS, COLUMNS, NUMBERS = 64, 24, 320
"""A table shows so many rows and columns, and numbers in its cells where there are at most so many."""

PANELS, STATES = 12, 6
"""So many variables, and so many states of each."""


def conditional_table(model: Any, variable: str) -> Figure:
    """The conditional table of a variable as heat: a row for each joint state of its parents, a column for each state.

    Of a large table the first 64 rows and 24 columns; the title says how many there are.

    Parameters
    ----------
    model : a Bayesian network.
    variable : one of its variables.

    Raises
    ------
    TypeError : a model without conditional tables. ValueError : a table that is held by its non-zeros. GraphError : an
        unknown variable.

    Examples
    --------
    >>> net = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.4, 0.6], "b": [[0.9, 0.1], [0.2, 0.8]]})
    >>> fig = tr.plots.conditional_table(net, "b")
    >>> [text.get_text() for text in fig.axes[0].texts], fig.axes[0].get_ylabel()
    (['0.9', '0.1', '0.2', '0.8'], 'a')
    """
    whole, parents = _table_of(model, variable)
    cells = whole[:ROWS, :COLUMNS]
    rows = [", ".join(shown(own, 14) for own in states) for states in islice(_joint(model, parents), len(cells))]
    columns = [shown(own, 14) for own in islice(model.states[variable], cells.shape[1])]
    size = _cell(cells, columns)
    wide = max(width_of(own, 8) for own in rows)
    fig = figure((wide + size * cells.shape[1]) / 72 + 1.6, 0.26 * len(cells) + 1.3)
    ax = fig.add_subplot()
    heat = ax.imshow(cells, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    name_ticks(ax.xaxis, range(len(columns)), columns, fontsize=8, **_turned(columns, size))
    name_ticks(ax.yaxis, range(len(rows)), rows, 10**6, fontsize=8)
    _write(ax, cells)
    name_axes(ax, variable, ", ".join(map(shown, parents)))
    fig.colorbar(heat, ax=ax, label="probability", aspect=12)
    if cells.size < whole.size:
        parts = f"{len(cells):,} of {len(whole):,} rows", f"{cells.shape[1]} of {whole.shape[1]:,} states"
        ax.set_title(", ".join(parts), fontsize=8)
    return fig


def _table_of(model: Any, variable: str) -> tuple[np.ndarray, Sequence[str]]:
    """The table of a variable, a row for each joint state of its parents, and these."""
    if not hasattr(model, "tables") or not hasattr(model, "parents"):
        raise TypeError(f"expected a Bayesian network, which has conditional tables, got {type(model).__name__}")
    (name,) = model.graph.named(variable)
    table = model.tables[name]
    if not isinstance(table, np.ndarray):
        raise ValueError(
            f"the table of {name!r} is held by its non-zeros, which heat would not show: read model.tables[{name!r}]"
        )
    return table.reshape(-1, table.shape[-1]), model.parents[name]


def _joint(model: Any, parents: Sequence[str]) -> Iterable[tuple[str, ...]]:
    return product(*(model.states[v] for v in parents))


def _cell(cells: np.ndarray, columns: Sequence[str]) -> float:
    """The width of a column in points."""
    return max(30.0 if cells.size <= NUMBERS else 14.0, min(max(width_of(own, 8) for own in columns) + 8, 60.0))


def _turned(columns: Sequence[str], size: float) -> dict[str, Any]:
    """Names that do not fit side by side stand upright."""
    return {"rotation": 90} if max(width_of(own, 8) for own in columns) + 4 > size else {}


def _write(ax: Axes, cells: np.ndarray) -> None:
    if cells.size > NUMBERS:
        return
    for (i, j), p in np.ndenumerate(cells):
        put(ax, j, i, f"{p:.3g}", size=7, color="white" if p > 0.6 else INK, ha="center", va="center")


def beliefs(
    posteriors: Mapping[str, Posterior] | Posterior, variables: Iterable[str] | None = None, *, row: int = 0
) -> Figure:
    """Probabilities of states side by side in several posteriors, such as before and after something was observed.

    Where they are intervals, their ends are drawn on the bars.

    Parameters
    ----------
    posteriors : what is known → the posterior of a network; all of the same variables; or a posterior alone.
    variables : those that are drawn; left out, the twelve whose probabilities differ most between the first and the
        last posterior, by total variation.
    row : which of many cases.

    Raises
    ------
    ValueError : nothing to draw.

    Examples
    --------
    >>> net = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.4, 0.6], "b": [[0.9, 0.1], [0.2, 0.8]]})
    >>> fig = tr.plots.beliefs({"before": tr.infer(net), "b = 1": tr.infer(net, {"b": "1"})}, ["a"])
    >>> [round(float(bar.get_width()), 3) for bar in fig.axes[0].patches]
    [0.4, 0.6, 0.077, 0.923]
    """
    several: Any = posteriors
    alone = getattr(several, "marginals", None)
    found = {"probability": alone} if alone is not None else {k: post.marginals for k, post in several.items()}
    if not found:
        raise ValueError("expected posteriors by what is known, such as {'before': …, 'after': …}, got none")
    names = list(_most_moved(list(found.values()), row) if variables is None else variables)
    if not names:
        raise ValueError("no variables to draw")
    n_columns = min(3, len(names))
    n_rows = math.ceil(len(names) / n_columns)
    most = max(min(len(next(iter(found.values()))[v]), STATES) for v in names)
    fig = figure(2.7 * n_columns, (0.35 + 0.15 * most * len(found)) * n_rows + 0.8)
    grid = fig.subplots(n_rows, n_columns, squeeze=False, sharex=True).ravel()
    for ax, v in zip(grid, names, strict=False):
        bars = _panel(ax, v, list(found.values()), row)
    for ax in grid[len(names) :]:
        ax.set_axis_off()
    for ax in grid[max(len(names) - n_columns, 0) : len(names)]:
        ax.set_xlabel("probability")
        ax.tick_params(labelbottom=True)
    name_legend(fig, bars, found, loc="outside upper center", ncols=min(len(found), 3), frameon=False, fontsize=8)
    return fig


def _of_row(found: Any, variable: str, row: int) -> Any:
    """A marginal with its ends, of one case."""
    own = found.certificates(variable)
    return own[row] if own.value.ndim > 1 else own


def _most_moved(found: Sequence[Any], row: int) -> list[str]:
    """The variables whose probabilities differ most between the first and the last."""
    first, last = found[0], found[-1]
    both = [v for v in first if v in last]
    moved = {v: np.abs(_of_row(first, v, row).value - _of_row(last, v, row).value).sum() for v in both}
    chosen = {*sorted(both, key=lambda v: -moved[v])[:PANELS]}
    return [v for v in both if v in chosen]


def _panel(ax: Axes, variable: str, found: Sequence[Any], row: int) -> list[Any]:
    """The states of one variable, from top to bottom, a bar for each posterior."""
    first = _of_row(found[0], variable, row).value
    states = tuple(found[0][variable])
    chosen = np.sort(np.argsort(-first, kind="stable")[:STATES])
    height, bars = 0.8 / len(found), []
    for k, marginals in enumerate(found):
        own = _of_row(marginals, variable, row)
        at = np.arange(len(chosen)) + (k - (len(found) - 1) / 2) * height
        colour = "#c3cad7" if not k and len(found) > 1 else f"C{k - (len(found) > 1)}"
        bars.append(ax.barh(at, own.value[chosen], height, color=colour))
        if own.kind not in ("exact", "estimate"):
            ends = np.array([own.value - own.lower, own.upper - own.value])[:, chosen]
            ax.errorbar(
                own.value[chosen], at, xerr=np.maximum(ends, 0), fmt="none", ecolor=INK, elinewidth=0.9, capsize=2
            )
    more = f" … {len(states) - len(chosen):,} more" if len(states) > len(chosen) else ""
    ax.set_title(shown(variable, 24) + more, fontsize=8, color=INK, **plain(shown(variable, 24)))
    name_ticks(ax.yaxis, range(len(chosen)), [states[i] for i in chosen], 14, fontsize=7)
    ax.set(xlim=(0, 1), ylim=(len(chosen) - 0.5, -0.5))
    ax.tick_params(axis="x", labelsize=7, colors=SOFT)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", color=LINE, linewidth=0.6)
    ax.set_axisbelow(True)
    return bars
