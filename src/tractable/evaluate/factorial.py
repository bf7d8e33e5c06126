"""The log-likelihood of sequences under a factorial hidden Markov model: exact where the plan allows it."""

from __future__ import annotations

from typing import Any

from tractable.evaluate.records import LogLikelihood
from tractable.models.factorial_hidden_markov import FactorialHiddenMarkovModel
from tractable.posterior import factorial


def log_likelihood(model: FactorialHiddenMarkovModel, data: Any, *, key: Any = 0) -> LogLikelihood:
    """The mean of log p(x) over sequences, each in ``per_row``; NaN is integrated out.

    Where joint states are too many, it is between the ELBO of the structured approximation and a bound above.
    """
    return LogLikelihood.of_rows(factorial.bounds(model, data))
