"""Bets on means: draws counted by the cells of a grid, and the ends of what the capital does not exclude.

The kernel is betting.c.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from . import kernel

PAD = 8
"""Numbers of cells are multiples of so many: the longest vectors there are."""

MOST_POINTS = 256
"""The number of a cell is a byte."""

_int, _long, _double, _pointer = ctypes.c_int, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
_ARGUMENTS: dict[str, list[Any]] = {
    "betting_cells": [_long, _int, *[_pointer] * 4],
    "betting_tally": [_long, _int, *[_pointer] * 2, *[_long] * 2, *[_pointer] * 2, _int, _long, _int, *[_pointer] * 4],
    "betting_edges": [_long, *[_pointer] * 10, _double, _double, _pointer],
}


@cache
def _kernel(name: str) -> Any:
    return kernel(name, _ARGUMENTS[name])


class Masses(NamedTuple):
    """Masses of draws at the k points of a grid: [1 + labels, k], [V, levels, k]; and the number of draws [1]."""

    labels: np.ndarray
    values: np.ndarray
    drawn: np.ndarray


class Placed(NamedTuple):
    """Draws by the cell of the grid that each fell into, and the share of its right end."""

    k: int
    cells: np.ndarray
    shares: np.ndarray

    def tally(self, starts: np.ndarray, labels: np.ndarray, values: np.ndarray, zeros: int, to: Masses) -> None:
        """Add the draws to the masses, and so many of weight zero: an interrupt finds all of them there or none.

        Labels [n_questions, n] are bytes or 32 bits, values [V, n] between 0 and 1.
        """
        at = [a.ctypes.data for a in (self.cells, self.shares, starts, labels, values, *to)]
        sizes = len(labels), len(values), to.values.shape[1]
        asked = (zeros, sizes[0], at[2], at[3], labels.dtype == np.int32, *sizes[1:], at[4])
        _kernel("betting_tally")(len(self.cells), self.k, at[0], at[1], *asked, *at[5:])


def placed(points: np.ndarray, log_x: np.ndarray) -> Placed:
    """The cells of logarithms ≤ 0 among ascending points from −∞ to 0.

    >>> points, halfway = np.array([-np.inf, -1.0, 0.0]), -1 + np.log(0.5)
    >>> placed(points, np.array([-np.inf, -1.0, 0.0, halfway])).shares.round(9).tolist()
    [0.0, 0.0, 1.0, 0.5]
    """
    n, k = len(log_x), len(points)
    cells, shares = np.empty(n, np.uint8), np.empty(n)
    _kernel("betting_cells")(n, k, *(a.ctypes.data for a in (points, log_x, cells, shares)))
    return Placed(k, cells, shares)


class Gains(NamedTuple):
    """Gains at the candidate u: slope · u + offset of the cells that it moves, and those of cells that stand still."""

    slope: np.ndarray
    offset: np.ndarray
    still: np.ndarray


class Stakes(NamedTuple):
    """Shares of the capital: of each mean by block [n, blocks], and constant ones; and the logarithms of the parts."""

    tuned: np.ndarray
    rungs: np.ndarray
    log_parts: np.ndarray


def edges(
    moving: np.ndarray, still: np.ndarray, gains: Gains, stakes: Stakes, search: np.ndarray, target: float
) -> np.ndarray:
    """The least candidate u of each mean at which the capital has reached e^target; infinity where there is none.

    Masses [n, blocks, moving cells] and [n, blocks, still cells]; search [n, 4]: where the mean is estimated, what is
    surely kept, how far the end may lie from the estimate, and the last candidate of interest.
    """
    n, n_blocks, n_moving = moving.shape
    sizes = np.array([n_blocks, n_moving, still.shape[2], len(stakes.rungs)], np.int64)
    out = np.empty(n)
    given = (sizes, moving, still, *gains, *stakes, search)
    arrays = [np.ascontiguousarray(a) for a in given]
    _kernel("betting_edges")(n, *(a.ctypes.data for a in arrays), target, TOLERANCE, out.ctypes.data)
    return out


TOLERANCE = 1e-3
"""An end is this close to the one sought, in shares of its distance from the estimate."""
