"""The kernels: order search, trees and their prices, conditioning, and runs along any tree, against plain Python."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zoo import ZOO, Row

from tractable import kernels
from tractable.kernels import (
    HEURISTICS,
    LOG_SUM_EXP,
    MARGINALS,
    MAX_PLUS,
    WALK,
    AnnealingSteps,
    Job,
    Scopes,
    Tables,
    reduce,
    run,
)
from tractable.models import MarkovNetwork
from tractable.plan.budget import predicted_bytes
from tractable.posterior.exact.elimination import collapse, scopes_of


def unobserved(tables: Tables) -> np.ndarray:
    return np.full(len(tables.sizes), -1, np.int32)


def joint(tables: Tables) -> np.ndarray:
    """The product of all tables over all variables, by broadcasting."""
    out = np.ones(tables.sizes)
    for j in range(tables.n_factors):
        scope = tables.scope(j)
        axes = np.argsort(np.argsort(scope))
        table = np.transpose(tables.table(j), np.argsort(scope))
        assert axes.size == table.ndim
        shape = [int(tables.sizes[v]) if v in scope else 1 for v in range(len(tables.sizes))]
        out = out * table.reshape(shape)
    return out


def trees(scopes: Scopes) -> dict[str, np.ndarray]:
    """Contraction trees from every source, and some from random orders."""
    out = {}
    for heuristic in HEURISTICS:
        for noise, seed in ((0.0, 0), (0.5, 1), (0.5, 2)):
            order = scopes.greedy_order(heuristic, noise, seed, 1000.0, 10.0)
            assert order is not None
            assert sorted(order.tolist()) == [v for v in range(scopes.n) if not scopes.keep[v]]
            out[f"{heuristic}, noise {noise}, seed {seed}"] = scopes.tree_from_order(order)
    rng = np.random.default_rng(0)
    for seed in range(3):
        order = np.array([v for v in rng.permutation(scopes.n) if not scopes.keep[v]], np.int32)
        out[f"random {seed}"] = scopes.tree_from_order(order)
        out[f"annealed {seed}"] = scopes.anneal(out[f"random {seed}"], AnnealingSteps(1.0, 5.0, 10, 5), 1.0, seed)
    return out


def marginal(found: kernels.TreeRun, v: int) -> np.ndarray:
    """The marginal of variable `v`, shape [n_states, n_rows]."""
    assert found.marginals is not None
    return found.marginals[found.starts[v] : found.starts[v + 1]].reshape(-1, len(found.log_z))


def is_tree(pairs: np.ndarray, m: int) -> bool:
    """Whether every node but the last is used once, after it was made."""
    used = pairs[: 2 * (m - 1)].tolist()
    early = all(max(used[2 * i : 2 * i + 2]) < m + i for i in range(m - 1))
    return early and sorted(used) == list(range(2 * m - 2))


def price(scopes: Scopes, pairs: np.ndarray) -> tuple[float, float, set[int]]:
    """Multiply-adds, log2 of the largest table made and its variables, by sets."""
    n_left = dict.fromkeys(range(scopes.n), 0)
    legs = []
    for j in range(scopes.m):
        legs.append(set(scopes.members[scopes.starts[j] : scopes.starts[j + 1]].tolist()))
        for v in legs[-1]:
            n_left[v] += 1
    for own in legs:
        own -= {v for v in own if n_left[v] == 1 and not scopes.keep[v]}
    flops, widest, members = 0.0, 0.0, set()
    for i in range(scopes.m - 1):
        a, b = legs[pairs[2 * i]], legs[pairs[2 * i + 1]]
        flops += math.prod(float(scopes.sizes[v]) for v in a | b)
        for v in a & b:
            n_left[v] -= 1
        out = {v for v in a | b if not (v in a & b and n_left[v] == 1) or scopes.keep[v]}
        legs.append(out)
        width = sum(math.log2(scopes.sizes[v]) for v in out)
        if width > widest:
            widest, members = width, out
    return flops, widest, members


REDUCED = [
    (row, seed) for row in ZOO for seed in range(2) if row.name not in ("markov_no_variables", "markov_no_factors")
]
FLOATS = [row for row in ZOO if row.name not in ("bayesian_rare", "markov_scaled")]
"""Those whose joint table is within the range of floats."""


@pytest.fixture(params=REDUCED, ids=lambda p: f"{p[0]}-{p[1]}")
def tables(request: pytest.FixtureRequest) -> Tables:
    row, seed = request.param
    packed = row.model(seed).packed
    return reduce(packed, unobserved(packed), merge=bool(seed)).tables


def test_every_tree_is_a_tree_with_the_price_it_says(tables: Tables) -> None:
    scopes = scopes_of(tables)
    for name, pairs in trees(scopes).items():
        assert is_tree(pairs, scopes.m), name
        flops, width, members = price(scopes, pairs)
        cost = scopes.cost(pairs)
        assert cost[0] == pytest.approx(flops), name
        assert cost[1] == pytest.approx(width), name
        legs, _ = scopes.widest(pairs)
        assert sum(math.log2(scopes.sizes[v]) for v in legs) >= sum(math.log2(scopes.sizes[v]) for v in members) - 1e-9


def test_different_trees_agree(tables: Tables) -> None:
    scopes = scopes_of(tables)
    whole = joint(tables)
    for name, pairs in trees(scopes).items():
        for semiring in (kernels.SUM_PRODUCT, LOG_SUM_EXP):
            found = run(tables, scopes, pairs, Job(MARGINALS, semiring))
            if found.status == kernels.UNSAFE:
                continue
            assert found.log_z[0] == pytest.approx(math.log(whole.sum()), abs=1e-10), name
            assert run(tables, scopes, pairs, Job(semiring=semiring)).log_z[0] == pytest.approx(
                found.log_z[0], abs=1e-12
            )
            for v in set(tables.scopes.tolist()):
                expected = whole.sum(axis=tuple(set(range(scopes.n)) - {v})) / whole.sum()
                np.testing.assert_allclose(marginal(found, v), expected[:, None], rtol=0, atol=1e-10, err_msg=name)
        best = run(tables, scopes, pairs, Job(WALK, MAX_PLUS))
        assert best.log_z[0] == pytest.approx(math.log(whole.max()), abs=1e-10), name
        assert best.states is not None
        assert whole[tuple(best.states[0])] == pytest.approx(whole.max(), rel=1e-9), name


def test_the_table_of_kept_variables(tables: Tables) -> None:
    whole = joint(tables)
    used = sorted(set(tables.scopes.tolist()))
    rng = np.random.default_rng(0)
    for _ in range(4):
        chosen = sorted(rng.choice(used, size=min(len(used), int(rng.integers(1, 4))), replace=False).tolist())
        keep = np.zeros(len(tables.sizes) + 1, np.uint8)
        keep[chosen] = 1
        scopes = scopes_of(tables, keep)
        expected = whole.sum(axis=tuple(set(range(scopes.n)) - set(chosen)))
        for name, pairs in trees(scopes).items():
            found = run(tables, scopes, pairs, Job(root_size=expected.size))
            if found.status == kernels.UNSAFE:
                continue
            assert found.root is not None
            table = found.root.reshape(expected.shape) * math.exp(found.log_z[0])
            np.testing.assert_allclose(table, expected, rtol=1e-10, atol=1e-12, err_msg=name)


def with_rows(tables: Tables, n_rows: int, rng: np.random.Generator) -> Tables:
    """The tables, a variable that numbers rows, and over it random tables for some of the variables."""
    names = [str(v) for v in range(len(tables.sizes))]
    states = {v: range(n) for v, n in zip([*names, "row"], [*tables.sizes, n_rows], strict=True)}
    factors = [([names[v] for v in tables.scope(j)], tables.table(j)) for j in range(tables.n_factors)]
    used = sorted(set(tables.scopes.tolist()))
    for v in rng.choice(used, size=min(len(used), int(rng.integers(1, 4))), replace=False):
        factors.append(([names[v], "row"], rng.gamma(1.0, size=(int(tables.sizes[v]), n_rows))))
    return MarkovNetwork({v: list(map(str, s)) for v, s in states.items()}, factors).packed


@pytest.mark.parametrize("n_rows", [1, 2, 3, 8, 17])
def test_rows_along_any_tree(tables: Tables, n_rows: int) -> None:
    """The axis of rows is kept through every contraction, however short or long it is beside the others."""
    wide = with_rows(tables, n_rows, np.random.default_rng(n_rows))
    row = len(wide.sizes) - 1
    keep = np.zeros(row + 2, np.uint8)
    keep[row] = 1
    scopes = scopes_of(wide, keep)
    whole = joint(wide)
    totals = whole.sum(axis=tuple(range(row)))
    for name, pairs in trees(scopes).items():
        found = run(wide, scopes, pairs, Job(MARGINALS, row=row))
        if found.status == kernels.UNSAFE:
            continue
        np.testing.assert_allclose(found.log_z, np.log(totals), rtol=0, atol=1e-10, err_msg=name)
        for v in set(tables.scopes.tolist()):
            expected = whole.sum(axis=tuple(set(range(row)) - {v})) / totals
            np.testing.assert_allclose(marginal(found, v), expected, rtol=0, atol=1e-10, err_msg=f"{name}: {v}")


def test_greedy_search_is_abandoned_over_its_limit() -> None:
    pairs = [(i, j) for i in range(12) for j in range(i)]
    scopes = Scopes(
        np.full(12, 2, np.int32), 2 * np.arange(len(pairs) + 1, dtype=np.int64), np.array(pairs, np.int32).ravel()
    )
    assert scopes.greedy_order("min-fill", 0.0, 0, 11.0, 10.0) is None
    assert scopes.greedy_order("min-fill", 0.0, 0, 14.0, 10.0) is not None


@pytest.mark.parametrize("heuristic", HEURISTICS)
def test_greedy_orders_of_trees_never_join_more_than_a_pair(heuristic: str) -> None:
    rng = np.random.default_rng(0)
    edges = np.array([[i, rng.integers(i)] for i in range(1, 200)], np.int32)
    scopes = Scopes(np.full(200, 3, np.int32), 2 * np.arange(200, dtype=np.int64), edges.ravel())
    order = scopes.greedy_order(heuristic, 0.0, 0, 1000.0, 10.0)
    assert order is not None
    assert scopes.cost(scopes.tree_from_order(order))[1] <= math.log2(3) + 1e-9


def test_annealing_never_loses_the_tree_it_started_from() -> None:
    rng = np.random.default_rng(1)
    side = 6
    cell = np.arange(side * side).reshape(side, side)
    edges = np.concatenate(
        [np.c_[cell[:-1].ravel(), cell[1:].ravel()], np.c_[cell[:, :-1].ravel(), cell[:, 1:].ravel()]]
    )
    scopes = Scopes(np.full(36, 2, np.int32), 2 * np.arange(61, dtype=np.int64), edges.astype(np.int32).ravel())
    start = scopes.tree_from_order(rng.permutation(36).astype(np.int32))
    annealed = scopes.anneal(start, AnnealingSteps(1.0, 8.0, 60, 10), 5.0, 0)
    assert is_tree(annealed, scopes.m)
    assert scopes.cost(annealed)[0] < scopes.cost(start)[0]
    assert scopes.cost(annealed)[1] <= 8
    good = scopes.greedy_order("min-fill", 0.0, 0, 100.0, 10.0)
    best = scopes.tree_from_order(good)
    hot = scopes.anneal(best, AnnealingSteps(0.01, 0.01, 2, 8), 5.0, 0)
    weigh = [scopes.cost(p)[0] + 8 * 2 ** scopes.cost(p)[1] for p in (best, hot)]
    assert weigh[1] <= 1.5 * weigh[0]


# Conditioning


def restored(found: kernels.Reduced) -> np.ndarray:
    """The joint table over the original variables that a reduced network stands for."""
    starts = np.concatenate([[0], np.cumsum(found.sizes)])
    kept = [found.kept[starts[v] : starts[v] + found.n_kept[v]] for v in range(len(found.sizes))]
    out = np.zeros(found.sizes)
    out[np.ix_(*kept)] = joint(found.tables).reshape([len(k) for k in kept]) * math.exp(found.log_constant)
    return out


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("row", FLOATS, ids=str)
def test_conditioning_keeps_the_weight_of_every_joint_state(row: Row, merge: bool) -> None:
    for seed in range(6):
        packed = row.model(seed).packed
        rng = np.random.default_rng(seed)
        evidence = np.array([rng.integers(-1, n) if seed else -1 for n in packed.sizes], np.int32).reshape(-1)
        expected = joint(packed)
        for v, state in enumerate(evidence.tolist()):
            if state >= 0:
                expected = expected * np.eye(packed.sizes[v])[state].reshape(
                    [-1 if u == v else 1 for u in range(len(evidence))]
                )
        found = reduce(packed, evidence, merge=merge)
        if found.impossible:
            assert not expected.any()
            continue
        np.testing.assert_allclose(restored(found), expected, rtol=1e-12)
        assert (found.index >= 0).tolist() == (found.n_kept > 1).tolist()
        assert found.index[found.index >= 0].tolist() == list(range(len(found.tables.sizes)))
        if not merge:
            assert found.factor.max(initial=-1) == found.tables.n_factors - 1


def test_zeros_rule_out_states_along_a_chain() -> None:
    """a = 0 forces b = 1, that c = 2, and so on: nothing is left to sum."""
    shift = np.roll(np.eye(3), 1, axis=1)
    net = MarkovNetwork(dict.fromkeys("abcdef", "xyz"), [(a + b, shift) for a, b in itertools.pairwise("abcdef")])
    found = reduce(net.packed, np.array([0, -1, -1, -1, -1, -1], np.int32))
    assert not found.tables.n_factors
    assert found.kept[::3].tolist() == [0, 1, 2, 0, 1, 2]
    assert found.n_kept.tolist() == [1] * 6
    assert reduce(net.packed, np.array([0, -1, -1, -1, -1, 0], np.int32)).impossible


def test_what_is_barren_is_dropped_and_counts_for_nothing() -> None:
    packed = next(row for row in ZOO if row.name == "bayesian_two_layers").model().packed
    n = len(packed.sizes)
    child, evidence, wanted = np.arange(n, dtype=np.int32), unobserved(packed), np.zeros(n, np.uint8)
    nothing = reduce(packed, evidence, child, wanted)
    assert nothing.tables.n_factors == 0
    assert nothing.log_constant == pytest.approx(0, abs=1e-12)
    assert not nothing.tables.sizes.size
    wanted[0] = 1
    evidence[0] = 1
    assert reduce(packed, evidence, child, wanted).log_constant == pytest.approx(math.log(packed.table(0)[1]))


def test_collapse_leaves_the_contractions_of_what_remains() -> None:
    pairs = np.array([0, 1, 2, 3, 4, 5, 0, 0], np.int32)
    assert collapse(pairs, 4, np.array([0, 1, 2, 3]))[:6].tolist() == [0, 1, 2, 3, 4, 5]
    assert collapse(pairs, 4, np.array([0, -1, 1, 2]))[:4].tolist() == [1, 2, 0, 3]
    assert collapse(pairs, 4, np.array([-1, -1, 0, 1]))[:2].tolist() == [0, 1]
    assert is_tree(collapse(pairs, 4, np.array([-1, 0, -1, -1])), 1)


# Memory


@st.composite
def random_tables(draw: st.DrawFn) -> Tables:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(4, 12))
    sizes = {f"v{i}": [str(k) for k in range(rng.integers(2, 5))] for i in range(n)}
    scopes = [list(rng.permutation(list(sizes))[: rng.integers(1, 5)]) for _ in range(draw(st.integers(2, 14)))]
    return MarkovNetwork(sizes, [(s, rng.gamma(1.0, size=[len(sizes[v]) for v in s])) for s in scopes]).packed


@given(random_tables())
def test_prices_bound_the_memory_of_every_run(tables: Tables) -> None:
    """The most bytes held are never more than the price says, nor a small part of it."""
    scopes = scopes_of(tables)
    order = scopes.greedy_order("weighted-min-fill", 0.3, 0, 1000.0, 10.0)
    pairs = scopes.tree_from_order(order)
    cost = scopes.cost(pairs)
    up, both = run(tables, scopes, pairs), run(tables, scopes, pairs, Job(MARGINALS))
    assert up.peak_bytes <= predicted_bytes(cost, "evidence")
    assert both.peak_bytes <= predicted_bytes(cost, "marginals")
    assert run(tables, scopes, pairs, Job(WALK, MAX_PLUS)).peak_bytes <= predicted_bytes(cost, "map")
    if cost[2] > 500:
        assert 8 * cost[3] <= 3 * up.peak_bytes
        assert 8 * cost[6] <= 3 * both.peak_bytes
