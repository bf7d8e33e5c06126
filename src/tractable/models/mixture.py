"""Mixtures: one hidden variable, the component, that every column hangs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tractable.graph import Graph
from tractable.kernels.forks import unforked
from tractable.models._base import ModelError, set_fields
from tractable.models.columns import Columns, read_table
from tractable.models.emissions import Emissions, Statistics
from tractable.models.emissions._base import ROUNDING, logs, parameters, pseudo_count, times_logs
from tractable.models.predictive import Predictive
from tractable.models.rows import Names

COMPONENT = "component"


@dataclass(frozen=True, eq=False)
class Mixture:
    """p(x) = exp(offset) Σ_k w_k p(x | k).

    Parameters
    ----------
    weights : w [K], not negative, summing to one within 1e-6.
    emissions : p(x | k); None where nothing of the row is free any more.
    offset : log p of what has been conditioned on.
    columns : what columns and their states are called (`Columns`, or names alone). Data with names are then read by
        these, and what a verb gives back has them.

    Raises
    ------
    ModelError : weights that are no distribution, or not one for each component; names that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> coins = tr.Mixture([0.5, 0.5], tr.BernoulliEmissions([[0.9, 0.9], [0.1, 0.1]]))
    >>> np.exp(coins.log_joint([[1, 1]])).round(6).tolist()
    [[0.405, 0.005]]
    """

    family: ClassVar[str] = "mixture"

    weights: np.ndarray
    emissions: Emissions | None
    offset: float = 0.0
    columns: Columns | Names | None = None
    graph: Graph = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n = None if self.emissions is None else self.emissions.n_components
        weights = parameters("weights", self.weights, (n,), 0.0)
        if abs(weights.sum() - 1) > 1e-6:
            raise ModelError(f"weights must sum to 1, got {weights.sum():.6g}")
        if abs(weights.sum() - 1) > ROUNDING:
            weights = weights / weights.sum()
        columns = Columns.of(self.columns, () if self.emissions is None else self.emissions.column_states)
        set_fields(self, weights=weights, columns=columns, graph=Graph(sizes={COMPONENT: len(weights)}))

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.weights)

    @property
    def n_columns(self) -> int:
        """d."""
        return 0 if self.emissions is None else self.emissions.n_columns

    @property
    def n_parameters(self) -> int:
        """Free numbers: K − 1 weights and those of the emissions."""
        return self.n_components - 1 + (0 if self.emissions is None else self.emissions.n_parameters)

    @property
    def free(self) -> Emissions:
        """The emissions, where something is free."""
        if self.emissions is None:
            raise ModelError("every column has been conditioned on: nothing of a row is left")
        return self.emissions

    @property
    def named(self) -> Columns | None:
        """The names of the columns, where they have any."""
        return self.columns if isinstance(self.columns, Columns) else None

    @property
    def unnamed(self) -> Mixture:
        """The same for rows that have been read: numbers, in the order of the columns."""
        return self if self.columns is None else Mixture(self.weights, self.emissions, self.offset)

    @property
    def predictive(self) -> Predictive:
        """p(x_j) of each column [1, d] by itself, before anything is seen; of `condition`, given what was.

        >>> coins = tr.Mixture([0.5, 0.5], tr.BernoulliEmissions([[0.9, 0.9], [0.1, 0.1]]))
        >>> tr.condition(coins, {0: 1}).predictive.means.round(6).tolist()
        [[0.82]]
        """
        return Predictive(self.weights[None], self.free, self.named)

    def check(self, data: Any, name: str = "") -> np.ndarray:
        """Rows of data as numbers, every value looked at; one row [d] becomes [1, d]."""
        return self.free.check(read_table(self.named, data, name), name, self.named and self.named.names)

    @unforked
    def log_joint(self, x: Any) -> np.ndarray:
        """log p(x, k) of each row and component [n, K]; what is NaN is integrated out."""
        return self.free.log_likelihood(np.asarray(x)) + (logs(self.weights) + self.offset)

    @unforked
    def statistics(self, x: Any, responsibilities: np.ndarray) -> Statistics:
        """Expected sufficient statistics of rows, given responsibilities [n, K]."""
        own = Statistics({"count": responsibilities.sum(0)})
        parts = [("mixture.", own), ("emissions.", self.free.statistics(x, responsibilities))]
        return Statistics.joined(parts)

    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> Mixture:
        """The parameters most likely (with a prior: most probable) given expected statistics."""
        total = statistics if prior is None else statistics + prior
        counts = total["mixture.count"]
        own = None if prior is None else prior.part("emissions.")
        emissions = self.free.maximized(statistics.part("emissions."), own)
        return Mixture(counts / counts.sum(), emissions, columns=self.columns)

    def prior(self, strength: float | None = None, weights: float = 0.0) -> Statistics:
        """A conjugate prior around this mixture: of its emissions, and so many pseudo-rows for each weight."""
        own = Statistics({"count": np.full(self.n_components, pseudo_count("weights", weights))})
        return Statistics.joined([("mixture.", own), ("emissions.", self.free.prior(strength))])

    def log_prior(self, prior: Statistics) -> float:
        """The log density of a prior at these parameters, up to a constant."""
        return times_logs(prior["mixture.count"], self.weights) + self.free.log_prior(prior.part("emissions."))

    def vector(self) -> np.ndarray:
        """All parameters in one array."""
        return np.concatenate([self.weights, *(a.ravel() for a in self.free.arrays().values())])

    def __repr__(self) -> str:
        columns = f"{self.n_columns} columns" + (f" {self.named.told}" if self.named else "")
        return f"Mixture({self.n_components} components, {columns}: {type(self.emissions).__name__})"

    def _repr_html_(self) -> str:
        from tractable import _html

        return _html.hidden(self, COMPONENT, {"weights": self.weights}, self.named.names if self.named else ())


def condition(model: Mixture, evidence: Any) -> Mixture:
    """The mixture over the columns that stay free: weights p(k | x), offset log p(x).

    Parameters
    ----------
    evidence : one row [n_columns] with NaN for what stays free, or column (its name, or its number) → value.

    Raises
    ------
    ModelError : more than one row, values outside the domain, evidence of probability zero.

    Examples
    --------
    >>> from tractable.models.emissions import BernoulliEmissions
    >>> coins = Mixture([0.5, 0.5], BernoulliEmissions([[0.9, 0.9], [0.1, 0.1]]))
    >>> condition(coins, {0: 1}).weights.round(6).tolist()
    [0.9, 0.1]
    """
    row = one_row(model, evidence)
    joint = model.log_joint(row)[0]
    log_p = float(np.logaddexp.reduce(joint))
    if log_p == -np.inf:
        raise ModelError("the evidence has probability zero under every component")
    columns = None if model.named is None else model.named.some(np.isnan(row[0]))
    return Mixture(np.exp(joint - log_p), model.free.conditioned(row[0]), log_p, columns)


def one_row(model: Mixture, evidence: Any) -> np.ndarray:
    """The evidence of one case as [1, n_columns]."""
    rows = read_rows(model, evidence)
    if len(rows) != 1:
        raise ModelError(f"this needs one row, the evidence holds {len(rows)}; use infer for many")
    return rows


def read_rows(model: Mixture, evidence: Any) -> np.ndarray:
    """Evidence as rows: an array, or column → value (or values) for some of the columns."""
    if evidence is None:
        return np.full((1, model.n_columns), np.nan)
    if model.named is not None:
        return model.free.check(model.named.evidence(evidence), "evidence: ", model.named.names)
    if not isinstance(evidence, Mapping):
        return model.check(evidence, "evidence: ")
    for column in evidence:
        if column not in range(model.n_columns):
            raise ModelError(f"unknown column {column!r}; the mixture has columns 0 … {model.n_columns - 1}")
    n = max((np.size(v) for v in evidence.values()), default=1)
    rows = np.full((n, model.n_columns), np.nan)
    for column, value in evidence.items():
        rows[:, column] = value
    return model.check(rows, "evidence: ")
