"""Annealed runs: chains go along a path of distributions, and what log p̃ gains on the way is their work.

E[e^work] = Z at the last temperature / Z at the first, for chains that start from the distribution at the first, at any
number of steps and however badly sweeps mix (Neal 2001): a sweep only has to leave the distribution at its temperature
as it is.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float

from tractable.kernels.enumeration import Progress

CHUNK = 25
"""Steps in one call."""


def whole(n_steps: float) -> int:
    """So many steps or a few more: whole calls, as another size is compiled anew."""
    return CHUNK * -(-int(n_steps) // CHUNK)


class At(NamedTuple):
    """One step, or arrays of them: its number, the temperatures before and after it, and its number on the way up."""

    time: Any
    old: Any
    new: Any
    turn: Any


class Path(Protocol):
    """Distributions p̃_β between one that can be drawn from (β = 0) and a model (β = 1); states are its own matter."""

    def start(self, key: Any, n: int) -> Any:
        """`n` exact draws at β = 0."""
        ...

    def log_ratio(self, x: Any, old: Any, new: Any) -> Any:
        """log p̃_new − log p̃_old of each chain [n_chains]."""
        ...

    def sweep(self, key: Any, at: At, x: Any) -> Any:
        """The chains after a move that leaves p̃ at the new temperature as it is."""
        ...

    def steps(self, key: Any, at: At, x: Any) -> tuple[Any, Any]:
        """The chains after some steps, and the increments of log p̃ [n_steps, n_chains]; here one after the other."""
        gained = []
        for now in map(At._make, zip(*at, strict=True)):
            gained.append(self.log_ratio(x, now.old, now.new))
            x = self.sweep(key, now, x)
        return x, np.stack(gained)


class PathRun(NamedTuple):
    """Increments of log p̃ [n_steps, n_chains] in double precision, and the states at the end."""

    increments: Float[np.ndarray, "t c"]
    x: Any

    @property
    def work(self) -> Float[np.ndarray, " c"]:
        """The logarithm of each chain's importance weight."""
        return self.increments.sum(axis=0)


def run(path: Path, key: Any, betas: Float[np.ndarray, " t"], x: Any, progress: Progress = None) -> PathRun:
    """Chains through a sequence of temperatures, in either direction; `progress` hears of steps done, of how many."""
    at, n, found = along(betas), len(betas) - 1, []
    for first in range(0, n, CHUNK):
        x, gained = path.steps(key, At(*(v[first : first + CHUNK] for v in at)), x)
        found.append(np.asarray(gained, np.float64))
        if progress:
            progress(min(first + CHUNK, n), n)
    return PathRun(np.concatenate(found) if found else np.zeros((0, 1)), x)


def along(betas: Float[np.ndarray, " t"]) -> At:
    """The steps of a run. On the way down a sweep bears the number of the one at the same temperature on the way up."""
    n, b = len(betas) - 1, np.asarray(betas, np.float32)
    time = np.arange(n, dtype=np.int32)
    return At(time, b[:-1], b[1:], np.abs(n - 2 - time) if b[-1] < b[0] else time)
