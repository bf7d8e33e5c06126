"""How likely each row of the data is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.plots._base import FILL, INK, figure
from tractable.plots._text import name_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def row_likelihoods(values: Any, means: Mapping[str, float] | None = None, *, of: str = "row") -> Figure:
    """A histogram of log p of each row, with the means of other models beside their own.

    Parameters
    ----------
    values : log p of each row [n], such as ``log_likelihood(model, rows).per_row.value``; what is impossible is counted
        in the title.
    means : model → its mean log p of the same rows, a line each.
    of : what a row is called.

    Raises
    ------
    ValueError : no row that is possible.

    Examples
    --------
    >>> fig = tr.plots.row_likelihoods([-1.0, -2.0, -2.5], {"independent columns": -2.4})
    >>> [text.get_text() for text in fig.axes[0].get_legend().get_texts()]
    ['mean', 'independent columns']
    """
    found = np.asarray(values, float).ravel()
    finite = found[np.isfinite(found)]
    if not len(finite):
        raise ValueError("expected rows that are possible, got none")
    fig = figure(7, 3)
    ax = fig.add_subplot()
    ax.hist(finite, bins=min(60, max(5, round(2 * len(finite) ** (1 / 3)))), color=FILL)
    lines = {"mean": ax.axvline(float(finite.mean()), color=INK, linewidth=1.5)}
    for i, (name, value) in enumerate((means or {}).items()):
        if np.isfinite(value):
            lines[name] = ax.axvline(value, color=f"C{i + 1}", linestyle="--", linewidth=1.2)
    if len(finite) < len(found):
        ax.set_title(f"{len(found) - len(finite):,} of {len(found):,} are impossible", fontsize=9)
    ax.set(xlabel=f"log p of a {of}, nats", ylabel=f"number of {of}s")
    name_legend(ax, list(lines.values()), lines, fontsize=8)
    return fig
