"""The rows of any model as independent columns, and under a mixture: what a likelihood is worth beside them."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from tractable.evaluate import log_likelihood
from tractable.learning.em.exact import EM
from tractable.learning.fitting import fit
from tractable.learning.starts.mixtures import mixture
from tractable.models._base import ModelError
from tractable.models.sequences import Sequences
from tractable.posterior import Certificate

COMPONENTS, ITERATIONS = 30, 50
"""So many components of the mixture at most, and iterations of EM."""

OF_NUMBERS = {"poisson": "poisson", "bernoulli": "bernoulli", "categorical": "categorical"}
"""Kinds of emissions that are of columns one by one; all others hold real numbers, which a Gaussian each stands for."""


class SimpleRows(NamedTuple):
    """Rows as a mixture takes them, what their columns are, and how many things the likelihood is a mean of."""

    rows: np.ndarray
    kinds: dict[str, list[int]]
    categories: dict[int, int]
    n: int


def yardsticks(model: Any, data: Any, *, seconds: float = 10.0, key: Any = 0) -> dict[str, Certificate]:
    """Mean log-likelihoods of the same rows under models with little structure: what a model's own is measured by.

    Both are learned from these very rows, which favours them over a model that was learned from others: independent
    columns, and a mixture of these with about as many parameters as the model, 30 components at most. Sequences are
    taken as rows without an order, and the mean is over sequences as that of the model is. A mixture has independent
    columns beside it alone.

    Parameters
    ----------
    model, data : as for `log_likelihood`; NaN is unobserved.
    seconds : what the mixture may take; of a shorter time what EM has come to.
    key : int or jax key, of the start of the mixture.

    Returns
    -------
    dict : ``"independent columns"`` and ``"mixture of K"`` → their mean log p; empty for units that no mixture holds.

    Raises
    ------
    ModelError : data that do not fit the model.

    Examples
    --------
    >>> rows = [[0, 0, 1, 1], [1, 1, 0, 0]] * 50
    >>> found = tr.learning.yardsticks(tr.restricted(4, 2), rows)
    >>> {name: round(own.value, 3) for name, own in found.items()}
    {'independent columns': -2.773, 'mixture of 2': -0.697}
    """
    found = _simple(model, data)
    if found is None or not found.kinds:
        return {}
    began, out = time.perf_counter(), {}
    for k in (1,) if model.family == "mixture" else (1, _size(model, found)):
        start = mixture(found.rows, k, found.kinds, categories=found.categories or None, key=key)
        late = {"callback": lambda _: time.perf_counter() - began > seconds}
        run = fit(start, found.rows, EM(), epochs=ITERATIONS, progress=False, key=key, **late)
        total = log_likelihood(run.model, found.rows) * len(found.rows)
        out["independent columns" if k == 1 else f"mixture of {k}"] = Certificate.of(total / found.n)
    return out


def _size(model: Any, found: SimpleRows) -> int:
    """How many components make about as many parameters as the model has, of so few rows fewer."""
    size = getattr(model, "n_parameters", 0) // (found.rows.shape[1] + 1)
    return int(np.clip(size, 2, min(COMPONENTS, max(2, len(found.rows) // 10))))


def _simple(model: Any, data: Any) -> SimpleRows | None:
    """The rows without the columns that no row observes."""
    if hasattr(model, "groups"):
        units = _of_units(model, data)
        return None if units is None else _observed(units)
    return _observed(_of_states(model, data) if model.family == "tables" else _emitted(model, data))


def _observed(found: SimpleRows) -> SimpleRows:
    """The columns that some row observes, with new numbers."""
    kept = np.flatnonzero(~np.isnan(found.rows).all(0)).tolist()
    kinds = {kind: [kept.index(j) for j in own if j in kept] for kind, own in found.kinds.items()}
    categories = {i: found.categories[j] for i, j in enumerate(kept) if j in found.categories}
    return SimpleRows(found.rows[:, kept], dict(filter(lambda own: own[1], kinds.items())), categories, found.n)


def _of_states(net: Any, data: Any) -> SimpleRows:
    """The states of a network."""
    from tractable.models.evidence import parse_rows

    codes = np.asarray(parse_rows(net.states, data), float)
    rows = np.where(codes < 0, np.nan, codes)
    every = range(rows.shape[1])
    return SimpleRows(
        rows, {"categorical": [*every]}, dict(zip(every, map(len, net.states.values()), strict=True)), len(rows)
    )


def _emitted(model: Any, data: Any) -> SimpleRows:
    """The columns of a mixture or a chain."""
    checked = model.check(data)
    sequences = isinstance(checked, Sequences)
    rows = np.asarray(checked.rows if sequences else checked, float)
    kinds: dict[str, list[int]] = {}
    for j, kind in enumerate(_kinds(model.emissions, rows.shape[1])):
        kinds.setdefault(kind, []).append(j)
    states = getattr(model.emissions, "column_states", (None,) * rows.shape[1])
    return SimpleRows(rows, kinds, {j: k for j, k in enumerate(states) if k is not None}, len(checked))


def _kinds(emissions: Any, n: int) -> list[str]:
    """The kind of each column by itself."""
    kind = getattr(emissions, "kind", "")
    if kind == "mixture":
        return _kinds(emissions.parts, n)
    if kind != "product":
        return [OF_NUMBERS.get(kind, "diagonal")] * n
    out = [""] * n
    for part, own in zip(emissions.parts, emissions.columns, strict=True):
        for j, kind in zip(own, _kinds(part, len(own)), strict=True):
            out[j] = kind
    return out


def _of_units(model: Any, data: Any) -> SimpleRows | None:
    """The visible units of a machine, or of layers, whose units are bits."""
    from tractable.learning.emitted import emitted, in_codes  # brings jax
    from tractable.models.clamping import checked_values

    units = model.units[model.groups[0]]
    rows = checked_values(model, model.groups[0], data, True)
    told = emitted(units)
    if told is None:
        return None
    if np.ndim(rows) != 2:
        raise ModelError(f"expected rows [n_rows, n_columns], got the shape {np.shape(rows)}")
    return SimpleRows(in_codes(units, rows), dict(told.kinds), dict(told.categories), len(rows))
