"""Targets: what is asked for is answered as enumeration has it, in one sweep, in groups, or refused with its price."""

from __future__ import annotations

import json
import math
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brute_force
import numpy as np
import pytest
from agreement import agrees_where_answered, case, close, enumerated
from sweep import seeds
from zoo import ZOO, Model, Row, random_evidence, random_network

import tractable as tr
from tractable.cli._run import run
from tractable.models.contradiction import contradiction
from tractable.models.evidence import parse_evidence
from tractable.plan import ByTarget, budget, networks, targets

ROWS = {row.name: row for row in ZOO}


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """No query about more than one variable is answered in one sweep."""
    price = networks.OneCase.price

    def narrow(self: Any, query: Any, names: Any, effort: float) -> tr.Plan:
        found = price(self, query, names, effort)
        wide = query == "marginals" or (query == "targets" and len(names) > 2)
        return networks.replace(found, method=None) if wide and found.method == "elimination" else found

    monkeypatch.setattr(networks.OneCase, "price", narrow)
    monkeypatch.setattr("tractable.posterior.engines.tables.at_once", lambda case, ask: None)


def chosen(model: Model, rng: np.random.Generator) -> list[str]:
    """Some of the variables, in any order."""
    names = list(model.states)
    return rng.permutation(names)[: rng.integers(0, len(names) + 1)].tolist()


def check(model: Model, evidence: dict[str, Any], asked: list[str], post: tr.Posterior) -> None:
    truth = enumerated(model, evidence)
    assert close(post.log_partition.value, truth.log_z)
    if not truth.possible:
        with pytest.raises(tr.posterior.ImpossibleEvidenceError):
            post.marginals  # noqa: B018
        return
    assert list(post.marginals) == asked
    for name in asked:
        np.testing.assert_allclose(post.marginals.array(name), truth.marginal(name), atol=1e-10, err_msg=name)


@pytest.mark.verify
@pytest.mark.parametrize("row", ZOO, ids=str)
def test_some_marginals_are_those_of_the_enumeration(row: Row) -> None:
    for seed in seeds(12):
        rng, model = np.random.default_rng(seed), row.model(seed)
        evidence = random_evidence(model, rng) if seed % 4 else {}
        asked = chosen(model, rng)
        check(model, evidence, asked, tr.infer(model, evidence, targets=asked))
        by_states = tr.plan(model, evidence, targets=asked)
        check(model, evidence, asked, tr.infer(model, evidence, method=by_states))
        hard = {v: x for v, x in evidence.items() if isinstance(x, str | int)}
        by_names = tr.plan(model, list(hard), targets=asked)
        assert by_names.targets == tuple(asked)
        check(model, hard, asked, tr.infer(model, hard, method=by_names, targets=asked))


@pytest.mark.verify
@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("row", ZOO, ids=str)
def test_groups_answer_as_one_sweep(row: Row) -> None:
    for seed in seeds(8):
        rng, model = np.random.default_rng(seed), row.model(seed)
        evidence = random_evidence(model, rng) if seed % 4 else {}
        asked = chosen(model, rng)
        post = tr.infer(model, evidence, targets=asked)
        assert not post.refused
        check(model, evidence, asked, post)
        if any(v not in evidence for v in model.states):
            agrees_where_answered(tr.infer(model, evidence), enumerated(model, evidence))


@pytest.mark.verify
def test_networks_of_any_shape_in_groups(apart: None) -> None:
    split = 0
    for seed in seeds(300):
        rng = np.random.default_rng(seed)
        model = random_network(rng, zeros=rng.choice([0, 0.3, 0.7]))
        evidence, asked = random_evidence(model, rng), chosen(model, rng)
        post = tr.infer(model, evidence, targets=asked)
        split += isinstance(post.plan.program, ByTarget)
        check(model, evidence, asked, post)
    assert split > 0.3 * len(seeds(300))


