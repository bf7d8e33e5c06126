"""`query` of machines and layers: what units are like, given what others are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import tractable as tr
from tractable.cli import _text
from tractable.cli._blocks import Block, alone, numbered
from tractable.cli._cutting import rows_for
from tractable.cli._query_base import (
    OtherQuery,
    ShownCase,
    case_of,
    joined,
    number_in,
    plan_of,
    searched,
    summed,
    told,
)
from tractable.cli._table_files import once, values_of
from tractable.cli._unit_blocks import feature_names
from tractable.models._base import nearest
from tractable.models.boltzmann_machine import VISIBLE
from tractable.models.clamping import checked_values

_UNIT = re.compile(r"(.+)\[(\d{1,9})\]")
HEADS = ("lower", "upper")


def unit_cases(question: OtherQuery) -> Iterator[ShownCase]:
    """The means of the units of each case that are not observed."""
    model = question.model
    names = {group: feature_names(model.units[group]) for group in model.groups}
    _check_targets(question, names)
    given, many = _given(question)
    post, best = summed(question, given or None, model), searched(question, given or None, model)
    plan = plan_of(post, best)
    for row in range(len(next(iter(given.values()))) if many else 1):
        own = case_of(best, row, many)
        log = None if post is None else _at(post.log_partition, row, many)
        case = ShownCase(log, [], told(question, log, own, plan), {}, own)
        if post is not None:
            seen = {group: _at(x, row, many) for group, x in given.items()}
            _tell(question, case, {g: (names[g], _at(post.certificates(g), row, many)) for g in names}, seen)
        yield case


def _at(of_all: Any, row: int, many: bool) -> Any:
    """What is about one case."""
    return of_all[row] if many else of_all


MeansByName = tuple[list[str], tr.Certificate]
"""The names of a group's units, and their means."""


def _tell(question: OtherQuery, case: ShownCase, found: dict[str, MeansByName], seen: Mapping[str, np.ndarray]) -> None:
    """What is known of the units that are asked about."""
    marginals: dict[str, Any] = case.record.setdefault("marginals", {})
    for group, (names, c) in found.items():
        case.tops[group] = _first(c)
        asked = [i for i, name in enumerate(names) if _wanted(question, group, name)]
        if not asked:
            continue
        labels = [names[i] for i in asked]
        marginals[group] = dict(zip(labels, np.ravel(c.value)[asked].tolist(), strict=True))
        if c.kind != "exact":
            kind = "estimates" if c.kind == "estimate" else "intervals"
            case.record.setdefault(kind, {})[group] = _error(c, asked, labels)
        case.blocks += _block(question, group, (names, c), asked, seen)
        case.notes += [c.verdict] if c.verdict and c.verdict not in case.notes else []


def _error(found: tr.Certificate, asked: list[int], names: list[str]) -> dict[str, Any]:
    """How far off means may be that are not exact."""
    own: dict[str, Any] = {"kind": found.kind, "verdict": found.verdict}
    for what in ("std_error",) if found.kind == "estimate" else HEADS:
        numbers = getattr(found, what)
        own[what] = None if numbers is None else dict(zip(names, np.ravel(numbers)[asked].tolist(), strict=True))
    return own


def _first(found: tr.Certificate) -> str:
    """The first means."""
    flat = np.ravel(found.value)
    return " ".join(f"{x:.3g}" for x in flat[:4].tolist()) + (" …" if flat.size > 4 else "")


def _block(
    question: OtherQuery, group: str, told: MeansByName, asked: list[int], seen: Mapping[str, np.ndarray]
) -> Iterator[Block]:
    """The free units of a group that are asked about, with what is known of their error."""
    (names, found), units = told, question.model.units[group]
    free = np.isnan(seen[group]) if group in seen else np.ones(units.n, bool)
    chosen = [i for i in asked if free[units.unit_of_feature[i]]]
    if not chosen:
        return
    columns = {"mean": found.value} | _spread(found)
    values = np.stack([np.broadcast_to(x, np.shape(found.value)).ravel()[chosen] for x in columns.values()], axis=1)
    what = f"means given what is observed: {found.kind}"
    yield Block(group, ("unit",), alone(names[i] for i in chosen), "", [*columns], values, what=what)


