"""The kernels as WebAssembly, in node: what a page that is a file says is what the verbs say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import brute_force
import numpy as np
import pytest
from data import real_files
from engine import Engine, as_evidence, node, numbered
from graphs import directed_graphs, questions, undirected_graphs
from hypothesis import given
from sweep import seeds, some, sweep

import tractable as tr
from tractable.kernels import wasm
from tractable.view import _tables
from tractable.view._base import replies
from tractable.view.networks import NetworkSession

MOST_STATES = 1 << 16
"""Of the largest table, for networks that are compared."""

pytestmark = pytest.mark.skipif(node() is None, reason="node is not here, which runs what a browser runs")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    try:
        wasm.library()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    found = Engine(node() or "")
    yield found
    found.close()


def infer(evidence: Any) -> dict[str, Any]:
    return {"verb": "infer", "evidence": evidence, "seconds": 60}


def check_beliefs(reply: dict[str, Any], net: Any, evidence: dict[str, Any]) -> None:
    expected = tr.infer(net, as_evidence(evidence), method="exact")
    log = expected.log_partition.value - (0 if net.graph.parents else tr.log_partition(net).value)
    assert reply["log_evidence"]["value"] == pytest.approx(log, rel=1e-9, abs=1e-9)
    for own, name in zip(reply["marginals"], net.states, strict=True):
        assert np.abs(np.array(own) - expected.marginals.array(name)).max() < 1e-9


def check_best(reply: dict[str, Any], net: Any, evidence: dict[str, Any], k: int) -> None:
    """As probable as those that the verb finds, all different, and what each is said to be worth."""
    found = reply["found"]
    assert len({tuple(one["states"]) for one in found}) == len(found)
    for own, expected in zip(found, tr.most_probable(net, as_evidence(evidence), k=k), strict=True):
        assert own["log_probability"]["value"] == pytest.approx(expected.log_probability.value, abs=1e-9, rel=1e-9)
    states = {v: own[s] for (v, own), s in zip(net.states.items(), found[-1]["states"], strict=True)}
    hard = sum(
        math.log(own[found[-1]["states"][list(net.states).index(v)]])
        for v, own in evidence.items()
        if isinstance(own, list)
    )
    joint = tr.log_evidence(net, states).value + hard
    assert found[-1]["log_probability"]["value"] == pytest.approx(joint, abs=1e-9, rel=1e-9)


def drawn(net: Any, share: float, seed: int) -> dict[str, Any]:
    """Evidence about some variables that is possible, that about one of them soft."""
    rng, names = np.random.default_rng(seed), list(net.states)
    row = tr.sample(net, 1, key=seed)
    seen = [v for v in names if rng.random() < share]
    evidence: dict[str, Any] = {v: str(row[v][0]) for v in seen}
    soft = names[rng.integers(len(names))]
    return {**evidence, soft: rng.uniform(0.1, 1, len(net.states[soft])).tolist()}


@pytest.mark.verify
@pytest.mark.parametrize("path", some(real_files("bif/*.bif.gz"), 10), ids=lambda path: path.name.partition(".")[0])
def test_real_networks(engine: Engine, path: Any) -> None:
    net = tr.load(path)
    cases = [{}, drawn(net, 0.1, 1), drawn(net, 0.4, 2)]
    if tr.plan(net).width > math.log2(MOST_STATES):
        cases = cases[2:]
    messages = [infer(numbered(net, case)) for case in cases]
    best = {"verb": "most_probable", "evidence": numbered(net, cases[-1]), "k": 3, "seconds": 60}
    *found, most = engine.ask(net, [*messages, best])
    for reply, case in zip(found, cases, strict=True):
        check_beliefs(reply, net, case)
    check_best(most, net, cases[-1], 3)


def random_network(seed: int) -> Any:
    """A small one, directed or not, with zeros, variables of one state, and some in no table."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    states = {f"v{i}": [str(s) for s in range(rng.integers(1, 4))] for i in range(n)}
    names = list(states)
    if seed % 2:
        scopes = [list(rng.permutation(names)[: rng.integers(0, 4)]) for _ in range(rng.integers(0, 7))]
        shapes = [[len(states[v]) for v in scope] for scope in scopes]
        entries = [rng.random(s) * (rng.random(s) < 0.8) * 10.0 ** rng.integers(-200, 200) for s in shapes]
        return tr.MarkovNetwork(states, list(zip(scopes, entries, strict=True)))
    parents = {v: list(rng.permutation(names[:i])[: rng.integers(0, 4)]) for i, v in enumerate(names)}
    tables = {}
    for v, own in parents.items():
        weights = rng.random([len(states[u]) for u in (*own, v)]) ** 3
        weights *= rng.random(weights.shape) < 0.7
        weights[..., 0] += weights.sum(-1) == 0
        tables[v] = weights / weights.sum(-1, keepdims=True)
    return tr.BayesianNetwork(states, parents, tables)


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(40))
def test_small_networks(engine: Engine, seed: int) -> None:
    net, rng = random_network(seed), np.random.default_rng(seed)
    evidence: dict[str, Any] = {v: own[rng.integers(len(own))] for v, own in net.states.items() if rng.random() < 0.3}
    evidence |= {v: rng.integers(0, 3, len(own)).tolist() for v, own in net.states.items() if rng.random() < 0.2}
    evidence = {v: own for v, own in evidence.items() if not isinstance(own, list) or any(own)}
    told = numbered(net, evidence)
    beliefs, best = engine.ask(net, [infer(told), {"verb": "most_probable", "evidence": told, "k": 4}])
    log_z = brute_force.log_partition(net, evidence)
    if log_z == -math.inf:
        assert (
            beliefs["impossible"] and beliefs["log_evidence"]["value"] == "-inf" and "probability zero" in best["error"]
        )
        return
    whole = 0.0 if net.graph.parents or type(net).__name__ == "BayesianNetwork" else brute_force.log_partition(net)
    assert beliefs["log_evidence"]["value"] == pytest.approx(log_z - whole, rel=1e-9, abs=1e-9)
    expected = brute_force.marginals(net, evidence)
    for v, own in zip(net.states, beliefs["marginals"], strict=True):
        assert own == pytest.approx(expected[v].tolist(), abs=1e-9)
    logs = sorted((w for _, w in brute_force.log_weights(net, evidence) if w > -math.inf), reverse=True)
    found = [one["log_probability"]["value"] for one in best["found"]]
    assert found == pytest.approx(logs[:4], rel=1e-9, abs=1e-9)
    states = [tuple(one["states"]) for one in best["found"]]
    assert len({*states}) == len(states)
    weight = {tuple(at.values()): w for at, w in brute_force.log_weights(net, evidence)}
    assert [weight[s] for s in states] == pytest.approx(found, rel=1e-9, abs=1e-9)
    ties = [sum(abs(w - own) <= 1e-12 * max(1, abs(own)) for w in logs) > 1 for own in found]
    assert [one["tied"] for one in best["found"]] == ties


