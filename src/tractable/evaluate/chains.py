"""The log-likelihood of sequences under a hidden Markov model: exact, by the forward recursion."""

from __future__ import annotations

from typing import Any

from tractable.evaluate.records import LogLikelihood
from tractable.kernels.chain import filtered
from tractable.models.hidden_markov import HiddenMarkovModel
from tractable.posterior import Certificate, chains


def log_likelihood(model: HiddenMarkovModel, data: Any, *, key: Any = 0) -> LogLikelihood:
    """The mean of log p(x) over sequences, each in ``per_row``; NaN is integrated out."""
    found = filtered(chains.chains_of(model, model.check(data)))[0]
    return LogLikelihood.of_rows(Certificate.exact(found))
