"""Versions of the library's own files: each says which it is of, who wrote it, and from which version on it is read."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from tractable.formats._base import shown
from tractable.models._base import ModelError


class Format(NamedTuple):
    """The version of a format that is written; it and all before it are read, by this library since `since`."""

    version: int
    since: str

    def stamp(self) -> dict[str, Any]:
        """What a file says of itself."""
        return {"version": self.version, "written_by": library(), "read_since": self.since}

    def check(self, about: Any) -> None:
        """Refuse a file of another format, or of a later version of this one; that says what reads it."""
        found = about if isinstance(about, dict) else {}
        version, since = found.get("version"), found.get("read_since")
        if type(version) is not int or version < 1:
            raise ModelError(f"expected a format version from 1 to {self.version}, found {shown(str(version))}")
        if version > self.version:
            reader = f"tractable {since[:20]}" if isinstance(since, str) else "a later tractable"
            raise ModelError(
                f"is of format version {version}, which {reader} reads; this is {library()}: update tractable"
            )


def library() -> str:
    """The version of the library; the package is there before its rooms, which import nothing from it."""
    return sys.modules[__name__.partition(".")[0]].__version__  # type: ignore[attr-defined]
