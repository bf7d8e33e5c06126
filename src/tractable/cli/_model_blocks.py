"""What a model is made of, table by table: networks, mixtures, chains; machines and layers are told elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tractable.cli._blocks import Block, RowNames, alone, numbered, one_row


def blocks(model: Any, chosen: Sequence[str] = ()) -> Iterator[Block]:
    """What a model is made of, table by table; of a network those of some variables, if any are chosen."""
    if hasattr(model, "groups"):
        from tractable.cli._unit_blocks import unit_blocks  # brings jax

        return unit_blocks(model)
    return MADE_OF[model.family](model) if model.family != "tables" else network_blocks(model, chosen)


def network_blocks(net: Any, chosen: Sequence[str] = ()) -> Iterator[Block]:
    """The conditional tables, or the factors."""
    parents: Mapping[str, Sequence[str]] | None = getattr(net, "parents", None)
    if parents is not None:
        wanted = chosen or [*net.states]
        yield from (_table(v, (*parents[v], v), net.tables[v], net.states) for v in wanted)
        return
    for j, (scope, table) in enumerate(net.factors):
        if not chosen or not {*scope}.isdisjoint(chosen):
            yield _table(f"factor {j}", scope, table, net.states)


def _table(name: str, scope: Sequence[str], table: Any, states: Mapping[str, Sequence[str]]) -> Block:
    if not scope:
        return one_row(name, "", [""], table)
    shape = [len(states[v]) for v in scope]
    if hasattr(table, "places"):  # held by its non-zeros
        at = np.unravel_index(table.places, shape)
        rows: list[tuple[str, ...]] = [
            tuple(str(states[v][i]) for v, i in zip(scope, own, strict=True)) for own in np.stack(at, 1).tolist()
        ]
        values = np.broadcast_to(table.values, len(rows)).reshape(-1, 1)
        return Block(f"{name} (elsewhere zero)", tuple(scope), rows, "", ["value"], values)
    *given, own = scope
    values = np.asarray(table).reshape(-1, shape[-1])
    return Block(name, tuple(given), RowNames(states[v] for v in given), own, states[own], values)


def mixture_blocks(model: Any) -> Iterator[Block]:
    """The weights, and what each component holds."""
    names = numbered(model.n_components)
    yield one_row("weights", "component", names, model.weights)
    if model.emissions is not None:
        yield from emission_blocks(model.emissions, ("component",), alone(names), _columns(model))


def chain_blocks(model: Any) -> Iterator[Block]:
    """How states begin, how they follow each other, and what each emits."""
    names = numbered(model.n_states)
    yield one_row("start", "state", names, model.first)
    yield Block("transitions", ("from",), alone(names), "to", names, model.transition)
    yield from emission_blocks(model.emissions, ("state",), alone(names), _columns(model))


def factorial_blocks(model: Any) -> Iterator[Block]:
    """The same of each chain, and what each state adds to a row."""
    columns, e = [name for name, _ in _columns(model)], model.emissions
    for m, name in enumerate(model.chains):
        states = numbered(model.sizes[m])
        yield one_row(f"start of {name}", name, states, model.starts[m])
        yield Block(f"transitions of {name}", ("from",), alone(states), "to", states, model.transitions[m])
        rows = alone(states)
        yield Block(f"contributions of {name}", (name,), rows, "", columns, e.contributions[m], what="mean")
    yield one_row("offset", "", columns, e.offset)
    yield Block("covariance of the noise", ("column",), alone(columns), "", columns, e.covariance, what="covariance")


Named = list[tuple[str, Sequence[str]]]
"""Columns, each with the names of its states, where it has any."""


def _columns(model: Any) -> Named:
    named, n = model.named, model.n_columns
    states = getattr(model.emissions, "column_states", (None,) * n)
    names = named.names if named else numbered(n)
    known = named.categories if named else {}
    return [(name, known.get(name, numbered(k or 0))) for name, k in zip(names, states, strict=True)]


def emission_blocks(emissions: Any, over: tuple[str, ...], rows: list[Any], columns: Named) -> Iterator[Block]:
    """What components hold: means and deviations of numbers, tables of categories, kind by kind."""
    kind = emissions.kind
    if kind == "product":
        for part, own in zip(emissions.parts, emissions.columns, strict=True):
            yield from emission_blocks(part, over, rows, [columns[j] for j in own])
    elif kind == "mixture":
        parts = numbered(emissions.n_parts)
        yield Block("weights of parts", over, rows, "part", parts, emissions.weights)
        inner = [(*row, part) for row in rows for part in parts]
        yield from emission_blocks(emissions.parts, (*over, "part"), inner, columns)
    else:
        yield from KINDS.get(kind, _moments)(emissions, over, rows, columns)


def _moments(emissions: Any, over: tuple[str, ...], rows: list[Any], columns: Named) -> Iterator[Block]:
    """Means and deviations, and the covariances where there are any."""
    names = [name for name, _ in columns]
    try:
        deviations = emissions.deviations
    except ValueError:  # a kind from outside the library does not say
        deviations = None
    yield Block("emissions", over, rows, "", names, emissions.means, deviations, "mean")
    if (wide := emissions.arrays().get("covariances")) is not None and len(names) > 1:
        own = [()] if wide.ndim == 2 else rows
        which = [(*row, name) for row in own for name in names]
        heads = ("column",) if wide.ndim == 2 else (*over, "column")
        yield Block("covariances", heads, which, "", names, wide.reshape(-1, len(names)), what="covariance")


def _ones(emissions: Any, over: tuple[str, ...], rows: list[Any], columns: Named) -> Iterator[Block]:
    """How probable a one is."""
    names = [name for name, _ in columns]
    yield Block("emissions", over, rows, "", names, emissions.probabilities, what="probability of 1")


def _states(emissions: Any, over: tuple[str, ...], rows: list[Any], columns: Named) -> Iterator[Block]:
    """The states of each column."""
    for (name, states), table in zip(columns, emissions.tables, strict=True):
        yield Block("emissions", over, rows, name, states, table)


KINDS: dict[str, Callable[..., Iterator[Block]]] = {"bernoulli": _ones, "categorical": _states}
MADE_OF: dict[str, Callable[[Any], Iterator[Block]]] = {
    "mixture": mixture_blocks,
    "hidden_markov": chain_blocks,
    "factorial_hidden_markov": factorial_blocks,
}
