"""What is no file but stands for one: ``-``, the standard input and output, and pipes; all of them hold CSV."""

from __future__ import annotations

import os
import stat
import sys
from typing import Any

from tractable.formats._base import MAX_BYTES, Source, content, extension, failure, readable
from tractable.formats._base import write as _write

STANDARD = "-"
TEXT = (".csv", ".data")
_DEVICES = ("/dev/stdin", "/dev/stdout", "/dev/fd/")


def is_pipe(name: str) -> bool:
    """Whether a name stands for what can be read, or written, only once and has no extension that counts."""
    if name == STANDARD or name.startswith(_DEVICES):
        return True
    try:
        mode = os.stat(name).st_mode
    except (OSError, ValueError):
        return False
    plain = os.path.splitext(name)[1].lower()
    return (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)) and plain in ("", *TEXT)


def kind_of(name: str, known: tuple[str, ...]) -> str:
    """The extension that says the format; a pipe has CSV."""
    return ".csv" if is_pipe(name) else extension(name, known)


def source_of(name: str | Source) -> Source:
    """The content of a file or a pipe, expanded; what was read already as it is: a pipe is read only once."""
    if isinstance(name, Source):
        return name
    if not is_pipe(name):
        return content(name)
    told = "standard input" if name == STANDARD else name
    with readable(told):
        if name == STANDARD:
            if sys.stdin is None:
                raise failure(told, "is closed; name a file instead of -")
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(name, "rb") as file:
                data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise failure(told, f"is longer than {MAX_BYTES >> 20} MiB; split it")
    if data.startswith(b"\x1f\x8b"):
        raise failure(told, "is compressed; expand it on its way, gzip -dc")
    return Source(told, data)


def name_of(path: Any) -> str:
    """The name of a file, or of what was read already."""
    return path.path if isinstance(path, Source) else os.fspath(path)


def put(name: str, data: bytes) -> None:
    """Write a file, whole or not at all, or into a pipe."""
    if not is_pipe(name):
        return _write(name, data)
    if name == STANDARD:
        if sys.stdout is None:
            raise failure("standard output", "is closed; name a file instead of -")
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return None
    try:
        with open(name, "wb") as file:
            file.write(data)
    except OSError as error:
        raise failure(name, f"cannot be written: {error.strerror}") from None
    return None