@pytest.mark.parametrize("name", ["bayes_random", "markov_grid", "bayes_zeros"])
def test_with_little_memory_what_is_answered_is_right(name: str) -> None:
    row = ROWS.get(name) or ZOO[0]
    answered = refused = 0
    for seed in seeds(30):
        truth = case(row, seed % 5)
        whole = tr.plan(truth.model, truth.evidence)
        for share in (0.9, 0.6, 0.4):
            try:
                post = tr.infer(truth.model, truth.evidence, memory=max(share * whole.bytes, 1))
            except tr.BudgetError as error:
                assert error.plan.method is None
                continue
            answered += agrees_where_answered(post, truth)
            refused += len(post.refused)
            assert post.plan.bytes <= share * whole.bytes
            assert all(plan.method is None for plan in post.refused.values())
    assert answered


def rows_of(model: Model, rng: np.random.Generator, n: int) -> np.ndarray:
    sizes = np.array([len(s) for s in model.states.values()])
    return np.where(rng.random((n, len(sizes))) < 0.4, rng.integers(sizes, size=(n, len(sizes))), -1)


@pytest.mark.verify
@pytest.mark.parametrize("how", ["together", "apart", "in groups"])
def test_rows_with_targets_are_what_each_would_be_alone(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how != "together":
        tables = networks.plan_rows.__globals__
        refused = tr.plan(tr.MarkovNetwork({"a": "01"}, [("a", [1.0, 2.0])]), memory=1.0)
        monkeypatch.setitem(tables, "_together", lambda *args: refused)
    if how == "in groups":
        price = networks.ManyRows.price

        def narrow(self: Any, query: Any, names: Any, effort: float) -> tr.Plan:
            found = price(self, query, names, effort)
            wide = query == "marginals" or (query == "targets" and len(names) > 2)
            return networks.replace(found, method=None) if wide else found

        monkeypatch.setattr(networks.ManyRows, "price", narrow)
    for seed in seeds(25):
        rng = np.random.default_rng(seed)
        model = ZOO[seed % len(ZOO)].model(seed)
        states, asked = rows_of(model, rng, 6), chosen(model, rng)
        given = np.where(states < 0, np.nan, states)
        post = tr.infer(model, given, targets=asked)
        assert list(post.marginals) == asked
        for r, row in enumerate(states.tolist()):
            truth = enumerated(model, {v: s for v, s in zip(model.states, row, strict=True) if s >= 0})
            assert close(post.log_partition.value[r], truth.log_z)
            for name in asked:
                expected = truth.marginal(name) if truth.possible else np.nan
                np.testing.assert_allclose(post.marginals.array(name)[r], expected + 0 * post.marginals.array(name)[r])


def test_soft_evidence_of_many_cases_with_targets() -> None:
    net = random_network(np.random.default_rng(3))
    a, b, c = list(net.states)[:3]
    weights = np.random.default_rng(1).random((5, len(net.states[a])))
    post = tr.infer(net, {a: tr.likelihood(weights), b: [0, 1, 0, None, 1]}, targets=[c, a])
    for r in range(5):
        given: dict[str, Any] = {a: tr.likelihood(weights[r])} | ({} if r == 3 else {b: [0, 1, 0, None, 1][r]})
        for name in (c, a):
            expected = brute_force.marginals(net, given)[name]
            np.testing.assert_allclose(post.marginals.array(name)[r], expected, atol=1e-12)


# ---------------------------------------------------------------- networks that are wide as a whole


def many_causes(n: int, children: int, parents: int, seed: int = 0) -> tr.BayesianNetwork:
    """Diseases and findings, each with some of these as its causes: all together are as wide as there are diseases."""
    rng = np.random.default_rng(seed)
    tables: dict[str, Any] = {f"d{i}": [1 - p, p] for i, p in enumerate(rng.uniform(0.01, 0.3, n))}
    of: dict[str, list[str]] = {}
    for j in range(children):
        own = of[f"f{j}"] = [f"d{i}" for i in rng.choice(n, parents, replace=False)]
        p = rng.uniform(0.05, 0.95, [2] * len(own))
        tables[f"f{j}"] = np.stack([1 - p, p], axis=-1)
    states = dict.fromkeys(tables, ("no", "yes"))
    return tr.BayesianNetwork(states, of, tables)


def test_a_wide_network_without_evidence_is_answered_in_groups() -> None:
    net = many_causes(90, 140, 7)
    assert tr.plan(net).method and isinstance(tr.plan(net).program, ByTarget)
    post = tr.infer(net)
    assert not post.refused and post.log_partition.value == 0.0
    for name in ("d3", "f0", "f139"):
        own = net.parents[name]
        weights = np.ones(())
        for v in own:
            weights = np.multiply.outer(weights, net.tables[v])
        expected = np.tensordot(weights, net.tables[name], len(own))
        np.testing.assert_allclose(post.marginals.array(name), expected, atol=1e-12)
    assert "too wide for one sweep" in post.plan.why
    assert pickle.loads(pickle.dumps(post)).marginals["f0"] == post.marginals["f0"]


def test_what_is_refused_is_said_with_its_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "SPLITTING", 1.0)
    net = many_causes(60, 100, 6, seed=1)
    evidence = {f"f{j}": "yes" for j in range(60)}
    with pytest.raises(tr.BudgetError) as caught:
        tr.infer(net, evidence, targets=["d0"], method="exact", memory="64MB", seconds=10)
    assert caught.value.plan.method is None
    lonely = tr.BayesianNetwork(
        {**net.states, "x": "01", "y": "01"},
        {**net.parents, "y": ["x"]},
        {**net.tables, "x": [0.4, 0.6], "y": [[0.9, 0.1], [0.2, 0.8]]},
    )
    post = tr.infer(lonely, {**evidence, "y": "1"}, targets=["d0", "x"], method="exact", memory="64MB", seconds=10)
    assert list(post.marginals) == ["x"] and list(post.refused) == ["d0"] == list(post.plan.refused)
    assert post.marginals["x"]["1"] == pytest.approx(0.48 / 0.52)
    assert post.refused["d0"].method is None and post.refused["d0"].seconds > 10
    with pytest.raises(tr.BudgetError, match="refused by the budget"):
        post.marginals["d0"]
    with pytest.raises(tr.BudgetError):
        post.log_partition  # noqa: B018
    assert "refused: d0" in post.plan.why and "log Z is refused" in post.plan.why
    assert [*post.plan.to_json()["refused"]] == ["d0"]
    assert "log_partition=refused" in repr(post)
    assert repr(post.marginals) == "Marginals of 1 variable: x (0 0.07692, 1 0.9231); 1 refused"
    assert "d0: up to" in str(post.plan)


