"""CSV: cells of numbers, in memory in proportion to the file; a fast way for whole numbers, a thorough one for all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from math import isinf
from typing import Any

import numpy as np

from tractable._cached import cached_property
from tractable.formats._base import FormatError, Source, content, shown, written

_CELLS = 2**18
"""Cells turned into numbers at a time."""

_MISSING = {"", "?", "na", "nan"}
_WORDS = {**dict.fromkeys(_MISSING, float("nan")), "true": 1.0, "false": 0.0}
_INFINITE = {"inf", "infinity"}
_BYTES = 2**20
"""Bytes turned into numbers at a time in the fast way."""

_DIGITS = 9
"""Digits of a whole number that is read in the fast way."""


# ---------------------------------------------------------------- cells


class _Numbers(dict):
    """Cell -> number, each distinct cell converted once: columns with few values repeat them."""

    def __missing__(self, cell: str) -> float:
        value = number(cell)
        if len(self) < 2**16:
            self[cell] = value
        return value


def number(cell: str) -> float:
    """The number in a cell, NaN if it is missing.

    >>> number(" 2.5"), number("?"), number("TRUE")
    (2.5, nan, 1.0)
    """
    word = cell.strip().casefold()
    if word in _WORDS:
        return _WORDS[word]
    try:
        value = float(word)
    except ValueError:
        commas = "; cells are separated by commas" if ";" in word or "\t" in word else ""
        raise ValueError(f"{shown(cell)} is not a number; leave a missing cell empty{commas}") from None
    if "_" in word:  # Python's own literals
        raise ValueError(f"{shown(cell)} is not a number; leave a missing cell empty")
    if isinf(value) and word.lstrip("+-") not in _INFINITE:
        raise ValueError(f"{shown(cell)} is too large for a number of 64 bits")
    return value


def _is_number(cell: str) -> bool:
    try:
        number(cell)
    except ValueError:
        return False
    return True


def _is_value(cell: str) -> bool:
    return _is_number(cell) and cell.strip().casefold() not in _MISSING


# ---------------------------------------------------------------- the header


@dataclass(frozen=True)
class _Sheet:
    """A file with what its first row says."""

    source: Source
    first: list[str]
    has_header: bool

    @property
    def skip(self) -> int:
        """1 if the first column is left out: R and pandas write the names of rows into a column without a name."""
        rest = self.first[1:]
        return int(self.has_header and bool(rest) and not self.first[0].strip() and all(rest))

    @cached_property
    def has_literals(self) -> bool:
        """Whether a cell may be one of Python's own literals, 1_0, which `float` takes for a number."""
        start = self.source.data.find(b"\n") + 1 if self.has_header else 0
        return self.source.data.find(b"_", start) >= 0

    @property
    def names(self) -> list[str]:
        """The names of the columns that are kept."""
        return self.first[self.skip :]

    def converted(self, rows: list[list[str]], numbers: _Numbers) -> np.ndarray:
        """All cells as numbers; a ValueError if one is none."""
        try:
            values = np.fromiter(map(float, chain.from_iterable(rows)), np.float64)
            if not self.has_literals and not np.isinf(values).any():
                return values
        except ValueError:
            pass
        return np.fromiter(map(numbers.__getitem__, chain.from_iterable(rows)), np.float64)

    def error(self, row: int, column: int, cause: object) -> FormatError:
        """An error about a cell."""
        name = f" ({shown(self.first[column])})" if self.has_header else ""
        return self.source.error(f"column {column + 1}{name}: {cause}", self.line(row))

    def line(self, row: int) -> int:
        """The line on which a row ends, counted by reading once more: only errors ask for it."""
        reader = _reader(self.source)
        next(islice(filter(None, reader), row, None))
        return reader.line_num


def _sheet(path: str) -> _Sheet:
    source = content(path)
    first = next(_rows(source), None)
    if not first or source.data.isspace():
        raise source.error("the file is empty")
    headless = source.path.lower().removesuffix(".gz").endswith(".data")
    return _Sheet(source, first, not headless and is_header(first))


def is_header(row: list[str]) -> bool:
    """Whether a first row holds names: no number among them, or 0, 1, 2, … as pandas counts, or names and numbers.

    In a mixture all must differ, the numbers be whole and the names begin with a letter: else it is a row with a slip.

    >>> is_header(["rain", "wind"]), is_header(["", "1998", "1999", "all"]), is_header(["0", "1", "2"])
    (True, True, True)
    >>> is_header(["0", "1", "1"]), is_header(["0", "l", "1", "1"]), is_header(["5", "7x"]), is_header(["?", ""])
    (False, False, False, False)
    """
    if _counts(row if row[0] else row[1:]):
        return True
    names, values = {*row} - {*filter(_is_number, row)}, {*filter(_is_value, row)}
    if not names or not values:
        return bool(names)
    return len({*row}) == len(row) and all(map(str.isdigit, values)) and all(name[0].isalpha() for name in names)


def _counts(row: list[str]) -> bool:
    return len(row) > 2 and row == list(map(str, range(len(row))))


def column_names(path: str) -> list[str] | None:
    """The names in the header, if there is one."""
    sheet = _sheet(path)
    return sheet.names if sheet.has_header else None


# ---------------------------------------------------------------- the rows


def _reader(source: Source) -> Any:
    text = io.TextIOWrapper(io.BytesIO(source.data), encoding="utf-8-sig", newline="")
    return csv.reader(text, strict=True, skipinitialspace=True)


