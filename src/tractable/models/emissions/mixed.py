"""Emissions that are themselves mixtures: every component of the model is several parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tractable.models._base import ModelError, set_fields
from tractable.models.emissions._base import ROUNDING, Emissions, Levels, Statistics, as_rows, logs, parameters


@dataclass(frozen=True, eq=False, repr=False)
class MixtureEmissions(Emissions):
    """p(x | k) = Σ_m w_km p(x | k, m): each of K components (of a mixture, or states) is a mixture of M parts.

    Parameters
    ----------
    weights : w [K, M], not negative, rows summing to one within 1e-6.
    parts : emissions of any kind with K · M components; those of component k are the k M-th to the (k M + M − 1)-th.

    Raises
    ------
    ModelError : weights that are no distributions, or not one for each component of the parts.

    Examples
    --------
    >>> import numpy as np
    >>> two = tr.MixtureEmissions([[0.5, 0.5], [1.0, 0.0]], tr.BernoulliEmissions([[0.2], [0.6], [0.9], [0.5]]))
    >>> np.exp(two.log_likelihood([[1]])).round(6).tolist()
    [[0.4, 0.9]]
    """

    kind: ClassVar[str] = "mixture"
    domain: ClassVar[str] = "in the domain of its column"
    prior_strength: ClassVar[float] = np.nan

    weights: np.ndarray
    parts: Emissions

    def __post_init__(self) -> None:
        weights = parameters("weights", self.weights, (None, None), 0.0)
        if weights.size != self.parts.n_components:
            raise ModelError(f"weights {weights.shape} need {weights.size} parts, got {self.parts!r}")
        sums = weights.sum(1, keepdims=True)
        if (worst := np.abs(sums - 1)).max() > 1e-6:
            raise ModelError(
                f"row {int(worst.argmax())} of weights sums to {sums.ravel()[worst.argmax()]:.6g}, not to 1"
            )
        set_fields(self, weights=np.where(worst > ROUNDING, weights / sums, weights))

    @property
    def n_parts(self) -> int:
        """M."""
        return self.weights.shape[1]

    @property
    def n_components(self) -> int:
        """K."""
        return self.weights.shape[0]

    @property
    def n_columns(self) -> int:
        """d."""
        return self.parts.n_columns

    @property
    def means(self) -> np.ndarray:
        """The expected row of each component."""
        return np.einsum("km,kmd->kd", self.weights, self.parts.means.reshape(*self.weights.shape, -1))

    @property
    def deviations(self) -> np.ndarray:
        """Within the parts and between them."""
        shape = (*self.weights.shape, -1)
        squares = (
            self.parts.deviations.reshape(shape) ** 2 + (self.parts.means.reshape(shape) - self.means[:, None]) ** 2
        )
        return np.sqrt(np.einsum("km,kmd->kd", self.weights, squares))

    def cumulative(self, x: np.ndarray) -> np.ndarray:
        """Σ_m w_km P(x_j ≤ x | k, m)."""
        each = self.parts.cumulative(x).reshape(len(x), *self.weights.shape, -1)
        return np.einsum("km,nkmd->nkd", self.weights, each)

    @property
    def whole(self) -> np.ndarray:
        """Those of the parts."""
        return self.parts.whole

    @property
    def n_parameters(self) -> int:
        """Those of the parts, and K (M − 1) weights."""
        return self.parts.n_parameters + self.weights.size - self.n_components

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights, and the parameters of the parts with ``parts.`` before their names."""
        return {"weights": self.weights} | {f"parts.{name}": array for name, array in self.parts.arrays().items()}

    def allowed(self, x: np.ndarray) -> np.ndarray:
        """What the parts allow."""
        return self.parts.allowed(x)

    def check(self, x: Any, name: str = "", columns: Sequence[str] | None = None) -> np.ndarray:
        """The rows as the parts check them."""
        return self.parts.check(x, name, columns)

    @property
    def column_states(self) -> tuple[int | None, ...]:
        """Those of the parts."""
        return self.parts.column_states

    @classmethod
    def pooled(cls, x: Any, n_components: int, weights: np.ndarray | None = None) -> MixtureEmissions:
        """Not known without the parts: see `emissions_for`."""
        raise ModelError("parts of which kind, and how many? Use emissions_for(kind, x, n_components, n_parts)")

    def repooled(self, x: Any, weights: np.ndarray | None = None) -> MixtureEmissions:
        """Every part of every component with the distribution of all rows."""
        return MixtureEmissions(np.full(self.weights.shape, 1 / self.n_parts), self.parts.repooled(x, weights))

    # ------------------------------------------------------------ which part

    def _log_joint(self, x: Any) -> np.ndarray:
        """log w_km p(x | k, m) [n, K, M]."""
        return self.parts.log_likelihood(x).reshape(-1, *self.weights.shape) + logs(self.weights)

    def log_likelihood(self, x: Any) -> np.ndarray:
        """log p(x | k) [n, K]."""
        return _log_sums(self._log_joint(x))

    def responsibilities(self, x: Any, outer: np.ndarray) -> np.ndarray:
        """Weights of components [n, K] shared out over their parts by p(m | x, k): [n, K M]."""
        joint = self._log_joint(x)
        share = np.exp(joint - _finite(_log_sums(joint))[..., None])
        return (share * outer[..., None]).reshape(len(outer), -1)

    # ------------------------------------------------------------ learning

    def statistics(self, x: Any, responsibilities: np.ndarray) -> Statistics:
        """``count`` of each part [K, M], and the statistics of the parts with ``parts.`` before their names."""
        r = self.responsibilities(x, responsibilities)
        own = Statistics({"count": r.sum(0).reshape(self.weights.shape)})
        return Statistics.joined([("", own), ("parts.", self.parts.statistics(x, r))])

    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> MixtureEmissions:
        """w = counts / their sum, and the parts by themselves."""
        total = statistics if prior is None else statistics + prior
        sums = total["count"].sum(1, keepdims=True)
        weights = np.where(sums > 0, total["count"] / np.where(sums > 0, sums, 1), self.weights)
        own = None if prior is None else prior.part("parts.")
        return MixtureEmissions(weights, self.parts.maximized(statistics.part("parts."), own))

    def prior(self, strength: float | None = None) -> Statistics:
        """The prior of the parts; nothing pulls at the weights."""
        own = Statistics({"count": np.zeros(self.weights.shape)})
        return Statistics.joined([("", own), ("parts.", self.parts.prior(strength))])

    def log_prior(self, prior: Statistics) -> float:
        """That of the parts."""
        return self.parts.log_prior(prior.part("parts."))

    # ------------------------------------------------------------ what is missing

    def conditioned(self, row: np.ndarray) -> MixtureEmissions | None:
        """The parts of what stays free, with weights p(m | row, k)."""
        left = self.parts.conditioned(row)
        if left is None:
            return None
        weights = self.responsibilities(as_rows(row)[None], np.ones((1, self.n_components))).reshape(self.weights.shape)
        possible = weights.sum(1, keepdims=True) > 0
        return MixtureEmissions(np.where(possible, weights, self.weights), left)

    def imputed(self, x: np.ndarray, responsibilities: np.ndarray, levels: Levels = ()) -> np.ndarray:
        """As the parts do it."""
        return self.parts.imputed(x, self.responsibilities(x, responsibilities), levels)

    def sample(self, rng: np.random.Generator, components: np.ndarray) -> np.ndarray:
        """Rows of the parts drawn by their weights."""
        ends = self.weights.cumsum(1)[components][:, :-1]
        part = (rng.random(len(components))[:, None] > ends).sum(1)
        return self.parts.sample(rng, components * self.n_parts + part)


def _log_sums(joint: np.ndarray) -> np.ndarray:
    """log Σ_m exp, −∞ where all are."""
    top = _finite(joint.max(-1))
    return logs(np.exp(joint - top[..., None]).sum(-1)) + top


def _finite(x: np.ndarray) -> np.ndarray:
    return np.where(x > -np.inf, x, 0.0)
