"""The most probable of some by a search, of many cases, of what is empty, larger than there is, or large: the edges."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import numpy as np
import pytest
from test_most_probable import asked, check, question

import tractable as tr

NET = tr.BayesianNetwork(
    {"a": "01", "b": "01", "c": "012"},
    {"b": ["a"], "c": ["a", "b"]},
    {
        "a": [0.4, 0.6],
        "b": [[0.9, 0.1], [0.2, 0.8]],
        "c": [[[0.2, 0.3, 0.5], [1, 0, 0]], [[0.1, 0.1, 0.8], [0, 0.5, 0.5]]],
    },
)
SEARCH: dict[str, Any] = {"method": "branch_and_bound", "seconds": 0.2}


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("seed", range(12))
def test_a_search_for_some_sums_over_the_others_first(seed: int, k: int) -> None:
    q = question(seed)
    found = asked(q, k=k, **SEARCH)
    check(q, found, k)
    assert found is None or all(one.optimum.kind == "exact" for one in found)


def grid(n: int, hidden: bool) -> tr.MarkovNetwork:
    """Couplings between neighbours on a square; each with a variable of its own that hangs on it alone, or none."""
    rng, states, factors = np.random.default_rng(n), {}, []
    for i, j in itertools.product(range(n), repeat=2):
        if hidden:
            states[f"h{i},{j}"] = "01"
            factors.append(((f"x{i},{j}", f"h{i},{j}"), rng.gamma(1.0, size=(2, 2)) + 0.01))
        states[f"x{i},{j}"] = "01"
        others = [f"x{i - 1},{j}"] * (i > 0) + [f"x{i},{j - 1}"] * (j > 0)
        factors += [((other, f"x{i},{j}"), np.exp(rng.normal(size=(2, 2)))) for other in others]
    return tr.MarkovNetwork(states, factors)


def test_what_sums_leave_is_searched_where_it_is_beyond_elimination() -> None:
    net = grid(26, hidden=True)
    targets = [v for v in net.states if v[0] == "x"]
    best = tr.most_probable(net, targets=targets, seconds=1.5)
    assert best.plan.method == "branch_and_bound" and list(best.assignment) == targets
    true = tr.log_partition(net, best.assignment, method="exact")
    assert math.isclose(best.log_probability.value, true.value, rel_tol=1e-9)
    assert best.optimum.lower <= best.optimum.upper


def test_a_sum_that_leaves_too_large_a_table_is_refused_soon() -> None:
    net = grid(60, hidden=False)
    begin = time.perf_counter()
    with pytest.raises(tr.BudgetError):
        tr.most_probable(net, targets=list(net.states)[::3], method="exact")
    assert time.perf_counter() - begin < 20


@pytest.mark.parametrize("how", [{}, {"targets": ["c"]}, {"targets": ["b", "c"], "k": 3}, {"k": 2}])
def test_many_cases_share_the_time_of_a_search(how: dict[str, Any]) -> None:
    cases = {"a": ["0", "1", None]}
    searched, exact = (tr.most_probable(NET, cases, **how, **more) for more in (SEARCH, {}))
    for one, other in zip(*(x if isinstance(x, list) else [x] for x in (searched, exact)), strict=True):
        np.testing.assert_allclose(one.log_probability.value, other.log_probability.value, rtol=1e-12)


def test_the_row_that_observes_a_target_is_named() -> None:
    with pytest.raises(tr.ModelError, match=r"^row 1: the target b is observed"):
        tr.most_probable(NET, [{"a": "0"}, {"b": "1"}], targets=["b"])


def test_no_targets_leave_the_evidence() -> None:
    rows = tr.most_probable(NET, [{"a": "0"}, {}], targets=[])
    assert rows.assignment == [{}, {}] and np.allclose(rows.log_probability.value, [math.log(0.4), 0.0])
    of_numbers = tr.most_probable(NET, np.array([[0, np.nan, 1], [np.nan] * 3]), targets=[])
    assert of_numbers.assignment.shape == (2, 0)


def test_no_cases_have_the_columns_asked_for() -> None:
    assert list(tr.most_probable(NET, {"a": []}, targets=["b"]).assignment) == ["b"]


@pytest.mark.parametrize("how", [{}, SEARCH, {"targets": ["c"]}])
def test_more_than_there_are_are_all(how: dict[str, Any]) -> None:
    assert len(tr.most_probable(NET, k=10**30, **how)) == (3 if "targets" in how else 9)


def test_so_many_that_no_memory_holds_them_are_refused() -> None:
    net = tr.MarkovNetwork(
        {f"v{i}": "01" for i in range(99)}, [((f"v{i}", f"v{i + 1}"), np.eye(2) + 1) for i in range(98)]
    )
    with pytest.raises(tr.BudgetError, match="do not suffice"):
        tr.most_probable(net, k=10**15)


def test_a_case_that_is_impossible_has_an_exact_optimum() -> None:
    found = tr.most_probable(NET, {"a": ["0", "0"], "b": ["1", None], "c": ["1", None]})
    assert found.optimum.kind == "exact" and found.optimum.value[0] == -np.inf


def test_a_plan_without_evidence_is_run_as_it_is() -> None:
    plan = tr.plan(NET, query="map", targets=["b"])
    assert tr.most_probable(NET, targets=["b"], method=plan).assignment == {"b": "1"}


def test_a_wrong_name_is_said_of_what_was_asked() -> None:
    with pytest.raises(tr.ModelError, match=r"^most_probable of a BayesianNetwork has no option 'target'"):
        tr.most_probable(NET, target=["a"])  # pyright: ignore[reportCallIssue]


def test_seconds_hold_where_orders_take_longer() -> None:
    begin = time.perf_counter()
    found = tr.most_probable(grid(70, hidden=False), seconds=0.5)
    assert time.perf_counter() - begin < 5
    assert found.optimum.lower <= found.optimum.upper


def test_tables_too_large_for_the_time_have_both_ends() -> None:
    rng, names = np.random.default_rng(0), [f"v{i}" for i in range(12)]
    pairs = [(v, w) for i, v in enumerate(names) for w in names[i + 1 :]]
    net = tr.MarkovNetwork(
        {v: [str(s) for s in range(60)] for v in names}, [(pair, rng.gamma(1, size=(60, 60))) for pair in pairs]
    )
    found = tr.most_probable(net, targets=names[:4], seconds=0.05)
    assert -np.inf < found.optimum.lower <= found.optimum.upper < np.inf
