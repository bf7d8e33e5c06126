"""Samples of a model for reverse annealing to start from, and what replica exchange says of log Z on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tractable.evaluate import bounds
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import checked_values
from tractable.models.keys import generator
from tractable.models.precision import working_type
from tractable.plan.budget import START_FLOPS
from tractable.plan.machines import EXACT, plan_starts
from tractable.posterior.approximate import gibbs
from tractable.posterior.approximate.gibbs import State
from tractable.posterior.cases import read_cases
from tractable.posterior.exact import clamped as exact
from tractable.posterior.exact import random_clusters
from tractable.posterior.tempering import bases, exchange
from tractable.posterior.tempering._base import PathRun, run
from tractable.posterior.tempering.machines import MachinePath, base_log_partition, make_path
from tractable.posterior.tempering.modes import Modes
from tractable.posterior.tempering.strata import Rungs
from tractable.posterior.tempering.temperatures import evenly

EXACT_FLOPS = START_FLOPS
"""Exact samples are drawn where they cost no more; 0 sends small machines along the road of large ones."""

CLUSTER_STEPS = 5e8
"""Bonds visited and steps of searches that coupling from the past may take, some two nanoseconds each."""

LADDERS, ROUNDS = 8, 700
TRIPS, HEAVY = 3.0, 0.01
"""Round trips of each ladder: fewer say that replicas did not travel; as many prove nothing. And the weight, beside
that of the best, of modes in which a second attempt begins."""

REPLICAS = (8, 12, 16, 24, 40)
"""On a ladder: the first that is enough."""


class Exchanged(NamedTuple):
    """log Z by Bennett's acceptance ratio along each ladder, and round trips of a replica, a ladder's average."""

    log_z: Float[np.ndarray, " c"]
    round_trips: float

    @property
    def value(self) -> float:
        """The mean of the ladders."""
        return float(self.log_z.mean())

    @property
    def error(self) -> float:
        """Of the mean, from how far the ladders are apart."""
        return float(self.log_z.std(ddof=1) / np.sqrt(len(self.log_z)))


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
    """States from ladders of replicas between a base and the model, half of which begin in modes.

    The first base has no fields: every phase melts there, and any mode may be a start. Where replicas do not travel
    from it, the next is tried, from modes of weight alone, as light ones may not melt there.
    `size`: states wanted, and rounds, None for as many as there are by default.
    """
    found = _exchanged(model, modes, key, size, ladders[0])
    if found.exchanged is not None and not found.exchanged.round_trips >= TRIPS:
        heavy = np.flatnonzero(modes.weights >= HEAVY * modes.weights.max())
        means, fields = ({name: a[heavy] for name, a in part.items()} for part in modes[:2])
        few = Modes(means, fields, modes.elbo[heavy])
        found = _exchanged(model, few, jax.random.fold_in(key, 9), size, ladders[1])
    return found


def _exchanged(model: Boltzmann, modes: Modes, key: Any, size: tuple[int, int | None], ladder: Rungs) -> Starts:
    """The same from one base; by default a state for each chain is taken from rounds of its own."""
    n, rounds = size
    path = make_path(model, ladder.base)
    k = next((k for k in REPLICAS if k >= 2 * ladder.costs.sum() + 2), REPLICAS[-1])
    betas = jnp.asarray(evenly(np, ladder.costs, ladder.betas, k - 1), path.model.dtype)
    state = _begun(path, exchange.init(path, jax.random.fold_in(key, 0), betas, LADDERS), modes, key)
    least = max(ROUNDS, exchange.CHUNK * -(-n // LADDERS))
    n_rounds = least if rounds is None else max(rounds, 2 * exchange.CHUNK)
    state = exchange.adapted(exchange.record(path, jax.random.fold_in(key, 1), state, max(n_rounds // 3, 1))[0])
    state, states, gained = exchange.record(path, jax.random.fold_in(key, 2), state, n_rounds)
    x = {name: np.concatenate([s[name] for s in states]) for name in path.kept}
    chosen = np.linspace(0, len(x[path.kept[0]]) - 1, n).astype(int)
    found = Exchanged(
        float(model.offset + base_log_partition(path)) + _log_ratio(gained), int(state.round_trips) / LADDERS
    )
    told = f"{LADDERS} ladders of {k} replicas"
    return Starts(_kept(model, path.kept, {name: a[chosen] for name, a in x.items()}), told, False, found)


def _begun(path: MachinePath, state: exchange.Replicas, modes: Modes, key: Any) -> exchange.Replicas:
    """The replicas of every second ladder in modes, the others as they were drawn at the base."""
    place = np.arange(len(next(iter(state.x.values()))))
    mode = (place // 2) % len(modes.elbo)
    fields = {name: jnp.asarray(modes.fields[name][mode], path.model.dtype) for name in path.kept}
    rows = jnp.asarray(place, jnp.uint32)
    drawn = gibbs.independent(path.model.units, jax.random.fold_in(key, 3), rows, fields)
    odd = (place % 2 == 1)[:, None]
    return state._replace(x={name: jnp.where(odd, drawn[name], a) for name, a in state.x.items()})


def _log_ratio(gained: Float[np.ndarray, "t k c"]) -> Float[np.ndarray, " c"]:
    """log Z of model over base, ladder by ladder, from the gains of pairs in the rounds of their turn."""
    k, total = gained.shape[1], np.zeros(gained.shape[2])
    for parity in (0, 1):
        own, pairs = gained[parity::2], np.arange(parity, k - 1, 2)
        total += bounds.acceptance_ratios(own[:, pairs], own[:, pairs + 1]).sum(axis=0)
    return total


def _kept(model: Boltzmann, names: tuple[str, ...], x: Mapping[str, Any]) -> State:
    return {name: jnp.asarray(x[name], working_type(model)) for name in names}
