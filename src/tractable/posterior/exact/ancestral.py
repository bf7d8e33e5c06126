"""Samples down the arrows: variables on which nothing observed hangs are drawn given their parents, with no plan."""

from __future__ import annotations

import numpy as np

from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence
from tractable.models.pruning import barren, tables_of

PIECE = 1 << 16
"""Samples drawn in one go."""


def draw_given_parents(model: TableModel, given: Evidence, states: np.ndarray, rng: np.random.Generator) -> None:
    """Fill in the states [n, n_variables] of the variables that do not matter to the evidence; the others are there.

    A stream of random numbers of its own has nothing to do with others that begin with the same seed, such as that of
    a caller who leaves gaps in what is drawn: column by column both would decide on the same rows.
    """
    tables, rng = model.packed, np.random.default_rng(rng.integers(1 << 32, size=4))
    table_of = tables_of(model)
    for v in reversed(barren(model, given)):
        j = table_of[v]
        parents = tables.scope(j)[:-1]
        rows = tables.values[tables.value_starts[j] : tables.value_starts[j + 1]].reshape(-1, tables.sizes[v])
        steps = np.concatenate([np.cumprod(tables.sizes[parents][:0:-1], dtype=np.int64)[::-1], [1]])[: len(parents)]
        ends = np.cumsum(rows, axis=1)
        ends[ends >= ends[:, -1:]] = np.inf  # nothing is drawn beyond the last state that is possible
        total = rows.sum(axis=1)
        for start in range(0, len(states), PIECE):
            some = states[start : start + PIECE]
            at = some[:, parents] @ steps if len(parents) else np.zeros(len(some), np.int64)
            some[:, v] = (ends[at] <= (rng.random(len(some)) * total[at])[:, None]).sum(axis=1)
