"""Data whose columns have no names, as arrays."""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np

from tractable.models._base import ModelError


def matrix(data: Any, axes: int = 2) -> np.ndarray:
    """Data without names as an array [n_rows, n_columns]: of numbers, or of cells as they are.

    A single axis is one row, or, with `axes` 1, one column.

    Raises
    ------
    ModelError : rows that differ in length, data of other than one or two axes.
    """
    array = array_of(data)
    if array.ndim == 1:
        array = array[:, None] if axes == 1 else array[None]
    if array.ndim != 2:
        raise ModelError(f"data have the shape [n_rows, n_columns], got {array.shape}")
    return array


def array_of(data: Any) -> np.ndarray:
    """Data without names as an array: of numbers, what is masked missing, or of cells as they are."""
    if hasattr(data, "toarray") and hasattr(data, "tocsr"):
        return _dense(data)
    if isinstance(data, np.ma.MaskedArray):
        gap = np.nan if data.dtype.kind in "biuf" else None
        data = np.ma.filled(data.astype(object if gap is None else np.float64), gap)
    check_unnamed(data)
    try:
        array = data if isinstance(data, np.ndarray) else np.asarray(data)
        if array.dtype.kind in "biuf" or isinstance(data, np.ndarray):
            return array
        return np.asarray(data, object)  # what a cell is does not depend on the others
    except ValueError:
        raise ModelError("the rows differ in length") from None


def _dense(data: Any) -> np.ndarray:
    """A sparse matrix of SciPy as an array, of small whole numbers in a byte each."""
    stored = data.tocsr()
    values = np.asarray(stored.data)
    small = values.dtype.kind in "biuf" and not (values.size and not (values.min() >= 0 and values.max() < 256))
    if small and (values == np.floor(values)).all():
        stored = stored.astype(np.uint8)
    return np.asarray(stored.toarray())


def check_unnamed(data: Any) -> None:
    """Raise for rows that have names, named tuples and rows of a table of pandas: their order may be another one."""
    first = data[0] if isinstance(data, list | tuple) and data else None
    index = getattr(first, "index", None)  # of a list a function
    if hasattr(first, "_fields") or getattr(index, "inferred_type", None) == "string":
        raise ModelError(f"rows that are a {type(first).__name__} have names: give a list of dicts, or a DataFrame")
    if isinstance(data, str | bytes) or not (
        hasattr(data, "__len__") or hasattr(data, "__array__") or isinstance(data, Number)
    ):
        raise not_understood(data)


def not_understood(data: Any) -> ModelError:
    """The error for what holds no data."""
    lazy = "; collect it first" if hasattr(data, "collect") else ""
    return ModelError(
        f"data of type {type(data).__name__} are not understood{lazy}; "
        "give a DataFrame, a dict of columns, a list of dicts, or an array of shape [n_rows, n_columns]"
    )
