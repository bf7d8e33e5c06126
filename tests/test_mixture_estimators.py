"""Mixtures as scikit-learn takes them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import check_estimator
from test_mixtures import MIXED, rows_of

from tractable.estimators import BernoulliMixture, GaussianMixture, MixedMixture

ESTIMATORS = [GaussianMixture(2), GaussianMixture(2, covariance_type="tied"), BernoulliMixture(2), MixedMixture(2)]


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
    assert found.sample(7).shape == (7, 5) and np.isfinite(found.bic(x) + found.aic(x))


def test_as_good_as_scikit_learns():
    sklearn = pytest.importorskip("sklearn.mixture")
    x = rows_of("gaussian", 400)
    own = GaussianMixture(3, n_init=3, tol=1e-6, random_state=0).fit(x)
    peer = sklearn.GaussianMixture(3, n_init=3, tol=1e-6, max_iter=1000, random_state=0).fit(x)
    assert own.score(x) > peer.score(x) - 1e-2
    assert own.covariances_.shape == peer.covariances_.shape
