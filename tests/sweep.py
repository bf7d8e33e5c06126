"""How many cases of a sweep run: in the tests a sample, always the same, in ``make verify`` many times as many.

``TRACTABLE_VERIFY=2/8`` runs the second of eight pieces, with cases of its own. Properties of hypothesis are sweeps,
and tests that are marked ``verify``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

from hypothesis import HealthCheck, settings

TIMES = 20
VERIFYING = "TRACTABLE_VERIFY" in os.environ
PIECE, PIECES = map(int, os.environ.get("TRACTABLE_VERIFY", "1/1").split("/"))
if not 1 <= PIECE <= PIECES:
    raise ValueError(f"TRACTABLE_VERIFY={PIECE}/{PIECES}: expected a piece such as 1/8")

Case = TypeVar("Case")


def many(sample: int) -> int:
    """So many cases, where the tests run this sample."""
    return -(-sample * TIMES // PIECES) if VERIFYING else sample


def sweep(sample: int) -> settings:
    """The settings of a property of which the tests run this sample."""
    return settings(max_examples=many(sample), suppress_health_check=list(HealthCheck))


def seeds(sample: int, times: int = TIMES) -> range:
    """Seeds of cases, where the tests run this sample; no two pieces share one."""
    every = sample * times
    return range(every * (PIECE - 1) // PIECES, every * PIECE // PIECES) if VERIFYING else range(sample)


def some(cases: Iterable[Case], sample: int) -> list[Case]:
    """Of cases that are listed: in the tests a sample spread over all of them, else all, or those of the piece."""
    listed = list(cases)
    if VERIFYING:
        return listed[PIECE - 1 :: PIECES]
    return [listed[i * len(listed) // sample] for i in range(sample)] if sample < len(listed) else listed
