"""Structured mean field: bounds that hold on any network, are those of their q, and are exact where nothing is cut."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import brute_force as oracle
import numpy as np
import pytest
from sweep import seeds

import tractable as tr
from tractable.kernels import Reduced
from tractable.models.evidence import parse_evidence
from tractable.models.pruning import left
from tractable.plan.budget import ask as asking
from tractable.plan.budget import predicted_bytes
from tractable.plan.estimates import ClusterSweeps, plan_estimate
from tractable.posterior.approximate.clusters import QUERY, Afford, partitions, tied
from tractable.posterior.approximate.structured_mean_field import CutTables, Points, best_of, bounded

SINGLES = Afford(1e-9, 1e9)
"""Clusters of one variable each."""

ALIKE = np.array([[1.0, -1.0], [-1.0, 1.0]])


def random_model(seed: int, zeros: float = 0.3, coupling: float = 10.0) -> tr.MarkovNetwork:
    """Up to nine variables of one to four states, tables over up to three, couplings from weak to strong."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 10))
    sizes = rng.integers(1, 5, n)
    while np.prod(sizes) > 5000:
        sizes = rng.integers(1, 4, n)
    scopes = [rng.choice(n, int(rng.integers(1, min(4, n + 1))), replace=False) for _ in range(rng.integers(1, 2 * n))]
    strength, factors = rng.uniform(0.1, coupling), []
    for scope in scopes:
        table = np.exp(strength * rng.standard_normal(sizes[scope]))
        if rng.random() < zeros:
            table[rng.random(table.shape) < 0.3] = 0
        factors.append((tuple(f"v{v}" for v in scope), table))
    return tr.MarkovNetwork({f"v{v}": [str(s) for s in range(k)] for v, k in enumerate(sizes)}, factors)


def what_is_left(model: Any) -> Reduced:
    return left(model, parse_evidence(model.states, None), "marginals")


def lattice(n: int, coupling: float, field: float = 0.0) -> tr.MarkovNetwork:
    """Spins on a square that like to be alike."""
    at = {(r, c): f"s{r}.{c}" for r in range(n) for c in range(n)}
    near = [((r, c), (r + i, c + j)) for r, c in at for i, j in ((0, 1), (1, 0)) if (r + i, c + j) in at]
    pairs = [((at[a], at[b]), np.exp(coupling * ALIKE)) for a, b in near]
    return tr.MarkovNetwork(
        dict.fromkeys(at.values(), "01"), [*pairs, *(((v,), [1, np.exp(field)]) for v in at.values())]
    )


def cut(model: Any, afford: Afford, seed: int = 0) -> CutTables:
    tables = what_is_left(model).tables
    return CutTables.of(tables, next(partitions(tables, afford, [seed])))


def small(program: Any) -> Any:
    """The program with clusters of one variable."""
    return program._replace(seconds=1e-9)


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize("seed", seeds(40))
def test_bounds_hold_and_are_found_wherever_a_state_is_possible(seed: int) -> None:
    model = random_model(seed)
    log_z, reduced = oracle.log_partition(model), what_is_left(model)
    for work in (1e-9, 3e-6, 1e-5, 1.0):
        found = bounded(reduced, ClusterSweeps(work, 1e9, 2, 2), seed)
        assert found.elbo - found.charge <= log_z
        assert (found.elbo > -math.inf) == (log_z > -math.inf)
        if found.exact:
            assert found.elbo == pytest.approx(log_z, abs=1e-9 * max(abs(log_z), 1)) or found.elbo == log_z
        elif found.elbo > -math.inf:
            assert 0 <= found.charge <= 1e-9 * max(abs(found.elbo), 1)
            each = np.split(found.marginals, np.cumsum([len(s) for s in model.states.values()])[:-1])
            np.testing.assert_allclose([p.sum() for p in each], 1, atol=1e-9)


@pytest.mark.parametrize("seed", seeds(15))
def test_the_bound_is_that_of_its_q_and_rises(seed: int) -> None:
    reduced = what_is_left(random_model(seed + 1000))
    tables, before = reduced.tables, -math.inf
    if reduced.impossible or not tables.n_factors:
        pytest.skip("zeros leave nothing")
    for afford in (SINGLES, Afford(5e-6, 1e9)):
        network = CutTables.of(tables, next(partitions(tables, afford, [seed])))
        points, before = Points(tables, 3, seed).of(network), -math.inf
        fields = network.independent(points[-1]) if points else None
        for _ in range(6):
            fields = None if fields is None else network.swept(fields)
            if fields is None:
                assert oracle_of(tables) == -math.inf
                break
            value, charge = network.elbo(fields)
            assert value == pytest.approx(free_energy(network, fields), abs=1e-8 * max(abs(value), 1))
            assert value >= before - charge
            before = value


