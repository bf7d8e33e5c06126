"""Where the learning of a hidden Markov model begins."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from tractable.learning.starts import mixtures
from tractable.models.hidden_markov import HiddenMarkovModel
from tractable.models.keys import generator
from tractable.models.kinds import ColumnsWanted, EmissionKinds
from tractable.models.mixture import Mixture
from tractable.models.rows import is_named
from tractable.models.sequences import Sequences, are_many
from tractable.models.unnamed import matrix

STARTS = mixtures.STARTS
STAY = 0.5
"""The weight of staying in a state, where a start is made up: rows that follow each other tend to belong together."""


def hidden_markov(
    data: Any,
    n_states: int,
    emissions: EmissionKinds = "auto",
    *,
    start: str = "k-means++",
    key: Any = 0,
    **chosen: Unpack[mixtures.OfColumns],
) -> HiddenMarkovModel:
    """A hidden Markov model for these sequences, where learning may begin: states are groups of rows.

    Parameters
    ----------
    data : one sequence [t, d], or a table with names; a list of them, or `Sequences`; NaN is missing.
    n_states : K.
    emissions, start, key, columns, ignore, categories, n_parts : as for `mixture`.

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
    found, own = mixtures.emissions_of(parts_of(data), n_states, ColumnsWanted(emissions, aside=aside_in(data)), chosen)
    model = HiddenMarkovModel(*first_chain(n_states), own, columns=found.columns)
    return started(model, model.check(data), start, generator(key))


def left_right(
    data: Any,
    n_states: int,
    emissions: EmissionKinds = "auto",
    *,
    key: Any = 0,
    **chosen: Unpack[mixtures.OfColumns],
) -> HiddenMarkovModel:
    """A hidden Markov model whose states follow one another, where learning may begin.

    Every sequence begins in the first state; from each it stays or goes on to the next, which learning keeps. States
    begin as shares of each sequence of about equal length.

    Parameters
    ----------
    data, n_states, emissions, key, columns, ignore, categories, n_parts : as for `hidden_markov`.

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
    (found, own), k = (
        mixtures.emissions_of(parts_of(data), n_states, ColumnsWanted(emissions, aside=aside_in(data)), chosen),
        max(n_states, 1),
    )
    onward = STAY * np.eye(k) + (1 - STAY) * np.eye(k, k=1)
    onward[-1, -1] = 1.0
    model = HiddenMarkovModel(np.eye(k)[0], onward, own, columns=found.columns)
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
    return model.replaced(emissions=rows.free)


def first_chain(k: int) -> tuple[np.ndarray, np.ndarray]:
    """A start and transitions where nothing is known, but that states last."""
    uniform = np.full((max(k, 1), max(k, 1)), 1 / max(k, 1))
    return uniform[0], STAY * np.eye(max(k, 1)) + (1 - STAY) * uniform


def parts_of(data: Any) -> list[Any]:
    """The sequences in data as tables with names, or arrays [t, d]."""
    parts = data if are_many(data) else [data.rows if isinstance(data, Sequences) else data]
    return [part if is_named(part) else matrix(part, axes=1) for part in parts]


def aside_in(data: Any) -> str | None:
    """The column that tells sequences apart, where it is among the others."""
    return None if not isinstance(data, Sequences) or data.by is None else str(data.by)
