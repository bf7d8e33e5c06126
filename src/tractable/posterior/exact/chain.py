"""Exact answers on a chain: forward-backward, sequentially in C or as an associative scan on an accelerator.

    α_t = (α_{t−1} A) ∘ b_t,   β_{t−1} = A (b_t ∘ β_t),   p(z_t | x) ∝ α_t ∘ β_t      (Rabiner 1989)

The products of matrices A diag(b_t) are associative, so that a parallel machine finds all prefixes in log T steps, for
K times the arithmetic (Särkkä & García-Fernández 2021).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tractable.kernels.chain import Chains, Smoothed, log_filtered
from tractable.kernels.chain import smooth as sequential
from tractable.models._base import nearest

METHODS = ("sequential", "associative")


def smooth(chains: Chains, method: str = "sequential") -> Smoothed:
    """log p(x), p(z_t | x) and the expected transitions of all sequences.

    Parameters
    ----------
    method : ``"sequential"``, the C kernel in O(T K²); ``"associative"``, a scan by jax in O(T K³) work and O(log T)
        depth, for accelerators.

    Examples
    --------
    >>> chains = Chains([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], np.log([[0.8, 0.2], [0.8, 0.2]]))
    >>> [round(float(smooth(chains, method).log_likelihood[0]), 6) for method in METHODS]
    [-1.133204, -1.133204]
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}{nearest(method, METHODS)}; choose one of {', '.join(METHODS)}")
    if method == "sequential":
        return sequential(chains)
    from tractable.posterior.exact.chain_scan import smooth as associative  # brings jax

    return associative(chains)


def fixed_lag(chains: Chains, lag: int) -> np.ndarray:
    """p(z_t | x_1, …, x_{t+lag}) of every row [rows, k], the end of the sequence where that comes first.

    Raises
    ------
    ValueError : a negative lag.

    Examples
    --------
    >>> chains = Chains([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], np.log([[0.8, 0.2], [0.8, 0.2]]))
    >>> fixed_lag(chains, 1)[0].round(6).tolist() == smooth(chains).marginals[0].round(6).tolist()
    True
    """
    if lag < 0:
        raise ValueError(f"a lag is a number of rows ≥ 0, got {lag}")
    log_alpha = log_filtered(chains)
    last = np.repeat(chains.offsets[1:] - 1, np.diff(chains.offsets))
    after, rows = np.zeros_like(log_alpha), np.arange(chains.n_rows)
    for ahead in range(min(lag, chains.n_rows), 0, -1):
        inside = np.flatnonzero(rows + ahead <= last)
        after[inside] = _backward(chains, inside + ahead, after[inside])
    return _normalized(log_alpha + after)


def _backward(chains: Chains, rows: np.ndarray, after: np.ndarray) -> np.ndarray:
    """log A (b_t ∘ β_t) for many rows t at once, up to a constant each."""
    x = chains.rows[rows] + after
    x = x - _finite_max(x)
    sums = np.exp(x) @ chains.transition.T
    lost = (sums < 1e-200).any(1)  # what doubles cannot hold, with logarithms
    out = _logs(sums)
    log_a = _logs(chains.transition)
    for t in np.flatnonzero(lost):
        out[t] = np.logaddexp.reduce(log_a + x[t], axis=1)
    return out


def _normalized(x: np.ndarray) -> np.ndarray:
    p = np.exp(x - _finite_max(x))
    return p / p.sum(1, keepdims=True)


def _finite_max(x: np.ndarray) -> Any:
    most = x.max(1, keepdims=True)
    return np.where(most > -np.inf, most, 0.0)


def _logs(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(p)
