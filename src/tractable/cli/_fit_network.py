"""The command that learns the tables of a network: read structure and rows, run EM, write it, say how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

import tractable as tr
from tractable.cli import _answers
from tractable.cli._fit import fit
from tractable.cli._fit_mixture import show_run
from tractable.cli._former import Renamed
from tractable.cli._help import examples
from tractable.cli._options import Climbing, Output, Real
from tractable.cli._outputs import checkpoint_of, climb
from tractable.cli._spread import spread
from tractable.cli._table_files import WRITTEN, once, values_of
from tractable.cli._weights import followed, weighing
from tractable.formats import as_bytes
from tractable.graph.structure import read_structure
from tractable.models._base import nearest

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


@dataclass(frozen=True)
class Shaped:
    """The structure of a network of which there is no file."""

    structure: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help='Instead of NET, who is whose parent, as "smoke->lung; smoke->bronc"; states are those in the columns '
            "of DATA. A hidden variable says its own: h{a|b} or h[2].",
        ),
    ] = None

    def files(self, given: list[str]) -> tuple[str | None, str]:
        """NET, unless there is a structure instead, and DATA."""
        if len(given) != (1 if self.structure else 2):
            wanted = "DATA alone, for --structure stands for NET" if self.structure else "NET and DATA"
            raise typer.BadParameter(
                f"expected {wanted}, got {len(given)} file{'s' if len(given) > 1 else ''}: {', '.join(given)}"
                + ("" if self.structure else '; without a file of the network give its --structure "a->b; a->c"')
            )
        return (None, given[0]) if self.structure else (given[0], given[1])

    def network(self, rows: Any, data: str, memory: Any) -> tr.BayesianNetwork:
        """The network with this structure whose states are those in the columns."""
        if not isinstance(rows, Mapping):
            raise tr.ModelError(f"{data} has no names of columns, which --structure is about")
        found = read_structure(self.structure)
        for name in found.parents:
            if name not in rows and name not in found.states:
                raise tr.ModelError(
                    f"--structure names {name!r}, which is no column of {data}{nearest(name, rows)}; a hidden variable "
                    f"says its states: {name}{{a|b}} or {name}[2]"
                )
        return tr.bayesian_network(rows, self.structure, memory=memory)


@fit.command(
    cls=Renamed,
    epilog=examples(
        "fit network alarm.bif.gz patients.csv -o learned.bif",
        'fit network --structure "smoke->lung; smoke->bronc" patients.csv -o learned.bif',
    ),
)
@spread
def network(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="[NET] DATA",
            help="A network, for its variables, states and parents; rows of states under names of variables: .csv or "
            ".parquet.",
            show_default=False,
        ),
    ],
    output: Output,
    shaped: Shaped,
    counting: Counting,
) -> None:
    """Learn the tables of a Bayesian network by expectation maximization.

    An empty cell is missing, and a variable without a column hidden: both are summed out. A fit that was killed goes on
    with the same command and --resume, and ends in the same tables, bit for bit.
    """
    net, data = shaped.files(files)
    read = {"NET": net, "DATA": data, "--validation": counting.validation}
    checkpoint = checkpoint_of(counting, output, read, WRITTEN)
    counting, weights = weighing(counting, content := once(data))
    found = _of_file(net) if net else shaped.network(counting.rows(content), data, counting.memory)
    as_bytes(found, output)  # what is learned can be written as what it is learned from
    rows = found.check(counting.states(found, content))  # again, for NA may be a state
    each = weights and weights.of(len(rows))
    held = None
    if path := counting.validation:
        held = followed(counting, weights, path).states(found, path)
    with values_of(data):
        run = climb(counting, found, (rows, held), output, checkpoint, each)
    show_run(run, output, (rows, each), counting)


def _of_file(net: str) -> tr.BayesianNetwork:
    found: Any = _answers.network(net)
    if not isinstance(found, tr.BayesianNetwork):
        raise tr.ModelError(f"{net} holds a {type(found).__name__}: only tables of a BayesianNetwork are learned")
    return found
