"""Bayesian networks as classifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _check_y, check_is_fitted, validate_data

from tractable.estimators.columns import Column, column_of
from tractable.estimators.mixtures import by_name, warned
from tractable.graph import GraphError
from tractable.graph.structure import read_structure
from tractable.learning import EM, fit
from tractable.learning.starts.networks import started
from tractable.learning.starts.trees import best_tree, information
from tractable.models import BayesianNetwork, ModelError
from tractable.models._base import check_known, nearest
from tractable.models.columns import cells_of
from tractable.models.frames import declared, is_frame
from tractable.models.observations import Observations
from tractable.models.rows import columns_of
from tractable.models.weights import WeightedRows
from tractable.posterior import infer
from tractable.posterior.engines.mixtures import softmax
from tractable.posterior.exact.expected_tables import log_likelihood_rows

CLASS = "class"
STRUCTURES = ("naive", "tree")


class BayesianNetworkClassifier(ClassifierMixin, BaseEstimator):
    """A Bayesian network over the columns and the class, whose posterior given a row says the class.

    Rows may have missing entries (NaN or None), in learning and in prediction: they are summed out exactly.

    Parameters
    ----------
    structure : ``"naive"``, columns independent given the class; ``"tree"``, each column hangs on the class and on one
        other column, those that tell most of each other given the class (Chow–Liu); or column → its parents, or edges
        as of a `BayesianNetwork`, where the class is called ``"class"``, and columns without a name ``"x0"``, ``"x1"``,
        ….
    n_bins : a column of numbers with more different values is cut into so many bins that hold equal shares of the rows;
        one with fewer keeps its values as states. Columns of text, of booleans and those of a table that declare
        categories are categories.
    prior : pseudo-rows spread over each table.
    tol, max_iter : EM, where entries are missing, ends when the mean log-likelihood grows by less, or after so many.
    random_state : of tables that no row shows.

    Attributes
    ----------
    model_ : the network. columns_ : how each column becomes states. classes_ : the classes.
    history_, n_iter_, converged_ : of EM.

    References
    ----------
    Friedman, Geiger & Goldszmidt, Bayesian network classifiers, Machine Learning 29, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([["a", "x"], ["a", None], ["b", "y"], [None, "y"]], dtype=object)
    >>> found = tr.estimators.BayesianNetworkClassifier().fit(rows, [0, 0, 1, 1])
    >>> found.predict(np.array([["a", None], ["b", "y"]], dtype=object)).tolist()
    [0, 1]
    """

    def __init__(
        self,
        structure: Any = "naive",
        *,
        n_bins: int = 5,
        prior: float = 1.0,
        tol: float = 1e-6,
        max_iter: int = 100,
        random_state: Any = None,
    ):
        self.structure, self.n_bins, self.prior = structure, n_bins, prior
        self.tol, self.max_iter, self.random_state = tol, max_iter, random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> BayesianNetworkClassifier:
        """Learn from rows [n_rows, n_features], an array or a table, and the class of each."""
        cells, y = self._cells(X, reset=True), _check_y(y, estimator=self)
        check_consistent_length(X, y)
        check_classification_targets(y)
        if not self.n_bins >= 1:
            raise ModelError(f"n_bins must be at least 1, got {self.n_bins!r}")
        self.classes_, label = np.unique(y, return_inverse=True)
        weights = _check_sample_weight(sample_weight, label, dtype=np.float64, ensure_non_negative=True)
        own = declared(X) if is_frame(X) else {}
        self.columns_ = [column_of(v, x, self.n_bins, weights, own.get(v, ())) for v, x in cells.items()]
        states = np.column_stack([label, self._codes(cells)]).astype(np.int32)
        net = self._network(states, weights)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))
        given = Observations(states)
        learner = EM(tolerance=self.tol, prior=self.prior)
        begin = started(net, WeightedRows(given, weights), "random", rng)
        run = fit(begin, given, learner, epochs=self.max_iter, weights=weights, progress=False)
        self.model_, self.history_, self.n_iter_ = run.model, run.history, max(len(run.history) - 1, 1)
        self.converged_ = run.converged
        warned(self, self.max_iter)
        return self

    def _cells(self, X: Any, reset: bool = False) -> dict[str, Any]:
        """The columns by name; without names ``x0``, ``x1``, …."""
        if is_frame(X):
            found = columns_of(by_name(self, X, reset))
        else:
            rows: Any = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan")
            found = {f"x{j}": cells_of(rows[:, j]) for j in range(rows.shape[1])}
        if CLASS in found:
            raise ModelError(f"a column is called {CLASS!r}, as the class is in the network; rename it")
        return found

    def _codes(self, cells: Mapping[str, Any]) -> np.ndarray:
        return np.column_stack([column.codes(x) for column, x in zip(self.columns_, cells.values(), strict=True)])

    def _network(self, states: np.ndarray, weights: np.ndarray) -> BayesianNetwork:
        """The network before it has learned anything: uniform tables."""
        names = {CLASS: [str(c) for c in self.classes_], **{c.name: c.states for c in self.columns_}}
        parents = _parents(self.structure, self.columns_, states, weights)
        check_known((v for own in parents.items() for v in (own[0], *own[1])), names)
        shapes = {v: [len(names[p]) for p in (*parents.get(v, ()), v)] for v in names}
        tables = {v: np.full(shape, 1 / shape[-1]) for v, shape in shapes.items()}
        return BayesianNetwork(names, parents, tables)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """log p(class | row) [n_rows, n_classes]."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """p(class | row) [n_rows, n_classes]; for a row that is impossible under every class, p(class)."""
        check_is_fitted(self)
        k, codes = len(self.classes_), self._codes(self._cells(X))
        each = np.column_stack([np.repeat(np.arange(k), len(codes)), np.tile(codes, (k, 1))]).astype(np.int32)
        joint = log_likelihood_rows(self.model_, Observations(each)).reshape(k, -1).T
        log_p, found = softmax(joint)
        prior = infer(self.model_, targets=[CLASS], method="exact").marginals.array(CLASS)
        return np.where(np.isneginf(log_p)[:, None], prior, found)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = tags.input_tags.string = True
        return tags


def _read(structure: Any) -> Mapping[str, Sequence[str]]:
    try:
        return read_structure(structure).parents
    except GraphError as error:
        raise ModelError(str(error)) from None


def _parents(
    structure: Any, columns: list[Column], states: np.ndarray, weights: np.ndarray
) -> Mapping[str, Sequence[str]]:
    """The parents of each column, and of the class where a mapping says so."""
    if not isinstance(structure, str) or "-" in structure:
        return _read(structure)
    if structure not in STRUCTURES:
        near = nearest(str(structure), STRUCTURES)
        raise ModelError(f"unknown structure {structure!r}{near}; choose naive, tree, or give column → parents")
    if structure == "naive":
        return {column.name: [CLASS] for column in columns}
    sizes = [len(column.states) for column in columns]
    tree = best_tree(information(states[:, 1:], sizes, states[:, 0], weights))
    others = {column.name: [columns[p].name] if p >= 0 else [] for column, p in zip(columns, tree, strict=True)}
    return {name: [CLASS, *others[name]] for name in others}
