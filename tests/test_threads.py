"""Work on all cores: the same answers whatever their number, errors that come out, calls within calls."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import tractable as tr
from tractable._cached import cached_property
from tractable.kernels import threads
from tractable.kernels.forks import product_lock
from tractable.kernels.threads import in_order, room, side_by_side


@pytest.fixture(params=[1, 2, 5])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(threads, "n_cores", lambda: request.param)
    return request.param


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("n", [0, 1, 3, 40])
def test_results_come_in_order(n: int) -> None:
    expected = [i * i for i in range(n)]
    assert side_by_side(lambda i: i * i, range(n)) == list(in_order(lambda i: i * i, range(n))) == expected


@pytest.mark.usefixtures("cores")
def test_calls_within_calls_come_to_an_end() -> None:
    def outer(i: int) -> int:
        return sum(side_by_side(lambda j: i * j, range(20)))

    assert side_by_side(outer, range(20)) == [i * 190 for i in range(20)]


@pytest.mark.usefixtures("cores")
def test_after_an_error_nothing_more_begins() -> None:
    begun = []

    def fails(i: int) -> None:
        begun.append(i)
        raise ZeroDivisionError(f"task {i}")

    with pytest.raises(ZeroDivisionError, match="task"):
        side_by_side(fails, range(1000))
    assert len(begun) <= 5


def test_an_error_of_a_helper_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "n_cores", lambda: 2)
    both, main = threading.Barrier(2), threading.get_ident()

    def fails(_: int) -> None:
        both.wait(60)  # one task each
        if threading.get_ident() != main:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        side_by_side(fails, range(2))


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process there")
@pytest.mark.parametrize("where", ["working", "waiting"])
def test_an_interrupt_leaves_nothing_running(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it comes again while the others end: what they write must not reach the next call."""
    monkeypatch.setattr(threads, "n_cores", lambda: 3)
    all_three, main, ended = threading.Barrier(3), threading.get_ident(), []

    def task(_: int) -> None:
        all_three.wait(60)
        if threading.get_ident() != main:
            for _ in range(3):
                time.sleep(0.05)
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            ended.append(threading.get_ident())
        elif where == "working":
            time.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        side_by_side(task, range(3))
    assert len(ended) == 2


def test_an_error_of_the_one_who_asks_is_not_covered_by_that_of_a_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "n_cores", lambda: 2)
    both, main = threading.Barrier(2), threading.get_ident()

    def fails(_: int) -> None:
        both.wait(60)
        raise KeyboardInterrupt if threading.get_ident() == main else ZeroDivisionError

    with pytest.raises(KeyboardInterrupt):
        side_by_side(fails, range(2))


