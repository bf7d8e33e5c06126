"""What an interval takes where exact answers are too expensive: an upper bound by mini-buckets, and draws under it.

How much a bound gives depends on the tables themselves, so a pilot looks: it makes a bound in a fifth of a second,
draws some hundred times under it, and foresees how wide the interval will be after how many seconds. Like the trial of
a search (`counting.py`) it leaves the entries to the kernel. What runs later begins with a race of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tractable.kernels import Reduced, Scopes, Tables
from tractable.kernels.mini_buckets import BATCH, BoundState, MiniBuckets, PartSizes, Sweeps
from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence
from tractable.models.pruning import left
from tractable.plan._base import Anytime, Ask, Beside, ByTarget, Foreseen, Instead, Plan, allowed
from tractable.plan._units import duration, memory_size
from tractable.plan.budget import anytime, speed
from tractable.plan.counting import in_the_dark
from tractable.plan.interval_memory import CORES, room_for
from tractable.plan.outlook import log_width, share_width
from tractable.plan.search import FIRST, GREEDY_SECONDS, OTHERS
from tractable.plan.tables import n_states, observed_names, positions

SWEPT, FIRST_PASS = 1.3e-8, 2e-8
"""Seconds for an entry of a part's table in a sweep, and in the first bound of all; measured."""

DRAWN = 1e-9
"""Seconds for the work that `buckets_price` counts in a draw; measured."""

PILOT, PILOT_BATCHES, PILOT_ORDER = 2e6, 2, 0.5
"""Entries of the pilot's parts, batches that it draws, and seconds that its order may take."""

MOST_LOG2 = 28
"""No table of a part has more entries than 2 to this."""


class Order(NamedTuple):
    """An order of elimination: the heuristic, the noise in its scores, the seed of the noise and of ties."""

    heuristic: str
    noise: float
    seed: int


class Ran(NamedTuple):
    """How a bound was found, and how many draws were planned and made: what repeats it to the bit."""

    order: Order
    limit: int
    sweeps: tuple[int, ...]
    horizon: int
    draws: int
    seed: int


class IntervalRun(NamedTuple):
    """A program: an interval that holds with some confidence, for some seconds within some memory.

    `draws`: so many, whatever the clock says. `ran`: as it ran once. Of the seconds some are `spent` on planning, which
    changes when it stops and nothing else.
    """

    seconds: float
    memory: float
    confidence: float = 0.95
    draws: int | None = None
    ran: Ran | None = None
    spent: float = 0.0


LOOKED_AT = 10.0, 60.0
"""Seconds that the ladder of a plan looks ahead."""

BEYOND = 2.0
"""Seconds that an interval has though planning took all of its time."""

LOOKED_THROUGH = 5_000
"""Variables that a pilot has the time for."""


class Outlook(NamedTuple):
    """What a pilot foresees: the gap between bound and log Z, the relative variance of weights, draws in a second."""

    gap: float
    spread: float
    rate: float

    def width(self, seconds: float, confidence: float) -> float:
        """The width of the interval of log Z after so many seconds."""
        return log_width(self.rate * seconds, self.gap, self.spread, 1 - confidence)

    def foreseen(self, seconds: float, confidence: float) -> Foreseen:
        """What the intervals will be after so many seconds."""
        share = share_width(self.rate * seconds, 0.5, self.gap, self.spread, 1 - confidence)
        return Foreseen(seconds, self.width(seconds, confidence), share)


UNSEEN = Outlook(math.nan, math.nan, 1.0)


def plan_interval(model: TableModel, given: Evidence, ask: Ask, exact: Plan | None = None) -> Plan:
    """The plan of intervals, in place of an exact plan that takes too long; of log Z alone where marginals do not fit.

    Refused where the memory is too small for that as well.
    """
    found = _planned(model, given, ask, exact)
    if found.method or ask.query != "marginals" or ask.targets == ():
        return found
    alone = _planned(model, given, ask._replace(query="evidence", targets=None), exact)
    if not alone.method:
        return found
    names = tuple(model.states) if ask.targets is None else ask.targets
    told = f"log Z alone, {alone.why}; marginals: {found.why}"
    program = ByTarget(alone, (), ((names, found),))
    return replace(alone, query="marginals", targets=ask.targets, program=program, reason=told)


