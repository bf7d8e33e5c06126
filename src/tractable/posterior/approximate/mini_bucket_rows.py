"""Intervals of many cases whose tables differ in their entries alone: one race, on the first, and one partition.

Each begins with the weights and shifts of the first, so that few sweeps suffice; most of the time is left to draws.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

from tractable.kernels import Tables
from tractable.kernels.mini_buckets import MiniBuckets, Sweeps
from tractable.kernels.threads import side_by_side
from tractable.plan.interval_memory import Room, room_for
from tractable.plan.mini_buckets import CORES, IntervalRun, Ran
from tractable.posterior.approximate.betting import Bets
from tractable.posterior.approximate.mini_buckets import (
    BEFORE_DRAWS,
    LAST,
    LEAN,
    Bounded,
    ImportanceSample,
    Questions,
    draw_under,
    lower_and_lower,
    planned_draws,
)
from tractable.posterior.waiting import IntervalDisplay

R = TypeVar("R")


class Lead(NamedTuple):
    """The bound of the first case, which the others follow, and the terms of each."""

    bound: Bounded
    own: IntervalRun
    room: Room
    seed: int

    def like(self, tables: Tables, sweeps: int, end: float) -> Bounded:
        """The bound of another case: the same parts, from the same state."""
        best = self.bound
        buckets = MiniBuckets(tables, best.buckets.order, best.buckets.limit, best.how.seed)
        seconds = math.inf if self.own.draws else max(BEFORE_DRAWS * (end - time.perf_counter()), 0.0)
        state = buckets.bound(Sweeps(sweeps, seconds), best.state if math.isfinite(best.state.bound) else None)
        return Bounded(best.how, buckets, state, (state.sweeps,), best.whole)


def drawn_alike(
    rows: Iterator[R], n: int, how: tuple[IntervalRun, int], of: Callable[[R], tuple[Tables, Questions]]
) -> Iterator[tuple[R, ImportanceSample | None]]:
    """Each of n cases with bets on draws under its bound, on terms for all together; None where the memory allows none.

    After Ctrl-C the others have no more than their bounds.
    """
    program, seed = how
    first = next(rows)
    tables, asked = of(first)
    room = room_for(program.memory, tables.sizes, int(asked.wanted.sum()), asked.sizes)
    end = time.perf_counter() + program.seconds - program.spent - n * LAST * float(asked.sizes.sum())
    with IntervalDisplay(program.seconds) as show:
        bound, interrupted = _led(tables, n, (program._replace(memory=room.tables), end), show)
        if bound is None:
            yield first, None
            return
        lead = Lead(bound, program._replace(seconds=program.seconds / n), room, seed)
        rest, left = chain([first], rows), n
        while some := list(islice(rest, CORES)):
            until = time.perf_counter() + (end - time.perf_counter()) * len(some) / left
            left -= len(some)
            for found in _some(lead, [of(row) for row in some], until, interrupted, show):
                interrupted |= found.interrupted
                yield some.pop(0), found


def _led(tables: Tables, n: int, how: tuple[IntervalRun, float], show: Any) -> tuple[Bounded | None, bool]:
    """The best bound of the first case with tables that all can afford, and whether somebody interrupted."""
    best = None
    try:
        for best in lower_and_lower(tables, *how, n):
            show(best.state.bound)
    except KeyboardInterrupt:
        if best is None:
            raise
        return best, True
    return best, False


def _some(
    lead: Lead, rows: list[tuple[Tables, Questions]], end: float, interrupted: bool, show: Any
) -> Iterator[ImportanceSample]:
    """Some cases: their bounds side by side, their draws one after the other."""
    try:
        sweeps = 0 if interrupted else LEAN
        bounds = side_by_side(lambda row: lead.like(row[0], sweeps, end), rows, at_once=CORES)
    except KeyboardInterrupt:
        interrupted, bounds = True, [lead.like(tables, 0, math.inf) for tables, _ in rows]
    for i, (found, (_, asked)) in enumerate(zip(bounds, rows, strict=True)):
        bets = Bets(asked.sizes, planned_draws(found, asked.wanted, lead.own))
        until = time.perf_counter() + (end - time.perf_counter()) / (len(rows) - i)
        try:
            if not interrupted:
                draw_under(found, asked, bets, (lead.own, lead.room, lead.seed, until), show)
        except KeyboardInterrupt:
            interrupted = True
        ran = Ran(found.how, found.buckets.limit, found.sweeps, bets.horizon, bets.n_draws, lead.seed)
        yield ImportanceSample(found.bound, bets, ran, found.whole, interrupted)
