"""E-steps on one assignment alone, and what they leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable.posterior.verbs import expected_statistics


def chain(rng: np.random.Generator) -> tuple[Any, Any]:
    tables = tr.CategoricalEmissions([rng.dirichlet(np.ones(3), 2)])
    model = tr.HiddenMarkovModel(rng.dirichlet([1, 1]), rng.dirichlet([2, 2], 2), tables)
    return model, [rng.integers(0, 3, n) for n in (1, 5, 9)]


def lamps(rng: np.random.Generator) -> tuple[Any, Any]:
    emissions = tr.AdditiveGaussianEmissions([rng.normal(size=(2, 1)), 3 * rng.normal(size=(3, 1))], [[0.5]])
    starts, steps = zip(*((rng.dirichlet(np.ones(k)), rng.dirichlet(np.ones(k), k)) for k in (2, 3)), strict=True)
    return tr.FactorialHiddenMarkovModel(starts, steps, emissions), [rng.normal(size=(n, 1)) for n in (1, 4, 6)]


def sprinkler(rng: np.random.Generator) -> tuple[Any, Any]:
    tables = {"h": rng.dirichlet([1, 1]), "a": rng.dirichlet([1, 1], 2), "b": rng.dirichlet([1, 1, 1], (2, 2))}
    net = tr.BayesianNetwork({"h": "01", "a": "01", "b": "012"}, {"a": ["h"], "b": ["h", "a"]}, tables)
    rows = rng.integers(0, 2, (8, 2)).astype(float)
    rows[rng.random(rows.shape) < 0.3] = np.nan
    return net, {"a": rows[:, 0], "b": rows[:, 1]}


def mixed(rng: np.random.Generator) -> tuple[Any, Any]:
    own = tr.DiagonalGaussianEmissions(rng.normal(size=(3, 2)), np.ones((3, 2)))
    return tr.Mixture(rng.dirichlet(np.ones(3)), own), rng.normal(size=(12, 2))


FAMILIES = {"chain": chain, "factorial": lamps, "network": sprinkler, "mixture": mixed}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(5))
def test_q_is_on_the_most_probable_assignment(family: str, seed: int) -> None:
    """ELBO = log p(x, z*) of `most_probable`, KL = −log p(z* | x): the three add up, weighted too."""
    rng = np.random.default_rng(seed)
    model, x = FAMILIES[family](rng)
    data, best = model.check(x), np.atleast_1d(tr.most_probable(model, x).log_probability.value)
    log_p = tr.log_likelihood(model, x).per_row.value
    for weights in (None, rng.integers(0, 3, len(best)).astype(float)):
        w = np.ones(len(best)) if weights is None else weights
        found = expected_statistics(model, data, weights, "hard")
        np.testing.assert_allclose([found.log_likelihood, found.elbo], [w @ log_p, w @ best], rtol=1e-9)
        assert found.kl == pytest.approx(found.log_likelihood - found.elbo, abs=1e-9) and found.kl > -1e-12


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(4))
def test_the_elbo_never_falls(family: str, seed: int) -> None:
    model, x = FAMILIES[family](np.random.default_rng(seed))
    learner = tr.GeneralizedEM(posterior="hard", prior=1e-3 if family == "mixture" else None, tolerance=0)
    history = tr.fit(model, x, learner, epochs=15, progress=False).history
    objective = np.array([step.objective for step in history])
    assert (np.diff(objective) >= -1e-9 * np.abs(objective[1:])).all() and objective[-1] > objective[0]
    assert all(abs(step.elbo.value + step.kl.value - step.train.value) < 1e-8 for step in history)


def test_a_path_is_counted_as_it_is() -> None:
    """Viterbi training by hand: relative frequencies along the best paths."""
    model, x = chain(np.random.default_rng(3))
    paths = tr.most_probable(model, x).assignment["state"]
    first, counts, symbols = np.zeros(2), np.zeros((2, 2)), np.zeros((2, 3))
    for path, rows in zip(paths, x, strict=True):
        first[path[0]] += 1
        np.add.at(counts, (path[:-1], path[1:]), 1)
        np.add.at(symbols, (path, rows), 1)
    found = tr.fit(model, x, tr.GeneralizedEM(posterior="hard", prior=0), epochs=1, progress=False).model
    np.testing.assert_allclose(found.first, first / first.sum())
    for k in range(2):
        if counts[k].sum():
            np.testing.assert_allclose(found.transition[k], counts[k] / counts[k].sum())
        if symbols[k].sum():
            np.testing.assert_allclose(found.emissions.tables[0][k], symbols[k] / symbols[k].sum())


def test_an_impossible_sequence_is_named() -> None:
    never = tr.HiddenMarkovModel([1.0], [[1.0]], tr.CategoricalEmissions([[[1.0, 0.0]]]))
    learner = tr.GeneralizedEM(posterior="hard", prior=0)
    with pytest.raises(tr.ImpossibleEvidenceError, match="sequence 1 has probability zero from row 1 on"):
        tr.fit(never, [[0, 0], [0, 1]], learner, progress=False)
    assert tr.fit(never, [[0, 0], [0, 1]], learner, weights=[1, 0], progress=False).history[-1].train.value == 0
