"""NumPy's .npz, a zip file of .npy files: one array of it, its size known and believed before it is expanded."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tractable.formats._base import EXPANSION, FREE_EXPANSION, amount, failure, readable, shown
from tractable.formats.data._base import Place, as_table, is_packed, unpacked
from tractable.formats.data.npy import Header, checked, header
from tractable.models._base import nearest

N_FEATURES = "n_features"
"""The entry that says how many bits are packed in a row."""

_DEFLATE = 1032
"""Deflate makes at most so many bytes of one."""

# zipfile says in all these ways that a file is damaged, or encrypted, or packed by a method that it does not know.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, LookupError, ArithmeticError)


def read(path: str, key: str | None) -> np.ndarray:
    """The table `key` of an .npz file, or its only one; unpacked if the file says how many bits a row has."""
    with _opened(path) as archive:
        info = _chosen(path, archive, key)
        place = _place(path, info)
        with archive.open(info) as file:
            head = header(place, file.read)
            checked(place, head)
            table = as_table(_array(place, info, head, file))
        n_features = _n_features(path, archive)
    return unpacked(place, table, n_features) if n_features and is_packed(table, n_features) else table


@contextmanager
def _opened(path: str) -> Iterator[zipfile.ZipFile]:
    with readable(path):
        try:
            with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
                yield archive
        except _DAMAGE as error:
            raise failure(path, f"is not an .npz file, or damaged ({error}); fetch it again") from None


def _key(info: zipfile.ZipInfo) -> str:
    return info.filename.removesuffix(".npy")


def _place(path: str, info: zipfile.ZipInfo) -> Place:
    return Place(path, f"the array {shown(_key(info))}")


def _chosen(path: str, archive: zipfile.ZipFile, key: str | None) -> zipfile.ZipInfo:
    entries = {_key(info): info for info in archive.infolist() if _key(info) != info.filename}
    names = [name for name in entries if name != N_FEATURES]
    listed = _listed(names)
    if not names:
        raise failure(path, "holds no array; write it with np.savez")
    if key is None and len(names) > 1:
        raise failure(path, f"holds {len(names)} arrays: {listed}; choose one, as in FILE.npz:{names[0]}")
    chosen = names[0] if key is None else key
    if chosen not in entries:
        raise failure(path, f"has no array {shown(chosen)}{nearest(chosen, names)}; it holds {listed}")
    return entries[chosen]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")


def _array(place: Place, info: zipfile.ZipInfo, head: Header, file: Any) -> np.ndarray:
    """The array after its header; what is allocated was promised by the header, the directory and the zip alike."""
    head.check(place, info.file_size)
    limit = max(FREE_EXPANSION, EXPANSION * info.compress_size)
    if info.file_size > limit:
        raise place.error(f"expands to more than {limit >> 20} MiB; if you trust it, save it with np.save")
    if info.file_size > _DEFLATE * info.compress_size + 2**10:
        raise place.error(f"cannot come to {amount(info.file_size)} bytes when expanded: the file is damaged")
    data = np.empty(head.n_bytes, np.uint8)
    _fill(place, data.data, file)
    return head.array(data)


def _fill(place: Place, rest: memoryview, file: Any) -> None:
    while rest:
        size = file.readinto(rest[: 2**24])
        if not size:
            raise place.error("ends early; fetch the file again")
        rest = rest[size:]
    file.read(1)  # the end of an entry is where its checksum is compared


def _n_features(path: str, archive: zipfile.ZipFile) -> int | None:
    """The number of bits in a row, if the file says it."""
    if f"{N_FEATURES}.npy" not in archive.namelist():
        return None
    info = archive.getinfo(f"{N_FEATURES}.npy")
    place = _place(path, info)
    with archive.open(info) as file:
        head = header(place, file.read)
        if head.shape or head.dtype.kind not in "ui":
            return None  # an array of that name with another purpose
        return int(_array(place, info, head, file)[()])


def write(table: np.ndarray) -> bytes:
    """A table as the content of an .npz file with the one array `data`."""
    out = io.BytesIO()
    np.savez_compressed(out, data=table)
    return out.getvalue()
