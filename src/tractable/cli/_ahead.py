"""The commands of hidden Markov models about now and later: filter, forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import typer

import tractable as tr
from tractable.cli import _json
from tractable.cli._commands import Model, app
from tractable.cli._common import Common
from tractable.cli._cutting import SEQUENTIAL, Cut
from tractable.cli._following import Followed, columns, side_by_side
from tractable.cli._help import GroupedHelp, examples
from tractable.cli._places import check_apart
from tractable.cli._sequences import SequencesArgument
from tractable.cli._spread import spread
from tractable.cli._table_files import NAMED, check_output, told, values_of
from tractable.formats._pipes import STANDARD, kind_of

RowsOutput = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="The rows, as .csv, .parquet, .npy or .npz.")
]


def _asked(model: str, sequences: str, cut: Cut, output: str | None, common: Common) -> Followed:
    """The model and the sequences, all places checked before."""
    check_apart({"MODEL": model, "SEQUENCES": sequences} | cut.files, {"--output": output})
    found: Any = tr.load(model)
    if found.family not in SEQUENTIAL:
        raise tr.ModelError(f"{model} holds a {type(found).__name__}; this command is for hidden Markov models")
    if output:
        check_output(found, output, common.json)
    return Followed(model, found, cut.read(sequences, cut))


@app.command(
    "filter",
    cls=GroupedHelp,
    epilog=examples(
        "filter weather.safetensors days.csv --by station -o states.csv",
        "filter weather.safetensors days.csv --by station --lag 3 --json",
    ),
)
@spread
def filtered(
    model: Model,
    sequences: SequencesArgument,
    cut: Cut,
    common: Common,
    lag: Annotated[int, typer.Option(min=0, metavar="ROWS", help="Rows that may be seen beyond each: smoothing.")] = 0,
    output: RowsOutput = None,
) -> None:
    """Say how probable each hidden state was in each row, given the rows up to then: p(state | rows so far).

    `decode --posterior` gives it given all rows. The numbers are exact. Printed are the last rows of a sequence, of
    several the last of each.
    """
    asked = _asked(model, sequences, cut, output, common)
    with values_of(sequences):
        found = tr.filtering(asked.model, asked.sequences, lag=lag, memory=common.memory)
    each = [np.asarray(own) for own in asked.each(side_by_side(asked, found))]
    if output:
        _write(output, asked, each, {})
    if common.json:
        parts = [{"rows": len(own), "states": own.tolist()} for own in each]
        record = {"model": _json.model(asked.model), "output": output, "lag": lag, "kind": "exact"}
        return _json.write({**record, "columns": asked.parts, "sequences": parts})
    if output != STANDARD:
        from tractable.cli import _ahead_tables  # brings rich

        _ahead_tables.show_filtered(asked, each, common.quiet)
    if output:
        told(common, output, sum(map(len, each)))


def _write(
    output: str, asked: Followed, each: Sequence[np.ndarray], more: dict[str, np.ndarray], first: int = 0
) -> None:
    """Rows of probabilities, and other columns, to a file: by name where it has names, with the sequence and row."""
    whole = np.concatenate(each)
    if kind_of(output, (*NAMED, ".npy", ".npz", ".data")) not in NAMED:
        columns = [whole, *(column.reshape(len(whole), -1) for column in more.values())]
        return tr.write_data(output, np.concatenate(columns, axis=1))
    apart: dict[str, Any] = {}
    if asked.sequences.many:
        apart["sequence"] = np.repeat(np.arange(len(each)), [len(own) for own in each])
    apart["row" if not first else "step"] = np.concatenate([np.arange(first, first + len(own)) for own in each])
    named = {name.replace(" ", "_"): whole[:, k] for k, name in enumerate(asked.parts)}
    tr.write_data(output, {**apart, **named, **more})


# ---------------------------------------------------------------- what comes next


@dataclass(frozen=True)
class Horizon:
    """How far it looks ahead, and how wide intervals are."""

    steps: Annotated[
        int, typer.Option(metavar="N", min=1, max=10_000, help="Rows ahead, from the end of each sequence.")
    ] = 1
    coverage: Annotated[
        float, typer.Option(metavar="P", help="Probability of a row to lie within its interval, column by column.")
    ] = 0.9

    def check(self) -> None:
        """Refuse a coverage that is no probability."""
        if not 0 < self.coverage < 1:
            raise typer.BadParameter(f"--coverage: a probability between 0 and 1, such as 0.9, got {self.coverage:g}")


@app.command(
    cls=GroupedHelp,
    epilog=examples(
        "forecast weather.safetensors days.csv --by station --steps 7",
        "forecast weather.safetensors days.csv --steps 30 --coverage 0.5 -o ahead.csv",
    ),
)
@spread
def forecast(
    model: Model, sequences: SequencesArgument, horizon: Horizon, cut: Cut, common: Common, output: RowsOutput = None
) -> None:
    """Say what comes after the end of each sequence: states, and of each column mean, deviation and an interval.

    Of categories the probability of each state. All of it is exact: sums over the states, and quantiles of the mixture
    of what these emit. Of factorial hidden Markov models states and means alone.
    """
    horizon.check()
    asked = _asked(model, sequences, cut, output, common)
    with values_of(sequences):
        found = tr.forecast(asked.model, asked.sequences, horizon.steps, memory=common.memory)
    each = asked.each(found)
    if output:
        _write(output, asked, [own.states for own in each], _expected(asked, each, horizon.coverage), first=1)
    if common.json:
        record = {"model": _json.model(asked.model), "output": output, "kind": "exact", "coverage": horizon.coverage}
        parts = [_record(own, columns(asked, own, horizon.coverage)) for own in each]
        return _json.write({**record, "states": asked.parts, "sequences": parts})
    if output != STANDARD:
        from tractable.cli import _ahead_tables  # brings rich

        _ahead_tables.show_forecast(asked, each, horizon.coverage, common.quiet)
    if output:
        told(common, output, sum(len(own.states) for own in each))


def _expected(asked: Followed, each: Sequence[Any], coverage: float) -> dict[str, np.ndarray]:
    """What is expected of each column, all sequences one after another."""
    shown = [columns(asked, own, coverage) for own in each]
    return {name: np.concatenate([own[name] for own in shown]) for name in shown[0]}


def _record(found: Any, columns: dict[str, np.ndarray]) -> dict[str, Any]:
    return {"states": found.states.tolist(), "columns": {name: own.tolist() for name, own in columns.items()}}
