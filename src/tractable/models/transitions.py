"""Transitions of a chain: what they keep, and the most likely ones given expected counts."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from tractable.models._base import ModelError

STEPS, HALVINGS, TOLERANCE = 200, 40, 1e-13


def stationary(transition: np.ndarray) -> np.ndarray:
    """π with π A = π, for a chain that has only one.

    Raises
    ------
    ModelError : a chain that falls apart, where π depends on the start.

    Examples
    --------
    >>> stationary(np.array([[0.9, 0.1], [0.3, 0.7]])).round(6).tolist()
    [0.75, 0.25]
    """
    k = len(transition)
    system = np.vstack([transition.T - np.eye(k), np.ones(k)])
    if np.linalg.matrix_rank(system[:k], tol=1e-12) < k - 1:
        raise ModelError("the transitions keep more than one distribution: give start as numbers")
    pi = np.linalg.lstsq(system, np.append(np.zeros(k), 1.0), rcond=None)[0]
    pi = np.where(pi < 1e-15, 0.0, pi)
    return pi / pi.sum()


def most_likely(counts: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Counts divided by the sums of their rows; a row without any keeps what it was."""
    sums = counts.sum(1, keepdims=True)
    return np.where(sums > 0, counts / np.where(sums > 0, sums, 1.0), old)


def checked_ties(given: Any, transition: np.ndarray) -> np.ndarray:
    """Labels of transitions, −1 for those that are free, which the transitions obey.

    Raises
    ------
    ModelError : a wrong shape, tied transitions that differ, rows that share some of their labels only.
    """
    ties = np.asarray(given)
    if ties.shape != transition.shape or ties.dtype.kind not in "iu":
        raise ModelError(f"ties are whole numbers of shape {transition.shape}, got {ties.dtype} of shape {ties.shape}")
    for label in np.unique(ties[ties >= 0]):
        values = transition[ties == label]
        if np.ptp(values) > 1e-9:
            raise ModelError(f"the transitions tied by label {label} differ: {values.min():.6g} … {values.max():.6g}")
    for i, j in combinations(range(len(ties)), 2):
        _check_pair(i, j, ties)
    return ties.astype(np.int64)


def _check_pair(i: int, j: int, ties: np.ndarray) -> None:
    """Only where tied rows have all their labels in common do the most likely ones have a closed form."""
    a, b = (sorted(row[row >= 0].tolist()) for row in (ties[i], ties[j]))
    if a != b and {*a} & {*b}:
        raise ModelError(f"rows {i} and {j} of ties share some of their labels only; see HiddenMarkovModel")
    if a == b and a and ties[[i, j]].min() < 0:
        raise ModelError(f"rows {i} and {j} of ties share labels, and have free entries; label those too")


def most_likely_tied(counts: np.ndarray, old: np.ndarray, ties: np.ndarray | None) -> np.ndarray:
    """The most likely transitions with those of one label alike.

    Where a label stands m times in each of its rows, its value is n / (m Σ n) with n the counts of labels.
    """
    if ties is None:
        return most_likely(counts, old)
    pooled = counts.copy()
    for label in np.unique(ties[ties >= 0]):
        pooled[ties == label] = counts[ties == label].mean()
    return most_likely(pooled, old)


def most_likely_stationary(
    first: np.ndarray, counts: np.ndarray, old: np.ndarray, ties: np.ndarray | None
) -> np.ndarray:
    """Transitions that climb F(A) = Σ first log π(A) + Σ counts log A, π being what A keeps, until that is flat.

    The growth transformation A ∝ A ∘ (∂F/∂A), the gradient shifted to be positive, leads upwards (Baum & Eagon 1967);
    a step that is too long is halved.
    """
    best, value = old, _stationary_value(first, counts, old)
    for _ in range(STEPS):
        to, gain = most_likely_tied(counts + best * _pull(first, best), best, ties), -np.inf
        for _ in range(HALVINGS):
            found = _stationary_value(first, counts, to)
            gain = found - value
            if gain >= 0:
                break
            to = (to + best) / 2
        if not gain > TOLERANCE * abs(value):
            return to if gain >= 0 else best
        best, value = to, found
    return best


def _stationary_value(first: np.ndarray, counts: np.ndarray, transition: np.ndarray) -> float:
    with np.errstate(divide="ignore"):
        a, pi = np.log(transition), np.log(stationary(transition))
    return float((counts[counts > 0] * a[counts > 0]).sum() + (first[first > 0] * pi[first > 0]).sum())


def _pull(first: np.ndarray, transition: np.ndarray) -> np.ndarray:
    """The gradient of Σ first log π, shifted so that none of it is negative: dπ = π dA (I − A + 1π)⁻¹."""
    pi, k = stationary(transition), len(transition)
    ratio = np.where(first > 0, first / np.where(pi > 0, pi, 1.0), 0.0)
    pull = np.linalg.solve(np.eye(k) - transition + pi, ratio)
    return pi[:, None] * (pull - pull.min())
