"""Greedy learning of layers: a restricted machine for each pair of them, then all of them put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable._cached import cached_property
from tractable.learning import sizes
from tractable.learning._base import each_block
from tractable.learning.checkpoint_files import check_place
from tractable.learning.given import GivenRows, as_given
from tractable.learning.layers.reweighted import ReweightedWakeSleep
from tractable.learning.layers.stacks import stack_of
from tractable.learning.learner import Learner
from tractable.learning.loop import Run
from tractable.learning.machines._base import checked_rows, completed
from tractable.learning.machines.contrastive import PersistentCD
from tractable.learning.records import Epoch, GradientOptions, History, Request
from tractable.learning.yardstick import Scorable, Yardstick, compared
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann, deep, restricted
from tractable.models.keys import as_key
from tractable.models.units import Units
from tractable.posterior.approximate.gibbs import Schedule, schedule


class Twice(Units):
    """Two copies of a group of units that share fields and couplings: features T(x) + T(x′), hence twice the cumulant.

    In data both copies have the same state.
    """

    n: int = eqx.field(static=True)
    one: Units

    def __init__(self, one: Units):
        self.n, self.one = one.n, one

    @property
    def n_features(self) -> int:
        return self.one.n_features

    @property
    def n_states(self) -> float:
        return np.inf  # never enumerated

    def cumulant(self, theta: Float[Array, "*b f"]) -> Float[Array, "*b n"]:
        return 2 * self.one.cumulant(theta)

    def mean(self, theta: Float[Array, "*b f"]) -> Float[Array, "*b f"]:
        return 2 * self.one.mean(theta)

    def sample(self, key: Any, rows: Any, theta: Float[Array, "c f"]) -> Float[Array, "c f"]:
        first, second = jax.random.split(key)
        return self.one.sample(first, rows, theta) + self.one.sample(second, rows, theta)

    def field_with_mean(self, mean: np.ndarray, n_rows: float) -> np.ndarray:
        return self.one.field_with_mean(np.asarray(mean) / 2, n_rows)

    def encode(self, values: Any) -> Any:
        return 2 * self.one.encode(values)

    def allowed(self, values: np.ndarray) -> np.ndarray:
        return self.one.allowed(values)

    @property
    def domain(self) -> str:
        return self.one.domain

    def take(self, units: np.ndarray) -> Units:
        return Twice(self.one.take(units))


@dataclass(frozen=True, kw_only=True)
class Layerwise:
    """Layers learned one after the other, each pair of them as a restricted machine; then all put together.

    Above the first the data are states of the layer below, drawn once for each row. A `DeepBeliefNetwork` takes the
    couplings of all but the last machine as weights of its directed layers, keeps the last one on top, and comes with
    the recognition network that the machines below it are: a `HelmholtzMachine`. A machine that starts as the transpose
    of the one below it gives its hidden states the probability that they had: log p(x) is what it was, and every step
    nearer to the states that are recognized in data raises a bound on it.

    A `SigmoidBeliefNetwork` takes the couplings of all machines, and top units with the means that those of the last
    one have in data. That is only where to start: but there all units are in use and the recognition network is right
    about each machine, while units that start at random can die out before anything above them has learned their use.

    In a deep Boltzmann machine an inner layer hears from both sides, in the restricted ones from one. There each layer
    is learned at double strength: the data come twice below the first couplings, the top layer twice above the last,
    and the couplings between are halved. An inner layer's field is the average of the two it was learned with. There
    no machine starts as a transpose: 784-16-784 units came out 1.4 nats worse on MNIST that way, 11 after learning on.

    Hinton, Osindero & Teh, "A fast learning algorithm for deep belief nets", Neural Computation 18 (2006), section 4;
    Salakhutdinov & Hinton, "Deep Boltzmann machines", AISTATS 2009, section 3.3.

    Parameters
    ----------
    machine : learner of each restricted machine, `PersistentCD()` by default.
    transposed : whether machines of a belief network start as the transpose of the one below: its visible units
        are their hidden ones, those that vary most where there are fewer; more than these keep the model's couplings.

    Raises
    ------
    ModelError : from `fit`: a model that is not made of layers, layers of real-valued units above the visible one, a
        recognition network with tanh units, a generative one with weights within its layers.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> run = tr.fit(tr.DeepBeliefNetwork([4, 3, 4]), rows, tr.Layerwise(), epochs=2, progress=False)
    >>> len(run.history), run.model
    (4, HelmholtzMachine(DeepBeliefNetwork 4 ← 3 – 4, RecognitionNetwork 4 → 3))
    """

    machine: Learner = field(default_factory=PersistentCD)
    transposed: bool = True

    def _machine(self, stack: Any) -> Learner:
        """The learner of each machine; doubled units, those of a deep machine, have gradients twice as large."""
        if stack.scale == 1 or self.machine.learning_rate is not None:
            return self.machine
        return replace(self.machine, learning_rate=sizes.RATE * stack.scale)

    def run(self, model: Any, data: Any, request: Request) -> Run:
        """The fits of all machines: what `fit` runs. Checkpoints of layer i are at ``checkpoint.layer<i>``."""
        stack = _Machines(model) if isinstance(model, Boltzmann) else stack_of(model, self.transposed)
        options = GradientOptions.read(request.options, self)
        _check_followed(stack, request)
        taken, runs, found = as_given(data, options), [], []
        key, rows, asked = as_key(options.key), stack.checked(taken.rows), _requests(stack, request, options, taken)
        for i in range(stack.n_machines):
            below = rows
            rows = sent_up(found[-1], below, jax.random.fold_in(key, i - 1)) if i else below
            start = stack.start(i, found, below.mean(0, dtype=np.float64))
            runs.append(self._machine(stack).run(start, rows if i or taken.gray is None else taken.gray, asked[i]))
            found.append(runs[-1].model)
        above = lambda: sent_up(found[-1], rows, jax.random.fold_in(key, stack.n_machines - 1))  # noqa: E731
        together = stack.together(found, above)
        steps = sum(run.steps for run in runs)
        run = Run(together, _joined([run.history for run in runs]), runs[-1].training, runs[-1].learner, steps)
        return replace(run, yardstick=_compared(run, stack.checked(taken.rows), key)) if options.yardstick else run


def _compared(run: Run, rows: np.ndarray, key: Any) -> Yardstick:
    """The layers that were put together beside independent columns and a mixture."""
    learner = PersistentCD() if isinstance(run.model, Boltzmann) else ReweightedWakeSleep()
    return compared(Scorable(learner, rows, None, key), run)


def _requests(stack: Any, request: Request, options: GradientOptions, taken: GivenRows) -> list[Request]:
    """What is asked of each machine's fit: the first alone has likelihoods of data, and rows that are drawn anew."""
    key, places = as_key(options.key), _places(options.checkpoint, stack.n_machines)
    every = [replace(options, key=jax.random.fold_in(key, i), checkpoint=place) for i, place in enumerate(places)]
    every = [replace(own, live=0, binarize=None, yardstick=False, weights=taken.weights) for own in every]
    first = replace(every[0], binarize=None if taken.gray is None else options.binarize)
    if not stack.followed:
        return [Request(request.epochs, None, own) for own in (first, *every[1:])]
    held = None if request.validation is None else as_given(request.validation, replace(options, weights=None)).rows
    rest = [Request(request.epochs, None, own) for own in every[1:]]
    return [Request(request.epochs, held, replace(first, live=options.live)), *rest]


