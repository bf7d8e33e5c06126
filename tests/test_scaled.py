"""Models at another temperature, and the free energy of rows, against enumeration."""

from __future__ import annotations

import machines_zoo
import numpy as np
import pytest
from machines_oracle import joint
from sweep import some

import tractable as tr


@pytest.mark.verify
@pytest.mark.parametrize("row", some(machines_zoo.ZOO, 8), ids=str)
def test_a_machine_to_a_power_has_the_log_joint_times_beta(row: machines_zoo.Row) -> None:
    model, beta = row.model().astype(np.float64), 0.3 + 1.4 * (machines_zoo.ZOO.index(row) % 2)
    found, rng = tr.scaled(model, beta), np.random.default_rng(0)
    values = {name: machines_zoo.random_values(own, rng, (5, own.n)) for name, own in model.units.items()}
    expected = beta * np.asarray(model.log_joint(model.encode(values)), np.float64)
    assert np.asarray(found.log_joint(found.encode(values))) == pytest.approx(expected, rel=2e-5, abs=1e-4)
    assert found.dtype == model.dtype
    assert float(tr.log_partition(found)) == pytest.approx(joint(found).log_z, rel=1e-9)


def test_a_temperature_that_is_infinite_is_uniform_and_one_below_zero_turns_a_ferromagnet_round() -> None:
    pair = tr.boltzmann(2, units="spin", couplings=[[0.0, 2.0], [2.0, 0.0]])
    assert float(tr.log_partition(tr.scaled(pair, 0))) == pytest.approx(np.log(4))
    assert tr.infer(tr.scaled(pair, -1), [1, np.nan]).marginals["visible"][1] < -0.9


def test_networks() -> None:
    net = tr.BayesianNetwork(
        {"rain": ["no", "yes"], "wet": ["no", "yes"]},
        {"wet": ["rain"]},
        {"rain": [0.8, 0.2], "wet": [[0.9, 0.1], [0.2, 0.8]]},
    )
    p = np.array([[0.72, 0.08], [0.04, 0.16]]) ** 0.4
    cold = tr.scaled(net, 0.4)
    assert isinstance(cold, tr.MarkovNetwork)
    assert float(tr.log_partition(cold)) == pytest.approx(np.log(p.sum()))
    assert tr.infer(cold).marginals["wet"]["yes"] == pytest.approx(p[:, 1].sum() / p.sum())
    assert float(tr.log_partition(tr.scaled(cold, 2.5))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tr.scaled(tr.restricted(2, 1), float("nan")), "beta must be a finite number.*nan"),
        (lambda: tr.scaled(tr.restricted(2, 1), "2"), "beta must be a finite number"),  # pyright: ignore
        (lambda: tr.scaled(tr.restricted(tr.Gaussian(2), 1), 0.0), "Gaussian units have a distribution at a positive"),
        (lambda: tr.scaled(tr.MarkovNetwork({"a": "01"}, [("a", [0.0, 1.0])]), -1), "over .a. has an entry of zero"),
        (
            lambda: tr.scaled(tr.SigmoidBeliefNetwork([2, 1]), 2.0),  # pyright: ignore
            "a SigmoidBeliefNetwork has no temperature",
        ),
    ],
)
def test_what_has_no_temperature_is_said(call, words: str) -> None:
    with pytest.raises(tr.ModelError, match=words):
        call()


@pytest.mark.parametrize("row", machines_zoo.ZOO, ids=str)
def test_the_free_energy_sums_everything_else_out(row: machines_zoo.Row) -> None:
    model, rng = row.model(), np.random.default_rng(1)
    values = machines_zoo.random_values(model.units["visible"], rng, (4, model.n_visible))
    values[0, 0] = np.nan
    found = tr.free_energy(model, values)
    assert found.kind == "exact"
    assert found.value == pytest.approx([-joint(model, {"visible": v}).log_z for v in values], rel=1e-6, abs=1e-6)
    assert tr.log_likelihood(model, values).per_row.value == pytest.approx(
        -found.value - float(tr.log_partition(model)), abs=1e-9
    )


def test_where_it_is_a_bound_it_is_from_above() -> None:
    rng = np.random.default_rng(2)
    deep = tr.deep([4, 16, 16], couplings=[rng.normal(size=(4, 16)), rng.normal(size=(16, 16))])
    rows = rng.integers(0, 2, (3, 4))
    bound, exact = tr.free_energy(deep, rows, seconds=1e-3), tr.free_energy(deep, rows)
    assert exact.kind == "exact" and bound.kind == "bound"
    assert (bound.value >= exact.value - 1e-6).all() and (bound.upper >= exact.value - 1e-6).all()
