"""Likelihoods of rows against enumeration, and published numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from data import DATA, needs_data
from machines_oracle import joint
from machines_zoo import ZOO, random_values

from tractable.evaluate import annealed_rows, live_log_likelihood, log_likelihood, log_partition, pseudo_log_likelihood
from tractable.models import ModelError, deep, restricted
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.posterior import Certificate

MACHINES = {str(row): row for row in ZOO}
KINDS = ["restricted_mixed", "restricted_gaussian", "deep", "lattice"]


def rows_of(model: Boltzmann, n: int = 4) -> np.ndarray:
    return random_values(model.units[VISIBLE], np.random.default_rng(0), (n, model.n_visible))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.4])
def test_rows_by_enumeration(kind: str, share: float) -> None:
    model = MACHINES[kind].model(0)
    rows = rows_of(model)
    rows[np.random.default_rng(1).random(rows.shape) < share] = np.nan
    rows[np.isnan(rows).all(axis=1), 0] = 1
    found = log_likelihood(model, rows)
    expected = [joint(model, {VISIBLE: row}).log_z - joint(model).log_z for row in rows]
    assert found.per_row.value == pytest.approx(expected, abs=1e-5)
    assert found.value == pytest.approx(np.mean(expected), abs=1e-5)
    assert found.kind == "exact"


def test_an_uncertain_log_partition_is_carried_over() -> None:
    model = MACHINES["restricted_mixed"].model(0)
    log_z = Certificate(3.0, 2.5, 4.0, "probabilistic", 0.95, 0.1, "reliable")
    found = log_likelihood(model, rows_of(model), log_partition=log_z)
    assert found.value - found.lower == pytest.approx(1.0)
    assert found.upper - found.value == pytest.approx(0.5)
    assert (found.kind, found.confidence, found.std_error, found.verdict) == ("probabilistic", 0.95, 0.1, "reliable")
    assert found.per_row.upper - found.per_row.lower == pytest.approx(np.full(4, 1.5))


def test_where_hidden_units_cannot_be_summed_out_the_bound_says_so() -> None:
    model = deep([4, 40, 40])
    log_z = Certificate.exact(0.0)
    found = log_likelihood(model, np.ones((3, 4)), log_partition=log_z)
    assert found.upper == np.inf
    assert found.verdict is not None
    assert "lower bound" in found.verdict


@pytest.mark.parametrize("kind", ["deep", "deep_gaussian"])
def test_annealed_rows_against_enumeration(kind: str) -> None:
    """Chains with three temperatures are far from equilibrium: only unbiased weights average to p̃(v)."""
    model = MACHINES[kind].model(0)
    rows, settings = rows_of(model, 5), annealed_rows.RowAnnealing(2000, 3)
    truth = np.array([joint(model, {VISIBLE: row}).log_z for row in rows])
    each, mean = annealed_rows.certified(model, rows, 1, settings)
    assert (abs(each.value - truth) < 5 * np.asarray(each.std_error) + 1e-4).all()
    assert (each.lower <= truth).all()
    assert (truth - each.lower).max() < 0.2
    assert mean.lower <= truth.mean()
    assert mean.lower == pytest.approx(each.value.mean() - np.log(40) / 5)
    assert np.isinf(mean.upper)


def test_the_same_chains_whatever_rows_are_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MACHINES["deep"].model(0)
    rows, settings = rows_of(model, 5), annealed_rows.RowAnnealing(10, 3)
    whole = annealed_rows.row_work(model, rows, 0, settings)
    monkeypatch.setattr(annealed_rows, "TOGETHER", 20)
    np.testing.assert_allclose(annealed_rows.row_work(model, rows, 0, settings), whole, atol=1e-5)


def test_lower_ends_of_annealed_rows_fail_as_rarely_as_they_say() -> None:
    """Few chains, two temperatures, couplings twice as strong: 5 % may fail, and of 200 hardly ever more than 12 %."""
    model = MACHINES["deep"].model(0)
    sharp = replace(model, couplings={pair: 2 * w for pair, w in model.couplings.items()})
    rows, settings = np.repeat(rows_of(model, 4), 50, axis=0), annealed_rows.RowAnnealing(4, 2, confidence=0.9)
    each, mean = annealed_rows.certified(sharp, rows, 3, settings)
    truth = np.repeat([joint(sharp, {VISIBLE: row}).log_z for row in rows[::50]], 50)
    assert (each.lower > truth).mean() < 0.12
    assert mean.lower <= truth.mean()


def test_a_deep_likelihood_by_annealing_says_what_it_lacks() -> None:
    model = MACHINES["deep"].model(0)
    rows = rows_of(model)
    truth = joint(model).log_z
    expected = np.mean([joint(model, {VISIBLE: row}).log_z for row in rows]) - truth
    how = annealed_rows.RowAnnealing(64, 20)
    found = log_likelihood(model, rows, method="annealing", rows=how, log_partition=Certificate.exact(truth))
    assert found.kind == "probabilistic"
    assert found.lower <= expected
    assert found.value == pytest.approx(expected, abs=0.1)
    assert found.verdict is not None
    assert "no upper end" in found.verdict
    assert found.upper == np.inf


def test_unusable_rows_are_refused() -> None:
    model = MACHINES["restricted_mixed"].model(0)
    with pytest.raises(ModelError, match="expected rows"):
        log_likelihood(model, np.zeros(3))
    with pytest.raises(ModelError, match="expected rows"):
        log_likelihood(model, np.zeros((0, 3)))


# ---------------------------------------------------------------- pseudo-likelihood


@pytest.mark.parametrize(
    "kind", ["restricted_mixed", "restricted_spin", "dense_categorical", "lattice", "dense_hidden"]
)
def test_each_unit_given_the_others_by_enumeration(kind: str) -> None:
    model = MACHINES[kind].model(0)
    rows = rows_of(model, 2)
    if kind == "dense_hidden":
        with pytest.raises(ModelError, match="hidden units interact"):
            pseudo_log_likelihood(model, rows)
        return
    expected = [sum(_conditional(model, row, i) for i in range(model.n_visible)) for row in rows]
    found = pseudo_log_likelihood(model, rows)
    assert found.per_row == pytest.approx(expected, abs=1e-6)
    assert found.kind == "exact"


def _conditional(model: Boltzmann, row: np.ndarray, i: int) -> float:
    """log p(v) − log p(v without unit i)."""
    without = row.copy()
    without[i] = np.nan
    return joint(model, {VISIBLE: row}).log_z - joint(model, {VISIBLE: without}).log_z


def test_some_units_stand_for_all() -> None:
    model = MACHINES["lattice"].model(0)
    rows = rows_of(model, 50)
    whole = pseudo_log_likelihood(model, rows).value
    found = [pseudo_log_likelihood(model, rows, n_units=6, key=k) for k in range(60)]
    error = float(np.mean([f.std_error or 0 for f in found]))
    assert np.mean([f.value for f in found]) == pytest.approx(whole, abs=4 * error / np.sqrt(60))
    assert np.mean([abs(f.value - whole) < 2 * error for f in found]) > 0.8
    assert pseudo_log_likelihood(model, rows, n_units=12).value == pytest.approx(whole)
    with pytest.raises(ModelError, match="n_units must be"):
        pseudo_log_likelihood(model, rows, n_units=13)


# ---------------------------------------------------------------- live, and published numbers


def test_live_is_exact_for_small_machines_and_warm_for_others() -> None:
    rng = np.random.default_rng(2)
    small = restricted(12, 5, key=1)
    rows = rng.integers(2, size=(3000, 12))
    live = live_log_likelihood(small, rows, rows[:10], 0)
    assert live.train.kind == "exact"
    assert len(live.train.per_row.value) == 2000
    large = restricted(24, 20, key=1)
    rows = rng.integers(2, size=(300, 24))
    first = live_log_likelihood(large, rows, None, 0, budget=25)
    second = live_log_likelihood(large, rows, rows, 1, budget=25, previous=first)
    truth = log_partition(large).value
    for found in (first, second):
        assert found.log_partition.kind == "probabilistic"
        assert found.log_partition.lower < truth < found.log_partition.upper
    assert first.validation is None
    assert second.validation is not None


@needs_data
def test_reference_machines() -> None:
    assert DATA is not None
    z = np.load(DATA / "reference" / "rbm_784x15.npz")
    bits = np.load(DATA / "mnist" / "binarized_mnist_fixed.npz")["test"]
    rbm = restricted(**{name: z[name] for name in z.files})
    found = log_likelihood(rbm, np.unpackbits(bits, axis=1))
    assert found.value == pytest.approx(-172.5736, abs=5e-5)
    z = np.load(DATA / "reference" / "dbm_5x6x7.npz")
    couplings, biases = (
        [z["couplings_1"], z["couplings_2"]],
        [z["visible_bias"], z["hidden_bias_1"], z["hidden_bias_2"]],
    )
    dbm = deep([5, 6, 7], couplings=couplings, biases=biases)
    assert log_partition(dbm).value == pytest.approx(9.917126301787, abs=1e-9)
    assert log_likelihood(dbm, np.zeros((1, 5))).value == pytest.approx(-8.067954277441, abs=1e-9)
