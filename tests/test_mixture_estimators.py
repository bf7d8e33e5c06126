"""Mixtures as scikit-learn takes them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator
from test_mixtures import MIXED, rows_of

from tractable.estimators import BernoulliMixture, GaussianMixture, MixedMixture

ESTIMATORS = [
    GaussianMixture(2),
    GaussianMixture(2, covariance_type="tied"),
    BernoulliMixture(2, binarize=0.0),
    MixedMixture(2),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
@pytest.mark.filterwarnings("ignore")
def test_what_scikit_learn_asks_of_an_estimator(estimator):
    failed = [r for r in check_estimator(estimator, on_fail=None) if r["status"] not in ("passed", "skipped")]
    assert not failed


def test_mixed_columns_with_missing_entries():
    x = rows_of("mixed", 100, missing=0.2)
    found = MixedMixture(3, kinds=MIXED, random_state=0).fit(x)
    assert found.predict_proba(x).sum(1) == pytest.approx(1)
    filled = found.impute(x)
    assert not np.isnan(filled).any() and (filled[~np.isnan(x)] == x[~np.isnan(x)]).all()
    rows, labels = found.sample(7)
    assert rows.shape == (7, 5) and labels.shape == (7,) and np.isfinite(found.bic(x) + found.aic(x))


def test_as_good_as_scikit_learns():
    sklearn = pytest.importorskip("sklearn.mixture")
    x = rows_of("gaussian", 400)
    own = GaussianMixture(3, n_init=3, tol=1e-6, random_state=0).fit(x)
    peer = sklearn.GaussianMixture(3, n_init=3, tol=1e-6, max_iter=1000, random_state=0).fit(x)
    assert own.score(x) > peer.score(x) - 1e-2
    assert own.covariances_.shape == peer.covariances_.shape


@pytest.mark.filterwarnings("ignore")  # that the peer has not converged
@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_from_the_same_start_scikit_learns_attributes(kind):
    """The same parameters in, the same numbers out, by the same names."""
    sklearn = pytest.importorskip("sklearn.mixture")
    x = rows_of("gaussian", 300, seed=7)
    rng = np.random.default_rng(0)
    wide = {"full": [np.eye(3)] * 3, "tied": np.eye(3), "diag": np.ones((3, 3)), "spherical": np.ones(3)}[kind]
    start = {"weights_init": [0.2, 0.3, 0.5], "means_init": x[rng.choice(300, 3)], "precisions_init": wide}
    settings = {"covariance_type": kind, "tol": 0, "max_iter": 8, **start}
    own = GaussianMixture(3, prior=0, **settings).fit(x)
    peer = sklearn.GaussianMixture(3, reg_covar=0, **settings).fit(x)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        np.testing.assert_allclose(getattr(own, name), getattr(peer, name), rtol=1e-6, atol=1e-12, err_msg=name)
    assert own.n_iter_ == peer.n_iter_ and own.converged_ == peer.converged_
    assert own.aic(x) == pytest.approx(peer.aic(x)) and own.bic(x) == pytest.approx(peer.bic(x))
    np.testing.assert_allclose(own.score_samples(x), peer.score_samples(x), rtol=1e-8)
    np.testing.assert_array_equal(own.predict(x), peer.predict(x))
    assert own.lower_bounds_[:8] == pytest.approx(peer.lower_bounds_[:8], rel=1e-9)
    assert {"n_components", "covariance_type", "tol", "max_iter", "n_init", "warm_start"} <= {*own.get_params()}


@pytest.mark.filterwarnings("ignore:.*not converged")
def test_a_warm_start_goes_on():
    x = rows_of("gaussian", 100)
    twice = GaussianMixture(3, tol=0, max_iter=5, warm_start=True, random_state=0).fit(x).fit(x)
    once = GaussianMixture(3, tol=0, max_iter=10, random_state=0).fit(x)
    np.testing.assert_allclose(twice.means_, once.means_, rtol=1e-9)


def test_rows_count_as_often_as_their_weights_say():
    x, weights = rows_of("gaussian", 60), np.arange(60) % 3
    found = GaussianMixture(2, prior=0, random_state=0).fit(x, sample_weight=weights)
    again = GaussianMixture(2, prior=0, random_state=0).fit(np.repeat(x, weights, axis=0))
    np.testing.assert_allclose(found.means_, again.means_, rtol=1e-9)
    with pytest.raises(ValueError, match="zero"):
        GaussianMixture(2).fit(x, sample_weight=0 * weights)


def test_iterations_that_ran_out_are_said():
    with pytest.warns(ConvergenceWarning, match="GaussianMixture: EM has not converged in 1 iterations"):
        GaussianMixture(2, max_iter=1, tol=0).fit(rows_of("gaussian", 50))


@pytest.mark.filterwarnings("ignore:.*not converged")
def test_an_impossible_row_has_no_component():
    found = BernoulliMixture(1, prior=0).fit(np.array([[0, 0], [0, 1]]))
    assert found.predict(np.array([[0, 1], [1, 0]])).tolist() == [0, -1]
    assert found.score_samples(np.array([[1, 0]])).tolist() == [-np.inf]
