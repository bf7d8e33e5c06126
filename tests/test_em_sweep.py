"""Small models of all kinds at random: EM climbs, weights are copies, ELBO + KL = log p, and log p is the oracle's.

`make verify` runs 10,000 of them; a piece, ``TRACTABLE_VERIFY=k/20``, as many as the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import brute_force
import numpy as np
import pytest
from chains_oracle import enumerate_paths
from factorial_oracle import enumerate_joint
from sweep import seeds
from test_mixtures import covariance, density

import tractable as tr
from tractable.learning.em.exact import NOBODY
from tractable.models.emissions import Emissions
from tractable.posterior.verbs import expected_statistics

SAMPLE, TOGETHER = 160, 40
"""Models in the tests, and in one test."""

SEEDS = seeds(SAMPLE, 60)

DISCRETE = ("bernoulli", "categorical", "poisson")
GAUSSIAN = ("diagonal", "spherical", "gaussian", "tied")


class Drawn(NamedTuple):
    """A model, data that it allows, and how often each row or sequence counts."""

    model: Any
    data: Any
    weights: np.ndarray
    log_p: Callable[[Any], list[float]]
    approximations: tuple[Any, ...]

    def repeated(self) -> Any:
        """Each row or sequence as often as it counts."""
        times = self.weights.astype(int)
        if isinstance(self.data, list):
            return [part for part, n in zip(self.data, times, strict=True) for _ in range(n)]
        if isinstance(self.data, dict):
            return {v: np.repeat(column, times) for v, column in self.data.items()}
        return np.repeat(self.data, times, axis=0)


# ---------------------------------------------------------------- emissions, and rows for them


def emissions(rng: np.random.Generator, kind: str, k: int, d: int) -> Emissions:
    """Parameters at random."""
    if kind == "bernoulli":
        return tr.BernoulliEmissions(rng.uniform(0.05, 0.95, (k, d)))
    if kind == "categorical":
        return tr.CategoricalEmissions([rng.dirichlet(np.ones(int(rng.integers(2, 4))), k) for _ in range(d)])
    if kind == "poisson":
        return tr.PoissonEmissions(rng.gamma(2.0, 1.0, (k, d)))
    if kind == "product":
        kinds = [str(rng.choice(DISCRETE)), str(rng.choice(GAUSSIAN))]
        order = rng.permutation(d + 1)
        parts = [emissions(rng, kinds[0], k, 1), emissions(rng, kinds[1], k, d)]
        return tr.ProductEmissions(parts, [order[:1].tolist(), order[1:].tolist()])
    means, roots = 2 * rng.normal(size=(k, d)), rng.normal(size=(k, d, d))
    wide = roots @ np.swapaxes(roots, 1, 2) + 0.3 * np.eye(d)
    if kind == "gaussian":
        return tr.GaussianEmissions(means, wide)
    if kind == "tied":
        return tr.TiedGaussianEmissions(means, wide[0])
    spread = rng.gamma(3.0, 0.4, (k, d)) + 0.1
    return (
        tr.SphericalGaussianEmissions(means, spread[:, 0])
        if kind == "spherical"
        else tr.DiagonalGaussianEmissions(means, spread)
    )


def rows_for(rng: np.random.Generator, e: Emissions, n: int) -> np.ndarray:
    """Rows, some entries missing; those of another component of the same kind, so that there is something to learn."""
    x = e.sample(rng, rng.integers(0, e.n_components, n)).astype(float)
    return np.where(rng.random(x.shape) < rng.choice([0.0, 0.25]), np.nan, x)


def observed(e: Any, k: int, row: np.ndarray) -> float:
    """log p(what is observed of a row | k): complete densities summed over what is missing, or its marginal."""
    if isinstance(e, tr.ProductEmissions):
        return sum(observed(part, k, row[list(own)]) for part, own in zip(e.parts, e.columns, strict=True))
    gaps = np.flatnonzero(np.isnan(row))
    if isinstance(e, tr.BernoulliEmissions | tr.CategoricalEmissions | tr.PoissonEmissions):
        sizes = (
            [2] * e.n_columns if isinstance(e, tr.BernoulliEmissions) else getattr(e, "n_states", [60] * e.n_columns)
        )
        each = []
        for j, x in enumerate(row):  # columns are independent given k
            one = type(e)([e.tables[j]]) if isinstance(e, tr.CategoricalEmissions) else type(e)(e.means[:, j : j + 1])
            values = range(sizes[j]) if np.isnan(x) else [x]
            each.append(np.logaddexp.reduce([density(one, k, np.array([v])) for v in values]))
        return float(sum(each))
    if len(gaps) == len(row):
        return 0.0
    seen = np.flatnonzero(~np.isnan(row))
    gap, sigma = row[seen] - e.means[k][seen], covariance(e, k)[np.ix_(seen, seen)]
    return float(-0.5 * (gap @ np.linalg.solve(sigma, gap) + np.linalg.slogdet(2 * np.pi * sigma)[1]))


def table_of(e: Any, rows: np.ndarray) -> np.ndarray:
    """log p(observed | k) [n, K]; of a mixture within a component, over its parts."""
    if not isinstance(e, tr.MixtureEmissions):
        return np.array([[observed(e, k, row) for k in range(e.n_components)] for row in rows])
    parts = table_of(e.parts, rows).reshape(len(rows), *np.shape(e.weights))
    return np.logaddexp.reduce(parts + np.log(e.weights), axis=2)


# ---------------------------------------------------------------- families


def kind_of(rng: np.random.Generator) -> str:
    return str(rng.choice([*DISCRETE, *GAUSSIAN, "product"]))


def nested(rng: np.random.Generator, kind: str, k: int, d: int) -> Emissions:
    """Emissions, at times each a mixture itself."""
    if kind == "product" or rng.random() < 0.8:
        return emissions(rng, kind, k, d)
    return tr.MixtureEmissions(rng.dirichlet(np.ones(2), k), emissions(rng, kind, 2 * k, d))


def with_zero(rng: np.random.Generator, p: np.ndarray) -> np.ndarray:
    """Distributions, at times with an entry that is zero; never the last."""
    if rng.random() < 0.7:
        return p
    p = np.where((rng.random(p.shape) < 0.3) & (np.arange(p.shape[-1]) < p.shape[-1] - 1), 0.0, p)
    return p / p.sum(-1, keepdims=True)


def mixture(rng: np.random.Generator) -> Drawn:
    k, n = int(rng.integers(1, 4)), int(rng.integers(5, 10))
    model = tr.Mixture(rng.dirichlet(np.ones(k)), nested(rng, kind_of(rng), k, int(rng.integers(1, 4))))

    def log_p(rows: Any) -> list[float]:
        return np.logaddexp.reduce(np.log(model.weights) + table_of(model.free, rows), axis=1).tolist()

    x, weights = rows_for(rng, model.free, n), weights_of(rng, n)
    counts = expected_statistics(model, model.check(x), weights).statistics["mixture.count"]
    if (counts < NOBODY).any():  # a component of rows without weight is begun anew: then all have one
        weights = np.maximum(weights, 1.0)
    return Drawn(model, x, weights, log_p, ("hard", 2))


def chain(rng: np.random.Generator) -> Drawn:
    k = int(rng.integers(1, 4))
    e = nested(rng, kind_of(rng), k, int(rng.integers(1, 3)))
    free = rng.random() < 0.8
    transition = with_zero(rng, rng.dirichlet(np.ones(k), k)) if free else rng.dirichlet(np.ones(k), k)
    start: Any = with_zero(rng, rng.dirichlet(np.ones(k))) if free else "stationary"
    model = tr.HiddenMarkovModel(start, transition, e)
    parts = [rows_for(rng, e, int(t)) for t in rng.integers(1, 5, int(rng.integers(3, 6)))]

    def log_p(sequences: Any) -> list[float]:
        found = [enumerate_paths(model.first, model.transition, table_of(e, rows)) for rows in sequences]
        return [-np.inf if one is None else one.log_p for one in found]

    return Drawn(model, parts, weights_of(rng, len(parts)), log_p, ("hard",))


def factorial(rng: np.random.Generator) -> Drawn:
    sizes, d = [2, int(rng.integers(2, 4))], int(rng.integers(1, 3))
    root = rng.normal(size=(d, d))
    e = tr.AdditiveGaussianEmissions([2 * rng.normal(size=(k, d)) for k in sizes], root @ root.T + 0.3 * np.eye(d))
    starts, steps = [rng.dirichlet(np.ones(k)) for k in sizes], [rng.dirichlet(np.ones(k), k) for k in sizes]
    model = tr.FactorialHiddenMarkovModel(starts, steps, e)
    lengths = rng.integers(1, 4, int(rng.integers(3, 5)))
    parts = [rng.normal(size=(t, d)) * 2 for t in lengths]
    parts = [np.where(rng.random(p.shape) < rng.choice([0.0, 0.25]), np.nan, p) for p in parts]
    how = ("hard", "structured", "mean_field")
    return Drawn(model, parts, weights_of(rng, len(parts)), lambda x: [enumerate_joint(model, p).log_p for p in x], how)


def network(rng: np.random.Generator) -> Drawn:
    names, n = "abcd"[: int(rng.integers(2, 5))], int(rng.integers(5, 9))
    sizes = {v: int(rng.integers(2, 4)) for v in names}
    parents = {v: [u for u in names[:i] if rng.random() < 0.5][:2] for i, v in enumerate(names)}
    shapes = {v: [sizes[u] for u in own] for v, own in parents.items()}
    tables = {v: with_zero(rng, rng.dirichlet(np.ones(sizes[v]), shape)) for v, shape in shapes.items()}
    model = tr.BayesianNetwork({v: [f"{v}{s}" for s in range(sizes[v])] for v in names}, parents, tables)
    drawn = tr.sample(model, n, key=int(rng.integers(2**31)), codes=True)
    hidden = {str(rng.choice(list(names)))} if rng.random() < 0.5 else set()
    gaps = rng.choice([0.0, 0.3])
    data = {
        v: np.array([None if rng.random() < gaps else f"{v}{s}" for s in drawn[v]], object)
        for v in names
        if v not in hidden
    }

    def log_p(columns: Any) -> list[float]:
        cases = [{v: column[i] for v, column in columns.items() if column[i] is not None} for i in range(n)]
        return [brute_force.log_partition(model, case) for case in cases]

    return Drawn(model, data, weights_of(rng, n), log_p, ("hard",))


def weights_of(rng: np.random.Generator, n: int) -> np.ndarray:
    """Whole numbers, some of them zero, not all."""
    weights = rng.integers(0, 4, n).astype(float)
    weights[int(rng.integers(n))] = 2.0
    return weights


FAMILIES = (mixture, chain, factorial, network)

# ---------------------------------------------------------------- what holds for all


def check_likelihood(drawn: Drawn) -> None:
    """What is missing is summed out, as the oracle does it."""
    found = tr.log_likelihood(drawn.model, drawn.data).per_row.value
    np.testing.assert_allclose(found, drawn.log_p(drawn.data), rtol=1e-9, atol=1e-9)


def has_no_limit(error: tr.ModelError, prior: float | None) -> bool:
    """Whether an error says that the likelihood is unbounded: a few rows agree, and nothing holds a variance."""
    return prior == 0 and any(told in str(error) for told in ("has collapsed", "use a stronger prior"))


def check_copies(drawn: Drawn, prior: float | None) -> None:
    """An E-step with weights is one on copies, and so is a fit."""
    model, data, weights = drawn.model, drawn.data, drawn.weights
    a = expected_statistics(model, model.check(data), weights)
    b = expected_statistics(model, model.check(drawn.repeated()))
    for name, array in b.statistics.arrays.items():
        np.testing.assert_allclose(a.statistics[name], array, rtol=1e-9, atol=1e-9, err_msg=name)
    assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-10, abs=1e-9)
    if prior == 0:  # the maximum is a function of these statistics, and may be near a collapse
        return
    how: dict[str, Any] = {"learner": tr.EM(prior=prior, tolerance=0), "epochs": 1, "progress": False}
    weighted, copied = tr.fit(model, data, weights=weights, **how), tr.fit(model, drawn.repeated(), **how)
    near = 1e-4 if isinstance(model, tr.FactorialHiddenMarkovModel) else 1e-6  # chains that do nearly the same
    np.testing.assert_allclose(weighted.model.vector(), copied.model.vector(), rtol=near, atol=near)
    assert weighted.history[-1].objective == pytest.approx(copied.history[-1].objective, rel=1e-8, abs=1e-8)


def check_climbs(drawn: Drawn, prior: float | None, rng: np.random.Generator) -> None:
    """The objective never falls, with any q; ELBO + KL = log p in every iteration, and log p is that of the oracle."""
    weights = drawn.weights if rng.random() < 0.5 else None
    counts = np.ones(len(drawn.weights)) if weights is None else weights
    log_p = np.array(drawn.log_p(drawn.data))
    for q in ("exact", *drawn.approximations):
        learner = tr.GeneralizedEM(posterior=q, prior=prior, tolerance=0)
        try:
            run = tr.fit(drawn.model, drawn.data, learner, epochs=4, weights=weights, progress=False)
        except tr.ModelError as error:
            assert has_no_limit(error, prior), q
            continue
        steps = list(run.history)
        objective = np.array([step.objective for step in steps])
        noiseless = isinstance(drawn.model, tr.FactorialHiddenMarkovModel)  # nearly, as few rows leave it
        rounding = 1e-6 if noiseless else 1e-9
        assert (np.diff(objective) >= -rounding * np.maximum(1, np.abs(objective[1:]))).all(), q
        for step in steps:
            assert step.elbo.value + step.kl.value == pytest.approx(step.train.value, rel=1e-9, abs=1e-9), q
            assert step.kl.value >= -rounding, q
        total = float(counts @ log_p)
        assert steps[0].train.value * unit(drawn, counts) == pytest.approx(total, rel=1e-9, abs=1e-8), q


def unit(drawn: Drawn, counts: np.ndarray) -> float:
    """What the record divides by: rows or sequences, as often as they count."""
    return float(counts.sum())


@pytest.mark.verify
@pytest.mark.parametrize("first", range(SEEDS.start, SEEDS.stop, TOGETHER))
def test_small_models_at_random(first: int) -> None:
    for seed in range(first, min(first + TOGETHER, SEEDS.stop)):
        rng = np.random.default_rng(seed)
        drawn = FAMILIES[seed % len(FAMILIES)](rng)
        few = isinstance(drawn.model, tr.FactorialHiddenMarkovModel)  # rows: without a prior the noise would vanish
        prior = (None if few else 0, None, 0.5)[int(rng.integers(3))]
        try:
            check_likelihood(drawn)
            check_copies(drawn, prior)
            check_climbs(drawn, prior, rng)
        except Exception as error:
            error.add_note(f"seed {seed}: {drawn.model!r}, prior {prior}")
            raise
