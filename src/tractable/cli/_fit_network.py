"""The command that learns the tables of a network: read structure and rows, run EM, write it, say how good it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

import tractable as tr
from tractable.cli import _answers
from tractable.cli._fit import fit
from tractable.cli._fit_mixture import show_run
from tractable.cli._former import Renamed
from tractable.cli._options import Climbing, Output, Real
from tractable.cli._outputs import checkpoint_of, climb
from tractable.cli._spread import spread
from tractable.cli._table_files import WRITTEN
from tractable.formats import as_bytes

NetworkStart = Literal["random", "model"]


@dataclass(frozen=True)
class Counting(Climbing):
    """How EM runs on tables."""

    start: Annotated[
        NetworkStart, typer.Option(help="Tables from the rows that show them, random elsewhere, or NET's.")
    ] = "random"
    prior: Annotated[Real, typer.Option(min=0.0, help="Pseudo-rows for each table; 0 maximizes the likelihood.")] = None

    @property
    def learner(self) -> tr.EM:
        """EM with these settings."""
        return tr.EM(tolerance=self.tolerance, n_init=self.n_init, start=self.start, prior=self.prior)


@fit.command(cls=Renamed, epilog="\b\nExample:\n  tractable fit network alarm.bif.gz patients.csv -o learned.bif")
@spread
def network(
    net: Annotated[
        str, typer.Argument(metavar="NET", help="A network: its variables, states and parents.", show_default=False)
    ],
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="Rows of states under names of variables: .csv or .parquet.", show_default=False
        ),
    ],
    output: Output,
    counting: Counting,
) -> None:
    """Learn the tables of a Bayesian network by expectation maximization.

    An empty cell is missing, and a variable without a column hidden: both are summed out. A fit that was killed goes on
    with the same command and --resume, and ends in the same tables, bit for bit.
    """
    read = {"NET": net, "DATA": data, "--validation": counting.validation}
    checkpoint = checkpoint_of(counting, output, read, WRITTEN)
    found: Any = _answers.network(net)
    if not isinstance(found, tr.BayesianNetwork):
        raise tr.ModelError(f"{net} holds a {type(found).__name__}: only tables of a BayesianNetwork are learned")
    as_bytes(found, output)  # what is learned can be written as what it is learned from
    rows = found.check(counting.states(found, data))
    held = counting.states(found, counting.validation) if counting.validation else None
    run = climb(counting, found, (rows, held), output, checkpoint)
    show_run(run, output, rows, counting)
