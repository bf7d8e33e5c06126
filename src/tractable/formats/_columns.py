"""Names of columns in the header of a file: ``columns`` with ``names``, ``categories`` and ``ignored``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tractable.models import ModelError
from tractable.models.columns import Columns


def describe_columns(columns: Columns | None) -> dict[str, Any]:
    """What a header says of the columns; nothing where they have no names."""
    if columns is None:
        return {}
    own = {name: list(states) for name, states in columns.categories.items()}
    return {"columns": {"names": list(columns.names), "categories": own, "ignored": list(columns.ignored)}}


def read_columns(about: Mapping[str, Any]) -> Columns | None:
    """The names of columns in a header, None where it has none.

    Raises
    ------
    ModelError : a description that is none.
    """
    if (found := about.get("columns")) is None:
        return None
    own = found.get("categories") if isinstance(found, dict) else None
    if not isinstance(own, dict) or not all(map(_is_names, (found.get("names"), found.get("ignored"), *own.values()))):
        raise ModelError("the header's 'tractable' entry has no good columns: names, categories, ignored")
    return Columns(found["names"], own, found["ignored"])


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
