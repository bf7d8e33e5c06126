"""A model as constants and coordinates: what the charts of all families share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Coordinates = dict[str, Any]
TINY = 1e-300
NEVER = -1e30
"""The logit of what cannot happen: finite, so that its gradient is zero and not undefined."""


class Chart(NamedTuple):
    """A model as constants and coordinates; `shape` says, hashably, which kinds they are of."""

    shape: Any
    constants: Coordinates
    free: Coordinates


def logs(p: np.ndarray) -> np.ndarray:
    """Logits of probabilities."""
    return np.where(p > 0, np.log(np.maximum(p, TINY)), NEVER)
