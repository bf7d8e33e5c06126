"""The oracle for hidden Markov chains: every path of a short sequence, one by one."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np


class Enumerated(NamedTuple):
    """log p(x), p(z_t | x) [t, k], expected transitions [k, k], and all paths with log p(z, x)."""

    log_p: float
    marginals: np.ndarray
    transitions: np.ndarray
    paths: np.ndarray
    log_joint: np.ndarray


def enumerate_paths(start: np.ndarray, transition: np.ndarray, rows: np.ndarray) -> Enumerated | None:
    """All that the k^t paths say; None where the sequence is impossible."""
    length, k = rows.shape
    with np.errstate(divide="ignore"):
        log_start, log_a = np.log(start), np.log(transition)
    paths = np.array(list(product(range(k), repeat=length)))
    log_joint = log_start[paths[:, 0]] + rows[np.arange(length), paths].sum(1)
    log_joint = log_joint + log_a[paths[:, :-1], paths[:, 1:]].sum(1)
    if log_joint.max() == -np.inf:
        return None
    w = np.exp(log_joint - log_joint.max())
    log_p = float(log_joint.max() + np.log(w.sum()))
    w /= w.sum()
    marginals = np.stack([np.bincount(paths[:, t], w, k) for t in range(length)])
    pairs = [np.bincount(paths[:, t] * k + paths[:, t + 1], w, k * k) for t in range(length - 1)]
    return Enumerated(
        log_p, marginals, np.sum(pairs, axis=0).reshape(k, k) if pairs else np.zeros((k, k)), paths, log_joint
    )


def random_chain(rng: np.random.Generator, k: int, n_rows: int, zeros: float = 0, scale: float = 1) -> tuple:
    """start, transition and log-likelihoods; about `zeros` of all entries are zeros (of log-likelihoods −∞)."""
    transition = rng.dirichlet(np.ones(k), k) * (rng.random((k, k)) >= zeros) + 0.1 * np.eye(k)
    start = rng.dirichlet(np.ones(k)) * (rng.random(k) >= zeros) + 0.01 * (np.arange(k) == 0)
    rows = rng.normal(size=(n_rows, k)) * scale
    rows[rng.random(rows.shape) < zeros / 2] = -np.inf
    return start / start.sum(), transition / transition.sum(1, keepdims=True), rows
