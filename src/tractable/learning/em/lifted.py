"""Zeros that became possible: a probability of zero has no logarithm to climb from, but a prior may ask for more.

Where an entry is zero and its expected count is not, which only a prior brings about, the objective is −∞. The row
moves a step towards its maximum in closed form, so that all of it is positive; the gradient takes over from there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tractable.models.emissions import Emissions, ProductEmissions, Statistics

SHARE = 0.01
"""The step, as a share of the way."""


def lifted(model: Any, statistics: Statistics) -> Any:
    """The model, or one with a positive probability wherever something is expected."""
    return LIFTED[model.family](model, statistics) if model.family in LIFTED else model


def moved(rows: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Distributions [..., n] on their way to others, where these allow more; the array itself where none does.

    >>> moved(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [[0.995, 0.005], [0.5, 0.5]]
    """
    more = ((rows == 0) & (best > 0)).any(-1, keepdims=True)
    return np.where(more, (1 - SHARE) * rows + SHARE * best, rows) if more.any() else rows


def _network(model: Any, statistics: Statistics) -> Any:
    best = model.maximized(statistics).tables
    tables = {v: moved(np.asarray(table), np.asarray(best[v])) for v, table in model.tables.items()}
    changed = {v: table for v, table in tables.items() if not np.array_equal(table, model.tables[v])}
    return model.replace(changed) if changed else model


def _mixture(model: Any, statistics: Statistics) -> Any:
    counts, own = statistics["mixture.count"], model.free
    weights, emissions = moved(model.weights, counts / counts.sum()), _emissions(own, statistics.part("emissions."))
    unchanged = emissions is own and weights is model.weights
    return model if unchanged else replace(model, weights=weights, emissions=emissions)


def _chain(model: Any, statistics: Statistics) -> Any:
    """Zeros of start and transitions are the structure of a chain."""
    emissions = _emissions(model.emissions, statistics.part("emissions."))
    return model if emissions is model.emissions else model.replaced(emissions=emissions)


LIFTED = {"tables": _network, "mixture": _mixture, "hidden_markov": _chain}


def _emissions(emissions: Any, statistics: Statistics) -> Emissions:
    """The same object where nothing has to move."""
    if isinstance(emissions, ProductEmissions):
        parts = [_emissions(part, statistics.part(f"{i}.")) for i, part in enumerate(emissions.parts)]
        same = all(a is b for a, b in zip(parts, emissions.parts, strict=True))
        return emissions if same else ProductEmissions(parts, emissions.columns)
    if emissions.kind not in KINDS:
        return emissions
    old, best = emissions.arrays(), emissions.maximized(statistics).arrays()
    new = {name: KINDS[emissions.kind](old[name], best[name]) for name in old}
    if all(np.array_equal(new[name], old[name]) for name in old):
        return emissions
    return type(emissions)(list(new.values())) if emissions.kind == "categorical" else type(emissions)(**new)


def _probabilities(p: np.ndarray, best: np.ndarray) -> np.ndarray:
    return moved(np.stack([1 - p, p], -1), np.stack([1 - best, best], -1))[..., 1]


def _rates(rates: np.ndarray, best: np.ndarray) -> np.ndarray:
    return np.where((rates == 0) & (best > 0), SHARE * best, rates)


KINDS = {"categorical": moved, "bernoulli": _probabilities, "poisson": _rates}
