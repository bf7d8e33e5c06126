"""Tables held by their non-zeros: every verb and every file answers as for the dense twin, and no more is made."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hostile import complaint, counted
from hypothesis import given
from hypothesis import strategies as st
from sweep import many, seeds, sweep

import tractable as tr
from tractable.models import conditioning, diagrams, sparse_networks, sparse_tables
from tractable.models.sparse_tables import SparseTable
from tractable.posterior.verbs import expected_statistics

MEGABYTE = 2.0**20


@pytest.fixture(params=["whole", "pieces", "cut"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small tables as they are, and as large ones: in pieces, or cut and dense."""
    if request.param != "whole":
        for module in (conditioning, sparse_networks, sparse_tables):
            monkeypatch.setattr(module, "SMALL", 1)
        monkeypatch.setattr(sparse_tables, "SAVING", 1e-9 if request.param == "pieces" else 1e9)
    return request.param


def twins(seed: int) -> tuple[tr.BayesianNetwork, tr.BayesianNetwork]:
    """Random networks of up to seven variables, one with sparse tables, one with the same in full."""
    rng = np.random.default_rng(seed)
    names = [f"v{k}" for k in range(int(rng.integers(5, 8)))]
    states = {v: tuple("abc"[: int(rng.integers(1, 4))]) for v in names}
    parents: dict[str, Any] = {}
    tables: dict[str, np.ndarray] = {}
    for k, v in enumerate(names):
        parents[v] = tuple(rng.permutation(names[:k])[: int(rng.integers(0, k + 1)) if k > 2 else 0].tolist())
        shape = [len(states[u]) for u in (*parents[v], v)]
        table = rng.choice([0.0, 0.0, 1.0, 1.0, 0.3], shape) * rng.choice([1.0, rng.random()])
        table[table.sum(-1) == 0, int(rng.integers(shape[-1]))] = 1.0
        tables[v] = table / table.sum(-1, keepdims=True)
    sparse = {v: tr.sparse(t) if parents[v] and rng.random() < 0.8 else t for v, t in tables.items()}
    return tr.BayesianNetwork(states, parents, sparse), tr.BayesianNetwork(states, parents, tables)


def evidence_of(net: Any, rng: np.random.Generator, soft: bool = True) -> dict[str, Any]:
    """Some variables observed, as states that occur together, one of them softly."""
    row = tr.sample(net, 1, key=int(rng.integers(1000)))
    found: dict[str, Any] = {v: str(row[v][0]) for v in net.states if rng.random() < 0.4}
    if soft and (left := [v for v in net.states if v not in found and len(net.states[v]) == 2]):
        found[left[0]] = tr.likelihood([0.25, 1.0])
    return found


def same_marginals(a: Any, b: Any) -> None:
    assert list(a.marginals) == list(b.marginals)
    for v in b.marginals:
        np.testing.assert_allclose(a.marginals.array(v), b.marginals.array(v), atol=1e-9)
    np.testing.assert_allclose(a.log_partition.value, b.log_partition.value, atol=1e-9)


@pytest.mark.parametrize("seed", seeds(12))
def test_queries_of_one_case_are_those_of_the_dense_twin(seed: int, way: str) -> None:
    net, twin = twins(seed)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        seen = evidence_of(twin, rng)
        found, expected = tr.infer(net, seen), tr.infer(twin, seen)
        same_marginals(found, expected)
        assert float(tr.log_partition(net, seen).value) == pytest.approx(float(tr.log_partition(twin, seen).value))
        targets = list(rng.permutation(list(net.states))[:2])
        same_marginals(tr.infer(net, seen, targets=targets), tr.infer(twin, seen, targets=targets))
        same_marginals(tr.infer(net, seen, method="counting"), expected)
        best, peer = tr.most_probable(net, seen), tr.most_probable(twin, seen)
        assert float(best.log_probability.value) == pytest.approx(float(peer.log_probability.value))
        assert list(best.assignment) == list(net.states)
        np.testing.assert_allclose(found.joint(targets), expected.joint(targets), atol=1e-9)
        np.testing.assert_allclose(pickle.loads(pickle.dumps(found)).joint(targets), expected.joint(targets), atol=1e-9)
        narrow = tr.infer(net, seen, targets=[])
        np.testing.assert_allclose(narrow.joint(targets), expected.joint(targets), atol=1e-9)
        clamped = tr.condition(net, seen)
        assert list(clamped.states) == list(tr.condition(twin, seen).states)
        assert float(tr.log_partition(clamped).value) == pytest.approx(float(expected.log_partition.value))


