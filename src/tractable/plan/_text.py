"""Plans as tables for people."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table

from tractable.plan._units import duration, listed, memory_size, short_count

if TYPE_CHECKING:
    from tractable.plan._base import Plan


def prices(plan: Plan) -> tuple[str, str, str, str]:
    """Width, multiply-adds, memory and time with their units."""
    return f"{plan.width:.1f}", short_count(plan.flops), memory_size(plan.bytes), duration(plan.seconds)


def plan_table(plan: Plan) -> Table:
    """One plan, a row for each field."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for row in plan_rows(plan):
        table.add_row(*row)
    return table


def plan_rows(plan: Plan) -> list[tuple[str, str]]:
    """What each field of a plan says."""
    width, flops, memory, seconds = prices(plan)
    given = f" given {', '.join(plan.observed)}" if plan.observed else ""
    rows = [
        ("query", plan.query + (f" of {listed(plan.targets)}" if plan.targets else "") + given),
        ("method", plan.method or "refused"),
        ("width", f"{width} (log2 of the largest table)"),
        ("multiply-adds", flops),
        ("memory", memory + (f", in {plan.slices} slices" if plan.slices > 1 else "")),
        ("time", seconds),
        ("why", plan.why),
    ]
    rows += [("or", f"{a.method} ({a.certificate}): {a.note}") for a in plan.alternatives]
    if plan.advice:
        rows.append(("advice", advised(plan)))
    if plan.refused:
        worst = max(plan.refused.values(), key=lambda own: own.seconds)
        rows.append(
            ("refused", f"{listed([*plan.refused])}: up to {memory_size(worst.bytes)}, {duration(worst.seconds)}")
        )
    return rows


HEAD = ("query", "method", "width", "multiply-adds", "memory", "time", "why")


def explanation_table(plans: Sequence[Plan]) -> Table:
    """Several plans, a row each."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in HEAD:
        table.add_column(name, justify="right" if name in HEAD[2:-1] else "left")
    for row in explanation_rows(plans):
        table.add_row(*row)
    return table


def explanation_rows(plans: Sequence[Plan]) -> list[tuple[str, ...]]:
    """What is said of each plan."""
    return [(plan.query, plan.method or "refused", *prices(plan), plan.why) for plan in plans]


def explanation(plans: Sequence[Plan]) -> Group:
    """Several plans as a table, and for those that are refused what remains."""
    return Group(explanation_table(plans), *notes(plans))


def notes(plans: Sequence[Plan]) -> list[str]:
    """What remains for plans that are refused."""
    refused = [plan for plan in plans if plan.method is None]
    others: dict[str, list[str]] = {}
    for plan in plans:
        for a in plan.alternatives:
            others.setdefault(f"{a.method} ({a.certificate}): {a.note}", []).append(plan.query)
    told = [f"{plan.query}: {advised(plan)}" for plan in refused if plan.advice]
    for other, queries in others.items():
        told.append(f"or {other}" if len(queries) >= len(refused) else f"or, for {' and '.join(queries)}, {other}")
    return told


def advised(plan: Plan) -> str:
    """What would bring a refused query within the budget."""
    return f"observing {', '.join(plan.advice)} would bring it within the budget"


def rendered(thing: Any, width: int = 110) -> str:
    """What a terminal of this width would show, without colour."""
    console = Console(file=io.StringIO(), width=width, no_color=True, highlight=False, markup=False, emoji=False)
    console.print(thing)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in lines if line.strip())
