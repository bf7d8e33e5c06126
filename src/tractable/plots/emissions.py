"""What the components of a mixture, or the states of a chain, emit: their densities over histograms of the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.plots._base import INK, LINE, columns_of_numbers, figure
from tractable.plots._text import PLAIN, families, name_legend, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, POINTS, ROUNDS = 9, 240, 50
"""So many columns are drawn, at so many points; weights take so many rounds of EM."""


def emissions(
    found: Any, rows: Any, *, weights: Any = None, names: Sequence[str] | None = None, columns: Any = None
) -> Figure:
    """Each column of the data as a histogram, below what each component emits and their sum.

    Densities of real columns; probabilities of counts and of states. Of a row's other columns nothing is known there:
    curves are of p(x_j | k), each times the weight of its component.

    Parameters
    ----------
    found : emissions, or a model that has some: a mixture or a hidden Markov model.
    rows : the data [n] or [n, d], NaN where something is missing, or a table, whose columns of numbers are named.
    weights : of the components [K], such as ``model.weights`` or the mean of posterior states; left out, those under which
        the rows are the most likely.
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
    data, named = columns_of_numbers(rows)
    data = data.reshape(len(data), -1)
    if data.shape[1] != own.n_columns:
        raise ValueError(f"the rows have {data.shape[1]} columns, the emissions {own.n_columns}")
    share = _weights(own, data) if weights is None else np.asarray(weights, float)
    if share.shape != (own.n_components,):
        raise ValueError(f"{own.n_components} components need as many weights, got the shape {share.shape}")
    labels = list(columns or named or (f"column {j}" for j in range(data.shape[1])))
    n = min(data.shape[1], COLUMNS)
    wide = min(n, 3)
    high = math.ceil(n / wide)
    fig = figure(max(3.2 * wide, 5.0), 2.5 * high + 0.4)
    grid = fig.subplots(high, wide, squeeze=False).ravel()
    for j, ax in enumerate(grid[:n]):
        lines = _column(ax, own, data, share, j)
        ax.set_xlabel(shown(labels[j]), family=families(shown(labels[j])), **PLAIN)
    for ax in grid[n:]:
        ax.set_axis_off()
    states = list(names or (f"component {k}" for k in range(len(share))))
    told = [f"{name} ({100 * p:.3g} %)" for name, p in zip(states, share, strict=True)]
    name_legend(fig, lines, [*told, "all"], loc="outside right upper", frameon=False, fontsize=8)
    return fig


def _alone(own: Any, values: np.ndarray, j: int) -> np.ndarray:
    """p(x_j | k) at these values [n, K]; other columns are missing, which integrates them out."""
    x = np.full((len(values), own.n_columns), np.nan)
    x[:, j] = values
    return np.exp(own.log_likelihood(x))


def _weights(own: Any, data: np.ndarray) -> np.ndarray:
    """The weights under which the rows are the most likely."""
    logs = own.log_likelihood(data)
    p = np.exp(logs - logs.max(1, keepdims=True, initial=-np.inf))
    share = np.full(own.n_components, 1 / own.n_components)
    for _ in range(ROUNDS):
        r = share * p
        share = (r / r.sum(1, keepdims=True)).mean(0)
    return share


def _column(ax: Axes, own: Any, data: np.ndarray, share: np.ndarray, j: int) -> list[Any]:
    """One column: its histogram, and a curve for each component."""
    known = data[np.isfinite(data[:, j]), j]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if own.allowed(_row(own, math.floor(low) + 0.5, j)).all():
        room = 0.08 * (high - low) or 1.0
        at = np.linspace(low - room, high + room, POINTS)
        ax.hist(known, bins=_bins(known), density=True, color=LINE)
        ax.set_ylabel("density" if j % 3 == 0 else "")
    else:
        at = np.arange(math.floor(low), math.ceil(high) + 1)
        counted = np.array([(known == value).mean() if len(known) else 0.0 for value in at])
        ax.bar(at, counted, width=0.8, color=LINE)
        ax.set_ylabel("probability" if j % 3 == 0 else "")
        ax.locator_params(axis="x", integer=True)
    at = at[[bool(own.allowed(_row(own, value, j)).all()) for value in at]]
    marker = "" if len(at) > 30 else "."
    curves = share * _alone(own, at, j)
    lines = [ax.plot(at, curve, color=f"C{k % 10}", marker=marker)[0] for k, curve in enumerate(curves.T)]
    lines += ax.plot(at, curves.sum(1), color=INK, linestyle="--", linewidth=1)
    ax.spines[["top", "right"]].set_visible(False)
    return lines


def _row(own: Any, value: float, j: int) -> np.ndarray:
    row = np.full((1, own.n_columns), np.nan)
    row[0, j] = value
    return row


def _bins(known: np.ndarray) -> int:
    """So many bars of a histogram: the square root of the numbers, within reason."""
    return int(np.clip(math.isqrt(max(len(known), 1)), 5, 40))
