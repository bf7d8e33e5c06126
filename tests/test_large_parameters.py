"""Chains of machines with large parameters, in double precision: against exact numbers."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from machines_oracle import Z, joint
from sweep import some

import tractable as tr
from tractable.evaluate import Annealing, anneal
from tractable.evaluate.annealed_rows import RowAnnealing, row_work
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.precision import SINGLE, working_type
from tractable.posterior.tempering.exchange import ParallelTempering, temper

LARGE = [1e5, 3e6]


def machines(c: float) -> dict[str, Boltzmann]:
    """Machines whose parameters of order `c` cancel up to some of order one; single precision loses these."""
    w = np.random.default_rng(0).normal(size=(6, 4))
    joined = c * (np.eye(6, k=1) + np.eye(6, k=-1))
    wide = {"couplings": np.c_[w, np.full(6, c)], "visible_bias": 0.3 - np.full(6, c)}
    return {
        "restricted": tr.restricted(**wide, hidden_bias=np.r_[np.zeros(4), 9.0]),
        "spins": tr.restricted(
            units="spin", couplings=w, hidden_bias=np.r_[c, 0.1, 0.2, 0.3], visible_bias=-c * w[:, 0]
        ),
        "deep": tr.deep(
            [6, 4, 3], couplings=[w, c * np.eye(4, 3)], biases=[np.zeros(6), np.full(4, -c / 2), np.full(3, -c / 2)]
        ),
        "dense": tr.boltzmann(couplings=joined, visible_bias=np.linspace(0, 1, 6) - c),
        "edges": tr.boltzmann(
            edges=[(0, 1), (1, 2), (2, 3)], couplings=[c, -c, 0.5], visible_bias=[-c / 2, 0, c / 2, 0.1]
        ),
        "gaussian": tr.restricted(
            tr.Gaussian(3, log_precision=np.full(3, np.log(c))),
            2,
            couplings=0.1 * c * w[:3, :2],
            visible_bias=np.full(3, c / 10),
        ),
    }


KINDS = list(machines(1.0))


@pytest.mark.verify
@pytest.mark.parametrize(("kind", "c"), some(product(KINDS, LARGE), 5))
def test_annealing(kind: str, c: float) -> None:
    model, settings = machines(c)[kind], Annealing(n_temperatures=100)
    found, truth = anneal(model, key=2, settings=settings), joint(model).log_z
    certificate = found.log_partition
    assert certificate.lower - 1e-6 <= truth <= certificate.upper + 1e-6
    assert abs(certificate.value - truth) < 0.1
    assert found.forward.dtype == np.float64


@pytest.mark.verify
@pytest.mark.parametrize("kind", some(KINDS, 3))
def test_means_by_gibbs_and_mean_field(kind: str) -> None:
    model = machines(1e5)[kind]
    truth, found = joint(model), tr.infer(model, method="gibbs", key=1)
    assert found.log_partition.lower <= truth.log_z + 1e-6
    for name, mean in truth.means.items():
        errors = np.asarray(found.marginals.certificates(name).std_error)
        if kind in ("restricted", "gaussian"):  # elsewhere the sweeps cross nothing
            assert (np.abs(found.marginals[name] - mean) < Z * errors + 1e-3).all(), name


@pytest.mark.parametrize("kind", KINDS)
def test_conditional_means_by_chains(kind: str) -> None:
    """Given all visible units the hidden ones of a restricted machine are independent, their fields large."""
    model = machines(1e5)[kind]
    x = tr.sample(model, 3, key=0)
    if not model.hidden or kind == "deep":
        return
    exact = tr.infer(model, x)
    chains = tr.infer(model, x, method="gibbs")
    np.testing.assert_allclose(tr.transform(model, x), exact.marginals["hidden"], atol=1e-6)
    np.testing.assert_allclose(chains.marginals["hidden"], exact.marginals["hidden"], atol=1e-6)


def test_rows_of_a_deep_machine() -> None:
    c = 1e6
    model = tr.deep(
        [3, 2, 2],
        couplings=[np.full((3, 2), c), np.array([[1.0, -1.0], [0.5, 2.0]])],
        biases=[np.zeros(3), [0.4 - c, -0.2 - c], np.zeros(2)],
    )
    rows = np.array([[1, 0, 0], [0, 0, 1]])  # the large parts of the fields of hidden units cancel
    work = row_work(model, rows, 0, RowAnnealing(n_chains=2000, n_temperatures=100))
    exact = [tr.log_partition(tr.condition(model, row)).value for row in rows]
    np.testing.assert_allclose(np.logaddexp.reduce(work, axis=1) - np.log(2000), exact, atol=0.05)


def test_replica_exchange() -> None:
    model = machines(1e5)["restricted"]
    found = temper(model, ParallelTempering(n_chains=64, n_rounds=200, n_tuning=100), key=1)
    for name, mean in joint(model).means.items():
        assert (np.abs(found.averages[name].mean(0) - mean) < 0.1).all()


def test_which_precision() -> None:
    def of(**parameters: Any) -> type:
        return working_type(tr.restricted(**parameters))

    assert of(couplings=np.full((784, 500), 0.5)) is np.float32
    assert of(couplings=np.full((30, 1), 0.99 * SINGLE / 30)) is np.float32
    assert of(couplings=np.full((30, 1), -1.01 * SINGLE / 30)) is np.float64
    assert of(couplings=np.zeros((2, 1)), visible_bias=[0, -1.01 * SINGLE]) is np.float64
    assert of(couplings=np.full((3, 30), 3e307)) is np.float64
    narrow = tr.Gaussian(2, log_precision=np.log(1e-6))
    assert of(visible=narrow, hidden=1, couplings=np.zeros((2, 1)), visible_bias=[0.1, 0.0]) is np.float32
    assert of(visible=narrow, hidden=1, couplings=np.zeros((2, 1)), visible_bias=[1.0, 0.0]) is np.float64
