"""The records of likelihoods."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tractable.posterior import Certificate


@dataclass(frozen=True, repr=False)
class LogLikelihood(Certificate):
    """The mean log-likelihood of rows of data.

    Attributes
    ----------
    per_row : log p(v) of each row.
    log_partition : the log Z that was subtracted; an error in it is common to all rows.

    Examples
    --------
    >>> found = tr.log_likelihood(tr.restricted(couplings=[[1.0], [1.0]]), [[0, 1], [1, 1]])
    >>> found.kind, found.per_row.value.round(4).tolist(), f"{found.log_partition:.4f}"
    ('exact', [-1.5674, -0.7537], '2.8806')
    """

    per_row: Certificate = field(default_factory=lambda: Certificate.exact(np.zeros(0)), repr=False)
    log_partition: Certificate = field(default_factory=lambda: Certificate.exact(0.0))

    @classmethod
    def of_rows(cls, rows: Certificate) -> LogLikelihood:
        """The mean over rows whose log p(v) is known, no log Z having been subtracted."""
        return cls.of(rows.mean(), per_row=rows)
