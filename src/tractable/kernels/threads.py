"""Work that runs apart, on all cores: the kernels run outside of Python's lock.

What comes out, and in which order, does not depend on the number of cores.
"""

from __future__ import annotations

import os
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, nullcontext
from functools import cache, partial
from itertools import count, islice
from queue import SimpleQueue
from threading import Lock, RLock, local
from typing import Any, TypeVar

import numpy as np

S = TypeVar("S")
T = TypeVar("T")


ROOM = 1 << 20
"""Numbers in the largest array that a thread keeps."""

_kept = local()


class Stopped(BaseException):
    """Ends work in a thread whose result nobody waits for any more."""


class _Group:
    """The tasks of one call, and of calls within them: they end early where the call was struck or one has failed."""

    def __init__(self) -> None:
        self.within: _Group | None = getattr(_kept, "group", None)
        self.stopped = False

    @property
    def is_over(self) -> bool:
        return self.stopped or (self.within is not None and self.within.is_over)

    def run(self, call: Callable[[], T]) -> T:
        """The call as part of the group."""
        before, _kept.group = getattr(_kept, "group", None), self
        try:
            return call()
        finally:
            _kept.group = before


def look_up() -> None:
    """Raise `Stopped` where this thread works for nobody any more."""
    group: _Group | None = getattr(_kept, "group", None)
    if group is not None and group.is_over:
        raise Stopped


@cache
def n_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def n_threads(most: int | None = None) -> int:
    """The cores, or so many of them at most."""
    return min(n_cores(), most or n_cores())


class _Job:
    """Work for a helper; who has asked for it waits by the lock, which is held while it is done."""

    def __init__(self, group: _Group, work: Callable[[], Any]) -> None:
        self.group, self.work, self.lock, self.ended = group, work, Lock(), Lock()
        self.ended.acquire()
        self.value: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Do it, unless nobody waits for it any more."""
        with self.lock:
            if not self.group.is_over:
                try:
                    self.value = self.group.run(self.work)
                except BaseException as error:
                    self.error = error
        self.ended.release()

    def result(self) -> Any:
        """What it has come to, when it is done."""
        self.ended.acquire()
        if self.error is not None:
            raise self.error
        return self.value


def _serve(jobs: SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        job.run()
        del job  # and what it has led to


@cache
def _helpers(n: int) -> SimpleQueue[_Job | None]:
    """Where jobs go for threads that stay: to start some for each of many short ones would cost as much as the work.

    They are made of locks and queues in C, which no signal leaves half taken; those of `concurrent.futures` are not.
    """
    jobs: SimpleQueue[_Job | None] = SimpleQueue()
    for _ in range(n):
        start_new_thread(_serve, (jobs,))
    return jobs


class _OneThread:
    """While anybody is inside, matrix products stay in the thread that asks for them."""

    def __init__(self) -> None:
        self.lock, self.inside, self.limit = RLock(), 0, ExitStack()

    def born(self) -> None:
        """Nobody is inside, as in a child, which has none of its parent's threads."""
        self.lock, self.inside = RLock(), 0
        self.limit.close()

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.limit.enter_context(_limited())
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.limit.close()


@cache
def _libraries() -> Any:
    """What limits the threads of NumPy's products; None where threadpoolctl, which comes with scikit-learn, is not."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()


def _limited() -> Any:
    return _libraries().limit(limits=1, user_api="blas") if _libraries() else nullcontext()


_one_thread = _OneThread()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)
    os.register_at_fork(
        before=lambda: _one_thread.lock.acquire(),
        after_in_parent=lambda: _one_thread.lock.release(),
        after_in_child=_one_thread.born,
    )


def side_by_side(
    call: Callable[[S], T], tasks: Iterable[S], products: bool = False, at_once: int | None = None
) -> list[T]:
    """The results of all tasks, in order; `products`: matrix products in them do not spread over the cores themselves.

    No more than so many are done `at_once`.

    The thread that asks works too, and waits for none that has not begun: calls may be nested. It leaves after all that
    have begun, also where it is interrupted: they write to arrays that the next call may use.

    >>> side_by_side(abs, [-1, 2, -3])
    [1, 2, 3]
    """
    todo = list(tasks)
    if products and len(todo) > 1:
        with _one_thread:
            return side_by_side(call, todo, at_once=at_once)
    found: list[Any] = [None] * len(todo)
    numbers, group = count(), _Group()

    def work() -> None:
        try:
            while not group.is_over and (i := next(numbers)) < len(todo):
                found[i] = call(todo[i])
        except BaseException:
            group.stopped = True
            raise

    jobs = [_Job(group, work) for _ in range(min(len(todo), n_threads(at_once)) - 1)]
    try:
        try:
            for job in jobs:
                _helpers(n_cores() - 1).put(job)
            group.run(work)
        except Stopped:  # a helper has failed, or the group that this one is in
            pass
        except BaseException:
            group.stopped = True
            raise
        finally:
            deque(islice(numbers, len(todo)), 0)  # nothing more begins
            _settle(jobs, group)
    finally:
        group.stopped = True
        _settle(jobs, group)  # what struck may have struck there
    for job in jobs:
        if job.error is not None and not isinstance(job.error, Stopped):  # not that it was stopped for another's error
            raise job.error
    look_up()
    return found


def _settle(jobs: Iterable[_Job], group: _Group) -> None:
    """Wait until none of them is being done; what strikes meanwhile is raised then."""
    struck = None
    for job in jobs:
        waiting = True
        while waiting:
            try:
                with job.lock:
                    waiting = False
            except BaseException as error:
                struck, group.stopped = error, True
    if struck is not None:
        raise struck


def room(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """An array of doubles that holds anything, until this thread asks for one of the same name again.

    What an iteration has left is near and is there; new memory the system has to clear, page by page.

    >>> room("example", (2, 3)).shape
    (2, 3)
    """
    n = int(np.prod(shape))
    if n > ROOM:
        return np.empty(shape)
    array = getattr(_kept, name, None)
    if array is None or len(array) < n:
        array = np.empty(n)
        setattr(_kept, name, array)
    return array[:n].reshape(shape)


def in_order(call: Callable[[S], T], tasks: Iterable[S], most: int | None = None) -> Iterator[T]:
    """The results in order, a few ahead of what has been taken: two for each thread, of which there are `most`.

    >>> list(in_order(abs, iter([-1, 2, -3])))
    [1, 2, 3]
    """
    n = n_threads(most)
    if n_cores() == 1:
        yield from map(call, tasks)
        return
    jobs: SimpleQueue[_Job | None] = SimpleQueue()
    waiting: deque[_Job] = deque()
    group = _Group()
    for _ in range(n):
        start_new_thread(_serve, (jobs,))
    try:
        for task in tasks:
            waiting.append(_Job(group, partial(call, task)))
            jobs.put(waiting[-1])
            if len(waiting) > 2 * n:
                yield waiting[0].result()
                waiting.popleft()
        while waiting:
            yield waiting[0].result()
            waiting.popleft()
    finally:
        group.stopped = True
        for _ in range(n):
            jobs.put(None)
        _settle(waiting, group)
