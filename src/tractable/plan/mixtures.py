"""The price of a mixture's queries: one softmax, whatever is observed."""

from __future__ import annotations

from typing import Any

import numpy as np

from tractable.models.mixture import Mixture
from tractable.models.rows import as_names, unknown_column
from tractable.plan._base import QUERIES, Ask, Plan, Query, check_method, check_query, within

SECONDS = 1e-9
"""Of a multiply-add: half of what a column takes in one component, 0.1 ns (Bernoulli) to 2.7 ns (full Gaussian)."""

METHODS = ("auto", "exact", "closed form")


def plan_model(model: Mixture, observed: Any, ask: Ask) -> Plan:
    """The plan of a query about one row of a mixture, of which some columns are observed."""
    check_query(ask.query, (*QUERIES, "sample"))
    names = tuple(as_names(observed) or ())
    known = model.named.names if model.named else names
    if unknown := [name for name in names if name not in known]:
        raise unknown_column(unknown[0], known)
    return plan_rows(model, names, ask, 1)


def plan_rows(model: Mixture, observed: tuple[str, ...], ask: Ask, n_rows: int) -> Plan:
    """The plan of a query about rows."""
    check_method(ask.method, METHODS)
    k, d = model.n_components, max(model.n_columns, 1)
    reason = (
        f"one hidden variable with {k} states that every column hangs on: its posterior is one softmax of"
        f" log weight + log p(row | component), O(K d); columns that are missing sum to one"
    )
    flops, size = 2.0 * k * d * n_rows, 8.0 * k * n_rows + (8.0 * ask.n * d if ask.query == "sample" else 0.0)
    more = {
        "query": ask.query,
        "n": ask.n,
        "observed": observed,
        "budget": ask.budget,
        "structure": (k, model.n_columns),
    }
    return within(Plan("closed form", float(np.log2(k)), flops, size, SECONDS * flops, reason, **more), size)


def explained(model: Mixture, observed: Any, query: Query | None) -> list[tuple[Any, Query]]:
    """All queries, with every column observed unless something else is said."""
    every = list(model.named.names) if model.named else [f"{model.n_columns} columns"]
    given = every if observed is None else observed
    return [(given, q) for q in ((query,) if query else QUERIES)]
