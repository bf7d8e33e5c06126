"""Columns of states 0, 1, …, independent given the component."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, ClassVar

import numpy as np

from tractable._cached import cached_property
from tractable.kernels import rows
from tractable.models._base import ModelError, set_fields
from tractable.models.emissions import cumulative
from tractable.models.emissions._base import (
    ROUNDING,
    Emissions,
    Levels,
    Statistics,
    as_rows,
    blocks,
    logs,
    parameters,
    times_logs,
    two_axes,
)

MAX_STATES = 1 << 16


@dataclass(frozen=True, eq=False, repr=False)
class CategoricalEmissions(Emissions):
    """p(x | k) = ∏_j P_j[k, x_j] for columns with any number of states each.

    Parameters
    ----------
    tables : for each column P_j [K, n_states of the column], rows summing to one; or one array [K, n_states] for a
        single column.

    Raises
    ------
    ModelError : negative entries, rows that do not sum to one within 1e-6, tables of different K.

    Examples
    --------
    >>> tr.CategoricalEmissions([[[0.5, 0.5, 0.0]], [[0.25, 0.75]]]).log_likelihood([[1, 0], [2, 1]]).round(6).tolist()
    [[-2.079442], [-inf]]
    """

    kind: ClassVar[str] = "categorical"
    domain: ClassVar[str] = "a state 0, 1, … that its column has"
    prior_strength: ClassVar[float] = 0.1

    tables: Sequence[np.ndarray]

    def __post_init__(self) -> None:
        single = isinstance(self.tables, np.ndarray) and self.tables.ndim == 2
        given = [self.tables] if single else list(self.tables)
        if not given:
            raise ModelError("tables: there is no column; give one table [K, n_states] for each")
        first = np.shape(given[0])[0] if np.ndim(given[0]) else None
        tables = tuple(_checked(f"table {j}", table, first) for j, table in enumerate(given))
        set_fields(self, tables=tables)

    @property
    def n_states(self) -> tuple[int, ...]:
        """The number of states of each column."""
        return tuple(t.shape[1] for t in self.tables)

    @property
    def column_states(self) -> tuple[int | None, ...]:
        """As `n_states`."""
        return self.n_states

    def domain_of(self, column: int) -> str:
        """The states of a column."""
        n = self.n_states[column]
        return f"a state 0 … {n - 1} of this column; categories= declares more when the model is made"

    @property
    def means(self) -> np.ndarray:
        """The expected number of the state."""
        return np.stack([t @ np.arange(t.shape[1]) for t in self.tables], axis=1)

    @property
    def deviations(self) -> np.ndarray:
        """None: states are names."""
        return np.full((self.n_components, self.n_columns), np.nan)

    def cumulative(self, x: np.ndarray) -> np.ndarray:
        """P(x_j ≤ x | k), states in their order."""
        return np.stack([cumulative.of_states(x[:, j], table) for j, table in enumerate(self.tables)], axis=2)

    @property
    def n_parameters(self) -> int:
        """K Σ_j (n_states − 1)."""
        return self.n_components * (sum(self.n_states) - self.n_columns)

    def arrays(self) -> dict[str, np.ndarray]:
        """The parameters by name: one table for each column."""
        return {f"table{j}": t for j, t in enumerate(self.tables)}

    def allowed(self, x: np.ndarray) -> np.ndarray:
        """States of the column and NaN."""
        return _whole(x) & ((x < np.array(self.n_states)) | np.isnan(x))

    @classmethod
    def pooled(
        cls,
        x: Any,
        n_components: int,
        n_states: Sequence[int | None] | None = None,
        names: Sequence[Any] | None = None,
        weights: np.ndarray | None = None,
    ) -> CategoricalEmissions:
        """The frequency of each state in each column, one pseudo-count kept for each.

        States go up to the largest, or to the number `n_states` of a column, where they are declared; `names` are what
        messages call the columns.
        """
        table = two_axes(x)
        declared = [None] * table.shape[1] if n_states is None else n_states
        good = _whole(table) & ~(table >= np.array([np.inf if n is None else n for n in declared]))
        if not good.all():
            row, column = np.argwhere(~good)[0].tolist()
            told = "a state 0, 1, …" if declared[column] is None else f"one of the {declared[column]} states declared"
            place = f"row {row}, column {column if names is None else repr(names[column])}"
            raise ModelError(f"{place}: the value {table[row, column].item()!r} is not {told}")
        counts = [_counts(table[:, j], n or 1, weights) + 1 for j, n in enumerate(declared)]
        return cls([np.tile(c / c.sum(), (n_components, 1)) for c in counts])

    def repooled(self, x: Any, weights: np.ndarray | None = None) -> CategoricalEmissions:
        """The frequency of each state, one pseudo-count kept for each; those that do not turn up stay states."""
        parts = [self.statistics(block, np.repeat(each, self.n_components, 1)) for block, each in blocks(x, weights)]
        return self.maximized(reduce(add, parts), self.prior(1.0))

    @cached_property
    def _packed(self) -> rows.ColumnTables:
        """Logarithms, for the kernel."""
        return rows.tables([logs(table) for table in self.tables])

    def log_likelihood(self, x: Any) -> np.ndarray:
        """log p(x | k) [n, K]."""
        return rows.lookup(as_rows(x), self._packed)

    def statistics(self, x: Any, responsibilities: np.ndarray) -> Statistics:
        """``count{j}`` of each state [K, n_states] among the observed entries of column j."""
        counts = rows.tally(as_rows(x), responsibilities, self.n_states)
        return Statistics({f"count{j}": count for j, count in enumerate(counts)})

    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> CategoricalEmissions:
        """P = counts / their sum."""
        total = statistics if prior is None else statistics + prior
        tables = []
        for j, old in enumerate(self.tables):
            counts = total[f"count{j}"]
            sums = counts.sum(1, keepdims=True)
            tables.append(np.where(sums > 0, counts / np.where(sums > 0, sums, 1), old))
        return CategoricalEmissions(tables)

    def prior(self, strength: float | None = None) -> Statistics:
        """A Dirichlet prior."""
        n = self.prior_strength if strength is None else strength
        return Statistics({f"count{j}": n * t for j, t in enumerate(self.tables)})

    def log_prior(self, prior: Statistics) -> float:
        """Log density of the Dirichlet prior, without its constant."""
        return sum(times_logs(prior[f"count{j}"], t) for j, t in enumerate(self.tables))

    def _of_columns(self, chosen: np.ndarray) -> CategoricalEmissions:
        return CategoricalEmissions([t for t, wanted in zip(self.tables, chosen, strict=True) if wanted])

    def imputed(self, x: np.ndarray, responsibilities: np.ndarray, levels: Levels = ()) -> np.ndarray:
        """The rows with the most probable state in place of NaN, or with the mean of what states stand for."""
        x = as_rows(x)
        each = zip(x.T, self.tables, levels or [None] * self.n_columns, strict=True)
        return np.stack([_filled(column, responsibilities @ table, own) for column, table, own in each], axis=1)

    def sample(self, rng: np.random.Generator, components: np.ndarray) -> np.ndarray:
        """Rows of states."""
        u = rng.random((len(components), self.n_columns))
        columns = [(u[:, j, None] > t.cumsum(1)[components][:, :-1]).sum(1) for j, t in enumerate(self.tables)]
        return np.stack(columns, axis=1).astype(np.float64)


def _filled(column: np.ndarray, p: np.ndarray, levels: np.ndarray | None) -> np.ndarray:
    """A column whose gaps get the likeliest state of these probabilities [n, n_states], or the mean of `levels`."""
    gaps = np.isnan(column)
    if levels is None:
        return np.where(gaps, p.argmax(1), column)
    return np.where(gaps, p @ levels, levels[np.where(gaps, 0, column).astype(np.int64)])


def _checked(name: str, table: Any, n_components: int | None) -> np.ndarray:
    array = parameters(name, table, (n_components, None), 0.0)
    sums = array.sum(1, keepdims=True)
    if np.abs(sums - 1).max() > 1e-6:
        raise ModelError(f"{name}: row {int(np.abs(sums - 1).argmax())} sums to {sums.max():.6g}, not to 1")
    return np.where(np.abs(sums - 1) > ROUNDING, array / sums, array)  # what is normalized keeps its bits


def _whole(x: np.ndarray) -> np.ndarray:
    return ((x >= 0) & (x < MAX_STATES) & (x == np.floor(x))) | np.isnan(x)


def _codes(x: Any) -> np.ndarray:
    """States as integers, −1 for what is missing."""
    x = np.asarray(x)
    return np.where(np.isnan(x), -1, x).astype(np.int64) if x.dtype.kind == "f" else x.astype(np.int64)


def _counts(column: np.ndarray, n: int, weights: np.ndarray | None) -> np.ndarray:
    codes = _codes(column)
    each = None if weights is None else weights[codes >= 0]
    return np.bincount(codes[codes >= 0], each, minlength=n).astype(np.float64)
