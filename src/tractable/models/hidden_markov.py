"""Hidden Markov models: a chain of hidden states, each of which produces a row of data."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from tractable.graph import Graph
from tractable.kernels.forks import product_lock, unforked
from tractable.models._base import KEPT, ModelError, set_fields
from tractable.models.columns import Columns
from tractable.models.emissions import Emissions, Statistics
from tractable.models.emissions._base import ROUNDING, ROWS, parameters, pseudo_count, times_logs
from tractable.models.rows import Names
from tractable.models.sequences import Sequences, read_sequences
from tractable.models.transitions import checked_ties, most_likely_stationary, most_likely_tied, stationary

STATE = "state"
STATIONARY = "stationary"


@dataclass(frozen=True, eq=False)
class HiddenMarkovModel:
    """p(x, z) = π(z_1) ∏_t A(z_t, z_{t+1}) ∏_t p(x_t | z_t).

    Parameters
    ----------
    start : π [K], or ``"stationary"``: the distribution that the transitions keep, which learning then respects.
    transition : A [K, K], rows sum to one within 1e-6. What is zero when a model is made stays zero in learning: a
        left–right model is one whose transitions lead on.
    emissions : p(x | state); what is NaN in a row is integrated out.
    ties : labels [K, K]; transitions of the same label ≥ 0 keep the same value in learning. Those of label −1 are
        free. Rows that share a label must have the same labels, in any order.
    columns : what columns and their states are called, as for `Mixture`.

    Attributes
    ----------
    possible : [1 + K, K], which entries of the start and of the transitions the structure allows: those that are above
        zero when a model is made. What learning makes of it remembers them, so that a transition which is driven to
        zero is still a parameter.

    Raises
    ------
    ModelError : distributions that are none, shapes that do not fit, ties that the transitions do not have.

    Examples
    --------
    >>> activity = tr.CategoricalEmissions([[[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]]])  # walk, shop, clean
    >>> weather = tr.HiddenMarkovModel([0.6, 0.4], [[0.7, 0.3], [0.4, 0.6]], activity)  # rainy, sunny
    >>> tr.most_probable(weather, [0, 1, 2]).assignment["state"].tolist()
    [1, 0, 0]
    >>> tr.infer(weather, [0, 1, 2]).marginals["state"][0].round(6).tolist()
    [0.231703, 0.768297]
    """

    family: ClassVar[str] = "hidden_markov"

    start: np.ndarray | str
    transition: np.ndarray
    emissions: Emissions
    ties: np.ndarray | None = None
    columns: Columns | Names | None = None
    possible: np.ndarray = field(init=False, repr=False, metadata=KEPT)
    graph: Graph = field(init=False, repr=False)
    is_stationary: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        k = self.emissions.n_components
        transition = distributions("transition", self.transition, (k, k))
        is_stationary = isinstance(self.start, str)
        if is_stationary and self.start != STATIONARY:
            raise ModelError(f"start is a distribution [{k}] or {STATIONARY!r}, got {self.start!r}")
        start = stationary(transition) if is_stationary else distributions("start", self.start, (k,))
        ties = None if self.ties is None else checked_ties(self.ties, transition)
        graph = Graph({STATE: k, f"next {STATE}": k}, {f"next {STATE}": (STATE,)})
        columns = Columns.of(self.columns, self.emissions.column_states)
        set_fields(self, start=start, transition=transition, ties=ties, graph=graph, is_stationary=is_stationary)
        set_fields(self, columns=columns, possible=np.vstack([start, transition]) > 0)

    @property
    def n_states(self) -> int:
        """K."""
        return len(self.transition)

    @property
    def n_columns(self) -> int:
        """d."""
        return self.emissions.n_columns

    @property
    def first(self) -> np.ndarray:
        """The distribution of the first state [K]."""
        return np.asarray(self.start)

    @property
    def n_parameters(self) -> int:
        """Free numbers: of the start, of the transitions that are possible, and of the emissions."""
        start = 0 if self.is_stationary else int(self.possible[0].sum()) - 1
        return start + self._n_transitions() + self.emissions.n_parameters

    def _n_transitions(self) -> int:
        there = self.possible[1:]
        if self.ties is None:
            return int(there.sum()) - self.n_states
        labels = [frozenset(row[on & (row >= 0)].tolist()) for row, on in zip(self.ties, there, strict=True)]
        alone = int((there & (self.ties < 0)).sum())
        fixed = sum(not group for group in labels) + len({group for group in labels if group})
        return alone + len(frozenset().union(*labels)) - fixed

    @property
    def named(self) -> Columns | None:
        """The names of the columns, where they have any."""
        return self.columns if isinstance(self.columns, Columns) else None

    @property
    def unnamed(self) -> HiddenMarkovModel:
        """The same for rows that have been read: numbers, in the order of the columns."""
        return self if self.columns is None else self.replaced(columns=None)

    def replaced(self, **changed: Any) -> HiddenMarkovModel:
        """The same with other fields; a stationary start stays one, and the structure where it is not given anew."""
        found = replace(self, **({"start": STATIONARY} if self.is_stationary else {}) | changed)
        anew = [["start" in changed]] + [["transition" in changed]] * self.n_states
        return found.allowing(self.possible & ~np.array(anew))

    def allowing(self, possible: np.ndarray) -> HiddenMarkovModel:
        """The same, with a structure that allows these starts and transitions [1 + K, K], too."""
        if np.shape(possible) != self.possible.shape:
            raise ModelError(f"possible has the shape {np.shape(possible)}, expected {self.possible.shape}")
        found = copy(self)
        set_fields(found, possible=self.possible | possible)
        return found

    def check(self, data: Any, name: str = "", partial: bool = False) -> Sequences:
        """Sequences of rows as numbers, every value looked at; see `read_sequences`."""
        return read_sequences(self.emissions, data, name, self.named, partial)

    def log_likelihoods(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """log p(x_t | state) of rows that have been checked [n, K]."""
        out = np.empty((len(rows), self.n_states)) if out is None else out
        for start in range(0, len(rows), ROWS):  # what is made on the way stays in the cache
            with product_lock():
                out[start : start + ROWS] = self.emissions.log_likelihood(rows[start : start + ROWS])
        return out

    @unforked
    def statistics(self, rows: np.ndarray, marginals: np.ndarray, first: np.ndarray, counts: np.ndarray) -> Statistics:
        """Expected sufficient statistics: the first states [K], transitions [K, K], and those of the emissions."""
        own = Statistics({"start": first, "transition": counts})
        return Statistics.joined([("chain.", own), ("emissions.", self.emissions.statistics(rows, marginals))])

    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> HiddenMarkovModel:
        """The parameters most likely (with a prior: most probable) given expected statistics.

        What is not possible stays zero, ties stay tied, a state never left keeps its row. With a stationary start the
        transitions have no closed form: each of some growth transformations makes the whole more likely.
        """
        emissions = self.emissions.maximized(
            statistics.part("emissions."), None if prior is None else prior.part("emissions.")
        )
        total = statistics if prior is None else statistics + prior
        first = np.where(self.possible[0], total["chain.start"], 0.0)
        counts = np.where(self.possible[1:], total["chain.transition"], 0.0)
        if self.is_stationary:
            transition = most_likely_stationary(first, counts, self.transition, self.ties)
            return self.replaced(emissions=emissions, transition=transition).allowing(self.possible)
        start = first / first.sum() if first.sum() > 0 else self.first
        transition = most_likely_tied(counts, self.transition, self.ties)
        return self.replaced(emissions=emissions, start=start, transition=transition).allowing(self.possible)

    def prior(self, strength: float | None = None, transitions: float = 0.0, start: float = 0.0) -> Statistics:
        """A conjugate prior: of the emissions, and so many pseudo-counts for each possible transition and start."""
        counts = np.where(self.possible[1:], pseudo_count("transitions", transitions), 0.0)
        first = np.where(self.possible[0], pseudo_count("start", start), 0.0)
        own = Statistics({"start": first, "transition": counts})
        return Statistics.joined([("chain.", own), ("emissions.", self.emissions.prior(strength))])

    def log_prior(self, prior: Statistics) -> float:
        """The log density of a prior at these parameters, up to a constant."""
        own = times_logs(prior["chain.start"], self.first) + times_logs(prior["chain.transition"], self.transition)
        return own + self.emissions.log_prior(prior.part("emissions."))

    def vector(self) -> np.ndarray:
        """All parameters in one array."""
        parts = [self.first, self.transition.ravel(), *(a.ravel() for a in self.emissions.arrays().values())]
        return np.concatenate(parts)

    def __repr__(self) -> str:
        kind = type(self.emissions).__name__
        columns = f"{self.n_columns} columns" + (f" {self.named.told}" if self.named else "")
        return f"HiddenMarkovModel({self.n_states} states, {columns}: {kind})"

    def _repr_html_(self) -> str:
        from tractable import _html

        told = {"start": self.first, "transition": self.transition}
        return _html.hidden(self, STATE, told, self.named.names if self.named else ())


def distributions(name: str, given: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Rows that sum to one within 1e-6, renormalized."""
    array = parameters(name, given, shape, 0.0)
    sums = array.sum(-1, keepdims=True)
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums.ravel()[worst] - 1) > 1e-6:
        where = f"row {worst} of {name}" if array.ndim == 2 else name
        raise ModelError(f"{where} must sum to 1, got {sums.ravel()[worst]:.6g}")
    return np.where(np.abs(sums - 1) > ROUNDING, array / sums, array)  # what is normalized keeps its bits
