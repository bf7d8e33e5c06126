"""Mixtures as estimators."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from tractable.estimators.checked import in_numbers
from tractable.evaluate import aic, bic, log_likelihood
from tractable.learning import EM, fit, mixture
from tractable.models import Mixture, ModelError
from tractable.models._base import nearest
from tractable.models.binarizing import binarized
from tractable.models.frames import is_frame
from tractable.models.kinds import EmissionKinds
from tractable.models.mixture import COMPONENT
from tractable.posterior import impute, infer, transform


def by_name(estimator: Any, X: Any, reset: bool) -> Any:
    """A table of another library as it is, its names kept or compared as scikit-learn does it."""
    if not reset:
        check_is_fitted(estimator)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return X


TABLE = "columns of text go into MixedMixture, or into HiddenMarkovModel, as a DataFrame"

REPEATED = 100
"""A start looks at no more than so many times the rows that there are."""

COVARIANCES = {"full": "gaussian", "tied": "tied", "diag": "diagonal", "spherical": "spherical"}


def covariance_kind(name: str) -> str:
    """The kind of emissions by scikit-learn's name of its covariances."""
    if name not in COVARIANCES:
        raise ModelError(
            f"unknown covariance_type {name!r}{nearest(name, COVARIANCES)}; choose {', '.join(COVARIANCES)}"
        )
    return COVARIANCES[name]


