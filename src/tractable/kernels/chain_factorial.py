"""Forward-backward over the joint states of chains that meet in what they produce: see chain_factorial.c."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache, reduce
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from . import kernel
from .chain import balanced
from .threads import side_by_side

WIDE, WIDEST = 8, 16
"""The last chains are held as one of at least, or at most, so many states: a whole vector costs what an entry does."""

SMALLEST = 1e-200
"""Where all chains together may make any step with this probability, doubles lose nothing that matters."""

_long, _pointer = ctypes.c_int64, ctypes.c_void_p


class Joined(NamedTuple):
    """What the recursions leave: of each sequence, of each row and chain, of each group, and summed."""

    log_likelihood: np.ndarray  # [n_sequences]; NaN where logarithms are needed
    marginals: np.ndarray  # [rows, Σk], the chains side by side
    transitions: list[np.ndarray]  # of each chain [k, k], expected, weighted
    joint: np.ndarray  # [groups, J], weighted


class _Factorial(ctypes.Structure):
    _fields_ = [(name, _long) for name in ("m", "j", "s", "n_rows", "n")] + [
        (name, _pointer)
        for name in ("k", "start", "transition", "linear", "base", "group", "offsets", "order", "weights")
    ]
    _fields_ += [("watched", _long)]


class JointChains:
    """Chains, and what their joint states say of the rows: log p(x_t | z) = Σ_m linear_t[m, z_m] + base[group_t, z].

    Parameters
    ----------
    chains : start [k] and transitions [k, k] of each. linear : [rows, Σk], the chains side by side.
    base : [groups, J], joint states in the order of `numpy.ravel`, the last chain the fastest. group : [rows].
    """

    def __init__(self, chains: Sequence[tuple[np.ndarray, np.ndarray]], linear: Any, base: Any, group: Any):
        self.starts, self.transitions = [start for start, _ in chains], [transition for _, transition in chains]
        self.sizes = [len(start) for start in self.starts]
        self.linear, self.base = (np.ascontiguousarray(x, np.float64) for x in (linear, base))
        self.group = np.ascontiguousarray(group, np.int32)
        self.n_rows = len(self.linear)

    @property
    def n_joint(self) -> int:
        """J = ∏ k."""
        return int(np.prod(self.sizes))

    @property
    def is_safe(self) -> bool:
        """Whether doubles suffice, whatever the rows; zeros are watched for on the way."""
        least = [t[t > 0].min() for t in self.transitions]
        return float(np.prod(least)) > SMALLEST


def smooth(chains: JointChains, lengths: Any, weights: Any = None) -> Joined:
    """log p(x), the marginals of every chain given all rows, expected transitions and joint posteriors by group.

    Time O(T J Σk); memory for about the root of T rows of joint states.
    """
    return _run(chains, lengths, weights, True)


def filtered(chains: JointChains, lengths: Any) -> Joined:
    """log p(x), and the marginals of every chain given the rows up to each."""
    return _run(chains, lengths, None, False)


def _run(chains: JointChains, lengths: Any, weights: Any, whole: bool) -> Joined:
    lengths = np.asarray(lengths, np.int64)
    inner = _together(chains.sizes)
    linear = np.concatenate(
        [reduce(_outer_sum, own) for own in _grouped(_columns(chains.linear, chains.sizes), inner)], 1
    )
    starts, transitions = (
        [reduce(np.kron, own) for own in _grouped(x, inner)] for x in (chains.starts, chains.transitions)
    )
    k = np.array([len(start) for start in starts], np.int64)
    order = np.argsort(-lengths, kind="stable").astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    counted = np.ones(len(lengths)) if weights is None else np.ascontiguousarray(weights, np.float64)
    joint_start, steps = reduce(np.kron, starts), np.concatenate([t.ravel() for t in transitions])
    arrays = (k, joint_start, steps, linear, chains.base, chains.group, offsets, order, counted)
    sizes = (len(k), chains.n_joint, linear.shape[1], chains.n_rows, len(lengths))
    struct = _Factorial(*sizes, *(a.ctypes.data for a in arrays), int(steps.min() == 0))
    log_p, out = np.full(len(lengths), np.nan), np.empty_like(linear)
    pieces = balanced(lengths[order] * float(chains.n_joint * k.sum()), 8)
    counts, joint = (np.zeros((len(pieces), n)) for n in (steps.size, chains.base.size))

    def call(i: int) -> int:
        given = (counts[i].ctypes.data, joint[i].ctypes.data) if whole else (None, None)
        return _kernel()(ctypes.byref(struct), *pieces[i], log_p.ctypes.data, out.ctypes.data, *given)

    if chains.is_safe:
        side_by_side(call, range(len(pieces)))
    marginals, moved = _apart(out, counts.sum(0), inner)
    return Joined(log_p, marginals, moved, joint.sum(0).reshape(chains.base.shape))


def _together(sizes: Sequence[int]) -> list[list[int]]:
    """The states of the chains as the kernel has them: the last ones together, the others by themselves."""
    last, n = len(sizes) - 1, sizes[-1]
    while last and n < WIDE and n * sizes[last - 1] <= WIDEST:
        last -= 1
        n *= sizes[last]
    return [*([k] for k in sizes[:last]), list(sizes[last:])]


def _grouped(own: Sequence[np.ndarray], inner: list[list[int]]) -> list[Sequence[np.ndarray]]:
    """What belongs to each chain, for those that are held together."""
    n = len(inner) - 1
    return [*([x] for x in own[:n]), own[n:]]


def _columns(rows: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    ends = np.cumsum([0, *sizes])
    return [rows[:, a:b] for a, b in pairwise(ends.tolist())]


def _outer_sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a[:, :, None] + b[:, None, :]).reshape(len(a), -1)


def _apart(rows: np.ndarray, counts: np.ndarray, inner: list[list[int]]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Marginals and expected transitions of every chain from those of the ones held together."""
    marginals, moved = [], []
    for sizes, own in zip(inner, _columns(rows, [int(np.prod(sizes)) for sizes in inner]), strict=True):
        n, k = len(sizes), own.shape[1]
        cube, square = own.reshape(len(rows), *sizes), counts[: k * k].reshape(*sizes, *sizes)
        marginals += [_kept(cube, (0, m + 1)) for m in range(n)]
        moved += [_kept(square, (m, n + m)) for m in range(n)]
        counts = counts[k * k :]
    return np.concatenate(marginals, axis=1), moved


def _kept(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The sum over all other axes."""
    return x.sum(tuple(a for a in range(x.ndim) if a not in axes))


@cache
def _kernel() -> Any:
    return kernel("factorial_smooth", [_pointer, _long, _long, *[_pointer] * 4])
