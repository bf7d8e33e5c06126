"""Tables held by their non-zero entries."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tractable._cached import cached_property
from tractable.kernels import MAX_AXES
from tractable.models._base import ModelError, read_only, set_fields
from tractable.models.axes import Axes, place_of
from tractable.models.diagrams import diagram

DENSE_LIMIT = 2**28
"""No table is made dense on request that has more entries than this."""

SMALL = 2**12
"""Tables of at most so many entries are always made dense where they are computed with."""

SAVING = 4
"""Pieces take at most one in so many of the entries of a table."""

MOST = 2**24
"""Pieces have no more entries than this together: they are made before a plan prices them."""

LARGE = 2**16
"""A file's tables of so many entries are held by their non-zeros where these take at most half as many bytes."""


@dataclass(frozen=True, eq=False)
class SparseTable:
    """A table over some variables by its non-zero entries; an array of it is made where one is asked for.

    `shape` has a size for each variable. `places` says where the entries are in the flat table, in C order, ascending
    [nnz]; `values` what they are [nnz], in memory one number where they are all the same.
    """

    shape: tuple[int, ...]
    places: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        places = self.places.astype(np.int32 if self.size < 2**31 else np.int64, copy=False)
        values = np.asarray(self.values, np.float64)
        if not values.size or (values.strides != (0,) and values.min() == values.max()):
            values = np.broadcast_to(values[0] if values.size else 0.0, values.shape)
        set_fields(self, places=read_only(places), values=read_only(values))

    @classmethod
    def of(cls, array: np.ndarray, shape: Sequence[int]) -> SparseTable:
        """The non-zeros of an array, flat or in shape."""
        flat = array.reshape(-1)
        places = np.flatnonzero(flat)
        return cls(tuple(shape), places, flat[places])

    @property
    def size(self) -> int:
        """The number of entries, zeros and all."""
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        """The number of variables."""
        return len(self.shape)

    @property
    def nnz(self) -> int:
        """The number of entries that are not zero."""
        return len(self.places)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self.places.nbytes + (8 if self.alike else self.values.nbytes)

    @property
    def alike(self) -> bool:
        """Whether the values are all the same, one number in memory."""
        return self.values.strides == (0,)

    def dense(self, limit: float = DENSE_LIMIT) -> np.ndarray:
        """The table as an array (flat beyond 64 variables).

        Raises
        ------
        ModelError : it has more entries than the limit.
        """
        if self.size > limit:
            raise ModelError(
                f"a table of 2^{math.log2(self.size):.4g} entries, {self.nnz:,} of them not zero, is not made dense "
                f"beyond 2^{math.log2(limit):.4g}: observe some of its variables, or take its places and values"
            )
        out = np.zeros(self.size)
        out[self.places] = self.values
        return read_only(out if self.ndim > MAX_AXES else out.reshape(self.shape))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        out = self.dense()
        return out if dtype is None else out.astype(dtype, copy=False)

    def __getitem__(self, index: Any) -> Any:
        """As of an array; states that the index fixes are cut out before anything is made."""
        given = index if isinstance(index, tuple) else (index,)
        if not all(isinstance(k, int | np.integer | slice) and not isinstance(k, bool) for k in given):
            return self.dense()[index]
        if len(given) > self.ndim:
            raise IndexError(f"{len(given)} indices for a table over {self.ndim} variables")
        whole = (*given, *[slice(None)] * (self.ndim - len(given)))
        fixed = [-1 if isinstance(k, slice) else range(n)[k] for k, n in zip(whole, self.shape, strict=True)]
        return self.cut(fixed).dense()[tuple(k for k in whole if isinstance(k, slice))]

    def tolist(self) -> Any:
        """The array as nested lists."""
        return self.dense().tolist()

    def reshape(self, *shape: Any) -> np.ndarray:
        """The array in another shape."""
        return self.dense().reshape(*shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseTable):
            return NotImplemented
        same = self.shape == other.shape and np.array_equal(self.places, other.places)
        return same and np.array_equal(self.values, other.values)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.shape, self.places, self.values.flat[:1] if self.alike else self.values)

    def __repr__(self) -> str:
        return f"SparseTable(shape={self.shape}, nnz={self.nnz})"

    # ---------------------------------------------------------------- of these, others

    def cut(self, states: Sequence[int]) -> SparseTable:
        """The table over the variables that stay free, −1, where others have these states."""
        prefixes, free, step = np.zeros(1, np.int64), np.zeros(1, np.int64), self.size
        for size, state in zip(self.shape, states, strict=True):
            step //= size
            if state >= 0:
                prefixes = prefixes * size + state
            else:
                prefixes, free = (np.add.outer(x * size, np.arange(size)).ravel() for x in (prefixes, free))
            if step > 1 and len(prefixes) > SMALL:
                there = self._first(prefixes * step) < self._first((prefixes + 1) * step)
                prefixes, free = prefixes[there], free[there]
        shape = tuple(size for size, state in zip(self.shape, states, strict=True) if state < 0)
        at = np.minimum(self._first(prefixes), self.nnz - 1)
        there = self.places[at] == prefixes if self.nnz else np.zeros(len(prefixes), bool)
        return SparseTable(shape, free[there], self.values[at[there]])

    def _first(self, places: np.ndarray) -> np.ndarray:
        """The number of the first entry at or after each place."""
        return np.searchsorted(self.places, places.astype(self.places.dtype))

    def mapped(self, values: np.ndarray) -> SparseTable:
        """The same places with other numbers."""
        return SparseTable(self.shape, self.places, values)

    def rows(self, n: int = 2**14) -> Iterator[np.ndarray]:
        """The rows along the last axis, so many at a time as an array."""
        width = self.shape[-1] if self.shape else 1
        for start in range(0, self.size // width, n):
            stop = min(start + n, self.size // width)
            a, b = self._first(np.array([start, stop]) * width).tolist()
            out = np.zeros((stop - start) * width)
            out[self.places[a:b] - start * width] = self.values[a:b]
            yield out.reshape(-1, width)

    @cached_property
    def pieces(self) -> list[np.ndarray] | None:
        """Small tables that make up this one, see `diagram`; None where they save nothing."""
        limit = int(min(self.size / SAVING, MOST))
        return diagram(self.shape, self.places, self.values, limit) if self.size > SMALL and self.ndim > 3 else None


def _again(shape: tuple[int, ...], places: np.ndarray, values: np.ndarray) -> SparseTable:
    return SparseTable(shape, places, values if values.shape == places.shape else np.broadcast_to(values, places.shape))


def held(table: np.ndarray | SparseTable, shape: Sequence[int]) -> np.ndarray | SparseTable:
    """A table as it is held: by its non-zeros where it is large and they take half the bytes of all."""
    if isinstance(table, SparseTable) or table.size < LARGE or table.size != math.prod(shape):
        return table
    top, nnz = table.max(), np.count_nonzero(table)
    each = 4 if np.count_nonzero(table == top) == nnz else 12  # one number for all of them, or one for each
    return SparseTable.of(table, shape) if nnz * each <= 4 * table.size else table


def checked_entries(where: str, table: SparseTable, axes: Axes) -> SparseTable:
    """The table where it has the shape of its variables, and entries that are finite and not negative."""
    if table.shape != tuple(map(len, axes.values())):
        from tractable.models.axes import shaped

        need = shaped(tuple(map(len, axes.values())))
        raise ModelError(f"{where}: the table has shape {shaped(table.shape)}, its variables need {need}")
    good = (table.values >= 0) & np.isfinite(table.values)
    if not good.all():
        bad = int(np.argmin(good))
        at = place_of(axes, int(table.places[bad]))
        raise ModelError(f"{where}: the entry {float(table.values[bad])!r} at {at} is not a finite number ≥ 0")
    return table if table.values.all() else SparseTable(table.shape, *_without_zeros(table))


def _without_zeros(table: SparseTable) -> tuple[np.ndarray, np.ndarray]:
    there = table.values > 0
    return table.places[there], table.values[there]


def row_sums(where: str, table: SparseTable, axes: Axes) -> np.ndarray:
    """The sum of each row, which has some entry: there is no more to allocate than there are entries."""
    size = table.shape[-1]
    rows, n_rows = table.places // size, table.size // size
    if n_rows > table.nnz or len(rows) == 0 or (np.diff(rows) > 1).any() or rows[0] > 0 or rows[-1] < n_rows - 1:
        there = np.unique(rows)
        row = int(np.append(np.flatnonzero(there != np.arange(len(there))), len(there))[0])
        if row < n_rows:
            parents = dict(list(axes.items())[:-1])
            at = f" (it is that of {place_of(parents, row)})" if parents else ""
            raise ModelError(f"{where}: row {row} of the table{at} has only zeros: all-zero weights")
    return np.bincount(rows, table.values, minlength=n_rows)
