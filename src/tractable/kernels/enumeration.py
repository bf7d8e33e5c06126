"""Exact sums over all states of up to 30 binary units, beside any number of binary units that are summed out.

The kernel is enumerate.c; this file lays out its tables, cuts the states into chunks, and runs these on all cores.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeVar

import numpy as np

from . import kernel
from .threads import in_order

MAX_UNITS = 30
LOW, MIDDLE, INNER, TILE, WIDTH = 8, 4, 12, 16, 8
"""Bits and widths as in enumerate.c: 8 low bits and 4 middle ones, tiles of 16 low states, 8 columns side by side."""

WILD = 650.0
"""A factor 1 + exp(θ) up to here goes through a product of doubles; see `_columns`."""

GROUP_BITS = 1000.0
CHUNK = 2**27
"""Factors in one call of the kernel: some tens of milliseconds, between which an interrupt is heard."""

Progress = Callable[[int, int], None] | None
"""Hears of steps done, of how many."""
_long, _double, _pointer = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
T = TypeVar("T")


class Expectations(NamedTuple):
    """Expectations of a model with units h and x: of each unit, and of the products of two."""

    log_z: float
    h: np.ndarray  # [n]
    x: np.ndarray  # [m]
    hx: np.ndarray  # [n, m]
    hh: np.ndarray  # [n, n]


def log_sum(
    W: np.ndarray, c: np.ndarray, b: np.ndarray, J: np.ndarray | None = None, progress: Progress = None
) -> float:
    """log Σ_h exp(c·h + Σ_{i<j} J_ij h_i h_j) Π_k (1 + exp(b_k + Σ_i h_i W_ik)) over h in {0,1}^n.

    W is [n, m], J symmetric with a zero diagonal; `progress(done, total)` hears of the states done, from time to time.
    ValueError for arrays that do not fit together or are not finite, and for n > 30.

    >>> round(log_sum(np.zeros((3, 5)), np.zeros(3), np.zeros(5)) / math.log(2), 9)
    8.0
    """
    machine = _machine(W, c, b, J)
    scale, total = -math.inf, 0.0
    for top, part in _partials(machine, machine.sum, progress):
        higher = max(scale, top)
        total = total * math.exp(scale - higher) + part * math.exp(top - higher)
        scale = higher
    return machine.constant + scale + math.log(total)


def expectations(
    W: np.ndarray, c: np.ndarray, b: np.ndarray, J: np.ndarray | None = None, progress: Progress = None
) -> Expectations:
    """log Z as in `log_sum`, and E[h], E[x], E[h x'], E[h h'] with all units in {0, 1}.

    Expectations are under p(h, x) ∝ exp(c·h + b·x + h·W x + Σ_{i<j} J_ij h_i h_j); one pass at some five
    times the price of `log_sum`. Relative precision holds for the larger of a probability and its complement.

    >>> round(float(expectations(np.zeros((3, 5)), np.zeros(3), np.zeros(5)).hx[0, 0]), 9)
    0.25
    """
    machine = _machine(W, c, b, J)
    parts = _partials(machine, machine.expect, progress)
    sums = next(parts)
    for part in parts:
        sums.add(part)
    return machine.finish(sums)


def sample(
    W: np.ndarray, c: np.ndarray, b: np.ndarray, J: np.ndarray | None, generator: np.random.Generator, n: int
) -> np.ndarray:
    """`n` independent draws of h, uint8 [n, units], from the distribution that `log_sum` sums up.

    >>> c, b, generator = np.array([30.0, -30.0]), np.zeros(5), np.random.default_rng(0)
    >>> sample(np.zeros((2, 5)), c, b, None, generator, 2).tolist()
    [[1, 0], [1, 0]]
    """
    machine = _machine(W, c, b, J)
    chunks = _chunks(machine)
    parts = np.array([top + math.log(part) for top, part in _partials(machine, machine.sum, None)])
    counts = generator.multinomial(n, np.exp(parts - np.logaddexp.reduce(parts)))
    drawn = [np.zeros(0, np.int64)]
    for (first, last), count in zip(chunks, counts.tolist(), strict=True):
        if count:
            log_w = machine.weights(first, last)
            p = np.exp(log_w - log_w.max())
            drawn.append(first * 2**INNER + generator.choice(len(p), size=count, p=p / p.sum()))
    index = generator.permutation(np.concatenate(drawn))
    return (index[:, None] >> np.arange(machine.n) & 1).astype(np.uint8)


_SUMS = ("weights", "top_inner", "top_top", "low_x", "middle_x", "top_x", "wild_low", "wild_middle", "wild_top")
"""Arrays of `Sums`, as in enumerate.c."""


class _Machine(ctypes.Structure):
    _fields_ = [(name, _long) for name in ("n_top", "m", "n_groups", "n_wild")] + [
        (name, _pointer)
        for name in ("groups", "low", "columns", "middle", "top", "linear", "quadratic", "coupling", "wild")
    ]


class _Sums(ctypes.Structure):
    _fields_ = [("scale", _double), ("total", _double)] + [(name, _pointer) for name in _SUMS]


@cache
def _kernel(name: str) -> Any:
    return kernel(name, [_pointer, _long, _long, _pointer])


class Sums:
    """Weighted sums over some chunks of states, relative to exp(scale), in one buffer that is cut into named arrays."""

    def __init__(self, n_top: int, m: int, n_wild: int):
        shapes = [(2**INNER,), (n_top, INNER), (n_top, n_top)]
        shapes += [(m // WIDTH, 2**LOW, WIDTH), (m, 2**MIDDLE), (n_top, m)]
        shapes += [(n_wild, 2**LOW), (n_wild, 2**MIDDLE), (n_top, n_wild)]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        self.buffer = np.zeros(ends[-1])
        pieces = np.split(self.buffer, ends[:-1])
        self.arrays = {name: x.reshape(shape) for name, x, shape in zip(_SUMS, pieces, shapes, strict=True)}
        self.struct = _Sums(-math.inf, 0.0, *(array.ctypes.data for array in self.arrays.values()))

    def add(self, other: Sums) -> None:
        """Add the sums over other states."""
        scale = max(self.struct.scale, other.struct.scale)
        mine, theirs = math.exp(self.struct.scale - scale), math.exp(other.struct.scale - scale)
        self.buffer *= mine
        self.buffer += theirs * other.buffer
        self.struct.total = self.struct.total * mine + other.struct.total * theirs
        self.struct.scale = scale


@dataclass(frozen=True, eq=False)
class SumTables:
    """The tables of one sum as the kernel reads them, and what undoes their layout."""

    n: int
    m: int
    tame: np.ndarray  # columns that go through products, in the order of the tables
    wild: np.ndarray
    flipped: np.ndarray  # [m] columns whose x is one minus the unit asked for
    constant: float  # added to the logarithm of the sum over the tables
    arrays: dict[str, np.ndarray | None]

    @property
    def n_top(self) -> int:
        """Number of bits beyond the inner ones."""
        return max(0, self.n - INNER)

    @property
    def padded(self) -> int:
        """Number of columns in the tables."""
        return -(-len(self.tame) // WIDTH) * WIDTH

    @property
    def struct(self) -> _Machine:
        """The C structure; it points into `arrays`."""
        groups = self.arrays["groups"]
        assert groups is not None
        pointers = [None if a is None else a.ctypes.data for a in self.arrays.values()]
        return _Machine(self.n_top, self.padded, len(groups) - 1, len(self.wild), *pointers)

    def sum(self, first: int, last: int) -> tuple[float, float]:
        """The sum over some blocks of 4096 states as (logarithm of a scale, sum relative to it)."""
        out = np.zeros(2)
        self._call("enumerate_sum", first, last, out.ctypes.data)
        return float(out[0]), float(out[1])

    def weights(self, first: int, last: int) -> np.ndarray:
        """The logarithms of the weights of the states of some blocks."""
        out = np.zeros((last - first) * 2**INNER)
        self._call("enumerate_weights", first, last, out.ctypes.data)
        return out

    def expect(self, first: int, last: int) -> Sums:
        """The weighted sums over some blocks."""
        sums = Sums(self.n_top, self.padded, len(self.wild))
        self._call("enumerate_expectations", first, last, ctypes.addressof(sums.struct))
        return sums

    def _call(self, name: str, first: int, last: int, out: int) -> None:
        struct = self.struct
        _kernel(name)(ctypes.addressof(struct), first, last, out)

    def finish(self, sums: Sums) -> Expectations:
        """Expectations from the sums over all states."""
        total, n = sums.struct.total, self.n
        a = {name: array / total for name, array in sums.arrays.items()}
        hh = _second_moments(a["weights"], a["top_inner"], a["top_top"])
        x, hx = np.empty(self.m), np.empty((INNER + self.n_top, self.m))
        low_x = a["low_x"].transpose(0, 2, 1).reshape(-1, 2**LOW)
        for columns, low, middle, top in (
            (self.tame, low_x, a["middle_x"], a["top_x"]),
            (self.wild, a["wild_low"], a["wild_middle"], a["wild_top"]),
        ):
            k = len(columns)
            x[columns] = middle[:k].sum(1)
            hx[:, columns] = np.vstack([(low[:k] @ _bits(LOW)).T, (middle[:k] @ _bits(MIDDLE)).T, top[:, :k]])
        h = np.diag(hh).copy()
        x = np.where(self.flipped, 1.0 - x, x)
        hx = np.where(self.flipped, h[:, None] - hx, hx)
        log_z = self.constant + sums.struct.scale + math.log(total)
        return Expectations(log_z, h[:n], x, hx[:n], hh[:n, :n])


def _second_moments(weights: np.ndarray, top_inner: np.ndarray, top_top: np.ndarray) -> np.ndarray:
    bits = _bits(INNER)
    return np.block([[(bits * weights[:, None]).T @ bits, top_inner.T], [top_inner, top_top]])


@cache
def _bits(n: int) -> np.ndarray:
    """[2^n, n] all states of n bits, the first bit the fastest."""
    return ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64)


def _machine(W: np.ndarray, c: np.ndarray, b: np.ndarray, J: np.ndarray | None) -> SumTables:
    W, c, b, J = checked(W, c, b, J)
    n, m = W.shape
    idle = max(0, INNER - n)  # units without any weight, each of which doubles the sum
    W, c = np.pad(W, ((0, idle), (0, 0))), np.pad(c, (0, idle))
    flipped = 2 * b + W.sum(0) > 0
    constant = float(b[flipped].sum()) - idle * math.log(2)
    c = c + W[:, flipped].sum(1)
    W, b = np.where(flipped, -W, W), np.where(flipped, -b, b)
    most = b + np.maximum(W, 0).sum(0)
    tame, wild = np.flatnonzero(most <= WILD), np.flatnonzero(most > WILD)
    arrays = _columns(W[:, tame], b[tame], most[tame]) | {"linear": c} | _couplings(J, idle)
    arrays["wild"] = np.ascontiguousarray(np.vstack([W[:, wild], b[wild]]).T)
    return SumTables(n, m, tame, wild, flipped, constant, arrays)


def checked(
    W: np.ndarray, c: np.ndarray, b: np.ndarray, J: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """The arrays of a sum or a maximum over states, in double precision; ValueError where they are none."""
    W, c, b = (np.array(a, np.float64) for a in (W, c, b))
    if W.ndim != 2 or c.shape != W.shape[:1] or b.shape != W.shape[1:]:
        raise ValueError(f"W, c and b have the shapes {W.shape}, {c.shape}, {b.shape}; expected [n, m], [n], [m]")
    if len(W) > MAX_UNITS:
        raise ValueError(f"{len(W)} units are too many to enumerate: at most {MAX_UNITS}; transpose W if m is smaller")
    J = None if J is None else np.array(J, np.float64)
    if not _adds_up(W, c, b, *([] if J is None else [J])):
        raise ValueError("W, c, b and J must be finite, and so must their sums: there is an infinity or a NaN in them")
    if J is not None:
        _check_inner(J, len(W))
    return W, c, b, J


def _check_inner(J: np.ndarray, n: int) -> None:
    if J.shape != (n, n) or (J != J.T).any() or np.diag(J).any():
        raise ValueError(f"J must be {(n, n)}, symmetric, zero on its diagonal (h² = h: see c); got {J.shape}")


def _adds_up(*arrays: np.ndarray) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(sum(np.abs(a).sum() for a in arrays)))


def _columns(W: np.ndarray, b: np.ndarray, most: np.ndarray) -> dict[str, np.ndarray | None]:
    """Tables over the columns whose θ exceeds `WILD` at most on one side; `_machine` has turned that side down.

    For θ far below zero exp(θ) underflows, rightly so: it is added to one.
    """
    m = W.shape[1]
    padded = -(-m // WIDTH) * WIDTH
    highest = np.maximum(W[:LOW], 0).sum(0)
    low = np.zeros((2**LOW, padded))
    low[:, :m] = np.exp(_bits(LOW) @ W[:LOW] - highest)
    middle = np.zeros((padded, 2**MIDDLE))
    middle[:m] = (_bits(MIDDLE) @ W[LOW:INNER] + highest + b).T
    return {
        "groups": _groups(np.pad(np.logaddexp(0.0, most) / math.log(2), (0, padded - m))),
        "low": np.ascontiguousarray(low.reshape(2**LOW // TILE, TILE, padded).transpose(0, 2, 1)),
        "columns": np.ascontiguousarray(low.reshape(2**LOW, padded // WIDTH, WIDTH).transpose(1, 0, 2)),
        "middle": middle,
        "top": np.pad(W[INNER:], ((0, 0), (0, padded - m))),
    }


def _groups(bits: np.ndarray) -> np.ndarray:
    """Where to take the exponent out of the product: before more than `GROUP_BITS` bits have come together."""
    starts, filled = [0], 0.0
    for k, width in enumerate(bits.tolist()):
        if filled + width > GROUP_BITS:
            starts.append(k)
            filled = 0.0
        filled += width
    return np.array([*starts, len(bits)], np.int64)


def _couplings(J: np.ndarray | None, idle: int) -> dict[str, np.ndarray | None]:
    if J is None:
        return {"quadratic": None, "coupling": None}
    J = np.pad(J, (0, idle))
    bits = _bits(INNER)
    return {
        "quadratic": ((bits @ np.triu(J[:INNER, :INNER])) * bits).sum(1),
        "coupling": np.ascontiguousarray(J[INNER:]),
    }


def _partials(machine: SumTables, part: Callable[[int, int], T], progress: Progress) -> Iterator[T]:
    """The parts of all chunks in order, so that the result does not depend on the number of cores."""
    chunks = _chunks(machine)
    for chunk, result in zip(chunks, in_order(lambda chunk: part(*chunk), chunks), strict=True):
        yield result
        if progress is not None:
            progress(chunk[1] * 2**machine.n >> machine.n_top, 2**machine.n)


def _chunks(machine: SumTables) -> list[tuple[int, int]]:
    """The blocks of states, some at a time."""
    blocks = 1 << machine.n_top
    step = max(1, CHUNK // (2**INNER * (machine.padded + 100 * len(machine.wild) + 32)))
    return [(first, min(first + step, blocks)) for first in range(0, blocks, step)]
