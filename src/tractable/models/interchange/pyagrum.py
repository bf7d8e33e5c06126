"""Networks of pyAgrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tractable.families import described
from tractable.models._base import ModelError
from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.interchange._base import Network, check_axes, library, merged, network
from tractable.models.markov_network import MarkovNetwork


def from_pyagrum(model: Any, *, normalize: bool = False) -> Network:
    """A network of pyAgrum as one of this library: labels of its variables, of whatever type, become states.

    A ``BayesNet`` becomes a `BayesianNetwork`, with parents in the order in which pyAgrum has them; a
    ``MarkovRandomField`` a `MarkovNetwork`.

    Parameters
    ----------
    normalize : whether rows are divided by their sums.

    Raises
    ------
    ModelError : rows that do not sum to one. TypeError : not one of these.

    Examples
    --------
    >>> net = tr.BayesianNetwork({}, "rain{no|yes}", {"rain": [0.8, 0.2]})
    >>> try:
    ...     tr.from_pyagrum(tr.to_pyagrum(net)).tables["rain"].tolist()
    ... except ModuleNotFoundError:
    ...     [0.8, 0.2]  # without pyAgrum
    [0.8, 0.2]
    """
    kind = {base.__name__ for base in type(model).__mro__}
    if "BayesNet" in kind:
        return _directed(model, normalize)
    if kind & {"MarkovRandomField", "MarkovNet"}:
        return _undirected(model)
    raise TypeError(f"expected a BayesNet or a MarkovRandomField of pyAgrum, got {described(model)}")


def _directed(model: Any, normalize: bool) -> BayesianNetwork:
    parents, tables = {}, {}
    for node in sorted(model.nodes()):
        name, (scope, table) = model.variable(node).name(), _array(model.cpt(node))
        own = [v for v in scope if v != name]
        parents[name], tables[name] = own, np.transpose(table, [scope.index(v) for v in (*own, name)])
    return BayesianNetwork(_states(model), parents, tables, _name(model), normalize=normalize)


def _undirected(model: Any) -> MarkovNetwork:
    return MarkovNetwork(_states(model), [_array(model.factor(set(scope))) for scope in model.factors()], _name(model))


def _states(model: Any) -> dict[str, tuple[str, ...]]:
    variables = [model.variable(node) for node in sorted(model.nodes())]
    return {variable.name(): tuple(variable.labels()) for variable in variables}


def _name(model: Any) -> str:
    return model.propertyWithDefault("name", "") or "network"


def _array(table: Any) -> tuple[list[str], np.ndarray]:
    """The variables of a table and its numbers; pyAgrum's arrays have the axes in the opposite order."""
    scope = [table.variable(k).name() for k in range(table.nbrDim())]
    return scope, np.transpose(np.asarray(table.toarray(), np.float64))


def to_pyagrum(net: Network) -> Any:
    """The network as pyAgrum has it: a ``BayesNet``, or a ``MarkovRandomField``.

    Numbers, names of states and the order of parents are kept, `ties` and `fixed` are not. Factors of a Markov network
    over the same variables are multiplied, constants go into one of the others; log Z stays what it is.

    Raises
    ------
    ModuleNotFoundError : pyAgrum is not installed. TypeError : another kind of model.

    Examples
    --------
    >>> net = tr.MarkovNetwork({"a": "01", "b": "01"}, [("ab", [[1.0, 2.0], [3.0, 4.0]])])
    >>> try:
    ...     tr.from_pyagrum(tr.to_pyagrum(net)).factors[0].table.tolist()
    ... except ModuleNotFoundError:
    ...     [[1.0, 2.0], [3.0, 4.0]]  # without pyAgrum
    [[1.0, 2.0], [3.0, 4.0]]
    """
    network(net, "to_pyagrum")
    gum = library("pyagrum", "pyAgrum", needs="to_pyagrum")
    return _bayesian(net, gum) if isinstance(net, BayesianNetwork) else _markov(net, gum)


def _bayesian(net: BayesianNetwork, gum: Any) -> Any:
    out = gum.BayesNet(net.name)
    node = _added(out, net, gum)
    for v, parents in net.parents.items():
        check_axes(f"the table of {v!r}", len(parents) + 1)
        for p in parents:
            out.addArc(node[p], node[v])
        _fill(out.cpt(node[v]), (*parents, v), np.asarray(net.tables[v]))
    return out


def _markov(net: MarkovNetwork, gum: Any) -> Any:
    out = gum.MarkovRandomField(net.name)
    node = _added(out, net, gum)
    for scope, table in merged(net):
        _fill(out.addFactor({node[v] for v in scope}), scope, table)
    return out


def _added(out: Any, net: Network, gum: Any) -> dict[str, int]:
    """The variables added to a network of pyAgrum: name → its node there."""
    if "" in net.states:
        raise ModelError("pyAgrum has no variable without a name; rename it")
    made = {v: gum.LabelizedVariable(v, "", list(states)) for v, states in net.states.items()}
    for v, variable in made.items():
        if variable.name() != v or tuple(variable.labels()) != net.states[v]:  # they end at a NUL
            raise ModelError(f"variable {v!r}: pyAgrum cannot hold its name and its states as they are; rename them")
    return {v: out.add(variable) for v, variable in made.items()}


def _fill(table: Any, scope: Sequence[str], numbers: np.ndarray) -> None:
    """Copy numbers with the axes `scope` into a table of pyAgrum, whose last variable varies slowest."""
    order = [table.variable(k).name() for k in range(table.nbrDim())]
    axes = [scope.index(v) for v in reversed(order)]
    table.fillWith(np.ascontiguousarray(np.transpose(numbers, axes)).ravel().tolist())
