"""The most probable assignments of cases: asked for, told in tables and as JSON, written to a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import typer

import tractable as tr
from tractable.cli._console import Answers
from tractable.cli._places import check_writable
from tractable.cli._table_files import NAMED
from tractable.formats._pipes import STANDARD, kind_of
from tractable.models.conditioning import TableModel as Network

SHOWN = 5
"""So many of the best are printed of one case side by side."""

Best = list[tr.MostProbable] | tr.Plan
"""The best of one case, best first, none where it is impossible; or the plan that is refused."""


def best(net: Network, evidence: Any, k: int, targets: Sequence[str] | None, how: Mapping[str, Any]) -> Best:
    """The most probable assignments, of one case or many; none where the one case is impossible."""
    try:
        found: Any = tr.most_probable(net, evidence, targets=targets, k=k, **how)
    except tr.ImpossibleEvidenceError:
        return []
    except tr.BudgetError as error:
        return error.plan
    return found if k > 1 else [found]


def by_case(found: Best, n: int) -> list[Best]:
    """What was found for many cases, case by case."""
    if isinstance(found, tr.Plan):
        return [found] * n
    return [[_of_case(own, row) for own in found if own.log_probability.value[row] > -math.inf] for row in range(n)]


def _of_case(found: tr.MostProbable, row: int) -> tr.MostProbable:
    columns = found.assignment if found.by_name is None else found.by_name
    assignment = {v: str(column[row]) for v, column in columns.items()}
    ties = bool(np.ravel(found.tied)[row]) if np.ndim(found.tied) else bool(found.tied)
    return tr.MostProbable(assignment, found.log_probability[row], found.plan, None, found.optimum[row], ties)


def as_json(found: Best, k: int) -> dict[str, Any]:
    """The best assignment with its certificates, and of several all; or the plan that is refused."""
    if isinstance(found, tr.Plan):
        return {"map": None, "map_refused": found.to_json()}
    if not found:
        impossible = tr.Certificate.exact(-math.inf)
        none = {"log_probability": -math.inf, "log_probability_certificate": impossible.to_json()}
        return {"map": {}, **none, **({"best": []} if k > 1 else {})}
    records = [_record(own) for own in found]
    return {"map": found[0].assignment, **records[0], **({"best": _listed(found, records)} if k > 1 else {})}


def _record(found: tr.MostProbable) -> dict[str, Any]:
    return {
        "log_probability": found.log_probability.value,
        "log_probability_certificate": found.log_probability.to_json(),
        "optimum": found.optimum.to_json(),
        "tied": bool(found.tied),
    }


def _listed(found: Sequence[tr.MostProbable], records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"assignment": own.assignment, **record} for own, record in zip(found, records, strict=True)]


def are_all(found: Sequence[tr.MostProbable], k: int) -> bool:
    """Whether fewer were found than asked for because there are no more."""
    return 0 < len(found) < k and all(own.optimum.kind == "exact" for own in found)


# ---------------------------------------------------------------- for people


def show(console: Answers, what: str, found: Sequence[tr.MostProbable], k: int, most: int) -> None:
    """The best of one case: a row for each variable, a column for each of the best; `what` their numbers are."""
    from tractable.cli._tables import certified, new_table, tell_rest

    shown = found[:SHOWN]
    heads = ["most probable together"] if k == 1 else ["most probable", *map(str, range(2, len(shown) + 1))]
    table = new_table("variable", *heads, left=1 + len(heads))
    for v in islice(shown[0].assignment, most):
        table.add_row(v, *(own.assignment[v] for own in shown))
    console.print(table)
    tell_rest(len(shown[0].assignment) - most)
    for rank, own in enumerate(shown, 1):
        which = f"{rank}: " if k > 1 else ""
        console.print(f"{which}{what} = {certified(own.log_probability)}{_ends(own, certified)}")
    if len(found) > SHOWN:
        console.print(f"… and {len(found) - SHOWN:,} more of the best; --json has them all")
    if are_all(found, k):
        console.print(f"these are all: {_counted(len(found))} possible")


def _ends(found: tr.MostProbable, certified: Any) -> str:
    """What is known of the optimum, where that is not what was found, and whether another one is as probable."""
    told = "; another assignment is as probable" if found.tied else ""
    return told if found.optimum.kind == "exact" else f"; the optimum is {certified(found.optimum)}{told}"


def _counted(n: int) -> str:
    return "one assignment is" if n == 1 else f"{n:,} assignments are"


def show_cases(console: Answers, found: Sequence[Best], names: Sequence[str], most: int) -> None:
    """The best of several cases, a row for each case and rank; or the plan that is refused."""
    from tractable.cli._tables import MAX_COLUMNS, new_table, tell_rest

    if refused := dict.fromkeys(own for own in found if isinstance(own, tr.Plan)):
        return console.print(*refused)
    columns = names[:MAX_COLUMNS]
    table = new_table("case", "rank", "log probability", "at most", *columns, left=0)
    rows = [(case, rank, own) for case, best in enumerate(found, 1) for rank, own in _ranked(best)]
    for case, rank, own in rows[:most]:
        ends = "" if own.optimum.kind == "exact" else f"{own.optimum.upper:.10g}"
        own_states = (str(own.assignment[v]) for v in columns)
        table.add_row(str(case), f"{rank}", f"{own.log_probability.value:.10g}", ends, *own_states)
    console.print(table)
    tell_rest(len(rows) - most)


def _ranked(found: Best) -> list[tuple[int, tr.MostProbable]]:
    return [] if isinstance(found, tr.Plan) else [*enumerate(found, 1)]


# ---------------------------------------------------------------- to a file


def write(path: str, found: Sequence[Best], names: Sequence[str]) -> None:
    """The best of all cases as a table in a file."""
    tr.write_data(path, columns(found, names))


def check(path: str, json: bool) -> None:
    """Refuse a place before anything is found: one that is not written, or where JSON goes too."""
    kind_of(path, NAMED)
    check_writable(path)
    if json and path == STANDARD:
        raise typer.BadParameter("--json and --output - both go to the standard output; leave out one of them")


def columns(found: Sequence[Best], names: Sequence[str]) -> dict[str, list[Any]]:
    """The best of all cases as columns: a row for each case and rank, what it has, and the variables."""
    rows = [(case, rank, own) for case, best in enumerate(found, 1) for rank, own in _ranked(best)]
    told: dict[str, list[Any]] = {
        "case": [case for case, *_ in rows],
        "rank": [rank for _, rank, _ in rows],
        "log_probability": [float(own.log_probability.value) for *_, own in rows],
        "optimum_at_most": [float(own.optimum.upper) for *_, own in rows],
        "tied": [str(bool(own.tied)).lower() for *_, own in rows],
    }
    apart = {f"_{name}" if name in names else name: column for name, column in told.items()}
    return apart | {v: [str(own.assignment[v]) for *_, own in rows] for v in names}
