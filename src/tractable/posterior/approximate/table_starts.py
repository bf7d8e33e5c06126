"""Where chains in networks of tables start: far apart, each in a state of positive weight.

All first states and all last ones, which are the ends of what is monotone; draws from beliefs, and coins. Where zeros
rule such a state out, chains move by tables in which zeros are small numbers, ever smaller ones, until nothing is ruled
out any more. Where none gets there, variables are set one after the other, and zeros are propagated after each.

Source: Minton et al. 1992 (min-conflicts), here by annealing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tractable.kernels import Tables, reduce
from tractable.kernels.counting import ANY, SOLVED, SearchLimits, count
from tractable.kernels.propagation import Patience, propagate
from tractable.kernels.table_gibbs import TableScan

FLOORS, SWEEPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-9), 25
"""What stands for a zero, as a share of the largest entry, and the sweeps with each."""

GUIDE = Patience(20, 1e-3, 0.5, 5)
"""Messages that say where to look."""

CHAINS, ENTRIES, MEMORY = 2, 1e7, 2.0**28
"""Chains that look for one possible state, entries of tables up to which a search does so too, and its bytes."""

DIVES, STEPS = 8, 4000
"""Tries to set all variables one after the other, and the settings tried in all of them together."""

UNFOUND = "no state of positive weight was found to start from, which does not prove that there is none"


def starts(tables: Tables, n_chains: int, seed: int) -> np.ndarray | None:
    """States of positive weight [n_chains, n_variables], where some are found."""
    rng = np.random.default_rng(seed)
    if not tables.n_factors:
        return _apart(tables, np.repeat(1.0 / tables.sizes, tables.sizes), n_chains, rng)
    beliefs = propagate(tables, np.arange(tables.n_factors), GUIDE).beliefs
    found = _annealed(tables, _apart(tables, beliefs, n_chains, rng), seed)
    if not len(found):
        found = _dived(tables, beliefs, rng)
    return found[np.resize(np.arange(len(found)), n_chains)] if len(found) else None


def possible_state(tables: Tables, seed: int, visits: float, seconds: float = np.inf) -> np.ndarray | None:
    """A state of positive weight [n_variables]: where chains get, or by a search that learns from contradictions.

    >>> ends, both = np.array([0, 2]), np.array([0, 1], np.int32)
    >>> unlike = Tables(np.array([2, 2], np.int32), ends, both, 2 * ends, np.array([0.0, 0.0, 3.0, 0.0]))
    >>> possible_state(unlike, 0, 1e6).tolist()
    [1, 0]
    """
    rng = np.random.default_rng(seed)
    if not tables.n_factors:
        return np.zeros(len(tables.sizes), np.int32)
    beliefs = propagate(tables, np.arange(tables.n_factors), GUIDE).beliefs
    found = _annealed(tables, _apart(tables, beliefs, CHAINS, rng), seed)
    if len(found) or tables.values.size > ENTRIES:
        return found[0] if len(found) else None
    searched = count(tables, SearchLimits(MEMORY, visits, 0, seconds), ANY, 1, seed)
    if searched.status != SOLVED or searched.log_z == -np.inf or searched.states is None:
        return None
    return searched.states[0] if Support.of(tables).positive(searched.states)[0] else None


def _apart(tables: Tables, beliefs: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """All first states, all last ones, half of the others from beliefs, half by coins."""
    ends = np.cumsum(tables.sizes)
    states = rng.integers(tables.sizes, size=(n, len(tables.sizes)), dtype=np.int32)
    for v, own in enumerate(np.split(beliefs, ends[:-1])):
        if (total := own.sum()) > 0:
            states[::2, v] = rng.choice(len(own), size=len(states[::2]), p=own / total)
    states[:1], states[1:2] = 0, tables.sizes - 1
    return states


def _annealed(tables: Tables, states: np.ndarray, seed: int) -> np.ndarray:
    """The states where chains got that are possible, each as soon as it was."""
    support, found = Support.of(tables), states.copy()
    there = support.positive(states)
    if not there.all():
        chains, scale = TableScan(states, seed), np.maximum.reduceat(tables.values, tables.value_starts[:-1])
        each = np.repeat(scale, np.diff(tables.value_starts))
        for floor in FLOORS:
            chains.run(replace(tables, values=np.where(tables.values > 0, tables.values, floor * each)), SWEEPS)
            new = support.positive(chains.states) & ~there
            found[new], there = chains.states[new], there | new
            if there.all():
                break
    return found[there]


class Support:
    """Whether states are possible: the places of their entries."""

    def __init__(self, tables: Tables, strides: np.ndarray):
        self.tables, self.strides = tables, strides

    @classmethod
    def of(cls, tables: Tables) -> Support:
        """Of tables over at least one variable each."""
        log = np.cumsum(np.log2(tables.sizes[tables.scopes]))
        ends = np.repeat(log[tables.scope_starts[1:] - 1], np.diff(tables.scope_starts))
        return cls(tables, np.rint(np.exp2(ends - log)).astype(np.int64))

    def positive(self, states: np.ndarray) -> np.ndarray:
        """Of each of these states [n, n_variables]."""
        tables = self.tables
        moved = states[:, tables.scopes] * self.strides
        at = tables.value_starts[:-1] + np.add.reduceat(moved, tables.scope_starts[:-1], axis=1)
        return np.all(tables.values[at] > 0, axis=1, keepdims=True)[:, 0]


def _dived(tables: Tables, beliefs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """States that were found by setting variables one after the other [n_found, n_variables]."""
    left, found = [STEPS], []
    for _ in range(DIVES):
        state = _dive(tables, beliefs, rng, left)
        if state is not None:
            found.append(state)
        if left[0] <= 0:
            break
    return np.array(found, np.int32).reshape(-1, len(tables.sizes))


def _dive(tables: Tables, beliefs: np.ndarray, rng: np.random.Generator, left: list[int]) -> np.ndarray | None:
    """A state, variables in a random order; one whose states are all ruled out ends the dive."""
    given, first = np.full(len(tables.sizes), -1, np.int32), np.cumsum(tables.sizes) - tables.sizes
    for v in rng.permutation(len(tables.sizes)).tolist():
        if given[v] >= 0:
            continue
        own = beliefs[first[v] : first[v] + tables.sizes[v]] + 1e-9
        for s in rng.choice(len(own), size=len(own), replace=False, p=own / own.sum()).tolist():
            left[0] -= 1
            settled = _settled(tables, given, v, s)
            if settled is not None:
                given = settled
                break
            if left[0] <= 0:
                return None
        else:
            return None
    return given


def _settled(tables: Tables, given: np.ndarray, v: int, s: int) -> np.ndarray | None:
    """What is settled with one variable more; None where that is impossible."""
    new = given.copy()
    new[v] = s
    found = reduce(tables, new, merge=False)
    if found.impossible:
        return None
    first = np.cumsum(tables.sizes) - tables.sizes
    return np.where(found.index < 0, found.kept[first], new).astype(np.int32)
