"""What machines are asked and cannot answer: one sentence each; and budgets of almost nothing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from machines_oracle import joint
from sweep import some

import tractable as tr
from tractable.evaluate import Annealing, anneal, traces
from tractable.models import ModelError
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.normalizable import check_normalizable
from tractable.posterior.tempering.exchange import temper


def gaussians(strength: float, kind: str) -> Boltzmann:
    """Gaussian units with couplings whose precision matrix is singular at a strength of one."""
    if kind == "restricted":
        return tr.restricted(
            tr.Gaussian(4), tr.Gaussian(4, log_precision=np.log(4)), couplings=np.full((4, 4), strength / 2)
        )
    if kind == "dense":
        return tr.boltzmann(units=tr.Gaussian(5), couplings=strength / 4 * (np.ones((5, 5)) - np.eye(5)))
    if kind == "edges":
        ring = [(i, (i + 1) % 6) for i in range(6)]
        return tr.boltzmann(edges=ring, units=tr.Gaussian(6), couplings=np.full(6, strength / 2))
    between = [np.full((2, 3), 9.0), strength * np.eye(3)]
    return tr.deep([tr.Bernoulli(2), tr.Gaussian(3), tr.Gaussian(3)], couplings=between)


KINDS = ("restricted", "dense", "edges", "deep")
ASKED: dict[str, Callable[[Boltzmann], Any]] = {
    "log_partition": tr.log_partition,
    "annealing": lambda m: tr.log_partition(m, method="annealing"),
    "anneal": anneal,
    "sample": lambda m: tr.sample(m, 3),
    "gibbs": lambda m: tr.infer(m, method="gibbs"),
    "mean_field": lambda m: tr.infer(m, method="mean_field"),
    "infer": tr.infer,
    "log_likelihood": lambda m: tr.log_likelihood(m, np.zeros((2, m.n_visible))),
    "log_evidence": lambda m: tr.log_evidence(m, np.zeros(m.n_visible)),
    "traces": traces,
    "temper": temper,
    "fit": lambda m: tr.fit(m, np.zeros((20, m.n_visible)), epochs=1, progress=False),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", ASKED)
def test_a_machine_that_cannot_be_normalized(verb: str, kind: str) -> None:
    with pytest.raises(
        ModelError, match=r"the machine cannot be normalized, log Z is infinite: .* more than 1.01,"
    ) as told:
        ASKED[verb](gaussians(1.01, kind))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_can(kind: str) -> None:
    for strength in (0.0, 0.5, 0.99):
        check_normalizable(gaussians(strength, kind))
    if kind == "restricted":  # within a group there are no chains of real-valued units
        assert np.isfinite(tr.sample(gaussians(0.99, kind), 3)).all()


def test_against_eigenvalues() -> None:
    rng, n = np.random.default_rng(0), 0
    for _ in range(100):
        w, gamma = np.triu(rng.normal(size=(4, 4)), 1), rng.uniform(0.5, 4, 4)
        least = np.linalg.eigvalsh(np.diag(gamma) - w - w.T)[0]
        n += least > 0
        model = tr.boltzmann(units=tr.Gaussian(4, log_precision=np.log(gamma)), couplings=w + w.T)
        try:
            check_normalizable(model)
            assert least > 0
        except ModelError as error:
            assert least <= 0
            factor = float(str(error).partition("more than ")[2].partition(",")[0]) * 1.001
            check_normalizable(tr.boltzmann(units=model.units["visible"], couplings=(w + w.T) / factor))
    assert 10 < n < 90


def test_what_is_observed_needs_no_distribution() -> None:
    model = gaussians(2.0, "restricted")
    x = np.ones(4)
    post = tr.infer(model, x)
    np.testing.assert_allclose(post.marginals["hidden"], np.full(4, 1.0), rtol=1e-6)  # θ/γ = 4/4
    np.testing.assert_allclose(tr.transform(model, [x]), np.full((1, 4), 1.0), rtol=1e-6)
    with pytest.raises(ModelError, match="cannot be normalized"):
        tr.infer(model, [x, [np.nan, 1, 1, 1], [np.nan, np.nan, np.nan, np.nan]])


@pytest.mark.parametrize("log_precision", [np.nan, np.inf, -np.inf, -800.0])
def test_a_precision_that_is_none(log_precision: float) -> None:
    model = tr.restricted(tr.Gaussian(2, log_precision=[0.0, log_precision]), 2)
    for verb in ("log_partition", "sample", "gibbs", "annealing"):
        with pytest.raises(ModelError, match="unit 1 of visible has the precision"):
            ASKED[verb](model)


@pytest.mark.parametrize(
    "make",
    [
        lambda: tr.restricted([tr.Bernoulli(2), tr.Spin(2)], 3),
        lambda: tr.restricted(3, (tr.Bernoulli(2), tr.Gaussian(2))),
        lambda: tr.deep([[tr.Bernoulli(2), tr.Spin(2)], 3]),
        lambda: tr.deep([3, 2], units=["bernoulli", "spin"]),
        lambda: tr.restricted({"bernoulli": 2, "spin": 2}, 3),
        lambda: tr.boltzmann(units=[tr.Bernoulli(2), tr.Spin(2)]),
        lambda: tr.boltzmann(2, units=["bernoulli", "spin"]),
        lambda: tr.restricted(tr.Bernoulli, 3),
        lambda: tr.restricted(4.5, 3),
    ],
)
def test_two_kinds_of_units_in_one_layer(make: Callable[[], Boltzmann]) -> None:
    with pytest.raises(ModelError, match="units of several kinds in one layer are Mixed"):
        make()


SMALL = [
    Annealing(n_chains=1),
    Annealing(n_temperatures=1),
    Annealing(n_temperatures=2),
    Annealing(n_chains=1, n_temperatures=1),
    Annealing(n_chains=2, n_temperatures=1, schedule="linear"),
    Annealing(n_chains=1, n_temperatures=2, schedule="linear"),
]


@pytest.mark.verify
@pytest.mark.parametrize(("settings", "units"), some(product(SMALL, ["bernoulli", "spin"]), 5), ids=str)
def test_budgets_of_almost_nothing_have_honest_intervals(units: str, settings: Annealing) -> None:
    rng, missed = np.random.default_rng(1), 0
    for key in range(12):
        model = tr.restricted(units=units, couplings=1.5 * rng.normal(size=(5, 4)))
        found = anneal(model, key=key, settings=settings).log_partition
        assert np.isfinite(found.value) and not np.isnan([found.lower, found.upper]).any()
        missed += not found.lower <= joint(model).log_z <= found.upper
        if settings.n_chains == 1:
            assert str(found.verdict).startswith("unreliable")
    assert missed <= 4  # of 12 at 95 %: more are one in 2,000


@pytest.mark.parametrize(("name", "what"), [("n_chains", "chains"), ("n_temperatures", "temperatures")])
@pytest.mark.parametrize("n", [0, -3, 1.5, np.nan])
def test_budgets_of_nothing_are_refused(name: str, what: str, n: Any) -> None:
    with pytest.raises(ValueError, match=f"the number of {what} must be a whole number, at least 1, got {n}"):
        anneal(tr.restricted(3, 2), settings=Annealing(**{name: n}))
