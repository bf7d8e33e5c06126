"""The most probable states by a search under a bound.

Orders of elimination race for the lowest bound U that mini-buckets give of the largest term; a search goes through the
states in the order of what U allows, and ends where nothing that is left could be better. Where no bucket is split the
bound is the maximum itself, and leads to one state after the other. Local search says early what is worth looking for.

Sources: Kask & Dechter 2001; Marinescu & Dechter 2009; Katsirelos et al. 2015.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from tractable.extras import is_there
from tractable.kernels import Scopes, Tables
from tractable.kernels.mini_buckets import BoundState, MiniBuckets, Searched, SearchTerms, Sweeps
from tractable.kernels.threads import side_by_side
from tractable.models.keys import generator
from tractable.models.pruning import apart
from tractable.plan.budget import speed
from tractable.plan.mini_buckets import (
    CORES,
    FIRST_PASS,
    GREEDY_SECONDS,
    MOST_LOG2,
    SWEPT,
    Order,
    eliminating,
    largest,
    orders,
)
from tractable.plan.most_probable import SearchRun
from tractable.plan.summed_out import linked_tables
from tractable.posterior.approximate import toulbar2
from tractable.posterior.approximate.local_search import steps
from tractable.posterior.approximate.noted import Course, Heard, HeardBefore, Notes, raced
from tractable.posterior.waiting import BestDisplay

RACERS, QUICK, LONG = 8, 2, 8
"""Orders that race; sweeps at each temperature of a racer, and of the winner with larger tables."""

RACE, LOCAL, GROWTH = 0.1, 0.15, 0.2
"""Shares of the time: for the race, for local search, for the winner's bound."""

BY_PARTS = 0.6
"""The share of the search by parts that remembers, of the time that is left for both."""

LITTLE = 0.02
"""Seconds that each part has at least."""

LEAST = 0.1
"""Seconds for the first order, at least."""

SHARE, LONGEST, WORTHWHILE = 0.3, 0.6, 0.5
"""The share of the time that a core works for toulbar2, from the beginning, that in which it has to be over, and the
seconds that the first one must be."""

SETTLED = 1e-5
"""A gap in nats below toulbar2's bound, which its whole costs leave, that is not searched any further."""

TIE = 1e-10
"""Of a log probability: what is nearer to another one is the same."""


class Ranking(NamedTuple):
    """The best states, best first, a bound of the optimum of each rank, and which have another one as good.

    `ran`: what repeats it to the bit; None where someone has interrupted it.
    """

    values: np.ndarray
    states: np.ndarray
    upper: np.ndarray
    tied: np.ndarray
    rest: float
    ran: tuple[Any, ...] | None = None


class Shortlist(NamedTuple):
    """States of some variables, best first, and a bound of all that are not among them."""

    values: np.ndarray
    states: np.ndarray
    rest: float

    @property
    def top(self) -> float:
        """A bound of all."""
        return max(self.rest, float(self.values.max(initial=-np.inf)))


def best(tables: Tables, program: SearchRun, key: Any) -> Ranking:
    """The k best states of all variables: parts that share no table by themselves, the smallest first."""
    end, notes, interrupted = time.perf_counter() + program.seconds, Notes(program.ran), False
    groups = sorted(linked_tables(tables), key=len)
    seed = notes(lambda: int(generator(key).integers(2**31)))
    found = _nothing(tables, program.k + 1)
    weights = np.cumsum([0.0, *(float(len(own)) for own in groups)])
    with BestDisplay(program.seconds) as show:
        for done, own in enumerate(groups):
            variables, part = apart(tables, own)
            share = (end - time.perf_counter()) * len(own) / (weights[-1] - weights[done])
            search = _Part(part, program, max(share, LITTLE), (seed, notes, show))
            listed = search.listed()
            if search.interrupted:
                interrupted, end = True, time.perf_counter()  # the other parts have little more to say
            found = _joined(found, variables, listed, program.k + 1)
            if not len(found.values) and found.rest == -np.inf:
                break  # nothing is possible
    return _ranked(found, program.k, None if interrupted else tuple(notes.written))


