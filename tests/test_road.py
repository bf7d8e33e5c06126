"""One road: what was planned is what runs, once for each pattern of evidence, and within its budget on every road."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import brute_force
import numpy as np
import pytest
from test_contract import GIVEN, SEQUENCES
from zoo import ZOO, Row, random_evidence

import tractable as tr
from tractable import kernels
from tractable.families import FAMILIES, served
from tractable.kernels import Scopes
from tractable.plan import budget, search, tables
from tractable.plan.lower_bound import log2_width
from tractable.plan.machines import plan_live, plan_machine, plan_starts
from tractable.posterior.exact import clamped, elimination

PATTERNS = np.array([[1, 0, 1, 0], [0, 0, 1, 1], [np.nan, 0, 1, 0], [np.nan, 1, 1, 1]])


class Counted:
    """How often engines planned, and trees were searched."""

    def __init__(self) -> None:
        self.plans, self.searches = 0, 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    found = Counted()

    def counting(call: Any, name: str) -> Any:
        def inner(*args: Any, **more: Any) -> Any:
            setattr(found, name, getattr(found, name) + 1)
            return call(*args, **more)

        return inner

    for engine in {served(family, "posterior") for family in FAMILIES}:
        monkeypatch.setattr(engine, "plan", counting(engine.plan, "plans"))
    monkeypatch.setattr(tables, "find_tree", counting(tables.find_tree, "searches"))
    yield found


def lattice(side: int, scale: float = 0.5) -> tr.Boltzmann:
    """Two-state units on a square, each coupled to its neighbours."""
    cell, rng = np.arange(side * side).reshape(side, side), np.random.default_rng(0)
    lines = [*cell.tolist(), *cell.T.tolist()]
    machine = tr.boltzmann(side * side, edges=[pair for line in lines for pair in pairwise(line)], key=0)
    couplings = {pair: scale * rng.normal(size=np.shape(w)) for pair, w in machine.couplings.items()}
    fields = {name: rng.normal(size=np.shape(b)) for name, b in machine.fields.items()}
    return tr.Boltzmann(machine.units, fields, couplings, machine.edges, np.float64(0.0))


# ---------------------------------------------------------------- planned once


@pytest.mark.parametrize("family", FAMILIES)
def test_a_call_plans_once(family: str, counted: Counted) -> None:
    given = GIVEN[family]
    calls = {
        "infer": lambda: tr.infer(given.model, given.case),
        "log_partition": lambda: tr.log_partition(given.model, given.case),
        "sample": lambda: tr.sample(given.model, 3),
        "impute": lambda: tr.impute(given.model, given.data),
        "log_likelihood": lambda: tr.log_likelihood(given.model, given.data),
    }
    for name, call in calls.items():
        counted.plans = 0
        call()
        extra = int(name == "log_likelihood" and family in ("boltzmann", "deep_belief"))  # log Z is another query
        assert counted.plans <= 1 + extra, name


def test_rows_that_observe_the_same_are_planned_once(counted: Counted) -> None:
    tr.infer(tr.restricted(4, 3, key=1), np.tile(PATTERNS, (50, 1)))
    assert counted.plans == 2


def test_the_tree_of_an_answer_is_never_searched_again(counted: Counted) -> None:
    model = GIVEN["tables"].model
    post = tr.infer(model, {"b": "1"})
    before = counted.searches
    assert post.plan.method == "elimination" or post.plan.program is not None
    assert post.sample(3) and post.plan.why
    assert (counted.searches, counted.plans) == (before, 0)


@pytest.mark.parametrize("row", ZOO, ids=str)
def test_a_fused_answer_has_the_tree_that_ran(row: Row) -> None:
    model = row.model()
    post = tr.infer(model)
    tree = post.plan.program
    if tree is None or post.plan.method != "elimination":
        return
    reduced = post._asked.left("marginals")
    again = kernels.run(reduced.tables, tree.scopes, tree.pairs, kernels.Job(kernels.MARGINALS))
    log_z = again.log_z[0] + reduced.log_constant
    if again.status == kernels.OK:
        assert log_z == pytest.approx(post.log_partition.value, abs=1e-12)


# ---------------------------------------------------------------- a plan that is handed over


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("row", ZOO, ids=str)
def test_a_plan_made_by_names_answers_as_enumeration(row: Row, seed: int) -> None:
    model = row.model(seed)
    evidence = random_evidence(model, np.random.default_rng(seed))
    hard = {name: value for name, value in evidence.items() if not hasattr(value, "weights")}
    log_z = brute_force.log_partition(model, hard)
    found = tr.log_partition(model, hard, method=tr.plan(model, list(hard), "evidence"))
    assert found.value == pytest.approx(log_z, abs=1e-9)
    if log_z == -np.inf:
        return
    plan, truth = tr.plan(model, list(hard)), brute_force.marginals(model, hard)
    post = tr.infer(model, hard, method=plan)
    assert post.plan is plan
    for name in model.states:
        np.testing.assert_allclose(post.marginals.array(name), truth[name], atol=1e-9)
    best = tr.most_probable(model, hard, method=tr.plan(model, list(hard), "map"))
    assert best.log_probability.value == pytest.approx(brute_force.most_probable(model, hard)[1], abs=1e-9)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_of_what_has_answered_have_addresses_of_their_own(copied: Any) -> None:
    model = ZOO[0].model()
    plan, post = tr.plan(model), tr.infer(model)
    packed, scopes = copied(model).packed, copied(plan).program.scopes
    assert model.packed.addresses == tuple(a.ctypes.data for a in model.packed._arrays)
    assert packed.addresses == tuple(a.ctypes.data for a in packed._arrays)
    assert scopes._arguments[2:] == tuple(
        a.ctypes.data for a in (scopes.starts, scopes.members, scopes.log_size, scopes.keep)
    )
    again = copied((model, plan))
    assert tr.infer(again[0], method=again[1]).log_partition.value == pytest.approx(post.log_partition.value)


def test_a_plan_for_something_else_is_refused() -> None:
    net, other = GIVEN["tables"].model, tr.BayesianNetwork({"a": "01"}, {}, {"a": [0.5, 0.5]})
    plan = tr.plan(net, ["b"])
    with pytest.raises(tr.ModelError, match="made for another model"):
        tr.infer(other, method=plan)
    with pytest.raises(tr.ModelError, match="made for the query 'marginals', not for 'evidence'"):
        tr.log_partition(net, {"b": "1"}, method=plan)
    with pytest.raises(tr.ModelError, match=r"other evidence \(observed: b\)"):
        tr.infer(net, {"a": "1"}, method=plan)
    with pytest.raises(tr.ModelError, match="soft evidence"):
        tr.infer(net, {"b": "1", "a": [0.2, 0.8]}, method=plan)
    with pytest.raises(tr.ModelError, match="one case"):
        tr.infer(net, {"b": ["1", "0"]}, method=plan)
    tables = {"a": [0.4, 0.6], "b": [[0.5, 0.5, 0.0], [0.2, 0.8, 0.0]], "c": [[0.3, 0.7], [0.9, 0.1], [0.5, 0.5]]}
    never = tr.BayesianNetwork({"a": "01", "b": "012", "c": "01"}, {"b": ["a"], "c": ["b"]}, tables)
    assert tr.plan(never, {"b": "2"}).method == "constant"  # a program of nothing, which would fit anything
    with pytest.raises(tr.ModelError, match="other states"):
        tr.infer(never, {"b": "1"}, method=tr.plan(never, {"b": "2"}))
    machine = tr.restricted(4, 2)
    with pytest.raises(tr.ModelError, match="another model"):
        tr.infer(tr.restricted(5, 2), np.ones(5), method=tr.plan(machine, ["visible"]))
    with pytest.raises(tr.BudgetError):
        tr.infer(lattice(6), method=tr.plan(lattice(6), memory=64))


def test_a_plan_by_states_that_left_nothing_is_not_one_for_other_states() -> None:
    tables = {"a": [0.4, 0.6], "b": [[0.3, 0.7], [0.0, 1.0]], "c": [1.0, 0.0]}
    net = tr.BayesianNetwork({"a": "01", "b": "01", "c": "01"}, {"b": ["a"]}, tables)
    for states, other in (({"a": "1"}, {"a": "0"}), ({"c": "1"}, {"c": "0"})):
        plan = tr.plan(net, states)
        assert plan.program is None
        tr.infer(net, states, method=plan)
        with pytest.raises(tr.ModelError, match="other states"):
            tr.infer(net, other, method=plan)


CHAIN = np.eye(6, 5) - np.eye(6, 5, -1)
UNITS = {
    "dense": tr.restricted(6, 3, key=1),
    "sparse": tr.boltzmann(6, edges=[(i, i + 1) for i in range(5)], key=0),
    "layers": tr.SigmoidBeliefNetwork([6, 3], key=0),
    "sparse_layers": tr.SigmoidBeliefNetwork(weights=[CHAIN], biases=[np.linspace(-1, 1, 6), np.zeros(5)]),
    "belief": tr.DeepBeliefNetwork([6, 3, 2], key=0),
}


@pytest.mark.parametrize("name", UNITS)
def test_a_plan_runs_given_the_units_that_it_was_made_for_and_no_others(name: str) -> None:
    model, rng = UNITS[name], np.random.default_rng(0)
    for _ in range(8):
        row, other = (np.where(rng.random(6) < 0.5, rng.integers(2, size=6), np.nan) for _ in range(2))
        same = np.where(np.isnan(row), np.nan, 1.0 - row)
        plan, whole = tr.infer(model, row).plan, tr.infer(model, same)
        again = tr.infer(model, same, method=plan)
        assert again.log_partition.value == pytest.approx(whole.log_partition.value, abs=1e-9)
        evidence = tr.log_partition(model, same, method=tr.plan(model, {"visible": row}, "evidence"))
        assert evidence.value == pytest.approx(whole.log_partition.value, abs=1e-9)
        if (np.isnan(other) != np.isnan(row)).any():
            with pytest.raises(tr.ModelError, match="other evidence"):
                tr.infer(model, other, method=plan)


def test_a_plan_of_a_conditioned_model_of_layers_knows_what_is_known() -> None:
    for name in ("layers", "sparse_layers", "belief"):
        row = np.array([1, 0, np.nan, 1, np.nan, 0])
        rest = tr.condition(UNITS[name], row)
        plan = tr.plan(rest)
        assert tr.infer(rest, method=plan).plan is plan
        assert plan.observed == tr.plan(UNITS[name], {"visible": row}).observed
        free = tr.condition(UNITS[name], np.full(6, np.nan))
        assert tr.sample(free, 3).shape == (3, 6)


def test_a_machine_of_which_all_is_observed_is_one_number() -> None:
    for model in (UNITS["dense"], UNITS["sparse"]):
        known = {group: np.arange(model.units[group].n) % 2 for group in model.groups}
        rest, log_p = tr.condition(model, known), float(tr.infer(model, known).log_partition.value)
        assert tr.log_partition(rest).value == pytest.approx(log_p, abs=1e-9)
        assert tr.infer(rest).log_partition.value == pytest.approx(log_p, abs=1e-9)
        with pytest.raises(tr.ModelError, match="no unit of visible is free"):
            tr.sample(rest, 3)
        with pytest.raises(tr.ModelError, match="no unit of visible is free"):
            tr.impute(rest, np.zeros((2, 0)))


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"tables"} - SEQUENCES))
def test_every_family_runs_a_plan_that_is_handed_over(family: str) -> None:
    given = GIVEN[family]
    plan = tr.infer(given.model, given.case).plan
    post = tr.infer(given.model, given.case, method=plan)
    assert post.plan is plan


# ---------------------------------------------------------------- within the budget


def test_a_sparse_machine_keeps_its_budget_and_gets_the_verdict_of_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, seen = lattice(14), []
    whole = tr.log_partition(machine, method="exact")

    def spy(*args: Any) -> Any:
        seen.append(elimination.sum_product(*args))
        return seen[-1]

    monkeypatch.setattr(clamped, "sum_product", spy)
    memory = tr.plan(machine, query="evidence").bytes / 4
    plan = tr.plan(machine, query="evidence", memory=memory)
    assert plan.method == "elimination" and plan.slices > 1
    found = tr.log_partition(machine, method="exact", memory=memory)
    assert found.value == pytest.approx(whole.value, abs=1e-9)
    assert seen[-1].peak_bytes <= memory
    from tractable.models.as_tables import markov_network

    network, _ = markov_network(machine)
    assert tr.plan(network, query="evidence", memory=memory).method == "elimination"
    for query in ("evidence", "marginals"):
        refused = [tr.plan(m, query=query, memory=600).method for m in (machine, network)]
        assert refused == [None, None]


def test_samples_come_in_pieces_that_fit_and_are_the_same() -> None:
    net = tr.load(tr.__path__[0] + "/examples/asia.bif")
    whole = tr.sample(net, 3000, key=4, codes=True)
    plan = tr.plan(net, query="sample")
    piece = tr.sample(net, 3000, key=4, codes=True, memory=plan.bytes + 3000 * 8 * 8 + 40_000)
    for name in net.states:
        np.testing.assert_array_equal(whole[name], piece[name])
    with pytest.raises(tr.BudgetError, match="samples"):
        tr.sample(net, 10**9, memory="1GiB")


@pytest.mark.parametrize("family", FAMILIES)
def test_more_samples_than_memory_holds_are_refused_by_every_family(family: str) -> None:
    with pytest.raises(tr.BudgetError):
        tr.sample(GIVEN[family].model, 10**12)


def test_joint_tables_are_priced_before_they_are_made() -> None:
    chain = tr.MarkovNetwork(
        {f"v{i}": "01" for i in range(41)}, [((f"v{i}", f"v{i + 1}"), [[1, 2], [3, 4]]) for i in range(40)]
    )
    post = tr.infer(chain, {f"v{i}": "1" for i in range(40)})
    with pytest.raises(tr.BudgetError, match=r"2\^40 entries"):
        post.joint([f"v{i}" for i in range(40)])
    np.testing.assert_allclose(post.joint(["v40", "v39"])[:, 1], [3 / 7, 4 / 7])


def test_rows_fit_into_their_memory_or_are_refused() -> None:
    net, rng = tr.load(tr.__path__[0] + "/examples/asia.bif"), np.random.default_rng(0)
    rows = {name: rng.choice(["yes", "no"], 5000).tolist() for name in ("asia", "dysp", "xray")}
    whole = tr.infer(net, rows)
    answers = 8 * 5000 * 16
    tight = tr.infer(net, rows, memory=answers + 20_000)
    assert tight.plan.bytes <= answers + 20_000
    assert tight.plan.program.rows < whole.plan.program.rows
    np.testing.assert_allclose(tight.marginals.array("lung"), whole.marginals.array("lung"), atol=1e-12)
    with pytest.raises(tr.BudgetError):
        tr.infer(net, rows, memory=answers)
    few = tr.log_partition(net, rows, memory=answers)  # log evidence never waits for marginals
    np.testing.assert_allclose(few.value, whole.log_partition.value, atol=1e-12)


def test_rows_run_apart_answer_as_rows_together(monkeypatch: pytest.MonkeyPatch) -> None:
    net, rng = tr.load(tr.__path__[0] + "/examples/asia.bif"), np.random.default_rng(1)
    rows = {
        name: [["yes", "no", None][i] for i in rng.integers(3, size=60)]
        for name in ("asia", "dysp", "xray", "either", "tub")
    }
    whole, evidence = tr.infer(net, rows), tr.log_partition(net, rows)
    monkeypatch.setattr(tables, "_together", lambda *args: tr.plan(net, memory=1.0))
    apart = tr.infer(net, rows)
    assert len(apart.plan.program.parts) > 5
    np.testing.assert_allclose(apart.log_partition.value, whole.log_partition.value, atol=1e-12)
    np.testing.assert_allclose(tr.log_partition(net, rows).value, evidence.value, atol=1e-12)
    for name in net.states:
        np.testing.assert_allclose(apart.marginals.array(name), whole.marginals.array(name), atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_weights_beyond_what_a_number_spans_are_eliminated_as_enumerated(seed: int) -> None:
    from machines_oracle import joint

    rng, edges = np.random.default_rng(seed), [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (1, 4)]
    plain = tr.boltzmann(6, edges=edges, units="spin" if seed % 2 else "bernoulli", key=0)
    couplings = {pair: 900 * rng.normal(size=np.shape(w)) for pair, w in plain.couplings.items()}
    fields = {name: 900 * rng.normal(size=np.shape(b)) for name, b in plain.fields.items()}
    machine = tr.Boltzmann(plain.units, fields, couplings, plain.edges, np.float64(0.5))
    row = [1, np.nan, -1 if seed % 2 else 0, np.nan, np.nan, np.nan]
    for given in (None, {"visible": np.array(row, float)}):
        truth, post = joint(machine, given), tr.infer(machine, given, method="elimination")
        assert post.log_partition.value == pytest.approx(truth.log_z, rel=1e-9)
        np.testing.assert_allclose(post.marginals["visible"], truth.means["visible"], atol=1e-6)
        best = tr.most_probable(machine, given)
        assert best.log_probability.value == pytest.approx(truth.log_z + np.log(truth.p.max()), rel=1e-9)
        np.testing.assert_allclose(post.sample(5)["visible"].mean(0), truth.means["visible"], atol=1e-6)


@pytest.mark.parametrize("family", sorted(SEQUENCES | {"mixture"}))
def test_what_is_exact_is_so_within_every_budget_or_refused(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for query in ("sample", "impute", "transform"):
        monkeypatch.setitem(budget.PATIENCE, query, 1e-12)
    given, rng = GIVEN[family], np.random.default_rng(0)
    gaps = np.where(rng.random(np.shape(given.data)) < 0.2, np.nan, given.data)
    row = gaps[:1] if family == "mixture" else gaps
    calls = {
        "sample": lambda **b: tr.sample(given.model, 4, evidence=row, key=1, **b),
        "impute": lambda **b: tr.impute(given.model, gaps, **b),
        "transform": lambda **b: tr.transform(given.model, gaps, **b),
        "reconstruct": lambda **b: tr.reconstruct(given.model, gaps, **b),
    }
    for name, call in calls.items():
        whole = call()
        for memory in (1, 100, 1000, 3000, 10_000, 10**8):
            try:
                np.testing.assert_array_equal(call(memory=memory), whole, err_msg=name)
            except tr.BudgetError:
                assert memory < 10**8


def test_no_rows_are_imputed_as_no_rows() -> None:
    mixture = GIVEN["mixture"].model
    assert tr.impute(mixture, np.zeros((0, 1))).shape == (0, 1)


def test_rows_of_sparse_layers_run_together_as_one_by_one() -> None:
    model, rng = UNITS["sparse_layers"], np.random.default_rng(2)
    rows = np.where(rng.random(6) < 0.7, rng.integers(2, size=(40, 6)), np.nan)
    post, evidence = tr.infer(model, rows, method="elimination"), tr.log_likelihood(model, rows).per_row
    assert post.plan.program.rows > 1
    for r, row in enumerate(rows):
        own = tr.infer(model, row, method="elimination")
        assert own.log_partition.value == pytest.approx(post.log_partition.value[r], abs=1e-9)
        assert own.log_partition.value == pytest.approx(evidence.value[r], abs=1e-9)
        for layer in model.groups:
            np.testing.assert_allclose(post.marginals[layer][r], own.marginals[layer], atol=1e-9)
    again = tr.infer(model, rows[:3], method=post.plan)
    np.testing.assert_allclose(again.marginals["hidden1"], post.marginals["hidden1"][:3], atol=1e-9)


def test_a_budget_of_seconds_refuses() -> None:
    model = lattice(12)
    assert tr.plan(model, query="evidence").method == "elimination"
    assert tr.plan(model, query="evidence", seconds=1e-9).method is None
    with pytest.raises(tr.BudgetError):
        tr.infer(model, seconds=1e-9)
    with pytest.raises(ValueError, match="must be positive"):
        tr.plan(model, seconds=0)


def test_a_budget_holds_for_all_sets_of_what_is_observed_together() -> None:
    machine, rng = tr.restricted(8, 6, key=0), np.random.default_rng(0)
    rows = np.where(rng.random((60, 8)) < 0.5, np.nan, rng.integers(0, 2, (60, 8)))
    one = tr.infer(machine, rows[0]).plan.seconds
    assert tr.infer(machine, rows, seconds=200 * one).plan.seconds <= 200 * one
    with pytest.raises(tr.BudgetError, match="sets of what is observed"):
        tr.infer(machine, rows, seconds=1.5 * max(one, tr.plan(machine).seconds))


def test_a_plan_for_sequences_of_other_lengths_is_refused() -> None:
    given = GIVEN["hidden_markov"]
    plan = tr.plan(given.model, 3)
    assert tr.infer(given.model, given.case, method=plan).plan is plan
    with pytest.raises(tr.ModelError, match="other evidence"):
        tr.infer(given.model, [1, 1, 0, 1], method=plan)


def test_names_prune_what_evidence_would() -> None:
    net = tr.load(tr.__path__[0] + "/examples/asia.bif")
    assert tr.plan(net, query="evidence").method == "independent"
    assert tr.plan(net, ["asia"], "evidence").method == "independent"
    by_name, by_state = tr.plan(net, ["dysp"], "evidence"), tr.plan(net, {"dysp": "yes"}, "evidence")
    assert by_name.flops <= 2 * by_state.flops + 100
    assert tr.log_partition(net).value == pytest.approx(0.0, abs=1e-12)


# ---------------------------------------------------------------- refused soon


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("row", ZOO, ids=str)
def test_no_tree_is_narrower_than_the_lower_bound(row: Row, seed: int) -> None:
    packed = row.model(seed).packed
    scopes = Scopes(packed.sizes, packed.scope_starts, packed.scopes)
    if not scopes.m:
        return
    least = log2_width(scopes)
    for heuristic in kernels.HEURISTICS:
        order = scopes.greedy_order(heuristic, 0.0, 0, 1000.0, 10.0)
        assert order is not None
        assert least <= _width(scopes, order.tolist()) + 1e-9


def _width(scopes: Scopes, order: list[int]) -> float:
    """log2 of the largest table over a variable and its neighbours, when variables are eliminated in this order."""
    near = {v: set() for v in range(scopes.n)}
    for own in np.split(scopes.members, scopes.starts[1:-1]):
        for v in own.tolist():
            near[v] |= set(own.tolist()) - {v}
    widest = 0.0
    for v in [*order, *sorted(set(near) - set(order))]:
        others = near.pop(v)
        widest = max(widest, float(scopes.log_size[[v, *others]].sum()))
        for u in others:
            near[u] = (near[u] | others) - {u, v}
    return widest


def test_what_cannot_be_is_refused_without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 60
    pairs = [((f"v{i}", f"v{j}"), np.ones((2, 2)) + np.eye(2)) for i in range(n) for j in range(i)]
    clique = tr.MarkovNetwork({f"v{i}": "01" for i in range(n)}, pairs)
    patience = []
    old = search.Search.look_ahead

    def spy(self: search.Search) -> None:
        old(self)
        patience.append(self.patience)

    monkeypatch.setattr(search.Search, "look_ahead", spy)
    assert tr.plan(clique, query="evidence").method is None
    assert patience == [search.HOPELESS]
    assert search.HOPELESS + search.GREEDY_SECONDS < 3.1


# ---------------------------------------------------------------- where the plan decides between roads


def test_the_plan_alone_decides_what_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = tr.restricted(6, 4).graph
    assert plan_starts(graph, 5).method == "enumeration"
    assert plan_live(graph).method == "enumeration"
    prices = served("boltzmann", "plan")
    monkeypatch.setattr(prices, "START_FLOPS", 0.0)
    monkeypatch.setattr(prices, "LIVE_LOG2_STATES", -1)
    assert plan_starts(graph, 5).method == "gibbs"
    assert plan_live(graph).method == "annealing"
    question = budget.ask("sample", patience=-1.0)
    assert plan_machine(graph, (), question).method == "annealing"
    assert plan_machine(graph, (), budget.ask("sample")).method == "enumeration"


def test_chains_answer_where_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = tr.restricted(5, 3, key=2)
    exact = tr.impute(machine, [np.nan, 1, 0, 1, 1])
    monkeypatch.setitem(budget.PATIENCE, "impute", -1.0)
    chains = tr.impute(machine, [[np.nan, 1, 0, 1, 1], [1, np.nan, 0, 1, 1]], n_sweeps=3000)
    assert abs(chains[0, 0] - exact[0]) < 0.05
    assert chains[0, 0] != exact[0]
