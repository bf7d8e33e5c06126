"""The oracle for Boltzmann machines: sums over all joint states of the discrete units, written as plainly as can be.

It reads the parameters of a machine and the kinds of its units, and shares no code with the library. Continuous units
are integrated by the formula of a Gaussian integral, or put at their observed values.

>>> from tractable.models.boltzmann_machine import boltzmann
>>> w = [[0, 0.1, 0.1], [0.1, 0, 0.1], [0.1, 0.1, 0]]
>>> table = joint(boltzmann(couplings=w, visible_bias=[0, 0.5, 0.25], units="spin"))
>>> (table.p.reshape(2, 2, 2).T.ravel() * 1e7).round().astype(int).tolist()  # published, the first unit the fastest
[666189, 446560, 1213876, 1213876, 736253, 736253, 2001342, 2985652]
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.units import Categorical, Gaussian, Spin

Z = 4.7
"""Standard errors allowed: some thousand comparisons are made, and one in a million may fail by chance."""


class Joint(NamedTuple):
    """All joint states of the discrete units that agree with the evidence, and what follows from them."""

    log_z: float
    p: np.ndarray  # [n_states]
    features: dict[str, np.ndarray]  # group -> [n_states, n_features], continuous units at their means in each state
    values: dict[str, np.ndarray]  # group -> [n_states, n_units]

    @property
    def means(self) -> dict[str, np.ndarray]:
        """Expected features of each group."""
        return {name: self.p @ x for name, x in self.features.items()}


def joint(model: Boltzmann, evidence: dict[str, np.ndarray] | None = None) -> Joint:
    """Enumerate; evidence is group -> values with NaN for what is not observed."""
    given = {name: np.full(u.n, np.nan) for name, u in model.units.items()} | (evidence or {})
    discrete = [name for name in model.groups if not isinstance(model.units[name], Gaussian)]
    columns = [_states(model, name, given[name][i]) for name in discrete for i in range(model.units[name].n)]
    table = np.array(list(itertools.product(*columns)), float).reshape(math.prod(map(len, columns)), -1)
    ends = np.cumsum([model.units[name].n for name in discrete])
    values = dict(zip(discrete, np.split(table, ends[:-1], axis=1), strict=True)) if discrete else {}
    x = {name: _features(model, name, v) for name, v in values.items()}
    logs = float(model.offset) + sum(x[name] @ np.asarray(model.fields[name], float) for name in discrete)
    for a, b in itertools.combinations_with_replacement(discrete, 2):
        w = _couplings(model, a, b)
        logs = logs + (0.5 if a == b else 1.0) * np.einsum("si,ij,sj->s", x[a], w, x[b])
    for name in set(model.groups) - set(discrete):
        theta = np.asarray(model.fields[name], float) + sum(x[b] @ _couplings(model, b, name) for b in discrete)
        more, x[name] = _continuous(theta, np.exp(np.asarray(model.units[name].log_precision, float)), given[name])
        logs, values[name] = logs + more, x[name]
    logs = np.broadcast_to(logs, (len(table),))
    log_z = logs.max() + np.log(np.exp(logs - logs.max()).sum())
    return Joint(float(log_z), np.exp(logs - log_z), x, values)


def drawn(model: Boltzmann, rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """The features of `n` exact, independent samples."""
    table = joint(model)
    rows = rng.choice(len(table.p), size=n, p=table.p / table.p.sum())
    x = {name: features[rows] for name, features in table.features.items()}
    for name, units in model.units.items():
        if isinstance(units, Gaussian):
            x[name] = x[name] + rng.normal(size=x[name].shape) * np.exp(-0.5 * np.asarray(units.log_precision))
    return x


def exact_state(model: Boltzmann, n: int) -> dict[str, np.ndarray]:
    """Chains that start from the exact distribution."""
    return {g: x.astype(np.float32) for g, x in drawn(model, np.random.default_rng(3), n).items()}


def assert_unchanged(model: Boltzmann, x: Mapping[str, np.ndarray]) -> None:
    """Means and products of neighbouring features are those of the oracle, up to the Monte-Carlo error."""
    table = joint(model)
    for name, a in x.items():
        for found, states in ((a, table.features[name]), (a * np.roll(a, 1, 1), None)):
            if states is None and not np.isfinite(model.units[name].n_states):
                continue  # a square has a mean of its own
            exact = table.p @ (table.features[name] * np.roll(table.features[name], 1, 1) if states is None else states)
            error = found.std(axis=0) / np.sqrt(len(found)) + 1e-6
            assert (np.abs(found.mean(axis=0) - exact) < Z * error).all(), name


def _states(model: Boltzmann, name: str, given: float) -> list[float]:
    if not np.isnan(given):
        return [given]
    units = model.units[name]
    return list(range(units.q)) if isinstance(units, Categorical) else [-1, 1] if isinstance(units, Spin) else [0, 1]


def _features(model: Boltzmann, name: str, values: np.ndarray) -> np.ndarray:
    units = model.units[name]
    return np.eye(units.q)[values.astype(int)].reshape(len(values), -1) if isinstance(units, Categorical) else values


def _couplings(model: Boltzmann, a: str, b: str) -> np.ndarray:
    """W [features of a, features of b], symmetric within a group."""
    if (a, b) in model.couplings:
        w = np.asarray(model.couplings[a, b], float)
    elif (b, a) in model.couplings:
        w = np.asarray(model.couplings[b, a], float).T
    else:
        return np.zeros((model.units[a].n_features, model.units[b].n_features))
    if a != b:
        return w
    if a in model.edges:
        full = np.zeros((model.units[a].n,) * 2)
        for (i, j), weight in zip(np.asarray(model.edges[a]), w, strict=True):
            full[i, j] = weight
        return full + full.T
    width = model.units[a].n_features // model.units[a].n
    upper = [[i // width < j // width for j in range(len(w))] for i in range(len(w))]
    return np.where(upper, w, 0) + np.where(upper, w, 0).T


def _continuous(theta: np.ndarray, precision: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The log of the integral (or of the density at what is observed) for each state, and the means."""
    free = np.isnan(given)
    at = np.where(free, 0, given)
    integral = theta**2 / (2 * precision) + 0.5 * np.log(2 * np.pi / precision)
    logs = np.where(free, integral, theta * at - precision * at**2 / 2).sum(axis=1)
    return logs, np.where(free, theta / precision, at)
