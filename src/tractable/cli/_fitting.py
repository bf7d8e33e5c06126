"""A fit from its files to its files: only the commands of `fit` import this, and with it jax."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

import tractable as tr
from tractable.cli import _json
from tractable.cli._options import Layers, Running, Visible, kept_at
from tractable.cli._outputs import checkpoint_of, draw, resumable
from tractable.cli._table_files import Learned, once, values_of
from tractable.cli._text import warnings_in_a_line
from tractable.cli._weights import RowWeights, followed, weighing
from tractable.learning.given import GivenRows, as_given
from tractable.learning.layers.layerwise import pretrain
from tractable.learning.loop import check_fit
from tractable.learning.machines.columns import fit_columns, visible_units
from tractable.learning.records import GradientOptions
from tractable.models.rows import n_rows_of
from tractable.plan.training import check_training
from tractable.plots import learning_curve

LONG = 300.0
"""Seconds of learning after which its likelihood may take a minute."""


class Files(NamedTuple):
    """What a fit reads, and where the model goes."""

    data: str
    model: str


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves: the model in its file, the record of its epochs, how likely the data are."""

    path: str
    run: tr.Run
    likelihood: dict[str, tr.Certificate]

    @property
    def seconds(self) -> float:
        """The time of all epochs."""
        return self.run.history[-1].seconds

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "model": self.path,
            "machine": _json.model(self.run.model),
            "epochs": len(self.run.history),
            "seconds": self.seconds,
            "steps": self.run.steps,
            "learner": repr(self.run.learner),
            "yardstick": self.run.yardstick and self.run.yardstick.to_json(),
            "history": [epoch.to_json() for epoch in self.run.history],
            "log_likelihood": {name: found.to_json() for name, found in self.likelihood.items()},
        }


@dataclass(frozen=True)
class Shape:
    """Which machine to make: its constructor, the hidden units, and the units that hold the data."""

    name: str
    hidden: Layers
    visible: Visible

    def read(self, path: str, running: Running) -> Learned:
        """The rows in a file."""
        return running.learned(path)

    def machine(self, units: tr.models.units.Units, n_chains: int, seed: int, memory: str | None) -> tr.Boltzmann:
        """A new machine for these columns, unless memory does not hold what learning it takes."""
        hidden = self.hidden.over(units.n)
        check_training([units.n_features, *hidden], n_chains, within=self.name == "boltzmann", memory=memory)
        kind = "spin" if isinstance(units, tr.Spin) else "bernoulli"
        if self.name == "restricted":
            return tr.restricted(units, hidden[0], units=kind, key=seed)
        if self.name == "deep":
            return tr.deep([units, *hidden], units=kind, key=seed)
        return tr.boltzmann(units.n, hidden=sum(hidden), units=units, key=seed)

    def fits(self, model: Any) -> bool:
        """Whether it is a model of this shape."""
        within = any(a == b for a, b in getattr(model, "couplings", {}))
        return isinstance(model, tr.Boltzmann) and within == (self.name == "boltzmann")

    def new(self, found: Learned, learner: Any, running: Running) -> tr.Boltzmann:
        """A new machine for these rows."""
        with values_of(found.path):
            units = visible_units(found.rows, **self.visible.options(found))
        chains = max(min(learner.batch, n_rows_of(found.rows)), getattr(learner, "chains", 0))
        return self.machine(units, chains, running.seed, running.memory)

    def start(self, model: tr.Boltzmann, rows: np.ndarray, learner: Any, running: Running) -> tr.Boltzmann:
        """Where learning starts."""
        epochs = getattr(self.visible, "pretrain", 0)
        if not epochs or running.start:
            return model
        how = {"key": running.seed, "memory": running.memory} | running.taken
        check_fit(model, rows, learner, epochs=running.epochs, checkpoint=running.checkpoint, **how)
        return pretrain(model, rows, epochs=epochs, progress=running.progress, **how)


def fitted(files: Files, shape: Any, learner: Any, running: Running) -> Fitted:
    """Read the data, learn, write the model; the checkpoint goes when the model is there."""
    read = {"DATA": files.data, "--validation": running.validation}
    running = replace(running, checkpoint=checkpoint_of(running, files.model, read))
    files = files._replace(data=once(files.data))
    running, weights = weighing(running, files.data)
    found = shape.read(files.data, running)
    each = weights and weights.of(n_rows_of(found.rows))
    model = begun_at(running.start, shape) if running.start else shape.new(found, learner, running)
    rows = found.numbers(model)
    held = _held(shape, running, weights, model)
    seen, held_seen = (
        _taken(name, part, running, (model, learner)) for name, part in ((files.data, rows), (running.validation, held))
    )
    options = _options(running) | ({} if each is None else {"weights": each})
    with warnings_in_a_line(RuntimeWarning), resumable(running.checkpoint):
        model = shape.start(model, rows, learner, running)
        run = fit_columns(model, rows, learner, validation=held, epochs=running.epochs, **options)
    tr.save(run.model, files.model)
    for path in kept_at(running.checkpoint or ""):
        os.unlink(path)
    if running.plot:
        draw(running.plot, learning_curve, run.history)
    seen = GivenRows(seen, weights=options.get("weights")).spread(len(seen))
    return Fitted(files.model, run, _likelihood(run, seen, held_seen, running) if running.live else {})


def _held(shape: Any, running: Running, weights: RowWeights | None, model: Any) -> np.ndarray | None:
    """The rows that are followed."""
    if (path := running.validation) is None:
        return None
    return shape.read(path, followed(running, weights, path)).numbers(model)


def _options(running: Running) -> dict[str, Any]:
    """How a fit runs, as the library takes it."""
    options = {"key": running.seed, "checkpoint": running.checkpoint, "checkpoint_seconds": running.checkpoint_seconds}
    options |= {"resume": running.resume, "memory": running.memory, "progress": running.progress} | running.taken
    options |= {"steps": running.steps, "seconds": running.seconds, "yardstick": running.yardstick}
    return options | ({} if running.live else {"live": 0.0})


def _taken(name: str | None, rows: np.ndarray | None, running: Running, of: tuple[Any, Any]) -> Any:
    """Rows as a learner takes them for a model, looked at here, where their file has a name.

    Of what is drawn in each epoch they are one draw.
    """
    if rows is None:
        return None
    model, learner = of
    with values_of(name):
        taken = as_given(rows, GradientOptions(key=running.seed, **running.taken), model.units[model.groups[0]])
        return learner.checked(model, taken.rows)


def begun_at(path: str, shape: Any) -> Any:
    """The model in a file, which has to be what the command fits."""
    found: Any = tr.load(path)
    machine = isinstance(found, tr.Boltzmann)
    sizes = [found.units[name].n for name in found.hidden] if machine else [*getattr(found, "sizes", ())][1:]
    shape.hidden.check(sizes if shape.fits(found) else [], f"--start {path}", found)
    return found


def _likelihood(run: tr.Run, rows: np.ndarray, held: np.ndarray | None, running: Running) -> dict[str, Any]:
    """The certified likelihood of the model that was written; of a short fit the last one it looked at."""
    model, last = run.model, run.history[-1]
    if not run.learner.is_quick(model) and last.seconds < LONG:
        return {k: found for k in ("train", "validation") if (found := getattr(last, k)) is not None}
    parts = {"train": rows} | ({} if held is None else {"validation": held})
    how = {"key": running.seed, "memory": running.memory}
    return {name: tr.log_likelihood(model, part, **how) for name, part in parts.items()}
