"""A figure of its own: no window, no state that another figure could see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tractable.extras import import_module

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches; save it with ``figure.savefig(path)``, a notebook shows it.

    Raises
    ------
    ModuleNotFoundError : without matplotlib; the message says how to install it.
    """
    return import_module("matplotlib.figure", "a figure").Figure(figsize=(width, height), layout="constrained")
