"""Hidden Markov models as an estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from tractable.estimators.mixtures import by_name
from tractable.evaluate import aic, bic, log_likelihood
from tractable.learning import EM, fit, hidden_markov
from tractable.models import Sequences
from tractable.models.frames import is_frame
from tractable.models.kinds import EmissionKinds
from tractable.posterior import impute, most_probable, transform
from tractable.posterior.engines.chains import draw, in_names


class HiddenMarkovModel(DensityMixin, BaseEstimator):
    """A hidden Markov model of rows in sequences; entries may be missing (NaN).

    p(x, z) = π(z_1) ∏_t A(z_t, z_{t+1}) ∏_t p(x_t | z_t).

    The rows of X are one sequence, or several, one after another, of these `lengths`. A DataFrame is read by the names
    of its columns; those of text, of booleans and of categories are categorical, and come back as they were.

    Parameters
    ----------
    n_components : number of hidden states.
    emissions : what the columns hold given the state: a kind, or kind → columns, as for `hidden_markov`.
    n_parts : each state emits from a mixture of so many.
    learner : settings of `EM`, such as ``EM(n_init=5, tolerance=1e-6)``; None for ``EM(tolerance=1e-4)``.
    max_iter : iterations at most.
    random_state : an int makes everything repeatable.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.repeat([[0.0], [5.0], [0.0]], 10, axis=0) + np.linspace(0, 1, 30)[:, None]
    >>> found = tr.estimators.HiddenMarkovModel(2, random_state=0).fit(rows, lengths=[15, 15])
    >>> states = found.predict(rows, lengths=[15, 15])
    >>> bool(states[0] == states[29] != states[15]), found.decode(rows)[1].shape
    (True, (30,))
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        emissions: EmissionKinds = "diagonal",
        n_parts: int = 1,
        learner: EM | None = None,
        max_iter: int = 100,
        random_state: Any = None,
    ):
        self.n_components, self.emissions, self.n_parts = n_components, emissions, n_parts
        self.learner, self.max_iter, self.random_state = learner, max_iter, random_state

    def fit(self, X: Any, y: Any = None, lengths: Any = None) -> HiddenMarkovModel:
        """Learn from rows [n_rows, n_features] by EM; `y` is ignored."""
        data = self._sequences(X, lengths, reset=True)
        key = int(check_random_state(self.random_state).randint(2**31 - 1))
        start = hidden_markov(data, self.n_components, self.emissions, n_parts=self.n_parts, key=key)
        learner = self.learner or EM(tolerance=1e-4)
        run = fit(start, data, learner, epochs=self.max_iter, key=key, progress=False)
        self.model_, self.history_, self.converged_ = run.model, run.history, run.converged
        self.n_iter_, self._key = len(run.history) - 1, key
        return self

    def _sequences(self, X: Any, lengths: Any, reset: bool = False) -> Sequences:
        if not reset:
            check_is_fitted(self)
        if is_frame(X):
            return Sequences(by_name(self, X, reset), lengths)
        rows: Any = validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan")  # type: ignore
        return Sequences(rows, lengths)

    @property
    def startprob_(self) -> np.ndarray:
        """The distribution of the first state."""
        return self.model_.first

    @property
    def transmat_(self) -> np.ndarray:
        """The transitions [n_components, n_components]."""
        return self.model_.transition

    @property
    def means_(self) -> np.ndarray:
        """The mean row of each state [n_components, n_features]."""
        return self.model_.emissions.means

    def decode(self, X: Any, lengths: Any = None) -> tuple[float, np.ndarray]:
        """log p(X, states) of the most probable states (Viterbi) of all sequences together, and the states [n_rows]."""
        found: Any = most_probable(self.model_, self._sequences(X, lengths))
        return float(np.sum(found.log_probability.value)), np.concatenate(found.assignment["state"])

    def predict(self, X: Any, lengths: Any = None) -> np.ndarray:
        """The most probable path of states (Viterbi) [n_rows]."""
        check_is_fitted(self)
        return self.decode(X, lengths)[1]

    def predict_proba(self, X: Any, lengths: Any = None) -> np.ndarray:
        """p(state | sequence) of each row [n_rows, n_components]."""
        data = self._sequences(X, lengths)
        return np.concatenate(transform(self.model_, data))

    def score(self, X: Any, y: Any = None, lengths: Any = None) -> float:
        """log p(X), summed over the sequences; `y` is ignored."""
        data = self._sequences(X, lengths)
        return float(log_likelihood(self.model_, data).per_row.value.sum())

    def bic(self, X: Any, lengths: Any = None) -> float:
        """The Bayesian information criterion: lower is better."""
        data = self._sequences(X, lengths)
        return bic(self.model_, data).value

    def aic(self, X: Any, lengths: Any = None) -> float:
        """Akaike's information criterion: lower is better."""
        data = self._sequences(X, lengths)
        return aic(self.model_, data).value

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[Any, np.ndarray]:
        """A sequence of rows [n_samples, n_features] and its states [n_samples]."""
        check_is_fitted(self)
        key = self._key if random_state is None else int(check_random_state(random_state).randint(2**31 - 1))
        rows, states = draw(self.model_, n_samples, key)
        return in_names(self.model_, rows, None), states

    def impute(self, X: Any, lengths: Any = None) -> Any:
        """The rows with what is missing replaced by its mean given the sequence (of a category: the most probable)."""
        data = self._sequences(X, lengths)
        rows = np.concatenate(impute(self.model_, data, codes=True))
        return in_names(self.model_, rows, X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