@pytest.mark.parametrize("seed", seeds(12))
def test_plans_by_names_and_by_states_run_as_they_are(seed: int, way: str) -> None:
    net, twin = twins(seed)
    seen = evidence_of(twin, np.random.default_rng(seed), soft=False)
    expected = tr.infer(twin, seen)
    for observed in (list(seen), seen):
        plan = tr.plan(net, observed)
        found = tr.infer(net, seen, method=plan)
        same_marginals(found, expected)
        assert found.plan is plan
        assert set(plan.observed) == set(seen)
    target = tr.plan(net, seen, targets=[list(net.states)[-1]])
    assert target.targets == (list(net.states)[-1],)
    same_marginals(tr.infer(net, seen, method=target), tr.infer(twin, seen, targets=target.targets))


@pytest.mark.parametrize("seed", seeds(8))
def test_many_rows_are_those_of_the_dense_twin(seed: int, way: str) -> None:
    net, twin = twins(seed)
    drawn = tr.sample(twin, 12, key=seed)
    holes = np.random.default_rng(seed).random((12, len(net.states))) < 0.4
    rows = pd.DataFrame(dict(drawn)).mask(pd.DataFrame(holes, columns=list(net.states)))
    same_marginals(tr.infer(net, rows), tr.infer(twin, rows))
    best, peer = tr.most_probable(net, rows), tr.most_probable(twin, rows)
    np.testing.assert_allclose(best.log_probability.value, peer.log_probability.value)
    pd.testing.assert_frame_equal(tr.impute(net, rows), tr.impute(twin, rows))
    ours, theirs = (tr.evaluate.log_likelihood(model, rows) for model in (net, twin))
    np.testing.assert_allclose(ours.value, theirs.value)
    soft = {v: tr.likelihood([[0.5, 1.0], [1.0, 0.0]]) for v in list(net.states)[-1:] if len(net.states[v]) == 2}
    if soft:
        same_marginals(tr.infer(net, soft), tr.infer(twin, soft))
    assert tr.evaluate.kl_divergence(net, twin).value == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("seed", seeds(6))
def test_samples_are_of_the_variables_and_as_often_as_they_should_be(seed: int, way: str) -> None:
    net, twin = twins(seed)
    seen = evidence_of(twin, np.random.default_rng(seed), soft=False)
    n = 4000
    for evidence in ({}, seen):
        drawn, exact = tr.sample(net, n, evidence=evidence, key=seed), tr.infer(twin, evidence)
        assert set(drawn) == set(net.states)
        for v, own in net.states.items():
            for s in own:
                p = exact.marginals[v][s]
                assert abs((drawn[v] == s).mean() - p) <= 5 * np.sqrt(p * (1 - p) / n) + 1e-12
        assert np.isfinite(tr.log_partition(twin, pd.DataFrame(dict(drawn))).value).all()
    again = tr.infer(net, seen, targets=[]).sample(5, key=1)
    assert set(again) == set(net.states)


@pytest.mark.parametrize("seed", seeds(6))
def test_em_learns_the_same_and_keeps_the_zeros(seed: int) -> None:
    net, twin = twins(seed)
    drawn = tr.sample(twin, 40, key=seed)
    rows = pd.DataFrame({v: pd.Series(x).mask(np.arange(40) % 5 == k) for k, (v, x) in enumerate(drawn.items())})
    fitted, peer = (tr.fit(model, rows, epochs=3).model for model in (net, twin))
    for v in net.states:
        np.testing.assert_allclose(np.asarray(fitted.tables[v]), peer.tables[v], atol=1e-9)
    hard = [expected_statistics(m, m.check(rows), q="hard") for m in (net, twin)]
    assert hard[0].elbo == pytest.approx(hard[1].elbo)
    held = tr.BayesianNetwork(net.states, net.parents, net.tables, fixed=list(net.states))
    fixed = tr.fit(held, rows, epochs=2).model
    assert all(np.array_equal(np.asarray(fixed.tables[v]), twin.tables[v]) for v in net.states)


