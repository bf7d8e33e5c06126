"""Sums of products of tables by search: the kernel in C of `posterior/exact/counting.py`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from . import EVIDENCE, MARGINALS, WALK, Tables, kernel

SOLVED, OUT_OF_WORK, OUT_OF_ROOM, UNSUITED = range(4)
ANY = 4
"""The task of finding a state that is possible, which a search may end with."""

VISITS = 1e8
"""Visits of clauses in a second; measured."""

_int, _pointer = ctypes.c_int, ctypes.c_void_p


class SearchLimits(NamedTuple):
    """What a search may take: bytes of memory, visits of clauses, seconds for the order of decisions, and in all."""

    bytes: float
    visits: float = float("inf")
    order: float = 2.0
    limit: float = float("inf")


class Took(NamedTuple):
    """What a search took."""

    decisions: float
    contradictions: float
    remembered: float  # sums that were there already
    visits: float
    variables: float  # after what was made simpler
    clauses: float
    trace: float  # bytes
    summed: float  # variables that were summed out beforehand


class Counted(NamedTuple):
    """What a search found: `status` says whether it came to an end."""

    status: int
    log_z: float
    marginals: np.ndarray | None
    states: np.ndarray | None
    took: Took


@cache
def _count() -> Any:
    return kernel("count_tables", [_int, _int, *[_pointer] * 5, _int, _int, ctypes.c_uint64, *[_pointer] * 5])


def count(
    tables: Tables,
    terms: SearchLimits,
    task: int = EVIDENCE,
    n_samples: int = 0,
    seed: int = 0,
    watch: Callable[[float, float], None] | None = None,
) -> Counted:
    """log Z; with MARGINALS those of all states; with WALK samples, or the most probable state where `n_samples` is 0.

    The most probable state comes with the logarithm of its product in place of log Z. With ANY there are samples of
    what was found when something was, and log Z is that of this alone, −∞ where nothing is possible. `watch(decisions,
    done)` hears from time to time what was decided so far, and which share of all ways lies behind, as if they were
    alike.
    """
    n = len(tables.sizes)
    log_z, told, asked = np.empty(1), np.zeros(len(Took._fields)), np.array(terms, np.float64)
    marginals = np.empty(tables.n_states) if task == MARGINALS else None
    states = np.zeros((max(n_samples, 1), n), np.int32) if task in (WALK, ANY) else None
    outs = (asked, log_z, marginals, states, told)
    pointers = [None if a is None else a.ctypes.data for a in outs]
    seen = None if watch is None else lambda: watch(*told[:2].tolist())
    status = _count()(n, tables.n_factors, *tables.addresses, task, n_samples, seed, *pointers, watch=seen)
    return Counted(status, float(log_z[0]), marginals, states, Took(*told.tolist()))
