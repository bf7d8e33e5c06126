"""What a fit is told and what it leaves: options, the record of each epoch, the history of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from math import nan
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

from tractable.families import FAMILIES
from tractable.models._base import ModelError, nearest
from tractable.models.frames import frame_of
from tractable.plan._base import Printed
from tractable.plan.budget import Memory
from tractable.posterior import Certificate

if TYPE_CHECKING:
    from rich.table import Table

LIVE = "gradient learners, which look at the likelihood now and then; EM records it in every iteration"
STEPS = "gradient learners; EM ends when a row gains less than its tolerance"
BINARIZE = "gradient learners; to others give tr.binarized(data, how)"
TAKEN_BY = {"live": LIVE, "steps": STEPS, "seconds": STEPS, "watch": STEPS, "yardstick": STEPS, "binarize": BINARIZE}
"""Who takes the options that not all learners have."""


def learner_name(model: Any) -> str:
    """The name of the learner of a model where none is given; reads the table of families and loads nothing.

    Raises
    ------
    ModelError : a model that nothing learns.
    """
    if hasattr(model, "engine"):
        if not hasattr(model.engine, "learner"):
            raise ModelError(f"nothing learns a {type(model).__name__} by default: give a learner, such as EM()")
        return model.engine.learner.__name__
    if getattr(model, "family", None) not in FAMILIES:
        raise ModelError(f"nothing learns a {type(model).__name__} yet")
    return FAMILIES[model.family].learner.partition(":")[2]


class LearningWarning(RuntimeWarning):
    """A fit that did not learn what it could have, and what to change.

    Examples
    --------
    >>> import warnings
    >>> rows = [[0, 0, 1, 1], [1, 1, 0, 0]] * 50
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always", tr.learning.LearningWarning)
    ...     run = tr.fit(tr.restricted(4, 2), rows, epochs=1, progress=False)
    >>> str(told[0].message)[:35]
    'no better than independent columns:'
    """


class Request(NamedTuple):
    """What `fit` was asked for; options by name, or read already."""

    epochs: int | None = None
    validation: Any = None
    options: dict[str, Any] | GradientOptions = {}  # noqa: RUF012


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a fit runs, apart from what it computes: what all learners take.

    Parameters
    ----------
    key : int or jax key; the same key gives the same model.
    checkpoint : path of the checkpoint. checkpoint_seconds : how often it is written within an epoch. resume : go on
        from it if it is there.
    progress : whether to show a bar; None shows one where standard error is a terminal.
    callback : called with the record of each epoch; a true answer ends the fit.
    memory : what the fit may take, in bytes or as text (``"4GiB"``): all there is if absent; of an E-step half of that.
    """

    key: Any = 0
    checkpoint: str | None = None
    checkpoint_seconds: float = 60.0
    resume: bool = False
    progress: bool | None = None
    callback: Callable[[Any], Any] | None = None
    memory: Memory = None

    @classmethod
    def read(cls, given: dict[str, Any] | Options, learner: object) -> Self:
        """Options from keyword arguments.

        Raises
        ------
        ModelError : one that this learner does not take, with who takes it; one that means nothing without another.
        """
        if isinstance(given, cls):
            return given
        given, known = dict(given) if isinstance(given, dict) else vars(given), [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise ModelError(_not_taken(name, known, learner))
        alone = [name for name in ("checkpoint_seconds", "resume") if given.get(name) and not given.get("checkpoint")]
        if alone:
            raise ModelError(f"{alone[0]} is about a checkpoint: give checkpoint=…, the path of a file, too")
        return cls(**given)


def _not_taken(name: str, known: list[str], learner: object) -> str:
    own = type(learner).__name__
    if name in getattr(type(learner), "__dataclass_fields__", ()):
        return f"{name} is a setting of the learner, not an option of fit: take {own}({name}=…)"
    if name in TAKEN_BY:
        return f"{own} takes no option {name!r}: it is one of {TAKEN_BY[name]}"
    near = nearest(name, known) or ";"
    return f"unknown option {name!r}{near} {own} takes epochs, validation, {', '.join(known)}"


@dataclass(frozen=True, kw_only=True)
class GradientOptions(Options):
    """What gradient learners take besides.

    Parameters
    ----------
    live : share of the time that may go into following the likelihood, a fifth at most; 0 follows nothing.
    steps : steps in all, in place of epochs.
    seconds : a budget of time for learning, compilation not counted. The rate stays what it is until a third of it is
        left, then it falls to zero; `run.steps` with `run.learner` give the same bits again.
    watch : whether a rough likelihood is looked at now and then, so that a fit that goes astray goes on from where it
        was good at half the rate. yardstick : whether the model is compared with independent columns and a mixture.
    weights : how often each row counts; once if absent.
    binarize : a threshold, values above it are 1, others 0; ``"draw"``: each value is the probability of a 1, drawn
        anew in each epoch.
    """

    live: float = 0.1
    steps: int | None = None
    seconds: float | None = None
    watch: bool = True
    yardstick: bool = True
    weights: Any = None
    binarize: float | str | None = None


@dataclass(frozen=True, kw_only=True)
class EMOptions(Options):
    """What EM takes besides.

    Parameters
    ----------
    weights : how often each row counts; once if absent.
    """

    weights: Any = None


class Record:
    """What is noted after a pass over the data: a frozen dataclass, whose certificates go to files and come back."""

    def row(self) -> dict[str, str]:
        """Column → cell: how it is shown in a table."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        out = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return {k: v.to_json() if isinstance(v, Certificate) else v for k, v in out.items()}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """The record that `to_json` wrote."""
        return cls(**{k: Certificate(**v) if isinstance(v, dict) else v for k, v in record.items()})


@dataclass(frozen=True)
class Epoch(Record):
    """One pass over the data; log-likelihoods are means over rows, with certificates, None where not followed.

    Attributes
    ----------
    gradient_norm, hidden_mean : of the last step; the mean activity of the hidden units.
    learning_rate : of the last step; None where the learner has an optimizer of its own.
    bound, effective_sample_size, gradient_variance : running means of the last steps, of learners that draw samples of
        the hidden units: the bound on the log-likelihood that is climbed, how many of the samples of a row count, and
        the variance of an entry of the gradient from step to step. No bound with a machine on top, whose log Z moves.

    Examples
    --------
    >>> record = tr.learning.Epoch(1, seconds=0.5, train=tr.Certificate.exact(-3.0))
    >>> record.row()["train"]
    '-3.000'
    """

    epoch: int
    seconds: float
    gradient_norm: float = nan
    hidden_mean: float = nan
    train: Certificate | None = None
    validation: Certificate | None = None
    bound: float | None = None
    effective_sample_size: float | None = None
    gradient_variance: float | None = None
    learning_rate: float | None = None

    def row(self) -> dict[str, str]:
        own = {"gradient": f"{self.gradient_norm:.3g}", "hidden mean": f"{self.hidden_mean:.3f}"}
        if self.effective_sample_size is not None:
            own = {"bound": "–" if self.bound is None else f"{self.bound:.3f}"}
            own |= {"samples": f"{self.effective_sample_size:.2f}", "variance": f"{self.gradient_variance:.2g}"}
        ends = {"train": interval(self.train), "validation": interval(self.validation)}
        return {"epoch": str(self.epoch), "seconds": f"{self.seconds:.1f}"} | own | ends


R = TypeVar("R", bound=Record)


def _ends(name: str, found: list[Any]) -> dict[str, list[Any]]:
    """A column of numbers; of certificates three, NaN where there is none."""
    if not any(isinstance(x, Certificate) for x in found):
        return {name: [nan if x is None else x for x in found]}
    ends = {"value": name, "lower": f"{name}_lower", "upper": f"{name}_upper"}
    return {own: [nan if x is None else getattr(x, end) for x in found] for end, own in ends.items()}


@dataclass(frozen=True, repr=False)
class History(Printed, Generic[R]):
    """The records of a run, an epoch or an iteration each; prints as a table.

    Examples
    --------
    >>> rows = [[0.0], [0.4], [3.0], [3.4]]
    >>> history = tr.fit(tr.mixture(rows, 2, "diagonal"), rows, tr.EM(prior=0)).history
    >>> likelihoods = [record.train.value for record in history]
    >>> all(a <= b + 1e-12 for a, b in zip(likelihoods, likelihoods[1:]))
    True
    """

    records: tuple[R, ...] = ()

    def __iter__(self) -> Iterator[R]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, i: int) -> R:
        return self.records[i]

    def __getattr__(self, name: str) -> Any:
        moved = "; its records are history.records since version 0.2" if name in ("epochs", "iterations") else ""
        raise AttributeError(f"a History has no attribute {name!r}{moved}")

    def with_record(self, record: R) -> History[R]:
        """The history with one more record."""
        return History((*self.records, record))

    def to_frame(self, library: str | None = None) -> Any:
        """A row for each record: its numbers, of a certificate the value, with ``NAME_lower`` and ``NAME_upper``.

        Of ``"pandas"``, ``"polars"`` or ``"pyarrow"``, the first that is installed if None.
        """
        names = [f.name for f in fields(self.records[0])] if self.records else []  # pyright: ignore
        columns: dict[str, list[Any]] = {}
        for name in names:
            columns |= _ends(name, [getattr(record, name) for record in self.records])
        return frame_of(columns, library)

    def __repr__(self) -> str:
        last = f", the last: {self[-1]!r}" if self.records else ""
        return f"History({len(self)} record{'' if len(self) == 1 else 's'}{last})"

    def _repr_html_(self) -> str:
        from tractable import _html

        return _html.history(self)

    def __rich__(self) -> Table:
        from rich.box import SIMPLE_HEAD  # loaded when a table is printed
        from rich.table import Table

        table, rows = Table(box=SIMPLE_HEAD, pad_edge=False), [record.row() for record in self]
        for name in rows[0] if rows else ():
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(*row.values())
        return table


class Returned:
    """What a fit returns: in a notebook its last records, and what became of it."""

    def _repr_html_(self) -> str:
        from tractable import _html

        return _html.run(self)


def bare(found: Certificate) -> Certificate:
    """The certificate without the rows it is the mean of."""
    return Certificate.of(found)


def interval(found: Certificate | None) -> str:
    """A certified number for people: value and interval, where that is not one number to three digits."""
    if found is None:
        return "–"
    value, lower, upper = (f"{number:.3f}" for number in (found.value, found.lower, found.upper))
    if found.kind == "estimate" and (lower, upper) == ("-inf", "inf"):
        return f"{value} (estimate)"
    return value if lower == upper else f"{value} [{lower}, {upper}]"
