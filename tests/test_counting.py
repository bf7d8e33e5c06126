"""Counting: a search over what zeros leave finds log Z, marginals, the most probable state and samples."""

from __future__ import annotations

import itertools
import math
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from data import DATA, needs_data
from sweep import many, seeds

import tractable as tr
from tractable import kernels
from tractable.kernels import EVIDENCE, MARGINALS, WALK, Tables
from tractable.kernels.counting import OUT_OF_ROOM, OUT_OF_WORK, SOLVED, UNSUITED, SearchLimits, count

ROOMY = SearchLimits(1e8)
Factors = list[tuple[tuple[int, ...], np.ndarray]]


def packed(sizes: np.ndarray, factors: Factors) -> Tables:
    lengths, entries = [len(scope) for scope, _ in factors], [np.size(table) for _, table in factors]
    return Tables(
        np.asarray(sizes, np.int32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array([v for scope, _ in factors for v in scope], np.int32),
        np.concatenate([[0], np.cumsum(entries)]).astype(np.int64),
        np.concatenate([np.ravel(table) for _, table in factors] or [np.empty(0)]).astype(float),
    )


def random_tables(rng: np.random.Generator) -> Tables:
    """Up to eight variables of one to four states, and tables with 30 to 95 % zeros, of few values or of many."""
    n = int(rng.integers(1, 9))
    sizes = rng.choice([1, 2, 2, 2, 3, 4], n)
    kind, zeros, factors = int(rng.integers(3)), rng.uniform(0.3, 0.95), []
    for _ in range(rng.integers(14)):
        scope = tuple(rng.choice(n, int(rng.integers(min(n, 5) + 1)), replace=False).tolist())
        shape = tuple(sizes[v] for v in scope)
        values = [rng.random(shape) * 10.0 ** rng.integers(-3, 3), rng.choice([0.5, 1.0, 2.0], shape), np.ones(shape)]
        share = zeros if len(scope) > 1 else 0.3 * zeros * len(scope)
        factors.append((scope, values[kind] * (rng.random(shape) >= share)))
    return packed(sizes, factors)


def joint(tables: Tables) -> np.ndarray:
    """The products of all joint states."""
    product = np.ones(tuple(tables.sizes))
    for j in range(tables.n_factors):
        scope = tables.scope(j)
        shape = np.ones(len(tables.sizes), int)
        shape[scope] = tables.sizes[scope]
        product = product * np.transpose(tables.table(j), np.argsort(scope)).reshape(shape)
    return product


def marginals(product: np.ndarray) -> np.ndarray:
    axes = range(product.ndim)
    return np.concatenate([product.sum(axis=tuple(a for a in axes if a != v)) for v in axes]) / product.sum()


@pytest.mark.verify
def test_a_search_finds_what_enumeration_finds() -> None:
    for seed in seeds(250):
        tables = random_tables(np.random.default_rng(seed))
        product = joint(tables)
        found = {task: count(tables, ROOMY, task) for task in (EVIDENCE, MARGINALS, WALK)}
        assert all(one.status == SOLVED for one in found.values()), seed
        if product.sum() == 0:
            assert all(one.log_z == -math.inf for one in found.values()), seed
            continue
        for task in (EVIDENCE, MARGINALS):
            assert found[task].log_z == pytest.approx(math.log(product.sum()), abs=1e-11), seed
        own = found[MARGINALS].marginals
        assert own is not None
        np.testing.assert_allclose(own, marginals(product), 1e-10, err_msg=str(seed))
        assert found[WALK].log_z == pytest.approx(math.log(product.max()), abs=1e-11), seed
        states = found[WALK].states
        assert states is not None and product[tuple(states[0])] == pytest.approx(product.max(), rel=1e-12), seed


def random_clauses(rng: np.random.Generator, n: int, ratio: float) -> Factors:
    """Tables over three variables, each with one zero; some variables have weights."""
    factors: Factors = []
    for _ in range(int(ratio * n)):
        table = np.ones((2, 2, 2))
        table[tuple(rng.integers(2, size=3))] = 0
        factors.append((tuple(rng.choice(n, 3, replace=False).tolist()), table))
    return factors + [((v,), rng.random(2)) for v in range(n) if rng.random() < 0.3]


def network(n: int, factors: Factors) -> tr.MarkovNetwork:
    return tr.MarkovNetwork(
        {f"x{v}": "01" for v in range(n)}, [([f"x{v}" for v in scope], table) for scope, table in factors]
    )


@pytest.mark.verify
def test_contradictions_teach_nothing_that_is_wrong() -> None:
    """Larger formulas, near the ratio where most have no solution: the same as elimination."""
    contradictions = 0.0
    for seed in seeds(15):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(12, 21))
        factors = random_clauses(rng, n, rng.uniform(2, 4.5))
        tables, model = packed(np.full(n, 2), factors), network(n, factors)
        found = count(tables, ROOMY, MARGINALS)
        contradictions += found.took.contradictions
        assert found.status == SOLVED
        post = tr.infer(model, method="elimination")
        assert found.log_z == pytest.approx(post.log_partition.value, abs=1e-10), seed
        if found.log_z > -math.inf:
            expected = np.concatenate([post.marginals.array(v) for v in model.states])
            assert found.marginals is not None
            np.testing.assert_allclose(found.marginals, expected, rtol=1e-9, atol=1e-14, err_msg=str(seed))
    assert contradictions > many(15)


