"""Evidence as CSV: a header of variable names, one case per row, an empty cell for what is unobserved."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from tractable.formats._base import Source, States, encoded, repeated, shown
from tractable.models import ModelError
from tractable.models._base import unknown_state, unknown_variable


def read(source: Source, states: States) -> list[dict[str, str]]:
    """The cases in a CSV file."""
    rows = _rows(source)
    line, header = next(rows, (1, []))
    if not header:
        raise source.error("the file is empty; expected a header of variable names")
    for name in header:
        if name not in states:
            raise source.error(unknown_variable(name, states), line)
    if (twice := repeated(header)) is not None:
        raise source.error(f"variable {shown(twice)} is observed twice: it has two columns; keep one", line)
    known = {name: frozenset(states[name]) for name in header}
    return [_case(source, line, row, known, states) for line, row in rows]


def _case(
    source: Source, line: int, row: list[str], known: Mapping[str, frozenset[str]], states: States
) -> dict[str, str]:
    if len(row) != len(known):
        raise source.error(f"expected {len(known)} cells, found {len(row)}", line)
    case = {name: cell for name, cell in zip(known, row, strict=True) if cell}
    for name, state in case.items():
        if state not in known[name]:
            raise source.error(unknown_state(name, state, states[name]), line)
    return case


def _rows(source: Source) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with its line."""
    lines = csv.reader(io.StringIO(source.text(), newline=""), strict=True)
    try:
        for row in lines:
            if row:
                yield lines.line_num, row
    except csv.Error as error:
        raise source.error(f"not CSV: {error}", lines.line_num) from None


def write(cases: Sequence[Mapping[str, str]], states: States) -> bytes:
    """Cases as CSV, with a column for each variable that is observed in some case."""
    if not states:
        raise ModelError("the model has no variables for a header; write .evid instead")
    observed = {}
    for case in cases:
        for name, state in case.items():
            _check(name, state, states)
        observed |= case
    header = [name for name in states if name in observed] or list(states)[:1]
    return _table([header, *([case.get(name, "") for name in header] for case in cases)])


def _table(rows: Sequence[Sequence[str]]) -> bytes:
    # The csv module leaves a carriage return bare, and would read it as the end of a row.
    quoting = csv.QUOTE_ALL if any("\r" in cell for row in rows for cell in row) else csv.QUOTE_MINIMAL
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n", quoting=quoting).writerows(rows)
    return encoded(out.getvalue())


def _check(name: str, state: str, states: States) -> None:
    if name not in states:
        raise unknown_variable(name, states)
    if state not in states[name]:
        raise unknown_state(name, state, states[name])
    if not state:
        raise ModelError(f"a state of {name!r} has an empty name, in CSV a sign for unobserved; write .evid instead")
