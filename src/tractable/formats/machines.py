"""Boltzmann machines in the project's own format: the groups in the header, each parameter a tensor.

The header's entry has ``kind`` ``boltzmann`` and ``groups``: the name, the kind of its units and their fields, of which
``n`` is the number of units (``q`` the states of a categorical one, ``learned`` whether a Gaussian one's precision is).
A group of several kinds is ``mixed`` and has ``parts``, described as groups are, and ``columns`` where these have
names. Categorical units whose states have names have ``names``.

The tensors are ``field.GROUP``, ``couplings.GROUP.GROUP``, ``edges.GROUP``, ``offset``, and fields of units that are
arrays (``log_precision.GROUP``), in single or double precision.

Kinds are those of the library, and the classes that `load` is given: nothing is imported because a file names it.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from tractable.formats._base import shown
from tractable.formats._columns import describe_columns, read_columns
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.units import KINDS, Mixed, Units

_DTYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "BOOL": "?"}
MAX_UNITS = 1 << 24
MIXED = "mixed"
"""The kind of a group of several kinds, which are described as groups are, with names such as ``visible.0``."""

OWN = ("name", "kind", "field", "couplings", "edges")
"""Words that a file has for a group itself, and not for a field of its units."""

Kinds = Mapping[str, type[Units]]


def read(about: Mapping[str, Any], tensors: Mapping[str, Any], units: Iterable[type[Units]] = ()) -> Boltzmann:
    """The machine with this description and these tensors, of the library's kinds of units and those given."""
    kinds, groups = _kinds(units), _groups(about)
    arrays = {name: array_of(name, tensor) for name, tensor in tensors.items()}
    own = {str(group["name"]): _units(group, arrays, kinds) for group in groups}
    return _machine(own, arrays)


def _machine(units: dict[str, Units], arrays: Mapping[str, np.ndarray]) -> Boltzmann:
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
    found = [_group(name, model.units[name]) for name in model.groups]
    tensors |= {key: array for _, own in found for key, array in own.items()}
    groups = [group for group, _ in found]
    return {"kind": "boltzmann", "groups": groups}, {name: np.array(a, order="C") for name, a in tensors.items()}


def _group(name: str, units: Units) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The description of units of this name, and the tensors that belong to it."""
    if isinstance(units, Mixed):
        parts = [_group(f"{name}.{i}", part) for i, part in enumerate(units.parts)]
        about = {"name": name, "kind": MIXED, "n": units.n, "parts": [part for part, _ in parts]}
        return about | describe_columns(units.columns), dict(ChainMap(*(own for _, own in parts)))
    found = _fields(units) | describe_columns(units.columns)
    if not found.get("names", True):
        del found["names"]
    held = [key for key, value in found.items() if isinstance(value, np.ndarray)]
    tensors = {f"{key}.{name}": found.pop(key) for key in held}
    return {"name": name, "kind": _word(type(units)), **found}, tensors


def own_kinds(model: Boltzmann) -> set[type[Units]]:
    """The kinds of units of a machine that are not the library's."""
    return {type(part) for units in model.units.values() for part in _parts(units)} - {*KINDS.values()}


def _parts(units: Units) -> tuple[Units, ...]:
    return units.parts if isinstance(units, Mixed) else (units,)


def _word(kind: type[Units]) -> str:
    """What a file calls a kind of units."""
    return next((word for word, known in KINDS.items() if known is kind), kind.__name__)


def _fields(units: Units) -> dict[str, Any]:
    """The fields of units, as their constructor takes them: arrays, and what JSON holds."""
    found = {name: _held(getattr(units, name)) for name in _names(type(units)) if name != "columns"}
    for name, value in found.items():
        where = f"the field {name!r} of {type(units).__name__}"
        if name in OWN:
            raise ModelError(f"{where} has a name that files use themselves; call it otherwise")
        if not isinstance(value, np.ndarray) and not _is_plain(value):
            what = type(value).__name__
            raise ModelError(f"{where} is a {what}; a file holds arrays, numbers, text and tuples of them")
    return found


def _names(kind: type[Units]) -> list[str]:
    return [f.name for f in fields(kind) if f.init]  # type: ignore[arg-type]


def _held(value: Any) -> Any:
    """Arrays of any library as NumPy's, its numbers as Python's."""
    return (
        value.item() if isinstance(value, np.generic) else np.asarray(value) if hasattr(value, "__array__") else value
    )


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, bool | int | float | str | None)