def _nothing(tables: Tables, k: int) -> Shortlist:
    """States of the variables that are in no table, all alike; the others at their first one."""
    lonely = np.setdiff1d(np.arange(len(tables.sizes)), tables.scopes).tolist()
    sizes, chosen, n = tables.sizes.tolist(), [], 1
    for v in lonely:  # as many as lead to k states
        if n >= k:
            break
        chosen.append(v)
        n *= sizes[v]
    n = min(n, k)
    states = np.zeros((n, len(sizes)), np.int32)
    if chosen:
        states[:, chosen] = np.array(np.unravel_index(np.arange(n), [sizes[v] for v in chosen])).T
    every = math.prod(sizes[v] for v in lonely)
    return Shortlist(np.zeros(n), states, 0.0 if every > n else -np.inf)


def _joined(found: Shortlist, variables: np.ndarray, part: Shortlist, k: int) -> Shortlist:
    """The best of two that know nothing of each other, together."""
    sums = found.values[:, None] + part.values
    order = np.argsort(-sums, axis=None, kind="stable")[:k]
    mine, other = np.unravel_index(order, sums.shape) if sums.size else (order, order)
    states = found.states[mine]
    states[:, variables] = part.states[other]
    return Shortlist(sums.ravel()[order], states, max(found.rest + part.top, found.top + part.rest))


def _ranked(found: Shortlist, k: int, ran: tuple[Any, ...] | None) -> Ranking:
    values = found.values
    near = TIE * np.maximum(1.0, np.abs(values[:k]))
    tied = np.array([(np.abs(values - v) <= d).sum() > 1 for v, d in zip(values[:k], near, strict=True)], bool)
    return Ranking(values[:k], found.states[:k], np.maximum(values[:k], found.rest), tied, found.rest, ran)


