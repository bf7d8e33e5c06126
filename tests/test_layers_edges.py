"""Models of layers at the edges: much is missing, units are clamped, there is one layer, weights saturate."""

from __future__ import annotations

import re

import numpy as np
import pytest
from layers_oracle import table
from layers_zoo import network

import tractable as tr
from tractable.evaluate.directed import simulated_gap
from tractable.models import ModelError
from tractable.plan import budget

WIDE = [40, 40]


@pytest.fixture
def never_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    for query in budget.PATIENCE:
        monkeypatch.setitem(budget.PATIENCE, query, -1.0)


def test_probabilities_that_tables_cannot_hold_are_enumerated() -> None:
    """log p = −1203, which as a table's entry would be zero, and the answer −∞."""
    model = tr.SigmoidBeliefNetwork(weights=[[[0.5, 0.0], [0.0, 1.0]]], biases=[[1203.0, 0.2], [0.3, -0.4]])
    found = tr.infer(model, [0, 1])
    assert found.plan.method == "enumeration"
    assert found.log_partition.value == pytest.approx(table(model, {"visible": np.array([0.0, 1.0])}).log_z, abs=1e-9)
    assert tr.log_likelihood(model, [[0, 1]]).value == pytest.approx(found.log_partition.value, abs=1e-9)
    with pytest.raises(ModelError, match="enumeration"):
        tr.infer(model, [0, 1], method="elimination")


def wide(**settings) -> tr.HelmholtzMachine:
    return tr.HelmholtzMachine(tr.SigmoidBeliefNetwork(WIDE, **settings, key=1), tr.RecognitionNetwork(WIDE, key=2))


@pytest.mark.usefixtures("never_exact")
def test_gaps_are_filled_by_chains_and_not_by_a_recognition_network_that_never_saw_any() -> None:
    model = network(np.random.default_rng(3), [8, 6])
    away = tr.RecognitionNetwork(weights=[np.full((8, 6), -3.0)], biases=[np.full(6, 5.0)])
    x = np.array([[1, np.nan, np.nan, 0, np.nan, np.nan, np.nan, np.nan]])
    found = tr.impute(tr.HelmholtzMachine(model, away), x, key=1)
    np.testing.assert_array_equal(found, tr.impute(model, x, key=1))
    np.testing.assert_allclose(found[0], table(model, {"visible": x[0]}).means[0], atol=0.05)


def test_means_of_visible_units_that_see_one_another_go_on_from_unit_to_unit() -> None:
    model = tr.SigmoidBeliefNetwork(
        weights=[[[1.0], [-2.0], [0.5]]],
        biases=[[0.1, 0.2, -0.3], [0.4]],
        within=[np.tril(np.full((3, 3), 2.0), -1), None],
    )
    x = np.array([[1.0, 0, 1], [0, 0, 0]])
    h = tr.transform(model, x)
    logits = np.array([0.1, 0.2, -0.3]) + h @ [[1.0, -2.0, 0.5]]
    expected = np.zeros((2, 3))
    for i in range(3):
        expected[:, i] = 1 / (1 + np.exp(-(logits[:, i] + 2 * expected[:, :i].sum(1))))
    np.testing.assert_allclose(tr.reconstruct(model, x), expected, atol=1e-6)


def test_a_recognition_network_is_not_asked_what_it_does_not_know() -> None:
    x = np.random.default_rng(0).integers(2, size=(2, 40)).astype(float)
    clamped = tr.condition(wide(), {"hidden1": [1.0, *[np.nan] * 39]})
    assert (tr.transform(clamped, x)[:, 0] == 1).all()
    settings = {"samples": 5, "chains": 2, "key": 1}
    for model, rows in ((clamped, x), (wide(within=True), np.where(np.arange(40) < 3, np.nan, x))):
        done: list[tuple[int, int]] = []
        found = tr.log_likelihood(model, rows, progress=lambda *at, done=done: done.append(at), **settings)
        annealed = tr.log_likelihood(model, rows, method="annealing", **settings)
        assert found.value == annealed.value and np.isfinite(found.value) and done[-1] == (2, 2)
        gaps = np.where(np.arange(40) < 3, np.nan, x)
        filled = tr.impute(model, gaps, n_sweeps=5)
        assert ((filled >= 0) & (filled <= 1)).all() and (filled[:, 3:] == gaps[:, 3:]).all()


@pytest.mark.parametrize("model", [tr.DeepBeliefNetwork, tr.SigmoidBeliefNetwork])
@pytest.mark.parametrize("sizes", [[50, 30, 20], [784, 500, 500], [60, 40, 30, 20]])
@pytest.mark.parametrize("query", ["marginals", "evidence"])
def test_what_the_advice_asks_to_observe_is_enough(model, sizes, query) -> None:
    net = model(sizes)
    plan = tr.plan(net, ["visible"], query=query, memory="4 GiB")
    assert plan.method is None and plan.advice
    asked = [f"{name}.{i}" for n, _, _, name in map(str.split, plan.advice) for i in range(int(n))]
    assert tr.plan(net, ["visible", *asked], query=query, memory="4 GiB").method == "enumeration"
    exact = any(other.method == "missing links" for other in plan.alternatives)
    assert exact == (model is tr.SigmoidBeliefNetwork)
    said = str(tr.explain(net))
    assert "would bring it within the budget" in said
    assert re.search(r"or(, for [\w ]+,)? annealing \(probabilistic\)", said)