def test_a_gap_whose_marginal_is_refused_does_not_stay_one_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    price = networks.ManyRows.price

    def narrow(self: Any, query: Any, names: Any, effort: float) -> tr.Plan:
        found = price(self, query, names, effort)
        refused = query == "marginals" or (query == "targets" and "lung" in names)
        return networks.replace(found, method=None) if refused else found

    monkeypatch.setattr(networks.ManyRows, "price", narrow)
    asia = tr.load(tr.__path__[0] + "/examples/asia.bif")
    rows = {v: ["yes", "no"] for v in asia.states if v not in ("lung", "tub")}
    with pytest.raises(tr.BudgetError):
        tr.impute(asia, {**rows, "lung": ["yes", None], "tub": ["yes", None]})
    assert tr.impute(asia, {**rows, "lung": ["yes", "no"], "tub": [None, None]})["tub"] is not None


def test_only_what_is_missing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    price = networks.ManyRows.price

    def noted(self: Any, query: Any, names: Any, effort: float) -> tr.Plan:
        asked.append(names)
        return price(self, query, names, effort)

    monkeypatch.setattr(networks.ManyRows, "price", noted)
    asia = tr.load(tr.__path__[0] + "/examples/asia.bif")
    rows = {v: ["yes", "no"] for v in asia.states if v != "tub"}
    assert tr.impute(asia, {**rows, "tub": [None, "no"]})["tub"][0] in ("yes", "no")
    assert set(asked) == {("tub",)}


