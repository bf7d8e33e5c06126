"""The verbs of this room: exact answers where the plan says so, else what the family's own way of evaluating gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from tractable import posterior
from tractable.evaluate.records import LogLikelihood
from tractable.families import leaf
from tractable.kernels.interrupts import heard
from tractable.models import ModelError, condition
from tractable.models._base import check_options
from tractable.plan import Plan, ask
from tractable.plan.budget import MAX_SECONDS, Memory
from tractable.posterior import Certificate
from tractable.posterior.dispatch import engine_of
from tractable.posterior.engines._protocol import answered


@heard
def log_partition(
    model: Any,
    evidence: Any = None,
    *,
    memory: Memory = None,
    seconds: float | None = None,
    key: Any = 0,
    **options: Any,
) -> Certificate:
    """log Z = log Σ_z p̃(z, x), with its certificate.

    Of Bayesian networks, sigmoid belief networks, mixtures, hidden Markov models and factorial hidden Markov models it
    is log p(x), zero without evidence. Of Markov networks, Boltzmann machines (general, restricted, deep) and deep
    belief networks it is the constant that makes probabilities sum to one, or that sum with the evidence in place. A
    Helmholtz machine has that of its generative model.

    Parameters
    ----------
    model : a model of any family.
    evidence : what is observed; None for nothing.
    memory, seconds : budget of an exact answer, see `plan`; of a network also the seconds of an interval instead.
    key : int or jax key; not used by exact methods.
    options : for a machine ``data`` (rows that help to choose where annealing starts), ``method`` (``"auto"``,
        ``"exact"``, ``"annealing"``) and settings of annealing; for others ``method``, and for networks ``confidence``
        and ``draws``, see `infer`. Of any model a `Plan` made before, as ``method``, is run as it is.

    Returns
    -------
    Certificate : ``exact`` where that is affordable. Of other networks the interval holds with the confidence asked
        for, and its verdict says what more time would give. Of other machines the lower end is ``probabilistic``, the
        upper one ``conditional`` on chains having mixed, and there is a verdict.

    Raises
    ------
    ModelError : evidence or data that do not fit the model. BudgetError : an exact answer that is refused where there
        is no interval, see `infer`. ValueError : a confidence outside of (0, 1), no draws, no seconds.

    Examples
    --------
    >>> import math
    >>> net = tr.MarkovNetwork({"a": "01"}, [("a", [1.0, 3.0])])
    >>> round(math.exp(tr.log_partition(net).value), 6)
    4.0
    >>> tr.log_partition(tr.restricted(couplings=[[0.0, 0.0]])).kind
    'exact'
    >>> tr.log_partition(net, method="mini_buckets", confidence=0.99).kind  # its bound is elimination: nothing is wide
    'exact'
    """
    own, budget = _own(model, "log_partition"), {"memory": memory, "seconds": seconds}
    if own is not None and not isinstance(options.get("method"), Plan):
        given = model if evidence is None else condition(model, evidence)
        return own.log_partition(given, key=key, **budget, **options)
    if options:
        terms = ("confidence", "draws") if hasattr(engine_of(model, "log_partition"), "ANYTIME") else ()
        check_options(options, ("method", *terms), f"log_partition of a {type(model).__name__}")
    return posterior.log_partition(model, evidence, key=key, **budget, **options)


@heard
def log_likelihood(
    model: Any,
    data: Any,
    *,
    key: Any = 0,
    memory: Memory = None,
    seconds: float | None = None,
    **options: Any,
) -> LogLikelihood:
    """The mean of log p(x) over rows of data, or over sequences, with its certificate.

    Exact for Bayesian networks, Markov networks, mixtures, hidden Markov models and factorial hidden Markov models (of
    these between two bounds where exact is not affordable). For Boltzmann machines (general, restricted, deep) log p(v)
    = log p̃(v) − log Z. log p̃(v), with all that is not observed summed out, is exact where that is affordable (in
    closed form where the hidden units are independent given the data). Elsewhere the bound of mean field takes its
    place: then the value is a lower bound on average, there is no upper end, and the verdict says so. For sigmoid
    belief networks, deep belief networks and Helmholtz machines it is exact where that is affordable, else a bound from
    below, by weighted samples of the recognition network, by annealing or by mean field.

    Parameters
    ----------
    model : of any of these families.
    data : [n_rows, n_columns]; NaN is unobserved and summed out. For a network rows as `fit` takes them.
    key : int or jax key; not used by exact methods.
    memory, seconds : budget of an exact answer, see `plan`.
    options : for a machine ``log_partition``, where it is known already; else it is computed, with `data` to help, and
        takes the options of `log_partition`. ``method="annealing"`` also anneals the rows of deep machines, from below:
        ``rows``, a `RowAnnealing`, says how.

    Returns
    -------
    LogLikelihood : the mean; ``per_row`` holds log p(x) of each row.

    Raises
    ------
    ModelError : data that do not fit the model.

    Examples
    --------
    >>> found = tr.log_likelihood(tr.restricted(couplings=[[0.0]]), [[0], [1]])
    >>> round(found.value, 6), found.kind, found.per_row.value.shape
    (-0.693147, 'exact', (2,))
    >>> round(tr.log_likelihood(tr.Mixture([1.0], tr.BernoulliEmissions([[0.5]])), [[0], [1]]).value, 6)
    -0.693147
    """
    own, budget = _own(model, "log_likelihood"), {"memory": memory, "seconds": seconds}
    if own is not None:
        return own.log_likelihood(model, data, key=key, **budget, **options)
    check_options(options, (), f"log_likelihood of a {type(model).__name__}")
    rows = _rows(model, data, budget)
    if not np.size(rows.value):
        raise ModelError("there are no rows")
    return LogLikelihood.of_rows(rows)


def _own(model: Any, verb: str) -> Any:
    """The module that evaluates a family in its own way, if there is one."""
    own = None if hasattr(model, "engine") else leaf(model, "evaluate")
    return own if hasattr(own, verb) else None


def _rows(model: Any, data: Any, budget: dict[str, Any]) -> Certificate:
    """log p(x) of each row or sequence: exact, or what the engine has where that is refused."""
    engine = engine_of(model, "log_partition")
    question = ask("evidence", **budget, patience=MAX_SECONDS)
    if hasattr(engine, "log_likelihoods") and (found := engine.log_likelihoods(model, data, question)) is not None:
        return found
    asked = engine.read_rows(model, data, True) if hasattr(engine, "read_rows") else engine.read(model, data)
    found = engine.log_partition(asked, answered(engine, asked, question))
    rows = found.map(np.atleast_1d)
    if engine.normalized(model):
        return rows
    sure = {"method": "exact"} if hasattr(engine, "ANYTIME") else {}  # a score is no interval unless it is asked for
    return rows - posterior.log_partition(model, **sure, **budget)
