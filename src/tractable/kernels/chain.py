"""Forward-backward, Viterbi and path samples of hidden Markov chains, for many sequences in one call.

The kernels are chain.c (rescaled probabilities), chain_log.c (logarithms, where doubles do not suffice), chain_walk.c
(paths) and chain_best.c (the best ones). Observations enter as log-likelihoods [rows, states] alone, all sequences one
after another.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from . import kernel
from .threads import side_by_side

MAX_STATES = 1 << 16
CHUNK = 1 << 22
"""Multiply-adds, at least, in one call of a kernel: what runs apart does not depend on the number of cores."""

_long, _pointer = ctypes.c_int64, ctypes.c_void_p
_ARGUMENTS = {
    "chain_smooth": [_pointer] * 3,
    "chain_tally": [_pointer] * 6,
    "chain_log_filter": [_pointer] * 2,
    "chain_viterbi": [_pointer] * 2,
    "chain_best": [_long, _pointer, _pointer],
    "chain_sample": [_pointer, _pointer, _long, ctypes.c_uint64, _pointer],
}


class Smoothed(NamedTuple):
    """What the forward-backward recursions leave: of each sequence, of each row, and summed."""

    log_likelihood: np.ndarray  # [n_sequences]
    marginals: np.ndarray  # [rows, k]
    transitions: np.ndarray  # [k, k], expected, weighted


class Tallied(NamedTuple):
    """The same, summed: posteriors over the rows of each kind, and over the first rows; all weighted."""

    log_likelihood: np.ndarray  # [n_sequences]
    kinds: np.ndarray  # [n_kinds, k]
    first: np.ndarray  # [k]
    transitions: np.ndarray  # [k, k]


class Paths(NamedTuple):
    """A state for each row, and log p(path, x) of each sequence."""

    log_probability: np.ndarray  # [n_sequences]
    states: np.ndarray  # [rows]


class _Chain(ctypes.Structure):
    _fields_ = [("k", _long), ("n_rows", _long), ("n", _long)] + [
        (name, _pointer) for name in ("start", "transition", "log_likelihood", "offsets", "order", "weights")
    ]


class _Kinds(ctypes.Structure):
    _fields_ = [("n", _long)] + [(name, _pointer) for name in ("kind", "scaled", "shifts")]


class Chains:
    """Start, transitions, and the log-likelihoods of all rows: as the kernels read them.

    Parameters
    ----------
    start : [k]; transition : [k, k], rows sum to one; log_likelihood : [rows, k], −∞ allowed, no NaN.
    lengths : of the sequences, at least 1 each; None for one sequence. weights : of the sequences.
    kind : where many rows are alike, the place of each row's log-likelihoods among those given [rows]: see `tally`.
    """

    def __init__(
        self,
        start: Any,
        transition: Any,
        log_likelihood: Any,
        lengths: Any = None,
        weights: Any = None,
        kind: np.ndarray | None = None,
    ):
        self.start, self.transition, self.rows = map(_array, (start, transition, log_likelihood))
        self.kind = None if kind is None else np.ascontiguousarray(kind, np.int32)
        self.n_rows, self.k = self.rows.shape if self.kind is None else (len(self.kind), self.rows.shape[1])
        lengths = np.array([self.n_rows]) if lengths is None else np.asarray(lengths, np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.order = np.argsort(-lengths, kind="stable").astype(np.int64)
        self.weights = _array(np.ones(len(lengths)) if weights is None else weights)
        self._check(lengths)
        arrays = (self.start, self.transition, self.rows, self.offsets, self.order, self.weights)
        self.struct = _Chain(self.k, self.n_rows, len(lengths), *(a.ctypes.data for a in arrays))

    def _check(self, lengths: np.ndarray) -> None:
        k, n = self.k, len(lengths)
        if self.start.shape != (k,) or self.transition.shape != (k, k) or not 0 < k <= MAX_STATES:
            raise ValueError(f"{k} states: start {self.start.shape} and transition {self.transition.shape} do not fit")
        if n == 0 or lengths.min() < 1 or self.offsets[-1] != self.n_rows or self.weights.shape != (n,):
            raise ValueError(f"{n} lengths that sum to {self.offsets[-1]} do not fit {self.n_rows} rows")
        if not self.rows.max() < np.inf:
            raise ValueError("a log-likelihood is NaN or +∞")
        if self.kind is not None:
            self._check_kind(self.kind)

    def _check_kind(self, kind: np.ndarray) -> None:
        if not 0 <= kind.min() <= kind.max() < len(self.rows):
            raise ValueError(f"kinds of rows are 0 … {len(self.rows) - 1}, got {kind.min()} … {kind.max()}")

    @property
    def n_sequences(self) -> int:
        """Number of sequences."""
        return len(self.order)

    def run(self, name: str, *arguments: Any) -> None:
        """One kernel over all sequences, in pieces on all cores."""
        self.run_pieces(name, lambda _: arguments)

    def run_pieces(self, name: str, arguments: Callable[[int], Sequence[Any]]) -> None:
        """The same, with arguments for each piece."""
        if self.kind is not None:
            raise ValueError("these chains hold kinds of rows, not rows: tally them")
        run, pieces = _kernel(name), self.pieces
        side_by_side(lambda i: run(ctypes.byref(self.struct), *pieces[i], *arguments(i)), range(len(pieces)))

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """Ranges of `order` of about equal work."""
        lengths = np.diff(self.offsets)[self.order]
        return balanced(lengths * float(self.k * max(self.k, 8)), 64)


def balanced(work: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Ranges of tasks, of about equal work and no less than a chunk; at most about so many."""
    done = np.cumsum(work)
    number = done // max(CHUNK, done[-1] / most)
    cuts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(work)]
    return [(a, b) for a, b in pairwise(cuts) if b > a]


