"""What models of rows that are learned step by step share as estimators: features, a density, samples, imputation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from tractable.evaluate import LogLikelihood
from tractable.learning import History, Learner, Yardstick, fit, online
from tractable.learning._base import Training
from tractable.models import ModelError
from tractable.models._base import nearest
from tractable.models.binarizing import DRAW, binarized, checked, drawn_by_content
from tractable.models.unnamed import array_of
from tractable.posterior import impute, sample

SPARSE = ["csr", "csc", "coo"]
"""Forms of sparse matrices; others are made one of these."""


class LearnedByGradient(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """One model of rows, in `model_`, and the verbs about it.

    A subclass has parameters `epochs`, `binarize` and `random_state`, and says which learner and which model it takes.
    """

    epochs: int | None
    binarize: float | str | None
    random_state: Any
    verbose: bool = False

    model_: Any
    history_: History
    learner_: Learner
    yardstick_: Yardstick | None
    _key: int
    _training: Training

    @abstractmethod
    def _learner(self) -> Learner:
        """The settings of learning."""

    @abstractmethod
    def _begin(self, X: Any) -> np.ndarray:
        """Make a new model for these rows, with a key of its own; the rows as it takes them."""

    def _prepare(self, rows: np.ndarray) -> None:
        """What comes before learning in `fit`."""

    @abstractmethod
    def log_likelihood(self, X: Any) -> LogLikelihood:
        """The mean of log p(x) with its certificate, and that of each row."""

    # ------------------------------------------------------------ learning

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, seconds: float | None = None) -> Self:
        """Learn from rows of data [n_rows, n_features], `seconds` long if they are given; `y` is ignored.

        `sample_weight` says how often each row counts; rows may be a sparse matrix.
        """
        rows = self._begin(X)
        self._prepare(rows)
        how = {"key": self._key, "progress": bool(self.verbose), "live": 0.0, "seconds": seconds}
        how["weights"] = sample_weight
        if self.binarize == DRAW:
            rows, how["binarize"] = self._numbers(X), DRAW
        run = fit(self.model_, rows, self._learner(), epochs=self.epochs, **how)
        self._take(run.model, run.training)
        self.history_, self.learner_, self.yardstick_ = run.history, run.learner, run.yardstick
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from some more rows, once; the first call says what the columns hold, and on which scale they are."""
        learner = self._learner()
        if not hasattr(self, "model_"):
            rows = self._begin(X)
            self._training = online.begin(self.model_, rows, learner, self._key)
        else:
            rows = self._inner(X)
        training = online.go_on(self._training, rows, learner, self._key)
        self._take(training.model, training)
        return self

    def _take(self, model: Any, training: Training) -> None:
        """The model that has been learned, and the state in which learning goes on."""
        self.model_, self._training = model, training

    def _new_key(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    # ------------------------------------------------------------ rows in and out

    def _numbers(self, X: Any, reset: bool = False, missing: bool = True) -> np.ndarray:
        """Rows of finite numbers; NaN only where it may be."""
        how: Any = {"dtype": "numeric", "ensure_all_finite": "allow-nan" if missing else True}
        return array_of(validate_data(self, X, reset=reset, accept_sparse=SPARSE, **how))

    def _checked(self, X: Any, reset: bool = False, missing: bool = True) -> np.ndarray:
        """The same as zeros and ones, where that is wanted: cut, or drawn with random numbers that hang on the row."""
        rows = self._numbers(X, reset, missing)
        if self.binarize is None:
            return rows
        if self.binarize != DRAW:
            return binarized(rows, self.binarize)
        return drawn_by_content(checked(rows, DRAW), 0 if reset else self._key)

    def _inner(self, X: Any) -> np.ndarray:
        """Rows as the model takes them."""
        check_is_fitted(self)
        return self._checked(X)

    def _outer(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the model as rows of data."""
        return rows

    @property
    def _double(self) -> Any:
        """The model in double precision, so that a row's answer does not depend on the rows beside it."""
        return jax.tree.map(np.asarray, self.model_).astype(np.float64)

    @property
    def _n_features_out(self) -> int:
        return sum(self.model_.units[name].n for name in self.model_.hidden)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ------------------------------------------------------------ density and samples

    def score_samples(self, X: Any) -> np.ndarray:
        """log p(x) of each row; of one with missing entries, of what is observed in it."""
        return np.asarray(self.log_likelihood(X).per_row.value)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of log p(x) over the rows: the same for the same fitted estimator and rows; `y` is ignored."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw rows from the model [n_samples, n_features]; without a `random_state` of its own, that of the fit."""
        check_is_fitted(self)
        key = self._key if random_state is None else int(check_random_state(random_state).randint(2**31 - 1))
        return self._outer(np.asarray(sample(self.model_, n_samples, key=key)))

    def impute(self, X: Any) -> np.ndarray:
        """The rows with what is missing replaced by its posterior mean given what is observed."""
        return self._outer(impute(self._double, self._inner(X), key=self._key))


def learner_of(algorithm: Any, names: Mapping[str, Learner], **settings: Any) -> Learner:
    """A learner as it is or by its name, with those settings that are given."""
    if not isinstance(algorithm, Learner):
        if algorithm not in names:
            raise ModelError(f"unknown algorithm {algorithm!r}{nearest(algorithm, names)}")
        algorithm = names[algorithm]
    return replace(algorithm, **{name: value for name, value in settings.items() if value is not None})
