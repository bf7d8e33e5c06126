"""The axes of a table: which variables it is over, and where an entry is, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Axes = dict[str, tuple[str, ...]]
"""The variables of a table in the order of its axes, with their states."""


@dataclass(frozen=True)
class Listed:
    """What `sparse` was given: it means something once the variables of the table are known."""

    entries: Any
    places: Any = None


def has_names(table: Any) -> bool:
    """Whether a table says which states its entries are of: a mapping, a frame, or rows as mappings."""
    if isinstance(table, Listed):
        return table.places is None and has_names(table.entries)
    if isinstance(table, np.ndarray) or not hasattr(table, "__len__"):
        return False
    if isinstance(table, list | tuple):
        return len(table) > 0 and all(isinstance(row, Mapping) for row in table)
    return isinstance(table, Mapping) or hasattr(table, "columns") or hasattr(table, "iloc")


def shaped(shape: Sequence[int]) -> str:
    """A shape in words that stay short.

    >>> shaped((2, 3)), shaped((2,) * 41)
    ('(2, 3)', '2199023255552 entries on 41 axes')
    """
    return str(tuple(shape)) if len(shape) <= 8 else f"{math.prod(shape)} entries on {len(shape)} axes"


def place_of(axes: Axes, flat: int) -> str:
    """Which states an entry of a table is of.

    >>> place_of({"rain": ("no", "yes"), "wet": ("no", "yes")}, 2)
    'rain=yes, wet=no'
    """
    place = []
    for own in reversed(axes.values()):
        flat, k = divmod(flat, len(own))
        place.append(k)
    return listed(axes, place[::-1])


def listed(axes: Axes, place: Sequence[int]) -> str:
    """The states of an entry, the first of them where there are many."""
    found = [f"{name}={own[k]}" for (name, own), k in zip(axes.items(), place, strict=True)]
    return ", ".join(found if len(found) <= 8 else [*found[:6], f"… ({len(found)} variables)"])
