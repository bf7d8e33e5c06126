"""The commands for machines that are there: score, sample, impute, transform."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import tractable as tr
from tractable.cli import _json
from tractable.cli._commands import Json, Memory, Model, app
from tractable.cli._options import Data, Output, Seed


@app.command(epilog="\b\nExample:\n  tractable score digits.safetensors held.npy")
def score(model: Model, data: Data, seed: Seed = 0, json: Json = False) -> None:
    """Say how likely rows of data are under a machine: the mean log-likelihood, with its certificate."""
    machine = machine_of(model)
    found = tr.log_likelihood(machine, tr.read_data(data), key=seed)
    if json:
        return _json.write({"model": _json.model(machine), "log_likelihood": _json.certificate(found)})
    from tractable.cli import _machine_tables, _tables

    _tables.show_model(model, machine)
    _machine_tables.show_likelihood("log-likelihood of a row", found)


@app.command(epilog="\b\nExample:\n  tractable sample digits.safetensors -n 100 -o samples.npy")
def sample(
    model: Model,
    output: Output,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="Number of samples.")] = 100,
    seed: Seed = 0,
    memory: Memory = None,
    json: Json = False,
) -> None:
    """Draw samples: of a machine its visible units, as .npy, .npz or .csv; of a network, states as .csv or .evid."""
    found: Any = tr.load(model)
    drawn = tr.sample(found, n, key=seed, memory=memory)
    if found.family == "tables":
        from tractable.formats import write_evidence

        names = {v: [found.states[v][s] for s in states.tolist()] for v, states in drawn.items()}
        write_evidence([dict(zip(names, row, strict=True)) for row in zip(*names.values(), strict=True)], output, found)
    else:
        tr.write_data(output, drawn)
    _tell(found, output, n, json)


@app.command(epilog="\b\nExample:\n  tractable impute digits.safetensors gaps.csv -o whole.csv")
def impute(model: Model, data: Data, output: Output, seed: Seed = 0, json: Json = False) -> None:
    """Fill in what is missing in rows of data: its posterior mean given what is observed in the row."""
    machine = machine_of(model)
    whole = tr.impute(machine, tr.read_data(data), key=seed)
    tr.write_data(output, whole)
    _tell(machine, output, len(whole), json)


@app.command(epilog="\b\nExample:\n  tractable transform digits.safetensors digits.npy -o features.npy")
def transform(model: Model, data: Data, output: Output, json: Json = False) -> None:
    """Write the posterior means of the hidden units of each row of data."""
    machine = machine_of(model)
    means = tr.transform(machine, tr.read_data(data))
    tr.write_data(output, means)
    _tell(machine, output, len(means), json)


def machine_of(path: str) -> Any:
    """The machine in a file."""
    found: Any = tr.load(path)
    if found.family == "tables":
        raise tr.ModelError(
            f"{path} holds a {type(found).__name__}; this command is for machines, `query` for networks"
        )
    return found


def _tell(model: Any, output: str, n: int, json: bool) -> None:
    if json:
        return _json.write({"model": _json.model(model), "output": output, "rows": n})
    typer.echo(f"wrote {output}: {n:,} row{'s' if n > 1 else ''}")
