"""Gaussian columns, independent given the component: a variance for each column, or one for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tractable._cached import cached_property
from tractable.kernels import rows
from tractable.models._base import ModelError, set_fields
from tractable.models.emissions import cumulative
from tractable.models.emissions._base import (
    NEGLIGIBLE,
    Emissions,
    Statistics,
    as_rows,
    blocks,
    column_means,
    parameters,
    seen,
    weighted_counts,
    winsorized,
)

LOG_2PI = float(np.log(2 * np.pi))


def finite(x: np.ndarray) -> np.ndarray:
    """Finite numbers and NaN."""
    return ~np.isinf(x)


def column_moments(x: Any, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the observed entries of each column, those far outside the others drawn in (`winsorized`).

    A variance of zero, up to the rounding of the mean, is replaced by one.
    """
    within = winsorized(x, weights)
    mean, count = column_means(x, 0.0, weights, within)
    squares = np.zeros_like(mean)
    for block, each in blocks(x, weights, within):
        squares += np.nansum(each * (block - mean) ** 2, 0)
    variance = squares / np.where(count > 0, count, 1)
    return mean, np.where(variance > (8 * np.finfo(float).eps * mean) ** 2, variance, 1.0)


def common_shift(shift: Any, means: np.ndarray) -> np.ndarray:
    """The point that moments are taken about: near the data, so that squares lose no digits."""
    return means.mean(0) if shift is None else parameters("shift", shift, (means.shape[1],))


def positive(variances: np.ndarray) -> np.ndarray:
    """The variances, unless one is zero."""
    if (variances <= 0).any():
        place = np.argwhere(variances <= 0)[0].tolist()
        raise ModelError(f"variances must be positive, that of component {place[0]} is not; learn with a prior")
    return variances


@dataclass(frozen=True, eq=False, repr=False)
class DiagonalGaussianEmissions(Emissions):
    """p(x | k) = ∏_j N(x_j; μ_kj, σ²_kj).

    Parameters
    ----------
    locations : μ [K, d].
    variances : σ² [K, d].
    shift : the point about which moments are taken [d]; the mean of the locations by default.

    Raises
    ------
    ModelError : wrong shapes, variances that are not positive.

    Examples
    --------
    >>> import numpy as np
    >>> tr.DiagonalGaussianEmissions([[0.0, 1.0]], [[1.0, 4.0]]).log_likelihood([[0.0, np.nan]]).round(6).tolist()
    [[-0.918939]]
    """

    kind: ClassVar[str] = "diagonal"
    domain: ClassVar[str] = "a finite number"
    prior_strength: ClassVar[float] = 1e-6

    locations: np.ndarray
    variances: np.ndarray
    shift: np.ndarray | None = None

    def __post_init__(self) -> None:
        means = parameters("locations", self.locations, (None, None))
        variances = parameters("variances", self.variances, self._variances_shape(means))
        set_fields(self, locations=means, variances=positive(variances), shift=common_shift(self.shift, means))

    @staticmethod
    def _variances_shape(means: np.ndarray) -> tuple[int, ...]:
        return means.shape

    @property
    def _wide(self) -> np.ndarray:
        """The variance of each column [K, d]."""
        return self.variances

    @property
    def means(self) -> np.ndarray:
        """μ."""
        return self.locations

    @property
    def deviations(self) -> np.ndarray:
        """σ."""
        return np.sqrt(self._wide)

    def cumulative(self, x: np.ndarray) -> np.ndarray:
        """P(x_j ≤ x | k)."""
        return cumulative.normal((x[:, None, :] - self.locations) / self.deviations)

    @property
    def n_parameters(self) -> int:
        """Means and variances."""
        return self.locations.size + self.variances.size

    def arrays(self) -> dict[str, np.ndarray]:
        """The parameters by name."""
        return {"locations": self.locations, "variances": self.variances, "shift": np.asarray(self.shift)}

    def allowed(self, x: np.ndarray) -> np.ndarray:
        """Finite numbers and NaN."""
        return finite(x)

    @classmethod
    def pooled(cls, x: Any, n_components: int, weights: np.ndarray | None = None) -> DiagonalGaussianEmissions:
        """Mean and variance of each column."""
        mean, variance = column_moments(x, weights)
        return cls(np.tile(mean, (n_components, 1)), np.tile(variance, (n_components, 1)), mean)

    @cached_property
    def _packed(self) -> rows.Gaussians:
        """For the kernel."""
        return rows.gaussians(self.locations, self._wide**-0.5, np.log(self._wide).sum(1))

    def log_likelihood(self, x: Any) -> np.ndarray:
        """log p(x | k) [n, K]."""
        found = rows.densities(as_rows(x), self._packed)
        if found is not None:
            return found
        z = as_rows(x) - self.shift
        there, precision, mu = ~np.isnan(z), 1 / self._wide, self.locations - self.shift
        constant = LOG_2PI + np.log(self._wide) + mu**2 * precision
        z = np.nan_to_num(z)
        return -0.5 * ((z * z) @ precision.T - 2 * z @ (mu * precision).T + there @ constant.T)

    def statistics(self, x: Any, responsibilities: np.ndarray) -> Statistics:
        """``count``, ``sum`` and ``square`` of the observed entries about the shift [K, d]."""
        x, r, shift = as_rows(x), responsibilities, np.asarray(self.shift)
        if (found := rows.moments(x, r, shift, full=False)) is not None:
            count = np.repeat(found.count[:, None], x.shape[1], axis=1)
            return Statistics({"count": count, "sum": found.sum, "square": found.square})
        z = x - shift
        counts = weighted_counts(seen(z), r, z.shape[1])
        z = np.nan_to_num(z)
        return Statistics({"count": counts, "sum": r.T @ z, "square": r.T @ (z * z)})

    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> DiagonalGaussianEmissions:
        """μ = Σ r x / Σ r and σ² = Σ r (x − μ)² / Σ r, the scale of the prior added to the squares."""
        total = statistics if prior is None else statistics + prior
        count = np.where(total["count"] > NEGLIGIBLE, total["count"], 0.0)
        safe = np.where(count > 0, count, 1)
        mu = np.where(count > 0, total["sum"] / safe, self.locations - self.shift)
        scatter = np.maximum(total["square"] - count * mu**2, 0)
        return type(self)(mu + self.shift, self._spread(scatter, count), self.shift)

    def _spread(self, scatter: np.ndarray, count: np.ndarray) -> np.ndarray:
        """Variances from sums of squares about the mean [K, d]; of a column that no weight falls on, as they were."""
        found = np.where(count > 0, scatter / np.where(count > 0, count, 1), self.variances)
        return collapsed(found)

    def prior(self, strength: float | None = None) -> Statistics:
        """An inverse-gamma prior of scale `strength` · σ², without pseudo-rows."""
        n = self.prior_strength if strength is None else strength
        zero = np.zeros_like(self.locations)
        return Statistics({"count": zero, "sum": zero, "square": n * self._wide})

    def log_prior(self, prior: Statistics) -> float:
        """Log density of the prior, without its constant."""
        return -0.5 * float((prior["square"] / self._wide).sum())

    def sample(self, rng: np.random.Generator, components: np.ndarray) -> np.ndarray:
        """Rows of numbers."""
        scale = np.sqrt(self._wide)[components]
        return self.locations[components] + scale * rng.standard_normal(scale.shape)


