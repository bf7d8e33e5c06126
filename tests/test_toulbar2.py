"""toulbar2: the states that it finds against enumeration, and bounds that are true however coarse its costs are."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sweep import seeds
from test_local_search import best_of_all, glass, packed, random_tables, value_of

from tractable.extras import is_there
from tractable.posterior.approximate import toulbar2
from tractable.posterior.approximate.toulbar2 import SCALE, solve, unsuited, whole_costs

needs_toulbar2 = pytest.mark.skipif(not is_there("pytoulbar2"), reason='needs toulbar2: pip install "tractable[map]"')
FINE = 1e-6
"""What whole costs leave open in a network of a dozen tables."""


@needs_toulbar2
@pytest.mark.verify
@pytest.mark.parametrize("zeros", [0.0, 0.3])
def test_the_best_of_all_states(zeros: float) -> None:
    for seed in seeds(10):
        tables = random_tables(np.random.default_rng(seed), zeros)
        found, best = solve(tables, 20), best_of_all(tables)
        assert found.upper >= best
        if best == -math.inf:
            assert found.states is None and found.lower == -math.inf
            continue
        assert found.upper <= best + FINE
        assert found.lower == pytest.approx(best, abs=FINE)
        assert found.lower == pytest.approx(value_of(tables, found.states), abs=1e-9)


@needs_toulbar2
def test_tables_over_many_variables() -> None:
    rng = np.random.default_rng(0)
    table = np.where(rng.random((2, 3, 2, 2, 3)) < 0.4, 0.0, rng.random((2, 3, 2, 2, 3)))
    tables = packed([2, 3, 2, 2, 3], [([0, 1, 2, 3, 4], table), ([4, 0, 3, 2], rng.random((3, 2, 2, 2)))])
    found, best = solve(tables, 20), best_of_all(tables)
    assert best <= found.upper <= best + FINE and found.lower == pytest.approx(best, abs=FINE)


@needs_toulbar2
def test_a_known_state_is_a_start() -> None:
    tables = random_tables(np.random.default_rng(3), 0.0)
    best = max(itertools.product(*map(range, tables.sizes.tolist())), key=lambda x: value_of(tables, np.array(x)))
    found = solve(tables, 20, start=np.array(best, np.int32))
    assert found.lower == pytest.approx(value_of(tables, np.array(best)), abs=1e-12)
    assert found.lower <= found.upper <= found.lower + FINE


@needs_toulbar2
def test_no_time_leaves_a_true_bound() -> None:
    tables = glass(20, 0)
    start = np.zeros(400, np.int32)
    found = solve(tables, 3, start=start)
    assert value_of(tables, start) <= found.lower <= found.upper <= whole_costs(tables)[2]


@needs_toulbar2
@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_an_interrupt_ends_it_and_its_process() -> None:
    script = """
import numpy as np
from test_local_search import glass
from tractable.posterior.approximate import toulbar2
print("begins", flush=True)
toulbar2.solve(glass(30, 0), 300)
"""
    here = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": here},
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline().strip() == "begins"
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert "KeyboardInterrupt" in said and process.returncode != 0


def test_costs_are_never_too_high() -> None:
    for seed in seeds(50):
        rng = np.random.default_rng(seed)
        tables = random_tables(rng, 0.2)
        if not tables.n_factors:
            continue
        costs, scale, most = whole_costs(tables)
        first = tables.value_starts[:-1]
        high = np.repeat(np.maximum.reduceat(tables.values, first), np.diff(tables.value_starts))
        if (high == 0).any():
            assert most == -math.inf
            continue
        true = np.array([math.log(h / x) if x else math.inf for h, x in zip(high, tables.values, strict=True)])
        assert (costs / scale <= true).all()
        assert (np.isinf(costs) == (tables.values == 0)).all()
        assert (true[tables.values > 0] - costs[tables.values > 0] / scale).max(initial=0) <= 1.01 / scale
        assert most >= math.fsum(np.log(np.maximum.reduceat(tables.values, first)))
        assert (np.floor(costs) == costs)[np.isfinite(costs)].all()


def test_coarse_costs_where_entries_are_far_apart() -> None:
    tables = packed([2] * 2, [([0, 1], [[1e-300, 1e300], [1.0, 1e-200]])] * 20000)
    costs, scale, _ = whole_costs(tables)
    assert scale < SCALE
    assert costs.reshape(20000, 4).max(axis=1).sum() <= 2.0**50


def test_what_it_does_not_take() -> None:
    assert unsuited(glass(4, 0)) == ""
    assert "2,000 states, one here has 3,000" in unsuited(packed([3000], [([0], np.ones(3000))]))
    many = packed([2] * 21, [(list(range(21)), np.ones((2,) * 21))])
    assert "2,097,152" in unsuited(many)


def test_said_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toulbar2, "is_there", lambda package: False)
    with pytest.raises(ModuleNotFoundError, match=r'toulbar2 needs pytoulbar2: pip install "tractable\[map\]"'):
        solve(glass(3, 0), 1)
