"""Models of layers: what their joint probability is, what they draw, and what they refuse."""

from __future__ import annotations

import doctest

import jax
import layers_oracle
import numpy as np
import pytest
from layers_oracle import table
from layers_zoo import DIRECTED, ZOO, Row, random_evidence

import tractable as tr
from tractable.models import ModelError, condition

Z = 4.7


def test_the_oracle_reproduces_a_number_done_by_hand() -> None:
    assert doctest.testmod(layers_oracle).failed == 0


log_joint = jax.jit(lambda model, states: model.log_joint(states))
by_layer = jax.jit(lambda model, states: model.log_joint_by_layer(states))
propose = jax.jit(lambda q, key, x, rows: q.sample(key, x, 2000, rows))


SOME = ("shallow", "deep_three", "autoregressive", "deep_belief_three")
some_rows = pytest.mark.parametrize("row", [row for row in ZOO if str(row) in SOME], ids=str)


@some_rows
def test_log_joint_is_the_sum_of_its_terms_unit_by_unit(row: Row) -> None:
    model = row.model()
    states = table(model).layers
    some = np.random.default_rng(0).choice(len(states[0]), size=min(40, len(states[0])), replace=False)
    expected = [layers_oracle.log_joint(model, [h[s] for h in states]) for s in some]
    with jax.enable_x64(True):
        found = sum(by_layer(model, [h[some] for h in states]))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    single = log_joint(model.astype(np.float32), [h[some].astype(np.float32) for h in states])
    np.testing.assert_allclose(single, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("row", [row for row in DIRECTED if str(row) in SOME], ids=str)
def test_a_directed_network_is_normalized_and_draws_what_it_says(row: Row) -> None:
    model, n = row.model(), 4000
    truth = table(model)
    assert truth.log_z == pytest.approx(0, abs=1e-9)
    layers = [np.asarray(h) for h in model.sample(3, n)]
    for h, mean in zip(layers, truth.means, strict=True):
        assert set(np.unique(h)) <= {0, 1}
        assert (np.abs(h.mean(0) - mean) < Z * np.sqrt(mean * (1 - mean) / n) + 1e-9).all()
    x, top = layers[0], layers[-1]
    exact = np.einsum("s,si,sj->ij", truth.p, truth.layers[0], truth.layers[-1])
    assert (np.abs(x.T @ top / n - exact) < Z * 0.5 / np.sqrt(n)).all()
    assert (np.asarray(model.sample(3, n)[0]) == x).all()


@some_rows
def test_conditioning_composes_and_puts_what_is_known_in_its_place(row: Row) -> None:
    model, rng = row.model(), np.random.default_rng(4)
    first = random_evidence(model, rng, 0.5, 0.3)
    second = random_evidence(model, rng, 0.8)
    second = {name: np.where(np.isnan(first[name]), v, np.nan) for name, v in second.items()}
    both = {name: np.where(np.isnan(first[name]), second[name], first[name]) for name in first}
    once, twice = condition(model, both), condition(condition(model, first), second)
    states = [rng.integers(2, size=(6, n)).astype(float) for n in model.sizes]
    in_place = [np.where(np.isnan(both[name]), h, both[name]) for name, h in zip(model.groups, states, strict=True)]
    with jax.enable_x64(True):
        expected = log_joint(model, in_place)
        for found in (log_joint(once, states), log_joint(twice, states)):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    seen = [name for name, v in both.items() if not np.isnan(v).all()]
    if seen:
        other = {seen[0]: 1 - both[seen[0]]}
        with pytest.raises(ModelError, match="clamped already"):
            condition(once, other)


def test_a_deep_belief_network_sums_its_top_layer_out() -> None:
    model = next(r for r in ZOO if str(r) == "deep_belief_three").model()
    below = [np.array([[1.0, 0, 1]]), np.array([[0.0, 1, 1]]), np.array([[1.0, 1, 0]])]
    names = dict(zip(model.groups, (h[0] for h in below), strict=False))
    with jax.enable_x64(True):
        assert float(model.log_joint(below)[0]) == pytest.approx(table(model, names).log_z, rel=1e-12)
        known = condition(model, {"hidden3": [1, np.nan]})
        truth = table(model, {**names, "hidden3": np.array([1, np.nan])})
        assert float(known.log_joint(below)[0]) == pytest.approx(truth.log_z, rel=1e-12)


OWN = [np.tril(np.random.default_rng(n).normal(size=(n, n)), -1) for n in (4, 3)]


@pytest.mark.parametrize(("hidden", "within"), [(None, None), ((4, 3), None), (None, OWN), (6, [OWN[0], None])])
def test_a_recognition_network_says_how_likely_its_draws_were(hidden: object, within: object) -> None:
    q = tr.RecognitionNetwork([5, 4, 3], hidden=hidden, within=within, key=1)
    x = np.random.default_rng(0).integers(2, size=(3, 5))
    layers, log_q = propose(q, jax.random.key(0), x, None)
    assert [h.shape for h in layers] == [(3, 1, 5), (3, 2000, 4), (3, 2000, 3)]
    log_prob = jax.jit(lambda q, layers: q.log_prob(layers))
    np.testing.assert_allclose(log_prob(q, layers), log_q, rtol=1e-4, atol=1e-4)
    states = np.array(np.meshgrid(*[[0.0, 1.0]] * 7)).reshape(7, -1).T
    p = np.exp(log_prob(q, [np.broadcast_to(x[0], (128, 5)).astype(float), states[:, :4], states[:, 4:]]))
    assert p.sum() == pytest.approx(1, abs=1e-5)
    mean = np.asarray(layers[2][0]).mean(0)
    assert (np.abs(mean - p @ states[:, 4:]) < Z * 0.5 / np.sqrt(2000)).all()
    first = np.asarray(layers[1][0])
    pairs = first[:, :, None] * first[:, None, :]
    expected = np.einsum("s,si,sj->ij", p, states[:, :4], states[:, :4])
    assert (np.abs(pairs.mean(0) - expected) < Z * 0.5 / np.sqrt(2000)).all()
    part = propose(q, jax.random.key(0), x[1:], np.array([1, 2]))
    assert (part.layers[2] == layers[2][1:]).all()
    grad = jax.jit(jax.grad(lambda net: net.sample(0, x, 3).log_q.sum()))(q)
    assert any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(grad))


