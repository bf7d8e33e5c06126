"""The most probable state of some variables where the sum over the others is itself too expensive: both ends.

Mini-buckets that sum the others and maximize those asked for bound log p(y, x) from above, for each y and for the best;
a search goes through y in the order of that bound. What a y is worth is log Z given it: exact where that is affordable,
as it may be where the sum for all y is not, else an interval.

Sources: Liu & Ihler 2013; Marinescu, Dechter & Ihler 2014; Lou, Dechter & Ihler 2018.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from tractable.kernels import Reduced, Scopes, Tables
from tractable.kernels.counting import SOLVED, VISITS, SearchLimits, count
from tractable.kernels.mini_buckets import BoundState, MiniBuckets, Searched, SearchTerms, Sweeps
from tractable.kernels.threads import side_by_side
from tractable.models import BayesianNetwork
from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence
from tractable.models.keys import generator
from tractable.plan import Budget, BudgetError, Plan
from tractable.plan._base import ContractionTree
from tractable.plan.budget import predicted_bytes, predicted_seconds, speed
from tractable.plan.counting import ENTRIES, ZEROS
from tractable.plan.mini_buckets import (
    CORES,
    FIRST_PASS,
    GREEDY_SECONDS,
    SWEPT,
    IntervalRun,
    eliminating,
    largest,
    orders,
)
from tractable.plan.search import find_tree
from tractable.plan.summed_out import what_matters
from tractable.plan.tables import kept, positions, without
from tractable.posterior.approximate.branch_and_bound import LEAST, QUICK, RACE, RACERS, TIE
from tractable.posterior.approximate.intervals import bracketed
from tractable.posterior.approximate.local_search import log_product, steps
from tractable.posterior.approximate.mini_buckets import TOO_LITTLE
from tractable.posterior.approximate.noted import Course, Notes, raced
from tractable.posterior.approximate.table_starts import possible_state
from tractable.posterior.certificate import Certificate
from tractable.posterior.exact.ancestral import draw_around
from tractable.posterior.exact.elimination import conditioned, fitted, sum_product
from tractable.posterior.exact.joint import with_units
from tractable.posterior.exact.summed_out import as_it_is
from tractable.posterior.exact.walk import original
from tractable.posterior.waiting import BestDisplay, silence

EXACT, PIECE = 0.02, 0.1
"""Shares of the time: below the first what a y is worth is exact; the other one is that of an interval instead."""

FIRST = 4
"""Nodes for each variable asked for, of the search that finds a first y."""

DRAWS = 256
"""States that a Bayesian network draws to begin with."""

FULL = 0.05
"""The share of the time in which a state of all variables is made more probable."""

CLIMB = 0.3
"""The share of the time for steps from one y to another that differs in one variable."""


def _at_least(value: Certificate, least: float) -> Certificate:
    """An interval that is known to lie above a number."""
    if value.kind == "exact" or value.lower >= least:
        return value
    return replace(value, value=max(value.value, least), lower=least, upper=max(value.upper, least))


class Worth(NamedTuple):
    """What a choice of states is worth, and what it could be worth at most by the bound."""

    states: np.ndarray
    value: Certificate
    upper: float


BestOfSome = tuple[Certificate, np.ndarray, float, bool, float | None]
"""log p(y, x) of one of the best, its states, a bound of the optimum of its rank, whether another one ties.

