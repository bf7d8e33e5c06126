"""A text file as rows of cells, read in one way for data, evidence and sequences: its header, its names, its lines."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any

from tractable._cached import cached_property
from tractable.formats._base import FormatError, Source, repeated, shown
from tractable.formats._cells import all_numbers, is_number, is_value, may_be_number
from tractable.formats._sniff import Dialect, dialect
from tractable.models.rows import unknown_column

UNNAMED = ("", "Unnamed: 0")
"""The first name of a file whose first column holds names of rows, as R and pandas write it and read it again."""


@dataclass(frozen=True)
class Sheet:
    """A file with what its first rows say."""

    source: Source
    dialect: Dialect
    first: list[str]
    """The first row, with a name for each column where it is a header."""
    has_header: bool
    is_short: bool = False
    """Whether the header lacks a cell for the names of rows."""
    known: Collection[str] = ()
    """Names that columns have, whatever they look like."""

    @property
    def width(self) -> int:
        """Cells in a row."""
        return len(self.first)

    @cached_property
    def skip(self) -> int:
        """1 if the first column is left out: R and pandas write the names of rows into a column without a name."""
        if self.is_short:
            return 1
        unnamed = self.first[0].strip() in UNNAMED and self.first[0] not in self.known
        return int(self.has_header and self.width > 1 and unnamed and all(self.first[1:]))

    @property
    def names(self) -> list[str]:
        """The names of the columns that are kept."""
        return self.first[self.skip :]

    @property
    def what(self) -> list[str] | None:
        """The names where the file has a header."""
        return self.names if self.has_header else None

    def rows(self) -> Iterator[list[str]]:
        """The rows below the header, without those that are blank."""
        rows = _rows(self.source, self.dialect, self.width)
        return islice(rows, int(self.has_header), None)

    def batches(self, n_rows: int) -> Iterator[list[list[str]]]:
        """So many rows at a time, all of one length."""
        rows, done = self.rows(), 0
        while batch := list(islice(rows, n_rows)):
            self._check_widths(batch, done)
            yield batch
            done += len(batch)

    def _check_widths(self, batch: list[list[str]], done: int) -> None:
        if {*map(len, batch)} != {self.width}:
            row, found = next((row, len(cells)) for row, cells in enumerate(batch) if len(cells) != self.width)
            raise self.source.error(
                f"expected {self.width} cells as in the first row, found {found}", self.line(done + row)
            )

    def error(self, row: int, column: int, cause: object) -> FormatError:
        """An error about a cell, of a row below the header."""
        name = f" ({shown(self.first[column])})" if self.has_header else ""
        return self.source.error(f"column {column + 1}{name}: {cause}", self.line(row))

    def line(self, row: int) -> int:
        """The line on which a row below the header ends, counted by reading once more: only errors ask for it."""
        reader = _reader(self.source, self.dialect)
        kept = (cells for cells in reader if _is_row(cells, self.width))
        next(islice(kept, row + int(self.has_header), None))
        return reader.line_num + self.source.data.count(b"\n", 0, self.dialect.start)

    def line_of_header(self) -> int:
        """The line on which the header ends."""
        return self.line(-1) if self.has_header else 1

    # ------------------------------------------------------------ some of the columns

    def chosen(self, columns: Sequence[str | int] | None, ignore: Sequence[str | int]) -> list[int]:
        """Places of columns that are asked for, by name or by number, of those that are kept."""
        left = {k for name in ignore for k in self._named(name) or [self.place(name)]}
        kept = range(self.skip, self.width) if columns is None else map(self.place, columns)
        found = [k for k in kept if k not in left]
        if not found:
            raise self.source.error("there is no column left; ignore fewer")
        return found

    def _named(self, name: str | int) -> list[int]:
        """The places of the columns of this name."""
        names = self.names if self.has_header and isinstance(name, str) else []
        return [self.skip + k for k, own in enumerate(names) if own == name]

    def place(self, name: str | int) -> int:
        """The place of the column of this name, or of this number."""
        if found := self._named(name):
            if len(found) > 1:
                raise self._twice(str(name))
            return found[0]
        names = self.names if self.has_header else []
        if str(name).isdecimal() and str(name).isascii() and int(name) < self.width - self.skip:
            return self.skip + int(name)
        if names:
            raise self.source.error(unknown_column(name, names))
        raise self.source.error(f"there is no column {name!r}; there are 0 … {self.width - 1}, and no header")

    def check_names(self, places: Sequence[int]) -> None:
        """Refuse columns of one name, or of none, where names matter."""
        names = [self.first[k] for k in places]
        if (twice := repeated(names)) is not None:
            raise self._twice(twice) if twice else self._unnamed(names)
        if "" in names and "" not in self.known:
            raise self._unnamed(names)

    def check_different(self, places: Sequence[int]) -> None:
        """Refuse columns of one name; those without one are told apart by their places."""
        names = [name for k in places if (name := self.first[k])] if self.has_header else []
        if len({*names}) < len(names):
            raise self._twice(repeated(names) or "")

    def _unnamed(self, names: list[str]) -> FormatError:
        place = names.index("") + 1
        return self.source.error(
            f"column {place} has no name; name it in the header, or ignore it by its number, from 0",
            self.line_of_header(),
        )

    def _twice(self, name: str) -> FormatError:
        return self.source.error(f"two columns have the name {shown(name)}; rename one of them", self.line_of_header())


def sheet(source: Source, *, headless: bool = False, header: bool = False) -> Sheet:
    """A file as a sheet; `headless`, it never has a header, with `header` always."""
    source = _in_utf8(source)
    found = dialect(source)
    rows = _rows(source, found, 1 if header else None)  # a header may be one name, and that empty
    first = next(rows, None)
    if not first or source.data.isspace():
        raise source.error("the file is empty")
    below = lru_cache(1)(lambda: next(rows, []))  # the second row, where it is needed
    if headless or not (header or _holds_names(first, found, below)):
        return Sheet(source, found, first, False)
    short = found.delimiter in "\t " and _is_short(first, below())
    return Sheet(source, found, ["", *first] if short else first, True, short)


def _in_utf8(source: Source) -> Source:
    """A file in UTF-8; of UTF-16 with its mark."""
    if source.data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # Excel's "Unicode text"
        source = replace(source, data=source.text().encode("utf-8-sig"))
    if (place := source.data.find(b"\0")) >= 0:
        line = 1 + source.data.count(b"\n", 0, place)
        raise source.error("holds a byte 0, as UTF-16 without its mark does; save the file as UTF-8", line)
    return source


def _holds_names(first: list[str], found: Dialect, below: Callable[[], Sequence[str]]) -> bool:
    return is_header([cell.replace(",", ".") for cell in first] if found.comma else first, below)


def _is_short(first: list[str], second: list[str]) -> bool:
    """Whether only the rows begin with names, as R's write.table leaves the header: one cell shorter."""
    return len(second) == len(first) + 1 and second[-1] != ""


