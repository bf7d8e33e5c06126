"""Parquet through pyarrow or polars, whichever is installed: columns of numbers, booleans and text."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import narwhals as nw
import numpy as np

from tractable.extras import import_module, is_there
from tractable.formats._asked import AskedColumns
from tractable.formats._base import EXPANSION, FREE_EXPANSION, FormatError, amount, failure, readable, shown
from tractable.formats.data._base import Place, check_shape
from tractable.models.frames import as_array, frame_of
from tractable.models.rows import Rows, unknown_column


def read(path: str, columns: AskedColumns = None, ignore: Sequence[str | int] = ()) -> np.ndarray:
    """The table in a Parquet file, of some columns."""
    with _opened(path) as (n_rows, names, load):
        chosen = _chosen(path, names, columns, ignore)
        check_shape(Place(path, "the table"), (n_rows, len(chosen)))
        _check_size(path, n_rows * len(chosen))
        return _table(path, load(chosen))


def column_names(path: str) -> list[str]:
    """The names of its columns."""
    with _opened(path) as (_, names, _):
        return names


def columns(path: str, columns: AskedColumns = None, ignore: Sequence[str | int] = ()) -> Rows:
    """The columns by name, of numbers or text; None for gaps in text."""
    with _opened(path) as (n_rows, names, load):
        chosen = _chosen(path, names, columns, ignore)
        check_shape(Place(path, "the table"), (n_rows, len(chosen)))
        _check_size(path, n_rows * len(chosen))
        frame = nw.from_native(load(chosen), eager_only=True)
        return Rows({name: _cells(path, frame[name]) for name in chosen})


def _cells(path: str, series: Any) -> np.ndarray:
    """A column of numbers as an array, of anything else as objects."""
    dtype = series.dtype
    if dtype.is_nested():
        raise failure(path, f"the column {shown(series.name)} holds {dtype}; expected numbers or text: leave it out")
    if dtype.is_numeric() or (dtype == nw.Boolean and not series.null_count()):
        return _column(series)
    return as_array(series.to_list())


def _chosen(path: str, names: list[str], columns: AskedColumns, ignore: Sequence[str | int]) -> list[str]:
    """The names of the columns that are asked for."""
    left = {_name(path, names, name) for name in ignore}
    kept = names if columns is None else [_name(path, names, name) for name in columns]
    if names and not (kept := [name for name in kept if name not in left]):
        raise failure(path, "there is no column left; ignore fewer")
    return kept


def _name(path: str, names: list[str], name: str | int) -> str:
    if name in names:
        return str(name)
    if str(name).isascii() and str(name).isdecimal() and int(name) < len(names):
        return names[int(name)]
    raise failure(path, unknown_column(str(name), names))


Opened = tuple[int, list[str], Callable[[list[str]], Any]]


@contextmanager
def _opened(path: str) -> Iterator[Opened]:
    """Number of rows, names of columns, and how to load them; the complaints of the library as ours."""
    with readable(path):
        if not os.path.getsize(path):
            raise failure(path, "the file is empty")
    opened = _library(path)
    try:
        yield opened(path)
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # each library has its own errors, and a damaged file brings out many
        raise failure(path, f"is not a Parquet file, or damaged ({error}); fetch it again") from None


def _library(path: str) -> Callable[[str], Opened]:
    if is_there("polars") and not is_there("pyarrow"):
        return _polars
    import_module("pyarrow.parquet", path)
    return _pyarrow


def _pyarrow(path: str) -> Opened:
    from pyarrow.parquet import ParquetFile

    file = ParquetFile(path)
    return file.metadata.num_rows, file.schema_arrow.names, file.read  # of columns by name


def _polars(path: str) -> Opened:
    import polars  # pyright: ignore[reportMissingImports]

    frame = polars.scan_parquet(path, glob=False)
    n_rows = frame.select(polars.len()).collect().item()
    return n_rows, frame.collect_schema().names(), lambda names: frame.select(names).collect()


def _check_size(path: str, n_cells: int) -> None:
    """A few bytes can stand for any number of equal cells."""
    limit = max(FREE_EXPANSION, EXPANSION * os.path.getsize(path))
    if 8 * n_cells > limit:
        raise failure(
            path, f"expands to {amount(n_cells)} cells, more than {limit >> 20} MiB; if you trust it, save it as .npy"
        )


def _table(path: str, loaded: Any) -> np.ndarray:
    frame = nw.from_native(loaded, eager_only=True)
    for name, dtype in frame.schema.items():
        if not (dtype.is_numeric() or dtype == nw.Boolean):
            raise failure(
                path,
                f"the column {shown(name)} holds {dtype}, not numbers or booleans; leave it out, ignore= (--ignore)",
            )
    columns = [_column(frame[name]) for name in frame.columns]
    out = np.empty((len(frame), len(columns)), np.result_type(*columns))
    for k, column in enumerate(columns):
        out[:, k] = column
    return out


def _column(series: Any) -> np.ndarray:
    if series.null_count():
        series = series.cast(nw.Float32 if series.dtype == nw.Float32 else nw.Float64).fill_null(float("nan"))
    elif series.dtype == nw.Decimal:
        series = series.cast(nw.Float64)
    return series.to_numpy()


def write_columns(columns: Mapping[str, Any], _: bool = True) -> bytes:
    """Columns as the content of a Parquet file."""
    out = io.BytesIO()
    if is_there("polars") and not is_there("pyarrow"):
        frame_of(columns, "polars").write_parquet(out)
    else:
        import_module("pyarrow.parquet", "writing Parquet").write_table(frame_of(columns, "pyarrow"), out)
    return out.getvalue()
