"""The price of a hidden Markov model's queries: a chain of width 1, whatever is observed."""

from __future__ import annotations

from typing import Any

import numpy as np

from tractable.kernels.threads import n_cores
from tractable.models.hidden_markov import HiddenMarkovModel
from tractable.plan._base import QUERIES, Explanation, Plan, Query
from tractable.plan.budget import MAX_SECONDS, memory_bytes

ROWS = 1000
"""The length of the sequence that is priced where none is given."""

STEP, TERM = 1.3e-7, 1.7e-10
"""Seconds of a row, and of a multiply-add: marginals of 200,000 rows with 2 to 50 states on one core of a server."""

PASSES = {"evidence": 1.0, "marginals": 3.0, "map": 1.5}
"""Products of a row with the transitions: there, back, and for their expected number."""

_METHODS = {"evidence": "forward", "marginals": "forward-backward", "map": "Viterbi"}
_COSTS = {"evidence": "forward", "marginals": "forward–backward", "map": "Viterbi"}


def plan_chains(k: int, lengths: Any, query: Query, memory: Any) -> Plan:
    """The plan of a query about sequences of these lengths, with `k` states."""
    if query not in QUERIES:
        raise ValueError(f"unknown query {query!r}; choose one of {', '.join(QUERIES)}")
    lengths = np.asarray(lengths)
    rows = float(lengths.sum())
    flops = PASSES[query] * rows * k * k
    seconds = (rows * STEP + flops * TERM) / min(n_cores(), len(lengths))
    size = rows * (16.0 * k + 16.0)
    told = f"{rows:,.0f} rows" if len(lengths) == 1 else f"{len(lengths):,} sequences of {rows:,.0f} rows in all"
    reason = f"a chain of width 1: {_COSTS[query]}, O(T K²) for {told} and K = {k} states"
    fits = size <= memory_bytes(memory) and seconds <= MAX_SECONDS
    return Plan(_METHODS[query] if fits else None, float(np.log2(k * k)), flops, size, seconds, reason, query=query)


def plan_model(model: HiddenMarkovModel, observed: Any = None, query: Query = "marginals", memory: Any = None) -> Plan:
    """The plan of a query about a sequence; `observed` is a number of rows, or the lengths of many sequences."""
    lengths = [ROWS] if observed is None else np.atleast_1d(np.asarray(observed))
    if np.asarray(lengths).dtype.kind not in "iu" or np.min(lengths) < 1:
        raise ValueError(f"what is observed of a chain is a number of rows, or several, got {observed!r}")
    return plan_chains(model.n_states, lengths, query, memory)


def explain_model(model: HiddenMarkovModel, observed: Any, query: Query | None, memory: Any) -> Explanation:
    """The plans of all queries, for a sequence of 1,000 rows unless something else is said."""
    return Explanation(tuple(plan_model(model, observed, q, memory) for q in ((query,) if query else QUERIES)))
