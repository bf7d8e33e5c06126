"""What is shown at a terminal while something runs for long."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from tractable.plan._units import duration, short_count

PATIENCE, PAUSE = 1.0, 0.2
"""Seconds until a bar is shown, and between two states of it."""

_silent = ContextVar("silent", default=False)


@contextmanager
def silence() -> Iterator[None]:
    """Show no bar of a search meanwhile."""
    before = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(before)


class SearchDisplay:
    """A bar for a search, at a terminal and after a second: what it has decided, and how much lies behind.

    That is the share of all ways, as if they were alike; as sums are remembered, the later ones take less.
    """

    def __init__(self, limit: float):
        self.live = f"at most {duration(limit)}" if limit < float("inf") else ""
        self.next = time.perf_counter() + PATIENCE
        self._bar: Any = None

    def __enter__(self) -> SearchDisplay:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    @property
    def wanted(self) -> bool:
        """Whether somebody sees it."""
        return shown()

    def __call__(self, decisions: float, done: float) -> None:
        """The search has come so far."""
        if (now := time.perf_counter()) < self.next:
            return
        self.next = now + PAUSE
        if self._bar is None:
            self._bar = bar(remaining=False)
            self._task = self._bar.add_task("search", total=1.0, live="")
            self._bar.tasks[0].start_time -= PATIENCE
            self._bar.start()
        told = (f"{short_count(decisions)} decisions", f"{done:.1%} of all ways", self.live)
        self._bar.update(self._task, completed=done, live=", ".join(filter(None, told)), refresh=True)


class IntervalDisplay:
    """A bar for an interval that gets narrower, at a terminal: its ends, as they stand."""

    def __init__(self, seconds: float):
        self.start, self.seconds, self.next = time.perf_counter(), seconds, 0.0
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self.seconds >= PATIENCE and shown():
            self._bar = bar()
            self._task = self._bar.add_task("interval", total=self.seconds, live="looking for a bound")
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, bound: float, bets: Any = None) -> None:
        """The bound, and what is bet on, as they are."""
        if not self._due():
            return
        live = f"log Z <= {bound:.6g}"
        if bets is not None:
            found = bets.log_mean(0.05)
            live = f"log Z in [{bound + found.lower:.6g}, {bound + found.upper:.6g}], {short_count(bets.n_draws)} draws"
        self._tell(live)

    def _due(self) -> bool:
        return bool(self._bar) and time.perf_counter() >= self.next

    def _tell(self, live: str) -> None:
        self.next = (now := time.perf_counter()) + PAUSE
        self._bar.update(self._task, completed=min(now - self.start, self.seconds), live=live)


class BestDisplay(IntervalDisplay):
    """A bar for a search of the most probable state: what is found, and the bound of it, as they stand."""

    @property
    def wanted(self) -> bool:
        """Whether somebody sees it."""
        return self._bar is not None

    def ends(self, lower: float, upper: float) -> None:
        """The largest log probability that was found, and the bound of all."""
        if self._due():
            self._tell(f"log p in [{lower:.6g}, {upper:.6g}]")


def shown() -> bool:
    """Whether somebody sees what is shown."""
    return not _silent.get() and sys.stderr is not None and sys.stderr.isatty()


def bar(remaining: bool = True) -> Any:
    """A bar on the standard error, with the time it has taken and, on request, the time that remains."""
    from rich.console import Console  # loaded where there is something to show
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    times = (TimeElapsedColumn(), TimeRemainingColumn()) if remaining else (TimeElapsedColumn(),)
    columns = (TextColumn("{task.description}"), BarColumn(), *times, TextColumn("{task.fields[live]}"))
    return Progress(*columns, console=Console(stderr=True), auto_refresh=remaining, transient=not remaining)
