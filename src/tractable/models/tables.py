"""States and tables as users hand them in, checked: states are text, tables have the shape of their variables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tractable.models._base import ModelError
from tractable.models.axes import Axes, has_names, place_of, shaped
from tractable.models.sparse_tables import SparseTable, row_sums
from tractable.models.values import is_missing, text_of


def checked_states(states: Mapping[Any, Any]) -> dict[str, tuple[str, ...]]:
    """Names of states for each variable, all of them text: at least one each, no duplicates. A number: ``0``, ``1``, …

    >>> checked_states({"a": [1.0, 2], "b": [True, False], "c": 3})
    {'a': ('1', '2'), 'b': ('True', 'False'), 'c': ('0', '1', '2')}
    """
    if not isinstance(states, Mapping):
        raise ModelError(f"states are variable → names of its states, or their number; got a {type(states).__name__}")
    out: dict[str, tuple[str, ...]] = {}
    for given, own in states.items():
        name = given if type(given) is str else text_of(given)
        if name in out:
            raise ModelError(f"two variables have the name {name!r} as text; rename one of them")
        out[name] = _checked_names(name, own)
    return out


def text_keys(given: Mapping[Any, Any]) -> dict[str, Any]:
    """What is said of variables, whose names are made text."""
    return {v if type(v) is str else text_of(v): own for v, own in given.items()}


def _checked_names(variable: str, own: Any) -> tuple[str, ...]:
    names = own if type(own) is tuple and {*map(type, own)} == {str} else tuple(map(text_of, _given(variable, own)))
    if not names:
        raise ModelError(f"variable {variable!r} has no states; give it at least one")
    if len({*names}) != len(names):
        twice = next(s for s in names if names.count(s) > 1)
        raise ModelError(f"variable {variable!r} has the state {twice!r} twice; state names must differ")
    return names


def is_number(given: Any) -> bool:
    """Whether this is one whole number, not a truth value."""
    return isinstance(given, int | np.integer) and not isinstance(given, bool)


def _given(variable: str, own: Any) -> tuple[Any, ...]:
    """The states as they were handed in, all of them there; a number stands for so many."""
    if is_number(own):
        return tuple(range(own))
    if isinstance(own, set | frozenset):
        raise ModelError(f"variable {variable!r}: a set of states has no order, which tables need; give a list")
    try:
        given = tuple(own)
    except TypeError:
        raise ModelError(f"variable {variable!r}: {own!r} are no states; give their names, or how many") from None
    if any(map(is_missing, given)):
        raise ModelError(f"variable {variable!r}: a state cannot be missing, got {given!r:.80}")
    return given


def checked_table(where: str, table: Any, axes: Axes) -> np.ndarray:
    """A float64 table over its variables: an array of their shape, a flat one of that length, or one with names.

    Entries are finite and not negative. Tables with names, frames and mappings, are read by names alone, whatever the
    order of their rows and columns.
    """
    if has_names(table):
        from tractable.models.named_tables import array_of  # an array does without

        array = array_of(where, table, axes)
    else:
        array = _of_numbers(where, table, tuple(map(len, axes.values())))
    low = array.min(initial=np.inf)
    if not (low >= 0 and array.max(initial=0.0) < np.inf):
        flat = array.ravel()
        bad = int((~((flat >= 0) & np.isfinite(flat))).argmax())
        raise ModelError(f"{where}: the entry {float(flat[bad])!r}{_at(axes, bad)} is not a finite number ≥ 0")
    return array


def _at(axes: Axes, flat: int) -> str:
    return f" at {place}" if (place := place_of(axes, flat)) else ""


def _of_numbers(where: str, table: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.asarray(table, np.float64)
    except (TypeError, ValueError):
        raise ModelError(f"{where}: the table is no array of numbers; its variables need {shaped(shape)}") from None
    if array.shape != shape and not (array.ndim == 1 and array.size == math.prod(shape)):
        raise ModelError(f"{where}: the table has shape {array.shape}, its variables need {shaped(shape)}")
    return array


def checked_rows(where: str, table: np.ndarray, axes: Axes, tolerance: float | None) -> np.ndarray:
    """A table whose rows along the last axis sum to one.

    A row further than `tolerance` from that is an error (None: any sum will do), a nearer one is divided by its sum.
    """
    size = len(next(reversed(axes.values())))
    rows = table.reshape(-1, size)
    sums = rows.sum(axis=1)
    error = checked_sums(where, sums, axes, tolerance)
    if error is None:
        return table
    if np.isinf(sums).any():  # finite weights whose sum is beyond a double
        rows = rows / np.where(np.isinf(sums), rows.max(axis=1), 1.0)[:, None]
        sums = np.where(np.isinf(sums), rows.sum(axis=1), sums)
    return (rows / np.where(error > ROUNDING, sums, 1.0)[:, None]).reshape(table.shape)


def checked_sums(where: str, sums: np.ndarray, axes: Axes, tolerance: float | None) -> np.ndarray | None:
    """How far the sums of rows are from one, None where all of them are one.

    Raises
    ------
    ModelError : a row of zeros, or one further than `tolerance` from one.
    """
    error = np.abs(sums - 1)
    if not error.size or error.max() <= ROUNDING:
        return None
    if not sums.min() > 0 and (tolerance is None or error.max() > tolerance):
        row = int(sums.argmin())
        raise ModelError(f"{where}: row {row} of the table{_of(axes, row)} has only zeros: all-zero weights")
    if tolerance is not None and error.max() > tolerance:
        row = int(error.argmax())
        raise ModelError(
            f"{where}: row {row} of the table sums to {sums[row]:.6g}, not to 1; "
            f"normalize=True (convert --normalize) divides each row by its sum{_of(axes, row)}"
        )
    return error


def sparse_rows(where: str, table: SparseTable, axes: Axes, tolerance: float | None) -> SparseTable:
    """A sparse table whose rows sum to one, as `checked_rows`."""
    sums, rows = row_sums(where, table, axes), table.places // table.shape[-1]
    if (error := checked_sums(where, sums, axes, tolerance)) is None:
        return table
    values = table.values
    if np.isinf(sums).any():
        tops = np.maximum.reduceat(values, np.flatnonzero(np.diff(rows, prepend=-1)))
        values = values / np.where(np.isinf(sums), tops, 1.0)[rows]
        sums = np.where(np.isinf(sums), np.bincount(rows, values), sums)
    return table.mapped(values / np.where(error > ROUNDING, sums, 1.0)[rows])


ROUNDING = 1e-12
"""Sums this near to one are one."""


def _of(axes: Axes, row: int) -> str:
    """Which states of the parents a row is of."""
    parents = dict(list(axes.items())[:-1])
    return f" (it is that of {place_of(parents, row)})" if parents else ""
