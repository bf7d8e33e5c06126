"""The log-likelihood of data under a mixture: exact, in closed form."""

from __future__ import annotations

from typing import Any

from tractable.evaluate.records import LogLikelihood
from tractable.models import ModelError
from tractable.models.mixture import Mixture
from tractable.posterior import Certificate, mixtures


def log_partition(model: Mixture, **options: Any) -> Certificate:
    """The offset: zero unless the mixture has been conditioned."""
    return Certificate.exact(model.offset)


def log_likelihood(model: Mixture, data: Any, *, key: Any = 0) -> LogLikelihood:
    """The mean of log p(x) over rows; NaN is integrated out."""
    x = model.check(data)
    if not len(x):
        raise ModelError("there are no rows")
    rows = mixtures.log_likelihood_rows(model, x)
    return LogLikelihood.of_rows(Certificate.exact(rows))
