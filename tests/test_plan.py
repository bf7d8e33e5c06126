"""Plans: prices that depend on structure alone, budgets that are kept, advice that helps, words that explain."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from zoo import ZOO, Model, Row

import tractable as tr
from tractable.models import ModelError
from tractable.plan import ByTarget, search
from tractable.plan.budget import MAX_SECONDS, memory_bytes, physical_memory

QUERIES = ("marginals", "evidence", "map")


def pairwise_network(n: int, pairs: list[tuple[int, int]], seed: int = 0) -> tr.MarkovNetwork:
    rng = np.random.default_rng(seed)
    factors = [((f"v{a}", f"v{b}"), rng.gamma(1.0, size=(2, 2)) + 0.1) for a, b in pairs]
    return tr.MarkovNetwork({f"v{i}": "01" for i in range(n)}, factors)


def grid(side: int, seed: int = 0) -> tr.MarkovNetwork:
    cell = np.arange(side * side).reshape(side, side)
    lines = [*cell.tolist(), *cell.T.tolist()]
    return pairwise_network(side * side, [pair for line in lines for pair in pairwise(line)], seed)


def bipartite(a: int, b: int) -> tr.MarkovNetwork:
    return pairwise_network(a + b, [(i, a + j) for i in range(a) for j in range(b)])


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches that would go on for seconds because the run is long end soon."""
    monkeypatch.setattr(search, "PATIENCE", 0.3)


# What a plan says


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("row", ZOO, ids=str)
def test_the_fields_fit_together(row: Row, query: str) -> None:
    model = row.model()
    plan = tr.plan(model, query=query)
    assert plan.method in ("elimination", "independent", "constant")
    assert plan.query == query
    assert plan.observed == ()
    assert plan.slices == 1
    assert plan.alternatives == ()
    assert plan.advice == ()
    for value in (plan.width, plan.flops, plan.bytes, plan.seconds):
        assert math.isfinite(value)
        assert value >= 0
    assert plan.why
    assert "\n" not in plan.why
    largest = sum(math.log2(len(s)) for s in model.states.values())
    assert plan.width <= largest + 1e-9
    assert plan.flops <= 10 * (1 + len(model.packed.scope_starts)) * 2**largest


@pytest.mark.parametrize("row", ZOO, ids=str)
def test_json_holds_every_field_but_the_tree(row: Row) -> None:
    plan = tr.plan(row.model(), query="map")
    record = json.loads(json.dumps(plan.to_json(), allow_nan=False))
    names = {field.name for field in dataclasses.fields(plan)} - {"program", "structure", "given", "reason"} | {"why"}
    assert set(record) == names, "every field but the program, the reason in words"
    for name in ("method", "width", "flops", "bytes", "seconds", "why", "query", "slices"):
        assert record[name] == getattr(plan, name)


@pytest.mark.parametrize("row", ZOO, ids=str)
def test_plans_print(row: Row, capsys: pytest.CaptureFixture[str]) -> None:
    model = row.model()
    print(tr.plan(model))
    print(tr.explain(model))
    out = capsys.readouterr().out
    for word in ("query", "method", "width", "memory", "time", "why", *QUERIES):
        assert word in out
    console = Console(file=io.StringIO(), width=80)
    console.print(tr.explain(model))
    assert max(map(len, console.file.getvalue().splitlines())) <= 80  # pyright: ignore


def test_names_with_markup_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["[red]a[/red]", "[/]", ":smile:"]
    table = np.ones((2, 2))
    net = tr.MarkovNetwork(dict.fromkeys(names, "01"), [((a, b), table) for a, b in combinations(names, 2)])
    print(tr.plan(net, names[:1]))
    assert "[red]a[/red]" in capsys.readouterr().out


def test_explain_is_a_plan_for_each_query() -> None:
    model = grid(3)
    plans = tr.explain(model)
    assert [p.query for p in plans] == list(QUERIES)
    assert len(plans) == 3
    for plan in plans:
        assert plan.to_json()["width"] == tr.plan(model, query=plan.query).width
    assert [p.query for p in tr.explain(model, query="map")] == ["map"]
    assert [p.observed for p in tr.explain(model, ["v4"], "map")] == [("v4",)]


