"""Sizes, counts and times in words: the unit in which the number that is shown is at least one and below the next."""

from __future__ import annotations

import math
from collections.abc import Sequence

Ladder = Sequence[tuple[str, float]]
"""Units from small to large, each with how many of it make the next."""

BYTES = (("B", 1024), ("KiB", 1024), ("MiB", 1024), ("GiB", 1024), ("TiB", 1024), ("PiB", 1024), ("EiB", math.inf))
COUNTS = (("", 1000), ("k", 1000), ("M", 1000), ("G", 1000), ("T", 1000), ("P", math.inf))
TIMES = (("µs", 1000), ("ms", 1000), ("s", 60), ("min", 60), ("h", 24), ("d", 365), ("yr", math.inf))


def memory_size(n_bytes: float) -> str:
    """Bytes in words.

    >>> memory_size(776), memory_size(1023.9 * 1024), memory_size(1.5 * 2**40)
    ('776 B', '1 MiB', '1.5 TiB')
    """
    return scaled(n_bytes, BYTES)


def short_count(n: float) -> str:
    """A number of operations in words.

    >>> short_count(90), short_count(999_600)
    ('90', '1 M')
    """
    return scaled(n, COUNTS)


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(4.36e-5), duration(59.99), duration(9000)
    ('43.6 µs', '1 min', '2.5 h')
    """
    return scaled(seconds * 1e6, TIMES)


def scaled(value: float, units: Ladder) -> str:
    """The value as it is shown, to three digits or whole, in a unit of which it takes less than makes the next."""
    at = 0
    while (step := units[at][1]) < math.inf and float(_shown(value)) >= step:
        value, at = max(value / step, 1.0), at + 1  # 59.96 s would be shown as 60, and are 1 min
    return f"{_shown(value)} {units[at][0]}".rstrip()


def _shown(value: float) -> str:
    return f"{value:.0f}" if 999.5 <= abs(value) < 1e5 else f"{value:.3g}"


SHOWN = 4


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, the first few of many."""
    more = f", … ({len(names)} in all)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
