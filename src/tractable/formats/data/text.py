"""Text: columns of numbers or of words, in memory in proportion to the file; a fast way for plain lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from tractable.formats._base import FormatError, Source, encoded, shown, written
from tractable.formats._cells import (
    CellNumbers,
    has_decimal_comma,
    is_truth,
    is_value,
    may_be_number,
    number,
    with_point,
)
from tractable.formats._quoting import cell_of, text_of_rows
from tractable.formats._sheet import Sheet, is_header, sheet
from tractable.models._base import ModelError
from tractable.models.frames import as_array
from tractable.models.rows import Rows
from tractable.models.values import is_missing_word

_CELLS = 2**18
"""Cells turned into numbers at a time."""

_BYTES = 2**20
"""Bytes turned into numbers at a time in the fast way."""

_DIGITS = 9
"""Digits of a whole number that is read digit by digit."""

_GROUPED = re.compile(r"[+-]?\d{1,3}(([,\u00a0 ']\d{3})+(\.\d+)?|([.\u00a0 ']\d{3})+(,\d+)?)")
_MARKS = "numbers have commas, or marks between thousands, that are not the same everywhere; write 1234.5"


def opened(source: Source) -> Sheet:
    """A file as a sheet: one that ends in ``.data`` has no header."""
    return sheet(source, headless=source.path.lower().removesuffix(".gz").endswith(".data"))


# ---------------------------------------------------------------- numbers


def numbers(found: Sheet, places: Sequence[int]) -> np.ndarray:
    """Some columns of a sheet as a table: bytes where all cells are 0 or 1, else float64."""
    found.check_different(places)
    blocks = _fast(found, places) or _thorough(found, places)
    if not blocks:
        raise found.source.error("has a header, but no rows")
    return np.concatenate(blocks)


def _narrow(values: np.ndarray) -> np.ndarray:
    """The values as bytes if they are all 0 or 1; −0 is neither, so that its sign does not depend on its block."""
    bits = ((values == 0) | (values == 1)).all() and not np.signbit(values).any()
    return values.astype(np.uint8) if bits else values


def _picked(places: Sequence[int], width: int) -> Any:
    """What takes the columns at these places out of a row of a list."""
    if list(places) == list(range(width)):
        return None
    return itemgetter(*places) if len(places) > 1 else lambda row: (row[places[0]],)


def _batches(found: Sheet, places: Sequence[int]) -> Iterator[list[Sequence[str]]]:
    """The rows of these columns, some at a time."""
    pick = _picked(places, found.width)
    for batch in found.batches(max(1, _CELLS // found.width)):
        yield list(map(pick, batch)) if pick else batch  # type: ignore[misc]


def _thorough(found: Sheet, places: Sequence[int]) -> list[np.ndarray]:
    """All rows in blocks, through the csv module."""
    blocks, cells, done = [], CellNumbers(found.dialect.comma), 0
    for batch in _batches(found, places):
        try:
            values = _converted(found, chain.from_iterable(batch), cells)
        except ValueError:
            values = None
        if values is None:
            raise _bad_cell(found, batch, places, done)
        blocks.append(_narrow(values.reshape(len(batch), -1)))
        done += len(batch)
    return blocks


def _converted(found: Sheet, cells: Iterator[Any], known: CellNumbers) -> np.ndarray:
    """All cells as numbers; a ValueError if one is none."""
    texts = list(cells)
    if not found.dialect.comma:
        try:
            values = np.fromiter(map(float, texts), np.float64, len(texts))
            if not np.isinf(values).any() and not any("_" in text for text in texts):
                return values
        except ValueError:
            pass
    return np.fromiter(map(known.__getitem__, texts), np.float64, len(texts))


def _bad_cell(found: Sheet, batch: list[Sequence[str]], places: Sequence[int], done: int) -> FormatError:
    for row, cells in enumerate(batch):
        for column, cell in zip(places, cells, strict=True):
            try:
                number(cell, found.dialect.comma)
            except ValueError as error:
                marks = found.dialect.both_marks and has_decimal_comma(cell)
                return found.error(done + row, column, _MARKS if marks else f"{error}{_remedy(found, cell)}")
    raise AssertionError("some cell is bad")


def _remedy(found: Sheet, cell: str) -> str:
    """What to do about a cell of words among numbers."""
    if not cell.strip()[:1].isalpha():
        return ""
    if not found.has_header:
        return "; names of columns belong into a row above"
    return "; a column of words is left out with ignore= (--ignore), or read by read_columns"


# ---------------------------------------------------------------- the fast way


def _fast(found: Sheet, places: Sequence[int]) -> list[np.ndarray] | None:
    """All rows in blocks if they hold numbers and missing cells, without quotes; else None."""
    data, delimiter = found.source.data, found.dialect.delimiter.encode()
    if found.dialect.comma or delimiter == b" " or found.is_short or found.dialect.start:
        return None
    data = data.replace(b"\r\n", b"\n")
    data = data if data.endswith(b"\n") else data + b"\n"
    start = data.index(b"\n") + 1 if found.has_header else 0
    if found.has_header and (b"\r" in data[:start] or data[:start].count(delimiter) + 1 != found.width):
        return None  # the header is not just the first line
    return _blocks(data, start, partial(_block, width=found.width, delimiter=ord(delimiter)), places)


def _blocks(data: bytes, start: int, read: Any, places: Sequence[int]) -> list[np.ndarray] | None:
    blocks = []
    while start < len(data):
        end = data.rfind(b"\n", start, start + _BYTES) + 1 or data.index(b"\n", start) + 1
        values = read(data[start:end])
        if values is None:
            return None
        blocks.append(_narrow(values if len(places) == values.shape[1] else values[:, list(places)]))
        start = end
    return blocks


def _block(data: bytes, width: int, delimiter: int) -> np.ndarray | None:
    """The numbers in lines of bytes; None if something else turns up."""
    for word in (b"NaN", b"nan", b"NA"):  # a cell becomes ? only if it was the whole word
        data = data.replace(word, b"?")
    block = np.frombuffer(data, np.uint8)
    line_ends = block == ord("\n")
    ends = np.flatnonzero(line_ends | (block == delimiter))
    lengths = np.diff(ends, prepend=-1) - 1
    n_lines = len(ends) // width
    if len(ends) % width or np.count_nonzero(line_ends) != n_lines or not line_ends[ends[width - 1 :: width]].all():
        return None
    if width == 1 and not lengths.all():  # a blank line is no row
        return None
    lengths[(lengths == 1) & (block[ends - 1] == ord("?"))] = 0
    values = _whole(block, ends, lengths) if lengths.max() <= _DIGITS else None
    values = _plain(data, bytes([delimiter]), lengths) if values is None else values
    return None if values is None else values.reshape(-1, width)


def _whole(block: np.ndarray, ends: np.ndarray, lengths: np.ndarray) -> np.ndarray | None:
    """Whole numbers, digit by digit for all cells at once."""
    values = np.zeros(len(ends))
    values[lengths == 0] = np.nan
    for place in range(lengths.max()):
        longer = np.flatnonzero(lengths > place)
        digits = block[ends[longer] - 1 - place] - np.uint8(ord("0"))
        if (digits > 9).any():
            return None
        values[longer] += digits * 10.0**place
    return values


def _plain(data: bytes, delimiter: bytes, lengths: np.ndarray) -> np.ndarray | None:
    """CellNumbers of any form, cell by cell."""
    if b"_" in data or b'"' in data or b"\r" in data or not data.isascii():
        return None
    cells = data.replace(b"\n", delimiter).split(delimiter)
    cells.pop()
    if not lengths.all():
        missing = np.flatnonzero(lengths == 0)
        for k in missing.tolist():
            cells[k] = b"nan"
    try:
        values = np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        return None
    return None if np.isinf(values).any() else values


# ---------------------------------------------------------------- columns of numbers or words


def columns(found: Sheet, places: Sequence[int]) -> Rows:
    """Some columns of a sheet by name: arrays of numbers where all cells are numbers or missing, else of text.

    Whole numbers without gaps are integers, columns of nothing but true and false booleans. Text has None for gaps.
    """
    found.check_names(places)
    wordy: set[int] = set()
    table = _table_and_words(found, places, wordy)
    words = _words(found, [places[k] for k in sorted(wordy)])
    texts = dict(zip(sorted(wordy), words, strict=True))
    rest = _narrowest(table) if table is not None else []
    return Rows({found.first[place]: texts[k] if k in texts else rest[k] for k, place in enumerate(places)})


def _table_and_words(found: Sheet, places: Sequence[int], wordy: set[int]) -> np.ndarray:
    """All cells as numbers, and which columns hold some that are none."""
    if blocks := _fast(found, places):
        return np.concatenate(blocks)
    blocks, cells = [], _Loose(found.dialect.comma)
    for batch in _batches(found, places):
        texts = list(chain.from_iterable(batch))
        values = np.fromiter(map(cells.__getitem__, texts), np.float64, len(texts))
        odd = np.flatnonzero(np.isnan(values)).tolist()
        wordy |= {k % len(places) for k in odd if not is_missing_word(texts[k])}
        blocks.append(values.reshape(len(batch), -1))
    if not blocks:
        raise found.source.error("has a header, but no rows")
    return np.concatenate(blocks)


class _Loose(CellNumbers):
    """The same with NaN for what is no number; true and false are words here."""

    def __missing__(self, cell: str) -> float:
        try:
            value = number(cell, self.comma) if may_be_number(cell) and not is_truth(cell) else np.nan
        except ValueError:
            value = np.nan
        if len(self) < 2**16:
            self[cell] = value
        return value


def _words(found: Sheet, places: Sequence[int]) -> list[np.ndarray]:
    """Columns of text, read once more."""
    if not places:
        return []
    parts: list[list[str | None]] = [[] for _ in places]
    known = _Words(found.dialect.comma)
    for batch in _batches(found, places):
        for part, column in zip(parts, zip(*batch, strict=True), strict=True):
            part.extend(map(known.__getitem__, column))
    return [_typed(found, place, part) for place, part in zip(places, parts, strict=True)]


class _Words(dict):
    """Cell → the text that stands for all cells like it, None where it is missing; a number has a point."""

    def __init__(self, comma: bool):
        super().__init__()
        self.comma = comma

    def __missing__(self, cell: str) -> str | None:
        text = with_point(cell.strip(), self.comma)
        value = None if is_missing_word(text) else text
        if len(self) < 2**16:
            self[cell] = value
        return value


def _typed(found: Sheet, place: int, cells: list[str | None]) -> np.ndarray:
    """Booleans where there is nothing else, else text."""
    there = {cell for cell in cells if cell is not None}
    if all(map(is_truth, there)):
        truth = {cell: cell.casefold() == "true" for cell in there}
        values = list(map(truth.get, cells))  # type: ignore[arg-type]
        return as_array(values) if None in values else np.array(values)
    if any(map(_is_marked, there)) and all(_is_marked(cell) or is_value(cell) for cell in there):
        raise found.source.error(
            f"column {place + 1} ({shown(found.first[place])}): {_MARKS}; or ignore the column", found.line_of_header()
        )
    return as_array(cells)


def _is_marked(cell: str) -> bool:
    """Whether a cell is a number with a comma, or with marks between its thousands."""
    return has_decimal_comma(cell) or _GROUPED.fullmatch(cell) is not None


def _narrowest(table: np.ndarray) -> list[np.ndarray]:
    """The columns of a table, whole numbers as such."""
    if table.dtype == np.uint8:
        return list(np.ascontiguousarray(table.T).astype(np.int64))
    across = np.ascontiguousarray(table.T)
    with np.errstate(invalid="ignore"):
        whole = ((across == np.floor(across)) & (np.abs(across) < 2**53)).all(axis=1)
    if whole.all():
        return list(across.astype(np.int64))
    return [column.astype(np.int64) if is_whole else column for column, is_whole in zip(across, whole, strict=True)]


# ---------------------------------------------------------------- writing


def write(table: np.ndarray) -> bytes:
    """A table as CSV without a header."""
    if ((table == 0) | (table == 1)).all():
        return _bits(table)
    lines = [written(row, ",") for row in table]
    if is_header(lines[0].split(",")):  # a row that counts 0, 1, 2, … would be read as names
        lines[0] = written(table[0].astype(np.float64), ",")
    return ("\n".join(lines).replace("nan", "NaN") + "\n").encode()


def write_columns(columns: Mapping[str, Any], has_header: bool = True) -> bytes:
    """Columns of numbers and text with their names above."""
    names = list(columns)
    if has_header and (not all(names) or not is_header(names)):
        told = ", ".join(names[:8]) or "none"
        raise ModelError(f"as the first row of a text file, these names of columns would be taken for data: {told}")
    cells = [map(cell_of, np.asarray(c).tolist() if isinstance(c, np.ndarray) else c) for c in columns.values()]
    rows = zip(*cells, strict=True)
    return encoded(text_of_rows(chain([names] if has_header else [], rows)))


def _bits(table: np.ndarray) -> bytes:
    out = np.full((len(table), 2 * table.shape[1]), ord(","), np.uint8)
    out[:, ::2] = table
    out[:, ::2] += ord("0")
    out[:, -1] = ord("\n")
    return out.tobytes()
