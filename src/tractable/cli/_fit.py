"""The commands of `fit`: read the data, make a model for it, learn, write it, say how good it is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tractable.cli import _json
from tractable.cli._commands import app
from tractable.cli._former import Renamed
from tractable.cli._help import examples
from tractable.cli._options import Data, Deep, Hidden, Layers, Output, Running, Steps, Visible
from tractable.cli._spread import spread

fit = typer.Typer(
    help="Fit a model to data.",
    epilog="\b\nExamples:\n  tractable fit mixture votes.csv --components 10 -o votes.safetensors\n"
    "  tractable fit hmm days.csv --by station --states 3 -o weather.safetensors\n\n"
    "\b\nA fit that was interrupted or killed goes on with the same command and --resume.\n"
    "An interrupt (Ctrl-C) has exit code 130.",
    rich_markup_mode=None,
)
app.add_typer(fit, name="fit")


@fit.command(
    cls=Renamed,
    epilog=examples(
        "fit rbm digits.npy --hidden 500 -o digits.safetensors --validation held.npy",
        'fit rbm people.csv --units mixed --categories "stars=1|2|3|4|5" --weights count -o people.safetensors',
    ),
)
@spread
def rbm(
    data: Data,
    output: Output,
    visible: Visible,
    steps: Steps,
    running: Running,
    hidden: Hidden = None,
) -> None:
    """Fit a restricted Boltzmann machine: data and hidden units, each coupled to all of the other side.

    A fit that was killed goes on with the same command and --resume, and ends in the same model, bit for bit.
    """
    _fit_machine((data, output), visible, Layers(hidden, most=1), "restricted", steps, running)


@fit.command(
    cls=Renamed,
    epilog=examples(
        "fit dbm digits.npy --hidden 500,1000 -o digits.safetensors",
        "fit dbm digits.npy --pretrain 10 --seconds 600 -o digits.safetensors",
    ),
)
@spread
def dbm(
    data: Data,
    output: Output,
    visible: Deep,
    steps: Steps,
    running: Running,
    hidden: Hidden = None,
) -> None:
    """Fit a deep Boltzmann machine: layers of hidden units over the data, each coupled to the next."""
    _fit_machine((data, output), visible, Layers(hidden, usual=2), "deep", steps, running)


@fit.command(
    cls=Renamed,
    epilog=examples(
        "fit boltzmann spins.csv --algorithm pseudo -o spins.safetensors",
        "fit boltzmann spins.csv --units spin --hidden 5 -o spins.safetensors",
    ),
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
    layers = Layers(None, usual=0) if hidden == "0" else Layers(hidden, most=1)
    _fit_machine((data, output), visible, layers, "boltzmann", steps, running)


def _fit_machine(
    files: tuple[str, str], visible: Visible, hidden: Layers, shape: str, steps: Steps, running: Running
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
