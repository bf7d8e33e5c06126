"""The log-likelihood of rows of data under a network of tables: exact."""

from __future__ import annotations

from typing import Any

import numpy as np

from tractable.evaluate.records import LogLikelihood
from tractable.models import BayesianNetwork, ModelError
from tractable.models.evidence import parse_rows
from tractable.posterior import Certificate, log_evidence
from tractable.posterior.networks import log_likelihood_rows


def log_likelihood(model: Any, data: Any, *, key: Any = 0) -> LogLikelihood:
    """The mean of log p(x) over rows; what is missing is summed out."""
    rows = _rows(model, data)
    if not len(rows):
        raise ModelError("there are no rows")
    return LogLikelihood.of_rows(Certificate.exact(rows))


def _rows(model: Any, data: Any) -> np.ndarray:
    if isinstance(model, BayesianNetwork):
        return log_likelihood_rows(model, model.check(data))
    return np.asarray(log_evidence(model, parse_rows(model.states, data)).value)
