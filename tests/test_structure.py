"""Structures as people write them: edges, text, a graph of networkx; one reader for networks, data and graphs."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tractable as tr
from tractable.graph.structure import read_structure

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)


@st.composite
def directed(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Parents of variables with any names, every variable listed, without cycles."""
    order = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    return {v: tuple(draw(st.permutations(order[:i]))[: draw(st.integers(0, 3))]) for i, v in enumerate(order)}


def quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def as_text(parents: dict[str, tuple[str, ...]]) -> str:
    edges = (f"{quoted(p)} -> {quoted(v)}" for v, own in parents.items() for p in own)
    return ";".join([*map(quoted, parents), *edges])


def as_digraph(parents: dict[str, tuple[str, ...]]) -> nx.DiGraph:
    out = nx.DiGraph()
    out.add_nodes_from(parents)
    out.add_edges_from((p, v) for v, own in parents.items() for p in own)
    return out


@given(directed())
def test_every_way_to_write_a_structure_says_the_same(parents: dict[str, tuple[str, ...]]) -> None:
    edges = [(p, v) for v, own in parents.items() for p in own]
    for given_ in (parents, as_text(parents), as_digraph(parents)):
        assert read_structure(given_).parents == parents
    touched = {v: own for v, own in parents.items() if own or any(v in other for other in parents.values())}
    for given_ in (edges, iter(edges), [list(e) for e in edges]):
        assert read_structure(given_).parents == touched
    tables = {v: np.full([2] * len(own) + [2], 0.5) for v, own in parents.items()}
    for given_ in (edges, as_text(parents), as_digraph(parents)):
        assert tr.BayesianNetwork(dict.fromkeys(parents, 2), given_, tables).parents == parents
        graph = tr.Graph(dict.fromkeys(parents, 2), given_)
        assert {v: graph.parents.get(v, ()) for v in parents} == parents


@pytest.mark.parametrize(
    ("text", "parents"),
    [
        ("smoke->lung; smoke->bronc", {"smoke": (), "lung": ("smoke",), "bronc": ("smoke",)}),
        ("a->b->c<-d\ne", {"a": (), "b": ("a",), "c": ("b", "d"), "d": (), "e": ()}),
        ("a, b -> c, d", {"a": (), "b": (), "c": ("a", "b"), "d": ("a", "b")}),
        (" b<-a ;; c \n\n", {"b": ("a",), "a": (), "c": ()}),
        ("rain → wet ← sprinkler", {"rain": (), "wet": ("rain", "sprinkler"), "sprinkler": ()}),
        ('"a->b;c" -> two words', {"a->b;c": (), "two words": ("a->b;c",)}),
        ("a-b -> x.y", {"a-b": (), "x.y": ("a-b",)}),
        ("", {}),
    ],
)
def test_text(text: str, parents: dict[str, tuple[str, ...]]) -> None:
    assert read_structure(text).parents == parents


def test_states_in_text_make_a_network_without_data() -> None:
    net = tr.bayesian_network(None, "smoke{no|yes} -> lung[3] <- age{ young | old }")
    assert net.states == {"smoke": ("no", "yes"), "lung": ("0", "1", "2"), "age": ("young", "old")}
    assert net.tables["lung"].shape == (2, 2, 3)
    assert np.allclose(net.tables["lung"].sum(axis=-1), 1) and net.tables["lung"].std() > 0.05
    again = tr.bayesian_network(None, "smoke{no|yes} -> lung[3] <- age{ young | old }", key=1)
    assert not np.allclose(again.tables["lung"], net.tables["lung"])
    hidden = tr.bayesian_network({"a": ["x", "y"]}, "h[2] -> a")
    assert hidden.states == {"a": ("x", "y"), "h": ("0", "1")}


