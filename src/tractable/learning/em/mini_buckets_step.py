"""E-steps of networks that are too wide for exact ones: draws under bounds by mini-buckets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tractable.learning.em.exact import Task
from tractable.models import ModelError
from tractable.posterior import Certificate
from tractable.posterior.expected import Expected, UnderBound
from tractable.posterior.verbs import expected_statistics


@dataclass(frozen=True)
class MiniBucketsEStep:
    """An E-step of a Bayesian network by weighted draws under a bound, where the exact one is too wide.

    What rows hide falls into parts that know nothing of each other. Those that the budget affords are summed over as
    in `EM`. Of the others q takes one of K draws, or a state found before, by weight: with these draws as hidden
    variables beside z, ELBO = E[log R] for an estimate R of p(x) without bias, and KL = log p(x) − E[log R] is at least
    KL(q(z) ‖ p(z | x)). In each iteration log p(x), ELBO and KL have intervals that hold together. What EM climbs is an
    estimate, and it has converged when the last iterations are on average no better than those before.

    Parameters
    ----------
    draws : K, in each iteration for each different part. More of them: narrower intervals, less noise, a smaller KL.
    confidence : that all intervals of an iteration hold.

    Raises
    ------
    ModelError : no draws, a confidence that is none. In a fit: a row that is impossible, or of which no draw had a
        positive weight.

    References
    ----------
    Wei & Tanner, A Monte Carlo implementation of the EM algorithm, 1990. Domke & Sheldon, Importance weighting and
    variational inference, 2018.

    Examples
    --------
    >>> net = tr.bayesian_network(None, {"b": ["a"]}, states={"a": "01", "b": "01"})
    >>> learner = tr.GeneralizedEM(posterior=tr.MiniBucketsEStep(draws=1000))
    >>> last = tr.fit(net, [["?", "1"], ["0", "0"]], learner, epochs=3).history[-1]
    >>> last.train.kind, last.kl.value  # nothing here is too wide
    ('exact', 0.0)
    """

    draws: int = 4096
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not (isinstance(self.draws, int | np.integer) and self.draws > 0 and self.draws is not True):
            raise ModelError(f"the number of draws is a positive whole number, got {self.draws!r}")
        if not 0 < self.confidence < 1:
            raise ModelError(f"a confidence lies between 0 and 1, got {self.confidence!r}")

    def asked(self, *seed: int, strict: bool = True) -> UnderBound:
        """What stands for the posterior; each iteration has a seed of its own: the model depends on earlier draws."""
        return UnderBound(int(self.draws), self.confidence, seed, strict)

    def __call__(self, model: Any, task: Task, before: Any) -> Expected:
        """The E-step; its `q` is the number of the iteration."""
        step = 0 if before is None else int(before.q) + 1
        how = self.asked(task.seed, step, 0)
        found = expected_statistics(model, task.data, task.weights, how, memory=task.options.memory)
        return found._replace(q=np.array(step))

    def log_likelihood(self, model: Any, task: Task, found: Expected) -> Certificate:
        """The mean log-likelihood of rows that are not learned from, by draws of their own."""
        how = self.asked(task.seed, int(found.q), 1, strict=False)
        told = expected_statistics(model, task.held, None, how, memory=task.options.memory).told
        return told.log_likelihood / len(task.held)
