"""How often each row counts: a column of the data, which is then no data, or a file of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

import tractable as tr
from tractable.cli._table_files import known_columns, values_of
from tractable.formats._pipes import is_pipe, name_of
from tractable.formats.data import column_names
from tractable.models._base import nearest
from tractable.models.rows import listed
from tractable.models.weights import checked_weights

Settings = TypeVar("Settings", bound=Any)


class RowWeights(NamedTuple):
    """What a file says of how often rows count."""

    path: Any
    each: np.ndarray
    column: str | None = None

    def of(self, n: int) -> np.ndarray:
        """One weight for each of so many rows, or sequences."""
        with values_of(self.path):
            return checked_weights(self.each, n)

    def of_sequences(self, data: tr.Sequences) -> np.ndarray:
        """One weight for each sequence: those of its rows, where these have weights that are alike."""
        ends, n = data.ends, len(data)
        if len(self.each) == n:
            return self.of(n)
        with values_of(self.path):
            whole = checked_weights(self.each, int(ends[-1]))
            for row in np.flatnonzero(whole[1:] != whole[:-1]) + 1:
                if row not in ends:
                    raise tr.ModelError(f"row {row}: another weight than the rows before it in the same sequence")
            return whole[ends - 1]


def weighing(settings: Settings, data: Any) -> tuple[Settings, RowWeights | None]:
    """The settings, which leave the column of weights out of the data, and the weights.

    Raises
    ------
    ModelError : what is neither a column of the data nor a file.
    """
    if (given := settings.weights) is None:
        return settings, None
    names = column_names(data) or []
    column = known_columns(names).get(given, None if names or not given.isdecimal() else given)
    if column is None:
        return settings, RowWeights(given, _one_column(given, names, data))
    left = replace(settings, ignore=[*(settings.ignore or ()), f'"{column}"'])
    return left, RowWeights(data, tr.read_data(data, columns=[column])[:, 0], column)


def followed(settings: Settings, weights: RowWeights | None, path: Any) -> Settings:
    """The settings for rows that are followed, whose file may lack the column of weights."""
    names = column_names(path) if weights and weights.column is not None else None
    if not names or (weights and weights.column in names):
        return settings
    return replace(settings, ignore=settings.ignore[:-1])


def _one_column(path: str, names: Sequence[str], data: Any) -> np.ndarray:
    """The numbers in a file, where no column of the data has this name."""
    if not is_pipe(path) and not os.path.exists(path):
        there = f"there are {listed(names)}" if names else "its columns have no names, but numbers from 0"
        raise tr.ModelError(
            f"--weights {path}: no column of {name_of(data)}{nearest(path, names)}, and no such file; {there}"
        )
    found = tr.read_data(path)
    if found.shape[1] != 1:
        raise tr.ModelError(f"--weights {path}: expected one column, got {found.shape[1]}")
    return found[:, 0]
