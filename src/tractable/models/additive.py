"""Rows whose mean is a sum of contributions, one from each of several hidden chains, with Gaussian noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations, pairwise
from typing import Any, NamedTuple

import numpy as np

from tractable._cached import cached_property
from tractable.kernels.forks import unforked
from tractable.models._base import ModelError, set_fields
from tractable.models.emissions import Statistics, TiedGaussianEmissions
from tractable.models.emissions._base import parameters
from tractable.models.emissions.diagonal import LOG_2PI

RANK = 1e-10
"""Directions in which expected states vary less than this share of the most varied one are left as they are."""


class Terms(NamedTuple):
    """log p(x_t | z) = constant_t + linear_t·s − ½ sᵀ quadratic s, with s the states of all chains, one-hot.

    Rows of the same group have the same entries observed, hence the same quadratic term.
    """

    constant: np.ndarray  # [n]
    linear: np.ndarray  # [n, Σk]
    quadratic: np.ndarray  # [groups, Σk, Σk]
    group: np.ndarray  # [n]


class Pattern(NamedTuple):
    """The rows that have the same columns observed, and what the noise says about those."""

    rows: Any
    mask: np.ndarray  # [d], what is observed
    precision: np.ndarray  # [d, d], of what is observed, zero elsewhere
    constant: float  # of the log density
    regression: np.ndarray  # [d, d]: what is missing from what is observed, which is left as it is
    left: np.ndarray  # [d, d]: the covariance of what is missing given what is observed


@dataclass(frozen=True, eq=False, repr=False)
class AdditiveGaussianEmissions:
    """p(x | z) = N(x; offset + Σ_m W_m[z_m], Σ).

    Parameters
    ----------
    contributions : W, for each chain [k_m, d]: what each of its states adds to the mean.
    covariance : Σ [d, d], symmetric and positive definite.
    offset : [d]; zero by default. Learning keeps it: the contributions can say the same.

    Raises
    ------
    ModelError : wrong shapes, a covariance that is not symmetric and positive definite.

    Examples
    --------
    >>> two = tr.AdditiveGaussianEmissions([[[0.0], [1.0]], [[0.0], [2.0]]], [[1.0]])
    >>> two.means.ravel().tolist()  # of the joint states 00, 01, 10, 11
    [0.0, 2.0, 1.0, 3.0]
    """

    contributions: Sequence[np.ndarray]
    covariance: np.ndarray
    offset: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not len(self.contributions):
            raise ModelError("contributions are a list with an array [k, d] for each chain; got an empty one")
        covariance = parameters("covariance", self.covariance, (None, None))
        d = len(covariance)
        parts = [parameters(f"contributions[{m}]", w, (None, d)) for m, w in enumerate(self.contributions)]
        offset = np.zeros(d) if self.offset is None else parameters("offset", self.offset, (d,))
        set_fields(self, contributions=tuple(parts), covariance=covariance, offset=offset)
        _ = self.noise  # raises unless the covariance is one

    @cached_property
    def noise(self) -> TiedGaussianEmissions:
        """The noise as emissions of one component."""
        zero = np.zeros((1, len(self.covariance)))
        return TiedGaussianEmissions(zero, self.covariance, zero[0])

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of states of each chain."""
        return tuple(map(len, self.contributions))

    @property
    def slices(self) -> list[slice]:
        """Where each chain is, in arrays that have all side by side."""
        ends = list(accumulate(self.sizes, initial=0))
        return [slice(a, b) for a, b in pairwise(ends)]

    @property
    def n_columns(self) -> int:
        """d."""
        return len(self.covariance)

    @property
    def n_parameters(self) -> int:
        """Free numbers: means up to what offset and chains can exchange, and the triangle of the covariance."""
        d = self.n_columns
        return d * (1 + sum(self.sizes) - len(self.sizes)) + d * (d + 1) // 2

    @cached_property
    def stacked(self) -> np.ndarray:
        """All contributions [Σk, d]."""
        return np.concatenate(self.contributions)

    @property
    def means(self) -> np.ndarray:
        """The mean of each joint state [∏k, d], the last chain the fastest."""
        total = np.zeros((1, self.n_columns)) + np.asarray(self.offset)
        for part in self.contributions:
            total = (total[:, None] + part).reshape(-1, self.n_columns)
        return total

    def mean(self, states: np.ndarray) -> np.ndarray:
        """The expected rows [n, d] for expected states [n, Σk]."""
        return np.asarray(self.offset) + states @ self.stacked

    def arrays(self) -> dict[str, np.ndarray]:
        """The parameters by name."""
        parts = {f"contributions{m}": w for m, w in enumerate(self.contributions)}
        return parts | {"covariance": self.covariance, "offset": np.asarray(self.offset)}

    # ------------------------------------------------------------ of rows

    @unforked
    def terms(self, rows: np.ndarray) -> Terms:
        """log p(x_t | z) as a quadratic function of the states; what is NaN is integrated out.

        States are measured from their middle, so that far rows do not cancel.
        """
        middle = [w.mean(0) for w in self.contributions]
        w = np.concatenate([part - m for part, m in zip(self.contributions, middle, strict=True)])
        z = rows - (np.asarray(self.offset) + np.sum(middle, axis=0))
        constant, linear, group = np.empty(len(z)), np.empty((len(z), len(w))), np.empty(len(z), np.int32)
        quadratic = []
        for number, p in enumerate(self.patterns(z)):
            part = np.where(p.mask, z[p.rows], 0.0)
            weighted = part @ p.precision
            constant[p.rows] = p.constant - 0.5 * np.einsum("ij,ij->i", weighted, part)
            linear[p.rows], group[p.rows] = weighted @ w.T, number
            quadratic.append(w @ p.precision @ w.T)
        return Terms(constant, linear, np.stack(quadratic), group)

    def patterns(self, rows: np.ndarray) -> Iterator[Pattern]:
        """The groups of rows, in the order of their numbers."""
        there = ~np.isnan(rows)
        if there.all():
            yield self._pattern(slice(None), np.ones(rows.shape[1], bool))
            return
        masks, which = np.unique(there, axis=0, return_inverse=True)
        for number, mask in enumerate(masks):
            yield self._pattern(np.flatnonzero(which.ravel() == number), mask)

    def _pattern(self, rows: Any, mask: np.ndarray) -> Pattern:
        d, gone = len(mask), ~mask
        precision, regression, left = np.zeros((d, d)), np.zeros((d, d)), np.zeros((d, d))
        own = self.covariance[np.ix_(mask, mask)]
        precision[np.ix_(mask, mask)] = np.linalg.inv(own)
        regression[mask, mask] = 1.0
        cross = self.covariance[np.ix_(gone, mask)]
        regression[np.ix_(gone, mask)] = cross @ precision[np.ix_(mask, mask)]
        left[np.ix_(gone, gone)] = self.covariance[np.ix_(gone, gone)] - regression[np.ix_(gone, mask)] @ cross.T
        constant = -0.5 * (np.linalg.slogdet(own)[1] + mask.sum() * LOG_2PI)
        return Pattern(rows, mask, precision, float(constant), regression, left)

    def imputed(self, rows: np.ndarray, states: np.ndarray) -> np.ndarray:
        """The rows with NaN replaced by the mean given what is observed, and given expected states [n, Σk]."""
        mean, out = self.mean(states), rows.astype(np.float64)
        for p in self.patterns(rows):
            part = np.where(p.mask, rows[p.rows] - mean[p.rows], 0.0)
            out[p.rows] = np.where(p.mask, rows[p.rows], mean[p.rows] + part @ p.regression.T)
        return out

    def completed(self, rng: np.random.Generator, row: np.ndarray, states: np.ndarray) -> np.ndarray:
        """Draws of one row [d], what is observed of it as it is: one for each joint state [n, Σk] (one-hot)."""
        pattern = next(self.patterns(row[None]))
        out = self.imputed(np.tile(row, (len(states), 1)), states)
        gone = np.flatnonzero(~pattern.mask)
        if len(gone):
            root = np.linalg.cholesky(pattern.left[np.ix_(gone, gone)])
            out[:, gone] += rng.standard_normal((len(states), len(gone))) @ root.T
        return out

    # ------------------------------------------------------------ learning

    @unforked
    def statistics(self, rows: np.ndarray, states: np.ndarray, pairs: np.ndarray, weights: np.ndarray) -> Statistics:
        """Expected sufficient statistics, about the offset.

        Parameters
        ----------
        rows : [n, d]. states : expected states times weight [n, Σk]. pairs : Σ weight E[s sᵀ] of each group of rows
            [groups, Σk, Σk]. weights : of the rows [n].
        """
        z, w, d = rows - np.asarray(self.offset), self.stacked, self.n_columns
        squares, crosses = np.zeros((d, d)), np.zeros((d, len(w)))
        for p, pair in zip(self.patterns(z), pairs, strict=True):
            part, n = np.where(p.mask, z[p.rows], 0.0), weights[p.rows]
            filled = p.regression @ part.T  # the part of it that does not depend on the states
            rest = (np.eye(d) - p.regression * p.mask) @ w.T
            cross = filled @ states[p.rows]
            mixed = cross @ rest.T
            crosses += cross + rest @ pair
            squares += (filled * n) @ filled.T + mixed + mixed.T + rest @ pair @ rest.T + n.sum() * p.left
        sums = {"count": np.asarray(weights.sum()), "square": squares, "cross": crosses, "pair": pairs.sum(0)}
        return Statistics(sums)

    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> AdditiveGaussianEmissions:
        """The most likely contributions (least squares) and covariance given expected statistics."""
        pair, cross, old = statistics["pair"], statistics["cross"], self.stacked
        w = old + _solved(pair, cross.T - pair @ old)
        mixed = cross @ w
        left = statistics["square"] - mixed - mixed.T + w.T @ pair @ w
        covariance = (left if prior is None else left + prior["square"]) / statistics["count"]
        parts = [w[own] for own in self.slices]
        try:
            return AdditiveGaussianEmissions(parts, (covariance + covariance.T) / 2, self.offset)
        except ModelError as error:
            raise ModelError(f"{error}: it has collapsed; use a prior > 0 or fewer states") from None

    def prior(self, strength: float | None = None) -> Statistics:
        """An inverse-Wishart prior of scale `strength` · diag Σ on the covariance, without pseudo-rows."""
        n = TiedGaussianEmissions.prior_strength if strength is None else strength
        return Statistics({"square": n * self.covariance * np.eye(self.n_columns)})

    def log_prior(self, prior: Statistics) -> float:
        """Log density of the prior, without its constant."""
        return -0.5 * float(np.trace(np.linalg.solve(self.covariance, prior["square"])))

    def __repr__(self) -> str:
        return f"AdditiveGaussianEmissions({len(self.sizes)} chains, {self.n_columns} columns)"


