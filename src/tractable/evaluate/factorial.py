"""The log-likelihood of sequences under a factorial hidden Markov model: exact where the plan allows it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tractable.evaluate.records import LogLikelihood
from tractable.models.factorial_hidden_markov import FactorialHiddenMarkovModel
from tractable.posterior import factorial


def log_likelihood(model: FactorialHiddenMarkovModel, data: Any, *, key: Any = 0) -> LogLikelihood:
    """The mean of log p(x) over sequences, each in ``per_row``; NaN is integrated out.

    Where joint states are too many, it is between the ELBO of the structured approximation and a bound above.
    """
    found = factorial.bounds(model, data)
    value, lower, upper = (float(np.mean(x)) for x in (found.value, found.lower, found.upper))
    return LogLikelihood(value, lower, upper, found.kind, per_row=found)
