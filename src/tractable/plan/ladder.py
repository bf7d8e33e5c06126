"""What each rung gives where exact answers about a network of tables are too expensive, in the words of a plan."""

from __future__ import annotations

from dataclasses import replace

from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence
from tractable.models.pruning import left
from tractable.plan._base import Alternative, Ask, Plan
from tractable.plan._units import duration
from tractable.plan.budget import EXACT
from tractable.plan.reasons import ALTERNATIVES

INTERVAL = next(found for found in ALTERNATIVES if found.method == "mini_buckets")
CONFIDENCE = 0.95


def with_ladder(plan: Plan, model: TableModel, given: Evidence, ask: Ask) -> Plan:
    """The plan of an exact answer with what an interval would give instead, where that is what verbs fall back on."""
    affordable = plan.method and not plan.refused and plan.seconds <= EXACT
    if affordable or plan.query not in ("marginals", "evidence"):
        return plan
    told = _foreseen(plan, model, given, ask)
    return replace(plan, alternatives=tuple(told if a is INTERVAL else a for a in plan.alternatives or (INTERVAL,)))


def _foreseen(plan: Plan, model: TableModel, given: Evidence, ask: Ask) -> Alternative:
    """What a pilot sees, in numbers and in words."""
    from tractable.plan.mini_buckets import LOOKED_AT, nats, pilot, tables_memory  # no small plan waits for it

    reduced = left(model, given, ask.query, ask.targets)
    look = pilot(reduced.tables, tables_memory(ask.budget.memory, reduced, model, ask))
    if look is None:
        return replace(INTERVAL, note="the memory does not suffice for the smallest bound")
    ahead = tuple(look.foreseen(s, CONFIDENCE) for s in LOOKED_AT)
    widths = ", ".join(f"{nats(own.log_width)} in {duration(own.seconds)}" for own in ahead)
    what = " and of every marginal" if plan.query == "marginals" else ""
    told = f"an interval of log Z of about {widths} (exact: {duration(plan.seconds)}){what and ',' + what}"
    return replace(INTERVAL, note=told, foreseen=ahead)
