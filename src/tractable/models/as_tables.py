"""Discrete machines and sparse networks of layers as networks of tables, for the elimination engine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tractable.kernels import Reduced, reduce
from tractable.models._base import ModelError, pack
from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.markov_network import MarkovNetwork
from tractable.models.sigmoid_belief import SigmoidBeliefNetwork
from tractable.models.units import Units


def markov_network(model: Boltzmann) -> tuple[MarkovNetwork, float]:
    """The network over units named ``visible0``, …, and the constant left out of its tables.

    log p̃(x) of the machine is log p̃(x) of the network plus that constant.

    Raises
    ------
    ModelError : continuous units, which have no table.
    """
    graph = model.graph
    if not all(np.isfinite(list(graph.states.values()))):
        raise ModelError("continuous units have no table; only discrete machines become Markov networks")
    states = {u: _state_names(model, g) for g in graph.sizes for u in graph.unit_names(g)}
    logs = [*_unary(model), *_pairs(model)]
    constant = float(model.offset) + sum(float(table.max()) for _, table in logs)
    return MarkovNetwork(states, [(scope, np.exp(table - table.max())) for scope, table in logs]), constant


SPAN = 700.0
"""Between the logarithms of a table's entries: beyond about 745 the smaller would be zero beside the larger."""


class MachineTables(NamedTuple):
    """Tables of a machine, the constant that is left out of them, and of which table each of the last is a copy."""

    reduced: Reduced
    constant: float
    copies: list[int]


def machine_tables(model: Boltzmann) -> MachineTables:
    """The same for the elimination engine: units that meet nobody, then pairs, which hold the fields of their units.

    Factors stand in the order in which `plan.machines` prices them; log p̃ is that of the tables plus the constant.
    A table that spans more than numbers do is the product of copies of one of its roots, which stand after all others.
    """
    fields = {scope[0]: table for scope, table in _unary(model)}
    place, logs = {name: i for i, name in enumerate(fields)}, _folded(fields, _pairs(model))
    roots = [_root(table) for _, table in logs]
    copies = np.repeat(np.arange(len(roots)), np.array([root.power - 1 for root in roots], int)).tolist()
    scopes, each = [[place[v] for v in scope] for scope, _ in logs], [*range(len(logs)), *copies]
    packed = pack([*map(len, fields.values())], [scopes[i] for i in each], [roots[i].table for i in each])
    constant = float(model.offset) + sum(root.top for root in roots)
    return MachineTables(reduce(packed, np.full(len(place), -1, np.int32)), constant, copies)


class _Root(NamedTuple):
    table: np.ndarray
    power: int
    top: float


def _root(log_table: np.ndarray) -> _Root:
    """A table whose power is the table with these logarithms, less their largest."""
    top = float(log_table.max())
    power = max(1, math.ceil((top - float(log_table.min())) / SPAN))
    return _Root(np.exp((log_table - top) / power), power, top)


Logs = Iterable[tuple[tuple[str, ...], np.ndarray]]


def _folded(fields: Mapping[str, np.ndarray], pairs: Logs) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """The fields of units that meet nobody, then the pairs, the first of each unit with its field."""
    left = dict(fields)
    joined = [(scope, _with_fields(scope, table, left)) for scope, table in pairs]
    return [*(((v,), table) for v, table in left.items()), *joined]


def _with_fields(scope: tuple[str, ...], table: np.ndarray, left: dict[str, np.ndarray]) -> np.ndarray:
    """A pair with the fields of its units, of those that no pair has taken yet."""
    a, b = (left.pop(v, np.zeros(n)) for v, n in zip(scope, table.shape, strict=True))
    return table + a[:, None] + b


def _state_names(model: Boltzmann, group: str) -> list[str]:
    units = model.units[group]
    values = units.take(np.arange(1)).decode(units.states())
    return [f"{v:g}" for v in np.asarray(values, float).ravel()]


