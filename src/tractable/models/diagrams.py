"""Decision diagrams: a table with many zeros or few different numbers as a chain of small ones.

What follows a choice of states of the first variables is a table over the others. Those that are the same are one node,
and a node leads to others by the state of the next variable. A parity of any number of variables has two nodes at each
of these, a count of ones as many as there are ones to count; a table of numbers that are all different saves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


def diagram(shape: Sequence[int], places: np.ndarray, values: np.ndarray, limit: int) -> list[np.ndarray] | None:
    """Tables whose product, summed over the nodes that neighbours share, is the table with these non-zeros.

    Returns
    -------
    ``[n₁, n₂, nodes]``, ``[nodes, n₃, nodes]``, …, ``[nodes, nₖ₋₁, nₖ]``, for k ≥ 4 variables; no configuration of the
    variables takes more than one way. None where they have more than `limit` entries together.
    """
    distinct, nodes = _numbered(values)
    n_next = 1
    levels, entries = [], 0
    for size in reversed(shape):
        found = _merged(places, nodes, size)
        if found is None or (entries := entries + len(found.states) * size * n_next) > limit:
            return None
        levels.append((found, n_next))
        places, nodes, n_next = found.prefixes, found.nodes, len(found.states)
    if not n_next:
        return None  # a table of zeros
    tables = [_table(level, n, size) for (level, n), size in zip(levels[1:], shape[-2::-1], strict=True)]
    first, second, *middle, before = tables[::-1]
    out = [
        np.tensordot(first[0], second, 1),
        *middle,
        np.tensordot(before, _ends(levels[0][0], distinct, shape[-1]), 1),
    ]
    return out if sum(t.size for t in out) <= limit else None


def rows_alike(places: np.ndarray, values: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The different rows of a table [n, size], and which of them each that is not zero is; None where they are many."""
    distinct, nodes = _numbered(values)
    found = _merged(places, nodes, size)
    many = found is None or len(found.states) * size > 8 * len(places)
    return None if found is None or many else (_ends(found, distinct, size), found.nodes)


def _numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different values, and which of them each is."""
    same = values.size > 0 and values.strides == (0,)
    distinct, which = (values[:1], np.zeros(1, int)) if same else np.unique(values, return_inverse=True)
    return distinct, np.broadcast_to(which.astype(np.int32).ravel(), values.shape)


class _Level(NamedTuple):
    """The nodes at a variable: their ways out, by states and by the nodes these lead to, −1 beyond the last.

    `nodes` says which one each of the `prefixes` before the variable comes to.
    """

    states: np.ndarray
    following: np.ndarray
    prefixes: np.ndarray
    nodes: np.ndarray


def _merged(places: np.ndarray, nodes: np.ndarray, size: int) -> _Level | None:
    """The nodes at the last variable of these prefixes, which lead on to `nodes`; None where ways are too uneven."""
    at = places // size
    starts = np.flatnonzero(np.append(True, at[1:] != at[:-1])) if len(at) else np.zeros(0, np.int64)
    counts = np.diff(np.append(starts, len(at)))
    most = int(counts.max(initial=0))
    if most * len(starts) > 8 * len(at):
        return None
    states, following = np.full((2, len(starts), most), -1, np.int32)
    for k in range(most):
        there = counts > k
        entry = starts[there] + k
        states[there, k], following[there, k] = places[entry] % size, nodes[entry]
    first, which = _distinct([*states.T, *following.T], len(starts))
    return _Level(states[first], following[first], at[starts], which)


def _distinct(columns: Sequence[np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
    """The first of each kind of rows, and the kind of each row."""
    key, kinds = np.zeros(n, np.int64), 1
    for column in columns:
        base = int(column.max(initial=-1)) + 2
        if kinds * base > 2**62:
            found, key = np.unique(key, return_inverse=True)
            key, kinds = key.ravel(), len(found)
        key *= base
        key += column
        key += 1
        kinds *= base
    if kinds <= n:  # no need to sort
        first = np.full(kinds, -1)
        first[key[::-1]] = np.arange(n)[::-1]
        there = first >= 0
        return first[there], (np.cumsum(there, dtype=np.int32) - 1)[key]
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    return first, which.ravel()


def _table(level: _Level, n_next: int, size: int) -> np.ndarray:
    """Which node follows a node and a state [n_nodes, size, n_next]."""
    out, there = np.zeros((len(level.states), size, n_next)), level.states >= 0
    out[np.nonzero(there)[0], level.states[there], level.following[there]] = 1.0
    return out


def _ends(level: _Level, values: np.ndarray, size: int) -> np.ndarray:
    """The entry at each node and state of the last variable [n_nodes, size]."""
    out, there = np.zeros((len(level.states), size)), level.states >= 0
    out[np.nonzero(there)[0], level.states[there]] = values[level.following[there]]
    return out
