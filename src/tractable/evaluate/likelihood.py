"""log Z of a machine, and the log-likelihood of data under it, with certificates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tractable.evaluate.annealed import Annealing, anneal
from tractable.evaluate.records import LogLikelihood
from tractable.models import ModelError
from tractable.models._base import nearest
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import checked_values
from tractable.plan import BudgetError
from tractable.plan.machines import plan_machine
from tractable.posterior import Certificate, machines

METHODS = ("auto", "exact", "annealing")
AFFORDABLE = 60.0
"""Predicted seconds up to which log Z is computed exactly unless told otherwise."""

ROWS = 4096


def log_partition(
    model: Boltzmann,
    *,
    data: Any = None,
    method: str = "auto",
    key: Any = 0,
    settings: Annealing | None = None,
    **more: Any,
) -> Certificate:
    """log Z = log Σ_x p̃(x), exact where the plan says that it is affordable, else by annealing in both directions.

    Parameters
    ----------
    data : rows of the visible units; they help to choose the base that annealing starts from.
    method : ``"auto"``, ``"exact"`` or ``"annealing"``.
    key : int or jax key; not used by exact methods.
    settings : of annealing, see `Annealing`.
    more : see `anneal`.

    Returns
    -------
    Certificate : ``exact``, or ``probabilistic`` with a verdict.

    Raises
    ------
    ModelError : data that do not fit the model. BudgetError : ``method="exact"`` where that is not affordable.

    Examples
    --------
    >>> from tractable.models import restricted
    >>> found = log_partition(restricted(couplings=[[0.0, 0.0]]))
    >>> found.kind, float(round(found.value / np.log(2), 9))
    ('exact', 3.0)
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}{nearest(method, METHODS)}; choose one of {', '.join(METHODS)}")
    plan = plan_machine(model.graph, (), "evidence", None)
    if method == "exact" or (method == "auto" and plan.method and plan.seconds <= AFFORDABLE):
        return machines.log_partition(model)
    return anneal(model, data=data, key=key, settings=settings, **more).log_partition


def log_likelihood(
    model: Boltzmann, data: Any, *, key: Any = 0, log_partition: Certificate | None = None, **more: Any
) -> LogLikelihood:
    """The mean of log p(v) = log p̃(v) − log Z over rows of data.

    log p̃(v), with all that is not observed summed out, is exact where that is affordable (in closed form where the
    hidden units are independent given the data). Elsewhere the bound of mean field takes its place: then the value is a
    lower bound on average, there is no upper end, and the verdict says so.

    Parameters
    ----------
    data : [n_rows, n_visible]; NaN is unobserved and summed out.
    log_partition : log Z where it is known already; else it is computed, with `data` to help.
    more : see `log_partition`.

    Raises
    ------
    ModelError : data that do not fit the model.

    Examples
    --------
    >>> from tractable.models import restricted
    >>> found = log_likelihood(restricted(couplings=[[0.0]]), [[0], [1]])
    >>> round(found.value / float(np.log(2)), 9), found.kind, found.per_row.value.shape
    (-1.0, 'exact', (2,))
    """
    values = checked_values(model, VISIBLE, data)
    if values.ndim != 2 or not len(values):
        raise ModelError(f"expected rows of data [n_rows, {model.n_visible}], got an array of shape {values.shape}")
    log_z = log_partition or _log_partition(model, values, key, more)
    joint = unnormalized(model, values, key)
    rows = _less(joint, log_z)
    mean = _less(Certificate(joint.value.mean(), joint.lower.mean(), joint.upper.mean(), joint.kind), log_z)
    verdict = log_z.verdict if joint.kind == "exact" else _bound_verdict(log_z)
    return LogLikelihood(
        float(mean.value),
        float(mean.lower),
        float(mean.upper),
        mean.kind,
        log_z.confidence,
        log_z.std_error,
        verdict,
        rows,
        log_z,
    )


def _log_partition(model: Boltzmann, values: np.ndarray, key: Any, more: Any) -> Certificate:
    complete = values.dtype.kind != "f" or not np.isnan(values).any(axis=1).all()
    return log_partition(model, data=values if complete else None, key=key, **more)


def _bound_verdict(log_z: Certificate) -> str:
    low = "log p̃(v) of each row is a lower bound, by mean field: the value is low by an unknown amount"
    return low if log_z.verdict in (None, "reliable") else f"{log_z.verdict}; {low}"


def _less(joint: Certificate, log_z: Certificate) -> Certificate:
    """The difference of two intervals."""
    kind = log_z.kind if joint.kind == "exact" else ("bound" if log_z.kind == "exact" else log_z.kind)
    ends = (joint.value - log_z.value, joint.lower - log_z.upper, joint.upper - log_z.lower)
    return Certificate(*ends, kind, log_z.confidence, log_z.std_error, log_z.verdict)


def unnormalized(model: Boltzmann, values: np.ndarray, key: Any = 0) -> Certificate:
    """log p̃(v) of each row, in double precision, a number of rows at a time."""
    parts = [_rows(model, part, key) for part in _chunks(values)]
    value, lower, upper = (np.concatenate([getattr(p, name) for p in parts]) for name in ("value", "lower", "upper"))
    exact = all(p.kind == "exact" for p in parts)
    return Certificate(value, lower, upper, "exact" if exact else "bound")


def _rows(model: Boltzmann, values: np.ndarray, key: Any) -> Certificate:
    try:
        return machines.log_partition(model, values)
    except BudgetError:
        return machines.infer(model, values, method="mean_field", key=key).log_partition


def _chunks(values: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(values), ROWS):
        yield values[start : start + ROWS]
