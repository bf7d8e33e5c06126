"""Expectation maximization: the posterior of what is hidden, then the parameters most likely given it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tractable.evaluate import log_likelihood
from tractable.families import leaf
from tractable.kernels.threads import n_cores
from tractable.learning.display import Display
from tractable.learning.em.checkpoints import Keeper
from tractable.learning.em.leaves import fingerprint
from tractable.learning.em.records import EMRun, Iteration, Point
from tractable.learning.records import EMOptions, History, Request, bare
from tractable.learning.settings import check_settings
from tractable.models import ModelError
from tractable.models.emissions import Statistics
from tractable.models.keys import generator
from tractable.models.rows import n_rows_of
from tractable.models.sequences import as_many
from tractable.models.weights import WeightedRows, checked_weights, counted
from tractable.posterior import Certificate
from tractable.posterior.dispatch import engine_of
from tractable.posterior.verbs import expected_statistics

ROUNDING = 1e-7
"""A decrease of the objective by more than this share of it is no rounding, not even where noise is near zero."""


CANDIDATES, TRIED, TRIED_ROWS = 8, 30, 1000
"""A start is the best of so many of its kind, after so many iterations on at most about so many rows."""

NOBODY = 1e-6
"""A component with so few rows has none."""


class Task(NamedTuple):
    """A fit by EM under way: what all its starts share."""

    data: Any
    held: Any
    weights: np.ndarray | None
    n_terms: float
    n_rows: float
    prior: Statistics | None
    epochs: int
    options: EMOptions
    seed: int
    keeper: Keeper

    def validated(self, model: Any) -> Certificate | None:
        """The mean log-likelihood of rows that are not learned from."""
        if self.held is None:
            return None
        return bare(log_likelihood(getattr(model, "unnamed", model), self.held, memory=self.options.memory))


@dataclass(frozen=True, kw_only=True)
class ExpectationMaximization:
    """EM with the exact posterior and the M-step in closed form: the likelihood never decreases.

    Parameters
    ----------
    tolerance : it ends when the objective grows by less. That is a mean over rows, of sequences over the rows of all
        of them, so that it does not depend on how they are cut.
    n_init : number of starts, of which the best is kept; the first is the model given, if `start` is ``"model"`` (but
        for a mixture one of whose components has rows of weight zero alone), and the others are of all kinds in turn,
        each the best of some of its kind after a few iterations.
    start : ``"model"``, or how every start begins: ``"k-means++"``, ``"rows"`` or ``"random"`` (see `mixture`), of a
        chain also ``"segments"`` (see `hidden_markov`); of a network ``"random"``.
    prior : strength of a conjugate prior around the columns' own distribution, which keeps components from collapsing;
        None takes the default of the emissions, 0 maximizes the likelihood alone. Of a network, pseudo-rows spread over
        each table, or variable → pseudo-counts (see `BayesianNetwork.prior`).
    weight_prior : pseudo-rows added to the weight of each component; of a network, to each entry of its tables.

    References
    ----------
    Dempster, Laird & Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977.

    Examples
    --------
    >>> rows = [[0.0], [0.4], [3.0], [3.4]]
    >>> run = tr.fit(tr.mixture(rows, 2, "diagonal"), rows, tr.EM(n_init=3, prior=0))
    >>> sorted(run.model.emissions.means.ravel().round(3).tolist())
    [0.2, 3.2]
    """

    epochs: ClassVar[int] = 100

    tolerance: float = 1e-6
    n_init: int = 1
    start: str = "model"
    prior: float | Mapping[str, Any] | None = None
    weight_prior: float = 0.0

    def run(self, model: Any, data: Any, request: Request) -> EMRun:
        """All starts, and the best of them."""
        if self.n_init < 1 or not self.tolerance >= 0:
            raise ModelError(f"n_init must be ≥ 1 and tolerance ≥ 0, got {self.n_init} and {self.tolerance}")
        model = self.adopted(model)
        task = self._task(model, data, request)
        starts = enumerate(generator(task.options.key).spawn(self.n_init))
        done = sum(max(0, len(at.records) - 1) for at in task.keeper.points.values())
        with Display(task.options.progress, self.n_init * task.epochs, done) as show:
            runs = _side_by_side(partial(self._one, model, task, show), list(starts), task.keeper)
        task.keeper.write()
        best = max(runs, key=lambda run: run.history[-1].objective)
        return replace(best, objectives=tuple(run.history[-1].objective for run in runs))

    def adopted(self, model: Any) -> Any:
        """The model that is learned; refuses one without an M-step."""
        if not hasattr(model, "maximized"):
            raise ModelError(f"EM does not learn a {type(model).__name__}: it takes a network, a mixture or a chain")
        return model

    def _task(self, model: Any, data: Any, request: Request) -> Task:
        options = EMOptions.read(request.options, self)
        x, weights = _counting(model, data, options.weights)
        if not len(x):
            raise ModelError("there are no rows")
        held = None if request.validation is None else model.check(request.validation, "validation: ")
        if held is not None and not len(held):
            raise ModelError("validation: there are no rows")
        epochs = self.epochs if request.epochs is None else request.epochs
        for given in (self, options, {"epochs": epochs}):
            check_settings(given)
        self.check_memory(model, x, options)
        seed = int(generator(options.key).integers(2**63))
        prior = self._prior(model, WeightedRows(x, weights))
        keeper = Keeper(options, self._belongs(model, (x, weights), seed), model)
        return Task(x, held, weights, *_amount(x, weights), prior, epochs, options, seed, keeper)

    def check_memory(self, model: Any, x: Any, options: EMOptions, *q: Any) -> None:
        """Refuse what takes more than the memory that was given, before a checkpoint is written."""
        engine = engine_of(model, "expected_statistics")
        if options.memory is not None and hasattr(engine, "affordable"):
            engine.affordable(model, x, options.memory, *q)

    def _belongs(self, model: Any, data: Any, seed: int) -> dict[str, Any]:
        """What a checkpoint has to agree with; how many iterations there are may change."""
        shown = {"model": repr(model), "method": repr(self), "key": seed}
        return shown | {"start": fingerprint(model), "data": fingerprint(data)}

    def _prior(self, model: Any, data: WeightedRows) -> Statistics | None:
        none = 0 if hasattr(model, "maximized") else None
        if not isinstance(self.prior, Mapping) and self.prior in (0, none) and not self.weight_prior:
            return None
        return _starts(model).repooled(model, data).prior(self.prior, self.weight_prior)

    def _one(self, model: Any, task: Task, show: Display, which: tuple[int, np.random.Generator]) -> EMRun:
        """One start, until it converges, the iterations are over, or another start has failed."""
        at = task.keeper.at(which[0]) or self._begun(model, task, which)
        while not at.is_over(task.epochs) and not task.keeper.halted.is_set():
            done, at = len(at.records), self.advance(at, task)
            task.keeper.keep(which[0], at)
            if len(at.records) == done:
                continue
            show.advance(int(done > 0))
            show.epoch(at.records[-1])
            if task.options.callback and task.options.callback(at.records[-1]):
                break
        return EMRun(at.model, History(at.records), at.converged, tuple(r.objective for r in at.records[-1:]))

    def _begun(self, model: Any, task: Task, which: tuple[int, np.random.Generator]) -> Point:
        (number, rng), starts = which, _starts(model)
        start = self.start
        if start == "model" and (number > 0 or _speaks_of_none(model, task)):
            start = starts.STARTS[max(number - 1, 0) % len(starts.STARTS)]  # kinds take turns
        if start != "model":
            data = WeightedRows(task.data, task.weights)
            model = self._best([starts.started(model, data, start, rng) for _ in range(CANDIDATES)], task, rng)
        return Point(model, model)

    def _best(self, candidates: list[Any], task: Task, rng: np.random.Generator) -> Any:
        """The start that some iterations on a part of the rows lead highest (Biernacki, Celeux & Govaert 2003)."""
        part = _part(task, rng)._replace(seed=int(rng.integers(2**63)))  # what is drawn here decides the start
        found = [self._tried(model, part) for model in candidates]
        return candidates[int(np.argmax(found))]

    def _tried(self, model: Any, task: Task) -> float:
        """The objective after some iterations; −∞ where they come to no good end."""
        at, objective = Point(model, model), -np.inf
        try:
            for _ in range(TRIED + 1):
                found = self.expectation(at.model, task, None if at.q is None else at)
                kept = self.kept(at.kept, found.statistics)
                objective = found.elbo + (0.0 if task.prior is None else at.model.log_prior(task.prior))
                at = at._replace(model=self.maximization(at.model, kept, task), before=at.model, kept=kept, q=found.q)
        except ModelError:
            return -np.inf
        return objective if objective == objective else -np.inf

    def advance(self, at: Point, task: Task) -> Point:
        """An iteration: the M-step that the last one left to do, and the E-step, which says how good that was."""
        began, model = time.perf_counter(), at.model
        if at.kept is not None:
            model = self.maximization(model, at.kept, task)
        found = self.expectation(model, task, None if at.q is None else at)
        record = replace(_record(at, model, task, found, began), validation=self.validated(model, task, found))
        kept = self.kept(at.kept, found.statistics)
        return at._replace(q=found.q).recorded(record, model, kept, self._has_converged(at, record))

    def _has_converged(self, at: Point, now: Iteration) -> bool:
        if not at.records:
            return False
        check_increase(at.records[-1], now)
        return now.objective - at.records[-1].objective < self.tolerance

    def expectation(self, model: Any, task: Task, before: Any) -> Any:
        """The E-step, which may begin where the one before it ended."""
        return expected_statistics(model, task.data, task.weights, memory=task.options.memory)

    def validated(self, model: Any, task: Task, found: Any) -> Certificate | None:
        """The mean log-likelihood of rows that are not learned from, after an E-step."""
        return task.validated(model)

    def maximization(self, model: Any, statistics: Statistics, task: Task) -> Any:
        """The M-step."""
        return model.maximized(statistics, task.prior)

    def kept(self, before: Statistics | None, now: Statistics) -> Statistics:
        """The statistics that the M-step takes."""
        return now


EM = ExpectationMaximization


def _side_by_side(one: Callable[[Any], EMRun], starts: list[Any], keeper: Keeper) -> list[EMRun]:
    """All starts on all cores; a single one, and an interrupt of it, stay in this thread."""
    if len(starts) == 1:
        return [one(starts[0])]
    with ThreadPoolExecutor(min(len(starts), n_cores())) as pool:
        try:
            return list(pool.map(one, starts))
        finally:
            keeper.halted.set()


def check_increase(before: Iteration, now: Iteration) -> None:
    """Raise if the objective fell by more than rounding: then a statistic, a prior or an M-step is wrong."""
    fall = before.objective - now.objective
    if not fall <= ROUNDING * max(1.0, abs(before.objective)):
        raise ModelError(
            f"the objective of EM fell by {fall:.3g} from {before.objective:.10g} in iteration {now.iteration},"
            " which is more than rounding: scale the columns, or use a stronger prior"
        )


def _record(at: Point, model: Any, task: Task, found: Any, began: float) -> Iteration:
    log_prior = 0.0 if task.prior is None else model.log_prior(task.prior)
    return Iteration(
        len(at.records),
        at.seconds + time.perf_counter() - began,
        *_identity(found, task.n_terms),
        (found.elbo + log_prior) / task.n_rows,
        change(at.before, model),
    )


def _identity(found: Any, n: float) -> tuple[Certificate, Certificate, Certificate]:
    """log p(x) = ELBO + KL as a mean over rows, each with its certificate."""
    if getattr(found, "told", None) is not None:
        log_p, elbo, kl = (total / n for total in found.told)
        return log_p, elbo, kl
    above = None if found.upper is None else found.upper - found.elbo
    log_p, kl = _mean(found.log_likelihood, found.upper, n), _mean(found.kl, above, n)
    return log_p, Certificate.exact(found.elbo / n), kl


def _mean(total: float, upper: float | None, n: float) -> Certificate:
    """A total by rows: exact, or between it and a bound above."""
    return Certificate.exact(total / n) if upper is None else Certificate.bound(total / n, total / n, upper / n)


def change(before: Any, now: Any) -> float:
    """The largest change of a parameter."""
    return 0.0 if before is now else float(np.abs(before.vector() - now.vector()).max())


def _starts(model: Any) -> Any:
    return leaf(model, "starts")


def _counting(model: Any, data: Any, weights: Any) -> tuple[Any, np.ndarray | None]:
    """The rows (or sequences) that count, checked, and how often: one of weight zero takes part in nothing."""
    many = as_many(data) if "hidden_markov" in getattr(model, "family", "") else data
    if weights is not None and hasattr(many, "__len__") and np.shape(weights) == (n_rows_of(many),):
        many, weights = counted(many, weights)
        return model.check(many), weights
    x = model.check(data)
    return x, None if weights is None else checked_weights(weights, len(x))


def _speaks_of_none(model: Any, task: Task) -> bool:
    """Whether rows of weight zero left a mixture with a component that none of the others belongs to."""
    if task.weights is None or np.all(task.options.weights) or getattr(model, "family", None) != "mixture":
        return False
    found = expected_statistics(model, task.data, task.weights, memory=task.options.memory)
    return bool((found.statistics["mixture.count"] < NOBODY).any())


def _part(task: Task, rng: np.random.Generator) -> Task:
    """The fit on about as many of its rows (or sequences) as are tried."""
    n_terms, n_rows = len(task.data), _amount(task.data, None)[1]
    if n_rows <= TRIED_ROWS:
        return task
    some = np.sort(rng.choice(n_terms, max(1, int(n_terms * TRIED_ROWS / n_rows)), replace=False))
    data, weights = task.data[some], None if task.weights is None else task.weights[some]
    return task._replace(data=data, weights=weights)


def _amount(x: Any, weights: np.ndarray | None) -> tuple[float, float]:
    """How many terms the likelihood has, and rows: of sequences not the same."""
    each = np.ones(len(x)) if weights is None else weights
    return float(each.sum()), float((each * getattr(x, "sizes", 1)).sum())
