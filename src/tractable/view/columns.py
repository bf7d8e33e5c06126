"""What mixtures and hidden Markov models say of columns, and how a fit went, as plain values."""

from __future__ import annotations

from typing import Any

import numpy as np

from tractable.models.predictive import Predictive
from tractable.posterior import Certificate
from tractable.view._base import Reply, certificate

SHOWN = 24
"""Columns that a page shows."""

COVERAGE = 0.9
FOLLOWED = ("train", "validation", "elbo", "kl")


def column_names(model: Any) -> list[str]:
    """What the columns of a model are called."""
    return list(model.named.names) if model.named else [f"column {j}" for j in range(model.n_columns)]


def by_component(model: Any, k: int) -> list[Reply]:
    """What each of k components emits in each column: mean and interval, or probabilities of states."""
    return expected(Predictive(np.eye(k), model.emissions, model.columns), column_names(model))


def expected(found: Predictive, names: list[str]) -> list[Reply]:
    """Each column of rows that are not seen: what is expected, and where nine tenths lie."""
    low, high = found.interval(COVERAGE)
    told: list[Reply] = []
    for j, name in enumerate(names[:SHOWN]):
        if states := found.states(j):
            told.append({"name": name, "states": list(states), "probabilities": found.probabilities(j)})
        else:
            numbers = {"mean": found.means[:, j], "deviation": found.deviations[:, j]}
            told.append({"name": name, **numbers, "low": low[:, j], "high": high[:, j]})
    return told


def curves(run: Any) -> list[Reply]:
    """What was followed in a fit, each number with its ends."""
    records = [] if run is None else list(run.history)
    told: list[Reply] = []
    for name in FOLLOWED:
        points = [
            {"at": i + 1, **certificate(found)}
            for i, record in enumerate(records)
            if isinstance(found := getattr(record, name, None), Certificate) and np.ndim(found.value) == 0
        ]
        if points:
            told.append({"name": name, "points": points})
    return told
