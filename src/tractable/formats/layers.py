"""Models of layers in the project's own format: the sizes in the header, each parameter a tensor.

The header's entry has ``kind`` (``sigmoid_belief``, ``deep_belief`` or ``helmholtz``), ``layers``, and of a Helmholtz
machine ``generative``, the kind of its generative model. The tensors are ``weights.LAYER``, ``biases.LAYER``,
``within.LAYER``, ``top.couplings``, ``top.visible``, ``top.hidden``, ``top.offset``, and of a recognition network
``recognition.weights.LAYER.I``, ``recognition.biases.LAYER.I`` and ``recognition.within.LAYER``, layers and matrices
counted from 0, the layer below first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tractable.formats._base import shown
from tractable.formats.machines import array_of
from tractable.models import ModelError
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.deep_belief import TOP, DeepBeliefNetwork
from tractable.models.recognition import HelmholtzMachine, RecognitionNetwork
from tractable.models.sigmoid_belief import SigmoidBeliefNetwork
from tractable.models.units import Bernoulli, Units

Arrays = dict[str, np.ndarray]
GENERATIVE = ("sigmoid_belief", "deep_belief")
MAX_UNITS = 1 << 24


def describe(model: Any) -> tuple[dict[str, Any], Arrays]:
    """The header's description of a model, and its tensors."""
    own = model.generative if model.family == "helmholtz" else model
    if own.known is not None:
        raise ModelError("a model with clamped units is not saved; save the model and the evidence")
    tensors = _numbered(weights=own.weights, biases=own.biases, within=own.within)
    about: dict[str, Any] = {"kind": model.family, "layers": list(own.sizes)}
    if own.family == "deep_belief":
        tensors |= {"top.couplings": own.top.couplings[TOP], "top.offset": own.top.offset}
        tensors |= {f"top.{name}": own.top.fields[name] for name in TOP}
    if model.family == "helmholtz":
        about["generative"] = own.family
        q = model.recognition
        for at, (weights, biases) in enumerate(zip(q.weights, q.biases, strict=True)):
            levels = {f"recognition.weights.{at}": weights, f"recognition.biases.{at}": biases}
            tensors |= _numbered(**levels)
        tensors |= _numbered(**{"recognition.within": q.within})
    return about, {name: np.array(a, order="C") for name, a in tensors.items()}


def _numbered(**groups: Any) -> dict[str, Any]:
    """Arrays by name and number; where there is None there is no array."""
    return {f"{name}.{at}": a for name, group in groups.items() for at, a in enumerate(group) if a is not None}


def read(about: Mapping[str, Any], tensors: Mapping[str, Any]) -> Any:
    """The model with this description and these tensors."""
    arrays = {name: array_of(name, tensor) for name, tensor in tensors.items()}
    kind = about.get("generative") if about["kind"] == "helmholtz" else about["kind"]
    sizes: Any = about.get("layers")
    if kind not in GENERATIVE or not _are_sizes(sizes):
        raise ModelError("the header's 'tractable' entry has no good layers: numbers of units, the visible one first")
    model = _generative(str(kind), sizes, arrays)
    if about["kind"] == "helmholtz":
        model = HelmholtzMachine(model, _recognition(len(model.proposed) - 1, arrays))
    for name in arrays:
        raise ModelError(f"the tensor {shown(name)} is not described in the header")
    return model


def _are_sizes(sizes: Any) -> bool:
    return isinstance(sizes, list) and bool(sizes) and all(type(n) is int and 0 < n <= MAX_UNITS for n in sizes)


def _generative(kind: str, sizes: list[int], arrays: Arrays) -> Any:
    n = len(sizes) - (2 if kind == "deep_belief" else 1)
    weights = [_taken(arrays, f"weights.{at}") for at in range(n)]
    biases = [_taken(arrays, f"biases.{at}") for at in range(len(sizes) - 2 if kind == "deep_belief" else len(sizes))]
    if kind == "deep_belief":
        return DeepBeliefNetwork(sizes, top=_top(sizes, arrays), weights=weights, biases=biases)
    within = [arrays.pop(f"within.{at}", None) for at in range(len(sizes))]
    return SigmoidBeliefNetwork(sizes, weights=weights, biases=biases, within=within)


def _top(sizes: list[int], arrays: Arrays) -> Boltzmann:
    expected = {"couplings": tuple(sizes[-2:]), "visible": sizes[-2:-1], "hidden": sizes[-1:], "offset": ()}
    found = {name: _taken(arrays, f"top.{name}") for name in expected}
    for name, array in found.items():
        if array.shape != tuple(expected[name]):
            raise ModelError(f"the tensor top.{name} has the shape {array.shape}, expected {tuple(expected[name])}")
    units: dict[str, Units] = {name: Bernoulli(n) for name, n in zip(TOP, sizes[-2:], strict=True)}
    return Boltzmann(units, {name: found[name] for name in TOP}, {TOP: found["couplings"]}, {}, found["offset"])


def _recognition(n: int, arrays: Arrays) -> RecognitionNetwork:
    found = {what: [_level(arrays, f"recognition.{what}.{at}.") for at in range(n)] for what in ("weights", "biases")}
    within = [arrays.pop(f"recognition.within.{at}", None) for at in range(n)]
    return RecognitionNetwork(weights=found["weights"], biases=found["biases"], within=within)


def _level(arrays: Arrays, prefix: str) -> list[np.ndarray]:
    """The arrays of one level, in order; at least one."""
    out = [_taken(arrays, f"{prefix}0")]
    while f"{prefix}{len(out)}" in arrays:
        out.append(_taken(arrays, f"{prefix}{len(out)}"))
    return out


def _taken(arrays: Arrays, name: str) -> np.ndarray:
    if name not in arrays:
        raise ModelError(f"the tensor {shown(name)} is missing")
    return arrays.pop(name)
