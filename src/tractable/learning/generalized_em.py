"""EM where the posterior is only approximated, the M-step only improves, or data come block by block."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tractable.learning.em import ExpectationMaximization, Job, Step, change, likelihood
from tractable.learning.em_records import Iteration
from tractable.models import ModelError
from tractable.models.emissions import Statistics
from tractable.posterior import Certificate
from tractable.posterior.verbs import expected_statistics, generator

POSTERIORS = ("exact", "hard", "mean_field", "structured")
"""What may stand for the posterior, beside a number of components; the family says which of them it has."""


@dataclass(frozen=True, kw_only=True)
class GeneralizedEM(ExpectationMaximization):
    """EM over the ELBO: q stands for the posterior, and log p(x) = ELBO(q) + KL(q ‖ p(z | x)) is on record.

    Parameters
    ----------
    posterior : ``"exact"``. Of mixtures ``"hard"``, all of q on the most probable component; or a number of components,
        the most probable of each row, on which q is the posterior and outside of which it is zero. Of factorial hidden
        Markov models ``"structured"``, each chain by itself; or ``"mean_field"``, each state of each chain by itself.
    rate : how far the M-step goes, 1 to the maximum; less is a step along the natural gradient.

    References
    ----------
    Neal & Hinton, A view of the EM algorithm that justifies incremental, sparse, and other variants, 1998.

    Examples
    --------
    >>> import tractable as tr
    >>> rows = np.array([[0.0], [0.4], [3.0], [3.4]])
    >>> run = tr.fit(tr.mixture(rows, 2, "diagonal"), rows, GeneralizedEM(posterior="hard"))
    >>> last = run.history[-1]
    >>> abs(last.train.value - last.elbo.value - last.kl.value) < 1e-12
    True
    """

    posterior: str | int = "exact"
    rate: float = 1.0

    def __post_init__(self) -> None:
        good = self.posterior in POSTERIORS or (isinstance(self.posterior, int) and self.posterior > 0)
        if not good or not 0 < self.rate <= 1:
            raise ModelError(
                f"posterior is one of {', '.join(POSTERIORS)} or a number of components and 0 < rate ≤ 1,"
                f" got {self.posterior!r} and {self.rate}"
            )

    def expectation(self, model: Any, job: Job, before: Any) -> Any:
        """The E-step, with q in place of the posterior."""
        return expected_statistics(model, job.data, job.weights, self.posterior, before)

    def kept(self, before: Statistics | None, now: Statistics) -> Statistics:
        """A step from the statistics that the parameters stand for towards the new ones."""
        return now if before is None or self.rate == 1 else (1 - self.rate) * before + self.rate * now


@dataclass(frozen=True, kw_only=True)
class IncrementalEM(ExpectationMaximization):
    """EM block by block: after each block its statistics take the place of its old ones, and an M-step follows.

    Statistics of all blocks are kept, rows are not: a pass takes as long as an iteration of EM and often does the work
    of several. The ELBO never decreases; the likelihood on record, which is followed instead, may by a little.

    Parameters
    ----------
    n_blocks : into how many blocks the rows are cut.

    References
    ----------
    Neal & Hinton, A view of the EM algorithm that justifies incremental, sparse, and other variants, 1998.
    """

    n_blocks: int = 10

    def steps(self, model: Any, job: Job) -> Iterator[Step]:
        """The start, and what every pass makes of it."""
        began = time.perf_counter()
        blocks = np.array_split(np.arange(len(job.data)), max(1, min(self.n_blocks, len(job.data))))
        yield Step(model, passed(model, job, (0, began, None)), None)
        parts = [_of_block(model, job, rows) for rows in blocks]
        for i in range(job.epochs):
            before = model
            for b, rows in enumerate(blocks):
                model = model.maximized(_sum(parts), job.prior)
                parts[b] = _of_block(model, job, rows)
            model = model.maximized(_sum(parts), job.prior)
            yield Step(model, passed(model, job, (i + 1, began, before)), None)

    def _has_converged(self, before: Iteration, now: Iteration) -> bool:
        return abs(now.objective - before.objective) < self.tolerance


@dataclass(frozen=True, kw_only=True)
class OnlineEM(ExpectationMaximization):
    """Stepwise EM: statistics are a running mean over batches, s ← (1 − ρₜ) s + ρₜ s(batch), ρₜ = (t + offset)^−decay.

    Only a batch of rows is looked at at a time, so that data may be memory-mapped and larger than memory.

    Parameters
    ----------
    batch_size : rows in a step.
    decay : between 0.5 and 1; the smaller, the faster old batches are forgotten.
    offset : the larger, the smaller the first steps are.

    References
    ----------
    Cappé & Moulines, On-line expectation–maximization algorithm for latent data models, JRSS B 71, 2009.
    """

    batch_size: int = 256
    decay: float = 0.6
    offset: float = 2.0

    def __post_init__(self) -> None:
        if self.batch_size < 1 or not 0.5 <= self.decay <= 1 or self.offset < 1:
            raise ModelError(
                "batch_size ≥ 1, 0.5 ≤ decay ≤ 1 and offset ≥ 1 are needed,"
                f" got {self.batch_size}, {self.decay} and {self.offset}"
            )

    def steps(self, model: Any, job: Job) -> Iterator[Step]:
        """The start, and what every pass makes of it."""
        began, t, mean = time.perf_counter(), 0, None
        rng = generator(job.options.key)
        yield Step(model, passed(model, job, (0, began, None)), None)
        for i in range(job.epochs):
            before, order = model, rng.permutation(len(job.data))
            for start in range(0, len(order), self.batch_size):
                rows = np.sort(order[start : start + self.batch_size])
                share = len(rows) if job.weights is None else job.weights[rows].sum()
                if not share:
                    continue
                new, rho, t = (1 / share) * _of_block(model, job, rows), (t + self.offset) ** -self.decay, t + 1
                mean = new if mean is None else (1 - rho) * mean + rho * new
                model = model.maximized(job.n_rows * mean, job.prior)
            yield Step(model, passed(model, job, (i + 1, began, before)), None)

    def _has_converged(self, before: Iteration, now: Iteration) -> bool:
        return abs(now.objective - before.objective) < self.tolerance


def _of_block(model: Any, job: Job, rows: np.ndarray) -> Statistics:
    weights = None if job.weights is None else job.weights[rows]
    return expected_statistics(model, job.data[rows], weights).statistics


def _sum(parts: list[Statistics]) -> Statistics:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def passed(model: Any, job: Job, at: tuple[int, float, Any]) -> Iteration:
    """The record after a pass over the blocks."""
    iteration, began, before = at
    found = likelihood(model, job.data) if job.weights is None else _weighted(model, job)
    assert found is not None
    log_prior = 0.0 if job.prior is None else model.log_prior(job.prior)
    objective = found.value + log_prior / job.n_rows
    held = likelihood(model, job.held)
    return Iteration(iteration, time.perf_counter() - began, found, None, None, objective, change(before, model), held)


def _weighted(model: Any, job: Job) -> Certificate:
    return Certificate.exact(expected_statistics(model, job.data, job.weights).log_likelihood / job.n_rows)