@pytest.mark.parametrize("seed", seeds(8))
def test_markov_networks_are_those_of_the_dense_twin(seed: int, way: str) -> None:
    rng = np.random.default_rng(seed)
    states = {v: tuple("abc"[: int(rng.integers(1, 4))]) for v in "uvwxyz"}
    scopes = [tuple(rng.permutation(list(states))[: int(rng.integers(1, 6))].tolist()) for _ in range(4)]
    tables = [rng.choice([0.0, 1.0, 2.5], [len(states[v]) for v in scope], p=[0.5, 0.3, 0.2]) for scope in scopes]
    for table in tables:
        table[(0,) * table.ndim] = 1.5
    net = tr.MarkovNetwork(states, [(s, tr.sparse(t)) for s, t in zip(scopes, tables, strict=True)])
    twin = tr.MarkovNetwork(states, list(zip(scopes, tables, strict=True)))
    seen = {v: "a" for v in states if rng.random() < 0.4}
    for evidence in ({}, seen):
        same_marginals(tr.infer(net, evidence), tr.infer(twin, evidence))
        best, peer = tr.most_probable(net, evidence), tr.most_probable(twin, evidence)
        assert float(best.log_probability.value) == pytest.approx(float(peer.log_probability.value))
        assert float(tr.log_evidence(net, evidence).value) == pytest.approx(
            float(tr.log_evidence(twin, evidence).value)
        )
        same_marginals(tr.infer(tr.condition(net, evidence)), tr.infer(tr.condition(twin, evidence)))
    assert float(tr.log_partition(tr.scaled(net, 2)).value) == pytest.approx(
        float(tr.log_partition(tr.scaled(twin, 2)).value)
    )
    with pytest.raises(tr.ModelError, match="beta must be positive"):
        tr.scaled(tr.MarkovNetwork(states, [("u", tr.sparse([0.0] * len(states["u"])))]), 0)
    other = net.replace({0: tr.sparse(tables[0] * 2)})
    assert np.array_equal(np.asarray(other.factors[0].table), tables[0] * 2)


# ---------------------------------------------------------------- diagrams, and the record


@sweep(200)
@given(st.lists(st.integers(1, 3), min_size=4, max_size=7), st.integers(0, 2**32 - 1))
def test_a_diagram_is_the_table(shape: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.choice([0.0, 0.0, 0.0, 1.0, 0.5], shape).ravel()
    places = np.flatnonzero(table)
    pieces = diagrams.diagram(shape, places, table[places], 10**6)
    if not places.size:
        assert pieces is None
        return
    assert pieces is not None
    total = pieces[0].reshape(-1, pieces[0].shape[-1])
    for piece in pieces[1:]:
        total = np.tensordot(total, piece, 1).reshape(-1, piece.shape[-1])
    np.testing.assert_array_equal(total.ravel(), table)


@sweep(200)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_the_record_is_read_as_an_array(shape: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    array = rng.choice([0.0, 0.0, 1.0, 0.5], shape)
    table = SparseTable.of(array, shape)
    assert np.array_equal(np.asarray(table), array)
    assert table.nnz == np.count_nonzero(array)
    index = tuple(int(rng.integers(-n, n)) if rng.random() < 0.5 else slice(None) for n in shape)
    np.testing.assert_array_equal(table[index], array[index])
    np.testing.assert_array_equal(table[..., 0], array[..., 0])
    np.testing.assert_array_equal(np.concatenate(list(table.rows(2))).ravel(), array.ravel())
    for twin in (pickle.loads(pickle.dumps(table)), copy.copy(table), copy.deepcopy(table)):
        assert twin == table
        assert twin.nbytes == table.nbytes
    assert table != SparseTable.of(array + 1, shape)
    with pytest.raises(ValueError, match="read-only"):
        table.places[...] = 0


def test_a_network_is_copied_pickled_and_replaced() -> None:
    net, twin = twins(3)
    for same in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net), copy.copy(net), net.replace(name="other")):
        assert {v: type(t) for v, t in same.tables.items()} == {v: type(t) for v, t in net.tables.items()}
        same_marginals(tr.infer(same), tr.infer(twin))
    v = next(v for v, t in net.tables.items() if isinstance(t, SparseTable))
    dense = net.replace({v: np.asarray(net.tables[v])})
    assert isinstance(dense.tables[v], np.ndarray)
    assert repr(net) == repr(twin)
    assert net.n_parameters == twin.n_parameters
    again = tr.from_networkx(tr.to_networkx(net))
    assert all(np.array_equal(np.asarray(again.tables[u]), np.asarray(net.tables[u])) for u in net.states)