def _check_followed(stack: Any, request: Request) -> None:
    if isinstance(request.options, dict) and request.options.get("seconds") is not None:
        raise ModelError("Layerwise has a fit for each layer, and no seconds for all of them: give epochs or steps")
    given = isinstance(request.options, dict) and request.options.get("live")
    if not stack.followed and (given or request.validation is not None):
        raise ModelError("layers of a deep machine, learned alone, have no likelihood: leave out live and validation")


def _places(path: str | None, n: int) -> list[str | None]:
    """Where the fit of each layer is kept; one that another file has taken is found out before any is learned."""
    places = [path and f"{path}.layer{i}" for i in range(n)]
    for place in places:
        check_place(place)
    return places


def _joined(parts: list[History[Epoch]]) -> History[Epoch]:
    """The epochs of all machines, one after the other."""
    epochs: list[Epoch] = []
    for part in parts:
        before = (len(epochs), epochs[-1].seconds if epochs else 0.0)
        epochs += [replace(e, epoch=before[0] + e.epoch, seconds=before[1] + e.seconds) for e in part]
    return History(tuple(epochs))


def pretrain(
    model: Boltzmann | Sequence[int | Units],
    data: Any,
    learner: Learner | None = None,
    *,
    epochs: int = 10,
    key: Any = 0,
    **options: Any,
) -> Boltzmann:
    """A deep machine whose layers have been learned one after the other, from the data up: a start for `fit`.

    The same as ``fit(model, data, Layerwise(machine=learner)).model`` with no likelihoods on the way.

    Parameters
    ----------
    model : a machine of `deep`, of which the units are used, or its layers.
    data : [n_rows, n_visible], NaN = missing.
    learner : of each restricted machine, `PersistentCD()` by default.
    epochs : passes over the data for each.
    options : `progress`, `checkpoint`, `checkpoint_seconds`, `resume` of `fit`.

    Raises
    ------
    ModelError : a machine that is not made of layers; layers of real-valued units above the visible one.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> tr.pretrain([4, 3, 2], rows, epochs=1, progress=False).groups
    ('visible', 'hidden1', 'hidden2')
    """
    whole = model if isinstance(model, Boltzmann) else deep(model, key=key)
    layers = Layerwise(machine=learner or PersistentCD())
    return layers.run(whole, data, Request(epochs, None, {"key": key, "yardstick": False} | options)).model


