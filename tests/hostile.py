"""A bad file must get one error that names the place, soon and without much memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from tractable.formats import FormatError, load

SECONDS = 5.0
MEGABYTES = 32.0


def complaint(path: Path, content: bytes | str, read: Callable[[Path], object] = load) -> str:
    """The error about a file with this content, the folder left out; also checks its time and its memory."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(FormatError) as caught:
            read(path)
        seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 600 + len(str(path))
    assert seconds < SECONDS
    assert peak < MEGABYTES * 2**20 + 30 * path.stat().st_size
    assert message.startswith(f"{path}:")
    return message.removeprefix(f"{path.parent}/")