def typical(rows: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Rows to begin from, each as often as it counts, in an order of their own: a start knows no other."""
    order = np.lexsort(rows.T[::-1])
    if weights is None or not weights.any():
        return rows[order]
    own, n = weights[order], len(rows)
    if (own != np.floor(own)).any() or own.sum() > REPEATED * n:
        own = np.diff(np.round(np.cumsum(own) * (n / own.sum())), prepend=0)
    return rows[order].repeat(own.astype(np.int64), axis=0)


def warned(estimator: Any, max_iter: int) -> None:
    """Say that iterations ran out, as scikit-learn does."""
    if estimator.converged_:
        return
    name = type(estimator).__name__
    told = f"{name}: EM has not converged in {max_iter} iterations: take more (max_iter), or a larger tol"
    warnings.warn(told, ConvergenceWarning, stacklevel=3)


@dataclass(eq=False, repr=False)
class _Mixture(DensityMixin, ClusterMixin, BaseEstimator, ABC):
    """What all mixtures share; rows may have missing entries (NaN). The fields are what the constructor takes."""

    n_components: int = 1
    _: KW_ONLY
    tol: float = 1e-4
    max_iter: int = 200
    n_init: int = 1
    init: str = "k-means++"
    prior: float | None = None
    warm_start: bool = False
    random_state: Any = None

    @abstractmethod
    def _emissions(self, n_columns: int) -> EmissionKinds:
        """The kind of each column."""

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Learn from rows [n_rows, n_features] by EM; `y` is ignored. `sample_weight`: how often each row counts."""
        rows = self._rows(X, reset=True)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, rows, ensure_non_negative=True)
        key = int(check_random_state(self.random_state).randint(2**31 - 1))
        begin, given = self._begin(rows if is_frame(rows) else typical(rows, weights), key)
        start = "model" if given or self.n_init == 1 or self.init == "k-means++" else self.init
        learner = EM(tolerance=self.tol, n_init=self.n_init, start=start, prior=self.prior)
        run = fit(begin, rows, learner, epochs=self.max_iter, key=key, weights=weights, progress=False)
        self.model_, self.history_, self.converged_ = run.model, run.history, run.converged
        self.n_iter_, self.lower_bound_ = len(run.history) - 1, run.history[-1].train.value
        self.lower_bounds_ = [record.train.value for record in run.history]
        self._key = key
        warned(self, self.max_iter)
        self.labels_ = self.predict(X)
        return self

    def _begin(self, rows: Any, key: int) -> tuple[Mixture, bool]:
        """Where EM begins, and whether that is given: by an earlier fit (`warm_start`), or by parameters."""
        if self.warm_start and hasattr(self, "model_") and self.model_.n_columns == rows.shape[1]:
            return self.model_, True
        return mixture(rows, self.n_components, self._emissions(rows.shape[1]), start=self.init, key=key), False

    def _rows(self, X: Any, reset: bool = False) -> Any:
        if not reset:
            check_is_fitted(self)
        return in_numbers(self, X, reset, TABLE, sparse=False)

    @property
    def weights_(self) -> np.ndarray:
        """The weight of each component."""
        return self.model_.weights

    @property
    def means_(self) -> np.ndarray:
        """The mean row of each component [n_components, n_features]."""
        return self.model_.free.means

    def predict_proba(self, X: Any) -> np.ndarray:
        """p(component | row) [n_rows, n_components]."""
        rows = self._rows(X)
        return transform(self.model_, rows)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable component of each row; −1 for a row that is impossible under all."""
        found = self.predict_proba(X)
        return np.where(np.isnan(found).any(1), -1, found.argmax(1))

    def score_samples(self, X: Any) -> np.ndarray:
        """log p(x) of each row; of one with missing entries, of what is observed in it."""
        rows = self._rows(X)
        return log_likelihood(self.model_, rows).per_row.value

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of log p(x) over the rows; `y` is ignored."""
        return float(self.score_samples(X).mean())

    def bic(self, X: Any) -> float:
        """The Bayesian information criterion: lower is better."""
        return bic(self.model_, self._rows(X)).value

    def aic(self, X: Any) -> float:
        """Akaike's information criterion: lower is better."""
        return aic(self.model_, self._rows(X)).value

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows [n_samples, n_features], and the component of each; `random_state` is that of the fit if absent."""
        check_is_fitted(self)
        key = self._key if random_state is None else int(check_random_state(random_state).randint(2**31 - 1))
        drawn = infer(self.model_).sample(n_samples, key=key)
        return drawn["columns"], drawn[COMPONENT]

    def impute(self, X: Any) -> Any:
        """The rows with what is missing replaced by its posterior mean (of a category: the most probable one)."""
        rows = self._rows(X)
        return impute(self.model_, rows)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


@dataclass(eq=False, repr=False)
class GaussianMixture(_Mixture):
    """A mixture of Gaussians, with the parameters of scikit-learn's and rows that may have missing entries.

    p(x) = Σ_k w_k N(x; μ_k, Σ_k).

    Parameters
    ----------
    n_components : number of components.
    covariance_type : ``"full"``, ``"tied"``, ``"diag"`` or ``"spherical"``.
    tol : EM ends when the mean log-likelihood grows by less.
    max_iter, n_init : iterations at most, and starts of which the best is kept.
    init : ``"k-means++"`` or ``"rows"``.
    prior : scale of an inverse-Wishart prior in units of the columns' variances; None for 1e-6. It stands for
        scikit-learn's ``reg_covar``, which is in the units of the data and after which a likelihood may fall.
    weights_init, means_init, precisions_init : where EM begins, in scikit-learn's shapes; None is as `init` has it.
    warm_start : whether another fit goes on from the last one.
    random_state : an int makes everything repeatable.

    Attributes
    ----------
    weights_, means_, covariances_, precisions_, precisions_cholesky_ : the parameters, in scikit-learn's shapes.
    converged_, n_iter_, lower_bound_, lower_bounds_ : how EM went; bounds are means of log p(x), in their order.
    model_, history_ : the `Mixture` and the record of the fit.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0.0], [0.2], [5.0], [5.2], [np.nan]])
    >>> found = tr.estimators.GaussianMixture(2, random_state=0).fit(rows)
    >>> sorted(found.means_.round(1).ravel().tolist())
    [0.1, 5.1]
    """

    covariance_type: str = "full"
    tol: float = 1e-3
    max_iter: int = 100
    weights_init: Any = None
    means_init: Any = None
    precisions_init: Any = None

    def _emissions(self, n_columns: int) -> str:
        return covariance_kind(self.covariance_type)

    def _begin(self, rows: np.ndarray, key: int) -> tuple[Mixture, bool]:
        begin, given = super()._begin(rows, key)
        wanted = (self.weights_init, self.means_init, self.precisions_init)
        if given or all(array is None for array in wanted):
            return begin, given
        own, kind = begin.free.arrays(), type(begin.free)
        spread = "covariances" if "covariances" in own else "variances"
        own |= {} if self.means_init is None else {"locations": self.means_init, "shift": own["shift"]}
        if self.precisions_init is not None:
            own[spread] = _inverse(np.asarray(self.precisions_init, float), spread)
        weights = begin.weights if self.weights_init is None else self.weights_init
        return Mixture(weights, kind(**own)), True

    @property
    def covariances_(self) -> np.ndarray:
        """The covariances, in the shape of scikit-learn's."""
        arrays = self.model_.free.arrays()
        return arrays["covariances"] if "covariances" in arrays else arrays["variances"]

    @property
    def precisions_(self) -> np.ndarray:
        """Their inverses."""
        return _inverse(self.covariances_, "covariances" if self.covariance_type in ("full", "tied") else "variances")

    @property
    def precisions_cholesky_(self) -> np.ndarray:
        """P with precision P Pᵀ: upper triangles, or of variances the inverse standard deviations."""
        if self.covariance_type in ("full", "tied"):
            return np.swapaxes(np.linalg.inv(np.linalg.cholesky(self.covariances_)), -1, -2)
        return 1 / np.sqrt(self.covariances_)


