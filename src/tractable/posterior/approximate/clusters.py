"""Clusters of variables, each with a contraction tree that is affordable, such that little couples one to another.

A set that is too wide is split where the tables across are weakest: its variables are ordered by how much nearer they
are to one pole than to another, for pairs of poles far apart, and the lightest of the cuts between two places of an
order is taken. Neighbours that fit together after all are joined again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np

from tractable.kernels import Scopes, Tables
from tractable.plan import Budget
from tractable.plan._base import ContractionTree
from tractable.plan.budget import DENSE, predicted_bytes, warm_seconds
from tractable.plan.search import FIRST, GREEDY_SECONDS, find_tree

POLES, LEAST = 6, 0.2
"""Poles whose pairs order the variables, and the smallest share of a set that is split off."""

ZEROS = 10.0
"""Nats that a table with zeros counts more: across clusters it rules states out."""

QUERY, BELOW = "marginals", 1e-3
"""Every run of a tree goes up and down; a table counts for at least so much, so that splits stay connected."""


NumberedParts = dict[int, np.ndarray]
Fits = Callable[[np.ndarray], bool]


class Afford(NamedTuple):
    """What all clusters may take together, in seconds of the reference machine, and each of them in bytes."""

    seconds: float
    memory: float


class Cluster(NamedTuple):
    """Variables, the tables over at least one of them, the scopes of these within the cluster, and the tree."""

    members: np.ndarray
    touched: np.ndarray
    scopes: Scopes
    tree: ContractionTree


class Couplings(NamedTuple):
    """A weighted graph of the variables: the neighbours of each one after the other, and what ties them."""

    starts: np.ndarray
    to: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, tables: Tables) -> Couplings:
        """Every pair within a table shares what ties the table's variables."""
        pairs, weights = [np.empty((2, 0), np.int64)], [np.empty(0)]
        for j in range(tables.n_factors):
            scope = tables.scope(j)
            if len(scope) > 1:
                pairs.append(scope[np.array(np.triu_indices(len(scope), 1))].astype(np.int64))
                weights.append(np.full(pairs[-1].shape[1], tied(tables.table(j)) / (len(scope) - 1)))
        (a, b), weight = np.concatenate(pairs, axis=1), np.concatenate(weights)
        return cls._sorted(np.concatenate([a, b]), np.concatenate([b, a]), np.tile(weight, 2), len(tables.sizes))

    @classmethod
    def _sorted(cls, at: np.ndarray, to: np.ndarray, weight: np.ndarray, n: int) -> Couplings:
        order = np.argsort(at, kind="stable")
        return cls(np.searchsorted(at[order], np.arange(n + 1)), to[order], weight[order])

    @property
    def n(self) -> int:
        """The number of variables."""
        return len(self.starts) - 1

    @property
    def at(self) -> np.ndarray:
        """Whose neighbours they are."""
        return np.repeat(np.arange(self.n), np.diff(self.starts))

    def within(self, part: np.ndarray) -> Couplings:
        """Those between members of a set, numbered by their places in it."""
        own = np.full(self.n, -1)
        own[part] = np.arange(len(part))
        at, to = own[self.at], own[self.to]
        inside = (at >= 0) & (to >= 0)
        return Couplings._sorted(at[inside], to[inside], self.weight[inside], len(part))

    def distances(self, source: int) -> np.ndarray:
        """Steps from one variable to each other; −1 where there is no way."""
        found = np.full(self.n, -1)
        found[source], new, steps = 0, np.array([source]), 0
        while len(new):
            steps += 1
            near = np.concatenate([self.to[self.starts[v] : self.starts[v + 1]] for v in new.tolist()])
            new = np.unique(near[found[near] < 0])
            found[new] = steps
        return found


def tied(table: np.ndarray) -> float:
    """The total correlation of a table taken by itself, in nats: nothing where it is a product.

    >>> round(tied(np.ones((2, 3))), 6), tied(np.eye(2)) > 10
    (0.001, True)
    """
    p = table / table.max() / (table / table.max()).sum() if table.max() > 0 else np.full(table.shape, 1 / table.size)
    entropy = _entropy(p)
    singles = sum(_entropy(p.sum(axis=tuple(i for i in range(p.ndim) if i != axis))) for axis in range(p.ndim))
    return max(singles - entropy, 0.0) + BELOW + ZEROS * bool((table == 0).any())


def _entropy(p: np.ndarray) -> float:
    positive = p[p > 0]
    return float(-(positive * np.log(positive)).sum())


def partitions(tables: Tables, afford: Afford, seeds: Iterable[int]) -> Iterator[list[Cluster]]:
    """Disjoint clusters of all variables that are in a table: a partition for each seed, the least tied ones first."""
    couplings, every = Couplings.of(tables), np.unique(tables.scopes).astype(np.int64)

    def fits(part: np.ndarray) -> bool:
        scopes, most = _restricted(tables, part)[1], afford.seconds * len(part) / len(every)
        found = scopes.greedy_tree(FIRST, 0.0, 0, float(np.log2(most / DENSE + 2)), GREEDY_SECONDS)
        if found is None:
            return False
        return warm_seconds(found[1], scopes.m - 1) <= most and predicted_bytes(found[1], QUERY) <= afford.memory

    tries = {}
    for seed in seeds:
        parts = _parts(couplings, every, fits, np.random.default_rng(seed))
        tries.setdefault(sum(_ties(parts, couplings).values()), parts)  # the same ones once
    for _, parts in sorted(tries.items()):
        yield [_cluster(tables, part, afford) for part in parts.values()]


