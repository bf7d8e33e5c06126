"""The project's own format: a safetensors file with one float64 tensor per table and a JSON description in its header.

The header's metadata hold one entry, ``tractable``: JSON with ``version``, ``written_by`` and ``read_since`` (versions
of the library), ``kind`` (``bayesian`` or ``markov``), ``name``, ``variables`` (each with ``name`` and ``states``, and
``parents`` if it is a Bayesian network), of a Bayesian network also ``ties`` and ``fixed`` where it has any, and of a
Markov network ``scopes``. The tables are the tensors ``table.VARIABLE`` or ``factor.INDEX``, axes in the order
(*parents, variable) or of the scope. A sparse one is two: ``places.VARIABLE`` or ``places.INDEX``, where its non-zeros
are in the flat table (I32 or I64), and ``values.…``, one number where all are the same.

Version 1 had no ``ties``, ``fixed``, ``written_by`` and ``read_since``, and models of rows had no ``columns``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from tractable.families import FAMILIES, served
from tractable.formats._base import Source, repeated, shown
from tractable.formats._equal import difference
from tractable.formats._versions import Format
from tractable.kernels import MAX_AXES
from tractable.models import BayesianNetwork, MarkovNetwork, ModelError
from tractable.models.axes import Listed
from tractable.models.sparse_tables import SparseTable

FORMAT = Format(2, since="0.2.0")


def read(source: Source, units: Iterable[Any] = ()) -> Any:
    """The model in a safetensors file; `units` are kinds of units that a machine in it may have."""
    try:
        return _model(source.data, units)
    except SafetensorError as error:
        raise source.error(f"is not a whole safetensors file ({error}); fetch it again") from None
    except ModelError as error:
        raise source.error(error) from None


def _model(data: bytes, units: Iterable[Any]) -> Any:
    tensors, about = dict(sorted(deserialize(data))), _json(data)
    FORMAT.check(about)
    if str(about.get("kind")) in OTHERS:
        return _leaf(about, tensors, units)
    about = _description(about)
    return _markov(about, tensors) if about["kind"] == "markov" else _bayesian(about, tensors)


OTHERS = [name for name, row in FAMILIES.items() if row.formats]
"""The families that others than this module read and write."""


def _leaf(about: dict[str, Any], tensors: dict[str, Any], units: Iterable[Any]) -> Any:
    """Another model; the reader of a machine loads jax, which a network must not wait for."""
    read = served(about["kind"], "formats").read
    return read(about, tensors, units) if about["kind"] == "boltzmann" else read(about, tensors)


def _description(about: Any) -> dict[str, Any]:
    """The description of a network, its structure checked."""
    own = {"scopes"} if about.get("kind") == "markov" else {"ties", "fixed"}
    found = {"ties": [], "fixed": []} | about
    if wrong := sorted(key for key in _COMMON | own if key not in found or not _SHAPE[key](found[key])):
        raise ModelError(f"the header's 'tractable' entry has no good {', '.join(wrong)}")
    return found


def _json(data: bytes) -> Any:
    size = int.from_bytes(data[:8], "little")
    try:
        return json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["tractable"])
    except (KeyError, TypeError):
        raise ModelError("the header has no 'tractable' entry; the file was not written by tractable.save") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the header's 'tractable' entry is not JSON ({error})") from None


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_variable(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and _is_names(value.get("states"))
        and _is_names(value.get("parents", []))
    )


_SHAPE = {
    "kind": lambda value: value in ("bayesian", "markov"),
    "name": lambda value: isinstance(value, str),
    "variables": lambda value: isinstance(value, list) and all(map(_is_variable, value)),
    "scopes": lambda value: isinstance(value, list) and all(map(_is_names, value)),
    "ties": lambda value: isinstance(value, list) and all(map(_is_names, value)),
    "fixed": _is_names,
}
_COMMON = {"kind", "name", "variables"}


def _states(about: dict[str, Any]) -> dict[str, list[str]]:
    for names in ([v["name"] for v in about["variables"]], *(v["states"] for v in about["variables"])):
        if (twice := repeated(names)) is not None:
            raise ModelError(f"the header has the name {shown(twice)} twice; names must differ")
    return {v["name"]: v["states"] for v in about["variables"]}


def _bayesian(about: dict[str, Any], tensors: dict[str, Any]) -> BayesianNetwork:
    states = _states(about)
    parents = {v["name"]: tuple(v.get("parents", ())) for v in about["variables"]}
    tables = _tables(tensors, "table", list(states))
    learned = about["ties"], about["fixed"]
    return BayesianNetwork(states, parents, dict(zip(states, tables, strict=True)), about["name"], *learned)


def _markov(about: dict[str, Any], tensors: dict[str, Any]) -> MarkovNetwork:
    scopes = [tuple(scope) for scope in about["scopes"]]
    tables = _tables(tensors, "factor", [str(j) for j in range(len(scopes))])
    return MarkovNetwork(_states(about), list(zip(scopes, tables, strict=True)), about["name"])


def _tables(tensors: dict[str, Any], kind: str, names: list[str]) -> list[Any]:
    """The tables of these names, each in one tensor or two, and no others."""
    wanted = [part for name in names for part in _parts(kind, name, tensors)]
    for name in {*wanted} ^ {*tensors}:
        what = "is not described in the header" if name in tensors else "is missing"
        raise ModelError(f"the tensor {shown(name)} {what}")
    read = {1: _table, 2: _sparse}
    return [read[len(parts)](tensors, *parts) for parts in (_parts(kind, name, tensors) for name in names)]


def _parts(kind: str, name: str, tensors: dict[str, Any]) -> list[str]:
    """The tensors of a table: one, or two of a sparse one."""
    return [f"places.{name}", f"values.{name}"] if f"places.{name}" in tensors else [f"{kind}.{name}"]


_DTYPES = {"F64": "<f8", "I32": "<i4", "I64": "<i8"}


def _flat(name: str, tensor: dict[str, Any], known: tuple[str, ...]) -> np.ndarray:
    if tensor["dtype"] not in known:
        what = "tables are" if known == ("F64",) else "places are"
        raise ModelError(f"the tensor {shown(name)} has type {tensor['dtype']}; {what} {' or '.join(known)}")
    found = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]])
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def _table(tensors: dict[str, Any], name: str) -> np.ndarray:
    flat, shape = _flat(name, tensors[name], ("F64",)), tensors[name]["shape"]
    return flat.reshape(shape) if len(shape) <= MAX_AXES else flat


def _sparse(tensors: dict[str, Any], places: str, values: str) -> Listed:
    at, numbers = _flat(places, tensors[places], ("I32", "I64")), _flat(values, tensors[values], ("F64",))
    return Listed(numbers[0] if numbers.size == 1 else numbers, at)


def write(model: Any) -> bytes:
    """A model as a safetensors file; tables over more than 64 variables are stored flat.

    Raises
    ------
    ModelError : a model that would not be read as it is.
    """
    about, tensors = _described(model)
    whole = {name: np.ascontiguousarray(a).reshape(np.shape(a)) for name, a in tensors.items()}
    if about["kind"] not in OTHERS:
        _states(_description(about))  # names are all that the constructor of a network leaves open
    data = save(whole, {"tractable": json.dumps(FORMAT.stamp() | about)})
    if about["kind"] in OTHERS:
        _check_readable(model, data)
    return data


def _described(model: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The description of a model for the header, and its tensors."""
    if type(model) is BayesianNetwork:
        return _bayesian_parts(model)
    if type(model) is MarkovNetwork:
        return _markov_parts(model)
    if (family := getattr(model, "family", None)) in OTHERS:
        return served(family, "formats").describe(model)
    hint = ": save the HelmholtzMachine of it and its network" * (type(model).__name__ == "RecognitionNetwork")
    raise ModelError(f"a {type(model).__name__} is no model that can be saved{hint}")


