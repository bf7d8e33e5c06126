"""The likelihood of data under models of layers: exact where affordable, else bounds from weighted samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tractable.evaluate import likelihood
from tractable.evaluate.annealed import Annealing
from tractable.evaluate.records import LogLikelihood
from tractable.evaluate.sampled import SHARE, Tally, checked_confidence, checked_samples
from tractable.models import ModelError
from tractable.models._base import check_options
from tractable.models.boltzmann_machine import VISIBLE
from tractable.models.keys import as_key
from tractable.plan import ask, check_method
from tractable.plan.budget import LIKELIHOOD
from tractable.posterior import Certificate, verbs
from tractable.posterior.approximate import importance, layers
from tractable.posterior.cases import Cases
from tractable.posterior.engines import layers as directed
from tractable.posterior.engines._protocol import planned, run

METHODS = ("auto", "exact", "importance", "annealing", "mean_field")
BUDGET = ("memory", "seconds")
OPTIONS = ("confidence", "log_partition", "progress", "chains", *BUDGET)
ROWS, TOP_ROWS = 500, 2000
ANNEALED = 16


def log_partition(model: Any, *, data: Any = None, key: Any = 0, **more: Any) -> Certificate:
    """Zero for a directed network, log Z of the top for a deep belief network; with units clamped, log p̃ of these."""
    own = directed.parts(model).model
    if own.family == "deep_belief" and own.known is None:
        return log_z_of_top(own, data, key, more)
    check_options(more, BUDGET, "log_partition")
    return verbs.log_partition(own, **more)


def log_z_of_top(model: Any, data: Any = None, key: Any = 0, more: Any = None) -> Certificate:
    """log Z of the machine on top: exact where that is affordable, else by annealing in both directions."""
    return likelihood.log_partition(model.top, data=data, key=key, **(more or {}))


def log_likelihood(
    model: Any,
    data: Any,
    *,
    samples: int = 1000,
    method: str = "auto",
    key: Any = 0,
    **more: Any,
) -> LogLikelihood:
    """The mean of log p(x) over rows of data.

    Parameters
    ----------
    data : [n_rows, n_visible] zeros and ones; NaN is unobserved and summed out.
    samples : weighted samples of the hidden units for each row (with ``method="annealing"``: temperatures).
    method : ``"auto"``: exact where that is affordable, else the K-sample bound of the recognition network, or
        annealing where there is none. ``"mean_field"``: the bound of Saul, Jaakkola & Jordan.
    key : int or jax key; not used by exact methods.
    more : ``confidence``, 0.95 if absent; ``log_partition`` of a deep belief network's top, where it is known already;
        ``progress``, called with (rows done, all rows); ``chains`` that are annealed for each row, 16 if absent.

    Raises
    ------
    ModelError : data that do not fit. ValueError : no samples, an unknown method. BudgetError : see `method`.

    Examples
    --------
    >>> from tractable.models import HelmholtzMachine, SigmoidBeliefNetwork
    >>> machine = HelmholtzMachine(SigmoidBeliefNetwork([6, 4]))
    >>> rows = [[0, 1, 0, 1, 1, 0], [1, 1, 1, 0, 0, 0]]
    >>> log_likelihood(machine, rows).kind
    'exact'
    >>> found = log_likelihood(machine, rows, samples=50, method="importance")
    >>> found.kind, found.samples, found.by_samples.samples.tolist()
    ('probabilistic', 50, [1, 2, 5, 10, 20, 50])
    """
    n, confidence = checked_samples(samples), checked_confidence(more.get("confidence", layers.CONFIDENCE))
    check_options(more, OPTIONS, "log_likelihood")
    check_method(method, METHODS)
    values = directed.rows_of(model, data, missing=True)
    if not len(values):
        raise ModelError("there are no rows")
    own, cases = directed.parts(model), directed.cases_of(model, values)
    log_z = more["log_partition"] if more.get("log_partition") else _log_z(own, values, key, confidence)
    chosen, rows = _exactly(own, cases, method, more) if method in ("auto", "exact") else (method, None)
    if rows is not None:
        return _less(rows, log_z)
    if chosen == "mean_field":
        return _less(layers.by_mean_field(own.model, None, cases).log_partition, log_z)
    tally = _annealed(own, cases, (n, key), more) if chosen == "annealing" else _weighted(own, cases, (n, key), more)
    return tally.result(confidence, log_z)


def _log_z(own: directed.Parts, values: np.ndarray, key: Any, confidence: float) -> Certificate | None:
    """What is subtracted: the log Z of a deep belief network's top; what the data say to it helps to anneal."""
    if own.model.family != "deep_belief":
        return None
    settings = {"settings": Annealing(confidence=1 - (1 - SHARE) * (1 - confidence))}
    if own.recognition is None:
        return log_z_of_top(own.model, None, key, settings)
    rows = values[np.linspace(0, len(values) - 1, min(len(values), TOP_ROWS)).astype(int)]
    states = own.recognition.sample(as_key(key), np.nan_to_num(rows, nan=0.5))[0][-1]
    return log_z_of_top(own.model, np.asarray(states[:, 0]), key, settings)


