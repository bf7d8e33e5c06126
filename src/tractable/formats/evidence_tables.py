"""Evidence in the formats of data: a column for each variable in Parquet, all variables in an array."""

from __future__ import annotations

from typing import Any

from tractable.formats._asked import ColumnNames
from tractable.formats._base import States, failure
from tractable.formats.data import read_columns
from tractable.models import ModelError
from tractable.models.evidence import parse_rows


def read(
    name: str, states: States, columns: ColumnNames | None = None, ignore: ColumnNames = ()
) -> list[dict[str, str]]:
    """The cases in a table."""
    rows = read_columns(name, columns=columns, ignore=ignore)
    try:
        codes = parse_rows({v: tuple(names) for v, names in states.items()}, rows)
    except ModelError as error:
        raise failure(name, error) from None
    names: list[tuple[str, Any]] = list(states.items())
    return [{v: own[code] for (v, own), code in zip(names, row, strict=True) if code >= 0} for row in codes.tolist()]
