"""Several numbers of components or states are fitted, and one of them is chosen."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

import tractable as tr
from tractable.cli._common import InterruptedFitError
from tractable.cli._options import Climbing, kept_at
from tractable.cli._outputs import draw, resumable
from tractable.cli._text import warnings_in_a_line
from tractable.plots import choice

MOST = 1000
"""So many numbers are fitted at most."""

_PART = re.compile(r"\s*([0-9]{1,6})\s*(?:-\s*([0-9]{1,6})\s*)?")


@dataclass(frozen=True)
class Choosing:
    """Trying several numbers."""

    choose: Annotated[
        str | None,
        typer.Option(metavar="1-8", help="Fit each of these numbers, a range or a list such as 2,3,5, and choose one."),
    ] = None
    choose_by: Annotated[
        Literal["bic", "held-out"] | None,
        typer.Option(help="The least BIC, or the likelihood of rows that are not learned from; bic if absent."),
    ] = None
    held_out: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Share of rows, or sequences, held out without --validation; 0.2 if absent."
        ),
    ] = None

    @property
    def by(self) -> str:
        """The criterion, as the library calls it."""
        return (self.choose_by or "bic").replace("-", "_")

    def numbers(self, given: int | None, option: str) -> list[int]:
        """What is fitted: one number, or several to choose from."""
        if (self.choose is None) == (given is None):
            raise typer.BadParameter(f"give {option} N, or --choose 1-8 to try several numbers: one of the two")
        if given is not None:
            return [given]
        return self._several(str(self.choose))

    def check(self, validation: str | None) -> None:
        """Refuse what means nothing without the rest."""
        if self.choose is None and (self.choose_by is not None or self.held_out is not None):
            raise typer.BadParameter("--choose-by and --held-out say how to choose: give --choose 1-8 too")
        if self.held_out is None:
            return
        if self.by != "held_out" or validation is not None:
            raise typer.BadParameter("--held-out is for --choose-by held-out without --validation; leave it out")
        if not 0 < self.held_out < 1:
            raise typer.BadParameter(f"--held-out: expected a share between 0 and 1, got {self.held_out:g}")

    def _several(self, text: str) -> list[int]:
        found: list[int] = []
        for part in text.split(","):
            if (ends := _PART.fullmatch(part)) is None:
                raise typer.BadParameter(f"--choose: expected numbers such as 1-8 or 2,3,5, got {text!r}")
            first, last = int(ends[1]), int(ends[2] or ends[1])
            if first < 1:
                raise typer.BadParameter(f"--choose {text}: numbers of components or states begin with 1")
            if last < first:
                raise typer.BadParameter(f"--choose {text}: the range ends before it begins; take {last}-{first}")
            if last - first >= MOST:
                raise typer.BadParameter(f"--choose {text}: {MOST:,} numbers are fitted at most")
            found += range(first, last + 1)
        return found


def chosen(
    settings: Climbing,
    choosing: Choosing,
    begin: Callable[[Any, int], Any],
    data: tuple[Any, Any, Any],
    files: tuple[str, str],
) -> tr.learning.Choice:
    """All fits of the numbers that are asked for; the chosen model is written, and then the checkpoints go.

    `data` are rows, those that are followed, and weights; `files` the model's, and where fits are kept.
    """
    (rows, held, weights), (output, checkpoint) = data, files
    kept = {"checkpoint": checkpoint, "checkpoint_seconds": settings.checkpoint_seconds, "resume": settings.resume}
    options: dict[str, Any] = {"epochs": settings.epochs, "validation": held, "key": settings.seed, **kept}
    options |= {"memory": settings.memory, "progress": settings.progress, "weights": weights}
    options |= {"by": choosing.by} | ({} if choosing.held_out is None else {"held_out": choosing.held_out})
    numbers, learner = choosing.numbers(None, ""), settings.learner  # type: ignore[attr-defined]
    with warnings_in_a_line(RuntimeWarning), resumable(checkpoint):
        found = tr.choose(begin, rows, numbers, learner, **options)
    tr.save(found.model, output)
    if settings.plot:
        draw(settings.plot, choice, found)
    if not found.interrupted:
        for path in kept_at(checkpoint):
            os.unlink(path)
    return found


def check_ended(found: tr.learning.Choice, numbers: list[int], output: str) -> None:
    """Leave with the exit code of an interrupt, where one ended it."""
    if found.interrupted:
        raise InterruptedFitError(
            f"interrupted with {len(found.candidates)} of {len(numbers)} numbers fitted; {output} is the best of these:"
            " the same command with --resume goes on"
        )
