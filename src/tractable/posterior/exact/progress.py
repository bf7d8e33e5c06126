"""Progress with an ETA for long runs, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 1.0
"""Seconds of silence before a bar appears."""


def tracked(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """The items, with a progress bar on standard error once they take longer than a second."""
    if not sys.stderr.isatty():
        yield from items
        return
    start, iterator = time.perf_counter(), iter(items)
    done = 0
    for item in iterator:
        yield item
        done += 1
        if time.perf_counter() - start > PATIENCE:
            break
    else:
        return
    from rich.console import Console  # loaded where there is something to show
    from rich.progress import track

    yield from track(iterator, what, total=total, completed=done, console=Console(stderr=True), transient=True)
