"""Samples of a model for reverse annealing to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import checked_values
from tractable.models.keys import generator
from tractable.models.precision import working_type
from tractable.plan.budget import START_FLOPS
from tractable.plan.machines import EXACT, plan_starts
from tractable.posterior.approximate.gibbs import State
from tractable.posterior.cases import read_cases
from tractable.posterior.exact import clamped as exact
from tractable.posterior.exact import random_clusters
from tractable.posterior.tempering import bases
from tractable.posterior.tempering._base import PathRun, run
from tractable.posterior.tempering.ladders import Exchanged, exchanged
from tractable.posterior.tempering.machines import MachinePath
from tractable.posterior.tempering.modes import Modes
from tractable.posterior.tempering.strata import Rungs

EXACT_FLOPS = START_FLOPS
"""Exact samples are drawn where they cost no more; 0 sends small machines along the road of large ones."""

CLUSTER_STEPS = 5e8
"""Bonds visited and steps of searches that coupling from the past may take, some two nanoseconds each."""


class Starts(NamedTuple):
    """States of the kept groups, where they come from, whether they are exact, and replica exchange if it was run."""

    x: State
    origin: str
    exact: bool
    exchanged: Exchanged | None = None


def exact_states(model: Boltzmann, kept: tuple[str, ...], key: Any, n: int) -> Starts | None:
    """Independent draws, by enumeration where that is cheap, or of ferromagnets up to flips by random clusters."""
    plan = plan_starts(model.graph, n)
    if plan.method in EXACT and plan.flops <= EXACT_FLOPS:
        values = exact.draw(model, read_cases(model, None), plan, generator(key))
        x = {name: np.asarray(model.units[name].encode(values[name])) for name in kept}
        return Starts(_kept(model, kept, x), "exact samples", True)
    form = random_clusters.balanced(model)
    drawn = None if form is None else random_clusters.draw(form, n, key, CLUSTER_STEPS)
    return None if drawn is None else Starts(_kept(model, kept, drawn), "exact samples by random clusters", True)


def given_states(model: Boltzmann, kept: tuple[str, ...], samples: Any, key: Any, n: int) -> Starts:
    """States of the visible units as they are given, in turn, and hidden ones drawn given these."""
    values = checked_values(model, VISIBLE, samples, missing=False)
    x = bases.features_given(model, values[np.arange(n) % len(values)], key)
    return Starts(_kept(model, kept, x), "given samples", False)


def chained_states(model: Boltzmann, path: MachinePath, forward: PathRun, key: Any, how: tuple[Any, int]) -> Starts:
    """Ends of chains at the model, from rows of data and from ends of forward runs drawn by their weights, half each.

    `how`: rows of the visible units, or None; sweeps.
    """
    (rows, n_sweeps), n = how, len(forward.work)
    half = 0 if rows is None else n // 2
    x = _resampled(forward, key, n - half)
    if rows is not None and half:
        chosen = rows[np.linspace(0, len(rows) - 1, half).astype(int)]
        own = _kept(model, path.kept, bases.features_given(model, chosen, key))
        x = {name: jnp.concatenate([own[name], x[name]]) for name in path.kept}
    x = run(path, jax.random.fold_in(key, 1), np.ones(n_sweeps + 1), x).x
    return Starts(x, f"chains of {n_sweeps} sweeps", False)


def _resampled(forward: PathRun, key: Any, n: int) -> State:
    """Ends of forward runs drawn by their weights, evenly spaced through the cumulative weights."""
    share = np.cumsum(np.exp(forward.work - np.logaddexp.reduce(forward.work)))
    u = (np.arange(n) + float(jax.random.uniform(jax.random.fold_in(key, 2)))) / n
    index = np.minimum(np.searchsorted(share, u * share[-1]), len(share) - 1)
    return {name: jnp.asarray(v)[index] for name, v in forward.x.items()}


def exchanged_states(
    model: Boltzmann, modes: Modes, key: Any, size: tuple[int, int | None], ladders: Sequence[Rungs]
) -> Starts:
    """States by replica exchange; `size`: states wanted, and rounds, None for as many as there are by default."""
    x, found = exchanged(model, modes, key, size, ladders)
    return Starts(_kept(model, tuple(x), x), f"{len(found.log_z)} ladders of {found.n_replicas} replicas", False, found)


def _kept(model: Boltzmann, names: tuple[str, ...], x: Mapping[str, Any]) -> State:
    return {name: jnp.asarray(x[name], working_type(model)) for name in names}
