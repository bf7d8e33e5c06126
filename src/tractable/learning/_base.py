"""What every gradient learner shares: visible settings, the state that a step carries, and the step itself."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from tractable.learning import phases
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.posterior.approximate.gibbs import Clamp, Schedule, State, start, sweep

IMPUTATION_SWEEPS = 5


class Training(NamedTuple):
    """All that a step reads and writes: what a checkpoint has to hold."""

    model: Boltzmann
    average: Boltzmann
    optimizer: Any
    learner: Any
    offsets: phases.Means
    step: Array


class Info(NamedTuple):
    """What a step reports: the norm of its gradient by the couplings, and the mean activity of the hidden units."""

    gradient_norm: Array
    hidden_mean: Array


@dataclass(frozen=True, kw_only=True)
class Learner:
    """Settings of gradient ascent on the log-likelihood.

    Parameters
    ----------
    batch_size : rows in a step.
    learning_rate : of the first step; it falls linearly to zero over the run unless `decay` is False.
    momentum : of the steps.
    optimizer : any optax transformation in place of learning rate and momentum (pass the same object again to reuse
        the compiled step).
    centred : whether gradients are those of the machine written around the data's means (see `phases.centred`).
    weight_decay : λ of the penalty λ/2 Σ W².
    sparsity : target for the mean activity of each hidden unit, pulled at with strength `sparsity_cost`; None for none.
    averaging : share of the run, counted from its end, over which parameters are averaged; 0 takes the last ones.
    """

    batch_size: int = 100
    learning_rate: float = 0.1
    decay: bool = True
    momentum: float = 0.5
    optimizer: optax.GradientTransformation | None = None
    centred: bool = True
    weight_decay: float = 0.0
    sparsity: float | None = None
    sparsity_cost: float = 0.1
    averaging: float = 0.0

    def run(self, model: Boltzmann, data: Any, request: Any) -> Any:
        """The fit that was asked for; see `fit`."""
        from tractable.learning.loop import fit_machine

        if getattr(model, "family", None) != "boltzmann":
            raise ModelError(f"{type(self).__name__} learns machines, not a {type(model).__name__}: take EM()")
        return fit_machine(model, data, self, request)

    def init(self, plan: Schedule, model: Boltzmann, key: Any, data_means: np.ndarray) -> Any:
        """What the learner keeps from step to step (persistent chains, …); refuses a machine it cannot learn."""
        return ()

    @abstractmethod
    def gradient(self, plan: Schedule, training: Training, key: Any, data: State) -> tuple[Boltzmann, Any]:
        """The gradient of the mean log-likelihood, and the learner's new state; `data` holds the positive phase."""

    def transformation(self) -> optax.GradientTransformation:
        """The optimizer of this learner."""
        return self.optimizer or _momentum(self.momentum)


@cache
def _momentum(momentum: float) -> optax.GradientTransformation:
    """Momentum alone: one object for each value, so that repeated fits find the compiled step again."""
    return optax.trace(momentum) if momentum else optax.identity()


def begin(learner: Learner, plan: Schedule, model: Boltzmann, key: Any, data_means: np.ndarray) -> Training:
    """The state before the first step."""
    model = jax.tree.map(lambda p: p if p.dtype.kind in "iu" else jnp.asarray(p), model)  # edges stay readable
    offsets = {g: model.units[g].mean(jnp.zeros_like(model.fields[g])) for g in model.hidden}
    offsets[VISIBLE] = jnp.asarray(data_means, model.fields[VISIBLE].dtype)
    optimizer = learner.transformation().init(eqx.filter(model, eqx.is_inexact_array))
    own = learner.init(plan, model, key, data_means)
    return Training(model, model, optimizer, own, offsets, jnp.zeros((), jnp.int32))