def collapsed(variances: np.ndarray) -> np.ndarray:
    """The variances, unless a component has shrunk to a point."""
    if not (variances > 0).all():
        k = int(np.argwhere(~(variances > 0))[0][0])
        raise ModelError(
            f"component {k} has collapsed: all its rows agree in a column, and the likelihood has no limit;"
            " use a prior > 0 or fewer components"
        )
    return variances


@dataclass(frozen=True, eq=False, repr=False)
class SphericalGaussianEmissions(DiagonalGaussianEmissions):
    """p(x | k) = N(x; μ_k, σ²_k I).

    Parameters
    ----------
    locations : μ [K, d].
    variances : σ² [K].
    shift : the point about which moments are taken [d]; the mean of the locations by default.

    Raises
    ------
    ModelError : wrong shapes, variances that are not positive.

    Examples
    --------
    >>> tr.SphericalGaussianEmissions([[0.0, 0.0]], [1.0]).log_likelihood([[0.0, 0.0]]).round(6).tolist()
    [[-1.837877]]
    """

    kind: ClassVar[str] = "spherical"

    @staticmethod
    def _variances_shape(means: np.ndarray) -> tuple[int, ...]:
        return means.shape[:1]

    @property
    def _wide(self) -> np.ndarray:
        return np.repeat(self.variances[:, None], self.locations.shape[1], axis=1)

    @classmethod
    def pooled(cls, x: Any, n_components: int, weights: np.ndarray | None = None) -> SphericalGaussianEmissions:
        """Mean of each column, and the mean of their variances."""
        mean, variance = column_moments(x, weights)
        return cls(np.tile(mean, (n_components, 1)), np.full(n_components, variance.mean()), mean)

    def _spread(self, scatter: np.ndarray, count: np.ndarray) -> np.ndarray:
        n = count.sum(1)
        return collapsed(np.where(n > 0, scatter.sum(1) / np.where(n > 0, n, 1), self.variances))

    def _of_columns(self, chosen: np.ndarray) -> SphericalGaussianEmissions:
        shift = np.asarray(self.shift)[chosen]
        return SphericalGaussianEmissions(self.locations[:, chosen], self.variances, shift)
