"""Learners without chains: the exact gradient where the negative phase can be enumerated, and the pseudo-likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tractable.learning._base import Learner, Training
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.plan.machines import CHUNK, split
from tractable.posterior.approximate.gibbs import Schedule, State
from tractable.posterior.exact.enumeration import chunk_log_sum, n_states


@dataclass(frozen=True, kw_only=True)
class ExactGradient(Learner):
    """∂/∂θ of the mean log-likelihood, its negative phase ∂ log Z / ∂θ by enumerating the cheaper side."""

    def gradient(self, plan: Schedule, training: Training, key: Any, data: State) -> tuple[Boltzmann, Any]:
        def log_likelihood(model: Boltzmann) -> jax.Array:
            return model.log_joint(jax.lax.stop_gradient(data)).mean() - _log_partition(model)

        return eqx.filter_grad(log_likelihood)(training.model), training.learner


def _log_partition(model: Boltzmann) -> jax.Array:
    """log Z in chunks whose intermediate values are made again on the way back, so that memory stays flat."""
    own = split(model.graph)
    assert own is not None
    total = n_states(model, own)
    size = min(total, CHUNK)
    part = jax.checkpoint(lambda start: chunk_log_sum(model, own, start, size))
    if size == total:
        return part(jnp.zeros((), int))
    return jax.nn.logsumexp(jax.lax.map(part, size * jnp.arange(-(-total // size))))


@dataclass(frozen=True, kw_only=True)
class PseudoLikelihood(Learner):
    """∂/∂θ of Σ_i log p(x_i | x_-i) of the visible units, `n_units` of them drawn for each step (all if None).

    Besag, "Statistical analysis of non-lattice data", The Statistician 24 (1975).
    """

    n_units: int | None = None

    def gradient(self, plan: Schedule, training: Training, key: Any, data: State) -> tuple[Boltzmann, Any]:
        return eqx.filter_grad(lambda model: pseudo_log_likelihood(model, data[VISIBLE]).mean())(training.model), ()


def pseudo_log_likelihood(model: Boltzmann, v: jax.Array) -> jax.Array:
    """Σ_i log p(v_i | v_-i) of each row of a machine without hidden units: features [b, f] -> [b]."""
    units = model.units[VISIBLE]
    theta = model.local_field(VISIBLE, {VISIBLE: v})
    return (theta * v).sum(-1) + units.log_base(v) - units.cumulant(theta).sum(-1)
