"""Local search: on small models the best of all joint states, elsewhere better and better ones; values are true."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sweep import seeds

import tractable as tr
from tractable.kernels import Tables
from tractable.kernels.local_search import LocalSearch, Reach
from tractable.posterior.approximate.local_search import (
    HOPELESS,
    Improved,
    improving,
    log_product,
    reach_of,
    softened,
)


def packed(sizes: list[int], factors: list[tuple[list[int], np.ndarray]]) -> Tables:
    """Tables of these factors, each over the variables of its scope."""
    lengths = np.cumsum([0, *(len(scope) for scope, _ in factors)])
    ends = np.cumsum([0, *(np.size(table) for _, table in factors)])
    scopes = np.array([v for scope, _ in factors for v in scope], np.int32)
    values = np.concatenate([np.zeros(0), *(np.ravel(table) for _, table in factors)])
    return Tables(np.array(sizes, np.int32), lengths, scopes, ends, values)


def random_tables(rng: np.random.Generator, zeros: float) -> Tables:
    """A few variables of one to four states, tables over none to three of them."""
    n = int(rng.integers(1, 8))
    sizes = rng.integers(1, 5, n).tolist()
    factors = []
    for _ in range(int(rng.integers(0, 12))):
        scope = rng.permutation(n)[: rng.integers(0, 4)].tolist()
        table = rng.gamma(0.5, size=[sizes[v] for v in scope])
        factors.append((scope, np.where(rng.random(table.shape) < zeros, 0.0, table)))
    return packed(sizes, factors)


def value_of(tables: Tables, states: np.ndarray) -> float:
    """The log product, table by table."""
    entries = [float(tables.table(j)[tuple(states[tables.scope(j)])]) for j in range(tables.n_factors)]
    return sum(math.log(x) if x > 0 else -math.inf for x in entries)


def best_of_all(tables: Tables) -> float:
    """The largest log product of all joint states."""
    every = itertools.product(*map(range, tables.sizes.tolist()))
    return max(value_of(tables, np.array(states, np.int32)) for states in every)


def glass(side: int, seed: int) -> Tables:
    """Spins on a torus with random couplings."""
    rng, at = np.random.default_rng(seed), np.arange(side * side).reshape(side, side)
    pairs = [(a, b) for axis in (0, 1) for a, b in zip(at.ravel(), np.roll(at, -1, axis).ravel(), strict=True)]
    spins = np.array([[1.0, -1.0], [-1.0, 1.0]])
    return packed([2] * side * side, [([int(a), int(b)], np.exp(rng.normal() * spins)) for a, b in pairs])


@pytest.mark.verify
@pytest.mark.parametrize("zeros", [0.0, 0.2, 0.5])
def test_the_best_of_all_states(zeros: float) -> None:
    for seed in seeds(40):
        tables = random_tables(np.random.default_rng(seed), zeros)
        found = list(improving(tables, iterations=6, seed=seed))
        best = best_of_all(tables)
        if best == -math.inf:
            assert not found
            continue
        assert found[-1].value == pytest.approx(best, abs=1e-7)
        assert all(one.value == pytest.approx(value_of(tables, one.states), abs=1e-9) for one in found)
        assert [one.value for one in found] == sorted({one.value for one in found})


def test_small_neighbourhoods_get_there_too() -> None:
    tables = glass(6, 0)
    logs, scale = softened(tables)
    whole = LocalSearch(logs, np.zeros(36, np.int32), Reach(1 << 14, 1 << 18), scale, 0)
    narrow = LocalSearch(logs, np.zeros(36, np.int32), Reach(64, 1024), scale, 1)
    assert narrow.run(1e7) == pytest.approx(whole.run(1e7), abs=1e-7)
    assert value_of(tables, narrow.best) == pytest.approx(whole.course[1], abs=1e-7)


def test_the_optimum_of_elimination() -> None:
    rng = np.random.default_rng(3)
    names = [f"s{i}" for i in range(100)]
    at = [(i, j) for i in range(100) for j in (i + 1, i + 10) if j < 100 and (j % 10 or j == i + 10)]
    factors = [((names[i], names[j]), np.exp(rng.normal(size=(3, 3)))) for i, j in at]
    net = tr.MarkovNetwork(dict.fromkeys(names, "abc"), factors)
    exact = tr.most_probable(net, method="exact").log_probability.value
    found = list(improving(net.packed, iterations=12, memory=1e6))
    assert found[-1].value == pytest.approx(exact, abs=1e-6)


def test_a_seed_and_iterations_say_all() -> None:
    tables = glass(12, 1)

    def run(seed: int) -> list[Improved]:
        return list(improving(tables, iterations=8, seed=seed))

    first, again, other = run(5), run(5), run(6)
    assert len(first) > 1
    assert [one.value for one in first] == [one.value for one in again]
    assert all((a.states == b.states).all() for a, b in zip(first, again, strict=True))
    assert [one.value for one in first] != [one.value for one in other]


def test_goes_on_from_a_start() -> None:
    tables = glass(10, 2)
    *_, best = improving(tables, iterations=10)
    (first, *_) = improving(tables, best.states, iterations=1)
    assert first.value >= best.value - 1e-9


def test_colours_of_a_map_are_found() -> None:
    n = 60
    rng = np.random.default_rng(0)
    hidden = rng.integers(3, size=n)
    pairs = [(i, j) for i in range(n) for j in range(i) if hidden[i] != hidden[j] and rng.random() < 0.11]
    tables = packed([3] * n, [([i, j], 1.0 - np.eye(3)) for i, j in pairs])
    *_, best = improving(tables, iterations=HOPELESS)
    assert best.value == 0.0
    assert all(best.states[i] != best.states[j] for i, j in pairs)


def test_impossible_gives_nothing() -> None:
    even = np.array([[1.0, 0.0], [0.0, 1.0]])
    tables = packed([2, 2, 2], [([0, 1], even), ([1, 2], even), ([0, 2], 1 - even)])
    assert not list(improving(tables, iterations=HOPELESS + 2))
    assert not list(improving(packed([2], [([], np.zeros(1)), ([0], np.ones(2))]), iterations=1))


def test_nothing_to_choose() -> None:
    ((value, states),) = improving(packed([], []), iterations=3)
    assert value == 0.0 and not len(states)
    ((value, states),) = improving(packed([3, 1], [([], np.full(1, 2.0))]), iterations=3)
    assert value == pytest.approx(math.log(2)) and len(states) == 2


def test_reach_is_within_the_memory() -> None:
    tables = glass(12, 1)
    for memory in (1e5, 1e6, 1e8):
        assert tables.values.nbytes + reach_of(tables, memory).bytes <= memory
    wide = packed([60] * 4, [([0, 1], np.ones((60, 60)))])
    assert reach_of(wide).limit == 60**3
    assert reach_of(wide, 1e3).limit == 60  # the states of one variable


def test_extreme_entries() -> None:
    tables = packed([2, 2], [([0, 1], [[1e-300, 1e300], [0.0, 1e-308]]), ([0], [1e-300, 1e300]), ([1], [1.0, 1e-200])])
    *_, best = improving(tables, iterations=2)
    assert best.value == pytest.approx(best_of_all(tables), rel=1e-12)
    assert best.value == pytest.approx(log_product(tables, best.states), rel=1e-12)
