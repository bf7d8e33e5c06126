"""Separation: which variables say nothing about each other once others are known, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from tractable.graph._base import Adjacency, Graph, GraphError

_State = tuple[str, bool]
_Node = TypeVar("_Node", str, _State)


@dataclass(frozen=True)
class Separation:
    """Whether two groups of variables are separated, which is its truth value, and what shows it.

    `path` is a shortest open path, empty where they are separated; `blocked_by` is then a minimal part of what is given
    that separates them by itself; `reason` says either in one sentence.
    """

    separated: bool
    path: tuple[str, ...]
    blocked_by: tuple[str, ...]
    reason: str

    def __bool__(self) -> bool:
        return self.separated

    def __str__(self) -> str:
        return self.reason


def is_separated(
    graph: Graph, a: str | Iterable[str], b: str | Iterable[str], given: str | Iterable[str] = ()
) -> Separation:
    """Whether `given` separates `a` from `b`, so that in every model with this graph they are independent given it.

    d-separation in a directed graph, found by reachability: a path is open if its colliders are given or have a given
    descendant and nothing else on it is given. In an undirected graph a path is open if it avoids `given`. In a mixed
    graph, read as a chain graph, it is so in the moral graph of the smallest ancestral set (Lauritzen, Wermuth,
    Frydenberg); there ``~`` joins two parents of one chain component.

    Parameters
    ----------
    graph : a Graph, or a model that has one.
    a, b, given : names of variables, one or several each, no variable in two of them.

    Raises
    ------
    GraphError : an unknown variable, one named twice, or a cycle that runs along the arrows.

    Examples
    --------
    >>> graph = Graph({"rain": 2, "sprinkler": 2, "wet": 2}, {"wet": ("rain", "sprinkler")})
    >>> print(is_separated(graph, "rain", "sprinkler"))
    every path between rain and sprinkler is closed at an unobserved collider: rain → wet ← sprinkler at wet
    >>> is_separated(graph, "rain", "sprinkler", given="wet").path
    ('rain', 'wet', 'sprinkler')
    """
    graph = getattr(graph, "graph", graph)
    a, b, given = (graph.named(names) for names in (a, b, given))
    _check_disjoint(a, b, given)
    _check_chain_graph(graph)
    part = _ancestral_part(graph, (*a, *b, *given))
    directed = all(len(link) < 2 for link in graph.links)
    path = _open_trail(graph, a, b, given) if directed else _path(part.blankets, a, b, given)
    if path:
        return Separation(False, path, (), _why_open(graph, path, given))
    cut = graph.ordered(_minimal_cut(part.blankets, a, b, given))
    return Separation(True, (), cut, _why_closed(graph, a, b, given, cut))


def _check_disjoint(a: Collection[str], b: Collection[str], given: Collection[str]) -> None:
    for twice in ({*a} & {*b}, {*a, *b} & {*given}):
        if twice:
            raise GraphError(
                f"variable {min(twice)!r} is named twice; what is asked about and what is given must differ"
            )


def _check_chain_graph(graph: Graph) -> None:
    """Refuse a cycle that runs along the arrows, be it through links."""
    part = {name: names[0] for names in graph.chain_components() for name in names}
    parents: dict[str, tuple[str, ...]] = dict.fromkeys(part.values(), ())
    for child, own in graph.parents.items():
        parents[part[child]] += tuple(part[parent] for parent in own)
    if cycle := Graph(dict.fromkeys(parents, 1), parents).directed_cycle():
        raise GraphError("separation needs a graph without cycles along its arrows, not " + " → ".join(cycle))


def _ancestral_part(graph: Graph, names: Iterable[str]) -> Graph:
    kept = set(graph.ancestral_set(names))
    return Graph(
        {name: size for name, size in graph.sizes.items() if name in kept},
        {child: parents for child, parents in graph.parents.items() if child in kept},
        tuple(link for link in graph.links if kept.issuperset(link)),
    )


def _open_trail(graph: Graph, a: Iterable[str], b: Collection[str], given: Collection[str]) -> tuple[str, ...]:
    """A shortest open trail, by breadth-first search over (variable, entered from a child): the ball of Bayes."""
    observed, opened = set(given), {*given, *graph.ancestors(given)}
    came: dict[_State, _State | None] = dict.fromkeys((name, True) for name in a)
    for state in (queue := list(came)):  # grows while it runs
        if state[0] in b:
            return tuple(name for name, _ in _trace(came, state))
        for new in _bounces(graph, state, observed, opened):
            if new not in came:
                came[new] = state
                queue.append(new)
    return ()


def _bounces(graph: Graph, state: _State, observed: set[str], opened: set[str]) -> Iterator[_State]:
    name, from_child = state
    if name not in observed:
        yield from ((child, False) for child in graph.children[name])
    if name not in observed if from_child else name in opened:
        yield from ((parent, True) for parent in graph.parents.get(name, ()))


def _path(adjacency: Adjacency, a: Iterable[str], b: Collection[str], avoid: Collection[str]) -> tuple[str, ...]:
    """A shortest path from `a` to `b` around `avoid`; empty where there is none."""
    came = _flood(adjacency, a, avoid)
    end = next((name for name in came if name in b), None)
    return () if end is None else tuple(_trace(came, end))


def _flood(
    adjacency: Mapping[str, Collection[str]], start: Iterable[str], avoid: Collection[str]
) -> dict[str, str | None]:
    """What is reached from `start` around `avoid`, nearest first, each with the one that it was reached from."""
    came: dict[str, str | None] = dict.fromkeys(start)
    barred = set(avoid)
    for name in (queue := list(came)):  # grows while it runs
        for new in sorted(n for n in adjacency[name] if n not in barred and n not in came):
            came[new] = name
            queue.append(new)
    return came


def _trace(came: dict[_Node, _Node | None], end: _Node) -> list[_Node]:
    path = [end]
    while (before := came[path[-1]]) is not None:
        path.append(before)
    return path[::-1]


def _minimal_cut(moral: Adjacency, a: Iterable[str], b: Iterable[str], given: Collection[str]) -> set[str]:
    """The part of `given` that `b` reaches around that part of it which `a` reaches: none of it can be spared."""
    for side in (a, b):
        reached = _flood(moral, side, given).keys()
        given = {name for name in given if moral[name] & reached}
    return set(given)


def _edge(graph: Graph, u: str, v: str) -> str:
    if u in graph.parents.get(v, ()):
        return "→"
    if v in graph.parents.get(u, ()):
        return "←"
    return "–" if v in graph.neighbours[u] else "~"


def _drawn(graph: Graph, path: tuple[str, ...]) -> str:
    return path[0] + "".join(f" {_edge(graph, u, v)} {v}" for u, v in pairwise(path))


def _heads(graph: Graph, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Where arrows meet head to head on a path: its colliders, or linked sections between two arrowheads."""
    section: tuple[str, ...] = ()
    for u, v in pairwise(path):
        edge = _edge(graph, u, v)
        if edge == "←" and section:
            yield section
        section = (v,) if edge == "→" else (*section, v) if edge == "–" and section else ()