def test_results_in_order_come_before_a_later_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is still at work when another fails is not stopped for it: its result is asked for first."""
    monkeypatch.setattr(threads, "n_cores", lambda: 2)
    failed = threading.Event()

    def task(i: int) -> int:
        if i == 1:
            failed.set()
            raise ZeroDivisionError
        failed.wait(60)
        threads.look_up()
        return i

    results = in_order(task, range(2))
    assert next(results) == 0
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_room_is_used_again_by_its_thread_alone() -> None:
    first = room("test", (3, 4))
    assert room("test", (2, 2)).base is first.base
    other = []
    thread = threading.Thread(target=lambda: other.append(room("test", (3, 4))))
    thread.start()
    thread.join()
    assert other[0].base is not first.base
    assert room("test", (threads.ROOM + 1,)).base is None


def test_products_are_limited_while_anybody_works_and_free_again_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "n_cores", lambda: 2)

    def limits(_: int) -> list[int]:
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = limits(0)
    within = side_by_side(lambda i: side_by_side(limits, range(3), products=True), range(4), products=True)
    assert all(n == 1 for outer in within for inner in outer for n in inner)
    assert limits(0) == before


@pytest.mark.parametrize("kind", ["mixture", "gaussian chain", "categorical chain"])
def test_an_e_step_does_not_depend_on_the_number_of_cores(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    if kind == "mixture":
        data: Any = rng.normal(size=(20_000, 3))
        model: Any = tr.mixture(data[:100], 3, "gaussian")
    else:
        symbols = kind.startswith("categorical")
        data = [rng.integers(0, 4, 300) if symbols else rng.normal(size=(300, 2)) for _ in range(200)]
        model = tr.hidden_markov(data[:2], 5, kind.split()[0])
    runs = []
    for cores in (1, 2, 5):
        monkeypatch.setattr(threads, "n_cores", lambda cores=cores: cores)
        runs.append(tr.fit(model, data, epochs=1, progress=False))
    assert len({run.history[-1].train.value for run in runs}) == 1
    assert all((run.model.vector() == runs[0].model.vector()).all() for run in runs)


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
multi_threaded = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning", "ignore:os.fork.. was called:RuntimeWarning"
)


def ends_well(child: Callable[[], bool]) -> bool:
    """Whether a forked child finds so, within a minute."""
    pid = os.fork()
    if not pid:
        signal.alarm(60)
        os._exit(0 if child() else 1)
    return os.waitpid(pid, 0)[1] == 0


@forks
@multi_threaded
def test_a_fork_waits_for_products_of_others_and_not_for_its_own() -> None:
    inside, over, order = threading.Event(), threading.Event(), []

    def work() -> None:
        with product_lock(), product_lock():  # as where one call is within another
            inside.set()
            over.wait(60)
            order.append("product")

    other = threading.Thread(target=work)
    other.start()
    inside.wait(60)
    threading.Timer(0.1, over.set).start()
    with product_lock():
        assert ends_well(lambda: order == ["product"])
    other.join()
    assert ends_well(lambda: product_lock().acquire(blocking=False))


@forks
@multi_threaded
def test_a_child_computes_what_another_thread_was_computing() -> None:
    """Under `functools.cached_property` of Python 3.11 the child would wait for a thread that it has not."""
    begun, over = threading.Event(), threading.Event()

    class Slow:
        slow = True

        @cached_property
        def value(self) -> int:
            if self.slow:
                begun.set()
                over.wait(60)
            return 7

    busy, other = Slow(), Slow()
    thread = threading.Thread(target=lambda: busy.value)
    thread.start()
    begun.wait(60)
    other.slow = False
    assert ends_well(lambda: other.value == 7)
    over.set()
    thread.join()
    assert busy.value == 7


@forks
@multi_threaded
def test_a_child_has_threads_of_its_own_and_products_on_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "n_cores", lambda: 3)

    def n_threads() -> list[int]:
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = n_threads()
    found = side_by_side(
        lambda i: i == 0 or ends_well(lambda: n_threads() == before and side_by_side(abs, [-1, -2, -3]) == [1, 2, 3]),
        range(3),
        products=True,
    )
    assert all(found)


def test_a_property_is_computed_once_and_threads_that_meet_agree() -> None:
    both = threading.Barrier(2)

    class Meeting:
        @cached_property
        def value(self) -> object:
            """What it is."""
            both.wait(60)
            return object()

    one = Meeting()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: one.value, range(2))
    assert first is second is one.value
    assert Meeting.value.__doc__ == "What it is."


STRUCK = """
import os, signal, sys, threading
import numpy as np
from tractable.kernels import threads
from tractable.kernels.forks import product_lock
from tractable.kernels.threads import in_order, side_by_side

threads.n_cores = lambda: 3
rng, strikes, right = np.random.default_rng(0), 0, [i * i for i in range(6)]
threads._libraries()  # what strikes while a class is made comes as a RuntimeError before Python 3.12


def square(i):
    with product_lock():
        return i * i


def calls(over):
    while not over.is_set():
        assert side_by_side(square, range(6), products=True) == right
        assert list(in_order(square, range(6))) == right


signal.signal(signal.SIGALRM, signal.default_int_handler)
never, over = threading.Event(), threading.Event()
while strikes < 1500:
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 2e-3))
        calls(never)
    except KeyboardInterrupt:
        strikes += 1
other = threading.Thread(target=calls, args=(over,))
other.start()
for _ in range(20):
    assert side_by_side(square, range(6)) == list(in_order(square, range(6))) == right
    pid = os.fork()
    if not pid:
        os._exit(side_by_side(square, range(6)) != right)
    assert not os.waitpid(pid, 0)[1]
over.set()
"""


@forks
def test_short_calls_struck_at_any_moment_leave_nothing_held(tmp_path: Path) -> None:
    """In a process of its own, which a lock left held would stop for good."""
    done = subprocess.run([sys.executable, "-c", STRUCK], capture_output=True, text=True, cwd=tmp_path, timeout=200)
    assert not done.returncode, done.stderr