class _Part:
    """A search of one network in which all variables are linked.

    What depends on the clock is in the notes; where these repeat a run, no clock is asked and no other program.
    """

    def __init__(self, tables: Tables, program: SearchRun, seconds: float, how: tuple[int, Notes, BestDisplay]):
        self.tables, self.memory, self.k = tables, program.memory, program.k
        self.seed, self.notes, self.show = how
        self.seconds, self.end = seconds, time.perf_counter() + seconds
        self.scopes = Scopes(tables.sizes, tables.scope_starts, tables.scopes)
        self.zero = np.zeros(len(tables.sizes))
        haste = min(max(2 * RACE * self.seconds, LEAST), GREEDY_SECONDS)
        self.first = self.notes(lambda: eliminating(self.scopes, next(orders()), haste))
        self.other: toulbar2.Toulbar2 | None = None
        self.course: Course | None = None
        self.ended, self.interrupted, self.near = False, False, 0.0
        self.upper = np.inf
        self.lower = Shortlist(np.empty(0), np.empty((0, len(tables.sizes)), np.int32), -np.inf)

    def listed(self) -> Shortlist:
        """The best, as they stand at the end of the time, or when someone interrupts after something was found."""
        try:
            return self._whole() or self._searched()
        except KeyboardInterrupt:
            if self.course is not None:
                self._hear(self.course.n, None)
            if not len(self.lower.values):
                raise
            self.interrupted = True
            return self.lower._replace(rest=self.upper)

    def _whole(self) -> Shortlist | None:
        """The best by elimination itself; None where its tables are too large."""
        buckets = MiniBuckets(self.tables, self.first, 2.0**MOST_LOG2)
        if not self.notes(lambda: self._affords(buckets)):
            return None
        return self._search(buckets, buckets.bound(Sweeps(0), None, self.zero), self.k + 1)

    def _affords(self, buckets: MiniBuckets) -> bool:
        """Whether no bucket has to be split."""
        price = buckets.price()
        if price is None or price.n_split or price.bytes > self.memory:
            return False
        return FIRST_PASS * price.entries * speed() <= self.seconds

    def _searched(self) -> Shortlist:
        with self._beside() as self.other:
            last = None
            for last in self._bounds():
                self.upper = min(self.upper, last[1].bound)
                self._hear(0, self.notes(self._told))
                self.show.ends(self.lower.top, self.upper)
                if self._is_over():
                    break
            if last is None or self._is_over():
                return self.lower._replace(rest=self.upper)
            if self.k > 1:
                return _together(self.lower, self._search(*last, self.k), self.k, self.upper)
            self._both(*last)
        return self.lower._replace(rest=self.upper)

    def _both(self, buckets: MiniBuckets, state: BoundState) -> None:
        """Search and local search side by side; what the one heard of the other, and when, is noted."""
        self.course = course = self._local_search(self.seed + 1)
        calls = [lambda: self._searches(buckets, state), lambda: self._meanwhile(course)]
        side_by_side(lambda call: call(), calls[: 1 if self.notes.repeats else 2])
        self._hear(self.notes(lambda: course.n), self.notes(self._told))

    def _beside(self) -> AbstractContextManager[toulbar2.Toulbar2 | None]:
        """A search by toulbar2, where it is installed and takes these tables."""
        processor, wanted = SHARE * self.seconds, self.k == 1 and not self.notes.repeats
        if processor < WORTHWHILE or not wanted or not is_there("pytoulbar2") or toulbar2.unsuited(self.tables):
            return nullcontext()
        return toulbar2.Toulbar2(self.tables, LONGEST * self.seconds, self.memory / 4, processor=processor)

    def _told(self) -> toulbar2.BothEnds | None:
        """What toulbar2 has found, once, as soon as it is over."""
        if self.other is None or not self.other.over:
            return None
        with self.other as other:
            self.other = None
            return other.found()

    def _hear(self, steps: int, told: toulbar2.BothEnds | None) -> None:
        """Take what local search has found after so many steps, and what toulbar2 has told."""
        best = self.course.best(steps) if self.course is not None else None
        if best is not None:
            self._better(best.value, best.states)
        if told is None:
            return
        if told.states is not None:
            self._better(told.lower, told.states)
        if told.upper < self.upper:
            self.upper, self.near = told.upper, SETTLED

    def _is_over(self) -> bool:
        """Whether the best is found and proven, if only as far as toulbar2's whole costs can."""
        best = self.lower.top
        proven = best > -np.inf and self.upper - best <= max(TIE * max(1.0, abs(best)), self.near)
        return proven or self.upper == -np.inf

    def _better(self, value: float, states: np.ndarray) -> None:
        if value > self.lower.top:
            self.lower = Shortlist(np.array([value]), np.array(states, np.int32)[None], -np.inf)
            self.show.ends(value, self.upper)

    def _searches(self, buckets: MiniBuckets, state: BoundState) -> None:
        """Two ways to the best: by parts, whose bound falls soon, and best first."""
        try:
            for by_parts in (True, False):
                if not self._is_over():
                    found = self._search(buckets, state, 1, by_parts)
                    self.upper = min(self.upper, max(found.rest, found.top))
                    if len(found.values):
                        self._better(float(found.values[0]), found.states[0])
                    self.upper = max(self.upper, self.lower.top)
        finally:
            self.ended = True

    def _meanwhile(self, course: Course) -> None:
        course.run(lambda: self.ended or time.perf_counter() > self.end)

    def _bounds(self) -> Iterator[tuple[MiniBuckets, BoundState]]:
        """Lower and lower bounds, and between them better and better states."""
        found = raced(self.notes, self.tables, self.zero, self._race)
        if found is None:  # no memory for any
            self.upper = _largest_terms(self.tables)
            self._improve(self.seconds)
            return
        yield found
        self._improve(LOCAL * self.seconds)
        if not self._is_over():
            yield self._grown(*found)

    def _race(self) -> tuple[MiniBuckets, BoundState] | None:
        """The order with the lowest bound, and its bound."""
        entries = RACE * self.seconds / speed() * CORES / RACERS / (FIRST_PASS + 5 * QUICK * SWEPT)
        first, start = next(orders()), time.perf_counter()

        def racer(how: Order) -> tuple[int, MiniBuckets, BoundState] | None:
            left = 2 * RACE * self.seconds - (time.perf_counter() - start)
            if how != first and (left <= 0 or (self.other is not None and self.other.over)):
                return None
            order = self.first if how == first else eliminating(self.scopes, how, min(left, GREEDY_SECONDS))
            buckets = largest(self.tables, order, how.seed, entries, self.memory / 2 / CORES)
            if buckets is None:
                return None
            guard = 2 * RACE * self.seconds * CORES / RACERS
            return how.seed, buckets, buckets.annealed(Sweeps(QUICK, guard), self.zero)

        found = [one for one in side_by_side(racer, islice(orders(), RACERS)) if one is not None]
        return min(found, key=lambda one: (one[2].bound, one[0]))[1:] if found else None

    def _grown(self, buckets: MiniBuckets, state: BoundState) -> tuple[MiniBuckets, BoundState]:
        """The better one of the bound and that of larger tables; where these are none, of more sweeps."""
        entries = GROWTH * self.seconds / speed() / (FIRST_PASS + 5 * LONG * SWEPT)

        def grown() -> tuple[MiniBuckets, BoundState]:
            larger = largest(self.tables, buckets.order, int(buckets.how[1]), entries, self.memory / 2)
            guard = min(2 * GROWTH * self.seconds, 0.5 * (self.end - time.perf_counter()))
            if larger is not None and larger.limit > buckets.limit:
                return larger, larger.annealed(Sweeps(LONG, guard), self.zero)
            return buckets, buckets.annealed(Sweeps(LONG, guard), self.zero, state)

        found = raced(self.notes, self.tables, self.zero, grown, (buckets, state))
        assert found is not None
        return min((buckets, state), found, key=_bound_of)

    def _local_search(self, seed: int) -> Course:
        start = self.lower.states[0] if len(self.lower.values) else None
        return Course(steps(self.tables, start, math.inf, seed, self.memory / 4))

    def _improve(self, seconds: float) -> None:
        """Better states by local search; toulbar2, if it is over, ends it."""
        self.course = course = self._local_search(self.seed)
        end = time.perf_counter() + seconds

        def is_over() -> bool:
            best = course.best(course.n)
            met = best is not None and best.value >= self.upper
            return met or time.perf_counter() > end or (self.other is not None and self.other.over)

        n = self.notes(lambda: course.run(is_over))
        self._hear(n, self.notes(self._told))
        self.course = None

    def _search(self, buckets: MiniBuckets, state: BoundState, k: int, by_parts: bool = False) -> Shortlist:
        price, one = buckets.price(), k == 1
        assert price is not None
        before, heard = self.notes.again(), []
        memory = max(self.memory / 2 - price.bytes, 1e6)
        left = math.inf if before else max(self.end - time.perf_counter(), 0.01)
        known = self.lower.top if one else -np.inf
        terms = SearchTerms(k, known, BY_PARTS * left if by_parts else left, memory=memory, by_parts=by_parts)
        if before is not None:
            terms = terms._replace(looks=before.looks, ask_at=before.after(0))

        def listen(found: Searched) -> tuple[float, float] | None:
            news = self._news(found) if before is None else before.at(found.looks)
            if news is None:
                return None
            heard.append(news)
            self._hear(news.steps, news.told)
            if news.over:
                raise KeyboardInterrupt  # which ends the search with what it has
            return self.lower.top if one else -np.inf, math.inf if before is None else before.after(found.looks)

        found = buckets.search(state, len(self.tables.sizes), terms, listen)
        self.notes.write(HeardBefore(tuple(heard), found.looks if found.stopped else math.inf))
        listed = Shortlist(found.values, found.states, found.upper)
        if found.interrupted and not self._is_over():
            self.lower = _together(self.lower, listed, k, self.upper)
            self.upper = self.lower.rest
            raise KeyboardInterrupt
        return listed

    def _news(self, found: Searched) -> Heard | None:
        """What there is to hear of the others; None where nothing is new."""
        steps, told, before = self.course.n if self.course is not None else 0, self._told(), self.lower.top
        self._hear(steps, told)
        self.show.ends(max(self.lower.top, float(found.values.max(initial=-np.inf))), min(self.upper, found.upper))
        over = self._is_over()
        return Heard(found.looks, steps, told, over) if told or over or self.lower.top > before else None


def _largest_terms(tables: Tables) -> float:
    """The bound that takes the largest entry of each table."""
    with np.errstate(divide="ignore"):
        return float(np.log(np.maximum.reduceat(tables.values, tables.value_starts[:-1])).sum()) + 1e-12


def _bound_of(found: tuple[MiniBuckets, BoundState]) -> float:
    return found[1].bound


def _together(first: Shortlist, second: Shortlist, k: int, upper: float) -> Shortlist:
    """What was found in two ways, each state once; what is left has the lower bound."""
    values, states = np.concatenate([second.values, first.values]), np.concatenate([second.states, first.states])
    _, where = np.unique(states, axis=0, return_index=True)
    order = where[np.argsort(-values[where], kind="stable")][:k]
    return Shortlist(values[order], states[order], min(second.rest, upper))