def circuit(rng: np.random.Generator, inputs: int, gates: int) -> Factors:
    """Gates of two wires laid before, all inputs open: as many states as the inputs have."""
    factors: Factors = []
    for v in range(inputs, inputs + gates):
        low = max(0, v - 40)
        a, b = rng.choice(np.arange(low, v), 2, replace=False).tolist()
        table = np.zeros((2, 2, 2))
        kind = rng.integers(3)
        for x, y in itertools.product((0, 1), repeat=2):
            table[x, y, (x & y, x | y, x ^ y)[kind]] = 1
        factors.append(((a, b, v), table))
    return factors


@pytest.mark.parametrize("seed", range(3))
def test_what_others_define_is_summed_out(seed: int) -> None:
    factors = circuit(np.random.default_rng(seed), 60, 600)
    tables = packed(np.full(660, 2), factors)
    assert count(tables, ROOMY).log_z == pytest.approx(60 * math.log(2), abs=1e-11)
    samples = count(tables, ROOMY, WALK, n_samples=300, seed=seed).states
    assert samples is not None and (np.abs(samples[:, :60].mean(0) - 0.5) < 0.15).all()
    for (a, b, v), table in factors:
        assert table[samples[:, a], samples[:, b], samples[:, v]].all()
    assert abs(samples.mean() - 0.5) < 0.5


def test_samples_are_of_the_distribution() -> None:
    for seed in range(4):
        tables = random_tables(np.random.default_rng(1000 + seed))
        product = joint(tables)
        if product.sum() == 0:
            continue
        states = count(tables, ROOMY, WALK, n_samples=4000, seed=seed).states
        seen = np.zeros_like(product)
        np.add.at(seen, tuple(states.T), 1 / 4000)
        assert (seen[product == 0] == 0).all()
        assert np.abs(seen - product / product.sum()).max() < 0.04
        again = count(tables, ROOMY, WALK, n_samples=4000, seed=seed).states
        np.testing.assert_array_equal(states, again)


EDGES: dict[str, tuple[list[int], Factors, float]] = {
    "no variable": ([], [], 0.0),
    "a number": ([], [((), np.array(3.0))], math.log(3)),
    "one variable": ([3], [((0,), np.array([1.0, 0.0, 4.0]))], math.log(5)),
    "one variable, no table": ([3], [], math.log(3)),
    "one state": ([1, 2], [((0, 1), np.array([[0.0, 2.0]]))], math.log(2)),
    "nothing is possible": ([2, 2], [((0, 1), np.zeros((2, 2)))], -math.inf),
    "nothing is possible, by a number": ([2], [((), np.array(0.0))], -math.inf),
    "large": (
        [2, 2],
        [((0, 1), np.full((2, 2), 1e300)), ((1, 0), np.full((2, 2), 1e300))],
        math.log(4) + 600 * math.log(10),
    ),
    "small": (
        [2, 2],
        [((0, 1), np.full((2, 2), 1e-300)), ((1, 0), np.eye(2) * 1e-300)],
        math.log(2) - 600 * math.log(10),
    ),
}


