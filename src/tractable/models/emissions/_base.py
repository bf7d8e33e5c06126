"""What every kind of emissions shares: additive statistics, checks that name the place, rules for what is missing.

Emissions say how each of K components (of a mixture, or states of a hidden Markov model) produces a row of data. Six
methods make a kind: `log_likelihood`, `statistics`, `maximized`, `log_prior`, `sample` and `pooled`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tractable.models._base import ModelError

Levels = Sequence["np.ndarray | None"]
"""For each column the numbers that its states stand for; none are given."""

ROWS = 4096
"""Rows that are looked at together where data are larger than what a step should hold."""

SEEN = 20_000
"""At most so many rows are looked at for what is typical of a column."""

FAR = 20.0
"""So many typical deviations from the median, a number is drawn in where spread is measured."""

Within = tuple[np.ndarray, np.ndarray]
"""The least and the largest number of each column."""

NEGLIGIBLE = 1e-200
"""An expected count below it is none: what is divided by it overflows."""

ROUNDING = 1e-12
"""Probabilities whose sum is as near to one as this are left as they are."""


@dataclass(frozen=True)
class Statistics:
    """Expected sufficient statistics by name; those of two blocks of rows add up to those of both together.

    Examples
    --------
    >>> import numpy as np
    >>> a = tr.models.emissions.Statistics({"count": np.array([1.0, 2.0])})
    >>> (a + 2 * a)["count"]
    array([3., 6.])
    """

    arrays: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics({name: array + other.arrays[name] for name, array in self.arrays.items()})

    def __rmul__(self, factor: float) -> Statistics:
        return Statistics({name: factor * array for name, array in self.arrays.items()})

    def part(self, prefix: str) -> Statistics:
        """Those whose names begin with a prefix, without it."""
        return Statistics({n.removeprefix(prefix): a for n, a in self.arrays.items() if n.startswith(prefix)})

    @classmethod
    def joined(cls, parts: Iterable[tuple[str, Statistics]]) -> Statistics:
        """Several, told apart by prefixes."""
        return cls({prefix + name: array for prefix, part in parts for name, array in part.arrays.items()})


class Emissions(ABC):
    """p(x | component) for K components over the columns of a row; NaN marks what is missing and is integrated out.

    Examples
    --------
    >>> counts = tr.PoissonEmissions([[2.0], [5.0]])
    >>> counts.n_components, counts.n_columns, counts.means.tolist()
    (2, 1, [[2.0], [5.0]])
    >>> isinstance(counts, tr.models.emissions.Emissions)
    True
    """

    kind: ClassVar[str]
    domain: ClassVar[str]
    prior_strength: ClassVar[float]
    """The strength of the prior where none is asked for."""

    @property
    @abstractmethod
    def means(self) -> np.ndarray:
        """The expected row of each component [K, d]."""

    @property
    def deviations(self) -> np.ndarray:
        """The standard deviation of each column under each component [K, d]; NaN of categories, which have none."""
        raise ModelError(f"{type(self).__name__} does not say how far rows are from their means: give it `deviations`")

    def cumulative(self, x: np.ndarray) -> np.ndarray:
        """P(x_j ≤ x | k) of each column under each component [n, K, d], for values [n, d]."""
        raise ModelError(f"{type(self).__name__} has no distribution functions: give it `cumulative`")

    @property
    def whole(self) -> np.ndarray:
        """Which columns hold whole numbers alone [d]."""
        return np.zeros(self.n_columns, bool)

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """How many free numbers there are."""

    @classmethod
    @abstractmethod
    def pooled(cls, x: Any, n_components: int, weights: np.ndarray | None = None) -> Emissions:
        """Emissions under which every component is the distribution of each column over all rows [n, d].

        `weights` say how often each row counts. Of numbers, those far outside the others are drawn in (`winsorized`).
        They have the shapes that learning needs: ``pooled.maximized(pooled.statistics(x, r))`` are those of
        responsibilities r, and `prior` pulls towards them.
        """

    def repooled(self, x: Any, weights: np.ndarray | None = None) -> Emissions:
        """The same for other rows: of this kind and shape, every component the distribution of all rows."""
        return self.pooled(x, self.n_components, weights)

    @abstractmethod
    def log_likelihood(self, x: Any) -> np.ndarray:
        """log p(x | k) of each row [n, d] under each component: [n, K]."""

    @abstractmethod
    def statistics(self, x: Any, responsibilities: np.ndarray) -> Statistics:
        """Expected sufficient statistics Σ_n r_nk E[T(x_n) | observed entries, k] of rows [n, d], weights [n, K]."""

    @abstractmethod
    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> Emissions:
        """The most likely emissions given expected statistics, with a prior the most probable ones (closed form).

        A component of no weight, which no prior speaks for, stays as it is.
        """

    @abstractmethod
    def prior(self, strength: float | None = None) -> Statistics:
        """A conjugate prior around these emissions: the statistics of so many pseudo-rows for each component.

        For Gaussian kinds the pseudo-rows weigh on the covariance alone: an inverse-Wishart prior without degrees of
        freedom, of scale `strength` times the variance of each column.
        """

    @abstractmethod
    def log_prior(self, prior: Statistics) -> float:
        """The log density of the prior at these parameters, up to a constant."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, components: np.ndarray) -> np.ndarray:
        """One row from the given component each: [n] -> [n, d]."""

    @abstractmethod
    def allowed(self, x: np.ndarray) -> np.ndarray:
        """Which values are in the domain [n, d]; NaN counts as allowed."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """The parameters by name, as the constructor takes them."""

    def conditioned(self, row: np.ndarray) -> Emissions | None:
        """The emissions of the columns that are NaN in a row [d], given the others; None where there are none."""
        free = np.isnan(as_rows(row))
        return self._of_columns(free) if free.any() else None

    def _of_columns(self, chosen: np.ndarray) -> Emissions:
        """The emissions of some of the columns, where columns are independent given the component."""
        return type(self)(**{name: array[..., chosen] for name, array in self.arrays().items()})

    @property
    def column_states(self) -> tuple[int | None, ...]:
        """For each column the number of its states, None where it holds numbers."""
        return (None,) * self.n_columns

    def domain_of(self, column: int) -> str:
        """What a column may hold, in words."""
        return self.domain

    @property
    def n_components(self) -> int:
        """K."""
        return self.means.shape[0]

    @property
    def n_columns(self) -> int:
        """d."""
        return self.means.shape[1]

    def imputed(self, x: np.ndarray, responsibilities: np.ndarray, levels: Levels = ()) -> np.ndarray:
        """The rows with NaN replaced by the posterior mean (of a categorical column: the most probable state).

        Where `levels` say which numbers the states of a column stand for, these take their place, the mean that of NaN.
        """
        x = as_rows(x)
        return np.where(np.isnan(x), responsibilities @ self.means, x)

    def check(self, x: Any, name: str = "", columns: Sequence[str] | None = None) -> np.ndarray:
        """The rows as an array, every value looked at; `columns` are what messages call them.

        Raises
        ------
        ModelError : no two axes, wrong width, a value outside the domain; the message names row and column.
        """
        rows = two_axes(x, name)
        if rows.shape[1] != self.n_columns:
            raise ModelError(
                f"{name}the data have {rows.shape[1]} columns, the model has {self.n_columns}; columns= chooses"
            )
        for start in range(0, len(rows), ROWS):
            good = self.allowed(rows[start : start + ROWS])
            if not good.all():
                row, column = np.argwhere(~good)[0].tolist()
                place = f"{name}row {start + row}, column {repr(columns[column]) if columns else column}"
                value = rows[start + row, column].item()
                raise ModelError(f"{place}: the value {value!r} is not {self.domain_of(column)}")
        return rows

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n_components} components, {self.n_columns} columns)"

    def _repr_html_(self) -> str:
        from tractable import _html

        return _html.emissions(self)


def two_axes(x: Any, name: str = "") -> np.ndarray:
    """Data as an array of numbers [n_rows, n_columns]."""
    rows = x if isinstance(x, np.ndarray) else np.asarray(x)
    if rows.dtype.kind not in "buif":
        try:
            if rows.dtype.kind in "cmM":
                raise TypeError
            rows = rows.astype(np.float64)
        except (TypeError, ValueError):
            raise ModelError(f"{name}the data are not numbers; give states as 0, 1, … and NaN for missing") from None
    if rows.ndim != 2:
        raise ModelError(f"{name}data must have the shape [n_rows, n_columns], got {rows.shape}")
    return rows


def as_rows(x: Any) -> np.ndarray:
    """Data in double precision."""
    return np.asarray(x, np.float64)


def seen(x: np.ndarray) -> np.ndarray | None:
    """Which entries are there, as numbers; None where all are."""
    missing = np.isnan(x)
    return (~missing).astype(np.float64) if missing.any() else None


def weighted_counts(mask: np.ndarray | None, r: np.ndarray, n_columns: int) -> np.ndarray:
    """Σ_n r_nk over the rows in which a column is observed [K, d]."""
    if mask is None:
        return np.repeat(r.sum(0)[:, None], n_columns, axis=1)
    return r.T @ mask


def blocks(x: Any, weights: np.ndarray | None, within: Within | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows in double precision and how often they count [n, 1], a block at a time: they may lie on disk."""
    rows = two_axes(x)
    for start in range(0, len(rows), ROWS):
        block = as_rows(rows[start : start + ROWS])
        each = np.ones(len(block)) if weights is None else weights[start : start + ROWS]
        yield (block if within is None else np.clip(block, *within)), each[:, None]


