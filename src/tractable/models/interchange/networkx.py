"""Networks as graphs of networkx, whose nodes hold the tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tractable.families import check_own, described
from tractable.graph import Graph, interchange
from tractable.models._base import ModelError
from tractable.models.axes import has_names
from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.interchange._base import Network, as_text
from tractable.models.markov_network import MarkovNetwork
from tractable.models.values import text_of

if TYPE_CHECKING:
    import networkx as nx


def to_networkx(model: Any) -> nx.Graph:
    """The graph of a model, or a `Graph`, as networkx sees it.

    A ``networkx.DiGraph`` where there are arrows, in which a pair of opposite arcs stands for a link, else a
    ``networkx.Graph``; the node attribute ``size`` is the number of states. Nodes of a network also have its
    ``states``, those of a `BayesianNetwork` their ``parents``, in order, and the ``table``; factors of a
    `MarkovNetwork` are the graph attribute ``factors``. With these `from_networkx` gives the network back.

    Raises
    ------
    TypeError : a model whose graph is one of groups of units.

    Examples
    --------
    >>> tables = {"rain": [0.8, 0.2], "wet": [[0.9, 0.1], [0.2, 0.8]]}
    >>> peer = tr.to_networkx(tr.BayesianNetwork({}, "rain{no|yes} -> wet{no|yes}", tables))
    >>> list(peer.edges), peer.nodes["rain"]["table"].tolist()
    ([('rain', 'wet')], [0.8, 0.2])
    """
    graph = model if isinstance(model, Graph) else getattr(model, "graph", None)
    if not isinstance(graph, Graph):
        check_own(model)
        raise TypeError(f"to_networkx takes a network or a Graph, not a {type(model).__name__}")
    out = interchange.to_networkx(graph)
    if isinstance(model, BayesianNetwork | MarkovNetwork):
        out.graph["name"] = model.name
        for v, states in model.states.items():
            out.nodes[v]["states"] = states
    if isinstance(model, BayesianNetwork):
        for v, parents in model.parents.items():
            out.nodes[v].update(parents=parents, table=model.tables[v])
    if isinstance(model, MarkovNetwork):
        out.graph["factors"] = [tuple(factor) for factor in model.factors]
    return out


def from_networkx(graph: nx.Graph, sizes: Mapping[Any, int] | int | None = None) -> Graph | Network:
    """The graph of networkx as a `Graph`; as a network where its nodes hold tables, or it has factors.

    Arcs become families, edges and pairs of opposite arcs become links. Names are the nodes as text. Without tables,
    hand the graph to `bayesian_network` or `BayesianNetwork` as `parents`.

    Parameters
    ----------
    graph : networkx graph, directed or not; parallel edges count once. A `BayesianNetwork` comes of a graph without
        cycles where each node has a ``table`` [parents, own states]; its ``states``, else numbers, and ``parents``,
        else the order of the arcs, say what the axes are. A `MarkovNetwork` comes of a graph attribute ``factors``, a
        list of (scope, table).
    sizes : number of states by node, or one for all; left out, the node attribute ``size``, or else 2.

    Raises
    ------
    GraphError : two nodes with the same text, an edge from a node to itself, a node without a size.
    ModelError : tables that are no network, or of only some nodes; a network of pgmpy.

    Examples
    --------
    >>> import networkx
    >>> tr.from_networkx(networkx.DiGraph([("rain", "wet")])).parents
    {'rain': (), 'wet': ('rain',)}
    >>> net = tr.MarkovNetwork({"a": "01", "b": "01"}, [(("a", "b"), [[1.0, 2.0], [3.0, 4.0]])])
    >>> tr.from_networkx(tr.to_networkx(net)).factors[0].table.tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    if hasattr(graph, "get_cpds") or hasattr(graph, "get_factors"):
        kind = type(graph).__name__
        raise ModelError(f"a {kind} of pgmpy has tables of its own: convert it with tr.from_pgmpy(model)")
    if not hasattr(graph, "is_directed"):
        raise TypeError(f"expected a graph of networkx, got {described(graph)}")
    with_tables = [node for node, about in graph.nodes(data=True) if "table" in about]
    if with_tables:
        return _directed(graph, len(with_tables))
    return _undirected(graph) if "factors" in graph.graph else interchange.from_networkx(graph, sizes)


def _directed(graph: Any, n: int) -> BayesianNetwork:
    names = as_text(graph, "nodes")
    if n < len(names) or not graph.is_directed():
        lacking = f"{len(names) - n} of its {len(names)} nodes have none"
        raise ModelError(f"the graph holds tables, but {lacking if n < len(names) else 'its edges have no direction'}")
    about = {names[node]: own for node, own in graph.nodes(data=True)}
    parents = {v: _parents_of(v, about[v], [names[p] for p in graph.predecessors(node)]) for node, v in names.items()}
    states = {v: _states_of(v, own) for v, own in about.items()}
    tables = {v: own["table"] for v, own in about.items()}
    return BayesianNetwork(states, parents, tables, str(graph.graph.get("name") or "network"))


def _parents_of(name: str, about: Mapping[str, Any], arcs: list[str]) -> tuple[str, ...]:
    """The parents of a node in the order of its table: as it says, else as its arcs were added."""
    said = tuple(map(text_of, about.get("parents", arcs)))
    if sorted(said) != sorted(arcs):
        raise ModelError(f"node {name!r} says that its parents are {said}, its arcs come from {tuple(arcs)}")
    return said


def _states_of(name: str, about: Mapping[str, Any]) -> Any:
    """The states that a node says it has, or as many as its table has columns."""
    if "states" in about or "size" in about:
        return about.get("states", about.get("size"))
    if has_names(about["table"]):
        raise ModelError(f"node {name!r}: give it its states beside a table that has names")
    return np.shape(about["table"])[-1]


def _undirected(graph: nx.Graph) -> MarkovNetwork:
    names = as_text(graph, "nodes")
    states = {names[node]: own.get("states", own.get("size", 2)) for node, own in graph.nodes(data=True)}
    factors = [(tuple(map(text_of, scope)), table) for scope, table in graph.graph["factors"]]
    return MarkovNetwork(states, factors, str(graph.graph.get("name") or "network"))
