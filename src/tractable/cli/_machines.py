"""The commands for machines that are there: score, sample, impute, transform."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

import tractable as tr
from tractable.cli import _json
from tractable.cli._commands import Model, app
from tractable.cli._common import Common
from tractable.cli._cutting import Cut, checked_numbers, rows_for
from tractable.cli._former import Renamed
from tractable.cli._help import GroupedHelp, examples
from tractable.cli._options import Data, Output, Seed
from tractable.cli._places import check_apart
from tractable.cli._spread import spread
from tractable.cli._table_files import (
    Picked,
    as_text,
    by_name,
    check_output,
    once,
    told,
    values_of,
    write_filled,
    write_rows,
)

Method = Literal["exact", "importance", "annealing", "mean_field"]
LAYERED = ("sigmoid_belief", "deep_belief", "helmholtz")
"""The families of layers of causes."""


@dataclass(frozen=True)
class LikelihoodOptions:
    """How the likelihood of a model of layers is found."""

    samples: Annotated[
        int | None, typer.Option(min=1, help="Weighted samples for each row, of a model of layers; 1000 if absent.")
    ] = None
    method: Annotated[
        Method | None, typer.Option(help="How, of a model of layers; exact where that is affordable if absent.")
    ] = None

    def given(self, model: Any) -> dict[str, Any]:
        """What is given of these: only models of layers have weighted samples."""
        if self.samples is not None and model.family not in LAYERED:
            raise typer.BadParameter(f"--samples: a {type(model).__name__} needs none; leave it out")
        return {name: value for name, value in vars(self).items() if value is not None}


@app.command(
    cls=GroupedHelp,
    epilog=examples(
        "score digits.safetensors held.npy",
        "score weather.safetensors days.csv --by station --json",
    ),
)
@spread
def score(
    model: Model,
    data: Data,
    cut: Cut,
    weighed: LikelihoodOptions,
    common: Common,
    seed: Seed = 0,
) -> None:
    """Say how likely rows of data, or sequences, are: the mean log-likelihood, with its certificate."""
    machine: Any = tr.load(model)
    more: dict[str, Any] = {"memory": common.memory} | weighed.given(machine)
    rows = cut.data(machine, data)
    with values_of(data):
        found = tr.log_likelihood(machine, rows, key=seed, **more)
    if common.json:
        return _json.write({"model": _json.model(machine), "log_likelihood": found.to_json()})
    from tractable.cli import _machine_tables, _tables  # loaded when a table is printed

    if not common.quiet:
        _tables.show_model(model, machine)
    unit = "sequence" if machine.family == "hidden_markov" else "row"
    _machine_tables.show_likelihood(f"log-likelihood of a {unit}", found)


@dataclass(frozen=True)
class Wanted:
    """How many samples, and given what."""

    n: Annotated[int, typer.Option("-n", "--number", min=1, help="Number of samples.")] = 100
    evidence_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Of a machine or layers: the first row of this file is given; what is missing there is drawn.",
        ),
    ] = None

    def evidence(self, model: Any) -> Any:
        """What is given of the visible units."""
        if self.evidence_file is None:
            return None
        if not hasattr(model, "groups"):
            raise typer.BadParameter(f"--evidence-file: not for a {type(model).__name__}; leave it out")
        found = once(self.evidence_file)
        rows = checked_numbers(model, rows_for(model, found, Picked()), found)
        if rows.ndim != 2 or not len(rows):
            raise tr.ModelError(f"{self.evidence_file}: there are no rows")
        return rows[0]


@app.command(
    cls=Renamed,
    epilog=examples(
        "sample digits.safetensors -n 100 -o samples.npy",
        "sample alarm.bif.gz -n 1000 --seed 7 -o cases.csv",
    ),
)
@spread
def sample(
    model: Model,
    output: Output,
    wanted: Wanted,
    common: Common,
    seed: Seed = 0,
) -> None:
    """Draw samples: of a machine or chain rows, as .npy, .npz or .csv; of a network, states as .csv or .evid."""
    check_apart({"MODEL": model, "--evidence-file": wanted.evidence_file}, {"--output": output})
    found: Any = tr.load(model)
    check_output(found, output, common.json)
    rows = tr.sample(found, wanted.n, evidence=wanted.evidence(found), key=seed, memory=common.memory)
    write_rows(found, rows, output)
    _tell(found, output, wanted.n, common, rows)


@dataclass(frozen=True)
class Filling(Cut):
    """Which rows are filled, and what gaps get."""

    expected: Annotated[
        bool, typer.Option("--expected", help="The mean of states that are numbers, not the most probable state.")
    ] = False

    @property
    def options(self) -> dict[str, Any]:
        """What gaps get, as the library takes it."""
        return {"expected": True} if self.expected else {}


@app.command(
    cls=GroupedHelp,
    epilog=examples(
        "impute digits.safetensors gaps.csv -o whole.csv",
        "impute ratings.safetensors ratings.csv --expected -o whole.csv",
    ),
)
@spread
def impute(model: Model, data: Data, output: Output, cut: Filling, common: Common, seed: Seed = 0) -> None:
    """Fill in what is missing in rows of data: its posterior mean given what is observed in the row, or sequence.

    Of categories, and of variables of a network, it is the most probable state, or with --expected the mean of states
    that are numbers.
    """
    check_apart({"MODEL": model, "DATA": data} | cut.files, {"--output": output})
    machine: Any = tr.load(model)
    check_output(machine, output, common.json)
    source = as_text(machine, data)
    rows = cut.data(machine, source or data)
    with values_of(source or data):
        whole = tr.impute(machine, rows, key=seed, memory=common.memory, **cut.options)
    _tell(machine, output, write_filled(machine, whole, data, source, cut, output), common, whole)


@app.command(
    cls=GroupedHelp,
    epilog=examples(
        "diagnose digits.safetensors --plot traces.png",
        "diagnose digits.safetensors --chains 4 --sweeps 5000 --json",
    ),
)
@spread
def diagnose(
    model: Model,
    common: Common,
    chains: Annotated[int, typer.Option(min=2, help="Number of chains.")] = 8,
    sweeps: Annotated[int, typer.Option(min=8, help="Sweeps of each chain; the first quarter is left out.")] = 1000,
    plot: Annotated[str | None, typer.Option(metavar="FILE", help="Draw the chains: .png, .pdf or .svg.")] = None,
    seed: Seed = 0,
) -> None:
    """Run Gibbs chains of a machine and say whether they agree: R-hat, effective sample sizes, a verdict."""
    from tractable.cli import _traces  # brings jax

    check_apart({"MODEL": model}, {"--plot": plot})
    _traces.diagnosed(machine_of(model), (chains, sweeps, seed), plot, common)


@app.command(
    cls=GroupedHelp,
    epilog=examples(
        "transform digits.safetensors digits.npy -o features.npy",
        "transform votes.safetensors votes.csv --ignore id -o components.csv",
    ),
)
@spread
def transform(model: Model, data: Data, output: Output, cut: Cut, common: Common) -> None:
    """Write the posterior means of the hidden units of each row of data, or the probabilities of its states."""
    check_apart({"MODEL": model, "DATA": data} | cut.files, {"--output": output})
    machine = machine_of(model)
    check_output(machine, output, common.json)
    rows = cut.data(machine, data, missing=False)
    with values_of(data):
        means = by_name(machine, tr.transform(machine, rows, memory=common.memory))
    tr.write_data(output, means)
    _tell(machine, output, len(means), common)


def machine_of(path: str) -> Any:
    """The machine in a file."""
    found: Any = tr.load(path)
    if found.family == "tables":
        raise tr.ModelError(
            f"{path} holds a {type(found).__name__}; this command is for machines, `query` for networks"
        )
    return found


def _tell(model: Any, output: str, n: int, common: Common, rows: Any = None) -> None:
    """What was written, and the verdict on it where it was drawn by chains."""
    verdict = getattr(rows, "verdict", "exact")
    if common.json:
        more = {} if rows is None else {"verdict": verdict}
        return _json.write({"model": _json.model(model), "output": output, "rows": n} | more)
    told(common, output, n)
    if verdict != "exact" and not common.quiet:
        print(verdict, file=sys.stderr)
