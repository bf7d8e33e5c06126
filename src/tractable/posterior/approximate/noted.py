"""What a search has decided by the clock, in order: written down as it runs, read where it is run again.

How many sweeps, steps, nodes or looks there was time for is all that a run by the clock leaves open. A run that reads
these numbers in place of the clock does the same work, to the bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tractable.kernels import Tables
from tractable.kernels.mini_buckets import BoundState, MiniBuckets, Sweeps
from tractable.posterior.approximate.local_search import Improved

T = TypeVar("T")


class Notes:
    """The decisions of one run; with those of an earlier one in place of its own.

    >>> first = Notes()
    >>> first(lambda: 3), Notes(first.written)(lambda: 4)
    (3, 3)
    """

    def __init__(self, before: Sequence[Any] | None = None):
        self.repeats, self.written = before is not None, []
        self._before = iter(before or ())

    def __call__(self, decide: Callable[[], T]) -> T:
        """What is decided now, or was."""
        return self.write(self.again() if self.repeats else decide())

    def again(self) -> Any:
        """The next decision of the earlier run; None where there is none."""
        return next(self._before) if self.repeats else None

    def write(self, value: T) -> T:
        """Write down what was decided."""
        self.written.append(value)
        return value


class Bounds(NamedTuple):
    """How parts and their bound came about: the order, the limit of a part, the seed of ties, sweeps in their turn."""

    order: np.ndarray
    limit: int
    seed: int
    sweeps: tuple[int, ...]

    @classmethod
    def of(cls, buckets: MiniBuckets, state: BoundState) -> Bounds:
        """Of those at hand."""
        return cls(buckets.order, buckets.limit, int(buckets.how[1]), state.course)

    def again(
        self, tables: Tables, temperatures: np.ndarray, start: BoundState | None = None
    ) -> tuple[MiniBuckets, BoundState]:
        """The same once more."""
        buckets = MiniBuckets(tables, self.order, self.limit, self.seed)
        return buckets, buckets.annealed(Sweeps(), temperatures, start, self.sweeps)


def raced(
    notes: Notes,
    tables: Tables,
    temperatures: np.ndarray,
    race: Callable[[], tuple[MiniBuckets, BoundState] | None],
    start: tuple[MiniBuckets, BoundState] | None = None,
) -> tuple[MiniBuckets, BoundState] | None:
    """What a race finds, or found in the run that is repeated, where it may have gone on from where it started."""
    found: list[tuple[MiniBuckets, BoundState] | None] = []

    def told() -> Bounds | None:
        found.append(race())
        return None if found[0] is None else Bounds.of(*found[0])

    noted = notes(told)
    if found or noted is None:
        return found[0] if found else None
    same = start is not None and noted.limit == start[0].limit
    return noted.again(tables, temperatures, start[1] if start is not None and same else None)


class Course:
    """Steps of local search as far as they have come: the best after so many is the same, whoever makes them."""

    def __init__(self, steps: Iterator[Improved]):
        self._steps, self._better, self.n = steps, [], 0

    def run(self, over: Callable[[], bool]) -> int:
        """Steps until it is over, at least one; how many there are then."""
        while True:
            self._step()
            if over():
                return self.n

    def _step(self) -> None:
        found = next(self._steps)
        if not self._better or found.value > self._better[-1][1].value:
            self._better.append((self.n + 1, found))
        self.n += 1  # last, for who looks on from another thread

    def best(self, n: int) -> Improved | None:
        """The best after so many steps; those that are missing are made."""
        while self.n < n:
            self._step()
        return next((found for number, found in reversed(self._better) if number <= n), None)


class Heard(NamedTuple):
    """What a search heard at a look: steps of local search so far, what another program told, whether it is over."""

    look: int
    steps: int
    told: Any
    over: bool


class HeardBefore(NamedTuple):
    """All that a search heard, and at which look the clock has stopped it; infinite where it came to an end itself."""

    heard: tuple[Heard, ...]
    looks: float

    def at(self, look: int) -> Heard | None:
        """What was heard at this look."""
        return next((one for one in self.heard if one.look == look), None)

    def after(self, look: int) -> float:
        """The next look at which something was heard."""
        return float(next(itertools.chain((one.look for one in self.heard if one.look > look), [np.inf])))