def is_header(row: list[str], below: Callable[[], Sequence[str]] = list) -> bool:
    """Whether a first row holds names: no number among them, or 0, 1, 2, … as pandas counts, or names and numbers.

    In a mixture all must differ, the numbers be whole and the names begin with a letter: else it is a row with a slip.
    A name above text, in the row `below`, is one only where the numbers are equally far apart, as years are.

    >>> is_header(["rain", "wind"]), is_header(["", "1998", "1999", "all"]), is_header(["0", "1", "2"])
    (True, True, True)
    >>> is_header(["0", "1", "1"]), is_header(["0", "l", "1", "1"]), is_header(["5", "7x"]), is_header(["?", ""])
    (False, False, False, False)
    >>> is_header(["land", "1998", "1999"], lambda: ["Peru", "1", "2"]), is_header(["yes", "23"], lambda: ["no", "31"])
    (True, False)
    """
    if _counts(row if row[0] else row[1:]):
        return True
    if all_numbers(row):
        return False
    numbers = {*filter(is_number, filter(may_be_number, row))}
    if not (values := {*filter(is_value, numbers)}):
        return True
    names = {*row} - numbers
    slips = len(numbers) + len(names) < len(row) or not all(map(str.isdigit, values))
    if slips or not all(name[0].isalpha() for name in names):
        return False
    return _are_apart(sorted(map(int, values))) or not _is_text_below(row, names, below())


def _is_text_below(row: list[str], names: Collection[str], second: Sequence[str]) -> bool:
    """Whether below a name there is text as well, so that the name may be text among text."""
    return any(name in names and not is_number(cell) for name, cell in zip(row, second, strict=False))


def _are_apart(numbers: list[int]) -> bool:
    """Whether numbers are equally far from one to the next."""
    return len({b - a for a, b in pairwise(numbers)}) == 1


def _counts(row: list[str]) -> bool:
    return (
        len(row) > 2
        and row[:2] == ["0", "1"]
        and row[-1] == str(len(row) - 1)
        and row == list(map(str, range(len(row))))
    )


def _reader(source: Source, found: Dialect) -> Any:
    data = io.BytesIO(source.data)
    data.seek(found.start)
    text = io.TextIOWrapper(data, encoding="utf-8-sig", newline="")
    return csv.reader(text, delimiter=found.delimiter, strict=True, skipinitialspace=True)


def _is_row(cells: list[str], width: int | None) -> bool:
    """Whether a line is no blank one; an empty cell in quotes is a row of one column."""
    return len(cells) > 1 or (bool(cells) and (width == 1 or bool(cells[0].strip())))


def _begun(source: Source, found: Dialect) -> int:
    """The line on which the row begins that cannot be read."""
    reader, line = _reader(source, found), 1
    with suppress(csv.Error):
        for _ in reader:
            line = reader.line_num + 1
    return line


def _rows(source: Source, found: Dialect, width: int | None = None) -> Iterator[list[str]]:
    """The rows that are not blank."""
    reader = _reader(source, found)
    try:
        yield from (cells for cells in reader if len(cells) > 1 or _is_row(cells, width))
    except csv.Error as error:
        line, told = reader.line_num, f"not CSV: {error}"
        if "limit" in str(error) or "end of data" in str(error):
            line, told = _begun(source, found), "a quote opens here and does not end; within quotes, double a quote"
            told = told if b'"' in source.data else f"a cell is longer than {csv.field_size_limit()} characters"
        raise source.error(told, line + source.data.count(b"\n", 0, found.start)) from None
    except UnicodeDecodeError:
        source.text()  # says where
        raise
