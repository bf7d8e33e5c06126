"""Looks at the likelihood while a fit runs: they take a share of the time that it has learned, and no more."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from tractable.learning.records import bare
from tractable.learning.yardstick import Scorable, spread
from tractable.models import ModelError
from tractable.posterior import Certificate

MOST = 0.2
"""Of the time learned so far, what likelihoods take at most."""

FIRST = 5.0
"""Seconds that a first look is taken to need, most of them to compile it."""


@dataclass
class Looks:
    """What looks at the likelihood have cost, what the next one may, and what the last one found."""

    table: Scorable
    share: float
    spent: float = 0.0
    next: float = FIRST
    last: Any = None

    def at(self, model: Any, seconds: float, is_end: bool) -> tuple[Certificate | None, Certificate | None]:
        """Those of train and validation rows after so many seconds, while that is cheap; at the end roughly, where not.

        Raises
        ------
        ModelError : a likelihood that is no number.
        """
        if not self.share:
            return None, None
        began, learner = time.perf_counter(), self.table.learner
        affordable = self.spent + self.next <= (MOST if is_end else min(self.share, MOST)) * seconds
        if affordable or (learner.is_quick(model) and (is_end or self.last is None)):
            key = jax.random.fold_in(self.table.key, 2)
            self.last = learner.live(model, self.table.rows, self.table.held, key, self.last)
            found = _bare(self.last.train), _bare(self.last.validation)
        elif is_end:
            found = self._roughly(model, self.table.rows), self._roughly(model, self.table.held)
        else:
            return None, None
        self.next = time.perf_counter() - began
        self.spent += self.next
        return found

    def _roughly(self, model: Any, rows: np.ndarray | None) -> Certificate | None:
        learner = self.table.learner
        seen = None if rows is None else learner.glimpse(model, spread(rows, learner.glimpsed_rows), self.table.key)
        return None if seen is None else Certificate.estimate(seen, math.inf)


def _bare(found: Certificate | None) -> Certificate | None:
    if found is not None and np.isnan(found.value):
        raise ModelError("the fit has diverged, its likelihood is no number: take a smaller learning rate")
    return None if found is None else bare(found)
