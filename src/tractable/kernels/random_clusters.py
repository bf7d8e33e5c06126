"""Exact, independent draws of the spins of a ferromagnet by coupling random clusters from the past.

The kernel is random_clusters.c; what it draws depends on the seed and the number of the draw alone.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from . import kernel
from .threads import in_order

TOGETHER = 8
"""Draws in one call."""

_long, _pointer = ctypes.c_int64, ctypes.c_void_p


class Bonds(NamedTuple):
    """A ferromagnet p(s) ∝ exp(Σ J_ij s_i s_j) of spins, the last of which, the ghost, is 1; its bonds are fields."""

    n: int  # vertices, the ghost included
    ends: np.ndarray  # [m, 2] int32, different from one another
    couplings: np.ndarray  # [m] J > 0


class DrawnSpins(NamedTuple):
    """Spins [n_draws, n − 1] of ±1, and of each draw the bonds visited and the steps of searches."""

    spins: np.ndarray
    work: np.ndarray


class _Ferromagnet(ctypes.Structure):
    _fields_ = [
        ("n", _long),
        ("m", _long),
        *((name, _pointer) for name in ("ends", "low", "high")),
        ("seed", ctypes.c_uint64),
        ("limit", _long),
        *((name, _pointer) for name in ("spins", "work")),
    ]


def draws(bonds: Bonds, n: int, seed: int, limit: float) -> DrawnSpins | None:
    """`n` draws; None where one of them takes more than the limit.

    >>> pair = Bonds(3, np.array([[0, 1]], np.int32), np.array([100.0]))
    >>> found = draws(pair, 1000, 0, 1e6)
    >>> bool((found.spins[:, 0] == found.spins[:, 1]).all()), abs(int(found.spins[:, 0].sum())) < 150
    (True, True)
    """
    ends = np.ascontiguousarray(bonds.ends, np.int32).reshape(-1, 2)
    if ends.size and (ends.min() < 0 or ends.max() >= bonds.n or (ends[:, 0] == ends[:, 1]).any()):
        raise ValueError(f"bonds join two different vertices from 0 to {bonds.n - 1}")
    open_apart = -np.expm1(-2.0 * np.asarray(bonds.couplings, np.float64))
    low, high = open_apart / (2.0 - open_apart), np.ascontiguousarray(open_apart)
    if high.shape != (len(ends),) or not (high >= 0).all():
        raise ValueError("there is one coupling ≥ 0 for each bond")
    out = DrawnSpins(np.empty((n, bonds.n - 1), np.int8), np.zeros(n, np.int64))
    own = [a.ctypes.data for a in (ends, low, high, out.spins, out.work)]
    struct = _Ferromagnet(bonds.n, len(ends), *own[:3], seed, int(min(limit, 2**62)), *own[3:])

    def some(first: int) -> int:
        return _kernel()(ctypes.addressof(struct), first, min(first + TOGETHER, n))

    return None if any(in_order(some, range(0, n, TOGETHER))) else out


@cache
def _kernel() -> Any:
    return kernel("random_clusters", [_pointer, _long, _long])
