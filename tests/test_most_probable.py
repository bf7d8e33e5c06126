"""The most probable of all, of some, and the k best of networks of tables: against enumeration."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from small_networks import SmallNetwork, random_network
from sweep import seeds

import tractable as tr
from tractable.extras import is_there
from tractable.kernels import Tables
from tractable.kernels.mini_buckets import MiniBuckets
from tractable.models.evidence import parse_evidence
from tractable.plan._base import Ask
from tractable.plan.budget import anytime, ask
from tractable.plan.most_probable import SearchRun, plan_best
from tractable.posterior.approximate import branch_and_bound, marginal_map, mini_buckets
from tractable.posterior.engines.best_tables import Best


class Question(NamedTuple):
    """A small network, evidence, targets, and all log probabilities of these with the evidence, best first."""

    net: SmallNetwork
    evidence: dict[str, str]
    targets: list[str]
    table: np.ndarray

    @property
    def best(self) -> np.ndarray:
        """The finite ones, in order."""
        found = np.sort(self.table.ravel())[::-1]
        return found[found > -np.inf]

    def value(self, assignment: dict[str, str]) -> float:
        """That of an assignment of the targets."""
        return float(self.table[tuple(int(assignment[v]) for v in self.targets)])


def question(seed: int, of_all: bool = False) -> Question:
    """Some variables are observed, some are asked for, in any order, the others are summed out."""
    net, rng = random_network(seed, 3 + seed % 7), np.random.default_rng(seed + 1)
    order = rng.permutation(len(net.sizes)).tolist()
    seen = order[: int(rng.integers(0, 3))]
    rest = order[len(seen) :]
    asked = sorted(rest) if of_all else rest[: int(rng.integers(1, len(rest) + 1))]
    states = {v: int(rng.integers(net.sizes[v])) for v in seen}
    x = net.all_states
    f = np.where(np.all([x[v] == s for v, s in states.items()], axis=0) if states else True, net.log_joint(x), -np.inf)
    table = np.full([net.sizes[v] for v in asked], -np.inf)
    np.logaddexp.at(table, tuple(x[asked]), f)
    return Question(net, {f"v{v}": str(s) for v, s in states.items()}, [f"v{v}" for v in asked], table)


def asked(q: Question, **how: Any) -> list[tr.MostProbable] | None:
    """The answer as a list; None where the evidence is impossible."""
    try:
        found = tr.most_probable(q.net.network, q.evidence, targets=q.targets, **how)
    except tr.ImpossibleEvidenceError:
        return None
    return found if isinstance(found, list) else [found]


def check(q: Question, found: list[tr.MostProbable] | None, k: int) -> None:
    """Every value is that of its assignment, both ends hold, none occurs twice; exact ones are the best in order."""
    if not len(q.best):
        assert found is None
        return
    assert found is not None and 1 <= len(found) <= min(k, len(q.best))
    assert len({tuple(one.assignment.values()) for one in found}) == len(found)
    for j, one in enumerate(found):
        assert list(one.assignment) == q.targets
        value, slack = q.value(one.assignment), 1e-9 * max(1.0, abs(q.best[j]))
        assert one.log_probability.lower - slack <= value <= one.log_probability.upper + slack
        assert one.optimum.lower - slack <= q.best[j] <= one.optimum.upper + slack
        if one.optimum.kind == "exact":
            assert math.isclose(one.optimum.value, q.best[j], rel_tol=1e-9, abs_tol=1e-9)


def ranks(seed: int) -> int:
    """How many of the best are asked for."""
    return 1 + seed % 5 * (seed % 7)


@pytest.mark.parametrize("seed", seeds(150))
def test_the_most_probable_of_some_is_that_of_enumeration(seed: int) -> None:
    q = question(seed)
    found = asked(q)
    check(q, found, 1)
    assert found is None or found[0].optimum.kind == "exact"


@pytest.mark.parametrize("seed", seeds(150))
def test_the_k_best_are_those_of_enumeration(seed: int) -> None:
    q, k = question(seed, of_all=seed % 2 == 0), 1 + ranks(seed)
    found = asked(q, k=k)
    check(q, found, k)
    if found is not None:
        assert len(found) == min(k, len(q.best)) and all(one.optimum.kind == "exact" for one in found)
        near = [np.sum(np.abs(q.best[: k + 1] - v) <= 1e-10 * max(1.0, abs(v))) > 1 for v in q.best[: len(found)]]
        assert [bool(one.tied) for one in found] == near


@pytest.fixture
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches whose bounds are loose: buckets are split, and no elimination comes first."""

    def of_four(tables: Tables, order: np.ndarray, seed: int, entries: float, memory: float) -> MiniBuckets:
        return MiniBuckets(tables, order, 4, seed)

    for module in (branch_and_bound, marginal_map):
        monkeypatch.setattr(module, "largest", of_four)
    monkeypatch.setattr(branch_and_bound._Part, "_whole", lambda self: None)
    monkeypatch.setattr(branch_and_bound, "is_there", lambda package: False)