# ---------------------------------------------------------------- deep Boltzmann machines


@dataclass(frozen=True)
class _Machines:
    """The restricted machines that a deep Boltzmann machine is learned from."""

    whole: Boltzmann
    followed: bool = False
    scale: float = 0.25

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """The neighbouring layers."""
        return _layers(self.whole)

    @property
    def n_machines(self) -> int:
        return len(self.pairs)

    def checked(self, data: Any) -> np.ndarray:
        return checked_rows(self.whole, data)

    def start(self, i: int, found: list[Boltzmann], means: np.ndarray) -> Boltzmann:
        return _part(self.whole, self.pairs[i], first=i == 0, last=i == self.n_machines - 1)

    def together(self, found: list[Boltzmann], above: Any) -> Boltzmann:
        return _together(self.whole, self.pairs, found)


def _layers(model: Boltzmann) -> list[tuple[str, str]]:
    pairs = list(zip(model.groups, model.groups[1:], strict=False))
    if set(pairs) != set(model.couplings) or not pairs:
        raise ModelError("pretraining is for layers each coupled to the next, as in deep([784, 500, 1000])")
    for name in model.groups[1:-1]:
        if not np.isfinite(model.units[name].n_states):
            raise ModelError(f"{name} has real-valued units; only the first and the last layer of a stack may")
    return pairs


def _part(model: Boltzmann, pair: tuple[str, str], first: bool, last: bool) -> Boltzmann:
    """The restricted machine of two neighbouring layers, with the visible or the top layer twice where it is an end."""
    below, above = (model.units[name] for name in pair)
    w = np.asarray(model.couplings[pair])
    if first and not last:
        below = Twice(below)
    if last and not first:
        above = Twice(above)
    scale = 1.0 if first or last else 2.0
    return restricted(below, above, couplings=scale * w)


def sent_up(model: Boltzmann, rows: np.ndarray, key: Any) -> np.ndarray:
    """A state of the upper layer drawn for each row."""
    units, parts, plan = model.units["hidden"], [], schedule(model.graph)
    for start, block in each_block(rows):
        drawn = _drawn(plan, model, jax.random.fold_in(key, start), np.asarray(block))
        parts.append(np.asarray(units.decode(drawn)).astype(np.int8 if units.n_states < 128 else np.int32))
    return np.concatenate(parts)


@jax.jit
def _drawn(plan: Schedule, model: Boltzmann, key: Any, rows: Array) -> Array:
    v, number = completed(plan, model, key, rows), jnp.arange(len(rows), dtype=jnp.uint32)
    return model.units["hidden"].sample(key, number, model.local_field("hidden", {VISIBLE: v}))


def _together(model: Boltzmann, pairs: list[tuple[str, str]], found: list[Boltzmann]) -> Boltzmann:
    """The deep machine: end couplings as learned, inner ones halved, inner fields averaged."""
    inner = range(1, len(pairs) - 1)
    parts = [np.asarray(part.couplings[VISIBLE, "hidden"]) for part in found]
    couplings = {pair: parts[i] * (0.5 if i in inner else 1.0) for i, pair in enumerate(pairs)}
    lower, upper = ([np.asarray(part.fields[g]) for part in found] for g in (VISIBLE, "hidden"))
    fields = [lower[0], *(0.5 * (c + b) for c, b in zip(upper, lower[1:], strict=False)), upper[-1]]
    ends = {VISIBLE: found[0].units[VISIBLE], model.groups[-1]: found[-1].units["hidden"]}
    units = dict(model.units) | {name: _single(own) for name, own in ends.items()}
    return replace(model, units=units, fields=dict(zip(model.groups, fields, strict=True)), couplings=couplings)


def _single(units: Units) -> Units:
    return units.one if isinstance(units, Twice) else units
