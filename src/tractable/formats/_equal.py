"""Whether a model is another one, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def difference(a: Any, b: Any, where: str) -> str | None:
    """Where two records of arrays first differ, in their type or to the last bit; None where they do not.

    >>> difference({"x": np.zeros(2), "y": (1, "b")}, {"x": np.zeros(2), "y": (1, "c")}, "model")
    'model.y.1'
    """
    if hasattr(a, "__array__"):
        return None if _same(np.asarray(a), np.asarray(b)) else where
    if is_dataclass(a) and type(a) is not type(b):
        return f"{where}, a {type(a).__name__},"
    parts, others = _parts(a), _parts(b)
    if parts is None or others is None:
        return None if a == b else where
    if parts.keys() != others.keys():
        return where
    found = (difference(part, others[name], f"{where}.{name}") for name, part in parts.items())
    return next(filter(None, found), None)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and np.array_equal(a, b)


def _parts(x: Any) -> dict[Any, Any] | None:
    """What a record (but for what it works out itself), mapping or sequence is made of."""
    if is_dataclass(x):
        return {f.name: getattr(x, f.name) for f in fields(x) if f.init}
    if isinstance(x, Mapping):
        return dict(x)
    return dict(enumerate(x)) if isinstance(x, tuple | list) else None
