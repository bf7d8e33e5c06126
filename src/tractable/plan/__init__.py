"""Graph + query + budget -> Plan: the only place that says yes or no, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from tractable.graph import Graph
from tractable.kernels import Reduced, Scopes
from tractable.models import Evidence, TableModel, one_case, parse_evidence, reduce_model
from tractable.models._base import check_known
from tractable.plan._base import QUERIES, Alternative, BudgetError, ContractionTree, Explanation, Plan, Query
from tractable.plan.budget import MAX_SECONDS, SWEEPS, memory_bytes, predicted_bytes, predicted_seconds
from tractable.plan.reasons import ALTERNATIVES, why
from tractable.plan.search import find_tree, first_tree
from tractable.plan.slicing import advice, sliced

__all__ = ["Alternative", "BudgetError", "ContractionTree", "Explanation", "Plan", "Query", "explain", "plan"]

Observed = Iterable[str] | Mapping[str, Any] | None


def plan(
    model: TableModel | Any,
    observed: Observed = None,
    query: Query = "marginals",
    memory: int | float | str | None = None,
) -> Plan:
    """Price a query before it runs: which exact method answers, at what cost, or why none does and what would.

    Parameters
    ----------
    model : BayesianNetwork or MarkovNetwork.
    observed : names of the variables that will be observed, or a mapping of them to states; with states the price takes
        into account what the zeros of the tables rule out.
    query : ``"marginals"`` (log Z and every posterior marginal), ``"evidence"`` (log Z alone) or ``"map"``.
    memory : budget in bytes or as text (``"4GiB"``); half of the machine's memory by default.

    Returns
    -------
    Plan : ``method`` is None where the budget refuses the query.

    Raises
    ------
    ModelError : unknown variable or state. ValueError : unknown query, unreadable memory budget.

    Examples
    --------
    >>> import tractable as tr
    >>> chain = tr.MarkovNetwork({v: "01" for v in "abc"}, [("ab", [[1, 2], [3, 4]]), ("bc", [[1, 2], [3, 4]])])
    >>> tr.plan(chain, observed=["b"]).method
    'elimination'
    """
    if model.family != "tables":
        return _leaf(model).plan_model(model, observed, query, memory)
    if query not in QUERIES:
        raise ValueError(f"unknown query {query!r}; choose one of {', '.join(QUERIES)}")
    if isinstance(observed, Mapping):
        evidence = one_case(model, observed)
        return plan_reduced(model, reduce_model(model, evidence, query == "evidence"), evidence, query, memory)
    names = (observed,) if isinstance(observed, str) else tuple(observed or ())
    check_known(names, model.states)
    return plan_reduced(model, reduce_model(model, parse_evidence(model.states, None)), names, query, memory)


def plan_reduced(
    model: TableModel,
    reduced: Reduced,
    given: Evidence | Sequence[str],
    query: Query,
    memory: int | float | str | None,
    at_once: bool = False,
) -> Plan:
    """The plan for a network conditioned already, or for one of which only the observed names are known.

    `at_once` takes the first tree, which is what `kernels.answer` has run.
    """
    observed = _names(model, given)
    if reduced.impossible:
        return Plan("constant", 0, 0, 0, 0, "the evidence is impossible: the zeros alone rule it out", query=query)
    hidden = () if isinstance(given, Evidence) else tuple(int(reduced.index[i]) for i in _positions(model, given))
    scopes = _scopes(reduced, tuple(v for v in hidden if v >= 0))
    if scopes.m == 0:
        reason = "every variable is independent of the others" if reduced.tables.sizes.size else "nothing is left free"
        return Plan("independent", 0, scopes.n, 8.0 * scopes.n, 1e-5, reason, query=query, observed=observed)
    context = (lambda: _free_names(model, reduced)), model.graph, observed, query, memory_bytes(memory)
    found = first_tree(scopes) if at_once else None
    return price(scopes, *context) if found is None else priced(found, *context)


def price(
    scopes: Scopes,
    names: Callable[[], Sequence[str]],
    graph: Graph,
    observed: tuple[str, ...],
    query: Query,
    memory: float,
) -> Plan:
    """The plan for scopes over named variables: search a tree, slice it, refuse what is over the budget."""
    tree = sliced(scopes, find_tree(scopes, query, memory), query, memory)
    return priced(tree, names, graph, observed, query, memory)


def priced(
    tree: ContractionTree,
    names: Callable[[], Sequence[str]],
    graph: Graph,
    observed: tuple[str, ...],
    query: Query,
    memory: float,
) -> Plan:
    """The plan that runs this tree, or refuses to."""
    scopes = tree.scopes
    size = predicted_bytes(tree.cost, query, tree.slices)
    seconds = predicted_seconds(tree.cost, scopes.m - 1, query, tree.slices)
    common = {
        "width": float(tree.cost[1]),
        "flops": float(SWEEPS[query] * tree.cost[0] * tree.slices),
        "bytes": size,
        "seconds": seconds,
        "reason": lambda: why(scopes, names(), tree, graph, observed),
        "query": query,
        "observed": observed,
        "slices": tree.slices,
        "tree": tree,
    }
    if size <= memory and seconds <= MAX_SECONDS:
        return Plan("elimination", **common)
    known = names()
    found = tuple(known[v] for v in advice(scopes, tree, query, memory))
    return Plan(None, alternatives=ALTERNATIVES, advice=found, **common)


def allowed(plan: Plan) -> Plan:
    """The plan, unless the budget refused it."""
    if plan.method is None:
        raise BudgetError(plan)
    return plan


def explain(
    model: TableModel | Any,
    observed: Observed = None,
    query: Query | None = None,
    memory: int | float | str | None = None,
) -> Explanation:
    """The plans of all of a model's queries (or of one); prints as a table.

    Raises
    ------
    ModelError : unknown variable or state. ValueError : unknown query, unreadable memory budget.

    Examples
    --------
    >>> import tractable as tr
    >>> net = tr.MarkovNetwork({"a": "01"}, [("a", [1.0, 3.0])])
    >>> [p.query for p in tr.explain(net)]
    ['marginals', 'evidence', 'map']
    """
    if model.family != "tables":
        return _leaf(model).explain_model(model, observed, query, memory)
    return Explanation(tuple(plan(model, observed, q, memory) for q in ((query,) if query else QUERIES)))


_LEAVES = {
    "boltzmann": "machines",
    "factorial_hidden_markov": "factorial",
    "hidden_markov": "chains",
    "mixture": "mixtures",
}
_LEAVES |= dict.fromkeys(("sigmoid_belief", "deep_belief", "helmholtz"), "directed")
"""The module that plans for each other family than tables."""


def _leaf(model: Any) -> Any:
    return import_module(f"tractable.plan.{_LEAVES[model.family]}")


def _names(model: TableModel, given: Evidence | Sequence[str]) -> tuple[str, ...]:
    if not isinstance(given, Evidence):
        return tuple(given)
    return tuple(v for v, s in zip(model.states, given.states.tolist(), strict=True) if s >= 0)


def _positions(model: TableModel, names: Sequence[str]) -> list[int]:
    index = {name: i for i, name in enumerate(model.states)}
    return [index[name] for name in names]


def _free_names(model: TableModel, reduced: Reduced) -> list[str]:
    return [name for name, i in zip(model.states, reduced.index.tolist(), strict=True) if i >= 0]


def _scopes(reduced: Reduced, observed: tuple[int, ...]) -> Scopes:
    tables = reduced.tables
    if not observed:
        return Scopes(tables.sizes, tables.scope_starts, tables.scopes)
    free = ~np.isin(tables.scopes, observed)
    lengths = np.diff(np.concatenate([[0], np.cumsum(free)])[tables.scope_starts])
    starts = np.concatenate([[0], np.cumsum(lengths[lengths > 0])])
    return Scopes(tables.sizes, starts, tables.scopes[free])
