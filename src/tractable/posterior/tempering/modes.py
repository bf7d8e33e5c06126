"""The modes of a machine, looked for before any chain runs: fixed points of mean field from starts of many kinds.

Chains find only phases that some temperature leads to; a mode that none leads to is found by looking for it. The first
starts lie along the leading eigenvectors of the couplings, between features that are scaled to unit variance: a mode
that couplings hold together has a large share in these. To them come the couplings of single units, rows of data, ends
of free chains and their opposites, and all units alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.precision import working_type
from tractable.models.units import Units
from tractable.posterior.approximate import gibbs, mean_field

Fields = Mapping[str, np.ndarray]

DIRECTIONS, AMPLITUDES = 16, (0.5, 3.0, 30.0)
"""Eigenvectors that starts lie along, and the fields, root of the mean square, that each is scaled to."""

COLUMNS, ENDS = 48, 64
"""Single units whose couplings are starts; rows of data, and ends of free chains, that are."""

DENSE = 512
"""Up to so many features all eigenvectors are found at once."""

NOISE, SWEEPS, SETTLED = 0.03, 200, 1e-4
APART = 0.05
"""Fixed points whose means differ by less, on average, are the same."""

NEAR, MOST = 12.0, 24
"""Kept are the best fixed points, none whose bound is lower than the best by more nats."""

MAX_FIELD = 6.0


class Modes(NamedTuple):
    """Fixed points, the best first: group → means [k, f], fields of independent units that have them; bounds [k]."""

    means: Fields
    fields: Fields
    elbo: Float[np.ndarray, " k"]

    @property
    def weights(self) -> Float[np.ndarray, " k"]:
        """The share of each by its bound."""
        least = np.maximum(self.elbo, np.finfo(float).min)  # −∞ where a bound overflows
        return np.exp(least - np.logaddexp.reduce(least))


def find(model: Boltzmann, rows: np.ndarray | None, ends: Fields) -> Modes:
    """The modes found from all starts.

    Parameters
    ----------
    rows : values of the visible units, or None. ends : features of all groups at the end of free chains.
    """
    plain = model.astype(working_type(model))
    means, elbo = _fixed_points(plain, starts(plain, rows, ends))
    return distinct(plain, means, fields_of(plain, means), elbo)


def starts(model: Boltzmann, rows: np.ndarray | None, ends: Fields) -> dict[str, Array]:
    """The means that all searches begin from, group → [s, f]."""
    fields = np.concatenate([_along_eigenvectors(model), _along_columns(model), _alike(model)])
    fields += NOISE * np.random.default_rng(0).normal(size=fields.shape)  # symmetric starts would end on saddles
    x = {name: np.asarray(a) for name, a in _means(model, _by_group(model, fields.astype(model.dtype))).items()}
    return _stacked([x, _of_rows(model, rows, ends), _some(ends), _opposite(model, _some(ends))], model.dtype)


def _fixed_points(model: Boltzmann, x: dict[str, Array]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Where mean field ends, and its bounds; some sweeps at a time, between two looks at what interrupts."""
    plan, elbo = gibbs.schedule(model.graph), jnp.zeros(0)
    for _ in range(0, SWEEPS, gibbs.CHUNK):
        found = jax.block_until_ready(mean_field.iterate(plan, model, x, None, (gibbs.CHUNK, SETTLED)))
        x, elbo, _, change = found
        if not change > SETTLED:
            break
    return {name: np.asarray(m) for name, m in x.items()}, np.asarray(elbo, np.float64)


def only(model: Boltzmann, fields: Fields) -> Modes:
    """A single one with these fields, where none is looked for."""
    fields = {name: np.asarray(fields[name], working_type(model))[None] for name in model.groups}
    return Modes({name: np.asarray(m) for name, m in _means(model, fields).items()}, fields, np.zeros(1))


def fields_of(model: Boltzmann, means: Fields) -> Fields:
    """Fields of independent units at these means, cut where they would all but fix a unit."""
    fields = _local_fields(model, dict(means))
    return {name: cut(model.units[name], np.asarray(theta), MAX_FIELD) for name, theta in fields.items()}