def test_what_is_tied_may_be_sparse() -> None:
    states, table = {"a": 2, "b": 2, "c": 2}, [[1.0, 0.0], [0.0, 1.0]]
    net = tr.BayesianNetwork(
        states, "a -> b; a -> c", {"a": [0.5, 0.5], "b": tr.sparse(table), "c": tr.sparse(table)}, ties=[("b", "c")]
    )
    assert net.ties == (("b", "c"),)


# ---------------------------------------------------------------- what is taken

ABX: dict[str, Any] = {"a": ["no", "yes"], "b": ["lo", "mid", "hi"], "x": ["f", "t"]}


def either(a: str, b: str) -> str:
    return "t" if a == "yes" or b == "hi" else "f"


def listed() -> dict[tuple[str, str, str], float]:
    return {(a, b, either(a, b)): 1.0 for a, b in itertools.product(ABX["a"], ABX["b"])}


def forms() -> Iterator[tuple[str, Any]]:
    entries = listed()
    columns = dict(zip("abx", zip(*entries, strict=True), strict=True))
    frame = pd.DataFrame({**columns, "p": list(entries.values())})
    places = np.array([[ABX[v].index(s) for v, s in zip("abx", key, strict=True)] for key in entries])
    yield "a function", either
    yield "a function, marked", tr.sparse(either)
    yield "a mapping", tr.sparse(entries)
    yield "a nested mapping", tr.sparse({a: {(b, x): 1.0 for (c, b, x) in entries if c == a} for a in ABX["a"]})
    yield "a long frame", tr.sparse(frame.sample(frac=1, random_state=0))
    yield "a long frame with an index", tr.sparse(frame.set_index(["a", "b"]))
    yield "places", tr.sparse(np.ones(6), places)
    yield "places in any order, one number", tr.sparse(1.0, places[::-1])
    yield "flat places", tr.sparse(1, np.ravel_multi_index(tuple(places.T), (2, 3, 2)))
    matrix = np.array([[0, 1] if a == "yes" or b == "hi" else [1, 0] for a in ABX["a"] for b in ABX["b"]])
    sparse = pytest.importorskip("scipy.sparse")
    for kind in ("csr_matrix", "csc_array", "coo_matrix", "lil_matrix"):
        yield kind, getattr(sparse, kind)(matrix)
    yield "a matrix, marked", tr.sparse(sparse.csr_matrix(matrix))
    yield "an array", tr.sparse(matrix.reshape(2, 3, 2))
    yield "a record", tr.BayesianNetwork(ABX, {"x": ["a", "b"]}, {"a": [1, 0], "b": [1, 0, 0], "x": either}).tables["x"]


@pytest.mark.parametrize("what", [name for name, _ in forms()])
def test_every_form_is_the_same_table(what: str) -> None:
    table = dict(forms())[what]
    net = tr.BayesianNetwork(ABX, {"x": ["a", "b"]}, {"a": [0.5, 0.5], "b": [0.2, 0.3, 0.5], "x": table})
    assert net.tables["x"].nnz == 6
    assert np.asarray(net.tables["x"]).argmax(-1).tolist() == [[0, 0, 1], [1, 1, 1]]
    assert tr.infer(net).marginals["x"]["t"] == pytest.approx(0.75)


def test_states_may_be_said_by_sparse_tables_with_names() -> None:
    tables = {"a": {"no": 0.5, "yes": 0.5}, "x": tr.sparse({("no", "f"): 1.0, ("yes", "t"): 1.0})}
    assert tr.BayesianNetwork({}, {"x": ["a"]}, tables).states["x"] == ("f", "t")
    assert tr.BayesianNetwork({"a": ["no", "yes"]}, {"x": ["a"]}, tables).states["x"] == ("f", "t")
    with pytest.raises(tr.ModelError, match="variable 'x': nothing says which states it has"):
        tr.BayesianNetwork({}, {"x": ["a"]}, {**tables, "x": either})


def test_what_is_left_out_without_saying_so_is_an_error_that_says_how() -> None:
    with pytest.raises(tr.ModelError, match=r"has no entry for a=no, b=lo, x=t; give it, or tr.sparse\(table\)"):
        tr.BayesianNetwork(ABX, {"x": ["a", "b"]}, {"a": [1, 0], "b": [1, 0, 0], "x": listed()})


