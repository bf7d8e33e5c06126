"""The options that the commands of `fit` share, in groups; what they mean is said where they are used."""

from __future__ import annotations

import os
from dataclasses import dataclass
from glob import escape, glob
from typing import Annotated, Any, Literal

import typer

import tractable as tr
from tractable.cli._common import Common, Force
from tractable.cli._emissions import kinds_of, states_of
from tractable.cli._table_files import Learned, Picked, Texts
from tractable.learning.sizes import hidden_of
from tractable.models._base import nearest
from tractable.models.binarizing import check_how

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="Rows of data: .npy, .npz, .csv, .data, IDX or .parquet; NaN or an empty cell is missing.",
        show_default=False,
    ),
]
Output = Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The file to write.", show_default=False)]
Hidden = Annotated[
    str | None,
    typer.Option(metavar="N[,M]", help="Number of hidden units, of several layers one each; by the columns if absent."),
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")]

ALGORITHMS = {
    "pcd": "PersistentCD",
    "cd": "ContrastiveDivergence",
    "fpcd": "FastPersistentCD",
    "tempered": "TemperedPCD",
    "trajectory": "TrajectoryTempering",
    "exact": "ExactGradient",
    "pseudo": "PseudoLikelihood",
}
"""What each algorithm is called in the library."""

Algorithm = Literal["pcd", "cd", "fpcd", "tempered", "trajectory", "exact", "pseudo"]
KINDS = ("bernoulli", "spin", "gaussian", "categorical", "mixed", "auto")
_OF_UNITS = f"there are {', '.join(KINDS)}"
Whole = int | None
Real = float | None
Decay = Annotated[
    Real, typer.Option(min=0.0, max=1.0, help="Share of the fit, from its end, over which the rate falls to zero; 1.")
]


@dataclass(frozen=True)
class Visible:
    """The units that hold the data."""

    units: Annotated[
        Texts,
        typer.Option(
            metavar="KIND[:COLUMNS]",
            help="What columns hold: bernoulli (0 or 1) if absent, spin (−1 or 1), gaussian, categorical, mixed (0 or "
            "1, or real), auto; of all, or of some by name or number. Text is always categories.",
        ),
    ] = None
    categories: Annotated[
        Texts,
        typer.Option(
            metavar="Q|COLUMN=N", help="States of categorical columns: of all, or of one; their names as a|b|c."
        ),
    ] = None

    def options(self, found: Learned) -> dict[str, Any]:
        """How `visible_units` of the library takes these, and the columns that are chosen of data with names."""
        kind = kinds_of(self.units or ["bernoulli"], found.names, "--units")
        if strange := next((one for one in ([kind] if isinstance(kind, str) else kind) if one not in KINDS), None):
            raise typer.BadParameter(f"--units: no units are {strange!r}{nearest(strange, KINDS)}; {_OF_UNITS}")
        states = states_of(self.categories, found.names) if self.categories else None
        return {"kind": kind, "categories": states, **found.asked}


@dataclass(frozen=True)
class Deep(Visible):
    """Units of a machine with layers, which may be learned one after the other at first."""

    pretrain: Annotated[int, typer.Option(min=0, metavar="EPOCHS", help="Epochs for each layer on its own first.")] = 0


class Layers:
    """Numbers of hidden units, layer by layer, as they are written: 500,1000. None are so many as the columns need."""

    def __init__(self, text: str | None, least: int = 1, most: int | None = None, usual: int = 1):
        self.given = None if text is None else _layers(text, least, most)
        self.usual = usual

    def over(self, n_columns: int) -> list[int]:
        """Those given, or the usual number of layers that go with so many columns."""
        return hidden_of(n_columns, self.usual) if self.given is None else self.given

    def check(self, found: list[int], where: str, model: Any) -> None:
        """Refuse a model with other layers than those given."""
        if found != self.given if self.given is not None else len(found) != self.usual:
            wanted = f"{self.usual} layers" if self.given is None else str(self.given)
            raise tr.ModelError(f"{where}: expected hidden units {wanted} as this command makes them, got {model!r}")


def _layers(text: str, least: int, most: int | None) -> list[int]:
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


@dataclass(frozen=True)
class Steps:
    """Gradient ascent; what is not given has the default of the algorithm."""

    algorithm: Annotated[Algorithm, typer.Option(help="Where the negative phase of the gradient comes from.")] = "pcd"
    k: Annotated[Whole, typer.Option("-k", "--k", min=1, help="Sweeps of the chains in a step.")] = None
    chains: Annotated[Whole, typer.Option(min=1, help="Number of chains; 200 or more if absent.")] = None
    batch_size: Annotated[Whole, typer.Option(min=1, help="Rows in a step; more of a larger table if absent.")] = None
    learning_rate: Annotated[Real, typer.Option(min=0.0, help="Of the first step; it falls to zero.")] = None
    decay: Decay = None
    momentum: Annotated[Real, typer.Option(min=0.0, max=1.0, help="Share of a step that is kept in the next.")] = None
    weight_decay: Annotated[Real, typer.Option(min=0.0, help="λ of the penalty λ/2 Σ W².")] = None
    averaging: Annotated[
        Real, typer.Option(min=0.0, max=1.0, help="Share of the run, from its end, whose parameters are averaged.")
    ] = None

    def learner(self) -> Any:
        """The settings as the library takes them; one that the algorithm does not have is an error."""
        kind = getattr(tr, ALGORITHMS[self.algorithm])
        given = {name: getattr(self, option) for option, name in _SETTINGS.items() if getattr(self, option) is not None}
        for option, name in _SETTINGS.items():
            if name in given and name not in kind.__dataclass_fields__:
                raise typer.BadParameter(
                    f"the algorithm {self.algorithm} has no --{option.replace('_', '-')}; leave it out"
                )
        return kind(**given)


_SETTINGS = {
    "k": "k",
    "chains": "n_chains",
    "batch_size": "batch_size",
    "learning_rate": "learning_rate",
    "decay": "decay",
    "momentum": "momentum",
    "weight_decay": "weight_decay",
    "averaging": "averaging",
}


@dataclass(frozen=True)
class Kept(Picked, Common):
    """How often rows count, where a fit is kept while it runs, and where its curve goes."""

    weights: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|FILE",
            help="How often each row counts: a column of the data, then left out of them, or a file of one column.",
        ),
    ] = None
    checkpoint: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where the fit is kept while it runs; MODEL.checkpoint if absent."),
    ] = None
    checkpoint_seconds: Annotated[float, typer.Option(min=0.0, metavar="SECONDS", help="How often.")] = 60.0
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint, if there is one.")] = False
    force: Force = False
    plot: Annotated[str | None, typer.Option(metavar="FILE", help="Draw the learning curve: .png, .pdf or .svg.")] = (
        None
    )


