"""The price of a search for the most probable states of units, where exact ones take too long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tractable.plan._base import Ask, Plan
from tractable.plan._units import duration
from tractable.plan.budget import MAX_SECONDS, anytime
from tractable.plan.most_probable import SearchRun
from tractable.plan.reasons import SEARCHES

STATE_BYTES = 256.0
"""Of a bit of the states that are searched, at the least: see `plan.most_probable`."""


def searched(found: Plan, ask: Ask, log2_states: float, n_rows: int) -> Plan:
    """The plan of the most probable states of units that have tables: a search where exact answers take too long."""
    limit = ask.budget
    terms = anytime(None if limit.seconds >= MAX_SECONDS else limit.seconds)
    affordable = found.method is not None and found.seconds <= terms.patience
    if affordable or ask.method != "auto" or STATE_BYTES * log2_states * ask.n > limit.memory:
        return found
    program = SearchRun(ask.n, terms.seconds / n_rows, limit.memory)
    told = f"the best that a search finds in {duration(terms.seconds)}, and a bound of all others"
    more: dict[str, Any] = {
        "program": program,
        "reason": lambda: f"{told}; {found.why}",
        "alternatives": (),
        "budget": limit,
    }
    return replace(found, method=SEARCHES[0], bytes=limit.memory, seconds=terms.seconds, **more)
