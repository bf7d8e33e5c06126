"""Answers about rows by the names of their columns, in the container that the data came in."""

from __future__ import annotations

from typing import Any

import numpy as np

from tractable.models.columns import Columns
from tractable.models.emissions import Emissions
from tractable.models.emissions._base import Levels
from tractable.models.levels import written
from tractable.models.rows import Rows, columns_of, is_named, like, n_rows_of, replaced, take
from tractable.models.sequences import Sequences, are_many


def filled(columns: Columns, data: Any, rows: np.ndarray, levels: Levels = ()) -> Any:
    """Data as they came, with the values of complete rows in their gaps; of `levels` where states stand for numbers."""
    if levels:
        own = [(values, slice(j, j + 1)) for j, values in enumerate(levels) if values is not None]
        return written(columns, own, rows, data)
    if is_named(data):
        return replaced(data, columns.completed(data, rows))
    return columns.in_place(data, rows)


def table(columns: Columns, data: Any, rows: np.ndarray) -> Any:
    """Rows of all columns of a model, in a container like that of the data."""
    return like(data, Rows(columns.written(rows)))


def likely(emissions: Emissions, weights: np.ndarray) -> np.ndarray:
    """The mean of each column where components have these weights [n, K]; of a categorical one its likeliest state.

    Nothing is likely where weights are NaN: all of such a row is missing.
    """
    gaps, known = np.full((len(weights), emissions.n_columns), np.nan), ~np.isnan(weights).any(1)
    gaps[known] = emissions.imputed(gaps[known], weights[known])
    return gaps


def expected(columns: Columns | None, emissions: Emissions, weights: np.ndarray) -> Any:
    """Mean rows [n, d] where components have these weights [n, K], by name where columns have names."""
    if columns is None:
        return weights @ emissions.means
    return Rows(columns.written(likely(emissions, weights)))


# ---------------------------------------------------------------- sequences


def filled_sequences(columns: Columns, data: Any, found: Any, levels: Levels = ()) -> Any:
    """Sequences as they came, with the values of complete rows (a list of them for many) in their gaps."""
    if isinstance(data, Sequences):
        rows = np.concatenate(found) if data.many else found
        if not data.named:
            return _split(data, filled(columns, data.rows, rows, levels))
        whole = columns_of(filled(columns, data.data, rows, levels)) if levels else columns.completed(data.data, rows)
        return _split(data, replaced(data.rows, whole))
    if are_many(data):
        return [filled(columns, part, own, levels) for part, own in zip(data, found, strict=True)]
    return filled(columns, data, found, levels)


def sequences(columns: Columns, data: Any, rows: np.ndarray) -> Any:
    """All rows of sequences, in containers like those of the data."""
    if isinstance(data, Sequences):
        return _split(data, table(columns, data.data, rows))
    if not are_many(data):
        return table(columns, data, rows)
    ends = np.cumsum([n_rows_of(part) for part in data])
    return [table(columns, part, own) for part, own in zip(data, np.split(rows, ends[:-1]), strict=True)]


def _split(data: Sequences, whole: Any) -> Any:
    """A table of all rows as one for each sequence."""
    if not data.many:
        return whole
    ends = zip(data.ends.tolist(), data.sizes.tolist(), strict=True)
    return [take(whole, slice(end - n, end)) for end, n in ends]
