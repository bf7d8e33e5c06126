"""Watching a fit: a rough likelihood now and then, and the way back where it has gone astray.

When to look depends on the number of the step alone, what is seen on the parameters and the key: a fit that is
repeated, or goes on from a checkpoint, turns back at the same steps, to the same bits.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any, NamedTuple

import jax
import numpy as np

from tractable.learning._base import Training
from tractable.learning.records import LearningWarning
from tractable.models import ModelError

FIRST, EVERY = 50, 1600
"""Steps before the first look; then they double, up to so many between two looks.

A model that has been learned is looked at after the second number of steps first: until chains and steps of Adam know
it, it is worse than it was.
"""

LOST = 0.3
"""The share of what was won that may be lost again: so much is noise, and chains that lag behind."""

RESCUES = 8
"""The rate is halved no more often."""


class Watched(NamedTuple):
    """What is known of a fit under way: the best rough likelihood so far, what is left of the rate, where it was good.

    `good` is the state to go back to, after `epochs` epochs and `seconds`.
    """

    good: Training
    epochs: int = 0
    seconds: float = 0.0
    best: float = nan
    factor: float = 1.0
    rescues: int = 0


class Sight(NamedTuple):
    """What is seen of a fit that has gone astray: its rough likelihood, and the chains it will have from now on."""

    likelihood: float | None
    n_chains: int | None = None


@dataclass(frozen=True)
class Watch:
    """How a fit is watched: `look` says how likely rows are, roughly, `independent` how likely as independent columns.

    `total` is the last step, `on` whether it is watched at all, `lowers` whether there is a rate to lower, `first` the
    step of the first look.
    """

    look: Callable[[Any], float | None]
    independent: float
    total: int
    on: bool = True
    lowers: bool = True
    first: int = FIRST

    def next(self, step: int) -> int:
        """The step of the next look, or of the end."""
        if not self.on:
            return self.total
        at = self.first
        while at <= step:
            at += min(at, EVERY)
        return min(at, self.total)

    def begun(self, training: Training) -> Watched:
        """What is known at the first step."""
        seen = self.look(training.average) if self.on and self.total >= self.first else None
        return Watched(training, best=nan if seen is None else seen)

    def is_astray(self, watched: Watched, seen: float | None) -> bool:
        """Whether rows have become less likely than independent columns, or have lost much of what was won."""
        if seen is None or not isfinite(watched.best):
            return False
        margin, won = 1 + 0.1 * abs(self.independent), watched.best - self.independent
        return not seen > watched.best - max(margin, LOST * won)

    def lowered(self, watched: Watched, epoch: int, step: int, sight: Sight) -> Watched | None:
        """The way back with half the rate; None where that has been tried often enough. Both are said.

        Raises
        ------
        ModelError : nothing has been learned that there is a way back to.
        """
        what, back = self._words(sight.likelihood), int(watched.good.step)
        if self.lowers and watched.rescues < RESCUES:
            factor = watched.factor / 2
            chains = "" if sight.n_chains is None else f" and {sight.n_chains} chains"
            _tell(f"step {step}: {what}; the fit goes on from step {back} with {factor:g} of the learning rate{chains}")
            return watched._replace(factor=factor, rescues=watched.rescues + 1)
        if not back:
            raise ModelError(
                f"epoch {epoch}: the fit has diverged, {what}: take a smaller learning rate or another optimizer; a"
                " checkpoint, if there is one, is of steps before that"
            )
        _tell(f"step {step}: {what}; the model is that of step {back}: take a smaller learning rate, or fewer epochs")
        return None

    def _words(self, seen: float | None) -> str:
        if seen is None:
            return "some parameters are not finite any more"
        return f"rows have a log-likelihood of {seen:.2f}, roughly, and {self.independent:.2f} as independent columns"


def _tell(what: str) -> None:
    warnings.warn(what, LearningWarning, stacklevel=2)


def are_finite(training: Training) -> bool:
    """Whether all parameters are numbers."""
    leaves = jax.tree.leaves((training.model, training.average))
    return all(np.isfinite(np.asarray(leaf)).all() for leaf in leaves)
