"""The commands of `fit`: read the data, make a model for it, learn, write it, say how good it is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tractable.cli import _json
from tractable.cli._commands import app
from tractable.cli._former import Renamed
from tractable.cli._options import Data, Deep, Hidden, Output, Running, Steps, Visible
from tractable.cli._spread import spread

fit = typer.Typer(
    help="Fit a model to data.",
    epilog="\b\nExample:\n  tractable fit mixture votes.csv --components 10 -o votes.safetensors\n\n"
    "\b\nA fit that was interrupted or killed goes on with the same command and --resume.\n"
    "An interrupt (Ctrl-C) has exit code 130.",
    rich_markup_mode=None,
)
app.add_typer(fit, name="fit")


@fit.command(
    cls=Renamed,
    epilog="\b\nExample:\n  tractable fit rbm digits.npy --hidden 500 -o digits.safetensors --validation held.npy",
)
@spread
def rbm(
    data: Data,
    hidden: Hidden,
    output: Output,
    visible: Visible,
    steps: Steps,
    running: Running,
) -> None:
    """Fit a restricted Boltzmann machine: data and hidden units, each coupled to all of the other side.

    A fit that was killed goes on with the same command and --resume, and ends in the same model, bit for bit.
    """
    _fit_machine((data, output), visible, layers_of(hidden, most=1), "restricted", steps, running)


@fit.command(cls=Renamed, epilog="\b\nExample:\n  tractable fit dbm digits.npy --hidden 500,1000 -o digits.safetensors")
@spread
def dbm(
    data: Data,
    hidden: Hidden,
    output: Output,
    visible: Deep,
    steps: Steps,
    running: Running,
) -> None:
    """Fit a deep Boltzmann machine: layers of hidden units over the data, each coupled to the next."""
    _fit_machine((data, output), visible, layers_of(hidden), "deep", steps, running)


@fit.command(
    cls=Renamed, epilog="\b\nExample:\n  tractable fit boltzmann spins.csv --algorithm pseudo -o spins.safetensors"
)
@spread
def boltzmann(
    data: Data,
    output: Output,
    visible: Visible,
    steps: Steps,
    running: Running,
    hidden: Annotated[str, typer.Option(metavar="N", help="Number of hidden units.")] = "0",
) -> None:
    """Fit a Boltzmann machine in which every unit is coupled to every other."""
    _fit_machine(
        (data, output), visible, [] if hidden == "0" else layers_of(hidden, most=1), "boltzmann", steps, running
    )


def layers_of(text: str, least: int = 1, most: int | None = None) -> list[int]:
    """Numbers of hidden units, layer by layer, as they are written: 500,1000."""
    try:
        layers = [int(n) for n in text.split(",")]
    except ValueError:
        layers = []
    if not layers or min(layers) < 1:
        example = "a number of units such as 500" if most == 1 else "numbers of units such as 500,1000"
        raise typer.BadParameter(f"--hidden: expected {example}, got {text!r}")
    if len(layers) < least:
        raise typer.BadParameter(f"--hidden needs at least two numbers, one for each hidden layer, got {text!r}")
    if most and len(layers) > most:
        raise typer.BadParameter(
            f"--hidden: there is one layer of hidden units here, got {text!r}; fit dbm has several"
        )
    return layers


def _fit_machine(
    files: tuple[str, str], visible: Visible, hidden: list[int], shape: str, steps: Steps, running: Running
) -> None:
    """The way of every machine, from the data to the record of its fit."""
    from tractable.cli._fitting import Shape  # brings jax

    fit_and_show(files, Shape(shape, hidden, visible), steps.learner(), running)


def fit_and_show(files: tuple[str, str], what: Any, learner: Any, running: Running) -> None:
    """Learn, and say what that leaves, as JSON or in a table; `what` makes the model, as `Shape` does."""
    from tractable.cli import _fitting, _machine_tables  # these bring jax and rich: other commands do not wait for them

    found = _fitting.fitted(_fitting.Files(*files), what, learner, running)
    if running.json:
        return _json.write(found.to_json())
    if not running.quiet:
        _machine_tables.show_fit(found)
