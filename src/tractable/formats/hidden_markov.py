"""Hidden Markov models in the project's own format: chain and emissions, each parameter a tensor.

The header's entry has ``kind`` ``hidden_markov``, ``stationary`` (whether the start is the distribution that the
transitions keep), ``emissions`` (`tractable.formats.emissions` says what), and ``columns`` where these have names
(`tractable.formats._columns`). The tensors are ``start`` (unless it is
stationary), ``transition``, ``ties`` (if there are any), ``possible`` (ones and zeros, where more than what is positive
may be) and the parameters of the emissions, ``emissions.NAME``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tractable.formats._base import shown
from tractable.formats._columns import describe_columns, read_columns
from tractable.formats.emissions import arrays_of, describe_emissions, read_emissions, taken
from tractable.models import ModelError
from tractable.models.hidden_markov import STATIONARY, HiddenMarkovModel

PREFIX = "emissions."


def describe(model: HiddenMarkovModel) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header's description of a hidden Markov model, and its tensors."""
    tensors = {PREFIX + name: array for name, array in model.emissions.arrays().items()}
    tensors["transition"] = model.transition
    if not model.is_stationary:
        tensors["start"] = model.first
    if model.ties is not None:
        tensors["ties"] = model.ties.astype(np.float64)
    if (model.possible > (np.vstack([model.first, model.transition]) > 0)).any():
        tensors["possible"] = model.possible.astype(np.float64)
    about = {"kind": "hidden_markov", "stationary": model.is_stationary}
    about |= {"emissions": describe_emissions(model.emissions)} | describe_columns(model.named)
    return about, {name: np.array(a, order="C") for name, a in tensors.items()}


def read(about: Mapping[str, Any], tensors: Mapping[str, Any]) -> HiddenMarkovModel:
    """The hidden Markov model with this description and these tensors."""
    if type(about.get("stationary")) is not bool:
        raise ModelError("the header's 'tractable' entry has no good stationary: true or false")
    arrays = arrays_of(tensors)
    start = STATIONARY if about["stationary"] else taken(arrays, "start")
    transition, ties, may = taken(arrays, "transition"), arrays.pop("ties", None), arrays.pop("possible", None)
    for name in arrays:
        if not name.startswith(PREFIX):
            raise ModelError(f"the tensor {shown(name)} has no place")
    own = {name.removeprefix(PREFIX): array for name, array in arrays.items()}
    emissions = read_emissions(about.get("emissions"), own)
    model = HiddenMarkovModel(start, transition, emissions, _labels(ties), read_columns(about))
    return model if may is None else model.allowing(may > 0)


def _labels(ties: np.ndarray | None) -> np.ndarray | None:
    """Ties as whole numbers; what is none is left for the model to refuse."""
    return ties.astype(np.int64) if ties is not None and (ties == np.floor(ties)).all() else ties
