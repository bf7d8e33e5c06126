"""How the rows of a file are cut into sequences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
import typer

import tractable as tr
from tractable.cli._table_files import Learned, Picked, columns_in, values_of

Text = str | None
SEQUENTIAL = ("hidden_markov", "factorial_hidden_markov")
"""The families of sequences."""


@dataclass(frozen=True)
class Cutting:
    """How the rows of a file are cut into sequences; without either they are one."""

    lengths: Annotated[
        Text, typer.Option(metavar="FILE", help="Number of rows of each sequence: a file of numbers (text or .npy).")
    ] = None
    by: Annotated[Text, typer.Option(metavar="COLUMN", help="Column whose value changes with the sequence.")] = None

    def check_single(self, model: Any) -> None:
        """Refuse cuts of rows that stand for themselves."""
        if self.lengths or self.by:
            raise tr.ModelError(f"a {type(model).__name__} is a model of single rows: leave out --lengths and --by")

    @property
    def marks(self) -> list[str]:
        """The column that is no data."""
        return [] if self.by is None else [self.by]

    @property
    def files(self) -> dict[str, Text]:
        """The file that is read besides the rows, by the option that names it."""
        return {"--lengths": self.lengths}

    def read(self, path: Any, chosen: Picked) -> tr.Sequences:
        """The sequences in a file."""
        return tr.read_sequences(path, lengths=self.lengths, by=self.by, **chosen.asked)

    def learned(self, path: str, chosen: Picked) -> Learned:
        """The sequences in a file, and what a model is made of."""
        if path.lower().removesuffix(".gz").endswith(".json"):
            return Learned(self.read(path, chosen), [], {}, path)
        return chosen.learned(path, partial(tr.read_sequences, lengths=self.lengths, by=self.by))


@dataclass(frozen=True)
class Cut(Picked, Cutting):
    """What is read of a file, and how it is cut."""

    def data(self, model: Any, path: Any, missing: bool = True) -> Any:
        """What a model takes: sequences where it is one of sequences, cases of a network, else rows."""
        if model.family in SEQUENTIAL:
            return self.read(path, self)
        self.check_single(model)
        if model.family == "tables":
            return self.states(model, path)
        return rows_for(model, path, self, missing)


def rows_for(model: Any, path: Any, chosen: Picked, missing: bool = True) -> Any:
    """The rows in a file, by name where the model has names; those of units are looked at, with the file's name."""
    rows = chosen.rows(path) if model.family == "mixture" or _has_names(model) else chosen.array(path)
    if hasattr(model, "groups"):
        checked_numbers(model, rows, path, missing)
    return rows


def _has_names(model: Any) -> bool:
    """Whether the visible units of a model have names, of columns or of states."""
    visible = getattr(model, "units", {}).get("visible")
    return columns_in(model) is not None or bool(getattr(visible, "names", ()))


def checked_numbers(model: Any, rows: Any, path: Any, missing: bool = True) -> np.ndarray:
    """Rows of a file as numbers of the visible units."""
    from tractable.models.clamping import checked_values  # brings jax

    with values_of(path):
        return checked_values(model, "visible", rows, missing)
