"""Sigmoid belief networks as scikit-learn takes them, and their numbers against enumeration."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tractable as tr

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator

from tractable.estimators import DeepBeliefNetwork, HelmholtzMachine, SigmoidBeliefNetwork

EVERY = (np.arange(64)[:, None] >> np.arange(6)) & 1


LEFT_OUT = {"check_array_api_input", "check_n_features_in_after_fitting"}
"""The first is skipped; the second learns from pieces, for which steps of two more shapes would be compiled."""

DIFFERENT = {"check_parameters_default_constructible", "check_set_params", "check_transformer_general"}


def check(estimator: Any, names: Callable[[str], bool]) -> int:
    """Run scikit-learn's checks by their names; so many there were."""
    every: Any = estimator_checks_generator(estimator)
    return len([one(own) for own, one in every if names(one.func.__name__)])


def test_what_scikit_learn_asks_of_an_estimator() -> None:
    """Without an epoch: it takes rows of a dozen shapes, and a step would be compiled for each of them."""
    assert check(SigmoidBeliefNetwork(2, epochs=0, binarize=0.0), lambda name: name not in LEFT_OUT) > 40
    assert check(HelmholtzMachine(2, epochs=0, binarize=0.0), DIFFERENT.__contains__) > len(DIFFERENT)
    assert check(DeepBeliefNetwork(2, epochs=0, pretrain=0, binarize=0.0), DIFFERENT.__contains__) > len(DIFFERENT)


def patterns(n: int = 120, seed: int = 0) -> np.ndarray:
    """Rows of two patterns with a few bits flipped."""
    rng = np.random.default_rng(seed)
    both = np.array([[0, 0, 0, 1, 1, 1], [1, 1, 0, 0, 0, 1]])
    return (rng.random((n, 6)) < 0.05).astype(int) ^ both[rng.integers(0, 2, n)]


LEARNER = tr.ReweightedWakeSleep(learning_rate=0.03, batch_size=20)


def network(**settings: Any) -> SigmoidBeliefNetwork:
    """A network whose compiled step is that of all others here."""
    return SigmoidBeliefNetwork(3, **{"algorithm": LEARNER, "epochs": 60, "random_state": 1} | settings)


@pytest.fixture(scope="module")
def fitted() -> SigmoidBeliefNetwork:
    return network().fit(patterns())


def test_the_density_sums_to_one_and_has_learned(fitted: SigmoidBeliefNetwork) -> None:
    assert np.exp(fitted.score_samples(EVERY)).sum() == pytest.approx(1, abs=1e-9)
    p = patterns().mean(axis=0)
    independent = np.log(np.where(patterns(seed=1), p, 1 - p)).sum(axis=1).mean()
    assert fitted.score(patterns(seed=1)) > independent + 0.5


def test_the_score_never_changes(fitted: SigmoidBeliefNetwork) -> None:
    rows = patterns(seed=1)
    assert fitted.log_likelihood(rows).kind == "exact"
    assert pickle.loads(pickle.dumps(fitted)).score(rows) == fitted.score(rows)
    assert clone(fitted).fit(patterns()).score(rows) == fitted.score(rows)


def test_a_bound_is_below_and_repeats_itself(fitted: SigmoidBeliefNetwork, monkeypatch: Any) -> None:
    rows = patterns(seed=1)
    exact = fitted.score(rows)
    monkeypatch.setattr("tractable.evaluate.directed.LIKELIHOOD", 0.0)
    found = fitted.log_likelihood(rows)
    assert found.kind == "probabilistic" and found.samples == 1000
    assert found.lower < exact + 1e-6 and fitted.score(rows) == found.value == pytest.approx(exact, abs=0.02)


def test_what_is_missing_is_summed_out_and_imputed(fitted: SigmoidBeliefNetwork) -> None:
    row = np.array([[1, 1, np.nan, 0, 0, 1.0]])
    both = np.where(np.isnan(row), [[0], [1]], row)
    logs = fitted.score_samples(both)
    assert fitted.score_samples(row) == pytest.approx(np.logaddexp(*logs), abs=1e-9)
    whole = fitted.impute(row)
    assert whole[0, 2] == pytest.approx(1 / (1 + np.exp(logs[0] - logs[1])), abs=1e-9)
    assert np.array_equal(np.delete(whole, 2, axis=1), np.delete(row, 2, axis=1))
    with pytest.raises(ValueError, match=r"without NaN: fill the gaps with impute"):
        fitted.transform(row)