def _parts(couplings: Couplings, every: np.ndarray, fits: Fits, rng: np.random.Generator) -> NumberedParts:
    """Sets that fit, or are of one variable."""
    found, left = [], _connected(couplings, every)
    while left:
        part = left.pop()
        if len(part) == 1 or fits(part):
            found.append(part)
        else:
            for half in _halves(couplings.within(part), rng):
                left += _connected(couplings, part[half])
    return _joined(dict(enumerate(found)), couplings, fits)


def _restricted(tables: Tables, part: np.ndarray) -> tuple[np.ndarray, Scopes]:
    """The tables over members of a set, and their scopes within it."""
    part, own = np.sort(part), np.full(len(tables.sizes), -1, np.int32)  # ties in a tree are broken by numbers
    own[part] = np.arange(len(part), dtype=np.int32)
    inside = own[tables.scopes] >= 0
    of = np.repeat(np.arange(tables.n_factors), np.diff(tables.scope_starts))[inside]
    touched, n = np.unique(of, return_counts=True)
    starts = np.concatenate([[0], np.cumsum(n)]).astype(np.int64)
    return touched, Scopes(tables.sizes[part].copy(), starts, own[tables.scopes[inside]])


def _cluster(tables: Tables, part: np.ndarray, afford: Afford) -> Cluster:
    touched, scopes = _restricted(tables, part)
    return Cluster(np.sort(part), touched, scopes, find_tree(scopes, QUERY, Budget(afford.memory, afford.seconds), 0.0))


def _connected(couplings: Couplings, part: np.ndarray) -> list[np.ndarray]:
    """The parts of a set that nothing ties to one another."""
    graph, label = couplings.within(part), np.arange(len(part))
    while True:
        new = label.copy()
        np.minimum.at(new, graph.at, label[graph.to])
        new = new[new]
        if np.array_equal(new, label):
            break
        label = new
    order = np.argsort(label, kind="stable")
    return np.split(part[order], np.flatnonzero(np.diff(label[order])) + 1) if len(part) else []


def _halves(graph: Couplings, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A connected set in two, by the lightest cut that is found."""
    far = [graph.distances(int(rng.integers(graph.n)))]
    far = [graph.distances(int(far[0].argmax()))]
    while len(far) < POLES:
        far.append(graph.distances(int(np.min(far, axis=0).argmax())))
    noise = rng.random(len(far[0]))
    found = [_lightest(graph, np.lexsort((noise, a - b))) for a, b in combinations(far, 2)]
    _, first = min(found, key=lambda cut: cut[0])
    side = _settled(graph, first)
    return np.flatnonzero(side), np.flatnonzero(~side)


def _lightest(graph: Couplings, order: np.ndarray) -> tuple[float, np.ndarray]:
    """The lightest cut of an order with enough on both sides: its weight, and which variables come before it."""
    n = len(order)
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    first = place[graph.at]
    ahead = np.bincount(first, np.where(place[graph.to] > first, graph.weight, -graph.weight), n)
    cut = np.cumsum(ahead)[:-1]  # after each place
    low = max(int(LEAST * n), 1)
    at = low + int(cut[low - 1 : n - low].argmin())
    return float(cut[at - 1]), place < at


def _settled(graph: Couplings, side: np.ndarray) -> np.ndarray:
    """Variables that are tied more to the other side change over, while both sides stay large enough."""
    side, low, n = side.copy(), max(int(LEAST * graph.n), 1), int(side.sum())
    for _ in range(PASSES):
        signed = np.where(side[graph.at] == side[graph.to], -graph.weight, graph.weight)
        for v in np.flatnonzero(np.bincount(graph.at, signed, graph.n) > LITTLE).tolist():
            near, after = slice(graph.starts[v], graph.starts[v + 1]), n + (-1 if side[v] else 1)
            other = side[graph.to[near]] != side[v]  # anew, as neighbours may have changed over
            if low <= after <= graph.n - low and graph.weight[near] @ np.where(other, 1.0, -1.0) > LITTLE:
                side[v], n = not side[v], after
    return side


PASSES, LITTLE = 4, 1e-9
"""Passes over the variables of a cut, and nats that are no gain."""


def _joined(parts: NumberedParts, couplings: Couplings, fits: Fits) -> NumberedParts:
    """Neighbours joined where they fit, those first that most ties together."""
    new, tried, before = len(parts), set(), -1
    while before != len(parts):
        before, ties = len(parts), _ties(parts, couplings)
        for a, b in sorted(ties.keys() - tried, key=lambda pair: (-ties[pair], pair)):
            if a in parts and b in parts:
                tried.add((a, b))
                both = np.concatenate([parts[a], parts[b]])
                if fits(both):
                    parts = {k: part for k, part in parts.items() if k not in (a, b)} | {new: both}
                    new += 1
    return parts


def _ties(parts: NumberedParts, couplings: Couplings) -> dict[tuple[int, int], float]:
    """What ties each two of some parts."""
    label = np.full(couplings.n, -1)
    for k, part in parts.items():
        label[part] = k
    a, b = label[couplings.at], label[couplings.to]
    across = a < b
    pairs, which = np.unique(np.column_stack([a[across], b[across]]), axis=0, return_inverse=True)
    weight = np.bincount(which.ravel(), couplings.weight[across], len(pairs))
    return dict(zip(map(tuple, pairs.tolist()), weight.tolist(), strict=True))