class TestTooWide:
    def test_a_page_says_what_it_cannot(self, engine: Engine) -> None:
        n = 40
        names = [f"v{i}" for i in range(n)]
        pairs = itertools.combinations(names, 2)
        net = tr.MarkovNetwork(dict.fromkeys(names, "01"), [(pair, [[1.0, 2.0], [3.0, 4.0]]) for pair in pairs])
        messages = [
            infer([]),
            {"verb": "most_probable", "evidence": [], "k": 2},
            {"verb": "plan", "evidence": [], "variable": 3},
        ]
        late, best, price = engine.ask(net, messages)
        assert late["too_long"] and best["too_long"] and price["plan"]["method"] is None
        assert late["plan"]["words"].startswith("too wide for this page: tables of 2^")
        assert [rung["seconds"] for rung in late["ladder"]] == [None]
        assert "tractable view" in late["ladder"][0]["note"]
        assert 26 < price["plan"]["width"] <= n and price["ladder"] == late["ladder"]

    def test_what_takes_long_is_offered(self, engine: Engine) -> None:
        """And is answered when it is asked for with its seconds."""
        names = [f"v{i}" for i in range(18)]
        pairs = list(itertools.combinations(names, 2))
        net = tr.MarkovNetwork(dict.fromkeys(names, "01"), [(pair, [[1.0, 2.0], [3.0, 4.0]]) for pair in pairs])
        short, long = engine.ask(net, [{**infer([]), "seconds": 1e-4}, infer([])])
        assert short["too_long"] and short["plan"]["words"].startswith("exact would take ")
        rung = short["ladder"][0]
        assert rung["words"].startswith("exact in ") and rung["seconds"] == pytest.approx(2 * short["plan"]["seconds"])
        check_beliefs(long, net, {})


def test_prices_before_the_click_are_those_after_it(engine: Engine) -> None:
    """Nothing is run for them."""
    net = tr.MarkovNetwork(
        dict.fromkeys("abcde", "012"),
        [(pair, np.arange(1.0, 10).reshape(3, 3)) for pair in ("ab", "bc", "cd", "de", "ea")],
    )
    before, after = engine.ask(
        net, [{"verb": "plan", "evidence": [[0, 1]], "variable": 2, "state": 2}, infer([[0, 1], [2, 2]])]
    )
    assert {k: before["plan"][k] for k in ("width", "flops", "bytes")} == {
        k: after["plan"][k] for k in ("width", "flops", "bytes")
    }


