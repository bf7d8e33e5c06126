"""Graph + query + budget -> Plan: the only place that says yes or no, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tractable.families import leaf
from tractable.models._base import ModelError
from tractable.plan._base import (
    QUERIES,
    Alternative,
    Apart,
    Ask,
    Beside,
    Budget,
    BudgetError,
    ByTarget,
    ContractionTree,
    Explanation,
    Instead,
    Plan,
    Query,
    adopted,
    allowed,
    check_method,
    check_query,
)
from tractable.plan.budget import Memory, ask

__all__ = [
    "QUERIES",
    "Alternative",
    "Apart",
    "Ask",
    "Beside",
    "Budget",
    "BudgetError",
    "ByTarget",
    "ContractionTree",
    "Explanation",
    "Instead",
    "Plan",
    "Query",
    "adopted",
    "allowed",
    "ask",
    "check_method",
    "check_query",
    "explain",
    "plan",
]

Observed = Iterable[Any] | Mapping[str, Any] | int | None


def plan(
    model: Any,
    observed: Observed = None,
    query: Query = "marginals",
    memory: Memory = None,
    seconds: float | None = None,
    targets: Iterable[str] | None = None,
) -> Plan:
    """Price a query before it runs: which exact method answers, at what cost, or why none does and what would.

    Where the exact answer of a network is refused, marginals and log Z are intervals: the alternative ``mini_buckets``
    says how wide these will be after 10 and 60 seconds, which a pilot has tried. `infer` does not wait for a refusal
    and takes the interval where more than 30 seconds are predicted, or `seconds`; a plan handed to it runs as it is.

    Parameters
    ----------
    model : a model of any family.
    observed : of Bayesian networks and Markov networks names of the variables that will be observed, or a mapping of
        them to states; with states the price takes into account what the zeros of the tables rule out. Of Boltzmann
        machines (general, restricted, deep), sigmoid belief networks, deep belief networks and Helmholtz machines names
        of groups or of units (``"hidden3"`` of a machine, ``"hidden1.3"`` of layers), or group → values. Of mixtures
        names of columns. Of hidden Markov models the number of rows of each sequence, of factorial hidden Markov models
        these or names of chains.
    query : ``"marginals"`` (log Z and every posterior marginal), ``"evidence"`` (log Z alone), ``"map"`` or
        ``"sample"``; for a Boltzmann machine also ``"gradient"``.
    memory : budget in bytes or as text (``"4GiB"``); half of the machine's memory by default.
    seconds : predicted seconds beyond which a query is refused; an hour by default.
    targets : of a network the variables whose marginals are asked for; None for all. What does not matter to these is
        left out, and where one sweep for all is too wide they are planned in groups.

    Returns
    -------
    Plan : ``method`` is None where the budget refuses an exact answer, ``refused`` has the variables that it refuses
        while it allows others. Handed to a verb as its ``method``, it is what runs.

    Raises
    ------
    ModelError : unknown variable or state, targets of a model that is no network. ValueError : unknown query,
        unreadable budget.

    Examples
    --------
    >>> chain = tr.MarkovNetwork({v: "01" for v in "abc"}, [("ab", [[1, 2], [3, 4]]), ("bc", [[1, 2], [3, 4]])])
    >>> found = tr.plan(chain, observed=["b"])
    >>> found.method, tr.infer(chain, {"b": "1"}, method=found).plan is found
    ('elimination', True)
    """
    pricing = leaf(model, "plan")
    if targets is not None and not hasattr(pricing, "targets_of"):
        raise ModelError(
            f"a {type(model).__name__} has no targets: networks have them; all its marginals have one price"
        )
    return pricing.plan_model(model, observed, ask(query, memory, seconds, targets=targets))


def explain(
    model: Any,
    observed: Observed = None,
    query: Query | None = None,
    memory: Memory = None,
    seconds: float | None = None,
    targets: Iterable[str] | None = None,
) -> Explanation:
    """The plans of all of a model's queries (or of one); prints as a table.

    Of Bayesian networks and Markov networks, mixtures, hidden Markov models and factorial hidden Markov models the
    posterior, the evidence and the most probable states. Of Boltzmann machines (general, restricted, deep) p(hidden |
    visible), log Z and its gradient. Of sigmoid belief networks, deep belief networks and Helmholtz machines
    p(hidden | visible), log p(visible), and log Z where nothing is observed. `observed`, the budget and `targets` as
    for `plan`.

    Raises
    ------
    ModelError : unknown variable or state. ValueError : unknown query, unreadable budget.

    Examples
    --------
    >>> net = tr.MarkovNetwork({"a": "01"}, [("a", [1.0, 3.0])])
    >>> [p.query for p in tr.explain(net)]
    ['marginals', 'evidence', 'map']
    """
    asked = leaf(model, "plan").explained(model, observed, query)
    return Explanation(tuple(plan(model, given, q, memory, seconds, targets) for given, q in asked))