def test_more_is_asked_more_is_paid() -> None:
    evidence, marginals = tr.plan(grid(8), query="evidence"), tr.plan(grid(8), query="marginals")
    assert evidence.flops < marginals.flops
    assert evidence.bytes < marginals.bytes
    assert evidence.seconds < marginals.seconds


# Structure alone


def revalued(model: Model, rng: np.random.Generator) -> Model:
    """Other numbers in the same places: zeros stay zeros."""

    def other(table: np.ndarray) -> np.ndarray:
        return np.where(table > 0, rng.uniform(0.5, 2.0, size=table.shape), 0.0)

    if isinstance(model, tr.MarkovNetwork):
        return tr.MarkovNetwork(model.states, [(scope, other(table)) for scope, table in model.factors])
    tables = {v: other(table) for v, table in model.tables.items()}
    rows = {v: table / table.sum(axis=-1, keepdims=True) for v, table in tables.items()}
    return tr.BayesianNetwork(model.states, model.parents, rows)


@pytest.mark.parametrize("row", [r for r in ZOO if r.name not in ("bayesian_rare", "markov_scaled")], ids=str)
def test_the_price_depends_on_the_structure_and_the_zeros_alone(row: Row) -> None:
    rng = np.random.default_rng(0)
    model = row.model()
    other = revalued(model, rng)
    observed = list(model.states)[::2]
    given = dict.fromkeys(list(model.states)[1::2], 0)
    for what in (None, observed, given):
        for query in QUERIES:
            a, b = tr.plan(model, what, query), tr.plan(other, what, query)
            assert dataclasses.replace(a, seconds=0).to_json() == dataclasses.replace(b, seconds=0).to_json()


def test_the_price_of_known_shapes() -> None:
    assert tr.plan(pairwise_network(50, list(pairwise(range(50))))).width <= 1
    assert tr.plan(pairwise_network(50, [(0, i) for i in range(1, 50)])).width <= 1
    assert tr.plan(pairwise_network(30, [*pairwise(range(30)), (29, 0)])).width == 2
    assert 6 <= tr.plan(grid(6)).width <= 7
    assert tr.plan(bipartite(9, 14)).width in (9, 10)
    assert tr.plan(pairwise_network(8, list(combinations(range(8), 2)))).width in (6, 7)


def test_zeros_that_decide_states_are_used() -> None:
    """Observing one end of a chain of permutations fixes every variable: nothing is left to pay for."""
    shift = np.roll(np.eye(4), 1, axis=1)
    names = [f"v{i}" for i in range(30)]
    pairs = [((a, b), shift) for a, b in pairwise(names)] + [
        ((a, b), np.ones((4, 4))) for a, b in combinations(names, 2)
    ]
    net = tr.MarkovNetwork(dict.fromkeys(names, "abcd"), pairs)
    free, given = tr.plan(net, memory="1TiB"), tr.plan(net, {"v0": "a"})
    assert free.flops > 1e6
    assert given.method == "independent"
    assert given.flops < 1000


def test_observing_lowers_the_price() -> None:
    model = grid(7)
    middle = [f"v{7 * 3 + i}" for i in range(7)]
    free, named = tr.plan(model), tr.plan(model, middle)
    assert named.width < free.width
    assert named.flops < free.flops
    assert named.observed == tuple(middle)
    valued = tr.plan(model, dict.fromkeys(middle, 0))
    assert valued.width == named.width
    assert set(valued.observed) == set(middle)


def test_a_single_name_is_one_variable() -> None:
    model = grid(3)
    assert tr.plan(model, "v4").observed == ("v4",)
    assert tr.plan(model, "v4").to_json() | {"seconds": 0} == tr.plan(model, ["v4"]).to_json() | {"seconds": 0}
    assert tr.plan(model, iter(["v4", "v5"])).observed == ("v4", "v5")


