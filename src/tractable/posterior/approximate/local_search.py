"""Ever more probable joint states of tables: local search in neighbourhoods that elimination solves (local_search.c).

A zero costs more than all that other entries could make good, so that a state with fewer of them is always better, and
states are handed out from the first one that is possible on. Nothing is known about how far off the optimum they are.

Sources: Hamze & de Freitas 2004, Selby 2014 (neighbourhoods of low width); Papandreou & Yuille 2011 (noise on entries).
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tractable.kernels import Tables
from tractable.kernels.local_search import LocalSearch, Reach
from tractable.kernels.propagation import Patience, propagate
from tractable.posterior.approximate.table_starts import Support, possible_state

LIMITS = 1 << 12, 1 << 18
"""Entries of a bucket: three variables of the most states have one together, within these limits."""

FIRST, WORK = 1e5, 3e7
"""Additions of the first call of the kernel, twice as many in each that follows, and in all that come later."""

GUIDE, MESSAGES = Patience(200, 1e-4, 0.5, 5), 4_000_000
"""Messages that say where to begin: sweeps, but no more entries than these in all."""

HOPELESS, VISITS = 12, 1e8
"""Calls without a state that is possible, after which one is looked for by other means, and the work of these."""


class Improved(NamedTuple):
    """The log product of all tables, and the states [n] that it is of."""

    value: float
    states: np.ndarray


def improving(
    tables: Tables,
    start: np.ndarray | None = None,
    *,
    seconds: float = math.inf,
    iterations: float = math.inf,
    seed: int = 0,
    memory: float = math.inf,
) -> Iterator[Improved]:
    """Ever better states, the first one soon, for so many seconds or iterations, which are the same for the same seed.

    >>> ends, both = np.array([0, 2]), np.array([0, 1], np.int32)
    >>> pair = Tables(np.array([2, 2], np.int32), ends, both, 2 * ends, np.array([1.0, 4.0, 3.0, 0.0]))
    >>> [found.states.tolist() for found in improving(pair, iterations=1)]
    [[0, 1]]
    """
    most = -math.inf
    for i, found in enumerate(steps(tables, start, seconds, seed, memory), 1):
        if found.value > most:
            most = found.value
            yield found
        if i >= iterations:
            return


def steps(
    tables: Tables, start: np.ndarray | None, seconds: float, seed: int = 0, memory: float = math.inf
) -> Iterator[Improved]:
    """The best states so far, again and again: who listens may leave."""
    until, most = time.monotonic() + seconds, -math.inf
    begin = believed(tables) if start is None else start
    logs, scale = softened(tables)
    search = LocalSearch(logs, begin, reach_of(tables, memory), scale, seed)
    for i in itertools.count(1):
        search.run(min(FIRST * 2.0 ** min(i, 60), WORK))
        value = log_product(tables, search.best)
        most = max(most, value)
        yield Improved(value, search.best.copy())
        if time.monotonic() >= until:
            return
        if i == HOPELESS and most == -math.inf and (other := possible_state(tables, seed, VISITS)) is not None:
            search = LocalSearch(logs, other, search.reach, scale, seed)


def believed(tables: Tables) -> np.ndarray:
    """The state of each variable that messages believe in most."""
    sweeps = min(GUIDE.sweeps, MESSAGES // max(len(tables.values), 1))
    if not len(tables.scopes) or not sweeps:
        return np.zeros(len(tables.sizes), np.int32)
    beliefs = propagate(tables, np.arange(tables.n_factors), GUIDE._replace(sweeps=sweeps)).beliefs
    ends = np.cumsum(tables.sizes)
    return np.array([own.argmax() for own in np.split(beliefs, ends[:-1])], np.int32)


def reach_of(tables: Tables, memory: float = math.inf) -> Reach:
    """How large neighbourhoods are within so many bytes, if these are not too few for the states of one variable."""
    widest, one = float(np.sort(tables.sizes)[-3:].prod(dtype=float)), int(tables.sizes.max(initial=1))
    entries = max((memory - tables.values.nbytes) / 8, 2)
    limit = int(min(max(widest, LIMITS[0]), LIMITS[1], entries / 2))
    return Reach(max(limit, one), int(max(min(Reach().room, entries - limit), 1)))


def softened(tables: Tables) -> tuple[Tables, float]:
    """Logarithms, of zeros what they cost; and how far those of a table are apart: their standard deviation."""
    if not tables.n_factors:
        return tables, 1.0
    n, first = np.diff(tables.value_starts), tables.value_starts[:-1]
    positive = tables.values > 0
    logs = np.log(np.where(positive, tables.values, 1.0))
    low = np.minimum.reduceat(np.where(positive, logs, np.inf), first)
    low = np.where(np.isfinite(low), low, 0.0)
    high = np.maximum(np.maximum.reduceat(np.where(positive, logs, -np.inf), first), low)
    logs = np.where(positive, logs, np.repeat(low - 1.0 - (high - low).sum(), n))
    own = np.maximum(np.add.reduceat(positive.astype(float), first), 1.0)
    means = np.add.reduceat(np.where(positive, logs, 0.0), first) / own
    apart = np.where(positive, logs - np.repeat(means, n), 0.0)
    scale = math.sqrt((apart**2).sum() / max(positive.sum(), 1))
    return replace(tables, values=np.ascontiguousarray(logs)), scale or 1.0


def log_product(tables: Tables, states: np.ndarray) -> float:
    """The logarithm of the product of all tables at these states [n]."""
    strides = Support.of(tables).strides if len(tables.scopes) else np.zeros(0, np.int64)
    moved = np.concatenate([[0], np.cumsum(states[tables.scopes] * strides)])
    entries = tables.values[tables.value_starts[:-1] + np.diff(moved[tables.scope_starts])]
    return float(np.log(entries).sum()) if (entries > 0).all() else -math.inf