def test_the_means_of_recognized_units_go_on_from_unit_to_unit() -> None:
    q, x = tr.RecognitionNetwork([2, 3], within=[OWN[1]], key=1), np.array([[1.0, 0.0]])
    (found,) = q.means(x)
    means: list[float] = []
    for i in range(3):
        a = (x @ q.weights[0][0] + q.biases[0][0])[0, i] + sum(OWN[1][i, k] * m for k, m in enumerate(means))
        means.append(1 / (1 + np.exp(-a)))
    np.testing.assert_allclose(found[0], means, rtol=1e-6)
    with pytest.raises(tr.ModelError, match="units of layer 1 depend on one another"):
        q.logits(1, x)


@pytest.mark.parametrize("key", [0, jax.random.key(0)], ids=["number", "key"])
def test_the_two_networks_of_a_pair_begin_with_different_numbers(key: object) -> None:
    machine = tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([6, 6], key=key), key=key)
    p, q = (np.asarray(w) for w in (machine.generative.weights[0], machine.recognition.weights[0][0]))
    assert not np.isin(p, q).any()


def test_true_is_a_triangle_of_zeros_to_be_learned() -> None:
    q = tr.RecognitionNetwork([4, 3, 2], within=True)
    assert [a.shape for a in q.within] == [(3, 3), (2, 2)] and not any(a.any() for a in q.within)
    assert repr(q) == "RecognitionNetwork(4 → 3 → 2, autoregressive; 27 parameters)"
    assert tr.SigmoidBeliefNetwork([4, 3], within=True).n_parameters == 12 + 7 + 6 + 3
    for none in (tr.SigmoidBeliefNetwork([4, 3], within=False), tr.RecognitionNetwork([4, 3], within=False)):
        assert not any(a is not None for a in none.within)


def test_the_graph_says_who_couples_whom() -> None:
    dense = tr.SigmoidBeliefNetwork([784, 200, 100]).graph
    assert dense.n_links == 784 * 200 + 200 * 100 and not dense.is_sparse
    assert dense.width({"visible": range(784)}) == 300
    assert [(v.n_units, v.most) for v in dense.v_structures({"visible": range(784), "hidden1": [3]})] == [
        (784, 199),
        (1, 100),
    ]
    assert dense.free({"visible": [0]}) == {"visible": 0, "hidden1": 200, "hidden2": 100}
    assert dense.free({"hidden1": [0]}) == {"visible": 0, "hidden1": 0, "hidden2": 100}
    chain = tr.SigmoidBeliefNetwork(weights=[[[1, 0], [1, 1], [0, 0]]], biases=[[0, 0, 0], [0, 0]]).graph
    assert chain.is_sparse and chain.n_links == 3
    assert chain.units_graph().parents["visible.1"] == ("hidden1.0", "hidden1.1")
    (only,) = chain.v_structures({"visible": range(3)})
    assert (only.n_units, only.fewest, only.most, only.units) == (1, 2, 2, (1,))
    top = tr.DeepBeliefNetwork([10, 6, 5]).graph
    assert top.width({"visible": range(10)}) == 6 and top.width({}) == 5


