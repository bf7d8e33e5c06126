"""Parallel tempering in the negative phase: chains that move freely lend their states to those of the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.learning._base import Seen, Training
from tractable.learning.machines.contrastive import PersistentCD
from tractable.learning.machines.phases import Means, rao_blackwell, starting_with, summable_groups
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.posterior.approximate import blocks
from tractable.posterior.approximate.gibbs import Schedule, State, drawing, start

BASE_ROWS = 100
"""The base is matched to the data's means shrunk as if there were so few rows, so that no state is out of its reach."""

RESPACE = 100
"""Steps between two adjustments of the temperatures."""


class Ladder(NamedTuple):
    """Replicas at every temperature [n_temperatures · n_chains, f], those of the model first.

    `betas` fall from 1 (the model) to 0 (the base); `rejected` is the running share of swaps that neighbours refused.
    """

    x: State
    base: Means
    betas: Float[Array, " t"]
    rejected: Float[Array, " t-1"]


def matched_base(model: Boltzmann, means: np.ndarray) -> Means:
    """The fields of a machine without couplings: visible units match the data's means, hidden ones have none."""
    out = {name: jnp.zeros_like(jnp.asarray(b)) for name, b in model.fields.items()}
    field = model.units[VISIBLE].field_with_mean(np.asarray(means, np.float64), BASE_ROWS)
    return out | {VISIBLE: jnp.asarray(field, out[VISIBLE].dtype)}


@dataclass(frozen=True, kw_only=True)
class TemperedPCD(PersistentCD):
    """PCD with parallel tempering: replicas between a factorized machine and the model; the model's give the gradient.

    p_β ∝ exp((1 − β) log p̃_base + β log p̃_model). In every step each replica makes `k` sweeps, and neighbours i, j
    swap their states with probability min(1, p̃_i(x_j) p̃_j(x_i) / (p̃_i(x_i) p̃_j(x_j))), the units drawn first in a
    sweep summed out. Even and odd pairs take turns, so that states travel from one end to the other, and the
    temperatures are moved until all neighbours swap equally often. A step costs `n_temperatures` times one of PCD.

    Desjardins et al., "Tempered Markov chain Monte Carlo for training of restricted Boltzmann machines", AISTATS 2010;
    Syed et al., "Non-reversible parallel tempering", JRSS B 84 (2022).

    Parameters
    ----------
    n_temperatures : replicas for each chain of the model.
    """

    n_temperatures: int = 10

    def init(self, plan: Schedule, model: Boltzmann, key: Any, seen: Seen) -> Ladder:
        base = matched_base(model, seen.means)
        betas = jnp.linspace(1, 0, self.n_temperatures)
        rows = jnp.arange(self.n_temperatures * (self.n_chains or self.batch_size), dtype=jnp.uint32)
        return Ladder(start(model, key, rows), base, betas, jnp.zeros(self.n_temperatures - 1))

    def negative(self, plan: Schedule, training: Training, key: Any, data: State) -> tuple[State, Ladder]:
        model, ladder = training.model, training.learner
        ladder = ladder._replace(x=_moved(plan, model, key, ladder, self.k))
        ladder = _swapped(model, jax.random.fold_in(key, self.k), ladder, training.step % 2)
        ladder = _respaced(ladder, training.step % RESPACE == RESPACE - 1)
        n_chains = len(ladder.x[VISIBLE]) // self.n_temperatures
        return rao_blackwell(plan, model, {name: x[:n_chains] for name, x in ladder.x.items()}), ladder


def _moved(plan: Schedule, model: Boltzmann, key: Any, ladder: Ladder, k: int) -> State:
    """`k` sweeps of every replica at its temperature, which begin with the groups that the swaps have summed out."""
    plan = starting_with(plan, summable_groups(model))
    ready, rows = blocks.laid_out(plan, model), jnp.arange(len(ladder.x[VISIBLE]), dtype=jnp.uint32)
    tempered = blocks.Tempered(jnp.repeat(ladder.betas, len(rows) // len(ladder.betas)), ladder.base)

    def one(t: Any, x: dict[str, Array]) -> dict[str, Array]:
        return blocks.sweep(ready, drawing(jax.random.fold_in(key, t), rows), x, {}, tempered)[0]

    return blocks.unpack(ready, jax.lax.fori_loop(0, k, one, blocks.pack(ready, ladder.x)))


def _swapped(model: Boltzmann, key: Any, ladder: Ladder, parity: Array) -> Ladder:
    """One round of swaps of the pairs that start at temperatures of this parity."""
    n = len(ladder.betas)
    number = jnp.arange(n)
    lower = (number - parity) % 2 == 0
    partner = number + jnp.where(lower, 1, -1)
    partner = jnp.where((partner < 0) | (partner >= n), number, partner)
    log_p, shape = _log_tempered(model, ladder), (n, -1)
    own, other = (log_p(jnp.repeat(b, _n_chains(ladder))).reshape(shape) for b in (ladder.betas, ladder.betas[partner]))
    ratio = other + other[partner] - own - own[partner]
    u = jax.random.uniform(key, ratio.shape, ratio.dtype)[jnp.minimum(number, partner)]
    accepted = jnp.log(u) < ratio
    x = {name: _exchanged(a, accepted, partner) for name, a in ladder.x.items()}
    refused = 1 - jnp.exp(jnp.minimum(ratio, 0)).mean(1)[:-1]
    tried = (lower & (partner != number))[:-1]
    return ladder._replace(x=x, rejected=jnp.where(tried, 0.98 * ladder.rejected + 0.02 * refused, ladder.rejected))


def _n_chains(ladder: Ladder) -> int:
    return len(ladder.x[VISIBLE]) // len(ladder.betas)


def _exchanged(x: Array, accepted: Array, partner: Array) -> Array:
    by_level = x.reshape(*accepted.shape, -1)
    return jnp.where(accepted[..., None], by_level[partner], by_level).reshape(x.shape)


def _log_tempered(model: Boltzmann, ladder: Ladder) -> Callable[[Array], Array]:
    """β of each replica ↦ log p̃_β of its state, up to the base measure; the units drawn first are summed out."""
    base, summed = ladder.base, summable_groups(model)
    kept = {name: x for name, x in ladder.x.items() if name not in summed}
    none = {name: jnp.zeros_like(ladder.x[name]) for name in summed}
    factorized = sum((x @ base[name] for name, x in kept.items()), jnp.zeros(len(ladder.x[VISIBLE])))
    slope = model.interaction(kept | none) - factorized
    fields = {name: model.local_field(name, kept) - base[name] for name in summed}

    def at(beta: Array) -> Array:
        out = factorized + beta * slope
        for name, field in fields.items():
            out = out + model.units[name].cumulant(base[name] + beta[:, None] * field).sum(-1)
        return out

    return at


def _respaced(ladder: Ladder, now: Array) -> Ladder:
    """Temperatures at equal steps of the rejections met so far, where each neighbour would refuse equally often."""
    barrier = jnp.concatenate([jnp.zeros(1), jnp.cumsum(ladder.rejected + 1e-3)])
    even = jnp.linspace(0, barrier[-1], len(barrier))
    betas = jnp.interp(even, barrier, ladder.betas)
    rejected = jnp.full_like(ladder.rejected, ladder.rejected.mean())
    betas = betas.at[0].set(1).at[-1].set(0)
    rejected = jnp.where(now, rejected, ladder.rejected)
    return ladder._replace(betas=jnp.where(now, betas, ladder.betas), rejected=rejected)
