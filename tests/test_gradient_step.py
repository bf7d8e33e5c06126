"""Gradient M-steps: their objective against log p(x, k), their gradient against the closed form, and the laws of EM."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import optax
import pytest
from test_hidden_markov_em import data_of
from test_mixtures import K, model_of, rows_of

import tractable as tr
from tractable.learning.em.coordinates import chart_of, density, model_at
from tractable.learning.em.gradient_step import _gradient
from tractable.posterior.verbs import expected_statistics

KINDS = ("mixed", "tied", "diagonal", "spherical")
"""Among mixed columns are all other kinds."""


def value(model: Any, statistics: Any) -> float:
    at = chart_of(model)
    with jax.enable_x64(True):
        return float(density(at.shape, at.constants, at.free, statistics.arrays))


def weighed(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Complete rows, and responsibilities at random."""
    return rows_of(kind, 40, seed=1), np.random.default_rng(0).dirichlet(np.ones(K), 40)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_climbed_is_the_expected_log_joint(kind: str) -> None:
    """The difference between two models is that of Σ r log p(x, k), row by row; at the maximum there is no gradient."""
    x, r = weighed(kind)
    one = model_of(kind)
    statistics = one.statistics(x, r)
    two = one.maximized(statistics)
    expected = (r * (two.log_joint(x) - one.log_joint(x))).sum()
    assert value(two, statistics) - value(one, statistics) == pytest.approx(expected, rel=1e-9)
    at = chart_of(two)
    with jax.enable_x64(True):
        slope = jax.tree.leaves(_gradient(at.shape, at.free, (at.constants, dict(statistics.arrays), 1.0)))
        steep = chart_of(one)
        other = jax.tree.leaves(_gradient(at.shape, steep.free, (steep.constants, dict(statistics.arrays), 1.0)))
    assert max(np.abs(a).max() for a in slope) < 1e-6 < 1e-2 < max(np.abs(a).max() for a in other)


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_at_zero_is_the_model_and_elsewhere_has_the_value_it_should(kind: str) -> None:
    x, r = weighed(kind)
    model = model_of(kind)
    at, statistics = chart_of(model), model.statistics(x, r)
    np.testing.assert_allclose(model_at(model, at.constants, at.free).vector(), model.vector(), rtol=1e-9, atol=1e-12)
    rng = np.random.default_rng(1)
    free = jax.tree.map(lambda a: 0.1 * rng.normal(size=a.shape), at.free)
    with jax.enable_x64(True):
        found = float(density(at.shape, at.constants, free, statistics.arrays))
    assert found == pytest.approx(value(model_at(model, at.constants, free), statistics), rel=1e-9)


OPTIMIZERS = [optax.adam(0.1), optax.sgd(1e3), optax.lbfgs()]


SMALL = [(kind, OPTIMIZERS[0]) for kind in ("mixed", "tied")] + [("spherical", o) for o in OPTIMIZERS[1:]]


@pytest.mark.parametrize(("kind", "optimizer"), SMALL)
def test_the_objective_never_falls(kind: str, optimizer: Any) -> None:
    """Not even with steps that are much too long."""
    x = rows_of(kind, 60, seed=2, missing=0.1)
    learner = tr.GeneralizedEM(m_step=tr.GradientMStep(optimizer, 4), tolerance=0)
    history = tr.fit(model_of(kind), x, learner, epochs=12).history
    objective = np.array([step.objective for step in history])
    assert (np.diff(objective) >= -1e-12 * np.abs(objective[1:])).all() and objective[-1] > objective[0] + 1e-4
    assert all(abs(step.elbo.value + step.kl.value - step.train.value) < 1e-8 for step in history)


@pytest.mark.parametrize("start", ["free", "stationary"])
def test_hidden_markov_models(start: str) -> None:
    """One M-step of many steps comes to what the closed form finds, and zeros stay zero; a whole fit never falls."""
    data = data_of("diagonal", np.random.default_rng(5))
    made = tr.hidden_markov(data, 3, "diagonal", key=1)
    transition = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.3, 0.3, 0.4]])
    model = tr.HiddenMarkovModel("stationary" if start == "stationary" else made.first, transition, made.emissions)
    statistics = expected_statistics(model, model.check(data)).statistics
    step = tr.GradientMStep(OPTIMIZERS[0], 300)
    found, best = step(model, statistics, 4), model.maximized(statistics)
    assert (found.transition == 0).tolist() == (transition == 0).tolist()
    assert -1e-2 < value(found, statistics) - value(best, statistics) < 1e-6
    history = tr.fit(model, data, tr.GeneralizedEM(m_step=step, tolerance=0), epochs=10).history
    assert (np.diff([record.objective for record in history]) >= -1e-12).all()


