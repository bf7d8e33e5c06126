"""Searches for the most probable states: run again to the bit, begun among zeros, beside a toulbar2 that fails."""

from __future__ import annotations

import itertools
import math
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from test_most_probable import anyhow, asked, check, question, ranks, refusing, small_tables
from test_most_probable_edges import grid

import tractable as tr
from tractable.extras import is_there
from tractable.kernels import Tables
from tractable.models.evidence import parse_evidence
from tractable.models.keys import as_key, generator
from tractable.plan.most_probable import SearchRun, plan_best
from tractable.posterior.approximate import branch_and_bound, marginal_map, toulbar2
from tractable.posterior.approximate.table_starts import Support, possible_state

__all__ = ["small_tables"]  # a fixture

ENDS = ("value", "lower", "upper")


def told(found: Any) -> list[Any]:
    """All that an answer says, in numbers."""
    ranked = found if isinstance(found, list) else [found]
    return [
        (one.assignment, one.tied, [(getattr(one.log_probability, e), getattr(one.optimum, e)) for e in ENDS])
        for one in ranked
    ]


def plan_of(found: Any) -> tr.Plan:
    """The plan as it ran, from a file."""
    return pickle.loads(pickle.dumps((found[0] if isinstance(found, list) else found).plan))


@pytest.mark.parametrize("how", [{}, {"k": 3}, {"targets": 3}, {"targets": 2, "k": 2}])
def test_a_search_stopped_by_the_clock_is_repeated_to_the_bit(how: dict[str, Any]) -> None:
    net = grid(24, hidden=False)
    if "targets" in how:
        how = how | {"targets": list(net.states)[:: how["targets"]]}
    found = tr.most_probable(net, seconds=0.3, **how)
    again = tr.most_probable(net, method=plan_of(found), key=7, **how)
    assert told(found) == told(again)
    assert told(again) == told(tr.most_probable(net, method=plan_of(again), **how))


@pytest.mark.parametrize("seed", range(30))
def test_loose_searches_of_small_networks_are_repeated_to_the_bit(seed: int, small_tables: None) -> None:
    q, k = question(seed, of_all=seed % 2 == 0), ranks(seed)
    found = asked(q, k=k, method="branch_and_bound", seconds=0.004 if seed % 3 else 0.03)
    check(q, found, k)
    if found is not None:
        again = asked(q, k=k, method=plan_of(found), key=seed)
        assert again is not None and told(found) == told(again)


@pytest.mark.parametrize("exactly", [0.0, 0.02])
@pytest.mark.parametrize("seed", range(1, 25, 2))
def test_marginal_map_is_repeated_to_the_bit(
    seed: int, exactly: float, small_tables: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marginal_map, "EXACT", exactly)
    q = question(seed)
    case = parse_evidence(q.net.network.states, q.evidence)
    how = plan_best(q.net.network, case, anyhow(q, 2), refusing)

    def best(key: int, ran: Any = None) -> Any:
        program = SearchRun(2, 0.03, 1e9, 0.95, True, ran)
        return marginal_map.best(q.net.network, case, tr.Plan(**{**vars(how), "program": program}), key)

    (found, rest, ran), (again, same, _) = (first := best(0)), best(1, first[2])
    assert rest == same and len(found) == len(again) and ran
    for (value, states, *ends), (other, others, *more) in zip(found, again, strict=True):
        assert (states == others).all() and ends == more
        assert [getattr(value, e) for e in ENDS] == [getattr(other, e) for e in ENDS]


@pytest.mark.skipif(not is_there("pytoulbar2"), reason='needs toulbar2: pip install "tractable[map]"')
def test_what_toulbar2_has_told_is_in_the_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch_and_bound, "WORTHWHILE", 0.0)
    monkeypatch.setattr(branch_and_bound._Part, "_affords", lambda self, buckets: False)
    net = grid(9, hidden=False)
    found = tr.most_probable(net, seconds=1.5, method="branch_and_bound")
    monkeypatch.setattr(branch_and_bound, "is_there", lambda package: False)
    assert told(found) == told(tr.most_probable(net, method=plan_of(found)))
    assert math.isclose(found.optimum.upper, tr.most_probable(net, method="exact").log_probability.value, rel_tol=1e-8)


def test_a_search_goes_on_where_toulbar2_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(problem: Any, seconds: float, memory: float, answer: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], stdout=answer)

    monkeypatch.setattr(toulbar2, "_process", failing)
    monkeypatch.setattr(branch_and_bound, "WORTHWHILE", 0.0)
    for module in (toulbar2, branch_and_bound):
        monkeypatch.setattr(module, "is_there", lambda package: True)
    net, begin = grid(34, hidden=False), time.perf_counter()
    found = tr.most_probable(net, seconds=0.4)
    assert time.perf_counter() - begin > 0.3  # it has not ended with the other
    worth = sum(math.log(t.table[tuple(int(found.assignment[v]) for v in t.scope)]) for t in net.factors)
    assert math.isclose(found.log_probability.value, worth, rel_tol=1e-12)
    assert worth < found.optimum.upper < math.inf


