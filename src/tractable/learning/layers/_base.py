"""What every learner of layers with a recognition network shares: its settings, and the step around its gradient."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from tractable.evaluate import log_likelihood
from tractable.evaluate.monitor import live_log_partition, thinned
from tractable.evaluate.rough import rough_log_partition
from tractable.learning import sizes
from tractable.learning._base import Info, Minibatch, Pace, Seen, Training, advanced, check_rows, two_axes
from tractable.learning.layers import top
from tractable.learning.layers.wake import added, asleep, awake, bound, effective_sample_size, normalized
from tractable.learning.learner import Learner
from tractable.learning.machines.contrastive import Contrastive, PersistentCD
from tractable.models import ModelError
from tractable.models.deep_belief import DeepBeliefNetwork
from tractable.models.layers import free_of_evidence
from tractable.models.recognition import HelmholtzMachine, RecognitionNetwork
from tractable.models.sigmoid_belief import SigmoidBeliefNetwork
from tractable.models.units import Bernoulli, Units
from tractable.posterior import Certificate

MEMORY = 0.01
"""What a step counts in running means: they look back on some hundred steps."""

PROBES = 512
"""Entries of each array of the gradient whose variance is followed."""

LIVE_ROWS, LIVE_SAMPLES, ROUGH_SAMPLES = 500, 100, 20

QUICK = 10
"""Hidden units that are enumerated in no time for each row."""

OWN = 1000
"""Random numbers from here on are those of chains and dreams; layers have those before."""


class Direction(NamedTuple):
    """What a learner makes of a batch: gradient, what it keeps, log-weights of samples, chains of a machine on top."""

    gradient: HelmholtzMachine
    kept: Any
    log_weights: Float[Array, "b k"]
    layers: list[Array]
    chains: Any = ()


class RunningMeans(NamedTuple):
    """Running means: bound, effective sample size, some entries of the gradient, their variances; chains of the top."""

    bound: Array
    effective_sample_size: Array
    mean: Float[Array, " p"]
    variance: Float[Array, " p"]
    chains: Any


class Glimpse(NamedTuple):
    """Certificates of the mean log-likelihood of some train and validation rows; how a machine on top was annealed."""

    train: Certificate
    validation: Certificate | None
    pilot: Any = None


@dataclass(frozen=True, kw_only=True)
class LayeredLearner(Learner):
    """Settings of learning with a recognition network, beside those of every `Learner`; steps are those of Adam.

    Parameters
    ----------
    samples : of the hidden units, for each row.
    learning_rate : of Adam, whose steps have about this size; None: 0.01, less where there are many parameters.
    top : where the samples of a deep belief network's top come from, in k sweeps of chains: those of `PersistentCD` or
        `TemperedPCD` go on from step to step, those of `ContrastiveDivergence` start at what was recognized. Of its
        settings only those of the chains count.
    """

    family: ClassVar[str] = "helmholtz"
    defaults: ClassVar[sizes.Sizes] = sizes.LAYERS
    live_rows: ClassVar[int] = LIVE_ROWS

    samples: int = 1
    top: Contrastive = field(default_factory=PersistentCD)

    def settled(self, model: Any, n_rows: int, version: int = 2) -> Self:
        own = super().settled(model, n_rows, version)
        given = self.learning_rate is not None or not isinstance(model.generative, DeepBeliefNetwork)
        if given or not self.is_learned(model) or not isinstance(own.top, PersistentCD):
            return own
        return replace(own, top=replace(own.top, burn_in=max(own.top.burn_in, sizes.BURN_IN)))

    def rate(self, model: Any) -> float:
        return sizes.rate_of_adam(model.n_parameters)

    @property
    def slept(self) -> float:
        """What dreams count in the step of the recognition network."""
        return 0.0

    @abstractmethod
    def ascent(self, training: Training, key: Any, batch: Minibatch) -> Direction:
        """The direction uphill from the samples of the hidden layers of a batch, log Z of a machine on top left out."""

    def gradient(self, training: Training, key: Any, batch: Minibatch) -> Direction:
        """The direction uphill from a batch, from the machine on top, and from dreams."""
        model, found = training.model, self.ascent(training, key, batch)
        chains, sleep = (jax.random.fold_in(key, OWN + i) for i in range(2))
        free = top.free(self.top, training, chains, found.layers[-1][:, 0])
        gradient = found.gradient if free is None else top.less_log_z(found.gradient, model.generative, free)
        if self.slept:
            slept = asleep(model, top.dreams(model.generative, sleep, len(batch.values), free))
            own = added(gradient.recognition, slept, self.slept)
            gradient = eqx.tree_at(lambda m: m.recognition, gradient, own)
        return found._replace(gradient=gradient, chains=() if free is None else free.kept)

    def transformation(self) -> optax.GradientTransformation:
        return self.optimizer or _adam()

    def adopted(self, model: Any, key: Any) -> HelmholtzMachine:
        if isinstance(model, SigmoidBeliefNetwork | DeepBeliefNetwork):
            model = HelmholtzMachine(model, RecognitionNetwork(model.proposed, key=key))
        top.check(self.top, getattr(model, "generative", None))
        return free_of_evidence(super().adopted(model, key))

    def checked(self, model: Any, data: Any, name: str = "") -> np.ndarray:
        return checked_rows(model, data, name)

    def means(self, model: Any, rows: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        return rows.mean(0, dtype=np.float64) if weights is None else np.average(rows, axis=0, weights=weights)

    def plan(self, model: Any) -> None:
        return None

    def started(self, model: HelmholtzMachine, seen: Seen) -> HelmholtzMachine:
        biases = model.generative.biases
        if np.any(np.asarray(biases[0])):
            return model
        field = model.generative.units[model.groups[0]].field_with_mean(seen.means, seen.n_rows * seen.weight)
        own = (jnp.asarray(field, np.asarray(biases[0]).dtype), *biases[1:])
        return eqx.tree_at(lambda m: m.generative.biases, model, own)

    def offsets(self, model: HelmholtzMachine, seen: Seen, key: Any) -> RunningMeans:
        size, zero = len(_probed(model)), jnp.zeros(())
        return RunningMeans(zero, zero, jnp.zeros(size), jnp.zeros(size), top.begun(self, model, key))

    def width(self, model: Any) -> int:
        return 4 * self.samples * sum(model.sizes)

    def step(self, plan: None, training: Training, key: Any, batch: Minibatch, pace: Pace) -> tuple[Training, Info]:
        batch = batch._replace(values=batch.values.astype(training.model.recognition.weights[0][0].dtype))
        found = self.gradient(training, jax.random.fold_in(key, training.step), batch)
        running = _followed(training, found)
        active = jnp.stack([h.mean() for h in found.layers[1:]]).mean()
        norm = optax.tree.norm(found.gradient.generative.weights)
        known = running.bound if isinstance(training.model.generative, SigmoidBeliefNetwork) else None  # no log Z
        info = Info(norm, active, known, running.effective_sample_size, running.variance.mean())
        return advanced(self, training._replace(learner=found.kept, offsets=running), found.gradient, pace), info

    def visible(self, model: HelmholtzMachine) -> Units:
        return model.generative.units[model.groups[0]]

    def is_learned(self, model: HelmholtzMachine) -> bool:
        return bool(np.any(np.asarray(model.generative.biases[0])))

    def glimpse(self, model: HelmholtzMachine, rows: np.ndarray, key: Any) -> float | None:
        found = float(_rough_bound(model, key, np.asarray(rows, np.float32)))
        if not isinstance(model.generative, DeepBeliefNetwork):
            return found
        states = np.asarray(model.recognition.sample(key, rows).layers[-1][:, 0])
        return found - rough_log_partition(model.generative.top, states, key)

    def is_quick(self, model: HelmholtzMachine) -> bool:
        return sum(model.sizes[1:]) <= QUICK

    def live(self, model: HelmholtzMachine, rows: np.ndarray, held: np.ndarray | None, key: Any, last: Any) -> Glimpse:
        log_z, pilot = _live_log_z(model, rows, key, last)
        found = [None if x is None else _glimpse(model, x, key, log_z) for x in (rows, held)]
        assert found[0] is not None
        return Glimpse(found[0], found[1], pilot)


@jax.jit
def _rough_bound(model: HelmholtzMachine, key: Any, rows: Float[Array, "b n"]) -> Array:
    """The bound of a few samples of the hidden layers for each row, log Z of a machine on top left out."""
    batch = Minibatch(rows, jnp.arange(len(rows)))
    return bound(awake(model, key, batch, ROUGH_SAMPLES).log_weights).mean()


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
    check_rows(rows, name, lambda block, first: Bernoulli(n).check(block, first_row=first))
    return np.ascontiguousarray(rows, np.uint8)


def _probed(gradient: HelmholtzMachine) -> Array:
    """Some entries of the generative gradient, evenly spaced over each array."""
    leaves = [leaf.reshape(-1) for leaf in jax.tree.leaves(gradient.generative)]
    return jnp.concatenate([leaf[:: -(-leaf.size // PROBES)] for leaf in leaves])


def _followed(training: Training, found: Direction) -> RunningMeans:
    """The running means after one more step."""
    old, own = training.offsets, _probed(found.gradient)
    part = jnp.maximum(MEMORY, 1 / (1 + training.step))
    sizes = effective_sample_size(normalized(found.log_weights))
    mix = lambda a, b: a + part * (b - a)  # noqa: E731
    off = jnp.where(training.step, own - old.mean, 0)
    now = RunningMeans(bound(found.log_weights).mean(), sizes.mean(), own, off**2, ())
    return jax.tree.map(mix, old._replace(chains=()), now)._replace(chains=found.chains)


def _live_log_z(model: HelmholtzMachine, rows: np.ndarray, key: Any, last: Glimpse | None) -> tuple[Any, Any]:
    """log Z of the machine on top, where there is one, in about a second; and what the next look can go by."""
    if not isinstance(model.generative, DeepBeliefNetwork):
        return None, None
    states = model.recognition.sample(key, thinned(rows)).layers[-1][:, 0]
    return live_log_partition(model.generative.top, np.asarray(states), key, pilot=last and last.pilot)


def _glimpse(model: HelmholtzMachine, rows: np.ndarray, key: Any, log_z: Certificate | None) -> Certificate:
    """The mean log-likelihood of some rows, evenly spaced, from a hundred samples for each."""
    some = rows[np.linspace(0, len(rows) - 1, min(LIVE_ROWS, len(rows))).astype(int)]
    how = {"method": "auto" if sum(model.sizes[1:]) <= QUICK else "importance", "log_partition": log_z}
    return log_likelihood(model, some, key=key, samples=LIVE_SAMPLES, **how)
