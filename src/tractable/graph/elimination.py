"""Elimination orders and what they cost: the plain reference for the faster search that plans use."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations

from tractable.graph._base import Graph, GraphError


class _Remainder:
    """What is left of a moral graph while variables are eliminated, with the prices of the next elimination.

    Kept up to date link by link: ``fill[v]`` is the number of links that eliminating v would add, ``weight[v]`` the
    number of entries of the table that it would need.
    """

    def __init__(self, graph: Graph) -> None:
        self.sizes = graph.sizes
        self.near = {name: set(blanket) for name, blanket in graph.blankets.items()}
        self.fill = {name: self._missing(name) for name in self.near}
        self.weight = {
            name: math.prod((self.sizes[u] for u in near), start=self.sizes[name]) for name, near in self.near.items()
        }

    def _missing(self, name: str) -> int:
        near = self.near[name]
        return (len(near) * (len(near) - 1) - sum(len(near & self.near[u]) for u in near)) // 2

    def eliminate(self, name: str) -> set[str]:
        """Link the neighbours of `name` to each other and remove it; the variables whose prices have changed."""
        changed = set(self.near[name])
        for a, b in combinations(self.near[name], 2):
            if b not in self.near[a]:
                changed |= self._link(a, b)
        near = self.near.pop(name)
        for u in near:  # they are a clique now, so what u loses are the links between `name` and u's other neighbours
            self.near[u].discard(name)
            self.fill[u] -= len(self.near[u]) + 1 - len(near)
            self.weight[u] //= self.sizes[name]
        return changed - {name}

    def _link(self, a: str, b: str) -> set[str]:
        common = self.near[a] & self.near[b]
        for u in common:
            self.fill[u] -= 1
        for u, other in ((a, b), (b, a)):
            self.fill[u] += len(self.near[u]) - len(common)
            self.weight[u] *= self.sizes[other]
            self.near[u].add(other)
        return common


_PRICES: dict[str, Callable[[_Remainder, str], tuple[int, int]]] = {
    "min-fill": lambda rest, name: (rest.fill[name], rest.weight[name]),
    "min-weight": lambda rest, name: (rest.weight[name], rest.fill[name]),
    "min-degree": lambda rest, name: (len(rest.near[name]), rest.weight[name]),
}


def elimination_order(graph: Graph, heuristic: str = "min-fill", seed: int | None = None) -> tuple[str, ...]:
    """A greedy elimination order of the moral graph.

    Parameters
    ----------
    graph : any graph; each family and each link is a clique.
    heuristic : what the next variable has least of: ``"min-fill"`` links to add, ``"min-weight"`` entries in its table,
        ``"min-degree"`` neighbours. Ties go to the smaller table (for min-weight, to the fewer links).
    seed : ties that remain go to the earlier variable; with a seed, to a random one.

    Raises
    ------
    GraphError : an unknown heuristic.

    Examples
    --------
    >>> chain = tr.Graph({"a": 2, "b": 2, "c": 2}, {"a": (), "b": ("a",), "c": ("b",)})
    >>> tr.graph.elimination_order(chain)
    ('a', 'b', 'c')
    """
    if heuristic not in _PRICES:
        raise GraphError(f"unknown heuristic {heuristic!r}; use one of {', '.join(_PRICES)}")
    price, rest, tie = _PRICES[heuristic], _Remainder(graph), _ranks(graph, seed)
    latest = {name: (*price(rest, name), tie[name], name) for name in graph.sizes}
    heap = list(latest.values())
    heapq.heapify(heap)
    order: list[str] = []
    while heap:
        entry = heapq.heappop(heap)
        if entry is not latest.get(name := entry[-1]):
            continue  # a newer price is in the heap, or the variable is gone
        del latest[name]
        order.append(name)
        for u in rest.eliminate(name):
            latest[u] = (*price(rest, u), tie[u], u)
            heapq.heappush(heap, latest[u])
    return tuple(order)


def _ranks(graph: Graph, seed: int | None) -> dict[str, int]:
    ranks = list(range(len(graph.sizes)))
    if seed is not None:
        random.Random(seed).shuffle(ranks)
    return dict(zip(graph.sizes, ranks, strict=True))


def elimination_cliques(graph: Graph, order: Iterable[str]) -> Iterator[frozenset[str]]:
    """The variables of the table that each step of an order needs: the eliminated variable and its neighbours then.

    Raises GraphError where the order does not name every variable once.

    >>> star = tr.Graph({"a": 2, "b": 2, "c": 2}, links=(("a", "b"), ("a", "c")))
    >>> [sorted(clique) for clique in tr.graph.elimination_cliques(star, ["b", "a", "c"])]
    [['a', 'b'], ['a', 'c'], ['c']]
    """
    order = list(order)
    _check_order(graph, order)
    near = {name: set(blanket) for name, blanket in graph.blankets.items()}
    for name in order:
        others = near.pop(name)
        for u in others:
            near[u] |= others
            near[u] -= {u, name}
        yield frozenset((name, *others))


def _check_order(graph: Graph, order: list[str]) -> None:
    named = set(graph.named(order))
    if len(named) < len(graph.sizes):
        missing = next(name for name in graph.sizes if name not in named)
        raise GraphError(
            f"the order leaves out {len(graph.sizes) - len(named)} variables, the first of them {missing!r}"
        )
    if len(named) < len(order):
        raise GraphError(f"the order names {next(name for name in named if order.count(name) > 1)!r} twice")


def width(graph: Graph, order: Iterable[str]) -> float:
    """log2 of the number of entries of the largest table that an elimination order needs.

    >>> tr.graph.width(tr.Graph({"a": 2, "b": 2, "c": 4}, links=(("a", "b"), ("b", "c"))), ["a", "b", "c"])
    3.0
    """
    tables = (math.prod(graph.sizes[name] for name in clique) for clique in elimination_cliques(graph, order))
    return math.log2(max(tables, default=1))


def induced_width(graph: Graph, order: Iterable[str]) -> int:
    """The largest number of neighbours that a variable has when it is eliminated: an upper bound of the treewidth.

    >>> tr.graph.induced_width(tr.Graph({"a": 2, "b": 2, "c": 4}, links=(("a", "b"), ("b", "c"))), ["a", "b", "c"])
    1
    """
    return max((len(clique) - 1 for clique in elimination_cliques(graph, order)), default=0)
