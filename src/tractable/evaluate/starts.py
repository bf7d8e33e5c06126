"""Samples of a model for reverse annealing to start from."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import checked_values
from tractable.models.keys import generator
from tractable.plan.machines import EXACT, plan_starts
from tractable.posterior.approximate.gibbs import State
from tractable.posterior.cases import read_cases
from tractable.posterior.exact import clamped as exact
from tractable.posterior.tempering._base import run
from tractable.posterior.tempering.bases import features_given
from tractable.posterior.tempering.machines import MachinePath


class Sources(NamedTuple):
    """Where chains may start: the ends of forward runs with their log weights, rows of data, or samples as they are."""

    ends: State
    log_weights: Float[np.ndarray, " c"]
    data: np.ndarray | None
    samples: Any


class Starts(NamedTuple):
    """States of the kept groups, where they come from, and how many of the first of them come from data."""

    x: State
    origin: str
    exact: bool
    n_from_data: int


def model_states(model: Boltzmann, path: MachinePath, key: Any, sources: Sources, n_burn: int) -> Starts:
    """One state for each chain: exact where enumeration is cheap, else given ones, else chains of `n_burn` sweeps.

    Half of the chains start from data, where there are some, and half from the ends of the forward runs, drawn again by
    their weights: where the two halves come back differently, the chains have not forgotten where they started.
    """
    n = len(sources.log_weights)
    if sources.samples is not None:
        values = checked_values(model, VISIBLE, sources.samples, missing=False)
        return Starts(_kept(path, features_given(model, _cycled(values, n), key)), "given samples", False, 0)
    plan = plan_starts(model.graph, n)
    if plan.method in EXACT:
        values = exact.draw(model, read_cases(model, None), plan, generator(key))
        x = {name: model.units[name].encode(values[name]) for name in path.kept}
        return Starts(_kept(path, x), "exact samples", True, 0)
    return _burnt_in(model, path, key, sources, n_burn)


def _burnt_in(model: Boltzmann, path: MachinePath, key: Any, sources: Sources, n_burn: int) -> Starts:
    n = len(sources.log_weights)
    half = 0 if sources.data is None else n // 2
    x = _resampled(sources, key, n - half)
    if sources.data is not None and half:
        rows = np.linspace(0, len(sources.data) - 1, half).astype(int)
        own = _kept(path, features_given(model, sources.data[rows], key))
        x = {name: jnp.concatenate([own[name], x[name]]) for name in path.kept}
    x = run(path, jax.random.fold_in(key, 1), np.ones(n_burn + 1), x).x
    both = "data and from annealed chains" if half else "annealed chains"
    return Starts(x, f"chains of {n_burn} sweeps from {both}", False, half)


def _resampled(sources: Sources, key: Any, n: int) -> State:
    """Ends of forward runs drawn by their weights, evenly spaced through the cumulative weights."""
    share = np.cumsum(np.exp(sources.log_weights - np.logaddexp.reduce(sources.log_weights)))
    u = (np.arange(n) + float(jax.random.uniform(jax.random.fold_in(key, 2)))) / n
    index = np.minimum(np.searchsorted(share, u * share[-1]), len(share) - 1)
    return {name: jnp.asarray(v)[index] for name, v in sources.ends.items()}


def _cycled(values: np.ndarray, n: int) -> np.ndarray:
    return values[np.arange(n) % len(values)]


def _kept(path: MachinePath, x: Any) -> State:
    return {name: jnp.asarray(x[name], jnp.float32) for name in path.kept}