class TestSeparation:
    @pytest.mark.parametrize("path", real_files("bif/a[sl]*.bif.gz"), ids=lambda path: path.name)
    def test_reasons_are_those_of_the_session(self, engine: Engine, path: Any) -> None:
        net = tr.load(path)
        session, n = NetworkSession(net, "net"), len(net.states)
        rng = np.random.default_rng(0)
        asked = []
        for a, b in itertools.islice(itertools.combinations(range(n), 2), 0, None, max(1, n // 6)):
            known = [v for v in range(n) if v not in (a, b) and rng.random() < 4 / n]
            asked.append({"verb": "separation", "a": a, "b": b, "given": known})
        asked.append({"verb": "separation", "a": 1, "b": 1, "given": []})
        for found, message in zip(engine.ask(net, asked), asked, strict=True):
            assert found == list(replies(session, message))[-1]

    @pytest.mark.verify
    @sweep(60)
    @given(question=questions(directed_graphs() | undirected_graphs()))
    def test_separation_is_that_of_the_graph(self, engine: Engine, question: Any) -> None:
        graph, a, b, known = question
        place, u, v = {name: i for i, name in enumerate(graph.variables)}, min(a), min(b)
        message = {"verb": "separation", "a": place[u], "b": place[v], "given": [place[name] for name in sorted(known)]}
        (found,) = engine.ask(graph, [message])
        expected = tr.is_separated(graph, u, v, sorted(known))
        assert (found["separated"], found["reason"]) == (expected.separated, expected.reason)
        assert [graph.variables[i] for i in found["path"]] == list(expected.path)
        assert [graph.variables[i] for i in found["closed"]] == list(expected.closed)


class TestHostile:
    def test_sizes_at_the_edge(self, engine: Engine) -> None:
        lone = tr.BayesianNetwork({"a": ["only"]}, {}, {"a": [1.0]})
        check_beliefs(engine.ask(lone, [infer([])])[0], lone, {})
        rng = np.random.default_rng(0)
        many = tr.BayesianNetwork(
            {"a": 3000, "b": 2}, {"b": ["a"]}, {"a": rng.dirichlet(np.ones(3000)), "b": rng.dirichlet([1, 1], 3000)}
        )
        check_beliefs(engine.ask(many, [infer([[1, 1]])])[0], many, {"b": "1"})
        wide = tr.MarkovNetwork({f"v{i}": 2 for i in range(18)}, [([f"v{i}" for i in range(18)], rng.random([2] * 18))])
        check_beliefs(engine.ask(wide, [infer([[1, 1]])])[0], wide, {"v1": "1"})
        empty = tr.MarkovNetwork({"a": 4, "b": 2}, [])
        check_beliefs(engine.ask(empty, [infer([[0, 2]])])[0], empty, {"a": "2"})

    def test_numbers_beyond_doubles(self, engine: Engine) -> None:
        """Products of probabilities that no double holds, and those that need logarithms all the way."""
        n = 400
        chain = tr.MarkovNetwork(
            {f"v{i}": 2 for i in range(n)},
            [([f"v{i}", f"v{i + 1}"], [[1e-300, 2e-300], [3e-300, 1e-305]]) for i in range(n - 1)],
        )
        (found,) = engine.ask(chain, [infer([[0, 1], [9, 0]])])
        check_beliefs(found, chain, {"v0": "1", "v9": "0"})
        far = tr.MarkovNetwork(
            dict.fromkeys("abc", 2),
            [("ab", [[1e300, 1e-300], [1e-300, 1e-308]]), ("bc", [[1e-320, 1e-310], [1e308, 1e300]])],
        )
        (found,) = engine.ask(far, [infer([])])
        check_beliefs(found, far, {})

    @pytest.mark.parametrize(
        "evidence",
        [
            [[9, 0]],
            [[-1, 0]],
            [[0, 2]],
            [[0, [1.0]]],
            [[0, [1.0, -1.0]]],
            [[0, None]],
            [["0", 0]],
            [[0, [0.0, None]]],
            3,
        ],
    )
    def test_messages_that_make_no_sense_are_errors(self, engine: Engine, evidence: Any) -> None:
        """And change nothing for those that follow."""
        net = tr.load(str(real_asia()))
        bad, good = engine.ask(net, [infer(evidence), infer([])])
        assert "\n" not in bad["error"]
        check_beliefs(good, net, {})

    def test_no_memory_is_said_and_the_next_question_is_answered(self, engine: Engine) -> None:
        net = random_network(8)
        short, good = engine.ask(net, [infer([]), infer([])], full=True)
        assert "no more memory" in short["error"]
        check_beliefs(good, net, {})


def real_asia() -> Any:
    from importlib.resources import files

    return files("tractable") / "examples" / "asia.bif"


def test_tables_that_are_too_many_are_served_instead(monkeypatch: Any) -> None:
    monkeypatch.setattr(_tables, "MOST", 35)
    with pytest.raises(tr.ModelError, match=r"the tables have 36 entries, .* up to 35; leave -o out"):
        _tables.tables(tr.load(str(real_asia())))


def test_without_the_kernels_one_is_told_what_to_do(monkeypatch: Any, tmp_path: Any) -> None:
    monkeypatch.setattr(wasm, "files", lambda _: tmp_path)
    with pytest.raises(FileNotFoundError, match="pip install ziglang"):
        wasm.library()
