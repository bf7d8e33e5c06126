"""Interrupts that strike where Python ignores what is raised: they are sent once more.

Finalizers and callbacks of the garbage collector run between any two lines, and see to signals as all code does; what
they raise is printed and forgotten. jax has such a callback, so that of Ctrl-C in a long fit some would be lost.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Verb = TypeVar("Verb", bound=Callable[..., Any])

AGAIN = 0.001
"""Seconds until an interrupt comes again: by then what ignored it is over."""


def heard(verb: Verb) -> Verb:
    """The same verb, in which no interrupt is lost.

    >>> heard(len)("abc")
    3
    """

    @wraps(verb)
    def call(*arguments: Any, **options: Any) -> Any:
        if threading.get_ident() != threading.main_thread().ident:
            return verb(*arguments, **options)
        before, coming = sys.unraisablehook, []

        def ignored(what: Any) -> None:
            if isinstance(what.exc_value, KeyboardInterrupt):
                coming.append(True)
                threading.Timer(AGAIN, _interrupt, (coming,)).start()
            else:
                before(what)

        sys.unraisablehook = ignored
        try:
            return verb(*arguments, **options)
        finally:
            sys.unraisablehook = before
            if coming:  # it would come after the verb
                coming.clear()
                raise KeyboardInterrupt

    return call  # type: ignore[return-value]


def _interrupt(coming: list[bool]) -> None:
    """Also where the main thread waits for a lock."""
    if not coming:
        return
    coming.clear()
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
