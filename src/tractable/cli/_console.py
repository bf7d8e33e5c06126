"""Where answers are printed: on a terminal too narrow for a number the line is longer, and the number whole."""

from __future__ import annotations

import unicodedata
from typing import Any

from rich.console import Console, Group
from rich.protocol import rich_cast
from rich.table import Column, Table

NAME = 24
"""So many characters of a name or a word stay on one line; a longer one is folded."""


def harmless(text: str) -> str:
    """The text with what could move the cursor, ring the bell or turn the direction of writing escaped.

    >>> harmless("a\\x1b[31m\\u202eb")
    'a\\\\x1b[31m\\\\u202eb'
    """
    return "".join(c if _plain(c) else c.encode("unicode_escape").decode() for c in text)


def _plain(c: str) -> bool:
    return c.isprintable() or c in "\n\u200c\u200d" or unicodedata.category(c) == "Zs"


class Answers(Console):
    """Prints what is as narrow as the terminal, or else as narrow as it can be without cutting a number."""

    def render_str(self, text: str, **options: Any) -> Any:
        """Text as it may go to a terminal, whatever a file calls its variables."""
        return super().render_str(text if text.isprintable() else harmless(text), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; on a line that is longer than the terminal is wide it is the terminal that breaks it."""
        shown = [rich_cast(thing) for thing in objects]
        terminal = self.width
        self.width = max([terminal, *(_least_width(thing) for thing in shown)])
        try:
            super().print(*shown, **options)
        finally:
            self.width = terminal


def _least_width(thing: Any) -> int:
    if isinstance(thing, Group):
        return max([0, *(_least_width(part) for part in thing.renderables)])
    if not isinstance(thing, Table):
        return min(NAME, _longest(str(thing).split()))
    return sum(_least_column(column) + 3 for column in thing.columns)


def _least_column(column: Column) -> int:
    """Numbers, on the right, stay whole; names, on the left, are folded where they are long."""
    cells = [column.header, *column.cells]
    if column.justify == "right":
        column.no_wrap = True
        return max(len(cell) if isinstance(cell, str) else getattr(cell, "width", None) or 1 for cell in cells)
    column.overflow = "fold"
    words = [word for cell in cells for word in (str(cell).split() if isinstance(cell, str) else ())]
    return min(NAME, _longest(words))


def _longest(words: list[str]) -> int:
    return max(map(len, words), default=1)
