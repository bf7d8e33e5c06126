"""Machines of several phases, by the road that large machines take: what is called reliable contains log Z."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from machines_oracle import joint
from machines_zoo import ZOO

from tractable.evaluate import Annealing, anneal, log_likelihood, starts
from tractable.models import restricted
from tractable.models.boltzmann_machine import Boltzmann, boltzmann
from tractable.models.units import Bernoulli, Spin
from tractable.posterior.tempering import bases, bounds, modes, strata
from tractable.posterior.tempering._base import run
from tractable.posterior.tempering.machines import make_path
from tractable.posterior.tempering.temperatures import linear

MACHINES = {str(row): row for row in ZOO}
QUICK = Annealing(n_chains=128, n_temperatures=50, burn_in=200)


@pytest.fixture
def as_if_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """No exact samples, however small the machine."""
    monkeypatch.setattr(starts, "EXACT_FLOPS", 0)
    monkeypatch.setattr(starts, "CLUSTER_STEPS", 0)


def two_phases(n: int = 12) -> Boltzmann:
    """All units off, or all on, with little between."""
    field = np.full(n, -3.5)
    return restricted(couplings=np.full((n, n), 7.0 / n), visible_bias=field, hidden_bias=field)


def log_z_by_counting(model: Boltzmann) -> float:
    """Of a machine whose units are all alike: a sum over how many of the visible ones are on."""
    w, b = model.couplings["visible", "hidden"], model.fields["visible"]
    n, k = w.shape[1], np.arange(w.shape[0] + 1)
    choices = np.concatenate([[0.0], np.cumsum(np.log(np.arange(len(k) - 1, 0, -1) / np.arange(1, len(k))))])
    each = np.logaddexp(0, float(model.fields["hidden"][0]) + k * float(w[0, 0]))
    return float(np.logaddexp.reduce(choices + k * float(b[0]) + n * each))


@pytest.mark.usefixtures("as_if_large")
def test_two_phases_are_found_and_named() -> None:
    model = two_phases()
    copies = np.zeros((20, 12))  # data of one phase alone
    found = anneal(model, data=copies, key=0, settings=QUICK).log_partition
    assert found.lower < log_z_by_counting(model) < found.upper
    assert (found.lower_kind, found.upper_kind) == ("probabilistic", "conditional")
    assert found.verdict is not None
    assert found.verdict.startswith("reliable given the phases found: 2, weights ")
    assert found.assumes is not None
    assert "8 ladders of 8 replicas" in found.assumes


@pytest.mark.usefixtures("as_if_large")
def test_without_a_search_nothing_is_called_reliable() -> None:
    model = two_phases()
    found = anneal(model, data=np.zeros((20, 12)), settings=replace(QUICK, phases=False)).log_partition
    assert found.verdict is not None
    assert not found.verdict.startswith("reliable")


def test_a_ferromagnet_has_exact_starts_and_no_assumption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "EXACT_FLOPS", 0)
    model = two_phases()
    found = anneal(model, key=1, settings=QUICK)
    assert found.starts == "exact samples by random clusters"
    assert found.log_partition.kind == "probabilistic"
    assert found.log_partition.lower < log_z_by_counting(model) < found.log_partition.upper


def test_the_answer_does_not_depend_on_the_rows_that_are_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "EXACT_FLOPS", 0)
    model = two_phases()
    off, on = (
        log_likelihood(model, np.full((3, 12), value), method="annealing", settings=QUICK).log_partition
        for value in (0, 1)
    )
    assert off == on


def test_planted_modes_are_found_from_eigenvectors_alone() -> None:
    """Sixty units in one of six patterns, which no free chain leaves: rows and ends of chains are all in the first."""
    rng = np.random.default_rng(0)
    patterns = rng.choice([-1.0, 1.0], (6, 60))
    model = restricted(Spin(60), Bernoulli(6), couplings=2 * patterns.T, hidden_bias=np.full(6, -60.0))
    stuck = {"visible": np.repeat(patterns[:1], 64, axis=0), "hidden": np.repeat(np.eye(6)[:1], 64, axis=0)}
    found = modes.find(model, None, stuck)
    overlap = np.abs(found.means["visible"] @ patterns.T).max(axis=0) / 60
    assert (overlap > 0.9).all()


@pytest.mark.parametrize("kind", ["restricted_mixed", "dense_hidden", "deep_gaussian"])
def test_weights_are_unbiased_for_any_table(kind: str) -> None:
    """Bases and regions at random, and reverse runs that start from exact samples: both directions give log Z."""
    model, rng, n = MACHINES[kind].model(2), np.random.default_rng(3), 4096
    truth = joint(model).log_z - float(model.offset)
    fields = {name: rng.normal(size=(3, model.units[name].n_features)) for name in model.groups}
    known = modes.Modes(fields, fields, np.zeros(3))
    table = np.array([1, 0, 1])
    first = {name: a[:2] for name, a in fields.items()}
    paths = strata._strata(model, first, known, table, np.array([0.7, 0.3]), True)
    which = paths.drawn(jax.random.key(0), n)
    path, betas = paths.path(which), linear(6)
    forward = run(path, jax.random.key(1), betas, path.start(jax.random.key(2), n))
    w = paths.log_weights(forward.work, which, paths.region(forward.x)) - truth
    assert np.isneginf(w).any()
    assert abs(bounds.log_mean_exp(w)) < 5 / np.sqrt(bounds.effective_sample_size(w))
    begun = starts.exact_states(model, tuple(forward.x), 5, n)
    assert begun is not None
    own = paths.table[paths.region(begun.x)]
    path = paths.path(own)
    down = np.concatenate([[1.0], betas[::-1]])
    back = run(path.reversed(), jax.random.key(3), down, path.mirrored(begun.x)).work - paths.offset(own) + truth
    ratio = bounds.acceptance_ratio(w, back)
    assert abs(ratio.log_z) < 5 * ratio.std_error
    counted = np.isfinite(w).mean()  # reverse runs see those forward runs alone that count
    error = np.hypot(1 / np.sqrt(bounds.effective_sample_size(back)), np.sqrt((1 / counted - 1) / n))
    assert abs(bounds.log_mean_exp(back) - np.log(counted)) < 5 * error


def test_the_kernel_of_narrow_machines_takes_a_base_for_each_chain() -> None:
    rng = np.random.default_rng(5)
    model = restricted(couplings=rng.normal(size=(37, 5)), visible_bias=rng.normal(size=37), hidden_bias=np.zeros(5))
    path = make_path(model, {"visible": rng.normal(size=(40, 37)), "hidden": rng.normal(size=(40, 5))})
    assert path.narrow is not None
    x = path.start(jax.random.key(1), 40)
    fast, plain = (run(p, jax.random.key(0), linear(30), x) for p in (path, replace(path, narrow=None)))
    np.testing.assert_array_equal(fast.x["hidden"], plain.x["hidden"])
    np.testing.assert_allclose(fast.increments, plain.increments, atol=2e-5)


@pytest.mark.parametrize("n", [3, 600])
def test_a_machine_without_couplings_has_one_mode(n: int) -> None:
    """No direction leads anywhere, whichever way eigenvectors are found."""
    model = restricted(couplings=np.zeros((n, 2)))
    found = modes.find(model, None, bases.free_run(model, jax.random.key(0)))
    assert found.elbo == pytest.approx([(n + 2) * np.log(2)], rel=1e-5)


def test_a_lattice_has_two_phases() -> None:
    """Its eigenvalues are degenerate, and 576 units are too many to find all."""
    site = np.arange(576).reshape(24, 24)
    edges = [(a, b) for axis in (0, 1) for a, b in zip(site.flat, np.roll(site, -1, axis).flat, strict=True)]
    model = boltzmann(576, edges, couplings=np.full(len(edges), 0.6), units="spin")
    found = modes.find(model, None, bases.free_run(model, jax.random.key(0)))
    assert sorted(np.sign(m).sum() for m in found.means["visible"][:2]) == [-576, 576]


def test_fields_with_the_means_of_all_modes_fix_no_unit() -> None:
    model = restricted(3, 2)
    ones = {"visible": np.ones(3), "hidden": np.zeros(2)}
    fields = bases.with_means(model, ones, 256)
    assert all(np.abs(theta).max() <= modes.MAX_FIELD for theta in fields.values())
