"""Factorial hidden Markov models in the project's own format: each parameter a tensor.

The header's entry has ``kind`` ``factorial_hidden_markov`` and ``chains``, their number, and ``columns`` where these
have names. The tensors are ``start0``,
``transition0`` and ``contributions0`` of chain 0, and so on, ``covariance`` and ``offset``;
``possible0`` and so on (ones and zeros) where more than what is positive may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tractable.formats._base import shown
from tractable.formats._columns import describe_columns, read_columns
from tractable.formats.emissions import arrays_of, taken
from tractable.models import ModelError
from tractable.models.additive import AdditiveGaussianEmissions
from tractable.models.factorial_hidden_markov import FactorialHiddenMarkovModel


def describe(model: FactorialHiddenMarkovModel) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header's description of a model, and its tensors."""
    tensors = model.emissions.arrays()
    for m, (start, transition) in enumerate(zip(model.starts, model.transitions, strict=True)):
        tensors |= {f"start{m}": start, f"transition{m}": transition}
        if (model.possible[m] > (np.vstack([start, transition]) > 0)).any():
            tensors[f"possible{m}"] = model.possible[m].astype(np.float64)
    about = {"kind": model.family, "chains": len(model.sizes)} | describe_columns(model.named)
    return about, {name: np.array(a, order="C") for name, a in tensors.items()}


def read(about: Mapping[str, Any], tensors: Mapping[str, Any]) -> FactorialHiddenMarkovModel:
    """The model with this description and these tensors."""
    n = about.get("chains")
    if type(n) is not int or not 0 < n <= len(tensors):
        raise ModelError(f"the header's 'tractable' entry has no good chains: their number, got {shown(str(n))}")
    arrays = arrays_of(tensors)
    starts, transitions, contributions = (
        [taken(arrays, f"{name}{m}") for m in range(n)] for name in ("start", "transition", "contributions")
    )
    emissions = AdditiveGaussianEmissions(contributions, taken(arrays, "covariance"), taken(arrays, "offset"))
    may = {m: arrays.pop(f"possible{m}") > 0 for m in range(n) if f"possible{m}" in arrays}
    if arrays:
        raise ModelError(f"the tensor {shown(next(iter(arrays)))} is not described in the header")
    model = FactorialHiddenMarkovModel(starts, transitions, emissions, read_columns(about))
    return model.allowing([may.get(m, own) for m, own in enumerate(model.possible)])
