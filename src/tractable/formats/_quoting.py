"""Rows of cells as text that is read back as it was, whatever the cells hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tractable.formats._cells import has_decimal_comma
from tractable.models.values import is_missing, text_of

_QUOTED = frozenset(',;\t| "\r\n')


def quoted(cell: str, comma: bool = False) -> str:
    """A cell as it is written: in quotes where it would be split, stripped, or taken for a sign of another delimiter.

    `comma`: a number with a comma before its decimals needs none.

    >>> quoted("north"), quoted("New York"), quoted("1,5"), quoted("1,5", comma=True)
    ('north', '"New York"', '"1,5"', '1,5')
    """
    if _QUOTED.isdisjoint(cell) or (comma and has_decimal_comma(cell)):
        return cell
    return '"' + cell.replace('"', '""') + '"'


def text_of_rows(rows: Iterable[Sequence[str]], delimiter: str = ",", line_end: str = "\n") -> str:
    """Rows of cells; one that would be a blank line, or begin with blanks, is written with quotes."""
    comma, empty = delimiter != ",", '""' if delimiter in " \t" else ""
    lines = (delimiter.join(quoted(cell, comma) or empty for cell in row) or '""' for row in rows)
    return line_end.join(lines) + line_end


def cell_of(value: Any, comma: bool = False) -> str:
    """A value as a cell.

    >>> [cell_of(x) for x in (0.25, 2.0, float("nan"), None, "yes", True)], cell_of(0.5, comma=True)
    (['0.25', '2', '', '', 'yes', 'True'], '0,5')
    """
    if is_missing(value):
        return ""
    text = text_of(value)
    return text.replace(".", ",") if comma and not isinstance(value, str) else text
