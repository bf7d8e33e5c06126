"""A bad file must get one error that names the place, after little work and without much memory.

Work is counted, not timed, so that a busy machine changes nothing: calls of functions, those in C too, as the profiler
sees them. What reads on and on makes a few for each byte at most; what begins anew at each place of a large file makes
thousands.
"""

from __future__ import annotations

import cProfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tractable.formats import FormatError, load

MEGABYTES = 32.0
CALLS = 20_000
CALLS_PER_BYTE = 10.0


@dataclass
class Effort:
    """What a piece of code took: calls of functions, and bytes at the peak."""

    calls: int = 0
    peak: int = 0

    def little_for(self, size: int) -> bool:
        """Whether it is in proportion to a file of so many bytes."""
        return self.calls < CALLS + CALLS_PER_BYTE * size


@contextmanager
def counted() -> Iterator[Effort]:
    """The effort of what is inside; it is known at the end, also where that is an error."""
    effort, profile = Effort(), cProfile.Profile()
    tracemalloc.start()
    profile.enable()
    try:
        yield effort
    finally:
        profile.disable()
        effort.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        effort.calls = sum(entry.callcount for entry in profile.getstats())


def complaint(path: Path, content: bytes | str, read: Callable[[Path], object] = load) -> str:
    """The error about a file with this content, the folder left out; also checks its effort."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with counted() as effort, pytest.raises(FormatError) as caught:
        read(path)
    message, size = str(caught.value), path.stat().st_size
    assert len(message.splitlines()) == 1
    assert len(message) < 600 + len(str(path))
    assert effort.little_for(size)
    assert effort.peak < MEGABYTES * 2**20 + 30 * size
    assert message.startswith(f"{path}:")
    return message.removeprefix(f"{path.parent}/")
