"""Draws of machines by the road of large ones, against exact shares; and what chains of many rows say of themselves."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from machines_oracle import joint
from sweep import some

import tractable as tr
from tractable.plan import budget
from tractable.plan.machines import GibbsChains, annealed_draws
from tractable.posterior._base import Drawn
from tractable.posterior.approximate import over_chains
from tractable.posterior.approximate.over_chains import Halves
from tractable.posterior.cases import read_cases
from tractable.posterior.tempering import draws, spread


def two_phases(odds: float, n: int = 16, m: int = 6, units: str = "spin") -> Any:
    """A pattern and its opposite, the first e^odds times as heavy, which no chain leaves; and the pattern."""
    rng = np.random.default_rng(5)
    xi, eta = rng.choice([-1.0, 1.0], n), rng.choice([-1.0, 1.0], m)
    W, b = 1.2 * np.outer(xi, eta), odds / (2 * n) * xi
    return tr.restricted(couplings=W, visible_bias=b, hidden_bias=np.zeros(m), units=units), xi


def share(x: np.ndarray, xi: np.ndarray) -> float:
    return float((np.asarray(x) @ xi > 0).mean())


@pytest.mark.parametrize("odds", [0.0, 1.0, 3.0])
def test_draws_have_the_shares_of_phases(odds: float) -> None:
    model, xi = two_phases(odds)
    found = draws.draw(model, 512, 1, annealed_draws(512))
    exact = 1 / (1 + np.exp(-odds))
    assert found.reliable, found.verdict
    assert abs(share(found.x["visible"], xi) - exact) < 4 * np.sqrt(exact * (1 - exact) / 512) + 0.01
    assert "phases found: 2" in found.verdict
    assert found.effective > 250


def test_samples_carry_their_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    model, xi = two_phases(0.5)
    model = replace(model, fields=model.fields | {"hidden": 0.1 * np.resize([1.0, -1.0], 6)})  # two signs: not balanced
    exact = tr.sample(model, 4000)
    assert exact.verdict == "exact" and exact.reliable
    monkeypatch.setitem(budget.PATIENCE, "sample", 0.0)
    x = tr.sample(model, 200)
    assert x.verdict.startswith("reliable given the phases found: 2")
    assert x[:3].verdict == x.verdict == pickle.loads(pickle.dumps(x)).verdict
    assert abs(share(x, xi) - share(exact, xi)) < 0.15
    given = np.where(np.arange(16) < 4, xi, np.nan)
    held = tr.sample(model, 50, evidence=given)
    assert (held[:, :4] == xi[:4]).all() and share(held, xi) == 1
    assert tr.sample(model, 0).shape == (0, 16)
    again = tr.sample(model, 200)
    assert (again == x).all()


def test_chains_that_do_not_cross_are_answered_otherwise() -> None:
    """All chains of a case would see the phase they start in; the shares among them are those of their starts."""
    model, _ = two_phases(1.0)
    exact = tr.infer(model, method="enumeration").certificates("visible").value
    post = tr.infer(model, method="gibbs", key=3)
    found = post.certificates("visible")
    assert found.verdict.startswith("reliable given the phases found: 2"), found.verdict
    assert (abs(found.value - exact) < 4 * found.std_error + 1e-6).all()
    assert found.std_error.max() > 0.02


def test_rows_whose_chains_do_not_cross_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "AGAIN", 0)
    model, xi = two_phases(0.0)
    none, all_known = np.full(16, np.nan), np.where(np.arange(16) < 8, xi, np.nan)
    found = tr.infer(model, {"visible": np.stack([all_known, none, all_known])}, method="gibbs").certificates("visible")
    assert found.verdict.startswith("unreliable: chains do not cross in 1 of 3 rows")
    assert "of row 1" in found.verdict
    assert found.std_error[1].min() > 0.5 > found.std_error[0].max()  # of one chain: its phase is a guess
    z = tr.impute(model, np.stack([all_known, none]))
    assert isinstance(z, Drawn)


def test_a_row_has_the_same_numbers_in_any_company() -> None:
    rng = np.random.default_rng(0)
    model = tr.restricted(couplings=rng.normal(size=(12, 5)))
    rows = np.where(rng.random((40, 12)) < 0.5, np.nan, (rng.random((40, 12)) < 0.5).astype(float))
    program = GibbsChains(16, 40)
    many = spread.by_gibbs(model, read_cases(model, rows), 3, program).means["visible"].value
    few = spread.by_gibbs(model, read_cases(model, rows[:7]), 3, program).means["visible"].value
    assert np.allclose(many[:7], few, atol=1e-5)


def test_halves_tell_whether_chains_cross() -> None:
    rng = np.random.default_rng(0)
    draws_of = rng.normal(size=(2, 1, 32, 200, 3))  # halves, rows, chains, draws, entries
    draws_of[:, :, 16:, :, 1] += 3  # half of the chains are elsewhere
    draws_of[..., 2] = 0.25  # never moves
    halves = Halves(draws_of.mean(3), (draws_of**2).mean(3))
    found = over_chains.r_hat(halves)[0]
    assert found[0] < 1.02 and found[1] > 1.5 and found[2] == 1
    certificate, hats = over_chains.averaged(halves)
    assert certificate.std_error[0, 1] > 1 > 0.1 > certificate.std_error[0, 0]
    told = over_chains.verdict({"v": hats}, over_chains.apart({"v": hats}))
    assert "at v[1]" in told and told.startswith("unreliable")


def test_no_number_does_not_cross() -> None:
    halves = Halves(np.full((2, 1, 4, 1), np.nan), np.full((2, 1, 4, 1), np.nan))
    assert over_chains.apart({"v": over_chains.r_hat(halves)}).all()


def random_machine(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    scale, kind = (0.3, 1.0, 2.0)[seed % 3], seed // 3 % 4
    if kind == 0:
        return tr.restricted(couplings=scale * rng.normal(size=(7, 4)), visible_bias=rng.normal(size=7))
    if kind == 1:
        J = np.triu(scale * rng.normal(size=(7, 7)), 1)
        return tr.boltzmann(7, units="spin", couplings=J + J.T, visible_bias=0.2 * rng.normal(size=7))
    if kind == 2:
        weights = [scale * rng.normal(size=pair) for pair in ((5, 4), (4, 3))]
        return tr.deep([5, 4, 3], couplings=weights, units="spin")
    units = tr.Categorical(3, 3)
    return tr.restricted(units, tr.Bernoulli(3), couplings=scale * rng.normal(size=(9, 3)))


@pytest.mark.verify
@pytest.mark.parametrize("seed", some(range(12), 4))
def test_averages_over_chains_hold_what_they_say(seed: int) -> None:
    model = random_machine(seed)
    post, truth = tr.infer(model, method="gibbs", key=seed), joint(model, None)
    for name in model.groups:
        found = post.certificates(name)
        assert found.verdict.startswith(("reliable", "unreliable"))
        exact = np.asarray(truth.means[name]).reshape(np.shape(found.value))
        assert (abs(found.value - exact) < 5 * found.std_error + 1e-3).all(), found.verdict


def test_what_is_made_of_draws_is_no_surer_than_these() -> None:
    sure, some = Drawn.of(np.ones(3), None), Drawn.of(np.ones(3), "reliable given the phases found: 2")
    doubted = Drawn.of(np.ones(3), "unreliable: chains do not cross")
    for found in (sure + doubted, doubted + sure, some * doubted, np.add(doubted, some), 1 - doubted):
        assert found.verdict == doubted.verdict and not found.reliable
    assert (sure + some).verdict == (some + sure).verdict == some.verdict
    assert (2 * sure).verdict == "exact" and float((sure + some).sum()) == 6.0


def test_rows_with_gaps_see_both_states_of_a_part_of_which_nothing_is_known() -> None:
    """Parts that do not touch, of two modes each, which no chain leaves: a row knows some, and of others nothing."""
    rng, k = np.random.default_rng(3), 5
    xi = rng.choice([-1.0, 1.0], 6 * k)
    W = np.repeat(np.repeat(np.diag(np.linspace(1.0, 1.6, k)), 6, axis=0), 2, axis=1) * xi[:, None]
    model = tr.restricted(couplings=W, visible_bias=0.1 * rng.normal(size=6 * k), units="spin")
    hidden = np.arange(6 * k) // 6 == np.arange(8)[:, None] % k
    rows = np.where(hidden, np.nan, xi * np.repeat(rng.choice([-1.0, 1.0], (8, k)), 6, axis=1))
    exact = tr.infer(model, rows, method="enumeration").certificates("visible").value
    found = tr.infer(model, rows, method="gibbs", key=1).certificates("visible")
    assert found.verdict.startswith("reliable")
    assert (abs(found.value - exact) < 4 * found.std_error + 0.02).all()
