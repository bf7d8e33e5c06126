"""Work that may take so many seconds: what takes longer is interrupted, as by Ctrl-C."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

LATE = 0.2
"""Seconds within which an interrupt that was sent arrives."""

T = TypeVar("T")


class OutOfTimeError(Exception):
    """The seconds are over."""


class TimeLeft:
    """Seconds that all parts of a command share, and a bar that shows what it is at.

    Parameters
    ----------
    seconds : in all. progress : whether to show a bar; None shows one where standard error is a terminal.
    """

    def __init__(self, seconds: float, progress: bool | None, parts: int):
        self.began, self.seconds, self._bar = time.perf_counter(), seconds, None
        if progress is not False and sys.stderr is not None and sys.stderr.isatty():
            from tractable.posterior.waiting import bar  # brings rich

            self._bar: Any = bar()
            self._task = self._bar.add_task("report", total=parts, live="")
            self._bar.start()

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self.began + self.seconds - time.perf_counter())

    def close(self) -> None:
        """The bar goes."""
        if self._bar:
            self._bar.stop()

    def at(self, what: str) -> None:
        """The next part begins."""
        if self._bar:
            self._bar.update(self._task, description=what)

    def done(self) -> None:
        """A part is done."""
        if self._bar:
            self._bar.advance(self._task)


def within(seconds: float, work: Callable[[], T]) -> T:
    """What a piece of work gives; where a verb ends with what stands when it is interrupted, that.

    Raises
    ------
    OutOfTimeError : it took longer and gave nothing.
    """
    if seconds <= 0:
        raise OutOfTimeError
    if threading.get_ident() != threading.main_thread().ident:
        return work()  # nothing interrupts another thread
    sent = threading.Event()
    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), _interrupt, (sent,))
    timer.daemon = True
    timer.start()
    try:
        found = work()
    except KeyboardInterrupt:
        if not sent.is_set():
            raise
        raise OutOfTimeError from None
    finally:
        timer.cancel()
    _await(sent)
    return found


def _interrupt(sent: threading.Event) -> None:
    sent.set()
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _await(sent: threading.Event) -> None:
    """Let an interrupt arrive that was sent when the work was just done."""
    if sent.is_set():
        try:
            time.sleep(LATE)
        except KeyboardInterrupt:
            return
