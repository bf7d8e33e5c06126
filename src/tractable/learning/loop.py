"""fit: the one host loop over jitted steps; progress bars, checkpoints, early stops and live figures consume it."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from tractable._cached import cached_property
from tractable.learning import _base, checkpoint_files, checkpoints
from tractable.learning._base import Info, Minibatch, Seen, Training
from tractable.learning.checkpoints import Saved
from tractable.learning.display import Display
from tractable.learning.given import GivenRows, as_given
from tractable.learning.records import Epoch, GradientOptions, History, Request, bare
from tractable.learning.settings import check_settings
from tractable.models import ModelError
from tractable.plan._units import memory_size
from tractable.plan.budget import memory_of_fit
from tractable.posterior import Certificate

if TYPE_CHECKING:
    from tractable.learning.learner import Learner

BLOCK_BYTES = 1 << 24
"""Data that a block of steps goes through: enough to hide the call, small enough to show progress."""

DEVICE_BYTES = 1 << 30
"""Data up to this size are held on the device as a whole."""

LIVE_ROWS = 2000
EPOCHS = 20


M = TypeVar("M")


@dataclass(frozen=True)
class Run(Generic[M]):
    """What a fit returns: the model, and the record of its epochs.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> run = tr.fit(tr.restricted(4, 2), rows, epochs=2)
    >>> run.model.groups, [record.epoch for record in run.history]
    (('visible', 'hidden'), [1, 2])
    """

    model: M
    history: History[Epoch]
    training: Training = field(repr=False)


def check_fit(model: Any, data: Any, learner: Learner, *, epochs: int | None = None, **options: Any) -> None:
    """Refuse now what `fit` would refuse: for what comes before it and takes its time."""
    prepared(model, data, learner, Request(epochs, None, options))


def prepared(model: Any, data: Any, learner: Learner, request: Request) -> Fitting:
    """A fit that has not begun: all that can be refused is refused here, and nothing is written yet."""
    options = GradientOptions.read(request.options, learner)
    epochs = EPOCHS if request.epochs is None else request.epochs
    for given in (learner, options, {"epochs": epochs}):
        check_settings(given)
    checkpoint_files.check_place(options.checkpoint)
    model = learner.adopted(model, as_key(options.key))
    own = as_given(data, options)
    rows, held = learner.checked(model, own.rows), None
    if request.validation is not None:
        asked = as_given(request.validation, replace(options, weights=None))
        held = learner.checked(model, asked.rows, "validation: ")
    learner = replace(learner, batch_size=min(learner.batch_size, len(rows)))
    found = Fitting(model, rows, held, learner, epochs, options, replace(own, rows=rows))
    found.check_memory()
    return found


def as_key(given: Any) -> Any:
    """A jax key, of a number or as it is."""
    return jax.random.key(given) if isinstance(given, int | np.integer) else given


class DeviceRows(NamedTuple):
    """Data on the device, where in them the rows of some steps stand, their numbers, and how often each counts."""

    data: jax.Array
    at: np.ndarray
    rows: np.ndarray
    weights: np.ndarray | None = None


@dataclass
class _Clock:
    """When the last checkpoint was written, what looks at the likelihood have cost, and what the last one found."""

    saved: float = field(default_factory=time.perf_counter)
    looking: float = 0.0
    last: Any = None


@dataclass(frozen=True)
class Fitting:
    """A fit under way: what stays the same while it runs."""

    model: Any
    rows: np.ndarray
    held: np.ndarray | None
    learner: Learner
    epochs: int
    options: GradientOptions
    given: GivenRows | None = None

    @cached_property
    def _clock(self) -> _Clock:
        return _Clock()

    def run(self) -> Run:
        at = self._restored()
        if at is None:
            at = Saved(self._begun(), History(), 0, 0.0)
            self._store(at)  # a place that cannot be written is found out now, not after hours
        with Display(self.options.progress, self.epochs * self.n_steps, int(at.training.step)) as show:
            for _ in range(len(at.history), self.epochs):
                at = self._epoch(at, show)
                show.epoch(at.history[-1])
                if self._is_due():
                    self._keep(at)
                if self.options.callback and self.options.callback(at.history[-1]):
                    break
        self._keep(at)
        return Run(at.training.average, at.history, at.training)

    def check_memory(self) -> None:
        """Refuse a fit that takes more memory than there is, before anything of it is allocated."""
        seen = Seen(self.learner.means(self.model, self.rows[:1]), len(self.rows))
        key, plan = self.key, self.plan
        state = jax.eval_shape(lambda: _base.begin(self.learner, plan, self.model, key, seen))
        held = 2 * _n_bytes(state) + 3 * _n_bytes(state.model)  # old and new; gradient, update, momentum
        needed = held + 4.0 * self.learner.batch_size * self.learner.width(self.model)
        there = memory_of_fit(self.options.memory)
        if needed > there:
            raise ModelError(
                f"this fit takes about {memory_size(needed)} of memory ({needed:.0f} bytes)"
                f" and there are {memory_size(there)}: take smaller batches (batch_size={self.learner.batch_size}),"
                " fewer chains or fewer hidden units"
            )

    @property
    def n_steps(self) -> int:
        """Steps in an epoch; the rows left over come up in other epochs."""
        return len(self.rows) // self.learner.batch_size

    @cached_property
    def key(self) -> Any:
        return as_key(self.options.key)

    @cached_property
    def plan(self) -> Any:
        return self.learner.plan(self.model)

    @cached_property
    def block_steps(self) -> int:
        size = self.learner.batch_size * self.rows.shape[1] * (1 if self.rows.dtype.kind in "bui" else 4)
        return int(np.clip(BLOCK_BYTES // size, 1, self.n_steps))

    @cached_property
    def _given(self) -> GivenRows:
        return self.given or GivenRows(self.rows)

    def _begun(self) -> Training:
        weights = {} if self._given.weights is None else {"weights": self._given.weights}
        seen = Seen(
            self.learner.means(self.model, self.rows, **weights), len(self.rows), self._given.n_rows / len(self.rows)
        )
        model = jax.tree.map(_as_array, self.learner.started(self.model, seen))
        return _base.begin(self.learner, self.plan, model, jax.random.fold_in(self.key, 1), seen)

    def _epoch(self, at: Saved, show: Display) -> Saved:
        """The rest of an epoch, block by block."""
        began = time.perf_counter()
        order = self._order(len(at.history))
        n_blocks, info, total = -(-self.n_steps // self.block_steps), None, self.epochs * self.n_steps
        for block in range(at.block, n_blocks):
            n = min(self.block_steps, self.n_steps - block * self.block_steps)
            training, info = run_block(
                self.learner,
                self.plan,
                at.training,
                self.key,
                self._block(order, (len(at.history), block), n),
                (n, total),
            )
            at = at._replace(training=training, block=block + 1)
            show.advance(n)
            if block + 1 < n_blocks and self._is_due():
                check_finite(at.training, len(at.history))
                self._keep(at._replace(seconds=at.seconds + time.perf_counter() - began))
        check_finite(at.training, len(at.history))
        seconds = at.seconds + time.perf_counter() - began
        at = at._replace(history=at.history.with_record(self._record(at, info, seconds)), block=0, seconds=seconds)
        return at

    @cached_property
    def _words(self) -> list[int]:
        return np.asarray(jax.random.key_data(self.key)).ravel().tolist()

    def _order(self, epoch: int) -> np.ndarray:
        """The order of the rows in an epoch: a function of the key and the epoch alone."""
        return np.random.default_rng([*self._words, epoch]).permutation(len(self.rows))

    @cached_property
    def _on_device(self) -> jax.Array | None:
        """The rows on the device, if they take little of its memory: then a block is only the numbers of its rows."""
        small = self.rows.size * self._row_type.itemsize <= DEVICE_BYTES
        return jnp.asarray(np.ascontiguousarray(self.rows, self._row_type)) if small else None

    @cached_property
    def _row_type(self) -> np.dtype:
        """The smallest type that the device holds rows in."""
        if self.rows.dtype.kind == "f":
            return np.dtype(np.float32)
        small = self.rows.dtype.itemsize == 1 and self.rows.dtype.kind in "bu"
        small = small or (self.rows.min() >= 0 and self.rows.max() < 256)
        return np.dtype(np.uint8 if small else np.int32)

    def _block(self, order: np.ndarray, at: tuple[int, int], n: int) -> DeviceRows:
        """The rows of a block of an epoch; one that is not full is filled up, so that all have the same shape."""
        size = self.block_steps * self.learner.batch_size
        start, weights = at[1] * size, self._given.relative
        rows = np.zeros(size, np.int32)
        rows[: n * self.learner.batch_size] = order[start : start + n * self.learner.batch_size]
        weights = None if weights is None else weights[rows]
        if self._given.gray is None and self._on_device is not None:
            return DeviceRows(self._on_device, rows, rows, weights)
        data = jnp.asarray(self._given.drawn(rows, [*self._words, *at]).astype(self._row_type))
        return DeviceRows(data, np.arange(size, dtype=np.int32), rows, weights)

    def _record(self, at: Saved, info: Info | None, seconds: float) -> Epoch:
        train, held = self._live(at, seconds)
        found = {} if info is None else {k: float(v) for k, v in info._asdict().items() if v is not None}
        return Epoch(len(at.history) + 1, seconds, train=train, validation=held, **found)

    def _live(self, at: Saved, seconds: float) -> tuple[Certificate | None, Certificate | None]:
        """The likelihood of some train rows and of the validation rows, at the end and while that is cheap enough."""
        last = len(at.history) + 1 == self.epochs
        if not self.options.live or (self._clock.looking > self.options.live * seconds and not last):
            return None, None
        began = time.perf_counter()
        key = jax.random.fold_in(self.key, 2)
        found = self.learner.live(at.training.average, self._given.spread(LIVE_ROWS), self.held, key, self._clock.last)
        self._clock.looking += time.perf_counter() - began
        self._clock.last = found
        if any(part is not None and np.isnan(part.value) for part in (found.train, found.validation)):
            raise _diverged(len(at.history), "the likelihood is")
        train, held = (None if part is None else bare(part) for part in (found.train, found.validation))
        return train, held

    def _belongs(self) -> dict[str, Any]:
        """What a checkpoint has to agree with."""
        settings = {k: v for k, v in vars(self.learner).items() if k != "optimizer"}
        sample = np.ascontiguousarray(self.rows[:: max(1, len(self.rows) // 64)])
        return {
            "model": repr(self.model),
            "method": f"{type(self.learner).__name__}({', '.join(f'{k}={v}' for k, v in settings.items())})",
            "epochs": self.epochs,
            "key": np.asarray(jax.random.key_data(self.key)).ravel().tolist(),
            "data": [*self.rows.shape, zlib.crc32(sample.tobytes())],
        } | self._taken()

    def _taken(self) -> dict[str, Any]:
        """How the rows are taken, where they are not taken as they are."""
        weights = self._given.weights
        out = {} if self.options.binarize is None else {"binarize": self.options.binarize}
        return out if weights is None else out | {"weights": zlib.crc32(np.ascontiguousarray(weights).tobytes())}

    def _store(self, at: Saved) -> None:
        if self.options.checkpoint:
            checkpoints.store(self.options.checkpoint, at, self._belongs())

    def _is_due(self) -> bool:
        return time.perf_counter() - self._clock.saved > self.options.checkpoint_seconds

    def _keep(self, at: Saved) -> None:
        """A checkpoint on the way."""
        self._clock.saved = time.perf_counter()
        checkpoint_files.store_or_warn(lambda: self._store(at))

    def _restored(self) -> Saved | None:
        if not (self.options.resume and self.options.checkpoint):
            return None
        return checkpoints.restore(self.options.checkpoint, self._begun(), self._belongs())


def check_finite(training: Training, n_epochs: int) -> None:
    """Refuse to go on, and to keep, where parameters are no numbers any more after some more steps of an epoch."""
    if not all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves((training.model, training.average))):
        raise _diverged(n_epochs, "some parameters are")


def _diverged(n_epochs: int, what: str) -> ModelError:
    return ModelError(
        f"epoch {n_epochs + 1}: the fit has diverged, {what} not finite any more: take a smaller learning rate or"
        " another optimizer; a checkpoint, if there is one, is of steps before that"
    )


def _n_bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _as_array(leaf: Any) -> Any:
    return jnp.asarray(leaf, jnp.float32 if jnp.issubdtype(np.asarray(leaf).dtype, np.floating) else None)


def _part(array: Any, i: Any, size: int) -> Any:
    return None if array is None else jax.lax.dynamic_slice_in_dim(array, i * size, size)


@partial(jax.jit, static_argnums=0)
def run_block(
    learner: Learner, plan: Any, training: Training, key: Any, block: DeviceRows, counts: tuple[Any, Any]
) -> tuple[Training, Info]:
    """A number of steps, each on the next batch of the block."""
    (n, total), size = counts, learner.batch_size

    def one(i: Any, training: Training) -> tuple[Training, Info]:
        at, rows, weights = (_part(a, i, size) for a in (block.at, block.rows, block.weights))
        batch = Minibatch(block.data[at], rows, weights)
        training, info = learner.step(plan, training, key, batch, total)
        return (training if learner.averaging else training._replace(average=None)), info

    if not learner.averaging:  # the average is the model itself: to carry it along would copy it at every step
        training = training._replace(average=None)
    zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(one, 0, training)[1])
    training, info = jax.lax.fori_loop(0, n, lambda i, carry: one(i, carry[0]), (training, zero))
    return (training if learner.averaging else training._replace(average=training.model)), info