def _kinds(units: Iterable[type[Units]]) -> Kinds:
    """The kinds that may be named by a file."""
    found = dict(KINDS)
    for kind in units:
        if not (isinstance(kind, type) and issubclass(kind, Units)):
            raise ModelError(f"units: expected subclasses of Units, got {shown(repr(kind))}")
        if found.setdefault(kind.__name__, kind) is not kind:
            raise ModelError(f"there are two kinds of units called {kind.__name__}; call one otherwise")
    return found


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
    named = isinstance(group.get("name"), str) and isinstance(group.get("kind"), str)
    counts = ("n", "q") if group.get("kind") == "categorical" else ("n",)
    return named and all(type(group.get(count)) is int and 0 < group[count] <= MAX_UNITS for count in counts)


def _units(group: Mapping[str, Any], arrays: Mapping[str, np.ndarray], kinds: Kinds) -> Units:
    """The units of a group: their constructor is given every field by its name."""
    name, word = group["name"], group["kind"]
    if word == MIXED:
        return _mixed(group, arrays, kinds)
    if word not in kinds:
        given = word if word.isidentifier() and len(word) < 60 else "…"
        raise ModelError(f"{name}: units of the kind {shown(word)} are not the library's: load(path, units=[{given}])")
    given = _given(group, arrays, _names(kinds[word]))
    try:
        return kinds[word](**given)
    except Exception as error:  # what a class from outside the library makes of its fields, it alone knows
        raise ModelError(f"{name}: {word} does not take its fields ({type(error).__name__}: {error})") from None


def _mixed(group: Mapping[str, Any], arrays: Mapping[str, np.ndarray], kinds: Kinds) -> Mixed:
    """Units of several kinds: each part is described as a group is."""
    parts: Any = group.get("parts")
    named = isinstance(parts, list) and all(isinstance(part, dict) and _is_group(part) for part in parts)
    if not named or any(_misplaced(group, i, part) for i, part in enumerate(parts)):
        raise ModelError(f"the group {shown(group['name'])} is not described as it should be")
    return Mixed(*(_units(part, arrays, kinds) for part in parts), columns=read_columns(group))


def _misplaced(group: Mapping[str, Any], i: int, part: Mapping[str, Any]) -> bool:
    return part["name"] != f"{group['name']}.{i}" or part["kind"] == MIXED


def _given(group: Mapping[str, Any], arrays: Mapping[str, np.ndarray], names: list[str]) -> dict[str, Any]:
    """The fields of units, from the group and from arrays."""
    own: dict[str, Any] = {key: _tuples(value) for key, value in group.items() if key not in ("name", "kind")}
    own |= {"columns": read_columns(group)}
    own |= {"names": ()} if group["kind"] == "categorical" and "names" not in own else {}
    own |= {key: arrays[f"{key}.{group['name']}"] for key in names if f"{key}.{group['name']}" in arrays}
    for key in sorted({*names} ^ {*own}):
        what = "is missing" if key in names else "has no place"
        raise ModelError(f"{group['name']}: the field {shown(key)} of {group['kind']} units {what}")
    return own


def _tuples(value: Any) -> Any:
    """Lists, which JSON has for tuples, as tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


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
        of_units = name.partition(".")[0] not in ("field", "couplings", "edges", "offset")
        whole = array.dtype.kind in "ib"
        if array.shape != expected[name] or not (of_units or whole == name.startswith("edges.")):
            raise ModelError(f"the tensor {shown(name)} has the shape {array.shape}, expected {expected[name]}")
    for name, edges in model.edges.items():
        if not _are_edges(edges, model.units[name].n):
            raise ModelError(f"edges.{name} joins units that do not exist, or one with itself")


def _shapes(model: Boltzmann) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a machine."""
    shapes: dict[str, tuple[int, ...]] = {"offset": ()}
    shapes |= {f"field.{g}": (u.n_features,) for g, u in model.units.items()}
    held = {name: a for g, u in model.units.items() for name, a in _group(g, u)[1].items()}
    shapes |= {name: a.shape for name, a in held.items() if isinstance(a, np.ndarray)}
    shapes |= {f"edges.{g}": (len(e), 2) for g, e in model.edges.items()}
    for a, b in model.couplings:
        dense = (model.units[a].n_features, model.units[b].n_features)
        shapes[f"couplings.{a}.{b}"] = (len(model.edges[a]),) if a == b and a in model.edges else dense
    return shapes


def _are_edges(edges: np.ndarray, n: int) -> bool:
    return not edges.size or bool(edges.min() >= 0 and edges.max() < n and (edges[:, 0] < edges[:, 1]).all())