def test_42_narrow_targets_of_a_wide_network_take_less_than_a_second() -> None:
    net = many_causes(250, 244, 7, seed=2)
    asked = [f"f{j}" for j in range(42)]
    assert tr.plan(net, query="marginals", memory="1GiB").width < 60
    start = time.perf_counter()
    post = tr.infer(net, {"d0": "yes"}, targets=asked)
    assert time.perf_counter() - start < 1.0
    assert list(post.marginals) == asked and not post.refused and post.plan.width <= 30


# ---------------------------------------------------------------- what is asked for wrongly, or for nothing


def network() -> tr.BayesianNetwork:
    tables = {"a": [0.4, 0.6], "b": [[0.3, 0.7], [0.9, 0.1]], "c": [[1.0, 0.0], [0.2, 0.8]]}
    return tr.BayesianNetwork(dict.fromkeys("abc", "01"), {"b": ["a"], "c": ["b"]}, tables)


def test_a_target_that_is_observed_has_its_state_for_certain() -> None:
    post = tr.infer(network(), {"b": "1"}, targets=["b", "a"])
    assert post.marginals["b"] == {"0": 0.0, "1": 1.0}
    assert tr.infer(network(), {"b": "1"}, targets="b").marginals["b"] == {"0": 0.0, "1": 1.0}


def test_unknown_targets_and_what_was_not_asked_for() -> None:
    net = network()
    with pytest.raises(tr.ModelError, match="unknown variable 'aa'; did you mean 'a'"):
        tr.infer(net, targets=["aa"])
    with pytest.raises(tr.ModelError, match="unknown variable 'aa'"):
        tr.plan(net, targets=["aa"])
    post = tr.infer(net, {"c": "1"}, targets=["a", "a"])
    assert list(post.marginals) == ["a"]
    with pytest.raises(tr.ModelError, match="'b' was not asked for"):
        post.marginals["b"]
    with pytest.raises(tr.ModelError, match="unknown variable 'bb'"):
        post.marginals["bb"]
    nothing = tr.infer(net, {"c": "1"}, targets=[])
    assert not nothing.marginals
    assert nothing.log_partition.value == pytest.approx(tr.log_partition(net, {"c": "1"}).value)


def test_a_plan_for_other_targets_is_refused() -> None:
    net = network()
    plan = tr.plan(net, ["c"], targets=["a"])
    assert list(tr.infer(net, {"c": "1"}, method=plan).marginals) == ["a"]
    with pytest.raises(tr.ModelError, match=r"made for other targets \(a\)"):
        tr.infer(net, {"c": "1"}, method=plan, targets=["b"])
    with pytest.raises(tr.ModelError, match=r"made for other targets \(all variables\)"):
        tr.infer(net, {"c": "1"}, method=tr.plan(net, ["c"]), targets=["b"])


def test_joints_need_only_what_they_hang_on() -> None:
    net = many_causes(90, 140, 5)
    post = tr.infer(net, {"f0": "yes"}, targets=[])
    found = post.joint(["d0", "f7", "f0"])
    assert found[..., 0].max() == 0 and found.sum() == pytest.approx(1)
    alone = tr.infer(net, {"f0": "yes"}, targets=["f7"])
    np.testing.assert_allclose(found.sum(axis=(0, 2)), alone.marginals.array("f7"), atol=1e-12)
    with pytest.raises(tr.BudgetError, match=r"2\^230 entries"):
        post.joint(list(net.states))


# ---------------------------------------------------------------- impossible evidence


