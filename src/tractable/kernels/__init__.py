"""The C kernels: conditioning, order search, tree annealing and contraction of tables, called through ctypes.

Arrays in, arrays out. The shared library is built when the package is installed and loaded at the first call.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from tractable._cached import cached_property

from .calls import CALLER, asking
from .levels import library_path

MAX_AXES = 64
"""NumPy's limit on the number of array axes; tables over more variables stay flat."""

HEURISTICS = {"min-weight": 0, "min-fill": 1, "weighted-min-fill": 2, "min-growth": 3}
SUM_PRODUCT, MAX_PLUS, LOG_SUM_EXP = 0, 1, 2
EVIDENCE, MARGINALS, WALK, ENTRIES = 0, 1, 2, 3
OK, ZERO, UNSAFE = 0, 1, 2
N_PRICES = 9
"""Numbers that a tree costs: see `Scopes.cost`."""

TRAFFIC = 3.0
"""A table entry made weighs like 2^3 multiply-adds in the search for a tree."""

_int, _long, _double, _pointer = ctypes.c_int, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
_NETWORK = [_int, _int] + [_pointer] * 4
_ARGUMENTS: dict[str, list[Any]] = {
    "reduce_network": [_int, _int] + [_pointer] * 8 + [_int] + [_pointer] * 3,
    "query_marginals": [_int, _int, *[_pointer] * 9, _int, _double, _double, _pointer, _pointer],
    "greedy_tree": [*_NETWORK, _int, _double, ctypes.c_uint64, _double, _double, _pointer, _pointer],
    "greedy_order": [*_NETWORK, _int, _double, ctypes.c_uint64, _double, _double, _pointer, _pointer],
    "tree_from_order": [*_NETWORK, _pointer, _int, _pointer],
    "tree_cost": [*_NETWORK, _pointer, _pointer],
    "tree_widest": [*_NETWORK, _pointer, _double, _pointer, _pointer],
    "anneal_tree": [*_NETWORK, _pointer, _double, _double, _int, _int, _double, _double, ctypes.c_uint64],
    "run_tree": [_int, _int, *[_pointer] * 7, _int, _int, _int, *[_pointer] * 3, _long, *[_pointer] * 3, _int],
}


@dataclass(frozen=True, eq=False)
class Tables:
    """All tables of a discrete model in one flat buffer.

    Factor j has the variables ``scopes[scope_starts[j]:scope_starts[j+1]]`` and, in C order over them, the entries
    ``values[value_starts[j]:value_starts[j+1]]``. Sizes are numbers of states.
    """

    sizes: np.ndarray
    scope_starts: np.ndarray
    scopes: np.ndarray
    value_starts: np.ndarray
    values: np.ndarray

    @cached_property
    def addresses(self) -> tuple[int, ...]:
        """Where the arrays are, for the kernels."""
        return tuple(map(_address, self._arrays))

    @property
    def _arrays(self) -> tuple[np.ndarray, ...]:
        return self.sizes, self.scope_starts, self.scopes, self.value_starts, self.values

    def __reduce__(self) -> tuple[Any, ...]:
        return Tables, self._arrays  # a copy, and what another process reads, has addresses of its own

    @cached_property
    def n_states(self) -> int:
        """Number of states of all variables together."""
        return int(self.sizes.sum())

    @property
    def n_factors(self) -> int:
        """Number of factors."""
        return len(self.scope_starts) - 1

    @cached_property
    def zeros(self) -> float:
        """The share of tables with zeros among those over several variables."""
        several = np.diff(self.scope_starts) > 1
        zeros = np.diff(np.concatenate([[0], np.cumsum(self.values == 0)])[self.value_starts])
        return float((zeros[several] > 0).mean()) if several.any() else 0.0

    def scope(self, j: int) -> np.ndarray:
        """The variables of factor `j`, as indices."""
        return self.scopes[self.scope_starts[j] : self.scope_starts[j + 1]]

    def table(self, j: int) -> np.ndarray:
        """The entries of factor `j`, shaped by its scope (flat beyond 64 axes)."""
        flat = self.values[self.value_starts[j] : self.value_starts[j + 1]]
        scope = self.scope(j)
        return flat if len(scope) > MAX_AXES else flat.reshape(self.sizes[scope])


class Reduced(NamedTuple):
    """A conditioned network: tables over the variables that stay free, and what became of the others."""

    tables: Tables
    sizes: np.ndarray  # numbers of states before
    index: np.ndarray  # new number of each variable, -1 where it is fixed
    kept: np.ndarray  # remaining states, at the front of each variable's slice of the summed sizes
    n_kept: np.ndarray
    factor: np.ndarray  # new number of each factor, -1 where it was multiplied into another or became a constant
    log_constant: float
    impossible: bool


class AnnealingSteps(NamedTuple):
    """Inverse temperatures of an annealing run: from, to, in how many steps, and the sweeps at each."""

    beta_from: float
    beta_to: float
    n_betas: int
    sweeps: int


