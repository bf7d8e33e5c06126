"""Intervals of log Z and of marginals where exact answers are too expensive: draws under a bound by mini-buckets.

Orders of elimination race for the lowest upper bound U, which is lowered in sweeps; the parts' conditionals, mixed,
draw states of weights w ≤ e^U with mean Z, on which is bet (`betting.py`). Log Z ≤ U holds always, the rest with the
stated confidence, whenever one stops. Where no bucket has to be split the bound is elimination itself.

Sources: Dechter & Rish 2003; Liu & Ihler 2011; Lou, Dechter & Ihler 2017; Waudby-Smith & Ramdas 2024.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from heapq import nsmallest
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np

from tractable.kernels import Scopes, Tables
from tractable.kernels.mini_buckets import BATCH, BoundState, MiniBuckets, Sweeps
from tractable.kernels.threads import in_order, side_by_side
from tractable.plan.budget import speed
from tractable.plan.interval_memory import Room, room_for
from tractable.plan.mini_buckets import (
    CORES,
    DRAWN,
    FIRST_PASS,
    PILOT,
    SURE,
    SWEPT,
    IntervalRun,
    Order,
    Ran,
    batches,
    eliminating,
    largest,
    orders,
    timely,
)
from tractable.plan.search import GREEDY_SECONDS
from tractable.posterior.approximate.betting import Bets
from tractable.posterior.waiting import IntervalDisplay

TOO_LITTLE = "the memory does not suffice for the smallest bound"

RACERS, FINALISTS = 16, 3
"""Orders that race, and those that are swept before one is chosen."""

RACE, FINAL, GROWTH = 0.08, 0.06, 0.2
"""Shares of the time: for the race, for its finalists, for sweeps with larger tables."""

LARGE_GROWTH, FILLED = 0.45, -2.0
"""The last share where the gap to log Z is so much more than the logarithm of the draws that there will be."""

SHARED, LARGE_SHARED = 0.15, 0.3
"""Where rows share their parts, the share of the time for the sweeps of all, and where the gap is as large."""

QUICK, LONG, LEAN = 4, 12, 6
"""Sweeps of the finalists, of the one that is chosen, and of each row that begins with what another came to."""

PROMPT = 0.02
"""The share of the time that a piece of the draws takes, at most, as long as it has several batches."""

OVERDUE, BEFORE_DRAWS = 1.7, 0.7
"""Sweeps end when they have taken so many times what was foreseen, or such a share of the time that is left."""


ORDERED, ORDER_SECONDS = 0.05, (0.2, GREEDY_SECONDS)
"""The share of the time that an order may take, and its limits."""


class Bounded(NamedTuple):
    """Parts with a state, how they were found, and whether no bucket is split."""

    how: Order
    buckets: MiniBuckets
    state: BoundState
    sweeps: tuple[int, ...]
    whole: bool

    @property
    def bound(self) -> float:
        """The bound of log Z; where it is log Z itself, without what was charged for rounding."""
        charged = self.whole and math.isfinite(self.state.bound)
        return self.state.bound - (self.state.slack if charged else 0.0)


class ImportanceSample(NamedTuple):
    """What came of it: the bound, the bets on the draws, and how it ran."""

    bound: float
    bets: Bets
    ran: Ran
    whole: bool
    interrupted: bool = False


def lower_and_lower(tables: Tables, program: IntervalRun, end: float, n_rows: int = 1) -> Iterator[Bounded]:
    """Lower and lower bounds, within their share of the time to the end; none where the memory allows nothing.

    Where they are of one of many rows that share the time, parts are such as all can afford to sweep.
    """
    scopes = Scopes(tables.sizes, tables.scope_starts, tables.scopes)
    if program.ran is not None:
        yield _again(tables, scopes, program.ran)
        return
    entries = min(RACE * paced(program) * CORES / RACERS / FIRST_PASS, _affordable(SHARED, program, n_rows))
    late, memory = time.perf_counter() + OVERDUE * RACE * program.seconds, program.memory / CORES

    greedy = GREEDY_SECONDS if program.draws is not None else float(np.clip(ORDERED * program.seconds, *ORDER_SECONDS))

    def first(how: Order, entries: float = entries) -> Bounded | None:
        order = timely(scopes, how, math.inf if how == SURE else greedy)
        found = None if order is None else largest(tables, order, how.seed, entries, memory)
        return None if found is None else _bounded(how, found, 0, math.inf)

    some = first(next(orders()), min(entries, PILOT)) or first(SURE)  # what there is if someone interrupts
    if some is None:
        return
    yield some
    others = in_order(lambda how: None if _is_late(late, program) else first(how), islice(orders(), RACERS), CORES)
    racers = chain([some], (r for r in others if r is not None))
    racers = nsmallest(FINALISTS, racers, key=lambda r: (r.state.bound, r.how.seed))  # no other is kept meanwhile
    yield racers[0]
    if racers[0].whole or not math.isfinite(racers[0].state.bound):
        return
    guard = _guard(FINAL, program, end)
    finalists = side_by_side(lambda r: _swept(r, QUICK, guard), racers, at_once=CORES)
    finalists.sort(key=lambda r: r.state.bound)
    yield finalists[0]
    yield _grown(tables, finalists, program, end, n_rows)


def paced(program: IntervalRun) -> float:
    """The seconds on a machine like the reference; on any where draws are counted, so that bounds are the same."""
    return program.seconds if program.draws is not None else program.seconds / speed()


def _is_late(end: float, program: IntervalRun) -> bool:
    """Whether it is later than this, unless draws are counted."""
    return program.draws is None and time.perf_counter() > end


def _bounded(how: Order, buckets: MiniBuckets, sweeps: int, guard: float) -> Bounded:
    price = buckets.price()
    assert price is not None
    state = buckets.bound(Sweeps(sweeps, guard))
    return Bounded(how, buckets, state, (state.sweeps,), price.n_split == 0)


def _swept(racer: Bounded, sweeps: int, guard: float) -> Bounded:
    state = racer.buckets.bound(Sweeps(sweeps, guard), racer.state)
    return racer._replace(state=state, sweeps=(*racer.sweeps, state.sweeps))


def _guard(share: float, program: IntervalRun, end: float) -> float:
    """Seconds after which sweeps end that are slower than foreseen."""
    if program.draws is not None:
        return math.inf
    return max(min(OVERDUE * share * program.seconds, BEFORE_DRAWS * (end - time.perf_counter())), 0.0)


def _affordable(share: float, program: IntervalRun, n_rows: int) -> float:
    """Entries of parts that all rows can sweep in a share of the time."""
    return share * paced(program) * CORES / n_rows / (FIRST_PASS + LEAN * SWEPT) if n_rows > 1 else math.inf


def _grown(tables: Tables, finalists: list[Bounded], program: IntervalRun, end: float, n_rows: int) -> Bounded:
    """The best of two with larger tables, or with the same ones swept for longer where none are larger.

    Where draws could not be many enough to fill the gap to log Z, the bound has more of the time. Where memory is short
    the best alone has it, beside its small tables.
    """
    best = finalists[0]
    wide = _gap(best, program) > math.log(planned_draws(best, None, program) / n_rows) + FILLED
    share, shared = (LARGE_GROWTH, LARGE_SHARED) if wide else (GROWTH, SHARED)
    entries = min(share * paced(program) / (FIRST_PASS + LONG * SWEPT), _affordable(shared, program, n_rows))
    guard = _guard(share, program, end)

    def larger(racer: Bounded, memory: float) -> MiniBuckets | None:
        found = largest(tables, racer.buckets.order, racer.how.seed, entries, memory)
        return None if found is None or found.limit <= racer.buckets.limit else found

    def grown(pair: tuple[Bounded, MiniBuckets | None]) -> Bounded:
        racer, found = pair
        return _swept(racer, 2 * LONG, guard) if found is None else _bounded(racer.how, found, LONG, guard)

    price = best.buckets.price()
    assert price is not None
    pairs = [(racer, larger(racer, program.memory / CORES)) for racer in finalists[:CORES]]
    alone = larger(best, program.memory - price.bytes)
    if alone is not None and (pairs[0][1] is None or alone.limit > pairs[0][1].limit):
        pairs = [(best, alone), (best, None)]
    return min(side_by_side(grown, pairs, at_once=CORES), key=lambda r: r.state.bound)


def _gap(found: Bounded, program: IntervalRun) -> float:
    """U − log Z, as few draws see it; infinite where none has a positive weight."""
    n = min(_prompt(found, None, program), 2)
    log_w, _ = found.buckets.draw(found.state, found.buckets.proposal(found.state), (0, n), 0)
    return float(math.log(len(log_w)) - np.logaddexp.reduce(log_w))


def _again(tables: Tables, scopes: Scopes, ran: Ran) -> Bounded:
    """The bound as it was found before."""
    order = eliminating(scopes, ran.order, math.inf)
    found = _bounded(ran.order, MiniBuckets(tables, order, ran.limit, ran.order.seed), ran.sweeps[0], math.inf)
    for sweeps in ran.sweeps[1:]:
        found = _swept(found, sweeps, math.inf)
    return found


class Questions(NamedTuple):
    """What is asked of draws: the wanted variables, 0/1 for each, and which of these, in order, make up each label."""

    wanted: np.ndarray
    sizes: np.ndarray
    members: list[list[int]]

    @classmethod
    def of(cls, sizes: np.ndarray, asked: Sequence[Sequence[int]]) -> Questions:
        """Single variables, or several jointly with the last one the fastest, by their numbers."""
        wanted = np.zeros(len(sizes), np.uint8)
        wanted[[v for members in asked for v in members]] = 1
        rows = np.cumsum(wanted, dtype=np.int64) - 1
        widths = [math.prod(sizes[list(members)].tolist()) for members in asked]
        return cls(wanted, np.array(widths, np.int64), [rows[list(members)].tolist() for members in asked])

    def labels(self, states: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Of draws by the states of the wanted variables."""
        if all(len(rows) == 1 for rows in self.members) and len(self.members) == len(states):
            order = [rows[0] for rows in self.members]
            return states if order == list(range(len(order))) else states[order]
        own = sizes[self.wanted.astype(bool)]
        found = [np.ravel_multi_index(tuple(states[rows]), own[rows]) for rows in self.members]
        return np.array(found, np.int32).reshape(len(found), states.shape[1])


