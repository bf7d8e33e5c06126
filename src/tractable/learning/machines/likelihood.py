"""Learners without chains: the exact gradient where the negative phase can be enumerated, and the pseudo-likelihood."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tractable.evaluate.pseudo import check_conditionals, conditional
from tractable.learning import sizes
from tractable.learning._base import Seen, Training
from tractable.learning.machines._base import MachineLearner
from tractable.learning.machines.phases import group_graph, weighted_mean
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.plan import allowed, ask
from tractable.plan.machines import CHUNK, Split, plan_machine, split
from tractable.posterior.approximate.gibbs import Schedule, State
from tractable.posterior.exact.enumeration import chunk_log_sum, log_weights, n_states, states

POINTS = 64
"""Of the integral over a real unit."""


@dataclass(frozen=True, kw_only=True)
class ExactGradient(MachineLearner):
    """∂/∂θ of the mean log-likelihood, its negative phase ∂ log Z / ∂θ by enumerating the cheaper side.

    Hidden units that interact given the data are enumerated in the positive phase too.

    Raises
    ------
    BudgetError : there are too many states. ModelError : only elimination could do it, which gives no gradient here.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> learner = tr.ExactGradient(batch_size=10, learning_rate=0.5)
    >>> run = tr.fit(tr.restricted(4, 2), rows, learner, epochs=40, live=0)
    >>> tr.log_likelihood(run.model, rows).value > -2  # independent columns: −2.77
    True
    """

    def init(self, plan: Schedule, model: Boltzmann, key: Any, seen: Seen) -> Any:
        found = allowed(plan_machine(model.graph, (), ask("gradient")))
        if found.method == "elimination":
            raise ModelError("the exact gradient enumerates, and this machine has too many states; use PersistentCD")
        return ()

    def gradient(
        self, plan: Schedule, training: Training, key: Any, data: State, weights: Array | None = None
    ) -> tuple[Boltzmann, Any]:
        def log_likelihood(model: Boltzmann) -> jax.Array:
            whole = 1.0 if weights is None else weights.mean()
            return weighted_mean(log_unnormalized(model, data[VISIBLE]), weights) - whole * _log_partition(model)

        return eqx.filter_grad(log_likelihood)(training.model), training.learner


def log_unnormalized(model: Boltzmann, v: Float[Array, "b f"]) -> Float[Array, " b"]:
    """log p̃(v) = log Σ_h p̃(v, h) of each row, exactly: in closed form where p(h | v) factors, else by enumeration."""
    own = split(group_graph(model).without([VISIBLE])) if model.hidden else Split((), ())
    assert own is not None
    if not own.enumerated:
        return log_weights(model, Split((VISIBLE,), own.summed), {VISIBLE: v})
    total, both = n_states(model, own), Split((VISIBLE, *own.enumerated), own.summed)

    @jax.checkpoint
    def part(start: Array) -> Float[Array, " b"]:
        index = start + jnp.arange(size)
        h = states(model, own, jnp.where(index < total, index, 0))
        wide = {name: jnp.broadcast_to(x[:, None], (size, len(v), x.shape[-1])) for name, x in h.items()}
        weights = log_weights(model, both, wide | {VISIBLE: jnp.broadcast_to(v, (size, *v.shape))})
        return jax.nn.logsumexp(jnp.where(index[:, None] < total, weights, -jnp.inf), axis=0)

    size = min(total, max(1, CHUNK // len(v)))
    return jax.nn.logsumexp(jax.lax.map(part, size * jnp.arange(-(-total // size))), axis=0)


def _log_partition(model: Boltzmann) -> jax.Array:
    """log Z in chunks whose intermediate values are made again on the way back, so that memory stays flat."""
    own = split(group_graph(model))
    assert own is not None
    total = n_states(model, own)
    size = min(total, CHUNK)
    part = jax.checkpoint(lambda start: chunk_log_sum(model, own, start, size))
    if size == total:
        return part(jnp.zeros((), int))
    return jax.nn.logsumexp(jax.lax.map(part, size * jnp.arange(-(-total // size))))


@dataclass(frozen=True, kw_only=True)
class PseudoLikelihood(MachineLearner):
    """∂/∂θ of Σ_i log p(v_i | v_-i) of the visible units.

    Without hidden units every conditional has its closed form at the price of one matrix product. With hidden units
    that are independent given the data, log p(v_i | v_-i) = log p̃(v) − log Σ_s p̃(v_i = s, v_-i), each p̃ with the
    hidden units summed out; a step then takes `n_units` of the visible units, drawn anew (None: 16, or all of fewer),
    and scales the sum up, which leaves the gradient unbiased. For real-valued v_i the sum is an integral, by the
    trapezoid rule.

    Besag, "Statistical analysis of non-lattice data", The Statistician 24 (1975); for hidden units Marlin et al.,
    "Inductive principles for restricted Boltzmann machine learning", AISTATS 2010.

    Raises
    ------
    ModelError : hidden units that interact given the data, or are continuous as visible ones are.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> learner = tr.PseudoLikelihood(batch_size=10, learning_rate=0.5)
    >>> run = tr.fit(tr.restricted(4, 2), rows, learner, epochs=40, live=0)
    >>> tr.log_likelihood(run.model, rows).value > -2  # independent columns: −2.77
    True
    """

    n_units: int | None = None

    def settled(self, model: Any, n_rows: int, version: int = 2) -> Self:
        own = super().settled(model, n_rows, version)
        if self.n_units is not None or version == 1 or not model.hidden:
            return own
        return replace(own, n_units=min(sizes.CONDITIONALS, model.n_visible))

    def init(self, plan: Schedule, model: Boltzmann, key: Any, seen: Seen) -> Any:
        graph = model.graph
        if self.n_units is not None and not 1 <= self.n_units <= model.n_visible:
            raise ModelError(f"n_units must be from 1 to {model.n_visible}, got {self.n_units}")
        if model.hidden and not graph.without([VISIBLE]).is_free:
            raise ModelError("the pseudo-likelihood sums hidden units out, and here they interact; use PersistentCD")
        check_conditionals(model)
        return ()

    def gradient(
        self, plan: Schedule, training: Training, key: Any, data: State, weights: Array | None = None
    ) -> tuple[Boltzmann, Any]:
        n = training.model.n_visible
        chosen = jnp.arange(n)
        if self.n_units is not None and self.n_units < n:
            chosen = jax.random.permutation(key, n)[: self.n_units]

        def objective(model: Boltzmann) -> Array:
            return weighted_mean(pseudo_log_likelihood(model, data[VISIBLE], chosen), weights)

        return eqx.filter_grad(objective)(training.model), ()


def pseudo_log_likelihood(model: Boltzmann, v: Float[Array, "b f"], chosen: Array | None = None) -> Float[Array, " b"]:
    """Σ_i log p(v_i | v_-i) of each row; from the units `chosen` alone, scaled up, where there are hidden units."""
    if not model.hidden:
        units = model.units[VISIBLE]
        theta = model.local_field(VISIBLE, {VISIBLE: v})
        return (theta * v).sum(-1) + units.log_base(v) - units.cumulant(theta).sum(-1)
    chosen = jnp.arange(model.n_visible) if chosen is None else chosen
    one = jax.checkpoint(conditional(model, v, POINTS))
    total, _ = jax.lax.scan(lambda sum_, i: (sum_ + one(i), None), jnp.zeros(len(v), v.dtype), chosen)
    return total * (model.n_visible / len(chosen))
