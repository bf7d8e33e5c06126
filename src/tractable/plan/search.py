"""The portfolio that looks for a contraction tree: greedy orders, restarts, annealing; the best ever seen is kept.

The effort follows the predicted run: a tree that runs in a millisecond is taken as it is, one that runs for a minute is
worth seconds of search, and one over the budget is searched for until patience ends.
"""

from __future__ import annotations

import math
import time

import numpy as np

from tractable.kernels import AnnealingSteps, Scopes
from tractable.plan._base import Budget, ContractionTree
from tractable.plan.budget import AT_ONCE, CALL, least_price, predicted_bytes, predicted_seconds, warm_seconds
from tractable.plan.lower_bound import log2_width

FIRST = "weighted-min-fill"
OTHERS = ("min-weight", "min-fill", "min-growth")
QUICK = AnnealingSteps(1.0, 6.0, 60, 20)
THOROUGH = AnnealingSteps(0.3, 10.0, 300, 40)
LONG = 2.0
"""From so many seconds of predicted run on, annealing cools slowly and starts from several orders."""

GREEDY_SECONDS, LEAST_GREEDY = 2.0, 0.2
GREEDY = (FIRST, 0.0, 0, 1000.0, GREEDY_SECONDS)
PATIENCE = 8.0
"""Seconds of search at most."""

HOPELESS = 1.0
"""The same where a lower bound on the width says that no tree is within the budget."""

FAR = 1e4
"""A first tree that takes so many times too long is hardly ever followed by one that does not."""

WORTH = 0.1
"""Search may take this share of the predicted run."""

STALE = 3
"""Rounds without gain that end the search."""


class Search:
    """The best tree so far for one network and query, and how long it took."""

    def __init__(self, scopes: Scopes, query: str, budget: Budget, effort: float):
        self.scopes, self.query, self.budget, self.patience = scopes, query, budget, effort * PATIENCE
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

    def offer(self, pairs: np.ndarray, cost: np.ndarray) -> None:
        """Take the tree if it is the best so far: by time, and, as slicing costs something too, a little by memory."""
        tree = ContractionTree(self.scopes, pairs, cost)
        over = max(predicted_bytes(tree.cost, self.query) / self.budget.memory, 1.0)
        score = math.log2(CALL + warm_seconds(tree.cost, self.scopes.m - 1)) + 0.25 * math.log2(over)
        if score < self.score or self.best is None:
            self.best, self.score = tree, score

    def greedy(self, heuristic: str, seconds: float = GREEDY_SECONDS) -> None:
        """Offer the tree of a greedy order, abandoned early when it is clearly worse than the best."""
        limit = math.inf if self.best is None else float(np.log2(self.best.cost[0] + 1)) + 6
        found = self.scopes.greedy_tree(heuristic, 0.0, 0, limit, seconds)
        if found is not None:
            self.offer(*found)

    def anneal(self, schedule: AnnealingSteps, seed: int, start: np.ndarray | None = None) -> None:
        """Offer what annealing makes of a tree, the best so far unless another is given."""
        assert self.best is not None
        pairs = self.best.pairs if start is None else start
        found = self.scopes.anneal(pairs, schedule, max(self.left, 0.0), seed)
        self.offer(found, self.scopes.cost(found))

    def restart(self, seed: int) -> np.ndarray | None:
        """The tree of a randomized greedy order."""
        heuristic = (FIRST, *OTHERS)[seed % 4]
        found = self.scopes.greedy_tree(heuristic, 0.05 * (seed % 5), seed, 1000.0, GREEDY_SECONDS)
        return None if found is None else found[0]

    def look_ahead(self) -> None:
        """Waste no patience on a tree that cannot be: where the best so far is over the budget, ask if any is not."""
        assert self.best is not None
        over = predicted_bytes(self.best.cost, self.query) / self.budget.memory
        if over > FAR**2:
            self.patience = min(HOPELESS, self.patience)
        elif over > 1 or self.seconds(self.best) > self.budget.seconds:
            least = least_price(log2_width(self.scopes), self.query)
            if least.memory > self.budget.memory or least.seconds > self.budget.seconds:
                self.patience = min(HOPELESS, self.patience)

    @property
    def left(self) -> float:
        """Seconds of search that the best tree so far still justifies."""
        assert self.best is not None
        return min(WORTH * self.seconds(self.best), self.patience) - self.spent


def first_tree(scopes: Scopes, seconds: float = GREEDY_SECONDS) -> ContractionTree | None:
    """The tree of the greedy order that is best most of the time; None where that takes too long, once and for all."""
    if scopes.first is None:
        scopes.first = scopes.greedy_tree(*GREEDY[:-1], seconds) or ()
    return ContractionTree(scopes, *scopes.first) if scopes.first else None


def find_tree(scopes: Scopes, query: str, budget: Budget, effort: float = 1.0) -> ContractionTree:
    """The best contraction tree found for a query within an effort proportional to its predicted run.

    `effort` is a share of the patience there is; with none it is the first tree that is found.

    Sources: weighted min-fill, Kjærulff 1990; annealing by local rotations, Kalachev et al. 2021.
    """
    search = Search(scopes, query, budget, effort)
    first = first_tree(scopes, float(np.clip(WORTH * budget.seconds, LEAST_GREEDY, GREEDY_SECONDS)))
    if first is not None:
        seconds = search.seconds(first)
        if predicted_bytes(first.cost, query) <= budget.memory and seconds < AT_ONCE:
            return first
        if effort < 1 and seconds > FAR * budget.seconds:
            return first
        search.offer(first.pairs, first.cost)
    if search.best is None:
        search.greedy("min-weight", math.inf)  # some tree there must be, if only to say what it would cost
    if effort:
        search.look_ahead()
    for heuristic in OTHERS:
        if search.left > 0:
            search.greedy(heuristic, min(GREEDY_SECONDS, search.left))
    _anneal(search)
    assert search.best is not None
    return search.best


def _anneal(search: Search) -> None:
    """Rounds of annealing, from the best tree and, for long runs, from other orders too."""
    seed = stale = 0
    while search.best is not None and search.left > 0 and stale < STALE:
        before = search.score
        long = search.seconds(search.best) > LONG
        start = search.restart(seed) if long and seed % 2 else None
        search.anneal(THOROUGH if long else QUICK, seed, start)
        stale = 0 if search.score < before - 0.02 else stale + 1
        seed += 1
