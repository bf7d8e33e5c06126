"""fit: the one host loop over jitted steps; progress bars, checkpoints, early stops and live figures consume it."""

from __future__ import annotations

import math
import time
import zlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from tractable._cached import cached_property
from tractable.learning import _base, checkpoint_files, checkpoints
from tractable.learning._base import Info, Minibatch, Pace, Seen, Training
from tractable.learning.batches import Batches, DeviceRows
from tractable.learning.checkpoints import Saved
from tractable.learning.display import Display
from tractable.learning.given import GivenRows, as_given
from tractable.learning.live import Looks
from tractable.learning.records import Epoch, GradientOptions, History, Request, Returned
from tractable.learning.settings import check_settings
from tractable.learning.watch import EVERY, FIRST, Sight, Watch, are_finite
from tractable.learning.yardstick import Scorable, Yardstick, compared, independent_columns, spread
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE
from tractable.models.keys import as_key
from tractable.plan._units import memory_size
from tractable.plan.budget import memory_of_fit

if TYPE_CHECKING:
    from tractable.learning.learner import Learner

COOL = 0.3
"""The share of a fit with a budget of time over which the rate falls."""

PIECES = 20
"""A budget of time is looked at so many times, at least."""

M = TypeVar("M")


@dataclass(frozen=True)
class Run(Returned, Generic[M]):
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
    learner: Any = None
    steps: int = 0
    yardstick: Yardstick | None = None


def check_fit(model: Any, data: Any, learner: Learner, *, epochs: int | None = None, **options: Any) -> None:
    """Refuse now what `fit` would refuse: for what comes before it and takes its time."""
    prepared(model, data, learner, Request(epochs, None, options))


def prepared(model: Any, data: Any, learner: Learner, request: Request) -> Fitting:
    """A fit that has not begun: all that can be refused is refused here, and nothing is written yet."""
    options = GradientOptions.read(request.options, learner)
    for given in (learner, options, {"epochs": request.epochs}):
        check_settings(given)
    if request.epochs is not None and options.steps is not None:
        raise ModelError("epochs and steps both say how long the fit is: give one of them")
    checkpoint_files.check_place(options.checkpoint)
    model = learner.adopted(model, as_key(options.key))
    units = getattr(model, "units", {}).get(VISIBLE)
    taken = as_given(data, options, units)
    rows, held = learner.checked(model, taken.rows), None
    if request.validation is not None:
        asked = as_given(request.validation, replace(options, weights=None), units)
        held = learner.checked(model, asked.rows, "validation: ")
    own = learner.settled(model, len(rows), checkpoint_files.version(options.checkpoint) if options.resume else 2)
    if options.seconds is not None and own.decay is True:  # the rate can fall only once it is known how long that takes
        own = replace(own, decay=max(COOL, min(own.averaging, 1 - COOL)))
    length = _length(own, len(rows), request.epochs, options.steps)
    found = Fitting(model, rows, held, own, length, options, replace(taken, rows=rows))
    found.check_memory()
    return found


