"""What newcomers bring to the estimators of machines: gray values, sparse matrices, weights, several kinds, labels."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import optax
import pytest
from sweep import some

import tractable as tr

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import BernoulliRBM
from sklearn.utils.estimator_checks import estimator_checks_generator

from tractable.estimators import (
    RestrictedBoltzmannClassifier,
    RestrictedBoltzmannMachine,
    SigmoidBeliefNetwork,
)
from tractable.learning.records import LearningWarning

RNG = np.random.default_rng(0)
GRAY = RNG.random((80, 5))
BITS = (GRAY > 0.5).astype(float)
QUICK: dict[str, Any] = {"epochs": 2, "batch_size": 20, "random_state": 0}


class TestGray:
    def test_real_columns_are_said_to_be_learned_as_such(self) -> None:
        with pytest.warns(LearningWarning, match="real numbers: they are learned as Gaussian units.*binarize=0.5"):
            RestrictedBoltzmannMachine(2, **QUICK).fit(GRAY)
        with warnings.catch_warnings(record=True) as caught:
            RestrictedBoltzmannMachine(2, units="gaussian", **QUICK).fit(GRAY)
        assert not any("real numbers" in str(one.message) for one in caught)

    def test_what_brings_gray_values_later_is_refused(self) -> None:
        fitted = RestrictedBoltzmannMachine(2, **QUICK).fit(BITS)
        for call in (fitted.transform, fitted.score_samples, fitted.impute, fitted.partial_fit):
            with pytest.raises(
                tr.ModelError, match=r"row 3, column 1: the value 0\.25 is not one .* gray values are cut"
            ):
                call(np.where(np.arange(400).reshape(80, 5) == 16, 0.25, BITS))

    def test_a_belief_network_cuts_nothing_in_silence(self) -> None:
        with pytest.raises(tr.ModelError, match="gray values are cut with binarize"):
            SigmoidBeliefNetwork(2, epochs=1).fit(GRAY)
        cut = SigmoidBeliefNetwork(2, epochs=1, random_state=0, binarize=0.5).fit(GRAY)
        assert np.array_equal(cut.score_samples(GRAY), cut.score_samples(BITS))

    @pytest.mark.parametrize("kind", [RestrictedBoltzmannMachine, SigmoidBeliefNetwork])
    def test_probabilities_are_drawn_row_by_row(self, kind: Any) -> None:
        fitted = kind(2, epochs=2, random_state=0, binarize="draw").fit(GRAY)
        scores = fitted.score_samples(GRAY)
        assert np.array_equal(scores[10:12], fitted.score_samples(GRAY[10:12]))
        every = (np.arange(32)[:, None] >> np.arange(5)) & 1
        assert np.exp(fitted.score_samples(every)).sum() == pytest.approx(1, abs=1e-6)  # 0 and 1 stay what they are
        with pytest.raises(tr.ModelError, match="is no probability"):
            kind(2, binarize="draw").fit(3 * GRAY)

    def test_features_are_those_at_the_probabilities(self) -> None:
        fitted = RestrictedBoltzmannMachine(2, binarize="draw", **QUICK).fit(GRAY)
        w, c = fitted.model_.couplings["visible", "hidden"], fitted.model_.fields["hidden"]
        expected = 1 / (1 + np.exp(-(GRAY @ np.asarray(w, float) + np.asarray(c, float))))
        assert fitted.transform(GRAY) == pytest.approx(expected, abs=1e-6)

    def test_features_serve_a_classifier_as_well_as_those_of_scikit_learn(self) -> None:
        rows, y = load_digits(return_X_y=True)
        rows = rows / 16

        def share(features: np.ndarray) -> float:
            return LogisticRegression(max_iter=1000).fit(features[:1300], y[:1300]).score(features[1300:], y[1300:])

        own = RestrictedBoltzmannMachine(32, binarize=0.5, random_state=0).fit(rows[:1300])
        theirs = BernoulliRBM(32, random_state=0).fit(rows[:1300])
        assert share(own.transform(rows)) >= share(theirs.transform(rows))


class TestSparse:
    @pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix, sparse.csr_array])
    def test_a_sparse_matrix_is_the_dense_one(self, form: Any) -> None:
        rows, model = form(BITS), tr.restricted(5, 2, couplings=RNG.normal(size=(5, 2)))
        assert np.array_equal(tr.free_energy(model, rows).value, tr.free_energy(model, BITS).value)
        assert np.array_equal(tr.transform(model, rows), tr.transform(model, BITS))
        learner = tr.ExactGradient(batch_size=20)
        found = [tr.fit(model, x, learner, epochs=1, weights=np.arange(80)).model for x in (rows, BITS)]
        assert np.array_equal(*(own.couplings["visible", "hidden"] for own in found))
        dense = RestrictedBoltzmannMachine(2, **QUICK).fit(BITS)
        own = RestrictedBoltzmannMachine(2, **QUICK).fit(rows)
        assert np.array_equal(own.transform(rows), dense.transform(BITS))
        assert np.array_equal(own.score_samples(rows), dense.score_samples(BITS))

    def test_other_families_take_one_too(self) -> None:
        rows = sparse.csr_matrix(BITS)
        mix = tr.mixture(BITS, 2, "bernoulli")
        assert np.array_equal(tr.transform(mix, rows), tr.transform(mix, BITS))
        net = tr.SigmoidBeliefNetwork([5, 2])
        assert float(tr.log_likelihood(net, rows)) == float(tr.log_likelihood(net, BITS))
        with pytest.raises(tr.ModelError, match=r"the value 0\.5 is not one of this unit"):
            tr.log_likelihood(net, 0.5 * rows)


def test_weights_of_rows_are_rows_that_are_there_so_often() -> None:
    weights = RNG.integers(0, 4, 80)
    how = {"algorithm": tr.ExactGradient(batch_size=400, learning_rate=0.3), "epochs": 40, "random_state": 0}
    one = RestrictedBoltzmannMachine(2, **how).fit(BITS, sample_weight=weights)
    two = RestrictedBoltzmannMachine(2, **how).fit(np.repeat(BITS, weights, axis=0))
    assert one.score_samples(BITS) == pytest.approx(two.score_samples(BITS), abs=1e-4)


def test_columns_of_several_kinds() -> None:
    rows = np.column_stack([BITS[:, 0], 1000 + 100 * GRAY[:, 0], BITS[:, 1]])
    fitted = RestrictedBoltzmannMachine(2, units="mixed", **QUICK).fit(rows)
    assert isinstance(fitted.model_.units["visible"], tr.Mixed)
    drawn = fitted.sample(200)
    assert {*drawn[:, 0]} <= {0, 1} and abs(drawn[:, 1].mean() - 1050) < 50
    gaps = np.where(RNG.random(rows.shape) < 0.2, np.nan, rows)
    assert not np.isnan(fitted.impute(gaps)).any()
    grid = np.linspace(400, 1700, 2000)
    every = [[a, x, b] for a in (0, 1) for b in (0, 1) for x in grid]
    assert np.exp(fitted.score_samples(np.array(every))).sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=1e-3)
    own = RestrictedBoltzmannMachine(2, units=tr.Mixed(tr.Bernoulli(1), tr.Gaussian(1), tr.Bernoulli(1)), **QUICK)
    assert np.isfinite(own.fit(rows).score(rows))
    with pytest.raises(tr.ModelError, match="units are for 2 columns, the data have 3"):
        RestrictedBoltzmannMachine(2, units=tr.Bernoulli(2)).fit(rows)


STOCHASTIC = dict.fromkeys(
    ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
    "batches are drawn: weights are as many rows in expectation alone",
)


CLASSIFIER = RestrictedBoltzmannClassifier(8, units="gaussian", n_iter=60, batch_size=10, random_state=0)
OF_MACHINES = {pair[1].func.__name__ for pair in estimator_checks_generator(RestrictedBoltzmannMachine(2))}
"""The machine without labels goes through these in `test_estimators.py`; here a sample of them is enough."""


def checks() -> list[Any]:
    listed = [(pair[1].func.__name__, pair[1]) for pair in estimator_checks_generator(CLASSIFIER)]
    own = [pair for pair in listed if pair[0] not in OF_MACHINES]
    chosen = some(own, len(own)) + some([pair for pair in listed if pair[0] in OF_MACHINES], 3)
    fails = {name: pytest.mark.xfail(reason=why) for name, why in STOCHASTIC.items()}
    return [pytest.param(check, id=name, marks=fails.get(name, ())) for name, check in chosen]


@pytest.mark.verify
@pytest.mark.parametrize("check", checks())
@pytest.mark.filterwarnings("ignore:all rows have the label")
def test_the_classifier_is_one_of_scikit_learn(check: Any) -> None:
    check(clone(CLASSIFIER))


class TestLabels:
    @pytest.mark.parametrize("algorithm", ["discriminative", "pcd"])
    def test_probabilities_are_those_of_the_machine(self, algorithm: str) -> None:
        y = np.array(["no", "yes"])[(BITS[:, 0] != BITS[:, 1]).astype(int)]
        found = RestrictedBoltzmannClassifier(3, algorithm=algorithm, **QUICK).fit(BITS, y)
        p = found.predict_proba(BITS)
        joint = np.array([tr.log_evidence(found.model_, np.append(BITS[4], k)).value for k in (0, 1)])
        assert p[4] == pytest.approx(np.exp(joint - np.logaddexp(*joint)), abs=1e-6)
        gaps = np.where(np.arange(5) == 2, np.nan, BITS)
        both = np.stack([np.where(np.arange(5) == 2, x, BITS[4]) for x in (0, 1)])
        joint = np.array([[tr.log_evidence(found.model_, np.append(row, k)).value for k in (0, 1)] for row in both])
        summed = np.logaddexp(*joint)
        assert found.predict_proba(gaps)[4] == pytest.approx(np.exp(summed - np.logaddexp(*summed)), abs=1e-6)
        assert {*found.predict(BITS)} <= {"no", "yes"} and found.transform(BITS).shape == (80, 3)

    def test_it_learns_what_no_linear_classifier_can(self) -> None:
        y = (BITS[:, 0] != BITS[:, 1]).astype(int)
        found = RestrictedBoltzmannClassifier(8, random_state=0).fit(BITS, y)
        assert found.score(BITS, y) == 1.0 and found.predict_proba(BITS)[np.arange(80), y].mean() > 0.8

    def test_gradients_are_those_of_the_conditional_likelihood(self) -> None:
        units = tr.Mixed(tr.Bernoulli(5), tr.Categorical(1, 2))
        w = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32)
        rows, rate = np.column_stack([BITS, BITS[:, 0] != BITS[:, 1]])[:9], 1e-3
        optimizer = optax.sgd(rate)
        learner = tr.Discriminative(batch_size=9, optimizer=optimizer, centred=False)
        how = {"visible_bias": np.full(7, 0.1), "hidden_bias": np.full(3, 0.2)}
        step = tr.fit(tr.restricted(units, 3, couplings=w, **how), rows, learner, epochs=1).model

        def objective(w: np.ndarray) -> float:
            model = tr.restricted(units, 3, couplings=w, **how)
            each = [np.column_stack([rows[:, :5], np.full(9, k)]) for k in (0, 1)]
            scores = -np.stack([tr.free_energy(model, x).value for x in each])
            return float((scores[rows[:, 5].astype(int), np.arange(9)] - np.logaddexp(*scores)).mean())

        for i, j in ((0, 0), (4, 2), (5, 1), (6, 0)):
            move = np.zeros((7, 3))
            move[i, j] = 1e-5
            slope = (objective(w + move) - objective(w - move)) / 2e-5
            taken = float(step.couplings["visible", "hidden"][i, j] - w[i, j]) / rate
            assert taken == pytest.approx(slope, abs=2e-3)

    def test_one_class_weights_and_sparse_rows(self) -> None:
        with pytest.warns(LearningWarning, match="all rows have the label same, and every row will be given it"):
            one = RestrictedBoltzmannClassifier(2, **QUICK).fit(BITS, np.full(80, "same"))
        assert {*one.predict(BITS)} == {"same"} and (one.predict_proba(BITS) == 1).all()
        y = (GRAY[:, 4] > 0.3).astype(int)
        heavy = RestrictedBoltzmannClassifier(2, **QUICK).fit(BITS, y, sample_weight=np.where(y, 0.0, 1.0))
        assert (heavy.predict(BITS) == 0).mean() > 0.95
        thin = RestrictedBoltzmannClassifier(2, **QUICK).fit(sparse.csr_matrix(BITS), y)
        assert np.array_equal(
            thin.predict_proba(BITS), RestrictedBoltzmannClassifier(2, **QUICK).fit(BITS, y).predict_proba(BITS)
        )

    def test_real_columns_of_flowers(self) -> None:
        rows, y = load_iris(return_X_y=True)
        found = RestrictedBoltzmannClassifier(8, units="gaussian", random_state=0).fit(rows[::2], y[::2])
        assert found.score(rows[1::2], y[1::2]) > 0.9

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: tr.restricted(5, 2), "labels are the last visible column: take Mixed"),
            (lambda: tr.deep([tr.Mixed(tr.Bernoulli(4), tr.Categorical(1, 2)), 3, 2]), "independent given the data"),
        ],
    )
    def test_what_has_no_label_is_said(self, make: Any, words: str) -> None:
        with pytest.raises(tr.ModelError, match=words):
            tr.fit(make(), BITS, tr.Discriminative(), epochs=1)
