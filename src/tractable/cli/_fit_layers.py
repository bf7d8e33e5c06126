"""The commands that learn layers of 0/1 units with a recognition network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

import tractable as tr
from tractable.cli._fit import fit, fit_and_show
from tractable.cli._former import Renamed
from tractable.cli._help import examples
from tractable.cli._options import ALGORITHMS, Decay, Hidden, Layers, Output, Real, Running, Whole
from tractable.cli._spread import spread
from tractable.cli._table_files import Learned
from tractable.learning.settings import check_settings

BinaryData = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="Rows of 0 and 1, of other numbers with --binarize: .npy, .npz, .csv, .data, IDX or .parquet; "
        "nothing may be missing (see impute).",
        show_default=False,
    ),
]
ChainKind = Literal["pcd", "cd", "tempered"]
Way = Literal["rws", "jsa", "wake-sleep", "vimco", "nvil", "disarm", "arm", "reinforce"]

LEARNERS = {"rws": "ReweightedWakeSleep", "jsa": "JointStochasticApproximation", "wake-sleep": "WakeSleep"}


@dataclass(frozen=True)
class Guesses:
    """Learning with samples of the hidden units; what is not given has the default of the algorithm."""

    algorithm: Annotated[Way, typer.Option(help="(Reweighted) wake–sleep, the same with a memory, or a bound.")] = "rws"
    samples: Annotated[Whole, typer.Option(min=1, help="Guesses at the hidden units of a row.")] = None
    batch_size: Annotated[Whole, typer.Option(min=1, help="Rows in a step; more of a larger table if absent.")] = None
    learning_rate: Annotated[Real, typer.Option(min=0.0, help="Of Adam's first step; it falls to zero.")] = None
    decay: Decay = None
    averaging: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the run, from its end, whose parameters are averaged.")
    ] = 0.0

    def learner(self, **more: Any) -> Any:
        """The settings as the library takes them, and `more` of them."""
        given = {"samples": self.samples, "learning_rate": self.learning_rate, "decay": self.decay}
        own = {name: value for name, value in given.items() if value is not None}
        own |= {"batch_size": self.batch_size, "averaging": self.averaging, **more}
        if self.algorithm in LEARNERS:
            return getattr(tr, LEARNERS[self.algorithm])(**own)
        return tr.VariationalGradient(estimator=self.algorithm, **own)


@dataclass(frozen=True)
class Before:
    """What comes before learning all layers together."""

    pretrain: Annotated[int, typer.Option(min=0, metavar="EPOCHS", help="Epochs for each layer on its own first.")] = 0
    pretrain_rate: Annotated[Real, typer.Option(min=0.0, help="Learning rate of these epochs at first.")] = None


@dataclass(frozen=True)
class Recognizing(Guesses):
    """The same with a recognition network that need not be linear."""

    tanh: Annotated[
        Whole, typer.Option(min=1, metavar="N", help="Tanh units in the recognition network below each layer.")
    ] = None
    autoregressive: Annotated[
        bool, typer.Option(help="Units of the recognition network also see those before them in their layer.")
    ] = False
    sweeps: Annotated[
        Real, typer.Option(min=0.0, max=1.0, help="Share of the units that jsa draws anew in what it remembers.")
    ] = None

    def learner(self, **more: Any) -> Any:
        """The settings as the library takes them, and `more` of them."""
        if self.sweeps is None:
            return super().learner(**more)
        if self.algorithm != "jsa":
            raise typer.BadParameter(f"--sweeps: only jsa remembers states; --algorithm is {self.algorithm}")
        return super().learner(sweeps=self.sweeps, **more)


@dataclass(frozen=True)
class Top(Before):
    """What a deep belief network has besides: a machine on top, and layers learned one by one unless told otherwise."""

    pretrain: Annotated[  # pyright: ignore[reportIncompatibleVariableOverride]
        Whole,
        typer.Option(min=0, metavar="EPOCHS", help="Epochs for each layer on its own first; by its size if absent."),
    ] = None
    top: Annotated[
        ChainKind, typer.Option(help="Where chains of the machine on top start: where they were, or at the data.")
    ] = "pcd"
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="Sweeps of these chains in a step.")] = 1

    def learner(self) -> Any:
        """The settings as the library takes them."""
        return getattr(tr, ALGORITHMS[self.top])(k=self.k)


@dataclass(frozen=True)
class LayerOptions:
    """Which layers to make over the columns of the data, and how they are learned one by one before."""

    hidden: Layers
    before: Before
    recognizing: Recognizing | None = None

    def read(self, path: str, running: Running) -> Learned:
        """The rows in a file, which are numbers: these models keep no names."""
        return Learned(running.array(path), [], {}, path)

    def new(self, found: Learned, learner: Any, running: Running) -> Any:
        """A new model for these rows, unless memory does not hold what learning it takes."""
        from tractable.plan.training import check_training  # brings rich, for the refusal

        width = found.rows.shape[1]
        sizes = [width, *self.hidden.over(width)]
        check_training([2 * n for n in sizes], learner.batch * learner.samples, memory=running.memory)
        if self.recognizing is None:
            return tr.DeepBeliefNetwork(sizes, key=running.seed)
        own = {"hidden": self.recognizing.tanh, "within": self.recognizing.autoregressive or None}
        recognition = tr.RecognitionNetwork(sizes, **own, key=running.seed)
        return tr.HelmholtzMachine(tr.SigmoidBeliefNetwork(sizes, key=running.seed), recognition)

    def fits(self, model: Any) -> bool:
        """Whether it is a model of this kind."""
        kind = tr.DeepBeliefNetwork if self.recognizing is None else tr.SigmoidBeliefNetwork
        return isinstance(getattr(model, "generative", model), kind)

    def start(self, model: Any, rows: Any, learner: Any, running: Running) -> Any:
        """Where learning starts."""
        from tractable.learning.loop import check_fit  # brings jax

        check_settings(vars(self.before))
        if self.before.pretrain == 0 or running.start:
            return model
        how = {"key": running.seed, "memory": running.memory} | running.taken
        check_fit(model, rows, learner, epochs=running.epochs, checkpoint=running.checkpoint, **how)
        machine = tr.PersistentCD(batch_size=learner.batch_size, learning_rate=self.before.pretrain_rate)
        layers = tr.Layerwise(machine=machine)
        options = {"checkpoint": running.checkpoint, "checkpoint_seconds": running.checkpoint_seconds}
        options |= {"progress": running.progress, "resume": running.resume, "live": 0.0, "yardstick": False} | how
        return tr.fit(model, rows, layers, epochs=self.before.pretrain, **options).model


EXAMPLE = examples(
    "fit {0} digits.npy --hidden 200,200 -o digits.safetensors",
    "fit {0} digits.npy --samples 5 --epochs 100 --validation held.npy -o digits.safetensors",
)


@fit.command(cls=Renamed, epilog=EXAMPLE.format("sbn"))
@spread
def sbn(
    data: BinaryData,
    output: Output,
    guesses: Recognizing,
    before: Before,
    running: Running,
    hidden: Hidden = None,
) -> None:
    """Fit a sigmoid belief network and a recognition network for it, together a Helmholtz machine.

    A fit that was killed goes on with the same command and --resume, and ends in the same model, bit for bit.
    """
    own = LayerOptions(Layers(hidden), before, guesses)
    fit_and_show((data, output), own, guesses.learner(), running)


fit.command(
    "helmholtz",
    cls=Renamed,
    help="Fit a Helmholtz machine: the same as sbn.",
    epilog=EXAMPLE.format("helmholtz"),
)(sbn)


@fit.command(
    cls=Renamed,
    epilog=examples(
        "fit dbn digits.npy --hidden 500,500 -o digits.safetensors --pretrain 30",
        "fit dbn digits.npy --hidden 500,500 --algorithm wake-sleep --top cd -o digits.safetensors",
    ),
)
@spread
def dbn(
    data: BinaryData,
    output: Output,
    guesses: Guesses,
    top: Top,
    running: Running,
    hidden: Hidden = None,
) -> None:
    """Fit a deep belief network: layers one by one as restricted machines, then all of them together.

    The up–down algorithm is --algorithm wake-sleep --top cd. A fit that was killed goes on with the same command and
    --resume, and ends in the same model, bit for bit.
    """
    own, learner = LayerOptions(Layers(hidden, least=2, usual=2), top), guesses.learner(top=top.learner())
    fit_and_show((data, output), own, learner, running)
