"""Where the learning of a hidden Markov model begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tractable.learning.starts import mixtures
from tractable.models.emissions import emissions_for
from tractable.models.hidden_markov import STATIONARY, HiddenMarkovModel
from tractable.models.keys import generator
from tractable.models.mixture import Mixture
from tractable.models.sequences import Sequences

STARTS = mixtures.STARTS
STAY = 0.5
"""The weight of staying in a state, where a start is made up: rows that follow each other tend to belong together."""


def hidden_markov(
    data: Any,
    n_states: int,
    emissions: str | Mapping[str, Sequence[int]] = "gaussian",
    *,
    start: str = "k-means++",
    n_parts: int = 1,
    key: Any = 0,
) -> HiddenMarkovModel:
    """A hidden Markov model for these sequences, where learning may begin: states are groups of rows.

    Parameters
    ----------
    data : one sequence [t, d], a list of them, or `Sequences`; NaN is missing.
    n_states : K.
    emissions, start, n_parts, key : as for `mixture`.

    Raises
    ------
    ModelError : values outside the domain, no rows, a column without a value.

    Examples
    --------
    >>> import numpy as np
    >>> model = tr.hidden_markov(np.repeat([0.0, 5.0], 20), 2, "diagonal")
    >>> sorted(model.emissions.means.ravel().round(2).tolist())
    [0.0, 5.0]
    """
    rows = all_rows(data)
    model = HiddenMarkovModel(*first_chain(n_states), emissions_for(emissions, rows, n_states, n_parts))
    return started(model, model.check(data), start, generator(key))


def left_right(
    data: Any,
    n_states: int,
    emissions: str | Mapping[str, Sequence[int]] = "gaussian",
    *,
    n_parts: int = 1,
    key: Any = 0,
) -> HiddenMarkovModel:
    """A hidden Markov model whose states follow one another, where learning may begin.

    Every sequence begins in the first state; from each it stays or goes on to the next, which learning keeps. States
    begin as shares of each sequence of about equal length.

    Parameters
    ----------
    data, n_states, emissions, n_parts, key : as for `hidden_markov`.

    Raises
    ------
    ModelError : values outside the domain, no rows, a column without a value.

    Examples
    --------
    >>> import numpy as np
    >>> model = tr.left_right(np.repeat([5.0, 0.0], 20), 2, "diagonal")
    >>> model.transition.tolist(), model.emissions.means.ravel().round(1).tolist()
    ([[0.5, 0.5], [0.0, 1.0]], [5.0, 0.0])
    """
    rows, k = all_rows(data), max(n_states, 1)
    onward = STAY * np.eye(k) + (1 - STAY) * np.eye(k, k=1)
    onward[-1, -1] = 1.0
    model = HiddenMarkovModel(np.eye(k)[0], onward, emissions_for(emissions, rows, n_states, n_parts))
    return _shared_out(model, model.check(data), np.full(k, 1 / k), generator(key))


def _shared_out(
    model: HiddenMarkovModel, x: Sequences, shares: np.ndarray, rng: np.random.Generator
) -> HiddenMarkovModel:
    """Emissions from shares of each sequence, one after another."""
    place = np.concatenate([(np.arange(n) + 0.5) / n for n in x.sizes])
    label = np.minimum(np.searchsorted(np.cumsum(shares), place), model.n_states - 1)
    return _with(model, mixtures.grouped(_mixture(model), x.rows, (x.rows, label), rng))


def started(model: HiddenMarkovModel, x: Sequences, start: str, rng: np.random.Generator) -> HiddenMarkovModel:
    """A new start of the same shape: emissions from groups of rows (of a left–right model, random shares of each
    sequence), transitions as they are."""
    if start == "k-means++" and model.n_states > 1 and model.first[0] == 1 and not np.tril(model.transition, -1).any():
        return _shared_out(model, x, rng.dirichlet(np.full(model.n_states, 5.0)), rng)
    return _with(model, mixtures.started(_mixture(model), x.rows, start, rng))


def repooled(model: HiddenMarkovModel, x: Sequences) -> HiddenMarkovModel:
    """Every state with the distribution of all rows."""
    return _with(model, mixtures.repooled(_mixture(model), x.rows))


def _mixture(model: HiddenMarkovModel) -> Mixture:
    return Mixture(np.full(model.n_states, 1 / model.n_states), model.emissions)


def _with(model: HiddenMarkovModel, rows: Mixture) -> HiddenMarkovModel:
    start = STATIONARY if model.is_stationary else model.first
    return HiddenMarkovModel(start, model.transition, rows.free, model.ties)


def first_chain(k: int) -> tuple[np.ndarray, np.ndarray]:
    """A start and transitions where nothing is known, but that states last."""
    uniform = np.full((max(k, 1), max(k, 1)), 1 / max(k, 1))
    return uniform[0], STAY * np.eye(max(k, 1)) + (1 - STAY) * uniform


def all_rows(data: Any) -> np.ndarray:
    """All rows, in which every column has a value."""
    rows = data.rows if isinstance(data, Sequences) else _rows(data)
    if rows.size:
        mixtures.check_columns(rows)
    return rows


def _rows(data: Any) -> np.ndarray:
    """All rows, before the emissions are known that say what a row is."""
    if isinstance(data, list | tuple) and len(data) and np.ndim(data[0]) > 0:
        return np.concatenate([_rows(np.asarray(part)) for part in data])
    array = np.asarray(data)
    return array[:, None] if array.ndim == 1 else array
