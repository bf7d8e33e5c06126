"""Counting: the sum over what zeros leave of all states, by a search that remembers the sums of parts it has met.

Numbers are sums of products of what the tables hold, none of which is negative: nothing cancels, and what rounding does
grows with the number of factors of a product alone.
"""

from __future__ import annotations

import numpy as np

from tractable.kernels import EVIDENCE, MARGINALS, WALK, Reduced
from tractable.kernels.counting import OUT_OF_ROOM, SOLVED, UNSUITED, Counted, SearchLimits, count
from tractable.plan import BudgetError, Plan
from tractable.plan._units import duration, memory_size
from tractable.plan.counting import unfinished
from tractable.posterior.exact.elimination import Result, over_states
from tractable.posterior.exact.walk import original
from tractable.posterior.waiting import SearchDisplay

ORDER = 2.0
"""Seconds at most for the order of decisions."""


def sum_by_search(reduced: Reduced, plan: Plan, marginals: bool) -> Result:
    """log Z of the reduced network and, on request, every marginal over the states of the original one.

    Raises
    ------
    BudgetError : the search did not come to an end within the time or the memory of its plan.
    """
    if reduced.impossible:
        return Result(-np.inf, None, 0)
    found = _count(reduced, plan, MARGINALS if marginals else EVIDENCE)
    if found.log_z == -np.inf:
        return Result(-np.inf, None, 0)
    own = None if found.marginals is None else over_states(reduced, found.marginals)
    return Result(found.log_z + reduced.log_constant, own, int(found.took.trace))


def most_probable_by_search(reduced: Reduced, plan: Plan) -> tuple[float, np.ndarray]:
    """The largest log product of the tables, and the state of every original variable that attains it."""
    if reduced.impossible:
        return -np.inf, np.empty(0, np.int32)
    found = _count(reduced, plan, WALK)
    assert found.states is not None
    return found.log_z + reduced.log_constant, original(reduced, found.states)[0]


def samples_by_search(reduced: Reduced, plan: Plan, rng: np.random.Generator, n: int) -> np.ndarray | None:
    """`n` independent exact samples of every original variable [n, n_variables]; None where no state is possible."""
    if reduced.impossible:
        return None
    if not n:
        return np.empty((0, len(reduced.index)), np.int32)
    found = _count(reduced, plan, WALK, n, int(rng.integers(2**63)))
    assert found.states is not None
    return None if found.log_z == -np.inf else original(reduced, found.states)


def _count(reduced: Reduced, plan: Plan, task: int, n: int = 0, seed: int = 0) -> Counted:
    limits = plan.program
    terms = SearchLimits(limits.bytes, order=min(ORDER, limits.seconds / 4), limit=limits.seconds)
    with SearchDisplay(limits.seconds) as show:
        found = count(reduced.tables, terms, task, n, seed, show if show.wanted else None)
    if found.status == SOLVED:
        return found
    if found.status == UNSUITED:
        why = (
            "a search is for variables of at most 64 states, tables of at most 32 variables and a million entries,"
            " and numbers that are less than 10^200 apart"
        )
    elif found.status == OUT_OF_ROOM:
        why = f"the trace of a search takes more than half of {memory_size(limits.bytes)}"
    else:
        why = f"a search did not come to an end within {duration(limits.seconds)}"
    raise BudgetError(unfinished(plan, f"{why}, and elimination needs tables of 2^{plan.width:.4g} entries"))
