"""The most probable assignments of cases, for people."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import tractable as tr
from tractable.cli._best import ShownBest, are_all, ranked
from tractable.cli._printed import MAX_COLUMNS, MAX_ROWS, certified, console, new_table, tell_rest

SHOWN = 5
"""So many of the best are printed of one case side by side."""


def show(what: str, found: Sequence[tr.MostProbable], k: int) -> None:
    """The best of one case: a row for each variable, a column for each of the best; `what` their numbers are."""
    shown = found[:SHOWN]
    heads = ["most probable together"] if k == 1 else ["most probable", *map(str, range(2, len(shown) + 1))]
    table = new_table("variable", *heads, left=1 + len(heads))
    for v in islice(shown[0].assignment, MAX_ROWS):
        table.add_row(v, *(own.assignment[v] for own in shown))
    console.print(table)
    tell_rest(len(shown[0].assignment) - MAX_ROWS)
    for rank, own in enumerate(shown, 1):
        which = f"{rank}: " if k > 1 else ""
        console.print(f"{which}{what} = {certified(own.log_probability)}{_ends(own)}", soft_wrap=True)
    if len(found) > SHOWN:
        console.print(f"… and {len(found) - SHOWN:,} more of the best; --json has them all")
    if are_all(found, k):
        console.print(f"these are all: {_counted(len(found))} possible")


def _ends(found: tr.MostProbable) -> str:
    """What is known of the optimum, where that is not what was found, and whether another one is as probable."""
    told = "; another assignment is as probable" if found.tied else ""
    return told if found.optimum.kind == "exact" else f"; the optimum is {certified(found.optimum)}{told}"


def _counted(n: int) -> str:
    return "one assignment is" if n == 1 else f"{n:,} assignments are"


def show_cases(found: Sequence[ShownBest], names: Sequence[str]) -> None:
    """The best of several cases, a row for each case and rank; or the plan that is refused."""
    if refused := dict.fromkeys(own for own in found if isinstance(own, tr.Plan)):
        return console.print(*refused)
    columns = names[:MAX_COLUMNS]
    table = new_table("case", "rank", "log probability", "at most", *columns, left=0)
    rows = ranked(found)
    for case, rank, own in rows[:MAX_ROWS]:
        ends = "" if own.optimum.kind == "exact" else f"{own.optimum.upper:.10g}"
        own_states = (str(own.assignment[v]) for v in columns)
        table.add_row(str(case), f"{rank}", f"{own.log_probability.value:.10g}", ends, *own_states)
    console.print(table)
    tell_rest(len(rows) - MAX_ROWS)