def kept_at(checkpoint: str) -> list[str]:
    """The files that a fit is kept in: its checkpoint, those of layers that were learned before, and of `--choose`."""
    several = [
        p for p in glob(f"{escape(checkpoint)}.*") if (end := p[len(checkpoint) + 1 :]).isdecimal() or end == "all"
    ]
    return ([checkpoint] if os.path.exists(checkpoint) else []) + layers_at(checkpoint) + sorted(several)


def layers_at(checkpoint: str) -> list[str]:
    """The checkpoints of layers; a file such as CHECKPOINT.layer0.safetensors is none of them."""
    found = glob(f"{escape(checkpoint)}.layer[0-9]*")
    return sorted(path for path in found if path.rpartition(".layer")[2].isdecimal())


@dataclass(frozen=True)
class Climbing(Kept):
    """How EM runs, whatever it fits."""

    n_init: Annotated[int, typer.Option(min=1, help="Number of starts, of all kinds in turn; the best is kept.")] = 1
    epochs: Annotated[int, typer.Option(min=1, help="Iterations of EM, each a pass over the data, at most.")] = 100
    tolerance: Annotated[float, typer.Option(min=0.0, help="EM ends when a row gains less than this.")] = 1e-6
    validation: Annotated[
        str | None, typer.Option(metavar="FILE", help="Rows whose likelihood is followed and not learned from.")
    ] = None
    seed: Seed = 0


@dataclass(frozen=True)
class Running(Kept):
    """How a fit runs, whatever it fits."""

    epochs: Annotated[Whole, typer.Option(min=1, help="Passes over the data; some 10,000 steps if absent.")] = None
    steps: Annotated[Whole, typer.Option(min=1, help="Steps in all, in place of epochs.")] = None
    seconds: Annotated[Real, typer.Option(min=0.0, help="A budget of time for learning.")] = None
    start: Annotated[
        str | None, typer.Option(metavar="FILE", help="A model to go on from, as this command wrote it.")
    ] = None
    validation: Annotated[
        str | None, typer.Option(metavar="FILE", help="Rows whose likelihood is followed and not learned from.")
    ] = None
    seed: Seed = 0
    live: Annotated[bool, typer.Option("--live/--no-live", help="Follow the likelihood while learning.")] = True
    yardstick: Annotated[
        bool, typer.Option("--yardstick/--no-yardstick", help="Compare with independent columns and a mixture.")
    ] = True
    binarize: Annotated[
        str | None,
        typer.Option(
            metavar="T|draw",
            help="Take values above T as 1, others as 0; draw: values are probabilities of a 1, drawn in each epoch.",
        ),
    ] = None

    @property
    def taken(self) -> dict[str, Any]:
        """What values are taken for, as `fit` of the library takes it."""
        return {} if self.binarize is None else {"binarize": threshold_of(self.binarize)}


def threshold_of(text: str) -> float | str:
    """A threshold, or ``draw``, as it is written."""
    try:
        found = text if text == "draw" else float(text)
        check_how(found)
    except (ValueError, tr.ModelError):
        raise typer.BadParameter(f"--binarize: expected a threshold such as 0.5, or draw, got {text!r}") from None
    return found