def _planned(model: TableModel, given: Evidence, ask: Ask, exact: Plan | None) -> Plan:
    """The plan of intervals of all that is asked for."""
    terms = ask.anytime or anytime(None)
    answers = _answers(model, given, ask)
    program = IntervalRun(terms.seconds, max(ask.budget.memory - answers, 0.0), terms.confidence, terms.draws)
    rows = np.unique(np.atleast_2d(given.states), axis=0)
    first = Evidence(rows[0], given.likelihoods) if given.many else given
    reduced = left(model, first, ask.query, ask.targets)
    room = tables_memory(program.memory, reduced, model, ask)
    look = _looked(reduced, room, ask) if answers < ask.budget.memory else None
    most = max(0.5 * terms.seconds, terms.seconds - BEYOND)
    program = program._replace(spent=min(max(time.perf_counter() - terms.since, 0.0), most))
    if look is not None:
        size, told = program.memory + answers, _foreseen(look, program, len(rows))
    else:
        size = answers + program.memory - room + _smallest(reduced.tables)
        told = _too_little(ask.budget.memory, size)
    query = "evidence" if ask.targets == () else ask.query
    common = {"query": query, "targets": ask.targets, "n": ask.n, "observed": observed_names(model, first.states)}
    largest_given = float(np.log2(max(np.diff(reduced.tables.value_starts).max(initial=1), 1)))
    width = largest_given if exact is None else exact.width
    why = told if exact is None else lambda: f"{told}; exact answers are refused, as {exact.why}"
    return Plan(
        "mini_buckets" if look is not None else None,
        width,
        program.seconds * CORES / SWEPT,
        size,
        program.seconds,
        why,
        advice=getattr(exact, "advice", ()),
        program=program,
        budget=ask.budget,
        structure=model.graph,
        **common,
    )


def _looked(reduced: Reduced, memory: float, ask: Ask) -> Outlook | None:
    """What a pilot sees where somebody will read of it, else what it does not see; None where nothing fits."""
    if reduced.impossible:
        return Outlook(0.0, 0.0, 1.0)
    read = ask.anytime is None or (ask.query == "marginals" and ask.anytime.draws is None)
    if read and len(reduced.tables.sizes) <= LOOKED_THROUGH:
        return pilot(reduced.tables, memory)
    return UNSEEN if _smallest(reduced.tables) <= memory else None


def tables_memory(memory: float, reduced: Reduced, model: TableModel, ask: Ask) -> float:
    """What a question leaves of the memory for tables."""
    names = model.states if ask.targets is None else ask.targets
    index = np.unique(reduced.index[positions(model, () if ask.query == "evidence" else names)])
    sizes = reduced.tables.sizes[index[index >= 0]]
    return room_for(memory, reduced.tables.sizes, len(sizes), () if ask.query == "sample" else sizes).tables


def _answers(model: TableModel, given: Evidence, ask: Ask) -> float:
    """The bytes of what is answered, while it is put together."""
    if ask.query == "sample":
        return 16.0 * ask.n * len(model.states)
    return 48.0 * len(given.states) * n_states(model, ask) if given.many else 0.0


def _instead(search: Plan, interval: Plan, terms: Anytime) -> Plan:
    """The plan of a search of which nobody knows whether it ends, and of an interval for where it does not."""
    given = terms.patience == terms.seconds
    before = interval.program.spent
    limit = min(search.program.seconds, (terms.seconds - before) / 2) if given else BLIND
    first = replace(search, program=replace(search.program, seconds=limit), seconds=limit)
    if given:
        program = interval.program._replace(spent=before + limit)
        interval = replace(interval, program=program)
    told = f"a search for {duration(limit)} at most, and where it does not come to an end {interval.why}"
    return replace(first, reason=told, program=Instead(first, interval), seconds=limit + interval.seconds * (not given))


BLIND = 60.0
"""Seconds of a search that may not come to an end, before an interval answers, where no budget says otherwise."""


def interval_in(plan: Plan) -> Plan:
    """The plan of the interval among its parts, or itself."""
    if isinstance(plan.program, Beside):
        return plan.program.interval
    return plan.program.evidence if isinstance(plan.program, ByTarget) else plan


def for_samples(model: TableModel, given: Evidence, plan: Plan, n: int) -> Plan:
    """The plan of samples within the same terms as an interval."""
    program = interval_in(plan).program
    assert plan.budget is not None
    terms = anytime(program.seconds, program.confidence)
    return allowed(plan_interval(model, given, Ask("sample", plan.budget, n=n, anytime=terms)))


def completed(model: TableModel, given: Evidence, ask: Ask, exact: Plan) -> Plan:
    """The exact plan with intervals for what it refuses, or for where its search may not end; it alone if none fits."""
    if in_the_dark(exact):
        found = _planned(model, given, ask, None)
        return _instead(exact, found, ask.anytime or anytime(None)) if found.method else exact
    if exact.method:
        found = _planned(model, given, ask._replace(targets=tuple(exact.refused)), exact)
        return _beside(exact, found, len(model.states)) if found.method else exact
    found = plan_interval(model, given, ask, exact)
    if found.method or ask.query == "sample":
        return found if found.method else exact
    return replace(found, alternatives=exact.alternatives)


def _beside(exact: Plan, interval: Plan, n: int) -> Plan:
    """The plan of exact answers with that of an interval for what is refused of them."""
    n = n if exact.targets is None else len(exact.targets)
    told = f"{n - len(interval.targets or ()):,} of {n:,} marginals are exact, {exact.why}; the others: {interval.why}"
    size, seconds = max(exact.bytes, interval.bytes), exact.seconds + interval.seconds
    common = {"bytes": size, "seconds": seconds, "reason": told, "program": Beside(exact, interval)}
    return replace(exact, method="mini_buckets", advice=(), alternatives=(), **common)


