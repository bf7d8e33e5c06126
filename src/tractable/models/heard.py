"""Soft evidence of many cases as hard evidence: what was heard of a variable becomes a variable of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.evidence import Evidence
from tractable.models.markov_network import MarkovNetwork


def as_heard(model: BayesianNetwork | MarkovNetwork, given: Evidence) -> tuple[MarkovNetwork, Evidence]:
    """The network and its evidence where what was observed softly is a state of a variable that hangs on it.

    Each different row of weights is a state of it, and where nothing was observed its weights are one. The new
    variables come last, so that places of the others stay as they are.
    """
    names, states, columns = list(model.states), dict(model.states), [given.states]
    factors = list(model.factors) if isinstance(model, MarkovNetwork) else _families(model)
    for v, weights in given.likelihoods.items():
        rows, which = np.unique(weights, axis=0, return_inverse=True)
        heard = _unused(f"what was heard of {names[v]}", states)
        states[heard] = tuple(map(str, range(len(rows))))
        factors.append(((names[v], heard), rows.T))
        columns.append(which.reshape(-1, 1))
    whole = MarkovNetwork(states, factors, name=model.name)
    return whole, Evidence(np.concatenate(columns, axis=1).astype(np.int32))


def _families(model: BayesianNetwork) -> list[Any]:
    return [((*model.parents[v], v), table) for v, table in model.tables.items()]


def _unused(name: str, known: Mapping[str, Any]) -> str:
    return name if name not in known else _unused(f"{name}'", known)
