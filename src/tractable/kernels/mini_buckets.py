"""Mini-buckets of a network's tables: bounds of log Z, and samples whose weights they cap; see buckets.h."""

from __future__ import annotations

import ctypes
import math
import mmap
import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from . import Tables, _address, _optional, kernel

BATCH = 512
"""Draws that are made together."""

TOO_LARGE = 1
AS_IT_IS, FRESH, RESCALED = range(3)

ANNEALING = 1.0, 0.3, 0.1, 0.03, 0.01
"""Temperatures at which shifts for maxima are found: at zero itself sweeps get stuck."""

STATES_KEPT = 4
"""States that a race keeps, for each of those who sweep."""

_int, _long, _seed, _pointer = ctypes.c_int, ctypes.c_int64, ctypes.c_uint64, ctypes.c_void_p
_TABLES = [_int, _int, *[_pointer] * 7]
_ARGUMENTS = {
    "buckets_price": [_pointer] * 2,
    "buckets_bound": [_int, *[_pointer] * 5],
    "buckets_proposal": [_pointer] * 5,
    "buckets_draw": [*[_pointer] * 3, _long, _long, _seed, _pointer, _int, _pointer],
    "buckets_search": [*[_pointer] * 3, _int, _int, *[_pointer] * 6],
}


class PartSizes(NamedTuple):
    """What parts hold: numbers of entries, and of buckets that are split; and the work of a draw."""

    n_parts: int
    entries: int
    messages: int
    shifts: int
    largest: int
    n_split: int
    proposal: int
    draw: int

    @property
    def bytes(self) -> float:
        """Bytes that a sweep takes, or the proposal, and its share of the states that are kept meanwhile."""
        numbers = self.entries + self.messages + max(self.messages, self.proposal) + self.largest
        return 8.0 * (numbers + (4 + STATES_KEPT) * self.shifts)


class BoundState(NamedTuple):
    """Weights of parts and shifts of cost between them, the bound, and what rounding was charged in it.

    `temperatures` of variables, which the weights belong to: 1 sums, 0 maximizes; None where all are 1. `course`: of
    an annealed one the sweeps at each temperature.
    """

    weights: np.ndarray
    shifts: np.ndarray
    bound: float
    slack: float
    sweeps: int
    temperatures: np.ndarray | None = None
    course: tuple[int, ...] = ()


class Sweeps(NamedTuple):
    """How long a bound is lowered: sweeps, seconds, the first step, the gain below which a sweep is dull."""

    n: float = np.inf
    seconds: float = np.inf
    step: float = 1.0
    least: float = 1e-5


def kind_of_states(sizes: np.ndarray) -> type:
    """The type of drawn states.

    >>> kind_of_states(np.array([2, 256])), kind_of_states(np.array([2, 257]))
    (<class 'numpy.uint8'>, <class 'numpy.int32'>)
    """
    return np.uint8 if sizes.max(initial=1) <= 256 else np.int32


def apart(shape: tuple[int, ...], kind: type) -> np.ndarray:
    """An empty array that the process does not keep the memory of when it is gone, as malloc does.

    >>> apart((2, 3), np.uint8).shape
    (2, 3)
    """
    n = math.prod(shape)
    return np.frombuffer(mmap.mmap(-1, max(n * np.dtype(kind).itemsize, 1)), kind, n).reshape(shape)


@cache
def _kernel(name: str) -> Any:
    return kernel(name, [*_TABLES, *_ARGUMENTS[name]])


class SearchTerms(NamedTuple):
    """How many states, what they have to exceed, seconds, nodes, and bytes for what is still to be looked at.

    `by_parts`: only the best, solved in parts that do not matter to one another and are remembered by the states that
    they hang on. It says nothing of a state before it is the best, but the bound of all falls meanwhile. The search
    looks up after equal pieces of work: `looks` ends it like the clock, but at the same place, and at look `ask_at` it
    is heard in any case.
    """

    k: int = 1
    lower: float = -np.inf
    seconds: float = np.inf
    nodes: float = np.inf
    memory: float = 1e9
    by_parts: bool = False
    looks: float = np.inf
    ask_at: float = np.inf


