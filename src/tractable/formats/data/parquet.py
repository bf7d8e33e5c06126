"""Parquet through pyarrow or polars, whichever is installed: columns of numbers and booleans, nulls as NaN."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import narwhals as nw
import numpy as np

from tractable.extras import import_module, is_there
from tractable.formats._base import EXPANSION, FREE_EXPANSION, FormatError, amount, failure, readable, shown
from tractable.formats.data._base import Place, check_shape


def read(path: str) -> np.ndarray:
    """The table in a Parquet file."""
    with _opened(path) as (n_rows, names, load):
        check_shape(Place(path, "the table"), (n_rows, len(names)))
        _check_size(path, n_rows * len(names))
        return _table(path, load())


def column_names(path: str) -> list[str]:
    """The names of its columns."""
    with _opened(path) as (_, names, _):
        return names


def columns(path: str) -> dict[str, list[Any]]:
    """The columns by name, of any type; None for what is missing."""
    with _opened(path) as (n_rows, names, load):
        _check_size(path, n_rows * len(names))
        frame = nw.from_native(load(), eager_only=True)
        return {name: frame[name].to_list() for name in names}


Opened = tuple[int, list[str], Callable[[], Any]]


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
    return file.metadata.num_rows, file.schema_arrow.names, file.read


def _polars(path: str) -> Opened:
    import polars  # pyright: ignore[reportMissingImports]

    frame = polars.scan_parquet(path, glob=False)
    n_rows = frame.select(polars.len()).collect().item()
    return n_rows, frame.collect_schema().names(), frame.collect


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
            raise failure(path, f"the column {shown(name)} holds {dtype}; expected numbers or booleans: leave it out")
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
