"""The k best states of all families but networks: those of enumeration, in order, none twice, with what is tied."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import layers_oracle
import layers_zoo
import machines_oracle
import machines_zoo
import numpy as np
import pytest
from chains_oracle import enumerate_paths, random_chain
from factorial_oracle import enumerate_joint, gappy, random_model
from hypothesis import given
from hypothesis import strategies as st
from sweep import some

import tractable as tr
from tractable.kernels.chain import Chains, best_paths
from tractable.kernels.maxima import best_states
from tractable.plan import directed, machines
from tractable.posterior import ImpossibleEvidenceError
from tractable.posterior.best import tied

infer: Any = tr.infer
most_probable: Any = tr.most_probable
SHAPES = [(2,), (2, 2), (3, 2), (2, 1, 2), (2, 2, 2)]


def weather(zeros: float = 0.0, seed: int = 0) -> tr.HiddenMarkovModel:
    rng = np.random.default_rng(seed)
    start, transition, _ = random_chain(rng, 3, 1, zeros)
    return tr.HiddenMarkovModel(start, transition, tr.CategoricalEmissions([rng.dirichlet(np.ones(3), 3)]))


def joint(number: int, zeros: bool = False) -> tuple[tr.FactorialHiddenMarkovModel, np.ndarray]:
    model = random_model(number, SHAPES[number], zeros=zeros)
    return model, gappy(tr.sample(model, 4 if np.prod(SHAPES[number]) < 8 else 3, key=number), number)


def values(found: list[tr.MostProbable]) -> np.ndarray:
    return np.array([best.log_probability.value for best in found])


@pytest.mark.parametrize("zeros", [0.0, 0.4])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 4, 300])
def test_the_best_paths_of_a_chain(zeros: float, seed: int, k: int) -> None:
    model = weather(zeros, seed)
    rows = np.where(np.arange(5) == 2, np.nan, tr.sample(model, 5, key=seed)[:, 0])
    truth = enumerate_paths(model.first, model.transition, model.log_likelihoods(rows[:, None]))
    assert truth is not None
    best = np.sort(truth.log_joint[truth.log_joint > -np.inf])[::-1]
    found = most_probable(model, rows, k=k)
    found = found if k > 1 else [found]
    np.testing.assert_allclose(values(found), best[:k], rtol=1e-12)
    assert (np.diff(values(found)) <= 0).all()
    paths = [tuple(f.assignment["state"].tolist()) for f in found]
    assert len({*paths}) == len(found) == min(k, len(best))
    where = {tuple(path): log_p for path, log_p in zip(truth.paths.tolist(), truth.log_joint, strict=True)}
    np.testing.assert_allclose([where[path] for path in paths], values(found), rtol=1e-12)
    near = np.abs(np.diff(best)) < 1e-13
    assert [f.tied for f in found] == [*(np.r_[False, near] | np.r_[near, False])[: len(found)]]
    assert all(f.log_probability.kind == f.optimum.kind == "exact" and f.plan.n == k for f in found)


def test_many_sequences_have_as_many_paths_as_they_have() -> None:
    left_right = tr.HiddenMarkovModel(
        [1.0, 0.0], [[0.5, 0.5], [0.0, 1.0]], tr.CategoricalEmissions([[[0.5, 0.5, 0.0], [0.25, 0.75, 0.0]]])
    )
    sequences = [[0], [0, 1, 1], [2, 0], [1, 0, 0, 1, 0]]
    found = most_probable(left_right, sequences, k=4)
    assert len(found) == 4 and found[0].log_probability.verdict == "impossible: sequence 2 from row 0 on"
    for s, n in enumerate([1, 3, 0, 4]):
        own = [best.log_probability.value[s] for best in found]
        assert (np.array(own[:n]) > -np.inf).all() and own[n:] == [-np.inf] * (4 - n)
        assert all((best.assignment["state"][s] == -1).all() for best in found[n:])
        if n:
            alone = most_probable(left_right, sequences[s], k=4)
            assert len(alone) == n
            assert [f.assignment["state"].tolist() for f in alone] == [
                best.assignment["state"][s].tolist() for best in found[:n]
            ]
    with pytest.raises(ImpossibleEvidenceError):
        most_probable(left_right, [2], k=3)


def test_paths_that_are_as_probable_are_said_to_be() -> None:
    even = tr.HiddenMarkovModel(np.full(2, 0.5), np.full((2, 2), 0.5), tr.CategoricalEmissions([np.full((2, 2), 0.5)]))
    assert most_probable(even, [0, 1, 0]).tied is True
    found = most_probable(even, [0, 1, 0], k=10)
    assert len(found) == 8 and all(best.tied for best in found)
    assert most_probable(weather(), [0, 1, 0]).tied is False
    assert most_probable(even, [[0], [0, 1]]).tied.tolist() == [True, True]


@given(st.data())
def test_the_best_paths_among_many_ties(data: st.DataObject) -> None:
    k, t = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    weights = st.lists(st.sampled_from([0.0, 1.0, 1.0, 2.0]), min_size=k, max_size=k).filter(any)
    start, transition = np.array(data.draw(weights)), np.array([data.draw(weights) for _ in range(k)])
    with np.errstate(divide="ignore"):
        rows = np.log([data.draw(weights) for _ in range(t)])
    start, transition = start / start.sum(), transition / transition.sum(1, keepdims=True)
    truth, n = enumerate_paths(start, transition, rows), data.draw(st.integers(1, 90))
    found = best_paths(Chains(start, transition, rows), n)
    best = np.zeros(0) if truth is None else np.sort(truth.log_joint[truth.log_joint > -np.inf])[::-1][:n]
    np.testing.assert_allclose(found.log_probability[: len(best), 0], best, atol=1e-12)
    assert (found.log_probability[len(best) :] == -np.inf).all()
    assert len({tuple(path) for path in found.states[: len(best)].tolist()}) == len(best)
    near, same = np.abs(np.diff(best)) < 1e-11, np.zeros(len(best), bool)
    same[1:] |= near
    same[:-1] |= near
    assert tied(found.log_probability[: len(best)])[:, 0].tolist() == same.tolist()


@given(st.data())
def test_the_best_states_of_networks_among_many_ties(data: st.DataObject) -> None:
    shape, k = data.draw(st.sampled_from([(2, 2, 2), (3, 2, 2), (2, 1, 3)])), data.draw(st.integers(1, 14))
    names, entries = "abc", st.sampled_from([0.0, 1.0, 1.0, 2.0])
    factors = [
        (
            (names[i], names[j]),
            np.reshape([data.draw(entries) for _ in range(shape[i] * shape[j])], (shape[i], shape[j])),
        )
        for i, j in ((0, 1), (1, 2))
    ]
    net = tr.MarkovNetwork({v: "012"[:n] for v, n in zip(names, shape, strict=True)}, factors)
    joint_table = np.einsum("ab,bc->abc", factors[0][1], factors[1][1])
    expected = np.sort(joint_table[joint_table > 0])[::-1]
    if not len(expected):
        with pytest.raises(ImpossibleEvidenceError):
            most_probable(net, k=k)
        return
    found = most_probable(net, k=k)
    found = found if k > 1 else [found]
    np.testing.assert_allclose(np.exp(values(found)), expected[:k], rtol=1e-12)
    assert len({tuple(best.assignment.values()) for best in found}) == len(found) == min(k, len(expected))
    for rank, best in enumerate(found):
        assert k == 1 or best.tied == (np.sum(np.isclose(expected, expected[rank])) > 1)


def test_one_state_has_one_path() -> None:
    alone = tr.HiddenMarkovModel([1.0], [[1.0]], tr.CategoricalEmissions([[[0.5, 0.5]]]))
    (found,) = most_probable(alone, [0, 1], k=7)
    assert found.assignment["state"].tolist() == [0, 0] and found.tied is False


def test_so_many_paths_that_they_do_not_fit_are_refused() -> None:
    with pytest.raises(tr.BudgetError):
        most_probable(weather(), np.zeros(1000), k=10**9)
    assert len(most_probable(weather(), [0, 1], k=10**9)) == 9


def test_a_plan_for_another_number_is_refused() -> None:
    found = most_probable(weather(), [0, 1, 2], k=3)
    again = most_probable(weather(), [0, 1, 2], k=3, method=found[0].plan)
    assert values(again).tolist() == values(found).tolist()
    with pytest.raises(tr.ModelError, match="k=3"):
        most_probable(weather(), [0, 1, 2], method=found[0].plan)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("number", range(len(SHAPES)))
@pytest.mark.parametrize("k", [2, 9, 500])
def test_the_best_joint_paths_of_chains_that_meet(number: int, zeros: bool, k: int) -> None:
    model, rows = joint(number, zeros)
    truth = enumerate_joint(model, rows)
    best = np.sort(truth.log_joint[truth.log_joint > -np.inf])[::-1]
    found = most_probable(model, rows, k=k)
    np.testing.assert_allclose(values(found), best[:k], rtol=0, atol=1e-9)
    assert (np.diff(values(found)) <= 0).all()
    where = {path.tobytes(): log_p for path, log_p in zip(truth.paths, truth.log_joint, strict=True)}
    paths = [np.stack(list(f.assignment.values()), axis=1).astype(truth.paths.dtype).tobytes() for f in found]
    assert len({*paths}) == len(found)
    np.testing.assert_allclose([where[path] for path in paths], values(found), rtol=0, atol=1e-9)


def test_the_best_joint_paths_of_many_sequences_are_those_of_each() -> None:
    model, rows = joint(1)
    together = most_probable(model, [rows, rows[:1], rows[:2]], k=6)
    for s, part in enumerate([rows, rows[:1], rows[:2]]):
        alone = most_probable(model, part, k=6)
        for one, many in zip(alone, together, strict=False):
            assert many.log_probability.value[s] == pytest.approx(one.log_probability.value, abs=1e-12)
            for name in model.chains:
                assert many.assignment[name][s].tolist() == one.assignment[name].tolist()


def test_the_best_components_of_rows() -> None:
    model = tr.Mixture(
        [0.5, 0.25, 0.25], tr.CategoricalEmissions([[[0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]])
    )
    found = most_probable(model, [[1], [0], [2]], k=5)
    assert [list(best.assignment["component"]) for best in found] == [
        ["1", "0", None],
        ["2", None, None],
        ["0", None, None],
    ]
    assert [best.tied.tolist() for best in found] == [[True, False, False], [True, False, False], [False] * 3]
    assert found[0].log_probability.verdict == "impossible: row 2"
    assert all(a.log_probability.value[0] >= b.log_probability.value[0] for a, b in pairwise(found))
    alone = most_probable(model, [0], k=3)
    assert [best.assignment for best in alone] == [{"component": "0"}]
    assert alone[0].log_probability.value == pytest.approx(np.log(0.3))
    with pytest.raises(ImpossibleEvidenceError):
        most_probable(model, [2], k=2)


def check_states(found: list[tr.MostProbable], truth: np.ndarray, states: list[np.ndarray], k: int) -> None:
    """The records of one case against all joint states [n], given by the values of each group [n, units]."""
    order = np.argsort(-truth)[:k]
    np.testing.assert_allclose(values(found), truth[order], rtol=0, atol=1e-8)
    assert (np.diff(values(found)) <= 0).all() and len(found) == min(k, len(truth))
    whole = np.concatenate(states, axis=1)
    where = {tuple(row): log_p for row, log_p in zip(whole.tolist(), truth, strict=True)}
    keys = [tuple(np.concatenate([*best.assignment.values()]).tolist()) for best in found]
    assert len({*keys}) == len(found)
    np.testing.assert_allclose([where[key] for key in keys], values(found), rtol=0, atol=1e-8)


@pytest.mark.verify
@pytest.mark.parametrize("row", some(machines_zoo.ZOO, 5), ids=str)
@pytest.mark.parametrize("k", [1, 10**6])
def test_the_best_states_of_a_machine(row: machines_zoo.Row, k: int) -> None:
    model, rng = row.model(), np.random.default_rng(k)
    for share in (0.0, 0.4, 1.0):
        evidence = machines_zoo.random_evidence(model, rng, share)
        free = [name for name, own in evidence.items() if np.isnan(own).any()]
        if any(not np.isfinite(model.units[name].n_states) for name in free):
            with pytest.raises(tr.ModelError, match="discrete"):
                most_probable(model, evidence, k=k)
            continue
        truth = machines_oracle.joint(model, evidence)
        found = most_probable(model, evidence, k=k) if k > 1 else [most_probable(model, evidence, method="enumeration")]
        log_p = np.log(truth.p) + truth.log_z
        check_states(found, log_p, [truth.values[name] for name in model.groups], k)
        with pytest.raises(tr.ModelError, match="mean_field"):
            most_probable(model, evidence, method="mean_field")


@pytest.mark.parametrize("row", layers_zoo.ZOO, ids=str)
@pytest.mark.parametrize("k", [1, 7, 10**6])
def test_the_best_states_of_layers(row: layers_zoo.Row, k: int) -> None:
    model, rng = row.model(), np.random.default_rng(k)
    for share, hidden in ((1.0, 0.0), (0.5, 0.0), (0.5, 0.4), (0.0, 0.4), (0.0, 0.0), (1.0, 1.0)):
        evidence = layers_zoo.random_evidence(model, rng, share, hidden)
        truth = layers_oracle.table(model, evidence)
        log_p = np.log(truth.p) + truth.log_z
        there = log_p > -700  # of steep ones the oracle's numbers end
        found = most_probable(model, evidence, k=k, method="enumeration")
        found = (found if k > 1 else [found])[: int(there.sum())]
        check_states(found, log_p[there], [layer[there] for layer in truth.layers], min(k, int(there.sum())))


def test_the_best_states_of_many_cases_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    for model in (tr.restricted(4, 3, key=1), tr.SigmoidBeliefNetwork([4, 3, 2]), tr.boltzmann(5, hidden=2, key=3)):
        n = model.units["visible"].n if hasattr(model, "units") else 4
        rows = np.where(rng.random((9, n)) < 0.7, rng.integers(2, size=(9, n)), np.nan)
        rows[0], rows[1] = 1.0, np.nan
        for k in (1, 3, 20):
            together = most_probable(model, rows, k=k)
            together = together if k > 1 else [together]
            for r, own in enumerate(rows):
                alone = most_probable(model, own, k=k)
                alone = alone if k > 1 else [alone]
                for rank, best in enumerate(together):
                    if rank >= len(alone):
                        assert best.log_probability.value[r] == -np.inf
                        assert all(np.isnan(own[r]).all() for own in best.assignment.values())
                        continue
                    assert best.log_probability.value[r] == pytest.approx(alone[rank].log_probability.value, abs=1e-9)
                    assert best.tied[r] == alone[rank].tied


def test_hidden_units_given_all_rows_at_once_are_at_their_best() -> None:
    model = tr.restricted(tr.Spin(6), tr.Categorical(3, 3), key=2)
    rows = tr.sample(model, 1203, key=0)
    found = most_probable(model, rows)
    assert found.plan.method == "independent" and found.assignment["hidden"].shape == (1203, 3)
    for r in (0, 999, 1000, 1202):
        alone = most_probable(model, rows[r], k=2)
        assert alone[0].assignment["hidden"].tolist() == found.assignment["hidden"][r].tolist()
        assert alone[0].log_probability.value == pytest.approx(found.log_probability.value[r], abs=1e-9)


def test_what_averages_has_no_most_probable_state() -> None:
    model, rows = joint(1)
    for own, evidence, method in ((model, rows, "structured"), (tr.SigmoidBeliefNetwork([2, 2]), [0, 1], "gibbs")):
        with pytest.raises(tr.ModelError, match="no most probable state; choose one of auto"):
            most_probable(own, evidence, method=method)


def test_ties_of_units_are_said() -> None:
    even = tr.restricted(2, 2, couplings=np.zeros((2, 2)))
    assert most_probable(even).tied is True and len(most_probable(even, k=100)) == 16
    assert most_probable(even, [0, 1]).tied is True
    assert most_probable(even, {"visible": [0, 1], "hidden": [1, 0]}).tied is False
    network = tr.SigmoidBeliefNetwork(weights=[[[0.0]]], biases=[[0.0], [0.0]])
    assert [best.tied for best in most_probable(network, k=9, method="enumeration")] == [True] * 4


def test_nine_binary_units_of_a_sigmoid_belief_network() -> None:
    model = tr.SigmoidBeliefNetwork([4, 3, 2])
    found = most_probable(model)
    assert found.plan.method == "enumeration" and found.log_probability.kind == "exact"
    helmholtz = tr.HelmholtzMachine(model)
    assert most_probable(helmholtz, [0, 1, 0, 1], k=3)[0].log_probability.value <= found.log_probability.value


def test_too_many_states_are_refused_in_words() -> None:
    with pytest.raises(tr.BudgetError, match="enumerated"):
        most_probable(tr.restricted(784, 500, key=0))
    found = most_probable(tr.restricted(50, 40, key=0), k=2, seconds=1.0)[0]  # of few pairs there are tables
    assert found.plan.method == "branch_and_bound" and found.optimum.lower == found.log_probability.value
    with pytest.raises(tr.BudgetError, match="units"):
        most_probable(tr.SigmoidBeliefNetwork([40, 40]), np.zeros(40))


@pytest.mark.parametrize("coupled", [False, True])
def test_the_best_of_more_states_than_one_call_takes(coupled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, n, m = np.random.default_rng(5), 15, 3
    W, c, b = rng.normal(size=(n, m)), rng.normal(size=n), rng.normal(size=m)
    J = machines_zoo.symmetric(rng, n, 1.0) if coupled else None
    h = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)
    own = h @ c + np.maximum(h @ W + b, 0).sum(1) + (0 if J is None else 0.5 * np.einsum("si,ij,sj->s", h, J, h))
    monkeypatch.setattr("tractable.kernels.maxima.CHUNK", 1)
    found = best_states(W, c, b, J, 5000)
    np.testing.assert_allclose(found.values, np.sort(own)[::-1][:5000], atol=1e-10)
    np.testing.assert_allclose(own[found.states], found.values, atol=1e-10)
    assert len({*found.states.tolist()}) == 5000


def test_one_unit_of_several_states_coupled_with_its_kind() -> None:
    model = tr.boltzmann(3, units=tr.Categorical(1, 3), hidden=2, key=0)
    truth = machines_oracle.joint(model)
    post = infer(model)
    assert post.log_partition.value == pytest.approx(truth.log_z, abs=1e-6)
    assert post.sample(5)["visible"].shape == (5, 1)
    check_states(most_probable(model, k=4), np.log(truth.p) + truth.log_z, [truth.values[g] for g in model.groups], 4)


# ---------------------------------------------------------------- searches of tables


@pytest.mark.parametrize("name", ["lattice", "chain", "star", "edgeless"])
def test_the_best_states_of_few_pairs_by_a_search(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = next(row for row in machines_zoo.ZOO if str(row) == name).model()
    monkeypatch.setattr(machines, "MAX_TERMS_LOG2", -1)  # nothing is enumerated
    for share in (0.0, 0.4):
        evidence = machines_zoo.random_evidence(model, np.random.default_rng(2), share)
        truth = machines_oracle.joint(model, evidence)
        found = most_probable(model, evidence, k=9)
        assert name == "edgeless" or found[0].plan.method == "branch_and_bound"
        log_p = np.log(truth.p) + truth.log_z
        check_states(found, log_p, [truth.values[group] for group in model.groups], min(9, len(log_p)))
        assert all(best.optimum.kind == "exact" for best in found)


@pytest.mark.parametrize("name", ["sparse", "sparse_deep"])
def test_the_best_states_of_few_links_by_a_search(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = next(row for row in layers_zoo.ZOO if str(row) == name).model()
    monkeypatch.setattr(directed, "MAX_TERMS_LOG2", -1)
    for share in (0.0, 1.0):
        evidence = layers_zoo.random_evidence(model, np.random.default_rng(2), share)
        truth = layers_oracle.table(model, evidence)
        found = most_probable(model, evidence, k=9)
        assert found[0].plan.method == "branch_and_bound"
        check_states(found, np.log(truth.p) + truth.log_z, truth.layers, min(9, len(truth.p)))


def test_the_ground_states_of_a_glass_and_a_lattice_beyond_elimination() -> None:
    rng = np.random.default_rng(0)
    for n, seconds in ((6, None), (24, 1.0)):
        at = np.arange(n * n).reshape(n, n)
        edges = [
            (int(a), int(b)) for axis in (0, 1) for a, b in zip(at.ravel(), np.roll(at, 1, axis).ravel(), strict=True)
        ]
        glass = tr.boltzmann(n * n, edges, couplings=rng.normal(size=len(edges)), units="spin")
        first, second, third = most_probable(glass, k=3, seconds=seconds)
        assert first.plan.method == "branch_and_bound"
        for best in (first, second, third):
            attained = float(glass.log_joint(glass.encode(best.assignment)))
            assert best.log_probability.value == pytest.approx(attained, rel=1e-6)
            assert best.optimum.lower == best.log_probability.value <= best.optimum.upper
        if seconds is None:  # a glass turned over is as good
            assert first.tied and second.tied
            np.testing.assert_array_equal(first.assignment["visible"], -second.assignment["visible"])
            assert most_probable(glass).log_probability.value == pytest.approx(first.log_probability.value, abs=1e-9)
        else:
            assert first.optimum.kind == "bound" and first.optimum.upper < np.inf


def test_units_this_sure_have_no_tables_to_search(monkeypatch: pytest.MonkeyPatch) -> None:
    steep = tr.SigmoidBeliefNetwork(weights=[[[900.0, 0.0], [0.0, -900.0]]], biases=[[-1.0, 0.5], [0.1, 0.2]])
    found = most_probable(steep, k=99)
    assert len(found) == 16 and values(found)[-1] < -700
    monkeypatch.setattr(directed, "MAX_TERMS_LOG2", -1)
    with pytest.raises(tr.ModelError, match="this sure"):
        most_probable(steep, k=99)
