"""Restricted Boltzmann machines as classifiers: the label is a visible column of its own."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import check_consistent_length
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _check_y, check_is_fitted

from tractable import learning
from tractable.estimators._base import InScikitLearnsNames
from tractable.estimators.boltzmann import ALGORITHMS, OnColumns
from tractable.evaluate import free_energy
from tractable.learning import History, Learner, online
from tractable.learning.machines.discriminative import label_scores
from tractable.learning.records import LearningWarning
from tractable.models import Boltzmann, Categorical, Mixed, ModelError, restricted
from tractable.models.binarizing import DRAW
from tractable.models.boltzmann_machine import VISIBLE
from tractable.models.layers import checked_sizes
from tractable.models.units import Units
from tractable.models.weights import counted
from tractable.plan.training import check_training
from tractable.posterior import infer, transform

LEARNERS: dict[str, Learner] = {"discriminative": learning.Discriminative(), **ALGORITHMS}


@dataclass(eq=False, repr=False)
class RestrictedBoltzmannClassifier(InScikitLearnsNames, ClassifierMixin, OnColumns):
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
    binarize : values above it count as 1, others as 0; ``"draw"``: values are probabilities of a 1, drawn anew in each
        epoch, and labels are told at the probabilities (of rows with gaps at a draw); None takes the data as they are.
    class_weight : label → how often each of its rows counts; ``"balanced"``: all labels together as often.
    n_components, n_iter : scikit-learn's names of `n_hidden` and `epochs`, which count where they are given.
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
    binarize: float | str | None = None
    class_weight: Mapping[Any, float] | str | None = None
    random_state: Any = None
    verbose: bool = False

    _algorithms = LEARNERS

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from rows [n_rows, n_features] and the label of each; `sample_weight` says how often a row counts."""
        y = self._labels(y)
        self.classes_ = np.unique(y)
        given, y, weights = self._counted(X, y, sample_weight, reset=True)
        self._begin(self._bits(given), weights)
        if len(self.classes_) == 1:
            warnings.warn(ONE.format(self.classes_[0]), LearningWarning, stacklevel=2)
        is_drawn = self.binarize == DRAW
        rows = self._with_labels(given if is_drawn else self._bits(given), y)
        how: dict[str, Any] = {"key": self._key, "progress": bool(self.verbose), "live": 0.0, "yardstick": False}
        how |= {"weights": weights, "binarize": DRAW if is_drawn else None}
        run = learning.fit(self.model_, rows, self._learner(), epochs=self._passes, **how)
        self._take(run.model, run.training)
        self.history_, self.learner_ = run.history, run.learner
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from some more rows, once; the first call says which labels there are, all of them, in `classes`.

        It also says what the columns hold, and on which scale they are; a row pulls as often as `sample_weight` says.
        """
        if isinstance(self.class_weight, str):
            raise ModelError("class_weight='balanced' needs all rows: give label → weight where they come in pieces")
        is_new = _check_partial_fit_first_call(self, classes)
        given, y, weights = self._counted(X, self._labels(y), sample_weight, reset=is_new)
        if is_new:
            self._begin(self._bits(given), weights)
        rows, learner = self._with_labels(self._anew(given), y), self._learner()
        if is_new:
            self._training = online.begin(self.model_, rows, learner, self._key, weights)
        training = online.go_on(self._training, rows, learner, self._key, weights)
        self._take(training.model, training)
        return self

    def _labels(self, y: Any) -> np.ndarray:
        y = _check_y(y, estimator=self)
        check_classification_targets(y)
        return y

    def _counted(self, X: Any, y: np.ndarray, sample_weight: Any, reset: bool) -> tuple[Any, np.ndarray, Any]:
        """The rows that count, their labels, and how often each does."""
        rows = self._numbers(X, reset=reset)
        check_consistent_length(rows, y)
        if (strange := np.flatnonzero(~np.isin(y, self.classes_))).size:
            row, known = int(strange[0]), ", ".join(map(str, self.classes_))
            raise ModelError(f"row {row}: the label {y[row]!s} is not among the classes, which are {known}")
        if sample_weight is None and self.class_weight is None:
            return rows, y, None
        weights = _check_sample_weight(sample_weight, rows, dtype=np.float64)
        if self.class_weight is not None:
            weights = weights * compute_sample_weight(self.class_weight, y)
        (rows, kept), y = counted(rows, weights), y[weights > 0]
        return rows, y, kept

    def _begin(self, rows: np.ndarray, weights: np.ndarray | None) -> None:
        """A new machine for these rows and as many labels as there are."""
        units, n = self._read(rows, weights), checked_sizes(self._n_hidden, 1)[0]
        check_training([units.n_features + len(self.classes_), n], self._learner().batch)
        self._key = self._new_key()
        self.model_: Boltzmann = restricted(_with_label(units, len(self.classes_)), n, key=self._key)
        self.history_ = History()

    def _with_labels(self, rows: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Rows as they are learned from, the number of the label behind the others."""
        return np.column_stack([self._scaled(rows), np.searchsorted(self.classes_, y)])

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """log p(label | row) [n_rows, n_classes]."""
        scores = self._scores(X)
        return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)

    def predict_proba(self, X: Any) -> np.ndarray:
        """p(label | row) [n_rows, n_classes]."""
        return np.exp(self.predict_log_proba(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """log p(label | row) [n_rows, n_classes]; of two labels the log of their ratio, the second above [n_rows]."""
        found = self.predict_log_proba(X)
        return found[:, 1] - found[:, 0] if found.shape[1] == 2 else found

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each row."""
        check_is_fitted(self)
        return self.classes_[self._scores(X).argmax(1)]

    def transform(self, X: Any) -> np.ndarray:
        """The means of the hidden units given each row and its most probable label [n_rows, n_hidden]."""
        rows = np.column_stack([self._inner(X), self._scores(X).argmax(1)])
        if np.isnan(rows).any():
            return np.asarray(infer(self._double, rows).marginals["hidden"])
        with jax.enable_x64(True):
            return np.asarray(transform(self._double, rows))

    def _scores(self, X: Any) -> np.ndarray:
        """log p̃(row, label), but for what all labels have in common [n_rows, n_classes]."""
        rows, n = self._inner(X), len(self.classes_)
        if self.binarize == DRAW and not np.isnan(rows).any():
            return self._at_probabilities(self._scaled(self._numbers(X)))
        every = np.column_stack([np.repeat(rows, n, axis=0), np.tile(np.arange(n), len(rows))])
        return -free_energy(self._double, every, key=self._key).value.reshape(-1, n)

    def _at_probabilities(self, rows: np.ndarray) -> np.ndarray:
        with jax.enable_x64(True):
            model = self._double
            x = model.units[VISIBLE].encode(np.column_stack([rows, np.zeros(len(rows))]))
            return np.asarray(label_scores(model, jnp.asarray(x)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


ONE = "all rows have the label {}, and every row will be given it: rows of another one are needed to tell them apart"


def _with_label(units: Units, n_classes: int) -> Mixed:
    """Units of the columns, and one for the label behind them."""
    return Mixed(*(units.parts if isinstance(units, Mixed) else (units,)), Categorical(1, n_classes))
