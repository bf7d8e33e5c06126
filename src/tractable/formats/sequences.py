"""Files -> sequences: tables of rows that are cut by a column or by lengths, and JSON lists."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tractable.formats._asked import Names, as_columns
from tractable.formats._base import Source, content, failure, is_gzip, shown
from tractable.formats.data import column_names, read_columns, read_data
from tractable.models import ModelError
from tractable.models.sequences import Sequences

Lengths = str | os.PathLike[str] | Sequence[int]


def read_sequences(
    path: Any,
    *,
    lengths: Lengths | None = None,
    by: str | int | None = None,
    columns: Names | None = None,
    ignore: Names = (),
) -> Sequences:
    """Read sequences of rows, with the names of their columns where the file has them.

    A file that `read_columns` knows is one sequence, unless `lengths` or `by` cut it. ``.json`` (or ``.json.gz``) is a
    list of sequences, each a list of numbers, or of rows that are lists of numbers; ``null`` is missing.

    Parameters
    ----------
    lengths : how many rows belong to each sequence: a list, or a file with a number for each.
    by : name or number of a column, of numbers or text, whose value changes where a sequence ends; it is no data.
    columns, ignore : names of columns, or their numbers from 0: only these (besides `by`), or all but those.

    Raises
    ------
    FormatError : a file that cannot be read, lengths that do not add up, a value of `by` that comes back.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/days.csv").write_text("who,rain\\nUlm,0\\nUlm,1\\nBern,1\\n")
    ...     [part["rain"].tolist() for part in tr.read_sequences(f"{folder}/days.csv", by="who")]
    [[0, 1], [1]]
    """
    name = path.path if isinstance(path, Source) else os.fspath(path)
    if lengths is not None and by is not None:
        raise failure(name, "is cut either by lengths or by a column; give one of them")
    plain = name[:-3] if is_gzip(name) else name
    if plain.lower().endswith(".json"):
        if (lengths, by, columns) != (None, None, None) or as_columns(ignore):
            raise failure(name, "a list of sequences is cut already; give no lengths and no column")
        return _listed(content(name))
    wanted = as_columns(columns)
    table = read_columns(path, columns=wanted if wanted is None or by is None else [*wanted, by], ignore=ignore)
    if by is not None and isinstance(table, Mapping):
        by = _named(by, path, table)
    try:
        return Sequences(
            table, None if lengths is None else _lengths(lengths), lengths is not None or by is not None, by
        )
    except ModelError as error:
        raise failure(name, error) from None


def _named(by: str | int, path: Any, table: Mapping[str, Any]) -> str:
    """The name of the column that is named, or numbered among all that the file has."""
    if by in table:
        return str(by)
    names = column_names(path) or []
    if str(by).isdecimal() and int(by) < len(names):
        return names[int(by)]
    return str(by)


def _lengths(given: Lengths) -> np.ndarray:
    if not isinstance(given, str | os.PathLike):
        return np.asarray(given)
    name = os.fspath(given)
    words = content(name).text().replace(",", " ").split() if not name.lower().endswith(".npy") else None
    found = read_data(name).ravel() if words is None else [_whole(name, word) for word in words]
    if not (np.asarray(found) == np.floor(found)).all():
        raise failure(name, "lengths are whole numbers")
    return np.asarray(found).astype(np.int64)


def _whole(name: str, word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 19):
        raise failure(name, f"lengths are whole numbers, found {shown(word)}")
    return int(word)


def _listed(source: Source) -> Sequences:
    """A JSON list of sequences, or one sequence."""
    try:
        found = json.loads(source.text())
    except (ValueError, RecursionError) as error:
        raise source.error(f"is not JSON ({error})") from None
    if not isinstance(found, list) or not found:
        raise source.error("expected a list of sequences, each a list of rows")
    many = any(isinstance(part, list) for part in found)
    parts = [_rows(source, i, part) for i, part in enumerate(found if many else [found])]
    if len({part.shape[1] for part in parts}) > 1:
        raise source.error("the sequences differ in the number of columns")
    return Sequences(np.concatenate(parts), np.array([len(part) for part in parts]), many)


def _rows(source: Source, number: int, part: Any) -> np.ndarray:
    """The rows of one sequence."""
    try:
        rows = np.array(part, np.float64)
    except (ValueError, TypeError, OverflowError):
        rows = np.zeros(0)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or not rows.size:
        raise source.error(f"sequence {number}: expected a list of numbers, or of rows of as many numbers each")
    return rows
