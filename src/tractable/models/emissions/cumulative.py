"""Distribution functions P(X ≤ x) of the columns that emissions describe, without a library for them."""

from __future__ import annotations

from collections.abc import Callable
from math import erfc, lgamma, pi, sqrt
from typing import Any

import numpy as np

LARGE, TINY = 1e3, 1e-300
PRECISION = 1e-15
MAX_TERMS = 100_000
"""The sums below end after some multiples of the square root of a rate: this is for rates of 10⁸."""

_erfc: Callable[[Any], Any] = np.frompyfunc(erfc, 1, 1)
_lgamma: Callable[[Any], Any] = np.frompyfunc(lgamma, 1, 1)


def normal(z: np.ndarray) -> np.ndarray:
    """Φ(z), the distribution function of a standard normal variable.

    >>> normal(np.array([0.0, -1.959963984540054])).round(6).tolist()
    [0.5, 0.025]
    """
    return 0.5 * np.asarray(_erfc(np.asarray(z) / -sqrt(2)), np.float64)


def poisson(x: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """P(X ≤ x) of counts with these rates: Γ(⌊x⌋ + 1, λ) / Γ(⌊x⌋ + 1), by its series or its continued fraction.

    Abramowitz & Stegun, Handbook of Mathematical Functions, 26.4.21, 6.5.29, 6.5.31.

    >>> poisson(np.array([-1.0, 0.0, 2.5]), np.full(3, 2.0)).round(6).tolist()
    [0.0, 0.135335, 0.676676]
    """
    a, rate = np.broadcast_arrays(np.floor(x) + 1, np.asarray(rates, np.float64))
    out = np.where(a > 0, 1.0, 0.0)
    there = (a > 0) & (rate > 0) & (a < np.inf)
    a, rate = a[there], rate[there]
    head = np.exp(_log_head(a, rate))
    low = rate < a + 1
    found = np.empty_like(a)
    found[low] = 1 - head[low] * _series(a[low], rate[low])
    found[~low] = head[~low] * _fraction(a[~low], rate[~low])
    out[there] = np.clip(found, 0.0, 1.0)
    return out


def _log_head(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """log x^a e^−x / Γ(a); of large numbers by Stirling's series, in which nothing large cancels."""
    plain = a * np.log(x) - x - np.asarray(_lgamma(a), np.float64)
    off = (x - a) / a
    rest = 1 / (12 * a) - 1 / (360 * a**3)
    return np.where(a < LARGE, plain, 0.5 * np.log(a / (2 * pi)) + a * (np.log1p(off) - off) - rest)


def _series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Σ_n x^n / (a (a + 1) … (a + n))."""
    term = 1 / a
    total = term.copy()
    for n in range(1, MAX_TERMS):
        if not (term > PRECISION * total).any():
            break
        term = term * x / (a + n)
        total += term
    return total


def _fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """1 / (x + 1 − a − 1 (1 − a) / (x + 3 − a − …)), from its first term on."""
    b = x + 1 - a
    c, d = np.full_like(x, 1 / TINY), 1 / np.where(np.abs(b) < TINY, TINY, b)
    total = d
    for n in range(1, MAX_TERMS):
        own, b = -n * (n - a), b + 2
        d, c = own * d + b, b + own / c
        d, c = 1 / np.where(np.abs(d) < TINY, TINY, d), np.where(np.abs(c) < TINY, TINY, c)
        total = total * d * c
        if not (np.abs(d * c - 1) > PRECISION).any():
            break
    return total


def of_states(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """P(X ≤ x) of the states 0, 1, … of one column [n] for each component of a table [K, n_states]: [n, K].

    >>> of_states(np.array([-1.0, 0.0, 5.0]), np.array([[0.25, 0.75]])).ravel().tolist()
    [0.0, 0.25, 1.0]
    """
    sums = np.concatenate([np.zeros((len(table), 1)), table.cumsum(1)], axis=1)
    sums[:, -1] = 1.0
    return sums.T[np.clip(np.floor(x) + 1, 0, table.shape[1]).astype(int)]
