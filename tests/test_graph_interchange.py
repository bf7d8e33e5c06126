"""networkx in and out."""

from __future__ import annotations

import networkx as nx
import pytest
from graphs import chain_graphs, directed_graphs, undirected_graphs
from hypothesis import given
from hypothesis import strategies as st

from tractable.graph import Graph, GraphError, from_networkx, to_networkx


def shape(graph: Graph) -> tuple[object, ...]:
    """What networkx can hold of a graph: nothing of order, repetition, or the size of a link."""
    pairs = {frozenset((u, v)) for link in graph.links for u in link for v in link if u != v}
    return dict(graph.sizes), {v: set(own) for v, own in graph.parents.items()}, pairs


@given(directed_graphs())
def test_a_directed_graph_comes_back(graph: Graph) -> None:
    out = to_networkx(graph)
    assert type(out) is nx.DiGraph
    back = from_networkx(out)
    assert shape(back) == shape(graph) and back.variables == graph.variables and not back.links


@given(undirected_graphs())
def test_an_undirected_graph_comes_back_as_its_pairs(graph: Graph) -> None:
    out = to_networkx(graph)
    assert type(out) is nx.Graph
    back = from_networkx(out)
    assert shape(back) == shape(graph) and not back.parents


@given(chain_graphs())
def test_a_mixed_graph_comes_back(graph: Graph) -> None:
    back = from_networkx(to_networkx(graph))
    assert back.skeleton == graph.skeleton and back.neighbours == graph.neighbours
    assert {v: set(own) for v, own in back.parents.items() if own} == {v: set(own) for v, own in graph.parents.items()}


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(5, 9))))
def test_parallel_edges_count_once(edges: list[tuple[int, int]]) -> None:
    links = from_networkx(nx.MultiGraph(edges)).links
    assert {tuple(sorted(map(int, link))) for link in links} == set(edges) and len(links) == len(set(edges))
    directed = nx.MultiDiGraph(edges)
    parents = from_networkx(directed).parents
    assert sorted((int(u), int(v)) for v, own in parents.items() for u in own) == sorted(set(edges))


def test_sizes_come_from_the_call_or_the_nodes_or_are_two() -> None:
    peer = nx.DiGraph([("a", "b")])
    peer.nodes["a"]["size"] = 5
    assert from_networkx(peer).sizes == {"a": 5, "b": 2}
    assert from_networkx(peer, sizes=3).sizes == {"a": 3, "b": 3}
    assert from_networkx(peer, sizes={"a": 4, "b": 7}).sizes == {"a": 4, "b": 7}


@pytest.mark.parametrize(
    ("peer", "sizes", "message"),
    [
        (nx.Graph([(1, "1")]), None, "the same name"),
        (nx.DiGraph([("a", "a")]), None, "'a' has an edge to itself"),
        (nx.Graph([("a", "b")]), {"a": 2}, "'b' has no size"),
    ],
)
def test_what_cannot_be_read_is_refused(peer: nx.Graph, sizes: dict[str, int] | None, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        from_networkx(peer, sizes)