@pytest.mark.parametrize("edge", EDGES)
def test_edges(edge: str) -> None:
    sizes, factors, log_z = EDGES[edge]
    tables = packed(np.array(sizes), factors)
    for task in (EVIDENCE, MARGINALS):
        found = count(tables, ROOMY, task)
        assert found.status == SOLVED
        assert found.log_z == pytest.approx(log_z, abs=1e-10)


def chain(n: int) -> Factors:
    """No two zeros side by side."""
    return [((v, v + 1), np.array([[0.0, 1.0], [1.0, 1.0]])) for v in range(n - 1)]


def test_counts_beyond_doubles() -> None:
    n = 4000
    a, b = 1, 2
    for _ in range(n - 1):
        a, b = b, a + b
    found = count(packed(np.full(n, 2), chain(n)), ROOMY, MARGINALS)
    assert found.log_z == pytest.approx(math.log(b), rel=1e-13)
    faint = [*chain(n), *(((v,), np.array([1e-3, 1e-3])) for v in range(n))]
    assert count(packed(np.full(n, 2), faint), ROOMY).log_z == pytest.approx(math.log(b) - n * math.log(1e3), rel=1e-13)


def test_limits_end_a_search() -> None:
    rng = np.random.default_rng(0)
    hard = packed(np.full(150, 2), random_clauses(rng, 150, 3.0))
    assert count(hard, SearchLimits(1e8, visits=1e6)).status == OUT_OF_WORK
    start = time.perf_counter()
    assert count(hard, SearchLimits(1e8, limit=0.3)).status == OUT_OF_WORK
    assert time.perf_counter() - start < 3
    assert count(packed(np.full(3000, 2), chain(3000)), SearchLimits(1e4), MARGINALS).status == OUT_OF_ROOM
    assert count(packed(np.array([65, 2]), [((0, 1), np.ones((65, 2)))]), ROOMY).status == UNSUITED
    extreme = [((0, 1), np.array([[1e-300, 1.0], [1e250, 0.0]]))]
    assert count(packed(np.array([2, 2]), extreme), ROOMY).status == UNSUITED
    vanishing = [((0,), np.array([1e-200, 1e150, 0.0])), ((0,), np.array([1e150, 1e-200, 1.0]))]  # no zero: 1e-350
    assert count(packed(np.array([3]), vanishing), ROOMY).status == UNSUITED
    vanishing = [((0, 1), np.array([[1e-200, 1e150], [1e150, 1e150]])), ((0, 1), np.array([[1.0, 0.0], [0.0, 0.0]]))]
    assert count(packed(np.array([2, 2]), vanishing), ROOMY).status == UNSUITED


# ---------------------------------------------------------------- verbs


ASIA = {"xray": "yes", "dysp": tr.likelihood([0.3, 0.9])}


def asia() -> tr.BayesianNetwork:
    return tr.load(Path(tr.__file__).parent / "examples" / "asia.bif")


def test_verbs_answer_by_search() -> None:
    model = asia()
    one, other = tr.infer(model, ASIA, method="counting"), tr.infer(model, ASIA, method="elimination")
    assert one.plan.method == "counting"
    assert one.log_partition.kind == "exact"
    assert one.log_partition.value == pytest.approx(other.log_partition.value, abs=1e-12)
    for v in model.states:
        np.testing.assert_allclose(one.marginals.array(v), other.marginals.array(v), rtol=1e-12)
    target = tr.infer(model, ASIA, method="counting", targets=["lung"])
    np.testing.assert_allclose(target.marginals.array("lung"), other.marginals.array("lung"), rtol=1e-12)


def gates(seed: int = 0) -> tr.MarkovNetwork:
    return network(660, circuit(np.random.default_rng(seed), 60, 600))


def test_a_search_is_taken_where_elimination_is_refused() -> None:
    model = gates()
    drawn = tr.sample(model, n=2, key=0)
    seen = {f"x{v}": str(drawn[f"x{v}"][0]) for v in range(640, 660)}
    plan = tr.plan(model, seen, query="evidence", memory="8MiB")
    assert plan.method == "counting"
    assert "zeros leave little" in plan.why
    found = tr.infer(model, seen, memory="64MiB")
    assert found.plan.method == "counting"
    given = tr.infer(model, {**seen, "x0": "1"}, memory="64MiB")
    ratio = math.exp(given.log_partition.value - found.log_partition.value)
    assert found.marginals.array("x0")[1] == pytest.approx(ratio, abs=1e-9)
    again = tr.infer(model, seen, method=tr.plan(model, seen, memory="64MiB"))
    assert again.log_partition.value == pytest.approx(found.log_partition.value, abs=1e-10)
    best = tr.most_probable(model, seen, memory="64MiB")
    assert {v: best.assignment[v] for v in seen} == seen


