"""Columns of counts, independent given the component."""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma
from typing import Any, ClassVar

import numpy as np

from tractable.models._base import set_fields
from tractable.models.emissions import cumulative
from tractable.models.emissions._base import (
    Emissions,
    Statistics,
    as_rows,
    column_means,
    logs,
    parameters,
    products,
    seen,
    times_logs,
    weighted_counts,
    winsorized,
)

MAX_COUNT = 2.0**53


@dataclass(frozen=True, eq=False, repr=False)
class PoissonEmissions(Emissions):
    """p(x | k) = ∏_j λ_kj^x_j exp(−λ_kj) / x_j!.

    Parameters
    ----------
    rates : λ ≥ 0, shape [K, d].

    Raises
    ------
    ModelError : rates that are not finite numbers ≥ 0.

    Examples
    --------
    >>> tr.PoissonEmissions([[2.0]]).log_likelihood([[0], [2]]).round(6).tolist()
    [[-2.0], [-1.306853]]
    """

    kind: ClassVar[str] = "poisson"
    domain: ClassVar[str] = "a count 0, 1, 2, …"
    prior_strength: ClassVar[float] = 1e-3

    rates: np.ndarray

    def __post_init__(self) -> None:
        set_fields(self, rates=parameters("rates", self.rates, (None, None), 0.0))

    @property
    def means(self) -> np.ndarray:
        """λ."""
        return self.rates

    @property
    def deviations(self) -> np.ndarray:
        """√λ."""
        return np.sqrt(self.rates)

    def cumulative(self, x: np.ndarray) -> np.ndarray:
        """P(x_j ≤ x | k)."""
        return cumulative.poisson(x[:, None, :], self.rates)

    @property
    def whole(self) -> np.ndarray:
        """All."""
        return np.ones(self.n_columns, bool)

    @property
    def n_parameters(self) -> int:
        """K d."""
        return self.rates.size

    def arrays(self) -> dict[str, np.ndarray]:
        """The parameters by name."""
        return {"rates": self.rates}

    def allowed(self, x: np.ndarray) -> np.ndarray:
        """Whole numbers ≥ 0 and NaN."""
        return ((x >= 0) & (x < MAX_COUNT) & (x == np.floor(x))) | np.isnan(x)

    @classmethod
    def pooled(cls, x: Any, n_components: int, weights: np.ndarray | None = None) -> PoissonEmissions:
        """The mean of each column; half a count in all where it is zero throughout."""
        mean, count = column_means(x, 1.0, weights, winsorized(x, weights))
        return cls(np.tile(np.maximum(mean, 0.5 / np.where(count > 0, count, 1)), (n_components, 1)))

    def log_likelihood(self, x: Any) -> np.ndarray:
        """log p(x | k) [n, K]."""
        x = as_rows(x)
        there, counts = seen(x), np.nan_to_num(x)
        total = self.rates.sum(1) if there is None else there @ self.rates.T
        return products(counts, logs(self.rates)) - total - _log_factorials(counts).sum(1)[:, None]

    def statistics(self, x: Any, responsibilities: np.ndarray) -> Statistics:
        """``count`` and ``sum`` of the observed entries [K, d]."""
        x = as_rows(x)
        counts = weighted_counts(seen(x), responsibilities, x.shape[1])
        return Statistics({"count": counts, "sum": responsibilities.T @ np.nan_to_num(x)})

    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> PoissonEmissions:
        """λ = Σ r x / Σ r."""
        total = statistics if prior is None else statistics + prior
        count = total["count"]
        return PoissonEmissions(np.where(count > 0, total["sum"] / np.where(count > 0, count, 1), self.rates))

    def prior(self, strength: float | None = None) -> Statistics:
        """A gamma prior."""
        n = self.prior_strength if strength is None else strength
        return Statistics({"count": np.full(self.rates.shape, n), "sum": n * self.rates})

    def log_prior(self, prior: Statistics) -> float:
        """Log density of the gamma prior, without its constant."""
        return times_logs(prior["sum"], self.rates) - float((prior["count"] * self.rates).sum())

    def sample(self, rng: np.random.Generator, components: np.ndarray) -> np.ndarray:
        """Rows of counts."""
        return rng.poisson(self.rates[components]).astype(np.float64)


def _log_factorials(counts: np.ndarray) -> np.ndarray:
    """log x!, each different value once."""
    values, places = np.unique(counts, return_inverse=True)
    return np.array([lgamma(v + 1) for v in values.tolist()])[places].reshape(counts.shape)
