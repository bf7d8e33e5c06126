"""Answers as JSON: standard, so that an infinite number is the string "-inf" or "inf" and an undefined one is null."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import tractable as tr
from tractable.cli import _best
from tractable.cli._answers import Between, Network, ShownAnswer, ShownQuery, cells
from tractable.models.sparse_networks import n_entries
from tractable.view._base import standard


def write(record: Mapping[str, Any]) -> None:
    """Print a record as one line."""
    sys.stdout.write(json.dumps(standard(record), allow_nan=False) + "\n")


def model(net: Any) -> dict[str, Any]:
    """What a model is: its kind, name and sizes."""
    if net.family != "tables":
        groups = {"groups": _groups(net)} if hasattr(net, "groups") else {}
        return {"kind": type(net).__name__, **groups, "parameters": net.n_parameters}
    return {
        "kind": type(net).__name__,
        "name": net.name,
        "variables": len(net.states),
        "table_entries": n_entries(net),
    }


def _groups(machine: Any) -> list[dict[str, Any]]:
    groups = ((name, machine.units[name]) for name in machine.groups)
    return [{"name": name, "units": type(units).__name__.lower(), "number": units.n} for name, units in groups]


def answer(net: Network, asked: ShownQuery, found: ShownAnswer) -> dict[str, Any]:
    """The record of one case."""
    marginals = {v: dict(zip(net.states[v], p.tolist(), strict=True)) for v, p in found.marginals.items()}
    record: dict[str, Any] = _log_evidence(found.log_evidence) | ({"marginals": marginals} if asked.marginals else {})
    if found.refused:
        record["refused"] = {v: plan.to_json() for v, plan in found.refused.items()}
    record |= _estimates(net, found.estimates)
    if asked.joint:
        record["joint"] = [_cell(*cell) for cell in cells(net, asked, found)]
    if found.most_probable is not None:
        record |= _best.as_json(found.most_probable, asked.best)
    if _took_time(found):
        record["seconds"] = found.seconds
    return {**record, "plan": found.plan and found.plan.to_json()}


def _took_time(found: ShownAnswer) -> bool:
    """Whether an interval or an estimate is in it, which get better with time."""
    log = found.log_evidence
    return bool(found.estimates) or (isinstance(log, tr.Certificate) and log.confidence is not None)


def _log_evidence(log: tr.Certificate | tr.Plan | None) -> dict[str, Any]:
    """log P with its certificate, or the plan that is refused; nothing where it is not asked for."""
    if log is None:
        return {}
    refused = {"log_evidence": None, "log_evidence_refused": log.to_json()} if isinstance(log, tr.Plan) else None
    return refused or {"log_evidence": log.to_json()}


def _cell(states: Mapping[str, str], p: float, ends: Between) -> dict[str, Any]:
    """A cell of a joint table."""
    return {"states": states, "p": p, **({} if ends is None else {"lower": ends[0], "upper": ends[1]})}


def _estimates(net: Network, found: Mapping[str, tr.Certificate]) -> dict[str, Any]:
    """How far off marginals may be that are not exact: intervals, or errors of estimates; nothing where all are."""
    told: dict[str, Any] = {}
    for v, c in found.items():
        bounded = c.kind != "estimate"
        own: dict[str, Any] = {"kind": c.kind, **({"confidence": c.confidence} if bounded else {})}
        for name in ("lower", "upper") if bounded else ("std_error",):
            numbers = getattr(c, name)
            own[name] = None if numbers is None else dict(zip(net.states[v], numbers.tolist(), strict=True))
        told.setdefault("intervals" if bounded else "estimates", {})[v] = own | {"verdict": c.verdict}
    return told
