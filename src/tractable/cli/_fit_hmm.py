"""The command that fits a hidden Markov model: read the sequences, make a start, run EM, write it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import typer

import tractable as tr
from tractable.cli._choosing import Choosing
from tractable.cli._cutting import Cutting
from tractable.cli._emissions import Emitted
from tractable.cli._fit import fit
from tractable.cli._fit_mixture import Ascent, fit_numbers, held_out
from tractable.cli._former import Renamed
from tractable.cli._help import examples
from tractable.cli._options import Output
from tractable.cli._outputs import checkpoint_of
from tractable.cli._sequences import SequencesArgument
from tractable.cli._spread import spread
from tractable.cli._table_files import once, values_of
from tractable.cli._weights import weighing

ChainStart = Literal["k-means++", "segments", "rows", "random"]


@dataclass(frozen=True)
class Chain(Choosing):
    """States, what they emit, and how they follow each other."""

    states: Annotated[int | None, typer.Option(min=1, help="Number of hidden states.")] = None
    parts: Annotated[int, typer.Option(min=1, help="Parts of the mixture that each state emits from.")] = 1
    left_right: Annotated[
        bool, typer.Option("--left-right", help="States follow one another: each stays, or goes on to the next.")
    ] = False
    stationary: Annotated[
        bool, typer.Option("--stationary", help="Sequences begin with the distribution that the transitions keep.")
    ] = False

    def begin(self, data: tr.Sequences, n: int, seed: int, start: str, **options: Any) -> tr.HiddenMarkovModel:
        """Where learning begins, with so many states."""
        if self.left_right and self.stationary:
            raise typer.BadParameter("--left-right begins in the first state: leave out --stationary")
        options |= {"n_parts": self.parts, "key": seed}
        if self.left_right:
            return tr.left_right(data, n, **options)
        model = tr.hidden_markov(data, n, start=start, **options)
        return model.replaced(start="stationary") if self.stationary else model


@dataclass(frozen=True)
class Climb(Ascent):
    """How EM runs on sequences."""

    start: Annotated[
        ChainStart, typer.Option(help="Groups of rows far apart, pieces of sequences, random rows, or all at random.")
    ] = "k-means++"
    validation_lengths: Annotated[
        str | None, typer.Option(metavar="FILE", help="Number of rows of each sequence of --validation.")
    ] = None


@fit.command(
    cls=Renamed,
    epilog=examples(
        "fit hmm days.csv --by station --states 3 -o weather.safetensors",
        "fit hmm days.csv --by station --choose 2-6 --choose-by held-out -o weather.safetensors",
        "fit hmm days.csv --lengths lengths.txt --states 5 --left-right --emissions diagonal -o weather.safetensors",
    ),
)
@spread
def hmm(
    data: SequencesArgument,
    output: Output,
    chain: Chain,
    cut: Cutting,
    ascent: Climb,
    emitted: Emitted,
) -> None:
    """Fit a hidden Markov model by expectation maximization; missing entries are integrated out.

    A fit that was killed goes on with the same command and --resume, and ends in the same model, bit for bit.
    """
    numbers = chain.numbers(chain.states, "--states")
    chain.check(ascent.validation)
    read = {"SEQUENCES": data, "--lengths": cut.lengths, "--validation": ascent.validation}
    checkpoint = checkpoint_of(ascent, output, read | {"--validation-lengths": ascent.validation_lengths})
    ascent, weights = weighing(ascent, data := once(data))
    found = cut.learned(data, ascent)
    each = weights and weights.of_sequences(found.rows)
    begin = partial(chain.begin, seed=ascent.seed, start=ascent.start, **emitted.options(found))
    with values_of(data):
        first = begin(found.rows, numbers[0])
    others = Cutting(ascent.validation_lengths, cut.by)
    held = held_out(first, ascent.validation, lambda path: others.learned(path, ascent))
    fit_numbers((ascent, chain, numbers), begin, first, (data, found.rows, held, each), (output, checkpoint))