def smooth(chains: Chains, marginals: np.ndarray | None = None) -> Smoothed:
    """log p(x), p(z_t | x) and Σ_t p(z_t, z_{t+1} | x): the forward-backward recursions; `marginals` to an array given.

    Time O(T K²); memory for the marginals and two numbers for each row. A sequence that is impossible has the
    log-likelihood −∞, marginals of NaN, and counts nothing.

    >>> chains = Chains([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], np.log([[0.8, 0.2], [0.8, 0.2]]))
    >>> smooth(chains).marginals[1].round(6).tolist()
    [0.919255, 0.080745]
    """
    log_p = np.empty(chains.n_sequences)
    marginals = np.empty((chains.n_rows, chains.k)) if marginals is None else marginals
    counts = np.zeros((len(chains.pieces), chains.k, chains.k))
    at, size = counts.ctypes.data, counts[0].nbytes
    chains.run_pieces("chain_smooth", lambda i: (log_p.ctypes.data, marginals.ctypes.data, at + i * size))
    return Smoothed(log_p, _possible(chains, log_p, marginals), counts.sum(0))


def tally(chains: Chains) -> Tallied:
    """`smooth` of chains that hold kinds of rows, summed: what learning asks for, in much less time.

    >>> same = Chains([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], np.log([[0.8, 0.2]]), kind=np.array([0, 0]))
    >>> tally(same).kinds.round(6).tolist()
    [[1.838509, 0.161491]]
    """
    assert chains.kind is not None
    shifts = np.maximum(chains.rows.max(1), -1e300)
    scaled, k = np.exp(chains.rows - shifts[:, None]), chains.k
    kinds = _Kinds(len(scaled), chains.kind.ctypes.data, scaled.ctypes.data, shifts.ctypes.data)
    found = Tallied(np.empty(chains.n_sequences), np.zeros(scaled.shape), np.zeros(k), np.zeros((k, k)))
    status = np.empty(chains.n_sequences, np.int32)
    arrays = (found.log_likelihood, status, found.kinds, found.first, found.transitions)
    begin = (ctypes.byref(chains.struct), 0, chains.n_sequences, ctypes.byref(kinds))
    _kernel("chain_tally")(*begin, *(a.ctypes.data for a in arrays))
    left = np.flatnonzero(status)
    return _joined(found, left, _unfolded(chains, left)) if len(left) else found


def _unfolded(chains: Chains, which: np.ndarray) -> tuple[np.ndarray, Chains]:
    """Some of the sequences row by row, with the kinds of their rows."""
    assert chains.kind is not None
    kind = np.concatenate([chains.kind[chains.offsets[s] : chains.offsets[s + 1]] for s in which])
    lengths = np.diff(chains.offsets)[which]
    return kind, Chains(chains.start, chains.transition, chains.rows[kind], lengths, chains.weights[which])


