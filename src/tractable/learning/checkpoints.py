"""Checkpoints of gradient learners: every array of a fit under way, and the record of its epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tractable.formats import FormatError
from tractable.formats._base import failure
from tractable.learning import checkpoint_files
from tractable.learning._base import Training
from tractable.learning.records import Epoch, History
from tractable.learning.watch import Watched


class Saved(NamedTuple):
    """A fit as it was saved, after `seconds`: the epochs that are done, and what is known of the one under way.

    `total` is how many steps there will be in all, None while that depends on the clock; `is_new` says that an epoch
    has just ended.
    """

    training: Training
    history: History
    seconds: float
    watched: Watched
    total: int | None
    is_new: bool = False

    @property
    def step(self) -> int:
        """Steps that have been taken."""
        return int(self.training.step)

    def done(self, n_steps: int) -> int:
        """Those of the epoch under way, of so many in an epoch."""
        return self.step - len(self.history) * n_steps


def store(path: str, saved: Saved, belongs: dict[str, Any]) -> None:
    """Write a checkpoint; `belongs` says what it is a checkpoint of."""
    good = saved.watched.good
    parts = {"leaf": saved.training} | ({} if int(good.step) == saved.step else {"good": good})
    leaves = {f"{k}.{i}": np.asarray(leaf) for k, part in parts.items() for i, leaf in enumerate(jax.tree.leaves(part))}
    watched = {k: v for k, v in saved.watched._asdict().items() if k != "good"} | {"best": repr(saved.watched.best)}
    history = [epoch.to_json() for epoch in saved.history]
    about = {"seconds": saved.seconds, "history": history, "watched": watched, "total": saved.total}
    checkpoint_files.store(path, leaves, belongs, about)


def restore(path: str, like: Sequence[Training], belongs: dict[str, Any], total: int | None) -> Saved | None:
    """The checkpoint at this path, None where there is none; an error where it belongs to another fit.

    Its arrays have the shapes of one of `like`.
    """
    found = checkpoint_files.restore(path, belongs)
    if found is None:
        return None
    arrays, about = found
    try:
        history = History(tuple(Epoch.from_json(record) for record in about["history"]))
        training = _filled(path, like, arrays, "leaf")
        good = _filled(path, like, arrays, "good") if "good.0" in arrays else training
        known = dict(about.get("watched", {"epochs": len(history), "best": "nan"}))  # earlier fits were not watched
        watched = Watched(good, **{**known, "best": float(known["best"])})  # pyright: ignore[reportArgumentType]
        return Saved(training, history, about["seconds"], watched, about.get("total", total))
    except (KeyError, TypeError) as error:
        raise checkpoint_files.damaged(path, error) from None


def _filled(path: str, like: Sequence[Training], arrays: dict[str, np.ndarray], part: str) -> Training:
    for one in like:
        leaves, structure = jax.tree.flatten(one)
        found = [arrays.get(f"{part}.{i}") for i in range(len(leaves))]
        if all(_is_like(new, old) for new, old in zip(found, leaves, strict=True)):
            return jax.tree.unflatten(structure, [jnp.asarray(a) for a in found])
    raise failure(path, "holds arrays of other shapes; start without --resume")


def _is_like(new: np.ndarray | None, old: Any) -> bool:
    return new is not None and new.shape == np.shape(old) and new.dtype == old.dtype


__all__ = ["FormatError", "Saved", "restore", "store"]
