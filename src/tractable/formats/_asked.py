"""Columns that are asked for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

ColumnNames = str | int | Collection[str | int]
"""Columns by name, or by number from 0."""


def as_columns(given: Any) -> list[str | int] | None:
    """Columns that are asked for: one, or several; None is all.

    >>> as_columns("sky"), as_columns([0, "sky"]), as_columns(None)
    (['sky'], [0, 'sky'], None)
    """
    if given is None:
        return None
    return [given] if isinstance(given, str | int) else list(given)