def joint_table(quadratic: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """−½ sᵀ Q s of every joint state [groups, ∏k], the last chain the fastest."""
    n, m = len(quadratic), len(sizes)
    ends = list(accumulate(sizes, initial=0))
    out = np.zeros((n, *sizes))
    for i in range(m):
        own = np.diagonal(quadratic, axis1=1, axis2=2)[:, ends[i] : ends[i + 1]]
        out -= 0.5 * _spread(own, (i,), sizes)
    for i, j in combinations(range(m), 2):
        out -= _spread(quadratic[:, ends[i] : ends[i + 1], ends[j] : ends[j + 1]], (i, j), sizes)
    return out.reshape(n, -1)


def joint_pairs(joint: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """E[s sᵀ] [groups, Σk, Σk] from (weighted) distributions of joint states [groups, ∏k]."""
    m, cube = len(sizes), joint.reshape(len(joint), *sizes)
    ends = list(accumulate(sizes, initial=0))
    out = np.zeros((len(joint), ends[-1], ends[-1]))
    for i in range(m):
        own = cube.sum(tuple(a + 1 for a in range(m) if a != i))
        place = np.arange(ends[i], ends[i + 1])
        out[:, place, place] = own
        for j in range(i + 1, m):
            pair = cube.sum(tuple(a + 1 for a in range(m) if a not in (i, j)))
            out[:, ends[i] : ends[i + 1], ends[j] : ends[j + 1]] = pair
            out[:, ends[j] : ends[j + 1], ends[i] : ends[i + 1]] = pair.swapaxes(1, 2)
    return out


def _spread(values: np.ndarray, axes: tuple[int, ...], sizes: tuple[int, ...]) -> np.ndarray:
    """An array over some of the axes as one over all."""
    return values.reshape(len(values), *(k if a in axes else 1 for a, k in enumerate(sizes)))


def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The shortest solution of M x = b for a symmetric M ≥ 0, where M has a say; zero elsewhere."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > RANK * max(values[-1], 0.0)
    inverse = np.where(kept, 1 / np.where(kept, values, 1.0), 0.0)
    return (vectors * inverse) @ (vectors.T @ right)
