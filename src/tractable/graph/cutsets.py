"""Loop cutsets: variables whose observation leaves no loop."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from itertools import pairwise

from tractable.graph._base import Graph

_Node = str | int
_Near = dict[_Node, set[_Node]]


def loop_cutset(graph: Graph) -> tuple[str, ...]:
    """A small set of variables that cuts every loop, so that given them inference is a pass over a forest.

    Precisely: without them the factor graph (variables against families and links) is a forest. In a directed graph
    that is Pearl's condition, that each loop has a member in the set which is not a collider on it; in a graph of
    pairwise links it says that the rest of the graph is a forest. Found greedily, weighing the log of the number of
    states against the number of factors touched (Becker and Geiger), and minimal: no member can be spared.

    >>> tr.graph.loop_cutset(tr.Graph({"a": 2, "b": 2, "c": 2, "d": 2}, {"b": ("a",), "c": ("a",), "d": ("b", "c")}))
    ('a',)
    """
    near = _factor_graph(graph)
    touched = {name: tuple(near[name]) for name in graph.sizes}
    _strip(near, [node for node in near if len(near[node]) < 2])
    chosen: dict[str, None] = {}
    while near:
        name = min((v for v in graph.sizes if v in near), key=lambda v: math.log2(graph.sizes[v]) / (len(near[v]) - 1))
        chosen[name] = None
        _strip(near, [name])
    return graph.ordered(_needed(touched, chosen))


def _needed(touched: Mapping[str, Collection[_Node]], chosen: Collection[str]) -> set[str]:
    """The chosen variables less those that can go back, one by one, without closing a loop among the factors."""
    tree: dict[_Node, _Node] = {}

    def root(factor: _Node) -> _Node:
        while factor in tree:
            tree[factor] = tree.get(tree[factor], tree[factor])
            factor = tree[factor]
        return factor

    needed = set()
    for name in sorted(touched, key=chosen.__contains__):
        roots = {root(factor) for factor in touched[name]}
        if len(roots) < len(touched[name]):
            needed.add(name)
            continue
        tree.update(pairwise(roots))
    return needed


def _factor_graph(graph: Graph) -> _Near:
    near: _Near = {name: set() for name in graph.sizes}
    for j, scope in enumerate({frozenset(scope): None for scope in graph.scopes}):
        near[j] = set(scope)
        for name in scope:
            near[name].add(j)
    return near


def _strip(near: _Near, nodes: Collection[_Node]) -> None:
    """Remove nodes, and after them whatever is on no loop."""
    stack = list(nodes)
    while stack:
        node = stack.pop()
        for other in near.pop(node, ()):
            near[other].discard(node)
            if len(near[other]) < 2:
                stack.append(other)
