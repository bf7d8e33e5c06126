"""What a fit takes in memory, told before anything of it is allocated."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tractable.models._base import ModelError
from tractable.plan._units import memory_size
from tractable.plan.budget import Memory, memory_of_fit

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
