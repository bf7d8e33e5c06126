"""A bound below log Z where draws find nothing: the sum over some states of which one is known to be possible.

A state of positive weight is looked for (`table_starts.py`), and its weight is a bound. Then all variables but some
keep their states, and the others are summed out by a search over zeros: fewer and fewer keep theirs, as long as the
search comes to an end within its visits. Each sum is over a part of all states, and so a bound below log Z.
"""

from __future__ import annotations

import numpy as np

from tractable.kernels import Tables, reduce
from tractable.kernels.counting import SOLVED, VISITS, SearchLimits, count

from .local_search import log_product
from .table_starts import ENTRIES, possible_state

TRIES, LOOKED_FOR, SUMMED, SHARES = 6, 0.15, 0.1, 0.75
"""Searches for a state, which are lucky or long; seconds for each, and for each sum, as visits; and how many variables
keep their states from one sum to the next."""

MEMORY = 2.0**27
"""Bytes of a search."""


def log_sum_of_some(tables: Tables, seed: int, effort: float = 1.0) -> float:
    """At most log Z; −∞ where no state was found. As much is done whatever the clock says, `effort` times so much.

    >>> ends, both = np.array([0, 2]), np.array([0, 1], np.int32)
    >>> unlike = Tables(np.array([2, 2], np.int32), ends, both, 2 * ends, np.array([0.0, 0.0, 3.0, 0.0]))
    >>> round(log_sum_of_some(unlike, 0), 6)  # log 3
    1.098612
    """
    tries = (possible_state(tables, seed + i, effort * LOOKED_FOR * VISITS) for i in range(TRIES))
    state = next((found for found in tries if found is not None), None)
    if state is None:
        return -np.inf
    best, n = log_product(tables, state), len(state)
    if tables.values.size > ENTRIES:
        return best
    order, keep = np.random.default_rng(seed).permutation(n), n
    while keep:
        keep = int(SHARES * keep)
        given = np.full(n, -1, np.int32)
        given[order[:keep]] = state[order[:keep]]
        rest = reduce(tables, given)
        found = count(rest.tables, SearchLimits(MEMORY, effort * SUMMED * VISITS, 0.0))
        if found.status != SOLVED:
            break
        best = max(best, found.log_z + rest.log_constant)
    return float(best)
