"""Boltzmann machines in the project's own format: the groups in the header, each parameter a tensor.

The header's entry has ``kind`` ``boltzmann`` and ``groups``: name, kind and number of units (and ``q``, the states of a
categorical unit, or ``learned``, whether a Gaussian unit's precision is). The tensors are ``field.GROUP``,
``couplings.GROUP.GROUP``, ``edges.GROUP``, ``log_precision.GROUP`` and ``offset``, in single or double precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tractable.formats._base import shown
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.units import KINDS, Categorical, Gaussian, Units

_DTYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4"}
MAX_UNITS = 1 << 24


def read(about: Mapping[str, Any], tensors: Mapping[str, Any]) -> Boltzmann:
    """The machine with this description and these tensors."""
    arrays = {name: array_of(name, tensor) for name, tensor in tensors.items()}
    units = {str(group["name"]): _units(group, arrays) for group in _groups(about)}
    couplings = {_pair(name, units): a for name, a in arrays.items() if name.startswith("couplings.")}
    edges = {name.removeprefix("edges."): a for name, a in arrays.items() if name.startswith("edges.")}
    fields = {name: _taken(arrays, f"field.{name}") for name in units}
    model = Boltzmann(units, fields, couplings, edges, _taken(arrays, "offset"))
    _check(model, arrays)
    return model


def describe(model: Boltzmann) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header's description of a machine, and its tensors."""
    tensors = {f"field.{name}": b for name, b in model.fields.items()} | {"offset": model.offset}
    tensors |= {f"couplings.{a}.{b}": w for (a, b), w in model.couplings.items()}
    tensors |= {f"edges.{name}": np.asarray(e, np.int32) for name, e in model.edges.items()}
    groups = []
    for name in model.groups:
        units = model.units[name]
        group: dict[str, Any] = {"name": name, "kind": type(units).__name__.lower(), "n": units.n}
        if isinstance(units, Categorical):
            group["q"] = units.q
        if isinstance(units, Gaussian):
            group["learned"] = units.learned
            tensors[f"log_precision.{name}"] = units.log_precision
        groups.append(group)
    return {"kind": "boltzmann", "groups": groups}, {name: np.array(a, order="C") for name, a in tensors.items()}


def _groups(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    groups = about.get("groups")
    if not isinstance(groups, list) or not groups or not all(isinstance(g, dict) for g in groups):
        groups = [{}]
    if groups[0].get("name") != VISIBLE:
        raise ModelError(f"the header's 'tractable' entry has no good groups; the first is called {VISIBLE}")
    names = [g.get("name") for g in groups]
    for group in groups:
        if not _is_group(group) or names.count(group.get("name")) > 1:
            raise ModelError(f"the group {shown(str(group.get('name')))} is not described as it should be")
    return groups


def _is_group(group: Mapping[str, Any]) -> bool:
    whole = all(type(x) is int and 0 < x <= MAX_UNITS for x in (group.get("n"), group.get("q", 2)))
    return whole and group.get("kind") in KINDS


def _units(group: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Units:
    n = group["n"]
    if group["kind"] == "categorical":
        return Categorical(n, group.get("q", 2))
    if group["kind"] == "gaussian":
        precision = _taken(arrays, f"log_precision.{group['name']}")
        if precision.shape != (n,):
            raise ModelError(f"log_precision.{group['name']} has the shape {precision.shape}, expected ({n},)")
        return Gaussian(n, precision, bool(group.get("learned")))
    return KINDS[group["kind"]](n)


def _pair(name: str, units: Mapping[str, Units]) -> tuple[str, str]:
    parts = name.split(".")[1:]
    if len(parts) != 2 or any(p not in units for p in parts):
        raise ModelError(f"the tensor {shown(name)} does not join two groups of the header")
    return parts[0], parts[1]


def _taken(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in arrays:
        raise ModelError(f"the tensor {shown(name)} is missing")
    return arrays[name]


def array_of(name: str, tensor: Mapping[str, Any]) -> np.ndarray:
    """A tensor as an array, all of it finite."""
    if tensor["dtype"] not in _DTYPES:
        raise ModelError(f"the tensor {shown(name)} has type {tensor['dtype']}; expected one of {', '.join(_DTYPES)}")
    found = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
    if not np.isfinite(found).all():
        raise ModelError(f"the tensor {shown(name)} has entries that are not finite")
    return found


def _check(model: Boltzmann, arrays: Mapping[str, np.ndarray]) -> None:
    """Every tensor has a place, and the shape and type that its place needs."""
    expected = _shapes(model)
    for name, array in arrays.items():
        if name not in expected:
            raise ModelError(f"the tensor {shown(name)} is not described in the header")
        if array.shape != expected[name] or (array.dtype.kind == "i") != name.startswith("edges."):
            raise ModelError(f"the tensor {shown(name)} has the shape {array.shape}, expected {expected[name]}")
    for name, edges in model.edges.items():
        if not _are_edges(edges, model.units[name].n):
            raise ModelError(f"edges.{name} joins units that do not exist, or one with itself")


def _shapes(model: Boltzmann) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a machine."""
    shapes: dict[str, tuple[int, ...]] = {"offset": ()}
    shapes |= {f"field.{g}": (u.n_features,) for g, u in model.units.items()}
    shapes |= {f"log_precision.{g}": (u.n,) for g, u in model.units.items() if isinstance(u, Gaussian)}
    shapes |= {f"edges.{g}": (len(e), 2) for g, e in model.edges.items()}
    for a, b in model.couplings:
        dense = (model.units[a].n_features, model.units[b].n_features)
        shapes[f"couplings.{a}.{b}"] = (len(model.edges[a]),) if a == b and a in model.edges else dense
    return shapes


def _are_edges(edges: np.ndarray, n: int) -> bool:
    return not edges.size or bool(edges.min() >= 0 and edges.max() < n and (edges[:, 0] < edges[:, 1]).all())
