"""Intervals of log Z and of marginals through the front door: they hold, are repeated, and say what they are."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from small_networks import SmallNetwork, random_network
from sweep import seeds
from test_betting_coverage import largest_count

import tractable as tr
from tractable.plan import Beside
from tractable.plan.mini_buckets import IntervalRun, Order, Ran
from tractable.posterior.approximate import mini_buckets, some_states
from tractable.posterior.approximate.some_states import log_sum_of_some

MEMORY = "64KiB"
"""So little that the buckets of `grid` have to be split."""


RARELY = 0.9999
"""A confidence at which no test meets a miss."""


@cache
def grid(side: int = 8, scale: float = 0.6) -> SmallNetwork:
    """Pairs of spins with normal couplings in a square, and fields."""
    rng, cells = np.random.default_rng(side), np.arange(side * side).reshape(side, side)
    pairs = [(int(a), int(b)) for c in (cells, cells.T) for a, b in zip(c[:-1].ravel(), c[1:].ravel(), strict=True)]
    spin = np.array([-1.0, 1.0])
    logs = [scale * rng.normal() * np.outer(spin, spin) for _ in pairs] + [
        0.3 * rng.normal() * spin for _ in range(side**2)
    ]
    return SmallNetwork((2,) * side**2, (*pairs, *((i,) for i in range(side**2))), tuple(logs))


def loose(evidence: Any = None, **how: Any) -> Any:
    """Intervals about `grid` under a bound that is no elimination."""
    usual = {"method": "mini_buckets", "memory": MEMORY, "draws": 4000, "confidence": RARELY}
    return tr.infer(grid().network, evidence, **usual | how)


def ends(certificate: Any) -> list[bytes]:
    """All that is said of numbers, bit by bit."""
    return [np.asarray(getattr(certificate, end), np.float64).tobytes() for end in ("value", "lower", "upper")]


def holds(certificate: Any, truth: Any, slack: float = 1e-9) -> bool:
    """Whether the interval has the truth in all its entries."""
    return bool(np.all((certificate.lower <= truth + slack) & (truth - slack <= certificate.upper)))


def missed(net: SmallNetwork, level: float, seed: int) -> dict[str, bool] | None:
    """What of a random network misses the truth, with small parts and stopped anywhere; None where Z = 0."""
    rng, z = np.random.default_rng(seed), net.log_z()
    post = tr.infer(net.network, method="mini_buckets", draws=1, seconds=0.05, confidence=1 - level)
    draws = int(rng.integers(1, 3000))
    order, sweeps = Order("weighted-min-fill", 0.0, seed), (int(rng.integers(0, 6)),)
    ran = Ran(order, int(rng.choice([1, 2, 4, 8, 16])), sweeps, int(rng.choice([draws, 500, 4000])), draws, seed)
    post = tr.infer(net.network, method=replace(post.plan, program=IntervalRun(0.3, 1e9, 1 - level, ran=ran)))
    found = post.log_partition
    if z == -math.inf:
        assert -math.inf in (found.lower, found.upper)
        return None
    assert found.upper > -math.inf and (found.kind == "probabilistic" or holds(found, z, 1e-8 * (1 + abs(z))))
    names = net.names
    marginals = all(holds(post.certificates(v), net.marginal([i])) for i, v in enumerate(names))
    i, j = rng.choice(len(names), 2, replace=False).tolist()
    together, values = net.marginal([i, j]), rng.normal(size=(net.sizes[i], net.sizes[j]))
    mean = post.mean(values, [names[i], names[j]])
    return {
        "log Z": not holds(found, z, 1e-8 * (1 + abs(z))),
        "marginals": not marginals,
        "joint": not holds(post.certificates([names[i], names[j]]), together),
        "mean": not holds(mean, float((values * together).sum())),
    }


@pytest.mark.verify
@pytest.mark.parametrize("level", [0.05, 0.01])
def test_intervals_hold_as_often_as_they_say(level: float) -> None:
    every = seeds(100)
    found = [one for seed in every if (one := missed(random_network(seed, 4 + seed % 7), level, seed))]
    count = {what: sum(one[what] for one in found) for what in found[0]}
    assert len(found) > len(every) / 2 and max(count.values()) <= largest_count(len(found), level), count


def test_a_grid_has_narrow_intervals() -> None:
    post, exact = loose(draws=40_000, confidence=0.95), tr.infer(grid().network)
    found = post.log_partition
    assert found.kind == "probabilistic" and found.confidence == 0.95 and post.plan.method == "mini_buckets"
    assert holds(found, exact.log_partition.value) and 0 < found.upper - found.lower < 0.5
    assert "40,000 draws under a bound" in found.verdict
    for v in exact.marginals:
        told = post.certificates(v)
        assert holds(told, exact.certificates(v).value) and (told.upper - told.lower).max() < 0.3
    wider = loose(draws=40_000, confidence=RARELY).log_partition
    assert wider.lower < found.lower and wider.upper > found.upper and wider.value == found.value


@pytest.mark.parametrize("how", [{"draws": None, "seconds": 0.4}, {"draws": 5000}], ids=["clock", "draws"])
@pytest.mark.parametrize("cores", [1, 2])
def test_what_ran_is_repeated_to_the_bit(how: dict[str, Any], cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    post = loose(key=3, **how)
    monkeypatch.setattr("tractable.kernels.threads.n_cores", lambda: cores)
    again = tr.infer(grid().network, method=post.plan, key=4)
    assert ends(post.log_partition) == ends(again.log_partition)
    assert all(ends(post.certificates(v)) == ends(again.certificates(v)) for v in post.marginals)
    assert post.plan.program.ran == again.plan.program.ran
    assert how["draws"] is None or post.plan.program.ran.draws == how["draws"]
    assert ends(loose(key=5, **how).log_partition) != ends(post.log_partition)


def test_targets_and_evidence_of_many_rows() -> None:
    net = grid().network
    rows = [{"v0": "0", "v9": "1"}, {"v0": "1"}, {"v0": "0", "v9": "1"}, {"v63": "1"}]
    post = loose(rows, targets=["v20", "v0"])
    assert list(post.marginals) == ["v20", "v0"]
    for i, row in enumerate(rows):
        exact = tr.infer(net, row, targets=["v20", "v0"])
        assert holds(post.log_partition[i], exact.log_partition.value)
        for v in ("v20", "v0"):
            told = post.certificates(v)
            assert np.all(told.lower[i] <= exact.certificates(v).value + 1e-9)
            assert np.all(exact.certificates(v).value <= told.upper[i] + 1e-9)
    assert ends(post.log_partition[0]) == ends(post.log_partition[2])
    alone = loose(targets=[])
    assert holds(alone.log_partition, tr.log_partition(net).value) and not len(alone.marginals)


def test_impossible_evidence_is_impossible() -> None:
    states = {f"v{i}": "01" for i in range(6)}
    tables = [((f"v{i}", f"v{j}"), [[0.0, 1.0], [1.0, 2.0]]) for i in range(6) for j in range(i)]
    net = tr.MarkovNetwork(states, tables)
    post = tr.infer(net, {"v0": "0", "v1": "0"}, method="mini_buckets", draws=600)
    assert post.log_partition.value == post.log_partition.upper == -math.inf
    with pytest.raises(tr.ImpossibleEvidenceError):
        _ = post.marginals
    rows = tr.infer(net, [{"v0": "0", "v1": "0"}, {"v0": "0"}], method="mini_buckets", draws=600)
    assert rows.log_partition.value[0] == -math.inf < rows.log_partition.value[1]
    assert np.isnan(rows.certificates("v2").value[0]).all() and not np.isnan(rows.certificates("v2").value[1]).any()


def with_ran(net: tr.MarkovNetwork, limit: int, draws: int = 512) -> tr.Plan:
    """The plan of an interval with parts of so many entries."""
    plan = tr.infer(net, method="mini_buckets", draws=1, seconds=0.01).plan
    ran = Ran(Order("weighted-min-fill", 0.0, 0), limit, (0,), draws, draws, 0)
    return replace(plan, program=IntervalRun(0.3, 1e9, ran=ran))


def test_no_state_of_positive_weight_is_said() -> None:
    """Colours of which no two are alike: one variable more than there are, so that no state is possible."""
    n, unlike = 5, 1.0 - np.eye(4)
    net = tr.MarkovNetwork(
        {f"v{i}": "abcd" for i in range(n)} | {"scale": "1"},
        [(("scale",), [7.0]), *(((f"v{i}", f"v{j}"), unlike) for i in range(n) for j in range(i))],
    )
    found = tr.infer(net, method=with_ran(net, 16)).log_partition
    assert found.value == found.lower == -math.inf < found.upper < math.inf
    assert f"no state of positive weight found in 512 draws; log Z <= {found.upper:.6g}" == found.verdict
    assert tr.log_partition(net).value == -math.inf


def test_whole_buckets_are_exact() -> None:
    net = grid(4)
    post = tr.infer(net.network, method="mini_buckets", draws=2000)
    assert post.log_partition.kind == "exact"
    assert post.log_partition.value == pytest.approx(tr.log_partition(net.network).value, rel=1e-13)
    assert tr.log_partition(net.network, method="mini_buckets").kind == "exact"


def test_log_evidence_has_the_confidence_that_is_asked_for() -> None:
    net = grid().network
    found = tr.log_evidence(net, {"v0": "1"}, method="mini_buckets", memory=MEMORY, draws=4000, confidence=0.99)
    assert found.confidence == pytest.approx(0.99) and holds(found, tr.log_evidence(net, {"v0": "1"}).value)


def test_means_of_functions_and_joint_marginals() -> None:
    net, post = grid().network, loose(draws=20_000)
    exact = tr.infer(net)
    joint, values = exact.certificates(["v9", "v0"]).value, np.array([[1.0, -2.0], [0.5, 3.0]])
    told = post.certificates(["v9", "v0"])
    assert told.value.shape == (2, 2) and holds(told, joint) and (told.upper - told.lower).max() < 0.3
    mean = post.mean(values, ["v9", "v0"])
    assert holds(mean, float((joint * values).sum())) and mean.upper - mean.lower < 1
    given = loose({"v0": "1"}).mean(values, ["v9", "v0"])
    assert holds(given, float((tr.infer(net, {"v0": "1"}).certificates("v9").value * values[:, 1]).sum()))
    assert ends(post.certificates(["v9", "v0"])) == ends(told)
    with pytest.raises(tr.ModelError, match="finite values"):
        post.mean([[1.0, np.nan], [0.0, 0.0]], ["v9", "v0"])


def test_some_exact_and_others_as_intervals() -> None:
    """Of a Bayesian network the root is exact; the last variable of a wide grid below is not, within this budget."""
    side, asked = 14, ["root", "x1", "x195"]
    states, parents, cpts = {"root": "01"}, {}, {"root": [0.3, 0.7]}
    rng = np.random.default_rng(1)
    for i in range(side * side):
        above = [f"x{j}" for j in (i - side, i - 1 if i % side else -1) if j >= 0] or ["root"]
        states[f"x{i}"], parents[f"x{i}"] = "01", above
        p = rng.random((2,) * len(above))
        cpts[f"x{i}"] = np.stack([p, 1 - p], -1)
    net = tr.BayesianNetwork(states, parents, cpts)
    post = tr.infer(net, targets=asked, memory="200KiB", seconds=0.1, draws=6000, confidence=RARELY)
    assert isinstance(post.plan.program, Beside) and not post.refused
    root, wide = post.certificates("root"), post.certificates("x195")
    assert root.value == pytest.approx([0.3, 0.7]) and ends(root)[0] == ends(root)[1] == ends(root)[2]
    assert (wide.upper > wide.lower).all() and holds(wide, tr.infer(net, targets=["x195"]).certificates("x195").value)
    again = tr.infer(net, method=post.plan, key=9)
    assert ends(again.certificates("x195")) == ends(wide)


@pytest.mark.parametrize("verb", [tr.infer, tr.log_partition, tr.log_evidence])
@pytest.mark.parametrize("method", ["auto", "mini_buckets"])
@pytest.mark.parametrize(
    ("how", "message"),
    [
        *(({"seconds": s}, "a budget of seconds must be positive") for s in (0, -1, math.nan, "3")),
        *(({"confidence": c}, "a confidence lies between 0 and 1") for c in (0, 1, -0.5, 1.5, math.nan, "a")),
        *(({"draws": n}, "the number of draws is a positive whole number") for n in (0, -3, 1.5, True, "a")),
    ],
)
def test_terms_that_are_none_are_said(verb: Any, method: str, how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as told:
        verb(grid(3).network, method=method, **how)
    assert "\n" not in str(told.value)


def test_what_does_not_apply_is_said() -> None:
    with pytest.raises(tr.ModelError, match="finds no largest term"):
        tr.most_probable(grid(3).network, method="mini_buckets")
    with pytest.raises(tr.BudgetError, match="not even the smallest bound fits into 100 B"):
        tr.infer(grid().network, method="mini_buckets", memory=100)
    with pytest.raises(tr.ModelError, match="no option 'confidence'"):
        tr.log_partition(tr.restricted(couplings=[[0.0]]), confidence=0.9)


@pytest.mark.parametrize("after", [0.35, 1.2])
def test_an_interrupt_leaves_what_stands(after: float) -> None:
    loose()
    sent = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
    start = time.perf_counter()
    sent.start()
    post = loose(draws=None, seconds=8.0)
    assert time.perf_counter() - start < 6
    found = post.log_partition
    assert holds(found, tr.log_partition(grid().network).value)
    assert "interrupted" in found.verdict
    assert ends(tr.infer(grid().network, method=post.plan).log_partition) == ends(found)


@pytest.mark.parametrize("at", [1, 2])
def test_an_interrupt_before_anything_is_drawn_leaves_the_bound(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    race = mini_buckets.lower_and_lower

    def interrupted(*given: Any) -> Iterator[Any]:
        for i, bound in enumerate(race(*given)):
            if i == at:
                raise KeyboardInterrupt
            yield bound

    monkeypatch.setattr(mini_buckets, "lower_and_lower", interrupted)
    post = loose(draws=None, seconds=2.0)
    found, told = post.log_partition, post.certificates("v0")
    assert found.kind == "bound" and found.lower == -math.inf and holds(found, tr.log_partition(grid().network).value)
    assert found.verdict == f"interrupted before anything was drawn; log Z <= {found.upper:.6g}"
    assert (told.lower == 0).all() and (told.upper == 1).all()
    monkeypatch.setattr(mini_buckets, "lower_and_lower", race)
    assert ends(tr.infer(grid().network, method=post.plan).log_partition) == ends(found)


def test_a_score_stays_exact() -> None:
    rng = np.random.default_rng(0)
    names = [f"a{i}" for i in range(40)]
    pairs = [((names[i], names[j]), np.exp(rng.normal(size=(2, 2)))) for i in range(40) for j in range(i)]
    dense = tr.MarkovNetwork(dict.fromkeys(names, "01"), pairs)
    row = dict.fromkeys(names[1:], "0")
    with pytest.raises(tr.BudgetError):
        tr.log_likelihood(dense, [row], seconds=1)
    with pytest.raises(tr.BudgetError):
        tr.impute(dense, [{"a0": "1"}], seconds=1)
    assert tr.log_partition(dense, draws=1000, seconds=0.2).kind == "probabilistic"


def test_log_z_alone_where_the_marginals_take_too_much_memory() -> None:
    net, how = grid(36, 0.3).network, {"draws": 1000, "seconds": 0.1}
    post = tr.infer(net, method="mini_buckets", memory="5MiB", key=3, **how)
    assert post.plan.method == "mini_buckets" and list(post.refused) == list(net.states)
    assert -math.inf < post.log_partition.lower < post.log_partition.upper
    with pytest.raises(tr.BudgetError, match=r"not even the smallest bound fits into 5 MiB: .* takes about"):
        post.certificates("v0")
    assert post.joint(["v0", "v1"]).sum() == pytest.approx(1)
    repeated = tr.infer(net, method=post.plan, key=9)
    assert ends(repeated.log_partition) == ends(post.log_partition)


def clauses(n: int, m: int, seed: int) -> SmallNetwork:
    """Clauses of three variables each: all but one of eight joint states are possible, with weights of many sizes."""
    rng = np.random.default_rng(seed)
    scopes = [tuple(rng.choice(n, 3, replace=False).tolist()) for _ in range(m)]
    logs = [np.where(np.arange(8) == rng.integers(8), -np.inf, rng.normal(size=8)).reshape(2, 2, 2) for _ in scopes]
    return SmallNetwork((2,) * n, tuple(scopes), tuple(logs))


@pytest.mark.parametrize("m", [20, 40, 60])
def test_sums_of_some_states_are_below_log_z(m: int) -> None:
    """Close where all can be summed; nothing where nothing is possible."""
    for seed in range(40):
        net = clauses(10, m, seed)
        exact = float(tr.log_partition(net.network).value)
        found = log_sum_of_some(net.tables, seed)
        assert found == exact == -np.inf or exact - 1e-9 < found < exact + 1e-9


def test_states_that_a_search_finds_are_a_lower_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where draws under the loosest bound find nothing; the search is not given the time to sum all."""
    net = clauses(40, 160, 3)
    monkeypatch.setattr(some_states, "SUMMED", 1e-7)
    post = tr.infer(net.network, method=with_ran(net.network, 2))
    found, exact = post.log_partition, float(tr.log_partition(net.network, method="counting").value)
    assert ends(tr.infer(net.network, method=post.plan, key=9).log_partition) == ends(found)
    assert found.lower_kind == "bound" and found.lower - 1e-9 <= exact <= found.upper + 1e-9
    assert found.lower > -math.inf and "a search found states that together give log Z >=" in str(found.verdict)