def test_at_a_maximum_nothing_moves() -> None:
    x, r = weighed("poisson")
    model = model_of("poisson")
    best = model.maximized(model.statistics(x, r))
    again = tr.GradientMStep(OPTIMIZERS[0], 4)(best, model.statistics(x, r), 40)
    np.testing.assert_allclose(again.vector(), best.vector(), rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tr.GradientMStep(steps=0), "at least one step"),
        (lambda: tr.GeneralizedEM(m_step="newton"), "m_step is 'closed form'"),
        (lambda: tr.GeneralizedEM(m_step=tr.GradientMStep(), rate=0.5), "rate of 1"),
        (
            lambda: chart_of(
                tr.HiddenMarkovModel(
                    [0.5, 0.5], [[0.5, 0.5]] * 2, tr.PoissonEmissions([[1.0], [2.0]]), ties=np.eye(2, dtype=int)
                )
            ),
            "tied transitions",
        ),
        (lambda: chart_of(tr.MarkovNetwork({"a": "01"}, [("a", [0.5, 0.5])])), "no gradient M-step"),
    ],
)
def test_what_has_no_such_step_is_refused(make: Any, words: str) -> None:
    with pytest.raises(tr.ModelError, match=words):
        make()


def with_zeros(kind: str) -> tuple[Any, Any]:
    """A model with zeros in its tables, and data that it allows."""
    rng = np.random.default_rng(0)
    table = tr.CategoricalEmissions([[[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]])
    symbols = rng.integers(0, 3, (40, 1))
    if kind == "chain":
        return tr.HiddenMarkovModel([1.0, 0.0], [[0.5, 0.5], [0.0, 1.0]], table), np.sort(symbols, axis=0)
    if kind == "stationary":
        return tr.HiddenMarkovModel("stationary", [[0.9, 0.1], [0.5, 0.5]], table), symbols
    if kind == "network":
        tables = {"h": [0.5, 0.5], "a": [[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]], "b": [[1, 0], [0.5, 0.5]]}
        net = tr.BayesianNetwork({"h": "01", "a": "012", "b": "01"}, {"a": ["h"], "b": ["h"]}, tables)
        return net, {"a": symbols[:, 0], "b": rng.integers(0, 2, 40)}
    kinds = {
        "categorical": (table, symbols),
        "bernoulli": (
            tr.BernoulliEmissions([[0.0, 0.5], [0.3, 1.0]]),
            np.array([[0, 1], [0, 0], [1, 1], [0, 1.0]] * 5),
        ),
        "poisson": (tr.PoissonEmissions([[0.0], [3.0]]), rng.poisson(1, (40, 1))),
    }
    kinds["product"] = (
        tr.ProductEmissions([table, kinds["poisson"][0]], [[0], [1]]),
        np.column_stack([symbols, kinds["poisson"][1]]),
    )
    return tr.Mixture([0.5, 0.5], kinds[kind][0]), kinds[kind][1]


@pytest.mark.parametrize("prior", [0, None, 1.0])
@pytest.mark.parametrize("kind", ["chain", "stationary", "network", "categorical", "bernoulli", "poisson", "product"])
def test_zeros_are_no_end(kind: str, prior: float | None) -> None:
    """Where a prior asks for what is impossible, the objective is −∞ at first and finite from then on."""
    model, x = with_zeros(kind)
    learner = tr.GeneralizedEM(m_step=tr.GradientMStep(), prior=prior, tolerance=0)
    run = tr.fit(model, x, learner, epochs=10, progress=False)
    objective = np.array([step.objective for step in run.history])
    assert np.isfinite(objective[1:]).all() and np.isfinite(run.model.vector()).all()
    assert (np.diff(objective[1:]) >= -1e-12 * np.abs(objective[2:])).all() and objective[-1] > objective[0]
    if prior == 0 and kind not in ("poisson", "product"):  # where data that are not zero need a rate that is not
        assert (run.model.vector()[model.vector() == 0] == 0).all()
    exact = tr.fit(model, x, tr.EM(prior=prior, tolerance=0), epochs=400, progress=False).history[-1].objective
    longer = tr.GeneralizedEM(m_step=tr.GradientMStep(steps=40), prior=prior, tolerance=0)
    assert tr.fit(model, x, longer, epochs=60, progress=False).history[-1].objective == pytest.approx(exact, abs=0.02)


def test_tied_and_fixed_tables_climb_as_they_should() -> None:
    rng = np.random.default_rng(1)
    table, states = rng.dirichlet([1, 1], 2), {"h": "01", "a": "01", "b": "01"}
    tables = {"h": [0.3, 0.7], "a": table, "b": table}
    net = tr.BayesianNetwork(states, {"a": ["h"], "b": ["h"]}, tables, ties=[("a", "b")], fixed=["h"])
    x = {"a": rng.integers(0, 2, 30), "b": rng.integers(0, 2, 30)}
    found = tr.fit(net, x, tr.GeneralizedEM(m_step=tr.GradientMStep(), tolerance=0), epochs=60, progress=False)
    exact = tr.fit(net, x, tr.EM(tolerance=0), epochs=200, progress=False)
    assert found.model.tables["h"].tolist() == [0.3, 0.7]
    np.testing.assert_array_equal(found.model.tables["a"], found.model.tables["b"])
    assert found.history[-1].objective == pytest.approx(exact.history[-1].objective, abs=1e-3)