@pytest.mark.parametrize("name", ["foo", "foo3", "hidden.1", "hidden9"])
def test_a_unit_that_a_machine_does_not_have_is_an_error(name: str) -> None:
    with pytest.raises(tr.GraphError, match=r"unknown variable|there is no unit 9"):
        tr.plan(tr.restricted(3, 2), observed=[name])


def test_everything_observed_costs_nothing() -> None:
    model = grid(4)
    for observed in (list(model.states), dict.fromkeys(model.states, 0)):
        plan = tr.plan(model, observed)
        assert plan.method in ("independent", "elimination")
        assert plan.width == 0
        assert plan.flops <= 200


def test_impossible_evidence_is_seen_where_zeros_alone_tell() -> None:
    net = tr.MarkovNetwork({"a": "01", "b": "01"}, [("ab", np.eye(2))])
    plan = tr.plan(net, {"a": 0, "b": 1})
    assert plan.method == "constant"
    assert "impossible" in plan.why


def test_barren_variables_cost_nothing_for_evidence() -> None:
    """A wide network below what is observed does not matter to the probability of the evidence."""
    n = 24
    states = {f"v{i}": "01" for i in range(n)}
    parents = {f"v{i}": [f"v{j}" for j in range(i)][-9:] for i in range(1, n)}
    rng = np.random.default_rng(0)
    tables = {v: rng.dirichlet([1, 1], size=(2,) * len(parents.get(v, ()))) for v in states}
    net = tr.BayesianNetwork(states, parents, tables)
    assert tr.plan(net, {"v1": 0}, "evidence").width <= 1
    assert tr.plan(net, {"v1": 0}, "marginals").width >= 8
    assert tr.log_evidence(net, {"v1": 0, "v0": 1}).value == pytest.approx(np.log(tables["v0"][1] * tables["v1"][1, 0]))


# Why


def test_why_names_the_shape() -> None:
    assert "tree" in tr.plan(pairwise_network(20, list(pairwise(range(20))))).why
    assert "independent" in tr.plan(tr.MarkovNetwork({"a": "01", "b": "01"}, [])).why
    block = tr.plan(bipartite(8, 12)).why
    assert "bipartite" in block
    assert "8" in block
    assert "12" in block
    assert "v" in tr.plan(grid(5)).why


def test_why_says_who_explains_away() -> None:
    causes = [f"cause{i}" for i in range(6)]
    states = dict.fromkeys([*causes, "effect"], "01")
    rng = np.random.default_rng(0)
    effect = rng.dirichlet([1, 1], size=(2,) * 6)
    net = tr.BayesianNetwork(states, {"effect": causes}, {**{v: [0.5, 0.5] for v in causes}, "effect": effect})
    for observed in (["effect"], {"effect": 1}):
        plan = tr.plan(net, observed)
        assert "effect" in plan.why


# Budgets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4GiB", 4 * 2**30),
        ("4 GiB", 4 * 2**30),
        (" 500MB ", 5e8),
        ("1.5k", 1500),
        (".5g", 5e8),
        ("2e3", None),
        ("100", 100),
        ("100B", 100),
        ("1tib", 2**40),
        (1e6, 1e6),
        (7, 7),
        (np.int64(7), 7),
        ("", None),
        ("GiB", None),
        ("-4GiB", None),
        ("4 apples", None),
        ("4GiB5", None),
        ("0", None),
        (0, None),
        (-1, None),
        (float("nan"), None),
    ],
)
def test_memory_in_words(text: Any, expected: float | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="memory"):
            memory_bytes(text)
    else:
        assert memory_bytes(text) == expected


def test_half_of_the_memory_is_the_default() -> None:
    assert memory_bytes(None) == physical_memory() / 2
    assert memory_bytes(float("inf")) == float("inf")


