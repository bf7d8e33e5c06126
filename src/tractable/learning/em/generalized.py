"""EM where the posterior is only approximated, the M-step only improves, or data come block by block."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np

from tractable.evaluate import log_likelihood
from tractable.learning.em.exact import ExpectationMaximization, Task, change
from tractable.learning.em.mini_buckets_step import MiniBucketsEStep
from tractable.learning.em.records import Iteration, Point
from tractable.learning.records import EMOptions, bare
from tractable.models import BayesianNetwork, ModelError
from tractable.models.emissions import Statistics
from tractable.posterior import Certificate
from tractable.posterior.verbs import expected_statistics

CLOSED_FORM = "closed form"
WINDOW = 5
"""Iterations whose objectives are compared with those of as many before, where one may fall by chance."""

POSTERIORS = ("exact", "hard", "mean_field", "structured", "mini_buckets")
"""What may stand for the posterior, beside a number of components; the family says which of them it has."""


@dataclass(frozen=True, kw_only=True)
class GeneralizedEM(ExpectationMaximization):
    """EM over the ELBO: q stands for the posterior, and log p(x) = ELBO(q) + KL(q ‖ p(z | x)) is on record.

    Parameters
    ----------
    posterior : ``"exact"``; or ``"hard"``, all of q on what is most probable: the component of a row of a mixture, the
        path of a sequence of a chain (Viterbi training), the completion of a row of a network. Of mixtures also a
        number of components, the most probable of each row, on which q is the posterior. Of factorial hidden
        Markov models ``"structured"``, each chain by itself; or ``"mean_field"``, each state of each chain by itself.
        Of sigmoid belief networks ``"mean_field"``: the bound of Saul, Jaakkola & Jordan stands for the ELBO, and a
        `GradientMStep` climbs it. Of networks ``"mini_buckets"``, which stands for `MiniBucketsEStep()`: draws for what
        is too wide for an exact E-step, with intervals for log p(x), ELBO and KL.
    rate : how far the M-step goes, 1 to the maximum; less is a step along the natural gradient.
    m_step : ``"closed form"``, to the maximum; or `GradientMStep`, which only improves.

    Raises
    ------
    ModelError : settings that are none, or that do not go together.

    References
    ----------
    Neal & Hinton, A view of the EM algorithm that justifies incremental, sparse, and other variants, 1998. Saul,
    Jaakkola & Jordan, Mean field theory for sigmoid belief networks, 1996.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0.0], [0.4], [3.0], [3.4]])
    >>> run = tr.fit(tr.mixture(rows, 2, "diagonal"), rows, tr.GeneralizedEM(posterior="hard"))
    >>> last = run.history[-1]
    >>> abs(last.train.value - last.elbo.value - last.kl.value) < 1e-12
    True
    """

    posterior: str | int | MiniBucketsEStep = "exact"
    rate: float = 1.0
    m_step: Any = CLOSED_FORM

    def __post_init__(self) -> None:
        if self.posterior == "mini_buckets":
            object.__setattr__(self, "posterior", MiniBucketsEStep())
        good = (
            self._drawn is not None
            or self.posterior in POSTERIORS
            or (isinstance(self.posterior, int) and self.posterior > 0)
        )
        if not good or not 0 < self.rate <= 1:
            raise ModelError(
                f"posterior is one of {', '.join(POSTERIORS)} or a number of components and 0 < rate ≤ 1,"
                f" got {self.posterior!r} and {self.rate}"
            )
        if self.m_step != CLOSED_FORM and (not callable(self.m_step) or self.rate != 1):
            raise ModelError(f"m_step is {CLOSED_FORM!r}, or GradientMStep() with a rate of 1, got {self.m_step!r}")

    def adopted(self, model: Any) -> Any:
        """The model that is learned; a sigmoid belief network in double precision, so that a fall is no rounding."""
        if self._drawn and not isinstance(model, BayesianNetwork):
            name = type(model).__name__
            raise ModelError(f"mini_buckets stands for the posterior of a BayesianNetwork, got a {name}: take another")
        if getattr(model, "family", None) != "sigmoid_belief":
            return super().adopted(model)
        if self.posterior != "mean_field" or self.m_step == CLOSED_FORM:
            raise ModelError(
                "a SigmoidBeliefNetwork has no M-step in closed form: take posterior='mean_field' and"
                f" m_step=GradientMStep(), got {self.posterior!r} and {self.m_step!r}"
            )
        from tractable.models.layers import free_of_evidence  # brings jax

        if self.n_init > 1 or self.start != "model" or self.prior or self.weight_prior:
            raise ModelError("a SigmoidBeliefNetwork is learned from where it is, without a prior: n_init=1, prior=0")
        return free_of_evidence(model).astype(np.float64)

    @property
    def _drawn(self) -> MiniBucketsEStep | None:
        """The E-step by draws, where there is one."""
        return self.posterior if isinstance(self.posterior, MiniBucketsEStep) else None

    def check_memory(self, model: Any, x: Any, options: EMOptions, *q: Any) -> None:
        """Refuse what takes more than the memory that was given; a row that does is drawn."""
        super().check_memory(model, x, options, *((self._drawn.asked(),) if self._drawn else ()))

    def _has_converged(self, at: Point, now: Iteration) -> bool:
        if not self._drawn:
            return super()._has_converged(at, now)
        found = [record.objective for record in (*at.records, now)][-2 * WINDOW :]
        gained = sum(found[WINDOW:]) - sum(found[:WINDOW])
        return len(found) == 2 * WINDOW and gained < WINDOW**2 * self.tolerance

    def validated(self, model: Any, task: Task, found: Any) -> Certificate | None:
        """The mean log-likelihood of rows that are not learned from, after an E-step."""
        if self._drawn is None or task.held is None:
            return super().validated(model, task, found)
        return self._drawn.log_likelihood(model, task, found)

    def expectation(self, model: Any, task: Task, before: Any) -> Any:
        """The E-step, with q in place of the posterior."""
        if self._drawn:
            return self._drawn(model, task, before)
        return expected_statistics(model, task.data, task.weights, self.posterior, before, task.options.memory)

    def maximization(self, model: Any, statistics: Statistics, task: Task) -> Any:
        """The M-step, or what stands for it."""
        if self.m_step == CLOSED_FORM:
            return super().maximization(model, statistics, task)
        return self.m_step(model, statistics if task.prior is None else statistics + task.prior, task.n_rows)

    def kept(self, before: Statistics | None, now: Statistics) -> Statistics:
        """A step from the statistics that the parameters stand for towards the new ones."""
        return now if before is None or self.rate == 1 else (1 - self.rate) * before + self.rate * now


class Blockwise(ExpectationMaximization):
    """What EM in blocks of rows has in common: a record after each pass, of no single q."""

    def _passed(self, at: Point, model: Any, task: Task, kept: Statistics | None, began: float) -> Point:
        """After a pass."""
        log_prior = 0.0 if task.prior is None else model.log_prior(task.prior)
        train, held = _likelihood(model, task), task.validated(model)
        objective, moved = (train.value * task.n_terms + log_prior) / task.n_rows, change(at.before, model)
        seconds = at.seconds + time.perf_counter() - began
        record = Iteration(len(at.records), seconds, train, None, None, objective, moved, held)
        return at.recorded(record, model, kept, self._has_converged(at, record))

    def _has_converged(self, at: Point, now: Iteration) -> bool:
        return bool(at.records) and abs(now.objective - at.records[-1].objective) < self.tolerance


@dataclass(frozen=True, kw_only=True)
class IncrementalEM(Blockwise):
    """EM block by block: after each block its statistics take the place of its old ones, and an M-step follows.

    Statistics of all blocks are kept, rows are not: a pass takes as long as an iteration of EM and often does the work
    of several. The ELBO never decreases; the likelihood on record, which is followed instead, may by a little.

    Parameters
    ----------
    n_blocks : into how many blocks the rows are cut.

    References
    ----------
    Neal & Hinton, A view of the EM algorithm that justifies incremental, sparse, and other variants, 1998.

    Examples
    --------
    >>> rows = [[0.0], [0.4], [3.0], [3.4]] * 5
    >>> run = tr.fit(tr.mixture(rows, 2, "diagonal"), rows, tr.IncrementalEM(n_blocks=4))
    >>> sorted(run.model.emissions.means.ravel().round(3).tolist())
    [0.2, 3.2]
    """

    n_blocks: int = 10

    def advance(self, at: Point, task: Task) -> Point:
        """A pass over the blocks, or what is left of one."""
        began, model, blocks = time.perf_counter(), at.model, self._blocks(len(task.data))
        parts = _parts(at.kept, len(blocks)) if at.kept else [_of_block(model, task, rows) for rows in blocks]
        for b in range(at.block, len(blocks)) if at.kept else ():
            model = model.maximized(reduce(add, parts), task.prior)
            parts[b] = _of_block(model, task, blocks[b])
            if task.keeper.is_due():
                return at._replace(model=model, kept=_joined(parts), block=b + 1)
        if at.kept:
            model = model.maximized(reduce(add, parts), task.prior)
        return self._passed(at, model, task, _joined(parts), began)

    def _blocks(self, n: int) -> list[slice]:
        """Slices, so that rows on disk are read as they are looked at."""
        ends = np.linspace(0, n, max(1, min(self.n_blocks, n)) + 1).astype(int).tolist()
        return [slice(a, b) for a, b in pairwise(ends)]


@dataclass(frozen=True, kw_only=True)
class OnlineEM(Blockwise):
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

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.concatenate([np.linspace(-1, 1, 500), np.linspace(9, 11, 500)])[:, None]
    >>> rows = np.random.default_rng(0).permutation(rows)
    >>> run = tr.fit(tr.mixture(rows, 2, "diagonal"), rows, tr.OnlineEM(batch_size=50), epochs=3)
    >>> sorted(run.model.emissions.means.ravel().round().tolist())
    [0.0, 10.0]
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

    def advance(self, at: Point, task: Task) -> Point:
        """A pass over the batches, or what is left of one."""
        began, model, kept, steps = time.perf_counter(), at.model, at.kept, at.steps
        if not at.records:
            return self._passed(at, model, task, None, began)
        batches = self._batches(len(task.data), task.seed, len(at.records))
        for b in range(at.block, len(batches)):
            new = self._of_batch(model, task, batches[b])
            if new is not None:
                rho, steps = (steps + self.offset) ** -self.decay, steps + 1
                kept = new if kept is None else (1 - rho) * kept + rho * new
                model = model.maximized(task.n_terms * kept, task.prior)
            if task.keeper.is_due():
                return at._replace(model=model, kept=kept, block=b + 1, steps=steps)
        return self._passed(at._replace(steps=steps), model, task, kept, began)

    def _batches(self, n: int, seed: int, number: int) -> list[np.ndarray]:
        """The rows of each batch of a pass: a function of the key and the number of the pass alone."""
        order = np.random.default_rng([seed, number]).permutation(n)
        return [np.sort(order[start : start + self.batch_size]) for start in range(0, n, self.batch_size)]

    def _of_batch(self, model: Any, task: Task, rows: np.ndarray) -> Statistics | None:
        """The statistics of a batch for a row of weight one; None where no row counts."""
        share = len(rows) if task.weights is None else task.weights[rows].sum()
        return (1 / share) * _of_block(model, task, rows) if share else None


def _of_block(model: Any, task: Task, rows: Any) -> Statistics:
    weights = None if task.weights is None else task.weights[rows]
    try:
        return expected_statistics(model, task.data[rows], weights, memory=task.options.memory).statistics
    except ModelError:  # which names a row by its number in the block; among all rows it has another
        expected_statistics(model, task.data, task.weights, memory=task.options.memory)
        raise


def _joined(parts: list[Statistics]) -> Statistics:
    return Statistics.joined((f"{b}.", part) for b, part in enumerate(parts))


def _parts(kept: Statistics, n: int) -> list[Statistics]:
    return [kept.part(f"{b}.") for b in range(n)]


def _likelihood(model: Any, task: Task) -> Certificate:
    if task.weights is not None:
        found = expected_statistics(model, task.data, task.weights, memory=task.options.memory)
        return Certificate.exact(found.log_likelihood / task.n_terms)
    return bare(log_likelihood(model, task.data, memory=task.options.memory))
