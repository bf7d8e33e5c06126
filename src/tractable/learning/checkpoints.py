"""Checkpoints of gradient learners: every array of a fit under way, and the record of its epochs."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tractable.formats import FormatError
from tractable.formats._base import failure
from tractable.learning import checkpoint_files
from tractable.learning._base import Training
from tractable.learning.records import Epoch, History


class Saved(NamedTuple):
    """A fit as it was saved: `block` blocks of the epoch after the last of `history` are done, after `seconds`."""

    training: Training
    history: History
    block: int
    seconds: float


def store(path: str, saved: Saved, belongs: dict[str, Any]) -> None:
    """Write a checkpoint; `belongs` says what it is a checkpoint of."""
    leaves = {f"leaf.{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(saved.training))}
    history = [epoch.to_json() for epoch in saved.history]
    about = {"block": saved.block, "seconds": saved.seconds, "history": history}
    checkpoint_files.store(path, leaves, belongs, about)


def restore(path: str, like: Training, belongs: dict[str, Any]) -> Saved | None:
    """The checkpoint at this path, None where there is none; an error where it belongs to another fit."""
    found = checkpoint_files.restore(path, belongs)
    if found is None:
        return None
    arrays, about = found
    try:
        history = History(tuple(Epoch.from_json(record) for record in about["history"]))
        return Saved(_filled(path, like, arrays), history, about["block"], about["seconds"])
    except (KeyError, TypeError) as error:
        raise checkpoint_files.damaged(path, error) from None


def _filled(path: str, like: Training, arrays: dict[str, np.ndarray]) -> Training:
    leaves, structure = jax.tree.flatten(like)
    found = [arrays.get(f"leaf.{i}") for i in range(len(leaves))]
    for old, new in zip(leaves, found, strict=True):
        if new is None or new.shape != np.shape(old) or new.dtype != old.dtype:
            raise failure(path, "holds arrays of other shapes; start without --resume")
    return jax.tree.unflatten(structure, [jnp.asarray(a) for a in found])


__all__ = ["FormatError", "Saved", "restore", "store"]
