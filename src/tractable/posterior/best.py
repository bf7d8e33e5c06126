"""The best of each case as records: which are as probable as another one, and what is said of cases that have fewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tractable.plan import Plan
from tractable.posterior._base import MostProbable
from tractable.posterior.certificate import Certificate

ROUNDING = 1e-12
"""Relative; below that two logarithms of probabilities are the same."""


class RankedModes(NamedTuple):
    """log p̃ of the best joint states of a case [k], the largest first, and the states, group → values [k, n_units].

    Of a search bounds of what the best of each rank have, and which have another one as good.
    """

    log_weights: np.ndarray
    values: dict[str, np.ndarray]
    upper: np.ndarray | None = None
    tied: np.ndarray | None = None


def tied(log_p: np.ndarray) -> np.ndarray:
    """Whether each of the best [k, …], which come in order, is as probable as one beside it, up to rounding.

    >>> tied(np.array([-1.0, -2.0, -2.0, -np.inf, -np.inf])).tolist()
    [False, True, True, False, False]
    """
    before, after = log_p[:-1], log_p[1:]
    with np.errstate(invalid="ignore"):  # −∞ − −∞, where there is none
        same = before - after <= ROUNDING * np.maximum(np.abs(before), 1.0)
    none = np.zeros((min(1, len(log_p)), *log_p.shape[1:]), bool)
    return np.concatenate([none, same]) | np.concatenate([same, none])


def best_first(
    plan: Plan,
    log_p: np.ndarray,
    assignment: Callable[[int], Any],
    certified: Callable[[np.ndarray], Certificate],
    upper: np.ndarray | None = None,
    same: np.ndarray | None = None,
) -> list[MostProbable]:
    """A record for each rank that some case has, one at least; `log_p` [ranks, cases] of one more tells of ties.

    `certified` makes the certificate of log_p [cases]; its verdict on the best is that on the others. Of a search
    `upper` [ranks, cases] bounds the optimum, and `same` says what is tied.
    """
    first, same = certified(log_p[0]), tied(log_p) if same is None else same
    many, n = np.ndim(first.value), max(1, int((log_p[: plan.n] > -np.inf).any(1).sum()))
    out = []
    for rank in range(n):
        value, ties = (log_p[rank], same[rank]) if many else (float(log_p[rank, 0]), bool(same[rank, 0]))
        told = replace(first, value=value, lower=value, upper=value) if rank else first
        optimum = told if upper is None else _optimum(told, upper[rank] if many else float(upper[rank, 0]))
        out.append(MostProbable(assignment(rank), told, plan, None, optimum, ties))
    return out


def _optimum(found: Certificate, upper: Any) -> Certificate:
    """What the best of a rank has: at least what was found, and what was found where the bound is no higher."""
    value = np.asarray(found.value)
    if (upper <= value + ROUNDING * np.maximum(np.abs(value), 1.0)).all():
        return found
    return Certificate.bound(found.value, found.value, np.maximum(upper, value)[()])


def modes_first(plan: Plan, found: Sequence[RankedModes], many: bool) -> list[MostProbable]:
    """The records of groups of units, one row for each case; NaN, and −∞, of a case that has fewer."""
    log_p = _side_by_side([own.log_weights for own in found], -np.inf)
    upper, same = None, None
    if any(own.upper is not None for own in found):
        upper = _side_by_side([own.log_weights if own.upper is None else own.upper for own in found], -np.inf)
        same = _side_by_side([tied(own.log_weights) if own.tied is None else own.tied for own in found], False)

    def values(rank: int) -> dict[str, np.ndarray]:
        if not many:
            return {name: own[rank] for name, own in found[0].values.items()}
        none = {name: np.full(own.shape[1], np.nan) for name, own in found[0].values.items()}
        rows = [
            {g: v[rank] for g, v in own.values.items()} if log_p[rank, r] > -np.inf else none
            for r, own in enumerate(found)
        ]
        return {name: np.array([row[name] for row in rows]) for name in none}

    return best_first(plan, log_p, values, lambda own: Certificate.exact(own if many else float(own[0])), upper, same)


def _side_by_side(columns: Sequence[np.ndarray], none: Any) -> np.ndarray:
    """Columns of different lengths as one array [ranks, cases]."""
    out = np.full((max(map(len, columns)), len(columns)), none)
    for case, column in enumerate(columns):
        out[: len(column), case] = column
    return out
