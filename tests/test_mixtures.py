"""Mixtures: every kind of emissions against sums and integrals done by brute force, and the verbs on them."""

from __future__ import annotations

from itertools import product
from math import lgamma

import numpy as np
import pytest

import tractable as tr
from tractable.models.emissions import KINDS

K, D = 3, 3
KINDS_AND_MIXED = [*KINDS, "mixed"]
MIXED = {"gaussian": [0, 3], "bernoulli": [1], "categorical": [2], "poisson": [4]}


def rows_of(kind: str, n: int = 80, seed: int = 0, missing: float = 0.0) -> np.ndarray:
    """Data that a kind of emissions can describe."""
    rng = np.random.default_rng([seed, n])
    label = rng.integers(0, K, n)
    numbers = rng.normal(size=(n, D)) + 2.0 * label[:, None]
    found = {
        "bernoulli": rng.random((n, D)) < 0.2 + 0.3 * label[:, None],
        "categorical": (rng.integers(0, 2, (n, D)) + label[:, None]) % 4,
        "poisson": rng.poisson(1.0 + 3.0 * label[:, None], (n, D)),
    }
    if kind == "mixed":
        x = np.column_stack([numbers[:, 0], *(found[k][:, 0] for k in ("bernoulli", "categorical")), numbers[:, 1]])
        x = np.column_stack([x, found["poisson"][:, 0]])
    else:
        x = np.asarray(found.get(kind, numbers), np.float64)
    return np.where(rng.random(x.shape) < missing, np.nan, x)


def model_of(kind: str, seed: int = 0) -> tr.Mixture:
    """A mixture that has learned a little from such data."""
    x = rows_of(kind, seed=seed)
    return tr.fit(tr.mixture(x, K, MIXED if kind == "mixed" else kind, key=seed), x, epochs=3).model


def density(e: object, k: int, row: np.ndarray) -> float:
    """log p(row | k) of a complete row, entry by entry, from the textbook."""
    if isinstance(e, tr.ProductEmissions):
        return sum(density(part, k, row[list(own)]) for part, own in zip(e.parts, e.columns, strict=True))
    if isinstance(e, tr.BernoulliEmissions):
        return sum(np.log(p if x else 1 - p) for p, x in zip(e.probabilities[k], row, strict=True))
    if isinstance(e, tr.CategoricalEmissions):
        return sum(np.log(t[k, int(x)]) for t, x in zip(e.tables, row, strict=True))
    if isinstance(e, tr.PoissonEmissions):
        return sum(x * np.log(r) - r - lgamma(x + 1) for r, x in zip(e.rates[k], row, strict=True))
    gap = row - e.means[k]
    sigma = covariance(e, k)
    return -0.5 * (gap @ np.linalg.solve(sigma, gap) + np.linalg.slogdet(2 * np.pi * sigma)[1])


def covariance(e: object, k: int) -> np.ndarray:
    if isinstance(e, tr.TiedGaussianEmissions):
        return e.covariances
    if isinstance(e, tr.GaussianEmissions):
        return e.covariances[k]
    return np.diag(np.broadcast_to(e.variances[k], e.n_columns))


@pytest.mark.parametrize("kind", KINDS_AND_MIXED)
def test_joint_and_posterior_are_the_textbooks(kind):
    model, x = model_of(kind), rows_of(kind, 20, seed=1)
    joint = np.array([[np.log(model.weights[k]) + density(model.emissions, k, row) for k in range(K)] for row in x])
    np.testing.assert_allclose(model.log_joint(x), joint, rtol=1e-9, atol=1e-9)
    post = tr.infer(model, x)
    np.testing.assert_allclose(post.log_partition.value, np.logaddexp.reduce(joint, axis=1), rtol=1e-9)
    expected = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
    np.testing.assert_allclose(post.marginals.array("component"), expected, atol=1e-9)


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
def test_what_is_missing_is_summed_out(kind):
    model = model_of(kind)
    q = 2 if kind == "bernoulli" else max(model.free.n_states)
    states = [s for s in product(range(q), repeat=D) if model.free.allowed(np.array([s], float)).all()]
    all_rows = np.array(states, float)
    p = np.exp(tr.log_likelihood(model, all_rows).per_row.value)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    for row in ([np.nan, 1, 0], [np.nan, np.nan, 1], [np.nan] * 3):
        seen = ~np.isnan(row)
        fits = (all_rows[:, seen] == np.array(row)[seen]).all(1)
        assert np.exp(tr.log_evidence(model, row).value) == pytest.approx(p[fits].sum(), rel=1e-10)


@pytest.mark.parametrize("kind", ["gaussian", "tied", "diagonal", "spherical"])
def test_a_missing_number_is_integrated_out(kind):
    model, row = model_of(kind), np.array([0.3, np.nan, 1.2])
    grid = np.linspace(-30, 30, 20001)
    rows = np.tile(row, (len(grid), 1))
    rows[:, 1] = grid
    p = np.exp(tr.log_likelihood(model, rows).per_row.value)
    step = grid[1] - grid[0]
    assert np.exp(tr.log_evidence(model, row).value) == pytest.approx(p.sum() * step, rel=1e-8)
    assert tr.impute(model, row[None])[0, 1] == pytest.approx((p * grid).sum() / p.sum(), rel=1e-8)


