"""Cases of evidence about a network of tables, one after the other, for methods that have no batched form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tractable.kernels import Reduced
from tractable.kernels.threads import in_order
from tractable.plan import Plan
from tractable.plan.tables import columns_of_states
from tractable.posterior.certificate import Certificate
from tractable.posterior.exact.elimination import conditioned

T = TypeVar("T")


class Estimated(NamedTuple):
    """log Z, or the plan that says why there is none; the marginals of what is asked for, None if impossible; and the
    plan as it ran, where it can be repeated."""

    log_partition: Certificate | Plan
    marginals: Certificate | None
    plan: Plan | None = None


class TableCases(NamedTuple):
    """Cases of evidence: what is left of the network for one, or for all that they observe; the different ones among
    many, and which of these each is."""

    base: Reduced
    different: np.ndarray | None
    which: np.ndarray

    @classmethod
    def of(cls, plan: Plan, case: Any) -> TableCases:
        """The cases, those that are alike once; `case` is that of the engine."""
        base = case.left("marginals" if plan.query == "sample" else plan.query, plan.targets)
        if not case.many:
            return cls(base, None, np.zeros(1, np.int64))
        rows, which = np.unique(case.given.states, axis=0, return_inverse=True)
        return cls(base, rows, which.ravel())

    @property
    def n(self) -> int:
        """How many differ."""
        return 1 if self.different is None else len(self.different)

    def map(self, call: Callable[[Reduced, int], T]) -> list[T]:
        """What comes of each different case and its number; of many on all cores."""
        rows = self.different
        if rows is None:
            return [call(self.base, 0)]
        return [*in_order(lambda i: call(conditioned(self.base, rows[i]), i), range(len(rows)))]

    def one(self, i: int) -> Reduced:
        """What the different case of this number leaves of the network."""
        return self.base if self.different is None else conditioned(self.base, self.different[i])

    def alike(self) -> list[list[int]]:
        """The numbers of the different cases, those together that leave the same tables but for their entries."""
        if self.n == 1:
            return [[0]]
        found: dict[Any, list[int]] = {}
        for i, rest in enumerate(self.one_by_one()):
            arrays = rest.tables.sizes, rest.tables.scope_starts, rest.tables.scopes
            found.setdefault(not rest.impossible and tuple(a.tobytes() for a in arrays), []).append(i)
        return list(found.values())

    def one_by_one(self) -> Iterator[Reduced]:
        """What each different case leaves of the network."""
        return map(self.one, range(self.n))

    def gathered(self, found: list[Any]) -> np.ndarray:
        """Numbers of each different case as those of all cases; of one case without an axis of rows."""
        array = np.asarray(found)
        return array[0] if self.different is None else array[self.which]


def of_targets(case: Any, plan: Plan, marginals: np.ndarray) -> np.ndarray:
    """Of marginals over all states, on the last axis, those of the variables asked for, in their order."""
    return marginals if plan.targets is None else marginals[..., columns_of_states(case.model, plan.targets)]


def told_of(rows: np.ndarray) -> str:
    """Some rows in words.

    >>> told_of(np.array([3])), told_of(np.arange(9))
    ('row 3', 'rows 0, 1, 2, … (9 in all)')
    """
    some = ", ".join(map(str, rows[:3].tolist()))
    return f"row{'s' * (len(rows) > 1)} {some}{f', … ({len(rows)} in all)' if len(rows) > 3 else ''}"
