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
    if model.family == "tables":
        best = model.maximized(statistics)
        tables = {v: moved(table, best.tables[v]) for v, table in model.tables.items()}
        return model if all(tables[v] is table for v, table in model.tables.items()) else model.replace(tables)
    if model.family not in ("mixture", "hidden_markov"):
        return model
    own = model.free if model.family == "mixture" else model.emissions
    emissions = _emissions(own, statistics.part("emissions."))
    if model.family == "hidden_markov":  # whose zeros are its structure
        return model if emissions is own else model.replaced(emissions=emissions)
    counts = statistics["mixture.count"]
    weights = moved(model.weights, counts / counts.sum())
    return (
        model if emissions is own and weights is model.weights else replace(model, weights=weights, emissions=emissions)
    )


def moved(rows: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Distributions [..., n] on their way to others, where these allow more; the array itself where none does.

    >>> moved(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [[0.995, 0.005], [0.5, 0.5]]
    """
    more = ((rows == 0) & (best > 0)).any(-1, keepdims=True)
    return np.where(more, (1 - SHARE) * rows + SHARE * best, rows) if more.any() else rows


def _emissions(emissions: Any, statistics: Statistics) -> Emissions:
    if isinstance(emissions, ProductEmissions):
        parts = [_emissions(part, statistics.part(f"{i}.")) for i, part in enumerate(emissions.parts)]
        same = all(a is b for a, b in zip(parts, emissions.parts, strict=True))
        return emissions if same else ProductEmissions(parts, emissions.columns)
    if emissions.kind not in ("bernoulli", "categorical", "poisson"):
        return emissions
    old, best = emissions.arrays(), emissions.maximized(statistics).arrays()
    if emissions.kind == "poisson":
        rates = old["rates"]
        new = {"rates": np.where((rates == 0) & (best["rates"] > 0), SHARE * best["rates"], rates)}
    elif emissions.kind == "bernoulli":
        pairs = (np.stack([1 - own["probabilities"], own["probabilities"]], -1) for own in (old, best))
        new = {"probabilities": moved(*pairs)[..., 1]}
    else:
        new = {name: moved(table, best[name]) for name, table in old.items()}
    if all(np.array_equal(new[name], old[name]) for name in old):
        return emissions
    return type(emissions)(list(new.values())) if emissions.kind == "categorical" else type(emissions)(**new)