class Scopes:
    """Who shares a factor with whom, and the log2 sizes: all that the order search and the pricing see."""

    def __init__(self, sizes: np.ndarray, starts: np.ndarray, members: np.ndarray, keep: np.ndarray | None = None):
        self.n, self.m = len(sizes), len(starts) - 1
        self.sizes, self.starts, self.members = sizes, starts, members
        self.log_size = np.log2(sizes.astype(np.float64))
        self.keep = np.zeros(self.n + 1, np.uint8) if keep is None else keep
        self.first: tuple[np.ndarray, np.ndarray] | tuple[()] | None = None  # the first tree, () if it takes too long
        self._arguments = (self.n, self.m, *map(_address, (starts, members, self.log_size, self.keep)))

    def __reduce__(self) -> tuple[Any, ...]:
        return Scopes, (self.sizes, self.starts, self.members, self.keep)

    def greedy_tree(
        self, heuristic: str, noise: float, seed: int, limit: float, seconds: float
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """The pairs of a greedy order's tree, and their cost; None where the order was given up."""
        pairs, out = np.empty(2 * self.m, np.int32), np.empty(9)
        found = _kernel("greedy_tree")(
            *self._arguments, HEURISTICS[heuristic], noise, seed, limit, seconds, _address(pairs), _address(out)
        )
        return (pairs, out) if found else None

    def greedy_order(self, heuristic: str, noise: float, seed: int, limit: float, seconds: float) -> np.ndarray | None:
        """A greedy elimination order; None where its cost passes 2^limit or the search takes too long."""
        order, length = np.empty(self.n + 1, np.int32), np.zeros(1, np.int32)
        found = _kernel("greedy_order")(
            *self._arguments, HEURISTICS[heuristic], noise, seed, limit, seconds, _address(order), _address(length)
        )
        return order[: length[0]] if found else None

    def tree_from_order(self, order: np.ndarray) -> np.ndarray:
        """Contraction pairs that eliminate the variables in this order, smallest products first."""
        pairs = np.empty(2 * self.m, np.int32)
        _kernel("tree_from_order")(*self._arguments, _address(order), len(order), _address(pairs))
        return pairs

    def cost(self, pairs: np.ndarray) -> np.ndarray:
        """Multiply-adds, log2 of the largest table, and entries: see `tree_cost` in tree.c."""
        out = np.zeros(9)
        _kernel("tree_cost")(*self._arguments, _address(pairs), _address(out))
        return out

    def widest(self, pairs: np.ndarray, threshold: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
        """The variables of the largest table, and per variable the entries of tables of ≥ 2^threshold that hold it."""
        weight, legs = np.zeros(self.n + 1), np.empty(self.n + 1, np.int32)
        length = _kernel("tree_widest")(*self._arguments, _address(pairs), threshold, _address(weight), _address(legs))
        return legs[:length], weight[: self.n]

    def fixed(self, variables: tuple[int, ...]) -> Scopes:
        """The same scopes with these variables taken to have one state."""
        sizes = self.sizes.copy()
        sizes[list(variables)] = 1
        return Scopes(sizes, self.starts, self.members, self.keep)

    def anneal(self, pairs: np.ndarray, schedule: AnnealingSteps, seconds: float, seed: int) -> np.ndarray:
        """The best tree that annealing from `pairs` finds."""
        best = pairs.copy()
        _kernel("anneal_tree")(*self._arguments, _address(best), *schedule, TRAFFIC, seconds, seed)
        return best


class Job(NamedTuple):
    """What to run a tree for: the task, the semiring, the axis of evidence rows (−1: none), random numbers for exact
    samples ([n_samples, 2 × factors]), the size of the table over the kept variables, and whether no other run shares
    the cores."""

    task: int = EVIDENCE
    semiring: int = SUM_PRODUCT
    row: int = -1
    uniforms: np.ndarray | None = None
    root_size: int = 0
    alone: bool = True  # large products may use all cores through BLAS


class TreeRun(NamedTuple):
    """What a run of a contraction tree gives; for ENTRIES `marginals` are posteriors of the entries of all tables."""

    status: int
    log_z: np.ndarray
    marginals: np.ndarray | None
    sizes: np.ndarray
    root: np.ndarray | None
    states: np.ndarray | None
    peak_bytes: int

    @property
    def starts(self) -> np.ndarray:
        """Where the marginals of each variable start, and the last ones end."""
        return np.concatenate([[0], np.cumsum(self.sizes * np.int64(len(self.log_z)))])


@cache
def library() -> ctypes.CDLL:
    """The shared library for this processor, loaded once; an ImportError says how to build it."""
    return ctypes.CDLL(str(library_path()))


def kernel(name: str, arguments: list[Any]) -> Callable[..., int]:
    """The kernel of this name, which returns an int, and the ctypes of its arguments: see `asking`."""
    function = getattr(library(), name)
    function.restype, function.argtypes = _int, [*arguments, CALLER]
    return asking(function)


@cache
def _kernel(name: str) -> Callable[..., int]:
    return kernel(name, _ARGUMENTS[name])


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def reduce(
    tables: Tables,
    evidence: np.ndarray,
    child: np.ndarray | None = None,
    wanted: np.ndarray | None = None,
    merge: bool = True,
) -> Reduced:
    """Condition on evidence (state index per variable, -1 unobserved) and remove what zeros rule out.

    With `child` (the variable whose conditional table each factor is) and `wanted` (0/1 per variable), barren variables
    are dropped first. `merge` multiplies tables into those whose scope contains theirs.
    """
    n, m, n_scope, n_states = len(tables.sizes), tables.n_factors, len(tables.scopes), tables.n_states
    ints = np.empty(3 * n + n_scope + n_states + m, np.int32)
    longs, doubles = np.empty(2 * m + 5, np.int64), np.empty(len(tables.values) + 2)
    _kernel("reduce_network")(
        n,
        m,
        *tables.addresses,
        _address(evidence),
        _optional(child),
        _optional(wanted),
        merge,
        *map(_address, (ints, longs, doubles)),
    )
    impossible, n_free, n_factors = longs[:3].tolist()
    starts, value_starts = longs[3 : 4 + n_factors], longs[4 + m : 5 + m + n_factors]
    out = Tables(
        ints[:n_free],
        starts,
        ints[n : n + int(starts[-1])],
        value_starts,
        doubles[2 : 2 + int(value_starts[-1])],
    )
    at = n + n_scope
    index, kept = ints[at : at + n], ints[at + n : at + n + n_states]
    n_kept, factor = ints[at + n + n_states : at + 2 * n + n_states], ints[at + 2 * n + n_states :]
    log_constant = -math.inf if impossible else math.log(doubles[0]) + doubles[1] * math.log(2)
    return Reduced(out, tables.sizes, index, kept, n_kept, factor, float(log_constant), bool(impossible))


class Answered(NamedTuple):
    """log Z, all marginals over all states, and the tree that ran."""

    log_z: float
    marginals: np.ndarray
    ran: TreeThatRan


class TreeThatRan(NamedTuple):
    """What a fused answer leaves of its tree, to be looked at when someone asks: its cost, then its pairs."""

    left: np.ndarray

    @property
    def cost(self) -> np.ndarray:
        """See `Scopes.cost`."""
        return self.left[:N_PRICES]

    def pairs(self, n_tables: int) -> np.ndarray:
        """The contraction pairs of so many tables."""
        return self.left[N_PRICES:].view(np.int32)[: 2 * n_tables]


def answer(
    tables: Tables,
    evidence: np.ndarray,
    terms: np.ndarray,
    order: tuple,
    child: np.ndarray | None = None,
    wanted: np.ndarray | None = None,
) -> Answered | None:
    """A query from conditioning to marginals in one call; None where that is not within the terms, see query.c.

    With `child` and `wanted`, see `reduce`, marginals are those of what is wanted, and of what these need.
    """
    n_states, m = tables.n_states, tables.n_factors
    out = np.empty(n_states + 1 + N_PRICES + m + 1)
    at = _address(out)
    heuristic, _, _, limit, seconds = order
    status = _kernel("query_marginals")(
        len(tables.sizes),
        m,
        *tables.addresses,
        _address(evidence),
        _optional(child),
        _optional(wanted),
        _address(terms),
        HEURISTICS[heuristic],
        limit,
        seconds,
        at,
        at + 8 * (n_states + 1 + N_PRICES),
    )
    if status != OK:
        return None
    return Answered(float(out[n_states]), out[:n_states], TreeThatRan(out[n_states + 1 :]))


def run(tables: Tables, scopes: Scopes, pairs: np.ndarray, job: Job = Job()) -> TreeRun:  # noqa: B008, a frozen default
    """Run the contraction tree `pairs`: log Z, and marginals, the best state, samples or the root table."""
    n, n_rows = scopes.n, 1 if job.row < 0 else int(tables.sizes[job.row])
    log_z, peak = np.empty(n_rows), np.zeros(1, np.int64)
    root = np.empty(job.root_size) if job.root_size else None
    marginals = None
    if job.task in (MARGINALS, ENTRIES):
        marginals = np.empty(len(tables.values) if job.task == ENTRIES else tables.n_states * n_rows)
    states = None
    if job.task == WALK:
        states = np.zeros((1 if job.uniforms is None else len(job.uniforms), n), np.int32)
    status = _kernel("run_tree")(
        n,
        tables.n_factors,
        *tables.addresses,
        _address(scopes.keep),
        _address(pairs),
        job.task,
        job.semiring,
        job.row,
        *map(_optional, (log_z, root, marginals)),
        0 if states is None else len(states),
        *map(_optional, (job.uniforms, states)),
        _address(peak),
        job.alone,
    )
    return TreeRun(status, log_z, marginals, tables.sizes, root, states, int(peak[0]))


def _optional(array: np.ndarray | None) -> int | None:
    return None if array is None else _address(array)
