"""Rows as scikit-learn checks them; what is text is said with its place and what helps."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from tractable.models import ModelError
from tractable.models.unnamed import array_of

SPARSE = ["csr", "csc", "coo"]
"""Forms of sparse matrices; others are made one of these."""


def in_numbers(estimator: Any, X: Any, reset: bool, remedy: str, sparse: bool = True) -> np.ndarray:
    """Rows of finite numbers, and NaN.

    Raises
    ------
    ValueError : what scikit-learn refuses. ModelError : a cell of text, with its place and the remedy.
    """
    how: Any = {"dtype": "numeric", "ensure_all_finite": "allow-nan", "accept_sparse": SPARSE if sparse else False}
    try:
        return array_of(validate_data(estimator, X, reset=reset, **how))
    except ValueError as error:
        if (found := _text(X)) is None:
            raise
        row, column, cell = found
        raise ModelError(
            f"row {row}, column {column}: {cell!r} is text: {remedy}; numbers are X.astype(float)"
        ) from error


def _text(X: Any) -> tuple[int, Any, str] | None:
    """The first cell of text: its row, its column, and what it says."""
    cells = np.zeros((0, 0)) if hasattr(X, "tocsr") else np.asarray(X)
    if cells.dtype.kind not in "OUST" or cells.ndim != 2:
        return None
    names = list(getattr(X, "columns", range(cells.shape[1])))
    places = ((r, c) for r, row in enumerate(cells) for c, cell in enumerate(row) if isinstance(cell, str))
    found = next(places, None)
    return None if found is None else (found[0], names[found[1]], str(cells[found]))
