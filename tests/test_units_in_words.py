"""Sizes, counts and times in words: units roll over where the number that is shown would reach the next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tractable.plan._units import BYTES, COUNTS, TIMES, Ladder, duration, memory_size, scaled, short_count


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.7, "1000 B"),
        (1000, "1000 B"),
        (1023, "1023 B"),
        (1023.4, "1023 B"),
        (1023.5, "1 KiB"),
        (1024, "1 KiB"),
        (1010 * 1024, "1010 KiB"),
        (1023.4 * 1024, "1023 KiB"),
        (1023.9 * 1024, "1 MiB"),
        (2**30 - 1, "1 GiB"),
        (1.5 * 2**40, "1.5 TiB"),
        (1023.9 * 2**50, "1 EiB"),
        (5000 * 2.0**60, "5000 EiB"),
        (1e30, "8.67e+11 EiB"),
    ],
)
def test_bytes(n_bytes: float, words: str) -> None:
    assert memory_size(n_bytes) == words


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "0"),
        (90, "90"),
        (999.4, "999"),
        (999.5, "1 k"),
        (1000, "1 k"),
        (999_499, "999 k"),
        (999_500, "1 M"),
        (9.999e11, "1 T"),
        (2.5e18, "2500 P"),
        (float("inf"), "inf P"),
    ],
)
def test_counts(n: float, words: str) -> None:
    assert short_count(n) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 µs"),
        (4.36e-5, "43.6 µs"),
        (9.994e-4, "999 µs"),
        (9.996e-4, "1 ms"),
        (0.99951, "1 s"),
        (59.9, "59.9 s"),
        (59.96, "1 min"),
        (60, "1 min"),
        (90, "1.5 min"),
        (3599, "1 h"),
        (3600, "1 h"),
        (23.94 * 3600, "23.9 h"),
        (86_399, "1 d"),
        (364 * 86_400, "364 d"),
        (365 * 86_400, "1 yr"),
        (1e30, "3.17e+22 yr"),
    ],
)
def test_times(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize("units", [BYTES, COUNTS, TIMES], ids=["bytes", "counts", "times"])
@given(st.floats(0, 1e17))
def test_what_is_shown_is_near_and_below_the_next_unit(units: Ladder, value: float) -> None:
    number, _, unit = scaled(value, units).partition(" ")
    names = [name for name, _ in units]
    at = names.index(unit)
    factor = 1.0
    for _, step in units[:at]:
        factor *= step
    assert "e+" not in number and float(number) < units[at][1]
    assert float(number) * factor == pytest.approx(value, rel=0.006)
    assert at == 0 or float(number) >= 1
