"""Rows of data over the variables of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tractable._cached import cached_property


@dataclass(frozen=True, eq=False)
class Observations:
    """Rows of state indices [n_rows, n_variables], −1 where nothing is observed; ``rows[some]`` are some of them.

    Attributes
    ----------
    whole, chosen : where these are some rows of others: those, and which.

    Examples
    --------
    >>> rows = Observations(np.array([[0, 1], [-1, 1]], np.int32))
    >>> len(rows), len(rows[[1]])
    (2, 1)
    """

    states: np.ndarray
    whole: Observations | None = None
    chosen: np.ndarray | None = None

    @cached_property
    def memo(self) -> dict[Any, Any]:
        """What was worked out about the rows, by those who need it again."""
        return {}

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, rows: Any) -> Observations:
        chosen = np.arange(len(self))[rows]
        if self.whole is None or self.chosen is None:
            return Observations(self.states[rows], self, chosen)
        return Observations(self.states[rows], self.whole, self.chosen[chosen])
