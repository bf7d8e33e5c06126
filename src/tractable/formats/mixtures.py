"""Mixtures in the project's own format: the kinds of emissions in the header, each parameter a tensor.

The header's entry has ``kind`` ``mixture``, ``emissions``: a kind, or a list of parts with ``kind`` and ``columns``.
The tensors are ``weights``, ``offset`` and the parameters of the emissions by name, in a list with ``PART.`` before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from tractable.formats._base import shown
from tractable.models import ModelError
from tractable.models.emissions import KINDS, CategoricalEmissions, Emissions, ProductEmissions
from tractable.models.mixture import Mixture


def describe(model: Mixture) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header's description of a mixture, and its tensors."""
    tensors = {"weights": model.weights, "offset": np.array(model.offset)} | model.free.arrays()
    about = {"kind": "mixture", "emissions": describe_emissions(model.free)}
    return about, {name: np.array(a, order="C") for name, a in tensors.items()}


def read(about: Mapping[str, Any], tensors: Mapping[str, Any]) -> Mixture:
    """The mixture with this description and these tensors."""
    arrays = {name: array_of(name, tensor) for name, tensor in tensors.items()}
    weights, offset = taken(arrays, "weights"), taken(arrays, "offset")
    if offset.shape:
        raise ModelError(f"the tensor offset has the shape {offset.shape}, expected ()")
    return Mixture(weights, read_emissions(about.get("emissions"), arrays), float(offset))


def describe_emissions(emissions: Emissions) -> str | list[dict[str, Any]]:
    """The kind of emissions, or of each part of a product with its columns."""
    if not isinstance(emissions, ProductEmissions):
        return emissions.kind
    parts = zip(emissions.parts, emissions.columns, strict=True)
    return [{"kind": part.kind, "columns": list(own)} for part, own in parts]


def read_emissions(described: Any, arrays: dict[str, np.ndarray]) -> Emissions:
    """Emissions from their description and their tensors; a tensor that has no place is an error."""
    if not isinstance(described, list):
        return _made(described, arrays)
    if not described or not all(isinstance(p, dict) and _are_columns(p.get("columns")) for p in described):
        raise ModelError("the header's 'tractable' entry has no good emissions: a kind, or parts with kind and columns")
    parts = [_made(p.get("kind"), _prefixed(arrays, f"{i}.")) for i, p in enumerate(described)]
    if arrays:
        raise ModelError(f"the tensor {shown(next(iter(arrays)))} is not described in the header")
    return ProductEmissions(parts, [p["columns"] for p in described])


def _are_columns(value: Any) -> bool:
    return isinstance(value, list) and all(type(c) is int for c in value)


def _prefixed(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): arrays.pop(name) for name in [*arrays] if name.startswith(prefix)}


def _made(kind: Any, arrays: dict[str, np.ndarray]) -> Emissions:
    if not isinstance(kind, str) or kind not in KINDS:
        raise ModelError(f"unknown kind of emissions {shown(str(kind))}; expected one of {', '.join(KINDS)}")
    if kind == "categorical":
        tables = [taken(arrays, f"table{j}") for j in range(len(arrays))]
        return CategoricalEmissions(tables)
    wanted = {f.name for f in fields(KINDS[kind])}  # type: ignore[arg-type]
    for name in wanted ^ {*arrays}:
        raise ModelError(f"the tensor {shown(name)} {'is missing' if name in wanted else 'has no place'}")
    return KINDS[kind](**arrays)


def taken(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """A tensor, taken out of the rest."""
    if name not in arrays:
        raise ModelError(f"the tensor {shown(name)} is missing")
    return arrays.pop(name)


def array_of(name: str, tensor: Mapping[str, Any]) -> np.ndarray:
    """A tensor of doubles as an array, all of it finite."""
    if tensor["dtype"] != "F64":
        raise ModelError(f"the tensor {shown(name)} has type {tensor['dtype']}; expected F64")
    found = np.frombuffer(tensor["data"], "<f8").astype(np.float64).reshape(tensor["shape"])
    if not np.isfinite(found).all():
        raise ModelError(f"the tensor {shown(name)} has entries that are not finite")
    return found
