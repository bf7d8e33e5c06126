"""Data whose columns have no names, as arrays."""

from __future__ import annotations

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
    if isinstance(data, np.ma.MaskedArray):
        gap = np.nan if data.dtype.kind in "biuf" else None
        data = np.ma.filled(data.astype(object if gap is None else np.float64), gap)
    try:
        array = data if isinstance(data, np.ndarray) else np.asarray(data)
        if array.dtype.kind in "biuf" or isinstance(data, np.ndarray):
            return array
        return np.asarray(data, object)  # what a cell is does not depend on the others
    except ValueError:
        raise ModelError("the rows differ in length") from None
