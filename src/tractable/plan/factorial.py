"""The price of a factorial hidden Markov model's queries: what is observed joins the chains, row by row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tractable.kernels.threads import n_cores
from tractable.models._base import check_known
from tractable.models.factorial_hidden_markov import FactorialHiddenMarkovModel
from tractable.plan._base import (
    QUERIES,
    Alternative,
    Ask,
    Plan,
    Query,
    check_exact,
    check_method,
    check_query,
    n_ranks,
    within,
)
from tractable.plan.chains import ROWS, log2_paths
from tractable.plan.chains import STEP as CHAIN_STEP
from tractable.plan.chains import TERM as CHAIN_TERM

STEP, STATE, TERM = 4e-7, 4e-9, 7e-10
"""Seconds of a row, of a joint state in a row, and of a multiply-add; rough."""

PASSES = {"evidence": 1.0, "map": 4.0, "sample": 4.0, "filtering": 1.0}
"""Products with the transitions of all chains; five for marginals: there (twice), back, and for expected numbers."""

SWEEPS = 30
"""Of an approximation, until it settles; few need more."""

BLOCK = 2.0**21
"""Bytes up to which all rows of a sequence are held; beyond, about three times the root of their number."""

_NAMES = {"evidence": "joint forward", "map": "joint Viterbi", "sample": "joint forward, drawn backward"}
_NAMES |= {"filtering": "joint forward"}
SMOOTHED = "joint forward-backward"
APPROXIMATE = {
    "structured": Alternative(
        "structured", "bound", "each chain by itself: ELBO ≤ log p(x), and a bound above; O(T Σk²) a sweep"
    ),
    "mean_field": Alternative(
        "mean_field", "bound", "each state of each chain by itself: a lower ELBO, in the same time"
    ),
}


METHODS = ("auto", "exact", *APPROXIMATE)


def plan_factorial(sizes: Sequence[int], lengths: Any, ask: Ask, n_patterns: int = 1) -> Plan:
    """The plan of a query about sequences of these lengths, for chains of these numbers of states.

    `n_patterns` is the number of different sets of missing entries that rows have.
    """
    check_method(ask.method, METHODS)
    check_exact(ask, METHODS[1:2])
    lengths = np.asarray(lengths)
    bounded = ask.query == "evidence" and ask.method == "auto" and ask.patience < np.inf
    limit = ask.exactly if bounded else ask.budget  # only log p(x) has bounds that say how far off they are
    if ask.method in APPROXIMATE:
        return _approximate(sizes, lengths, ask.method, ask)
    query = "map" if ask.query == "filtering" and ask.n else ask.query  # a lag keeps all rows, as paths do
    flops, size, seconds = _price(sizes, lengths, query, n_patterns)
    size += 8.0 * _n_paths(sizes, lengths, ask) * float(lengths.sum()) * len(sizes)
    told = (float(np.sum(np.log2(sizes))), flops, size, seconds, lambda: _why(sizes, lengths))
    more = {"query": ask.query, "n": ask.n, "budget": limit, "structure": tuple(sizes)}
    more["given"] = tuple(lengths.tolist())
    if size <= limit.memory and seconds <= limit.seconds:
        return Plan(_NAMES.get(ask.query, SMOOTHED), *told, **more)
    if bounded:
        return _approximate(sizes, lengths, "structured", ask)
    advice = _advice(sizes, lengths, n_patterns, ask)
    return Plan(None, *told, tuple(APPROXIMATE.values()), advice, **more)


def plan_nothing(sizes: Sequence[int], ask: Ask) -> Plan:
    """The plan where no sequence is given: the chains do not touch, and p sums to one."""
    rows = float(ask.n) if ask.query == "sample" else 0.0
    flops, size = 2.0 * rows * float(np.sum(sizes)), 96.0 * rows * float(np.sum(sizes))
    more = {"query": ask.query, "n": ask.n, "budget": ask.budget, "structure": tuple(sizes)}
    reason = "nothing is observed: the chains do not touch"
    return within(Plan("ancestral", 0.0, flops, size, 1e-8 * flops, reason, **more), size)


def _price(sizes: Sequence[int], lengths: np.ndarray, query: str, n_patterns: int) -> tuple[float, float, float]:
    """Multiply-adds, bytes and seconds."""
    joint, states, rows = float(np.prod(np.asarray(sizes, float))), float(np.sum(sizes)), float(lengths.sum())
    at_once = min(n_cores(), len(lengths))
    flops = PASSES.get(query, 5.0) * rows * joint * states
    seconds = (PASSES.get(query, 5.0) * rows * (STEP + joint * STATE) + flops * TERM) / at_once
    longest = float(lengths.max())
    held = 2 * longest if longest * joint * 16 <= BLOCK else 3 * np.sqrt(longest) + 2
    kept = 3 * rows if query in ("map", "sample") else at_once * held + (1 + min(len(lengths), 8)) * n_patterns
    return flops, 8.0 * (joint * (kept + len(sizes) + 8) + 6 * rows * states), seconds


def _n_paths(sizes: Sequence[int], lengths: np.ndarray, ask: Ask) -> int:
    """How many paths are held, of each chain: samples, or the best."""
    best = n_ranks(ask.n, log2_paths(math.prod(sizes), lengths)) if ask.query == "map" else 0
    return ask.n if ask.query == "sample" else best


def _why(sizes: Sequence[int], lengths: np.ndarray) -> str:
    m, joint = len(sizes), float(np.prod(np.asarray(sizes, float)))
    states = f"{sizes[0]}^{m}" if len(set(sizes)) == 1 else "·".join(map(str, sizes))
    rows = f"{lengths.sum():,} rows"
    if m == 1:
        return f"one chain of {sizes[0]} states, of width 1: forward–backward for {rows}"
    return (
        f"observing x_t joins the {m} chains at every t (a v-structure: explaining away), so their {states} ="
        f" {joint:,.6g} states are held jointly, a chain of width {m}; a step moves one chain at a time:"
        f" O(T M k^(M+1)) for {rows}"
    )


def _advice(sizes: Sequence[int], lengths: np.ndarray, n_patterns: int, ask: Ask) -> tuple[str, ...]:
    """The fewest chains whose states, if they were known, would bring the query within the budget: the widest ones."""
    order = np.argsort(-np.asarray(sizes), kind="stable")
    for n in range(1, len(sizes) + 1):
        left = [sizes[m] for m in sorted(order[n:])] or [1]
        _, size, seconds = _price(left, lengths, ask.query, n_patterns)
        if size <= ask.budget.memory and seconds <= ask.budget.seconds:
            return tuple(f"chain{m}" for m in sorted(order[:n].tolist()))
    return ()


def _approximate(sizes: Sequence[int], lengths: np.ndarray, method: str, ask: Ask) -> Plan:
    """The plan of an approximation: one that was asked for, or that answers in place of exact sums."""
    rows, states = float(np.sum(lengths)), float(np.sum(np.square(sizes)))
    flops = SWEEPS * rows * (3 * states + float(np.sum(sizes)) ** 2)
    seconds = SWEEPS * len(sizes) * rows * CHAIN_STEP + flops * CHAIN_TERM
    asked = "was asked for" if method == ask.method else "answers where joint states are too many"
    reason = f"{method} {asked}: {APPROXIMATE[method].note.partition(':')[0]}, about {SWEEPS} sweeps"
    more = {"query": ask.query, "n": ask.n, "budget": ask.budget, "structure": tuple(sizes)}
    more["given"] = tuple(lengths.tolist())
    size = 80.0 * rows * float(np.sum(sizes))
    return within(Plan(method, float(np.log2(max(sizes))), flops, size, seconds, reason, **more), size)


def plan_model(model: FactorialHiddenMarkovModel, observed: Any, ask: Ask) -> Plan:
    """The plan of a query about a sequence; `observed` is a number of rows, lengths of many, or names of chains."""
    check_query(ask.query, (*QUERIES, "sample"))
    names, lengths = _read(model, observed)
    left = [k for name, k in zip(model.chains, model.sizes, strict=True) if name not in names] or [1]
    return plan_factorial(left, lengths, ask)


def _read(model: FactorialHiddenMarkovModel, observed: Any) -> tuple[list[str], np.ndarray]:
    """The chains and the lengths of sequences in what is said to be observed."""
    given = [observed] if np.ndim(observed) == 0 else list(observed)
    names = [name for name in given if isinstance(name, str)]
    check_known(names, dict.fromkeys(model.chains))
    lengths = np.asarray([n for n in given if not isinstance(n, str | None)] or [ROWS])
    if lengths.dtype.kind not in "iu" or lengths.min() < 1:
        raise ValueError(f"what is observed is a number of rows, or several, and names of chains; got {observed!r}")
    return names, lengths


def explained(model: FactorialHiddenMarkovModel, observed: Any, query: Query | None) -> list[tuple[Any, Query]]:
    """All queries, for a sequence of 1,000 rows unless something else is said."""
    return [(observed, q) for q in ((query,) if query else QUERIES)]
