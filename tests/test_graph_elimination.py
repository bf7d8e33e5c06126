"""Elimination orders, widths and cutsets, against elimination written out on sets and against networkx."""

from __future__ import annotations

import math
from itertools import combinations

import networkx as nx
import pytest
from graphs import arrows, directed_graphs, graphs, interactions, moral, undirected_graphs
from hypothesis import given
from hypothesis import strategies as st
from networkx.algorithms.approximation import treewidth_min_degree

from tractable.graph import (
    Graph,
    GraphError,
    elimination_cliques,
    elimination_order,
    induced_width,
    loop_cutset,
    width,
)

HEURISTICS = ["min-fill", "min-weight", "min-degree"]


def tables(graph: Graph, order: tuple[str, ...]) -> list[set[str]]:
    """Bucket elimination on scopes: every table that holds the variable goes into one, which goes back without it."""
    scopes = [set(scope) for scope in graph.scopes]
    out = []
    for name in order:
        out.append({name}.union(*(scope for scope in scopes if name in scope)))
        scopes = [scope for scope in scopes if name not in scope] + [out[-1] - {name}]
    return out


@given(st.one_of(directed_graphs(), undirected_graphs(largest=5)), st.data())
def test_the_width_of_an_order_is_that_of_its_tables(graph: Graph, data: st.DataObject) -> None:
    order = tuple(data.draw(st.permutations(graph.variables)))
    found = tables(graph, order)
    assert [set(clique) for clique in elimination_cliques(graph, order)] == found
    entries = [math.prod(graph.sizes[name] for name in table) for table in found]
    assert width(graph, order) == pytest.approx(math.log2(max(entries)))
    assert induced_width(graph, order) == max(map(len, found)) - 1


@given(graphs(), st.sampled_from(HEURISTICS), st.sampled_from([None, 0, 1]))
def test_each_step_of_an_order_is_the_cheapest_then(graph: Graph, heuristic: str, seed: int | None) -> None:
    order = elimination_order(graph, heuristic, seed)
    assert sorted(order) == sorted(graph.sizes)
    left = moral(graph)
    for name in order:
        prices = {v: price(graph, left, v, heuristic) for v in left}
        assert prices[name] == min(prices.values())
        left.add_edges_from(combinations(list(left[name]), 2))
        left.remove_node(name)


def price(graph: Graph, left: nx.Graph, name: str, heuristic: str) -> tuple[int, int]:
    near = list(left[name])
    fill = sum(not left.has_edge(u, v) for u, v in combinations(near, 2))
    weight = math.prod(graph.sizes[v] for v in (name, *near))
    return {"min-fill": (fill, weight), "min-weight": (weight, fill), "min-degree": (len(near), weight)}[heuristic]


@given(graphs())
def test_chordal_graphs_are_eliminated_without_a_new_link(graph: Graph) -> None:
    """Where min-fill needs no fill it is optimal: the largest table is then the largest clique."""
    peer = moral(graph)
    if nx.is_chordal(peer):
        largest = max(map(len, nx.find_cliques(peer)))
        assert induced_width(graph, elimination_order(graph)) == largest - 1


@pytest.mark.parametrize("heuristic", HEURISTICS)
def test_a_grid_costs_about_its_shorter_side(heuristic: str) -> None:
    peer = nx.grid_2d_graph(6, 40)
    names = {node: f"{node[0]},{node[1]}" for node in peer}
    graph = Graph(dict.fromkeys(names.values(), 3), links=tuple((names[u], names[v]) for u, v in peer.edges))
    order = elimination_order(graph, heuristic)
    assert 6 <= induced_width(graph, order) <= treewidth_min_degree(peer)[0] + 2
    assert width(graph, order) == pytest.approx((induced_width(graph, order) + 1) * math.log2(3))


def test_seeds_break_ties_differently_and_repeatably() -> None:
    graph = Graph(dict.fromkeys("abcdefgh", 2), links=tuple(zip("abcdefgh", "bcdefgha", strict=True)))
    orders = [elimination_order(graph, seed=seed) for seed in range(20)]
    assert len(set(orders)) > 10 and orders == [elimination_order(graph, seed=seed) for seed in range(20)]
    assert elimination_order(graph)[0] == "a"


def test_the_smaller_table_comes_first() -> None:
    """Two ways to cut a square: the fill is the same, the states are not."""
    graph = Graph({"a": 9, "b": 2, "c": 9, "d": 2}, links=(("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")))
    assert width(graph, elimination_order(graph)) == pytest.approx(math.log2(2 * 9 * 2))


def test_the_empty_graph_costs_nothing() -> None:
    empty = Graph({})
    assert elimination_order(empty) == () and width(empty, ()) == 0 and induced_width(empty, ()) == 0
    assert loop_cutset(empty) == ()


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ("ab", "leaves out 1 variables, the first of them 'c'"),
        ("abca", "names 'a' twice"),
        ("abz", "unknown variable 'z'"),
    ],
)
def test_an_order_that_is_none_is_refused(order: str, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        width(Graph(dict.fromkeys("abc", 2)), order and list(order))


def test_an_unknown_heuristic_is_refused() -> None:
    with pytest.raises(GraphError, match="'min-luck'; use one of min-fill, min-weight, min-degree"):
        elimination_order(Graph({"a": 2}), "min-luck")


@given(undirected_graphs(largest=2))
def test_a_loop_cutset_of_pairwise_links_leaves_a_forest(graph: Graph) -> None:
    peer = interactions(graph)
    cutset = loop_cutset(graph)
    assert _is_forest(peer.subgraph(peer.nodes - set(cutset)))
    assert not any(_is_forest(peer.subgraph(peer.nodes - {v for v in cutset if v != spared})) for spared in cutset)


def _is_forest(graph: nx.Graph) -> bool:
    return not graph or nx.is_forest(graph)


@given(directed_graphs())
def test_a_loop_cutset_of_arrows_has_a_member_on_each_loop_that_is_no_collider_there(graph: Graph) -> None:
    peer = arrows(graph)
    loops = list(nx.simple_cycles(peer.to_undirected()))
    cutset = loop_cutset(graph)
    assert all(cuts(peer, loop, cutset) for loop in loops)
    for spared in cutset:
        assert not all(cuts(peer, loop, [v for v in cutset if v != spared]) for loop in loops)


def cuts(peer: nx.DiGraph, loop: list[str], cutset: tuple[str, ...] | list[str]) -> bool:
    around = zip([loop[-1], *loop], loop, [*loop[1:], loop[0]], strict=False)
    return any(v in cutset and not (peer.has_edge(u, v) and peer.has_edge(w, v)) for u, v, w in around)


@given(graphs())
def test_a_loop_cutset_leaves_no_loop_among_the_factors(graph: Graph) -> None:
    factors = nx.Graph()
    for j, scope in enumerate({frozenset(scope) for scope in graph.scopes}):
        factors.add_edges_from((j, name) for name in scope)
    factors.remove_nodes_from(loop_cutset(graph))
    assert _is_forest(factors)
