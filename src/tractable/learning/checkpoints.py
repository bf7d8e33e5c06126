"""Checkpoints: every array of a fit under way in a safetensors file, what they belong to in its header.

A file is replaced as a whole or not at all, so that whenever a fit is killed the last checkpoint is a good one.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tractable.formats import FormatError
from tractable.formats._base import failure, write
from tractable.learning._base import Training
from tractable.learning.records import Epoch, History

VERSION = 1


class Saved(NamedTuple):
    """A fit as it was saved: `block` blocks of the epoch after the last of `history` are done, after `seconds`."""

    training: Training
    history: History
    block: int
    seconds: float


def store(path: str, saved: Saved, belongs: dict[str, Any]) -> None:
    """Write a checkpoint; `belongs` says what it is a checkpoint of."""
    leaves = {f"leaf.{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(saved.training))}
    about = {
        "version": VERSION,
        "belongs": belongs,
        "block": saved.block,
        "seconds": saved.seconds,
        "history": [epoch.to_json() for epoch in saved.history],
    }
    write(path, save(leaves, {"tractable checkpoint": json.dumps(about)}))


def restore(path: str, like: Training, belongs: dict[str, Any]) -> Saved | None:
    """The checkpoint at this path, None where there is none; an error where it belongs to another fit."""
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        data = file.read()
    try:
        about = json.loads(
            json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["tractable checkpoint"]
        )
        arrays = load(data)
        history = History(tuple(Epoch.from_json(record) for record in about["history"]))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise failure(path, f"is not a checkpoint of a fit, or damaged ({error}); start without --resume") from None
    _check(path, about, belongs)
    return Saved(_filled(path, like, arrays), history, about["block"], about["seconds"])


def _check(path: str, about: dict[str, Any], belongs: dict[str, Any]) -> None:
    if about["version"] != VERSION:
        raise failure(path, f"was written by another version (format {about['version']}, this is {VERSION})")
    for name, value in belongs.items():
        if (found := about["belongs"].get(name)) != value:
            raise failure(path, f"is of another fit: its {name} is {found}, this one's {value}; start without --resume")


def _filled(path: str, like: Training, arrays: dict[str, np.ndarray]) -> Training:
    leaves, structure = jax.tree.flatten(like)
    found = [arrays.get(f"leaf.{i}") for i in range(len(leaves))]
    for old, new in zip(leaves, found, strict=True):
        if new is None or new.shape != np.shape(old) or new.dtype != old.dtype:
            raise failure(path, "holds arrays of other shapes; start without --resume")
    return jax.tree.unflatten(structure, [jnp.asarray(a) for a in found])


__all__ = ["FormatError", "Saved", "restore", "store"]
