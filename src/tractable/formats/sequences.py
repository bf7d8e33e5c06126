"""Files -> sequences: tables of rows that are cut by a column or by lengths, and JSON lists."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from tractable.formats._base import Source, content, failure, is_gzip, shown
from tractable.formats.data import column_names, read_data
from tractable.models import ModelError
from tractable.models._base import nearest
from tractable.models.sequences import Sequences

Lengths = str | os.PathLike[str] | Sequence[int]


def read_sequences(
    path: str | os.PathLike[str], *, lengths: Lengths | None = None, by: str | int | None = None
) -> Sequences:
    """Read sequences of rows.

    A file that `read_data` knows is one sequence, unless `lengths` or `by` cut it. ``.json`` (also ``.json.gz``) is a
    list of sequences, each a list of numbers, or of rows that are lists of numbers; ``null`` is missing.

    Parameters
    ----------
    lengths : how many rows belong to each sequence: a list, or a file with a number for each.
    by : name or number of a column of numbers whose value changes where a sequence ends; it is not kept.

    Raises
    ------
    FormatError : a file that cannot be read, lengths that do not add up, a value of `by` that comes back.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/days.csv").write_text("who,rain\\n7,0\\n7,1\\n9,1\\n")
    ...     [part.ravel().tolist() for part in tr.read_sequences(f"{folder}/days.csv", by="who")]
    [[0.0, 1.0], [1.0]]
    """
    name = os.fspath(path)
    if lengths is not None and by is not None:
        raise failure(name, "is cut either by lengths or by a column; give one of them")
    plain = name[:-3] if is_gzip(name) else name
    if plain.lower().endswith(".json"):
        if lengths is not None or by is not None:
            raise failure(name, "a list of sequences is cut already; give no lengths and no column")
        return _listed(content(name))
    table = read_data(name)
    if by is not None:
        return _cut(name, table, _column(name, table, by))
    try:
        return Sequences(table, None if lengths is None else _lengths(lengths), lengths is not None)
    except ModelError as error:
        raise failure(name, error) from None


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


def _column(name: str, table: np.ndarray, by: str | int) -> int:
    """The number of the column that is named."""
    names = column_names(name) or []
    if by in names:
        return names.index(str(by))
    if str(by).isdigit() and int(by) < table.shape[1]:
        return int(by)
    there = ", ".join(names[:20]) if names else f"0 … {table.shape[1] - 1}"
    raise failure(name, f"has no column {by!r}{nearest(str(by), names)}; there are {there}")


def _cut(name: str, table: np.ndarray, column: int) -> Sequences:
    """A new sequence wherever the value of a column changes."""
    if table.shape[1] < 2:
        raise failure(name, "has no column beside the one that tells the sequences apart")
    who = table[:, column]
    if np.isnan(who).any():
        raise failure(name, f"row {int(np.isnan(who).argmax())}: the column that tells the sequences apart is empty")
    begins = np.flatnonzero(np.append(True, who[1:] != who[:-1]))
    values, first = np.unique(who[begins], return_index=True)
    if len(values) < len(begins):
        again = int(np.setdiff1d(np.arange(len(begins)), first)[0])
        raise failure(name, f"row {begins[again]}: sequence {who[begins[again]]:g} comes back; sort the rows by it")
    return Sequences(np.delete(table, column, axis=1), np.diff(np.append(begins, len(who))))


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
