"""The most probable assignments of cases: asked for, told in tables and as JSON, written to a file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import typer

import tractable as tr
from tractable.cli._places import check_writable
from tractable.cli._table_files import NAMED
from tractable.formats._pipes import STANDARD, kind_of
from tractable.models.conditioning import TableModel as Network

HEADS = ("case", "rank", "log_probability", "optimum_at_most", "tied")

ShownBest = list[tr.MostProbable] | tr.Plan
"""The best of one case, best first, none where it is impossible; or the plan that is refused."""


def best(net: Network, evidence: Any, k: int, targets: Sequence[str] | None, how: Mapping[str, Any]) -> ShownBest:
    """The most probable assignments, of one case or many; none where the one case is impossible."""
    try:
        found: Any = tr.most_probable(net, evidence, targets=targets, k=k, **how)
    except tr.ImpossibleEvidenceError:
        return []
    except tr.BudgetError as error:
        return error.plan
    return found if k > 1 else [found]


def by_case(found: ShownBest, n: int) -> list[ShownBest]:
    """What was found for many cases, case by case."""
    if isinstance(found, tr.Plan):
        return [found] * n
    return [[_of_case(own, row) for own in found if own.log_probability.value[row] > -math.inf] for row in range(n)]


def _of_case(found: tr.MostProbable, row: int) -> tr.MostProbable:
    columns = found.assignment if found.by_name is None else found.by_name
    assignment = {v: str(column[row]) for v, column in columns.items()}
    ties = bool(np.ravel(found.tied)[row]) if np.ndim(found.tied) else bool(found.tied)
    return tr.MostProbable(assignment, found.log_probability[row], found.plan, None, found.optimum[row], ties)


def as_json(found: ShownBest, k: int) -> dict[str, Any]:
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


# ---------------------------------------------------------------- to a file


def written(path: str | None, answers: Iterable[Any], names: Sequence[str]) -> Iterable[Any]:
    """The answers, whose most probable assignments are written to a file where one is named."""
    if path is None:
        return answers
    found = list(answers)
    tr.write_data(path, columns([answer.most_probable or [] for answer in found], names))
    return found


def check(path: str | None, json: bool) -> None:
    """Refuse a place before anything is found: one that is not written, or where JSON goes too."""
    if path is None:
        return
    kind_of(path, NAMED)
    check_writable(path)
    if json and path == STANDARD:
        raise typer.BadParameter("--json and --output - both go to the standard output; leave out one of them")


def ranked(found: Sequence[ShownBest]) -> list[tuple[int, int, tr.MostProbable]]:
    """The best of all cases, each with the number of its case and its rank."""
    cases = [[] if isinstance(own, tr.Plan) else own for own in found]
    return [(case, rank, best) for case, own in enumerate(cases, 1) for rank, best in enumerate(own, 1)]


def columns(found: Sequence[ShownBest], names: Sequence[str]) -> dict[str, list[Any]]:
    """The best of all cases as columns: a row for each case and rank, what it has, and the variables."""
    rows = ranked(found)
    told = [
        (case, rank, float(own.log_probability.value), float(own.optimum.upper), str(bool(own.tied)).lower())
        for case, rank, own in rows
    ]
    heads = [f"_{head}" if head in names else head for head in HEADS]
    apart = {head: [row[i] for row in told] for i, head in enumerate(heads)}
    return apart | {v: [str(own.assignment[v]) for *_, own in rows] for v in names}
