"""Clamping units of a Boltzmann machine: what is observed moves into the fields and the offset of what stays free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import jax
import numpy as np

from tractable.models._base import ModelError, nearest
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.units import Units


def condition(model: Boltzmann, evidence: Any) -> Boltzmann:
    """The machine over the units that stay free when others are clamped: log p̃(z) = log p̃(z, x).

    Parameters
    ----------
    evidence : values of the visible units [n_visible], or group → values; NaN marks a unit that stays free.

    Raises
    ------
    ModelError : unknown group, wrong length, a value that a unit cannot take.
    """
    given = read_evidence(model, evidence)
    for name, values in given.items():
        if values.ndim != 1:
            raise ModelError(f"{name}: conditioning takes one case, got an array of shape {values.shape}")
    free = {name: _free_units(model, name, given.get(name)) for name in model.groups}
    with jax.enable_x64(True):
        return _restricted_to(free, model, _known_features(model, given))


def _free_units(model: Boltzmann, name: str, values: np.ndarray | None) -> np.ndarray:
    return np.arange(model.units[name].n) if values is None else np.flatnonzero(np.isnan(values.astype(float)))


def _known_features(model: Boltzmann, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The features of what is observed, and zeros for what stays free: they add nothing to any sum."""
    out = {}
    for name, units in model.units.items():
        values = given.get(name, np.full(units.n, np.nan)).astype(float)
        known = ~np.isnan(values)[units.unit_of_feature]
        out[name] = np.where(known, np.asarray(units.encode(np.where(np.isnan(values), 0, values))), 0.0)
    return out


def _restricted_to(free: Mapping[str, np.ndarray], model: Boltzmann, x: Mapping[str, np.ndarray]) -> Boltzmann:
    """The machine over the free units; what they meet in the known features `x` moves into fields and offset."""
    dtype, model = model.dtype, model.astype(np.float64)
    kept = {name: np.isin(model.units[name].unit_of_feature, units) for name, units in free.items() if units.size}
    units = {name: model.units[name].take(free[name]) for name in kept}
    theta, log_known = _met(model, x)
    fields = {name: np.asarray(theta[name])[keep] for name, keep in kept.items()}
    inside = {pair: np.asarray(w) for pair, w in model.couplings.items() if kept.keys() >= {*pair}}
    couplings, edges = {}, {}
    for (a, b), w in inside.items():
        if a == b and a in model.edges:
            couplings[a, a], edges[a] = _kept_edges(w, np.asarray(model.edges[a]), free[a])
        else:
            couplings[a, b] = w[np.ix_(kept[a], kept[b])]
    machine = Boltzmann(units, fields, couplings, edges, np.asarray(log_known))
    return machine.astype(dtype)


@jax.jit
def _met(model: Boltzmann, x: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """The fields of all groups at the known features, and their log-joint."""
    return {name: model.local_field(name, x) for name in model.groups}, model.log_joint(x)


def _kept_edges(w: np.ndarray, edges: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    both = np.isin(edges, free).all(axis=1)
    return w[both], np.searchsorted(free, edges[both]).astype(np.int32)


class Grouped(Protocol):
    """A model of groups of units, the visible one first."""

    @property
    def groups(self) -> tuple[str, ...]: ...

    @property
    def units(self) -> Mapping[str, Units]: ...


def read_evidence(model: Grouped, evidence: Any) -> dict[str, np.ndarray]:
    """Evidence by group, each value checked; NaN is unobserved."""
    if evidence is None:
        return {}
    columns = getattr(model.units.get(VISIBLE), "columns", None)  # by name, where they have any
    by_group = isinstance(evidence, Mapping) and (columns is None or {*evidence} <= {*model.units})
    given = evidence if by_group else {VISIBLE: evidence}
    out = {}
    for name, values in given.items():
        if name not in model.units:
            told = f"it has {', '.join(model.units)}; columns by name go in as a DataFrame, or as a list of cases"
            raise ModelError(f"unknown group {name!r}{nearest(name, model.units)}; {told}")
        out[name] = checked_values(model, name, values)
    return out


def all_known(model: Grouped, name: str) -> ModelError:
    """The error for a group of which the model has been conditioned on every unit."""
    left = ", ".join(model.units) or "nothing"
    return ModelError(f"no unit of {name} is free, all are conditioned on (left: {left}): infer(model) has the others")


def checked_values(model: Grouped, name: str, values: Any, missing: bool = True, first_row: int = 0) -> np.ndarray:
    """Values of a group [..., n], their width and domain checked; NaN only where entries may be missing."""
    if name not in model.units:
        raise all_known(model, name)
    try:
        found = model.units[name].numbers(values)
    except ModelError as error:  # which names the column, where it has a name
        raise error if model.units[name].columns is not None else ModelError(f"{name}: {error}") from None
    if found.dtype.kind not in "biuf":
        raise ModelError(f"{name}: expected numbers, got an array of {found.dtype}")
    n = model.units[name].n
    if found.ndim == 0 or found.shape[-1] != n:
        raise ModelError(f"{name}: the model has {n} units, the data {found.shape[-1] if found.ndim else 0} columns")
    model.units[name].check(found, missing, first_row)
    return found
