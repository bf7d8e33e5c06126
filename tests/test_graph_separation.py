"""Separation against three independent oracles, and its reasons against plain definitions."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, pairwise

import brute_force
import networkx as nx
import numpy as np
import pytest
from graphs import arrows, chain_graphs, directed_graphs, interactions, moral, questions, undirected_graphs
from hypothesis import given
from hypothesis import strategies as st
from sweep import sweep
from test_graph import ASIA
from zoo import ZOO, Row

from tractable.graph import Graph, GraphError, Separation, is_separated

Question = tuple[Graph, set[str], set[str], set[str]]


def is_open(peer: nx.DiGraph, path: Iterable[str], given: set[str]) -> bool:
    """The definition: each collider is given or above what is given, nothing else on the path is given."""
    path = list(path)
    for before, v, after in zip(path, path[1:], path[2:], strict=False):
        if peer.has_edge(before, v) and peer.has_edge(after, v):
            if given.isdisjoint(nx.descendants(peer, v) | {v}):
                return False
        elif v in given:
            return False
    return given.isdisjoint({path[0], path[-1]})


@given(questions(directed_graphs()))
@sweep(100)
def test_d_separation_is_that_no_path_is_open(question: Question) -> None:
    graph, a, b, known = question
    peer = arrows(graph)
    skeleton = peer.to_undirected()
    paths = [path for u in a for v in b for path in nx.all_simple_paths(skeleton, u, v)]
    lengths = [len(path) for path in paths if is_open(peer, path, known)]
    found = is_separated(graph, a, b, known)
    assert bool(found) is found.separated is (not lengths) is nx.is_d_separator(peer, a, b, known)
    assert len(found.path) == min(lengths, default=0)


@given(questions(directed_graphs()))
@sweep(100)
def test_the_reason_for_a_directed_graph_holds(question: Question) -> None:
    graph, a, b, known = question
    found, peer = is_separated(graph, a, b, known), arrows(graph)
    if not found:
        assert found.path[0] in a and found.path[-1] in b and len(set(found.path)) == len(found.path)
        assert all(peer.to_undirected().has_edge(u, v) for u, v in pairwise(found.path))
        assert is_open(peer, found.path, known)
        assert " is open" in found.reason and all(name in found.reason for name in found.path)
        return
    cut = set(found.blocked_by)
    assert cut <= known and nx.is_d_separator(peer, a, b, cut)
    ancestral = a.union(b, known, *(nx.ancestors(peer, v) for v in a | b | known))
    assert_minimal(moral(Graph(dict.fromkeys(ancestral, 2), {v: graph.parents[v] for v in ancestral})), a, b, cut)


def assert_minimal(graph: nx.Graph, a: set[str], b: set[str], cut: set[str]) -> None:
    for spared in cut:
        left = graph.subgraph(graph.nodes - cut | {spared})
        assert any(nx.has_path(left, u, v) for u in a for v in b)


@given(questions(undirected_graphs()))
def test_undirected_separation_is_that_every_path_is_cut(question: Question) -> None:
    graph, a, b, known = question
    peer = interactions(graph)
    left = peer.subgraph(peer.nodes - known)
    shortest = [nx.shortest_path_length(left, u, v) for u in a for v in b if nx.has_path(left, u, v)]
    found = is_separated(graph, a, b, known)
    assert len(found.path) == min(shortest, default=-1) + 1
    assert all(left.has_edge(u, v) for u, v in pairwise(found.path))
    check_cut(found, peer, a, b, known)


@given(questions(chain_graphs()))
@sweep(100)
def test_mixed_separation_is_separation_in_the_moral_ancestral_graph(question: Question) -> None:
    graph, a, b, known = question
    above = arrows(graph)
    above.add_edges_from(pair for u, v in graph.links for pair in ((u, v), (v, u)))
    kept = {*a, *b, *known}.union(*(nx.ancestors(above, v) for v in {*a, *b, *known}))
    part = Graph(
        {v: 2 for v in graph.sizes if v in kept},
        {v: own for v, own in graph.parents.items() if v in kept},
        tuple(link for link in graph.links if kept.issuperset(link)),
    )
    found = is_separated(graph, a, b, known)
    check_cut(found, moral(part), a, b, known)
    if found.path:
        assert found.path[0] in a and found.path[-1] in b
        assert route_is_open(graph, found.path, known)


def check_cut(found: Separation, peer: nx.Graph, a: set[str], b: set[str], known: set[str]) -> None:
    left = peer.subgraph(peer.nodes - known)
    assert found.separated is (not found.path) is not any(nx.has_path(left, u, v) for u in a for v in b)
    cut = set(found.blocked_by)
    assert cut <= known
    if found:
        left = peer.subgraph(peer.nodes - cut)
        assert not any(nx.has_path(left, u, v) for u in a for v in b)
        assert_minimal(peer, a, b, cut)


def route_is_open(graph: Graph, route: tuple[str, ...], given: set[str]) -> bool:
    """Sections between two arrowheads meet what is given, all others avoid it."""
    links, peer = {frozenset(link) for link in graph.links}, arrows(graph)
    sections = [[route[0]]]
    for u, v in pairwise(route):
        assert peer.has_edge(u, v) or peer.has_edge(v, u) or frozenset((u, v)) in links
        if frozenset((u, v)) in links:
            sections[-1].append(v)
        else:
            sections.append([v])
    heads = [
        0 < i < len(sections) - 1
        and peer.has_edge(sections[i - 1][-1], section[0])
        and peer.has_edge(sections[i + 1][0], section[-1])
        for i, section in enumerate(sections)
    ]
    return all(head != given.isdisjoint(section) for head, section in zip(heads, sections, strict=True))


@given(st.one_of(questions(directed_graphs()), questions(chain_graphs())))
def test_separation_is_symmetric_and_splits_over_its_sides(question: Question) -> None:
    graph, a, b, known = question
    found = is_separated(graph, a, b, known)
    assert found.separated == is_separated(graph, b, a, known).separated
    assert found.separated == all(is_separated(graph, u, v, known) for u in a for v in b)


@pytest.mark.parametrize("row", ZOO, ids=str)
def test_what_is_separated_is_independent(row: Row) -> None:
    """p(a, b, c) p(c) = p(a, c) p(b, c) in the enumerated distribution of every model."""
    model = row.model()
    rng = np.random.default_rng(0)
    for a, b in list(combinations(model.states, 2))[:10]:
        rest = [v for v in model.states if v not in (a, b)]
        known = rng.permutation(rest)[: rng.integers(3)].tolist() if rest else []
        if is_separated(model, a, b, known):  # pyright: ignore[reportArgumentType]
            joint = brute_force.joint_marginal(model, [a, b, *known])
            of_a, of_b, of_none = (
                joint.sum(1, keepdims=True),
                joint.sum(0, keepdims=True),
                joint.sum((0, 1), keepdims=True),
            )
            np.testing.assert_allclose(joint * of_none, of_a * of_b, atol=1e-12)


MIXED = Graph(dict.fromkeys("abcdef", 2), {"c": ("a",), "d": ("b",), "f": ("d",)}, (("c", "d"), ("e", "e")))
SECTION = Graph(dict.fromkeys("abcdefz", 2), {"c": ("a",), "d": ("b",), "f": ("b", "e")}, (("c", "z"), ("z", "d")))


@pytest.mark.parametrize(
    ("graph", "a", "b", "known", "reason"),
    [
        (ASIA, "smoke", "either", "", "smoke → lung → either is open: nothing on it is observed"),
        (ASIA, "tub", "lung", "either", "tub → either ← lung is open because either is observed (explaining away)"),
        (
            ASIA,
            "tub",
            "lung",
            "xray",
            "tub → either ← lung is open because xray, a descendant of either, is observed (explaining away)",
        ),
        (
            ASIA,
            "asia",
            "smoke",
            "",
            "every path between asia and smoke is closed at an unobserved collider: "
            "asia → tub → either ← lung ← smoke at either",
        ),
        (
            ASIA,
            "lung",
            "bronc",
            "smoke",
            "smoke blocks every path between lung and bronc not closed at an unobserved collider, "
            "as lung → either → dysp ← bronc is at dysp",
        ),
        (ASIA, "asia tub", "xray", "either bronc", "either blocks every path between (asia and tub) and xray"),
        (ASIA.moral(), "lung", "bronc", "", "lung – either – bronc is open: nothing on it is observed"),
        (
            ASIA.moral(),
            "asia",
            "dysp",
            "lung either bronc tub",
            "tub blocks every path between asia and dysp",
        ),
        (
            MIXED,
            "a",
            "b",
            "f",
            "a → c – d → f ← d ← b is open because f is observed (explaining away)",
        ),
        (
            MIXED,
            "a",
            "b",
            "",
            "every path between a and b is closed at an unobserved collider: a → c – d ← b at c and d",
        ),
        (
            SECTION,
            "a",
            "b",
            "z",
            "a → c – z – d ← b is open because z is observed (explaining away)",
        ),
        (
            SECTION,
            "a",
            "e",
            "z",
            "every path between a and e is closed at an unobserved collider: a → c – z – d ← b → f ← e at f",
        ),
        (MIXED, "a", "f", "", "a → c – d → f is open: nothing on it is observed"),
        (MIXED, "a", "e", "b", "no path joins a and e"),
    ],
)
def test_reasons_in_words(graph: Graph, a: str, b: str, known: str, reason: str) -> None:
    found = is_separated(graph, a.split(), b.split(), known.split())
    assert str(found) == found.reason == reason


def test_a_long_list_of_names_is_cut_short() -> None:
    star = Graph(dict.fromkeys("abcdefgh", 2), {"b": tuple("cdefgh"), **dict.fromkeys("cdefgh", ("a",)), "a": ()})
    found = is_separated(star, "a", "b", tuple("hgfedc"))
    assert found == Separation(True, (), tuple("cdefgh"), "c, d, e, f and 2 more block every path between a and b")


def test_a_single_name_of_several_letters_is_one_variable() -> None:
    assert is_separated(ASIA, "asia", "smoke") and not is_separated(ASIA, ["asia"], ("xray",))


@pytest.mark.parametrize(
    ("graph", "a", "b", "known", "message"),
    [
        (ASIA, "smoek", "lung", (), "unknown variable 'smoek'; did you mean 'smoke'"),
        (ASIA, "lung", "smoke", "tob", "unknown variable 'tob'; did you mean 'tub'"),
        (ASIA, "lung", ["smoke", "lung"], (), "variable 'lung' is named twice"),
        (ASIA, "lung", [], (), "name at least one variable on each"),
        (ASIA, "lung", "smoke", ["smoke"], "variable 'smoke' is named twice"),
        (Graph({"a": 2, "b": 2}, {"a": ("b",), "b": ("a",)}), "a", "b", (), "cycles along its arrows, not a → b → a"),
        (Graph({"a": 2, "b": 2}, {"b": ("a",)}, (("a", "b"),)), "a", "b", (), "cycles along its arrows"),
    ],
)
def test_questions_that_make_no_sense_are_refused(
    graph: Graph, a: str, b: list[str] | str, known: list[str] | str, message: str
) -> None:
    with pytest.raises(GraphError, match=message):
        is_separated(graph, a, b, known)
