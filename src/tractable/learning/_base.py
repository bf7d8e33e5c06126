"""What every gradient learner shares: the state that a step carries, and the way to new parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from tractable.models import ModelError
from tractable.models.columns import numbers_of

if TYPE_CHECKING:
    from tractable.learning.learner import Learner

ROWS = 4096
"""Rows that are looked at together."""


class Training(NamedTuple):
    """All that a step reads and writes: what a checkpoint has to hold.

    `learner` is what the learner keeps from step to step, `offsets` what its family keeps: running means, above all.
    """

    model: Any
    average: Any
    optimizer: Any
    learner: Any
    offsets: Any
    step: Array


class Seen(NamedTuple):
    """What of the data is known at the first step: means of the columns, how many rows, what each counts on average."""

    means: np.ndarray
    n_rows: int
    weight: float = 1.0


class Pace(NamedTuple):
    """How long a fit is, in steps, and what is left of its learning rate where it had to be lowered."""

    total: Any
    factor: Any = 1.0


class Minibatch(NamedTuple):
    """Rows of data [b, n_visible], their numbers in the data [b], how often each counts (on average over all once)."""

    values: Array
    rows: Array
    weights: Array | None = None


class Info(NamedTuple):
    """What a step reports: the norm of its gradient by the couplings, the mean activity of the hidden units, …

    … and where there are samples of the hidden units: the bound on the log-likelihood, the effective sample size, and
    the variance of the gradient.
    """

    gradient_norm: Array
    hidden_mean: Array
    bound: Array | None = None
    effective_sample_size: Array | None = None
    gradient_variance: Array | None = None


def begin(learner: Learner, plan: Any, model: Any, key: Any, seen: Seen) -> Training:
    """The state before the first step."""
    model = jax.tree.map(lambda p: p if p.dtype.kind in "iu" else jnp.asarray(p), model)  # edges stay readable
    optimizer = learner.transformation().init(eqx.filter(model, eqx.is_inexact_array))
    own = learner.init(plan, model, key, seen)
    offsets = learner.offsets(model, seen, jax.random.fold_in(key, 1))
    return Training(model, model, optimizer, own, offsets, jnp.zeros((), jnp.int32))


def advanced(learner: Learner, training: Training, gradient: Any, pace: Pace) -> Training:
    """The state after a step uphill along this gradient."""
    model, optimizer = _updated(learner, training, gradient, pace)
    average = _averaged(learner, training, model, pace.total)
    return training._replace(model=model, average=average, optimizer=optimizer, step=training.step + 1)


def _updated(learner: Learner, training: Training, gradient: Any, pace: Pace) -> tuple[Any, Any]:
    own = eqx.filter(training.model, eqx.is_inexact_array)
    downhill = jax.tree.map(jnp.negative, gradient)
    updates, optimizer = learner.transformation().update(downhill, training.optimizer, own)
    if learner.optimizer is None:
        rate = rate_at(learner, training.step, pace)
        updates = jax.tree.map(lambda u: -rate * u, updates)
    return eqx.apply_updates(training.model, updates), optimizer


def rate_at(learner: Learner, step: Any, pace: Pace) -> Any:
    """The learning rate of a step: it falls to zero over the last `decay` of the fit."""
    left = 1 - step / pace.total
    if learner.decay is not True:
        left = jnp.minimum(1, left / learner.decay) if learner.decay else jnp.ones_like(left)
    assert learner.learning_rate is not None  # a learner that takes steps is settled
    return pace.factor * (learner.learning_rate * left)


def _averaged(learner: Learner, training: Training, model: Any, total: Any) -> Any:
    """The running mean of the parameters since averaging began; the parameters themselves before."""
    if not learner.averaging:
        return model
    since = training.step - (1 - learner.averaging) * total
    weight = 1 / (1 + jnp.maximum(since, 0))
    mix = lambda a, p: a + weight.astype(p.dtype) * (p - a) if eqx.is_inexact_array(p) else p  # noqa: E731
    return jax.tree.map(mix, training.average, model)


def two_axes(data: Any, name: str = "", read: Callable[[Any], np.ndarray] = numbers_of) -> np.ndarray:
    """The data as an array of rows, of which there is at least one; `read` makes numbers of them."""
    try:
        rows = read(data)
    except ModelError as error:
        raise ModelError(f"{name}{error}") from None
    if rows.ndim != 2:
        raise ModelError(f"{name}data must have the shape [n_rows, n_visible], got {rows.shape}")
    if not len(rows):
        raise ModelError(f"{name}there are no rows")
    return rows


def check_rows(rows: np.ndarray, name: str, check: Callable[[np.ndarray, int], Any]) -> None:
    """Look at blocks of rows, each with the number of its first row; what is wrong is said of the data of this name."""
    for first, block in each_block(rows):
        try:
            check(block, first)
        except ModelError as error:
            raise ModelError(f"{name}{error}") from None


def each_block(rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Rows a few thousand at a time, each block with the number of its first row."""
    return ((start, rows[start : start + ROWS]) for start in range(0, len(rows), ROWS))
