"""Random small graphs for hypothesis, and plain definitions to hold the graph room against."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
from hypothesis import strategies as st

from tractable.graph import Graph

NAMES = "abcdefg"


@st.composite
def directed_graphs(draw: st.DrawFn, most: int = 7) -> Graph:
    """A directed acyclic graph; the order of its names says nothing about the arrows."""
    names = NAMES[: draw(st.integers(2, most))]
    hidden = draw(st.permutations(names))
    parents = {v: _some(draw, hidden[:i]) for i, v in enumerate(hidden)}
    return Graph(_sizes(draw, names), {v: parents[v] for v in names})


@st.composite
def undirected_graphs(draw: st.DrawFn, largest: int = 3) -> Graph:
    """Links of up to `largest` variables, the empty one and repeated ones among them."""
    names = NAMES[: draw(st.integers(2, len(NAMES)))]
    link = st.lists(st.sampled_from(names), max_size=largest, unique=True).map(tuple)
    return Graph(_sizes(draw, names), links=tuple(draw(st.lists(link, max_size=9))))


@st.composite
def chain_graphs(draw: st.DrawFn) -> Graph:
    """Blocks in a row: links inside a block, arrows from earlier blocks to later ones."""
    names = draw(st.permutations(NAMES[: draw(st.integers(3, len(NAMES)))]))
    blocks = sorted(draw(st.integers(0, 3)) for _ in names)
    block = dict(zip(names, blocks, strict=True))
    pairs = [pair for pair in combinations(names, 2) if block[pair[0]] == block[pair[1]] and draw(st.booleans())]
    parents = {v: _some(draw, [u for u in names if block[u] < block[v]]) for v in names}
    return Graph(dict.fromkeys(sorted(names), 2), {v: own for v, own in parents.items() if own}, tuple(pairs))


def graphs() -> st.SearchStrategy[Graph]:
    """Any of them."""
    return st.one_of(directed_graphs(), undirected_graphs(), chain_graphs())


def _some(draw: st.DrawFn, names: list[str]) -> tuple[str, ...]:
    return tuple(draw(st.lists(st.sampled_from(names), max_size=3, unique=True))) if names else ()


def _sizes(draw: st.DrawFn, names: str) -> dict[str, int]:
    return {name: draw(st.integers(1, 4)) for name in names}


@st.composite
def questions(draw: st.DrawFn, of: st.SearchStrategy[Graph]) -> tuple[Graph, set[str], set[str], set[str]]:
    """A graph with disjoint sets a, b (neither empty) and given."""
    graph = draw(of)
    first, second, *rest = draw(st.permutations(graph.variables))
    sets = {first}, {second}, set[str]()
    for name in rest:
        if (place := draw(st.sampled_from([0, 1, 2, 2, 3, 3, 3]))) < 3:
            sets[place].add(name)
    return graph, *sets


def arrows(graph: Graph) -> nx.DiGraph:
    """The arrows alone."""
    out = nx.DiGraph()
    out.add_nodes_from(graph.sizes)
    out.add_edges_from((parent, child) for child, parents in graph.parents.items() for parent in parents)
    return out


def interactions(graph: Graph) -> nx.Graph:
    """An edge between any two variables of one scope: families (children with their parents) and links."""
    out = nx.Graph()
    out.add_nodes_from(graph.sizes)
    for scope in [*((*parents, child) for child, parents in graph.parents.items()), *graph.links]:
        out.add_edges_from(combinations(scope, 2))
    return out


def moral(graph: Graph) -> nx.Graph:
    """The moral graph of a chain graph: its interactions, and the parents of each chain component married."""
    out = interactions(graph)
    links = nx.Graph(pair for link in graph.links for pair in combinations(link, 2))
    links.add_nodes_from(graph.sizes)
    for component in nx.connected_components(links):
        parents = sorted({parent for child in component for parent in graph.parents.get(child, ())})
        out.add_edges_from(combinations(parents, 2))
    return out
