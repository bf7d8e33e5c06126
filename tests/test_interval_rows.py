"""Intervals of many cases: those that leave the same tables but for their entries share one race and one partition."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from test_intervals import RARELY, ends, grid, holds

import tractable as tr
from tractable.posterior.approximate import mini_bucket_rows, mini_buckets

ROWS = [{"v0": str(i % 2), "v9": str(i // 2 % 2), "v63": str(i // 4)} for i in range(8)]
OTHERS = [{"v20": "1"}, {"v20": "0"}, {"v33": "0"}]


def loose(rows: Any, **how: Any) -> Any:
    usual = {"method": "mini_buckets", "memory": "112KiB", "draws": 2000, "confidence": RARELY}
    return tr.infer(grid().network, rows, **usual | how)


def counted(monkeypatch: pytest.MonkeyPatch, place: Any) -> list[int]:
    """The races that are run from now on."""
    race, found = place.lower_and_lower, []

    def counting(*given: Any) -> Iterator[Any]:
        found.append(1)
        yield from race(*given)

    monkeypatch.setattr(place, "lower_and_lower", counting)
    return found


def test_one_race_for_rows_that_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, alone = counted(monkeypatch, mini_bucket_rows), counted(monkeypatch, mini_buckets)
    post = loose([*ROWS, *OTHERS])
    assert (len(shared), len(alone)) == (2, 1)
    exact = tr.infer(grid().network, [*ROWS, *OTHERS])
    assert holds(post.log_partition, exact.log_partition.value)
    assert (post.log_partition.upper - post.log_partition.lower < 2).all()
    for v in exact.marginals:
        told, truth = post.certificates(v), exact.marginals.array(v)
        assert np.all((told.lower <= truth + 1e-9) & (truth <= told.upper + 1e-9))


def test_counted_draws_are_the_same_again() -> None:
    assert ends(loose(ROWS).log_partition) == ends(loose(ROWS).log_partition)
    assert ends(loose(ROWS, key=1).log_partition) != ends(loose(ROWS).log_partition)


def test_impossible_rows_among_others() -> None:
    states = {f"v{i}": "01" for i in range(6)}
    tables = [((f"v{i}", f"v{j}"), [[0.0, 1.0], [1.0, 2.0]]) for i in range(6) for j in range(i)]
    net = tr.MarkovNetwork(states, tables)
    rows = [{"v0": a, "v1": b} for a in "01" for b in "01"]
    found = tr.infer(net, rows, method="mini_buckets", draws=600).log_partition
    exact = tr.log_partition(net, rows).value
    assert found.value[0] == exact[0] == -math.inf and holds(found, exact)


@pytest.mark.parametrize("at", [1, 3])
def test_an_interrupt_leaves_bounds_of_the_others(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the cases before it intervals, of the others what their parts bound them by."""
    draw, calls = mini_bucket_rows.draw_under, []

    def struck(*given: Any) -> None:
        calls.append(1)
        if len(calls) == at + 1:
            raise KeyboardInterrupt
        draw(*given)

    monkeypatch.setattr(mini_bucket_rows, "draw_under", struck)
    found = loose(ROWS).log_partition
    assert len(calls) == at + 1 and holds(found, tr.log_partition(grid().network, ROWS).value)
    drawn = np.isfinite(found.lower)
    assert drawn.sum() == at and np.isfinite(found.upper).all()


def test_an_interrupt_of_the_race_leaves_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    race = mini_buckets.lower_and_lower

    def interrupted(*given: Any) -> Iterator[Any]:
        yield next(race(*given))
        raise KeyboardInterrupt

    monkeypatch.setattr(mini_bucket_rows, "lower_and_lower", interrupted)
    found = loose(ROWS).log_partition
    assert (found.lower == -math.inf).all() and holds(found, tr.log_partition(grid().network, ROWS).value)
