"""Gaussian rows with full covariances, one for each component or one for all; what is missing is integrated out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tractable._cached import cached_property
from tractable.kernels import rows as kernel
from tractable.models._base import ModelError, set_fields
from tractable.models.emissions import cumulative
from tractable.models.emissions._base import NEGLIGIBLE, ROWS, Emissions, Levels, Statistics, as_rows, parameters
from tractable.models.emissions.diagonal import LOG_2PI, column_moments, common_shift, finite


@dataclass(frozen=True, eq=False, repr=False)
class GaussianEmissions(Emissions):
    """p(x | k) = N(x; μ_k, Σ_k).

    Parameters
    ----------
    locations : μ [K, d].
    covariances : Σ [K, d, d], symmetric and positive definite.
    shift : the point about which moments are taken [d]; the mean of the locations by default.

    Raises
    ------
    ModelError : wrong shapes, a covariance that is not symmetric and positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> wide = tr.GaussianEmissions([[0.0, 0.0]], [[[1.0, 0.5], [0.5, 1.0]]])
    >>> wide.log_likelihood([[0.0, 0.0], [0.0, np.nan]]).round(6).tolist()
    [[-1.694036], [-0.918939]]
    >>> wide.imputed(np.array([[2.0, np.nan]]), np.ones((1, 1)))
    array([[2., 1.]])
    """

    kind: ClassVar[str] = "gaussian"
    domain: ClassVar[str] = "a finite number"
    prior_strength: ClassVar[float] = 1e-6

    locations: np.ndarray
    covariances: np.ndarray
    shift: np.ndarray | None = None

    def __post_init__(self) -> None:
        means = parameters("locations", self.locations, (None, None))
        covariances = parameters("covariances", self.covariances, self._covariances_shape(means))
        if not np.allclose(covariances, np.swapaxes(covariances, -1, -2), rtol=1e-6, atol=0):
            raise ModelError("covariances must be symmetric")
        set_fields(self, locations=means, covariances=covariances, shift=common_shift(self.shift, means))
        _ = self._whole  # raises unless they are positive definite

    @staticmethod
    def _covariances_shape(means: np.ndarray) -> tuple[int, ...]:
        return (*means.shape, means.shape[1])

    @property
    def _wide(self) -> np.ndarray:
        """The covariance of each component [K, d, d]."""
        return self.covariances

    @property
    def means(self) -> np.ndarray:
        """μ."""
        return self.locations

    @property
    def deviations(self) -> np.ndarray:
        """√Σ_jj."""
        return np.sqrt(np.diagonal(self._wide, axis1=-2, axis2=-1))

    def cumulative(self, x: np.ndarray) -> np.ndarray:
        """P(x_j ≤ x | k), whatever the other columns hold."""
        return cumulative.normal((x[:, None, :] - self.locations) / self.deviations)

    @property
    def n_parameters(self) -> int:
        """Means and the triangles of the covariances."""
        d = self.n_columns
        return self.locations.size + self.covariances.size // d**2 * d * (d + 1) // 2

    def arrays(self) -> dict[str, np.ndarray]:
        """The parameters by name."""
        return {"locations": self.locations, "covariances": self.covariances, "shift": np.asarray(self.shift)}

    def allowed(self, x: np.ndarray) -> np.ndarray:
        """Finite numbers and NaN."""
        return finite(x)

    @classmethod
    def pooled(cls, x: Any, n_components: int, weights: np.ndarray | None = None) -> GaussianEmissions:
        """Mean and variance of each column, no correlation."""
        mean, variance = column_moments(x, weights)
        means = np.tile(mean, (n_components, 1))
        return cls(means, np.broadcast_to(np.diag(variance), cls._covariances_shape(means)).copy(), mean)

    # ------------------------------------------------------------ what is observed

    @cached_property
    def _whole(self) -> tuple[np.ndarray, np.ndarray]:
        """Of complete rows: L⁻¹ for Σ = L Lᵀ [K, d, d], and log |Σ| [K]."""
        return _whitening(self._wide)

    def _whitener(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same over some of the columns."""
        return self._whole if columns.all() else _whitening(self._wide[:, columns][:, :, columns])

    @cached_property
    def _packed(self) -> kernel.Gaussians:
        """For the kernel, of complete rows."""
        return kernel.gaussians(self.locations, *self._whole)

    def log_likelihood(self, x: Any) -> np.ndarray:
        """log p(x | k) [n, K]; rows with the same entries missing are taken together."""
        x = as_rows(x)
        if self.n_columns <= kernel.MAX_COLUMNS and (found := kernel.densities(x, self._packed)) is not None:
            return found
        z = x - self.shift
        out = np.empty((len(z), self.n_components))
        for rows, columns in patterns(z):
            out[rows] = self._log_densities(z[rows][:, columns], columns)
        return out

    def _log_densities(self, z: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """log p of rows about the shift, of which these columns are there."""
        (white, log_det), mu = self._whitener(columns), (self.locations - self.shift)[:, columns]
        if 0 < z.shape[1] <= kernel.MAX_COLUMNS:
            found = kernel.densities(z, kernel.gaussians(mu, white, log_det))
            assert found is not None
            return found
        out = np.empty((len(z), self.n_components))
        for k in range(self.n_components):
            y = (z - mu[k]) @ white[k].T
            out[:, k] = -0.5 * (np.einsum("ij,ij->i", y, y) + log_det[k] + columns.sum() * LOG_2PI)
        return out

    def statistics(self, x: Any, responsibilities: np.ndarray) -> Statistics:
        """``count`` [K], and about the shift ``sum`` [K, d] and ``square`` [K, d, d], expected where missing."""
        if self.n_columns <= kernel.MAX_COLUMNS:
            found = kernel.moments(as_rows(x), responsibilities, np.asarray(self.shift), full=True)
            if found is not None:
                square = self._pooled_squares(found.square)
                return Statistics({"count": found.count, "sum": found.sum, "square": square})
        k, d = self.locations.shape
        z, totals, squares = as_rows(x) - self.shift, np.zeros((k, d)), np.zeros((k, d, d))
        for rows, columns in patterns(z):
            part, r = z[rows], responsibilities[rows]
            for j in range(k):
                filled = part if columns.all() else self._filled(part, columns, j)
                weighted = r[:, j, None] * filled
                totals[j] += weighted.sum(0)
                squares[j] += weighted.T @ filled
            if not columns.all():
                squares[np.ix_(np.arange(k), ~columns, ~columns)] += r.sum(0)[:, None, None] * self._left(columns)
        return Statistics({"count": responsibilities.sum(0), "sum": totals, "square": self._pooled_squares(squares)})

    def _pooled_squares(self, squares: np.ndarray) -> np.ndarray:
        return squares

    def _regression(self, columns: np.ndarray, j: int) -> np.ndarray:
        """Σ_mo Σ_oo⁻¹: how missing columns follow from observed ones."""
        white, cross = self._whitener(columns)[0][j], self._wide[j][~columns][:, columns]
        return (cross @ white.T) @ white

    def _filled(self, z: np.ndarray, columns: np.ndarray, j: int) -> np.ndarray:
        """Rows about the shift with the conditional mean, given component j, of what is missing."""
        mu, out = self.locations[j] - self.shift, z.copy()
        out[:, ~columns] = mu[~columns] + (z[:, columns] - mu[columns]) @ self._regression(columns, j).T
        return out

    def _left(self, columns: np.ndarray) -> np.ndarray:
        """The covariance of the missing columns given the observed ones, in each component [K, m, m]."""
        wide, gone = self._wide, ~columns
        parts = [
            wide[j][gone][:, gone] - self._regression(columns, j) @ wide[j][columns][:, gone] for j in range(len(wide))
        ]
        return np.stack(parts)

    def conditioned(self, row: np.ndarray) -> GaussianEmissions | None:
        """The conditional Gaussians of what is NaN in a row given the rest of it."""
        z = as_rows(row)[None] - self.shift
        columns = ~np.isnan(z[0])
        if columns.all():
            return None
        gone, shift = ~columns, np.asarray(self.shift)[~columns]
        means = np.stack([self._filled(z, columns, j)[0, gone] for j in range(self.n_components)])
        covariances = self._left(columns)[0] if self.covariances.ndim == 2 else self._left(columns)
        symmetric = (covariances + np.swapaxes(covariances, -1, -2)) / 2
        return type(self)(means + shift, symmetric, shift)

    def imputed(self, x: np.ndarray, responsibilities: np.ndarray, levels: Levels = ()) -> np.ndarray:
        """The rows with NaN replaced by the posterior mean given what is observed in the row."""
        z = as_rows(x) - self.shift
        out = np.array(as_rows(x))
        for rows, columns in patterns(z):
            if columns.all():
                continue
            parts = [self._filled(z[rows], columns, j)[:, ~columns] for j in range(self.n_components)]
            found = np.einsum("nk,knm->nm", responsibilities[rows], np.stack(parts))
            out[np.ix_(rows, ~columns)] = found + np.asarray(self.shift)[~columns]
        return out

    # ------------------------------------------------------------ learning

    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> GaussianEmissions:
        """μ = Σ r x / Σ r and Σ = Σ r (x − μ)(x − μ)ᵀ / Σ r, the scale of the prior added to the squares."""
        total = statistics if prior is None else statistics + prior
        count = np.where(total["count"] > NEGLIGIBLE, total["count"], 0.0)
        safe = np.where(count > 0, count, 1)
        mu = np.where(count[:, None] > 0, total["sum"] / safe[:, None], self.locations - self.shift)
        return self._made(mu + self.shift, self._spread(total, mu, count))

    def _spread(self, total: Statistics, mu: np.ndarray, count: np.ndarray) -> np.ndarray:
        """Covariances from squares; of a component without weight, as they were."""
        safe = np.where(count > 0, count, 1)[:, None, None]
        found = total["square"] / safe - mu[:, :, None] * mu[:, None, :]
        return np.where(count[:, None, None] > 0, found, self.covariances)

    def _made(self, means: np.ndarray, covariances: np.ndarray) -> GaussianEmissions:
        try:
            return type(self)(means, (covariances + np.swapaxes(covariances, -1, -2)) / 2, self.shift)
        except ModelError as error:
            raise ModelError(f"{error}: it has collapsed; use a prior > 0 or fewer components") from None

    def prior(self, strength: float | None = None) -> Statistics:
        """An inverse-Wishart prior of scale `strength` · diag Σ, without pseudo-rows."""
        n = self.prior_strength if strength is None else strength
        k, d = self.locations.shape
        scale = n * self.covariances * np.eye(d)
        return Statistics({"count": np.zeros(k), "sum": np.zeros((k, d)), "square": scale})

    def log_prior(self, prior: Statistics) -> float:
        """Log density of the prior, without its constant."""
        scale = np.diagonal(prior["square"], axis1=-2, axis2=-1).reshape(-1, self.n_columns)
        inverse = (self._whole[0][: len(scale)] ** 2).sum(1)  # diagonal of Σ⁻¹ = L⁻ᵀ L⁻¹
        return -0.5 * float((scale * inverse).sum())

    def sample(self, rng: np.random.Generator, components: np.ndarray) -> np.ndarray:
        """Rows of numbers."""
        root, normal = np.linalg.cholesky(self._wide), rng.standard_normal((len(components), self.n_columns))
        out = self.locations[components]
        for k in range(self.n_components):
            chosen = components == k
            out[chosen] += normal[chosen] @ root[k].T
        return out


@dataclass(frozen=True, eq=False, repr=False)
class TiedGaussianEmissions(GaussianEmissions):
    """p(x | k) = N(x; μ_k, Σ): one covariance for all components.

    Parameters
    ----------
    locations : μ [K, d].
    covariances : Σ [d, d], symmetric and positive definite.
    shift : the point about which moments are taken [d]; the mean of the locations by default.

    Raises
    ------
    ModelError : wrong shapes, a covariance that is not symmetric and positive definite.

    Examples
    --------
    >>> tr.TiedGaussianEmissions([[0.0], [1.0]], [[1.0]]).log_likelihood([[0.0]]).round(6).tolist()
    [[-0.918939, -1.418939]]
    """

    kind: ClassVar[str] = "tied"

    @staticmethod
    def _covariances_shape(means: np.ndarray) -> tuple[int, ...]:
        return (means.shape[1], means.shape[1])

    @property
    def _wide(self) -> np.ndarray:
        return np.broadcast_to(self.covariances, (*self.locations.shape, self.locations.shape[1]))

    @cached_property
    def _whole(self) -> tuple[np.ndarray, np.ndarray]:
        white, log_det = _whitening(self.covariances[None])
        k, d = self.locations.shape
        return np.broadcast_to(white, (k, d, d)), np.broadcast_to(log_det, k)

    def _pooled_squares(self, squares: np.ndarray) -> np.ndarray:
        return squares.sum(0)

    def _spread(self, total: Statistics, mu: np.ndarray, count: np.ndarray) -> np.ndarray:
        return (total["square"] - (count[:, None] * mu).T @ mu) / count.sum()


def _whitening(covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        root = np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        raise ModelError(f"the covariance of component {_worst(covariances)} is not positive definite") from None
    return np.linalg.inv(root), 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(1)


def _worst(covariances: np.ndarray) -> int:
    return int(np.linalg.eigvalsh(covariances)[:, 0].argmin())


def patterns(x: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
    """The rows that have the same columns observed, with these columns; at most so many rows at a time."""
    there = ~np.isnan(x)
    if there.all():
        for start in range(0, len(x), ROWS):
            yield slice(start, start + ROWS), np.ones(x.shape[1], bool)
        return
    masks, which = np.unique(there, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(which.ravel()))
    for mask, rows in zip(masks, np.split(order, ends[:-1]), strict=True):
        yield rows, mask