@pytest.mark.parametrize("query", QUERIES)
def test_a_budget_is_kept(query: str) -> None:
    model = grid(7)
    free = tr.plan(model, query=query)
    sizes = []
    for share in (1.0, 0.5, 0.25, 0.1, 0.03, 0.01):
        plan = tr.plan(model, query=query, memory=share * free.bytes)
        assert (plan.method is None) == (plan.bytes > share * free.bytes)
        if plan.method and not isinstance(plan.program, ByTarget):
            sizes.append(plan.slices)
    assert sizes == sorted(sizes)
    assert sizes[0] == 1
    assert sizes[-1] > 1


def scarce(model: Model, query: str) -> float:
    """So little memory that the query is cut into slices, and several variables are conditioned on."""
    free = tr.plan(model, query=query)
    for share in (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2):
        plan = tr.plan(model, query=query, memory=share * free.bytes)
        if plan.method and plan.slices > 2:
            return share * free.bytes
    raise AssertionError("no budget is met by slices")


def test_slices_are_answered_as_the_whole() -> None:
    model = grid(8)
    whole = tr.infer(model)
    part = tr.infer(model, memory=scarce(model, "marginals"))
    assert part.plan.slices > 2
    assert part.log_partition.value == pytest.approx(whole.log_partition.value, abs=1e-10)
    for name in model.states:
        np.testing.assert_allclose(part.marginals.array(name), whole.marginals.array(name), atol=1e-10)
    np.testing.assert_allclose(part.joint(["v0", "v24"]), whole.joint(["v0", "v24"]), atol=1e-10)
    best, sliced = tr.most_probable(model), tr.most_probable(model, memory=scarce(model, "map"))
    assert sliced.plan.slices > 2
    assert sliced.log_probability.value == pytest.approx(best.log_probability.value, abs=1e-10)
    assert sliced.assignment == best.assignment
    budget = scarce(model, "sample") + 6_000
    some = [tr.sample(model, 5, key=key, codes=True, memory=budget) for key in range(250)]
    assert tr.plan(model, query="sample", memory=scarce(model, "sample")).slices > 2
    drawn = {name: np.concatenate([own[name] for own in some]) for name in model.states}
    for name in model.states:
        assert np.mean(drawn[name]) == pytest.approx(whole.marginals.array(name)[1], abs=0.08)
    agree = np.mean((drawn["v0"] == drawn["v1"]).astype(float))
    assert agree == pytest.approx(np.trace(whole.joint(["v0", "v1"])), abs=0.08)


def test_slices_of_evidence_leave_out_what_is_impossible() -> None:
    """Only joint states that some zero does not rule out are run."""
    rng = np.random.default_rng(3)
    model = grid(8)
    allowed = [rng.random((2, 2)) < 0.9 for _ in model.factors]
    net = tr.MarkovNetwork(
        model.states, [(f.scope, f.table * ok) for f, ok in zip(model.factors, allowed, strict=True)]
    )
    whole = tr.log_partition(net).value
    found = tr.log_partition(net, memory=scarce(net, "evidence")).value
    assert math.isfinite(whole)
    assert found == pytest.approx(whole, abs=1e-10)


