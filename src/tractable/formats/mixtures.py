"""Mixtures in the project's own format: the kinds of emissions in the header, each parameter a tensor.

The header's entry has ``kind`` ``mixture`` and ``emissions`` (`tractable.formats.emissions` says what), and ``columns``
where these have names (`tractable.formats._columns`). The tensors are
``weights``, ``offset`` and the parameters of the emissions by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tractable.formats._columns import describe_columns, read_columns
from tractable.formats.emissions import arrays_of, describe_emissions, read_emissions, taken
from tractable.models import ModelError
from tractable.models.emissions import MixtureEmissions
from tractable.models.mixture import Mixture

PREFIX = "emissions."
"""Before the names of what emissions that are mixtures hold, which have weights of their own."""


def describe(model: Mixture) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header's description of a mixture, and its tensors."""
    own = model.free.arrays()
    if isinstance(model.free, MixtureEmissions):
        own = {PREFIX + name: array for name, array in own.items()}
    tensors = {"weights": model.weights, "offset": np.array(model.offset)} | own
    about = {"kind": "mixture", "emissions": describe_emissions(model.free)}
    about |= describe_columns(model.named)
    return about, {name: np.array(a, order="C") for name, a in tensors.items()}


def read(about: Mapping[str, Any], tensors: Mapping[str, Any]) -> Mixture:
    """The mixture with this description and these tensors."""
    arrays = arrays_of(tensors)
    weights, offset = taken(arrays, "weights"), taken(arrays, "offset")
    if offset.shape:
        raise ModelError(f"the tensor offset has the shape {offset.shape}, expected ()")
    arrays = {name.removeprefix(PREFIX): array for name, array in arrays.items()}
    return Mixture(weights, read_emissions(about.get("emissions"), arrays), float(offset), read_columns(about))
