"""Files of rows: which of their columns are read, and how what was found goes back to where it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

import tractable as tr
from tractable.cli import _text
from tractable.cli._places import check_table
from tractable.formats import write_evidence
from tractable.formats._base import FormatError, Source
from tractable.formats._pipes import STANDARD, TEXT, is_pipe, kind_of, put, source_of
from tractable.formats.data import column_names, located

WRITTEN = (".bif", ".safetensors", ".uai", ".xml", ".xmlbif")
"""The extensions of networks."""

NAMED = (".csv", ".parquet")
"""Those that hold names of columns."""

OUTPUTS = (".csv", ".data", ".evid", ".npy", ".npz", ".parquet")
"""The extensions of rows that are written."""

Texts = list[str] | None
"""An option that may be given several times: a later one adds to the earlier ones, and takes nothing away."""


@dataclass(frozen=True)
class Picked:
    """Which columns of the data are read."""

    columns: Annotated[
        Texts, typer.Option(metavar="A,B", help="Only these columns of the data, by name or by number from 0.")
    ] = None
    ignore: Annotated[
        Texts, typer.Option(metavar="A,B", help="Columns of the data to leave out, by name or by number.")
    ] = None

    @property
    def asked(self) -> dict[str, Any]:
        """The columns as readers take them."""
        return {"columns": _text.names(self.columns) or None, "ignore": _text.names(self.ignore)}

    def array(self, path: Any) -> np.ndarray:
        """The rows in a file, of numbers."""
        return tr.read_data(path, **self.asked)

    def rows(self, path: Any) -> Any:
        """The rows in a file, by name where it has names."""
        return tr.read_columns(path, **self.asked)

    def learned(self, path: Any, read: Callable[..., Any] = tr.read_columns) -> Learned:
        """The rows in a file with all columns where these have names: a model is made of some, and knows the rest.

        What cannot be read, such as a column without a name, may be left out, and then the model knows nothing of it.
        """
        path = once(path)
        names = column_names(path) or []
        if names:
            with suppress(FormatError):
                return Learned(read(path), names, self.asked, path)
        return Learned(read(path, **self.asked), names, {}, path)

    def states(self, net: Any, path: Any) -> Any:
        """The rows in a file of states of a network: cases, or an array of all variables."""
        plain = path.lower().removesuffix(".gz") if isinstance(path, str) else ""
        is_array = plain.endswith(".npy") or ".npz" in plain
        return self.array(path) if is_array else tr.read_evidence(path, net, **self.asked)


class Learned(NamedTuple):
    """What a model is made of: rows, the names of all columns of their file, and which of the rows' are asked for."""

    rows: Any
    names: list[str]
    asked: dict[str, Any]
    path: Any = None

    @property
    def picked(self) -> Any:
        """The rows with the columns that are asked for, those to ignore whether they are there or not."""
        if not self.asked:
            return self.rows
        known = known_columns(self.names)
        chosen: list[str] | None = self.asked["columns"]
        wanted = chosen and [known.get(name, name) for name in chosen]
        left = [known[name] for name in self.asked["ignore"] if name in known]
        return tr.select(self.rows, wanted, left)

    def numbers(self, model: Any) -> np.ndarray:
        """The rows as numbers of the visible units of a model, which may have names for columns and states."""
        with values_of(self.path):
            return model.units[model.groups[0]].numbers(self.picked)


def known_columns(names: Iterable[str]) -> dict[str, str]:
    """The columns of a file by name, and by number where none has that name."""
    return {str(j): name for j, name in enumerate(names)} | {name: name for name in names}


def columns_in(model: Any) -> Any:
    """The names of columns and states that a model has, of a machine those of its visible units; None without."""
    visible = getattr(model, "units", {}).get("visible")
    return getattr(model if visible is None else visible, "columns", None)


@contextmanager
def values_of(path: Any) -> Iterator[None]:
    """An error about values, where a model looks at them, says which file they are in, and of a row which line."""
    try:
        yield
    except tr.ModelError as error:
        if type(error) is not tr.ModelError:  # what the model lacks is not the file's fault
            raise
        raise located(path, error) from None


def once(path: Any) -> Any:
    """The content of a pipe, which can be read only once; any other file as it is."""
    return source_of(path) if isinstance(path, str) and is_pipe(path) else path


