"""Rows as the numbers that states stand for: a table with names read so, and values given back by the names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tractable.models.columns import Columns
from tractable.models.rows import Rows, is_named, replaced
from tractable.models.unnamed import array_of
from tractable.models.values import number_of


def as_columns(given: Any) -> Columns | None:
    """Names of columns as such."""
    return given if given is None or isinstance(given, Columns) else Columns(given)


NamedStates = Iterable[tuple[np.ndarray, slice]]
"""The values of named states, and the columns that have these."""


def read(columns: Columns, levels: NamedStates, data: Any) -> np.ndarray:
    """Data as the numbers [..., n] that units take; an array of numbers is that already."""
    if isinstance(data, np.ndarray) and data.dtype.kind in "biuf":
        return data
    case = columns.case_of(data)
    single = case is not None or (not is_named(data) and array_of(data).ndim == 1)
    codes = columns.read(data) if case is None else columns.evidence(data, "")
    for values, own in levels:
        codes[:, own] = _at(values, codes[:, own])
    return codes[0] if single else codes


def written(columns: Columns, levels: NamedStates, values: np.ndarray, data: Any) -> Any:
    """Values [n_rows, n] by name, in the container that the data came in; what is no state, a mean, as it is."""
    codes, between = np.array(values, np.float64), []
    for own_values, own in levels:
        same = codes[..., own, None] == own_values
        between += (own.start + np.flatnonzero((~same.any(-1) & ~np.isnan(codes[..., own])).any(0))).tolist()
        codes[..., own] = np.where(np.isnan(codes[..., own]), np.nan, same.argmax(-1))
    names: Any = columns.names
    means = {names[j]: np.asarray(values)[:, j] for j in between}
    if data is None:
        return Rows(columns.written(codes) | means)
    if is_named(data):
        return replaced(data, columns.completed(data, codes) | means)
    found = columns.in_place(data, codes)
    found[:, between] = np.asarray(values)[:, between]
    return found


def levels_of(columns: Columns | None, n_states: Sequence[int | None]) -> list[np.ndarray | None]:
    """For each column the numbers that its states stand for; None where it holds numbers, or states that are words."""
    names = [()] * len(n_states) if columns is None else [columns.categories.get(name, ()) for name in columns.names]
    return [None if n is None else numbers_in(own or range(n)) for n, own in zip(n_states, names, strict=True)]


def numbers_in(states: Iterable[Any]) -> np.ndarray | None:
    """The numbers that states read as, None where some are words."""
    found = [number_of(state) for state in states]
    return None if None in found else np.array(found, np.float64)


def _at(levels: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The values of states by their numbers, NaN where these are."""
    gaps = np.isnan(codes)
    return np.where(gaps, np.nan, levels[np.where(gaps, 0, codes).astype(np.int64)])
