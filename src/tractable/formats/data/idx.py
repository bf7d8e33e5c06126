"""IDX, the format of the MNIST files: two zero bytes, type, number of axes, their lengths, and the numbers."""

from __future__ import annotations

from math import prod

import numpy as np

from tractable.formats._base import amount, content
from tractable.formats.data._base import Place, as_table, check_shape

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read(path: str) -> np.ndarray:
    """The table in an IDX file: images become rows, and bytes stay bytes."""
    source, place = content(path), Place(path)
    data = source.data
    if not data:
        raise source.error("the file is empty")
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES:
        raise source.error("is not an IDX file: it does not begin with two zero bytes and a type")
    offset = 4 + 4 * data[3]
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, offset, 4))
    dtype = np.dtype(_TYPES[data[2]])
    if (needed := offset + prod(shape) * dtype.itemsize) != len(data):
        raise source.error(f"needs {amount(needed)} bytes by its header, but has {len(data)}; fetch the file again")
    check_shape(place, shape)
    return as_table(np.frombuffer(data, dtype, offset=offset).reshape(shape[0], -1).copy())