# ---------------------------------------------------------------- out


def check_output(model: Any, output: str, json: bool) -> None:
    """Refuse a place for rows before they are found: one that is not written, or where JSON goes too."""
    check_table(model, output)
    if json and output == STANDARD:
        raise typer.BadParameter("--json and --output - both go to the standard output; leave out one of them")


def told(common: Any, output: str, n: int) -> None:
    """Say how many rows were written; beside rows on the standard output, on the standard error."""
    if output != STANDARD:
        common.tell(f"wrote {output}: {n:,} row{'s' if n > 1 else ''}")
    elif not common.quiet:
        typer.echo(f"wrote {n:,} row{'s' if n > 1 else ''}", err=True)


def as_text(model: Any, path: str) -> Source | None:
    """The content of a file of text, which is read again to be written with its gaps filled; None of any other."""
    known = TEXT if model.family != "tables" else (".csv",)  # states have names above
    plain = path.lower().removesuffix(".gz")
    return source_of(path) if is_pipe(path) or plain.endswith(known) else None


def write_rows(model: Any, found: Any, output: str) -> int:
    """Write rows as a verb gave them; returns their number."""
    rows = by_name(model, found)
    if isinstance(rows, Mapping) and kind_of(output, OUTPUTS) == ".evid":
        write_evidence(cases_of(rows), output, model)
    else:
        tr.write_data(output, rows)
    return len(next(iter(rows.values()))) if isinstance(rows, Mapping) else len(rows)


def write_filled(model: Any, found: Any, path: str, source: Source | None, cut: Any, output: str) -> int:
    """Write the rows of a file with its gaps filled; text as it stood there, columns that were not read too."""
    rows = by_name(model, found)
    if source is not None and kind_of(output, OUTPUTS) in TEXT:
        return _write_text(model, rows, source, cut, output)
    if isinstance(rows, Mapping) and kind_of(output, OUTPUTS) in NAMED:
        read_again: Any = source or path
        whole = tr.read_columns(read_again)  # what was not read goes along
        rows = {**(whole if isinstance(whole, Mapping) else {}), **rows}
    return write_rows(model, rows, output)


def _write_text(model: Any, rows: Any, source: Source, cut: Any, output: str) -> int:
    from tractable.formats.data.text import opened
    from tractable.formats.evidence_csv import states_sheet
    from tractable.formats.filling import Filled, filled

    found = states_sheet(source, model.states) if model.family == "tables" else opened(source)
    states = _states_of(model)
    if not isinstance(rows, Mapping):
        places = found.chosen(cut.asked["columns"], [*cut.asked["ignore"], *cut.marks])
        put(output, filled(found, {place: Filled(rows[:, k]) for k, place in enumerate(places)}, {}))
        return len(rows)
    own = {name if name in rows else name.strip(): place for place, name in enumerate(found.first)}
    columns = {own[name]: Filled(cells, states.get(name, ())) for name, cells in rows.items() if name in own}
    put(output, filled(found, columns, {name: cells for name, cells in rows.items() if name not in own}))
    return len(next(iter(rows.values())))


def _states_of(model: Any) -> Mapping[str, Sequence[str]]:
    """The names of states of variables or columns, where a model has them."""
    if model.family == "tables":
        return model.states
    return getattr(columns_in(model), "categories", {})


def by_name(model: Any, found: Any) -> Any:
    """What a verb gave as columns by name, or as an array: sequences one after another, cases as columns."""
    from tractable.models.rows import columns_of, is_named
    from tractable.models.sequences import are_many

    if isinstance(found, list) and are_many(found):
        parts = [by_name(model, part) for part in found]
        if isinstance(parts[0], Mapping):
            return {name: np.concatenate([np.asarray(part[name], object) for part in parts]) for name in parts[0]}
        return np.concatenate(parts)
    if is_named(found):
        return columns_of(found)
    if model.family == "tables":
        return dict(zip(model.states, np.asarray(found).T, strict=True))
    return found


def cases_of(rows: Mapping[str, Any]) -> list[dict[str, str]]:
    """Columns of states as cases."""
    return [
        {name: str(state) for name, state in zip(rows, row, strict=True) if state is not None}
        for row in zip(*rows.values(), strict=True)
    ]