BAD = [
    (lambda: tr.SigmoidBeliefNetwork([4, 0]), "at least one, got 0"),
    (lambda: tr.SigmoidBeliefNetwork([4, 2.5]), "whole number of units"),
    (lambda: tr.SigmoidBeliefNetwork([]), "at least 1 layers"),
    (lambda: tr.SigmoidBeliefNetwork(), "give layers, or weights"),
    (lambda: tr.SigmoidBeliefNetwork([4, 2], weights=[np.ones((4, 3))]), r"weights 0: expected the shape \(4, 2\)"),
    (lambda: tr.SigmoidBeliefNetwork(weights=[np.ones((4, 3)), np.ones((2, 2))]), r"expected the shape \(4, 2\)"),
    (lambda: tr.SigmoidBeliefNetwork(weights=[np.ones(3)]), "expected a matrix"),
    (lambda: tr.SigmoidBeliefNetwork([4, 2], biases=[np.ones(4)]), "expected 2 biases"),
    (lambda: tr.SigmoidBeliefNetwork([1, 1], weights=[[[np.nan]]]), "not finite"),
    (lambda: tr.SigmoidBeliefNetwork([2, 1], within=[np.ones((2, 2)), None]), "zero on and above the diagonal"),
    (lambda: tr.SigmoidBeliefNetwork([2, 1]).log_joint([np.ones((1, 2))]), "has 2 layers, the states 1"),
    (lambda: tr.SigmoidBeliefNetwork([2, 1]).log_joint([np.ones(2), np.ones(2)]), "hidden1: the model has 1 units"),
    (lambda: condition(tr.SigmoidBeliefNetwork([2, 1]), {"hidden": [1]}), "unknown group 'hidden'.*'hidden1'"),
    (lambda: condition(tr.SigmoidBeliefNetwork([2, 1]), [1, 2]), "0 or 1"),
    (lambda: condition(tr.SigmoidBeliefNetwork([2, 1]), [[1, 0]]), "one case"),
    (lambda: condition(tr.SigmoidBeliefNetwork([2, 1]), [1, np.nan]).sample(0, 3), "clamped"),
    (lambda: tr.DeepBeliefNetwork([4, 2]), "at least 3 layers"),
    (lambda: tr.DeepBeliefNetwork([4, 2, 3], top=tr.restricted(3, 2)), "has 3 and 2 units"),
    (lambda: tr.DeepBeliefNetwork([4, 2, 3], top=tr.boltzmann(3)), "restricted machine of 0/1 units"),
    (lambda: tr.DeepBeliefNetwork(), "give layers"),
    (lambda: tr.RecognitionNetwork([4]), "at least 2 layers"),
    (lambda: tr.RecognitionNetwork([4, 2], within=[np.eye(2)]), "within 0.*zero on and above the diagonal"),
    (lambda: tr.RecognitionNetwork([4, 2], within=[None, None]), "expected 1 within for these layers, got 2"),
    (lambda: tr.RecognitionNetwork([4, 2]).sample(0, np.ones((3, 5))), r"expected rows of data \[n_rows, 4\]"),
    (
        lambda: tr.SigmoidBeliefNetwork([4, 2], weights=5),
        "weights: expected a list with an entry for each layer, got 5",
    ),
    (lambda: tr.SigmoidBeliefNetwork(weights=5), "weights: expected a list"),
    (lambda: tr.SigmoidBeliefNetwork(biases=5), "biases: expected a list"),
    (
        lambda: tr.SigmoidBeliefNetwork([2, 2], weights=[[[1, 2], [3]]]),
        r"shape \(2, 2\), got lists of different lengths",
    ),
    (lambda: tr.DeepBeliefNetwork(weights=[3], top=tr.restricted(3, 2)), r"expected a matrix, got the shape \(\)"),
    (lambda: tr.RecognitionNetwork(weights=[]), "give layers, or weights that say them"),
    (lambda: tr.RecognitionNetwork(weights=[[]]), "give layers, or weights that say them"),
    (lambda: tr.RecognitionNetwork(weights=[5]), "weights 0: expected a matrix"),
    (lambda: tr.RecognitionNetwork(weights=[[[1, 2], [3]]]), "rows of different lengths"),
    (lambda: tr.RecognitionNetwork([3, 2]).log_prob([np.zeros(3)]), "has 2 layers, the states 1"),
    (lambda: tr.pseudo_log_likelihood(tr.SigmoidBeliefNetwork([3, 2]), np.ones((1, 3))), "Boltzmann machines have one"),
    (lambda: tr.stacked(tr.restricted(3, 2)), "machines: expected a list"),
    (lambda: tr.stacked([5, 6]), "expected restricted machines of 0/1 units, got 5"),
    (lambda: tr.stacked([tr.restricted(3, 2)], states=[[0, 0.5]]), "column 1: the value 0.5 is not one of this unit"),
    (lambda: tr.stacked([tr.restricted(3, 2)], states=np.zeros((0, 2))), "states: there are no rows"),
    (lambda: tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([4, 2]), tr.RecognitionNetwork([4, 3])), r"needs \(4, 2\)"),
    (lambda: tr.HelmholtzMachine(tr.restricted(3, 2)), "got a Boltzmann"),
    (lambda: tr.HelmholtzMachine(tr.DeepBeliefNetwork([4, 3, 2]), tr.RecognitionNetwork([4, 3, 2])), r"needs \(4, 3\)"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[m for _, m in BAD])
def test_what_does_not_fit_is_refused_in_words(make, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make()