def _length(learner: Learner, n_rows: int, epochs: int | None, steps: int | None) -> int:
    """Steps in all, at most."""
    if steps is not None:
        return steps
    if epochs is None:
        epochs = learner.defaults.epochs(n_rows, learner.batch)
    return epochs * (n_rows // learner.batch)


@dataclass
class _Clock:
    """When learning began, when its last checkpoint was written, and how long a step takes."""

    began: float = field(default_factory=time.perf_counter)
    saved: float = field(default_factory=time.perf_counter)
    a_step: float = math.inf
    is_compiled: bool = False

    def timed(self, a_step: float) -> None:
        """How long a step took; the first time that is compiling it, which is not learning."""
        if self.is_compiled:
            self.a_step = a_step
        else:
            self.is_compiled, self.began = True, time.perf_counter()


@dataclass(frozen=True)
class Fitting:
    """A fit under way: what stays the same while it runs. `length` is how many steps it has, at most."""

    model: Any
    rows: np.ndarray
    held: np.ndarray | None
    learner: Learner
    length: int
    options: GradientOptions
    given: GivenRows | None = None

    @cached_property
    def _clock(self) -> _Clock:
        return _Clock()

    @cached_property
    def _watch(self) -> Watch:
        seen = self._first
        some, key = spread(self.table.rows, self.learner.glimpsed_rows), jax.random.fold_in(self.key, 3)
        ground = independent_columns(self.learner.visible(self.model), seen.means, seen.n_rows, some)
        look = lambda model: self.learner.glimpse(model, some, key)  # noqa: E731
        first = EVERY if self.learner.is_learned(self.model) else FIRST
        return Watch(look, ground, self.length, self.options.watch, self.learner.optimizer is None, first)

    @cached_property
    def _looks(self) -> Looks:
        return Looks(self.table, self.options.live)

    @property
    def table(self) -> Scorable:
        """What there is to score."""
        return Scorable(self.learner, self._given.spread(self.learner.live_rows), self.held, self.key)

    def run(self) -> Run:
        at = self._restored()
        if at is None:
            begun = self._begun()
            at = Saved(begun, History(), 0.0, self._watch.begun(begun), self._known_total)
            self._store(at)  # a place that cannot be written is found out now, not after hours
        with Display(self.options.progress, self.length, at.step) as show:
            while not self._is_done(at):
                done, at = at.step, self._on(at)
                show.advance(at.step - done)
                if at.is_new:
                    show.epoch(at.history[-1])
                if self._is_due():
                    self._keep(at)
                if at.is_new and self.options.callback and self.options.callback(at.history[-1]):
                    break
        self._keep(at)
        return self._finished(at)

    def _finished(self, at: Saved) -> Run:
        run = Run(at.training.average, at.history, at.training, self.learner, at.step)
        return replace(run, yardstick=compared(self.table, run)) if self.options.yardstick else run

    def check_memory(self) -> None:
        """Refuse a fit that takes more memory than there is, before anything of it is allocated."""
        seen = Seen(self.learner.means(self.model, self.rows[:1]), len(self.rows))
        key, plan = self.key, self.plan
        state = jax.eval_shape(lambda: _base.begin(self.learner, plan, self.model, key, seen))
        held = 3 * _n_bytes(state) + 3 * _n_bytes(state.model)  # old, new and the last good; gradient, update, momentum
        needed = held + 4.0 * self.learner.batch * self.learner.width(self.model)
        there = memory_of_fit(self.options.memory)
        if needed > there:
            raise ModelError(
                f"this fit takes about {memory_size(needed)} of memory ({needed:.0f} bytes)"
                f" and there are {memory_size(there)}: take smaller batches (batch_size={self.learner.batch}),"
                " fewer chains or fewer hidden units"
            )

    # ------------------------------------------------------------ how long

    @property
    def n_steps(self) -> int:
        """Steps in an epoch; the rows left over come up in other epochs."""
        return len(self.rows) // self.learner.batch

    @property
    def _known_total(self) -> int | None:
        return self.length if self.options.seconds is None else None

    def _is_done(self, at: Saved) -> bool:
        return at.step >= (self.length if at.total is None else at.total)

    def _timed(self, at: Saved) -> Saved:
        """With a budget of time: how many steps there will be, once a third of it is left for the rate to fall."""
        if at.total is not None or self.options.seconds is None or math.isinf(self._clock.a_step):
            return at
        decay, left = float(self.learner.decay), self.options.seconds - (time.perf_counter() - self._clock.began)
        total = min(self.length, math.ceil(at.step / max(1 - decay, 1e-6)) if decay else at.step)
        late = (total - at.step + self.block_steps / PIECES) * self._clock.a_step > left or left <= 0
        return at._replace(total=total) if late or total == self.length else at

    @cached_property
    def key(self) -> Any:
        return as_key(self.options.key)

    @cached_property
    def plan(self) -> Any:
        return self.learner.plan(self.model)

    @cached_property
    def block_steps(self) -> int:
        return self._batches.block_steps

    @cached_property
    def _given(self) -> GivenRows:
        return self.given or GivenRows(self.rows)

    @cached_property
    def _batches(self) -> Batches:
        words = tuple(np.asarray(jax.random.key_data(self.key)).ravel().tolist())
        return Batches(self._given, self.learner.batch, words)

    @cached_property
    def _first(self) -> Seen:
        weights = {} if self._given.weights is None else {"weights": self._given.weights}
        n_rows, means = len(self.rows), self.learner.means(self.model, self.rows, **weights)
        return Seen(means, n_rows, self._given.n_rows / n_rows)

    def _begun(self) -> Training:
        seen = self._first
        model = jax.tree.map(_as_array, self.learner.started(self.model, seen))
        return _base.begin(self.learner, self.plan, model, jax.random.fold_in(self.key, 1), seen)

    def _on(self, at: Saved) -> Saved:
        """Some more steps: up to the end of the epoch, of a block, or to the next look."""
        began, n = time.perf_counter(), self._some(at)
        pace = Pace(math.inf if at.total is None else at.total, at.watched.factor)
        block = self._block(self._batches.order(len(at.history)), at.done(self.n_steps), n, len(at.history))
        training, info = run_block(self.learner, self.plan, at.training, self.key, block, (n, pace))
        found = at._replace(training=training)
        seen, is_good = self._seen(found)
        lasted = time.perf_counter() - began
        self._clock.timed(lasted / n)
        if not is_good:
            return self._back(at, found, seen)
        found = self._timed(found._replace(seconds=at.seconds + lasted))
        if found.done(self.n_steps) >= self.n_steps or self._is_done(found):
            found = found._replace(history=found.history.with_record(self._record(found, info, pace)))
        if seen is not None:
            known = found.watched
            best = np.fmax(known.best, seen)
            good = known._replace(good=training, epochs=len(found.history), seconds=found.seconds, best=float(best))
            found = found._replace(watched=good)
        return found._replace(is_new=len(found.history) > len(at.history))

    def _some(self, at: Saved) -> int:
        """How many steps are taken before the next look at anything."""
        done, ends = at.done(self.n_steps), self._watch.next(at.step)
        n = min(self.block_steps - done % self.block_steps, self.n_steps - done, ends - at.step)
        if at.total is not None:
            n = min(n, at.total - at.step)
        if self.options.seconds is not None:
            piece = self.options.seconds / PIECES / self._clock.a_step
            n = min(n, max(1, int(piece)))
        if at.total is None:  # where the rate would begin to fall if there is time for all of it
            n = min(n, max(1, math.ceil((1 - float(self.learner.decay)) * self.length) - at.step))
        return n

    def _seen(self, at: Saved) -> tuple[float | None, bool]:
        """The rough likelihood where it is time to look, and whether the fit is where it should be."""
        if not are_finite(at.training):
            return None, False
        if not self.options.watch or at.step < self._watch.first or at.step != self._watch.next(at.step - 1):
            return None, True
        seen = self._watch.look(at.training.average)
        return seen, not self._watch.is_astray(at.watched, seen)

    def _back(self, at: Saved, found: Saved, seen: float | None) -> Saved:
        """The last good state, from which the fit goes on at half the rate, or with which it ends."""
        known, more = at.watched, None if at.watched.rescues else self._more_chains
        lowered = self._watch.lowered(known, len(at.history) + 1, found.step, Sight(seen, more and more.chains))
        there = Saved(known.good, History(at.history.records[: known.epochs]), at.seconds, lowered or known, at.total)
        if lowered is None:
            return there._replace(total=there.step)
        if more is None:
            return there
        good = self._with_chains(more, known.good)
        return there._replace(training=good, watched=lowered._replace(good=good))

    @cached_property
    def _more_chains(self) -> Any:
        return self.learner.with_more_chains()

    def _with_chains(self, learner: Learner, there: Training) -> Training:
        """The same with the chains that this learner begins with."""
        key = jax.random.fold_in(jax.random.fold_in(self.key, 4), there.step)
        return there._replace(learner=learner.init(self.plan, there.model, key, self._first))

    def _block(self, order: np.ndarray, done: int, n: int, epoch: int = 0) -> DeviceRows:
        """The rows of a block of steps."""
        return self._batches.block(order, (epoch, done), n)

    def _record(self, at: Saved, info: Info, pace: Pace) -> Epoch:
        train, held = self._looks.at(at.training.average, at.seconds, self._is_done(at))
        found = {k: float(v) for k, v in info._asdict().items() if v is not None}
        if self.learner.optimizer is None:
            found["learning_rate"] = float(_base.rate_at(self.learner, at.step - 1, pace))
        return Epoch(len(at.history) + 1, at.seconds, train=train, validation=held, **found)

    def _belongs(self) -> dict[str, Any]:
        """What a checkpoint has to agree with."""
        settings = {k: v for k, v in vars(self.learner).items() if k != "optimizer"}
        sample = np.ascontiguousarray(self.rows[:: max(1, len(self.rows) // 64)])
        return {
            "model": repr(self.model),
            "method": f"{type(self.learner).__name__}({', '.join(f'{k}={v}' for k, v in settings.items())})",
            "epochs": self.length / self.n_steps,
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
        begun, more = self._begun(), self._more_chains
        like = [begun] if more is None else [begun, self._with_chains(more, begun)]
        return checkpoints.restore(self.options.checkpoint, like, self._belongs(), self._known_total)


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
    (n, pace), size = counts, learner.batch

    def one(i: Any, training: Training) -> tuple[Training, Info]:
        at, rows, weights = (_part(a, i, size) for a in (block.at, block.rows, block.weights))
        batch = Minibatch(block.data[at], rows, weights)
        training, info = learner.step(plan, training, key, batch, pace)
        return (training if learner.averaging else training._replace(average=None)), info

    if not learner.averaging:  # the average is the model itself: to carry it along would copy it at every step
        training = training._replace(average=None)
    zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(one, 0, training)[1])
    training, info = jax.lax.fori_loop(0, n, lambda i, carry: one(i, carry[0]), (training, zero))
    return (training if learner.averaging else training._replace(average=training.model)), info
