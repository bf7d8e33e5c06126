"""Parallel tempering in the negative phase: chains that move freely lend their states to those of the model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tractable.learning._base import Seen, Training
from tractable.learning.machines.contrastive import PersistentCD
from tractable.learning.machines.phases import GroupMeans, summable_groups
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.posterior.approximate.gibbs import Schedule, State
from tractable.posterior.tempering import exchange
from tractable.posterior.tempering.exchange import Replicas
from tractable.posterior.tempering.machines import MachinePath, path_between

BASE_ROWS = 100
"""The base is matched to the data's means shrunk as if there were so few rows, so that no state is out of its reach."""

RESPACE = 100
"""Steps between two adjustments of the temperatures."""


class BaseAndReplicas(NamedTuple):
    """The fields of the factorized machine at the other end, and the replicas at all temperatures."""

    base: GroupMeans
    replicas: Replicas


def matched_base(model: Boltzmann, means: np.ndarray) -> GroupMeans:
    """The fields of a machine without couplings: visible units match the data's means, hidden ones have none."""
    out = {name: jnp.zeros_like(jnp.asarray(b)) for name, b in model.fields.items()}
    field = model.units[VISIBLE].field_with_mean(np.asarray(means, np.float64), BASE_ROWS)
    return out | {VISIBLE: jnp.asarray(field, out[VISIBLE].dtype)}


@dataclass(frozen=True, kw_only=True)
class TemperedPCD(PersistentCD):
    """PCD with parallel tempering: replicas between a factorized machine and the model; the model's give the gradient.

    p_β ∝ exp((1 − β) log p̃_base + β log p̃_model). In every step each replica makes `k` sweeps, and neighbours on the
    ladder exchange their temperatures as in `tractable.posterior.tempering.exchange`, the units drawn first in a sweep
    summed out; the temperatures are moved until all neighbours swap equally often. A step costs `n_temperatures` times
    one of PCD.

    Desjardins et al., "Tempered Markov chain Monte Carlo for training of restricted Boltzmann machines", AISTATS 2010;
    Syed et al., "Non-reversible parallel tempering", JRSS B 84 (2022).

    Parameters
    ----------
    n_temperatures : replicas for each chain of the model.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> learner = tr.TemperedPCD(n_temperatures=3, batch_size=10, learning_rate=0.5)
    >>> run = tr.fit(tr.restricted(4, 2), rows, learner, epochs=40, live=0)
    >>> tr.log_likelihood(run.model, rows).value > -2  # independent columns: −2.77
    True
    """

    few_stay_apart: ClassVar[bool] = False

    n_temperatures: int = 10

    def init(self, plan: Schedule, model: Boltzmann, key: Any, seen: Seen) -> BaseAndReplicas:
        base, betas = matched_base(model, seen.means), jnp.linspace(0, 1, self.n_temperatures)
        return BaseAndReplicas(base, exchange.init(_path(plan, model, base), key, betas, self.chains))

    def negative(self, plan: Schedule, training: Training, key: Any, data: State) -> tuple[State, BaseAndReplicas]:
        base, replicas = training.learner
        path = _path(plan, training.model, base).prepared()
        replicas = exchange.step(path, key, replicas, self.k)
        now = training.step % RESPACE == RESPACE - 1
        replicas = jax.tree.map(partial(jnp.where, now), exchange.adapted(replicas), replicas)
        return path.means(exchange.at_model(replicas)), BaseAndReplicas(base, replicas)


def _path(plan: Schedule, model: Boltzmann, base: GroupMeans) -> MachinePath:
    return path_between(plan, model, base, summable_groups(model))
