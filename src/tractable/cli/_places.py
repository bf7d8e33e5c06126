"""Where a command reads and writes: what would fail at its end, or destroy a file, is refused at its beginning."""

from __future__ import annotations

import os
from collections.abc import Mapping
from errno import EACCES, EISDIR, ENOENT
from typing import Any

from tractable.formats._base import extension, failure
from tractable.formats._pipes import STANDARD, is_pipe, kind_of
from tractable.formats.data import file_of, written_kind
from tractable.models import ModelError

FIGURES = (".png", ".pdf", ".svg")
EVIDENCE = (".csv", ".evid", ".parquet")
OutputPaths = Mapping[str, str | None]
"""Argument or option → the file it names."""


def check_writable(path: str, extensions: tuple[str, ...] | None = None) -> None:
    """Hours of learning must not end at a folder that is not there."""
    if extensions:
        extension(path, extensions)
    if is_pipe(path):
        return
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise failure(path, "cannot be written: there is no such folder; make it first", number=ENOENT)
    if os.path.isdir(path) or not os.access(folder, os.W_OK):
        number = EISDIR if os.path.isdir(path) else EACCES
        raise failure(path, "cannot be written: choose another place", number=number)


def check_new(path: str, force: bool) -> None:
    """Nor at the cost of a file that took as long: what is there is written over only where that is asked for."""
    if not force and os.path.isfile(path) and os.path.getsize(path):
        raise failure(path, "is there already; --force writes over it")


def check_figure(path: str) -> None:
    """Nor at a figure that nothing can draw."""
    from tractable.plots._base import figure  # few commands draw

    check_writable(path, FIGURES)
    figure(1.0, 1.0)


def check_table(model: Any, path: str) -> None:
    """Nor drawn or imputed rows at a file that is not written: of a network cases, of other models numbers."""
    if model.family == "tables":
        kind_of(path, EVIDENCE)
    else:
        written_kind(path)
    check_writable(path)


def check_apart(read: OutputPaths, written: OutputPaths) -> None:
    """No file that a command writes is one that it reads or writes besides; both are argument → path."""
    seen: dict[str, str] = {name: path for name, path in read.items() if path}
    _check_read_once(seen)
    for name, path in written.items():
        for other, there in seen.items() if path else ():
            if _same(file_of(there), str(path)):
                raise ModelError(f"{other} {there} and {name} {path} are the same file; give {name} another name")
        seen |= {name: path} if path else {}


def _check_read_once(seen: Mapping[str, str]) -> None:
    if len(twice := [name for name, path in seen.items() if path == STANDARD]) > 1:
        raise ModelError(f"{' and '.join(twice)} both ask for the standard input; it is read only once")


def _same(a: str, b: str) -> bool:
    """Whether two names lead to one file, through links and in whatever case they are written."""
    if STANDARD in (a, b):  # the standard input is not the standard output
        return False
    if os.path.exists(a) and os.path.exists(b):
        return os.path.samefile(a, b)
    return os.path.realpath(a) == os.path.realpath(b)
