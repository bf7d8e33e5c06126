"""Hidden Markov models as scikit-learn and hmmlearn users take them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning
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
    kinds = {"gaussian": [0], "categorical": [1]}
    found = HiddenMarkovModel(2, emissions=kinds, n_parts=2, tol=1e-2, random_state=0).fit(x)
    assert isinstance(found.model_.emissions, tr.MixtureEmissions) and np.isfinite(found.score(x))


def two_regimes(seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(120, 2))
    x[60:] += 3
    return x


def test_lengths_come_second_by_their_name_or_as_a_list() -> None:
    x = two_regimes()
    found, halves = HiddenMarkovModel(2, random_state=0).fit(x, [60, 60]), [x[:60], x[60:]]
    apart = sum(found.score(part) for part in halves)
    for given in ((x, [60, 60]), (x, None, [60, 60]), (halves,), (tr.Sequences(x, [60, 60]),), (x, np.array([60, 60]))):
        assert found.score(*given) == pytest.approx(apart, rel=1e-12)
        again = HiddenMarkovModel(2, random_state=0).fit(*given)
        np.testing.assert_array_equal(again.transmat_, found.transmat_)
    labels = np.repeat([0, 1], 60)
    assert found.score(x, labels) == found.score(x) != apart  # one for each row: ignored, as everywhere in scikit-learn
    np.testing.assert_array_equal(found.predict(halves), found.predict(x, [60, 60]))
    assert [part.shape for part in found.impute(halves)] == [(60, 2)] * 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (([60, 70],), r"they sum to 130, but there are 120 rows\), or labels"),
        ((np.zeros(119, int),), "they sum to 0, but there are 120 rows"),
        ((["a", "b"],), r"got \['a', 'b'\]"),
        ((None, np.repeat([0, 1], 60)), "sequence 0 is empty"),
    ],
)
def test_what_are_no_lengths(given: tuple, said: str) -> None:
    x = two_regimes()
    found = HiddenMarkovModel(2, random_state=0).fit(x)
    for verb in (found.fit, found.score):
        with pytest.raises(tr.ModelError, match=said):
            verb(x, *given)
    with pytest.raises(tr.ModelError, match="cut already"):
        found.score([x[:60], x[60:]], [60, 60])
    with pytest.raises(tr.ModelError, match="differ in the number of columns: 1, 2"):
        found.fit([x[:60], x[60:, :1]])
    with pytest.raises(tr.ModelError, match="take x"):
        found.fit([x[:60, 0], x[60:63, 0]])


def test_tables_in_a_list() -> None:
    pd = pytest.importorskip("pandas")
    x = two_regimes()
    days = pd.DataFrame({"t": x[:, 0], "sky": pd.Categorical(np.where(x[:, 1] > 1, "sun", "rain"))})
    found, parts = HiddenMarkovModel(2, emissions="auto", random_state=0).fit(days, [60, 60]), [days[:60], days[60:]]
    again = HiddenMarkovModel(2, emissions="auto", random_state=0).fit(parts)
    assert again.score(days, [60, 60]) == found.score(parts) == found.score(days, [60, 60])
    assert list(found.impute(parts)[1].columns) == ["t", "sky"]


def test_a_sequence_counts_as_often_as_its_weight_says() -> None:
    x, start = two_regimes(), {"means_init": [[0, 0], [3, 3]], "covars_init": np.ones((2, 2)), "prior": 0}
    twice = HiddenMarkovModel(2, **start).fit([x[:60], x[60:], x[60:]])
    for weights in ([1, 2], np.repeat([1, 2], 60)):
        found = HiddenMarkovModel(2, **start).fit(x, [60, 60], weights=weights)
        np.testing.assert_allclose(found.means_, twice.means_, rtol=1e-4)
    for weights, said in (([0, 0], "not all zero"), ([1, 2, 3], "one for each of 2"), (np.arange(120), "sequence 0")):
        with pytest.raises(tr.ModelError, match=said):
            HiddenMarkovModel(2).fit(x, [60, 60], weights=weights)


@pytest.mark.filterwarnings("ignore:.*not converged")
@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_covariances_by_the_names_of_hmmlearn(kind: str) -> None:
    x = two_regimes()
    peer = pytest.importorskip("hmmlearn.hmm").GaussianHMM(
        2, kind, n_iter=5, tol=0, init_params="", params="stmc", covars_prior=0, covars_weight=0
    )
    peer.startprob_, peer.transmat_ = np.array([0.5, 0.5]), np.array([[0.75, 0.25], [0.25, 0.75]])
    peer.means_ = np.array([[0.0, 0.0], [3.0, 3.0]])
    wide = {"full": [np.eye(2)] * 2, "tied": np.eye(2), "diag": np.ones((2, 2)), "spherical": np.ones(2)}[kind]
    peer.covars_ = np.array(wide)
    own = HiddenMarkovModel(2, covariance_type=kind, means_init=peer.means_, covars_init=wide, prior=0, tol=0, n_iter=5)
    own.set_params(startprob_init=peer.startprob_, transmat_init=peer.transmat_).fit(x, [60, 60])
    peer.fit(x, [60, 60])
    for name in (
        "startprob_",
        "transmat_",
        "means_",
        *(["covars_"] if kind != "spherical" else []),
    ):  # has shape [4, 2, 2]
        np.testing.assert_allclose(getattr(own, name), getattr(peer, name), rtol=1e-6, atol=1e-9, err_msg=name)
    assert own.score(x, [60, 60]) == pytest.approx(peer.score(x, [60, 60]), rel=1e-8)
    with pytest.raises(tr.ModelError, match="did you mean 'diag'"):
        HiddenMarkovModel(2, covariance_type="diagonal").fit(x)


def test_emissions_by_the_names_of_hmmlearn() -> None:
    rng = np.random.default_rng(0)
    counts, symbols = rng.poisson(3, (50, 1)), rng.integers(0, 4, (50, 1))
    found = HiddenMarkovModel(2, emissions="poisson", tol=1e-2, random_state=0).fit(counts)
    np.testing.assert_array_equal(found.lambdas_, found.means_)
    table = HiddenMarkovModel(2, emissions="categorical", tol=1e-2, random_state=0).fit(symbols).emissionprob_
    assert table.shape == (2, 4) and table.sum(1) == pytest.approx(1)
    with pytest.raises(AttributeError, match="no covars_: the emissions are poisson"):
        _ = found.covars_


def test_where_it_begins_is_given() -> None:
    x, ones = two_regimes(), np.ones((2, 2))
    own = tr.DiagonalGaussianEmissions([[0.0, 0.0], [3.0, 3.0]], ones)
    a = HiddenMarkovModel(2, emissions=own, max_iter=0, tol=0)
    b = HiddenMarkovModel(
        2, means_init=own.means, covars_init=ones, startprob_init=[1, 0], transmat_init=[[0.9, 0.1], [0, 1]]
    )
    with pytest.warns(ConvergenceWarning, match="has not converged in 0 iterations"):
        np.testing.assert_array_equal(a.fit(x).means_, own.means)
    assert b.fit(x).transmat_[1].tolist() == [0, 1]
    left = HiddenMarkovModel(2, emissions=own, topology="left-right").fit(x, [60, 60])
    assert left.transmat_[1].tolist() == [0, 1] and left.startprob_.tolist() == [1, 0]
    chain = HiddenMarkovModel(3, topology="left-right", random_state=0).fit(x, [60, 60]).transmat_
    assert not np.tril(chain, -1).any() and chain[0, 2] == 0
    for wrong, said in (
        ({"emissions": own, "n_components": 3}, "have 2 states, n_components is 3"),
        ({"emissions": "poisson", "means_init": ones}, "Gaussian emissions, these are poisson"),
        ({"topology": "leftright"}, "did you mean 'left-right'"),
    ):
        with pytest.raises(tr.ModelError, match=said):
            HiddenMarkovModel(**{"n_components": 2, **wrong}).fit(np.abs(x).round())


def test_iterations_by_either_name_and_a_warm_start() -> None:
    x = two_regimes()
    with pytest.warns(ConvergenceWarning, match="2 iterations"):
        first = HiddenMarkovModel(2, n_iter=2, tol=0, warm_start=True, random_state=0).fit(x)
        assert first.n_iter_ == 2 and first.fit(x).score(x) > HiddenMarkovModel(**first.get_params()).fit(x).score(x)


def test_a_state_with_one_row_has_a_variance() -> None:
    x = two_regimes()
    x[30] = 50.0
    found = HiddenMarkovModel(3, random_state=0).fit(x)
    rare = np.bincount(found.predict(x)).argmin()
    assert np.bincount(found.predict(x))[rare] == 1
    assert np.diag(found.covars_[rare]).min() > 1e-3 * x.var(0).min()
    many = HiddenMarkovModel(20, tol=1e-2, random_state=0).fit(x[:40])
    assert many.score(two_regimes(1)[:60]) > -1e5  # 40 rows in 20 states: −3.5 million without