Where some y are worth intervals, last the confidence that all of these hold: that is the one of what is chosen by them.
"""


def best(model: TableModel, given: Evidence, plan: Plan, key: Any) -> tuple[list[BestOfSome], float, Any]:
    """The k best, a bound of all others, and what repeats it to the bit: None where someone has interrupted it."""
    places = positions(model, plan.targets or ())
    reduced = what_matters(model, given, plan.targets or ())
    if reduced.impossible:
        return [], -np.inf, None
    asked = np.array(sorted({int(reduced.index[v]) for v in places} - {-1}), np.int32)
    notes = Notes(plan.program.ran)
    search = _Search(reduced.tables, asked, plan, (notes(lambda: int(generator(key).integers(2**31))), notes))
    search.draw = lambda: _drawn(model, given, reduced, search.seed)
    found, rest = search.found()
    values, constant = np.array([float(one.value.lower) for one in found]), reduced.log_constant
    out: list[BestOfSome] = []
    for j, one in enumerate(found):
        upper = max([rest, *(other.upper for other in found[j:])])
        tied = bool((np.abs(values - values[j]) <= TIE * max(1.0, abs(values[j]))).sum() > 1)
        states = original(reduced, one.states[None])[0][places]
        value = one.value if one.value.kind == "exact" else replace(one.value, confidence=plan.program.confidence)
        out.append((value + constant, states, upper + constant, tied, search.confidence))
    return out, rest + constant, None if search.interrupted else tuple(notes.written)


def _drawn(model: TableModel, given: Evidence, reduced: Reduced, seed: int) -> np.ndarray | None:
    """States of what evidence leaves of a Bayesian network, drawn along the arrows; those that it rules out are not."""
    if not isinstance(model, BayesianNetwork) or model.sparse:
        return None
    states = draw_around(model, given, DRAWS, np.random.default_rng(seed))
    starts, places = np.concatenate([[0], np.cumsum(reduced.sizes)]), np.flatnonzero(reduced.index >= 0)
    out, there = np.zeros((DRAWS, len(places)), np.int32), np.ones(DRAWS, bool)
    for v in places.tolist():
        place = np.full(reduced.sizes[v], -1, np.int32)
        place[reduced.kept[starts[v] : starts[v] + reduced.n_kept[v]]] = np.arange(reduced.n_kept[v])
        own = out[:, reduced.index[v]] = place[states[:, v]]
        there &= own >= 0
    return out[there] if there.any() else None


class _Search:
    def __init__(self, tables: Tables, asked: np.ndarray, plan: Plan, how: tuple[int, Notes]):
        run = plan.program
        self.asked, self.plan, (self.seed, self.notes) = asked, plan, how
        self.tables = with_units(tables, list(range(len(tables.sizes))))
        self.run, self.start, self.end = run, time.perf_counter(), time.perf_counter() + run.seconds
        self.hot = np.ones(len(tables.sizes))
        self.hot[asked] = 0.0
        self.base = as_it_is(self.tables)
        self.scopes = Scopes(self.tables.sizes, self.tables.scope_starts, self.tables.scopes)
        self.draw: Callable[[], np.ndarray | None] = lambda: None  # states to begin with
        self.tree = self.notes(self._tree)
        self.counts = self.tables.zeros >= ZEROS and self.tables.values.size <= ENTRIES
        self.seen: dict[bytes, Worth] = {}
        self.least: dict[bytes, float] = {}  # what a state of all variables says of its y
        self.upper, self.interrupted = np.inf, False
        self.passed_over = -np.inf  # a bound of what there was no time to look at

    def _tree(self) -> ContractionTree | None:
        """How the sum given those asked for is found by elimination; None where that takes too long for so many."""
        scopes, leaves = without(self.scopes, self.asked.tolist())
        seconds, memory = EXACT * self.run.seconds, self.run.memory / 2
        tree = find_tree(scopes, "evidence", Budget(memory, seconds), 0.1)
        fits = predicted_bytes(tree.cost, "evidence") <= memory
        soon = predicted_seconds(tree.cost, scopes.m - 1, "evidence") <= seconds
        return replace(tree, leaves=leaves) if fits and soon else None

    def found(self) -> tuple[list[Worth], float]:
        """The best of what was looked at, and a bound of all else."""
        buckets, state = self._bound()
        upper = state.bound
        with BestDisplay(self.run.seconds) as show:
            try:
                if upper > -np.inf:
                    self._searched(buckets, state, show, FIRST * (1 + len(self.asked)))
                    if self._known == -np.inf:
                        self._begin(upper)
                    self._climb(upper, show)
                    upper = min(upper, self._searched(buckets, state, show))
            except KeyboardInterrupt:
                self.interrupted = True
                if not self.seen:
                    raise
        ranked = sorted(self.seen.values(), key=lambda one: -float(one.value.lower))
        ranked = [one for one in ranked if one.value.lower > -np.inf]
        rest = max([min(upper, self.upper), self.passed_over, *(one.upper for one in ranked[self.run.k :])])
        return ranked[: self.run.k], rest

    def _bound(self) -> tuple[MiniBuckets, BoundState]:
        """Orders that sum before they maximize race for the lowest bound."""
        found = raced(self.notes, self.tables, self.hot, self._race)
        if found is None:
            raise BudgetError(replace(self.plan, method=None, reason=TOO_LITTLE))
        return found

    def _race(self) -> tuple[MiniBuckets, BoundState] | None:
        keep = kept(len(self.tables.sizes), self.asked.tolist())
        summing = Scopes(self.tables.sizes, self.tables.scope_starts, self.tables.scopes, keep)
        entries = RACE * self.run.seconds / speed() * CORES / RACERS / (FIRST_PASS + 5 * QUICK * SWEPT)
        guard = 4 * RACE * self.run.seconds * CORES / RACERS

        begin = next(orders())

        def racer(how: Any) -> tuple[MiniBuckets, BoundState] | None:
            left = 2 * RACE * self.run.seconds - (time.perf_counter() - self.start)
            if how != begin and left <= 0:
                return None
            share = min(max(left, LEAST) / 2, GREEDY_SECONDS)
            first, all_of_them = eliminating(summing, how, share), eliminating(self.scopes, how, share)
            last = all_of_them[np.isin(all_of_them, self.asked)]
            order = np.concatenate([first[~np.isin(first, self.asked)], last])
            buckets = largest(self.tables, order, how.seed, entries, self.run.memory / 2 / CORES)
            return None if buckets is None else (buckets, buckets.annealed(Sweeps(QUICK, guard), self.hot))

        found = [one for one in side_by_side(racer, islice(orders(), RACERS)) if one is not None]
        return min(found, key=lambda one: one[1].bound) if found else None

    def _worth(self, states: np.ndarray, bound: float) -> float:
        """At least so much is log p(y, x), for states of those asked for."""
        name = states[self.asked].tobytes()
        if name not in self.seen:
            if len(self.seen) >= self.run.k and self._known > -np.inf and self._is_late(self.end):
                self.passed_over = max(self.passed_over, bound)
                return -np.inf
            given, chosen = np.full(len(states), -1, np.int32), np.zeros(len(states), np.int32)
            given[self.asked] = chosen[self.asked] = states[self.asked]
            value = _at_least(self._log_z(conditioned(self.base, given)), self.least.get(name, -np.inf))
            self.seen[name] = Worth(chosen, value, min(bound, float(value.upper)))
            if (value.verdict or "").startswith("interrupted"):  # an interval keeps what it has, and ends itself alone
                raise KeyboardInterrupt
        return float(self.seen[name].value.lower)

    def _is_late(self, end: float) -> bool:
        return self.notes(lambda: time.perf_counter() > end)

    def _log_z(self, rest: Reduced) -> Certificate:
        if rest.impossible:
            return Certificate.exact(-np.inf)
        if self.tree is not None:
            return Certificate.exact(sum_product(rest, fitted(self.tree, rest), False).log_z)
        if self.counts:
            counted = self.notes(lambda: self._counted(rest))
            self.counts = counted is not None  # where it was once too short no other y is tried
            if counted is not None:
                return Certificate.exact(counted + rest.log_constant)
        n = len(self.seen) + 1  # failures add up: 1/2 of what may fail, 1/6, 1/12, …
        sure = 1 - (1 - self.run.confidence) / (n * (n + 1))
        before = self.notes.again()
        program = IntervalRun(PIECE * self.run.seconds, self.run.memory / 2, sure, ran=before)
        with silence():
            (found,) = bracketed(iter([rest]), 1, (program, self.seed + n), np.empty(0, np.int64))
        assert found is not None
        self.notes.write(found.ran)
        return found.log_z

    def _counted(self, rest: Reduced) -> float | None:
        """log Z by a search over what zeros leave, in as much time as an interval has; None where that is too short."""
        seconds = PIECE * self.run.seconds
        found = count(rest.tables, SearchLimits(self.run.memory / 2, order=seconds / 4, limit=seconds))
        return found.log_z if found.status == SOLVED else None

    def _begin(self, upper: float) -> None:
        """A first y: that of a possible state of all variables, as probable as local search makes it soon."""
        seconds, drawn = max((self.end - time.perf_counter()) / 2, CLIMB * self.run.seconds), self.draw()
        state = self._most_probable(drawn) if drawn is not None else None
        if state is None:
            state = self.notes(lambda: possible_state(self.tables, self.seed, seconds * VISITS, seconds))
        if state is None:
            return
        course = Course(steps(self.tables, state, np.inf, self.seed, self.run.memory / 4))
        end = time.perf_counter() + FULL * self.run.seconds
        best = course.best(self.notes(lambda: course.run(lambda: time.perf_counter() > end)))
        if best is not None and best.value > -np.inf:
            self.least[best.states[self.asked].tobytes()] = best.value
            self._worth(best.states, upper)

    def _most_probable(self, states: np.ndarray) -> np.ndarray | None:
        """The best one of these states of all variables; None where none is possible."""
        values = [log_product(self.tables, own) for own in states]
        return states[int(np.argmax(values))] if max(values) > -np.inf else None

    @property
    def confidence(self) -> float | None:
        """That all intervals hold; None where there are none."""
        return None if all(one.value.kind == "exact" for one in self.seen.values()) else self.run.confidence

    @property
    def _known(self) -> float:
        """The most that something is worth for certain."""
        return max((float(one.value.lower) for one in self.seen.values()), default=-np.inf)

    def _climb(self, upper: float, show: BestDisplay) -> None:
        """From the best y to better ones, one variable at a time, until none is or the time is over."""
        end, rng = self.start + CLIMB * self.run.seconds, np.random.default_rng(self.seed)
        value = before = self._known
        states = next((one.states for one in self.seen.values() if one.value.lower == value), None)
        while states is not None and len(self.asked):
            for v in rng.permutation(self.asked).tolist():
                for s in range(int(self.tables.sizes[v])):
                    other = states.copy()
                    other[v] = s
                    if self._is_late(end):
                        return
                    if (own := self._worth(other, upper)) > value:
                        states, value = other, own
                        show.ends(value, upper)
            if value == before:
                return
            before = value

    def _searched(self, buckets: MiniBuckets, state: BoundState, show: BestDisplay, nodes: float = np.inf) -> float:
        """A bound of what was not looked at."""
        k, price, before = self.run.k, buckets.price(), self.notes.again()
        assert price is not None
        memory = max(self.run.memory / 2 - price.bytes, 1e6)
        seconds = np.inf if self.notes.repeats else max(self.end - time.perf_counter(), 0.01)
        looks = np.inf if before is None else before
        terms = SearchTerms(k, self._known if k == 1 else -np.inf, seconds, nodes, memory, looks=looks)
        at = len(self.notes.written)
        self.notes.write(None)  # its place, before what it asks for

        def shown(found: Searched) -> None:
            show.ends(self._known, min(found.upper, state.bound))

        found = buckets.search(state, len(self.asked), terms, shown if show.wanted else None, self._worth)
        self.notes.written[at] = found.looks if found.stopped else np.inf
        for states, value in zip(found.states, found.values.tolist(), strict=True):
            self._worth(states, value)  # which a search of all variables does not ask for
        if found.interrupted and time.perf_counter() < self.end:
            self.upper = found.upper
            raise KeyboardInterrupt
        return found.upper
