"""Arrays of parameters as they are given, and small random ones where there are none."""

from __future__ import annotations

from typing import Any

import numpy as np

from tractable.models._base import ModelError


def array(what: str, given: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A given parameter as it is, in double precision where it has it; a new one in single precision, of zeros.

    Raises
    ------
    ModelError : another shape, entries that are not finite.
    """
    if given is None:
        return np.zeros(shape, np.float32)
    try:
        found = np.asarray(given)
    except ValueError:
        raise ModelError(f"{what}: expected numbers of the shape {shape}, got lists of different lengths") from None
    if found.dtype.kind not in "biuf":
        raise ModelError(f"{what}: expected numbers, got an array of {found.dtype}")
    found = found.astype(found.dtype if found.dtype in (np.float32, np.float64) else np.float64)
    if found.shape != shape:
        raise ModelError(f"{what}: expected the shape {shape}, got {found.shape}")
    if not np.isfinite(found).all():
        raise ModelError(f"{what}: some entries are not finite")
    return found


def small(rng: np.random.Generator, shape: tuple[int, ...], scale: float = 0.01) -> np.ndarray:
    """Random normal numbers in single precision."""
    return (scale * rng.standard_normal(shape)).astype(np.float32)
