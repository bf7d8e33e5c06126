"""Budgets and predicted times."""

from __future__ import annotations

import os
import re
import time
from functools import cache, lru_cache
from numbers import Real
from typing import Any

import numpy as np

from tractable.kernels.threads import n_cores
from tractable.plan._base import Anytime, Ask, Budget, Query

UNITS = {"": 1, "b": 1, "k": 10**3, "kb": 10**3, "kib": 2**10, "m": 10**6, "mb": 10**6, "mib": 2**20}
UNITS |= {"g": 10**9, "gb": 10**9, "gib": 2**30, "t": 10**12, "tb": 10**12, "tib": 2**40}

MAX_SECONDS = 3600.0
"""A query predicted to take longer than this is refused, unless `seconds` says otherwise."""

PATIENCE = {"sample": 10.0, "impute": 10.0, "transform": 10.0}
"""Predicted seconds up to which these are exact; beyond, chains or mean field answer."""

LIKELIHOOD = 60.0
"""The same for log-likelihoods, which could be annealed."""

COMPARED = 1.0
"""Predicted seconds up to which log p(x) is computed beside an approximation, to say how far q is off."""

START_FLOPS = 2e8
"""Multiply-adds up to which the samples that reverse annealing starts from are exact."""

LIVE_LOG2_STATES = 16
"""Joint states, as a power of two, up to which log Z is exact while a machine is being trained."""

Memory = int | float | str | None


def ask(query: Query, memory: Memory = None, seconds: float | None = None, method: Any = "auto", **more: Any) -> Ask:
    """A question with its budget; `more` are ``n`` samples and ``patience``.

    Raises
    ------
    ValueError : a budget that is no size, or no time.
    """
    return Ask(query, _budget(memory, seconds), method, **more)


EXACT, INTERVAL = 30.0, 10.0
"""Where no budget says otherwise: predicted seconds up to which numbers are exact, and those of an interval instead."""


@lru_cache(64, typed=True)
def anytime(seconds: float | None, confidence: float | None = None, draws: int | None = None) -> Anytime:
    """The terms on which an interval may answer.

    Raises
    ------
    ValueError : a confidence outside of (0, 1), no draws, no time.
    """
    if confidence is not None and not (isinstance(confidence, Real) and 0 < confidence < 1):
        raise ValueError(f"a confidence lies between 0 and 1, got {confidence!r}")
    if draws is not None and not (isinstance(draws, int | np.integer) and draws > 0 and draws is not True):
        raise ValueError(f"the number of draws is a positive whole number, got {draws!r}")
    patience, limit = (EXACT, INTERVAL) if seconds is None else (seconds, seconds)
    return Anytime(patience, limit, 0.95 if confidence is None else float(confidence), draws)


@lru_cache(64)
def _budget(memory: Memory, seconds: float | None) -> Budget:
    if seconds is not None and not (isinstance(seconds, Real) and seconds > 0):
        raise ValueError(f"a budget of seconds must be positive, got {seconds!r}")
    return Budget(memory_bytes(memory), MAX_SECONDS if seconds is None else float(seconds))


def memory_bytes(memory: Memory) -> float:
    """A memory budget in bytes: a number, a text such as ``4GiB``, or half of this machine's memory for None.

    >>> memory_bytes("4GiB") == 4 * 2**30
    True
    """
    if memory is None:
        return 0.5 * physical_memory()
    if isinstance(memory, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Z]*)\s*", memory)
        if not match or match[2].lower() not in UNITS:
            raise ValueError(f"memory {memory!r} is not a size; write for example 4GiB, 500MB or a number of bytes")
        memory = float(match[1]) * UNITS[match[2].lower()]
    if not memory > 0:
        raise ValueError(f"a memory budget must be positive, got {memory!r}")
    return float(memory)