def step(
    learner: Learner, plan: Schedule, training: Training, key: Any, v: Array, total: Array
) -> tuple[Training, Info]:
    """One update from a batch [b, n_visible], of `total` in the whole fit."""
    key, fill = jax.random.split(jax.random.fold_in(key, training.step))
    data = phases.positive(training.model, completed(plan, training.model, fill, v))
    gradient, own = learner.gradient(plan, training, key, data)
    now = phases.means(data)
    gradient = _regularized(learner, gradient, training.model, now)
    if learner.centred:
        gradient = phases.centred(gradient, training.model, training.offsets)
    model, optimizer = _updated(learner, training, gradient, training.step / total)
    average = _averaged(learner, training, model, total)
    offsets = {name: 0.99 * mu + 0.01 * now[name] for name, mu in training.offsets.items()}
    new = Training(model, average, optimizer, own, offsets, training.step + 1)
    return new, Info(
        optax.tree.norm(gradient.couplings), jnp.mean(jnp.concatenate([now[g] for g in model.hidden] or [jnp.zeros(1)]))
    )


def completed(plan: Schedule, model: Boltzmann, key: Any, v: Array) -> Float[Array, "b f"]:
    """The batch as features; entries that are missing (NaN) are drawn given those that are not."""
    units = model.units[VISIBLE]
    if not jnp.issubdtype(v.dtype, jnp.floating):
        return jnp.asarray(units.encode(v), model.fields[VISIBLE].dtype)
    missing = jnp.isnan(v)
    values = jnp.asarray(units.encode(jnp.where(missing, 0, v)), model.fields[VISIBLE].dtype)

    def filled() -> Array:
        clamp = {VISIBLE: Clamp(jnp.take(~missing, units.unit_of_feature, axis=1), values)}
        rows = jnp.arange(len(v), dtype=jnp.uint32)
        x = start(model, key, rows)
        x[VISIBLE] = jnp.where(clamp[VISIBLE].known, values, x[VISIBLE])
        draw = lambda t, x: sweep(plan, model, jax.random.fold_in(key, t), rows, x, clamp)  # noqa: E731
        return jax.lax.fori_loop(0, IMPUTATION_SWEEPS, draw, x)[VISIBLE]

    return jax.lax.cond(missing.any(), filled, lambda: values)


def _regularized(learner: Learner, gradient: Boltzmann, model: Boltzmann, now: phases.Means) -> Boltzmann:
    couplings, fields = gradient.couplings, dict(gradient.fields)
    if learner.weight_decay:
        couplings = {pair: g - learner.weight_decay * model.couplings[pair] for pair, g in couplings.items()}
    if learner.sparsity is not None:
        for name in model.hidden:
            fields[name] = fields[name] + learner.sparsity_cost * (learner.sparsity - now[name])
    return eqx.tree_at(lambda g: (g.couplings, g.fields), gradient, (couplings, fields))


def _updated(learner: Learner, training: Training, gradient: Boltzmann, progress: Array) -> tuple[Boltzmann, Any]:
    own = eqx.filter(training.model, eqx.is_inexact_array)
    downhill = jax.tree.map(jnp.negative, gradient)
    updates, optimizer = learner.transformation().update(downhill, training.optimizer, own)
    if learner.optimizer is None:
        rate = learner.learning_rate * (1 - progress if learner.decay else 1.0)
        updates = jax.tree.map(lambda u: -rate * u, updates)
    return eqx.apply_updates(training.model, updates), optimizer


def _averaged(learner: Learner, training: Training, model: Boltzmann, total: Array) -> Boltzmann:
    """The running mean of the parameters since averaging began; the parameters themselves before."""
    if not learner.averaging:
        return model
    since = training.step - (1 - learner.averaging) * total
    weight = 1 / (1 + jnp.maximum(since, 0))
    mix = lambda a, p: a + weight.astype(p.dtype) * (p - a) if eqx.is_inexact_array(p) else p  # noqa: E731
    return jax.tree.map(mix, training.average, model)
