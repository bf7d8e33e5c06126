"""Ladders of replicas that look for the shares of phases: states of the model, and a third word on log Z.

Annealed runs forward and back may see one phase and agree. Replicas that melt at the base and freeze again find the
shares of all phases that some temperature leads to, and half of the ladders begin in modes that were found otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tractable.models.boltzmann_machine import Boltzmann
from tractable.posterior.approximate import gibbs
from tractable.posterior.approximate.gibbs import State
from tractable.posterior.tempering import bounds, exchange
from tractable.posterior.tempering.machines import MachinePath, base_log_partition, make_path
from tractable.posterior.tempering.modes import Modes
from tractable.posterior.tempering.strata import Rungs
from tractable.posterior.tempering.temperatures import evenly
from tractable.posterior.tempering.verdicts import TRIPS, UNCERTAIN

LADDERS, ROUNDS = 8, 700
LONGER = 4
"""Where the ladders leave log Z uncertain, they go on for so many times the rounds, which alone count then."""

HEAVY = 0.01
"""The weight, beside that of the best, of modes in which a second attempt begins."""

REPLICAS = (8, 12, 16, 24, 40)
"""On a ladder: the first that is enough."""


class Exchanged(NamedTuple):
    """log Z by Bennett's acceptance ratio along each ladder, round trips, a ladder's average, and replicas of each."""

    log_z: Float[np.ndarray, " c"]
    round_trips: float
    n_replicas: int

    @property
    def value(self) -> float:
        """The mean of the ladders."""
        return float(self.log_z.mean())

    @property
    def error(self) -> float:
        """Of the mean, from how far the ladders are apart."""
        return float(self.log_z.std(ddof=1) / np.sqrt(len(self.log_z)))


def exchanged(
    model: Boltzmann, modes: Modes, key: Any, size: tuple[int, int | None], ladders: Sequence[Rungs]
) -> tuple[State, Exchanged]:
    """States of the model from ladders of replicas between a base and it, half of which begin in modes.

    The first base has no fields: every phase melts there, and any mode may be a start. Where replicas do not travel
    from it, the next is tried, from modes of weight alone, as light ones may not melt there.
    `size`: states wanted, and rounds, None for as many as there are by default.
    """
    x, found = _exchanged(model, modes, key, size, ladders[0])
    if not found.round_trips >= TRIPS:
        heavy = np.flatnonzero(modes.weights >= HEAVY * modes.weights.max())
        means, fields = ({name: a[heavy] for name, a in part.items()} for part in modes[:2])
        few = Modes(means, fields, modes.elbo[heavy])
        x, found = _exchanged(model, few, jax.random.fold_in(key, 9), size, ladders[1])
    return x, found


def _exchanged(
    model: Boltzmann, modes: Modes, key: Any, size: tuple[int, int | None], ladder: Rungs
) -> tuple[State, Exchanged]:
    """The same from one base; by default a state for each chain is taken from rounds of its own."""
    n, rounds = size
    path = make_path(model, ladder.base)
    k = next((k for k in REPLICAS if k >= 2 * ladder.costs.sum() + 2), REPLICAS[-1])
    betas = jnp.asarray(evenly(np, ladder.costs, ladder.betas, k - 1), path.model.dtype)
    state = _begun(path, exchange.init(path, jax.random.fold_in(key, 0), betas, LADDERS), modes, key)
    least = max(ROUNDS, exchange.CHUNK * -(-n // LADDERS))
    n_rounds = least if rounds is None else max(rounds, 2 * exchange.CHUNK)
    state = exchange.adapted(exchange.record(path, jax.random.fold_in(key, 1), state, max(n_rounds // 3, 1))[0])
    base = float(model.offset + base_log_partition(path))
    tries = [n_rounds, LONGER * n_rounds] if rounds is None else [n_rounds]
    for i, length in enumerate(tries):
        start = int(state.round_trips)
        state, states, gained = exchange.record(path, jax.random.fold_in(key, 2 + i), state, length)
        found = Exchanged(base + _log_ratio(gained), (int(state.round_trips) - start) / LADDERS, k)
        if found.error <= UNCERTAIN:
            break
    return _evenly_taken([{name: s[name] for name in path.kept} for s in states], n), found  # pyright: ignore


def _evenly_taken(states: Sequence[State], n: int) -> State:
    """`n` of the states that were recorded."""
    x = {name: np.concatenate([s[name] for s in states]) for name in states[0]}
    return {name: jnp.asarray(a[np.linspace(0, len(a) - 1, n).astype(int)]) for name, a in x.items()}


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
