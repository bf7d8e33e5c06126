"""The most probable joint states of layers: as sums over all states of hidden layers, with the largest in their place.

From the top downward m_l(h) = max_above p(h_l, above) for every state h of layer l; then, best first, a state of each
layer given the one below it. What only one layer bears on (visible units that are free, the upper layer of a machine on
top) is at its best unit by unit.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from tractable.models.boltzmann_machine import VISIBLE
from tractable.posterior.best import RankedModes
from tractable.posterior.exact.best_first import best_first
from tractable.posterior.exact.layers import Problem, sum_softplus


class Maxima(Problem):
    """Rows with the same units observed, and the same values of hidden ones."""

    def over(self, a: np.ndarray) -> Any:
        return a.max(-1)

    def closed(self, theta: np.ndarray) -> np.ndarray:
        return np.maximum(theta, 0).sum(-1)

    def _messages(self) -> list[np.ndarray]:
        """m_l of every layer but the visible one, free visible units at their best."""
        out, free = super()._messages(), self.alone
        if len(free):
            out[1] = out[1] - np.concatenate(
                [sum_softplus(-np.abs(self._logits(0, part, free))) for part in self._pieces(self.above(0), len(free))]
            )
        return out

    @property
    def alone(self) -> np.ndarray:
        """The visible units that nothing observed depends on."""
        return np.flatnonzero(~self.counted[0])

    def best(self, row: int, n: int) -> RankedModes:
        """The `n` best joint states of one of the rows."""
        start = [row] if self.by_row else []
        own = slice(row, row + 1)
        lowest = np.concatenate(
            [self.over(self.pairs(0, part) + self.messages[1]) for part in ([own] if self.by_row else self.chunks(0))]
        )

        def scores(path: array) -> np.ndarray | None:
            whole = [*start, *path]
            at = len(whole)
            if not at:
                return lowest
            if at < len(self.states):
                return self.pairs(at - 1, slice(whole[-1], whole[-1] + 1))[0] + self.messages[at]
            rest = self._ends(whole)[at - len(self.states) :]
            return rest if len(rest) else None

        paths, losses = best_first(scores, n) if lowest.max() > -np.inf else ([], np.zeros(0))
        whole = np.array([[*start, *path] for path in paths], np.int64).reshape(len(paths), -1)
        return RankedModes(lowest.max() - losses, self._values(whole, row))

    def _ends(self, whole: list[int]) -> np.ndarray:
        """What either state of each unit adds that only one layer bears on, given a state of every layer [units, 2]."""
        a = self._logits(0, self.above(0)[whole[1] if len(self.states) > 1 else 0][None], self.alone)[0]
        out = [-np.logaddexp(0, np.stack([a, -a], axis=1))]
        if self.model.family == "deep_belief":
            theta = self.top_logits()[whole[len(self.states) - 1]][self.open]
            out.append(np.stack([np.zeros_like(theta), theta], axis=1))
        return np.concatenate(out)

    @property
    def open(self) -> np.ndarray:
        """Which units of the upper layer of a machine on top are free."""
        return np.isnan(self.values[-1][0])

    def _values(self, whole: np.ndarray, row: int) -> dict[str, np.ndarray]:
        """The states of all units along paths [k, choices]."""
        n, ends, m = len(self.states), whole[:, len(self.states) :], len(self.alone)
        out = [states[whole[:, at]] for at, states in enumerate(self.states)]
        if self.by_row:
            out[0] = np.where(self.counted[0], out[0], self.values[0][row])
        out[0][:, self.alone] = ends[:, :m]
        if self.model.family == "deep_belief":
            out.append(np.repeat(self.values[n][:1], len(whole), axis=0))
            out[n][:, self.open] = ends[:, m:]
        return dict(zip(self.model.groups, out, strict=True))


def most_probable(model: Any, values: dict[str, np.ndarray], n: int) -> list[RankedModes]:
    """The `n` best joint states of each of the rows, which have the same units observed; all where there are fewer."""
    rows = range(len(values[VISIBLE]))
    problem = Maxima(model, [*values.values()], "map")
    if problem.by_row:
        return [problem.best(row, n) for row in rows]
    alone = [Maxima(model, [own[row : row + 1] for own in values.values()], "map") for row in rows[1:]]
    return [own.best(0, n) for own in (problem, *alone)]
