"""Files <-> arrays of data, one row per case: .npy, .npz, .csv, .data, IDX, Parquet."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tractable.formats._asked import ColumnNames, as_columns
from tractable.formats._base import FormatError, Source, extension, failure, file_size, is_gzip, readable
from tractable.formats._pipes import is_pipe, name_of, put, source_of
from tractable.formats.data._base import as_table, some_columns, with_columns
from tractable.models._base import ModelError
from tractable.models.rows import Rows, columns_of, is_named

__all__ = ["column_names", "read_columns", "read_data", "write_data"]

# A leaf is imported when its extension turns up: pyarrow alone takes longer than everything else together.
_LEAVES = {
    ".csv": "text",
    ".data": "text",
    ".idx": "idx",
    ".npy": "npy",
    ".npz": "npz",
    ".parquet": "parquet",
}
_WRITTEN = (".csv", ".data", ".npy", ".npz", ".parquet")
_NAMED = (".csv", ".data", ".parquet")
_COMPRESSED = (".npz", ".parquet")
_ROW = re.compile(r"row ([0-9]{1,9})\b")
_KEYED = re.compile(r"(.+\.npz):([^:/\\]*)(?::([0-9]{1,9}))?", re.IGNORECASE | re.DOTALL)


def read_data(
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    n_features: int | None = None,
    columns: ColumnNames | None = None,
    ignore: ColumnNames = (),
) -> np.ndarray:
    """Read data: an array with one row per case and one column per variable, NaN for what is missing.

    The extension says the format: ``.npy``, ``.npz``, ``.csv``, ``.data`` (CSV without a header), IDX (``.idx``, or a
    name that ends in ``-ubyte``) and ``.parquet``; all but ``.npz`` and ``.parquet`` also with ``.gz``.

    Text between commas, semicolons, tabs, bars or blanks is all CSV. ``-`` is the standard input, of CSV, as is a pipe.

    Types are kept: bytes stay ``uint8``. CSV gives ``uint8`` where all cells are 0 or 1, else ``float64``. An array of
    more than two axes has its rows on the first. A ``.npy`` above 64 MiB is mapped into memory, read-only.

    Parameters
    ----------
    key : which array of an ``.npz``; ``FILE.npz:KEY`` says the same, and ``FILE.npz:KEY:N`` gives `n_features` too.
    n_features : the number of columns; anything else is an error. Bits that ``np.packbits(…, axis=1)`` has packed are
        unpacked, in an ``.npz`` that holds an integer ``n_features`` without being asked to.
    columns, ignore : names of columns, or their numbers from 0: only these, in this order, or all but those.

    Raises
    ------
    FormatError : a file that cannot be read; the message names the file, in CSV the line and the column, and the cause.
        Text in a column: `read_columns` reads it, `ignore` leaves it out.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/days.csv").write_text("rain,wind\\n0,2.5\\n1,?\\n")
    ...     tr.read_data(f"{folder}/days.csv")
    array([[0. , 2.5],
           [1. , nan]])
    """
    return _read(path, key, n_features, (columns, ignore), _as_array)


def read_columns(
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    n_features: int | None = None,
    columns: ColumnNames | None = None,
    ignore: ColumnNames = (),
) -> Rows | np.ndarray:
    """Read columns by name, of numbers and of text; an array as of `read_data` where the file holds no names.

    A column is an array of numbers if all its cells are numbers or missing (NaN), of booleans if they are true or false
    or missing, else of text, with None for what is missing. So are those of Parquet.

    Parameters
    ----------
    key, n_features, columns, ignore : as of `read_data`.

    Raises
    ------
    FormatError : a file that cannot be read, two columns of one name, text in a file without a header.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/days.csv").write_text("day;sky;wind\\n1;clear;2,5\\n2;?;1,0\\n")
    ...     days = tr.read_columns(f"{folder}/days.csv", ignore="day")
    >>> days["sky"].tolist(), days["wind"].tolist()
    (['clear', None], [2.5, 1.0])
    """
    return _read(path, key, n_features, (columns, ignore), _as_columns)


def _read(path: Any, key: str | None, n_features: int | None, names: tuple[Any, Any], shape: Any) -> Any:
    """What a file holds, in some shape; `names` are of the columns asked for, and of those to ignore."""
    if isinstance(path, Source):  # text that was read already
        return shape(".csv", path, (as_columns(names[0]), as_columns(names[1]) or []))
    name, key, n_features = _parts(os.fspath(path), key, n_features)
    kind = _kind(name)
    if key is not None and kind != ".npz":
        raise failure(name, f"has no array {key!r}: only an .npz file holds arrays with names; leave the name out")
    chosen = (as_columns(names[0]), as_columns(names[1]) or [])
    try:
        if kind in _NAMED:
            return _of_width(name, shape(kind, name, chosen), n_features)
        table = _leaf(kind).read(name, key) if kind == ".npz" else _leaf(kind).read(name)
        table = table if n_features is None else with_columns(name, table, n_features, kind in (".npy", ".npz"))
        return some_columns(name, table, *chosen)
    except MemoryError:
        raise failure(name, "needs more memory than there is") from None


def _as_array(kind: str, name: Any, chosen: Any) -> np.ndarray:
    """The columns of a file that may name them, as a table."""
    if kind == ".parquet":
        return _leaf(kind).read(name, *chosen)
    leaf, found = _sheet(kind, name)
    return leaf.numbers(found, found.chosen(*chosen))


def _as_columns(kind: str, name: Any, chosen: Any) -> Rows | np.ndarray:
    """The same by name, if it does."""
    if kind == ".parquet":
        return _leaf(kind).columns(name, *chosen)
    leaf, found = _sheet(kind, name)
    places = found.chosen(*chosen)
    return leaf.columns(found, places) if found.has_header else leaf.numbers(found, places)


def _sheet(kind: str, name: str | Source) -> tuple[Any, Any]:
    leaf = _leaf(kind)
    return leaf, leaf.opened(source_of(name))


def _of_width(name: str, found: Any, n_features: int | None) -> Any:
    """What was read, if it has so many columns."""
    if n_features is None:
        return found
    if isinstance(found, np.ndarray):
        return with_columns(name, found, n_features, False)
    if len(found) != n_features:
        raise failure(name, f"has {len(found)} columns; expected {n_features}")
    return found


def column_names(path: str | os.PathLike[str]) -> list[str] | None:
    """The names of the columns that `read_data` gives, where the file holds names: a CSV with a header, or Parquet.

    Raises
    ------
    FormatError : a file that cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/days.csv").write_text("rain,wind\\n0,2.5\\n1,?\\n")
    ...     tr.formats.column_names(f"{folder}/days.csv")
    ['rain', 'wind']
    """
    if isinstance(path, Source):
        return _sheet(".csv", path)[1].what
    name, _, _ = _parts(os.fspath(path), None, None)
    kind = _kind(name)
    if kind not in _NAMED:
        return None
    return _leaf(kind).column_names(name) if kind == ".parquet" else _sheet(kind, name)[1].what


def located(path: Any, error: ModelError) -> FormatError:
    """An error about values as one about the file that holds them; of a row of text it says the line."""
    name, row = name_of(path), _ROW.match(str(error))
    plain = name.lower().removesuffix(".gz")
    if row is None or not (isinstance(path, Source) or (plain.endswith((".csv", ".data")) and not is_pipe(name))):
        return failure(name, error)
    return failure(name, error, _sheet(".csv", source_of(path))[1].line(int(row[1])))


def write_data(path: str | os.PathLike[str], data: ArrayLike | Mapping[str, Any]) -> None:
    """Write data, one row per case: ``.npy``, ``.npz`` (under the name ``data``), ``.csv``, ``.data`` or ``.parquet``.

    All but ``.npz`` and ``.parquet`` also with ``.gz``; ``-`` is the standard output, of CSV. An array of numbers gets
    no header, ``NaN`` for what is missing, and numbers that read back as the same float64. Columns by name (a
    DataFrame, name → column, a list of cases) get a header, may hold text, and empty cells where something is missing.
    The file is replaced whole or not at all.

    Raises
    ------
    FormatError : an array that is no table of numbers, names that would be read as numbers, or a place that cannot be
        written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tr.write_data(f"{folder}/samples.npy", [[0, 1], [1, 1]])
    ...     tr.read_data(f"{folder}/samples.npy").tolist()
    [[0, 1], [1, 1]]
    """
    name = os.fspath(path)
    kind = written_kind(name)
    try:
        if kind in _NAMED and is_named(data):
            return put(name, _leaf(kind).write_columns(columns_of(data), kind != ".data"))
        if kind == ".parquet":
            table = _table(name, data)
            return put(name, _leaf(kind).write_columns({str(k): column for k, column in enumerate(table.T)}))
        return put(name, _leaf(kind).write(_table(name, _unnamed(data))))
    except ModelError as error:
        raise error if isinstance(error, FormatError) else failure(name, f"cannot be written: {error}") from None


def written_kind(name: str) -> str:
    """The extension that says how a table is written; one that is only read is an error."""
    kind = ".csv" if is_pipe(name) else _extension(name, _WRITTEN)
    if kind not in _WRITTEN:
        raise failure(name, f"{kind} is read but not written; write one of {', '.join(_WRITTEN)}")
    return kind


def file_of(name: str) -> str:
    """The file that a name of data leads to, of which FILE.npz:KEY:N says more."""
    return _parts(name, None, None)[0]


def _parts(name: str, key: str | None, n_features: int | None) -> tuple[str, str | None, int | None]:
    """The file, the array in it and the number of columns, of which a name such as FILE.npz:KEY:N may say all."""
    if not (found := _KEYED.fullmatch(name)):
        return name, key, n_features
    file, own_key, own_n = found[1], found[2] or None, int(found[3]) if found[3] else None
    if None not in (key, own_key) and key != own_key:
        raise failure(file, f"the name asks for the array {own_key!r}, the key for {key!r}; give one of them")
    if None not in (n_features, own_n) and n_features != own_n:
        raise failure(file, f"the name asks for {own_n} columns, n_features for {n_features}; give one of them")
    return file, own_key if key is None else key, own_n if n_features is None else n_features


def _kind(name: str) -> str:
    """The extension that says the format, of a file that is there; a pipe has CSV."""
    if is_pipe(name):
        return ".csv"
    with readable(name):
        file_size(name)
    return _extension(name)


def _extension(name: str, listed: Collection[str] = _LEAVES) -> str:
    plain = name[:-3] if is_gzip(name) else name
    if plain.lower().endswith("-ubyte"):  # the names of the MNIST files, which have no extension
        return ".idx"
    kind = extension(name, _LEAVES, listed)
    if kind in _COMPRESSED and is_gzip(name):
        raise failure(name, f"an {kind} file is compressed as it is; decompress it, and leave out the .gz")
    return kind


def _leaf(kind: str) -> Any:
    return import_module(f"{__name__}.{_LEAVES[kind]}")


def _unnamed(data: Any) -> Any:
    """Columns by name as a table, for a format that has no names."""
    if not is_named(data):
        return data
    found = {name: np.asarray(column) for name, column in columns_of(data).items()}
    if (text := next((name for name, column in found.items() if column.dtype.kind not in "buif"), None)) is not None:
        raise ModelError(f"the column {text!r} holds text; write .csv or .parquet")
    return np.stack([*found.values()], axis=1)


def _table(name: str, array: Any) -> np.ndarray:
    """What is to be written, as an array that can be read again."""
    try:
        table = np.asarray(array)
    except ValueError as error:  # rows of different lengths
        raise failure(name, f"cannot be written: the data are no array ({error})") from None
    if table.dtype.kind not in "buif":
        raise failure(name, f"cannot be written: expected numbers, found {table.dtype}; convert the array first")
    if table.ndim != 2 or not table.size:
        raise failure(name, f"cannot be written: expected rows and columns, found the shape {table.shape}; reshape it")
    return as_table(table)
