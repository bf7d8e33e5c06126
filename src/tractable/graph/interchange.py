"""Graphs of networkx, in and out; networkx is imported only here, and only when it is used."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

from tractable.graph._base import Graph, GraphError

if TYPE_CHECKING:
    import networkx as nx


def to_networkx(graph: Graph) -> nx.Graph:
    """The graph as networkx sees it, with each number of states as the node attribute ``size``.

    A ``networkx.Graph`` where there are no arrows, else a ``networkx.DiGraph`` in which a pair of opposite arcs stands
    for a link. Links of more than two variables become cliques; smaller ones, and the order of parents, are not kept.

    >>> sorted(tr.graph.to_networkx(tr.Graph({"a": 2, "b": 3}, {"b": ("a",)})).edges)
    [('a', 'b')]
    """
    import networkx as nx

    arrows = [(parent, child) for child, parents in graph.parents.items() for parent in parents]
    out = nx.DiGraph() if arrows or (graph.parents and not graph.links) else nx.Graph()
    out.add_nodes_from((name, {"size": size}) for name, size in graph.sizes.items())
    out.add_edges_from(arrows)
    for link in graph.links:
        out.add_edges_from(combinations(link, 2))
        out.add_edges_from(combinations(link[::-1], 2))
    return out


def from_networkx(graph: nx.Graph, sizes: Mapping[Any, int] | int | None = None) -> Graph:
    """A graph from networkx: arcs become families, edges and pairs of opposite arcs become links.

    Parameters
    ----------
    graph : networkx graph, directed or not; parallel edges count once. Names are the nodes as strings.
    sizes : number of states by node, or one for all; left out, the node attribute ``size``, or else 2.

    Raises
    ------
    GraphError : two nodes with the same string, an edge from a node to itself, a node without a size.

    Examples
    --------
    >>> import networkx
    >>> tr.graph.from_networkx(networkx.DiGraph([("rain", "wet")])).parents
    {'rain': (), 'wet': ('rain',)}
    """
    names = {node: str(node) for node in graph}
    if len(set(names.values())) < len(names):
        raise GraphError("two nodes have the same name as strings; relabel them")
    links = _links(graph)
    families = _families(graph, links) if graph.is_directed() else {}
    return Graph(
        {name: _size(graph, node, sizes) for node, name in names.items()},
        {names[node]: tuple(map(names.__getitem__, own)) for node, own in families.items()},
        tuple((names[u], names[v]) for u, v in links.values()),
    )


def _links(graph: nx.Graph) -> dict[frozenset[Hashable], tuple[Hashable, Hashable]]:
    """The pairs of nodes with an edge, or with both arcs, between them."""
    links = {}
    for u, v in graph.edges():
        if u == v:
            raise GraphError(f"node {u!r} has an edge to itself; remove it")
        if not graph.is_directed() or graph.has_edge(v, u):
            links.setdefault(frozenset((u, v)), (u, v))
    return links


def _families(graph: Any, links: Collection[frozenset[Hashable]]) -> dict[Hashable, list[Hashable]]:
    """The nodes that have a table of their own, which a node with links and no parents has not, with their parents."""
    families = {v: [u for u in graph.predecessors(v) if frozenset((u, v)) not in links] for v in graph}
    linked = frozenset().union(*links)
    return {node: own for node, own in families.items() if own or node not in linked}


def _size(graph: nx.Graph, node: Hashable, sizes: Mapping[Any, int] | int | None) -> int:
    if isinstance(sizes, int):
        return sizes
    if sizes is None:
        return graph.nodes[node].get("size", 2)
    if node not in sizes:
        raise GraphError(f"node {node!r} has no size; give its number of states")
    return sizes[node]
