"""What every learner of layers with a recognition network shares: its settings, and the step around its gradient."""

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

from tractable.evaluate import log_likelihood
from tractable.learning._base import Info, Learner, Training, advanced, each_block, two_axes
from tractable.learning.wake import bound, effective_sample_size, normalized
from tractable.models import ModelError
from tractable.models.recognition import HelmholtzMachine, RecognitionNetwork
from tractable.models.sigmoid_belief import SigmoidBeliefNetwork
from tractable.posterior import Certificate

MEMORY = 0.01
"""What a step counts in running means: they look back on some hundred steps."""

PROBES = 512
"""Entries of each array of the gradient whose variance is followed."""

LIVE_ROWS, LIVE_SAMPLES = 500, 100


class Climb(NamedTuple):
    """What a learner makes of a batch: the gradient, what it keeps, and the log-weights of its samples."""

    gradient: HelmholtzMachine
    kept: Any
    log_weights: Float[Array, "b k"]
    layers: list[Array]


class Running(NamedTuple):
    """Running means: bound, effective sample size, some entries of the gradient, and their variances."""

    bound: Array
    effective_sample_size: Array
    mean: Float[Array, " p"]
    variance: Float[Array, " p"]


class Live(NamedTuple):
    """Certificates of the mean log-likelihood of some train and validation rows."""

    train: Certificate
    validation: Certificate | None


@dataclass(frozen=True, kw_only=True)
class LayeredLearner(Learner):
    """Settings of learning with a recognition network, beside those of every `Learner`; steps are those of Adam.

    Parameters
    ----------
    samples : of the hidden units, for each row.
    learning_rate : of Adam, whose steps have about this size.
    """

    family: ClassVar[str] = "helmholtz"

    learning_rate: float = 1e-3
    samples: int = 1

    @abstractmethod
    def gradient(self, training: Training, key: Any, x: Float[Array, "b n"]) -> Climb:
        """The direction uphill from a batch."""

    def transformation(self) -> optax.GradientTransformation:
        return self.optimizer or _adam()

    def adopted(self, model: Any, key: Any) -> HelmholtzMachine:
        if self.samples < 1:
            raise ModelError(f"a row has at least one sample of its hidden units, got samples={self.samples}")
        if isinstance(model, SigmoidBeliefNetwork):
            model = HelmholtzMachine(model, RecognitionNetwork(model.proposed, key=key))
        found = super().adopted(model, key)
        if not isinstance(found.generative, SigmoidBeliefNetwork):  # log Z of the machine on top has a gradient too
            kind = type(found.generative).__name__
            raise ModelError(
                f"{type(self).__name__} learns directed layers, and a {kind} has a machine on top: learn its layers one"
                " by one, as restricted machines"
            )
        return found

    def checked(self, model: Any, data: Any, name: str = "") -> np.ndarray:
        return checked_rows(model, data, name)

    def means(self, model: Any, rows: np.ndarray) -> np.ndarray:
        return rows.mean(0, dtype=np.float64)

    def plan(self, model: Any) -> None:
        return None

    def started(self, model: HelmholtzMachine, means: np.ndarray, n_rows: int) -> HelmholtzMachine:
        biases = model.generative.biases
        if np.any(np.asarray(biases[0])):
            return model
        field = model.generative.units[model.groups[0]].field_with_mean(means, n_rows)
        own = (jnp.asarray(field, np.asarray(biases[0]).dtype), *biases[1:])
        return eqx.tree_at(lambda m: m.generative.biases, model, own)

    def offsets(self, model: HelmholtzMachine, means: np.ndarray) -> Running:
        size, zero = len(_probed(model)), jnp.zeros(())
        return Running(zero, zero, jnp.zeros(size), jnp.zeros(size))

    def width(self, model: Any) -> int:
        return 4 * self.samples * sum(model.sizes)

    def step(self, plan: None, training: Training, key: Any, batch: Array, total: Any) -> tuple[Training, Info]:
        x = batch.astype(training.model.recognition.weights[0][0].dtype)
        found = self.gradient(training, jax.random.fold_in(key, training.step), x)
        running = _followed(training, found)
        active = jnp.stack([h.mean() for h in found.layers[1:]]).mean()
        norm = optax.tree.norm(found.gradient.generative.weights)
        info = Info(norm, active, running.bound, running.effective_sample_size, running.variance.mean())
        return advanced(self, training._replace(learner=found.kept, offsets=running), found.gradient, total), info

    def live(self, model: HelmholtzMachine, rows: np.ndarray, held: np.ndarray | None, key: Any, last: Any) -> Live:
        found = [None if x is None else _glimpse(model, x, key) for x in (rows, held)]
        assert found[0] is not None
        return Live(found[0], found[1])


@cache
def _adam() -> optax.GradientTransformation:
    """One object, so that repeated fits find the compiled step again."""
    return optax.scale_by_adam()


def checked_rows(model: Any, data: Any, name: str = "") -> np.ndarray:
    """Rows of zeros and ones for a model of layers, every value looked at; in a byte each."""
    rows, n = two_axes(data, name), model.n_visible
    if rows.shape[1] != n:
        raise ModelError(f"{name}the model has {n} units, the data {rows.shape[1]} columns")
    if rows.dtype.kind not in "biuf":
        raise ModelError(f"{name}expected numbers, got an array of {rows.dtype}")
    for first, block in each_block(rows):
        wrong = (block != 0) & (block != 1)
        if wrong.any():
            i, j = np.argwhere(wrong)[0].tolist()
            what = "is missing; impute it first" if block[i, j] != block[i, j] else "is not one of this unit: 0 or 1"
            raise ModelError(f"{name}row {first + i}, column {j}: the value {block[i, j]} {what}")
    return np.ascontiguousarray(rows, np.uint8)


def _probed(gradient: HelmholtzMachine) -> Array:
    """Some entries of the generative gradient, evenly spaced over each array."""
    leaves = [leaf.reshape(-1) for leaf in jax.tree.leaves(gradient.generative)]
    return jnp.concatenate([leaf[:: -(-leaf.size // PROBES)] for leaf in leaves])


def _followed(training: Training, found: Climb) -> Running:
    """The running means after one more step."""
    old, own = training.offsets, _probed(found.gradient)
    part = jnp.maximum(MEMORY, 1 / (1 + training.step))
    sizes = effective_sample_size(normalized(found.log_weights))
    mix = lambda a, b: a + part * (b - a)  # noqa: E731
    off = jnp.where(training.step, own - old.mean, 0)
    now = Running(bound(found.log_weights).mean(), sizes.mean(), own, off**2)
    return jax.tree.map(mix, old, now)


def _glimpse(model: HelmholtzMachine, rows: np.ndarray, key: Any) -> Certificate:
    """The mean log-likelihood of some rows, evenly spaced, from a hundred samples for each."""
    some = rows[np.linspace(0, len(rows) - 1, min(LIVE_ROWS, len(rows))).astype(int)]
    return log_likelihood(model, some, key=key, samples=LIVE_SAMPLES)
