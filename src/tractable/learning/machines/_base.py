"""What every learner of a machine shares: its settings, and the step from the two phases to new parameters."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from tractable.evaluate.monitor import Live, live_log_likelihood
from tractable.evaluate.rough import rough_log_likelihood
from tractable.learning._base import Info, Minibatch, Pace, Seen, Training, advanced, check_rows, each_block, two_axes
from tractable.learning.learner import Learner
from tractable.learning.machines import phases
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import all_known, checked_values
from tractable.models.normalizable import check_normalizable
from tractable.plan.machines import plan_live
from tractable.posterior.approximate.gibbs import Clamp, Schedule, State, run, schedule, start

IMPUTATION_SWEEPS = 5


class Weighed(NamedTuple):
    """The positive phase of a batch, and how often each of its rows counts."""

    states: State
    weights: Array | None


@dataclass(frozen=True, kw_only=True)
class MachineLearner(Learner):
    """Settings of gradient ascent on the log-likelihood of a machine, beside those of every `Learner`.

    Parameters
    ----------
    momentum : of the steps.
    centred : whether gradients are those of the machine written around the data's means (see `phases.centred`).
    weight_decay : λ of the penalty λ/2 Σ W².
    sparsity : target for the mean activity of each hidden unit, pulled at with strength `sparsity_cost`; None for none.
    """

    family: ClassVar[str] = "boltzmann"

    momentum: float = 0.5
    centred: bool = True
    weight_decay: float = 0.0
    sparsity: float | None = None
    sparsity_cost: float = 0.1

    @abstractmethod
    def gradient(
        self, plan: Schedule, training: Training, key: Any, data: State, weights: Array | None = None
    ) -> tuple[Boltzmann, Any]:
        """The gradient of the mean log-likelihood, and the learner's new state; `data` holds the positive phase.

        Rows count as often as `weights` say, once where there are none.
        """

    def transformation(self) -> optax.GradientTransformation:
        return self.optimizer or _momentum(self.momentum)

    def checked(self, model: Boltzmann, data: Any, name: str = "") -> np.ndarray:
        check_normalizable(model)
        return checked_rows(model, data, name)

    def means(self, model: Boltzmann, rows: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        total, count = 0.0, 0.0
        units = model.units[VISIBLE]
        for first, block in each_block(rows):
            values = block.astype(np.float64)
            seen = (~np.isnan(values)[:, units.unit_of_feature]).astype(np.float64)
            seen *= 1.0 if weights is None else weights[first : first + len(block), None]
            features = np.asarray(units.encode(np.nan_to_num(values)), np.float64)
            total, count = total + (features * seen).sum(0), count + seen.sum(0)
        return total / np.where(count, count, 1)

    def plan(self, model: Boltzmann) -> Schedule:
        return schedule(model.graph)

    def started(self, model: Boltzmann, seen: Seen) -> Boltzmann:
        return phases.started_at(model, seen.means, seen.n_rows * seen.weight)

    def offsets(self, model: Boltzmann, seen: Seen, key: Any) -> phases.GroupMeans:
        offsets = {g: model.units[g].mean(jnp.zeros_like(model.fields[g])) for g in model.hidden}
        return offsets | {VISIBLE: jnp.asarray(seen.means, model.fields[VISIBLE].dtype)}

    def width(self, model: Boltzmann) -> int:
        return 4 * sum(units.n_features for units in model.units.values())

    def step(self, plan: Schedule, training: Training, key: Any, batch: Minibatch, pace: Pace) -> tuple[Training, Info]:
        key, fill = jax.random.split(jax.random.fold_in(key, training.step))
        data = phases.positive(training.model, completed(plan, training.model, fill, batch.values))
        new, norm = self.climb(plan, training, key, Weighed(data, batch.weights), pace)
        now = phases.means(data, batch.weights)
        offsets = {name: 0.99 * mu + 0.01 * now[name] for name, mu in training.offsets.items()}
        active = [now[g] for g in training.model.hidden] or [jnp.zeros(1)]
        return new._replace(offsets=offsets), Info(norm, jnp.mean(jnp.concatenate(active)))

    def climb(
        self, plan: Schedule, training: Training, key: Any, data: Weighed, pace: Pace
    ) -> tuple[Training, Float[Array, ""]]:
        """The state after a step uphill, and the norm of the gradient by the couplings."""
        weights = {} if data.weights is None else {"weights": data.weights}
        gradient, own = self.gradient(plan, training, key, data.states, **weights)
        gradient = _regularized(self, gradient, training.model, phases.means(*data))
        if self.centred:
            gradient = phases.centred(gradient, training.model, training.offsets)
        return advanced(self, training._replace(learner=own), gradient, pace), optax.tree.norm(gradient.couplings)

    def is_learned(self, model: Boltzmann) -> bool:
        return bool(np.any(np.asarray(model.fields[VISIBLE])))

    def glimpse(self, model: Boltzmann, rows: np.ndarray, key: Any) -> float | None:
        return rough_log_likelihood(model, rows, key)

    def is_quick(self, model: Boltzmann) -> bool:
        return plan_live(model.graph).method != "annealing"

    def live(self, model: Boltzmann, rows: np.ndarray, held: np.ndarray | None, key: Any, last: Any) -> Live:
        return live_log_likelihood(model, rows, held, key, previous=last)


@cache
def _momentum(momentum: float) -> optax.GradientTransformation:
    """Momentum alone: one object for each value, so that repeated fits find the compiled step again."""
    return optax.trace(momentum) if momentum else optax.identity()


def checked_rows(model: Boltzmann, data: Any, name: str = "") -> np.ndarray:
    """Rows of data for a machine, every value looked at; whole numbers stay as small as they are."""
    if VISIBLE not in model.units:
        raise all_known(model, VISIBLE)
    units = model.units[VISIBLE]
    rows = two_axes(data, name, units.numbers)
    unseen = np.ones(units.n, bool)

    def check(block: np.ndarray, first: int) -> None:
        checked_values(model, VISIBLE, block, first_row=first)
        if block.dtype.kind == "f" and (empty := np.isnan(block).all(axis=1)).any():
            raise ModelError(f"row {first + int(empty.argmax())}: every entry is missing; drop the row")
        np.logical_and(unseen, np.isnan(block).all(axis=0), out=unseen)

    check_rows(rows, name, check)
    if unseen.any():
        raise ModelError(f"{name}column {units.told[int(unseen.argmax())]}: every entry is missing; drop the column")
    return rows


def completed(plan: Schedule, model: Boltzmann, key: Any, v: Array) -> Float[Array, "b f"]:
    """The batch as features; entries that are missing (NaN) are drawn given those that are not."""
    units = model.units[VISIBLE]
    if not jnp.issubdtype(v.dtype, jnp.floating):
        return jnp.asarray(units.encode(v), model.fields[VISIBLE].dtype)
    missing = jnp.isnan(v)
    values = jnp.asarray(units.encode(jnp.where(missing, 0, v)), model.fields[VISIBLE].dtype)

    def filled() -> Array:
        clamp = {VISIBLE: Clamp(jnp.take(~missing, units.unit_of_feature, axis=1), values)}
        x = start(model, key, jnp.arange(len(v), dtype=jnp.uint32))
        x[VISIBLE] = jnp.where(clamp[VISIBLE].known, values, x[VISIBLE])
        return run(plan, model, key, x, IMPUTATION_SWEEPS, clamp)[VISIBLE]

    return jax.lax.cond(missing.any(), filled, lambda: values)


def pulls(learner: MachineLearner, model: Boltzmann, now: phases.GroupMeans) -> phases.GroupMeans:
    """What draws the hidden units to their target: is added to the gradient of their fields."""
    if learner.sparsity is None:
        return {}
    return {name: learner.sparsity_cost * (learner.sparsity - now[name]) for name in model.hidden}


def _regularized(learner: MachineLearner, gradient: Boltzmann, model: Boltzmann, now: phases.GroupMeans) -> Boltzmann:
    couplings = gradient.couplings
    if learner.weight_decay:
        couplings = {pair: g - learner.weight_decay * model.couplings[pair] for pair, g in couplings.items()}
    pull = pulls(learner, model, now)
    fields = {name: g + pull[name] if name in pull else g for name, g in gradient.fields.items()}
    return eqx.tree_at(lambda g: (g.couplings, g.fields), gradient, (couplings, fields))
