"""What hidden Markov models say as time goes on: forecasts, and filters that take rows as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tractable.models._base import ModelError
from tractable.models.hidden_markov import HiddenMarkovModel
from tractable.models.predictive import Predictive
from tractable.models.rows import Rows, is_named
from tractable.posterior.certificate import ImpossibleEvidenceError


class Forecast(NamedTuple):
    """What is expected after the end of a sequence: of states [n, K], and of rows [n, d].

    Where columns have names, `means` has them too (`Rows`): numbers are means, categories the likeliest. All of it is
    exact. Of hidden Markov models `predictive` is the distribution of each column of each row: standard deviations,
    quantiles, intervals and probabilities of categories; of factorial ones it is None.

    Examples
    --------
    >>> coin = tr.BernoulliEmissions([[0.9], [0.2]])
    >>> hmm = tr.HiddenMarkovModel([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], coin)
    >>> ahead = tr.forecast(hmm, [1, 1, 0], 2)
    >>> ahead.states.round(6).tolist()
    [[0.425798, 0.574202], [0.440638, 0.559362]]
    >>> ahead.predictive.deviations.round(6).ravel().tolist()
    [0.499996, 0.499929]
    """

    states: np.ndarray
    means: np.ndarray | Rows
    predictive: Predictive | None = None


@dataclass(frozen=True, eq=False)
class OnlineFilter:
    """What is known of the state now, row by row as they come: each update is a new record.

    Attributes
    ----------
    log_belief : log p(z_t | x_1, …, x_t) [K]; before the first row that of the start.
    log_likelihood : log p(x_1, …, x_t). n_rows : t.

    Examples
    --------
    >>> coin = tr.BernoulliEmissions([[0.9], [0.2]])
    >>> now = tr.OnlineFilter(tr.HiddenMarkovModel([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], coin))
    >>> now.update([1]).update([1]).belief.round(6).tolist()
    [0.932584, 0.067416]
    """

    model: HiddenMarkovModel
    log_belief: np.ndarray | None = None
    log_likelihood: float = 0.0
    n_rows: int = 0

    @property
    def belief(self) -> np.ndarray:
        """p(z_t | x_1, …, x_t) [K]."""
        return self.model.first if self.log_belief is None else np.exp(self.log_belief)

    def update(self, row: Any) -> OnlineFilter:
        """What is known after one more row [d], or column → value where columns have names; NaN is integrated out.

        Raises
        ------
        ModelError : a row that does not fit, or has probability zero after those before.
        """
        own = self.model.named
        by_name = is_named(row) or (own is not None and own.case_of(row) is not None)
        given = row if by_name else np.reshape(np.asarray(row), (1, -1))
        rows = self.model.check(given, f"after {self.n_rows} rows: ", partial=True).rows
        if len(rows) != 1:
            raise ModelError(f"a filter takes one row at a time, got {len(rows)}")
        with np.errstate(divide="ignore"):
            joint = self._predicted() + self.model.log_likelihoods(rows)[0]
        log_p = float(np.logaddexp.reduce(joint))
        if log_p == -np.inf:
            raise ImpossibleEvidenceError(f"row {self.n_rows} has probability zero after the rows before it")
        return OnlineFilter(self.model, joint - log_p, self.log_likelihood + log_p, self.n_rows + 1)

    def _predicted(self) -> np.ndarray:
        if self.log_belief is None:
            return np.log(self.model.first)
        return np.logaddexp.reduce(self.log_belief[:, None] + np.log(self.model.transition), axis=0)
