"""A fork waits for the matrix products of other threads: OpenBLAS, cut off in one, stops parent and child for good.

Every thread has a lock of its own, which it holds around what makes products, and a fork takes those of all others.
They are locks in C, held by `with`: a signal that strikes at any moment leaves none of them held.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from threading import RLock, get_ident
from typing import Any, TypeVar

Unforked = TypeVar("Unforked", bound=Callable[..., Any])

_gate, _locks = RLock(), {get_ident(): RLock()}


def product_lock() -> Any:
    """This thread's lock; ``with product_lock():`` around a product."""
    lock = _locks.get(get_ident())
    if lock is None:
        with _gate:
            lock = _locks.setdefault(get_ident(), RLock())
    return lock


def unforked(method: Unforked) -> Unforked:
    """The same method, during which no other thread forks.

    >>> unforked(abs)(-1)
    1
    """

    @wraps(method)
    def call(*arguments: Any, **options: Any) -> Any:
        with product_lock():
            return method(*arguments, **options)

    return call  # type: ignore[return-value]


def _hold() -> None:
    _gate.acquire()
    for lock in _of_others():
        lock.acquire()


def _let() -> None:
    for lock in (*_of_others(), _gate):
        try:
            while True:
                lock.release()
        except RuntimeError:  # held no more
            continue


def _of_others() -> list[Any]:
    own = get_ident()
    return [lock for thread, lock in _locks.items() if thread != own]


def _born() -> None:
    """A child has none of its parent's threads."""
    global _gate
    _gate = RLock()
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let, after_in_child=_born)
