"""What models of rows that are learned step by step share as estimators: features, a density, samples, imputation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from tractable.estimators.checked import in_numbers
from tractable.evaluate import LogLikelihood
from tractable.learning import History, Learner, Yardstick, fit, online
from tractable.learning._base import Training
from tractable.learning.given import bits_of
from tractable.models import ModelError
from tractable.models._base import nearest
from tractable.models.binarizing import DRAW, binarized, checked, drawn, drawn_by_content, in_columns
from tractable.models.units import Mixed, Units
from tractable.models.weights import counted
from tractable.posterior import impute, sample

STATES = "letters and words are states, units=tr.Categorical(n, names=[...]), or of a table units=tr.units_for(table)"
BITS = "letters and words have a column of 0 and 1 for each, X == 'A'"


class OnRows(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """One model of rows, in `model_`, which takes them as `binarize` and `units` say."""

    binarize: float | str | None
    random_state: Any
    units: Any = None
    _gaps = True
    """Whether rows that are learned from may have any."""

    model_: Any
    history_: History
    learner_: Learner
    _key: int
    _training: Training

    @abstractmethod
    def _learner(self) -> Learner:
        """The settings of learning."""

    @property
    def _passes(self) -> int | None:
        """Epochs of `fit`."""
        return self.epochs  # type: ignore

    def _take(self, model: Any, training: Training) -> None:
        """The model that has been learned, and the state in which learning goes on."""
        self.model_, self._training = model, training

    def _new_key(self) -> int:
        self.random_state_ = check_random_state(self.random_state)
        return int(self.random_state_.randint(2**31 - 1))

    def _numbers(self, X: Any, reset: bool = False) -> np.ndarray:
        """Rows of finite numbers, states by what their units say; NaN only where it may be."""
        if isinstance(self.units, Units) and has_names(self.units):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return self.units.numbers(X)
        told = STATES if self.units is not None else BITS
        rows = in_numbers(self, X, reset, told)
        if reset and not self._gaps and (gaps := np.argwhere(np.isnan(rows))).size:
            row, column = gaps[0].tolist()
            told = "layers learn from whole rows; fill the gaps, say with impute of a mixture, or leave the row out"
            raise ModelError(f"row {row}, column {column}: the value is missing (NaN): {told}")
        return rows

    def _bits(self, rows: np.ndarray, made: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
        """The same as zeros and ones where that is wanted: cut, or `made` of probabilities, else drawn row by row."""
        if self.binarize is None:
            return rows
        own = bits_of(self.units)
        rows = checked(rows, self.binarize, own)
        if self.binarize != DRAW:
            made = partial(binarized, how=self.binarize)
        return in_columns(own, rows, made or partial(drawn_by_content, key=0))

    def _anew(self, rows: np.ndarray) -> np.ndarray:
        """Rows of a piece that is learned from, drawn with numbers of their own."""
        words = [self._key, int(self._training.step) if hasattr(self, "_training") else 0]
        return self._bits(rows, partial(drawn, rng=np.random.default_rng(words)))

    def _scaled(self, rows: np.ndarray) -> np.ndarray:
        """Rows on the scale on which they are learned."""
        return rows

    def _inner(self, X: Any) -> np.ndarray:
        """Rows as the model takes them."""
        check_is_fitted(self)
        return self._scaled(self._bits(self._numbers(X), partial(drawn_by_content, key=self._key)))

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


class LearnedByGradient(OnRows):
    """A model of rows that is a density, and the verbs about it.

    A subclass has parameters `epochs`, `binarize` and `random_state`, and says which learner and which model it takes.
    """

    epochs: int | None
    verbose: bool = False
    yardstick_: Yardstick | None

    @abstractmethod
    def _begin(self, rows: np.ndarray, weights: np.ndarray | None) -> None:
        """Make a new model for these rows, with a key of its own."""

    def _prepare(self, rows: np.ndarray, weights: np.ndarray | None) -> None:
        """What comes before learning in `fit`."""

    @abstractmethod
    def log_likelihood(self, X: Any) -> LogLikelihood:
        """The mean of log p(x) with its certificate, and that of each row."""

    # ------------------------------------------------------------ learning

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, seconds: float | None = None) -> Self:
        """Learn from rows of data [n_rows, n_features], `seconds` long if they are given; `y` is ignored.

        `sample_weight` says how often each row counts; rows may be a sparse matrix.
        """
        given, weights = counted(self._numbers(X, reset=True), sample_weight)
        rows = self._bits(given)
        self._begin(rows, weights)
        rows = self._scaled(rows)
        self._prepare(rows, weights)
        how = {"key": self._key, "progress": bool(self.verbose), "live": 0.0, "seconds": seconds, "weights": weights}
        if self.binarize == DRAW:
            rows, how["binarize"] = self._scaled(given), DRAW
        run = fit(self.model_, rows, self._learner(), epochs=self._passes, **how)
        self._take(run.model, run.training)
        self.history_, self.learner_, self.yardstick_ = run.history, run.learner, run.yardstick
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from some more rows, once; the first call says what the columns hold, and on which scale they are.

        A row pulls as often as `sample_weight` says; `y` is ignored.
        """
        is_new = not hasattr(self, "model_")
        given, weights = counted(self._numbers(X, reset=is_new), sample_weight)
        if is_new:
            self._begin(self._bits(given), weights)
        rows, learner = self._scaled(self._anew(given)), self._learner()
        if is_new:
            self._training = online.begin(self.model_, rows, learner, self._key, weights)
        training = online.go_on(self._training, rows, learner, self._key, weights)
        self._take(training.model, training)
        return self

    # ------------------------------------------------------------ rows in and out

    def _outer(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the model as rows of data."""
        return rows

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


@dataclass(eq=False, repr=False, kw_only=True)
class InScikitLearnsNames:
    """The names that `sklearn.neural_network.BernoulliRBM` has for `n_hidden` and `epochs`; they count where given."""

    n_components: int | None = None
    n_iter: int | None = None

    @property
    def _n_hidden(self) -> Any:
        return self.n_hidden if self.n_components is None else self.n_components  # type: ignore

    @property
    def _passes(self) -> int | None:
        return self.epochs if self.n_iter is None else self.n_iter  # type: ignore


def has_names(units: Units) -> bool:
    """Whether columns or states have names that data are read by."""
    parts = units.parts if isinstance(units, Mixed) else (units,)
    return getattr(units, "columns", None) is not None or any(getattr(part, "names", ()) for part in parts)


def learner_of(algorithm: Any, names: Mapping[str, Learner], **settings: Any) -> Learner:
    """A learner as it is or by its name, with those settings that are given."""
    if not isinstance(algorithm, Learner):
        if algorithm not in names:
            raise ModelError(f"unknown algorithm {algorithm!r}{nearest(algorithm, names)}")
        algorithm = names[algorithm]
    return replace(algorithm, **{name: value for name, value in settings.items() if value is not None})
