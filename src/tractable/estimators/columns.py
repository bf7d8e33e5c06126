"""Columns of a table as states of variables: categories by name, numbers in bins."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tractable.models._base import ModelError, nearest


@dataclass(frozen=True)
class Column:
    """How the values of a column become states: by their names, or by where they lie between cuts."""

    name: str
    categories: tuple[str, ...] | None
    cuts: np.ndarray

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states: categories, or intervals of numbers."""
        if self.categories is not None:
            return self.categories or ("missing",)
        ends = ["-inf", *(f"{cut!r}" for cut in self.cuts.tolist()), "inf"]
        return tuple(f"[{low}, {high})" for low, high in pairwise(ends))

    def codes(self, values: np.ndarray) -> np.ndarray:
        """The number of each value's state, −1 where it is missing.

        Raises
        ------
        ModelError : a category that the column did not have when it was learned.
        """
        if self.categories is None:
            numbers = as_numbers(values)
            if numbers is None:
                raise ModelError(f"column {self.name!r} held numbers when it was learned, and holds text now")
            return np.where(np.isnan(numbers), -1, np.searchsorted(self.cuts, numbers, side="right")).astype(np.int32)
        known = {name: k for k, name in enumerate(self.categories)}
        return np.array([self._code(row, x, known) for row, x in enumerate(values.tolist())], np.int32)

    def _code(self, row: int, value: Any, known: dict[str, int]) -> int:
        if is_missing(value):
            return -1
        if str(value) not in known:
            listed = ", ".join(list(known)[:8]) + (", …" if len(known) > 8 else "")
            near = nearest(str(value), known)
            raise ModelError(f"row {row}: column {self.name!r} has no category {value!r} (it has {listed}){near}")
        return known[str(value)]


def column_of(name: str, values: np.ndarray, n_bins: int, weights: np.ndarray) -> Column:
    """A column read off its values: text as categories, numbers in at most so many bins that hold equal shares."""
    numbers = as_numbers(values)
    if numbers is None:
        return Column(name, tuple(sorted({str(x) for x in values.tolist() if not is_missing(x)})), np.zeros(0))
    there = ~np.isnan(numbers) & (weights > 0)
    found, which = np.unique(numbers[there], return_inverse=True)
    middles = found[:-1] + np.diff(found) / 2
    if len(found) <= n_bins:
        return Column(name, None, middles)
    shares = np.cumsum(np.bincount(which.ravel(), weights[there]))
    at = np.searchsorted(shares, shares[-1] * np.arange(1, n_bins) / n_bins)
    return Column(name, None, middles[np.unique(at[at < len(middles)])])


def as_numbers(values: np.ndarray) -> np.ndarray | None:
    """Values as numbers, NaN where they are missing; None for a column of text."""
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    try:
        return np.array([np.nan if is_missing(x) else float(x) for x in values.tolist()])
    except ValueError:
        return None


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing."""
    return value is None or (isinstance(value, float) and value != value) or value == ""
