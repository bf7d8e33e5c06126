"""Separation: which variables say nothing about each other once others are known, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

from tractable.families import described
from tractable.graph._base import Adjacency, Graph, GraphError, closure

_S = TypeVar("_S", bound=Hashable)


@dataclass(frozen=True)
class Separation:
    """Whether two groups of variables are separated, which is its truth value, and what shows it.

    `path` is a shortest open path, empty where they are separated; `blocked_by` is then a minimal part of what is given
    that separates them by itself; `reason` says either in one sentence. `given` is what was known, `closed` the closed
    path of which the reason speaks, empty where there is none; a drawing shows both.

    Examples
    --------
    >>> graph = tr.Graph({"rain": 2, "sprinkler": 2, "wet": 2}, {"wet": ("rain", "sprinkler")})
    >>> found = tr.is_separated(graph, "rain", "sprinkler", given="wet")
    >>> bool(found), found.path
    (False, ('rain', 'wet', 'sprinkler'))
    """

    separated: bool
    path: tuple[str, ...]
    blocked_by: tuple[str, ...]
    reason: str
    given: tuple[str, ...] = field(default=(), compare=False, repr=False)
    closed: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __bool__(self) -> bool:
        return self.separated

    def __str__(self) -> str:
        return self.reason

    def _repr_html_(self) -> str:
        from tractable import _html

        return _html.separation(self)


def is_separated(
    graph: Any, a: str | Iterable[str], b: str | Iterable[str], given: str | Iterable[str] = ()
) -> Separation:
    """Whether `given` separates `a` from `b`, so that in every model with this graph they are independent given it.

    In a directed graph (d-separation) a path is open if each collider on it is given or has a given descendant and
    nothing else on it is given; in an undirected graph, if nothing on it is given. A mixed graph is read as a chain
    graph (Lauritzen, Wermuth, Frydenberg): there the path, which may go down to what is given and come back, is cut at
    its arrows into linked sections, of which those between two arrowheads hold something given and no others do.

    Parameters
    ----------
    graph : a Graph, or a model that has one; a graph of networkx; or text, ``"rain->wet; sprinkler->wet"``.
    a, b, given : names of variables, one or several each, no variable in two of them.

    Raises
    ------
    GraphError : an unknown variable, one named twice, an empty side, or a cycle that runs along the arrows.

    Examples
    --------
    >>> graph = tr.Graph({"rain": 2, "sprinkler": 2, "wet": 2}, {"wet": ("rain", "sprinkler")})
    >>> print(tr.is_separated(graph, "rain", "sprinkler"))
    every path between rain and sprinkler is closed at an unobserved collider: rain → wet ← sprinkler at wet
    >>> tr.is_separated(graph, "rain", "sprinkler", given="wet").path
    ('rain', 'wet', 'sprinkler')
    """
    found = _graph_of(graph)
    return _separation(found, found.named(a), found.named(b), found.named(given))


def _separation(graph: Graph, a: tuple[str, ...], b: tuple[str, ...], given: tuple[str, ...]) -> Separation:
    _check_sides(a, b, given)
    _check_chain_graph(graph)
    directed = all(len(link) < 2 for link in graph.links)
    if path := (_open_trail if directed else _open_route)(graph, a, b, given):
        return Separation(False, path, (), _why_open(graph, path, given), given)
    cut = graph.ordered(_minimal_cut(_ancestral_part(graph, (*a, *b, *given)).blankets, a, b, given))
    closed = tuple(_search(list(a), lambda name: sorted(graph.skeleton[name].difference(cut)), set(b).__contains__))
    return Separation(True, (), cut, _why_closed(graph, (a, b), given, (cut, closed)), given, closed)


def _graph_of(given: Any) -> Graph:
    """The graph of a model, or itself; of networkx, and of text, the one that they say."""
    found: Any = given if hasattr(given, "sizes") else getattr(given, "graph", None)
    if isinstance(found, Graph):
        return found
    if isinstance(given, str):
        return Graph(None, given)
    if hasattr(given, "is_directed"):
        from tractable.graph.interchange import from_networkx

        return from_networkx(given)
    raise TypeError(f"expected a Graph or a model that has one, got {described(given)}")


def _check_sides(a: Collection[str], b: Collection[str], given: Collection[str]) -> None:
    if not a or not b:
        raise GraphError("separation is a question about two sides; name at least one variable on each")
    for twice in ({*a} & {*b}, {*a, *b} & {*given}):
        if twice:
            raise GraphError(f"variable {min(twice)!r} is named twice; the sides and what is given must differ")


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


def _open_trail(graph: Graph, a: Iterable[str], b: Iterable[str], given: Collection[str]) -> tuple[str, ...]:
    """A shortest open path in a directed graph, by search over (variable, entered from a child): the ball of Bayes."""
    observed, opened, ends = set(given), {*given, *graph.ancestors(given)}, set(b)

    def steps(state: tuple[str, bool]) -> Iterator[tuple[str, bool]]:
        name, from_child = state
        if name not in observed:
            yield from ((child, False) for child in graph.children[name])
        if name not in observed if from_child else name in opened:
            yield from ((parent, True) for parent in graph.parents.get(name, ()))

    states = _search([(name, True) for name in a], steps, lambda state: state[0] in ends)
    return tuple(name for name, _ in states)


def _open_route(graph: Graph, a: Iterable[str], b: Iterable[str], given: Collection[str]) -> tuple[str, ...]:
    """A shortest open path in a mixed graph, by search over (variable, section has an arrowhead, holds a given)."""
    observed, ends = set(given), set(b)

    def steps(state: tuple[str, bool, bool]) -> Iterator[tuple[str, bool, bool]]:
        name, head, holds = state
        for new in sorted(graph.neighbours[name]):
            if head or new not in observed:
                yield new, head, holds or new in observed
        if not holds:
            yield from ((child, True, child in observed) for child in graph.children[name])
        if holds == head:  # up again: a section between two arrowheads needs a given, any other must not have one
            yield from ((parent, False, False) for parent in graph.parents.get(name, ()) if parent not in observed)

    states = _search([(name, False, False) for name in a], steps, lambda state: state[0] in ends and not state[2])
    return tuple(name for name, _, _ in states)


def _search(start: list[_S], steps: Callable[[_S], Iterable[_S]], at_end: Callable[[_S], bool]) -> list[_S]:
    """A shortest path from any of `start` to an end, breadth first; empty where there is none."""
    came: dict[_S, _S | None] = dict.fromkeys(start)
    for state in (queue := list(came)):  # grows while it runs
        if at_end(state):
            return _trace(came, state)
        for new in steps(state):
            if new not in came:
                came[new] = state
                queue.append(new)
    return []


def _trace(came: dict[_S, _S | None], end: _S) -> list[_S]:
    path = [end]
    while (before := came[path[-1]]) is not None:
        path.append(before)
    return path[::-1]


def _minimal_cut(moral: Adjacency, a: Iterable[str], b: Iterable[str], given: Collection[str]) -> set[str]:
    """The part of `given` that `b` reaches around that part of it which `a` reaches: none of it can be spared."""
    cut = set(given)
    for side in (a, b):
        barred = frozenset(cut)
        reached = closure(side, lambda name, barred=barred: moral[name] - barred)
        cut = {name for name in cut if not moral[name].isdisjoint(reached)}
    return cut


def _edge(graph: Graph, u: str, v: str) -> str:
    return "→" if u in graph.parents.get(v, ()) else "←" if v in graph.parents.get(u, ()) else "–"


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
    if heads := " and ".join(_opener(graph, section, given) for section in _heads(graph, path)):
        return f"{_drawn(graph, path)} is open because {heads} (explaining away)"
    return f"{_drawn(graph, path)} is open: nothing on it is observed"


def _opener(graph: Graph, section: tuple[str, ...], given: Collection[str]) -> str:
    seen = _search(list(section), graph.children.__getitem__, lambda name: name in given)[-1]
    return f"{seen} is observed" if seen in section else f"{seen}, a descendant of {_listed(section)}, is observed"


def _why_closed(
    graph: Graph,
    sides: tuple[tuple[str, ...], tuple[str, ...]],
    given: Collection[str],
    found: tuple[tuple[str, ...], tuple[str, ...]],
) -> str:
    """Why all paths are closed: what cuts them, and what closes one that it does not cut."""
    (cut, path), ends = found, " and ".join(_listed(own) if len(own) == 1 else f"({_listed(own)})" for own in sides)
    between = f"every path between {ends}"
    blocks = f"{_listed(cut)} {'blocks' if len(cut) == 1 else 'block'} {between}"
    if not path:
        return blocks if cut else f"no path joins {ends}"
    opened = set(graph.ancestral_set(given))
    collider = next(section for section in _heads(graph, path) if opened.isdisjoint(section))
    if not cut:
        return f"{between} is closed at an unobserved collider: {_drawn(graph, path)} at {_listed(collider)}"
    return f"{blocks} not closed at an unobserved collider, as {_drawn(graph, path)} is at {_listed(collider)}"


def _listed(names: tuple[str, ...], most: int = 5) -> str:
    shown = names if len(names) <= most else (*names[: most - 1], f"{len(names) - most + 1} more")
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))
