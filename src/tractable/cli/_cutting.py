"""How the rows of a file are cut into sequences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer

import tractable as tr
from tractable.cli._table_files import Learned, Picked

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
