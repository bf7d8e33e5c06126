"""A progress bar with the time left and the live likelihood."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from tractable.learning.records import interval
from tractable.posterior.waiting import bar


class Display:
    """Shows a fit while it runs; silent unless asked for or at a terminal."""

    def __init__(self, wanted: bool | None, n_steps: int, done: int):
        self._bar: Any = None
        if wanted or (wanted is None and sys.stderr.isatty()):
            self._bar = bar()
            self._task = self._bar.add_task("fit", total=n_steps, completed=done, live="")

    def __enter__(self) -> Display:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, n_steps: int) -> None:
        """So many steps more are done."""
        if self._bar:
            self._bar.advance(self._task, n_steps)

    def epoch(self, record: Any) -> None:
        """An epoch is done."""
        self.tell(f"epoch {record.epoch}", record)

    def tell(self, what: str, record: Any) -> None:
        """What is fitted, and how likely the rows are."""
        if self._bar:
            live = f"log-likelihood {interval(record.train)}" if record.train else ""
            held = f", validation {interval(record.validation)}" if record.validation else ""
            self._bar.update(self._task, description=what, live=live + held)
