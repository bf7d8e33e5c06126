"""The same rows in every container that users hand in, and any container as plain lists by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from tractable.models.rows import Rows

Cells = Mapping[str, list[Any]]
"""Columns of Python's own values, None where one is missing."""


def _array(cells: list[Any]) -> np.ndarray:
    """Of numbers with NaN, or of booleans, where that holds them; else of objects."""
    kinds = {*map(type, cells)}
    if kinds <= {int, float, type(None)}:
        return np.array([np.nan if cell is None else cell for cell in cells], float)
    return np.array(cells, bool if kinds == {bool} else object)


def _pandas(columns: Cells) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(_array(cells)) for name, cells in columns.items()})


def _nullable(columns: Cells) -> pd.DataFrame:
    return _pandas(columns).convert_dtypes()


def _categorical(columns: Cells) -> pd.DataFrame:
    frame = _pandas(columns)
    texts = [name for name, cells in columns.items() if any(isinstance(cell, str) for cell in cells)]
    return frame.astype(dict.fromkeys(texts, "category"))


def _polars(columns: Cells) -> pl.DataFrame:
    return pl.DataFrame([pl.Series(name, cells, strict=False) for name, cells in columns.items()])


def _records(columns: Cells) -> list[dict[str, Any]]:
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _as_csv_has_it(columns: Cells) -> dict[str, list[Any]]:
    """Numbers as text, and gaps as words for them."""
    return {n: ["NA" if x is None else x if isinstance(x, bool) else str(x) for x in c] for n, c in columns.items()}


NAMED: dict[str, Callable[[Cells], Any]] = {
    "dict of lists": dict,
    "dict of arrays": lambda columns: {name: _array(cells) for name, cells in columns.items()},
    "rows": lambda columns: Rows({name: _array(cells) for name, cells in columns.items()}),
    "list of dicts": _records,
    "pandas": _pandas,
    "pandas nullable": _nullable,
    "pandas categorical": _categorical,
    "polars": _polars,
    "arrow": lambda columns: _polars(columns).to_arrow(),
    "text": _as_csv_has_it,
    "reversed": lambda columns: _pandas({name: columns[name] for name in reversed([*columns])}),
}


def placed(columns: Cells) -> list[list[Any]]:
    """Rows of cells without names."""
    return [list(row) for row in zip(*columns.values(), strict=True)]


def plain(data: Any) -> dict[str, list[Any]]:
    """Named data as lists of Python's own values."""
    if isinstance(data, list):
        return {name: [case[name] for case in data] for name in data[0]}
    if isinstance(data, pd.DataFrame):
        data = {name: data[name].astype(object).tolist() for name in data.columns}
    elif isinstance(data, pl.DataFrame):
        data = data.to_dict(as_series=False)
    elif isinstance(data, pa.Table):
        data = data.to_pydict()
    return {name: np.asarray(cells).tolist() for name, cells in data.items()}
