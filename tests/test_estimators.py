"""The estimators as scikit-learn sees them, and their numbers against enumeration."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import tractable as tr

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from tractable.estimators import DeepBoltzmannMachine, RestrictedBoltzmannMachine

STOCHASTIC = dict.fromkeys(
    ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
    "batches are drawn: weights are as many rows in expectation alone",
)


@pytest.mark.usefixtures("no_yardstick")
@parametrize_with_checks([RestrictedBoltzmannMachine(2, epochs=1)], expected_failed_checks=lambda _: STOCHASTIC)
def test_scikit_learn_takes_it_for_an_estimator(estimator, check):
    check(estimator)


FEW = {
    "check_parameters_default_constructible",
    "check_set_params",
    "check_no_attributes_set_in_init",
    "check_n_features_in",
}
"""Deep machines pass every check; what they share with the restricted one is checked there."""


def test_deep_machines_are_estimators_too():
    estimator = DeepBoltzmannMachine(2, epochs=1, random_state=0)
    checks: Any = estimator_checks_generator(estimator)
    for own, check in checks:
        if check.func.__name__ in FEW:
            check(own)
    rows = patterns().astype(float)
    rows[3, 2] = np.nan
    fitted = estimator.fit(rows)
    assert fitted.transform(rows).shape == (120, 4)
    assert not np.isnan(fitted.impute(rows)).any()
    assert np.exp(fitted.score_samples(EVERY)).sum() == pytest.approx(1, abs=1e-5)


def patterns(n=120, seed=0):
    """Rows of two patterns with a few bits flipped."""
    rng = np.random.default_rng(seed)
    return (
        np.where(rng.random((n, 6)) < 0.05, 1, 0)
        ^ np.array([[0, 0, 0, 1, 1, 1], [1, 1, 0, 0, 0, 1]])[rng.integers(0, 2, n)]
    )


EVERY = (np.arange(64)[:, None] >> np.arange(6)) & 1


@pytest.fixture(scope="module")
def fitted():
    """A machine that can be enumerated, fitted to rows of which some entries are missing."""
    rows = patterns().astype(float)
    rows[::7, 2] = np.nan
    return machine().fit(rows)


def machine(**settings):
    """A machine whose compiled step is that of all others here."""
    given = {"epochs": 200, "batch_size": 20, "learning_rate": 0.5, "random_state": 1}
    return RestrictedBoltzmannMachine(3, **{**given, **settings})


@pytest.fixture(scope="module")
def real():
    """Real-valued columns on scales far apart, and far from zero."""
    rows = load_iris().data * [1, 100, 1, 1e-3] + [0, 0, 1e4, 0]
    return RestrictedBoltzmannMachine(3, epochs=30, batch_size=10, random_state=0).fit(rows), rows


class TestDensity:
    def test_it_sums_to_one_and_has_learned(self, fitted):
        assert np.exp(fitted.score_samples(EVERY)).sum() == pytest.approx(1, abs=1e-9)
        independent = patterns().mean(axis=0)
        baseline = np.log(np.where(patterns(seed=1), independent, 1 - independent)).sum(axis=1).mean()
        assert fitted.score(patterns(seed=1)) > baseline + 0.5

    def test_the_score_is_the_certified_mean_of_the_rows_and_never_changes(self, fitted):
        rows = patterns(seed=1)
        found = fitted.log_likelihood(rows)
        assert found.kind == "exact" and found.lower <= found.value <= found.upper
        assert fitted.score(rows) == fitted.score(rows) == pytest.approx(found.value, abs=1e-9)
        assert fitted.score(rows) == pytest.approx(fitted.score_samples(rows).mean(), abs=1e-12)
        again = pickle.loads(pickle.dumps(fitted))
        assert again.score(rows) == fitted.score(rows)

    def test_what_is_missing_is_summed_out(self, fitted):
        row = np.array([[1, 1, np.nan, 0, 0, 1.0]])
        both = fitted.score_samples(np.where(np.isnan(row), [[0], [1]], row))
        assert fitted.score_samples(row) == pytest.approx(np.logaddexp(*both), abs=1e-9)

    def test_real_columns_have_a_density_in_their_own_units(self, real):
        """The density of a column integrates to one; and columns times ten have a tenth of it in each."""
        found, rows = real
        low, high = rows[:, 1].min() - 5 * rows[:, 1].std(), rows[:, 1].max() + 5 * rows[:, 1].std()
        cases = np.full((60, 4), np.nan)
        cases[:, 1] = np.linspace(low, high, 60)
        assert np.exp(found.score_samples(cases)).sum() * (high - low) / 59 == pytest.approx(1, abs=1e-3)
        scaled = clone(found).fit(rows * 10)
        assert scaled.score(rows * 10) == pytest.approx(found.score(rows) - 4 * np.log(10), abs=1e-3)

    def test_it_describes_real_columns_better_than_independent_normal_ones(self, real):
        found, rows = real
        deviation = rows.std(axis=0)
        independent = -0.5 * (np.log(2 * np.pi * deviation**2) + 1).sum()
        assert found.score(rows) > independent + 0.5


class TestFeatures:
    def test_transform_is_the_sigmoid(self, fitted):
        rows, w = patterns(), fitted.model_.couplings["visible", "hidden"]
        theta = rows @ np.asarray(w, float) + np.asarray(fitted.model_.fields["hidden"], float)
        assert fitted.transform(rows) == pytest.approx(1 / (1 + np.exp(np.negative(theta))), abs=1e-9)

    def test_missing_entries_give_the_average_over_them(self, fitted):
        row = np.array([[1, 1, np.nan, 0, 0, 1.0]])
        both = np.where(np.isnan(row), [[0], [1]], row)
        weights = np.exp(fitted.score_samples(both))
        expected = weights / weights.sum() @ fitted.transform(both)
        assert fitted.transform(row)[0] == pytest.approx(expected, abs=1e-9)

    def test_reconstruction_goes_there_and_back(self, fitted, real):
        rows = patterns()
        assert fitted.reconstruct(rows) == pytest.approx(fitted.inverse_transform(fitted.transform(rows)), abs=1e-9)
        assert np.abs(fitted.reconstruct(rows) - rows).mean() < np.abs(rows.mean(axis=0) - rows).mean()
        found, rows = real
        back = found.inverse_transform(found.transform(rows))
        assert back == pytest.approx(found.reconstruct(rows), rel=1e-9)
        assert (back - rows).var(axis=0).sum() < rows.var(axis=0).sum()

    def test_names_of_the_features(self, fitted):
        assert list(fitted.get_feature_names_out()) == [f"restrictedboltzmannmachine{i}" for i in range(3)]


class TestSamples:
    def test_samples_have_the_density(self, fitted):
        drawn = fitted.sample(5000, random_state=3).astype(int)
        counts = np.bincount(drawn @ (1 << np.arange(6)), minlength=64) / len(drawn)
        p = np.exp(fitted.score_samples(EVERY))
        assert np.abs(counts - p).max() < 5 * np.sqrt(0.25 / len(drawn))
        assert np.array_equal(fitted.sample(5), fitted.sample(5))

    def test_real_samples_are_in_the_units_of_the_data(self, real):
        found, rows = real
        drawn = found.sample(2000, random_state=0)
        error = rows.std(axis=0) * (1 / np.sqrt(2000) + 0.2)  # of the sample, and of so short a fit
        assert (np.abs(drawn.mean(axis=0) - rows.mean(axis=0)) < 5 * error).all()

    def test_imputed_entries_are_posterior_means(self, fitted):
        row = np.array([[1, 1, np.nan, 0, 0, 1.0]])
        both = np.where(np.isnan(row), [[0], [1]], row)
        weights = np.exp(fitted.score_samples(both))
        whole = fitted.impute(row)
        assert whole[0, 2] == pytest.approx(weights[1] / weights.sum(), abs=1e-9)
        assert np.array_equal(np.delete(whole, 2, axis=1), np.delete(row, 2, axis=1))


class TestLearning:
    def test_pieces_are_learned_from_one_after_the_other(self):
        machine = RestrictedBoltzmannMachine(3, batch_size=20, random_state=1)
        rows = patterns()
        scores = []
        for _ in range(2):
            for _ in range(75):
                machine.partial_fit(rows)
            scores.append(machine.score(patterns(seed=1)))
        independent = patterns().mean(axis=0)
        baseline = np.log(np.where(patterns(seed=1), independent, 1 - independent)).sum(axis=1).mean()
        assert baseline < scores[0] < scores[1]

    def test_a_learner_of_the_library_is_an_algorithm(self, fitted):
        given = RestrictedBoltzmannMachine(
            3, algorithm=tr.PersistentCD(batch_size=20, learning_rate=0.5), epochs=200, random_state=1
        )
        rows = patterns().astype(float)
        rows[::7, 2] = np.nan
        assert np.array_equal(given.fit(rows).score_samples(EVERY), fitted.score_samples(EVERY))

    def test_grey_values_are_binarized_or_real(self):
        grey = load_digits().data[:120, 20:26] / 16
        cut = machine(epochs=1, binarize=0.5).fit(grey)
        assert repr(cut.model_).startswith("Boltzmann(6 Bernoulli") and cut.scale_ is None
        assert np.array_equal(cut.transform(grey), cut.transform((grey > 0.5).astype(float)))
        with pytest.raises(ValueError, match=r"row 0, column \d: the value 0\.\d+ is not one of this unit: 0 or 1"):
            RestrictedBoltzmannMachine(2, units="bernoulli").fit(grey)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"algorithm": "pcdd"}, "did you mean 'pcd'"),
            ({"n_hidden": 10**13}, "PiB"),
            ({"units": "bernouli"}, "did you mean 'bernoulli'"),
        ],
    )
    def test_bad_settings(self, settings, message):
        with pytest.raises(ValueError, match=message):
            RestrictedBoltzmannMachine(**settings).fit(patterns())

    @pytest.mark.parametrize("bad", [np.inf, -np.inf])
    def test_infinite_entries_are_refused(self, bad):
        with pytest.raises(ValueError, match=r"[Ii]nfinity"):
            RestrictedBoltzmannMachine(2).fit(np.array([[0.0, 1.0], [bad, 0.5]]))

    def test_rows_without_an_entry_are_refused(self):
        with pytest.raises(ValueError, match="row 1: every entry is missing"):
            RestrictedBoltzmannMachine(2).fit(np.array([[0.0, 1.0], [np.nan, np.nan]]))


def test_in_a_pipeline():
    """Features of rows of two patterns tell them apart."""
    rows = patterns().astype(float)
    model = make_pipeline(machine(), LogisticRegression())
    assert model.fit(rows, rows[:, 3]).score(rows, rows[:, 3]) > 0.9
