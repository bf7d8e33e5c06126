"""Clusters of variables, each with a contraction tree that is affordable, such that little couples one to another.

A set that is too wide is split where the tables across are weakest: its variables are ordered by how much nearer they
are to one pole than to another, for pairs of poles far apart, and the lightest of the cuts between two places of an
order is taken. Neighbours that fit together after all are joined again.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np

from tractable.kernels import Scopes, Tables
from tractable.plan import Budget
from tractable.plan._base import ContractionTree
from tractable.plan.budget import predicted_bytes, warm_seconds
from tractable.plan.search import FIRST, GREEDY_SECONDS, find_tree

POLES, LEAST = 6, 0.2
"""Poles whose pairs order the variables, and the smallest share of a set that is split off."""

ZEROS = 10.0
"""Nats that a table with zeros counts more: across clusters it rules states out."""

QUERY, BELOW = "marginals", 1e-3
"""Every run of a tree goes up and down; a table counts for at least so much, so that splits stay connected."""


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
        at, to, weight = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
        for j in range(tables.n_factors):
            scope = tables.scope(j)
            if len(scope) > 1:
                a, b = (scope[i].astype(np.int64) for i in np.triu_indices(len(scope), 1))
                at, to = [*at, a, b], [*to, b, a]
                weight.append(np.full(2 * len(a), tied(tables.table(j)) / (len(scope) - 1)))
        first, second, ties = np.concatenate(at), np.concatenate(to), np.concatenate(weight)
        order = np.argsort(first, kind="stable")
        starts = np.searchsorted(first[order], np.arange(len(tables.sizes) + 1))
        return cls(starts, second[order], ties[order])

    def within(self, part: np.ndarray) -> Couplings:
        """Those between members of a set, numbered by their places in it."""
        own = np.full(len(self.starts) - 1, -1)
        own[part] = np.arange(len(part))
        first = np.repeat(np.arange(len(own)), np.diff(self.starts))
        inside = (own[first] >= 0) & (own[self.to] >= 0)
        at, to, weight = own[first[inside]], own[self.to[inside]], self.weight[inside]
        order = np.argsort(at, kind="stable")
        return Couplings(np.searchsorted(at[order], np.arange(len(part) + 1)), to[order], weight[order])

    def distances(self, source: int) -> np.ndarray:
        """Steps from one variable to each other; −1 where there is no way."""
        found = np.full(len(self.starts) - 1, -1)
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


def clusters(tables: Tables, afford: Afford, seed: int) -> list[Cluster]:
    """Disjoint clusters of all variables that are in a table."""
    couplings, rng = Couplings.of(tables), np.random.default_rng(seed)
    n = len(np.unique(tables.scopes))

    def fits(part: np.ndarray) -> bool:
        scopes = _restricted(tables, part)[1]
        most = afford.seconds * len(part) / n
        found = scopes.greedy_tree(FIRST, 0.0, 0, float(np.log2(1e10 * most + 2)) + 4, GREEDY_SECONDS)
        if found is None:
            return False
        return warm_seconds(found[1], scopes.m - 1) <= most and predicted_bytes(found[1], QUERY) <= afford.memory

    parts, left = [], _connected(couplings, np.unique(tables.scopes).astype(np.int64))
    while left:
        part = left.pop()
        if len(part) == 1 or fits(part):
            parts.append(part)
        else:
            for half in _halves(couplings.within(part), rng):
                left += _connected(couplings, part[half])
    parts = _joined(parts, couplings, fits)
    return [_cluster(tables, np.sort(part), afford) for part in parts]


def _restricted(tables: Tables, part: np.ndarray) -> tuple[np.ndarray, Scopes]:
    """The tables over members of a set, and their scopes within it."""
    own = np.full(len(tables.sizes), -1, np.int32)
    own[part] = np.arange(len(part), dtype=np.int32)
    inside = own[tables.scopes] >= 0
    of = np.repeat(np.arange(tables.n_factors), np.diff(tables.scope_starts))[inside]
    touched, n = np.unique(of, return_counts=True)
    starts = np.concatenate([[0], np.cumsum(n)]).astype(np.int64)
    return touched, Scopes(tables.sizes[part].copy(), starts, own[tables.scopes[inside]])


def _cluster(tables: Tables, part: np.ndarray, afford: Afford) -> Cluster:
    touched, scopes = _restricted(tables, part)
    return Cluster(part, touched, scopes, find_tree(scopes, QUERY, Budget(afford.memory, afford.seconds), 0.0))


def _connected(couplings: Couplings, part: np.ndarray) -> list[np.ndarray]:
    """The parts of a set that nothing ties to one another."""
    graph, found = couplings.within(part), []
    rest = np.ones(len(part), bool)
    while rest.any():
        there = graph.distances(int(rest.argmax())) >= 0
        found.append(part[there])
        rest &= ~there
    return found


def _halves(graph: Couplings, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A connected set in two, by the lightest cut that is found."""
    far = [graph.distances(int(rng.integers(len(graph.starts) - 1)))]
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
    first = place[np.repeat(np.arange(n), np.diff(graph.starts))]
    ahead = np.bincount(first, np.where(place[graph.to] > first, graph.weight, -graph.weight), n)
    cut = np.cumsum(ahead)[:-1]  # after each place
    low = max(int(LEAST * n), 1)
    at = low + int(cut[low - 1 : n - low].argmin())
    return float(cut[at - 1]), place < at


def _settled(graph: Couplings, side: np.ndarray) -> np.ndarray:
    """Variables that are tied more to the other side change over, while both sides stay large enough."""
    side, low = side.copy(), max(int(LEAST * len(side)), 1)
    n = int(side.sum())
    for _ in range(4):
        moved = False
        for v in range(len(side)):
            near = slice(graph.starts[v], graph.starts[v + 1])
            across = side[graph.to[near]] != side[v]
            weight = graph.weight[near]
            after = n + (-1 if side[v] else 1)
            if weight[across].sum() > weight[~across].sum() + 1e-9 and low <= after <= len(side) - low:
                side[v], n, moved = not side[v], after, True
        if not moved:
            break
    return side


def _joined(
    parts: list[np.ndarray], couplings: Couplings, fits: Callable[[np.ndarray], bool]
) -> list[np.ndarray]:
    """Neighbours joined where they fit, those first that most ties together."""
    found, tried = dict(enumerate(parts)), set()
    while len(found) > 1:
        pairs = [pair for pair in _ties(found, couplings) if pair not in tried]
        for a, b in pairs:
            tried.add((a, b))
            both = np.concatenate([found[a], found[b]])
            if fits(both):
                new = max(found) + 1 + len(tried)
                del found[a], found[b]
                found[new] = both
                break
        else:
            break
    return list(found.values())


def _ties(found: dict[int, np.ndarray], couplings: Couplings) -> list[tuple[int, int]]:
    """Pairs of parts that are tied, the most first."""
    label = np.full(len(couplings.starts) - 1, -1)
    for k, part in found.items():
        label[part] = k
    a, b = np.repeat(label, np.diff(couplings.starts)), label[couplings.to]
    across = a < b
    pairs, which = np.unique(np.column_stack([a[across], b[across]]), axis=0, return_inverse=True)
    weight = np.bincount(which.ravel(), couplings.weight[across], len(pairs))
    return [(int(x), int(y)) for x, y in pairs[np.argsort(-weight, kind="stable")]]