def test_only_units_that_couple_parents_are_named() -> None:
    w = np.zeros((6, 4))
    w[1, :2] = w[4, 1:] = w[0, 0] = 1
    model = tr.SigmoidBeliefNetwork(weights=[w], biases=[np.zeros(6), np.zeros(4)])
    (found,) = model.graph.v_structures({"visible": range(6)})
    assert (found.n_units, found.fewest, found.most, found.units) == (2, 2, 3, (1, 4))
    assert "visible.1 and visible.4, each, couples 2 to 3 parents in hidden1" in tr.plan(model, ["visible"]).why


def test_a_plan_takes_values_as_inference_does() -> None:
    model = tr.SigmoidBeliefNetwork([4, 3])
    for observed in ([1.0, np.nan, 0, 1], np.array([1, np.nan, 0, 1]), {"visible": [1.0, np.nan, 0, 1]}):
        assert tr.plan(model, observed).observed == tr.plan(model, {"visible": [0, 2, 3]}).observed
    assert tr.plan(model, [1, 0, 0, 1]).observed == ("visible",)
    assert len(tr.explain(model, observed=np.array([1, np.nan, 0, 1]))) == 2
    with pytest.raises(ValueError, match="visible has 4 units, got values of the shape"):
        tr.plan(model, {"visible": [1.0, 0.0]})


@pytest.mark.parametrize("within", [None, True])
def test_one_layer_is_a_network_too(within) -> None:
    model = tr.SigmoidBeliefNetwork([3], within=within, key=1)
    if within:
        own = np.array([[0, 0, 0], [2.0, 0, 0], [-1.0, 3.0, 0]])
        model = tr.SigmoidBeliefNetwork(biases=[[0.5, -0.5, 0.2]], within=[own], weights=[])
    truth = table(model, {"visible": np.array([1, np.nan, np.nan])})
    x = np.array([[1, np.nan, np.nan], [1, 0, 1]])
    for method in ("auto", "mean_field") if within is None else ("auto",):
        found = tr.infer(model, x[0], method=method).marginals["visible"]
        np.testing.assert_allclose(np.asarray(found), truth.means[0], atol=1e-6)
    assert tr.impute(model, x) == pytest.approx(np.stack([truth.means[0], x[1]]), abs=1e-6)
    assert tr.transform(model, x[1:]).shape == (1, 0) and tr.reconstruct(model, x[1:]).shape == (1, 3)
    drawn = tr.sample(model, 4000, evidence=x[0], key=1)
    np.testing.assert_allclose(drawn.mean(0), truth.means[0], atol=0.05)


def test_parents_that_are_certain_leave_a_bound() -> None:
    model = tr.SigmoidBeliefNetwork(weights=[[[800.0, 800.0]]], biases=[[-400.0], [-2.0, -2.0]])
    exact = float(tr.infer(model, [1]).log_partition.value)
    bound = float(tr.infer(model, [1], method="mean_field").log_partition.value)
    assert exact - 5 < bound < exact


def test_the_confidence_that_was_asked_for_is_given() -> None:
    machine = tr.HelmholtzMachine(tr.DeepBeliefNetwork([30, 40, 40], key=1), tr.RecognitionNetwork([30, 40], key=2))
    x = np.random.default_rng(0).integers(2, size=(5, 30))
    found = tr.log_likelihood(machine, x, samples=10, method="importance", confidence=0.9)
    assert found.confidence == pytest.approx(0.9) and found.log_partition.confidence == pytest.approx(0.902)
    certain = tr.Certificate(4.0, 3.9, 4.1, "bound")
    found = tr.log_likelihood(machine, x, samples=10, method="importance", log_partition=certain)
    assert found.confidence == pytest.approx(0.999)
    with pytest.raises(ValueError, match="a confidence is a probability between 0 and 1"):
        tr.log_likelihood(machine, x, confidence=2)


BAD = [
    (lambda m: tr.log_likelihood(m, [[0, 1, 0]], sample=10), TypeError, "did you mean 'samples'|no option 'sample'"),
    (lambda m: tr.log_likelihood(tr.restricted(3, 2), [[0, 1, 0]], methd="exact"), TypeError, "mean 'method'"),
    (lambda m: tr.log_partition(tr.restricted(3, 2), foo=3), TypeError, "no option 'foo'"),
    (lambda m: tr.log_partition(m, foo=3), TypeError, "no option 'foo'"),
    (lambda m: simulated_gap(m, 5, temperatures=0), ValueError, "number of temperatures"),
    (lambda m: simulated_gap(m, 0), ValueError, "number of rows"),
    (lambda m: tr.infer(m, np.zeros((0, 3))), ModelError, "there are no rows"),
    (lambda m: tr.transform(m, np.zeros((0, 3))), ModelError, "there are no rows"),
]


@pytest.mark.parametrize(("ask", "kind", "message"), BAD)
def test_what_makes_no_sense_is_refused(ask, kind, message: str) -> None:
    with pytest.raises(kind, match=message):
        ask(tr.SigmoidBeliefNetwork([3, 2]))
