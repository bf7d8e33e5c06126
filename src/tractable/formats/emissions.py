"""Emissions in the project's own format: what kind they are in the header, each parameter a tensor.

In the header they are the name of a kind; or a list of parts, each with ``columns`` and ``kind``, which is again any of
these; or, where each component is a mixture, ``{"mixture": …}`` around that of its parts. Tensors have the names of the
parameters, those of a list with ``PART.`` before, those of a mixture's parts with ``parts.`` before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from tractable.formats._base import shown
from tractable.models import ModelError
from tractable.models.emissions import KINDS, CategoricalEmissions, Emissions, MixtureEmissions, ProductEmissions


def describe_emissions(emissions: Emissions) -> Any:
    """The kind of emissions, or of each part with its columns, or of the parts of each component."""
    if isinstance(emissions, MixtureEmissions):
        return {"mixture": describe_emissions(emissions.parts)}
    if not isinstance(emissions, ProductEmissions):
        return emissions.kind
    parts = zip(emissions.parts, emissions.columns, strict=True)
    return [{"kind": describe_emissions(part), "columns": list(own)} for part, own in parts]


def read_emissions(described: Any, arrays: dict[str, np.ndarray]) -> Emissions:
    """Emissions from their description and their tensors; a tensor that has no place is an error.

    Raises
    ------
    ModelError : a description that is none, tensors that are missing or have no place.
    """
    try:
        found = _read(described, arrays)
    except RecursionError:
        raise ModelError("the header's emissions are nested too deeply") from None
    if arrays:
        raise ModelError(f"the tensor {shown(next(iter(arrays)))} is not described in the header")
    return found


def _read(described: Any, arrays: dict[str, np.ndarray]) -> Emissions:
    if isinstance(described, dict) and {*described} == {"mixture"}:
        weights = taken(arrays, "weights")
        return MixtureEmissions(weights, read_emissions(described["mixture"], _prefixed(arrays, "parts.")))
    if not isinstance(described, list):
        return _made(described, arrays)
    if not described or not all(isinstance(p, dict) and _are_columns(p.get("columns")) for p in described):
        raise ModelError("the header's 'tractable' entry has no good emissions: a kind, or parts with kind and columns")
    parts = [read_emissions(p.get("kind"), _prefixed(arrays, f"{i}.")) for i, p in enumerate(described)]
    return ProductEmissions(parts, [p["columns"] for p in described])


def _are_columns(value: Any) -> bool:
    return isinstance(value, list) and all(type(c) is int for c in value)


def _prefixed(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): arrays.pop(name) for name in [*arrays] if name.startswith(prefix)}


def _made(kind: Any, arrays: dict[str, np.ndarray]) -> Emissions:
    if not isinstance(kind, str) or kind not in KINDS:
        raise ModelError(f"unknown kind of emissions {shown(str(kind))}; expected one of {', '.join(KINDS)}")
    if kind == "categorical":
        return CategoricalEmissions([taken(arrays, f"table{j}") for j in range(len(arrays))])
    wanted = {f.name for f in fields(KINDS[kind])}  # type: ignore[arg-type]
    for name in wanted ^ {*arrays}:
        raise ModelError(f"the tensor {shown(name)} {'is missing' if name in wanted else 'has no place'}")
    return KINDS[kind](**{name: arrays.pop(name) for name in wanted})


def taken(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """A tensor, taken out of the rest."""
    if name not in arrays:
        raise ModelError(f"the tensor {shown(name)} is missing")
    return arrays.pop(name)


def arrays_of(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Tensors of doubles as arrays, all of them finite."""
    return {name: _array(name, tensor) for name, tensor in tensors.items()}


def _array(name: str, tensor: Mapping[str, Any]) -> np.ndarray:
    if tensor["dtype"] != "F64":
        raise ModelError(f"the tensor {shown(name)} has type {tensor['dtype']}; expected F64")
    found = np.frombuffer(tensor["data"], "<f8").astype(np.float64).reshape(tensor["shape"])
    if not np.isfinite(found).all():
        raise ModelError(f"the tensor {shown(name)} has entries that are not finite")
    return found