def oracle_of(tables: Any) -> float:
    """log Z by all states."""
    return float(np.logaddexp.reduce([log_f(tables, x) for x in states_of(tables)]))


def states_of(tables: Any) -> Any:
    return itertools.product(*(range(k) for k in tables.sizes.tolist()))


def log_f(tables: Any, x: Any) -> float:
    with np.errstate(divide="ignore"):
        return float(
            sum(np.log(tables.table(j)[tuple(x[v] for v in tables.scope(j))]) for j in range(tables.n_factors))
        )


def free_energy(network: CutTables, fields: Any) -> float:
    """E_q[log f] + H(q) by all states, q from the tables of the clusters alone."""
    tables, log_q = network.tables, {}
    for c, (part, own) in enumerate(zip(network.clusters, network.own, strict=True)):
        mine = replace(own, values=fields[c].values)
        each = {x: log_f(mine, x) for x in states_of(mine)}
        log_z = np.logaddexp.reduce(list(each.values()))
        log_q[c] = {x: value - log_z for x, value in each.items()}
        assert len(part.members) == len(own.sizes)
    total = 0.0
    touched = sorted(v for part in network.clusters for v in part.members.tolist())
    for x in itertools.product(*(range(tables.sizes[v]) for v in touched)):
        state = dict(zip(touched, x, strict=True))
        q = sum(log_q[c][tuple(state[v] for v in part.members.tolist())] for c, part in enumerate(network.clusters))
        if q > -math.inf:
            total += math.exp(q) * (log_f(tables, state) - q)
    return total


@pytest.mark.parametrize("coupling", [0.2, 0.6])
def test_of_single_spins_it_is_the_mean_field_of_books(coupling: float) -> None:
    n, field = 12, 0.3
    names = [f"s{i}" for i in range(n)]
    pairs = [((a, b), np.exp(coupling * ALIKE)) for a, b in zip(names, names[1:] + names[:1], strict=True)]
    ring = tr.MarkovNetwork(dict.fromkeys(names, "01"), [*pairs, *(((v,), np.exp([-field, field])) for v in names)])
    m = 0.5
    for _ in range(1000):
        m = math.tanh(2 * coupling * m + field)
    p = np.array([1 - m, 1 + m]) / 2
    expected = n * (coupling * m**2 + field * m - float(p @ np.log(p)))
    found = bounded(what_is_left(ring), ClusterSweeps(1e-9, 1e9), 0)
    assert found.n_clusters == n and found.elbo == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(found.marginals.reshape(n, 2), np.tile(p, (n, 1)), atol=1e-3)


def test_larger_clusters_are_closer() -> None:
    model = lattice(6, 0.5, 0.1)
    log_z, reduced = tr.log_partition(model).value, what_is_left(model)
    gaps = [log_z - bounded(reduced, ClusterSweeps(1.0, memory, 4), 0).elbo for memory in (1, 3e3, 1e9)]
    assert gaps[0] > 3 * gaps[1] > 0.1 and gaps[2] == pytest.approx(0, abs=1e-9)


def test_tables_that_are_products_cost_nothing_across() -> None:
    rng = np.random.default_rng(3)
    names = [f"v{i}" for i in range(6)]
    pairs = [(pair, np.outer(rng.random(3), rng.random(3))) for pair in itertools.combinations(names, 2)]
    model = tr.MarkovNetwork(dict.fromkeys(names, "012"), pairs)
    found = bounded(what_is_left(model), ClusterSweeps(1e-9, 1e9), 0)
    assert found.n_clusters == 6 and not found.exact
    assert found.elbo == pytest.approx(oracle.log_partition(model), abs=1e-9)
    np.testing.assert_allclose(found.marginals[:3], oracle.marginals(model)["v0"], atol=1e-9)


