"""How often each row counts, or each sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tractable.models._base import ModelError
from tractable.models.rows import is_named, n_rows_of, take


class WeightedRows(NamedTuple):
    """Rows that have been checked (or sequences), and how often each counts; once where there are no weights."""

    rows: Any
    weights: np.ndarray | None = None

    @property
    def each(self) -> np.ndarray:
        """The weight of each."""
        return np.ones(len(self.rows)) if self.weights is None else self.weights


def counted(data: Any, weights: Any, many: Callable[[Any], Any] | None = None) -> tuple[Any, np.ndarray | None]:
    """The rows that count, and how often each does: one of weight zero takes part in nothing; `many` makes sequences of
    the data, where these are what counts.

    Raises
    ------
    ModelError : weights that are no numbers ≥ 0, not one for each row, or all zero.

    Examples
    --------
    >>> counted([[1.0], [999999.0], [2.0]], [1, 0, 3])
    ([[1.0], [2.0]], array([1., 3.]))
    """
    if weights is None or data is None:
        return data, None
    data = data if many is None else many(data)
    n = n_rows_of(data) if is_named(data) else len(data)
    found = checked_weights(weights, n)
    if found.all():
        return data, found
    kept = np.flatnonzero(found)
    return [data[i] for i in kept] if isinstance(data, list | tuple) else take(data, kept), found[kept]


def checked_weights(weights: Any, n: int) -> np.ndarray:
    """One finite number ≥ 0 for each of n rows, not all zero."""
    try:
        array = np.asarray(weights, np.float64)
    except (TypeError, ValueError):
        raise ModelError(f"weights must be {n} numbers, one for each row; got {weights!r:.80}") from None
    if array.shape != (n,):
        raise ModelError(f"weights must be {n} numbers, one for each row; got the shape {array.shape}")
    if not (good := (array >= 0) & (array < np.inf)).all():
        row = int(good.argmin())
        raise ModelError(f"row {row}: weights must be {n} finite numbers ≥ 0, got {array[row]}")
    if not array.any():
        raise ModelError(f"weights must be {n} finite numbers ≥ 0, not all zero")
    return array
