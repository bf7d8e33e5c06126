"""Restricted Boltzmann machines as classifiers: the label is a visible column of its own."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _check_y, check_is_fitted, validate_data

from tractable import learning
from tractable.estimators._base import SPARSE, learner_of
from tractable.estimators.boltzmann import ALGORITHMS
from tractable.evaluate import free_energy
from tractable.learning import Learner
from tractable.learning.machines.columns import Scale, scale_of, visible_units
from tractable.models import Boltzmann, Categorical, Mixed, restricted
from tractable.models.binarizing import binarized
from tractable.models.units import Units
from tractable.models.unnamed import array_of
from tractable.models.weights import counted
from tractable.plan.training import check_training
from tractable.posterior import infer, transform
from tractable.posterior.engines.mixtures import softmax

LEARNERS: dict[str, Learner] = {"discriminative": learning.Discriminative(), **ALGORITHMS}


@dataclass(eq=False, repr=False)
class RestrictedBoltzmannClassifier(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, BaseEstimator):
    """A restricted Boltzmann machine over rows and their labels, p(x, y, h), and p(y | x) of it, which is exact.

    log p(y | x) is log p̃(x, y) less what all labels have together; log Z is nowhere in it. Gaps in rows (NaN) are
    summed out.

    Parameters
    ----------
    n_hidden : number of hidden units.
    algorithm : ``"discriminative"`` climbs log p(y | x) without chains; ``"pcd"`` and the others of
        `RestrictedBoltzmannMachine` climb log p(x, y); or a learner.
    learning_rate, batch_size, epochs : of the algorithm; where None they follow from the model and the number of rows.
    units : of the columns, as of `RestrictedBoltzmannMachine`.
    binarize : values above it count as 1, others as 0; None takes the data as they are.
    random_state : of the random start and of chains. verbose : whether to show a bar.

    Attributes
    ----------
    model_ : the machine, whose last visible column is the label, of real columns on their standard scale, see `scale_`.
    classes_ : the labels. history_, learner_ : epochs and settings of the fit. scale_ : of real columns, else None.
    n_features_in_, feature_names_in_ : as in every estimator.

    References
    ----------
    Larochelle & Bengio, Classification using discriminative restricted Boltzmann machines, ICML 2008.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 50)
    >>> either = rows[:, 0] ^ rows[:, 1]
    >>> found = tr.estimators.RestrictedBoltzmannClassifier(8, random_state=0).fit(rows, either)
    >>> found.predict([[0, 1], [1, 1]]).tolist(), found.predict_proba([[0, 1]]).shape
    ([1, 0], (1, 2))
    """

    n_hidden: int = 64
    _: KW_ONLY
    algorithm: str | Learner = "discriminative"
    learning_rate: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    units: Any = "auto"
    binarize: float | None = None
    random_state: Any = None
    verbose: bool = False

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from rows [n_rows, n_features] and the label of each; `sample_weight` says how often a row counts."""
        rows, y = self._rows(X, reset=True), _check_y(y, estimator=self)
        check_consistent_length(rows, y)
        check_classification_targets(y)
        weights = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
        self.classes_, label = np.unique(y, return_inverse=True)
        units = visible_units(rows, self.units)
        self.scale_: Scale | None = scale_of(units, rows)
        self._key = int(check_random_state(self.random_state).randint(2**31 - 1))
        how = {"learning_rate": self.learning_rate, "batch_size": self.batch_size}
        learner = learner_of(self.algorithm, LEARNERS, **how)
        check_training([units.n_features + len(self.classes_), int(self.n_hidden)], learner.batch)
        model = restricted(_with_label(units, len(self.classes_)), int(self.n_hidden), key=self._key)
        given, weights = counted(np.column_stack([self._scaled(rows), label]), weights)
        more: dict[str, Any] = {"weights": weights, "key": self._key, "progress": bool(self.verbose)}
        run = learning.fit(model, given, learner, epochs=self.epochs, live=0.0, yardstick=False, **more)
        self.model_: Boltzmann = run.model
        self.history_, self.learner_ = run.history, run.learner
        return self

    def _rows(self, X: Any, reset: bool = False) -> np.ndarray:
        how: Any = {"dtype": "numeric", "ensure_all_finite": "allow-nan", "accept_sparse": SPARSE}
        rows = array_of(validate_data(self, X, reset=reset, **how))
        return rows if self.binarize is None else binarized(rows, self.binarize)

    def _scaled(self, rows: np.ndarray) -> np.ndarray:
        return rows if self.scale_ is None else (rows - self.scale_.shift) / self.scale_.scale

    def _inner(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self._scaled(self._rows(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """p(label | row) [n_rows, n_classes]."""
        rows, n = self._inner(X), len(self.classes_)
        every = np.column_stack([np.repeat(rows, n, axis=0), np.tile(np.arange(n), len(rows))])
        return softmax(-free_energy(self._double, every, key=self._key).value.reshape(-1, n))[1]

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """log p(label | row) [n_rows, n_classes]."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each row."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(1)]

    def transform(self, X: Any) -> np.ndarray:
        """The means of the hidden units given each row and its most probable label [n_rows, n_hidden]."""
        rows = np.column_stack([self._inner(X), self.predict_proba(X).argmax(1)])
        if np.isnan(rows).any():
            return np.asarray(infer(self._double, rows).marginals["hidden"])
        with jax.enable_x64(True):
            return np.asarray(transform(self._double, rows))

    @property
    def _n_features_out(self) -> int:
        return int(self.n_hidden)

    @property
    def _double(self) -> Boltzmann:
        return jax.tree.map(np.asarray, self.model_).astype(np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.sparse = True
        return tags


def _with_label(units: Units, n_classes: int) -> Mixed:
    """Units of the columns, and one for the label behind them."""
    return Mixed(*(units.parts if isinstance(units, Mixed) else (units,)), Categorical(1, n_classes))