def _joined(found: Tallied, which: np.ndarray, left: tuple[np.ndarray, Chains]) -> Tallied:
    """With the sequences that had to be smoothed row by row; impossible ones count nothing."""
    kind, chains = left
    smoothed = smooth(chains)
    found.log_likelihood[which] = smoothed.log_likelihood
    weights = np.where(smoothed.log_likelihood > -np.inf, chains.weights, 0.0)
    each = np.repeat(weights, np.diff(chains.offsets))[:, None]
    marginals = np.where(each > 0, smoothed.marginals * each, 0.0)
    for j in range(chains.k):
        found.kinds[:, j] += np.bincount(kind, marginals[:, j], len(found.kinds))
    first = found.first + marginals[chains.offsets[:-1]].sum(0)
    return found._replace(first=first, transitions=found.transitions + smoothed.transitions)


def filtered(chains: Chains) -> tuple[np.ndarray, np.ndarray]:
    """log p(x) of each sequence, and p(z_t | x_1, …, x_t) [rows, k]."""
    log_p, out = np.empty(chains.n_sequences), np.empty((chains.n_rows, chains.k))
    chains.run("chain_smooth", log_p.ctypes.data, out.ctypes.data, None)
    return log_p, _possible(chains, log_p, out)


def log_filtered(chains: Chains) -> np.ndarray:
    """log p(z_t | x_1, …, x_t) [rows, k] up to a constant for each row, also where it is below the smallest double."""
    log_p, out = np.empty(chains.n_sequences), np.empty((chains.n_rows, chains.k))
    chains.run("chain_log_filter", log_p.ctypes.data, out.ctypes.data)
    return _possible(chains, log_p, out)


def viterbi(chains: Chains) -> Paths:
    """The path of largest p(z, x) of each sequence; where several have it, that of the lowest states, from the end.

    >>> viterbi(Chains([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], np.log([[0.8, 0.2], [0.8, 0.2]]))).states.tolist()
    [0, 0]
    """
    log_p, states = np.empty(chains.n_sequences), np.empty(chains.n_rows, np.int32)
    chains.run("chain_viterbi", log_p.ctypes.data, states.ctypes.data)
    return Paths(log_p, _possible(chains, log_p, states))


def best_paths(chains: Chains, n: int) -> Paths:
    """The `n` paths [n, rows] of largest p(z, x) of each sequence, best first and each another one.

    Of a sequence that has fewer, the others are −1 and have the logarithm −∞.

    >>> found = best_paths(Chains([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], np.log([[0.8, 0.2], [0.8, 0.2]])), 3)
    >>> found.states.tolist(), np.exp(found.log_probability[:, 0]).round(3).tolist()
    ([[0, 0], [1, 1], [1, 0]], [0.288, 0.018, 0.008])
    """
    log_p, states = np.empty((n, chains.n_sequences)), np.empty((n, chains.n_rows), np.int32)
    chains.run("chain_best", n, log_p.ctypes.data, states.ctypes.data)
    return Paths(log_p, states)


def sample_paths(chains: Chains, n: int, seed: int) -> Paths:
    """`n` paths [n, rows] from p(z | x): filtering forward, sampling backward; and log p(x) of each sequence."""
    log_p, alpha = np.empty(chains.n_sequences), np.empty((chains.n_rows, chains.k))
    states = np.empty((n, chains.n_rows), np.int32)
    chains.run("chain_sample", log_p.ctypes.data, alpha.ctypes.data, n, seed % 2**64, states.ctypes.data)
    return Paths(log_p, states)


def _possible(chains: Chains, log_p: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The rows, with NaN (or state −1) for impossible sequences."""
    for s in np.flatnonzero(log_p == -np.inf):
        out[chains.offsets[s] : chains.offsets[s + 1]] = np.nan if out.dtype.kind == "f" else -1
    return out


def _array(x: Any) -> np.ndarray:
    return np.ascontiguousarray(x, np.float64)


@cache
def _kernel(name: str) -> Any:
    return kernel(name, [_pointer, _long, _long, *_ARGUMENTS[name]])
