"""The checkpoint of a fit by EM: where each of its starts has got to."""

from __future__ import annotations

import time
from threading import Event, Lock
from typing import Any

import numpy as np

from tractable.formats._base import failure
from tractable.learning import checkpoint_files
from tractable.learning.em.leaves import filled, leaves
from tractable.learning.em.records import Iteration, Point
from tractable.learning.records import Options
from tractable.models import ModelError
from tractable.models.emissions import Statistics


class Keeper:
    """Keeps a fit in its file while it runs; starts run side by side, and one of them writes for all.

    Parameters
    ----------
    options : path, how often, and whether to go on from what is there; without a path nothing is kept.
    belongs : what a checkpoint has to agree with. like : a model of the shape of all.

    Attributes
    ----------
    points : where each start has got to. halted : set when no start is to go on.

    Raises
    ------
    FormatError : a checkpoint of another fit or damaged, or a place where none can be written.
    """

    def __init__(self, options: Options, belongs: dict[str, Any], like: Any):
        self.path, self.seconds, self.belongs = options.checkpoint, options.checkpoint_seconds, belongs
        self.points = self._restored(like) if options.resume and self.path else {}
        self.written, self.lock, self.halted = time.perf_counter(), Lock(), Event()
        self._store()  # a place that cannot be written is found out now, not after hours

    def at(self, start: int) -> Point | None:
        """Where a start had got to, if it had begun."""
        return self.points.get(start)

    def is_due(self) -> bool:
        """Whether it is time to write."""
        return bool(self.path) and time.perf_counter() - self.written >= self.seconds

    def keep(self, start: int, point: Point) -> None:
        """Note where a start has got to, and write if it is time; where that fails, the fit goes on."""
        with self.lock:
            self.points[start] = point
            if self.is_due():
                self.write()

    def write(self) -> None:
        """Write now."""
        self.written = time.perf_counter()
        checkpoint_files.store_or_warn(self._store)

    def _store(self) -> None:
        if not self.path:
            return
        arrays: dict[str, np.ndarray] = {}
        for start, point in self.points.items():
            kept = {} if point.kept is None else point.kept.arrays
            own = {"model": point.model, "before": point.before, "kept": kept, "q": point.q}
            arrays |= dict(leaves(own, str(start)))
        about = {"starts": {str(start): _about(point) for start, point in self.points.items()}}
        checkpoint_files.store(self.path, arrays, self.belongs, about)

    def _restored(self, like: Any) -> dict[int, Point]:
        found = checkpoint_files.restore(str(self.path), self.belongs)
        if found is None:
            return {}
        arrays, about = found
        try:
            return {int(start): _point(arrays, start, own, like) for start, own in about["starts"].items()}
        except ModelError as error:
            raise failure(str(self.path), f"{error}; start without --resume") from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise checkpoint_files.damaged(str(self.path), error) from None


def _about(point: Point) -> dict[str, Any]:
    own = {name: getattr(point, name) for name in ("block", "steps", "converged")}
    return {**own, "records": [record.to_json() for record in point.records]}


def _point(arrays: dict[str, np.ndarray], start: str, about: dict[str, Any], like: Any) -> Point:
    records = tuple(Iteration.from_json(record) for record in about["records"])
    kept = {n.removeprefix(way): np.array(a) for n, a in arrays.items() if n.startswith(way := f"{start}.kept.")}
    model, before = (filled(like, arrays, f"{start}.{name}") for name in ("model", "before"))
    numbers = (about["block"], about["steps"], about["converged"])
    return Point(model, before, records, Statistics(kept) if kept else None, _q(arrays, f"{start}.q"), *numbers)


def _q(arrays: dict[str, np.ndarray], way: str) -> Any:
    """One array, or several; None where there is none."""
    if way in arrays:
        return np.array(arrays[way])
    n = sum(name.startswith(f"{way}.") for name in arrays)
    return tuple(np.array(arrays[f"{way}.{i}"]) for i in range(n)) or None
