"""Networks of layers with few links, by the elimination engine: their units as variables of a Bayesian network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tractable.models.as_tables import bayesian_network
from tractable.plan._base import Query
from tractable.posterior import verbs
from tractable.posterior.cases import Cases


def solve(model: Any, part: Cases, query: Query) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """log p(x) of every row, and the means of every layer."""
    found = verbs.infer(bayesian_network(model), _columns(model, part))
    log_z = np.broadcast_to(np.asarray(found.log_partition.value, float), part.n_rows)
    if query == "evidence":
        return log_z, {}
    means = {layer: [_mean(found, unit, part.n_rows) for unit in units] for layer, units in _names(model).items()}
    return log_z, {layer: np.stack(columns, axis=1) for layer, columns in means.items()}


def _columns(model: Any, part: Cases) -> dict[str, Any]:
    """The observed units with their states: one each, or as many as there are rows."""
    columns = {u: part.values[layer][:, i] for layer, units in _names(model).items() for i, u in enumerate(units)}
    seen = {u: column.astype(int).tolist() for u, column in columns.items() if not np.isnan(column).any()}
    return {u: states[0] for u, states in seen.items()} if part.n_rows == 1 else seen


def draw(model: Any, values: Mapping[str, np.ndarray], rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """`n` exact, independent samples of all units."""
    drawn = verbs.sample(bayesian_network(model), n, evidence=_case(model, values), key=rng)
    return {layer: np.stack([drawn[u] for u in units], axis=1).astype(float) for layer, units in _names(model).items()}


def most_probable(model: Any, values: Mapping[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
    """The largest log p of a joint state, and that state."""
    found = verbs.most_probable(bayesian_network(model), _case(model, values))
    states = {layer: [float(found.assignment[u]) for u in units] for layer, units in _names(model).items()}
    return float(found.log_probability.value), {layer: np.array(own) for layer, own in states.items()}


def _names(model: Any) -> dict[str, list[str]]:
    graph = model.graph
    return {layer: graph.unit_names(layer) for layer in graph.names}


def _case(model: Any, values: Mapping[str, np.ndarray]) -> dict[str, int]:
    pairs = ((u, v) for layer, units in _names(model).items() for u, v in zip(units, values[layer], strict=True))
    return {unit: int(v) for unit, v in pairs if not np.isnan(v)}


def _mean(found: Any, unit: str, n_rows: int) -> np.ndarray:
    return np.broadcast_to(found.marginals.array(unit)[..., 1], n_rows)