def _spread(found: tr.Certificate) -> dict[str, Any]:
    """What stands beside means that are not exact."""
    if found.kind == "estimate":
        return {} if found.std_error is None else {"standard error": found.std_error}
    return {} if found.kind == "exact" else {what: getattr(found, what) for what in HEADS}


def _wanted(question: OtherQuery, group: str, name: str) -> bool:
    return question.asks(group) or name in question.targets or f"{group}[{name}]" in question.targets


def _check_targets(question: OtherQuery, names: Mapping[str, list[str]]) -> None:
    known = {*names} | {name for own in names.values() for name in own}
    known |= {f"{group}[{name}]" for group, own in names.items() for name in own}
    if unknown := [name for name in question.targets if name not in known]:
        raise tr.ModelError(f"--target {unknown[0]}: no group or unit{nearest(unknown[0], names)} has this name")


# ---------------------------------------------------------------- what is observed


def _given(question: OtherQuery) -> tuple[dict[str, np.ndarray], bool]:
    """Group → values [n], or [n_rows, n] of a file, NaN for what is not observed; and whether there is a file."""
    typed = _typed(question)
    if (path := question.given.evidence_file) is None:
        return typed, False
    source = once(path)
    model = question.model
    with values_of(source):
        rows = np.atleast_2d(checked_values(model, VISIBLE, rows_for(model, source, question.given)))
    rows = np.array(rows, np.float64)
    if VISIBLE in typed:
        rows = joined(rows, typed[VISIBLE], path)
    others = {g: np.repeat(x[None], len(rows), axis=0) for g, x in typed.items() if g != VISIBLE}
    return {VISIBLE: rows, **others}, True


def _typed(question: OtherQuery) -> dict[str, np.ndarray]:
    """Evidence as typed: columns by name or number, other units as GROUP[NUMBER]."""
    model, columns = question.model, question.model.units[VISIBLE].columns
    names = [*columns.names] if columns else numbered(model.units[VISIBLE].n)
    found = _text.assignments(question.given.evidence, dict.fromkeys(names, ()))
    out: dict[str, np.ndarray] = {}
    visible: dict[str, str] = {}
    for name, text in found.items():
        if name in names:
            visible[name] = text
            continue
        group, at = _place(question, name)
        values = out.setdefault(group, np.full(model.units[group].n, np.nan))
        values[at] = number_in(name, text)
    if visible:
        own = _visible(question, names, visible)
        out[VISIBLE] = np.where(np.isnan(own), out.get(VISIBLE, own), own)
    return out


def _visible(question: OtherQuery, names: list[str], found: Mapping[str, str]) -> np.ndarray:
    """Values of the columns, read as those of a table where columns have names."""
    units = question.model.units[VISIBLE]
    if units.columns is None:
        return np.array([number_in(name, found[name]) if name in found else np.nan for name in names])
    known = units.columns.categories
    cells = {v: found.get(v) if v in known or v not in found else number_in(v, found[v]) for v in names}
    return np.asarray(units.numbers({v: [cell] for v, cell in cells.items()}), np.float64)[0]


def _place(question: OtherQuery, name: str) -> tuple[str, int]:
    """The group and number of a unit."""
    groups = question.model.groups
    match = _UNIT.fullmatch(name)
    if match is None or match[1] not in groups or int(match[2]) >= question.model.units[match[1]].n:
        told = ", ".join(f"{group}[0 … {question.model.units[group].n - 1}]" for group in groups)
        raise tr.ModelError(f"evidence on {name!r}: there is no such unit; there are {told}")
    return match[1], int(match[2])