def test_a_table_is_a_copy() -> None:
    values = np.array([0.25, 0.75, 1.0])
    tables = {"a": [0.5, 0.5], "x": tr.sparse(values, [0, 1, 2])}
    net = tr.BayesianNetwork({"a": 2, "x": 2}, {"x": ["a"]}, tables)
    values[:] = 5
    assert net.tables["x"].tolist() == [[0.25, 0.75], [1.0, 0.0]]


def test_rows_are_normalized_as_those_of_arrays() -> None:
    net = tr.BayesianNetwork(
        {"a": 2, "x": 3},
        {"x": "a"},
        {"a": [1, 1], "x": tr.sparse({("0", "0"): 3.0, ("0", "2"): 1.0, ("1", "1"): 1e308})},
        normalize=True,
    )
    np.testing.assert_allclose(net.tables["x"].tolist(), [[0.75, 0, 0.25], [0, 1, 0]])
    vast = {("0", "0"): 1e308, ("0", "2"): 1e308, ("1", "1"): 2.0}
    net = tr.BayesianNetwork({"a": 2, "x": 3}, {"x": "a"}, {"a": [1, 1], "x": tr.sparse(vast)}, normalize=True)
    np.testing.assert_allclose(net.tables["x"].tolist(), [[0.5, 0, 0.5], [0, 1, 0]])


BAD = [
    (lambda a, b: "maybe", "the function of its parents, for a=no, b=lo: variable 'x' has no state 'maybe'"),
    (lambda a, b: None, "for a=no, b=lo: a row of the table does not say the state of 'x'"),
    (lambda a: "t", "the function of its parents, for a=no, b=lo: TypeError"),
    (lambda a, b: "t" if b != "hi" else 1 / 0, "for a=no, b=hi: ZeroDivisionError"),
    (tr.sparse({("no", "lo", "t"): 1.0}), r"row 1 of the table \(it is that of a=no, b=mid\) has only zeros"),
    (tr.sparse({}), r"row 0 of the table \(it is that of a=no, b=lo\) has only zeros"),
    (tr.sparse({**listed(), ("no", "lo", "t"): -0.5}), "the entry -0.5 at a=no, b=lo, x=t is not a finite number"),
    (tr.sparse({**listed(), ("no", "lo", "t"): float("inf")}), "the entry inf at a=no, b=lo, x=t is not a finite"),
    (tr.sparse({**listed(), ("no", "lo", "t"): float("nan")}), "the entry for a=no, b=lo, x=t is missing"),
    (tr.sparse({**listed(), ("no", "lo", "t"): "much"}), "'much' for a=no, b=lo, x=t is no number"),
    (tr.sparse({**listed(), ("no", "lo", "t"): 0.5}), r"row 0 of the table sums to 1.5, not to 1"),
    (tr.sparse({**listed(), ("no", "low", "t"): 0.5}), "variable 'b' has no state 'low'"),
    (tr.sparse(1.0, [[0, 0, 0], [0, 0, 0]]), "two entries for a=no, b=lo, x=f"),
    (tr.sparse(1.0, [[0, 3, 0]]), r"place 0 of the sparse table is \[0, 3, 0\], beyond \(2, 3, 2\)"),
    (tr.sparse(1.0, [12]), r"place 0 of the sparse table is 12, beyond \(2, 3, 2\)"),
    (tr.sparse(1.0, [-1]), "place 0 of the sparse table is -1"),
    (tr.sparse(1.0, [[0, 0]]), r"places of shape \(1, 2\) and entries of shape \(\); a table over 3 variables"),
    (tr.sparse([1.0, 2.0], [0]), r"places of shape \(1,\) and entries of shape \(2,\)"),
    (tr.sparse(1.0, [0.5]), "the places of a sparse table are whole numbers"),
    (tr.sparse("much", [0]), "are arrays of numbers"),
    (tr.sparse(np.ones((2, 3))), r"the table has shape \(2, 3\)"),
    (SparseTable.of(np.ones((2, 2)), (2, 2)), r"the table has shape \(2, 2\), its variables need \(2, 3, 2\)"),
]


