"""Tables of which only what is not zero is said: a function of the parents, entries by names or places, matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from tractable.models._base import ModelError
from tractable.models.axes import Axes, Listed, has_names, place_of, shaped
from tractable.models.sparse_tables import SparseTable, checked_entries

MOST_ROWS = 2**26
"""A function of the parents is asked for no more rows than this."""


def sparse(entries: Any, places: Any = None) -> Listed:
    """A table held by its non-zero entries: `entries` says what these are, all others are zero.

    It stands where a network takes a table, and so do, as they are, a function of the parents and a matrix of
    ``scipy.sparse``. Memory and files take the non-zeros; a query makes no more of it dense than the evidence leaves.

    Parameters
    ----------
    entries : a mapping or a frame, wide or long, as of any table, in which what is zero may be left out; a function of
        the states of the parents (their names) that gives the state of the variable; a matrix of ``scipy.sparse`` with
        a row for each configuration of all variables but the last; an array, of which the non-zeros are held; or, with
        `places`, a number for each of these, or one for all.
    places : states of all variables, as numbers, one row for each entry [n, n_variables]; or places in the flat table
        [n].

    Raises
    ------
    ModelError : when a network is made: two entries for the same states, one that is negative or not finite, a place
        beyond the table, a function that gives no state; the message names the states.

    Examples
    --------
    >>> odd = lambda *bits: bits.count("1") % 2
    >>> coins = {v: [0.5, 0.5] for v in "abc"}
    >>> net = tr.BayesianNetwork(dict.fromkeys("abcx", "01"), {"x": ["a", "b", "c"]}, {**coins, "x": odd})
    >>> net.tables["x"].shape, net.tables["x"].nnz, net.tables["x"][0, 1, 1].tolist()
    ((2, 2, 2, 2), 8, [1.0, 0.0])
    >>> pair = tr.MarkovNetwork({"a": "01", "b": "01"}, [("ab", tr.sparse({("0", "1"): 2.0, ("1", "0"): 3.0}))])
    >>> pair.factors[0].table.tolist()
    [[0.0, 2.0], [3.0, 0.0]]
    """
    return Listed(entries, places)


def is_sparse(table: Any) -> bool:
    """Whether a table is held by its non-zeros, or is to be."""
    if isinstance(table, np.ndarray | list | tuple | dict):
        return False
    return isinstance(table, SparseTable | Listed) or callable(table) or _is_matrix(table)


def _is_matrix(table: Any) -> bool:
    return type(table).__module__.startswith("scipy.sparse")


def sparse_table(where: str, table: Any, axes: Axes, conditional: bool = False) -> SparseTable:
    """The table over its variables, checked; a function says the last one's state, where it is `conditional`.

    Raises
    ------
    ModelError : see `sparse`.
    """
    if isinstance(table, SparseTable):
        return checked_entries(where, table, axes)
    if (size := math.prod(map(len, axes.values()))) >= 2**62:
        raise ModelError(f"{where}: a table has less than 2^62 entries, its variables need 2^{math.log2(size):.4g}")
    entries, places = (table.entries, table.places) if isinstance(table, Listed) else (table, None)
    if places is not None:
        found = _by_places(where, entries, places, axes)
    elif isinstance(entries, SparseTable):
        return checked_entries(where, entries, axes)
    elif callable(entries):
        found = _of_function(where, entries, axes, conditional)
    elif _is_matrix(entries):
        found = _of_matrix(where, entries, axes)
    elif has_names(entries):
        found = _by_names(where, entries, axes)
    else:
        from tractable.models.tables import checked_table

        return SparseTable.of(checked_table(where, entries, axes), tuple(map(len, axes.values())))
    return _in_order(where, *found, axes)


def _in_order(where: str, places: np.ndarray, values: np.ndarray, axes: Axes) -> SparseTable:
    """Entries by ascending places, none twice."""
    if (np.diff(places) <= 0).any():
        order = np.argsort(places, kind="stable")
        places, values = places[order], values[order]
        if (twice := np.diff(places) == 0).any():
            at = place_of(axes, int(places[twice.argmax()]))
            raise ModelError(f"{where}: the table has two entries for {at}; keep one")
    return checked_entries(where, SparseTable(tuple(map(len, axes.values())), places, values), axes)


NonZeros = tuple[np.ndarray, np.ndarray]
"""Places in the flat table, and numbers."""


def _by_places(where: str, values: Any, places: Any, axes: Axes) -> NonZeros:
    shape = tuple(map(len, axes.values()))
    at, numbers = _arrays(where, values, places, len(shape))
    flat = np.zeros(len(at), np.int64)
    sizes = (math.prod(shape),) if at.ndim == 1 else shape
    for column, size in zip(at.reshape(len(at), len(sizes)).T, sizes, strict=True):
        if (outside := (column < 0) | (column >= size)).any():
            bad = int(outside.argmax())
            raise ModelError(f"{where}: place {bad} of the sparse table is {at[bad].tolist()}, beyond {shaped(shape)}")
        flat = flat * size + column
    return flat, np.broadcast_to(numbers, flat.shape)


def _arrays(where: str, values: Any, places: Any, n: int) -> NonZeros:
    """Places and numbers, as many of one as of the other, or one number for all."""
    try:
        at, numbers = np.asarray(places), np.array(values, np.float64)
    except (TypeError, ValueError):
        raise ModelError(f"{where}: places and entries of a sparse table are arrays of numbers") from None
    if at.size and at.dtype.kind not in "iu":
        raise ModelError(f"{where}: the places of a sparse table are whole numbers, got {at.dtype}")
    if (at.ndim != 1 and at.shape[1:] != (n,)) or numbers.shape not in ((), at.shape[:1]):
        raise ModelError(
            f"{where}: places of shape {at.shape} and entries of shape {numbers.shape}; a table over {n} variables "
            f"needs places [n, {n}], or flat ones [n], and n entries or one for all"
        )
    return at.astype(np.int64), numbers


def _of_function(where: str, function: Callable[..., Any], axes: Axes, conditional: bool) -> NonZeros:
    """One entry of one in each row: the state that the function gives."""
    from tractable.models.named_tables import Labels  # an array does without

    if not conditional:
        raise ModelError(f"{where}: a function says the state of a variable given its parents; a factor has neither")
    *parents, own = axes.values()
    if (n_rows := math.prod(map(len, parents))) > MOST_ROWS:
        raise ModelError(f"{where}: a function of 2^{math.log2(n_rows):.4g} rows; beyond 2^26 give the rows' non-zeros")
    reader = Labels(next(reversed(axes)), own, where)
    state, states = (), np.empty(n_rows, np.int32)
    try:
        for row, state in enumerate(product(*parents)):
            states[row] = reader[function(*state)]
    except Exception as error:
        given = dict(zip(axes, state, strict=False))
        place = ", ".join(f"{v}={x}" for v, x in list(given.items())[:8])
        told = str(error).removeprefix(f"{where}: ") if isinstance(error, ModelError) else f"{error!r}"
        raise ModelError(f"{where}: the function of its parents, for {place}: {told}") from error
    return np.arange(n_rows, dtype=np.int64) * len(own) + states, np.broadcast_to(np.ones(1), n_rows)


def _of_matrix(where: str, matrix: Any, axes: Axes) -> NonZeros:
    """A row for each configuration of all variables but the last."""
    *rows, own = map(len, axes.values()) if axes else (1,)
    if tuple(matrix.shape) != (math.prod(rows), own):
        need = f"({math.prod(rows)}, {own})"
        raise ModelError(f"{where}: the sparse matrix has shape {tuple(matrix.shape)}, its variables need {need}")
    entries = matrix.tocoo(copy=True)
    entries.sum_duplicates()
    return entries.row.astype(np.int64) * own + entries.col, np.asarray(entries.data, np.float64)


def _by_names(where: str, table: Any, axes: Axes) -> NonZeros:
    """NonZeros of a mapping or a frame, in any order."""
    from tractable.models.named_tables import Labels, cells_of, number_in  # as above

    readers = [(Labels(v, own, where), len(own)) for v, own in axes.items()]
    places, values, own = [], [], list(axes.values())[-1] if axes else ()
    for labels, value in cells_of(where, table, tuple(axes), own):
        place = 0
        for (reader, size), label in zip(readers, labels, strict=True):
            place = place * size + reader[label]
        places.append(place)
        if type(value) is not float or value != value:
            value = number_in(where, value, axes, [reader[x] for (reader, _), x in zip(readers, labels, strict=True)])
        values.append(value)
    return np.array(places, np.int64), np.array(values, np.float64)
