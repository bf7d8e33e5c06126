"""Checkpoints as files: arrays in a safetensors file, what they belong to in its header.

A file is replaced as a whole or not at all, so that whenever a fit is killed the last checkpoint is a good one.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tractable.formats._base import FormatError, failure, write

VERSION = 1
HEADER = "tractable checkpoint"


def store(path: str, arrays: Mapping[str, np.ndarray], belongs: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write a checkpoint; `belongs` says what it is a checkpoint of, `about` what else there is to say."""
    header = {"version": VERSION, "belongs": belongs, **about}
    whole = {name: np.array(array, order="C") for name, array in arrays.items()}
    write(path, save(whole, {HEADER: json.dumps(header)}))


def restore(path: str, belongs: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Arrays and header of the checkpoint at this path, None where there is none.

    Raises
    ------
    FormatError : a file that is damaged, or belongs to another fit.
    """
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        data = file.read()
    try:
        about = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"][HEADER])
        found = load(data), dict(about)
        _check(path, about["version"], dict(about["belongs"]), belongs)
    except FormatError:
        raise
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, error) from None
    return found


def store_or_warn(store: Callable[[], None]) -> None:
    """Write on the way; where that fails, the fit goes on: what it has learned is worth more than its checkpoint."""
    try:
        store()
    except FormatError as error:
        warnings.warn(f"the fit goes on without a new checkpoint: {error}", RuntimeWarning, stacklevel=3)


def damaged(path: str, error: object) -> FormatError:
    """The error for a file that is no checkpoint."""
    return failure(path, f"is not a checkpoint of a fit, or damaged ({error}); start without --resume")


def _check(path: str, version: Any, saved: dict[str, Any], belongs: Mapping[str, Any]) -> None:
    if version != VERSION:
        raise failure(path, f"was written by another version (format {version}, this is {VERSION})")
    for name, value in belongs.items():
        if (found := saved.get(name)) != value:
            raise failure(path, f"is of another fit: its {name} is {found}, this one's {value}; start without --resume")
