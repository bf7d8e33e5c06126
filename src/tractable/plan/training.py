"""What a fit takes in memory, told before anything of it is allocated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tractable.models._base import ModelError
from tractable.plan._base import BudgetError, Plan
from tractable.plan._units import memory_size
from tractable.plan.budget import ENTRY, Memory, ask, memory_of_fit

COPIES = 8
"""So many times the parameters are held while they are learned: model, average, momentum, gradient, …; measured."""


def training_bytes(layers: Sequence[int], batch_size: int, within: bool = False) -> float:
    """Bytes that a fit holds: parameters and chains in single precision.

    Parameters
    ----------
    layers : features of each group of units, each coupled to the next. within : whether all are coupled with all.

    Examples
    --------
    >>> round(training_bytes([784, 500], 100) / 2**20, 1)
    12.5
    """
    n = float(sum(layers))
    couplings = n * n if within else sum(float(a) * b for a, b in pairwise(layers))
    return 4 * (COPIES * (couplings + n) + batch_size * n)


def check_training(layers: Sequence[int], batch_size: int, within: bool = False, memory: Memory = None) -> None:
    """Refuse a fit that this machine, or the memory that may be used, cannot hold.

    Raises
    ------
    ModelError : it takes more than the memory there is; the message says how much.
    """
    needed, there = training_bytes(layers, batch_size, within), memory_of_fit(memory)
    if needed > there:
        limit = "this machine has" if memory is None else "the budget is"
        shape = " × ".join(f"{n:,}" for n in layers)
        raise ModelError(
            f"a machine of {shape} units takes about {memory_size(needed)} to learn in batches of {batch_size:,} rows,"
            f" but {limit} {memory_size(there)}; take fewer hidden units or smaller batches"
        )


TABLE_COPIES = 8
"""So many times the entries of all tables are held while a network is learned from; measured."""


def check_tables(families: Mapping[str, Sequence[tuple[str, int]]], memory: Memory) -> None:
    """Refuse tables that the budget does not hold, before any is made.

    Parameters
    ----------
    families : variable → its parents and, last, itself, each with its number of states.

    Raises
    ------
    BudgetError : the message names the largest table.
    """
    entries = {v: math.prod(n for _, n in own) for v, own in families.items()}
    needed, budget = 8 * TABLE_COPIES * sum(entries.values()), ask("marginals", memory).budget
    if needed <= budget.memory:
        return
    worst = max(entries, key=entries.__getitem__)
    n = min(entries[worst], 2**1000)  # what a float holds
    parents = [p for p, _ in families[worst][:-1]]
    given = f" given {len(parents)} parents ({', '.join(parents[:6])}{', …' if len(parents) > 6 else ''})"
    reason = (
        f"the table of {worst!r}{given if parents else ''} has {_count(n)} entries, {memory_size(8 * n)}, and learning "
        f"holds {TABLE_COPIES} of its kind where {memory_size(budget.memory)} may be taken: give it fewer parents or "
        "states, or allow more by memory="
    )
    n_bytes = 8.0 * TABLE_COPIES * min(sum(entries.values()), 2**1000)
    raise BudgetError(Plan(None, math.log2(n), float(n), n_bytes, TABLE_COPIES * ENTRY * n, reason, budget=budget))


def _count(n: int) -> str:
    return f"{n:,}" if n < 10**15 else f"2^{math.log2(n):.0f}"