def drawn(tables: Tables, asked: Questions, program: IntervalRun, seed: int) -> ImportanceSample | None:
    """Bets on draws until the seconds or the draws are over, or Ctrl-C; None where the memory allows nothing."""
    end = time.perf_counter() + program.seconds - program.spent - LAST * float(asked.sizes.sum())
    room = room_for(program.memory, tables.sizes, int(asked.wanted.sum()), asked.sizes)
    best, bets, interrupted = None, Bets(asked.sizes), False
    seed = seed if program.ran is None else program.ran.seed
    with IntervalDisplay(program.seconds) as show:
        try:
            for best in lower_and_lower(tables, program._replace(memory=room.tables), end):
                show(best.state.bound)
            if best is not None:
                bets = Bets(asked.sizes, planned_draws(best, asked.wanted, program))
                draw_under(best, asked, bets, (program, room, seed, end), show)
        except KeyboardInterrupt:
            if best is None:
                raise
            interrupted = True
    if best is None:
        return None
    ran = Ran(best.how, best.buckets.limit, best.sweeps, bets.horizon, bets.n_draws, seed)
    return ImportanceSample(best.bound, bets, ran, best.whole, interrupted)


def draw_under(
    found: Bounded, asked: Questions, bets: Bets, how: tuple[IntervalRun, Room, int, float], show: Any
) -> None:
    """Bet on draws: on what terms, in which room, from which seed, and until when."""
    program, room, seed, end = how
    if not math.isfinite(found.state.bound) or (found.whole and not len(asked.sizes)):
        return
    by_the_clock = program.draws is None and program.ran is None
    for log_w, states in pieces(found, asked.wanted, (program, room), (seed, bets.horizon)):
        bets.add(log_w, asked.labels(states, found.buckets.tables.sizes))
        show(found.state.bound, bets)
        left = RESERVED * program.seconds if bets.found_nothing else 0.0
        if by_the_clock and time.perf_counter() > end - left:
            return


