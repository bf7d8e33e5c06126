"""What columns are expected to hold: moments, quantiles and categories, against enumeration, scipy and hmmlearn."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from scipy import stats

import tractable as tr
from tractable.models.emissions import cumulative

START, MOVE = np.array([0.6, 0.4]), np.array([[0.7, 0.3], [0.4, 0.6]])
HEIGHTS = tr.DiagonalGaussianEmissions([[0.0, 2.0], [5.0, -1.0]], [[1.0, 4.0], [2.0, 0.25]])
COUNTS = tr.PoissonEmissions([[0.5], [40.0]])
SKIES = tr.CategoricalEmissions([[[0.2, 0.7, 0.1], [0.5, 0.25, 0.25]]])
PARTS = tr.MixtureEmissions(
    [[0.3, 0.7], [1.0, 0.0]], tr.GaussianEmissions([[0.0], [4.0], [9.0], [1.0]], np.ones((4, 1, 1)))
)
ALL = tr.ProductEmissions(
    [HEIGHTS, COUNTS, SKIES, PARTS, tr.BernoulliEmissions([[0.25], [0.96]])], [[1, 3], [0], [2], [4], [5]]
)
KINDS = [
    (0, [stats.poisson(0.5), stats.poisson(40.0)]),
    (1, [stats.norm(0, 1), stats.norm(5, 2**0.5)]),
    (3, [stats.norm(2, 2), stats.norm(-1, 0.5)]),
    (5, [stats.bernoulli(0.25), stats.bernoulli(0.96)]),
]


def chain(emissions: Any = ALL) -> tr.HiddenMarkovModel:
    return tr.HiddenMarkovModel(START, MOVE, emissions)


def ahead_by_enumeration(model: Any, rows: np.ndarray, h: int) -> np.ndarray:
    """p(z_{T+h} | x) as a sum over all paths."""
    log_p, t = model.emissions.log_likelihood(rows), len(rows)
    total = np.zeros(2)
    for path in product(range(2), repeat=t + h):
        own = START[path[0]] * np.prod([MOVE[a, b] for a, b in pairwise(path)])
        total[path[-1]] += own * np.exp(sum(log_p[i, z] for i, z in enumerate(path[:t])))
    return total / total.sum()


def test_a_forecast_is_the_sum_over_paths() -> None:
    model = chain()
    rows = tr.sample(model, 4, key=3)
    rows[1, :2] = np.nan
    ahead = tr.forecast(model, rows, 3)
    states = np.stack([ahead_by_enumeration(model, rows, h) for h in (1, 2, 3)])
    np.testing.assert_allclose(ahead.states, states, atol=1e-13)
    found = ahead.predictive
    assert found is not None
    for column, own in KINDS:
        means, squares = (
            np.array([f(d) for d in own]) for f in (lambda d: d.mean(), lambda d: d.var() + d.mean() ** 2)
        )
        np.testing.assert_allclose(found.means[:, column], states @ means, rtol=1e-12)
        np.testing.assert_allclose(
            found.deviations[:, column] ** 2, states @ squares - (states @ means) ** 2, rtol=1e-9
        )
    np.testing.assert_allclose(found.probabilities(2), states @ SKIES.tables[0], atol=1e-13)
    assert np.isnan(found.means[:, 2]).all() and np.isnan(found.deviations[:, 2]).all()
    np.testing.assert_allclose(
        found.deviations[:, 4],
        np.sqrt(states @ (PARTS.deviations**2 + PARTS.means**2) - (states @ PARTS.means) ** 2)[:, 0],
    )


@pytest.mark.parametrize("p", [1e-6, 0.05, 0.5, 0.9, 1 - 1e-6])
def test_a_quantile_is_the_least_value_that_is_reached(p: float) -> None:
    weights = np.array([[0.3, 0.7], [1.0, 0.0], [1e-9, 1 - 1e-9]])
    found = tr.models.Predictive(weights, ALL).quantiles(p)
    for column, own in KINDS:
        for w, x in zip(weights, found[:, column], strict=True):
            reached = sum(k * d.cdf(x) for k, d in zip(w, own, strict=True))
            if column in (0, 5):
                before = sum(k * d.cdf(x - 1) for k, d in zip(w, own, strict=True))
                assert x == round(x) and before < p + 1e-12 and reached >= p - 1e-12
            else:
                assert reached == pytest.approx(p, rel=1e-9)
    assert np.isnan(found[:, 2]).all()


def test_distribution_functions_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    rates = 10 ** rng.uniform(-3, 4, 500)
    x = np.round(rates + 4 * rng.normal(size=500) * np.sqrt(rates))
    np.testing.assert_allclose(cumulative.poisson(x, rates), stats.poisson.cdf(x, rates), atol=2e-13)
    z = 9 * rng.normal(size=500)
    np.testing.assert_allclose(cumulative.normal(z), stats.norm.cdf(z), rtol=1e-12)
    assert cumulative.poisson(np.array([0.0, 3.0, -1.0]), np.zeros(3)).tolist() == [1.0, 1.0, 0.0]
    full = tr.GaussianEmissions([[1.0, 2.0]], [[[4.0, 1.0], [1.0, 9.0]]])
    np.testing.assert_allclose(full.cumulative(np.array([[3.0, 2.0]]))[0, 0], np.array([stats.norm.cdf(1.0), 0.5]))
    tied = tr.TiedGaussianEmissions([[1.0, 2.0], [0.0, 0.0]], [[4.0, 1.0], [1.0, 9.0]])
    assert tied.deviations.tolist() == [[2.0, 3.0]] * 2
    assert tr.SphericalGaussianEmissions([[0.0, 1.0]], [4.0]).deviations.tolist() == [[2.0, 2.0]]


def test_filtering_is_what_hmmlearn_says_of_each_beginning() -> None:
    hmm = pytest.importorskip("hmmlearn.hmm")
    other = hmm.GaussianHMM(2, "diag", init_params="")
    other.startprob_, other.transmat_, other.n_features = START, MOVE, 2
    other.means_, other.covars_ = HEIGHTS.locations, HEIGHTS.variances
    rows = tr.sample(chain(HEIGHTS), 8, key=1)
    expected = [other.predict_proba(rows[: t + 1])[-1] for t in range(8)]
    np.testing.assert_allclose(tr.filtering(chain(HEIGHTS), rows), expected, atol=1e-10)
    np.testing.assert_allclose(tr.forecast(chain(HEIGHTS), rows, 1).states[0], expected[-1] @ MOVE, atol=1e-10)


def test_a_mixture_says_what_a_row_does_not() -> None:
    """Given one column of a correlated pair the other is normal around the regression line."""
    blend = tr.Mixture([0.25, 0.75], tr.GaussianEmissions([[0.0, 0.0], [9.0, 3.0]], [[[1.0, 0.5], [0.5, 1.0]]] * 2))
    left = tr.condition(blend, {0: 1.0}).predictive
    w = tr.infer(blend, {0: 1.0}).marginals.array("component")
    means, s = np.array([0.5, 3 + 0.5 * (1 - 9)]), 0.75**0.5
    assert left.means[0, 0] == pytest.approx(w @ means)
    low, high = left.interval(0.8)
    for end, p in ((low, 0.1), (high, 0.9)):
        assert w @ stats.norm.cdf(end[0, 0], means, s) == pytest.approx(p, rel=1e-9)


def test_bad_questions_are_refused() -> None:
    found = tr.models.Predictive(np.ones((1, 2)) / 2, ALL)
    for ask in (lambda: found.quantiles(0.0), lambda: found.interval(1.0), lambda: found.quantiles(float("nan"))):
        with pytest.raises(ValueError, match="between 0 and 1"):
            ask()
    with pytest.raises(tr.ModelError, match="holds numbers"):
        found.probabilities(0)
    with pytest.raises(tr.ModelError, match="unknown column"):
        found.probabilities("sky")
    blank = tr.forecast(chain(SKIES), np.array([[0], [1]]), 1)
    assert blank.predictive is not None and blank.predictive.states(0) == ("0", "1", "2")


def test_emissions_that_do_not_say_are_told_what_to_add() -> None:
    class Own(tr.models.emissions.PoissonEmissions):
        deviations = tr.models.emissions.Emissions.deviations
        cumulative = tr.models.emissions.Emissions.cumulative

    ahead = tr.forecast(chain(Own([[1.0], [2.0]])), np.array([[1.0]]), 1)
    assert ahead.predictive is not None
    with pytest.raises(tr.ModelError, match="deviations"):
        _ = ahead.predictive.deviations
