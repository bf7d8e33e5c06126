"""The best of all states of up to 30 binary units, beside any number of others each of which has its better state.

The kernel is enumerate_best.c; this file cuts the states into chunks and runs these on all cores.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from . import kernel
from .enumeration import CHUNK, INNER, WIDTH, checked
from .threads import in_order

_long, _pointer = ctypes.c_int64, ctypes.c_void_p


class _Maximum(ctypes.Structure):
    _fields_ = [("n", _long), ("m", _long)] + [(name, _pointer) for name in ("weights", "linear", "fields", "coupling")]


class BestStates(NamedTuple):
    """The best states, as numbers whose bit i is h_i, and their values, the largest first."""

    values: np.ndarray
    states: np.ndarray


def best_states(W: np.ndarray, c: np.ndarray, b: np.ndarray, J: np.ndarray | None, n: int) -> BestStates:
    """The `n` states h ∈ {0,1}^units of largest c·h + Σ_{i<j} J_ij h_i h_j + Σ_k max(0, b_k + Σ_i h_i W_ik).

    Arrays as for `enumeration.log_sum`. Of what is equal up to rounding, any.

    >>> found = best_states(np.zeros((2, 1)), np.array([1.0, -3.0]), np.array([0.5]), None, 3)
    >>> found.values.tolist(), found.states.tolist()
    ([1.5, 0.5, -1.5], [1, 0, 3])
    """
    W, c, b, J = checked(W, c, b, J)
    units, m = W.shape
    total, n = 1 << units, min(n, 1 << units)
    W, b = np.pad(W, ((0, 0), (0, -m % WIDTH))), np.pad(b, (0, -m % WIDTH), constant_values=-np.inf)
    struct = _Maximum(units, len(b), W.ctypes.data, c.ctypes.data, b.ctypes.data, None if J is None else J.ctypes.data)
    blocks = max(1, CHUNK // (2**INNER * (len(b) + 2 * units + 32)))

    def part(start: int) -> BestStates:
        size = min(n, blocks << INNER, total - start)
        values, states = np.empty(size), np.empty(size, np.int64)
        last = min(start + (blocks << INNER), total)
        _kernel()(ctypes.addressof(struct), start, last, size, values.ctypes.data, states.ctypes.data)
        return BestStates(values, states)

    best = BestStates(np.zeros(0), np.zeros(0, np.int64))
    for found in in_order(part, range(0, total, blocks << INNER)):
        best = _largest(BestStates(*(np.concatenate(own) for own in zip(best, found, strict=True))), n)
    return best


def _largest(found: BestStates, n: int) -> BestStates:
    order = np.lexsort((found.states, -found.values))[:n]
    return BestStates(found.values[order], found.states[order])


@cache
def _kernel() -> Any:
    return kernel("enumerate_best", [_pointer, _long, _long, _long, _pointer, _pointer])
