"""The command that learns layers of 0/1 units with a recognition network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

import tractable as tr
from tractable.cli._fit import fit, layers_of, show
from tractable.cli._options import Data, Output, Real, Running, Whole
from tractable.cli._spread import spread

Way = Literal["rws", "wake-sleep", "vimco", "nvil", "disarm", "arm", "reinforce"]


@dataclass(frozen=True)
class Guesses:
    """Learning with samples of the hidden units; what is not given has the default of the algorithm."""

    algorithm: Annotated[Way, typer.Option(help="Reweighted wake–sleep, wake–sleep, or the gradient of a bound.")] = (
        "rws"
    )
    samples: Annotated[Whole, typer.Option(min=1, help="Guesses at the hidden units of a row.")] = None
    batch: Annotated[int, typer.Option(min=1, help="Rows in a step.")] = 100
    learning_rate: Annotated[Real, typer.Option(min=0.0, help="Of Adam's first step; it falls to zero.")] = None
    average: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the run, from its end, whose parameters are averaged.")
    ] = 0.0
    tanh: Annotated[
        Whole, typer.Option(min=1, metavar="N", help="Tanh units in the recognition network below each layer.")
    ] = None

    def learner(self) -> Any:
        """The settings as the library takes them."""
        given = {"samples": self.samples, "learning_rate": self.learning_rate}
        own = {name: value for name, value in given.items() if value is not None}
        own |= {"batch_size": self.batch, "averaging": self.average}
        if self.algorithm == "rws":
            return tr.ReweightedWakeSleep(**own)
        if self.algorithm == "wake-sleep":
            return tr.WakeSleep(**own)
        return tr.VariationalGradient(estimator=self.algorithm, **own)


@dataclass(frozen=True)
class Stack:
    """Which layers to make over the columns of the data."""

    hidden: list[int]
    tanh: int | None

    def start(self, rows: Any, learner: Any, running: Running) -> tr.HelmholtzMachine:
        """Where learning starts, unless memory does not hold what learning it takes."""
        from tractable.plan.training import check_training

        sizes = [rows.shape[1], *self.hidden]
        check_training([2 * n for n in sizes], learner.batch_size * learner.samples)
        recognition = tr.RecognitionNetwork(sizes, hidden=self.tanh, key=running.seed)
        return tr.HelmholtzMachine(tr.SigmoidBeliefNetwork(sizes, key=running.seed), recognition)


@fit.command(epilog="\b\nExample:\n  tractable fit sbn digits.npy --layers 200,200 -o digits.safetensors")
@spread
def sbn(
    data: Data,
    layers: Annotated[
        str, typer.Option(metavar="N,M", help="Numbers of hidden units, layer by layer.", show_default=False)
    ],
    output: Output,
    guesses: Guesses,
    running: Running,
) -> None:
    """Fit a sigmoid belief network and a recognition network for it, together a Helmholtz machine.

    A fit that was killed goes on with the same command and --resume, and ends in the same model, bit for bit.
    """
    from tractable.cli import _fitting

    stack = Stack(layers_of(layers, "--layers"), guesses.tanh)
    show(_fitting.fitted(_fitting.Files(data, output), stack, guesses.learner(), running), running.json)


fit.command("helmholtz", hidden=True)(sbn)
