"""Gibbs sampling of tables: the kernel in C of `posterior/approximate/table_gibbs.py`."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np

from . import Tables, kernel
from .threads import in_order

TOGETHER, FEW = 8, 1e6
"""Chains in one call, where there is enough to do for several cores: draws, times the tables of a variable."""

_int, _long, _pointer = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p


class _Chains(ctypes.Structure):
    _fields_ = [
        ("n_chains", _long),
        ("n_sweeps", _long),
        *((name, _pointer) for name in ("streams", "states", "means", "squares")),
    ]


class TableScan:
    """Chains in states [n_chains, n_variables], each with a stream of random numbers; runs go on where the last ended.

    >>> one, two = np.array([0, 1]), np.array([0, 2])
    >>> coin = Tables(np.array([2], np.int32), one, np.array([0], np.int32), two, np.array([1.0, 3.0]))
    >>> TableScan(np.zeros((2, 1), np.int32), 0).run(coin, 10, averaged=True)[0].tolist()
    [[0.25, 0.75], [0.25, 0.75]]
    """

    def __init__(self, states: np.ndarray, seed: int):
        self.states = np.array(states, np.int32, order="C")
        self.streams = np.random.default_rng(seed).integers(1, 2**63, len(states), np.uint64)

    def run(self, tables: Tables, n_sweeps: int, averaged: bool = False) -> tuple[np.ndarray, np.ndarray] | None:
        """So many sweeps; if asked for, the mean of each state's probability and of its square along each chain.

        Both [n_chains, n_states]; a variable's probabilities are those that it is drawn with.
        """
        n, shape = len(self.states), (len(self.states), tables.n_states)
        sums = (np.zeros(shape), np.zeros(shape)) if averaged else None

        def some(first: int) -> None:
            own = slice(first, first + together)
            rows = [a[own].ctypes.data for a in (self.streams, self.states, *(sums or ()))]
            struct = _Chains(len(self.streams[own]), n_sweeps, *rows)
            _sweeps()(len(tables.sizes), tables.n_factors, *tables.addresses, ctypes.addressof(struct))

        together = n if n_sweeps * n * len(tables.scopes) < FEW else TOGETHER
        list(in_order(some, range(0, n, together)) if together < n else map(some, range(0, n, max(together, 1))))
        return None if sums is None else (sums[0] / max(n_sweeps, 1), sums[1] / max(n_sweeps, 1))


@cache
def _sweeps() -> Any:
    return kernel("gibbs_sweeps", [_int, _int, *[_pointer] * 5, _pointer])