@pytest.mark.parametrize("seed", range(3))
def test_the_price_of_marginals_knows_what_was_summed_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for model in (gates(seed), network(60, random_clauses(rng, 60, 3.0)), network(90, circuit(rng, 30, 60))):
        took = count(model.packed, ROOMY, MARGINALS).took.visits
        price = tr.infer(model, method="counting", memory=1e8).plan.flops
        assert took / 8 < price < 4 * took + 1e7  # the longer of these take a tenth of a second


def test_an_easy_network_is_left_to_elimination() -> None:
    assert tr.plan(network(30, chain(30)), {}).method == "elimination"
    assert tr.infer(asia(), {"xray": "yes"}).plan.method == "elimination"


def test_a_search_that_does_not_end_is_refused() -> None:
    factors = random_clauses(np.random.default_rng(0), 200, 3.0)
    with pytest.raises(tr.BudgetError, match="a search did not come to an end within"):
        tr.infer(network(200, factors), seconds=0.5, method="counting")


def test_what_is_impossible_is_said() -> None:
    model = network(2, [((0, 1), np.array([[0.0, 1.0], [1.0, 0.0]])), ((0, 1), np.eye(2))])
    assert count(model.packed, ROOMY).log_z == -math.inf
    with pytest.raises(tr.ImpossibleEvidenceError):
        tr.sample(model, n=3, key=0)


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process there")
def test_an_interrupt_ends_a_search() -> None:
    hard = packed(np.full(300, 2), random_clauses(np.random.default_rng(0), 300, 3.0))
    struck: list[float] = []

    def strike() -> None:
        struck.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.3, strike)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        count(hard, ROOMY)
    assert time.perf_counter() - struck[0] < 0.3  # some 20 ms where nothing else runs
    timer.join()


# ---------------------------------------------------------------- judges


def test_ganak_counts_the_same() -> None:
    ganak = pytest.importorskip("pyganak")
    for seed in range(6):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(30, 60))
        factors = random_clauses(rng, n, rng.uniform(2.5, 4))
        judge = ganak.WeightedCounter()
        judge.new_vars(n)
        for scope, table in factors:
            if len(scope) == 1:
                judge.set_lit_weight(scope[0] + 1, float(table[1]))
                judge.set_lit_weight(-scope[0] - 1, float(table[0]))
                continue
            (at,) = np.argwhere(table == 0)
            judge.add_clause([v + 1 if s == 0 else -v - 1 for v, s in zip(scope, at, strict=True)])
        total = judge.count()
        expected = math.log(total) if total > 0 else -math.inf
        assert count(packed(np.full(n, 2), factors), ROOMY).log_z == pytest.approx(expected, abs=1e-9)


PUBLISHED = {
    "c880.isc": 18.0617997398,
    "c1908.isc": 9.93398985691,
    "log-1": 20.7513973273,
    "logistics.a": 14.5774564994,
}


@needs_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str) -> None:
    assert DATA is not None
    model = tr.load(DATA / "uai" / f"{name}.cnf.uai.gz")
    tables = kernels.reduce(model.packed, np.full(len(model.states), -1, np.int32), merge=False)
    found = count(tables.tables, ROOMY, MARGINALS)
    assert (found.log_z + tables.log_constant) / math.log(10) == pytest.approx(PUBLISHED[name], abs=1e-8)
    rng, at = np.random.default_rng(0), np.cumsum([0, *tables.tables.sizes])
    for v in rng.choice(len(tables.tables.sizes), 3, replace=False):  # against a difference of two counts
        evidence = np.full(len(tables.tables.sizes), -1, np.int32)
        evidence[v] = 1
        given = kernels.reduce(tables.tables, evidence, merge=False)
        alone = -math.inf if given.impossible else count(given.tables, ROOMY).log_z + given.log_constant
        assert found.marginals is not None
        assert found.marginals[at[v] + 1] == pytest.approx(math.exp(alone - found.log_z), abs=1e-9)
