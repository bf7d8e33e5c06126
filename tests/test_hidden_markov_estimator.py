"""Hidden Markov models as scikit-learn and hmmlearn users take them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import check_estimator

import tractable as tr
from tractable.estimators import HiddenMarkovModel


@pytest.mark.filterwarnings("ignore")
def test_what_scikit_learn_asks_of_an_estimator() -> None:
    found = check_estimator(HiddenMarkovModel(2), on_fail=None)
    assert not [r for r in found if r["status"] not in ("passed", "skipped")]


def test_sequences_and_what_is_asked_of_them() -> None:
    own = tr.DiagonalGaussianEmissions([[0.0, 0.0], [4.0, -4.0]], np.ones((2, 2)))
    truth, lengths = tr.HiddenMarkovModel([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]], own), [150, 50, 100]
    x = np.concatenate([tr.sample(truth, n, key=n) for n in lengths])
    x[3, 1] = np.nan
    found = HiddenMarkovModel(2, learner=tr.EM(n_init=2), random_state=0).fit(x, lengths=lengths)
    order = np.argsort(found.means_[:, 0])
    np.testing.assert_allclose(found.transmat_[order][:, order], truth.transition, atol=0.1)
    assert found.startprob_.sum() == pytest.approx(1)
    log_p, states = found.decode(x, lengths)
    assert (
        (states == found.predict(x, lengths)).all()
        and states.shape == (300,)
        and log_p < found.score(x, lengths=lengths)
    )
    proba = found.predict_proba(x, lengths)
    assert proba.sum(1) == pytest.approx(1) and (proba.argmax(1) == states).mean() > 0.97
    each = [found.score(part) for part in np.split(x, [150, 200])]
    assert sum(each) == pytest.approx(found.score(x, lengths=lengths), rel=1e-12)
    filled = found.impute(x, lengths)
    assert not np.isnan(filled).any() and (filled[~np.isnan(x)] == x[~np.isnan(x)]).all()
    rows, path = found.sample(7, random_state=1)
    assert rows.shape == (7, 2) and path.shape == (7,)
    n, k = found.model_.n_parameters, np.log(300)
    assert found.bic(x, lengths) - found.aic(x, lengths) == pytest.approx(n * (k - 2))
    with pytest.raises(tr.ModelError, match="sum to 4, but there are 300"):
        found.predict(x, lengths=[4])


def test_states_that_are_mixtures_and_mixed_columns() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=60), rng.integers(0, 3, 60)])
    found = HiddenMarkovModel(2, emissions={"gaussian": [0], "categorical": [1]}, n_parts=2, random_state=0).fit(x)
    assert isinstance(found.model_.emissions, tr.MixtureEmissions) and np.isfinite(found.score(x))
