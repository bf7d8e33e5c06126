"""Sequences as estimators take them: rows with lengths, or a list."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from tractable.estimators.checked import in_numbers
from tractable.estimators.mixtures import TABLE, by_name
from tractable.models import ModelError, Sequences
from tractable.models.frames import is_frame
from tractable.models.rows import n_rows_of


def is_list(X: Any) -> bool:
    """Whether sequences come as a list of tables or arrays, and not as rows.

    Raises
    ------
    ModelError : a list of columns of different lengths, which are no rows.
    """
    if not isinstance(X, list | tuple) or not len(X):
        return False
    if is_frame(X[0]) or np.ndim(X[0]) > 1:
        return True
    if np.ndim(X[0]) == 1 and len({len(part) for part in X}) > 1:
        raise ModelError("a list of sequences holds arrays of rows [t, n_features]: of one column take x[:, None]")
    return False


def lengths_of(X: Any, y: Any, lengths: Any) -> Any:
    """The lengths of sequences of rows; taken from the place of `y` where they stand there.

    Raises
    ------
    ModelError : `y` is neither lengths nor a label for each row; lengths of sequences that are cut already.
    """
    if y is not None and lengths is None:
        lengths = _second(np.asarray(y), sum(_sizes(X)))
    if lengths is not None and (isinstance(X, Sequences) or is_list(X)):
        raise ModelError("the sequences are cut already: give a list of them, or rows with lengths, not both")
    return lengths


def _second(given: np.ndarray, n_rows: int) -> np.ndarray | None:
    """Lengths; None for labels."""
    whole = given.ndim == 1 and given.dtype.kind in "iu" and given.size > 0
    if whole and given.min() > 0 and given.sum() == n_rows:
        return given
    if given.shape[:1] == (n_rows,):
        return None
    told = f"they sum to {given.sum()}" if whole else f"got {given.tolist()!r:.60}"
    raise ModelError(
        f"what comes second is the lengths of the sequences ({told}, but there are {n_rows} rows), or labels, one for"
        " each row, which are ignored"
    )


def read(estimator: Any, X: Any, lengths: Any, reset: bool = False) -> Sequences:
    """Rows, a table, a list of either or `Sequences`, the columns checked as scikit-learn does it."""
    if not reset:
        check_is_fitted(estimator)
    if is_list(X):
        return Sequences(_listed(estimator, X, reset), np.array(_sizes(X)))
    if not isinstance(X, Sequences):
        return Sequences(by_name(estimator, X, reset) if is_frame(X) else _checked(estimator, X, reset), lengths)
    if not X.named:
        return Sequences(_checked(estimator, X.rows, reset), X.sizes)
    by_name(estimator, X.data, reset)
    return X


def _listed(estimator: Any, X: Any, reset: bool) -> Any:
    """The rows of all sequences of a list."""
    if is_frame(X[0]):
        return _one_below_the_other([by_name(estimator, part, reset) for part in X])
    widths = {np.shape(part)[-1] for part in X}
    if len(widths) > 1:
        raise ModelError(f"the sequences differ in the number of columns: {', '.join(map(str, sorted(widths)))}")
    return _checked(estimator, np.concatenate([np.asarray(part) for part in X]), reset)


def weights_of(given: Any, data: Sequences) -> np.ndarray | None:
    """How often each sequence counts; weights of rows where they agree within a sequence.

    Raises
    ------
    ModelError : neither one for each sequence nor for each row; rows of a sequence that count differently.
    """
    if given is None:
        return None
    weights, n, n_rows = np.asarray(given, np.float64), len(data), int(data.sizes.sum())
    if weights.shape == (n,):
        return weights
    if weights.shape != (n_rows,):
        raise ModelError(f"weights are one for each of {n} sequences, got an array of shape {weights.shape}")
    parts = data.split(weights)
    for number, part in enumerate(parts):
        if (part != part[0]).any():
            raise ModelError(f"sequence {number}: its rows have different weights; a sequence counts as a whole")
    return np.array([part[0] for part in parts])


def _sizes(X: Any) -> list[int]:
    """How many rows each sequence has."""
    if isinstance(X, Sequences):
        return X.sizes.tolist()
    return [_n_rows(part) for part in (X if is_list(X) else [X])]


def _n_rows(table: Any) -> int:
    return n_rows_of(table) if is_frame(table) else int((*getattr(table, "shape", np.shape(table)), 0)[0])


def _checked(estimator: Any, X: Any, reset: bool) -> np.ndarray:
    return in_numbers(estimator, X, reset, TABLE, sparse=False)


def _one_below_the_other(tables: list[Any]) -> Any:
    """Tables with the same columns as one."""
    import narwhals as nw

    found = [nw.from_native(table) for table in tables]
    if any(table.columns != found[0].columns for table in found):
        raise ModelError("the sequences differ in their columns")
    return nw.concat(found).to_native()
