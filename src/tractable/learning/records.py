"""What a fit is told and what it leaves: options, the record of each epoch, the history of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from math import nan
from typing import TYPE_CHECKING, Any

from tractable.models._base import ModelError, nearest
from tractable.posterior import Certificate

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a fit runs, apart from what it computes.

    Parameters
    ----------
    key : int or jax key; the same key gives the same model.
    checkpoint : path of the checkpoint. checkpoint_seconds : how often it is written within an epoch. resume : go on
        from it if it is there.
    progress : whether to show a bar; None shows one where standard error is a terminal.
    callback : called with the record of each epoch; a true answer ends the fit.
    live : share of the time that may go into following the likelihood; 0 follows nothing.
    """

    key: Any = 0
    checkpoint: str | None = None
    checkpoint_seconds: float = 60.0
    resume: bool = False
    progress: bool | None = None
    callback: Callable[[Epoch], Any] | None = None
    live: float = 0.1

    @classmethod
    def read(cls, given: dict[str, Any]) -> Options:
        """Options from keyword arguments; an unknown one is an error that names the nearest."""
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise ModelError(f"unknown option {name!r}{nearest(name, known)}")
        return cls(**given)


@dataclass(frozen=True)
class Epoch:
    """One pass over the data; log-likelihoods are means over rows, with certificates, None where not followed.

    Attributes
    ----------
    gradient_norm, hidden_mean : of the last step; the mean activity of the hidden units.
    bound, effective_sample_size, gradient_variance : running means of the last steps, of learners that draw samples of
        the hidden units: the bound on the log-likelihood that is climbed, how many of the samples of a row count, and
        the variance of an entry of the gradient from step to step. No bound with a machine on top, whose log Z moves.
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

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        return out | {k: None if out[k] is None else out[k].to_json() for k in ("train", "validation")}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Epoch:
        """The record that `to_json` wrote."""
        found = {k: None if record[k] is None else Certificate(**record[k]) for k in ("train", "validation")}
        return cls(**{**record, **found})


@dataclass(frozen=True)
class History:
    """The epochs of a run; prints as a table."""

    epochs: tuple[Epoch, ...] = ()

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, i: int) -> Epoch:
        return self.epochs[i]

    def with_epoch(self, record: Epoch) -> History:
        """The history with one more epoch."""
        return History((*self.epochs, record))

    def __rich__(self) -> Table:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        sampled = any(e.effective_sample_size is not None for e in self)
        own = ("bound", "samples", "variance") if sampled else ("gradient", "hidden mean")
        for name in ("epoch", "seconds", *own, "train", "validation"):
            table.add_column(name, justify="right")
        for e in self:
            numbers = _sampled(e) if sampled else (f"{e.gradient_norm:.3g}", f"{e.hidden_mean:.3f}")
            table.add_row(str(e.epoch), f"{e.seconds:.1f}", *numbers, interval(e.train), interval(e.validation))
        return table

    def __str__(self) -> str:
        from tractable.plan._text import rendered

        return rendered(self)  # type: ignore[arg-type]


def _sampled(e: Epoch) -> tuple[str, ...]:
    numbers = (e.bound, e.effective_sample_size, e.gradient_variance)
    return tuple(
        "–" if number is None else f"{number:{form}}"
        for number, form in zip(numbers, (".3f", ".2f", ".2g"), strict=True)
    )


def interval(found: Certificate | None) -> str:
    """A certified number for people: value and interval, where that is not one number to three digits."""
    if found is None:
        return "–"
    value, lower, upper = (f"{number:.3f}" for number in (found.value, found.lower, found.upper))
    return value if lower == upper else f"{value} [{lower}, {upper}]"
