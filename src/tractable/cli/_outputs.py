"""The files that a fit leaves, and what it says on the way; nothing here waits for jax."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tractable as tr
from tractable.cli._text import one_line
from tractable.formats._base import extension, failure

FIGURES = (".png", ".pdf", ".svg")
MODELS = (".safetensors",)


@contextmanager
def warnings_in_a_line() -> Iterator[None]:
    """Warnings of a fit that goes on as lines on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", RuntimeWarning)
        warnings.showwarning = lambda message, *_: print(f"tractable: {one_line(str(message))}", file=sys.stderr)
        yield


def check_writable(path: str, extensions: tuple[str, ...] | None = None) -> None:
    """Hours of learning must not end at a folder that is not there."""
    if extensions:
        extension(path, extensions)
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise failure(path, "cannot be written: there is no such folder; make it first")
    if os.path.isdir(path) or not os.access(folder, os.W_OK):
        raise failure(path, "cannot be written: choose another place")


def draw(curve: Callable[[Any], Any], history: Any, path: str) -> None:
    """The curve of a history as a file."""
    try:
        curve(history).savefig(path)
    except ModuleNotFoundError as error:
        raise tr.ModelError(str(error)) from None


def climb(
    settings: Any, model: Any, data: tuple[Any, Any], output: str, extensions: tuple[str, ...] = MODELS
) -> tr.EMRun:
    """EM from a model on rows, with others that are followed; the model is written, and then the checkpoint goes.

    `settings` are options of `Kept`, ``learner``, ``iterations`` and ``seed``.
    """
    from tractable.plots import em_curves

    check_writable(output, extensions)
    if settings.plot:
        check_writable(settings.plot, FIGURES)
    checkpoint, (rows, held) = settings.at(output), data
    kept = {"checkpoint": checkpoint, "checkpoint_seconds": settings.checkpoint_every, "resume": settings.resume}
    options: dict[str, Any] = {"epochs": settings.iterations, "validation": held, "key": settings.seed, **kept}
    with warnings_in_a_line():
        run = tr.fit(model, rows, settings.learner, **options)
    tr.save(run.model, output)
    os.unlink(checkpoint)
    if settings.plot:
        draw(em_curves, run.history, settings.plot)
    return run