def _split(model: Boltzmann, group: str, array: np.ndarray, axis: int) -> np.ndarray:
    """An axis over features as two axes: unit, and feature of the unit."""
    n = model.units[group].n
    shape = (*array.shape[:axis], n, array.shape[axis] // n, *array.shape[axis + 1 :])
    return array.reshape(shape)


def _unary(model: Boltzmann) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    for group in model.groups:
        states, bases = model.units[group].states(), log_bases(model.units[group])
        fields = _split(model, group, np.asarray(model.fields[group], np.float64), 0)
        for name, field, base in zip(model.graph.unit_names(group), fields, bases, strict=True):
            yield (name,), states @ field + base


def log_bases(units: Units) -> np.ndarray:
    """log q of each state of each unit of one kind [n, n_states]; zero where the base measure is one."""
    states: Any = np.asarray(units.states(), np.float64)
    if type(units).log_base is Units.log_base:
        return np.zeros((units.n, len(states)))
    own = [units.take(np.array([i])).log_base(states) for i in range(units.n)]
    return np.array(own, np.float64).reshape(units.n, len(states))


def _pairs(model: Boltzmann) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """Dense pairs of groups first, then the sparse ones: the order of the graph's pairs."""
    names = {group: model.graph.unit_names(group) for group in model.groups}
    for a, b in sorted(model.couplings, key=lambda pair: pair[0] == pair[1] and pair[0] in model.edges):
        left, right = model.units[a].states(), model.units[b].states()
        for i, j, w in _blocks(model, a, b):
            yield (names[a][i], names[b][j]), left @ w @ right.T


def _blocks(model: Boltzmann, a: str, b: str) -> Iterator[tuple[int, int, Any]]:
    """Each pair of units with its couplings [features of one, features of the other]."""
    w = np.asarray(model.couplings[a, b], np.float64)
    if a == b and a in model.edges:
        for (i, j), weight in zip(np.asarray(model.edges[a]).tolist(), w, strict=True):
            yield i, j, np.full((1, 1), weight)
        return
    blocks = _split(model, b, _split(model, a, w, 0), 2)
    for i in range(blocks.shape[0]):
        for j in range(i + 1 if a == b else 0, blocks.shape[2]):
            yield i, j, blocks[i, :, j, :]


def is_steep(model: Any) -> bool:
    """Whether some unit of layers may be so sure that a table would say zero where its probability is not."""
    for at, bias in enumerate(model.biases):
        logits = np.abs(np.asarray(bias, float))
        for weights in (model.weights[at] if at < len(model.weights) else None, model.within[at]):
            logits = logits if weights is None else logits + np.abs(np.asarray(weights, float)).sum(1)
        if logits.max(initial=0.0) > SPAN:
            return True
    return False


def bayesian_network(model: SigmoidBeliefNetwork) -> BayesianNetwork:
    """A sigmoid belief network as tables, over units named ``visible.0``, ``hidden1.0``, …; for few parents each.

    Examples
    --------
    >>> from tractable.models.sigmoid_belief import SigmoidBeliefNetwork
    >>> net = bayesian_network(SigmoidBeliefNetwork(weights=[[[2.0]]], biases=[[-1.0], [0.0]]))
    >>> net.tables["visible.0"].round(3).tolist()
    [[0.731, 0.269], [0.269, 0.731]]
    """
    parents = model.graph.units_graph().parents
    names = {name: (at, i) for at, layer in enumerate(model.groups) for i, name in enumerate(_names(layer, model, at))}
    tables = {}
    for name, own in parents.items():
        at, i = names[name]
        logits = np.full((2,) * len(own), float(model.biases[at][i]))
        for axis, parent in enumerate(own):
            above, j = names[parent]
            weight = (model.weights[at] if above > at else model.within[at])[i, j]
            logits = logits + float(weight) * np.arange(2.0).reshape(-1, *[1] * (len(own) - axis - 1))
        tables[name] = np.stack([_log_logistic(-logits), _log_logistic(logits)], axis=-1)
    return BayesianNetwork(dict.fromkeys(parents, ("0", "1")), parents, {n: np.exp(t) for n, t in tables.items()})


def _names(layer: str, model: SigmoidBeliefNetwork, at: int) -> list[str]:
    return [f"{layer}.{i}" for i in range(model.sizes[at])]


def _log_logistic(a: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0, -a)