def _inverse(spread: np.ndarray, name: str) -> np.ndarray:
    """Of matrices, or of variances."""
    if name == "variances":
        return 1 / spread
    found = np.linalg.inv(spread)
    return (found + np.swapaxes(found, -1, -2)) / 2


@dataclass(eq=False, repr=False)
class BernoulliMixture(_Mixture):
    """A mixture of products of Bernoulli variables, for rows of 0 and 1 that may have missing entries.

    p(x) = Σ_k w_k ∏_j p_kj^x_j (1 − p_kj)^(1 − x_j).

    Parameters
    ----------
    n_components : number of components.
    binarize : values above it count as 1, others as 0; None takes the data as they are, and refuses other values.
    tol : EM ends when the mean log-likelihood grows by less.
    max_iter, n_init : iterations at most, and starts of which the best is kept.
    init : ``"k-means++"`` or ``"rows"``.
    prior : pseudo-rows of a beta prior around the columns' frequencies; None for 0.1.
    warm_start : whether another fit goes on from the last one.
    random_state : an int makes everything repeatable.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 20)
    >>> tr.estimators.BernoulliMixture(2, random_state=0).fit(rows).score(rows) > -0.8
    True
    """

    binarize: float | None = None
    init: str = "rows"

    def _emissions(self, n_columns: int) -> str:
        return "bernoulli"

    def _rows(self, X: Any, reset: bool = False) -> np.ndarray:
        rows = super()._rows(X, reset)
        if self.binarize is not None:
            return binarized(rows, self.binarize)
        if (bad := np.argwhere((rows != 0) & (rows != 1) & ~np.isnan(rows))).size:
            row, column = bad[0].tolist()
            told = "binarize=0.5 makes zeros and ones of gray values, MixedMixture has kinds for numbers and categories"
            raise ModelError(f"row {row}, column {column}: the value {rows[row, column]} is not 0 or 1; {told}")
        return rows


@dataclass(eq=False, repr=False)
class MixedMixture(_Mixture):
    """A mixture over columns of different kinds, any entry of which may be missing.

    A DataFrame is read by the names of its columns; those of text, of booleans and of categories are categorical, and
    come back as they were.

    Parameters
    ----------
    n_components : number of components.
    kinds : kind → columns by number or name, such as ``{"gaussian": [0, 1], "categorical": [2], "poisson": [3]}``; None
        takes every column of numbers for one with a variance of its own.
    tol : EM ends when the mean log-likelihood grows by less.
    max_iter, n_init : iterations at most, and starts of which the best is kept.
    init : ``"k-means++"`` or ``"rows"``.
    prior : strength of the priors; None for the default of each kind.
    warm_start : whether another fit goes on from the last one.
    random_state : an int makes everything repeatable.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0.1, 0], [0.2, 0], [5.0, 1], [5.1, np.nan]])
    >>> found = tr.estimators.MixedMixture(2, kinds={"gaussian": [0], "bernoulli": [1]}, random_state=0).fit(rows)
    >>> bool(found.impute(rows)[3, 1] > 0.9)
    True
    """

    kinds: Mapping[str, Sequence[Any]] | None = None

    def _emissions(self, n_columns: int) -> EmissionKinds:
        return "diagonal" if self.kinds is None else self.kinds

    def _rows(self, X: Any, reset: bool = False) -> Any:
        return by_name(self, X, reset) if is_frame(X) else super()._rows(X, reset)
