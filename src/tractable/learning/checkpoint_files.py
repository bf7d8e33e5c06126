"""Checkpoints as files: arrays in a safetensors file, what they belong to in its header.

A file is replaced as a whole or not at all, so that whenever a fit is killed the last checkpoint is a good one. Since
version 2 its header holds a checksum of all that is in it.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tractable.formats._base import FormatError, failure, file_size, readable, write
from tractable.formats._versions import Format
from tractable.models import ModelError

FORMAT = Format(2, since="0.2.0")
HEADER = "tractable checkpoint"
BEGINNING = f'{{"__metadata__":{{"{HEADER}":'.encode()
"""What a checkpoint begins with, after the eight bytes that say how long its header is."""


def store(path: str, arrays: Mapping[str, np.ndarray], belongs: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write a checkpoint; `belongs` says what it is a checkpoint of, `about` what else there is to say."""
    check_place(path)
    header = {**FORMAT.stamp(), "belongs": belongs, **about}
    whole = {name: np.array(array, order="C") for name, array in arrays.items()}
    write(path, save(whole, {HEADER: json.dumps({**header, "sha256": _checksum(header, whole)})}))


def _checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """Of the header without the checksum, and of the arrays with their names, types and shapes."""
    found = sha256(json.dumps(header).encode())
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def check_place(path: str | None) -> None:
    """A checkpoint takes the place of another one, or of an empty file: never of data, of a model, of anything else.

    Raises
    ------
    FormatError : there is another file.
    """
    if not path or not os.path.exists(path) or os.path.isdir(path):
        return
    with readable(path), open(path, "rb") as file:
        begins = file.read(8 + len(BEGINNING))[8:] if file_size(path) else BEGINNING
    if begins != BEGINNING:
        raise failure(path, "is not a checkpoint of a fit, or damaged; choose another place for the checkpoint")


def restore(path: str, belongs: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Arrays and header of the checkpoint at this path, None where there is none.

    Raises
    ------
    FormatError : a file that is damaged, or belongs to another fit.
    """
    if not os.path.exists(path):
        return None
    with readable(path), open(path, "rb") as file:
        data = file.read()
    try:
        about = _about(data)
        found = load(data), dict(about)
        _check_whole(*found)
        if about["version"] == 1:  # of which settings were written that now follow from the data
            belongs = {name: value for name, value in belongs.items() if name != "method"}
        _check(path, dict(about["belongs"]), belongs)
    except FormatError:
        raise
    except ModelError as error:
        raise failure(path, f"{error}, or start without --resume") from None
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, error) from None
    return found


def version(path: str | None) -> int:
    """The version of the checkpoint at this path; that of today where there is none that can be read."""
    try:
        with open(path or "", "rb") as file:
            return int(_about(file.read())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return FORMAT.version


def _about(data: bytes) -> dict[str, Any]:
    text = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"][HEADER]
    about = json.loads(text)
    if json.dumps(about) != text:  # a number may be written in two ways, one of which is not ours
        raise ValueError("its header is not as it was written")
    return about


def store_or_warn(store: Callable[[], None]) -> None:
    """Write on the way; where that fails, the fit goes on: what it has learned is worth more than its checkpoint."""
    try:
        store()
    except FormatError as error:
        warnings.warn(f"the fit goes on without a new checkpoint: {error}", RuntimeWarning, stacklevel=3)


def damaged(path: str, error: object) -> FormatError:
    """The error for a file that is no checkpoint."""
    return failure(path, f"is not a checkpoint of a fit, or damaged ({error}); start without --resume")


def _check_whole(arrays: Mapping[str, np.ndarray], about: dict[str, Any]) -> None:
    """Of a version that is read, and every bit as it was written."""
    FORMAT.check(about)
    sum_there = about.pop("sha256", None)
    if about["version"] > 1 and sum_there != _checksum(about, arrays):
        raise ValueError("its checksum does not fit what it holds")


def _check(path: str, saved: dict[str, Any], belongs: Mapping[str, Any]) -> None:
    for name, value in belongs.items():
        if (found := saved.get(name)) != value:
            raise failure(path, f"is of another fit: its {name} is {found}, this one's {value}; start without --resume")