def memory_of_fit(memory: Memory) -> float:
    """What a fit by gradient may take, in bytes: all of this machine's memory for None."""
    return physical_memory() if memory is None else memory_bytes(memory)


@cache
def physical_memory() -> float:
    """Bytes of main memory; 4 GiB where the system does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return 4.0 * 2**30


# Measured with benchmarks/prediction.py on a 2-core machine; `speed` scales them to the machine at hand.
STEP, ENTRY, COLD, SMALL, DENSE = 9e-7, 6e-10, 1e-8, 6e-10, 1.5e-10
SWEEPS = {"evidence": 1.0, "joint": 1.0, "map": 1.0, "sample": 1.0}
"""Sweeps of a query through its tree; marginals, and what is made of them, take three."""

SLICE = 3e-6
CALL = 3e-5
AT_ONCE = 0.1
"""Below so many predicted seconds the first tree is taken without a second look."""

MAX_LOG2_SLICES = 24.0
"""More slices than 2 to this are never made."""

SLACK = 32
REFERENCE = 4e-5


@cache
def speed() -> float:
    """How much slower than the reference machine a core of this one is, from a few milliseconds of arithmetic."""
    a, b = np.ones(1 << 15), np.empty(1 << 15)
    best = np.inf
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(4):
            np.multiply(a, a, out=b)
            np.add(a, b, out=b)
        best = min(best, time.perf_counter() - start)
    return float(np.clip(best / REFERENCE, 0.1, 10.0))


def predicted_seconds(cost: np.ndarray, n_steps: int, query: str, slices: float = 1) -> float:
    """Seconds for a contraction tree with this cost (see `tree_cost`): steps, entries moved, and multiply-adds.

    The reverse sweep repeats each contraction for both operands, hence three times the forward cost. Slices are spread
    over the cores, and each conditions the network anew.
    """
    cold = COLD * float(cost[7])
    each = sweeps(query) * (warm_seconds(cost, n_steps) + cold) + (SLICE * n_steps if slices > 1 else 0.0)
    seconds = CALL + each * slices / min(slices, n_cores())
    return seconds if seconds < AT_ONCE else seconds * speed()


@lru_cache(8)
def terms(memory: float, seconds: float) -> np.ndarray:
    """The price below which `kernels.answer` may run without being planned first: see `Terms` in query.c.

    Entries and seconds at most, then what makes up the seconds: `predicted_seconds` as weights of a tree's cost.
    """
    each = sweeps("marginals") * np.array([STEP, SMALL, 0, 0, 0, ENTRY, DENSE - SMALL, 0, COLD, 0])
    return np.array([memory / 8 - SLACK, min(AT_ONCE, seconds), CALL, *each])


def sweeps(query: str) -> float:
    """Sweeps of a query through its tree."""
    return SWEEPS.get(query, 3.0)


def warm_seconds(cost: np.ndarray, n_steps: int) -> float:
    """Seconds of one sweep up the tree when all tables stay in cache."""
    flops, _, _, _, traffic, dense, *_ = cost.tolist()
    return STEP * n_steps + ENTRY * traffic + SMALL * (flops - dense) + DENSE * dense


def predicted_bytes(cost: np.ndarray, query: str, slices: float = 1) -> float:
    """Bytes of tables held at once: all in the reverse sweep, else only those alive; one slice for each core.

    The walk for the most probable state keeps all tables too, and works on the logarithms of the given ones.
    """
    entries = cost[3] if query in ("evidence", "joint") else cost[6] + (cost[8] if query == "map" else 0.0)
    return float(8.0 * (entries + SLACK) * min(slices, n_cores()))


def least_price(width: float, query: str) -> Budget:
    """What a run of at least this width takes at the least, in however many slices: none divides the work."""
    work = 2.0 ** min(width, 1000.0)
    seconds = sweeps(query) * DENSE * work * speed() / n_cores()
    return Budget(8.0 * work / 2.0**MAX_LOG2_SLICES, seconds)
