"""Replica exchange: replicas at temperatures along a path change places, and so leave their modes.

After some sweeps at every β, neighbours k and k + 1 on the ladder change places with probability
min(1, p̃_k(x_{k+1}) p̃_{k+1}(x_k) / (p̃_k(x_k) p̃_{k+1}(x_{k+1}))): the even pairs in even rounds, the odd ones in odd
rounds, which is not reversible, and travels the ladder in a number of rounds that does not grow with its length
squared. A ladder with the same rejection rate everywhere makes the most round trips; `adapted` takes it there.

Syed, Bouchard-Côté, Deligiannidis & Doucet, "Non-reversible parallel tempering: a scalable highly parallel MCMC
scheme", JRSS B 84 (2022), algorithms 1 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from tractable.models._base import ModelError
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.keys import as_key
from tractable.models.normalizable import check_normalizable
from tractable.models.precision import in_working_precision
from tractable.posterior.tempering._base import CHUNK, At
from tractable.posterior.tempering.machines import Base, MachinePath, make_path
from tractable.posterior.tempering.temperatures import evenly
from tractable.posterior.tempering.traced import Traced

SWAPS = 2**32 - 1
"""The number of the swaps among the sweeps of a round: no sweep has it."""

LEAST = 1e-3
"""A rejection that no step between temperatures is taken to be below."""


@dataclass(frozen=True)
class ParallelTempering:
    """Settings: replicas on the ladder, independent ladders, rounds kept, Gibbs sweeps in a round, rounds of tuning."""

    n_replicas: int = 12
    n_chains: int = 16
    n_rounds: int = 1000
    n_sweeps: int = 1
    n_tuning: int = 500


class Replicas(NamedTuple):
    """Every replica of every ladder, and what has been counted since the ladder was last changed.

    Replica r of ladder c is row r · n_chains + c of `x` and has the inverse temperature ``beta[place[r, c]]``.
    """

    x: Any
    place: Int[Array, "k c"]
    beta: Float[Array, " k"]
    rejected: Float[Array, " k-1"]
    n_rounds: Int[Array, ""]
    came_up: Bool[Array, "k c"]
    round_trips: Int[Array, ""]


@dataclass(frozen=True)
class Exchange:
    """How well the replicas travelled.

    Attributes
    ----------
    beta : the ladder, from 0 (base) to 1 (model).
    rejection : for each pair of neighbours the share of swaps refused; equal on an ideal ladder.
    barrier : Λ, the sum of the rejections; a ladder of about 2Λ replicas is right.
    round_trips : how often a replica came from the base up to the model, all ladders together.
    round_trips_per_round : the same for one ladder and round; at most 1 / (2 + 2Λ), reached when replicas forget fast.
    """

    beta: np.ndarray
    rejection: np.ndarray
    barrier: float
    round_trips: int
    round_trips_per_round: float


@dataclass(frozen=True, eq=False)
class TemperedRun:
    """The chains of the model itself: their last states, their averages [n_chains, n_features], and the exchange.

    States are those of the groups that the path keeps; averages of the others are of their means given these.
    """

    x: Mapping[str, np.ndarray]
    averages: Mapping[str, np.ndarray]
    exchange: Exchange


@in_working_precision
def temper(
    model: Boltzmann, settings: ParallelTempering | None = None, *, base: Base | None = None, key: Any = 0
) -> TemperedRun:
    """Run parallel tempering of a machine with a ladder that is tuned first, and average over the rounds after that.

    Parameters
    ----------
    base : group → fields of the factorized machine at the other end; the model's own fields by default. Fields that
        reproduce the means of the data give shorter ladders.

    Raises
    ------
    ModelError : fewer than two replicas, or a base that does not fit.
    """
    check_normalizable(model)
    s = ParallelTempering() if settings is None else settings
    if min(s.n_replicas - 1, s.n_chains, s.n_rounds, s.n_sweeps) < 1 or s.n_tuning < 0:
        raise ModelError(f"parallel tempering takes two replicas or more, and one chain, round and sweep, got {s}")
    key = as_key(key)
    path = make_path(model, model.fields if base is None else base)
    state = init(path, jax.random.fold_in(key, 0), jnp.linspace(0, 1, s.n_replicas), s.n_chains)
    for i, n in enumerate(_phases(s.n_tuning)):
        state = adapted(run(path, jax.random.fold_in(key, 1 + i), state, n, s.n_sweeps)[0])
    state, total = run(path, jax.random.fold_in(key, 1000), state, s.n_rounds, s.n_sweeps)
    averages = {name: np.asarray(a, np.float64) / s.n_rounds for name, a in total.items()}
    return TemperedRun({name: np.asarray(a) for name, a in at_model(state).items()}, averages, exchange(state))


def _phases(n: int) -> list[int]:
    """Rounds of tuning, each phase twice as long as the one before."""
    return [n * 2**i // 31 for i in range(5) if n * 2**i // 31]


def init(path: Traced, key: Any, beta: Float[Array, " k"], n_chains: int) -> Replicas:
    """Replicas drawn at β = 0; replica r starts at place r of the ladder."""
    k = len(beta)
    x, place = path.start(key, k * n_chains), jnp.broadcast_to(jnp.arange(k)[:, None], (k, n_chains))
    return _counted_from_here(x, place, jnp.asarray(beta, jax.tree.leaves(x)[0].dtype))


def _counted_from_here(x: Any, place: Array, beta: Array) -> Replicas:
    rounds, trips = (jnp.zeros((), jnp.int32) for _ in range(2))
    return Replicas(x, place, beta, jnp.zeros(len(beta) - 1, beta.dtype), rounds, place == 0, trips)


def step(path: Traced, key: Any, state: Replicas, n_sweeps: Any = 1) -> Replicas:
    """One round: sweeps at every temperature, then swaps; the path is `prepared`."""
    return stepped(path, key, state, n_sweeps)[0]


def stepped(path: Traced, key: Any, state: Replicas, n_sweeps: Any = 1) -> tuple[Replicas, Float[Array, "k c"]]:
    """One round, and the gains of log p̃ that its swaps were decided by."""
    beta = state.beta[state.place].ravel()

    def one(t: Array, chains: Any) -> Any:
        return path.sweep(key, At(t, beta, beta, state.n_rounds * n_sweeps + t), chains)

    chains = jax.lax.fori_loop(0, n_sweeps, one, path.entered(state.x))
    gained = gains(path, chains, state)
    state = state._replace(x=path.left(chains))
    return _swapped(jax.random.fold_in(key, SWAPS), state, log_acceptance(gained)), gained


def log_acceptance(gained: Float[Array, "k c"]) -> Float[Array, "k-1 c"]:
    """The logarithm of the probability that the replicas at places k and k + 1 change them, if it is their turn."""
    return jnp.minimum(0, gained[:-1] + gained[1:])


def gains(path: Traced, chains: Any, state: Replicas) -> Float[Array, "k c"]:
    """What log p̃ of the replica at each place gains at the place of its partner in this round."""
    k, n_chains = state.place.shape
    place = jnp.arange(k)
    partner = jnp.clip(jnp.where(place % 2 == state.n_rounds % 2, place + 1, place - 1), 0, k - 1)
    there = state.beta[partner][state.place]
    gained = path.log_ratio(chains, state.beta[state.place].ravel(), there.ravel()).reshape(k, n_chains)
    return jnp.take_along_axis(gained, jnp.argsort(state.place, axis=0), axis=0)


def _swapped(key: Any, state: Replicas, log_accept: Float[Array, "k-1 c"]) -> Replicas:
    """Neighbours change places: even pairs in even rounds, odd ones in odd rounds."""
    k, n_chains = state.place.shape
    active = (jnp.arange(k - 1) % 2 == state.n_rounds % 2)[:, None]
    uniform = jax.vmap(lambda c: jax.random.uniform(jax.random.fold_in(key, c), (k - 1,), log_accept.dtype))
    up = active & (jnp.log(uniform(jnp.arange(n_chains)).T) < log_accept)
    none = jnp.zeros((1, n_chains), bool)
    move = jnp.concatenate([up, none]).astype(jnp.int32) - jnp.concatenate([none, up]).astype(jnp.int32)
    place = state.place + jnp.take_along_axis(move, state.place, axis=0)
    arrived = state.came_up & (place == k - 1)
    return state._replace(
        place=place,
        rejected=state.rejected + jnp.where(active, 1 - jnp.exp(log_accept), 0).mean(axis=1),
        n_rounds=state.n_rounds + 1,
        came_up=(state.came_up & ~arrived) | (place == 0),
        round_trips=state.round_trips + arrived.sum(dtype=jnp.int32),
    )


def run(path: MachinePath, key: Any, state: Replicas, n_rounds: int, n_sweeps: int) -> tuple[Replicas, Any]:
    """Many rounds, and the sum over them of the states at the model, means for the groups that are summed out."""
    total = jax.tree.map(jnp.zeros_like, path.prepared().means(at_model(state)))
    chunk = max(1, CHUNK // n_sweeps)
    for first in range(0, n_rounds, chunk):
        until = min(first + chunk, n_rounds)
        state, total = jax.block_until_ready(_summed(path, key, (state, total), (first, until), n_sweeps))
    return state, total


@jax.jit
def _summed(
    path: MachinePath, key: Any, at: tuple[Replicas, Any], rounds: tuple[Any, Any], n_sweeps: Any
) -> tuple[Replicas, Any]:
    """The replicas after the rounds of these numbers, and the sums."""
    path = path.prepared()

    def one(t: Array, carry: tuple[Replicas, Any]) -> tuple[Replicas, Any]:
        state, total = carry
        state = step(path, jax.random.fold_in(key, t), state, n_sweeps)
        return state, jax.tree.map(jnp.add, total, path.means(at_model(state)))

    return jax.lax.fori_loop(*rounds, one, at)


def record(
    path: MachinePath, key: Any, state: Replicas, n_rounds: int
) -> tuple[Replicas, Any, Float[np.ndarray, "t k c"]]:
    """Many rounds: the replicas, the states at the model every `CHUNK` rounds, and the gains of each round."""
    states, gained = [], []
    for first in range(0, n_rounds, CHUNK):
        state, part = jax.block_until_ready(_recorded(path, key, state, first))
        states.append({name: np.asarray(a) for name, a in at_model(state).items()})
        gained.append(np.asarray(part, np.float64))
    return state, states, np.concatenate(gained)


@jax.jit
def _recorded(path: MachinePath, key: Any, state: Replicas, first: Any) -> tuple[Replicas, Array]:
    path = path.prepared()

    def one(state: Replicas, t: Array) -> tuple[Replicas, Array]:
        return stepped(path, jax.random.fold_in(key, t), state)

    return jax.lax.scan(one, state, first + jnp.arange(CHUNK))


def at_model(state: Replicas) -> Any:
    """The states of those replicas that are at the model, ladder by ladder [n_chains, f]."""
    k, n_chains = state.place.shape
    rows = jnp.argmax(state.place == k - 1, axis=0) * n_chains + jnp.arange(n_chains)
    return jax.tree.map(lambda a: jnp.asarray(a)[rows], state.x)


def rejection(state: Replicas) -> Float[Array, " k-1"]:
    """The share of refused swaps of each pair; each is tried every other round."""
    odd = jnp.arange(len(state.rejected)) % 2
    tries = (state.n_rounds + 1 - odd) // 2
    return state.rejected / jnp.maximum(tries, 1)


def adapted(state: Replicas) -> Replicas:
    """The ladder moved so that, by what has been counted, every pair refuses alike; the counts start anew."""
    beta = evenly(jnp, rejection(state) + LEAST, state.beta, len(state.beta) - 1)
    return _counted_from_here(state.x, state.place, beta)


def exchange(state: Replicas) -> Exchange:
    """What has been counted, as a record."""
    rates = np.asarray(rejection(state), np.float64)
    trips, rounds = int(state.round_trips), max(int(state.n_rounds), 1)
    return Exchange(
        np.asarray(state.beta, np.float64), rates, float(rates.sum()), trips, trips / rounds / state.place.shape[1]
    )
