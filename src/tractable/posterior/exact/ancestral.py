"""Samples down the arrows: variables on which nothing observed hangs are drawn given their parents, with no plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence
from tractable.models.pruning import barren, tables_of

PIECE = 1 << 16
"""Samples drawn in one go."""

BELOW_ONE = 1 - 2.0**-50
"""A uniform number times this, times the sum of a row, stays below that sum: no state is drawn beyond the possible."""


def draw_given_parents(model: TableModel, given: Evidence, states: np.ndarray, rng: np.random.Generator) -> None:
    """Fill in the states [n, n_variables] of the variables that do not matter to the evidence; the others are there.

    A stream of random numbers of its own has nothing to do with others that begin with the same seed, such as that of
    a caller who leaves gaps in what is drawn: column by column both would decide on the same rows.
    """
    rng, drawn = np.random.default_rng(rng.integers(1 << 32, size=4)), barren(model, given)[::-1]
    for start in range(0, len(states) if drawn else 0, PIECE):
        some = states[start : start + PIECE]
        uniform = rng.random((len(drawn), len(some))) * BELOW_ONE
        for (v, parents, ends), u in zip(_conditionals(model, drawn), uniform, strict=True):
            at = np.zeros(len(some), np.int64)
            for parent, size in parents:
                at = at * size + some[:, parent]
            found = ends[at]
            some[:, v] = (found <= (u * found[:, -1])[:, None]).sum(axis=1)


def draw_around(model: TableModel, given: Evidence, n: int, rng: np.random.Generator) -> np.ndarray:
    """States [n, n_variables]: what is observed as it is, all else given its parents, whatever hangs on it."""
    states = np.zeros((n, len(model.states)), np.int32)
    for v, parents, ends in _conditionals(
        model, barren(model, Evidence(np.full(len(given.states), -1, np.int32)))[::-1]
    ):
        at = np.zeros(n, np.int64)
        for parent, size in parents:
            at = at * size + states[:, parent]
        seen, u = int(given.states[v]), rng.random(n) * BELOW_ONE
        states[:, v] = seen if seen >= 0 else (ends[at] <= (u * ends[at, -1])[:, None]).sum(axis=1)
    return states


def _conditionals(model: TableModel, drawn: Sequence[int]) -> Iterator[tuple[int, list[tuple[int, int]], np.ndarray]]:
    """Variables, their parents with the numbers of states of these, and their tables, summed up along each row."""
    tables, table_of = model.packed, tables_of(model)
    scopes, values = tables.scopes.tolist(), tables.values
    starts, value_starts, sizes = (x.tolist() for x in (tables.scope_starts, tables.value_starts, tables.sizes))
    for v in drawn:
        j = table_of[v]
        parents = [(u, sizes[u]) for u in scopes[starts[j] : starts[j + 1] - 1]]
        yield v, parents, values[value_starts[j] : value_starts[j + 1]].reshape(-1, sizes[v]).cumsum(axis=1)
