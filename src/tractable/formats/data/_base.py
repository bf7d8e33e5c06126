"""What the readers of data share: the shape that data must have, and bits packed into bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tractable.formats._base import FormatError, amount, failure


@dataclass(frozen=True)
class Place:
    """Where an array comes from, for the messages."""

    path: str
    what: str = "the file"

    def error(self, cause: str) -> FormatError:
        """An error about this array; the cause is a predicate."""
        return failure(self.path, f"{self.what} {cause}")


def check_shape(place: Place, shape: tuple[int, ...]) -> None:
    """Refuse a shape that is no table: of one axis, or with no rows or columns."""
    if len(shape) < 2:
        found = f"has one axis, of length {amount(shape[0])}" if shape else "is a single number"
        remedy = "make it a column with reshape(-1, 1), or a row with reshape(1, -1)"
        raise place.error(f"{found}; data have rows and columns: {remedy}")
    if not shape[0]:
        raise place.error("has no rows")
    if not prod(shape):
        raise place.error("has no columns")


def as_table(array: np.ndarray) -> np.ndarray:
    """Rows of numbers in the byte order of the machine, as the nearest type that all later steps know."""
    dtype = array.dtype.newbyteorder("=")
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        dtype = np.dtype(np.float32 if dtype.itemsize < 4 else np.float64)
    return array.reshape(len(array), -1).astype(dtype, copy=False)


# ---------------------------------------------------------------- some of the columns


def some_columns(
    path: str, table: np.ndarray, columns: Sequence[str | int] | None, ignore: Sequence[str | int]
) -> np.ndarray:
    """Columns of a table without names, by number."""
    if columns is None and not ignore:
        return table
    left = {_number(path, table, name) for name in ignore}
    kept = range(table.shape[1]) if columns is None else [_number(path, table, name) for name in columns]
    if not (found := [k for k in kept if k not in left]):
        raise failure(path, "there is no column left; ignore fewer")
    return table[:, found]


def _number(path: str, table: np.ndarray, name: str | int) -> int:
    if not (str(name).isascii() and str(name).isdecimal() and int(name) < table.shape[1]):
        last = table.shape[1] - 1
        raise failure(path, f"there is no column {name!r}: there are 0 … {last}, and the file holds no names")
    return int(name)


# ---------------------------------------------------------------- packed bits


def is_packed(table: np.ndarray, n_features: int) -> bool:
    """Whether a table has the type and the width of packed bits."""
    width = table.shape[1]
    return table.dtype == np.uint8 and width != n_features and width == -(-n_features // 8)


def unpacked(place: Place, table: np.ndarray, n_features: int) -> np.ndarray:
    """The bits of each row, first the highest bit of a byte, as `np.packbits` packs them."""
    padding = -n_features % 8
    if padding and (table[:, -1] & (2**padding - 1)).any():
        raise place.error(f"has bits set beyond the {n_features} features of a row: it was not packed by np.packbits")
    return np.unpackbits(table, axis=1, count=n_features)


def with_columns(path: str, table: np.ndarray, n_features: int, may_be_packed: bool) -> np.ndarray:
    """The table if it has this many columns, else its bits if these are as many."""
    place, width = Place(path), table.shape[1]
    if n_features < 1:
        raise failure(path, f"cannot have {n_features} columns; give n_features ≥ 1")
    if width == n_features:
        return table
    # Bytes that are all 0 or 1 are rather the values of a table of another width.
    if may_be_packed and is_packed(table, n_features) and table.max() > 1:
        return unpacked(place, table, n_features)
    bits = f" or {-(-n_features // 8)} of packed bits (uint8, some above 1)" if may_be_packed else ""
    raise place.error(f"has {width} columns of {table.dtype}; expected {n_features}{bits}")
