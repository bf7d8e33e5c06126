"""The portfolio that looks for a contraction tree: greedy orders, restarts, annealing; the best ever seen is kept.

The effort follows the predicted run: a tree that runs in a millisecond is taken as it is, one that runs for a minute is
worth seconds of search, and one over the budget is searched for until patience ends.
"""

from __future__ import annotations

import time

import numpy as np

from tractable.kernels import Scopes
from tractable.plan._base import ContractionTree
from tractable.plan.budget import MAX_SECONDS, predicted_bytes, predicted_seconds

FIRST = "weighted-min-fill"
OTHERS = ("min-weight", "min-fill", "min-growth")
GREEDY_SECONDS = 2.0
WORTH = 0.3
"""Search may take this share of the predicted run."""

PATIENCE = 8.0
"""Seconds of search at most, spent where the best tree so far is over the budget."""


class Search:
    """The best tree so far for one network and query, and how long it took."""

    def __init__(self, scopes: Scopes, query: str, memory: float):
        self.scopes, self.query, self.memory = scopes, query, memory
        self.best: ContractionTree | None = None
        self.score = np.inf
        self.start = time.perf_counter()

    @property
    def spent(self) -> float:
        """Seconds since the search began."""
        return time.perf_counter() - self.start

    def seconds(self, tree: ContractionTree) -> float:
        """Predicted seconds of running the tree."""
        return predicted_seconds(tree.cost, self.scopes.m - 1, self.query)

    def over(self, tree: ContractionTree) -> float:
        """How many times over the budget the tree is, in memory or time; at most 1 if it fits."""
        return max(predicted_bytes(tree.cost, self.query) / self.memory, self.seconds(tree) / MAX_SECONDS)

    def offer(self, pairs: np.ndarray) -> None:
        """Take the tree if it is the best so far: first by fitting the budget, then by time."""
        tree = ContractionTree(pairs, self.scopes.cost(pairs))
        score = np.log2(self.seconds(tree)) + 4 * np.log2(max(self.over(tree), 1.0))
        if score < self.score or self.best is None:
            self.best, self.score = tree, score

    def greedy(self, heuristic: str, noise: float = 0.0, seed: int = 0) -> None:
        """Offer the tree of a greedy order, abandoned early when it is clearly worse than the best."""
        limit = 1000.0 if self.best is None else float(np.log2(self.best.cost[0] + 1)) + 6
        order = self.scopes.greedy_order(heuristic, noise, seed, limit, GREEDY_SECONDS)
        if order is not None:
            self.offer(self.scopes.tree_from_order(order))

    def anneal(self, seed: int, seconds: float) -> None:
        """Offer what annealing makes of the best tree, cooling further in every round."""
        assert self.best is not None
        target = float(np.log2(self.memory / 8)) - 2.0
        betas = [(1.0, 6.0, 60), (2.0, 8.0, 60), (0.5, 6.0, 120), (4.0, 4.0, 60)][seed % 4]
        self.offer(self.scopes.anneal(self.best.pairs, betas, 20, target, seconds, seed))

    def worth(self) -> float:
        """Seconds of search that the best tree so far justifies."""
        assert self.best is not None
        if self.over(self.best) > 1:
            return PATIENCE
        return min(WORTH * self.seconds(self.best), PATIENCE)


def find_tree(scopes: Scopes, query: str, memory: float, effort: float = 1.0) -> ContractionTree:
    """The best contraction tree found for a query within an effort proportional to its predicted run.

    Sources: weighted min-fill, Kjærulff 1990; annealing by local rotations, Kalachev et al. 2021.
    """
    search = Search(scopes, query, memory)
    search.greedy(FIRST)
    if search.best is None:
        search.greedy("min-weight")
    assert search.best is not None
    if search.worth() * effort < 2e-4:
        return search.best
    for heuristic in OTHERS:
        if search.spent < effort * search.worth():
            search.greedy(heuristic)
    seed = stale = 0
    while search.spent < effort * search.worth() and stale < 6:
        before = search.score
        search.anneal(seed, min(effort * search.worth() - search.spent, 2.0))
        if seed % 2:
            search.greedy(FIRST, noise=0.1, seed=seed)
        stale = stale + 1 if search.score > before - 0.01 else 0
        seed += 1
    return search.best
