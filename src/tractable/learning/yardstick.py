"""A yardstick beside the result of a fit: the same rows as independent columns, and under a mixture of like size.

Validation rows are scored where there are any. Else it is rows that were learned from, all three models alike: to hold
some out would change what is learned. A model may know these by heart, which only other rows can tell.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from tractable.evaluate import log_likelihood
from tractable.learning.em.exact import EM
from tractable.learning.emitted import emitted, in_codes, of_their_own, varying
from tractable.learning.records import LearningWarning, Request
from tractable.learning.starts.mixtures import mixture

if TYPE_CHECKING:
    from tractable.learning.learner import Learner
    from tractable.learning.loop import Run

SHARE = 0.08
"""Of the time learned, what the mixture may take."""

COMPONENTS = 30
LEAST_SECONDS = 0.03
PER_SECOND = 2e8
"""Entries of rows times components that EM goes through in a second, ten times over."""

ROWS = 5000
LITTLE, FEW_STEPS = 0.3, 2000
CLOSE = 0.002
"""What a model gains over independent columns, relative to their log-likelihood, counts from here on."""


@dataclass(frozen=True)
class Yardstick:
    """Mean log-likelihoods of the same rows: as independent columns, under a mixture, under the model that was learned.

    Attributes
    ----------
    independent, mixture, model : log-likelihoods; None where there was no time for it, or no such mixture.
    n_components : of the mixture, about as large as the model.
    rows : ``"validation"``, or ``"train"`` where none were given: of these the model may know some by heart.
    advice : what to change where little was learned.

    Examples
    --------
    >>> found = tr.learning.Yardstick(-10.0, -4.0, -9.5, n_components=30, rows="validation")
    >>> round(found.share, 3)
    0.083
    >>> found.sentence[:58]
    'hardly better than independent columns: validation rows ha'
    """

    independent: float
    mixture: float | None
    model: float | None
    n_components: int | None
    rows: str
    advice: str = ""

    @property
    def share(self) -> float | None:
        """What the model gains over independent columns, as a share of what the mixture gains."""
        if self.mixture is None or self.model is None or not self.mixture > self.independent:
            return None
        return (self.model - self.independent) / (self.mixture - self.independent)

    @property
    def sentence(self) -> str | None:
        """What is said of a model that has learned little, and None of any other."""
        if self.model is None:
            return None
        known = (
            f"{self.rows} rows have a log-likelihood of {self.model:.2f}, {self.independent:.2f} as independent columns"
        )
        if self.mixture is not None:
            known += f" and {self.mixture:.2f} under a mixture of {self.n_components}"
        if not self.model > self.independent + CLOSE * abs(self.independent):
            return f"no better than independent columns: {known}; {self.advice}"
        if self.share is not None and self.share < LITTLE:
            return f"hardly better than independent columns: {known}; {self.advice}"
        return None

    def moved(self, by: float) -> Yardstick:
        """The same in another measure, in which all log-likelihoods are larger by so much."""
        parts = {k: v + by for k in ("independent", "mixture", "model") if (v := getattr(self, k)) is not None}
        return replace(self, **parts)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {k: v for k, v in vars(self).items() if k != "advice"} | {"share": self.share, "sentence": self.sentence}


class Scorable(NamedTuple):
    """Rows that were learned from and those that were held out, the learner that can score them, and a key for that."""

    learner: Learner
    rows: np.ndarray
    held: np.ndarray | None
    key: Any


def compared(table: Scorable, run: Run) -> Yardstick:
    """The yardstick of a fit, a small share of whose time it takes; a warning where little was learned."""
    seconds = run.history[-1].seconds if len(run.history) else 0.0
    scored, value = _scored(table, run, seconds)
    train, rows = table.rows, "train" if table.held is None else "validation"
    units = of_their_own(table.learner.visible(run.model), train)
    alone = Alone(units, table.learner.means(run.model, train), len(train))
    ground = alone.score(scored)
    found = Yardstick(ground, None, value, None, rows, _advice(run, ground))
    found = _with_mixture(found, alone, (train, scored), run.model.n_parameters, SHARE * seconds)
    if found.sentence:
        warnings.warn(found.sentence, LearningWarning, stacklevel=2)
    return found


def _scored(table: Scorable, run: Run, seconds: float) -> tuple[np.ndarray, float | None]:
    """Rows to score, and their log-likelihood under the model: the last one of the fit, or a rough one."""
    rows = table.rows if table.held is None else table.held
    last = run.history[-1] if len(run.history) else None
    known = last and (last.train if table.held is None else last.validation)
    if known is not None and isfinite(known.upper - known.lower):
        return spread(rows, table.learner.live_rows), known.value
    some = spread(rows, table.learner.glimpsed_rows)
    if known is not None:
        return some, known.value
    if not table.learner.is_quick(run.model) and seconds < 1:
        return some, None
    return some, table.learner.glimpse(run.model, some, table.key)


def _advice(run: Run, independent: float) -> str:
    """What to change."""
    last = run.history[-1] if len(run.history) else None
    if last and last.validation and last.train and last.train.value > independent + abs(independent) * 0.05:
        return "train rows are better known: fewer hidden units, fewer epochs or more rows"
    if run.steps < FEW_STEPS:
        return f"the fit had {run.steps} steps: more epochs, smaller batches, or none of both given"
    return "another learning rate, another learner or more hidden units"


class Alone(NamedTuple):
    """Independent columns: units, the means of their features, and of how many rows these are."""

    units: Any
    means: np.ndarray
    n_rows: int

    def score(self, rows: np.ndarray) -> float:
        """The mean log-likelihood of rows."""
        return independent_columns(self.units, self.means, self.n_rows, rows)

    def some(self, columns: np.ndarray) -> Alone:
        """Some of the columns."""
        own = np.isin(self.units.unit_of_feature, columns)
        return Alone(self.units.take(columns), np.asarray(self.means)[own], self.n_rows)


def _with_mixture(
    found: Yardstick, alone: Alone, parts: tuple[np.ndarray, np.ndarray], size: int, left: float
) -> Yardstick:
    """The yardstick with a mixture that is learned in the time that is left; without where that is too little.

    Columns of which there is none, as real ones that do not vary, are independent of it.
    """
    if left < LEAST_SECONDS or emitted(alone.units) is None:
        return found
    train, scored = parts
    n = int(np.clip(size // (train.shape[1] + 1), 2, min(COMPONENTS, max(2, len(train) // 10))))
    some = in_codes(alone.units, spread(train, int(min(ROWS, left * PER_SECOND / (train.shape[1] * n)))))
    kept = varying(alone.units, some)
    if (len(some) < 2 * n and len(some) < len(train)) or not kept.any():
        return found
    own, others = np.flatnonzero(kept), np.flatnonzero(~kept)
    value = _of_mixture(alone.units.take(own), some[:, own], in_codes(alone.units, scored)[:, own], (n, left))
    rest = alone.some(others).score(scored[:, others]) if len(others) else 0.0
    return replace(found, mixture=value + rest, n_components=n)


def _of_mixture(units: Any, some: np.ndarray, scored: np.ndarray, sizes: tuple[int, float]) -> float:
    """The mean log-likelihood of rows under a mixture of so many that is learned in so many seconds."""
    (n, left), began, told = sizes, time.perf_counter(), emitted(units)
    assert told is not None
    options = {"progress": False, "callback": lambda _: time.perf_counter() - began > left}
    start = mixture(some, n, told.kinds, categories=told.categories or None, key=0)
    return float(log_likelihood(EM(n_init=1).run(start, some, Request(50, None, options)).model, scored).value)


def independent_columns(units: Any, means: np.ndarray, n_rows: int, rows: np.ndarray) -> float:
    """The mean log-likelihood of rows as independent columns with these means, Σ θ·T(x) − Γ(θ); gaps are left out."""
    theta = np.asarray(units.field_with_mean(np.asarray(means, np.float64), n_rows), np.float32)
    missing = np.isnan(rows) if rows.dtype.kind == "f" else np.zeros(rows.shape, bool)
    features = np.asarray(units.encode(np.where(missing, 0, rows)), np.float32)
    return float(_log_density(units, theta, features, ~missing).mean())


@jax.jit
def _log_density(units: Any, theta: Array, features: Array, seen: Array) -> Array:
    linear = (features * theta * seen[:, units.unit_of_feature]).sum(-1) + units.log_base(features)
    return linear - (units.cumulant(theta) * seen).sum(-1)


def spread(rows: np.ndarray, n: int) -> np.ndarray:
    """At most so many rows, evenly spaced."""
    return rows[np.linspace(0, len(rows) - 1, min(n, len(rows))).astype(int)]