def _smallest(tables: Tables) -> float:
    """The bytes that two calls with the smallest parts take."""
    price = MiniBuckets(tables, np.arange(len(tables.sizes)), 2).price()
    return math.inf if price is None else CORES * price.bytes


def _too_little(memory: float, needed: float) -> str:
    """That the memory is too small, in words."""
    told = f"not even the smallest bound fits into {memory_size(memory)}"
    return f"{told}: with the record of its draws it takes about {memory_size(needed)}"


def _foreseen(look: Outlook, program: IntervalRun, n_rows: int) -> str:
    """What to expect, in words."""
    if program.draws is not None:
        return f"an interval from {program.draws:,} draws under a bound"
    width = look.width(program.seconds / n_rows, program.confidence)
    rows = f" for each of {n_rows:,} different rows" if n_rows > 1 else ""
    told = "" if look is UNSEEN else f", of about {nats(width)}"
    sure, time_ = f"{program.confidence:.4g} confidence", f"in {duration(program.seconds)}{rows}"
    return f"an interval at {sure}{told} {time_}"


def nats(width: float) -> str:
    """A width in words.

    >>> nats(0.0312), nats(float("inf"))
    ('0.031 nats', 'unknown width')
    """
    return f"{width:.2g} nats" if math.isfinite(width) else "unknown width"


def orders() -> Iterator[Order]:
    """Orders to race: each heuristic by itself, and with more and more noise."""
    yield Order(FIRST, 0.0, 0)
    yield Order("min-growth", 0.0, 0)
    for seed in range(1, 1 << 20):
        heuristic = (FIRST, "min-growth", *OTHERS[:2])[seed % 4]
        yield Order(heuristic, 0.05 * (1 + seed % 3), seed)


SURE = Order("min-weight", 0.0, 0)
"""An order that is found at once in any network."""


def timely(scopes: Scopes, how: Order, seconds: float) -> np.ndarray | None:
    """The order itself, of all variables; None where it takes longer."""
    found = scopes.greedy_order(how.heuristic, how.noise, how.seed, 1000.0, seconds)
    if found is None:
        return None
    rest = np.setdiff1d(np.arange(scopes.n, dtype=np.int32), found)
    return np.concatenate([rest, found]).astype(np.int32)


def eliminating(scopes: Scopes, how: Order, seconds: float = GREEDY_SECONDS) -> np.ndarray:
    """The order itself, or the one that is sure to be found where it takes longer."""
    found = timely(scopes, how, seconds)
    found = timely(scopes, SURE, math.inf) if found is None else found
    return np.arange(scopes.n, dtype=np.int32) if found is None else found


def largest(tables: Tables, order: np.ndarray, seed: int, entries: float, memory: float) -> MiniBuckets | None:
    """Parts as large as so many entries in all, and the memory, allow; None where the smallest take too much memory."""
    best, low, high = None, 1, MOST_LOG2
    while low <= high:
        middle = (low + high) // 2
        found = MiniBuckets(tables, order, 2**middle, seed)
        price = found.price()
        allowed = entries if middle > 1 else np.inf  # the smallest, however long they take
        if price is not None and price.entries <= allowed and price.bytes <= memory:
            best, low = found, middle + 1
        else:
            high = middle - 1
    return best


def seconds_of(price: PartSizes, sweeps: float) -> float:
    """Predicted seconds of sweeps."""
    return (FIRST_PASS + SWEPT * sweeps) * price.entries * speed()


def pilot(tables: Tables, memory: float) -> Outlook | None:
    """A look ahead; None where the memory does not suffice for anything."""
    scopes = Scopes(tables.sizes, tables.scope_starts, tables.scopes)
    how = next(orders())
    found = largest(tables, eliminating(scopes, how, PILOT_ORDER), how.seed, PILOT, memory / CORES)
    if found is None:
        return None
    state = found.bound(Sweeps(4))
    price = found.price()
    assert price is not None
    rate = CORES / (DRAWN * speed() * max(price.draw, 1) + 1e-8)
    return _looked_at(found, state, rate)


def _looked_at(found: MiniBuckets, state: BoundState, rate: float) -> Outlook:
    if not math.isfinite(state.bound):
        return Outlook(0.0, 0.0, rate)
    log_w, _ = found.draw(state, found.proposal(state), (0, PILOT_BATCHES), 0)
    top = log_w.max()
    if top == -np.inf:
        return Outlook(math.inf, math.inf, rate)
    x = np.exp(log_w - top)
    gap = -(top + math.log(x.mean()))
    return Outlook(max(gap, 0.0), float(x.var() / x.mean() ** 2), rate)


def batches(n: float) -> int:
    """So many draws, in whole batches."""
    return max(math.ceil(n / BATCH), 1)
