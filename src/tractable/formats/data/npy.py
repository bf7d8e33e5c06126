"""NumPy's .npy: the header is parsed here and held against the length of the file before anything is allocated."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from tractable.formats._base import amount, content, file_size, is_gzip, readable
from tractable.formats.data._base import Place, as_table, check_shape

MAPPED = 2**26
"""A file of more bytes is not read but mapped into memory."""

_MAGIC = b"\x93NUMPY"
_LONGEST = 2**16
_MOST_AXES = 32
_TYPE = re.compile(r"""['"]descr['"]\s*:\s*['"]([<>=|]?[A-Za-z?]\d{0,4})['"]""")
_ORDER = re.compile(r"""['"]fortran_order['"]\s*:\s*(True|False)""")
_SHAPE = re.compile(r"""['"]shape['"]\s*:\s*\(([\d,\s]*)\)""")


@dataclass(frozen=True)
class Header:
    """What the head of a file says about the array that follows."""

    dtype: np.dtype
    shape: tuple[int, ...]
    order: str
    offset: int
    """Bytes before the array."""

    @property
    def n_bytes(self) -> int:
        """The length of the array, as a number of any size."""
        return prod(self.shape) * self.dtype.itemsize

    def check(self, place: Place, size: int) -> None:
        """Refuse an array that is not just as long as what follows the header."""
        if self.n_bytes != size - self.offset:
            there = amount(size - self.offset)
            raise place.error(
                f"needs {amount(self.n_bytes)} bytes by its header, but there are {there}; fetch the file again"
            )

    def array(self, data: bytes | bytearray | np.ndarray, offset: int = 0) -> np.ndarray:
        """The bytes as an array, not copied."""
        return np.ndarray(self.shape, self.dtype, data, offset, order=self.order)  # type: ignore[arg-type]


def header(place: Place, read: Callable[[int], bytes]) -> Header:
    """The header of an array of numbers; `read` gives the next bytes."""
    start = read(8)
    if not start:
        raise place.error("is empty")
    if start[:6] != _MAGIC:
        why = "a pickle, which is never read" if start[:1] == b"\x80" else "not in NumPy's format"
        raise place.error(f"is {why}; write it with np.save")
    width = 2 if start[6:7] == b"\x01" else 4
    length = int.from_bytes(read(width), "little")
    if start[6:7] not in (b"\x01", b"\x02", b"\x03") or length > _LONGEST:
        raise place.error("has a header of an unknown kind; write it with np.save")
    text = read(length).decode("latin-1")
    if len(text) < length:
        raise place.error("ends within its header; fetch the file again")
    return _parsed(place, text, 8 + width + length)


def _parsed(place: Place, text: str, offset: int) -> Header:
    found = [part.search(text) for part in (_TYPE, _ORDER, _SHAPE)]
    if "'O" in text or "|O" in text:
        raise place.error("holds Python objects (a pickle), which are never read; save it as an array of numbers")
    if None in found:
        raise place.error("has a header that does not describe an array of numbers; write it with np.save")
    kind, order, shape = (part[1] for part in found if part)
    axes = tuple(int(axis) for axis in shape.split(",") if axis.strip())
    return Header(_dtype(place, kind), axes, "F" if order == "True" else "C", offset)


def _dtype(place: Place, kind: str) -> np.dtype:
    try:
        dtype = np.dtype(kind)
    except TypeError:
        raise place.error(f"has the unknown type {kind!r}; write it with np.save") from None
    if dtype.kind not in "buif" or not dtype.itemsize:
        raise place.error(f"holds {dtype}, not numbers; save it as an array of numbers")
    return dtype


def checked(place: Place, head: Header) -> None:
    """Refuse a header whose array is no table."""
    check_shape(place, head.shape)
    if len(head.shape) > _MOST_AXES:
        raise place.error(f"has {len(head.shape)} axes; reshape it to rows and columns")


def read(path: str) -> np.ndarray:
    """The table in an .npy file; above `MAPPED` bytes it stays in the file, read-only."""
    place = Place(path)
    if is_gzip(path):
        source = content(path)
        head = header(place, io.BytesIO(source.data).read)
        head.check(place, len(source.data))
        checked(place, head)
        return as_table(head.array(source.data, head.offset).copy(order="K"))
    with readable(path):
        return _from_file(place, path)


def _from_file(place: Place, path: str) -> np.ndarray:
    with open(path, "rb") as file:
        head = header(place, file.read)
        head.check(place, size := file_size(path))
        checked(place, head)
        if size > MAPPED:
            mapped = np.memmap(file, head.dtype, "r", head.offset, head.shape, head.order)  # type: ignore[arg-type]
            return as_table(np.asarray(mapped))
        data = bytearray(head.n_bytes)
        if file.readinto(data) != len(data):
            raise place.error("became shorter while it was read")
        return as_table(head.array(data))


def write(table: np.ndarray) -> bytes:
    """A table as the content of an .npy file."""
    out = io.BytesIO()
    np.save(out, table, allow_pickle=False)
    return out.getvalue()
