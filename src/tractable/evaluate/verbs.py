"""The verbs of this room: a network's answers come from its exact engine, others from what their family affords."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tractable import posterior
from tractable.evaluate.records import LogLikelihood
from tractable.posterior import Certificate


def log_partition(
    model: Any, evidence: Any = None, *, memory: int | float | str | None = None, **options: Any
) -> Certificate:
    """log Z = log Σ_z p̃(z, x), with its certificate: zero for a Bayesian network without evidence.

    Parameters
    ----------
    model : a network or a machine.
    evidence : what is observed; None for nothing.
    memory : budget of an exact answer for a network, see `plan`.
    options : for a machine ``data`` (rows that help to choose where annealing starts), ``method`` (``"auto"``,
        ``"exact"``, ``"annealing"``), ``key``, and settings of annealing.

    Returns
    -------
    Certificate : ``exact`` where that is affordable; for other machines with a verdict, the lower end ``probabilistic``
        and the upper one ``conditional`` on chains having mixed.

    Raises
    ------
    ModelError : evidence or data that do not fit the model. BudgetError : an exact answer that is refused.

    Examples
    --------
    >>> import math
    >>> import tractable as tr
    >>> net = tr.MarkovNetwork({"a": "01"}, [("a", [1.0, 3.0])])
    >>> round(math.exp(tr.log_partition(net).value), 6)
    4.0
    >>> tr.log_partition(tr.restricted(couplings=[[0.0, 0.0]])).kind
    'exact'
    """
    if model.family in ("tables", "factorial_hidden_markov", "hidden_markov"):
        return posterior.log_partition(model, evidence, memory=memory)
    from tractable.models import condition

    return _leaf(model).log_partition(model if evidence is None else condition(model, evidence), **options)


def log_likelihood(model: Any, data: Any, *, key: Any = 0, **options: Any) -> LogLikelihood:
    """The mean of log p(x) over rows of data, with its certificate.

    For a machine log p(v) = log p̃(v) − log Z. log p̃(v), with all that is not observed summed out, is exact where that
    is affordable (in closed form where the hidden units are independent given the data). Elsewhere the bound of mean
    field takes its place: then the value is a lower bound on average, there is no upper end, and the verdict says so.

    Parameters
    ----------
    model : a machine, a mixture, a hidden Markov model or a network.
    data : [n_rows, n_columns]; NaN is unobserved and summed out. For a network rows as `fit` takes them.
    key : int or jax key; not used by exact methods.
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
    >>> import tractable as tr
    >>> found = tr.log_likelihood(tr.restricted(couplings=[[0.0]]), [[0], [1]])
    >>> round(found.value, 6), found.kind, found.per_row.value.shape
    (-0.693147, 'exact', (2,))
    >>> round(tr.log_likelihood(tr.Mixture([1.0], tr.BernoulliEmissions([[0.5]])), [[0], [1]]).value, 6)
    -0.693147
    """
    return _leaf(model).log_likelihood(model, data, key=key, **options)


_LEAVES = {
    "boltzmann": "likelihood",
    "factorial_hidden_markov": "factorial",
    "hidden_markov": "chains",
    "mixture": "mixtures",
    "tables": "networks",
}
_LEAVES |= dict.fromkeys(("sigmoid_belief", "deep_belief", "helmholtz"), "directed")
"""The module that evaluates each family."""


def _leaf(model: Any) -> Any:
    return import_module(f"tractable.evaluate.{_LEAVES[model.family]}")