def _why_open(graph: Graph, path: tuple[str, ...], given: Collection[str]) -> str:
    heads = " and ".join(_opener(graph, head, given) for head, *_ in _heads(graph, path))
    married = [pair for pair in pairwise(path) if _edge(graph, *pair) == "~"]
    if heads:
        return f"{_drawn(graph, path)} is open because {heads} (explaining away)"
    if married:
        pairs = ", ".join(f"{u} and {v}" for u, v in married)
        return f"{_drawn(graph, path)} is open because {pairs} meet head to head above what is given or asked about"
    return f"{_drawn(graph, path)} is open: nothing on it is observed"


def _opener(graph: Graph, collider: str, given: Collection[str]) -> str:
    below = _flood(graph.children, [collider], avoid=())
    seen = next(name for name in below if name in given)
    return f"{seen} is observed" if seen == collider else f"{seen}, a descendant of {collider}, is observed"


def _why_closed(
    graph: Graph, a: tuple[str, ...], b: tuple[str, ...], given: Collection[str], cut: tuple[str, ...]
) -> str:
    path = _path(graph.skeleton, a, b, cut)
    between = f"every path between {_listed(a)} and {_listed(b)}"
    blocks = f"{_listed(cut)} {'blocks' if len(cut) == 1 else 'block'} {between}"
    if not path:
        return blocks if cut else f"no path joins {_listed(a)} and {_listed(b)}"
    opened = set(graph.ancestral_set(given))
    collider = next(section for section in _heads(graph, path) if opened.isdisjoint(section))
    if not cut:
        return f"{between} is closed at an unobserved collider: {_drawn(graph, path)} at {_listed(collider)}"
    return f"{blocks} not closed at an unobserved collider, as {_drawn(graph, path)} is at {_listed(collider)}"


def _listed(names: tuple[str, ...], most: int = 5) -> str:
    shown = names if len(names) <= most else (*names[: most - 1], f"{len(names) - most + 1} more")
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))
