"""The network over some variables that is left when all others are summed out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from tractable.kernels import Reduced, Tables
from tractable.models import MarkovNetwork
from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence
from tractable.models.pruning import apart
from tractable.plan.summed_out import HiddenPart, SumOut, what_matters
from tractable.plan.tables import positions
from tractable.posterior.exact.joint import logarithms

RANGE = 600.0
"""How far apart the logarithms in a table are; what is further is in several tables, the product of which it is."""


class Marginal:
    """A network over the targets that stay free, whose log Z lacks a constant; `states` are those of what does not."""

    def __init__(self, model: TableModel, given: Evidence, targets: Sequence[str], program: SumOut):
        reduced = what_matters(model, given, targets)
        places = positions(model, targets)
        starts = np.concatenate([[0], np.cumsum(reduced.sizes)])
        self.kept = [reduced.kept[starts[v] : starts[v] + reduced.n_kept[v]] for v in places]
        self.free = [(k, int(reduced.index[v])) for k, v in enumerate(places) if reduced.index[v] >= 0]
        self.log_constant = reduced.log_constant + _lonely(reduced, [v for _, v in self.free])
        factors = list(self._factors(reduced.tables, program.parts))
        states = {targets[k]: [str(s) for s in self.kept[k]] for k, _ in self.free}
        names = {v: targets[k] for k, v in self.free}
        self.network = MarkovNetwork(states, [(tuple(names[v] for v in scope), table) for scope, table in factors])

    def _factors(self, tables: Tables, parts: Sequence[HiddenPart]) -> Iterator[tuple[list[int], np.ndarray]]:
        summed = np.concatenate([[-1], *(part.tables for part in parts)])
        for j in np.setdiff1d(np.arange(tables.n_factors), summed).tolist():
            scope, own = tables.scope(j).tolist(), slice(*tables.value_starts[j : j + 2].tolist())
            yield scope, tables.values[own].reshape(tables.sizes[scope])
        for part in parts:
            scope = part.variables[list(part.around)].tolist()
            yield from ((scope, table) for table in self._summed(tables, part))

    def _summed(self, tables: Tables, part: HiddenPart) -> list[np.ndarray]:
        """The table that the sum over a part leaves, its largest entry one."""
        logs = logarithms(as_it_is(apart(tables, part.tables)[1]), part.plan.program, list(part.around))
        top = logs.max()
        if top == -np.inf:
            self.log_constant = -np.inf
            return [np.zeros(logs.shape)]
        self.log_constant += float(top)
        low = logs.min()
        low = logs[logs > -np.inf].min() if low == -np.inf else low
        n = max(1, math.ceil((top - low) / RANGE))
        logs -= top
        if n > 1:
            logs /= n
        return [np.exp(logs, out=logs)] * n

    def original(self, states: np.ndarray) -> np.ndarray:
        """States of the network [n, n_free] as those of all targets [n, n_targets]."""
        out = np.array([[own[0] for own in self.kept]] * len(states), np.int32).reshape(len(states), len(self.kept))
        for column, (k, _) in enumerate(self.free):
            out[:, k] = self.kept[k][states[:, column]]
        return out


def as_it_is(tables: Tables) -> Reduced:
    """Tables of which nothing is observed, as what is left of a network."""
    sizes, n = tables.sizes, len(tables.sizes)
    kept = np.concatenate([sizes[:0], *(np.arange(k, dtype=np.int32) for k in sizes)])
    factor = np.arange(tables.n_factors, dtype=np.int32)
    return Reduced(tables, sizes, np.arange(n, dtype=np.int32), kept, sizes, factor, 0.0, False)


def _lonely(reduced: Reduced, asked: Sequence[int]) -> float:
    """log of the number of joint states of what is summed out and in no table."""
    alone = np.setdiff1d(np.arange(len(reduced.tables.sizes)), reduced.tables.scopes)
    return float(np.log(reduced.tables.sizes[np.setdiff1d(alone, asked)].astype(np.float64)).sum())