def test_findings_that_rule_each_other_out_are_named() -> None:
    asia = tr.load(tr.__path__[0] + "/examples/asia.bif")
    post = tr.infer(asia, {"smoke": "yes", "tub": "yes", "xray": "no", "either": "no", "lung": {"yes": 1, "no": 0.5}})
    told = "'tub' = 'yes' cannot be with 'either' = 'no'"
    with pytest.raises(tr.ImpossibleEvidenceError, match=told):
        post.marginals  # noqa: B018
    assert told in post.plan.why
    with pytest.raises(tr.ImpossibleEvidenceError, match=told):
        tr.sample(asia, 2, evidence={"tub": "yes", "either": "no"})
    with pytest.raises(tr.ImpossibleEvidenceError, match="likelihood of 'lung'"):
        tr.most_probable(asia, {"either": "no", "lung": {"yes": 1, "no": 0}})
    never = tr.BayesianNetwork({"a": "01"}, {}, {"a": [1.0, 0.0]})
    with pytest.raises(tr.ImpossibleEvidenceError, match="'a' = '1' cannot be: "):
        tr.infer(never, {"a": "1"}).marginals  # noqa: B018


@pytest.mark.verify
def test_no_finding_can_be_left_out_of_a_contradiction() -> None:
    found = 0
    for seed in seeds(150):
        rng = np.random.default_rng(seed)
        net = random_network(rng, zeros=0.7)
        names = list(net.states)
        evidence = {v: net.states[v][rng.integers(len(net.states[v]))] for v in names if rng.random() < 0.7}
        told = contradiction(net, parse_evidence(net.states, evidence))
        if not told:
            continue
        found += 1
        named = {v: s for v, s in evidence.items() if f"{v!r} = {s!r}" in told}
        assert brute_force.log_partition(net, named) == -math.inf
        for v in named:
            assert not contradiction(net, parse_evidence(net.states, {u: s for u, s in named.items() if u != v}))
    assert found > 10


# ---------------------------------------------------------------- why


def test_a_plan_says_what_made_it_narrow() -> None:
    asia = tr.load(tr.__path__[0] + "/examples/asia.bif")
    assert (
        "pruning leaves out 2 of 8 variables, on which nothing asked hangs"
        in tr.infer(asia, {"xray": "yes"}, targets="lung").plan.why
    )
    why = tr.plan(asia, {"either": "no"}).why
    assert "zeros settle 2 variables; what is free is in 3 parts that know nothing of each other" in why
    assert "pruning" not in why


# ---------------------------------------------------------------- the command line


@pytest.fixture
def wide(tmp_path: Path) -> str:
    """A network of many causes beside two variables that know nothing of them."""
    net = many_causes(60, 100, 6, seed=1)
    states, parents = {**net.states, "x": "01", "y": "01"}, {**net.parents, "y": ["x"]}
    tables = {**net.tables, "x": [0.4, 0.6], "y": [[0.9, 0.1], [0.2, 0.8]]}
    tr.save(tr.BayesianNetwork(states, parents, tables), tmp_path / "wide.bif")
    return str(tmp_path / "wide.bif")


