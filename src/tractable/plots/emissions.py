"""What the components of a mixture, or the states of a chain, emit: their densities over histograms of the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.plots._base import INK, LINE, columns_of_numbers, figure
from tractable.plots._text import name_axes, name_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, WIDE, POINTS, ROUNDS, NAMED = 9, 3, 240, 50, 12
"""So many columns are drawn, side by side, at so many points; rounds of EM for weights; components that are named."""


def emissions(
    found: Any, rows: Any, *, weights: Any = None, names: Sequence[str] | None = None, columns: Any = None
) -> Figure:
    """Each column of the data as a histogram, below what each component emits and their sum.

    Densities of real columns; probabilities of counts and of states. Of a row's other columns nothing is known there:
    curves are of p(x_j | k), each times the weight of its component.

    Parameters
    ----------
    found : emissions, or a model that has some: a mixture or a hidden Markov model.
    rows : the data [n] or [n, d], NaN where something is missing, or a table, of which a model with names of columns
        takes its own, and else columns of numbers are taken; states are numbered from 0.
    weights : of the components [K], such as ``model.weights`` or the mean of posterior states; left out, those under
        which the rows are the most likely.
    names : of the components. columns : names of the columns; the first nine are drawn.

    Raises
    ------
    ValueError : rows of another width, weights of another number.

    Examples
    --------
    >>> rows = [[0.0], [0.4], [3.0], [3.4]]
    >>> fig = tr.plots.emissions(tr.GaussianEmissions([[0.2], [3.2]], [[[0.1]], [[0.1]]]), rows)
    >>> len(fig.axes[0].lines), fig.axes[0].get_ylabel()
    (3, 'density')
    """
    own = getattr(found, "emissions", found)
    columns_read = getattr(found, "named", None)
    data, named = (columns_read.read(rows), list(columns_read.names)) if columns_read else columns_of_numbers(rows)
    data = data.reshape(len(data), -1)
    share = _checked_weights(own, data, weights)
    labels = list(columns or named or (f"column {j}" for j in range(data.shape[1])))
    n = min(data.shape[1], COLUMNS)
    wide = min(n, WIDE)
    high = math.ceil(n / wide)
    fig = figure(max(3.2 * wide, 5.0), 2.5 * high + 0.4)
    grid = fig.subplots(high, wide, squeeze=False).ravel()
    for j, ax in enumerate(grid[:n]):
        lines = _column(ax, own, data, share, j)
        name_axes(ax, labels[j])
    for ax in grid[n:]:
        ax.set_axis_off()
    own_names = _component_names(names, len(share), "state" if hasattr(found, "transition") else "component")
    told = [f"{name} ({100 * p:.3g} %)" for name, p in zip(own_names, share, strict=False)]
    shown_most = [*lines[: min(len(share), NAMED)], lines[-1]]
    name_legend(fig, shown_most, [*told[:NAMED], "all"], loc="outside right upper", frameon=False, fontsize=8)
    return fig


def _component_names(names: Sequence[str] | None, k: int, what: str) -> list[str]:
    found = [f"{what} {i}" for i in range(k)] if names is None else list(names)
    if len(found) < k:
        raise ValueError(f"{k} components need as many names, got {len(found)}")
    return found


def _checked_weights(own: Any, data: np.ndarray, weights: Any) -> np.ndarray:
    """The weights of the components, for rows of the right width."""
    if data.shape[1] != own.n_columns:
        raise ValueError(f"the rows have {data.shape[1]} columns, the emissions {own.n_columns}")
    share = _weights(own, data) if weights is None else np.asarray(weights, float)
    if share.shape != (own.n_components,):
        raise ValueError(f"{own.n_components} components need as many weights, got the shape {share.shape}")
    return share


def _alone(own: Any, values: np.ndarray, j: int) -> np.ndarray:
    """p(x_j | k) at these values [n, K]; other columns are missing, which integrates them out."""
    x = np.full((len(values), own.n_columns), np.nan)
    x[:, j] = values
    return np.exp(own.log_likelihood(x))


def _weights(own: Any, data: np.ndarray) -> np.ndarray:
    """The weights under which the rows are the most likely, those that are impossible left out."""
    logs = own.log_likelihood(data)
    logs = logs[np.isfinite(logs).any(axis=1)]
    share = np.full(own.n_components, 1 / own.n_components)
    if not len(logs):
        return share
    p = np.exp(logs - logs.max(axis=1, keepdims=True))
    for _ in range(ROUNDS):
        r = share * p
        share = (r / r.sum(axis=1, keepdims=True)).mean(axis=0)
    return share


def _column(ax: Axes, own: Any, data: np.ndarray, share: np.ndarray, j: int) -> list[Any]:
    """One column: its histogram, and a curve for each component."""
    known = data[np.isfinite(data[:, j]), j]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if own.allowed(_row(own, math.floor(low) + 0.5, j)).all():
        at, what = _histogram(ax, known, (low, high)), "density"
    else:
        at, what = _counts(ax, known, (low, high)), "probability"
    if j % WIDE == 0:
        ax.set_ylabel(what)
    at = at[[bool(own.allowed(_row(own, float(value), j)).all()) for value in at]]
    curves = share * _alone(own, at, j)
    marker = "" if len(at) > 30 else "."
    lines = [ax.plot(at, curve, color=f"C{k % 10}", marker=marker)[0] for k, curve in enumerate(curves.T)]
    lines += ax.plot(at, curves.sum(axis=1), color=INK, linestyle="--", linewidth=1)
    ax.spines[["top", "right"]].set_visible(False)
    return lines


def _histogram(ax: Axes, known: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """Real numbers as a histogram with about as many bars as the root of their number; where its curves are drawn."""
    bars = int(np.clip(math.isqrt(max(len(known), 1)), 5, 40))
    if len(known):
        ax.hist(known, bins=bars, density=True, color=LINE)
    room = 0.08 * (ends[1] - ends[0]) or 1.0
    return np.linspace(ends[0] - room, ends[1] + room, POINTS)


def _counts(ax: Axes, known: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """Whole numbers with their shares of the rows; where its curves are drawn."""
    at = np.arange(math.floor(ends[0]), math.ceil(ends[1]) + 1)
    ax.bar(at, [float((known == value).mean()) if len(known) else 0.0 for value in at], width=0.8, color=LINE)
    ax.locator_params(axis="x", integer=True)
    return at


def _row(own: Any, value: float, j: int) -> np.ndarray:
    """A row of which one column is known."""
    row = np.full((1, own.n_columns), np.nan)
    row[0, j] = value
    return row
