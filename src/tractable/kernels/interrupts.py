"""Interrupts that strike where Python ignores what is raised: they are sent once more.

Finalizers and callbacks of the garbage collector run between any two lines, and see to signals as all code does; what
they raise is printed and forgotten. jax has such a callback, so that of Ctrl-C in a long fit some would be lost.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Verb = TypeVar("Verb", bound=Callable[..., Any])

AGAIN, PATIENCE = 0.001, 0.5
"""Seconds until an interrupt comes again, when what ignored it is over; and then, as long as it has ended nothing."""


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
                _thread.start_new_thread(_send, (coming,))
            else:
                before(what)

        sys.unraisablehook = ignored
        try:
            result = verb(*arguments, **options)
        except BaseException:
            coming.clear()
            raise
        finally:
            sys.unraisablehook = before
        if coming:  # it would come after the verb
            coming.clear()
            raise KeyboardInterrupt
        return result

    return call  # type: ignore[return-value]


def _send(coming: list[bool]) -> None:
    """Also where the main thread waits for a lock; more than once where it strikes in what ignores it again."""
    wait = AGAIN
    while time.sleep(wait) or coming:
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        else:
            _thread.interrupt_main()
        wait = PATIENCE
