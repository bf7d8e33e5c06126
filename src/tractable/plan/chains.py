"""The price of a hidden Markov model's queries: a chain of width 1, whatever is observed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from tractable.kernels.threads import n_cores
from tractable.models._base import ModelError
from tractable.models.hidden_markov import HiddenMarkovModel
from tractable.plan._base import QUERIES, Ask, Plan, Query, check_method, check_query, n_ranks

ROWS = 1000
"""The length of the sequence that is priced where none is given."""

STEP, TERM = 1.3e-7, 1.7e-10
"""Seconds of a row, and of a multiply-add: marginals of 200,000 rows with 2 to 50 states on one core of a server."""

PASSES = {"evidence": 1.0, "map": 1.5, "sample": 1.5, "filtering": 1.0}
"""Products of a row with the transitions: there, back, and for their expected number; three of them for marginals."""

_NAMES = {"evidence": "forward", "map": "Viterbi", "sample": "forward, drawn backward", "filtering": "forward"}
SMOOTHED = "forward-backward"
METHODS = ("auto", "exact", "sequential", "associative")
"""``"sequential"`` runs in C; ``"associative"`` is a parallel scan for accelerators."""


def plan_chains(k: int, lengths: Any, ask: Ask) -> Plan:
    """The plan of a query about sequences of these lengths, with `k` states; its program is the name of the scan."""
    check_method(ask.method, METHODS)
    lengths, query, limit = np.asarray(lengths), ask.query, ask.budget
    name = _NAMES.get(query, SMOOTHED)
    rows = float(lengths.sum())
    ahead = ask.n if query == "filtering" else 0
    flops = (PASSES.get(query, 3.0) + ahead) * rows * k * k
    size = rows * (16.0 * k + 16.0) + (8.0 * ask.n * rows if query == "sample" else 0.0)
    if query == "map":
        paths = n_ranks(ask.n, log2_paths(k, lengths))  # each is traced, and the ways to leave it are looked at
        size, flops = size + paths * (4.0 * rows + 56.0 * len(lengths)), flops + 4.0 * paths * rows * k
    seconds = (rows * STEP + flops * TERM) / max(min(n_cores(), len(lengths)), 1)
    told = f"{rows:,.0f} rows" if len(lengths) == 1 else f"{len(lengths):,} sequences of {rows:,.0f} rows in all"
    reason = f"a chain of width 1: {name.replace('-', '–')}, O(T K²) for {told} and K = {k} states"
    method = name if size <= limit.memory and seconds <= limit.seconds else None
    scan = METHODS[2] if ask.method in METHODS[:2] else ask.method
    more = {
        "given": tuple(lengths.tolist()),
        "query": query,
        "n": ask.n,
        "program": scan,
        "budget": limit,
        "structure": k,
    }
    return Plan(method, float(np.log2(k * k)), flops, size, seconds, reason, **more)


def log2_paths(k: int, lengths: Any) -> float:
    """log2 of the number of paths of the longest sequence."""
    return float(np.max(lengths)) * math.log2(k)


def plan_nothing(k: int, ask: Ask) -> Plan:
    """The plan where no sequence is given: p sums to one, and samples are a walk."""
    if ask.query == "sample":
        return replace(plan_chains(k, [max(ask.n, 1)], ask._replace(n=1)), n=ask.n)
    more = {"query": ask.query, "budget": ask.budget, "structure": k}
    return Plan("constant", 0.0, 0.0, 0.0, 0.0, "nothing is observed: p sums to one", **more)


def plan_model(model: HiddenMarkovModel, observed: Any, ask: Ask) -> Plan:
    """The plan of a query about a sequence; `observed` is a number of rows, or the lengths of many sequences."""
    check_query(ask.query, (*QUERIES, "sample"))
    lengths = [ROWS] if observed is None else np.atleast_1d(np.asarray(observed))
    if np.asarray(lengths).dtype.kind not in "iu" or np.min(lengths) < 1:
        told = " ".join(f"{observed!r:.60}".split())
        raise ModelError(f"what is observed of a chain is a number of rows, or several, got {told}")
    return plan_chains(model.n_states, lengths, ask)


def explained(model: HiddenMarkovModel, observed: Any, query: Query | None) -> list[tuple[Any, Query]]:
    """All queries, for a sequence of 1,000 rows unless something else is said."""
    return [(observed, q) for q in ((query,) if query else QUERIES)]
