"""Rows of cells as text that is read back as it was, whatever the cells hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tractable.formats._cells import has_decimal_comma

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


def text_of_rows(rows: Iterable[Sequence[str]], delimiter: str = ",") -> str:
    """Rows of cells; one that would be a blank line, or begin with blanks, is written with quotes."""
    comma, empty = delimiter != ",", '""' if delimiter in " \t" else ""
    lines = (delimiter.join(quoted(cell, comma) or empty for cell in row) or '""' for row in rows)
    return "\n".join(lines) + "\n"
