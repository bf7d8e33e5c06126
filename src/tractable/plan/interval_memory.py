"""What the memory of an interval goes into: the record of what was drawn, draws under way, and tables with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tractable.kernels.mini_buckets import BATCH, kind_of_states
from tractable.kernels.threads import n_cores

CORES = 2
"""Cores that shares of time and memory are reckoned with: what is done must not depend on how many there are."""

POINTS, LEVELS, BLOCKS = 32, 17, 4
"""Of a record: points of the grid of weights and of that of values, and blocks of time."""

PILOT, PILOT_BYTES, FEWEST = 2048, 2.0**22, 256
"""So many draws of positive weight are kept as they are before the grid is chosen, or as many as take such bytes."""

TOGETHER = 64
"""Events whose masses are laid out at a time."""

PIECE, WAITING = 8, 6
"""Batches that a thread draws at a time, at most; and so many such pieces are there at once."""

OF_A_VARIABLE = 700.0
"""Bytes besides tables, of two calls at a time."""

BESIDE = 2.0**22
"""Bytes beside the tables that are not counted where the memory is small: less than the process needs for itself."""


class Room(NamedTuple):
    """Bytes for tables, batches that a thread draws at a time, threads that draw."""

    tables: float
    step: int
    threads: int


def pilot_draws(draw: float) -> int:
    """How many draws of so many bytes are kept as they are."""
    return int(np.clip(PILOT_BYTES / draw, FEWEST, PILOT))


def record_bytes(sizes: Sequence[int] | np.ndarray, n_values: int = 0, batch: int = PIECE * BATCH) -> float:
    """The bytes that a record of draws takes at most, made in batches of so many, by the labels of each question."""
    labels, blocks = int(np.sum(sizes)), 8 * POINTS * BLOCKS
    draw = 8 * (1 + n_values) + len(sizes) * (1 if max(sizes, default=0) <= 256 else 4)
    masses = blocks * (1 + labels + n_values * LEVELS + 4 * max(CORES * min(labels, TOGETHER), n_values * LEVELS))
    return float(masses + 48 * labels + (pilot_draws(draw) + 3 * batch) * draw)


def room_for(memory: float, sizes: np.ndarray, n_wanted: int, asked: Sequence[int] | np.ndarray) -> Room:
    """What is left for tables where so many variables are wanted, with questions of so many labels.

    Half of the tables are conditionals that the draws come from, the rest of their room is for more pieces of these.
    """
    byte = np.dtype(kind_of_states(sizes)).itemsize
    thread = BATCH * (byte * (len(sizes) + 1) + 8.0 * (sizes.max(initial=1) + 8))
    piece = BATCH * (byte * n_wanted + 8.0)
    draws, free = thread + 4 * piece, max(BESIDE - memory / 8, 0.0)
    tables = memory - max(record_bytes(asked, 0, BATCH) + draws + OF_A_VARIABLE * len(sizes) - free, 0.0)
    spare = max(tables, 0.0) / 2
    step = int(np.clip(spare / 2 / (WAITING * piece), 1, PIECE))
    threads = (draws + spare - 4 * step * piece) / (thread + 2 * step * piece)
    return Room(tables, step, int(np.clip(threads, 1, n_cores())))