REFUSED = {
    "a dense block": (lambda: bipartite(40, 44), 2**20),
    "a wide grid": (lambda: grid(30), 2**24),
    "everybody with everybody": (lambda: pairwise_network(45, list(combinations(range(45), 2))), 2**20),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_comes_with_alternatives_and_advice_that_helps(name: str) -> None:
    build, memory = REFUSED[name]
    model = build()
    plan = tr.plan(model, memory=memory)
    assert plan.method is None
    assert plan.bytes > memory or plan.seconds > MAX_SECONDS
    assert plan.why
    assert plan.alternatives
    assert all(a.certificate in ("exact", "bound", "probabilistic", "estimate") for a in plan.alternatives)
    assert plan.advice
    assert set(plan.advice) <= set(model.states)
    text = str(plan)
    assert "refused" in text
    assert plan.advice[0] in text
    json.dumps(plan.to_json(), allow_nan=False)

    again = tr.plan(model, plan.advice, memory=memory)
    assert again.method == "elimination"
    assert again.bytes <= memory
    given = tr.plan(model, dict.fromkeys(plan.advice, "0"), "evidence", memory)
    assert given.method == "elimination"
    assert given.bytes <= memory


def test_advice_that_is_taken_is_answered() -> None:
    model = bipartite(40, 44)
    refused = tr.plan(model, memory="1MiB")
    posterior = tr.infer(model, dict.fromkeys(refused.advice, "0"), memory="1MiB")
    assert math.isfinite(posterior.log_partition.value)
    assert posterior.plan.bytes <= 2**20
    for v in refused.advice[::5]:  # none of them can be left out
        fewer = tr.plan(model, [u for u in refused.advice if u != v], memory="1MiB")
        assert fewer.method is None or fewer.slices > 1


def test_every_verb_refuses_with_the_plan() -> None:
    model = bipartite(40, 44)
    for query, verb in {
        "marginals": tr.infer,
        "evidence": tr.log_partition,
        "map": tr.most_probable,
    }.items():
        with pytest.raises(tr.BudgetError, match=r"refused by the budget: .*bipartite") as caught:
            verb(model, memory="1MiB", method="exact")
        assert caught.value.plan.query == query
        assert caught.value.plan.method is None
        assert "observing" in str(caught.value)
    with pytest.raises(tr.BudgetError):
        tr.sample(model, 1, memory="1MiB", method="exact")
    with pytest.raises(tr.BudgetError):
        tr.log_evidence(model, {"v0": 1}, memory="1MiB", method="exact")


def test_a_joint_table_over_too_many_variables_is_refused() -> None:
    model = pairwise_network(40, list(pairwise(range(40))))
    posterior = tr.infer(model, memory="1MiB")
    assert posterior.joint([f"v{i}" for i in range(3, 12)]).shape == (2,) * 9
    with pytest.raises(tr.BudgetError):
        posterior.joint(list(model.states))


def test_a_joint_table_over_fixed_variables_has_all_its_axes() -> None:
    model = grid(4)
    posterior = tr.infer(model, {"v3": 1})
    table = posterior.joint(["v3", "v0"])
    assert table[0].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(table[1], posterior.marginals.array("v0"), atol=1e-12)


# Bad questions


def test_bad_questions_are_named() -> None:
    model = tr.MarkovNetwork({"smoke": "01", "cough": "01"}, [(("smoke", "cough"), np.ones((2, 2)))])
    with pytest.raises(ModelError, match="unknown variable 'smoek'; did you mean 'smoke'\\?"):
        tr.plan(model, ["smoek"])
    with pytest.raises(ModelError, match="unknown variable 'smoek'; did you mean 'smoke'\\?"):
        tr.plan(model, {"smoek": 1})
    with pytest.raises(ModelError, match="unknown variable 'smoek'"):
        tr.explain(model, "smoek")
    with pytest.raises(ModelError, match="no state is '2'"):
        tr.plan(model, {"smoke": "2"})
    for verb in (tr.plan, tr.explain):
        with pytest.raises(ValueError, match="unknown query 'marginal'; choose one of marginals, evidence, map"):
            verb(model, query="marginal")
        with pytest.raises(ValueError, match="memory '4 apples' is not a size"):
            verb(model, memory="4 apples")
    for verb in (tr.infer, tr.log_partition, tr.most_probable):
        with pytest.raises(ValueError, match="memory 'much' is not a size"):
            verb(model, memory="much")
    with pytest.raises(ValueError, match="unknown method 'guess'; choose one of auto"):
        tr.infer(model, method="guess")
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        tr.sample(model, -1)
    posterior = tr.infer(model)
    with pytest.raises(ModelError, match="unknown variable 'cuogh'; did you mean 'cough'\\?"):
        posterior.joint(["cuogh"])
    with pytest.raises(ModelError, match="twice"):
        posterior.joint(["cough", "cough"])
    with pytest.raises(ModelError, match="unknown variable 'cuogh'; did you mean 'cough'\\?"):
        posterior.marginals["cuogh"]
    with pytest.raises(ValueError, match="negative"):
        posterior.sample(-1, key=0)
