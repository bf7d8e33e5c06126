"""When a search over what zeros leave is worth more than elimination: found out by a short trial, the probe.

Width says nothing of such a search, and nothing else does either: what it takes depends on which entries are zero and
which are alike. So the kernel tries, for a share of what elimination would take, or for half a second where that is
refused. As in `mini_buckets.py` entries of tables matter here, and stay in the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tractable.kernels import Reduced, Tables
from tractable.kernels.counting import SOLVED, UNSUITED, VISITS, Counted, SearchLimits, count
from tractable.plan._base import Alternative, Ask, Plan
from tractable.plan._units import duration

QUERIES = {"evidence": 1.5, "marginals": 1.5, "map": 2.0, "sample": 2.0}
"""What a query takes, times the probe, which finds log Z."""

PASSES, LEAST_PASSES = 2.0, 2.0**22
"""What marginals of variables that were summed out take besides: times the probe, and visits."""

SLOW = 1.0
"""Predicted seconds of elimination up to which nothing is tried."""

SHARE, LONGEST = 0.05, 0.5
"""Of these seconds the probe may take a share, and so many seconds at the most."""

BLIND = 300.0
"""Seconds that a search may take which the probe did not see the end of, where elimination is refused."""

ZEROS, MOSTLY = 0.1, 0.5
"""Shares of tables with zeros, of those over several variables: from the first on a search is tried, from the second on
it is taken where the probe did not see its end."""

ENTRIES = 1e7
"""Entries of tables up to which a search is tried: to take them apart takes some seconds for every 10^8."""

LEAST = 2.0**22
"""Bytes that a search needs at least to remember anything."""

CALL = 1e-2
"""Seconds that a search takes at least."""

MEMORY = 2.0**32
"""Bytes at most of what a search remembers: more is hardly ever looked up."""


BY_STATES = Alternative("counting", "exact", "plan by the states of what is observed: with these a search is tried")
"""What else there is where only names are known, not which zeros count."""


@dataclass(frozen=True)
class ZeroSearch:
    """A program: a search that may take so many bytes and seconds."""

    bytes: float
    seconds: float


def asked_for(plan: Plan, left: Callable[[], Reduced], ask: Ask) -> Plan:
    """The plan of a search in place of that of elimination, whatever it takes."""
    found = _probed(left().tables, ask, LONGEST)
    return _whole(plan, ask, found) if found.status == SOLVED else _blind(plan, ask)


def considered(plan: Plan, left: Callable[[], Reduced], ask: Ask) -> Plan | None:
    """The plan of a search that a probe has seen the end of, where the first tree is refused or much slower."""
    refused = plan.method is None
    if ask.budget.memory < LEAST or (not refused and plan.seconds < SLOW):
        return None
    tables = left().tables
    if tables.values.size > ENTRIES:
        return None
    found = _probed(tables, ask, LONGEST if refused else SHARE * plan.seconds)
    if found.status != SOLVED:
        return None
    whole = _whole(plan, ask, found)
    return whole if refused or whole.seconds < plan.seconds / 2 else None


def last_resort(plan: Plan, left: Callable[[], Reduced], ask: Ask) -> Plan:
    """The plan of a search of which no probe has seen the end, in place of a refusal; or the refusal."""
    tables = left().tables
    tried = ask.budget.memory >= LEAST and tables.values.size <= ENTRIES and tables.zeros >= MOSTLY
    if not tried or count(tables, SearchLimits(LEAST, visits=1, order=0)).status == UNSUITED:
        return plan
    return _blind(plan, ask)


def _probed(tables: Tables, ask: Ask, most: float) -> Counted:
    seconds = min(LONGEST, ask.budget.seconds, most)
    return count(tables, SearchLimits(_memory(ask), seconds * VISITS, seconds / 2, 1.5 * seconds))


def _whole(plan: Plan, ask: Ask, probe: Counted) -> Plan:
    """The plan of a search of which the probe has seen the end."""
    visits = QUERIES[plan.query] * probe.took.visits
    if plan.query == "marginals" and probe.took.summed:
        visits += PASSES * probe.took.visits + LEAST_PASSES
    took = min(visits / VISITS + CALL, _limit(ask))
    return _counting(plan, ask, took, f"a search that decides {probe.took.decisions:,.0f} times finds all there is")


def _blind(plan: Plan, ask: Ask) -> Plan:
    """The plan of a search that takes nobody knows how long."""
    limit = _limit(ask)
    return _counting(plan, ask, limit, f"a search may come to an end within {duration(limit)}, which a trial did not")


def in_the_dark(plan: Plan) -> bool:
    """Whether it is a search of which no probe has seen the end."""
    return plan.method == "counting" and isinstance(plan.program, ZeroSearch) and plan.seconds >= plan.program.seconds


def _limit(ask: Ask) -> float:
    return min(BLIND if ask.method == "auto" else float("inf"), ask.budget.seconds, ask.patience)


def _memory(ask: Ask) -> float:
    return min(ask.budget.memory, MEMORY)


def _counting(plan: Plan, ask: Ask, seconds: float, told: str) -> Plan:
    """The plan of a search in place of that of a contraction tree."""
    program = ZeroSearch(_memory(ask), _limit(ask))
    width = plan.width
    why = f"zeros leave little of tables of up to 2^{width:.4g} entries: {told}"
    common = {"advice": (), "alternatives": (), "slices": 1, "flops": seconds * VISITS}
    return replace(
        plan, method="counting", seconds=seconds, bytes=program.bytes, reason=why, program=program, n=ask.n, **common
    )


def of_rows(one: Plan, n: int, ask: Ask) -> Plan:
    """The plan of searches for `n` rows, of which that for one is known."""
    limit = min(n * _limit(ask), ask.budget.seconds, ask.patience)
    program = ZeroSearch(_memory(ask), limit)
    told, seconds = one.why, limit if one.seconds >= _limit(ask) else n * one.seconds
    whole = replace(one, method="counting", program=program, reason=lambda: f"{told}; {n:,} rows, one after the other")
    return whole.for_rows(n, seconds)


def unfinished(plan: Plan, why: str) -> Plan:
    """The plan of a search that did not come to an end, as a refusal."""
    return replace(plan, method=None, reason=why)
