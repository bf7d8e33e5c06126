"""The oracle for factorial hidden Markov models: every joint path of a short sequence, one by one."""

from __future__ import annotations

from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

import tractable as tr


class Enumerated(NamedTuple):
    """log p(x), all joint paths [n, t, M] and log p(path, x) of each."""

    log_p: float
    paths: np.ndarray
    log_joint: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """p(path | x)."""
        return np.exp(self.log_joint - self.log_p)


def log_normal(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    """The density of what is not NaN, from its definition."""
    seen = ~np.isnan(x)
    if not seen.any():
        return 0.0
    part, own = (x - mean)[seen], covariance[np.ix_(seen, seen)]
    log_det = np.log(np.linalg.det(2 * np.pi * own))
    return float(-0.5 * (part @ np.linalg.solve(own, part) + log_det))


def enumerate_joint(model: tr.FactorialHiddenMarkovModel, rows: np.ndarray) -> Enumerated:
    """All that the paths of all chains say together."""
    e, states = model.emissions, list(product(*map(range, model.sizes)))
    means = {z: np.asarray(e.offset) + sum(w[k] for w, k in zip(e.contributions, z, strict=True)) for z in states}
    density = [{z: log_normal(x, mean, e.covariance) for z, mean in means.items()} for x in rows]
    with np.errstate(divide="ignore"):
        first = {z: sum(np.log(p[k]) for p, k in zip(model.starts, z, strict=True)) for z in states}
        step = {
            (a, b): sum(np.log(p[i, j]) for p, i, j in zip(model.transitions, a, b, strict=True))
            for a in states
            for b in states
        }
    paths = list(product(states, repeat=len(rows)))
    values = [
        first[path[0]]
        + sum(d[z] for d, z in zip(density, path, strict=True))
        + sum(step[a, b] for a, b in pairwise(path))
        for path in paths
    ]
    log_joint = np.array(values)
    return Enumerated(float(np.logaddexp.reduce(log_joint)), np.array(paths), log_joint)


def marginals(truth: Enumerated, m: int, k: int) -> np.ndarray:
    """p(z_t^m | x) [t, k]."""
    return np.stack([np.bincount(z, truth.weights, k) for z in truth.paths[:, :, m].T])


def transitions(truth: Enumerated, m: int, k: int) -> np.ndarray:
    """Expected transitions of chain m [k, k]."""
    own, out = truth.paths[:, :, m], np.zeros((k, k))
    for a, b in pairwise(own.T):
        np.add.at(out, (a, b), truth.weights)
    return out


def random_model(
    seed: int, sizes: tuple[int, ...], d: int = 2, noise: float = 0.5, zeros: bool = False, scale: float = 1.0
) -> tr.FactorialHiddenMarkovModel:
    """Chains that move at random; with `zeros`, only to some states."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d)) * 0.3 + np.eye(d)
    emissions = tr.AdditiveGaussianEmissions(
        [scale * rng.normal(size=(k, d)) for k in sizes], noise * root @ root.T, rng.normal(size=d)
    )
    moves = [
        rng.dirichlet(np.ones(k), k) * ((rng.random((k, k)) < 0.6) if zeros else 1) + 0.2 * np.eye(k) for k in sizes
    ]
    return tr.FactorialHiddenMarkovModel(
        [rng.dirichlet(np.ones(k)) for k in sizes], [a / a.sum(1, keepdims=True) for a in moves], emissions
    )


def gappy(rows: np.ndarray, seed: int) -> np.ndarray:
    """Rows with entries missing, one row altogether."""
    rng = np.random.default_rng(seed)
    out = np.where(rng.random(rows.shape) < 0.2, np.nan, rows)
    out[len(out) // 2] = np.nan
    return out
