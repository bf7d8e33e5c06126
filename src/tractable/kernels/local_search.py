"""Local search for the most probable joint state of tables: the kernel of `posterior/approximate/local_search.py`."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from . import Tables, kernel

_int, _long, _double, _pointer = ctypes.c_int, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


class Reach(NamedTuple):
    """How large neighbourhoods are: entries of a bucket, and of all messages of one together."""

    limit: int = 1 << 10
    room: int = 1 << 22

    @property
    def bytes(self) -> int:
        """What a search takes beside the tables."""
        return 8 * (self.limit + self.room)


class _Search(ctypes.Structure):
    _fields_ = [
        *((name, _long) for name in ("limit", "room", "work")),
        ("scale", _double),
        *((name, _pointer) for name in ("stream", "state", "best", "course")),
    ]


class LocalSearch:
    """A search in tables of logarithms, all of them finite; `run` goes on where the last one ended.

    >>> one, two = np.array([0, 1]), np.array([0, 2])
    >>> coin = Tables(np.array([2], np.int32), one, np.array([0], np.int32), two, np.array([1.0, 3.0]))
    >>> search = LocalSearch(coin, np.zeros(1, np.int32), Reach(), 1.0, 0)
    >>> search.run(1), search.best.tolist()
    (3.0, [1])
    """

    def __init__(self, logs: Tables, start: np.ndarray, reach: Reach, scale: float, seed: int):
        self.logs, self.reach, self.scale = logs, reach, scale
        self.state = np.array(start, np.int32)
        self.best = self.state.copy()
        self.stream = np.random.default_rng(seed).integers(1, 2**63, 1, np.uint64)
        self.course = np.array([0.0, -np.inf, 0.0, 0.0, 0.0, 0.0])

    def run(self, work: float) -> float:
        """About so many additions more; the value of the best state, which is in `best`."""
        arrays = (self.stream, self.state, self.best, self.course)
        struct = _Search(*self.reach, int(work), self.scale, *(a.ctypes.data for a in arrays))
        logs = self.logs
        _search()(len(logs.sizes), logs.n_factors, *logs.addresses, ctypes.addressof(struct))
        return float(self.course[1])


@cache
def _search() -> Any:
    return kernel("local_search", [_int, _int, *[_pointer] * 5, _pointer])