def _rows(source: Source) -> Iterator[list[str]]:
    """The rows that are not blank."""
    reader = _reader(source)
    try:
        yield from filter(None, reader)
    except csv.Error as error:
        raise source.error(f"not CSV: {error}", reader.line_num) from None
    except UnicodeDecodeError:
        source.text()  # says where
        raise


def read(path: str) -> np.ndarray:
    """The table in a CSV file: bytes where all cells are 0 or 1, else float64."""
    sheet = _sheet(path)
    blocks = _fast(sheet) or _thorough(sheet)
    if not blocks:
        raise sheet.source.error("has a header, but no rows")
    return np.concatenate(blocks)


def _narrow(values: np.ndarray) -> np.ndarray:
    """The values as bytes if they are all 0 or 1."""
    return values.astype(np.uint8) if ((values == 0) | (values == 1)).all() else values


def _thorough(sheet: _Sheet) -> list[np.ndarray]:
    """All rows in blocks, through the csv module."""
    rows, width = _rows(sheet.source), len(sheet.first)
    done = len(list(islice(rows, int(sheet.has_header))))
    blocks, numbers = [], _Numbers()
    while batch := list(islice(rows, max(1, _CELLS // width))):
        _check_widths(sheet, batch, done)
        kept = [row[sheet.skip :] for row in batch] if sheet.skip else batch
        try:
            values = sheet.converted(kept, numbers)
        except ValueError:
            raise _bad_cell(sheet, batch, done) from None
        blocks.append(_narrow(values.reshape(len(batch), -1)))
        done += len(batch)
    return blocks


def _check_widths(sheet: _Sheet, batch: list[list[str]], done: int) -> None:
    width = len(sheet.first)
    if {*map(len, batch)} != {width}:
        row, found = next((row, len(cells)) for row, cells in enumerate(batch) if len(cells) != width)
        raise sheet.source.error(f"expected {width} cells as in the first row, found {found}", sheet.line(done + row))


def _bad_cell(sheet: _Sheet, batch: list[list[str]], done: int) -> FormatError:
    for row, cells in enumerate(batch):
        for column, cell in islice(enumerate(cells), sheet.skip, None):
            try:
                number(cell)
            except ValueError as error:
                return sheet.error(done + row, column, error)
    raise AssertionError("some cell is bad")


# ---------------------------------------------------------------- the fast way


def _fast(sheet: _Sheet) -> list[np.ndarray] | None:
    """All rows in blocks if they hold whole numbers and missing cells, without quotes or blanks; else None."""
    data = sheet.source.data.replace(b"\r\n", b"\n")
    data = data if data.endswith(b"\n") else data + b"\n"
    for word in (b"NaN", b"nan", b"NA"):  # a cell becomes ? only if it was the whole word
        data = data.replace(word, b"?")
    start = data.index(b"\n") + 1 if sheet.has_header else 0
    if sheet.has_header and (b"\r" in data[:start] or data[:start].count(b",") + 1 != len(sheet.first)):
        return None  # the header is not just the first line
    blocks = []
    while start < len(data):
        end = data.rfind(b"\n", start, start + _BYTES) + 1 or data.index(b"\n", start) + 1
        values = _whole_numbers(np.frombuffer(data, np.uint8, end - start, start), len(sheet.first))
        if values is None:
            return None
        blocks.append(_narrow(values[:, sheet.skip :]))
        start = end
    return blocks


def _whole_numbers(block: np.ndarray, width: int) -> np.ndarray | None:
    """The numbers in lines of bytes, digit by digit for all cells at once; None if something else turns up."""
    line_ends = block == ord("\n")
    ends = np.flatnonzero(line_ends | (block == ord(",")))
    lengths = np.diff(ends, prepend=-1) - 1
    n_lines = len(ends) // width
    if len(ends) % width or np.count_nonzero(line_ends) != n_lines or not line_ends[ends[width - 1 :: width]].all():
        return None
    if lengths.max() > _DIGITS or (width == 1 and not lengths.all()):  # a blank line is no row
        return None
    lengths[(lengths == 1) & (block[ends - 1] == ord("?"))] = 0
    return _decimal(block, ends, lengths, width)


def _decimal(block: np.ndarray, ends: np.ndarray, lengths: np.ndarray, width: int) -> np.ndarray | None:
    values = np.zeros(len(ends))
    values[lengths == 0] = np.nan
    for place in range(lengths.max()):
        longer = np.flatnonzero(lengths > place)
        digits = block[ends[longer] - 1 - place] - np.uint8(ord("0"))
        if (digits > 9).any():
            return None
        values[longer] += digits * 10.0**place
    return values.reshape(-1, width)


# ---------------------------------------------------------------- writing


def write(table: np.ndarray) -> bytes:
    """A table as CSV without a header."""
    if ((table == 0) | (table == 1)).all():
        return _bits(table)
    lines = [written(row, ",") for row in table]
    if is_header(lines[0].split(",")):  # a row that counts 0, 1, 2, … would be read as names
        lines[0] = written(table[0].astype(np.float64), ",")
    return ("\n".join(lines).replace("nan", "NaN") + "\n").encode()


def _bits(table: np.ndarray) -> bytes:
    out = np.full((len(table), 2 * table.shape[1]), ord(","), np.uint8)
    out[:, ::2] = table
    out[:, ::2] += ord("0")
    out[:, -1] = ord("\n")
    return out.tobytes()
