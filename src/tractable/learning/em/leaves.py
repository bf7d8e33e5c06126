"""The arrays in a record, by the way to each, and the record with others in their place: what a checkpoint holds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from tractable.models import ModelError


def leaves(record: Any, way: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Arrays and real numbers in a record of records, mappings and sequences, each with the way to it.

    >>> dict(leaves({"a": np.zeros(2), "b": ("text", 0.5)}))
    {'a': array([0., 0.]), 'b.1': array(0.5)}
    """
    if isinstance(record, np.ndarray | float):
        yield way, np.asarray(record)
    for name, part in _parts(record):
        yield from leaves(part, f"{way}.{name}" if way else name)


def filled(like: Any, arrays: Mapping[str, np.ndarray], way: str = "") -> Any:
    """A record like another one with these arrays in it, bit for bit: nothing is checked or normalized anew.

    Raises
    ------
    ModelError : an array that is missing, or has another shape or type.
    """
    if isinstance(like, np.ndarray | float):
        return _taken(like, arrays, way)
    parts = {name: filled(part, arrays, f"{way}.{name}" if way else name) for name, part in _parts(like)}
    if is_dataclass(like) and not isinstance(like, type):
        return _made(type(like), {f.name: getattr(like, f.name) for f in fields(like)} | parts)
    if isinstance(like, Mapping):
        return dict(zip(like, parts.values(), strict=True))
    if isinstance(like, tuple | list):
        return type(like)(*parts.values()) if hasattr(like, "_fields") else type(like)(parts.values())
    return like


def fingerprint(record: Any) -> list[Any]:
    """Shapes of the arrays in a record, and a checksum of some of their rows."""
    found, check = [], 0
    for _, array in leaves(record):
        sample = array[:: max(1, len(array) // 64)] if array.ndim else array
        found.append([*array.shape])
        check = zlib.crc32(np.ascontiguousarray(sample).tobytes(), check)
    return [*found, check]


def _parts(record: Any) -> list[tuple[str, Any]]:
    if is_dataclass(record) and not isinstance(record, type):
        return [(f.name, getattr(record, f.name)) for f in fields(record) if not f.metadata.get("kept")]
    if isinstance(record, Mapping):
        return [(str(name), part) for name, part in record.items()]
    return [(str(i), part) for i, part in enumerate(record)] if isinstance(record, tuple | list) else []


def _taken(like: np.ndarray | float, arrays: Mapping[str, np.ndarray], way: str) -> np.ndarray | float:
    found, wanted = arrays.get(way), np.asarray(like)
    if found is None or found.shape != wanted.shape or found.dtype != wanted.dtype:
        raise ModelError("holds arrays of other shapes")
    return float(found) if isinstance(like, float) else np.array(found)


def _made(kind: type, values: dict[str, Any]) -> Any:
    """A frozen record with these fields, without its constructor, which might round them."""
    record = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(record, name, value)
    return record
