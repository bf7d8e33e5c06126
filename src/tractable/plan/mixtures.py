"""The price of a mixture's queries: one softmax, whatever is observed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tractable.models.mixture import Mixture
from tractable.plan._base import QUERIES, Explanation, Plan, Query

SECONDS = 1e-9
"""Of a multiply-add: half of what a column takes in one component, 0.1 ns (Bernoulli) to 2.7 ns (full Gaussian)."""


def plan_model(model: Mixture, observed: Any = None, query: Query = "marginals", memory: Any = None) -> Plan:
    """The plan of a query about one row of a mixture, of which some columns are observed."""
    if query not in QUERIES:
        raise ValueError(f"unknown query {query!r}; choose one of {', '.join(QUERIES)}")
    k, d = model.n_components, max(model.n_columns, 1)
    names = (observed,) if isinstance(observed, str) else tuple(map(str, observed or ()))
    reason = (
        f"one hidden variable with {k} states that every column hangs on: its posterior is one softmax of"
        f" log weight + log p(row | component), O(K d); columns that are missing sum to one"
    )
    flops = 2.0 * k * d
    return Plan("closed form", float(np.log2(k)), flops, 8.0 * k, SECONDS * flops, reason, query=query, observed=names)


def explain_model(model: Mixture, observed: Iterable[str] | None, query: Query | None, memory: Any) -> Explanation:
    """The plans of all queries, with every column observed unless something else is said."""
    given = [f"{model.n_columns} columns"] if observed is None else observed
    return Explanation(tuple(plan_model(model, given, q, memory) for q in ((query,) if query else QUERIES)))
