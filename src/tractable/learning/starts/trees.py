"""Trees of dependence between columns: those whose links carry the most information."""

from __future__ import annotations

import numpy as np


def best_tree(weights: np.ndarray) -> list[int]:
    """The parent of each column in the tree of largest total weight [n, n], rooted at column 0, whose parent is −1.

    Prim's algorithm; with mutual information for weights it is the tree of Chow & Liu 1968.

    >>> best_tree(np.array([[0, 1, 3], [1, 0, 2], [3, 2, 0]]))
    [-1, 2, 0]
    """
    n = len(weights)
    parent, near = np.zeros(n, int), weights[0].astype(float) if n else np.zeros(0)
    parent[:1] = -1
    out = np.arange(n) > 0
    while out.any():
        new = int(np.where(out, near, -np.inf).argmax())
        out[new] = False
        closer = out & (weights[new] > near)
        near[closer], parent[closer] = weights[new][closer], new
    return parent.tolist()


def information(columns: np.ndarray, sizes: list[int], label: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """I(Xᵢ; Xⱼ | label) between columns of states [n_rows, n_columns], −1 for missing, from the rows that show both.

    Parameters
    ----------
    sizes : number of states of each column. label : [n_rows], from 0. weights : how often a row counts.

    Examples
    --------
    >>> x = np.array([[0, 0], [1, 1], [0, 0], [1, 1]])
    >>> information(x, [2, 2], np.zeros(4, int), np.ones(4)).round(4)[0, 1]
    np.float64(0.6931)
    """
    starts = np.cumsum([0, *sizes[:-1]])
    total, out = weights.sum(), np.zeros((len(sizes), len(sizes)))
    for c in np.unique(label):
        rows = label == c
        shown = np.hstack([columns[rows, j, None] == np.arange(q) for j, q in enumerate(sizes)]).astype(np.float64)
        joint = (shown * weights[rows, None]).T @ shown
        out += weights[rows].sum() / total * _information(joint, starts, sizes)
    return out


def _information(joint: np.ndarray, starts: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Mutual information of every pair of columns, given the counts of all pairs of their states."""
    by_row = np.add.reduceat(joint, starts, axis=1)  # of each state: in how many rows beside some state of a column
    both = np.add.reduceat(by_row, starts, axis=0)
    n = np.repeat(np.repeat(both, sizes, axis=0), sizes, axis=1)
    left = np.repeat(by_row, sizes, axis=1)
    there = joint > 0
    ratio = np.where(there, joint * n, 1.0) / np.where(there, left * left.T, 1.0)
    terms = np.add.reduceat(np.add.reduceat(joint * np.log(ratio), starts, axis=0), starts, axis=1)
    return np.where(both > 0, terms / np.where(both > 0, both, 1.0), 0.0)
