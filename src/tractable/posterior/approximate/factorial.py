"""Variational answers about chains that meet in what they produce: q with less structure, and how much that costs.

    ELBO(q) = E_q[log p(x, z)] + H(q) = log p(x) − KL(q ‖ p(z | x))

Structured: q = ∏_m q_m(z^m), each a chain under potentials h, the expected log-likelihood of its states given the other
chains; one forward–backward of a chain is the exact maximum over its q_m. Mean field: q = ∏_m ∏_t q(z_t^m); even and
odd rows of a chain take turns, each an exact maximum. So no sweep lowers the ELBO (Ghahramani & Jordan 1997).

Above, log p is bounded by what is convex: −½ sᵀQs ≤ ½ φᵀQφ − φᵀQs for any φ, under which the chains come apart:

    log p(x) ≤ Σ_t (constant_t + ½ φ_tᵀ Q_t φ_t) + Σ_m log Z_m(linear − Q φ)

It is lowest where φ is the expectation of s, which averaging leads to. That φ, where states may be mixed without paying
for their variance, is also a start for q, beside one from annealing (the rows count little at first): from nothing at
all, chains that contribute alike end in poor maxima.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tractable._cached import cached_property
from tractable.kernels.chain import Chains, sample_paths
from tractable.kernels.chain import smooth as smooth_chain
from tractable.models.additive import Terms
from tractable.models.emissions._base import logs
from tractable.models.factorial_hidden_markov import FactorialHiddenMarkovModel

TOLERANCE, MAX_SWEEPS = 1e-8, 500
"""An ELBO that grows by less than this share of it has settled."""

NEVER = -1e4
"""Stands for log 0 in a factor: a state that would need a forbidden transition, unless all of them do."""

AVERAGES = 40
"""Steps towards the lowest bound above."""

INVERSE_TEMPERATURES, TEPID = (0.05, 0.1, 0.2, 0.4, 0.7), 5
"""How much rows count in annealing, and sweeps for each."""


class Factors(NamedTuple):
    """An approximation q of the posterior, and what it gives."""

    states: np.ndarray  # E_q[s] [n, Σk]
    elbo: np.ndarray  # [n_sequences]
    transitions: list[np.ndarray]  # of each chain [k, k], expected, weighted
    potentials: np.ndarray | None  # log h [n, Σk] of structured q


class SequenceRows:
    """The rows of all sequences, for q: where they begin and end, and what they say of the states."""

    def __init__(self, model: FactorialHiddenMarkovModel, terms: Terms, lengths: np.ndarray, weights: Any = None):
        self.model, self.terms, self.lengths = model, terms, lengths
        self.weights = np.ones(len(lengths)) if weights is None else weights
        self.starts = np.cumsum(lengths) - lengths
        self.slices = model.emissions.slices
        self.groups = [np.flatnonzero(terms.group == g) for g in range(len(terms.quadratic))]
        self.diagonal = np.diagonal(terms.quadratic, axis1=1, axis2=2)
        self.between = terms.quadratic.copy()  # without what chains have with themselves
        for own in self.slices:
            self.between[:, own, own] = 0.0

    def totals(self, values: np.ndarray) -> np.ndarray:
        """The sum over the rows of each sequence."""
        return np.add.reduceat(values, self.starts)

    def times(self, states: np.ndarray, matrices: np.ndarray, own: slice = slice(None)) -> np.ndarray:
        """Q_t s_t of all rows, for the matrix of each row's group; some of its columns."""
        if len(matrices) == 1:
            return states @ matrices[0][:, own]
        out = np.empty((len(states), matrices[0][:, own].shape[1]))
        for rows, matrix in zip(self.groups, matrices, strict=True):
            out[rows] = states[rows] @ matrix[:, own]
        return out

    def field(self, states: np.ndarray, m: int) -> np.ndarray:
        """The expected log-likelihood of the states of chain m given the others [n, k], up to a constant."""
        own = self.slices[m]
        alone = self.terms.linear[:, own] - 0.5 * self.diagonal[self.terms.group][:, own]
        return alone - self.times(states, self.between, own)

    def expected(self, states: np.ndarray) -> np.ndarray:
        """E_q[log p(x_t | z_t)] of each row."""
        linear = self.terms.linear - 0.5 * (self.diagonal[self.terms.group] + self.times(states, self.between))
        return self.terms.constant + np.einsum("ij,ij->i", linear, states)

    @cached_property
    def relaxed(self) -> Relaxed:
        """The bound above."""
        phi, best = uniform(self), np.full(len(self.lengths), np.inf)
        for i in range(AVERAGES):
            pull, expected = self.times(phi, self.terms.quadratic), np.empty_like(phi)
            value = self.totals(self.terms.constant + 0.5 * np.einsum("ij,ij->i", pull, phi))
            for m, at in enumerate(self.slices):
                found = smooth_chain(self.chain(m, (self.terms.linear - pull)[:, at]))
                expected[:, at] = found.marginals
                value += found.log_likelihood
            best = np.minimum(best, value)
            phi += 2 / (i + 3) * (expected - phi)
        return Relaxed(phi, best)

    def chain(self, m: int, potentials: np.ndarray) -> Chains:
        """Chain m under potentials."""
        model = self.model
        return Chains(model.starts[m], model.transitions[m], potentials, self.lengths, self.weights)


