"""Networks of pgmpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from tractable.families import described
from tractable.models._base import ModelError
from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.interchange._base import Network, as_text, by_name, check_axes, library, merged, network
from tractable.models.markov_network import MarkovNetwork
from tractable.models.tables import checked_states


def from_pgmpy(model: Any, *, normalize: bool = False) -> Network:
    """A network of pgmpy as one of this library: names and states become text, 0 is ``"0"``.

    A ``DiscreteBayesianNetwork`` (``BayesianNetwork`` in earlier versions) becomes a `BayesianNetwork`, with parents in
    the order of its tables; a ``DiscreteMarkovNetwork`` or a ``FactorGraph`` a `MarkovNetwork`. States that stand in
    another order in a child's table are put into their own.

    Parameters
    ----------
    normalize : whether rows are divided by their sums; pgmpy lets these be off by .01.

    Raises
    ------
    ModelError : a node without a table, or with another density; names that are the same as text; rows that do not sum
        to one. TypeError : not a network of pgmpy.

    Examples
    --------
    >>> from types import SimpleNamespace as Peer  # as pgmpy.models.DiscreteBayesianNetwork and TabularCPD
    >>> import numpy as np
    >>> rain = Peer(variables=["rain"], values=np.array([0.8, 0.2]), state_names={"rain": ["no", "yes"]})
    >>> peer = Peer(nodes=["rain"], get_cpds=lambda node: rain)
    >>> tr.from_pgmpy(peer).tables["rain"].tolist()
    [0.8, 0.2]
    """
    if any(kind.__name__ == "DynamicBayesianNetwork" for kind in type(model).__mro__):
        raise ModelError("a DynamicBayesianNetwork has no fixed set of variables: unroll it, or see HiddenMarkovModel")
    if hasattr(model, "get_cpds"):
        return _directed(model, normalize)
    if hasattr(model, "get_factors"):
        return _undirected(model)
    raise TypeError(f"expected a network of pgmpy, got {described(model)}")


def _directed(model: Any, normalize: bool) -> BayesianNetwork:
    names = as_text(model.nodes, "variables")
    cpds = {v: _cpd(model, v) for v in names}
    states = checked_states({names[v]: _labels(cpd, 0) for v, cpd in cpds.items()})
    parents = {names[v]: tuple(names[p] for p in cpd.variables[1:]) for v, cpd in cpds.items()}
    tables = {names[v]: np.moveaxis(_array(names[v], cpd, names, states), 0, -1) for v, cpd in cpds.items()}
    return BayesianNetwork(states, parents, tables, _name(model), normalize=normalize)


def _name(model: Any) -> str:
    return str(getattr(model, "name", "") or "network")


def _cpd(model: Any, node: Any) -> Any:
    cpd = model.get_cpds(node)
    if cpd is None:
        raise ModelError(f"variable {str(node)!r} has no CPD: add one, or learn its table with tr.fit")
    if not hasattr(cpd, "values") or not hasattr(cpd, "variables"):
        raise ModelError(f"variable {str(node)!r} has a {type(cpd).__name__}: only tables, TabularCPD, are read")
    return cpd


def _labels(factor: Any, axis: int) -> Sequence[Any]:
    """The states along an axis, numbered where they have no names."""
    known: Mapping[Any, Sequence[Any]] = getattr(factor, "state_names", None) or {}
    return known.get(factor.variables[axis], range(factor.values.shape[axis]))


def _array(where: str, factor: Any, names: Mapping[Any, str], states: Mapping[str, Any]) -> np.ndarray:
    labels = checked_states({names[v]: _labels(factor, axis) for axis, v in enumerate(factor.variables)})
    return by_name(f"the table of {where!r}", np.asarray(factor.values, np.float64), labels, states)


def _undirected(model: Any) -> MarkovNetwork:
    factors = list(model.get_factors())
    labels: dict[Any, Any] = {}
    for factor in factors:
        for axis, v in enumerate(factor.variables):
            labels.setdefault(v, _labels(factor, axis))
    names = as_text([v for v in [*model.nodes, *labels] if v in labels], "variables")
    states = checked_states({text: labels[v] for v, text in names.items()})
    scopes = [tuple(names[v] for v in factor.variables) for factor in factors]
    tables = [_array(", ".join(s), factor, names, states) for s, factor in zip(scopes, factors, strict=True)]
    return MarkovNetwork(states, list(zip(scopes, tables, strict=True)), _name(model))


def to_pgmpy(net: Network) -> Any:
    """The network as pgmpy has it: a ``DiscreteBayesianNetwork``, or a ``DiscreteMarkovNetwork``.

    Numbers, names of states and the order of parents are kept, `ties` and `fixed` are not. Factors of a Markov network
    over the same variables are multiplied, constants go into one of the others, and a variable without a factor gets
    one of ones, which pgmpy asks for; log Z stays what it is.

    Raises
    ------
    ModuleNotFoundError : pgmpy is not installed. TypeError : another kind of model.

    Examples
    --------
    >>> net = tr.BayesianNetwork({}, "rain{no|yes}", {"rain": [0.8, 0.2]})
    >>> try:
    ...     tr.from_pgmpy(tr.to_pgmpy(net)).tables["rain"].tolist()
    ... except ModuleNotFoundError:
    ...     [0.8, 0.2]  # without pgmpy
    [0.8, 0.2]
    """
    network(net, "to_pgmpy")
    models = library("pgmpy.models", needs="to_pgmpy")
    kinds = library("pgmpy.factors.discrete", needs="to_pgmpy")
    return _bayesian(net, models, kinds) if isinstance(net, BayesianNetwork) else _markov(net, models, kinds)


def _bayesian(net: BayesianNetwork, models: Any, kinds: Any) -> Any:
    out = (getattr(models, "DiscreteBayesianNetwork", None) or models.BayesianNetwork)()
    out.add_nodes_from(net.variables)
    for v, parents in net.parents.items():
        check_axes(f"the table of {v!r}", len(parents) + 1)
        out.add_edges_from((p, v) for p in parents)
        table, family = np.asarray(net.tables[v]), (v, *parents)
        columns = np.moveaxis(table, -1, 0).reshape(table.shape[-1], -1)
        names = {u: list(net.states[u]) for u in family}
        sizes = [len(names[p]) for p in parents]
        out.add_cpds(kinds.TabularCPD(v, len(columns), columns, list(parents), sizes, state_names=names))
    return out


def _markov(net: MarkovNetwork, models: Any, kinds: Any) -> Any:
    out = (getattr(models, "DiscreteMarkovNetwork", None) or models.MarkovNetwork)()
    out.add_nodes_from(net.variables)
    for scope, table in merged(net):
        out.add_edges_from(combinations(scope, 2))
        names = {v: list(net.states[v]) for v in scope}
        out.add_factors(kinds.DiscreteFactor(list(scope), list(table.shape), table, state_names=names))
    return out
