"""EM for hidden Markov models: monotone, constraints kept, and the same iterates as a plain computation of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chains_oracle import enumerate_paths

import tractable as tr

KINDS = ("bernoulli", "categorical", "poisson", "gaussian", "tied", "diagonal", "spherical")
LEFT_RIGHT = np.array([[0.6, 0.4, 0], [0, 0.7, 0.3], [0, 0, 1.0]])


def data_of(kind: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Short sequences in two regimes, some entries missing."""
    parts = []
    for n in (12, 1, 30, 7):
        level = np.repeat(rng.integers(0, 2, n // 3 + 1), 3)[:n, None]
        x = rng.normal(size=(n, 2)) + 3 * level
        x = {"bernoulli": x > 1, "categorical": np.clip(np.round(x), 0, 3), "poisson": np.maximum(np.round(x), 0)}.get(
            kind, x
        )
        x = np.asarray(x, np.float64)
        x[rng.random(x.shape) < 0.1] = np.nan
        parts.append(x)
    return parts


def fitted(model: tr.HiddenMarkovModel, data: object, epochs: int = 15, **settings: object) -> tr.EMRun:
    return tr.fit(model, data, tr.EM(tolerance=0, **settings), epochs=epochs, progress=False)


@pytest.mark.parametrize("start", ["free", "stationary"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_objective_never_falls(kind: str, start: str) -> None:
    data = data_of(kind, np.random.default_rng(5))
    model = tr.hidden_markov(data, 3, kind, key=1)
    if start == "stationary":
        model = tr.HiddenMarkovModel("stationary", model.transition, model.emissions)
    run = fitted(model, data)
    objective = np.array([record.objective for record in run.history])
    assert len(objective) > 3 and np.diff(objective).min() >= -1e-12 and objective[-1] > objective[0] + 1e-3
    assert all(r.kl and r.elbo and r.kl.value == 0 and r.elbo.value == r.train.value for r in run.history)
    if start == "stationary":
        np.testing.assert_allclose(run.model.first @ run.model.transition, run.model.first, atol=1e-12)


def emissions_of(kind: str, begin: dict[str, Any]) -> Any:
    if kind == "categorical":
        return tr.CategoricalEmissions([np.array(begin["table"])])
    spread, means = np.array(begin[kind]), np.array(begin["means"])
    return {
        "spherical": lambda: tr.SphericalGaussianEmissions(means, spread),
        "diag": lambda: tr.DiagonalGaussianEmissions(means, spread),
        "full": lambda: tr.GaussianEmissions(means, spread),
        "tied": lambda: tr.TiedGaussianEmissions(means, spread),
    }[kind]()


@pytest.mark.parametrize("kind", ["categorical", "spherical", "diag", "full", "tied"])
def test_iterates_are_those_of_hmmlearn(kind: str) -> None:
    """The parameters it has after five iterations, from the same start."""
    file = json.loads(Path(__file__).with_name("hmmlearn_iterates.json").read_text())
    begin, after = file["begin"], file["after"][kind]
    rows = np.array(file["symbols" if kind == "categorical" else "rows"]).reshape(120, -1)
    data = np.split(rows, np.cumsum(file["lengths"])[:-1])
    model = tr.HiddenMarkovModel(begin["start"], begin["transition"], emissions_of(kind, begin))
    run = fitted(model, data, 5, prior=0)
    found: Any = run.model
    assert run.history[-1].train.value * 3 == pytest.approx(after["score"], rel=1e-9)
    np.testing.assert_allclose(found.first, after["start"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.transition, after["transition"], rtol=0, atol=1e-8)
    if kind == "categorical":
        np.testing.assert_allclose(found.emissions.tables[0], after["table"], rtol=0, atol=1e-8)
        return
    np.testing.assert_allclose(found.emissions.means, after["means"], rtol=0, atol=1e-7)
    arrays, spread = found.emissions.arrays(), np.array(after["spread"])
    own = arrays["covariances"] if "covariances" in arrays else arrays["variances"]
    np.testing.assert_allclose(own, spread[:, 0] if kind == "spherical" else spread, rtol=0, atol=1e-7)


def test_an_iteration_is_that_of_the_oracle() -> None:
    rng = np.random.default_rng(2)
    parts = [rng.integers(0, 3, n) for n in (4, 1, 6)]
    start, transition, table = rng.dirichlet(np.ones(2)), rng.dirichlet(np.ones(2), 2), rng.dirichlet(np.ones(3), 2)
    model = tr.HiddenMarkovModel(start, transition, tr.CategoricalEmissions([table]))
    for _ in range(3):
        first, counts, seen = np.zeros(2), np.zeros((2, 2)), np.zeros((2, 3))
        for part in parts:
            truth = enumerate_paths(start, transition, np.log(table[:, part].T))
            assert truth is not None
            first, counts = first + truth.marginals[0], counts + truth.transitions
            for t, symbol in enumerate(part):
                seen[:, symbol] += truth.marginals[t]
        start, transition, table = (a / a.sum(-1, keepdims=True) for a in (first, counts, seen))
    found = fitted(model, parts, epochs=3, prior=0).model
    np.testing.assert_allclose(found.first, start, atol=1e-12)
    np.testing.assert_allclose(found.transition, transition, atol=1e-12)
    np.testing.assert_allclose(found.emissions.tables[0], table, atol=1e-12)


def test_zeros_stay_zero_and_weights_count() -> None:
    rng = np.random.default_rng(0)
    parts = [np.repeat([0.0, 4.0, 9.0], rng.integers(2, 6, 3)) + rng.normal(size=1) for _ in range(8)]
    parts = [part + 0.3 * rng.normal(size=part.shape) for part in parts]
    model = tr.HiddenMarkovModel(
        [1, 0, 0], LEFT_RIGHT, tr.DiagonalGaussianEmissions([[0.0], [3.0], [6.0]], np.ones((3, 1)))
    )
    run = fitted(model, parts, prior=0)
    assert (run.model.transition[LEFT_RIGHT == 0] == 0).all() and run.model.first.tolist() == [1, 0, 0]
    assert np.diff([record.objective for record in run.history]).min() >= -1e-12
    twice = tr.fit(model, parts, tr.EM(tolerance=0, prior=0), epochs=5, progress=False, weights=[2, *[1] * 6, 0])
    again = fitted(model, [parts[0], *parts[:7]], epochs=5, prior=0)
    np.testing.assert_allclose(twice.model.vector(), again.model.vector(), atol=1e-10)


def test_ties_stay_tied_and_are_the_most_likely() -> None:
    rng = np.random.default_rng(1)
    parts = data_of("diagonal", rng)
    plain = tr.hidden_markov(parts, 3, "diagonal")
    for start in (plain.first, "stationary"):
        tied = tr.HiddenMarkovModel(start, 0.4 * np.eye(3) + 0.2, plain.emissions, ties=np.eye(3, dtype=int))
        run = fitted(tied, parts, prior=0.1)
        stay = np.eye(3, dtype=bool)
        assert np.ptp(run.model.transition[stay]) < 1e-15 and np.ptp(run.model.transition[~stay]) < 1e-15
        assert np.diff([record.objective for record in run.history]).min() >= -1e-12
        free = 0 if run.model.is_stationary else 2
        assert run.model.n_parameters == free + 1 + plain.emissions.n_parameters


def test_a_stationary_start_is_the_most_likely_one() -> None:
    """Of the transitions around what the M-step finds, none makes expected starts and transitions more likely."""
    from tractable.models.transitions import most_likely_stationary, stationary

    rng = np.random.default_rng(4)
    counts, first, old = rng.random((3, 3)) * 20, np.array([9.0, 1.0, 0.5]), np.full((3, 3), 1 / 3)
    best = most_likely_stationary(first, counts, old, None)

    def value(a: np.ndarray) -> float:
        return float((first * np.log(stationary(a))).sum() + (counts * np.log(a)).sum())

    for _ in range(300):
        near = best * np.exp(10.0 ** rng.uniform(-3, 0) * rng.normal(size=(3, 3)))
        assert value(near / near.sum(1, keepdims=True)) <= value(best) + 1e-9
    assert value(best) > value(counts / counts.sum(1, keepdims=True)) + 0.01


def test_a_state_that_is_never_visited_keeps_what_it_was() -> None:
    model = tr.HiddenMarkovModel([1, 0], np.eye(2), tr.BernoulliEmissions([[0.5], [0.3]]))
    found = fitted(model, [0, 1, 1, 1], prior=0).model
    assert found.emissions.means.ravel().tolist() == [0.75, 0.3] and found.transition.tolist() == [[1, 0], [0, 1]]
    assert np.isfinite(fitted(model, [0, 1, 1, 1]).model.vector()).all()


def test_a_fit_that_is_repeated_is_the_same() -> None:
    data = data_of("diagonal", np.random.default_rng(3))
    one, two = (fitted(tr.hidden_markov(data, 2, "diagonal", key=7), data, n_init=3) for _ in range(2))
    assert one.model.vector().tolist() == two.model.vector().tolist()
    assert len(one.objectives) == 3 and max(one.objectives) == one.history[-1].objective


def test_what_approximates_nothing_is_refused() -> None:
    with pytest.raises(tr.ModelError, match="is 'exact' or 'hard', got 'mean_field'"):
        tr.fit(
            tr.hidden_markov([0.0, 1.0, 5.0], 2, "diagonal"), [0.0, 1.0, 5.0], tr.GeneralizedEM(posterior="mean_field")
        )


@pytest.mark.parametrize("kind", ["diagonal", "gaussian", "categorical"])
def test_an_e_step_in_pieces_is_that_of_the_whole(kind: str) -> None:
    """Weights count, an impossible sequence is named by its own number, and pieces depend on nothing but sizes."""
    from tractable.posterior.engines.chains import PIECE, _expected, _pieces, expected_statistics

    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 400, 200)
    rows = rng.integers(0, 3, (lengths.sum(), 1)) if kind == "categorical" else rng.normal(size=(lengths.sum(), 2))
    model = tr.hidden_markov(tr.Sequences(rows, lengths), 4, kind)
    x, weights = model.check(tr.Sequences(rows, lengths)), rng.integers(0, 3, 200).astype(float)
    pieces = _pieces(x, 4)
    assert lengths.sum() * 32 > PIECE and len(pieces) > 1 and len(pieces) % 2 == 0
    assert [p.start for p in pieces[1:]] == [p.stop for p in pieces[:-1]] and pieces[-1].stop == 200
    found = expected_statistics(model, x, weights)
    log_p, whole = _expected(model, x, weights, slice(0, 200))
    assert found.log_likelihood == pytest.approx(float(log_p @ weights), rel=1e-13)
    for name, array in whole.arrays.items():
        np.testing.assert_allclose(found.statistics[name], array, rtol=1e-10, atol=1e-9)
    if kind == "categorical":
        never = tr.HiddenMarkovModel(model.first, model.transition, tr.CategoricalEmissions([[[0.5, 0.5, 0]] * 4]))
        with pytest.raises(tr.ModelError, match=f"sequence {int(np.flatnonzero([2 in p for p in x])[0])} has"):
            expected_statistics(never, x)
