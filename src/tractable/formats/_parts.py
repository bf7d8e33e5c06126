"""A file on its way into its place: a part beside it, held by one writer, which takes its place when it is whole.

A writer that is killed leaves its part behind. The part's name says whose place it was for, and its lock, which ends
with the process, whether somebody still writes it: the next writer into the same place removes what nobody does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # no such locks on Windows, where a file that is open cannot be removed
    fcntl = None

DAY = 86_400.0
"""Where there are no locks, a part as old as this is nobody's."""


@contextmanager
def part_of(target: str, mode: int) -> Iterator[tuple[str, BinaryIO]]:
    """A new file beside the target, which it replaces at the end; after an error there is none."""
    _clear(target)
    part, file = _opened(target, mode)
    try:
        with file:
            yield part, file
            if fcntl:  # the lock ends with the file, and by then it is no part any more
                os.replace(part, target)
        if not fcntl:
            os.replace(part, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise


def _opened(target: str, mode: int) -> tuple[str, BinaryIO]:
    """A part with its lock; one that somebody cleared before it was locked is made again."""
    while True:
        part = f"{_beginning(target)}{os.urandom(6).hex()}.part"
        file = os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), mode), "wb")
        with suppress(OSError):  # a file system without locks
            if fcntl:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        if os.path.exists(part):
            return part, file
        file.close()


def _beginning(target: str) -> str:
    """How the names of the parts of a target begin; of a long name as much as the system can surely hold."""
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{os.fsdecode(os.fsencode(name)[:150])}.")


def _clear(target: str) -> None:
    """Remove the parts of this target that nobody writes any more."""
    from glob import escape, glob  # most commands write nothing

    for part in glob(f"{escape(_beginning(target))}{'[0-9a-f]' * 12}.part"):
        with suppress(OSError):  # somebody writes it, or it is gone, or not ours
            _remove(part)


def _remove(part: str) -> None:
    """Remove a part whose lock is free; an error if somebody holds it."""
    if fcntl:
        with open(part, "r+b") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(part)  # still with the lock: who waits for it finds that the part is gone
    elif time.time() - os.stat(part).st_mtime > DAY:
        os.unlink(part)
