"""What columns are expected to hold where it is known how probable each component of emissions is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tractable.models._base import ModelError
from tractable.models.columns import Columns
from tractable.models.emissions import Emissions

HALVINGS = 80
"""So often the place of a quantile is halved: what is left of it is below rounding."""

MARGIN = 1e-12


@dataclass(frozen=True, eq=False)
class Predictive:
    """p(x_j) = Σ_k w_nk p(x_j | k) of each column of rows that are not seen: what is known of each by itself.

    Exact: sums over components, and quantiles of these sums up to rounding.

    Attributes
    ----------
    weights : w [n, K], rows summing to one. emissions : p(x | k). columns : their names, where they have any.

    Examples
    --------
    >>> ages = tr.Mixture([0.5, 0.5], tr.DiagonalGaussianEmissions([[20.0], [40.0]], [[4.0], [4.0]])).predictive
    >>> ages.means.ravel().tolist(), ages.deviations.round(3).ravel().tolist()
    ([30.0], [10.198])
    >>> [end.round(3).tolist() for end in ages.interval(0.9)]
    [[[17.437]], [[42.563]]]
    """

    weights: np.ndarray
    emissions: Emissions
    columns: Columns | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns are called: their numbers where they have no names."""
        return tuple(self.columns.names) if self.columns else tuple(map(str, range(self.emissions.n_columns)))

    def states(self, column: int) -> tuple[str, ...]:
        """The names of the states of a column of categories; none of one of numbers."""
        if (n := self.emissions.column_states[column]) is None:
            return ()
        return tuple(self.columns.categories[self.columns.names[column]]) if self.columns else tuple(map(str, range(n)))

    @property
    def means(self) -> np.ndarray:
        """E[x_j] of numbers [n, d]; NaN of categories, which have none."""
        return np.where(self._counted, self.weights @ self.emissions.means, np.nan)

    @property
    def deviations(self) -> np.ndarray:
        """The standard deviation √Var[x_j] of numbers [n, d]; NaN of categories."""
        means, own = self.weights @ self.emissions.means, self.emissions
        squares = own.deviations**2 + (own.means - means[:, None]) ** 2
        return np.where(self._counted, np.sqrt(np.einsum("nk,nkd->nd", self.weights, squares)), np.nan)

    @property
    def _counted(self) -> np.ndarray:
        """Which columns hold numbers [d]."""
        return np.array([n is None for n in self.emissions.column_states])

    def cumulative(self, x: Any) -> np.ndarray:
        """P(x_j ≤ x) of each column of each row [n, d], for values [n, d]."""
        return np.einsum("nk,nkd->nd", self.weights, self.emissions.cumulative(np.asarray(x, np.float64)))

    def quantiles(self, p: float) -> np.ndarray:
        """The least x with P(x_j ≤ x) ≥ p of each column of numbers [n, d]; NaN of categories.

        By halving what Cantelli's inequality leaves: no quantile is further from the mean μ than σ √((1 − p) / p) below
        and σ √(p / (1 − p)) above.

        Raises
        ------
        ValueError : p that is not between 0 and 1.
        """
        if not 0 < p < 1:
            raise ValueError(f"a quantile is that of a probability between 0 and 1, got {p!r}")
        means, spread = self.means, self.deviations
        pad = MARGIN * (np.abs(means) + spread) + MARGIN
        low, high = means - spread * np.sqrt((1 - p) / p) - pad, means + spread * np.sqrt(p / (1 - p)) + pad
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            above = self.cumulative(np.where(np.isnan(middle), 0.0, middle)) >= p
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        whole = np.round(high)
        reached = self.cumulative(np.where(np.isnan(whole), 0.0, whole)) >= p
        return np.where(self.emissions.whole & reached, whole, high)

    def interval(self, coverage: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """The central interval of each column of numbers, [n, d] twice: so much of the probability lies within it.

        The ends are the quantiles (1 − coverage) / 2 and (1 + coverage) / 2; of counts it may hold more.
        """
        if not 0 < coverage < 1:
            raise ValueError(f"an interval covers a probability between 0 and 1, got {coverage!r}")
        return self.quantiles((1 - coverage) / 2), self.quantiles((1 + coverage) / 2)

    def probabilities(self, column: int | str) -> np.ndarray:
        """p(x_j = s) of the states of a column of categories [n, n_states].

        Raises
        ------
        ModelError : a column that is not there, or holds numbers.
        """
        if column not in self.names and column not in range(len(self.names)):
            raise ModelError(f"unknown column {column!r}; there are {', '.join(self.names[:9])}")
        at = column if isinstance(column, int) else self.names.index(column)
        if (n := self.emissions.column_states[at]) is None:
            raise ModelError(f"the column {self.names[at]!r} holds numbers: see means, deviations and quantiles")
        x = np.zeros((n, len(self.names)))
        x[:, at] = np.arange(n)
        each = self.emissions.cumulative(x)[:, :, at]
        return self.weights @ np.diff(each, axis=0, prepend=0.0).T
