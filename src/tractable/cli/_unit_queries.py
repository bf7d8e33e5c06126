"""`query` of machines and layers: what units are like, given what others are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import tractable as tr
from tractable.cli import _text
from tractable.cli._blocks import Block, alone, numbered
from tractable.cli._queries import (
    Question,
    ShownCase,
    case_of,
    joined,
    number_in,
    plan_of,
    searched,
    summed,
    told,
)
from tractable.cli._sequences import rows_for
from tractable.cli._table_files import once, values_of
from tractable.cli._unit_blocks import feature_names
from tractable.models._base import nearest
from tractable.models.boltzmann_machine import VISIBLE
from tractable.models.clamping import checked_values

_UNIT = re.compile(r"(.+)\[(\d{1,9})\]")
HEADS = ("lower", "upper")


def unit_cases(question: Question) -> Iterator[ShownCase]:
    """The means of the units of each case that are not observed."""
    model = question.model
    names = {group: feature_names(model.units[group]) for group in model.groups}
    _check_targets(question, names)
    given, many = _given(question)
    post, best = summed(question, given or None, model), searched(question, given or None, model)
    n = len(next(iter(given.values()))) if many else 1
    for row in range(n):
        own = case_of(best, row, many)
        log = None if post is None else post.log_partition[row] if many else post.log_partition
        record, blocks, tops, notes = told(question, log, own, plan_of(post, best)), [], {}, []
        if post is not None:
            seen = {group: x[row] if many else x for group, x in given.items()}
            found = {group: post.certificates(group) for group in names}
            means = {group: own[row] if many else own for group, own in found.items()}
            record |= _record(question, names, means)
            blocks = [block for group in names for block in _block(question, group, names[group], means[group], seen)]
            notes = [*dict.fromkeys(c.verdict for c in means.values() if c.verdict)]
            tops = {group: _told(means[group]) for group in names}
        yield ShownCase(log, blocks, record, tops, own, notes)


def _record(question: Question, names: Mapping[str, list[str]], means: Mapping[str, tr.Certificate]) -> dict[str, Any]:
    """The means of all units by name, and how far off they may be where they are not exact."""
    asked = {group: [name for name in own if _wanted(question, group, name)] for group, own in names.items()}
    every = {group: _named(names[group], c.value) for group, c in means.items() if asked[group]}
    out: dict[str, Any] = {"marginals": {g: {name: own[name] for name in asked[g]} for g, own in every.items()}}
    for group, c in means.items():
        if c.kind == "exact" or not asked[group]:
            continue
        bounded = c.kind != "estimate"
        own: dict[str, Any] = {"kind": c.kind, "verdict": c.verdict}
        for what in HEADS if bounded else ("std_error",):
            numbers = getattr(c, what)
            own[what] = None if numbers is None else _named(names[group], numbers)
        out.setdefault("intervals" if bounded else "estimates", {})[group] = own
    return out


def _named(names: list[str], values: Any) -> dict[str, float]:
    return dict(zip(names, np.ravel(values).tolist(), strict=True))


def _told(found: tr.Certificate) -> str:
    """The first means."""
    flat = np.ravel(found.value)
    return " ".join(f"{x:.3g}" for x in flat[:4].tolist()) + (" …" if flat.size > 4 else "")


def _block(
    question: Question, group: str, names: list[str], found: tr.Certificate, seen: Mapping[str, np.ndarray]
) -> Iterator[Block]:
    """The free units of a group that are asked about, with what is known of their error."""
    units = question.model.units[group]
    free = np.isnan(seen[group]) if group in seen else np.ones(units.n, bool)
    chosen = [
        i for i, unit in enumerate(units.unit_of_feature.tolist()) if free[unit] and _wanted(question, group, names[i])
    ]
    if not chosen:
        return
    columns = {"mean": found.value}
    if found.kind == "estimate" and found.std_error is not None:
        columns["standard error"] = found.std_error
    elif found.kind not in ("exact", "estimate"):
        columns |= {what: getattr(found, what) for what in HEADS}
    shape = np.shape(found.value)
    values = np.stack([np.broadcast_to(x, shape).ravel()[chosen] for x in columns.values()], axis=1)
    title = f"{group}: means given what is observed ({found.kind})"
    yield Block(title, ("unit",), alone(names[i] for i in chosen), "", [*columns], values)


def _wanted(question: Question, group: str, name: str) -> bool:
    return question.asks(group) or name in question.targets or f"{group}[{name}]" in question.targets


def _check_targets(question: Question, names: Mapping[str, list[str]]) -> None:
    known = {*names} | {name for own in names.values() for name in own}
    known |= {f"{group}[{name}]" for group, own in names.items() for name in own}
    if unknown := [name for name in question.targets if name not in known]:
        raise tr.ModelError(f"--target {unknown[0]}: no group or unit{nearest(unknown[0], names)} has this name")


# ---------------------------------------------------------------- what is observed


def _given(question: Question) -> tuple[dict[str, np.ndarray], bool]:
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


def _typed(question: Question) -> dict[str, np.ndarray]:
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


def _visible(question: Question, names: list[str], found: Mapping[str, str]) -> np.ndarray:
    """Values of the columns, read as those of a table where columns have names."""
    units = question.model.units[VISIBLE]
    if units.columns is None:
        return np.array([number_in(name, found[name]) if name in found else np.nan for name in names])
    known = units.columns.categories
    cells = {v: found.get(v) if v in known or v not in found else number_in(v, found[v]) for v in names}
    return np.asarray(units.numbers({v: [cell] for v, cell in cells.items()}), np.float64)[0]


def _place(question: Question, name: str) -> tuple[str, int]:
    """The group and number of a unit."""
    groups = question.model.groups
    match = _UNIT.fullmatch(name)
    if match is None or match[1] not in groups or int(match[2]) >= question.model.units[match[1]].n:
        told = ", ".join(f"{group}[0 … {question.model.units[group].n - 1}]" for group in groups)
        raise tr.ModelError(f"evidence on {name!r}: there is no such unit; there are {told}")
    return match[1], int(match[2])
