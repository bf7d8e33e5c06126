"""Factorial hidden Markov models: chains that run by themselves, and together produce every row of data."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from tractable.graph import Graph
from tractable.models._base import KEPT, ModelError, set_fields
from tractable.models.additive import AdditiveGaussianEmissions, joint_table
from tractable.models.columns import Columns
from tractable.models.emissions import Statistics
from tractable.models.emissions._base import pseudo_count, times_logs
from tractable.models.hidden_markov import distributions
from tractable.models.markov_network import MarkovNetwork
from tractable.models.rows import Names
from tractable.models.sequences import Sequences, read_sequences
from tractable.models.transitions import most_likely

CHAIN = "chain"
FAR = -650.0
MAX_TABLES = 1 << 26


@dataclass(frozen=True, eq=False)
class FactorialHiddenMarkovModel:
    """p(x, z) = ∏_m π_m(z_1^m) ∏_t A_m(z_t^m, z_{t+1}^m) · ∏_t N(x_t; offset + Σ_m W_m[z_t^m], Σ).

    Parameters
    ----------
    starts : π, for each chain [k_m].
    transitions : A, for each chain [k_m, k_m], rows sum to one within 1e-6. What is zero when a model is made stays
        zero in learning.
    emissions : p(x | states of all chains); what is NaN in a row is integrated out.
    columns : what columns are called, as for `Mixture`.

    Attributes
    ----------
    possible : for each chain [1 + k_m, k_m], as of a `HiddenMarkovModel`.

    Raises
    ------
    ModelError : distributions that are none, shapes or numbers of chains that do not fit.

    References
    ----------
    Ghahramani & Jordan, Factorial hidden Markov models, Machine Learning 29, 1997.

    Examples
    --------
    >>> lamps = tr.AdditiveGaussianEmissions([[[0.0], [1.0]], [[0.0], [2.0]]], [[0.04]])  # each is off or on
    >>> stay = [[0.9, 0.1], [0.1, 0.9]]
    >>> room = tr.FactorialHiddenMarkovModel([[0.5, 0.5]] * 2, [stay] * 2, lamps)
    >>> light = [0.1, 1.9, 3.0]
    >>> {name: path.tolist() for name, path in tr.most_probable(room, light).assignment.items()}
    {'chain0': [0, 0, 1], 'chain1': [0, 1, 1]}
    >>> post = tr.infer(room, light, method="structured")
    >>> post.log_partition.kind, bool(post.log_partition.value <= tr.log_partition(room, light).value)
    ('bound', True)
    """

    family: ClassVar[str] = "factorial_hidden_markov"

    starts: Sequence[np.ndarray]
    transitions: Sequence[np.ndarray]
    emissions: AdditiveGaussianEmissions
    columns: Columns | Names | None = None
    possible: Sequence[np.ndarray] = field(init=False, repr=False, metadata=KEPT)
    graph: Graph = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sizes = self.emissions.sizes
        if not len(sizes) == len(self.starts) == len(self.transitions):
            raise ModelError(
                f"the emissions have {len(sizes)} chains, there are {len(self.starts)} starts and"
                f" {len(self.transitions)} transitions; give one of each for every chain"
            )
        starts = [distributions(f"starts[{m}]", self.starts[m], (k,)) for m, k in enumerate(sizes)]
        steps = [distributions(f"transitions[{m}]", self.transitions[m], (k, k)) for m, k in enumerate(sizes)]
        set_fields(self, possible=tuple(np.vstack(chain) > 0 for chain in zip(starts, steps, strict=True)))
        states = dict(zip(self.chains, sizes, strict=True))
        later = {f"next {name}": (name,) for name in self.chains}
        graph = Graph(states | {f"next {name}": k for name, k in states.items()}, later)
        columns = Columns.of(self.columns, (None,) * self.emissions.n_columns)
        set_fields(self, starts=tuple(starts), transitions=tuple(steps), graph=graph, columns=columns)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of states of each chain."""
        return self.emissions.sizes

    @property
    def chains(self) -> list[str]:
        """The names of the chains."""
        return [f"{CHAIN}{m}" for m in range(len(self.sizes))]

    @property
    def n_columns(self) -> int:
        """d."""
        return self.emissions.n_columns

    @property
    def n_parameters(self) -> int:
        """Free numbers: of starts, of transitions that are possible, and of the emissions."""
        own = sum(int(may.sum()) - len(may) for may in self.possible)
        return own + self.emissions.n_parameters

    @property
    def named(self) -> Columns | None:
        """The names of the columns, where they have any."""
        return self.columns if isinstance(self.columns, Columns) else None

    @property
    def unnamed(self) -> FactorialHiddenMarkovModel:
        """The same for rows that have been read: numbers, in the order of the columns."""
        return self if self.columns is None else replace(self, columns=None).allowing(self.possible)

    def allowing(self, possible: Sequence[np.ndarray]) -> FactorialHiddenMarkovModel:
        """The same, with a structure that allows these starts and transitions of each chain [1 + k_m, k_m], too."""
        found = copy(self)
        set_fields(found, possible=tuple(a | b for a, b in zip(self.possible, possible, strict=True)))
        return found

    def check(self, data: Any, name: str = "", partial: bool = False) -> Sequences:
        """Sequences of rows as numbers, every value looked at; see `read_sequences`."""
        return read_sequences(self.emissions.noise, data, name, self.named, partial)

    def without(self, observed: Sequence[int]) -> FactorialHiddenMarkovModel:
        """The model of the other chains, for rows from which the contributions of the observed ones are subtracted."""
        left = [m for m in range(len(self.sizes)) if m not in observed]
        e = self.emissions
        parts = AdditiveGaussianEmissions([e.contributions[m] for m in left], e.covariance, e.offset)
        starts, transitions = [self.starts[m] for m in left], [self.transitions[m] for m in left]
        return FactorialHiddenMarkovModel(starts, transitions, parts, self.columns)

    # ------------------------------------------------------------ learning

    def statistics(self, emissions: Statistics, first: np.ndarray, counts: Sequence[np.ndarray]) -> Statistics:
        """Expected sufficient statistics: of the emissions, the first states [Σk], and transitions of each chain."""
        parts = {"start": first} | {f"transition{m}": count for m, count in enumerate(counts)}
        return Statistics.joined([("chains.", Statistics(parts)), ("emissions.", emissions)])

    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> FactorialHiddenMarkovModel:
        """The parameters most likely (with a prior: most probable) given expected statistics."""
        own = None if prior is None else prior.part("emissions.")
        emissions = self.emissions.maximized(statistics.part("emissions."), own)
        chains = statistics.part("chains.")
        chains = chains if prior is None else chains + prior.part("chains.")
        starts = [most_likely(chains["start"][None, at], p[None])[0] for at, p in self._own_starts()]
        steps = [most_likely(chains[f"transition{m}"], a) for m, a in enumerate(self.transitions)]
        return FactorialHiddenMarkovModel(starts, steps, emissions, self.columns).allowing(self.possible)

    def _own_starts(self) -> list[tuple[slice, np.ndarray]]:
        return list(zip(self.emissions.slices, self.starts, strict=True))

    def prior(self, strength: float | None = None, transitions: float = 0.0, start: float = 0.0) -> Statistics:
        """A conjugate prior: of the covariance, and so many pseudo-counts for each possible transition and start."""
        first = np.concatenate([may[0] * pseudo_count("start", start) for may in self.possible])
        counts = [may[1:] * pseudo_count("transitions", transitions) for may in self.possible]
        return self.statistics(self.emissions.prior(strength), first, counts)

    def log_prior(self, prior: Statistics) -> float:
        """The log density of a prior at these parameters, up to a constant."""
        own = times_logs(prior["chains.start"], np.concatenate(self.starts))
        own += sum(times_logs(prior[f"chains.transition{m}"], a) for m, a in enumerate(self.transitions))
        return own + self.emissions.log_prior(prior.part("emissions."))

    def vector(self) -> np.ndarray:
        """All parameters in one array."""
        return np.concatenate([a.ravel() for a in (*self.starts, *self.transitions, *self.emissions.arrays().values())])

    def __repr__(self) -> str:
        states = "·".join(map(str, self.sizes))
        return f"FactorialHiddenMarkovModel({len(self.sizes)} chains of {states} states, {self.n_columns} columns)"

    def _repr_html_(self) -> str:
        from tractable import _html

        told = {f"chain{m} start": own for m, own in enumerate(self.starts)}
        told |= {f"chain{m} transition": own for m, own in enumerate(self.transitions)}
        return _html.hidden(self, "", told, ())


