"""A figure of its own: no window, no state that another figure could see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.extras import import_module

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, SOFT, LINE, FILL = "#1c2333", "#566074", "#d8dee9", "#8fb8e6"
"""The colours of text, of what is said beside it, of rules, and of what is filled."""

OBSERVED, MARKED = "#fbe3b0", "#d9480f"
"""What was observed is filled with one; what a figure points at has the other."""


def figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches; save it with ``figure.savefig(path)``, a notebook shows it.

    Raises
    ------
    ModuleNotFoundError : without matplotlib; the message says how to install it.
    """
    import_module("matplotlib.figure", "a figure")
    from tractable.plots._figure import NotebookFigure

    return NotebookFigure(figsize=(width, height), layout="constrained")


def columns_of_numbers(rows: Any) -> tuple[np.ndarray, list[str]]:
    """Rows as an array, and the names of their columns; of a table with names its columns of numbers alone.

    >>> array, names = columns_of_numbers({"sky": ["sun", "rain"], "temp": [20.0, 8.0]})
    >>> array.tolist(), names
    ([[20.0], [8.0]], ['temp'])
    """
    known = getattr(rows, "column_names", getattr(rows, "columns", None))
    if known is None and not isinstance(rows, Mapping):
        return np.asarray(rows, float), []
    found = {str(name): np.asarray(rows[name]) for name in (rows if known is None else known)}
    own = {name: column for name, column in found.items() if column.dtype.kind in "iuf"}
    return np.array([*own.values()], float).T, list(own)
