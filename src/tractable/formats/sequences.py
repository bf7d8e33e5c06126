"""Files -> sequences: tables of rows that are cut by a column or by lengths, and JSON lists."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from tractable.formats._asked import ColumnNames, as_columns
from tractable.formats._base import Source, content, failure, shown
from tractable.formats._pipes import is_pipe, name_of, source_of
from tractable.formats.data import column_names, located, read_columns, read_data
from tractable.models import ModelError
from tractable.models.sequences import Sequences

Lengths = str | os.PathLike[str] | Sequence[int]


def read_sequences(
    path: Any,
    *,
    lengths: Lengths | None = None,
    by: str | int | None = None,
    columns: ColumnNames | None = None,
    ignore: ColumnNames = (),
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
    name = name_of(path)
    if lengths is not None and by is not None:
        raise failure(name, "is cut either by lengths or by a column; give one of them")
    if name.lower().removesuffix(".gz").endswith(".json"):
        return _json(name, [lengths, by, columns, as_columns(ignore) or None])
    path = source_of(path) if is_pipe(name) else path  # which is read only once
    mark = [] if by is None else [_named(by, path)]
    wanted = as_columns(columns)
    table = read_columns(path, columns=wanted and [*wanted, *mark], ignore=ignore)
    try:
        return Sequences(table, _lengths(lengths), bool(mark) or lengths is not None, *mark)
    except ModelError as error:
        raise located(path, error) from None


def _json(name: str, options: list[Any]) -> Sequences:
    if any(option is not None for option in options):
        raise failure(name, "a list of sequences is cut already; give no lengths and no column")
    return _listed(content(name))


def _named(by: str | int, path: Any) -> str | int:
    """The name of a column that is named, or numbered among all that the file has."""
    if not str(by).isdecimal():
        return by
    names = column_names(path) or []
    return names[int(by)] if str(by) not in names and int(by) < len(names) else by


def _lengths(given: Lengths | None) -> np.ndarray | None:
    if given is None:
        return None
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
