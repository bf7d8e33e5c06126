"""Where the learning of a factorial hidden Markov model begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

import numpy as np

from tractable.learning.starts import mixtures
from tractable.learning.starts.chains import aside_in, by_row, first_chain, parts_of
from tractable.models._base import ModelError, check_options
from tractable.models.additive import AdditiveGaussianEmissions
from tractable.models.emissions import TiedGaussianEmissions
from tractable.models.factorial_hidden_markov import FactorialHiddenMarkovModel
from tractable.models.keys import generator
from tractable.models.kinds import ColumnsWanted, described
from tractable.models.mixture import Mixture
from tractable.models.sequences import as_many
from tractable.models.weights import WeightedRows, counted
from tractable.posterior.engines.mixtures import responsibilities

STARTS = mixtures.STARTS


class OfNumbers(TypedDict, total=False):
    """Which columns a model is made of, and how often each sequence counts."""

    columns: Any
    ignore: Any
    weights: Any


def factorial_hidden_markov(
    data: Any,
    n_states: Sequence[int],
    *,
    start: str = "k-means++",
    key: Any = 0,
    **chosen: Unpack[OfNumbers],
) -> FactorialHiddenMarkovModel:
    """A factorial hidden Markov model for these sequences, where learning may begin.

    The first chain groups the rows, every other one what those before it leave of them.

    Parameters
    ----------
    data : one sequence [t, d], or a table with names; a list of them, or `Sequences`; NaN is missing.
    n_states : the number of states of each chain.
    start, key, columns, ignore : as for `mixture`. weights : how often each sequence counts.

    Raises
    ------
    ModelError : no rows, a column of text, a column without a value, no chain, a chain without states.

    Examples
    --------
    >>> import numpy as np
    >>> model = tr.factorial_hidden_markov(np.repeat([0.0, 5.0, 8.0, 13.0], 10), [2, 2])
    >>> [sorted(w.ravel().round(1).tolist()) for w in model.emissions.contributions]
    [[-4.0, 4.0], [-2.0, 2.0]]
    """
    if not len(n_states) or min(n_states) < 1:
        raise ModelError(f"n_states are the numbers of states of the chains, at least 1 each, got {n_states!r}")
    check_options(chosen, OfNumbers.__annotations__, "a start")
    data, weights = counted(data, chosen.get("weights"), as_many)
    wanted = ColumnsWanted(columns=chosen.get("columns"), ignore=chosen.get("ignore"), aside=aside_in(data))
    found = described(parts_of(data), wanted)
    rows = found.rows
    if found.columns is not None and found.columns.categories:
        raise ModelError(f"column {next(iter(found.columns.categories))!r} holds categories; leave it out with ignore=")
    if rows.size:
        mixtures.check_columns(found)
    firsts, transitions = zip(*(first_chain(k) for k in n_states), strict=True)
    empty = AdditiveGaussianEmissions([np.zeros((k, rows.shape[1])) for k in n_states], np.eye(rows.shape[1]))
    model = FactorialHiddenMarkovModel(firsts, transitions, empty, found.columns)
    return started(model, WeightedRows(model.check(data), weights), start, generator(key))


def started(
    model: FactorialHiddenMarkovModel, data: WeightedRows, start: str, rng: np.random.Generator
) -> FactorialHiddenMarkovModel:
    """A new start of the same shape: contributions from groups of what is left of the rows, transitions as they are."""
    pooled, rows = repooled(model, data).emissions, by_row(data)
    left, parts = rows.rows - np.asarray(pooled.offset), []
    for k in model.sizes:
        one = Mixture(np.full(k, 1 / k), TiedGaussianEmissions.pooled(left, k, rows.weights))
        found = mixtures.started(one, WeightedRows(left, rows.weights), start, rng)
        parts.append(found.free.means - found.weights @ found.free.means)
        left = left - responsibilities(found, left) @ parts[-1]
    return _with(model, AdditiveGaussianEmissions(parts, pooled.covariance, pooled.offset))


def repooled(model: FactorialHiddenMarkovModel, data: WeightedRows) -> FactorialHiddenMarkovModel:
    """Chains that contribute nothing, and the distribution of all rows."""
    pooled = TiedGaussianEmissions.pooled(data.rows.rows, 1, by_row(data).weights)
    nothing = [np.zeros_like(w) for w in model.emissions.contributions]
    return _with(model, AdditiveGaussianEmissions(nothing, pooled.covariances, pooled.locations[0]))


def _with(model: FactorialHiddenMarkovModel, emissions: AdditiveGaussianEmissions) -> FactorialHiddenMarkovModel:
    return replace(model, emissions=emissions).allowing(model.possible)
