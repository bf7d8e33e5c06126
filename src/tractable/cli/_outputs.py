"""The files that a fit leaves, and what it says on the way; nothing here waits for jax."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import tractable as tr
from tractable.cli._common import InterruptedFitError
from tractable.cli._options import Kept, Running, kept_at, layers_at
from tractable.cli._places import FIGURES, OutputPaths, check_apart, check_figure, check_new, check_writable
from tractable.cli._text import warnings_in_a_line
from tractable.formats._base import extension, write
from tractable.plots import em_curves

MODELS = (".safetensors",)


@contextmanager
def resumable(checkpoint: str | None) -> Iterator[None]:
    """Work that can go on from a checkpoint: an interrupt says so, where there is one."""
    try:
        yield
    except KeyboardInterrupt:
        if not (there := kept_at(checkpoint or "")):
            raise
        told = f"interrupted; the fit is kept in {there[0]}: the same command with --resume goes on from there"
        raise InterruptedFitError(told) from None


def checkpoint_of(kept: Kept, output: str, read: OutputPaths, extensions: tuple[str, ...] = MODELS) -> str:
    """Where a fit is kept while it runs; what would fail at its end, or destroy a file, is refused here."""
    check_writable(output, extensions)
    if kept.plot:
        check_figure(kept.plot)
    checkpoint = kept.checkpoint or f"{output}.checkpoint"
    layers = {f"the checkpoint of layer {i},": path for i, path in enumerate(layers_at(checkpoint))}
    check_apart(read, {"--output": output, "--plot": kept.plot, "--checkpoint": checkpoint} | layers)
    there = kept_at(checkpoint)
    _check_ended(kept, output, there)
    check_new(output, kept.force or (kept.resume and bool(there)))  # a fit that is kept was let write there
    if there and not kept.resume:
        raise tr.ModelError(f"{there[0]}: a fit that did not end is kept here; go on with --resume, or delete the file")
    return checkpoint


def _check_ended(kept: Kept, output: str, there: list[str]) -> None:
    """A fit that has ended is not resumed."""
    if kept.resume and not kept.force and not there and os.path.isfile(output) and os.path.getsize(output):
        start = f"--start {output} goes on from it, " if isinstance(kept, Running) else ""
        raise tr.ModelError(
            f"{output}: there is nothing to resume, the fit that wrote this has ended; {start}--force begins anew"
        )


def draw(path: str, figure: Callable[..., Any], *what: Any) -> None:
    """A figure of something as a file."""
    drawn = BytesIO()
    figure(*what).savefig(drawn, format=extension(path, FIGURES)[1:])
    write(path, drawn.getvalue())


def climb(
    settings: Any, model: Any, data: tuple[Any, Any], output: str, checkpoint: str, weights: Any = None
) -> tr.EMRun:
    """EM from a model on rows, with others that are followed; the model is written, and then the checkpoint goes.

    `settings` are options of `Kept`, ``learner``, ``epochs`` and ``seed``; `weights` say how often rows count.
    """
    rows, held = data
    kept = {"checkpoint": checkpoint, "checkpoint_seconds": settings.checkpoint_seconds, "resume": settings.resume}
    options: dict[str, Any] = {"epochs": settings.epochs, "validation": held, "key": settings.seed, **kept}
    options |= {"memory": settings.memory, "progress": settings.progress, "weights": weights}
    with warnings_in_a_line(RuntimeWarning), resumable(checkpoint):
        run = tr.fit(model, rows, settings.learner, **options)
    tr.save(run.model, output)
    os.unlink(checkpoint)
    if settings.plot:
        draw(settings.plot, em_curves, run.history)
    return run
