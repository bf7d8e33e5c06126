"""When a search over what zeros leave is worth more than elimination: found out by a short trial, the probe.

Width says nothing of such a search, and nothing else does either: what it takes depends on which entries are zero and
which are alike. So the kernel tries, for a share of what elimination would take, or for a second where that is refused.
This is the one place of the room where entries of tables matter, and they stay in the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tractable.kernels import Reduced, Tables
from tractable.kernels.counting import SOLVED, VISITS, Terms, count
from tractable.plan._base import Ask, Plan
from tractable.plan._units import duration

QUERIES = {"evidence": 1.5, "marginals": 5.0, "map": 2.0, "sample": 2.0}
"""What a query takes, times the probe, which finds log Z."""

SLOW = 1.0
"""Predicted seconds of elimination up to which nothing is tried."""

SHARE, LONGEST = 0.05, 1.0
"""Of these seconds the probe may take a share, and so many seconds at the most."""

BLIND = 300.0
"""Seconds that a search may take which the probe did not see the end of, where elimination is refused."""

ZEROS, MOSTLY = 0.1, 0.5
"""Shares of tables with zeros, of those over several variables: from the first on a search is tried, from the second on
it is taken where the probe did not see its end."""

CALL = 1e-2
"""Seconds that a search takes at least."""

MEMORY = 2.0**32
"""Bytes at most of what a search remembers: more is hardly ever looked up."""


@dataclass(frozen=True)
class Counting:
    """A program: a search that may take so many bytes and seconds."""

    bytes: float
    seconds: float


def zeros_in(tables: Tables) -> float:
    """The share of tables with zeros among those over several variables."""
    several = np.diff(tables.scope_starts) > 1
    zeros = np.concatenate([[0], np.cumsum(tables.values == 0)])[tables.value_starts]
    return float((np.diff(zeros) > 0)[several].mean()) if several.any() else 0.0


def considered(plan: Plan, left: Callable[[], Reduced], ask: Ask) -> Plan | None:
    """The plan of a search where it is asked for, or where elimination, planned already, is refused or much slower."""
    needed = ask.method == "counting" or plan.method is None
    if not needed and plan.seconds < SLOW:
        return None
    tables = left().tables
    seconds = min(LONGEST, ask.budget.seconds, LONGEST if needed else SHARE * plan.seconds)
    found = count(tables, Terms(_memory(ask), seconds * VISITS, seconds, 2 * seconds))
    if found.status == SOLVED:
        took = min(QUERIES[plan.query] * found.took.visits / VISITS + CALL, _limit(ask))
        told = f"a search that decides {found.took.decisions:,.0f} times finds all there is"
        return _counting(plan, ask, took, told) if needed or took < plan.seconds / 2 else None
    if ask.method != "counting" and not (needed and zeros_in(tables) >= MOSTLY):
        return None
    told = f"a search may come to an end within {duration(_limit(ask))}, which a trial did not"
    return _counting(plan, ask, _limit(ask), told)


def _limit(ask: Ask) -> float:
    return min(BLIND if ask.method == "auto" else float("inf"), ask.budget.seconds, ask.patience)


def _memory(ask: Ask) -> float:
    return min(ask.budget.memory, MEMORY)


def _counting(plan: Plan, ask: Ask, seconds: float, told: str) -> Plan:
    """The plan of a search in place of that of a contraction tree."""
    program = Counting(_memory(ask), _limit(ask))
    width = plan.width
    why = f"zeros leave little of tables of up to 2^{width:.4g} entries: {told}"
    common = {"advice": (), "alternatives": (), "slices": 1, "flops": seconds * VISITS}
    return replace(
        plan, method="counting", seconds=seconds, bytes=program.bytes, reason=why, program=program, n=ask.n, **common
    )


def unfinished(plan: Plan, why: str) -> Plan:
    """The plan of a search that did not come to an end, as a refusal."""
    return replace(plan, method=None, reason=why)