def test_who_interrupts_local_search_gets_what_it_has_found(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = branch_and_bound.steps

    def interrupted(*how: Any) -> Iterator[Any]:
        yield from itertools.islice(whole(*how), 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(branch_and_bound, "steps", interrupted)
    found = tr.most_probable(grid(34, hidden=False), seconds=1)
    assert -math.inf < found.optimum.lower < found.optimum.upper < math.inf
    assert found.plan.program.ran is None


def clauses(n: int, m: int, seed: int) -> list[tuple[tuple[int, ...], np.ndarray]]:
    """Clauses of three literals that one state satisfies, and few others; each forbids one state of its variables."""
    rng = np.random.default_rng(seed)
    truth, found = rng.integers(2, size=n), []
    while len(found) < m:
        scope, wrong = rng.choice(n, 3, replace=False), rng.integers(2, size=3)
        if (truth[scope] != wrong).any():
            table = np.ones((2, 2, 2))
            table[tuple(wrong)] = 0
            found.append((tuple(scope.tolist()), table))
    return found


def packed(n: int, factors: list[tuple[tuple[int, ...], np.ndarray]]) -> Tables:
    names = [f"v{i}" for i in range(n)]
    return tr.MarkovNetwork(dict.fromkeys(names, "01"), [(tuple(names[v] for v in s), t) for s, t in factors]).packed


@pytest.mark.parametrize("seed", range(6))
def test_a_possible_state_is_found_where_there_is_one(seed: int) -> None:
    tables = packed(80, clauses(80, 340, seed))
    found = possible_state(tables, seed, 1e8)
    assert found is not None and Support.of(tables).positive(found[None])[0]
    never = [*clauses(12, 40, seed), *[((0, 1, 2), 1 - np.eye(8)[i].reshape(2, 2, 2)) for i in range(8)]]
    assert possible_state(packed(12, never), seed, 1e8) is None


def test_targets_among_zeros_have_a_first_assignment() -> None:
    n = 60
    names = [f"v{i}" for i in range(n)]
    factors = [(tuple(names[v] for v in scope), table) for scope, table in clauses(n, 250, 1)]
    net = tr.MarkovNetwork(dict.fromkeys(names, "01"), factors)
    plan = tr.plan(net, query="map", targets=names[::3])
    run = tr.Plan(**{**vars(plan), "method": "branch_and_bound", "program": SearchRun(1, 0.5, 1e9, 0.95, True)})
    found = tr.most_probable(net, targets=names[::3], method=run)
    assert math.isclose(found.log_probability.value, tr.log_partition(net, found.assignment).value, rel_tol=1e-9)
    assert 0 <= found.log_probability.value <= found.optimum.upper


def test_no_bound_of_a_bayesian_network_is_above_what_evidence_allows(small_tables: None) -> None:
    rng, names = np.random.default_rng(0), [f"v{i}" for i in range(18)]
    parents = {v: tuple(rng.choice(names[:i], min(i, 3), replace=False).tolist()) for i, v in enumerate(names)}
    tables = {v: rng.dirichlet([0.9, 0.9], size=[2] * len(p)) for v, p in parents.items()}
    net = tr.BayesianNetwork(dict.fromkeys(names, "01"), parents, tables)
    few = {"method": "branch_and_bound", "seconds": 0.002}
    assert tr.most_probable(net, **few).optimum.upper <= 0
    heard = tr.most_probable(net, {"v0": tr.likelihood([0.25, 0.5])}, **few)
    assert heard.log_probability.value <= heard.optimum.upper <= math.log(0.5)


def test_a_table_that_a_sum_leaves_is_part_of_its_price() -> None:
    names = [f"v{i}" for i in range(25)]
    net = tr.MarkovNetwork(dict.fromkeys([*names, "h"], "01"), [((v, "h"), np.eye(2) + 1) for v in names])
    assert tr.plan(net, query="map", targets=names, seconds=2).method is None
    assert tr.plan(net, query="map", targets=names, seconds=60).method == "elimination"


@pytest.mark.parametrize("made", [generator, as_key])
def test_a_negative_key_is_refused_in_words(made: Any) -> None:
    pytest.importorskip("jax")
    with pytest.raises(ValueError, match="a key is an integer from 0 on, or a jax key; got -1"):
        made(-1)


def test_where_no_tables_are_joined_that_is_said() -> None:
    net = tr.MarkovNetwork(
        dict.fromkeys("abcd", "01"), [(s, np.arange(1.0, 9).reshape(2, 2, 2)) for s in ("abc", "bcd")]
    )
    told = tr.plan(net, {"d": "0"}, query="map", targets=["a", "b", "c"]).why
    assert told == "nothing has to be summed out; no two tables have to be joined given d"
    assert "1 variable is summed out in 1 part; " in tr.plan(net, query="map", targets=["a", "b", "c"]).why
