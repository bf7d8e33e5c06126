"""Rows of data about a Bayesian network: expected entries of its tables, and likelihoods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tractable.models import BayesianNetwork, ModelError
from tractable.models.emissions import Statistics
from tractable.models.observations import Observations
from tractable.models.sparse_networks import n_entries
from tractable.plan import Memory, Plan, allowed, ask
from tractable.plan._base import within
from tractable.posterior.exact.cases_of_tables import answered, planned
from tractable.posterior.exact.components import Program
from tractable.posterior.exact.layout import Layout
from tractable.posterior.expected import Expected, UnderBound

COUNT = "count"
"""The name of the only statistic: expected entries of all tables, one after the other."""


class Prepared(NamedTuple):
    """What an E-step on some rows does, whatever the numbers in the tables."""

    program: Program
    plans: Sequence[Plan]


class WeighedCases(NamedTuple):
    """What the weights of the rows say: the weight of each case, and the counts of families that hide nothing."""

    cases: np.ndarray
    counts: np.ndarray


def prepared(model: BayesianNetwork, rows: Observations, memory: Memory = None) -> Prepared:
    """Worked out once for rows of data and a structure; some rows of others share theirs."""
    whole = rows if rows.whole is None else rows.whole
    key = (tuple(model.parents.items()), tuple(map(len, model.states.values())), memory)
    return (
        whole.memo[key]
        if key in whole.memo
        else whole.memo.setdefault(key, Prepared(*planned(model, whole.states, memory)))
    )


def affordable(model: BayesianNetwork, rows: Observations, memory: Memory, q: Any = "exact") -> None:
    """Refuse E-steps that take more than `memory`: for entries and their counts, or for the tables of a row, unless
    what stands for its posterior is not summed over.

    Raises
    ------
    BudgetError : they do.
    """
    entries = float(n_entries(model))
    why = f"the network has {entries:,.0f} table entries, each with its count, and {len(rows):,} rows are summed over"
    more: dict[str, Any] = {"query": "marginals", "budget": ask("marginals", memory).budget}
    allowed(within(Plan("elimination", 0.0, entries, 0.0, 0.0, why, **more), 16.0 * entries + 8.0 * len(rows)))
    if not isinstance(q, UnderBound):
        prepared(model, rows, memory)


def expected_statistics(
    model: BayesianNetwork,
    rows: Observations,
    weights: np.ndarray | None = None,
    q: Any = "exact",
    before: Any = None,
    memory: Memory = None,
) -> Expected:
    """The E-step: for each entry of each table, in how many rows it is expected to be the one.

    Raises
    ------
    ModelError : a row of probability zero; anything to stand for the posterior, which is exact here.
    BudgetError : a row whose posterior is not affordable.
    """
    if q != "exact":
        raise ModelError(f"the posterior of a network is 'exact', 'hard' or 'mini_buckets', got {q!r}")
    found, plans = prepared(model, rows, memory)
    weight = weighed(found, rows, weights)
    theta, counts = found.layout.extended(model.packed.values), weight.counts.copy()
    log_z = answered(found, plans, theta, weight.cases, counts)
    log_p = float(weight.cases @ log_z) + times_logs(weight.counts, theta)
    if not log_p > -np.inf:
        bad = np.isneginf(log_likelihood_rows(model, rows))
        raise impossible(rows, bad if weights is None else bad & (weights > 0))
    own = Statistics({COUNT: counts[found.layout.places]})
    return Expected(own, log_p, log_p, 0.0)


def shown(model: BayesianNetwork, rows: Observations, weights: np.ndarray) -> Statistics:
    """In how many rows each entry of each table is seen whole, of these weights."""
    layout = Layout(model.packed)
    whole = ~np.array([(rows.states[:, f] < 0).any(axis=1) for f in layout.families])
    counts = _counted(layout, layout.bases(rows.states), whole, weights)
    return Statistics({COUNT: counts[layout.places]})


def log_likelihood_rows(model: BayesianNetwork, rows: Observations, memory: Memory = None) -> np.ndarray:
    """log p of what each row observes."""
    found, plans = prepared(model, rows, memory)
    weight = weighed(found, rows, None)
    theta = found.layout.extended(model.packed.values)
    log_z = answered(found, plans, theta, weight.cases, None)
    return by_rows(found, rows, theta, log_z)


def by_rows(found: Program, rows: Observations, theta: np.ndarray, log_z: np.ndarray) -> np.ndarray:
    """log p of each row from log Z of each case."""
    with np.errstate(divide="ignore"):
        log_theta = np.log(theta)
    at, closed = found.layout.bases(rows.states), _closed(found, rows)
    out = np.zeros(len(rows))
    for base, there in zip(at, closed, strict=True):
        out += np.where(there, log_theta[base], 0.0)
    places, cases = needs(found, rows)
    return out + np.bincount(places, log_z[cases], minlength=len(rows))


def weighed(found: Program, rows: Observations, weights: np.ndarray | None) -> WeighedCases:
    """Kept for rows that are looked at again with the same weights."""
    key = "weighed", id(found)
    if key in rows.memo and rows.memo[key][0] is weights:
        return rows.memo[key][1]
    w = np.ones(len(rows)) if weights is None else weights
    counts = _counted(found.layout, found.layout.bases(rows.states), _closed(found, rows), w)
    places, cases = needs(found, rows)
    weight = WeighedCases(np.bincount(cases, w[places], minlength=found.n_cases), counts)
    rows.memo[key] = weights, weight
    return weight


def _counted(layout: Layout, bases: np.ndarray, there: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How often each entry is read, where a family is `there` [n_families, n_rows]."""
    counts = np.zeros(layout.n_entries)
    for start, end, base, own in zip(layout.starts[:-1], layout.starts[1:], bases, there, strict=True):
        counts[start:end] = np.bincount(base[own] - start, weights[own], minlength=int(end - start))
    return counts


def _closed(found: Program, rows: Observations) -> np.ndarray:
    """Which families hide nothing, and are in no case [n_families, n_rows]."""
    whole = found.whole if rows.chosen is None else found.whole[rows.chosen]
    return ~(found.layout.touched(found.layout.hidden(rows.states)) | whole)


def needs(found: Program, rows: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Which row needs which case, in pairs."""
    if rows.chosen is None:
        return found.rows, found.cases
    first = np.searchsorted(found.rows, rows.chosen)
    n = np.searchsorted(found.rows, rows.chosen, "right") - first
    at = np.arange(n.sum()) + np.repeat(first - np.cumsum(n) + n, n)
    return np.repeat(np.arange(len(rows)), n), found.cases[at]


def times_logs(counts: np.ndarray, theta: np.ndarray) -> float:
    """Σ n log θ with 0 log 0 = 0."""
    there = counts > 0
    with np.errstate(divide="ignore"):
        return float(counts[there] @ np.log(theta[there]))


def impossible(rows: Observations, bad: np.ndarray) -> ModelError:
    """The error that names the first of some rows of probability zero."""
    row = int(bad.argmax()) if rows.chosen is None else int(rows.chosen[bad.argmax()])
    return ModelError(f"row {row} has probability zero under the network: begin with tables without zeros")
