"""Clamping observed variables: the result is again a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from tractable.families import leaf
from tractable.models._base import ModelError
from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.evidence import Evidence, parse_evidence, with_likelihoods
from tractable.models.markov_network import Factor, MarkovNetwork
from tractable.models.sparse_tables import SMALL, SparseTable

if TYPE_CHECKING:
    from tractable.models.factorial_hidden_markov import FactorialHiddenMarkovModel
    from tractable.models.hidden_markov import HiddenMarkovModel

    SequenceModel = HiddenMarkovModel | FactorialHiddenMarkovModel
    M = TypeVar("M")

TableModel = BayesianNetwork | MarkovNetwork


@overload
def condition(model: TableModel | SequenceModel, evidence: Any) -> MarkovNetwork: ...
@overload
def condition(model: M, evidence: Any) -> M: ...


def condition(model: Any, evidence: Any) -> Any:
    """The model over the variables that stay free when the observed ones are clamped: p̃(z) = p̃(z, x).

    Its partition function is the evidence: Z(condition(m, x)) = p(x) for a Bayesian network, p̃(x) summed over the rest
    otherwise. Conditioning composes: clamping A, then B, is clamping both.

    Of Bayesian networks and Markov networks it is a `MarkovNetwork`; of hidden Markov models and factorial hidden
    Markov models one over the states at each row. Boltzmann machines (general, restricted, deep), sigmoid belief
    networks, deep belief networks, Helmholtz machines and mixtures stay what they are.

    Parameters
    ----------
    model : of any of these families.
    evidence : one case: variable to a state or to soft evidence (`likelihood`); values of the visible units or
        group → values; a row or a sequence. NaN stays free.

    Raises
    ------
    ModelError : unknown variable or state, or more than one case.

    Examples
    --------
    >>> net = tr.MarkovNetwork({"a": "01", "b": "01"}, [(("a", "b"), [[1.0, 2.0], [3.0, 4.0]])])
    >>> tr.condition(net, {"a": "1"}).factors[0]
    Factor(scope=('b',), table=array([3., 4.]))
    """
    if getattr(model, "family", None) != "tables":
        return leaf(model, "models").condition(model, evidence)
    found = one_case(model, evidence)
    names = list(model.states)
    factors = []
    tables = with_likelihoods(model.outline, found.likelihoods)
    for j in range(tables.n_factors):
        scope = tables.scope(j)
        chosen = found.states[scope]
        table = model.sparse[j] if j in model.sparse else tables.table(j)
        factors.append(Factor(tuple(names[v] for v in scope[chosen < 0]), _clamped(table, chosen)))
    states = {v: s for v, s, x in zip(names, model.states.values(), found.states, strict=True) if x < 0}
    return MarkovNetwork(states, factors, name=model.name)


def _clamped(table: Any, states: np.ndarray) -> Any:
    """A table over what stays free, −1, where the others have these states."""
    if isinstance(table, SparseTable):
        cut = table.cut(states.tolist())
        return cut if cut.size > SMALL else cut.dense()
    if (states < 0).all():
        return table
    if table.ndim != len(states):
        raise ModelError(f"a table over {len(states)} variables is too wide to condition")
    return table[tuple(slice(None) if s < 0 else s for s in states.tolist())]


def one_case(model: TableModel, evidence: Any) -> Evidence:
    """The evidence of a single case, read against the model's states."""
    found = parse_evidence(model.states, evidence)
    if found.many:
        raise ModelError("this needs one case, the evidence holds many; use infer for a batch")
    return found