class Relaxed(NamedTuple):
    """Where the bound above log p(x) is lowest, and the bound [n_sequences]."""

    states: np.ndarray
    bound: np.ndarray


def uniform(rows: SequenceRows) -> np.ndarray:
    """Expected states where nothing is known."""
    return np.tile(np.concatenate([np.full(k, 1 / k) for k in rows.model.sizes]), (len(rows.terms.group), 1))


def approximate(rows: SequenceRows, method: str, before: np.ndarray | None = None) -> Factors:
    """The q of a method, ``"structured"`` or ``"mean_field"``: from `before`, or from the better of two starts."""
    states = _start(rows) if before is None else before.copy()
    return (_structured if method == "structured" else _mean_field)(rows, states, MAX_SWEEPS)


def _start(rows: SequenceRows) -> np.ndarray:
    """For each sequence, where the better of two structured q ends."""
    a, b = (_structured(rows, states, MAX_SWEEPS) for states in (rows.relaxed.states, _annealed(rows)))
    return np.where(np.repeat(np.isnan(b.elbo) | (a.elbo >= b.elbo), rows.lengths)[:, None], a.states, b.states)


def _annealed(rows: SequenceRows) -> np.ndarray:
    states, t = uniform(rows), rows.terms
    for by in INVERSE_TEMPERATURES:
        tempered = Terms(by * t.constant, by * t.linear, by * t.quadratic, t.group)
        states = _structured(SequenceRows(rows.model, tempered, rows.lengths), states, TEPID).states
    return states


# ---------------------------------------------------------------- each chain by itself


def _structured(rows: SequenceRows, states: np.ndarray, n_sweeps: int) -> Factors:
    potentials, elbo, counts = np.zeros_like(states), np.full(len(rows.lengths), -np.inf), []
    for _ in range(n_sweeps):
        counts, own = [], np.zeros(len(elbo))
        for m, at in enumerate(rows.slices):
            potentials[:, at] = rows.field(states, m)
            found = smooth_chain(rows.chain(m, potentials[:, at]))
            states[:, at] = found.marginals
            counts.append(found.transitions)
            own += found.log_likelihood
        now = own + rows.totals(rows.expected(states) - np.einsum("ij,ij->i", potentials, states))
        settled, elbo = _settled(elbo, now), now
        if settled:
            break
    return Factors(states, elbo, counts, potentials)


def _settled(before: np.ndarray, now: np.ndarray) -> bool:
    known = np.isfinite(now)
    return bool(known.all() and (now <= before + TOLERANCE * np.maximum(np.abs(now), 1.0)).all())


# ---------------------------------------------------------------- each state by itself


class _Turn(NamedTuple):
    """Rows that are updated together, and which of them have one before and one behind."""

    rows: np.ndarray
    inner: np.ndarray  # not the first of a sequence
    followed: np.ndarray  # not the last


