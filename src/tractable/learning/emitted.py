"""Columns as units hold them, as the columns of a mixture: what a yardstick is made of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tractable.models.units import Bernoulli, Categorical, Gaussian, Mixed, Spin, Units

KINDS: dict[type[Units], str] = {
    Bernoulli: "bernoulli",
    Spin: "bernoulli",
    Gaussian: "diagonal",
    Categorical: "categorical",
}
"""Emissions for columns of each kind."""

FLAT = 1e-9
"""A real column varies by more than this, as a share of its scale."""


class ColumnEmissions(NamedTuple):
    """The kinds of emissions of some columns by their numbers, and how many states categorical ones have."""

    kinds: dict[str, list[int]]
    categories: dict[int, int]


def emitted(units: Units) -> ColumnEmissions | None:
    """What a mixture takes these columns for; None where it has no such emissions."""
    kinds: dict[str, list[int]] = {}
    categories: dict[int, int] = {}
    for part, own in parts_of(units):
        if type(part) not in KINDS:
            return None
        kinds.setdefault(KINDS[type(part)], []).extend(range(own.start, own.stop))
        if isinstance(part, Categorical):
            categories.update(dict.fromkeys(range(own.start, own.stop), part.q))
    return ColumnEmissions(kinds, categories)


def in_codes(units: Units, rows: np.ndarray) -> np.ndarray:
    """Rows as a mixture takes them: spins as 0 and 1, states by their numbers, gaps as they are."""
    out = np.array(rows, np.float64)
    for part, own in parts_of(units):
        x = out[:, own]
        if isinstance(part, Spin):
            out[:, own] = np.where(np.isnan(x), np.nan, x > 0)
        elif isinstance(part, Categorical) and part.names:
            states = np.abs(x[..., None] - part.levels).argmin(-1)
            out[:, own] = np.where(np.isnan(x), np.nan, states)
    return out


def varying(units: Units, rows: np.ndarray) -> np.ndarray:
    """The columns of which a mixture can be made: real ones that vary, others that have a value."""
    out = np.asarray(~np.isnan(rows).all(0))
    for part, own in parts_of(units):
        if isinstance(part, Gaussian):
            variance, square = _spread(rows[:, own])
            out[own] &= variance > FLAT**2 * np.maximum(square, 1.0)
    return out


def of_their_own(units: Any, rows: np.ndarray) -> Any:
    """The units with the precision that real columns have by themselves, where it is learned and they vary."""
    if isinstance(units, Mixed):
        return Mixed(*(of_their_own(part, rows[:, own]) for part, own in parts_of(units)), columns=units.columns)
    if not isinstance(units, Gaussian) or not units.learned:
        return units
    variance, square = _spread(rows)
    flat = variance <= FLAT**2 * np.maximum(square, 1.0)
    own = -np.log(np.where(flat, 1.0, variance))
    precision = np.where(flat, units.log_precision, own).astype(units.log_precision.dtype)
    return Gaussian(units.n, precision, units.learned)


def _spread(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The variance of each column and its mean square, of what is not missing."""
    seen = ~np.isnan(rows)
    count, x = np.maximum(seen.sum(0), 1), np.where(seen, rows, 0.0).astype(np.float64)
    mean = x.sum(0) / count
    return (np.where(seen, x - mean, 0) ** 2).sum(0) / count, (x**2).sum(0) / count


def parts_of(units: Any) -> list[tuple[Units, slice]]:
    """Units of one kind after another, with their columns."""
    return [(part, own) for part, own, _ in units] if isinstance(units, Mixed) else [(units, slice(0, units.n))]
