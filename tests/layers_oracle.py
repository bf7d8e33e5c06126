"""The oracle for models of layers: all joint states in a table, one term at a time, sharing no code with the library.

>>> from tractable.models import SigmoidBeliefNetwork
>>> net = SigmoidBeliefNetwork(weights=[[[2.0]]], biases=[[-1.0], [0.0]])
>>> round(float(np.exp(table(net, {"visible": np.array([1.0])}).log_z)), 6)  # (σ(−1) + σ(1)) / 2
0.5
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Table(NamedTuple):
    """The joint states that agree with the evidence, each layer [n_states, n], and the posterior over them."""

    log_z: float
    p: np.ndarray
    layers: list[np.ndarray]

    @property
    def means(self) -> list[np.ndarray]:
        return [self.p @ h for h in self.layers]


def log_sigmoid(a: float) -> float:
    return -np.log1p(np.exp(-a)) if a > 0 else a - np.log1p(np.exp(a))


def log_joint(model: Any, state: list[np.ndarray]) -> float:
    """log p̃ of one joint state, unit by unit."""
    total = 0.0
    n_directed = len(model.weights) + (model.family == "sigmoid_belief")
    for at in range(n_directed):
        for i, x in enumerate(state[at]):
            a = float(model.biases[at][i])
            if at < len(model.weights):
                a += sum(float(w) * h for w, h in zip(model.weights[at][i], state[at + 1], strict=True))
            if model.within[at] is not None:
                a += sum(float(model.within[at][i][k]) * state[at][k] for k in range(i))
            total += log_sigmoid(a if x else -a)
    if model.family == "deep_belief":
        v, h, top = state[-2], state[-1], model.top
        w = np.asarray(top.couplings["visible", "hidden"], float)
        total += (
            float(top.offset) + v @ np.asarray(top.fields["visible"]) + h @ np.asarray(top.fields["hidden"]) + v @ w @ h
        )
    return float(total)


def table(model: Any, evidence: Mapping[str, np.ndarray] | None = None) -> Table:
    """Enumerate; evidence is layer → values with NaN for what is not observed."""
    sizes, given = model.sizes, evidence or {}
    columns = []
    for name, n in zip(model.groups, sizes, strict=True):
        values = given.get(name, np.full(n, np.nan))
        columns += [(0.0, 1.0) if np.isnan(v) else (float(v),) for v in values]
    states = np.array(list(itertools.product(*columns)))
    layers = np.split(states, np.cumsum(sizes)[:-1], axis=1)
    logs = np.array([log_joint(model, [h[s] for h in layers]) for s in range(len(states))])
    log_z = logs.max() + np.log(np.exp(logs - logs.max()).sum())
    return Table(float(log_z), np.exp(logs - log_z), layers)