RESERVED = 0.15
"""The share of the time that another search has where draws find nothing."""

LAST = 1.5e-5
"""Seconds for the interval of a label, at the end."""


def planned_draws(found: Bounded, wanted: np.ndarray | None, program: IntervalRun) -> int:
    """The draws that are planned, from sizes alone, so that they are the same when it is repeated."""
    if program.ran is not None:
        return program.ran.horizon
    if program.draws is not None:
        return program.draws
    price = found.buckets.price(wanted)
    assert price is not None
    share = 1 - RACE - FINAL - GROWTH
    return batches(share * program.seconds * CORES / (DRAWN * price.draw + 1e-8)) * BATCH


def _prompt(found: Bounded, wanted: np.ndarray | None, program: IntervalRun) -> int:
    """Batches that take little of the time, from sizes alone; at least one."""
    price = found.buckets.price(wanted)
    assert price is not None
    return int(max(PROMPT * program.seconds / (BATCH * (DRAWN * price.draw + 1e-8)), 1))


def pieces(
    found: Bounded, wanted: np.ndarray, terms: tuple[IntervalRun, Room], key: tuple[int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draws by the piece, as many as there are to be: log w − U [n], states of the wanted variables [·, n]."""
    (program, room), (seed, horizon) = terms, key
    step = min(_prompt(found, wanted, program), room.step)
    proposal = found.buckets.proposal(found.state, wanted)
    most = program.draws if program.ran is None else program.ran.draws

    def piece(first: int) -> tuple[np.ndarray, np.ndarray]:
        return found.buckets.draw(found.state, proposal, (first, first + step), seed, wanted)

    starts = range(0, 64 * horizon if most is None else batches(most), step)
    for first, (log_w, states) in zip(starts, in_order(piece, starts, room.threads), strict=False):
        n = len(log_w) if most is None else min(len(log_w), most - first * BATCH)
        yield log_w[:n], states[:, :n]