@pytest.mark.parametrize("kind", KINDS_AND_MIXED)
def test_conditioning_composes_and_keeps_the_evidence(kind):
    model, row = model_of(kind), rows_of(kind, 1, seed=3)[0]
    first, rest = row.copy(), row[1:].copy()
    first[1:] = np.nan
    left = tr.condition(tr.condition(model, first), {0: rest[0]})
    joint = tr.log_likelihood(model, row[None]).per_row.value[0]
    assert tr.log_partition(tr.condition(model, row)).value == pytest.approx(joint, rel=1e-9)
    assert tr.log_partition(left, rest[1:]).value == pytest.approx(joint, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS_AND_MIXED)
def test_samples_have_the_moments_of_the_model(kind):
    model, n = model_of(kind), 40_000
    x = tr.sample(model, n, key=5)
    assert model.check(x) is x
    error = x.std(0) / np.sqrt(n)
    assert (np.abs(x.mean(0) - model.weights @ model.free.means) < 5 * error + 1e-12).all()
    own = tr.log_likelihood(model, x).per_row.value  # the mean of −log p(x) over samples is the entropy: no drift
    other = tr.log_likelihood(model, tr.sample(model, n, key=6)).per_row.value
    assert abs(own.mean() - other.mean()) < 5 * np.hypot(own.std(), other.std()) / np.sqrt(n)


@pytest.mark.parametrize("kind", KINDS_AND_MIXED)
def test_a_file_gives_the_same_mixture(kind, tmp_path):
    model, x = model_of(kind), rows_of(kind, 10, missing=0.3)
    tr.save(model, tmp_path / "m.safetensors")
    back = tr.load(tmp_path / "m.safetensors")
    assert (back.log_joint(x) == model.log_joint(x)).all()


@pytest.mark.parametrize("kind", KINDS_AND_MIXED)
def test_statistics_add_up_and_count_weights(kind):
    model, x = model_of(kind), rows_of(kind, 30, missing=0.3)
    r = np.random.default_rng(0).dirichlet(np.ones(K), 30)
    whole = model.statistics(x, r)
    parts = model.statistics(x[:11], r[:11]) + model.statistics(x[11:], r[11:])
    twice = model.statistics(np.concatenate([x, x]), np.concatenate([r, r]))
    for name, array in whole.arrays.items():
        np.testing.assert_allclose(parts[name], array, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(twice[name], 2 * array, rtol=1e-9, atol=1e-9)


def test_the_plan_says_one_softmax():
    assert "one softmax" in str(tr.explain(model_of("bernoulli")))
    assert tr.plan(model_of("bernoulli"), [0, 1]).method == "closed form"


@pytest.mark.parametrize(
    ("kind", "bad", "words"),
    [
        ("bernoulli", 2.0, "row 1, column 2: the value 2.0 is not 0 or 1"),
        ("categorical", 1.5, "row 1, column 2"),
        ("categorical", 9.0, "row 1, column 2: the value 9.0 is not a state"),
        ("poisson", -1.0, "row 1, column 2: the value -1.0 is not a count"),
        ("gaussian", np.inf, "row 1, column 2: the value inf is not a finite number"),
        ("spherical", -np.inf, "row 1, column 2"),
    ],
)
def test_a_value_outside_the_domain_is_named(kind, bad, words):
    model, x = model_of(kind), rows_of(kind, 5)
    x[1, 2] = bad
    for verb in (tr.infer, tr.log_likelihood, tr.fit, tr.impute, tr.transform):
        with pytest.raises(tr.ModelError, match=words):
            verb(model, x)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tr.BernoulliEmissions([[1.2]]), "must not exceed 1"),
        (lambda: tr.BernoulliEmissions([0.2]), "shape"),
        (lambda: tr.CategoricalEmissions([[[0.2, 0.2]]]), "sums to 0.4"),
        (lambda: tr.PoissonEmissions([[-1.0]]), "≥ 0"),
        (lambda: tr.DiagonalGaussianEmissions([[0.0]], [[0.0]]), "positive"),
        (lambda: tr.GaussianEmissions([[0.0, 0.0]], [[[1.0, 2.0], [2.0, 1.0]]]), "not positive definite"),
        (lambda: tr.GaussianEmissions([[0.0, 0.0]], [[[1.0, 0.5], [0.2, 1.0]]]), "symmetric"),
        (lambda: tr.Mixture([0.5, 0.6], tr.PoissonEmissions([[1.0], [2.0]])), "sum to 1"),
        (lambda: tr.Mixture([1.0], tr.PoissonEmissions([[1.0], [2.0]])), "shape"),
        (lambda: tr.ProductEmissions([tr.PoissonEmissions([[1.0]])], [[1]]), "every column once"),
        (lambda: tr.mixture(np.ones((3, 2)), 2, "gausian"), "did you mean 'gaussian'"),
        (lambda: tr.mixture([[np.nan, 1.0], [np.nan, 2.0]], 2), "column 0: every entry is missing"),
        (lambda: tr.mixture(np.zeros((0, 2)), 2), "no data"),
        (lambda: tr.mixture([[1j]], 2), "row 0, column '0': 1j is no number"),
        (lambda: tr.mixture([[1.0]], 0), "at least 1"),
    ],
)
def test_what_is_no_mixture_is_refused(make, words):
    with pytest.raises(tr.ModelError, match=words):
        make()
