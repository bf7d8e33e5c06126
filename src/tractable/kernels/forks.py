"""A fork waits for the matrix products of other threads: OpenBLAS, cut off in one, stops parent and child for good."""

from __future__ import annotations

import os
from contextlib import ContextDecorator
from threading import Condition, local


class _Products(ContextDecorator):
    """While anybody is inside, no other thread forks; around products alone, so that it has not long to wait."""

    def __init__(self) -> None:
        self.born()

    def born(self) -> None:
        """Nobody is inside, as in a child, which has none of its parent's threads."""
        self.free, self.inside, self.own, self.wanted = Condition(), 0, local(), False

    def __enter__(self) -> None:
        with self.free:
            self.free.wait_for(lambda: not self.wanted or self.n_own)
            self.inside += 1
        self.own.n = self.n_own + 1

    def __exit__(self, *_: object) -> None:
        self.own.n -= 1
        with self.free:
            self.inside -= 1
            self.free.notify_all()

    @property
    def n_own(self) -> int:
        """How often this thread is inside: it does not wait for itself."""
        return getattr(self.own, "n", 0)

    def hold(self) -> None:
        """Wait until no other thread is inside, and let none in."""
        self.free.acquire()
        self.wanted = True
        self.free.wait_for(lambda: self.inside <= self.n_own)

    def let(self) -> None:
        """Let others in again."""
        self.wanted = False
        self.free.notify_all()
        self.free.release()


unforked = _Products()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=unforked.hold, after_in_parent=unforked.let, after_in_child=unforked.born)
