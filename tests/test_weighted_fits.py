"""Rows that count more than once, or less, in learners by gradient: as rows that are there so often."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import tractable as tr

RNG = np.random.default_rng(0)
ROWS = RNG.integers(0, 2, (7, 4))
WEIGHTS = np.array([1, 2, 3, 0, 1, 2, 1])
MANY = np.repeat(ROWS, WEIGHTS, axis=0)
WHOLE = {"batch_size": 100, "learning_rate": 0.3}


def couplings(run: tr.Run) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves((run.model.fields, run.model.couplings))])


@pytest.mark.parametrize(
    "learner",
    [
        tr.ExactGradient(**WHOLE),
        tr.ExactGradient(**WHOLE, centred=False, sparsity=0.2, weight_decay=0.01, averaging=0.5),
        tr.PseudoLikelihood(**WHOLE),
    ],
)
def test_a_weight_is_as_many_rows(learner: tr.learning.Learner) -> None:
    """All rows in each step, and no chains: the same to rounding in single precision."""
    model = tr.restricted(4, 3, key=1)
    one = tr.fit(model, ROWS, learner, weights=WEIGHTS, epochs=40)
    two = tr.fit(model, MANY, learner, epochs=40)
    assert couplings(one) == pytest.approx(couplings(two), abs=2e-5)
    assert abs(couplings(one) - couplings(tr.fit(model, ROWS, learner, epochs=40))).max() > 0.02
    assert float(one.history[-1].train) == pytest.approx(float(two.history[-1].train), abs=1e-5)


def test_gaps_count_too() -> None:
    rows = np.where(RNG.random((7, 4)) < 0.2, np.nan, ROWS)
    learner, free = tr.ExactGradient(**WHOLE), tr.boltzmann(4, edges=[])
    fields = tr.fit(free, rows, learner, weights=WEIGHTS, epochs=1).model.fields["visible"]
    again = tr.fit(free, np.repeat(rows, WEIGHTS, axis=0), learner, epochs=1).model.fields["visible"]
    assert np.asarray(fields) == pytest.approx(np.asarray(again), abs=0.1)  # what is missing is drawn, row by row


def test_the_gradient_is_that_of_the_weighted_likelihood() -> None:
    """A small step without momentum follows finite differences of Σ w log p / Σ w, for weights that are no counts."""
    weights, rate, model = RNG.random(7) * 5, 1e-2, tr.restricted(4, 3, couplings=RNG.normal(size=(4, 3)))
    model = tr.restricted(4, 3, couplings=model.couplings["visible", "hidden"], visible_bias=RNG.normal(size=4))
    learner = tr.ExactGradient(batch_size=7, learning_rate=rate, momentum=0.0, centred=False, decay=False)
    found = tr.fit(model, ROWS, learner, weights=weights, epochs=1, live=0.0).model
    step = (np.asarray(found.couplings["visible", "hidden"]) - model.couplings["visible", "hidden"]) / rate

    def objective(w: np.ndarray) -> float:
        bias = {"visible_bias": model.fields["visible"], "hidden_bias": found.fields["hidden"] * 0 + begun}
        moved = tr.restricted(4, 3, couplings=w, **bias)
        return float(np.average(tr.log_likelihood(moved, ROWS).per_row.value, weights=weights))

    begun = np.asarray(tr.fit(model, ROWS, learner, weights=weights, epochs=0).model.fields["hidden"], np.float64)
    w, eps = np.asarray(model.couplings["visible", "hidden"], np.float64), 1e-5
    for i, j in ((0, 0), (2, 1), (3, 2)):
        move = np.zeros_like(w)
        move[i, j] = eps
        slope = (objective(w + move) - objective(w - move)) / (2 * eps)
        assert step[i, j] == pytest.approx(slope, abs=1e-4)


LAYERED = [
    tr.ReweightedWakeSleep(batch_size=20, samples=5),
    tr.WakeSleep(batch_size=20),
    tr.JointStochasticApproximation(batch_size=20),
    tr.VariationalGradient(estimator="vimco", batch_size=20),
    tr.VariationalGradient(estimator="disarm", batch_size=20),
]


@pytest.mark.parametrize("learner", LAYERED, ids=lambda own: getattr(own, "estimator", type(own).__name__))
def test_learners_with_a_recognition_network_see_weights(learner: tr.learning.Learner) -> None:
    """A network of one unit that tells two patterns apart: columns are on as often as the weights say."""
    rows = np.repeat([[0, 0, 0], [1, 1, 1]], 50, axis=0)
    weights = np.repeat([4.0, 1.0], 50)
    learner = replace(learner, learning_rate=0.05, averaging=0.5)
    net = tr.fit(tr.SigmoidBeliefNetwork([3, 1]), rows, learner, weights=weights, epochs=100, live=0.0).model
    every = (np.arange(8)[:, None] >> np.arange(3)) & 1
    means = np.exp(np.asarray(tr.log_evidence(net, every).value)) @ every
    assert means == pytest.approx([0.2] * 3, abs=0.05)


@pytest.mark.parametrize("learner", [tr.PersistentCD, tr.ContrastiveDivergence, tr.FastPersistentCD, tr.TemperedPCD])
def test_learners_with_chains_see_weights(learner: type[tr.PersistentCD]) -> None:
    rows = np.repeat([[0, 0, 0], [1, 1, 1]], 50, axis=0)
    weights = np.repeat([4.0, 1.0], 50)
    own = learner(batch_size=20, learning_rate=0.2, averaging=0.5)
    model = tr.fit(tr.boltzmann(3, edges=[]), rows, own, weights=weights, epochs=100, live=0.0).model
    assert 1 / (1 + np.exp(-np.asarray(model.fields["visible"]))) == pytest.approx([0.2] * 3, abs=0.05)


def test_layerwise_takes_them_and_a_checkpoint_belongs_to_them(tmp_path: Path) -> None:
    layers = tr.Layerwise(machine=tr.PersistentCD(batch_size=4))
    deep = tr.fit(tr.deep([4, 3, 2]), ROWS, layers, weights=WEIGHTS, epochs=1)
    assert len(deep.history) == 2
    how = {"checkpoint": str(tmp_path / "c"), "epochs": 1}
    tr.fit(tr.restricted(4, 2), ROWS, weights=WEIGHTS, **how)
    with pytest.raises(tr.FormatError):
        tr.fit(tr.restricted(4, 2), ROWS, weights=WEIGHTS + 1, resume=True, **how)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.ones(3), "weights must be 7 numbers, one for each row; got the shape"),
        (-WEIGHTS, "row 0: weights must be 7 finite numbers ≥ 0, got -1"),
        (np.zeros(7), "not all zero"),
        ([np.inf] * 7, "weights must be 7 finite numbers"),
        ("many", "weights must be 7 numbers"),
    ],
)
def test_what_cannot_be_is_said(weights: object, words: str) -> None:
    with pytest.raises(tr.ModelError, match=words):
        tr.fit(tr.restricted(4, 2), ROWS, weights=weights)
