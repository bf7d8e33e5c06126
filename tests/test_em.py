"""EM on mixtures: its laws on every kind of emissions, scikit-learn's iterates, published figures, bad input."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
from data import DATA, needs_data
from test_mixtures import KINDS_AND_MIXED, MIXED, K, model_of, rows_of

import tractable as tr
from tractable.learning.em.exact import check_increase

SKLEARN = {"gaussian": "full", "tied": "tied", "diagonal": "diag", "spherical": "spherical"}


def start_of(kind: str, x: np.ndarray, key: int = 0) -> tr.Mixture:
    return tr.mixture(x, K, MIXED if kind == "mixed" else kind, key=key)


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("kind", KINDS_AND_MIXED)
def test_em_never_decreases_what_it_climbs(kind, missing):
    x = rows_of(kind, 120, seed=2, missing=missing)
    run = tr.fit(start_of(kind, x), x, tr.EM(tolerance=0), epochs=30)
    objective = np.array([step.objective for step in run.history])
    assert (np.diff(objective) > -1e-12 * np.abs(objective[1:])).all()
    assert objective[-1] > objective[0]
    for step in run.history:
        assert step.train.kind == "exact" and step.kl.value == 0 and step.elbo.value == step.train.value
    assert run.history[-1].train.value == pytest.approx(tr.log_likelihood(run.model, x).value, rel=1e-10)


APPROXIMATE = [tr.GeneralizedEM(posterior="hard"), tr.GeneralizedEM(posterior=2), tr.GeneralizedEM(rate=0.3)]


@pytest.mark.parametrize("learner", APPROXIMATE)
@pytest.mark.parametrize("kind", KINDS_AND_MIXED)
def test_generalized_em_climbs_the_elbo_and_its_identity_holds(kind, learner):
    x = rows_of(kind, 120, seed=2, missing=0.1)
    run = tr.fit(start_of(kind, x), x, learner, epochs=20)
    for step in run.history:
        assert step.elbo.value + step.kl.value == pytest.approx(step.train.value, abs=1e-8)
        assert step.kl.value >= -1e-12
    assert (np.diff([step.objective for step in run.history]) > -1e-10).all()


BLOCKWISE = [tr.IncrementalEM(n_blocks=5, tolerance=1e-9), tr.OnlineEM(batch_size=40, tolerance=0)]


@pytest.mark.parametrize("learner", BLOCKWISE)
def test_blocks_of_rows_lead_where_em_leads(learner):
    x = rows_of("bernoulli", 400, seed=4)
    begin = start_of("bernoulli", x)
    whole = tr.fit(begin, x, tr.EM(tolerance=1e-9), epochs=500).history[-1].train.value
    run = tr.fit(begin, x, learner, epochs=300)
    assert run.history[-1].train.value == pytest.approx(whole, abs=2e-2)
    assert run.history[-1].train.value > run.history[0].train.value


def test_the_first_pass_of_incremental_em_with_one_block_is_em():
    x = rows_of("gaussian", 100)
    begin = start_of("gaussian", x)
    one = tr.fit(begin, x, tr.IncrementalEM(n_blocks=1, tolerance=0), epochs=1).model
    two = tr.fit(begin, x, tr.EM(tolerance=0), epochs=2).model
    np.testing.assert_allclose(one.vector(), two.vector(), rtol=1e-10)


@pytest.mark.parametrize("n", [1, 4, 15])
@pytest.mark.parametrize("kind", SKLEARN)
def test_the_same_iterates_as_scikit_learn(kind, n):
    mixture = pytest.importorskip("sklearn.mixture")
    x = rows_of(kind, 300, seed=7)
    begin = start_of(kind, x)
    own = begin.free
    spread = own.variances if hasattr(own, "variances") else own.covariances
    precisions = np.linalg.inv(spread) if kind in ("gaussian", "tied") else 1 / spread
    options = {"reg_covar": 0, "tol": 0, "max_iter": n, "covariance_type": SKLEARN[kind]}
    options |= {"weights_init": begin.weights, "means_init": own.means, "precisions_init": precisions}
    peer = mixture.GaussianMixture(K, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        peer.fit(x)
    run = tr.fit(begin, x, tr.EM(prior=0, tolerance=0), epochs=n)
    found = run.model.free
    np.testing.assert_allclose(found.means, peer.means_, rtol=1e-8)
    spread = found.variances if hasattr(found, "variances") else found.covariances
    np.testing.assert_allclose(spread, peer.covariances_, rtol=1e-6)
    np.testing.assert_allclose(run.model.weights, peer.weights_, rtol=1e-8)
    assert run.history[-1].train.value == pytest.approx(peer.score(x), abs=1e-9)
    assert tr.bic(run.model, x).value == pytest.approx(peer.bic(x), rel=1e-9)
    assert tr.aic(run.model, x).value == pytest.approx(peer.aic(x), rel=1e-9)


def test_rows_that_count_twice_are_rows_there_twice():
    x = rows_of("mixed", 60, missing=0.1)
    begin, weights = start_of("mixed", x), np.r_[np.full(20, 2.0), np.zeros(10), np.ones(30)]
    again = np.concatenate([x[:20], x[:20], x[30:]])
    one = tr.fit(begin, x, tr.EM(prior=0, tolerance=0), epochs=10, weights=weights)
    two = tr.fit(begin, again, tr.EM(prior=0, tolerance=0), epochs=10)
    np.testing.assert_allclose(one.model.vector(), two.model.vector(), rtol=1e-7, atol=1e-12)
    assert one.history[-1].train.value == pytest.approx(two.history[-1].train.value, rel=1e-10)


def test_the_best_of_several_starts_is_kept_and_a_key_repeats_it():
    x = rows_of("bernoulli", 150)
    runs = [tr.fit(start_of("bernoulli", x), x, tr.EM(n_init=4), key=3) for _ in range(2)]
    assert runs[0].objectives == runs[1].objectives and len(runs[0].objectives) == 4
    assert runs[0].history[-1].objective == max(runs[0].objectives)
    assert (runs[0].model.vector() == runs[1].model.vector()).all()


@pytest.mark.parametrize("kind", KINDS_AND_MIXED)
@pytest.mark.parametrize("shape", ["one row", "one row thrice", "constant columns"])
def test_awkward_data_give_finite_numbers(kind, shape):
    x = rows_of(kind, 12)
    x = {"one row": x[:1], "one row thrice": x[[0, 0, 0]], "constant columns": np.repeat(x[:1], 12, 0)}[shape]
    run = tr.fit(start_of(kind, x), x, tr.EM(n_init=2), epochs=20)
    assert np.isfinite(run.model.vector()).all()
    assert np.isfinite(tr.log_likelihood(run.model, x).value)


@pytest.mark.parametrize("kind", SKLEARN)
def test_without_a_prior_a_component_on_one_row_is_an_error(kind):
    x = np.array([[0.0, 0.1], [0.2, 0.0], [0.1, 0.3], [9.0, 9.0]])[[0, 3, 3, 3]]
    with pytest.raises(tr.ModelError, match="collapsed"):
        tr.fit(tr.mixture(x, 2, kind), x, tr.EM(prior=0), epochs=50)


def test_a_decrease_is_an_error_that_says_so():
    history = tr.fit(model_of("bernoulli"), rows_of("bernoulli"), epochs=3).history
    with pytest.raises(tr.ModelError, match="the objective of EM fell by"):
        check_increase(history[-1], history[0])


def test_a_row_that_no_component_allows_is_an_error():
    model = tr.Mixture([1.0], tr.BernoulliEmissions([[1.0, 0.5]]))
    with pytest.raises(tr.ModelError, match="row 1 has probability zero"):
        tr.fit(model, [[1, 0], [0, 1]], tr.EM(prior=0))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda m, x: tr.fit(m, x[:0]), "no rows"),
        (lambda m, x: tr.fit(m, x[:, :1]), "1 columns, the model has 3"),
        (lambda m, x: tr.fit(m, x, weights=[1.0]), "weights must be 80"),
        (lambda m, x: tr.fit(m, x, weights=-np.ones(80)), "weights must be 80"),
        (lambda m, x: tr.fit(m, x, calback=print), "did you mean 'callback'"),
        (lambda m, x: tr.fit(m, x, tr.EM(n_init=0)), "n_init"),
        (lambda m, x: tr.fit(m, x, tr.EM(start="kmeans")), "did you mean 'k-means"),
        (lambda m, x: tr.fit(m, x, validation=x + 5), "validation: row 0"),
        (lambda m, x: tr.GeneralizedEM(rate=2), "rate"),
        (lambda m, x: tr.GeneralizedEM(posterior="soft"), "posterior"),
        (lambda m, x: tr.OnlineEM(decay=0.2), "decay"),
        (lambda m, x: tr.fit(m, x, tr.PersistentCD()), "take EM"),
    ],
)
def test_what_cannot_be_fitted_is_refused(make, words):
    with pytest.raises(tr.ModelError, match=words):
        make(model_of("bernoulli"), rows_of("bernoulli"))


@needs_data
def test_old_faithful():
    """Two eruptions, as in Hastie, Tibshirani & Friedman and in the manuals of mclust (its VVV model, G = 2)."""
    x = faithful()
    run = tr.fit(tr.mixture(x, 2, "gaussian"), x, tr.EM(prior=0, tolerance=1e-12), epochs=1000)
    order = np.argsort(run.model.free.means[:, 0])
    np.testing.assert_allclose(run.model.weights[order], [0.3558729, 0.6441271], atol=1e-4)
    np.testing.assert_allclose(run.model.free.means[order], [[2.036388, 54.478517], [4.289662, 79.968115]], rtol=1e-4)
    assert 272 * run.history[-1].train.value == pytest.approx(-1130.264, abs=1e-2)


def faithful() -> np.ndarray:
    assert DATA is not None
    return tr.read_data(DATA / "mixtures" / "faithful.csv")[:, -2:]


def test_em_needs_no_jax():
    code = """
import sys, tractable as tr
rows = [[0.0], [0.1], [5.0], [5.2]]
run = tr.fit(tr.mixture(rows, 2, "diagonal"), rows)
tr.log_likelihood(run.model, rows), tr.bic(run.model, rows), tr.infer(run.model, rows), tr.plan(run.model)
print({"jax", "sklearn", "pandas"} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_column_that_is_constant_up_to_rounding_has_a_variance():
    """The mean of weighted copies of one number may differ from it in the last digit."""
    x, weights = np.array([[0.1, -2.84033135], [1.4, np.nan], [1.9, -2.84033135], [0.3, np.nan]]), [3.0, 2.0, 4.0, 1.0]
    model = tr.Mixture([0.5, 0.5], tr.DiagonalGaussianEmissions([[0.0, 0.0], [2.0, 1.0]], np.ones((2, 2))))
    for data, w in ((x, weights), (np.repeat(x, np.array(weights, int), axis=0), None)):
        found = tr.fit(model, data, tr.EM(), weights=w, progress=False).model
        assert np.isfinite(found.vector()).all() and found.emissions.means[:, 1] == pytest.approx(-2.84033135)