def test_features_and_what_they_say_of_the_columns(fitted: SigmoidBeliefNetwork) -> None:
    rows, model = patterns(), fitted.model_.generative
    exact = tr.infer(model, rows).marginals["hidden1"]
    assert fitted.transform(rows) == pytest.approx(exact, abs=1e-6)
    assert list(fitted.get_feature_names_out()) == [f"sigmoidbeliefnetwork{i}" for i in range(3)]
    assert np.abs(fitted.reconstruct(rows) - rows).mean() < np.abs(rows.mean(axis=0) - rows).mean()


def test_a_helmholtz_machine_says_what_its_recognition_network_guesses() -> None:
    machine = HelmholtzMachine([3, 2], n_tanh=4, epochs=0, random_state=0).fit(patterns())
    own = machine.model_.recognition
    w, b = ([np.asarray(a, float) for a in level] for level in (own.weights[0], own.biases[0]))
    first = 1 / (1 + np.exp(-(np.tanh(patterns() @ w[0] + b[0]) @ w[1] + b[1])))
    features = machine.transform(patterns())
    assert features.shape == (120, 5)
    assert features[:, :3] == pytest.approx(first, abs=1e-9)


def test_recognized_units_may_see_one_another() -> None:
    machine = HelmholtzMachine([3, 2], autoregressive=True, algorithm="jsa", epochs=3, random_state=0).fit(patterns())
    assert np.tril(machine.model_.recognition.within[0], -1).any()
    assert machine.transform(patterns()).shape == (120, 5)
    for one in (machine, HelmholtzMachine(2, algorithm="jsa")):
        with pytest.raises(tr.ModelError, match="rows that come in pieces have no numbers; use fit"):
            one.partial_fit(patterns())


def test_a_deep_belief_network_is_learned_layer_by_layer_and_then_as_a_whole() -> None:
    settings = {"algorithm": LEARNER, "pretrain": 30, "pretrain_rate": 0.1, "random_state": 1}
    first = DeepBeliefNetwork([4, 3], epochs=0, **settings).fit(patterns())
    whole = DeepBeliefNetwork([4, 3], epochs=60, **settings).fit(patterns())
    apart = np.log(patterns().mean(0)) @ patterns().T + np.log1p(-patterns().mean(0)) @ (1 - patterns().T)
    assert apart.mean() + 0.5 < first.score(patterns()) < whole.score(patterns())
    assert whole.log_likelihood(patterns()).kind == "exact"
    assert np.exp(whole.score_samples(EVERY)).sum() == pytest.approx(1, abs=1e-5)
    assert list(whole.get_feature_names_out())[-1] == "deepbeliefnetwork6"
    assert whole.sample(5).shape == (5, 6)
    assert clone(whole).fit(patterns()).score(patterns()) == whole.score(patterns())
    before = whole.score(patterns())
    assert whole.partial_fit(patterns(seed=1)).score(patterns()) != before
    assert DeepBeliefNetwork(3, epochs=0, pretrain=0).fit(patterns()).model_.sizes == (6, 3, 3)


def test_samples_have_the_density(fitted: SigmoidBeliefNetwork) -> None:
    drawn = fitted.sample(5000, random_state=3).astype(int)
    counts = np.bincount(drawn @ (1 << np.arange(6)), minlength=64) / len(drawn)
    assert np.abs(counts - np.exp(fitted.score_samples(EVERY))).max() < 5 * np.sqrt(0.25 / len(drawn))
    assert np.array_equal(fitted.sample(5), fitted.sample(5))


def test_pieces_are_learned_from_one_after_the_other() -> None:
    own, scores = network(), []
    for _ in range(2):
        for _ in range(30):
            own.partial_fit(patterns())
        scores.append(own.score(patterns(seed=1)))
    assert scores[0] < scores[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithm": "wake-slep"}, "did you mean 'wake-sleep'"),
        ({"n_hidden": [3, 0]}, "at least one, got 0"),
        ({"n_hidden": 10**13}, "PiB"),
        ({"binarize": None}, "the value 2.0 is not one of this unit"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SigmoidBeliefNetwork(**settings).fit(2.0 * patterns())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pretrain": -1}, "pretrain must be a whole number, zero or more, got pretrain=-1"),
        ({"pretrain_rate": float("nan")}, "pretrain_rate must be a finite number"),
        ({"learning_rate": float("nan"), "pretrain": 10**9}, "learning_rate must be a finite number"),
        ({"algorithm": tr.VariationalGradient(samples=1), "pretrain": 10**9}, "two or more, got samples=1"),
        ({"epochs": -1, "pretrain": 10**9}, "epochs must be a whole number, zero or more, got epochs=-1"),
    ],
)
def test_what_is_refused_is_refused_before_pretraining(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(tr.ModelError, match=words):
        network(**settings).fit(patterns())
