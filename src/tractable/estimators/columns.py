"""Columns of a table as states of variables: categories by name, numbers in bins."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tractable.models._base import ModelError
from tractable.models.columns import numbers
from tractable.models.kinds import BOOLEANS, is_boolean, is_text
from tractable.models.rows import values_of
from tractable.models.values import state_reader


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

    def codes(self, cells: Any) -> np.ndarray:
        """The number of each value's state, −1 where it is missing.

        Raises
        ------
        ModelError : a category that the column did not have, or text where it had numbers, when it was learned.
        """
        if self.categories is not None:
            return state_reader(self.name, self.states).codes(cells)
        found = numbers(self.name, cells, ", which the column held when it was learned")
        return np.where(np.isnan(found), -1, np.searchsorted(self.cuts, found, side="right")).astype(np.int32)


def column_of(name: str, cells: Any, n_bins: int, weights: np.ndarray, declared: tuple[str, ...] = ()) -> Column:
    """A column read off its values: numbers in at most so many bins that hold equal shares of the rows.

    Text, booleans and what is declared are categories.
    """
    if categories := declared or _categories(name, cells):
        return Column(name, categories, np.zeros(0))
    found = numbers(name, cells)
    there = ~np.isnan(found) & (weights > 0)
    different, which = np.unique(found[there], return_inverse=True)
    middles = different[:-1] + np.diff(different) / 2
    if len(different) <= n_bins:
        return Column(name, None, middles)
    shares = np.cumsum(np.bincount(which.ravel(), weights[there]))
    at = np.searchsorted(shares, shares[-1] * np.arange(1, n_bins) / n_bins)
    return Column(name, None, middles[np.unique(at[at < len(middles)])])


def _categories(name: str, cells: Any) -> tuple[str, ...]:
    """The names of the states of a column of text or of booleans; none of numbers."""
    if is_boolean(cells):
        return BOOLEANS
    try:
        return tuple(values_of(cells)) if is_text(cells) else ()
    except ModelError as error:
        raise ModelError(f"the column {name!r} {error}") from None