def test_the_command_answers_what_it_can(wide: str, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = ",".join(["y=1", *(f"f{j}=yes" for j in range(60))])
    monkeypatch.setattr(budget, "MAX_SECONDS", 10.0)
    budget._budget.cache_clear()
    try:
        assert run(["query", wide, "--target", "x,d0", "--evidence", seen, "--memory", "64MB", "--exact"]) == 3
        said = capsys.readouterr()
        assert "refused by the budget: the marginals of d0" in said.err and "Traceback" not in said.err
        assert "0.923077" in said.out and "is refused by the budget" in said.out and "advice" in said.out
        assert (
            run(["query", wide, "--target", "x,d0", "--evidence", seen, "--memory", "64MB", "--exact", "--json"]) == 3
        )
        found = json.loads(capsys.readouterr().out)
        assert found["marginals"]["x"]["1"] == pytest.approx(0.48 / 0.52)
        assert found["log_evidence"] is None and found["log_evidence_refused"]["method"] is None
        assert [*found["refused"]] == ["d0"] and found["refused"]["d0"]["seconds"] > 10
        assert run(["query", wide, "--target", "d0", "--evidence", "f0=yes,f1=no"]) == 0
        capsys.readouterr()
    finally:
        budget._budget.cache_clear()


def test_the_command_gives_log_evidence_where_marginals_are_refused(
    wide: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    price = networks.OneCase.price

    def evidence_alone(self: Any, query: Any, names: Any, effort: float) -> tr.Plan:
        found = price(self, query, names, effort)
        return found if query == "evidence" else networks.replace(found, method=None)

    monkeypatch.setattr(networks.OneCase, "price", evidence_alone)
    monkeypatch.setattr("tractable.posterior.engines.tables.at_once", lambda case, ask: None)
    assert run(["query", wide, "--evidence", "y=1,f0=yes", "--target", "d0,d1", "--exact", "--json"]) == 3
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["log_evidence"]["kind"] == "exact" and found["marginals"] == {}
    assert [*found["refused"]] == ["d0", "d1"] and "the marginals of d0, d1" in said.err


def test_explain_prices_targets(wide: str, capsys: Any) -> None:
    assert run(["explain", wide, "--target", "d0,f3", "--observed", "f0", "--query", "marginals"]) == 0
    assert "on which nothing asked hangs" in " ".join(capsys.readouterr().out.split())
    assert run(["explain", wide, "--target", "dd0"]) == 2
    assert "unknown variable 'dd0'" in capsys.readouterr().err
    asia = tr.__path__[0] + "/examples/asia.bif"
    assert (
        run(["query", asia, "--evidence", "asia=yes,dysp=no", "--target", "dysp,lung,asia", "--joint", "--json"]) == 0
    )
    cells = json.loads(capsys.readouterr().out)["joint"]
    assert [(c["states"]["dysp"], c["states"]["asia"]) for c in cells] == [("no", "yes")] * 2


# ---------------------------------------------------------------- samples


def moments(net: Model, evidence: dict[str, Any], n: int = 40_000) -> Iterator[float]:
    truth = brute_force.marginals(net, evidence)
    drawn = tr.sample(net, n, evidence=evidence, key=3, codes=True)
    names = list(net.states)
    pair = brute_force.joint_marginal(net, names[:2], evidence)
    counts = np.zeros_like(pair)
    np.add.at(counts, (drawn[names[0]], drawn[names[1]]), 1 / n)
    yield np.abs(counts - pair).max()
    for name in names:
        found = np.bincount(drawn[name], minlength=len(net.states[name])) / n
        assert (found[truth[name] == 0] == 0).all()
        yield np.abs(found - truth[name]).max()


@pytest.mark.verify
def test_samples_down_the_arrows_are_from_the_posterior() -> None:
    for seed in seeds(12):
        rng = np.random.default_rng(seed)
        net = random_network(rng, zeros=0.4 * (seed % 2))
        evidence = random_evidence(net, rng) if seed % 3 else {}
        if brute_force.log_partition(net, evidence) > -math.inf:
            assert max(moments(net, evidence)) < 5 * 0.5 / math.sqrt(40_000)


def test_what_is_wide_is_sampled_without_a_plan() -> None:
    net = many_causes(90, 140, 7)
    plan = tr.plan(net, query="sample")
    assert plan.method == "ancestral" and "given their parents" in plan.why
    drawn = tr.sample(net, 2000, key=1, codes=True)
    assert abs(drawn["d1"].mean() - net.tables["d1"][1]) < 0.05
    some = tr.sample(net, 50, evidence={"d0": "yes", "d1": "no"}, codes=True)
    assert (some["d0"] == 1).all() and (some["d1"] == 0).all()
    assert tr.infer(net, {"d0": "yes"}).sample(7, codes=True)["f3"].shape == (7,)
    with pytest.raises(tr.BudgetError, match="1,000,000,000 samples"):
        tr.sample(net, 10**9)