def _check_readable(model: Any, data: bytes) -> None:
    """What is written reads back as the same model, in every field."""
    units = served("boltzmann", "formats").own_kinds(model) if model.family == "boltzmann" else ()
    try:
        again = _model(data, units)
    except ModelError as error:
        raise ModelError(f"{error}; the file is left as it was") from None
    if lost := difference(model, again, type(model).__name__):
        raise ModelError(f"{lost} would not come back from a file as it is; the file is left as it was")


def _bayesian_parts(net: BayesianNetwork) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    variables = [{"name": v, "states": list(s), "parents": list(net.parents[v])} for v, s in net.states.items()]
    about: dict[str, Any] = {"kind": "bayesian", "name": net.name, "variables": variables}
    about |= {"ties": list(map(list, net.ties))} if net.ties else {}
    about |= {"fixed": list(net.fixed)} if net.fixed else {}
    return about, _tensors("table", net.tables.items())


def _markov_parts(net: MarkovNetwork) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    variables = [{"name": v, "states": list(s)} for v, s in net.states.items()]
    scopes = [list(scope) for scope, _ in net.factors]
    about = {"kind": "markov", "name": net.name, "variables": variables, "scopes": scopes}
    return about, _tensors("factor", ((str(j), table) for j, (_, table) in enumerate(net.factors)))


def _tensors(kind: str, tables: Iterable[tuple[str, Any]]) -> dict[str, np.ndarray]:
    """The tensors of tables."""
    out = {}
    for name, table in tables:
        if isinstance(table, SparseTable):
            values = table.values[:1] if table.alike else table.values
            out |= {f"places.{name}": table.places, f"values.{name}": values}
        else:
            out[f"{kind}.{name}"] = table
    return out
