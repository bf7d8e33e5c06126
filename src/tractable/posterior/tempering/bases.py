"""The factorized machine that annealing starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import checked_values
from tractable.posterior.approximate import gibbs
from tractable.posterior.tempering.modes import MAX_FIELD, Modes, cut

N_ROWS = 2000
"""Rows that the hidden units' means are taken over; the visible means come from all rows."""

SWEEPS = 20
"""Sweeps of the hidden layers given these rows, where more than one layer is hidden."""

FREE_SWEEPS = 200
FREE_CHAINS = 256
"""A short run of the model stands in where there are no data."""


def rows_of(model: Boltzmann, data: Any) -> Float[np.ndarray, "n v"]:
    """Those rows of values of the visible units that miss nothing."""
    values = checked_values(model, VISIBLE, data)
    if values.ndim != 2:
        raise ModelError(f"data: expected rows of {model.n_visible} values, got an array of shape {values.shape}")
    whole = values[~np.isnan(values).any(axis=1)] if values.dtype.kind == "f" else values
    if not len(whole):
        raise ModelError("data: every row misses some value; give some complete rows, or data=None")
    return whole


def free_run(model: Boltzmann, key: Any) -> dict[str, np.ndarray]:
    """Features of all groups at the end of a short Gibbs run."""
    plain, plan = model.astype(np.float32), gibbs.schedule(model.graph)
    x = gibbs.start(plain, jax.random.fold_in(key, 1), jnp.arange(FREE_CHAINS, dtype=jnp.uint32))
    for first in range(0, FREE_SWEEPS, gibbs.CHUNK):
        own = jax.random.fold_in(key, 2 + first)
        x = jax.block_until_ready(gibbs.run(plan, plain, own, x, min(gibbs.CHUNK, FREE_SWEEPS - first)))
    return {name: np.asarray(a) for name, a in x.items()}


def none(model: Boltzmann) -> dict[str, np.ndarray]:
    """No fields at all."""
    return {name: np.zeros(model.units[name].n_features) for name in model.groups}


def with_means(model: Boltzmann, means: Mapping[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    """Fields of independent units with these means, as if seen in `n` rows."""
    return {
        name: cut(model.units[name], model.units[name].field_with_mean(m, n), MAX_FIELD) for name, m in means.items()
    }


def broad(model: Boltzmann, own: Mapping[str, Any], found: Modes) -> list[Mapping[str, Any]]:
    """Bases that may serve all phases: the one given, none at all, and the mixture of the modes."""
    mixed = {name: found.weights @ m for name, m in found.means.items()}
    return [own, none(model), with_means(model, mixed, FREE_CHAINS)]


def matched(model: Boltzmann, rows: np.ndarray, key: Any) -> dict[str, np.ndarray]:
    """Group → fields of independent units: visible ones with the means of the data, half a count added to each.

    Hidden ones get the field that they feel at the means of all others: the work then starts with no slope in their
    states. Where that would all but fix a unit, it is cut off.
    """
    means = {VISIBLE: _mean(model, rows)}
    means |= _hidden_means(model, rows[np.linspace(0, len(rows) - 1, min(N_ROWS, len(rows))).astype(int)], key)
    x = {name: np.asarray(m, np.float32)[None] for name, m in means.items()}
    fields = {VISIBLE: model.units[VISIBLE].field_with_mean(means[VISIBLE], len(rows))}
    for name in model.hidden:
        theta = np.broadcast_to(model.local_field(name, x), x[name].shape)[0]
        fields[name] = cut(model.units[name], theta, MAX_FIELD)
    return fields


def _mean(model: Boltzmann, rows: np.ndarray) -> np.ndarray:
    """Mean features of the visible units over all rows."""
    total = np.zeros(model.units[VISIBLE].n_features)
    for start in range(0, len(rows), 4096):
        part = np.asarray(model.units[VISIBLE].encode(np.asarray(rows[start : start + 4096], np.float32)))
        total += part.sum(axis=0, dtype=np.float64)
    return total / len(rows)


def _hidden_means(model: Boltzmann, rows: np.ndarray, key: Any) -> Mapping[str, np.ndarray]:
    if not model.hidden:
        return {}
    x = features_given(model, rows, key)
    return {name: np.asarray(m) for name, m in _mean_of_means(model.astype(np.float32), x).items()}


@jax.jit
def _mean_of_means(model: Boltzmann, x: gibbs.State) -> dict[str, Array]:
    fields = {name: model.local_field(name, x) for name in model.hidden}
    return {name: model.units[name].mean(theta).mean(axis=0) for name, theta in fields.items()}


def features_given(model: Boltzmann, rows: np.ndarray, key: Any) -> dict[str, Array]:
    """The features of all groups: rows of visible values, and hidden units drawn given them.

    One sweep is exact where the hidden units are independent given the data; else there are several.
    """
    plain = model.astype(np.float32)
    v = jnp.asarray(plain.units[VISIBLE].encode(np.asarray(rows, np.float32)), jnp.float32)
    if not model.hidden:
        return {VISIBLE: v}
    plan = gibbs.schedule(model.graph).only(model.hidden)
    return _drawn_given(plan, plain, key, v, 1 if model.graph.without([VISIBLE]).is_free else SWEEPS)


@jax.jit
def _drawn_given(plan: gibbs.Schedule, model: Boltzmann, key: Any, v: Array, n_sweeps: Any) -> gibbs.State:
    x = gibbs.start(model, jax.random.fold_in(key, 3), jnp.arange(len(v), dtype=jnp.uint32))
    return gibbs.run(plan, model, jax.random.fold_in(key, 4), {**x, VISIBLE: v}, n_sweeps)
