"""Mixtures as estimators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tractable.evaluate import aic, bic, log_likelihood
from tractable.learning import EM, fit, mixture
from tractable.models import ModelError
from tractable.models._base import nearest
from tractable.posterior import impute, sample, transform

try:
    from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ModuleNotFoundError:
    raise ModuleNotFoundError("estimators need scikit-learn: pip install 'tractable[sklearn]'") from None

COVARIANCES = {"full": "gaussian", "tied": "tied", "diag": "diagonal", "spherical": "spherical"}


class _Mixture(DensityMixin, ClusterMixin, BaseEstimator, ABC):
    """What all mixtures share; rows may have missing entries (NaN)."""

    n_components: int
    tol: float
    max_iter: int
    n_init: int
    init: str
    prior: float | None
    random_state: Any

    @abstractmethod
    def _emissions(self, n_columns: int) -> str | Mapping[str, Sequence[int]]:
        """The kind of each column."""

    def fit(self, X: Any, y: Any = None) -> Any:
        """Learn from rows [n_rows, n_features] by EM; `y` is ignored."""
        rows = self._rows(X, reset=True)
        key = int(check_random_state(self.random_state).randint(2**31 - 1))
        learner = EM(tolerance=self.tol, n_init=self.n_init, start=self.init, prior=self.prior)
        start = mixture(rows, self.n_components, self._emissions(rows.shape[1]), start=self.init, key=key)
        run = fit(start, rows, learner, epochs=self.max_iter, key=key, progress=False)
        self.model_, self.history_, self.converged_ = run.model, run.history, run.converged
        self.n_iter_, self.lower_bound_ = len(run.history) - 1, run.history[-1].train.value
        self._key = key
        self.labels_ = self.predict(X)
        return self

    def _rows(self, X: Any, reset: bool = False) -> np.ndarray:
        if not reset:
            check_is_fitted(self)
        return validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan")  # type: ignore

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
        """The most probable component of each row."""
        return self.predict_proba(X).argmax(1)

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

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw rows [n_samples, n_features]; without a `random_state` of its own, that of the fit."""
        check_is_fitted(self)
        key = self._key if random_state is None else int(check_random_state(random_state).randint(2**31 - 1))
        return sample(self.model_, n_samples, key=key)

    def impute(self, X: Any) -> np.ndarray:
        """The rows with what is missing replaced by its posterior mean (of a category: the most probable one)."""
        rows = self._rows(X)
        return impute(self.model_, rows)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


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
    prior : scale of an inverse-Wishart prior in units of the columns' variances; None for 1e-6.
    random_state : an int makes everything repeatable.

    Examples
    --------
    >>> rows = np.array([[0.0], [0.2], [5.0], [5.2], [np.nan]])
    >>> found = GaussianMixture(2, random_state=0).fit(rows)
    >>> sorted(found.means_.round(1).ravel().tolist())
    [0.1, 5.1]
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init: str = "k-means++",
        prior: float | None = None,
        random_state: Any = None,
    ):
        self.n_components, self.covariance_type, self.tol, self.max_iter = n_components, covariance_type, tol, max_iter
        self.n_init, self.init, self.prior, self.random_state = n_init, init, prior, random_state

    def _emissions(self, n_columns: int) -> str:
        if self.covariance_type not in COVARIANCES:
            near = nearest(self.covariance_type, COVARIANCES)
            raise ModelError(f"unknown covariance_type {self.covariance_type!r}{near}; choose {', '.join(COVARIANCES)}")
        return COVARIANCES[self.covariance_type]

    @property
    def covariances_(self) -> np.ndarray:
        """The covariances, in the shape of scikit-learn's."""
        arrays = self.model_.free.arrays()
        return arrays["covariances"] if "covariances" in arrays else arrays["variances"]


class BernoulliMixture(_Mixture):
    """A mixture of products of Bernoulli variables, for rows of 0 and 1 that may have missing entries.

    p(x) = Σ_k w_k ∏_j p_kj^x_j (1 − p_kj)^(1 − x_j).

    Parameters
    ----------
    n_components : number of components.
    binarize : values above it count as 1, others as 0; None takes the data as they are.
    tol : EM ends when the mean log-likelihood grows by less.
    max_iter, n_init : iterations at most, and starts of which the best is kept.
    init : ``"k-means++"`` or ``"rows"``.
    prior : pseudo-rows of a beta prior around the columns' frequencies; None for 0.1.
    random_state : an int makes everything repeatable.

    Examples
    --------
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 20)
    >>> BernoulliMixture(2, random_state=0).fit(rows).score(rows) > -0.8
    True
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        binarize: float | None = 0.0,
        tol: float = 1e-4,
        max_iter: int = 200,
        n_init: int = 1,
        init: str = "rows",
        prior: float | None = None,
        random_state: Any = None,
    ):
        self.n_components, self.binarize, self.tol, self.max_iter = n_components, binarize, tol, max_iter
        self.n_init, self.init, self.prior, self.random_state = n_init, init, prior, random_state

    def _emissions(self, n_columns: int) -> str:
        return "bernoulli"

    def _rows(self, X: Any, reset: bool = False) -> np.ndarray:
        rows = super()._rows(X, reset)
        if self.binarize is None:
            return rows
        return np.where(np.isnan(rows), np.nan, rows > self.binarize)


class MixedMixture(_Mixture):
    """A mixture over columns of different kinds, any entry of which may be missing.

    Parameters
    ----------
    n_components : number of components.
    kinds : kind → columns, such as ``{"gaussian": [0, 1], "categorical": [2], "poisson": [3]}``; None takes every
        column for a number with a variance of its own.
    tol : EM ends when the mean log-likelihood grows by less.
    max_iter, n_init : iterations at most, and starts of which the best is kept.
    init : ``"k-means++"`` or ``"rows"``.
    prior : strength of the priors; None for the default of each kind.
    random_state : an int makes everything repeatable.

    Examples
    --------
    >>> rows = np.array([[0.1, 0], [0.2, 0], [5.0, 1], [5.1, np.nan]])
    >>> found = MixedMixture(2, kinds={"gaussian": [0], "bernoulli": [1]}, random_state=0).fit(rows)
    >>> bool(found.impute(rows)[3, 1] > 0.9)
    True
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        kinds: Mapping[str, Sequence[int]] | None = None,
        tol: float = 1e-4,
        max_iter: int = 200,
        n_init: int = 1,
        init: str = "k-means++",
        prior: float | None = None,
        random_state: Any = None,
    ):
        self.n_components, self.kinds, self.tol, self.max_iter = n_components, kinds, tol, max_iter
        self.n_init, self.init, self.prior, self.random_state = n_init, init, prior, random_state

    def _emissions(self, n_columns: int) -> str | Mapping[str, Sequence[int]]:
        return "diagonal" if self.kinds is None else self.kinds