@pytest.mark.parametrize(
    ("structure", "words"),
    [
        ("a->b; b->a", "the parents form a directed cycle: a → b → a"),
        ("a->a", "'a->a' in the structure: the edge 'a' → 'a' leads from a variable to itself"),
        ("a->b; c->d; a->b", "'a->b' in the structure: the edge 'a' → 'b' is there twice"),
        ("a->", "'a->' in the structure: a name is missing at the end"),
        ("->a", "a name is missing before '->'"),
        ("a->b,->c", "a name is missing before '->'"),
        ("a--b", "an edge has a direction, -> or <-"),
        ('a "b"', "stands where ->, <-, a comma or a semicolon is needed"),
        ("a[x]->b", "'[x]->b' cannot be read"),
        ("a{x|y}{x|z}->b", "the states are said twice"),
        ("a{x|y}->b; a[3]", "the states of 'a' were said otherwise before"),
        ("a->e", "unknown variable 'e'"),
        ([("a", "b"), ("a", "b")], "the edge 'a' → 'b' is there twice"),
        ([("a", "b", "c")], "an edge is a pair (parent, child), not ('a', 'b', 'c')"),
        ([{"a", "b"}], "an edge is a pair (parent, child), not {"),
        (np.eye(4), "not a ndarray"),
        (5, "not a int"),
        (nx.Graph([("a", "b")]), "have no direction; parents need a networkx.DiGraph"),
        (nx.DiGraph([("a", "b"), ("b", "c"), ("c", "a")]), "directed cycle"),
        (nx.DiGraph([(1, "1")]), "two nodes have the name '1' as text"),
        ({"b": ["a", "a"]}, "names a parent twice"),
    ],
)
def test_what_is_no_structure_is_said_in_a_line(structure: object, words: str) -> None:
    with pytest.raises(tr.ModelError) as error:
        tr.BayesianNetwork(dict.fromkeys("abcd", 2), structure, {v: [0.5, 0.5] for v in "abcd"})
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_network_is_learned_from_any_of_them() -> None:
    table = {"smoke": ["no", "yes"] * 4, "lung": ["a", "b", "b", "b"] * 2, "bronc": ["x"] * 8}
    expected = tr.bayesian_network(table, {"lung": ["smoke"], "bronc": ["smoke", "lung"]})
    edges = [("smoke", "lung"), ("smoke", "bronc"), ("lung", "bronc")]
    mapping = {"lung": "smoke", "bronc": ("smoke", "lung")}
    for structure in (edges, nx.DiGraph(edges), "smoke->lung; smoke,lung->bronc", mapping):
        found = tr.bayesian_network(table, structure)
        assert found.parents == expected.parents
        assert (found.packed.values == expected.packed.values).all()
    with pytest.raises(tr.ModelError, match="'bronk' is no column of the data"):
        tr.bayesian_network(table, "smoke->bronk")


@pytest.mark.parametrize(("memory", "words"), [(None, "16 TiB"), ("64MB", "where 61 MiB may be taken")])
def test_forty_parents_are_priced_and_refused(memory: str | None, words: str) -> None:
    table = {f"x{i}": ["0", "1"] for i in range(41)}
    with pytest.raises(tr.BudgetError) as error:
        tr.bayesian_network(table, [(f"x{i}", "x40") for i in range(40)], memory=memory)
    assert "the table of 'x40' given 40 parents" in str(error.value) and words in str(error.value)
    assert "2,199,023,255,552 entries" in str(error.value) and "fewer parents or states" in str(error.value)
    assert error.value.plan.method is None and error.value.plan.width == 41


def test_many_parents_of_one_state_are_no_trouble() -> None:
    table = {f"x{i}": ["only"] * 3 for i in range(80)}
    net = tr.bayesian_network(table, [(f"x{i}", "x79") for i in range(79)])
    assert tr.infer(net).marginals["x79"]["only"] == 1


def test_a_graph_takes_them_too() -> None:
    assert tr.Graph(None, "rain[3] -> wet <- sprinkler").sizes == {"rain": 3, "wet": 2, "sprinkler": 2}
    for graph in ("rain->wet<-sprinkler", nx.DiGraph([("rain", "wet"), ("sprinkler", "wet")])):
        assert tr.is_separated(graph, "rain", "sprinkler") and not tr.is_separated(graph, "rain", "sprinkler", "wet")
    with pytest.raises(tr.GraphError, match="leads from a variable to itself"):
        tr.Graph({"a": 2}, "a->a")
    with pytest.raises(TypeError, match="expected a Graph or a model that has one, got a int"):
        tr.is_separated(3, "a", "b")
