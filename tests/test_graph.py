"""The graph record: what it derives, against networkx and plain definitions."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations, pairwise

import brute_force
import networkx as nx
import numpy as np
import pytest
from graphs import arrows, chain_graphs, directed_graphs, graphs, interactions, moral, undirected_graphs
from hypothesis import given
from hypothesis import strategies as st
from zoo import ZOO, Row

from tractable.graph import Graph, GraphError, colouring
from tractable.models import BayesianNetwork

ASIA = Graph(
    dict.fromkeys(["asia", "tub", "smoke", "lung", "bronc", "either", "xray", "dysp"], 2),
    {"asia": (), "tub": ("asia",), "smoke": (), "lung": ("smoke",), "bronc": ("smoke",)}
    | {"either": ("lung", "tub"), "xray": ("either",), "dysp": ("bronc", "either")},
)


def test_asia_as_its_authors_draw_it() -> None:
    assert [(a, c, b) for a, c, b in ASIA.v_structures()] == [("lung", "either", "tub"), ("bronc", "dysp", "either")]
    assert ASIA.markov_blanket("bronc") == ("smoke", "either", "dysp")
    assert ASIA.ancestors("xray") == ("asia", "tub", "smoke", "lung", "either")
    assert ASIA.descendants({"asia", "smoke"}) == ("tub", "lung", "bronc", "either", "xray", "dysp")
    assert ASIA.barren(observed="xray", query="lung") == ("bronc", "dysp")
    married = {frozenset(pair) for pair in ASIA.moral().links} - {frozenset(pair) for pair in arrows(ASIA).edges}
    assert married == {frozenset(("lung", "tub")), frozenset(("bronc", "either"))}


@given(graphs())
def test_the_moral_graph(graph: Graph) -> None:
    out, expected = graph.moral(), moral(graph)
    assert sorted(map(sorted, out.links)) == sorted(map(sorted, expected.edges))
    assert out.variables == graph.variables and not out.parents
    assert all(graph.markov_blanket(v) == tuple(u for u in graph.sizes if u in expected[v]) for v in graph.sizes)
    assert out.moral() == out


@given(graphs(), st.data())
def test_observing_leaves_a_link_for_each_factor_over_what_is_free(graph: Graph, data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.sets(st.sampled_from(graph.variables)), min_size=2, max_size=2))
    gone = parts[0] | parts[1]
    left = graph.without(gone)
    assert left == graph.without(parts[0]).without(parts[1] - parts[0])
    assert left.sizes == {name: size for name, size in graph.sizes.items() if name not in gone} and not left.parents
    assert [set(link) for link in left.links] == [set(scope) - gone for scope in graph.scopes]
    assert nx.utils.graphs_equal(interactions(left), interactions(graph).subgraph(left.variables))


@given(directed_graphs())
def test_directed_kinship(graph: Graph) -> None:
    peer = arrows(graph)
    for v in graph.sizes:
        assert set(graph.ancestors(v)) == nx.ancestors(peer, v)
        assert set(graph.descendants(v)) == nx.descendants(peer, v)
        assert set(graph.ancestral_set(v)) == nx.ancestors(peer, v) | {v}
    order = graph.topological_order()
    assert sorted(order) == sorted(graph.sizes)
    assert all(order.index(parent) < order.index(child) for parent, child in peer.edges)
    assert graph.directed_cycle() == ()


@given(graphs())
def test_v_structures_are_the_unmarried_parents(graph: Graph) -> None:
    linked = arrows(graph).to_undirected()
    linked.add_edges_from(pair for link in graph.links for pair in combinations(link, 2))
    expected = {
        (child, frozenset(pair))
        for child, parents in graph.parents.items()
        for pair in combinations(parents, 2)
        if not linked.has_edge(*pair)
    }
    found = list(graph.v_structures())
    assert {(child, frozenset((a, b))) for a, child, b in found} == expected and len(found) == len(expected)


@given(graphs())
def test_components(graph: Graph) -> None:
    assert set(map(frozenset, graph.components())) == set(map(frozenset, nx.connected_components(interactions(graph))))
    links = interactions(Graph(graph.sizes, links=graph.links))
    assert set(map(frozenset, graph.chain_components())) == set(map(frozenset, nx.connected_components(links)))
    assert [part[0] for part in graph.components()] == sorted(
        (p[0] for p in graph.components()), key=graph.variables.index
    )


@given(chain_graphs(), st.data())
def test_ancestral_sets_are_the_smallest_that_are_closed(graph: Graph, data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(graph.variables)))
    both_ways = arrows(graph)
    both_ways.add_edges_from(pair for u, v in graph.links for pair in ((u, v), (v, u)))
    expected = names.union(*(nx.ancestors(both_ways, name) for name in names))
    assert set(graph.ancestral_set(names)) == expected


@given(st.integers(1, 7), st.sets(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg")), max_size=12))
def test_directed_cycles_are_found_and_shown(n: int, pairs: set[tuple[str, str]]) -> None:
    pairs = {(u, v) for u, v in pairs if u in "abcdefg"[:n] and v in "abcdefg"[:n]}
    graph = Graph(
        dict.fromkeys("abcdefg"[:n], 2), {v: tuple(sorted(u for u, w in pairs if w == v)) for v in "abcdefg"[:n]}
    )
    cycle = graph.directed_cycle()
    assert bool(cycle) != nx.is_directed_acyclic_graph(nx.DiGraph(pairs))
    if cycle:
        assert cycle[0] == cycle[-1] and len(set(cycle)) == len(cycle) - 1
        assert set(pairwise(cycle)) <= pairs
        with pytest.raises(GraphError, match=" → ".join(cycle)):
            graph.topological_order()


@given(graphs())
def test_a_colouring_is_proper(graph: Graph) -> None:
    colours, peer = colouring(graph), moral(graph)
    assert list(colours) == list(graph.sizes)
    assert all(colours[u] != colours[v] for u, v in peer.edges)
    assert set(colours.values()) == set(range(len(set(colours.values()))))
    assert len(set(colours.values())) <= 1 + max(d for _, d in peer.degree)


@given(undirected_graphs(largest=2))
def test_two_colours_where_two_suffice(graph: Graph) -> None:
    if nx.is_bipartite(moral(graph)):
        assert max(colouring(graph).values()) <= 1


NETWORKS = [row for row in ZOO if row.name.startswith("bayesian")]


@pytest.mark.parametrize("row", NETWORKS, ids=str)
def test_barren_variables_change_no_answer(row: Row) -> None:
    rng = np.random.default_rng(5)
    for seed in range(3):
        net = row.model(seed)
        assert isinstance(net, BayesianNetwork)
        *observed, asked = rng.permutation(net.variables)[: rng.integers(1, 4)].tolist()
        barren = net.graph.barren(observed, asked)
        left = [v for v in net.variables if v not in barren]
        states, parents = {v: net.states[v] for v in left}, {v: net.parents[v] for v in left}
        pruned = BayesianNetwork(states, parents, {v: net.tables[v] for v in left})
        evidence = dict.fromkeys(observed, 0)
        total = brute_force.log_partition(net, evidence)
        assert brute_force.log_partition(pruned, evidence) == pytest.approx(total, abs=1e-12)
        if np.isfinite(total):
            expected = brute_force.marginals(net, evidence)[asked]
            np.testing.assert_allclose(brute_force.marginals(pruned, evidence)[asked], expected, atol=1e-12)


@given(directed_graphs(), st.data())
def test_barren_variables_are_all_but_the_ancestral_set(graph: Graph, data: st.DataObject) -> None:
    needed = data.draw(st.sets(st.sampled_from(graph.variables)))
    expected = set(graph.sizes) - needed.union(*(nx.ancestors(arrows(graph), name) for name in needed))
    assert set(graph.barren(observed=needed)) == set(graph.barren(query=needed)) == expected


def test_what_has_no_table_of_its_own_or_a_link_is_never_barren() -> None:
    graph = Graph(dict.fromkeys("abcd", 2), {"b": ("a",), "c": ("b",), "d": ("c",)}, (("b",),))
    assert graph.barren() == ("c", "d")
    assert Graph({"a": 2, "b": 2}, {"b": ("a",)}).barren() == ("b",)
    assert Graph({"a": 2, "b": 2}, links=(("a", "b"),)).barren() == ()


@pytest.mark.parametrize("verb", ["without", "ancestors", "descendants", "ancestral_set", "markov_blanket", "barren"])
def test_an_unknown_variable_is_named_with_its_nearest(verb: str) -> None:
    with pytest.raises(GraphError, match="unknown variable 'smoek'; did you mean 'smoke'"):
        getattr(ASIA, verb)("smoek")


def test_families_and_links_over_unknown_variables_are_refused() -> None:
    with pytest.raises(GraphError, match="'z'"):
        Graph({"a": 2}, {"a": ("z",)}).topological_order()
    with pytest.raises(GraphError, match="'z'"):
        Graph({"a": 2}, links=(("a", "z"),)).components()


def test_the_room_opens_without_its_leaves() -> None:
    code = "import sys, tractable.graph as g; print([m for m in sys.modules if m.startswith('tractable.graph.')]); "
    code += (
        "print({'difflib', 'networkx', 'numpy', 'random'} & set(sys.modules)); g.is_separated; g.loop_cutset; g.width"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split("\n")[:2] == ["['tractable.graph._errors', 'tractable.graph._base']", "set()"]
    with pytest.raises(AttributeError, match="treewidths"):
        import tractable.graph

        tractable.graph.treewidths  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
