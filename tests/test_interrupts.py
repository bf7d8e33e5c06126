"""Every kernel that may run for long asks whether to go on, ends where it shall not, and leaves nothing behind."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable import kernels
from tractable.kernels import calls, enumeration, library, rows
from tractable.kernels.chain import Chains, filtered, log_filtered, sample_paths, smooth, tally, viterbi
from tractable.kernels.chain_factorial import JointChains
from tractable.kernels.chain_factorial import smooth as smooth_joint
from tractable.kernels.counting import SearchLimits, count
from tractable.kernels.interrupts import heard
from tractable.kernels.propagation import Patience, propagate
from tractable.kernels.table_gibbs import TableScan
from tractable.kernels.threads import look_up, side_by_side
from tractable.posterior.exact.elimination import scopes_of

Call = Callable[[], Any]


def grid(side: int, states: int, zeros: float = 0.1) -> tr.MarkovNetwork:
    """Random tables, a share of whose entries is zero, on the edges of a square grid."""
    rng = np.random.default_rng(0)
    names = [[f"{i}.{j}" for j in range(side)] for i in range(side)]
    pairs = [(a, b) for row in names for a, b in itertools.pairwise(row)]
    pairs += [(a, b) for above, row in itertools.pairwise(names) for a, b in zip(above, row, strict=True)]
    labels = tuple(map(str, range(states)))
    tables = rng.gamma(1.0, size=(len(pairs), states, states)) * (rng.random((len(pairs), states, states)) >= zeros)
    return tr.MarkovNetwork(
        dict.fromkeys([v for row in names for v in row], labels), list(zip(pairs, tables, strict=True))
    )


def of_tables() -> dict[str, Call]:
    """Conditioning, searches, and runs of a tree in all semirings, with large products and without, for all tasks."""
    net = grid(9, 4)
    tables, large = net.packed, grid(30, 3)
    scopes, wide = scopes_of(tables), scopes_of(large.packed)
    pairs, _ = scopes.greedy_tree("weighted-min-fill", 0.0, 0, 1000.0, 1e9) or pytest.fail("no tree")
    schedule = kernels.AnnealingSteps(1.0, 100.0, 5, 50)

    def run(task: int = kernels.MARGINALS, semiring: int = kernels.SUM_PRODUCT, **more: Any) -> Call:
        return lambda: kernels.run(tables, scopes, pairs, kernels.Job(task, semiring, **more))[:4]

    uniforms = np.random.default_rng(0).random((50, 2 * tables.n_factors))
    every, names = np.arange(900, dtype=np.int32), [f"v{i}" for i in range(19)]
    full = tr.MarkovNetwork(
        dict.fromkeys(names, "01"), [(names[i : i + 18], np.ones((2,) * 18)) for i in (0, 1)] + [(["v3"], [0.0, 1.0])]
    ).packed
    return {
        "conditioning": lambda: kernels.reduce(full, np.full(19, -1, np.int32)).tables.values,
        "greedy tree": lambda: (wide.greedy_tree("weighted-min-fill", 0.1, 0, 1000.0, 1e9) or pytest.fail())[0][:-2],
        "greedy order": lambda: wide.greedy_order("min-fill", 0.1, 0, 1000.0, 1e9),
        "annealing of a tree": lambda: wide.anneal(wide.tree_from_order(every), schedule, 1e9, 0)[:-2],
        "marginals": run(),
        "marginals without products": run(alone=False),
        "log evidence": run(kernels.EVIDENCE),
        "entries": run(kernels.ENTRIES),
        "logarithms": run(semiring=kernels.LOG_SUM_EXP),
        "most probable state": run(kernels.WALK, kernels.MAX_PLUS),
        "samples": run(kernels.WALK, uniforms=uniforms),
    }


def of_machines() -> dict[str, Call]:
    """Enumeration, with couplings and columns that go through logarithms."""
    rng = np.random.default_rng(0)
    W, c, b = rng.normal(0, 3, (16, 12)), rng.normal(size=16), rng.normal(size=12)
    W[:, 0] *= 400
    J = np.triu(rng.normal(size=(16, 16)), 1)
    return {
        "enumerated sum": lambda: enumeration.log_sum(W, c, b, J + J.T),
        "expectations": lambda: enumeration.expectations(W, c, b, J + J.T)[:3],
        "sampled states": lambda: enumeration.sample(W, c, b, None, np.random.default_rng(0), 20),
    }


def of_rows() -> dict[str, Call]:
    """Densities, moments, and tables of states."""
    rng = np.random.default_rng(0)
    x, r = rng.normal(size=(100_000, 4)), rng.random((100_000, 6))
    states = rng.integers(0, 3, (100_000, 4)).astype(float)
    model = rows.gaussians(rng.normal(size=(6, 4)), np.tile(np.eye(4), (6, 1, 1)), np.zeros(6))
    columns = rows.tables([rng.normal(size=(6, 3)) for _ in range(4)])
    return {
        "densities": lambda: rows.densities(x, model),
        "moments": lambda: rows.moments(x, r, np.zeros(4), True),
        "lookup": lambda: rows.lookup(states, columns),
        "tally of states": lambda: rows.tally(states, r, (3, 3, 3, 3)),
    }


def of_chains() -> dict[str, Call]:
    """Long and many short sequences; transitions of zero, and rows that need logarithms."""
    rng = np.random.default_rng(0)
    dense, sparse = rng.dirichlet(np.ones(6), 6), rng.dirichlet(np.ones(6), 6) * (rng.random((6, 6)) < 0.6) + np.eye(6)
    sparse /= sparse.sum(1, keepdims=True)
    start, emitted = np.full(6, 1 / 6), rng.normal(size=(20_000, 6))
    lengths, kind = np.full(200, 100), rng.integers(0, 50, 20_000)
    long, short = Chains(start, dense, emitted), Chains(start, dense, emitted, lengths)
    faint = Chains(start, sparse, 2000 * emitted[:4000])
    kinds = Chains(start, dense, emitted[:50], lengths, kind=kind)
    linear = emitted[:3000, :5]
    joint = JointChains(
        [
            (np.full(2, 0.5), dense[:2, :2] / dense[:2, :2].sum(1, keepdims=True)),
            (np.full(3, 1 / 3), np.full((3, 3), 1 / 3)),
        ],
        linear,
        np.zeros((1, 6)),
        np.zeros(3000),
    )
    return {
        "long chain": lambda: smooth(long),
        "short chains": lambda: smooth(short),
        "chain with logarithms": lambda: smooth(faint),
        "filtering": lambda: filtered(long),
        "filtering with logarithms": lambda: log_filtered(faint),
        "kinds of rows": lambda: tally(kinds),
        "most probable path": lambda: viterbi(long),
        "paths": lambda: sample_paths(short, 3, 0),
        "joint chains": lambda: smooth_joint(joint, [1000, 1500, 500])[:2],
    }


def of_cases() -> dict[str, Call]:
    """The E-step of a network, whose rows are enumerated."""
    rng, names = np.random.default_rng(0), [f"v{i}" for i in range(7)]
    tables = {v: rng.dirichlet(np.ones(4)) for v in names} | {"v6": rng.dirichlet(np.ones(4), (4,) * 6)}
    net = tr.BayesianNetwork(dict.fromkeys(names, "abcd"), {"v6": names[:6]}, tables)
    data = {v: np.array(found, object) for v, found in tr.sample(net, 20_000, key=0).items()}
    for v in names:
        data[v][rng.random(20_000) < 0.5] = None
    return {"cases": lambda: tr.fit(net, data, tr.EM(), epochs=1).model.tables["v5"]}


def of_searches() -> dict[str, Call]:
    """Clauses made of tables, made simpler, and counted."""
    net = grid(9, 2).packed

    def counted(task: int) -> Call:
        return lambda: count(net, SearchLimits(1e8), task)[:4]

    return {"count": counted(kernels.EVIDENCE), "marginals of a count": counted(kernels.MARGINALS)}


def of_estimates() -> dict[str, Call]:
    """Messages between many tables, and to the variables of a wide one in both ways of adding up; chains."""
    net = grid(20, 4, 0).packed
    rng, names = np.random.default_rng(0), [f"v{i}" for i in range(18)]
    faint = [((v,), [1.0, 1e-200]) for v in names]
    wide = tr.MarkovNetwork(dict.fromkeys(names, "01"), [(names, rng.random((2,) * 18)), *faint, *faint]).packed

    def sent(tables: kernels.Tables) -> Any:
        return propagate(tables, np.arange(tables.n_factors), Patience(20, 0.0, 0.5, 5))[:3]

    return {
        "messages": lambda: sent(net),
        "messages of a wide table": lambda: sent(wide),
        "chains of tables": lambda: TableScan(np.zeros((4, 400), np.int32), 0).run(net, 50, averaged=True),
    }


ROOMS = (of_tables, of_machines, of_rows, of_chains, of_cases, of_searches, of_estimates)


@pytest.fixture
def impatient() -> Iterator[None]:
    """Kernels ask at every fraction of a millisecond."""
    library().region_patience.argtypes = [kernels.ctypes.c_double]
    library().region_patience(0.0)
    yield
    library().region_patience(0.02)


class Struck(BaseException):
    """What ends a call here."""


def strikes_at(k: int) -> tuple[Callable[[], None], list[int]]:
    """A look that raises at the k-th time, and how often it was."""
    looked = [0]

    def look() -> None:
        looked[0] += 1
        if looked[0] == k:
            raise Struck
        look_up()

    return look, looked


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("room", ROOMS)
def test_a_call_ends_where_it_is_struck_and_the_next_one_is_right(
    room: Callable[[], dict[str, Call]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, call in room().items():
        look, looked = strikes_at(0)
        with monkeypatch.context() as patch:
            patch.setattr(calls, "look_up", look)
            right = call()
        assert looked[0] > 1, name
        for k in sorted({1, 2, looked[0] // 2, looked[0] - 1} - {0}):
            with monkeypatch.context() as patch:
                patch.setattr(calls, "look_up", strikes_at(k)[0])
                with pytest.raises(Struck):
                    call()
                    pytest.fail(name)
        np.testing.assert_equal(call(), right, name)


@pytest.mark.usefixtures("impatient")
def test_helpers_end_with_the_one_who_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper in a kernel that would take long looks up, and stops; what it held is free."""
    monkeypatch.setattr("tractable.kernels.threads.n_cores", lambda: 2)
    both, main, held = threading.Barrier(2), threading.get_ident(), []
    W = np.random.default_rng(0).normal(size=(30, 40))

    def task(_: int) -> None:
        mark = np.zeros(1)
        held.append(weakref.ref(mark))
        both.wait(60)
        if threading.get_ident() == main:
            raise Struck
        enumeration.log_sum(W, np.zeros(30), np.zeros(40))
        assert mark

    with pytest.raises(Struck):
        side_by_side(task, range(2))
    gc.collect()
    assert len(held) == 2
    assert not any(mark() is not None for mark in held)
    assert side_by_side(abs, [-1, -2]) == [1, 2]


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process there")
@pytest.mark.usefixtures("impatient")
def test_an_interrupt_ends_work_on_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of a wide network, enumerated blocks: long work, in threads that no signal reaches."""
    monkeypatch.setattr("tractable.kernels.threads.n_cores", lambda: 3)
    W = np.random.default_rng(0).normal(size=(30, 40))
    for call in (
        lambda: enumeration.log_sum(W, np.zeros(30), np.zeros(40)),
        lambda: tr.infer(grid(24, 2, 0), memory="100MB", seconds=1e12),
    ):
        sent = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        sent.start()
        with pytest.raises(KeyboardInterrupt):
            call()
            sent.join()


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process there")
def test_an_interrupt_that_a_finalizer_swallows_comes_again(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("jax")

    class Swallows:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                pass

    @heard
    def loop() -> None:
        Swallows()
        threading.Event().wait(60)

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert capfd.readouterr() == ("", "")
