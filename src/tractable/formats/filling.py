"""A text file with its gaps filled: everything else means what it meant, columns that nobody reads too."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tractable.formats._quoting import cell_of, text_of_rows
from tractable.formats._sheet import Sheet
from tractable.models.values import MISSING_WORDS


@dataclass(frozen=True)
class Filled:
    """The values of a column, and the names of its states: no sign of a gap where one of them is called so."""

    values: Sequence[Any]
    states: Iterable[str] = ()

    def gaps(self) -> Callable[[str], bool]:
        """What says of a cell whether it is empty."""
        signs = MISSING_WORDS - {state.strip().casefold() for state in self.states}
        return lambda cell: cell.strip().casefold() in signs


def filled(found: Sheet, columns: Mapping[int, Filled], more: Mapping[str, Sequence[Any]]) -> bytes:
    """The file with values in the gaps of some columns, and `more` columns behind its own, in UTF-8.

    Parameters
    ----------
    columns : place of a column → its values.
    """
    fill = [(place, column.gaps(), column.values) for place, column in columns.items()]
    rows = [[*found.first, *more]] if found.has_header else []
    for i, row in enumerate(found.rows()):
        cells = list(row)
        for place, is_gap, values in fill:
            if is_gap(cells[place]):
                cells[place] = cell_of(values[i], found.dialect.comma)
        rows.append(cells + [cell_of(values[i], found.dialect.comma) for values in more.values()])
    return _around(found, rows)


def _around(found: Sheet, rows: Iterable[Sequence[str]]) -> bytes:
    """The rows with what stands around the cells of the file: a mark, a line that names the delimiter, line ends."""
    data = found.source.data
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""  # by which Excel knows the encoding
    windows = data.endswith(b"\r\n") or (b"\r\n" in data and not data.endswith(b"\n"))
    text = text_of_rows(rows, found.dialect.delimiter, "\r\n" if windows else "\n")
    return mark + data[len(mark) : found.dialect.start] + text.encode()
