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
from tractable.models.sequences import Sequences, are_many, as_many
from tractable.models.unnamed import matrix
from tractable.models.weights import WeightedRows, counted

STARTS = ("k-means++", "segments", "rows", "random")
"""The kinds of starts, which take turns where there are several."""

PIECES = 8
"""Each state is given at most so many pieces of the sequences, on average."""

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
    start : ``"k-means++"`` and ``"rows"`` as for `mixture`; ``"segments"`` cuts the sequences into pieces and gives
        each to a state, whatever its values, and so does ``"k-means++"`` where all columns hold categories or bits;
        ``"random"`` draws the transitions, too.
    emissions, key, columns, ignore, categories, n_parts : as for `mixture`. weights : how often each sequence counts.

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
    data, weights = counted(data, chosen.pop("weights", None), as_many)
    found, own = mixtures.emissions_of(parts_of(data), n_states, ColumnsWanted(emissions, aside=aside_in(data)), chosen)
    model = HiddenMarkovModel(*first_chain(n_states), own, columns=found.columns)
    return started(model, WeightedRows(model.check(data), weights), start, generator(key))


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
    data, n_states, emissions, key, columns, ignore, categories, n_parts, weights : as for `hidden_markov`.

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
    data, weights = counted(data, chosen.pop("weights", None), as_many)
    wanted, k = ColumnsWanted(emissions, aside=aside_in(data)), max(n_states, 1)
    found, own = mixtures.emissions_of(parts_of(data), n_states, wanted, chosen)
    onward = STAY * np.eye(k) + (1 - STAY) * np.eye(k, k=1)
    onward[-1, -1] = 1.0
    model = HiddenMarkovModel(np.eye(k)[0], onward, own, columns=found.columns)
    return _shared_out(model, WeightedRows(model.check(data), weights), np.full(k, 1 / k), generator(key))


def _shared_out(
    model: HiddenMarkovModel, data: WeightedRows, shares: np.ndarray, rng: np.random.Generator
) -> HiddenMarkovModel:
    """Emissions from shares of each sequence, one after another."""
    place = np.concatenate([(np.arange(n) + 0.5) / n for n in data.rows.sizes])
    return _labelled(model, data, np.minimum(np.searchsorted(np.cumsum(shares), place), model.n_states - 1), rng)


def _labelled(
    model: HiddenMarkovModel, data: WeightedRows, label: np.ndarray, rng: np.random.Generator
) -> HiddenMarkovModel:
    """Emissions from the state that each row is given to."""
    rows = by_row(data)
    return _with(model, mixtures.grouped(_mixture(model), rows, (rows, label), rng))


def started(model: HiddenMarkovModel, data: WeightedRows, start: str, rng: np.random.Generator) -> HiddenMarkovModel:
    """A new start of the same shape, transitions as they are unless all is random; of a left–right model random shares
    of each sequence."""
    mixtures.check_start(start, STARTS)
    k, by_value = model.n_states, not mixtures.discrete(model.emissions).all()
    leads_on = k > 1 and model.first[0] == 1 and not np.tril(model.transition, -1).any()
    if leads_on and start in ("k-means++", "segments"):
        return _shared_out(model, data, rng.dirichlet(np.full(k, 5.0)), rng)
    if start == "k-means++" and by_value:
        return _with(model, mixtures.started(_mixture(model), by_row(data), start, rng))
    model = _lasting(model, rng)
    if start in ("segments", "k-means++"):
        return _labelled(model, data, _segments(data.rows, k, rng), rng)
    return _with(model, mixtures.started(_mixture(model), by_row(data), start, rng))


def _segments(x: Sequences, k: int, rng: np.random.Generator) -> np.ndarray:
    """A state for each row: the same for a piece of a sequence, another one for the next."""
    n = int(x.sizes.sum())
    n_pieces = min(n, k * int(rng.integers(1, PIECES + 1)) + len(x) - 1)
    cuts = rng.choice(n - 1, n_pieces - 1, replace=False) + 1 if n > 1 else np.zeros(0, int)
    first = np.zeros(n, int)
    first[cuts] = first[x.ends[:-1]] = 1
    order = np.concatenate([rng.permutation(k) for _ in range(int(first.sum()) // k + 1)])
    return order[np.cumsum(first)]


def _lasting(model: HiddenMarkovModel, rng: np.random.Generator) -> HiddenMarkovModel:
    """With random transitions of the same structure, whose states last for some time, where nothing ties them."""
    if model.ties is not None:
        return model
    possible, stay = model.possible[1:], rng.uniform(STAY, 1.0)
    others = rng.dirichlet(np.ones(len(possible)), len(possible))
    drawn = np.where(possible, stay * np.eye(len(possible)) + (1 - stay) * others, 0.0)
    return model.replaced(transition=drawn / drawn.sum(1, keepdims=True)).allowing(model.possible)


def repooled(model: HiddenMarkovModel, data: WeightedRows) -> HiddenMarkovModel:
    """Every state with the distribution of all rows."""
    return _with(model, mixtures.repooled(_mixture(model), by_row(data)))


def by_row(data: WeightedRows) -> WeightedRows:
    """The rows of sequences, each of the weight of its sequence."""
    x, weights = data
    return WeightedRows(x.rows, None if weights is None else np.repeat(weights, x.sizes))


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
