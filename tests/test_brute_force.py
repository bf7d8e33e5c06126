"""The oracle itself, against whole-array arithmetic and worked examples; and what the zoo promises of its rows."""

from __future__ import annotations

import doctest
import math

import brute_force
import numpy as np
import pytest
from zoo import ZOO, Model, Row, random_evidence

from tractable.models import BayesianNetwork, MarkovNetwork

SEEDS = range(3)
SCALES = ("bayesian_rare", "markov_scaled")


def _array(model: Model) -> np.ndarray:
    """The product of all tables as one array, by broadcasting."""
    place = {name: i for i, name in enumerate(model.states)}
    if isinstance(model, MarkovNetwork):
        factors = [(scope, table) for scope, table in model.factors]
    else:
        factors = [((*model.parents[v], v), table) for v, table in model.tables.items()]
    out = np.ones([len(states) for states in model.states.values()])
    for scope, table in factors:
        axes = np.argsort([place[v] for v in scope])
        shape = [len(states) if name in scope else 1 for name, states in model.states.items()]
        out = out * table.transpose(axes).reshape(shape)
    return out


def test_worked_examples() -> None:
    assert doctest.testmod(brute_force).failed == 0


@pytest.mark.parametrize("row", [row for row in ZOO if row.name not in SCALES], ids=str)
def test_the_oracle_agrees_with_one_large_array(row: Row) -> None:
    for seed in SEEDS:
        model = row.model(seed)
        array = _array(model)
        assert brute_force.log_partition(model) == pytest.approx(math.log(array.sum()), abs=1e-12)
        for i, (name, marginal) in enumerate(brute_force.marginals(model).items()):
            rest = tuple(j for j in range(array.ndim) if j != i)
            np.testing.assert_allclose(marginal, array.sum(axis=rest) / array.sum(), atol=1e-12, err_msg=name)
        assert brute_force.most_probable(model)[1] == pytest.approx(math.log(array.max()), abs=1e-12)


@pytest.mark.parametrize("row", ZOO, ids=str)
def test_evidence_is_a_product_with_its_likelihoods(row: Row) -> None:
    """p(x, y | e) p(e) summed over any axis is a marginal, and what is observed for certain is certain."""
    for seed in SEEDS:
        model = row.model(seed)
        evidence = random_evidence(model, np.random.default_rng(seed))
        if brute_force.log_partition(model, evidence) == -math.inf:
            continue
        marginals = brute_force.marginals(model, evidence)
        names = list(model.states)[:2]
        joint = brute_force.joint_marginal(model, names, evidence)
        for axis, name in enumerate(names):
            np.testing.assert_allclose(joint.sum(axis=tuple({0, 1} - {axis})[: joint.ndim - 1]), marginals[name])
        for name, given in evidence.items():
            if isinstance(given, str):
                assert marginals[name][list(model.states[name]).index(given)] == pytest.approx(1)


@pytest.mark.parametrize("row", ZOO, ids=str)
def test_every_row_of_the_zoo_is_a_possible_and_reproducible_model(row: Row) -> None:
    models = [row.model(seed) for seed in SEEDS]
    for model in models:
        total = brute_force.log_partition(model)
        assert math.isfinite(total)
        if isinstance(model, BayesianNetwork):
            assert total == pytest.approx(0, abs=1e-12)
    np.testing.assert_array_equal(models[1].packed.values, row.model(1).packed.values)


def test_an_impossible_case_has_log_evidence_minus_infinity() -> None:
    model = next(row for row in ZOO if row.name == "markov_zero_slice").model()
    assert brute_force.log_partition(model, {"b": 1}) == -math.inf


def test_rare_evidence_is_beyond_the_range_of_floats() -> None:
    model = next(row for row in ZOO if row.name == "bayesian_rare").model()
    assert -1500 < brute_force.log_partition(model, dict.fromkeys("abcd", 1)) < -1300
