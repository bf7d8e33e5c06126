"""Parallel tempering: replicas between a factorized machine and the model exchange places, and so leave their modes.

p_β ∝ p̃_base^{1−β} p̃^β has the natural parameters (1 − β) base + β θ, the leafwise mean of the two machines. After some
Gibbs sweeps at every β, neighbours k and k + 1 on the ladder change places with probability
min(1, exp((β_{k+1} − β_k)(Δ_k − Δ_{k+1}))), Δ(x) = log p̃(x) − log p̃_base(x): the even pairs in even rounds, the odd
ones in odd rounds, which is not reversible, and travels the ladder in a number of rounds that does not grow with its
length squared. A ladder with the same rejection rate everywhere makes the most round trips; `adapted` takes it there.

Syed, Bouchard-Côté, Deligiannidis & Doucet, "Non-reversible parallel tempering: a scalable highly parallel MCMC
scheme", JRSS B 84 (2022), algorithms 1 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from tractable.models._base import ModelError
from tractable.models.boltzmann_machine import Boltzmann
from tractable.posterior.approximate import blocks, gibbs
from tractable.posterior.approximate.blocks import Schedule, State, Tempered, schedule

Base = Mapping[str, Any]
SWAPS = 2**32 - 1
"""The number of the swaps among the sweeps of a round: no sweep has it."""


@dataclass(frozen=True)
class ParallelTempering:
    """Settings: replicas on the ladder, independent ladders, rounds kept, Gibbs sweeps in a round, rounds of tuning."""

    n_replicas: int = 12
    n_chains: int = 16
    n_rounds: int = 1000
    n_sweeps: int = 1
    n_tuning: int = 500


class Ladder(eqx.Module):
    """What the replicas move on: the model, the fields of the factorized base, and the blocks of a sweep."""

    plan: Schedule
    model: Boltzmann
    base: dict[str, Float[Any, " f"]]


class Replicas(NamedTuple):
    """Every replica of every ladder, and what has been counted since the ladder was last changed.

    Replica r of ladder c is row r · n_chains + c of `x` and has the inverse temperature ``beta[place[r, c]]``.
    """

    x: State
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
    """The chains of the model itself: their last states, their averages [n_chains, n_features], and the exchange."""

    x: Mapping[str, np.ndarray]
    averages: Mapping[str, np.ndarray]
    exchange: Exchange


def temper(
    model: Boltzmann, settings: ParallelTempering | None = None, *, base: Base | None = None, key: Any = 0
) -> TemperedRun:
    """Run parallel tempering with a ladder that is tuned first, and average over the rounds after that.

    Parameters
    ----------
    base : group → fields of the factorized machine at the other end; the model's own fields by default. Fields that
        reproduce the means of the data give shorter ladders.

    Raises
    ------
    ModelError : fewer than two replicas, or a base that does not fit.
    """
    s = ParallelTempering() if settings is None else settings
    if min(s.n_replicas - 1, s.n_chains, s.n_rounds, s.n_sweeps) < 1 or s.n_tuning < 0:
        raise ModelError(f"parallel tempering takes two replicas or more, and one chain, round and sweep, got {s}")
    key = jax.random.key(int(key)) if isinstance(key, int | np.integer) else key
    ladder = ladder_of(model, base)
    state = init(ladder, jax.random.fold_in(key, 0), jnp.linspace(0, 1, s.n_replicas), s.n_chains)
    for i, n in enumerate(_phases(s.n_tuning)):
        state, _ = run(ladder, jax.random.fold_in(key, 1 + i), state, n, s.n_sweeps)
        state = adapted(state)
    state, total = run(ladder, jax.random.fold_in(key, 1000), state, s.n_rounds, s.n_sweeps)
    averages = {name: np.asarray(a, np.float64) / s.n_rounds for name, a in total.items()}
    last = {name: np.asarray(a) for name, a in at_model(state, state.x).items()}
    return TemperedRun(last, averages, exchange(state))


def _phases(n: int) -> list[int]:
    """Rounds of tuning, each phase twice as long as the one before."""
    return [n * 2**i // 31 for i in range(5) if n * 2**i // 31]


def ladder_of(model: Boltzmann, base: Base | None = None) -> Ladder:
    """The model with its base, checked."""
    given = dict(model.fields) if base is None else dict(base)
    for name, units in model.units.items():
        if name not in given or np.shape(given[name]) != (units.n_features,):
            got = np.shape(given[name]) if name in given else "nothing"
            raise ModelError(f"the base needs fields of shape ({units.n_features},) for {name}, got {got}")
    fields = {name: jnp.asarray(given[name], jnp.asarray(b).dtype) for name, b in model.fields.items()}
    return Ladder(schedule(model.graph), model, fields)


def init(ladder: Ladder, key: Any, beta: Float[Array, " k"], n_chains: int) -> Replicas:
    """Replicas drawn from the base, which is factorized; replica r starts at place r."""
    k = len(beta)
    rows = jnp.arange(k * n_chains, dtype=jnp.uint32)
    free = {name: jnp.broadcast_to(b, (len(rows), b.shape[0])) for name, b in ladder.base.items()}
    draw = gibbs.drawing(key, rows)
    x = {name: draw(ladder.model.units[name], theta, (i,)) for i, (name, theta) in enumerate(free.items())}
    place = jnp.broadcast_to(jnp.arange(k)[:, None], (k, n_chains))
    return _counted_from_here(x, place, jnp.asarray(beta, next(iter(x.values())).dtype))


def _counted_from_here(x: State, place: Array, beta: Array) -> Replicas:
    zero = jnp.zeros((), jnp.int32)
    return Replicas(x, place, beta, jnp.zeros(len(beta) - 1, beta.dtype), zero, place == 0, zero)


def log_ratio(ladder: Ladder, x: State) -> Float[Array, " c"]:
    """Δ(x) = log p̃(x) − log p̃_base(x); the base measures are the same."""
    return ladder.model.interaction(x) - sum(x[name] @ b for name, b in ladder.base.items())


def step(ladder: Ladder, key: Any, state: Replicas, n_sweeps: Any = 1) -> tuple[Replicas, State]:
    """One round: sweeps at every temperature, then swaps; also the means with which the last sweep drew, row by row."""
    ready = blocks.laid_out(ladder.plan, ladder.model)
    return _step(ladder, ready, key, state, n_sweeps)


def _step(ladder: Ladder, ready: blocks.Blocks, key: Any, state: Replicas, n_sweeps: Any) -> tuple[Replicas, State]:
    tempered = Tempered(state.beta[state.place].ravel(), ladder.base)
    rows = jnp.arange(state.place.size, dtype=jnp.uint32)

    def one(t: Array, carry: tuple[State, State]) -> tuple[State, State]:
        return blocks.sweep(ready, gibbs.drawing(jax.random.fold_in(key, t), rows), carry[0], {}, tempered)

    first = blocks.pack(ready, state.x)
    packed, theta = jax.lax.fori_loop(0, n_sweeps, one, (first, first))
    x, theta = blocks.unpack(ready, packed), blocks.unpack(ready, theta)
    means = {name: ladder.model.units[name].mean(t) for name, t in theta.items()}
    return _swapped(ladder, jax.random.fold_in(key, SWAPS), state._replace(x=x)), means


def _swapped(ladder: Ladder, key: Any, state: Replicas) -> Replicas:
    """Neighbours change places: even pairs in even rounds, odd ones in odd rounds."""
    k, n_chains = state.place.shape
    holder = jnp.argsort(state.place, axis=0)
    ratio = jnp.take_along_axis(log_ratio(ladder, state.x).reshape(k, n_chains), holder, axis=0)
    log_accept = jnp.minimum(0, jnp.diff(state.beta)[:, None] * (ratio[:-1] - ratio[1:]))
    active = (jnp.arange(k - 1) % 2 == state.n_rounds % 2)[:, None]
    uniform = jax.vmap(lambda c: jax.random.uniform(jax.random.fold_in(key, c), (k - 1,), ratio.dtype))
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


@jax.jit
def run(ladder: Ladder, key: Any, state: Replicas, n_rounds: Any, n_sweeps: Any) -> tuple[Replicas, State]:
    """Many rounds, and the sum over them of the means of the chains at the model [n_chains, n_features]."""
    ready = blocks.laid_out(ladder.plan, ladder.model)

    def one(t: Array, carry: tuple[Replicas, State]) -> tuple[Replicas, State]:
        state, total = carry
        new, means = _step(ladder, ready, jax.random.fold_in(key, t), state, n_sweeps)
        here = at_model(state, means)  # the sweep came before the swap
        return new, {name: total[name] + here[name] for name in total}

    zeros = {name: jnp.zeros_like(a[: state.place.shape[1]]) for name, a in state.x.items()}
    return jax.lax.fori_loop(0, n_rounds, one, (state, zeros))


def at_model(state: Replicas, x: State) -> State:
    """The rows of those replicas that are at the model, ladder by ladder [n_chains, f]."""
    k, n_chains = state.place.shape
    rows = jnp.argmax(state.place == k - 1, axis=0) * n_chains + jnp.arange(n_chains)
    return {name: a[rows] for name, a in x.items()}


def rejection(state: Replicas) -> Float[Array, " k-1"]:
    """The share of refused swaps of each pair; each is tried every other round."""
    odd = jnp.arange(len(state.rejected)) % 2
    tries = (state.n_rounds + 1 - odd) // 2
    return state.rejected / jnp.maximum(tries, 1)


def adapted(state: Replicas) -> Replicas:
    """The ladder moved so that, by what has been counted, every pair refuses alike; the counts start anew."""
    rates = rejection(state) + 1e-3
    barrier = jnp.concatenate([jnp.zeros(1, rates.dtype), jnp.cumsum(rates)])
    beta = jnp.interp(jnp.linspace(0, barrier[-1], len(state.beta)), barrier, state.beta)
    return _counted_from_here(state.x, state.place, beta.at[0].set(0).at[-1].set(1))


def exchange(state: Replicas) -> Exchange:
    """What has been counted, as a record."""
    rates = np.asarray(rejection(state), np.float64)
    trips, rounds = int(state.round_trips), max(int(state.n_rounds), 1)
    return Exchange(
        np.asarray(state.beta, np.float64), rates, float(rates.sum()), trips, trips / rounds / state.place.shape[1]
    )
