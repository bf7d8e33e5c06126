"""Learning from data that come in pieces: the state of the learner goes on from one piece to the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from tractable.learning import loop
from tractable.learning._base import Pace, Training
from tractable.learning.given import GivenRows
from tractable.learning.learner import Learner
from tractable.learning.records import GradientOptions
from tractable.learning.settings import check_settings
from tractable.learning.watch import are_finite
from tractable.models import ModelError
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.keys import as_key


def begin(model: Boltzmann, rows: np.ndarray, learner: Learner, key: Any, weights: Any = None) -> Training:
    """The state before the first step, with fields that match the means of these rows, as `fit` begins."""
    rows = _checked(model, rows, learner)
    return loop.Fitting(
        model, rows, None, learner, 1, GradientOptions(key=key), GivenRows(rows, None, weights)
    )._begun()


def go_on(training: Training, rows: np.ndarray, learner: Learner, key: Any, weights: Any = None) -> Training:
    """One pass over more rows, in batches of equal size; the learning rate stays what it is.

    A row pulls as often as `weights` say: what other pieces weigh is not known, so that they are taken as they are.
    """
    rows = _checked(training.model, rows, learner).astype(np.float32)
    rate = learner.rate(training.model) if learner.learning_rate is None else learner.learning_rate
    learner = replace(learner, learning_rate=rate).settled(training.model, len(rows))
    n_steps = -(-len(rows) // learner.batch)
    own = replace(learner, batch_size=len(rows) // n_steps, decay=False, averaging=0.0)
    key = as_key(key)
    numbers = np.arange(n_steps * own.batch, dtype=np.int32)
    pulls = None if weights is None else np.asarray(weights, np.float32)[numbers]
    block = loop.DeviceRows(jnp.asarray(rows), numbers, numbers, pulls)
    found = loop.run_block(own, learner.plan(training.model), training, key, block, (n_steps, Pace(n_steps)))[0]
    if not are_finite(found):
        raise ModelError("the fit has diverged, some parameters are not finite any more: take a smaller learning rate")
    return found


def _checked(model: Any, rows: np.ndarray, learner: Learner) -> np.ndarray:
    """Rows as the learner takes them, unless it has to know them again or has settings that are none."""
    check_settings(learner)
    if learner.remembers:
        own = type(learner).__name__
        raise ModelError(f"{own} remembers every row, but rows that come in pieces have no numbers; use fit")
    return learner.checked(model, rows)