@pytest.mark.parametrize(("table", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_bad_input_names_the_variable_and_the_place(table: Any, message: str) -> None:
    with pytest.raises(tr.ModelError, match=message) as caught:
        tr.BayesianNetwork(ABX, {"x": ["a", "b"]}, {"a": [0.5, 0.5], "b": [0.2, 0.3, 0.5], "x": table})
    assert str(caught.value).startswith("variable 'x': ")
    assert len(str(caught.value).splitlines()) == 1


def test_a_matrix_of_another_shape_and_a_factor_by_a_function_are_refused() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(tr.ModelError, match=r"the sparse matrix has shape \(5, 2\), its variables need \(6, 2\)"):
        tr.BayesianNetwork(ABX, {"x": ["a", "b"]}, {"a": [1, 0], "b": [1, 0, 0], "x": sparse.csr_matrix((5, 2))})
    with pytest.raises(tr.ModelError, match=r"factor 0 over \(a, b\): a function says the state of a variable"):
        tr.MarkovNetwork(ABX, [("ab", either)])


def test_tables_beyond_all_memory_are_refused_before_anything_is_made() -> None:
    names = [f"b{k}" for k in range(80)]
    states = dict.fromkeys([*names, "x"], "01")
    flat = {v: [0.5, 0.5] for v in names}
    with counted() as effort:
        with pytest.raises(tr.ModelError, match=r"less than 2\^62 entries, its variables need 2\^81"):
            tr.BayesianNetwork(states, {"x": names}, {**flat, "x": tr.sparse(1.0, [0])})
        with pytest.raises(tr.ModelError, match=r"a function of 2\^40 rows"):
            tr.BayesianNetwork(states, {"x": names[:40]}, {**flat, "x": lambda *_: "0"})
        with pytest.raises(tr.ModelError, match=r"row 1 of the table .* has only zeros"):
            tr.BayesianNetwork(states, {"x": names[:50]}, {**flat, "x": tr.sparse(1.0, [0])})
    assert effort.peak < 2 * MEGABYTE


# ---------------------------------------------------------------- large ones

BITS = [f"b{k}" for k in range(20)]
FEW = [f"b{k}" for k in range(17)]


def large(places: np.ndarray, bits: list[str] = BITS) -> tr.BayesianNetwork:
    """A variable that is a function of many binary parents, by the places of its ones."""
    tables = {**{v: [0.3, 0.7] for v in bits}, "x": tr.sparse(1.0, places)}
    return tr.BayesianNetwork(dict.fromkeys([*bits, "x"], "01"), {"x": bits}, tables)


def ones(n: int) -> np.ndarray:
    """How many ones there are in each row of n binary parents."""
    rows = np.arange(2**n)
    return sum((rows >> k & 1 for k in range(n)), np.zeros(2**n, np.int64))


@pytest.fixture(scope="module")
def parity() -> tr.BayesianNetwork:
    return large(2 * np.arange(2**20) + ones(20) % 2)


@pytest.fixture(scope="module")
def noise() -> tr.BayesianNetwork:
    return large(2 * np.arange(2**20) + np.random.default_rng(0).integers(0, 2, 2**20))


def test_a_million_rows_take_their_non_zeros(parity: tr.BayesianNetwork) -> None:
    assert parity.tables["x"].nnz == 2**20
    assert parity.tables["x"].nbytes <= 4 * 2**20 + 8
    assert len(pickle.dumps(parity)) < 4.1 * 2**20


@pytest.mark.parametrize("which", ["parity", "noise"])
def test_what_is_observed_is_cut_out_before_anything_is_dense(which: str, request: pytest.FixtureRequest) -> None:
    net = request.getfixturevalue(which)
    seen = dict.fromkeys(BITS[1:], "1")
    with counted() as effort:
        found = tr.infer(net, {**seen, "x": "1"})
    assert effort.peak < MEGABYTE
    row = [net.tables["x"][(bit, *[1] * 19)] for bit in (0, 1)]
    weights = np.array([0.3 * row[0][1], 0.7 * row[1][1]])
    assert float(found.log_partition.value) == pytest.approx(19 * np.log(0.7) + np.log(weights.sum()))
    assert found.marginals["b0"]["1"] == pytest.approx(weights[1] / weights.sum())
    with counted() as effort:
        assert tr.infer(net, {"b3": "0"}, targets=["b7"]).marginals["b7"]["1"] == pytest.approx(0.7)
    assert effort.peak < MEGABYTE


def test_a_parity_of_twenty_is_never_dense(parity: tr.BayesianNetwork) -> None:
    found = tr.infer(parity)
    assert found.marginals["x"]["0"] == pytest.approx(0.5 + 0.5 * 0.4**20, rel=1e-12)
    assert found.plan.width < 6
    with counted() as effort:
        again = tr.infer(parity, {"x": "1"})
        drawn = tr.sample(parity, 100, evidence={"x": "1"})
        best = tr.most_probable(parity, {"x": "1"})
    assert effort.peak < MEGABYTE
    assert float(again.log_partition.value) == pytest.approx(np.log(0.5 - 0.5 * 0.4**20))
    assert (sum((drawn[v] == "1").astype(int) for v in BITS) % 2 == 1).all()
    assert float(best.log_probability.value) == pytest.approx(19 * np.log(0.7) + np.log(0.3))
    assert tr.plan(parity, memory="1MB").method == "elimination"


def test_what_has_no_pieces_is_priced_before_it_is_made(noise: tr.BayesianNetwork) -> None:
    assert noise.opened is None
    with counted() as effort:
        plan = tr.plan(noise, memory="1MB")
        with pytest.raises(tr.BudgetError, match=r"'x' has 2\^21 entries over the 21 variables that are not observed"):
            tr.infer(noise, memory="1MB")
        assert tr.plan(noise, dict.fromkeys(BITS[:8], "1"), memory="1MB").method == "elimination"
        assert tr.plan(noise, query="evidence", memory="1MB").method is not None
    assert (plan.method, plan.width, plan.bytes) == (None, 21.0, 8.0 * (2**21 + 0))
    assert effort.peak < 2 * MEGABYTE
    assert tr.plan(noise).method is not None


def test_what_would_be_too_large_as_an_array_says_so() -> None:
    table = SparseTable((2,) * 40, np.array([0, 2**39]), np.ones(2))
    with pytest.raises(tr.ModelError, match=r"a table of 2\^40 entries, 2 of them not zero, is not made dense beyond"):
        np.asarray(table)
    assert table[(1, *[0] * 39)] == 1.0
    names = [f"v{k}" for k in range(40)]
    net = tr.MarkovNetwork(dict.fromkeys(names, "01"), [(names, tr.sparse(1.0, [0, 2**39]))])
    assert float(tr.log_partition(net).value) == pytest.approx(np.log(2))
    assert tr.infer(net, {"v0": "1"}).marginals["v1"]["0"] == 1.0
    with pytest.raises(tr.ModelError, match=r"sparse tables of 2\^40 entries together"):
        _ = net.packed


def test_pieces_that_are_too_large_are_not_made() -> None:
    names = [f"v{k}" for k in range(50)]
    places = np.sort(np.random.default_rng(0).integers(0, 2**50, 4000))
    net = tr.MarkovNetwork(dict.fromkeys(names, "01"), [(names, tr.sparse(1.0, places))])
    with counted() as effort, pytest.raises(tr.BudgetError, match=r"'v49' has 2\^50 entries"):
        tr.log_partition(net)
    assert effort.peak < 8 * MEGABYTE
    first = dict(zip(names, format(int(places[0]), "050b"), strict=True))
    del first["v0"], first["v1"]
    assert tr.infer(net, first).marginals["v0"][format(int(places[0]), "050b")[0]] == 1.0


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("extension", [".safetensors", ".bif", ".uai", ".xml", ".bif.gz"])
@pytest.mark.parametrize("seed", range(many(3)))
def test_files_of_small_ones_come_back(seed: int, extension: str, tmp_path: Path) -> None:
    net, twin = twins(seed)
    tr.save(net, tmp_path / f"net{extension}")
    back = tr.load(tmp_path / f"net{extension}")
    for a, b in zip(back.tables.values(), twin.tables.values(), strict=True):
        np.testing.assert_array_equal(np.asarray(a), b)
    if extension == ".safetensors":
        assert all(isinstance(t, SparseTable) == isinstance(net.tables[v], SparseTable) for v, t in back.tables.items())


@pytest.mark.parametrize(("extension", "most"), [(".safetensors", 0.6), (".bif", 0.9), (".uai", 1.2), (".xml", 1.8)])
def test_files_of_large_ones_come_back_sparse(extension: str, most: float, tmp_path: Path) -> None:
    net = large(2 * np.arange(2**17) + ones(17) % 2, FEW)
    tr.save(net, tmp_path / f"net{extension}")
    assert (tmp_path / f"net{extension}").stat().st_size < most * MEGABYTE
    back = tr.load(tmp_path / f"net{extension}")
    assert list(back.tables.values())[-1] == net.tables["x"]


def test_a_bif_file_has_a_default_and_the_other_rows(tmp_path: Path) -> None:
    net = large(2 * np.arange(2**17) + (ones(17) >= 16), FEW)
    tr.save(net, tmp_path / "net.bif")
    text = (tmp_path / "net.bif").read_text()
    assert "  default 1, 0;" in text
    assert text.count("  (") == 18
    assert tr.load(tmp_path / "net.bif").tables["x"] == net.tables["x"]


def test_a_default_of_a_million_rows_is_read_by_its_non_zeros(tmp_path: Path) -> None:
    text = "".join(f"variable {v} {{ type discrete [ 2 ] {{ 0, 1 }}; }}\n" for v in [*BITS, "x"])
    text += "".join(f"probability ( {v} ) {{ table 0.3, 0.7; }}\n" for v in BITS)
    row = ", ".join("1" * 20)
    head = f"probability ( x | {', '.join(BITS)} ) {{\n"
    path = tmp_path / "net.bif"
    path.write_text(f"{text}{head}  default 1 0;\n  ({row}) 0.25 0.75;\n}}\n")
    net = tr.load(path)
    assert net.tables["x"].nnz == 2**20 + 1
    assert net.tables["x"][(1,) * 20].tolist() == [0.25, 0.75]
    for line, told in (
        ("  default 1 0;\n  default 0 1;\n", "net.bif:44: expected one table, or rows and one default"),
        (f"  default 1 0;\n  ({row}) 0 1;\n  ({row}) 0 1;\n", "net.bif:45: this row of 'x' is given twice"),
        (f"  default 1 0;\n  ({row}) 0 0.5;\n", "net.bif:44: variable 'x': row 1048575 of the table sums to 0.5"),
        ("  default 0.5 0;\n", "net.bif:43: variable 'x': row 0 of the table sums to 0.5"),
    ):
        path.write_text(f"{text}{head}{line}}}\n")
        with pytest.raises(tr.FormatError) as caught:
            tr.load(path)
        assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(told)


def test_nothing_is_allocated_on_the_word_of_a_header(tmp_path: Path) -> None:
    names = [f"b{k}" for k in range(60)]
    text = "".join(f"variable {v} {{ type discrete [ 2 ] {{ 0, 1 }}; }}\n" for v in [*names, "x"])
    text += "".join(f"probability ( {v} ) {{ table 0.3, 0.7; }}\n" for v in names)
    for default in ("1 0", "0 0", "0.5 0.5"):
        bad = f"{text}probability ( x | {', '.join(names)} ) {{\n  default {default};\n}}\n"
        assert "too many for a default" in complaint(tmp_path / "net.bif", bad)


def test_tensors_that_are_no_sparse_table_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    net = tr.BayesianNetwork(ABX, {"x": ["a", "b"]}, {"a": [1, 0], "b": [1, 0, 0], "x": either})
    path = tmp_path / "net.safetensors"
    tr.save(net, path)
    size = int.from_bytes(path.read_bytes()[:8], "little")
    import json

    about = json.loads(path.read_bytes()[8 : 8 + size])["__metadata__"]
    tensors = load_file(path)
    assert {k: v.shape for k, v in tensors.items() if k[-1] == "x"} == {"places.x": (6,), "values.x": (1,)}
    for change, told in (
        ({"places.x": np.arange(5, dtype=np.int64)}, "row 3 of the table"),
        ({"places.x": np.array([0, 2, 4, 6, 8, 99])}, "place 5 of the sparse table is 99"),
        ({"places.x": np.array([0, 2, 4, 6, 8, 8])}, "two entries for a=yes, b=mid, x=f"),
        ({"places.x": np.ones(6)}, "type F64; places are I32 or I64"),
        ({"values.x": np.ones(6, np.float32)}, "type F32; tables are F64"),
        ({"values.x": np.full(6, np.nan)}, "is not a finite number"),
        ({"values.x": np.ones(4)}, "entries of shape"),
        ({"values.y": np.ones(1)}, "is not described in the header"),
    ):
        save_file({**tensors, **change}, path, about)
        with pytest.raises(tr.FormatError, match=told):
            tr.load(path)
    save_file({k: v for k, v in tensors.items() if k != "values.x"}, path, about)
    with pytest.raises(tr.FormatError, match=r"the tensor 'values.x' is missing"):
        tr.load(path)
