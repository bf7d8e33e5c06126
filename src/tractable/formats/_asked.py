"""Columns that are asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

ColumnNames = str | int | Collection[str | int]
"""Columns by name, or by number from 0."""


AskedColumns = Sequence[str | int] | None
"""The same as a list; None for all."""


def as_columns(given: Any) -> list[str | int] | None:
    """Columns that are asked for: one, or several; None is all.

    >>> as_columns("sky"), as_columns([0, "sky"]), as_columns(None)
    (['sky'], [0, 'sky'], None)
    """
    if given is None:
        return None
    return [given] if isinstance(given, str | int) else list(given)
