"""Models at another temperature: every factor to a power."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from tractable.models._base import ModelError
from tractable.models.bayesian_network import BayesianNetwork
from tractable.models.markov_network import MarkovNetwork
from tractable.models.sparse_tables import SparseTable

if TYPE_CHECKING:
    from tractable.models.boltzmann_machine import Boltzmann


@overload
def scaled(model: BayesianNetwork | MarkovNetwork, beta: float) -> MarkovNetwork: ...
@overload
def scaled(model: Boltzmann, beta: float) -> Boltzmann: ...


def scaled(model: Any, beta: float) -> Any:
    """The model at the inverse temperature β: p̃(x)^β, whose log p̃ is β times that of the model.

    Of a Boltzmann machine (general, restricted, deep) a machine with all fields and couplings, the offset and the
    precisions of Gaussian units times β; of a Markov network one with all tables to the power β, and so of a Bayesian
    network, whose tables are no probabilities then.

    Parameters
    ----------
    beta : 1 / temperature: below one flatter, above one sharper, zero uniform.

    Raises
    ------
    ModelError : a model of another family; β that is no finite number, or zero or less where a real-valued unit or an
        entry of zero has no such power.

    Examples
    --------
    >>> import math
    >>> machine = tr.restricted(couplings=[[2.0]])
    >>> round(math.exp(tr.log_partition(tr.scaled(machine, 0.5))) - math.e, 9)  # three states of 1, one of e^(2 · 0.5)
    3.0
    >>> tr.scaled(tr.MarkovNetwork({"a": "01"}, [("a", [1.0, 3.0])]), 2).factors[0].table.tolist()
    [1.0, 9.0]
    """
    if isinstance(beta, bool) or not isinstance(beta, int | float | np.integer | np.floating) or not np.isfinite(beta):
        raise ModelError(f"beta must be a finite number, one over the temperature, got {beta!r}")
    if isinstance(model, BayesianNetwork):
        factors = [((*model.parents[v], v), model.tables[v]) for v in model.variables]
        model = MarkovNetwork(model.states, factors, model.name)
    if isinstance(model, MarkovNetwork):
        return MarkovNetwork(model.states, [(f.scope, _power(f, float(beta))) for f in model.factors], model.name)  # type: ignore
    if getattr(model, "family", None) != "boltzmann":
        name = type(model).__name__
        raise ModelError(f"a {name} has no temperature: scaled is for Boltzmann machines, Markov and Bayesian networks")
    return _machine(model, float(beta))


def _power(factor: Any, beta: float) -> Any:
    sparse = isinstance(factor.table, SparseTable)
    if beta <= 0 and (factor.table.nnz < factor.table.size if sparse else not factor.table.all()):
        raise ModelError(f"the factor over ({', '.join(factor.scope)}) has an entry of zero: beta must be positive")
    with np.errstate(over="ignore"):
        return factor.table.mapped(factor.table.values**beta) if sparse else factor.table**beta


def _machine(model: Any, beta: float) -> Any:
    times = lambda a: (np.asarray(a) * beta).astype(np.asarray(a).dtype)  # noqa: E731
    units = {name: own.scaled(beta) for name, own in model.units.items()}
    fields = {name: times(b) for name, b in model.fields.items()}
    couplings = {pair: times(w) for pair, w in model.couplings.items()}
    return replace(model, units=units, fields=fields, couplings=couplings, offset=times(model.offset))
