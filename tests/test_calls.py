"""Products that are not made: what was raised comes out of the call, and never an answer without them."""

from __future__ import annotations

import ctypes
import math
import operator
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable import kernels
from tractable.kernels import calls
from tractable.kernels.calls import Caller, _Question
from tractable.posterior.exact.elimination import scopes_of

VERBS: dict[str, Callable[[tr.MarkovNetwork, Any], Any]] = {
    "infer": lambda net, _: tr.infer(net).log_partition.value,
    "log_partition": lambda net, _: tr.log_partition(net).value,
    "joint": lambda _, post: post.joint(["v0", "v2"]),
    "sample": lambda _, post: post.sample(3, key=0)["v1"],
}
"""All roads to the kernels that ask for products; sums with max in their place are made in C."""

matmul = np.matmul


def ring(states: int = 160, length: int = 4, seed: int = 0) -> tuple[tr.MarkovNetwork, float]:
    """Variables of many states in a ring, and log Z: the trace of the product of all tables."""
    tables = np.random.default_rng(seed).gamma(1.0, size=(length, states, states))
    names = [f"v{i}" for i in range(length)]
    factors = [([names[i], names[(i + 1) % length]], table) for i, table in enumerate(tables)]
    log_z = math.log(np.trace(np.linalg.multi_dot(tables)))
    return tr.MarkovNetwork(dict.fromkeys(names, tuple(map(str, range(states)))), factors), log_z


