"""Expectation maximization: the posterior of what is hidden, then the parameters most likely given it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tractable.learning.display import Display
from tractable.learning.em_records import EMRun, Iteration, Iterations
from tractable.learning.records import Options
from tractable.models import ModelError
from tractable.models.emissions import Statistics
from tractable.plan.budget import n_cores
from tractable.posterior import Certificate
from tractable.posterior.verbs import expected_statistics, generator

ROUNDING = 1e-9
"""A decrease of the objective by more than this share of it is no rounding."""

_STARTS = {"hidden_markov": "chain_starts", "mixture": "starts"}
"""The module that makes starts of each family."""


class Request(NamedTuple):
    """What `fit` was asked for."""

    epochs: int | None
    validation: Any
    options: dict[str, Any]


class Job(NamedTuple):
    """A fit by EM under way: what all its starts share."""

    data: Any
    held: Any
    weights: np.ndarray | None
    n_rows: float
    prior: Statistics | None
    epochs: int
    options: Options


class Step(NamedTuple):
    """Where one start has got to."""

    model: Any
    record: Iteration
    statistics: Any


@dataclass(frozen=True, kw_only=True)
class ExpectationMaximization:
    """EM with the exact posterior and the M-step in closed form: the likelihood never decreases.

    Parameters
    ----------
    tolerance : it ends when the objective (mean over rows) grows by less.
    n_init : number of starts, of which the best is kept; the first is the model given, if `start` is ``"model"``.
    start : ``"model"``, or where every start begins: ``"k-means++"`` or ``"rows"`` (see `mixture`).
    prior : strength of a conjugate prior around the columns' own distribution, which keeps components from collapsing;
        None takes the default of the emissions, 0 maximizes the likelihood alone.
    weight_prior : pseudo-rows added to the weight of each component.

    References
    ----------
    Dempster, Laird & Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977.
    """

    epochs: ClassVar[int] = 100

    tolerance: float = 1e-6
    n_init: int = 1
    start: str = "model"
    prior: float | None = None
    weight_prior: float = 0.0

    def run(self, model: Any, data: Any, request: Request) -> EMRun:
        """All starts, and the best of them."""
        if self.n_init < 1 or not self.tolerance >= 0:
            raise ModelError(f"n_init must be ≥ 1 and tolerance ≥ 0, got {self.n_init} and {self.tolerance}")
        job = self._job(model, data, request)
        keys = generator(job.options.key).spawn(self.n_init)
        one = partial(self._one, model, job)
        if self.n_init == 1:
            return one((0, keys[0]))
        with ThreadPoolExecutor(min(self.n_init, n_cores())) as pool:
            runs = list(pool.map(one, enumerate(keys)))
        best = max(runs, key=lambda run: run.history[-1].objective)
        return replace(best, objectives=tuple(run.history[-1].objective for run in runs))

    def _job(self, model: Any, data: Any, request: Request) -> Job:
        options = dict(request.options)
        weights = options.pop("weights", None)
        x = model.check(data)
        if not len(x):
            raise ModelError("there are no rows")
        found = Options.read(options)
        if found.checkpoint or found.resume:
            raise ModelError("EM keeps no checkpoints: save the model and go on from it")
        weights = _checked_weights(weights, len(x))
        held = None if request.validation is None else model.check(request.validation, "validation: ")
        n = float(len(x)) if weights is None else float(weights.sum())
        epochs = self.epochs if request.epochs is None else request.epochs
        return Job(x, held, weights, n, self._prior(model, x), epochs, found)

    def _prior(self, model: Any, x: Any) -> Statistics | None:
        if self.prior == 0 and not self.weight_prior:
            return None
        return _starts(model).repooled(model, x).prior(self.prior, self.weight_prior)

    def _one(self, model: Any, job: Job, which: tuple[int, np.random.Generator]) -> EMRun:
        """One start, until it converges or the iterations are over."""
        number, rng = which
        start = self.start if self.start != "model" or number == 0 else "k-means++"
        if start != "model":
            model = _starts(model).started(model, job.data, start, rng)
        records: list[Iteration] = []
        converged, last = False, model
        with Display(job.options.progress, job.epochs, 0) as show:
            for step in self.steps(model, job):
                converged = bool(records) and self._has_converged(records[-1], step.record)
                records.append(step.record)
                last = step.model
                show.advance(int(len(records) > 1))
                show.epoch(step.record)  # type: ignore[arg-type]
                if converged or (job.options.callback and job.options.callback(step.record)):  # type: ignore[arg-type]
                    break
        return EMRun(last, Iterations(tuple(records)), converged, (records[-1].objective,))

    def _has_converged(self, before: Iteration, now: Iteration) -> bool:
        check_increase(before, now)
        return now.objective - before.objective < self.tolerance

    def steps(self, model: Any, job: Job) -> Iterator[Step]:
        """The start, and what every iteration makes of it."""
        began, before, kept, found = time.perf_counter(), None, None, None
        for i in range(job.epochs + 1):
            found = self.expectation(model, job, found)
            record = _record(model, job, found, (i, began, before))
            yield Step(model, record, found.statistics)
            kept = self.kept(kept, found.statistics)
            before, model = model, model.maximized(kept, job.prior)

    def expectation(self, model: Any, job: Job, before: Any) -> Any:
        """The E-step, which may begin where the one before it ended."""
        return expected_statistics(model, job.data, job.weights)

    def kept(self, before: Statistics | None, now: Statistics) -> Statistics:
        """The statistics that the M-step takes."""
        return now


EM = ExpectationMaximization


def check_increase(before: Iteration, now: Iteration) -> None:
    """Raise if the objective fell by more than rounding: then a statistic, a prior or an M-step is wrong."""
    fall = before.objective - now.objective
    if not fall <= ROUNDING * max(1.0, abs(before.objective)):
        raise ModelError(
            f"the objective of EM fell by {fall:.3g} from {before.objective:.10g} in iteration {now.iteration},"
            " which is more than rounding: scale the columns, or use a stronger prior"
        )


def _record(model: Any, job: Job, found: Any, at: tuple[int, float, Any]) -> Iteration:
    iteration, began, before = at
    n, log_prior = job.n_rows, 0.0 if job.prior is None else model.log_prior(job.prior)
    above = None if found.upper is None else found.upper - found.elbo
    return Iteration(
        iteration,
        time.perf_counter() - began,
        _mean(found.log_likelihood, found.upper, n),
        Certificate.exact(found.elbo / n),
        _mean(found.kl, above, n),
        (found.elbo + log_prior) / n,
        change(before, model),
        likelihood(model, job.held),
    )


def _mean(total: float, upper: float | None, n: float) -> Certificate:
    """A total by rows: exact, or between it and a bound above."""
    return Certificate.exact(total / n) if upper is None else Certificate(total / n, total / n, upper / n, "bound")


def change(before: Any, now: Any) -> float:
    """The largest change of a parameter."""
    return 0.0 if before is None else float(np.abs(before.vector() - now.vector()).max())


def likelihood(model: Any, held: Any) -> Certificate | None:
    """The mean log-likelihood of rows that are not learned from."""
    from tractable.evaluate import log_likelihood

    if held is None:
        return None
    found = log_likelihood(model, held)
    return Certificate(found.value, found.lower, found.upper, found.kind)


def _starts(model: Any) -> Any:
    return import_module(f"tractable.learning.{_STARTS[model.family]}")


def _checked_weights(weights: Any, n: int) -> np.ndarray | None:
    if weights is None:
        return None
    array = np.asarray(weights, np.float64)
    if array.shape != (n,) or not np.isfinite(array).all() or (array < 0).any() or not array.sum() > 0:
        raise ModelError(f"weights must be {n} finite numbers ≥ 0, not all zero; got the shape {array.shape}")
    return array
