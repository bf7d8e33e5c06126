"""Rows of numbers as zeros and ones: cut at a threshold, or drawn with the numbers as probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tractable.models._base import ModelError
from tractable.models.columns import numbers_of
from tractable.models.keys import generator

DRAW = "draw"


def binarized(data: Any, how: float | str, key: Any = 0) -> np.ndarray:
    """The data as zeros and ones [n_rows, n_columns]; what is missing (NaN) stays missing.

    The same is done by ``fit(…, binarize=how)``, where ``"draw"`` draws anew in each epoch, by `binarize` of
    estimators, and by ``--binarize`` of the commands of fit.

    Parameters
    ----------
    data : numbers, in any container.
    how : a threshold, values above it are 1; or ``"draw"``: each value, from 0 to 1, is the probability of a 1.
    key : of these draws.

    Raises
    ------
    ModelError : a threshold that is no finite number; a value that is no probability, with its row and column.

    Examples
    --------
    >>> tr.binarized([[0.1, 0.8], [0.5, 1.0]], 0.5).tolist()
    [[0, 1], [0, 1]]
    >>> float(tr.binarized([[0.25] * 10000], "draw", key=1).mean().round(2))
    0.25
    """
    rows = checked(numbers_of(data), how)
    return _with_gaps(rows > float(how), rows) if how != DRAW else drawn(rows, generator(key))


def check_how(how: Any) -> None:
    """Refuse what is neither a threshold nor ``"draw"``."""
    number = isinstance(how, int | float | np.integer | np.floating) and not isinstance(how, bool)
    if how != DRAW if isinstance(how, str) else not (number and np.isfinite(how)):
        raise ModelError(f"binarize: expected a threshold such as 0.5, or 'draw', got {how!r}")


def checked(rows: np.ndarray, how: float | str, own: np.ndarray | None = None) -> np.ndarray:
    """Numbers of which these columns, or all, can be binarized this way: to be drawn they are probabilities."""
    check_how(how)
    if rows.dtype.kind not in "biuf":
        raise ModelError(f"expected numbers, got an array of {rows.dtype}")
    bad = ~((rows >= 0) & (rows <= 1) | _gaps(rows)) if how == DRAW else np.zeros((1, 1), bool)
    bad = bad if own is None else bad & own
    if bad.any():
        *row, column = (int(i) for i in np.argwhere(bad)[0])
        where, value = f"row {row[0]}, column {column}" if row else f"column {column}", rows[(*row, column)]
        raise ModelError(
            f"{where}: the value {value} is no probability: to be drawn they are from 0 to 1; divide by the largest, "
            "255 of gray pixels, or give a threshold"
        )
    return rows


def in_columns(own: np.ndarray | None, rows: np.ndarray, made: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What is made of these columns beside the others as they are; of all of them where none are told."""
    if own is None:
        return made(rows)
    out = np.array(rows, np.float64)
    out[:, own] = made(rows[:, own])
    return out


def drawn(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """1 with these probabilities, else 0."""
    return _with_gaps(rng.random(rows.shape, np.float32) < rows, rows)


def drawn_by_content(rows: np.ndarray, key: int) -> np.ndarray:
    """The same, each row a function of the key and of what it holds: whatever rows stand beside it."""
    values = np.ascontiguousarray(np.nan_to_num(rows, nan=-1), np.float64).view(np.uint64)
    rng = np.random.default_rng(key)
    odd = rng.integers(2**63, size=(2, rows.shape[1]), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    hashed = _mixed((_mixed(values) * odd[0]).sum(1, keepdims=True)) + odd[1]
    return _with_gaps((_mixed(hashed) >> np.uint64(11)).astype(np.float64) * 2.0**-53 < rows, rows)


def _mixed(words: np.ndarray) -> np.ndarray:
    """Words whose every bit depends on every bit (the finalizer of splitmix64)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        words = (words ^ (words >> np.uint64(shift))) * np.uint64(factor)
    return words ^ (words >> np.uint64(31))


def _gaps(rows: np.ndarray) -> np.ndarray:
    return np.isnan(rows) if rows.dtype.kind == "f" else np.zeros(rows.shape, bool)


def _with_gaps(bits: np.ndarray, rows: np.ndarray) -> np.ndarray:
    gaps = _gaps(rows)
    return np.where(gaps, np.float32(np.nan), bits.astype(np.float32)) if gaps.any() else bits.astype(np.uint8)