def distinct(model: Boltzmann, means: Fields, fields: Fields, elbo: np.ndarray) -> Modes:
    """The best fixed points, each once."""
    elbo = np.where(np.isfinite(elbo), elbo, -np.inf)
    scaled = np.concatenate([means[name] / scale(model.units[name]) for name in model.groups], axis=1) / 2
    kept: list[int] = []
    for i in np.argsort(-elbo):
        if len(kept) == MOST or not elbo[i] >= elbo.max() - NEAR:
            break
        if all(np.abs(scaled[i] - scaled[j]).mean() >= APART for j in kept):
            kept.append(int(i))
    means, fields = ({name: a[kept] for name, a in part.items()} for part in (means, fields))
    return Modes(means, fields, elbo[kept])


def cut(units: Units, theta: np.ndarray, limit: float) -> np.ndarray:
    """Fields that do not all but fix a unit; those of a continuous one as they are."""
    if not np.isfinite(units.n_states):
        return theta
    return np.clip(_centred(units, theta), -limit, limit)


def _centred(units: Units, theta: np.ndarray) -> np.ndarray:
    """Fields of categorical units less what all states of a unit have in common, which says nothing."""
    if units.n_features == units.n:
        return theta
    unit, counts = units.unit_of_feature, np.bincount(units.unit_of_feature)
    common = np.add.reduceat(theta, units.first_features, axis=-1) / counts
    return np.where(counts[unit] > 1, theta - common[..., unit], theta)


def scale(units: Units) -> float:
    """The standard deviation of a feature without any field."""
    theta = jnp.zeros(units.n_features)
    return float(jnp.sqrt(jax.jvp(units.mean, (theta,), (jnp.ones_like(theta).at[1:].set(0),))[1][0]))


# ---------------------------------------------------------------- starts


def along_eigenvectors(model: Boltzmann) -> dict[str, Array]:
    """Means along ± the leading eigenvectors alone, those of the middle amplitude."""
    fields = _along_eigenvectors(model, AMPLITUDES[1:2]).astype(model.dtype)
    return _means(model, _by_group(model, fields))


def _along_eigenvectors(model: Boltzmann, amplitudes: tuple[float, ...] = AMPLITUDES) -> np.ndarray:
    """Fields [s, f] of all groups side by side, along ± the leading eigenvectors."""
    size = np.concatenate([np.full(model.units[g].n_features, scale(model.units[g])) for g in model.groups])
    n = len(size)

    def product(x: np.ndarray) -> np.ndarray:
        x = size * _centred_all(model, np.atleast_2d(x))
        return size * _centred_all(model, np.asarray(_interactions(model, jnp.asarray(x, model.dtype)), np.float64))

    vectors = np.linalg.eigh(product(np.eye(n)))[1][:, ::-1][:, :DIRECTIONS] if n <= DENSE else _leading(product, n)
    fields = np.sqrt(n) * vectors.T / size
    return np.concatenate([sign * amplitude * fields for amplitude in amplitudes for sign in (1, -1)])


def _leading(product: Callable[[np.ndarray], np.ndarray], n: int) -> np.ndarray:
    """The leading eigenvectors of a symmetric product, as far as they are found: a start need not be exact."""
    first = np.random.default_rng(0).normal(size=n)
    more: Any = {"matvec": lambda x: product(x.ravel())[0], "dtype": np.float64}  # what types of SciPy do not know
    how: Any = {"k": DIRECTIONS, "which": "LA", "v0": first, "tol": 1e-2}
    if not product(first).any():  # nothing is coupled
        return np.zeros((n, DIRECTIONS))
    try:
        found = eigsh(LinearOperator((n, n), **more), **how)[1]
    except ArpackNoConvergence as error:
        found = error.eigenvectors
    return np.pad(found[:, ::-1], ((0, 0), (0, DIRECTIONS - found.shape[1])))


def _along_columns(model: Boltzmann) -> np.ndarray:
    """Fields along ± the couplings of the units that have the largest."""
    strongest = np.argsort(-_strengths(model), kind="stable")[:COLUMNS]
    n = sum(model.units[name].n_features for name in model.groups)
    chosen = np.zeros((len(strongest), n), model.dtype)
    chosen[np.arange(len(strongest)), strongest] = 1
    columns = np.asarray(_interactions(model, jnp.asarray(chosen)), np.float64)
    touched = np.maximum((columns != 0).sum(axis=1, keepdims=True), 1)
    size = np.sqrt((columns**2).sum(axis=1, keepdims=True) / touched)
    fields = AMPLITUDES[1] * columns / np.where(size > 0, size, 1)
    return np.concatenate([fields, -fields])