def condition(model: FactorialHiddenMarkovModel, evidence: Any) -> MarkovNetwork:
    """p̃(z) = p(z, x) for one sequence x: variables ``chain0_0`` (chain 0 at row 0), …, whose Z is p(x).

    Raises
    ------
    ModelError : many sequences; tables of all joint states that would be too large, or would underflow.

    Examples
    --------
    >>> import tractable as tr
    >>> lamps = tr.AdditiveGaussianEmissions([[[0.0], [1.0]], [[0.0], [2.0]]], [[0.04]])
    >>> room = tr.FactorialHiddenMarkovModel([[0.5, 0.5]] * 2, [[[0.9, 0.1], [0.1, 0.9]]] * 2, lamps)
    >>> [tr.infer(condition(room, [0.1, 1.9])).marginals[f"chain1_{t}"]["1"] > 0.5 for t in range(2)]
    [False, True]
    """
    sequences = model.check(evidence, partial=True)
    if len(sequences) != 1:
        raise ModelError(f"conditioning takes one sequence, got {len(sequences)}")
    rows = _tabulated(model, sequences.rows)
    names = [[f"{name}_{t}" for name in model.chains] for t in range(len(rows))]
    factors: list[Any] = [(tuple(own), np.exp(row).reshape(model.sizes)) for own, row in zip(names, rows, strict=True)]
    factors += [((name,), start) for name, start in zip(names[0], model.starts, strict=True)]
    for before, after in pairwise(names):
        factors += zip(zip(before, after, strict=True), model.transitions, strict=True)
    states = [list(map(str, range(k))) for k in model.sizes]
    return MarkovNetwork({name: s for own in names for name, s in zip(own, states, strict=True)}, factors)


def _tabulated(model: FactorialHiddenMarkovModel, rows: np.ndarray) -> np.ndarray:
    """`log_likelihoods`, where tables can hold them."""
    n = int(np.prod(model.sizes, dtype=object)) * len(rows)
    if n > MAX_TABLES:
        raise ModelError(f"a table of all joint states for each row has {n:.3g} entries in all; see infer")
    found = log_likelihoods(model, rows)
    low = np.flatnonzero(found.max(1) < FAR)
    if len(low):
        raise ModelError(f"row {low[0]} is too improbable for a table: log p is {found[low[0]].max():.6g}; use infer")
    return found


def log_likelihoods(model: FactorialHiddenMarkovModel, rows: np.ndarray) -> np.ndarray:
    """log p(x_t | joint state) of checked rows [n, ∏k], the last chain the fastest."""
    terms = model.emissions.terms(rows)
    out = joint_table(terms.quadratic, model.sizes)[terms.group]
    cube = out.reshape(len(rows), *model.sizes)
    for m, own in enumerate(model.emissions.slices):
        shape = [k if a == m else 1 for a, k in enumerate(model.sizes)]
        cube += terms.linear[:, own].reshape(-1, *shape)
    return out + terms.constant[:, None]