@pytest.mark.parametrize("seed", seeds(60))
def test_a_search_that_is_cut_short_has_both_ends(seed: int, small_tables: None) -> None:
    q, k = question(seed, of_all=True), ranks(seed)
    found = searched(q, k, seconds=0.004 if seed % 3 else 0.05)
    check(q, found, k)


def searched(q: Question, k: int, seconds: float) -> list[tr.MostProbable] | None:
    """The answer of a search, about the targets of the question."""
    try:
        found = tr.most_probable(q.net.network, q.evidence, k=k, method="branch_and_bound", seconds=seconds)
    except tr.ImpossibleEvidenceError:
        return None
    found = found if isinstance(found, list) else [found]
    return [replace(one, assignment={v: one.assignment[v] for v in q.targets}) for one in found]


@pytest.mark.parametrize("intervals", [False, True])
@pytest.mark.parametrize("seed", seeds(30))
def test_where_sums_are_too_expensive_both_ends_hold(
    seed: int, intervals: bool, small_tables: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Summing given the targets is affordable, or an interval of its own."""
    q, k = question(seed), 1 + seed % 3
    if intervals:
        monkeypatch.setattr(marginal_map, "EXACT", 0.0)
        monkeypatch.setattr(mini_buckets, "largest", branch_and_bound.largest)
    net = q.net.network
    how = plan_best(net, parse_evidence(net.states, q.evidence), anyhow(q, k), refusing)
    how = replace(how, method="branch_and_bound", program=SearchRun(k, 0.1, 1e9, 0.999, True))
    answers, _, _ = marginal_map.best(net, parse_evidence(net.states, q.evidence), how, seed)
    found = [
        tr.MostProbable(
            {v: net.states[v][s] for v, s in zip(q.targets, states.tolist(), strict=True)},
            value,
            how,
            None,
            Best(value, states, upper, tied, sure).optimum,
            tied,
        )
        for value, states, upper, tied, sure in answers
    ]
    check(q, found or None, k)
    for one in found:  # chosen among intervals: as sure as all of these together
        assert one.log_probability.confidence in (None, 0.999) and one.optimum.confidence in (None, 0.999)
        assert one.log_probability.kind == "exact" or one.optimum.kind == "probabilistic"


def anyhow(q: Question, k: int) -> Ask:
    """The question as the planner has it."""
    return ask("map", n=k, targets=tuple(q.targets), method="branch_and_bound", anytime=anytime(0.1))


def refusing(question: Ask) -> tr.Plan:
    """No exact plan is asked for."""
    raise AssertionError(question)


def test_numbers_that_are_far_apart_stay_apart() -> None:
    """A sum leaves a table whose entries no double holds beside each other."""
    tiny = [[1.0, 1e-300], [1e-300, 1.0]]
    net = tr.MarkovNetwork(
        dict.fromkeys("abhg", "01"), [("ah", tiny), ("hb", tiny), ("ag", tiny), ("gb", tiny), ("a", [1.0, 0.5])]
    )
    found = tr.most_probable(net, targets=["a", "b"], k=4)
    assert [one.assignment for one in found] == [{"a": a, "b": b} for a, b in ("00", "11", "01", "10")]
    low = 2 * (math.log(2) - 300 * math.log(10))
    assert [one.log_probability.value for one in found] == pytest.approx([0, math.log(0.5), low, low + math.log(0.5)])


def test_many_cases_have_targets_and_ranks() -> None:
    net = tr.load(tr.__path__[0] + "/examples/asia.bif")
    rows = {"xray": ["yes", "no", None, "yes"], "dysp": ["yes", None, "no", "yes"]}
    many = tr.most_probable(net, rows, targets=["lung", "bronc"], k=3)
    for row in range(4):
        case = {v: column[row] for v, column in rows.items() if column[row] is not None}
        for j, one in enumerate(tr.most_probable(net, case, targets=["lung", "bronc"], k=3)):
            assert {v: many[j].by_name[v][row] for v in ("lung", "bronc")} == one.assignment
            assert many[j].log_probability.value[row] == pytest.approx(one.log_probability.value)
    assert many[0].to_frame("pandas").columns.tolist() == ["lung", "bronc"]


def test_a_grid_too_wide_has_both_ends_and_the_assignment_is_worth_what_is_said() -> None:
    rng, cells = np.random.default_rng(0), np.arange(32 * 32).reshape(32, 32)
    spin = np.array([-1.0, 1.0])
    pairs = [(f"v{a}", f"v{b}") for c in (cells, cells.T) for a, b in zip(c[:-1].ravel(), c[1:].ravel(), strict=True)]
    net = tr.MarkovNetwork(
        {f"v{i}": "01" for i in range(1024)}, [(p, np.exp(rng.normal() * np.outer(spin, spin))) for p in pairs]
    )
    with pytest.raises(tr.BudgetError):
        tr.most_probable(net, method="exact")
    best = tr.most_probable(net, seconds=0.5)
    worth = sum(math.log(t.table[tuple(int(best.assignment[v]) for v in t.scope)]) for t in net.factors)
    assert best.log_probability.value == pytest.approx(worth) and best.optimum.kind == "bound"
    assert best.optimum.lower == best.log_probability.value < best.optimum.upper < worth + 200
    of_some = tr.most_probable(net, targets=[f"v{i}" for i in range(0, 1024, 3)], seconds=0.5)
    sure = tr.log_partition(net, of_some.assignment)
    assert of_some.log_probability.value == pytest.approx(sure.value)
    assert of_some.optimum.lower <= of_some.optimum.upper


def test_plans_say_what_is_summed_out_and_run_as_they_are() -> None:
    net = tr.load(tr.__path__[0] + "/examples/asia.bif")
    plan = tr.plan(net, {"xray": "yes"}, query="map", targets=["lung", "bronc"])
    assert plan.method == "elimination" and "4 variables are summed out in 2 parts" in plan.why
    assert plan.to_json()["targets"] == ["lung", "bronc"]
    found = tr.most_probable(net, {"xray": "yes"}, targets=["lung", "bronc"], method=plan)
    assert found.assignment == tr.most_probable(net, {"xray": "yes"}, targets=["bronc", "lung"]).assignment
    by_names = tr.plan(net, ["xray"], query="map", targets=["lung", "bronc"])
    assert by_names.method == "elimination" and by_names.width >= plan.width
    with pytest.raises(tr.ModelError, match="make one by its states"):
        tr.most_probable(net, {"xray": "yes"}, targets=["lung", "bronc"], method=by_names)


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"targets": ["xray", "lung"]}, tr.ModelError, "the target xray is observed"),
        ({"targets": ["lungs"]}, tr.ModelError, "unknown variable 'lungs'"),
        ({"k": 0}, ValueError, "the number of the best"),
        ({"k": 1.5}, TypeError, "a whole number of the best"),
        ({"method": "mini_buckets"}, tr.ModelError, "finds no largest term"),
        ({"seconds": 0}, ValueError, "must be positive"),
        ({"confidence": 2}, ValueError, "between 0 and 1"),
    ],
)
def test_what_cannot_be_asked_is_said(how: dict[str, Any], error: type[Exception], words: str) -> None:
    net = tr.load(tr.__path__[0] + "/examples/asia.bif")
    with pytest.raises(error, match=words):
        tr.most_probable(net, {"xray": "yes"}, **how)


def test_more_than_there_are_are_all_of_them() -> None:
    net = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": [[1, 0], [0.5, 0.5]]})
    found = tr.most_probable(net, k=100)
    assert found[0].assignment == {"a": "0", "b": "0"} and len(found) == 3
    assert [bool(one.tied) for one in found] == [False, True, True]
    with pytest.raises(tr.ImpossibleEvidenceError, match="zero"):
        tr.most_probable(net, {"a": "0", "b": "1"}, k=3)


def test_toulbar2_is_a_road_of_its_own_or_says_what_to_install() -> None:
    net = random_network(4, 9).network
    if not is_there("pytoulbar2"):
        with pytest.raises(ModuleNotFoundError, match="pytoulbar2"):
            tr.most_probable(net, method="toulbar2")
        return
    found, exact = tr.most_probable(net, method="toulbar2", seconds=5), tr.most_probable(net)
    assert found.log_probability.value == pytest.approx(exact.log_probability.value)
    assert found.optimum.upper >= exact.log_probability.value - 1e-9
