"""The tables of a network in one array, where a missing value that nothing hangs on is one more state.

A variable without children, where it is not observed, sums to one: its table gets an entry of one for that. Such a row
says nothing of the table, and is not counted for it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tractable._cached import cached_property
from tractable.kernels import Tables


class Layout:
    """Where the entries of every family are, the extra ones included."""

    def __init__(self, tables: Tables):
        self.sizes = tables.sizes.astype(np.int64)
        self.n_states = self.sizes.tolist()
        self.families = [tables.scope(j) for j in range(tables.n_factors)]
        parents = np.concatenate([f[:-1] for f in self.families] or [np.zeros(0, np.int32)])
        self.is_leaf = ~np.isin(np.arange(len(self.sizes)), parents)
        extended = [[*self.sizes[f[:-1]].tolist(), int(self.sizes[f[-1]]) + 1] for f in self.families]
        self.strides = [np.cumprod([1, *shape[:0:-1]])[::-1].astype(np.int64) for shape in extended]
        self.starts = np.concatenate([[0], np.cumsum([int(np.prod(shape)) for shape in extended])]).astype(np.int64)

    @property
    def n_entries(self) -> int:
        """Number of entries."""
        return int(self.starts[-1])

    @cached_property
    def places(self) -> np.ndarray:
        """Where the entries of the network's own tables are, one table after the other."""
        sizes = self.sizes.tolist()
        own = [start + np.arange(end - start) for start, end in pairwise(self.starts.tolist())]
        rows = [at.reshape(-1, sizes[f[-1]] + 1)[:, :-1] for at, f in zip(own, self.families, strict=True)]
        return np.concatenate([*(at.ravel() for at in rows), np.zeros(0, np.int64)])

    def extended(self, values: np.ndarray) -> np.ndarray:
        """The tables with their extra entries."""
        out = np.ones(self.n_entries)
        out[self.places] = values
        return out

    def hidden(self, states: np.ndarray) -> np.ndarray:
        """Which values have to be summed out [n_variables, n_rows]; states come as [n_rows, n_variables]."""
        return np.ascontiguousarray((states < 0).T) & ~self.is_leaf[:, None]

    def bases(self, states: np.ndarray) -> np.ndarray:
        """Where each family reads in each row [n_families, n_rows], were hidden variables in their first state."""
        columns = np.ascontiguousarray(states.T).astype(np.int64)
        filled = np.where(columns < 0, np.where(self.is_leaf, self.sizes, 0)[:, None], columns)
        out = np.repeat(self.starts[:-1, None], len(states), axis=1)
        for j, (family, strides) in enumerate(zip(self.families, self.strides, strict=True)):
            for v, stride in zip(family.tolist(), strides.tolist(), strict=True):
                out[j] += stride * filled[v]
        return out.astype(np.int32)

    def touched(self, hidden: np.ndarray) -> np.ndarray:
        """Which families hold something hidden [n_families, n_rows]."""
        return np.array([hidden[family].any(axis=0) for family in self.families]).reshape(-1, hidden.shape[1])

    def labels(self, hidden: np.ndarray) -> np.ndarray:
        """Hidden variables of a row that share a family have one label, the least of their numbers; n: not hidden."""
        n = len(self.sizes)
        label = np.where(hidden, np.arange(n, dtype=np.int32)[:, None], np.int32(n))
        families = [f for f in self.families if len(f) > 1]
        changed = True
        while changed:
            before = label.copy()
            for family in [*families, *families[::-1]]:
                least = label[family].min(axis=0)
                for v in family.tolist():
                    np.minimum(label[v], least, out=label[v], where=hidden[v])
            changed = not np.array_equal(before, label)
        return label

    def families_of(self, variables: tuple[int, ...]) -> list[int]:
        """The families that hold one of the variables."""
        return sorted({j for v in variables for j in self._holders[v]})

    @cached_property
    def _holders(self) -> list[list[int]]:
        out: list[list[int]] = [[] for _ in self.sizes]
        for j, family in enumerate(self.families):
            for v in family.tolist():
                out[v].append(j)
        return out
