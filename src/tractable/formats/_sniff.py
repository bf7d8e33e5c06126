"""What stands between the cells of a text file: commas, semicolons, tabs, bars or blanks."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import NamedTuple

from tractable.formats._base import Source
from tractable.formats._cells import has_decimal_comma, is_value

DELIMITERS = (",", ";", "\t", "|", " ")
_SAMPLE = 2**16
_DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?sep=([,;|\t ])(\r\n|\r|\n)", re.IGNORECASE)
_COMMAS = re.compile(rb"(?:^|[;\t| \r\n])[ \"]*[+-]?\d*,\d+[ \"]*(?=[;\t| \r\n]|$)")
_POINTS = re.compile(rb"(?:^|[;\t| \r\n])[ \"]*[+-]?\d*\.\d+[ \"]*(?=[;\t| \r\n]|$)")


class Dialect(NamedTuple):
    """How a file separates its cells, and where its rows begin."""

    delimiter: str
    start: int = 0
    """Bytes before the rows: a line of Excel, ``sep=;``."""
    comma: bool = False
    """Whether decimals follow a comma, as European programs write them."""
    both_marks: bool = False
    """Whether numbers have a comma in some cells and a point in others."""


def dialect(source: Source) -> Dialect:
    """What the first rows of a file look like.

    The delimiter that gives rows of one length wins, then cells without other delimiters, then cells that are numbers.
    """
    start = 0
    if declared := _DECLARED.match(source.data):
        delimiter, start = declared[1].decode(), declared.end()
    else:
        sample = source.data[:_SAMPLE]
        whole = len(sample) == len(source.data)
        delimiter = _delimiter(sample.decode("utf-8-sig", errors="replace"), whole)
    if delimiter == ",":
        return Dialect(",", start)
    comma = _COMMAS.search(source.data, start) is not None
    both = comma and _POINTS.search(source.data, start) is not None
    return Dialect(delimiter, start, comma and not both, both)


def _delimiter(sample: str, whole: bool) -> str:
    there = [d for d in DELIMITERS if d in sample]
    if not there or there == [","]:
        return "," if not _is_column_of_commas(sample) else ";"
    scores = {d: score for d in there if (score := _score(sample, d, whole))}
    if scores:
        return max(scores, key=lambda d: scores[d])
    return ";" if _is_column_of_commas(sample) else ","


def _score(sample: str, delimiter: str, whole: bool) -> tuple[float, ...] | None:
    """How well a delimiter fits: shares of rows of one length, of clean cells, of numbers; None if it does not."""
    rows = _split(sample, delimiter, whole)
    if not rows:
        return None
    data = rows[1:] or rows
    if delimiter == " " and not _are_columns(rows[0], data, '"' in sample):
        return None
    cells = [cell for row in data for cell in row]
    same = _share(len(row) == _width(rows[0], data, delimiter) for row in data)
    clean = _share(_is_clean(cell, delimiter) for cell in cells)
    return same, clean, _share(_counts(cell, delimiter) for cell in cells)


def _are_columns(first: list[str], data: list[list[str]], quoted: bool) -> bool:
    """Whether blanks separate cells, and not the words in those of one column: where some are quoted, or numbers."""
    width = _width(first, data, " ")
    within = any('"' in cell for row in (first, *data) for cell in row)  # quotes around what other delimiters separate
    same = all(len(row) == width for row in data)
    return same and not within and (quoted or _has_a_column_of_numbers(data))


def _counts(cell: str, delimiter: str) -> bool:
    return is_value(cell) or (delimiter != "," and has_decimal_comma(cell))


def _width(first: list[str], data: list[list[str]], delimiter: str) -> int:
    """Cells in a row: of the first, and one more where only the others have names, as R writes them."""
    wider = delimiter in "\t " and all(len(row) == len(first) + 1 for row in data)
    return len(first) + wider


def _share(found: Iterable[bool]) -> float:
    counted = list(found)
    return sum(counted) / len(counted)


def _split(sample: str, delimiter: str, whole: bool) -> list[list[str]]:
    """The rows of a sample, without one that the sample cuts off; none where they are not CSV, or of one cell."""
    rows = _parsed(sample, delimiter)
    if rows is None and not whole:  # it may end within quotes
        rows = _parsed(sample + '"', delimiter)
    if not rows or len(rows[0]) < 2:
        return []
    return rows if whole or len(rows) == 1 else rows[:-1]


def _parsed(sample: str, delimiter: str) -> list[list[str]] | None:
    lines = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        return [row for row in lines if "".join(row).strip() or len(row) > 1]
    except csv.Error:
        return None


def _is_clean(cell: str, delimiter: str) -> bool:
    """Whether a cell holds nothing else that might separate cells, but a comma before decimals.

    Where it holds the delimiter itself it was quoted.
    """
    held = [d for d in DELIMITERS[:-1] if d in cell and d != delimiter]
    return not held or (held == [","] and delimiter != "," and has_decimal_comma(cell))


def _has_a_column_of_numbers(rows: list[list[str]]) -> bool:
    return any(all(map(is_value, column)) for column in zip(*rows, strict=True))


def _is_column_of_commas(sample: str) -> bool:
    """Whether a name is followed by numbers with decimal commas: one column, not two."""
    name, *cells = filter(None, map(str.strip, sample.splitlines()[:100])) if sample.strip() else ("",)
    return (
        "," not in name
        and len(cells) > 0
        and all(has_decimal_comma(cell) or is_value(cell) for cell in cells)
        and any(map(has_decimal_comma, cells))
    )