def test_parts_that_share_no_table_are_exact_whatever_their_number() -> None:
    rng = np.random.default_rng(4)
    factors = [((f"a{i}", f"b{i}"), rng.random((2, 2))) for i in range(8)]
    model = tr.MarkovNetwork({v: "01" for scope, _ in factors for v in scope}, factors)
    post = tr.infer(model, method="mean_field")
    assert post.log_partition.kind == post.certificates("a3").kind == "exact"
    assert post.log_partition.value == pytest.approx(tr.log_partition(model).value, abs=1e-10)


def test_restarts_find_the_better_phase() -> None:
    model = lattice(4, 1.0, 0.05)
    tables = what_is_left(model).tables
    network = cut(model, SINGLES)
    ends = []
    for state in (0.0, 1.0):
        fields = network.independent(np.tile([1 - state, state], 16))
        for _ in range(30):
            fields = network.swept(fields)
            assert fields is not None
        ends.append(network.elbo(fields)[0])
    assert ends[1] > ends[0] + 0.5  # the first phase holds itself, and is the worse one
    assert best_of(tables, ClusterSweeps(1e-9, 1e9), 0).elbo == pytest.approx(ends[1], abs=1e-6)


# ---------------------------------------------------------------- clusters


@pytest.mark.parametrize("seed", seeds(10))
def test_clusters_are_disjoint_and_affordable(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model, afford = lattice(10, float(rng.normal()), 0.1), Afford(1.0, 10 ** rng.uniform(3, 5))
    tables = what_is_left(model).tables
    for parts in partitions(tables, afford, range(3)):
        assert sorted(v for part in parts for v in part.members.tolist()) == list(range(100))
        assert 1 < len(parts) < 20
        for part in parts:
            assert len(part.members) == 1 or predicted_bytes(part.tree.cost, QUERY) <= afford.memory


def test_the_weakest_tables_are_cut() -> None:
    strong, weak = np.exp(2 * ALIKE), np.exp(0.1 * ALIKE)
    blocks = [[f"{b}{i}" for i in range(6)] for b in "xyz"]
    inside = [(pair, strong) for block in blocks for pair in itertools.combinations(block, 2)]
    across = [((a[i], b[i]), weak) for a, b in itertools.combinations(blocks, 2) for i in range(6)]
    model = tr.MarkovNetwork({v: "01" for block in blocks for v in block}, [*across, *inside])
    tables = what_is_left(model).tables
    found = next(partitions(tables, Afford(2e-4, 1e4), range(8)))
    assert sorted(part.members.tolist() for part in found) == [list(range(i, i + 6)) for i in (0, 6, 12)]


def test_what_ties_a_table() -> None:
    base = tied(np.outer([1.0, 2.0], [3.0, 1.0]))
    assert tied(np.exp(3 * ALIKE)) - base == pytest.approx(math.log(2), abs=0.03)
    assert tied(np.exp(ALIKE)) > tied(np.exp(0.5 * ALIKE)) > base
    assert tied(np.eye(2)) > tied(np.exp(9 * ALIKE)) + 5


# ---------------------------------------------------------------- asked for


def odd_ring(n: int) -> tr.MarkovNetwork:
    """Neighbours that differ, round a ring of an odd number, which nothing local rules out."""
    names = [f"s{i}" for i in range(n)]
    pairs = [((a, b), 1 - np.eye(2)) for a, b in zip(names, names[1:] + names[:1], strict=True)]
    return tr.MarkovNetwork(dict.fromkeys(names, "01"), [*pairs, (names[0], [1.0, 2.0])])


def test_what_is_impossible_is_exact_where_nothing_is_cut_and_said_not_to_be_found_where_it_is() -> None:
    post = tr.infer(odd_ring(5), method="mean_field", key=0)
    assert post.log_partition.kind == "exact" and post.log_partition.value == -math.inf
    plan = replace(post.plan, program=small(post.plan.program))
    post = tr.infer(odd_ring(5), method=plan, key=0)
    assert post.log_partition.lower == -math.inf and post.log_partition.upper == math.inf
    assert "no state of positive weight was found" in (post.log_partition.verdict or "")
    assert np.isnan(post.marginals.array("s1")).all() and "unreliable" in (post.certificates("s1").verdict or "")
    found = bounded(what_is_left(odd_ring(6)), small(plan.program), 0)
    assert math.log(2) == pytest.approx(found.elbo)  # it keeps to the better of two states


def test_evidence_that_is_impossible() -> None:
    net = tr.BayesianNetwork({"a": "01", "b": "01"}, "a -> b", {"a": [0.5, 0.5], "b": [[1.0, 0.0], [0.3, 0.7]]})
    given = {"a": ["0", "1", "0"], "b": ["1", "1", "0"]}
    post = tr.infer(net, given, method="mean_field")
    np.testing.assert_allclose(post.log_partition.value, [-math.inf, math.log(0.35), math.log(0.5)])
    assert post.possible.tolist() == [False, True, True]
    with pytest.raises(tr.ImpossibleEvidenceError):
        _ = tr.infer(net, {"a": "0", "b": "1"}, method="mean_field").marginals


def test_a_bound_of_log_z_and_estimates_of_marginals_say_so() -> None:
    net = lattice(5, 0.6, 0.1)
    post, exact = tr.infer(net, method="mean_field", key=3, memory=13e3), tr.infer(net)
    plan, found = post.plan, post.log_partition
    assert found.kind == found.lower_kind == "bound" and found.upper == math.inf
    assert found.lower <= found.value <= exact.log_partition.value <= found.value + 3
    assert "clusters" in (found.verdict or "") and "; converged in" in (found.verdict or "")
    assert post.certificates("s2.2").kind == "estimate"
    again = tr.infer(net, method=plan, key=3)
    assert again.log_partition.value == found.value
    plan = replace(plan, program=plan.program._replace(sweeps=1, trial=1))
    assert "not converged in 2 sweeps" in (tr.infer(net, method=plan, key=3).log_partition.verdict or "")


def test_rows_and_targets() -> None:
    net = lattice(4, 0.5, 0.2)
    given = {"s0.0": ["0", "1", "1", None], "s3.3": ["1", "0", "0", None]}
    post = tr.infer(net, given, method="mean_field", targets=["s1.1", "s2.0"])
    assert list(post.marginals) == ["s1.1", "s2.0"]
    cut_up = tr.infer(net, given, method="mean_field", memory=7.5e3)
    assert "at most" in (cut_up.log_partition.verdict or "")
    for i in range(4):
        exact = tr.infer(net, {v: column[i] for v, column in given.items() if column[i] is not None})
        assert cut_up.log_partition.lower[i] <= exact.log_partition.value <= cut_up.log_partition.lower[i] + 3
        assert post.log_partition.value[i] == pytest.approx(exact.log_partition.value, abs=1e-9)
        for v in post.marginals:
            np.testing.assert_allclose(post.marginals.array(v)[i], exact.marginals.array(v), atol=1e-9)


def test_log_evidence_of_a_bayesian_network_is_bounded_below() -> None:
    rng = np.random.default_rng(0)
    top, bottom = [f"h{i}" for i in range(8)], [f"x{i}" for i in range(12)]
    parents = {x: [str(h) for h in rng.choice(top, 3, replace=False)] for x in bottom}
    tables = {h: [0.4, 0.6] for h in top} | {x: rng.dirichlet([0.5, 0.5], [2, 2, 2]) for x in bottom}
    net = tr.BayesianNetwork(dict.fromkeys([*top, *bottom], "01"), parents, tables)
    given = dict.fromkeys(bottom, "1")
    exact = tr.log_evidence(net, given).value
    reduced = left(net, parse_evidence(net.states, given), "evidence")
    found = bounded(reduced, ClusterSweeps(2e-6, 1e9), 0)
    assert found.n_clusters > 1 and exact - 3 < found.elbo - found.charge <= exact
    assert tr.log_evidence(net, given, method="mean_field").value == pytest.approx(exact)


def test_numbers_beyond_the_range_of_doubles() -> None:
    model = lattice(6, 60.0, 0.1)
    log_z = tr.log_partition(model).value
    found = bounded(what_is_left(model), ClusterSweeps(1.0, 3e3, 2), 0)
    assert found.n_clusters > 1 and log_z - 1 <= found.elbo - found.charge <= log_z


def test_what_is_predicted_is_within_the_seconds() -> None:
    net, rng = lattice(20, 0.4), np.random.default_rng(0)
    for seconds in (*rng.uniform(1, 20, 40).tolist(), 10.0):
        ask = asking("evidence", None, seconds, "mean_field")
        assert plan_estimate(net, parse_evidence(net.states, None), ask).method == "mean_field"