def column_means(
    x: Any, empty: float, weights: np.ndarray | None = None, within: Within | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the number of the observed entries of each column; `empty` where there are none."""
    shape = two_axes(x).shape[1:]
    total, count = np.zeros(shape), np.zeros(shape)
    for block, each in blocks(x, weights, within):
        total, count = total + np.nansum(each * block, 0), count + (each * ~np.isnan(block)).sum(0)
    return np.where(count > 0, total / np.where(count > 0, count, 1), empty), count


def winsorized(x: Any, weights: np.ndarray | None = None) -> Within:
    """Within what the entries of each column are taken as they are: `FAR` typical deviations from its median.

    What is typical is the upper quartile of the deviations that are not zero, so that a column which is mostly zero has
    one too, and a value such as 999999 for what is missing moves neither it nor what is worked out within these bounds.
    """
    rows = two_axes(x)
    step = len(rows) // SEEN + 1
    some = as_rows(rows[::step])
    each = np.ones(len(some)) if weights is None else np.asarray(weights[::step], np.float64)
    found = [_bounds(column, each) for column in some.T]
    return np.array([low for low, _ in found]), np.array([high for _, high in found])


def _bounds(column: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    there = ~np.isnan(column) & (weights > 0)
    if not there.any():
        return -np.inf, np.inf
    values, each = column[there], weights[there]
    middle = _quantile(values, each, 0.5)
    off = np.abs(values - middle)
    far = FAR * _quantile(off[off > 0], each[off > 0], 0.75) if off.any() else np.inf
    return middle - far, middle + far


def _quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """The least value that has this share of the weight at or below it."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(total, share * total[-1] * (1 - ROUNDING))]])


def parameters(name: str, given: Any, shape: tuple[int | None, ...], low: float = -np.inf) -> np.ndarray:
    """Parameters as a float64 array of the expected shape (None: any length), finite, not below `low`."""
    array = np.asarray(given, np.float64)
    if not _fits(array.shape, shape):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ModelError(f"{name} has the shape {array.shape}, expected [{wanted}]")
    if not np.isfinite(array).all() or (array < low).any():
        limit = "" if low == -np.inf else f" ≥ {low:g}"
        raise ModelError(f"{name} must hold finite numbers{limit}")
    return array


def pseudo_count(name: str, given: Any) -> float:
    """One number of pseudo-counts for all."""
    if np.ndim(given) or isinstance(given, str) or not 0 <= given < np.inf:
        what = f"the shape {np.shape(given)}" if np.ndim(given) else repr(given)
        raise ModelError(f"{name} of a prior must be one finite number of pseudo-counts ≥ 0, got {what}")
    return float(given)


def _fits(found: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    same = len(found) == len(shape) and all(n in (None, m) for n, m in zip(shape, found, strict=True))
    return same and 0 not in found


def logs(p: np.ndarray) -> np.ndarray:
    """log p, −∞ at zero."""
    with np.errstate(divide="ignore"):
        return np.log(p)


def times_logs(counts: np.ndarray, p: np.ndarray) -> float:
    """Σ n log p with 0 log 0 = 0."""
    positive = counts > 0
    return float((counts[positive] * logs(p[positive])).sum())


def products(x: np.ndarray, log_p: np.ndarray) -> np.ndarray:
    """x [n, d] times log p [K, d], where 0 · −∞ = 0."""
    never = np.isneginf(log_p)
    if not never.any():
        return x @ log_p.T
    out = x @ np.where(never, 0.0, log_p).T
    out[(x @ never.T.astype(np.float64)) > 0] = -np.inf
    return out
