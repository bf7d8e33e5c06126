"""Columns of 0 and 1, independent given the component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tractable.models._base import ModelError, set_fields
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
)


@dataclass(frozen=True, eq=False, repr=False)
class BernoulliEmissions(Emissions):
    """p(x | k) = ∏_j p_kj^x_j (1 − p_kj)^(1 − x_j).

    Parameters
    ----------
    probabilities : p(x_j = 1 | k), shape [K, d].

    Raises
    ------
    ModelError : probabilities outside 0 … 1.

    Examples
    --------
    >>> import numpy as np
    >>> tr.BernoulliEmissions([[0.5, 0.25]]).log_likelihood([[1, 0], [1, np.nan]]).round(6).tolist()
    [[-0.980829], [-0.693147]]
    """

    kind: ClassVar[str] = "bernoulli"
    domain: ClassVar[str] = "0 or 1"
    prior_strength: ClassVar[float] = 0.1

    probabilities: np.ndarray

    def __post_init__(self) -> None:
        p = parameters("probabilities", self.probabilities, (None, None), 0.0)
        if (p > 1).any():
            raise ModelError(f"probabilities must not exceed 1, got {p.max()}")
        set_fields(self, probabilities=p)

    @property
    def means(self) -> np.ndarray:
        """p(x_j = 1 | k)."""
        return self.probabilities

    @property
    def deviations(self) -> np.ndarray:
        """√(p (1 − p))."""
        return np.sqrt(self.probabilities * (1 - self.probabilities))

    def cumulative(self, x: np.ndarray) -> np.ndarray:
        """P(x_j ≤ x | k): 1 − p from 0 on, one from 1 on."""
        x = x[:, None, :]
        return np.where(x < 0, 0.0, np.where(x < 1, 1 - self.probabilities, 1.0))

    @property
    def whole(self) -> np.ndarray:
        """All."""
        return np.ones(self.n_columns, bool)

    @property
    def n_parameters(self) -> int:
        """K d."""
        return self.probabilities.size

    def arrays(self) -> dict[str, np.ndarray]:
        """The parameters by name."""
        return {"probabilities": self.probabilities}

    def allowed(self, x: np.ndarray) -> np.ndarray:
        """0, 1 and NaN."""
        return (x == 0) | (x == 1) | np.isnan(x)

    @classmethod
    def pooled(cls, x: Any, n_components: int, weights: np.ndarray | None = None) -> BernoulliEmissions:
        """The frequency of ones in each column, one pseudo-count kept for either value."""
        mean, count = column_means(x, 0.5, weights)
        return cls(np.tile((mean * count + 1) / (count + 2), (n_components, 1)))

    def log_likelihood(self, x: Any) -> np.ndarray:
        """log p(x | k) [n, K]."""
        x = as_rows(x)
        there, p = seen(x), self.probabilities
        on, off = logs(p), logs(1 - p)
        if there is None and np.isfinite(on).all() and np.isfinite(off).all():
            return x @ (on - off).T + off.sum(1)  # one product instead of two
        ones = np.nan_to_num(x)
        return products(ones, on) + products((1.0 if there is None else there) - ones, off)

    def statistics(self, x: Any, responsibilities: np.ndarray) -> Statistics:
        """``count`` and ``sum`` of the observed entries [K, d]."""
        x = as_rows(x)
        there = seen(x)
        ones = x if there is None else np.nan_to_num(x)
        counts = weighted_counts(there, responsibilities, x.shape[1])
        return Statistics({"count": counts, "sum": responsibilities.T @ ones})

    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> BernoulliEmissions:
        """p = Σ r x / Σ r."""
        total = statistics if prior is None else statistics + prior
        count = total["count"]
        p = np.where(count > 0, total["sum"] / np.where(count > 0, count, 1), self.probabilities)
        return BernoulliEmissions(np.clip(p, 0.0, 1.0))

    def prior(self, strength: float | None = None) -> Statistics:
        """A beta prior."""
        n = self.prior_strength if strength is None else strength
        return Statistics({"count": np.full(self.probabilities.shape, n), "sum": n * self.probabilities})

    def log_prior(self, prior: Statistics) -> float:
        """Log density of the beta prior, without its constant."""
        p = self.probabilities
        return times_logs(prior["sum"], p) + times_logs(prior["count"] - prior["sum"], 1 - p)

    def sample(self, rng: np.random.Generator, components: np.ndarray) -> np.ndarray:
        """Rows of 0.0 and 1.0."""
        p = self.probabilities[components]
        return (rng.random(p.shape) < p).astype(np.float64)