def _exactly(own: directed.Parts, cases: Cases, method: str, more: Any) -> tuple[str, Certificate | None]:
    """log p(x) of each row where that is affordable; else what the plan names in its place."""
    asked, budget = directed.Asked(*own, cases), {name: more.get(name) for name in BUDGET}
    patience = {"patience": LIKELIHOOD} if method == "auto" else {}
    groups = planned(directed, asked, ask("evidence", **budget, **patience))
    chosen = next((str(plan.method) for *_, plan in groups if plan.method in METHODS), "exact")
    return chosen, directed.log_partition(asked, run(directed, groups)) if chosen == "exact" else None


def _weighted(own: directed.Parts, cases: Cases, how: tuple[int, Any], more: Any) -> Tally:
    """The weights of a recognition network's samples."""
    if own.recognition is None:
        raise ModelError("importance sampling needs a proposal: pair the model with one, HelmholtzMachine(model)")
    layers.check_proposable(own.model, cases)
    tally, values = Tally(how[0]), cases.values[VISIBLE]
    for first in range(0, len(values), ROWS):
        part = importance.RowPart(values[first : first + ROWS], first)
        tally.add(importance.weights(own.model, own.recognition, part, how[0], as_key(how[1])).log_weights)
        if more.get("progress"):
            more["progress"](min(first + ROWS, len(values)), len(values))
    return tally


def _annealed(own: directed.Parts, cases: Cases, how: tuple[int, Any], more: Any) -> Tally:
    n_chains = checked_samples(more.get("chains", ANNEALED))
    tally, effort = Tally(n_chains), layers.Effort(n_chains, how[0], more.get("progress"))
    tally.add(layers.annealed(own.model, own.recognition, cases, how[1], effort).work)
    return tally


def _less(rows: Certificate, log_z: Certificate | None) -> LogLikelihood:
    """The mean over the rows, less log Z: the difference of two intervals."""
    z = log_z or Certificate.exact(0.0)
    if rows.kind != "exact":
        rows = replace(rows, verdict="a lower bound, by mean field: low by an unknown amount")
    return LogLikelihood.of(rows.mean() - z, per_row=rows - z, log_partition=z)


@dataclass(frozen=True, eq=False)
class Gap:
    """log p(x) of rows that the model itself has made, from both sides; both hold with `confidence` together.

    Attributes
    ----------
    lower, upper : bounds on the mean of log p(x) over the rows.
    gap : upper less lower: how far off the bounds from below may be on data like the model's own.
    rows : the simulated rows.

    Examples
    --------
    >>> gap = tr.evaluate.simulated_gap(tr.SigmoidBeliefNetwork([3, 2]), 10, temperatures=20)
    >>> gap.rows.shape, gap.lower <= gap.upper, gap.gap == gap.upper - gap.lower
    ((10, 3), True, True)
    """

    lower: float
    upper: float
    gap: float
    confidence: float
    rows: np.ndarray


def simulated_gap(
    model: Any, n_rows: int = 100, *, temperatures: int = 1000, key: Any = 0, confidence: float = 0.95
) -> Gap:
    """How far annealing's bounds are apart on rows drawn from the model, whose hidden states are known.

    Those states are exact samples of the posterior: chains that start there and are annealed back to the factorized q
    have weights whose mean is unbiased for 1/p(x), and bound log p(x) from above (Grosse, Ancha & Roy 2016). The gap is
    what it is for the model's own data; for other rows only the lower bound is known.

    Raises
    ------
    ModelError : a deep belief network, whose exact samples are out of reach. ValueError : no rows or temperatures.

    Examples
    --------
    >>> model = tr.SigmoidBeliefNetwork([3, 2])
    >>> found = tr.evaluate.simulated_gap(model, 10, temperatures=20)
    >>> found.lower <= tr.log_likelihood(model, found.rows).value <= found.upper
    True
    """
    n_rows, temperatures = checked_samples(n_rows, "rows"), checked_samples(temperatures, "temperatures")
    checked_confidence(confidence)
    own, recognition = directed.parts(model).model, directed.parts(model).recognition
    if own.family != "sigmoid_belief" or own.known is not None:
        raise ModelError("exact posterior samples come with rows drawn from a directed network without evidence")
    states = directed.ancestral(own, key, n_rows)
    cases = directed.cases_of(own, states[0])
    up = layers.annealed(own, recognition, cases, key, layers.Effort(ANNEALED, temperatures)).work
    down = layers.annealed(own, recognition, cases, key, layers.Effort(1, temperatures), states).work
    margin = np.log(2 / (1 - confidence)) / n_rows
    low = float((np.logaddexp.reduce(up, axis=1) - np.log(up.shape[1])).mean() - margin)
    high = float(-down[:, 0].mean() + margin)
    return Gap(low, high, high - low, confidence, states[0])
