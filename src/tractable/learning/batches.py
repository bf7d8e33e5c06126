"""The rows of some steps, on the device: a block of them at a time, all blocks of one shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tractable._cached import cached_property
from tractable.learning.given import GivenRows

BLOCK_BYTES = 1 << 24
"""Data that a block of steps goes through: enough to hide the call, small enough to show progress."""

DEVICE_BYTES = 1 << 30
"""Data up to this size are held on the device as a whole."""


class DeviceRows(NamedTuple):
    """Data on the device, where in them the rows of some steps stand, their numbers, and how often each counts."""

    data: jax.Array
    at: np.ndarray
    rows: np.ndarray
    weights: np.ndarray | None = None


@dataclass(frozen=True)
class Batches:
    """Rows in batches of one size; what is drawn in a step is a function of the words, the epoch and the step."""

    given: GivenRows
    size: int
    words: tuple[int, ...]

    @property
    def n_steps(self) -> int:
        """Steps in an epoch; the rows left over come up in other epochs."""
        return len(self.given.rows) // self.size

    @cached_property
    def block_steps(self) -> int:
        """Steps in a block."""
        rows = self.given.rows
        size = self.size * rows.shape[1] * (1 if rows.dtype.kind in "bui" else 4)
        return int(np.clip(BLOCK_BYTES // size, 1, self.n_steps))

    def order(self, epoch: int) -> np.ndarray:
        """The order of the rows in an epoch: a function of the words and the epoch alone."""
        return np.random.default_rng([*self.words, epoch]).permutation(len(self.given.rows))

    def block(self, order: np.ndarray, at: tuple[int, int], n: int) -> DeviceRows:
        """The rows of `n` steps, `at` epoch and step of it; a block that is not full is filled up."""
        size, start = self.block_steps * self.size, at[1] * self.size
        rows = np.zeros(size, np.int32)
        rows[: n * self.size] = order[start : start + n * self.size]
        weights = None if self._weights is None else self._weights[rows]
        if self.given.gray is None and self._on_device is not None:
            return DeviceRows(self._on_device, rows, rows, weights)
        data = jnp.asarray(np.asarray(self._values(rows, at, n), self._type))
        return DeviceRows(data, np.arange(size, dtype=np.int32), rows, weights)

    def _values(self, rows: np.ndarray, at: tuple[int, int], n: int) -> np.ndarray:
        """The rows of these numbers; those that are drawn anew, step by step."""
        out = np.asarray(self.given.rows[rows])
        for step in range(0 if self.given.gray is None else n):
            own = slice(step * self.size, (step + 1) * self.size)
            out[own] = self.given.drawn(rows[own], [*self.words, at[0], at[1] + step])
        return out

    @cached_property
    def _weights(self) -> np.ndarray | None:
        return self.given.relative

    @cached_property
    def _on_device(self) -> jax.Array | None:
        """The rows on the device, if they take little of its memory: then a block is only the numbers of its rows."""
        rows = self.given.rows
        small = rows.size * self._type.itemsize <= DEVICE_BYTES
        return jnp.asarray(np.ascontiguousarray(rows, self._type)) if small else None

    @cached_property
    def _type(self) -> np.dtype:
        """The smallest type that the device holds rows in."""
        rows = self.given.rows
        if rows.dtype.kind == "f":
            return np.dtype(np.float32)
        small = rows.dtype.itemsize == 1 and rows.dtype.kind in "bu"
        return np.dtype(np.uint8 if small or (rows.min() >= 0 and rows.max() < 256) else np.int32)
