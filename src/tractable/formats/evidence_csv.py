"""Evidence as CSV: a header of variable names, one case per row, states by the rule of `models.values`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tractable.formats._asked import AskedColumns
from tractable.formats._base import FormatError, Source, States, encoded
from tractable.formats._cells import with_point
from tractable.formats._quoting import text_of_rows
from tractable.formats._sheet import Sheet, sheet
from tractable.models import ModelError
from tractable.models._base import unknown_state, unknown_variable
from tractable.models.values import StateReader, state_reader

_ROWS = 256
"""Rows that are read at a time."""


def read(
    source: Source, states: States, columns: AskedColumns = None, ignore: Sequence[str | int] = ()
) -> list[dict[str, str]]:
    """The cases in a CSV file."""
    found = states_sheet(source, states)
    names, places = variables(found, states, columns, ignore)
    known = [_States(state_reader(name, tuple(states[name])), found.dialect.comma) for name in names]
    cases: list[dict[str, str]] = []
    for batch in found.batches(_ROWS):
        across, start = list(zip(*batch, strict=True)), len(cases)
        try:
            read = [map(cells.__getitem__, across[place]) for cells, place in zip(known, places, strict=True)]
            for states_of_row in zip(*read, strict=True):
                cases.append({name: s for name, s in zip(names, states_of_row, strict=True) if s is not None})
        except ModelError:
            raise _bad_cell(found, batch, known, places, start) from None
    return cases


def states_sheet(source: Source, states: States) -> Sheet:
    """A file of states as a sheet: it always has a header."""
    if not source.data or source.data.isspace():
        raise source.error("the file is empty; expected a header of variable names")
    return replace(sheet(source, header=True), known=frozenset(states))


def variables(
    found: Sheet, states: States, columns: AskedColumns, ignore: Sequence[str | int]
) -> tuple[list[str], list[int]]:
    """The variables that have columns, and the places of these.

    Raises
    ------
    FormatError : a column that is no variable, two of one name.
    """
    places = found.chosen(columns, ignore)
    found.check_names(places)
    names = [_variable(found, found.first[k], states) for k in places]
    return names, places


def _variable(found: Sheet, name: str, states: States) -> str:
    for own in (name, name.strip()):
        if own in states:
            return own
    told = f"{unknown_variable(name, states)}; leave its column out with ignore= (--ignore {name})"
    raise found.source.error(told, found.line_of_header())


class _States(dict[str, "str | None"]):
    """Cell → name of its state, None where it is missing; each different cell is read once."""

    def __init__(self, reader: StateReader, comma: bool):
        super().__init__({name: name for name in reader.names})
        self.reader, self.comma = reader, comma

    def __missing__(self, cell: str) -> str | None:
        code = self.reader.code(with_point(cell, self.comma))
        state = None if code < 0 else self.reader.names[code]
        if len(self) < 2**16:
            self[cell] = state
        return state


def _bad_cell(
    found: Sheet, batch: list[list[str]], known: Sequence[_States], places: Sequence[int], done: int
) -> FormatError:
    for row, cells in enumerate(batch):
        for reader, place in zip(known, places, strict=True):
            try:
                reader[cells[place]]
            except ModelError as error:
                return found.source.error(error, found.line(done + row))
    raise AssertionError("some cell is bad")


# ---------------------------------------------------------------- writing


def write(cases: Sequence[Mapping[str, str]], states: States) -> bytes:
    """Cases as CSV, with a column for each variable that is observed in some case."""
    if not states:
        raise ModelError("the model has no variables for a header; write .evid instead")
    _check_states(cases, states)
    observed = {name for case in cases for name in case}
    header = [name for name in states if name in observed] or list(states)[:1]
    _check_gaps(header, cases, states)
    rows = ([case.get(name, "") for name in header] for case in cases)
    text = text_of_rows([header, *rows])
    if "\0" in text:
        raise ModelError("a name holds the character 0, which no CSV may; write .evid instead")
    return encoded(text)


def _check_gaps(header: Sequence[str], cases: Sequence[Mapping[str, str]], states: States) -> None:
    """Refuse an empty cell where that is a state."""
    for name in header:
        if any(not state.strip() for state in states[name]) and any(name not in case for case in cases):
            raise ModelError(f"{name!r} has a state without a name, in CSV a sign for unobserved; write .evid instead")


def _check_states(cases: Sequence[Mapping[str, str]], states: States) -> None:
    for case in cases:
        for name, state in case.items():
            if name not in states:
                raise unknown_variable(name, states)
            if state not in states[name]:
                raise unknown_state(name, state, states[name])