def _turns(rows: SequenceRows) -> list[_Turn]:
    place = np.arange(rows.lengths.sum()) - np.repeat(rows.starts, rows.lengths)
    last = np.repeat(rows.lengths, rows.lengths) - 1
    found = [np.flatnonzero(place % 2 == parity) for parity in (0, 1)]
    return [_Turn(at, place[at] > 0, place[at] < last[at]) for at in found]


def _mean_field(rows: SequenceRows, states: np.ndarray, n_sweeps: int) -> Factors:
    turns, elbo = _turns(rows), np.full(len(rows.lengths), -np.inf)
    for _ in range(n_sweeps):
        for m, at in enumerate(rows.slices):
            field, own = rows.field(states, m), states[:, at]
            for turn in turns:
                _take_turn(rows.model, m, turn, (field, own))
        now = rows.totals(rows.expected(states)) + _prior_and_entropy(rows, states)
        settled, elbo = _settled(elbo, now), now
        if settled:
            break
    return Factors(states, elbo, [_pairs(rows, states[:, at]) for at in rows.slices], None)


def _take_turn(model: FactorialHiddenMarkovModel, m: int, turn: _Turn, arrays: tuple[np.ndarray, np.ndarray]) -> None:
    """Every factor of these rows where the ELBO is largest, the neighbours given."""
    field, own = arrays
    step, start = (np.maximum(logs(p), NEVER) for p in (model.transitions[m], model.starts[m]))
    x = field[turn.rows]
    x[turn.inner] += own[turn.rows[turn.inner] - 1] @ step
    x[~turn.inner] += start
    x[turn.followed] += own[turn.rows[turn.followed] + 1] @ step.T
    p = np.exp(x - x.max(1, keepdims=True))
    own[turn.rows] = p / p.sum(1, keepdims=True)


def _prior_and_entropy(rows: SequenceRows, states: np.ndarray) -> np.ndarray:
    """E_q[log p(z)] + H(q) of each sequence; −∞ where q allows what p forbids."""
    total = -rows.totals(_times_logs(states, states).sum(1))
    for m, at in enumerate(rows.slices):
        own, begins = states[:, at], rows.starts
        total += _times_logs(own[begins], rows.model.starts[m]).sum(1)
        pairs = own[:-1, :, None] * own[1:, None, :]
        value = np.append(0.0, _times_logs(pairs, rows.model.transitions[m]).sum((1, 2)))
        value[begins] = 0.0
        total += rows.totals(value)
    return total


def _times_logs(weights: np.ndarray, p: np.ndarray) -> np.ndarray:
    """w log p with 0 log 0 = 0."""
    return np.where(weights > 0, weights, 0.0) * np.where(weights > 0, logs(p), 0.0)


def _pairs(rows: SequenceRows, own: np.ndarray) -> np.ndarray:
    """Expected transitions under independent factors, weighted."""
    inner = np.setdiff1d(np.arange(1, len(own)), rows.starts)
    weight = np.repeat(rows.weights, rows.lengths)[inner, None]
    return (own[inner - 1] * weight).T @ own[inner]


# ---------------------------------------------------------------- what follows from q


def pair_moments(rows: SequenceRows, states: np.ndarray) -> np.ndarray:
    """Σ weight E_q[s sᵀ] of each group of rows [groups, Σk, Σk]: chains are independent of each other."""
    weights, out = np.repeat(rows.weights, rows.lengths), []
    for at in rows.groups:
        pair = (states[at] * weights[at, None]).T @ states[at]
        for own in rows.slices:
            pair[own, own] = np.diag((states[at][:, own] * weights[at, None]).sum(0))
        out.append(pair)
    return np.stack(out)


def sample(rows: SequenceRows, found: Factors, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` paths of all chains from q [n, rows, M]."""
    if found.potentials is not None:
        drawn = (
            sample_paths(rows.chain(m, found.potentials[:, at]), n, int(rng.integers(2**63))).states
            for m, at in enumerate(rows.slices)
        )
        return np.stack(list(drawn), axis=-1)
    uniforms = rng.random((n, *found.states.shape[:1], len(rows.slices)))
    sums = [found.states[:, at].cumsum(1) for at in rows.slices]
    return np.stack([(c / c[:, -1:] < uniforms[:, :, m, None]).sum(-1) for m, c in enumerate(sums)], axis=-1)
