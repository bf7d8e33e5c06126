"""What machines and layers are made of, table by table: biases and couplings by the names of the units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import tractable as tr
from tractable.cli._blocks import Block, alone, numbered
from tractable.models.boltzmann_machine import VISIBLE


def feature_names(units: Any) -> list[str]:
    """What the numbers of a group are called: its units, of categories each state."""
    named = units.columns
    names = [*named.names] if named else numbered(units.n)
    of = units.unit_of_feature.tolist()
    counts = np.bincount(units.unit_of_feature, minlength=units.n).tolist()
    out, seen = [], dict.fromkeys(range(units.n), 0)
    for unit in of:
        own, seen[unit] = seen[unit], seen[unit] + 1
        states = named.categories.get(names[unit], ()) if named else ()
        out.append(names[unit] if counts[unit] == 1 else f"{names[unit]}={states[own] if states else own}")
    return out


def unit_blocks(model: Any) -> Iterator[Block]:
    """Biases of all units, and the couplings between them, or the weights between layers."""
    if isinstance(model, tr.Boltzmann):
        yield from _machine(model)
    elif isinstance(model, tr.HelmholtzMachine):
        yield from unit_blocks(model.generative)
        yield from _recognition(model)
    else:
        yield from _layers(model)


def _biases(name: str, names: Sequence[str], values: Any, what: str = "bias") -> Block:
    return Block(f"{name}: {what}", ("unit",), alone(names), "", [what], np.asarray(values, np.float64).reshape(-1, 1))


def _links(name: str, ends: tuple[Sequence[str], Sequence[str]], values: Any, what: str) -> Block:
    rows, columns = ends
    return Block(name, ("unit",), alone(rows), "", columns, np.asarray(values, np.float64), what=what, links=True)


def _machine(machine: Any, prefix: str = "", groups: Sequence[str] = ()) -> Iterator[Block]:
    """Groups of units; `groups` are what these are called in a model that has the machine on top."""
    called = dict(zip(machine.groups, groups or machine.groups, strict=True))
    names = {name: feature_names(machine.units[name]) for name in machine.groups}
    for name in machine.groups:
        yield _biases(prefix + called[name], names[name], machine.fields[name])
        for own, precision in _precisions(machine.units[name], names[name]):
            yield _biases(prefix + called[name], own, precision, "log precision")
    for (a, b), w in machine.couplings.items():
        title = f"{prefix}{called[a]} – {called[b]}" if a != b else f"{prefix}within {called[a]}"
        yield (
            _edges(machine, a, w, title)
            if a == b and a in machine.edges
            else _links(title, (names[a], names[b]), machine.within(a) if a == b else w, "coupling")
        )


def _precisions(units: Any, names: Sequence[str]) -> Iterator[tuple[Sequence[str], np.ndarray]]:
    """How narrow real units are, of those of several kinds part by part."""
    for part, _, own in units if isinstance(units, tr.Mixed) else [(units, None, slice(None))]:
        if (precision := getattr(part, "log_precision", None)) is not None:
            yield names[own], np.broadcast_to(np.asarray(precision), part.n)


def _edges(machine: Any, group: str, w: Any, title: str) -> Block:
    """The couplings within a group of which few units interact."""
    names = feature_names(machine.units[group])
    pairs = [(names[i], names[j]) for i, j in np.asarray(machine.edges[group]).tolist()]
    values = np.asarray(w, np.float64).reshape(-1, 1)
    return Block(title, ("unit", "other"), pairs, "", ["coupling"], values, what="coupling", links=True)


def _layers(model: Any) -> Iterator[Block]:
    """Layers from the visible one upward."""
    groups = model.groups
    for name, bias in zip(groups, model.biases, strict=False):
        yield _biases(name, numbered(np.size(bias)), bias)
    for at, w in enumerate(model.weights):
        yield _links(f"{groups[at]} ← {groups[at + 1]}", _ends(w), w, "weight")
    for at, own in enumerate(getattr(model, "within", ())):
        if own is not None:
            yield _links(f"within {groups[at]}", _ends(own), own, "weight")
    if (top := getattr(model, "top", None)) is not None:
        yield from _machine(top, groups=groups[-2:] if len(top.groups) == 2 else ())


def _recognition(model: Any) -> Iterator[Block]:
    """What guesses the hidden units, from the bottom upward."""
    groups, own = model.groups, model.recognition
    for at, (ws, bs) in enumerate(zip(own.weights, own.biases, strict=True)):
        names = [groups[at], *(f"tanh {i}" for i in range(1, len(ws))), groups[at + 1]]
        for i, (w, b) in enumerate(zip(ws, bs, strict=True)):
            yield _biases(f"recognition, {names[i + 1]}", numbered(np.size(b)), b)
            yield _links(f"recognition, {names[i]} → {names[i + 1]}", _ends(w), w, "weight")
    for at, inner in enumerate(own.within):
        if inner is not None:
            yield _links(f"recognition, within {groups[at + 1]}", _ends(inner), inner, "weight")


def _ends(w: Any) -> tuple[list[str], list[str]]:
    rows, columns = np.shape(w)
    return numbered(rows), numbered(columns)


def visible(model: Any) -> Any:
    """The units that hold the data."""
    return model.units[VISIBLE]
