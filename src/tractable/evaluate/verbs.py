"""The verbs of this room: a network's answers come from its exact engine, a machine's from what is affordable."""

from __future__ import annotations

from typing import Any

from tractable import posterior
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
    Certificate : ``exact`` where that is affordable; for other machines ``probabilistic``, with a verdict.

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
    if model.family == "tables":
        return posterior.log_partition(model, evidence, memory=memory)
    from tractable.evaluate import likelihood
    from tractable.models import condition

    return likelihood.log_partition(model if evidence is None else condition(model, evidence), **options)