class Searched(NamedTuple):
    """The states with the largest values, best first, [found, n], and -1 for what was not chosen.

    No other state has more than `upper`. `proven`: but for rounding none that is not among them has more than the last
    of them or, where they are fewer than asked for, than what they had to exceed. `stopped`: by the clock at the last
    of its `looks`.
    """

    values: np.ndarray
    states: np.ndarray
    upper: float
    nodes: int
    proven: bool
    interrupted: bool = False
    looks: int = 0
    stopped: bool = False


HearSearch = Callable[[Searched], "tuple[float, float] | None"]
"""Hears of a search what it has found so far; may answer with what states have to exceed from now on, and the look at
which it wants to hear of it again."""

LeafWorth = Callable[[np.ndarray, float], float]
"""What is known of a choice of states: at least this is its value, which is no more than the number given."""


def _same(temperatures: np.ndarray, others: np.ndarray | None) -> bool:
    return bool((temperatures == (1.0 if others is None else others)).all())


def _lower(state: BoundState) -> float:
    return state.bound if state.bound == state.bound else np.inf


class MiniBuckets:
    """Tables, an order of elimination of all variables, and the parts that its buckets are split into.

    Parts have tables of at most `limit` entries, except for those that are given with more; `seed` is for ties.
    """

    def __init__(self, tables: Tables, order: np.ndarray, limit: float, seed: int = 0):
        self.tables = tables
        self.order = np.ascontiguousarray(order, np.int32)
        self.how = np.array([min(limit, 2**31), seed], np.int64)
        if len(order) != len(tables.sizes):
            raise ValueError("an order has every variable once")

    @property
    def limit(self) -> int:
        """Entries of a part at most."""
        return int(self.how[0])

    def __repr__(self) -> str:
        return f"MiniBuckets({len(self.order)} variables, tables of {self.how[0]:,})"

    def _call(self, name: str, *rest: Any, watch: Callable[[], None] | None = None) -> int:
        tables = self.tables
        ends = (_address(self.order), _address(self.how))
        return _kernel(name)(len(self.order), tables.n_factors, *tables.addresses, *ends, *rest, watch=watch)

    def price(self, wanted: np.ndarray | None = None) -> PartSizes | None:
        """What the parts hold; None where a table is beyond all limits."""
        told = np.zeros(len(PartSizes._fields))
        status = self._call("buckets_price", _optional(wanted), _address(told))
        return None if status == TOO_LARGE else PartSizes(*map(int, told.tolist()))

    def bound(
        self, sweeps: Sweeps, state: BoundState | None = None, temperatures: np.ndarray | None = None
    ) -> BoundState:
        """The state with the lowest bound that sweeps find, from the first one or from another.

        Of a variable of `temperature` t, by number, (sum f^(1/t))^t is taken in place of the sum: with 1 for the
        variables that come first in the order and 0 for the rest the bound is one of marginal MAP. Left out, they are
        those of the state.
        """
        price = self.price()
        assert price is not None
        begin = FRESH if state is None else AS_IT_IS
        if state is not None and (temperatures is None or _same(temperatures, state.temperatures)):
            temperatures = state.temperatures
        elif state is not None:
            begin = RESCALED
        if temperatures is not None:
            temperatures = np.ascontiguousarray(temperatures, np.float64)
        terms, told = np.array(sweeps, np.float64), np.zeros(3)
        weights = np.empty(price.n_parts) if state is None else state.weights.copy()
        shifts = np.empty(price.shifts) if state is None else state.shifts.copy()
        own = _optional(temperatures), *map(_address, (terms, weights, shifts, told))
        self._call("buckets_bound", begin, *own)
        return BoundState(weights, shifts, float(told[0]), float(told[1]), int(told[2]), temperatures)

    def annealed(
        self,
        sweeps: Sweeps,
        temperatures: np.ndarray,
        state: BoundState | None = None,
        course: tuple[int, ...] | None = None,
    ) -> BoundState:
        """The lowest bound for temperatures with zeros among them, by sweeps at higher ones that fall.

        `sweeps` are those at each temperature; the seconds are for all. With the `course` of an earlier one it is that
        one again, whatever the clock says.
        """
        end, done = time.perf_counter() + sweeps.seconds, []

        def own() -> Sweeps:
            i = len(done)
            if course is not None:
                return sweeps._replace(n=course[i], seconds=np.inf)
            return sweeps._replace(seconds=(end - time.perf_counter()) / (len(ANNEALING) - i + 1))

        best = self.bound(Sweeps(0), state, temperatures)
        if not best.shifts.size:
            return best
        for floor in ANNEALING:
            state = self.bound(own(), state, np.maximum(temperatures, floor))
            done.append(state.sweeps)
            best = min(best, self.bound(Sweeps(0), state, temperatures), key=_lower)
        last = self.bound(own(), best, temperatures)
        return last._replace(course=(*done, last.sweeps))

    def proposal(self, state: BoundState, wanted: np.ndarray | None = None) -> np.ndarray:
        """The conditionals that samples of the wanted variables are drawn from."""
        price = self.price(wanted)
        assert price is not None
        proposal, told = apart((price.proposal,), np.float64), np.zeros(2)
        arrays = (state.weights, state.shifts, proposal, told)
        self._call("buckets_proposal", _optional(wanted), *map(_address, arrays))
        return proposal

    def draw(
        self,
        state: BoundState,
        proposal: np.ndarray,
        batches: tuple[int, int],
        seed: int,
        wanted: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Batches from the first to before the second: log w − U [draws], states of the wanted variables [·, draws]."""
        first, end = batches
        n = (end - first) * BATCH
        log_w = np.empty(n)
        kind = kind_of_states(self.tables.sizes)
        states = apart((0 if wanted is None else int(wanted.sum()), n), kind)
        own = _optional(wanted), _address(state.weights), _address(proposal), first, end - first, seed
        self._call("buckets_draw", *own, _address(log_w), kind == np.int32, _address(states))
        return log_w, states

    def search(
        self,
        state: BoundState,
        n_max: int,
        terms: SearchTerms,
        show: HearSearch | None = None,
        worth: LeafWorth | None = None,
    ) -> Searched:
        """The states of the last `n_max` variables of the order with the largest values; these have temperature zero.

        Where these are all variables, the value is the logarithm of the product of all tables; else it bounds the sum
        over the others, unless `worth` says what that is. Ctrl-C ends the search with what it has.
        """
        last = self.order[len(self.order) - n_max :]
        if state.temperatures is None or state.temperatures[last].any():
            raise ValueError("a search takes a bound with temperature 0 of all variables that it chooses")
        values, told = np.full(terms.k, -np.inf), np.array([state.bound, 0, 0, 0, np.nan, 0, 0, 0])
        states, rows = np.full((terms.k + 1, len(self.order)), -1, np.int32), np.zeros(terms.k, np.int32)
        own = np.array([*terms[:1], *terms[2:5], worth is not None, terms.looks], np.float64)
        lower = np.array([terms.lower, terms.ask_at])
        arrays = (state.temperatures, state.weights, state.shifts)

        def so_far(interrupted: bool = False) -> Searched:
            n = int(told[2])
            ended = bool(told[3]), interrupted, int(told[6]), bool(told[7])
            return Searched(values[:n], states[rows[:n]], float(told[0]), int(told[1]), *ended)

        def watch() -> None:
            if worth is not None and told[4] == told[4]:
                told[5] = worth(states[-1], float(told[4]))
            elif show is not None and (answer := show(so_far())) is not None:
                lower[:] = max(lower[0], answer[0]), answer[1]

        outs = map(_address, (own, lower, values, rows, states, told))
        try:
            self._call("buckets_search", *map(_address, arrays), n_max, terms.by_parts, *outs, watch=watch)
        except KeyboardInterrupt:
            return so_far(True)
        return so_far()