def fails_at(k: int, error: type[BaseException]) -> Callable[..., Any]:
    """A product that raises when it is asked for the k-th time."""
    calls = iter(range(1, 1000))

    def product(*operands: Any, **more: Any) -> Any:
        if next(calls) == k:
            raise error(f"product {k}")
        return matmul(*operands, **more)

    return product


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("verb", VERBS)
def test_what_a_product_raises_comes_out_of_the_verb(
    verb: str, error: type[BaseException], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    net, _ = ring()
    post = tr.infer(net)
    right = VERBS[verb](net, post)
    n_raised, raised = 0, True
    while raised:
        monkeypatch.setattr(np, "matmul", fails_at(n_raised + 1, error))
        try:
            found = VERBS[verb](net, post)
            raised = False
            np.testing.assert_array_equal(found, right)
        except error as struck:
            n_raised += 1
            assert str(struck) == f"product {n_raised}"
        monkeypatch.setattr(np, "matmul", matmul)
        np.testing.assert_array_equal(VERBS[verb](net, post), right)
    assert n_raised > 1
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_before_the_first_line_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    """Python raises it on entry: that it is pending when C calls is arranged in one call, with no line in between."""
    a, c, own = np.eye(2), np.full((2, 2), 7.0), Caller()
    task = _Question(a.ctypes.data, a.ctypes.data, c.ctypes.data, 1, 2, 2, 2, 0)
    interrupt = partial(
        ctypes.pythonapi.PyThreadState_SetAsyncExc,
        ctypes.c_ulong(threading.get_ident()),
        ctypes.py_object(KeyboardInterrupt),
    )
    list(map(operator.call, [interrupt, partial(own.asked, ctypes.addressof(task))]))
    assert isinstance(own.error, KeyboardInterrupt)
    assert not task.made
    assert (c == 7).all()
    own = Caller()
    own.asked(ctypes.addressof(task))
    assert (task.made, c.tolist()) == (1, [[1, 0], [0, 1]])
    assert capfd.readouterr() == ("", "")


def test_what_strikes_after_the_answer_ends_that_call(monkeypatch: pytest.MonkeyPatch) -> None:
    net, log_z = ring()
    answer = calls._answer

    def struck(question: Any) -> None:
        answer(question)
        monkeypatch.setattr(calls, "_answer", answer)
        raise ZeroDivisionError

    monkeypatch.setattr(calls, "_answer", struck)
    with pytest.raises(ZeroDivisionError):
        tr.log_partition(net)
    assert tr.log_partition(net).value == pytest.approx(log_z, rel=1e-12)


def test_where_nothing_says_why_it_is_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even after a product that was made: ctypes may hand back the success of the call before."""
    net, log_z = ring()
    asked = iter(range(10))

    def some(address: int) -> None:
        if next(asked) == 0:
            calls._answer(_Question.from_address(address))

    own = Caller()
    own.asked = calls.CALLER(some)
    monkeypatch.setattr(calls, "_idle", [own])
    with pytest.raises(KeyboardInterrupt):
        tr.log_partition(net)
    assert next(asked) == 2
    assert tr.log_partition(net).value == pytest.approx(log_z, rel=1e-12)


def test_threads_get_their_own_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    net, log_z = ring()

    def product(*operands: Any, **more: Any) -> Any:
        if threading.current_thread().name.endswith(("1", "3")):
            raise ZeroDivisionError(threading.current_thread().name)
        return matmul(*operands, **more)

    def one(_: int) -> bool:
        try:
            assert tr.infer(net).log_partition.value == pytest.approx(log_z, rel=1e-12)
        except ZeroDivisionError as error:
            assert str(error) == threading.current_thread().name
            return True
        return False

    monkeypatch.setattr(np, "matmul", product)
    with ThreadPoolExecutor(4, "t") as pool:
        assert 0 < sum(pool.map(one, range(60))) < 60


def test_what_a_run_held_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these tables is too large for the arena, and the run holds at least two when it is given up."""
    resource = pytest.importorskip("resource")
    net, log_z = ring(740)
    tables = net.packed
    scopes = scopes_of(tables)
    pairs = scopes.tree_from_order(np.arange(4, dtype=np.int32))

    def fails() -> int:
        monkeypatch.setattr(np, "matmul", fails_at(2, ZeroDivisionError))
        with pytest.raises(ZeroDivisionError):
            kernels.run(tables, scopes, pairs)
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = fails()
    assert [fails() for _ in range(40)][-1] - before < 40 * tables.values.nbytes / 4
    monkeypatch.setattr(np, "matmul", matmul)
    assert kernels.run(tables, scopes, pairs).log_z[0] == pytest.approx(log_z, rel=1e-12)


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals go to the main thread")
@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process there")
def test_an_interrupt_at_any_moment_gives_no_wrong_number(capfd: pytest.CaptureFixture[str]) -> None:
    net, log_z = ring(200, 6)
    rng, interrupted = np.random.default_rng(0), 0
    for _ in range(25):
        found: list[float] = []
        sent = threading.Timer(rng.uniform(0, 0.03), os.kill, (os.getpid(), signal.SIGINT))
        try:
            sent.start()
            found.append(tr.log_partition(net).value)
            sent.join()
        except KeyboardInterrupt:
            interrupted += 1
        assert found in ([], [pytest.approx(log_z, rel=1e-12)])
        assert tr.log_partition(net).value == pytest.approx(log_z, rel=1e-12)
    assert interrupted == 25
    assert capfd.readouterr() == ("", "")


def test_a_call_within_a_product_leaves_the_outer_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a signal handler or a finalizer may make one: with memory of its own, given up or not."""
    (net, log_z), (other, other_log_z) = ring(), ring(170, 6, seed=1)
    deep = threading.local()

    def product(*operands: Any, **more: Any) -> Any:
        if not getattr(deep, "within", False):
            deep.within = True
            assert tr.infer(other).log_partition.value == pytest.approx(other_log_z, rel=1e-12)
            with monkeypatch.context() as inner, pytest.raises(ZeroDivisionError):
                inner.setattr(np, "matmul", fails_at(2, ZeroDivisionError))
                tr.log_partition(other)
            deep.within = False
        return matmul(*operands, **more)

    post = tr.infer(net)
    monkeypatch.setattr(np, "matmul", product)
    found = tr.infer(net)
    assert found.log_partition.value == pytest.approx(log_z, rel=1e-12)
    for v in net.states:
        np.testing.assert_array_equal(found.marginals.array(v), post.marginals.array(v))
