"""log Z of a machine, and the log-likelihood of data under it, with certificates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tractable.evaluate import annealed_rows
from tractable.evaluate.annealed import OPTIONS, Annealing, anneal
from tractable.evaluate.annealed_rows import RowAnnealing
from tractable.evaluate.records import LogLikelihood
from tractable.models import ModelError
from tractable.models._base import check_options
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import checked_values
from tractable.plan import BudgetError, ask, check_method
from tractable.plan.budget import LIKELIHOOD
from tractable.posterior import Certificate
from tractable.posterior.certificate import weaker
from tractable.posterior.engines import machines
from tractable.posterior.engines._protocol import answered, planned, run

METHODS = ("auto", "exact", "annealing")
BUDGET = ("memory", "seconds")
ROWS = 4096
BELOW = "log p̃(v) of each row is a lower bound, by mean field: the value is low by an unknown amount"


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
    more : see `anneal`; ``memory`` and ``seconds``, the budget of an exact answer.

    Returns
    -------
    Certificate : ``exact``, or annealed with a verdict: the lower end ``probabilistic``, the upper one ``conditional``
        on chains having mixed unless exact samples of the model are affordable.

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
    check_method(method, METHODS)
    budget = {name: more.pop(name, None) for name in BUDGET}
    check_options(more, OPTIONS, "log_partition")
    if method != "annealing":
        asked, patience = machines.read(model, None), {"patience": LIKELIHOOD} if method == "auto" else {}
        groups = planned(machines, asked, ask("evidence", **budget, **patience))
        if groups[0][2].method != "annealing":
            return machines.log_partition(asked, run(machines, groups))
    return anneal(model, data=data, key=key, settings=settings, **more).log_partition


def log_likelihood(
    model: Boltzmann, data: Any, *, key: Any = 0, log_partition: Certificate | None = None, **more: Any
) -> LogLikelihood:
    """The mean of log p(v) = log p̃(v) − log Z over rows of data.

    log p̃(v), with all that is not observed summed out, is exact where that is affordable (in closed form where the
    hidden units are independent given the data). Elsewhere the bound of mean field takes its place: then the value is a
    lower bound on average, there is no upper end, and the verdict says so. With ``method="annealing"`` complete rows of
    a machine of hidden layers are annealed, each from its own mean field: an estimate whose lower end holds with the
    stated confidence, without an upper end either (see `evaluate.annealed_rows`).

    Parameters
    ----------
    data : [n_rows, n_visible]; NaN is unobserved and summed out.
    log_partition : log Z where it is known already; else it is computed from the model alone, so that it does not
        depend on which rows are scored. Rows that help to find phases go into a call of `log_partition`.
    more : see `log_partition`; ``rows``, a `RowAnnealing`, says how rows are annealed.

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
    settings = more.pop("rows", RowAnnealing())
    check_options(more, ("method", "settings", *BUDGET, *OPTIONS), "log_likelihood")
    log_z = log_partition or _log_partition(model, key, more)
    budget = {name: more.get(name) for name in BUDGET}
    joint = unnormalized(model, values, key, settings if more.get("method") == "annealing" else None, **budget)
    return LogLikelihood.of(joint.mean - log_z, per_row=joint.rows - log_z, log_partition=log_z)


def _log_partition(model: Boltzmann, key: Any, more: Any) -> Certificate:
    return log_partition(model, key=key, **more)


class Unnormalized(NamedTuple):
    """log p̃(v) of each row, and their mean, whose interval may be narrower than the mean of theirs."""

    rows: Certificate
    mean: Certificate


def unnormalized(
    model: Boltzmann, values: np.ndarray, key: Any = 0, settings: RowAnnealing | None = None, **budget: Any
) -> Unnormalized:
    """log p̃(v) of rows: exact or bounded, a number of rows at a time; annealed where `settings` say how."""
    if settings is not None and annealed_rows.applies(model) and not np.isnan(values.astype(np.float32)).any():
        return Unnormalized(*annealed_rows.certified(model, values, key, settings))
    parts = [_rows(model, part, key, budget) for part in _chunks(values)]
    value, lower, upper = (np.concatenate([getattr(p, name) for p in parts]) for name in ("value", "lower", "upper"))
    kind = weaker(*(p.kind for p in parts))
    rows = Certificate(value, lower, upper, kind, verdict=None if kind == "exact" else BELOW)
    return Unnormalized(rows, rows.mean())


def _rows(model: Boltzmann, values: np.ndarray, key: Any, budget: dict[str, Any]) -> Certificate:
    """log p̃(v) of some rows: exact, or the bound of mean field where that is refused."""
    asked = machines.read(model, values)
    try:
        found = answered(machines, asked, ask("evidence", **budget))
    except BudgetError:
        found = answered(machines, asked, ask("marginals", **budget, method="mean_field"), key)
    return machines.log_partition(asked, found)


def _chunks(values: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(values), ROWS):
        yield values[start : start + ROWS]
