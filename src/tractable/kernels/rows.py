"""Rows of data beside K components: log-densities of Gaussian and categorical rows, and their sufficient statistics.

The kernels are in rows.c. They take complete rows; of rows in which a number is missing they return None, except for
states, where missing entries count as what they are.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from . import kernel

PAD = 8
"""Arrays over components have a multiple of so many entries: the longest vectors there are."""

MAX_COLUMNS = 64
"""Above so many columns products of whole matrices are faster than sums row by row."""

_long, _pointer = ctypes.c_int64, ctypes.c_void_p
_ARGUMENTS = {
    "rows_densities": [ctypes.c_int] + [_pointer] * 5,
    "rows_moments": [ctypes.c_int] + [_pointer] * 6,
    "rows_lookup": [_pointer] * 4,
    "rows_tally": [_pointer] * 4,
}


class Gaussians(NamedTuple):
    """K Gaussians as the kernel reads them: see `gaussians`."""

    k: int
    full: bool
    centre: np.ndarray  # [d, kp]
    white: np.ndarray  # [d, kp], or of the triangle [d (d + 1) / 2, kp]
    constant: np.ndarray  # [kp]


def gaussians(means: np.ndarray, white: np.ndarray, log_det: np.ndarray) -> Gaussians:
    """Means [K, d], W with Σ⁻¹ = Wᵀ W (lower triangles [K, d, d], or diagonals [K, d]), and log |Σ| [K]."""
    k, d = means.shape
    full = white.ndim == 3
    if full:
        i, j = np.tril_indices(d)
        white = white[:, i, j]
    constant = -0.5 * (log_det + d * np.log(2 * np.pi))
    return Gaussians(k, full, _padded(means), _padded(white), _padded(constant[:, None])[0])


def densities(x: np.ndarray, model: Gaussians) -> np.ndarray | None:
    """log N(x; μ_k, Σ_k) of rows [n, d]: [n, K].

    >>> one = gaussians(np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1))
    >>> densities(np.array([[0.0], [1.0]]), one).round(6).ravel().tolist()
    [-0.918939, -1.418939]
    """
    x = _table(x, len(model.centre))
    out = np.empty((len(x), model.k))
    arrays = (x, model.centre, model.white, model.constant, out)
    return None if _call("rows_densities", x, model.k, int(model.full), *arrays) else out


class Moments(NamedTuple):
    """Weighted sums: of the weights [K], of the rows [K, d], and of their squares [K, d] or products [K, d, d]."""

    count: np.ndarray
    sum: np.ndarray
    square: np.ndarray


def moments(x: np.ndarray, r: np.ndarray, shift: np.ndarray, full: bool) -> Moments | None:
    """Σ_n r_nk (1, z, z² or z zᵀ) for z = x_n − shift.

    >>> moments(np.array([[1.0], [2.0]]), np.ones((2, 1)), np.zeros(1), False).square.tolist()
    [[5.0]]
    """
    x, shift = _table(x, len(shift)), _array(shift)
    r, d = _table(r, None, len(x)), x.shape[1]
    k, kp = r.shape[1], padded(r.shape[1])
    count, sums = np.zeros(kp), np.zeros((d, kp))
    square = np.zeros((d * (d + 1) // 2 if full else d, kp))
    if _call("rows_moments", x, k, 2 if full else 1, x, r, shift, count, sums, square):
        return None
    return Moments(count[:k], sums[:, :k].T.copy(), _whole(square[:, :k].T, d) if full else square[:, :k].T.copy())


def _whole(triangles: np.ndarray, d: int) -> np.ndarray:
    """Symmetric matrices from their lower triangles."""
    out, (i, j) = np.empty((len(triangles), d, d)), np.tril_indices(d)
    out[:, i, j] = out[:, j, i] = triangles
    return out


class ColumnTables(NamedTuple):
    """For each state of each column a row over components, and one for what is missing: see `tables`."""

    k: int
    starts: np.ndarray
    values: np.ndarray  # [rows, kp]


def tables(columns: list[np.ndarray]) -> ColumnTables:
    """Of each column [K, n_states]; what is missing has zeros."""
    k = len(columns[0])
    values = np.concatenate([np.vstack([_padded(c), np.zeros(padded(k))]) for c in columns])
    return ColumnTables(k, np.cumsum([0, *(c.shape[1] + 1 for c in columns)]).astype(np.int64), values)


def lookup(x: np.ndarray, model: ColumnTables) -> np.ndarray:
    """Σ_j table_j[k, x_nj] of rows of states [n, d], NaN for what is missing: [n, K].

    >>> lookup(np.array([[1.0], [np.nan]]), tables([np.array([[0.5, 0.25]])])).tolist()
    [[0.25], [0.0]]
    """
    x = _table(x, len(model.starts) - 1)
    out = np.empty((len(x), model.k))
    if _call("rows_lookup", x, model.k, x, model.starts, model.values, out):
        raise IndexError("an entry is no state of its column")
    return out


def tally(x: np.ndarray, r: np.ndarray, n_states: tuple[int, ...]) -> list[np.ndarray]:
    """Σ_n r_nk of the rows in each state, for each column [K, n_states].

    >>> [counts.tolist() for counts in tally(np.array([[1.0], [1.0]]), np.ones((2, 1)), (2,))]
    [[[0.0, 2.0]]]
    """
    x = _table(x, len(n_states))
    r, k = _table(r, None, len(x)), r.shape[1]
    starts = np.cumsum([0, *(q + 1 for q in n_states)]).astype(np.int64)
    counts = np.zeros((starts[-1], padded(k)))
    if _call("rows_tally", x, k, x, starts, r, counts):
        raise IndexError("an entry is no state of its column")
    return [counts[a : a + q, :k].T.copy() for a, q in zip(starts, n_states, strict=False)]


def padded(k: int) -> int:
    """The length of arrays over k components."""
    return -(-k // PAD) * PAD


def _padded(parameters: np.ndarray) -> np.ndarray:
    """[K, m] as [m, kp]."""
    out = np.zeros((parameters.shape[1], padded(len(parameters))))
    out[:, : len(parameters)] = parameters.T
    return out


def _array(x: Any) -> np.ndarray:
    return np.ascontiguousarray(x, np.float64)


def _table(x: Any, n_columns: int | None, n_rows: int | None = None) -> np.ndarray:
    """Rows of doubles: what the kernels read must be there."""
    x = _array(x)
    if x.ndim != 2 or x.shape[1] != (n_columns or x.shape[1]) or len(x) != (len(x) if n_rows is None else n_rows):
        raise ValueError(f"rows of shape {x.shape}, expected [{n_rows or 'any'}, {n_columns or 'any'}]")
    return x


def _call(name: str, x: np.ndarray, k: int, *arguments: Any) -> int:
    given = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
    return _kernel(name)(*x.shape, k, padded(k), *given)


@cache
def _kernel(name: str) -> Any:
    return kernel(name, [_long] * 4 + _ARGUMENTS[name])
