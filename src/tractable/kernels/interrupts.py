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


def _interrupt() -> None:
    """Also where the main thread waits for a lock."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


def heard(verb: Verb) -> Verb:
    """The same verb, in which no interrupt is lost.

    >>> heard(len)("abc")
    3
    """

    @wraps(verb)
    def call(*arguments: Any, **options: Any) -> Any:
        if "jax" not in sys.modules or threading.current_thread() is not threading.main_thread():
            return verb(*arguments, **options)
        before = sys.unraisablehook

        def ignored(what: Any) -> None:
            if isinstance(what.exc_value, KeyboardInterrupt):
                threading.Timer(AGAIN, _interrupt).start()
            else:
                before(what)

        sys.unraisablehook = ignored
        try:
            return verb(*arguments, **options)
        finally:
            sys.unraisablehook = before

    return call  # type: ignore[return-value]