def _strengths(model: Boltzmann) -> np.ndarray:
    """The sum of the squared couplings of each feature, all groups side by side."""
    own = {name: np.zeros(model.units[name].n_features) for name in model.groups}
    for (a, b), w in model.couplings.items():
        squared = np.square(np.asarray(w, np.float64))
        if a == b and a in model.edges:
            for ends in np.asarray(model.edges[a]).T:
                np.add.at(own[a], ends, squared)
        else:
            own[a] += squared.sum(axis=1)
            own[b] += squared.sum(axis=0)
    return np.concatenate(list(own.values()))


def _alike(model: Boltzmann) -> np.ndarray:
    """Fields under which all units are in the same state, or in none."""
    parts = [_each_state(model.units[g]) for g in model.groups]
    most = max(len(part) for part in parts)
    states = MAX_FIELD * np.concatenate([part[np.arange(most) % len(part)] for part in parts], axis=1)
    return np.concatenate([states, -states, 0 * states[:1]])


def _each_state(units: Units) -> np.ndarray:
    """The first feature of each unit, then the second, …: a row each [width of the widest unit, f]."""
    place = np.arange(units.n_features) - units.first_features[units.unit_of_feature]
    return np.eye(place.max() + 1)[:, place]


def _of_rows(model: Boltzmann, rows: np.ndarray | None, ends: Fields) -> Fields:
    """Rows of data and no field on hidden units; without data the ends of other chains, of as many."""
    if rows is None:
        return _some(ends, ENDS)
    chosen = np.asarray(rows)[np.linspace(0, len(rows) - 1, ENDS).astype(int)]
    v = np.asarray(model.units[VISIBLE].encode(np.asarray(chosen, model.dtype)))
    none = _means(model, {name: np.zeros((ENDS, model.units[name].n_features), model.dtype) for name in model.hidden})
    return {VISIBLE: v} | {name: np.asarray(m) for name, m in none.items()}


def _some(ends: Fields, first: int = 0) -> Fields:
    n = len(next(iter(ends.values())))
    return {name: np.asarray(a)[(first + np.arange(ENDS)) % n] for name, a in ends.items()}


def _opposite(model: Boltzmann, x: Fields) -> Fields:
    """Every unit of two states in the other one; others as they are."""
    return {name: _flipped(model.units[name], a) for name, a in x.items()}


def _flipped(units: Units, a: np.ndarray) -> np.ndarray:
    return units.states().sum() - a if units.n_states == 2 and units.n_features == units.n else a


def _stacked(parts: list[Fields], dtype: Any) -> dict[str, Array]:
    return {name: jnp.asarray(np.concatenate([part[name] for part in parts]), dtype) for name in parts[0]}


def _by_group(model: Boltzmann, flat: np.ndarray) -> dict[str, np.ndarray]:
    sizes = np.cumsum([model.units[name].n_features for name in model.groups])[:-1]
    return dict(zip(model.groups, np.split(flat, sizes, axis=-1), strict=True))


def _centred_all(model: Boltzmann, flat: np.ndarray) -> np.ndarray:
    parts = np.split(flat, np.cumsum([model.units[g].n_features for g in model.groups])[:-1], axis=-1)
    return np.concatenate(
        [_centred(model.units[g], part) for g, part in zip(model.groups, parts, strict=True)], axis=-1
    )


@jax.jit
def _means(model: Boltzmann, theta: Any) -> dict[str, Array]:
    return {name: model.units[name].mean(t) for name, t in theta.items()}


@jax.jit
def _local_fields(model: Boltzmann, x: Any) -> dict[str, Array]:
    return {name: jnp.broadcast_to(model.local_field(name, x), x[name].shape) for name in model.groups}


@jax.jit
def _interactions(model: Boltzmann, flat: Float[Array, "s f"]) -> Float[Array, "s f"]:
    """The fields that the couplings make of features, all groups side by side."""
    sizes = np.cumsum([model.units[name].n_features for name in model.groups])[:-1]
    x = dict(zip(model.groups, jnp.split(flat, sizes, axis=-1), strict=True))
    found = [jnp.broadcast_to(model.local_field(g, x) - model.fields[g], x[g].shape) for g in model.groups]
    return jnp.concatenate(found, axis=-1)
