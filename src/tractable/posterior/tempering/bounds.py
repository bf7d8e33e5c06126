"""From the work of annealed chains to log Z: bounds that hold at any number of steps, and the estimate between them.

With forward work w, E[e^w] = Z (base normalized); with reverse work, E[e^w] = 1/Z. Both hold for any number of
temperatures and however badly the chains mix: weights that are unbiased and not negative are all that the bounds use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Weights = Float[np.ndarray, " n"]

BETS = 2.0 ** -np.arange(0, 5.5, 0.5)
SHARES = 2.0 ** -np.arange(1, 1 + len(BETS))
SHARES /= SHARES.sum()
"""Stakes that the betting bound is averaged over, the first for weights that hardly vary, and the weight of each."""


def log_mean_exp(w: Weights) -> float:
    """log of the mean of e^w."""
    return float(np.logaddexp.reduce(w) - np.log(len(w)))


def log_mean_lower(w: Weights, delta: float) -> float:
    """A lower confidence bound of log E[e^w] from independent draws of w; it fails with probability at most δ.

    Were the mean at most m, each K(λ) = Π (1 + λ (e^w/m − 1)) would have an expectation of at most one, and so would
    their average over stakes λ: by Markov's inequality it exceeds 1/δ with probability at most δ. The bound is the
    largest m at which it does (Waudby-Smith & Ramdas 2024, for non-negative variables; λ = 1 is Jensen's and Markov's
    inequality: the mean of w less log(1/δ)/n). No assumption on how the weights are distributed.
    """
    some = w[w > -np.inf]
    if not len(some):
        return -np.inf
    low = float(np.min(some)) - (len(w) + np.log(1 / delta) + 5.0) / len(some) - 5.0
    return _crossing(lambda m: _log_capital(w - m), np.log(1 / delta), low, log_mean_exp(w))


def log_ratio_lower(forward: Weights, reverse: Weights, delta: float) -> float:
    """A lower confidence bound of log Z from independent pairs of a forward and a reverse work; it fails as rarely.

    At z = log Z the mean of X = σ(w_F − z) − σ(w_R + z) is zero (Bennett 1976), and X is in (−1, 1): the expectation of
    Π (1 + λ X) is one. The bound is the largest z at which the average of these over stakes exceeds 1/δ; −∞ where so
    few pairs exceed nothing. Unlike `log_mean_lower` it supposes that reverse runs start from the model and are the
    time reversal of forward ones; as both directions count and X has no tails, it stands 1/√2 as far from log Z, and
    much nearer where weights have heavy tails.
    """

    def log_capital(z: float) -> float:
        x = _fermi(z - forward) - _fermi(-z - reverse)
        with np.errstate(divide="ignore"):
            return float(np.logaddexp.reduce(np.log(SHARES) + np.log1p(BETS[:, None] * x).sum(axis=1)))

    both = _finite(forward, -reverse)
    low, high = float(both.min()) - np.log(1 / delta) - 5.0, float(both.max())
    return _crossing(log_capital, np.log(1 / delta), low, high) if log_capital(low) > np.log(1 / delta) else -np.inf


def _finite(forward: Weights, reverse: Weights) -> Weights:
    """What chains of weight zero leave."""
    both = np.append(forward, reverse)
    return both[np.isfinite(both)]


def _crossing(falling: Callable[[float], float], level: float, low: float, high: float) -> float:
    """The largest argument between two at which a falling function is at least `level`; −∞ where nothing is known."""
    if not low <= high:
        return -np.inf
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) >= level else (low, middle)
    return low


def _log_capital(w: Weights) -> float:
    """log of the weighted average over stakes of Π (1 − λ + λ e^w)."""
    with np.errstate(divide="ignore"):
        keep, stake = np.log1p(-BETS)[:, None], np.log(BETS)[:, None]
    return float(np.logaddexp.reduce(np.log(SHARES) + np.logaddexp(keep, stake + w).sum(axis=1)))


class Ratio(NamedTuple):
    """log Z from both directions, its standard error, and the overlap of their work distributions (1: the same)."""

    log_z: float
    std_error: float
    overlap: float


def acceptance_ratio(forward: Weights, reverse: Weights) -> Ratio:
    """Bennett's acceptance ratio, the maximum-likelihood estimate of log Z from the work of both directions.

    It solves Σ_F 1/(1 + e^(M + log Z − w)) = Σ_R 1/(1 + e^(−M − log Z − w)) with M = log(n_F/n_R) (Bennett 1976; Shirts
    et al. 2003). The left side falls and the right side rises with log Z: bisection finds the only root. That the
    reverse runs are the time reversal of the forward ones is supposed here, and nowhere else.
    """
    m = np.log(len(forward) / len(reverse))
    both = _finite(forward, -reverse)
    low, high = both.min() - abs(m) - 1 - np.log(len(both)), both.max() + abs(m) + 1
    for _ in range(100):
        middle = (low + high) / 2
        if _fermi(m + middle - forward).sum() > _fermi(-m - middle - reverse).sum():
            low = middle
        else:
            high = middle
    log_z = (low + high) / 2
    overlap = _fermi(log_z - forward).mean() + _fermi(-log_z - reverse).mean()
    error = _relative_error(_fermi(m + log_z - forward)) + _relative_error(_fermi(-m - log_z - reverse))
    return Ratio(float(log_z), float(np.sqrt(error)), float(np.minimum(1.0, overlap)))


def acceptance_ratios(up: Float[np.ndarray, "t p c"], down: Float[np.ndarray, "t p c"]) -> Float[np.ndarray, "p c"]:
    """The same for many pairs of as many draws each, log Z alone; NaN where a work is."""
    low = np.minimum(up.min(axis=0), -down.max(axis=0)) - 1
    high = np.maximum(up.max(axis=0), -down.min(axis=0)) + 1
    for _ in range(45):
        middle = (low + high) / 2
        above = _fermi(middle - up).sum(axis=0) > _fermi(-middle - down).sum(axis=0)
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2


def _fermi(x: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.exp(-np.logaddexp(0, x))


def _relative_error(v: np.ndarray) -> float:
    """The squared relative error of a mean."""
    return float(v.var() / (len(v) * max(v.mean(), 1e-150) ** 2))


def effective_sample_size(w: Weights) -> float:
    """(Σ e^w)²/Σ e^2w."""
    return float(np.exp(2 * np.logaddexp.reduce(w) - np.logaddexp.reduce(2 * w)))


def pareto_shape(w: Weights) -> float:
    """The shape k of a generalized Pareto distribution fitted to the largest weights; the larger, the heavier the tail.

    The posterior mean of Zhang & Stephens (2009) on the largest min(n/5, 3√n) weights (Vehtari et al. 2024); −∞ where
    the weights hardly differ.
    """
    n_tail = int(min(len(w) / 5, 3 * np.sqrt(len(w))))
    top = np.sort(np.exp(w - w.max()))[-n_tail - 1 :]
    excess = top[1:] - top[0]
    if n_tail < 5 or excess[-1] <= 1e-6 * top[-1]:  # NaN goes on, and comes out
        return -np.inf
    return _generalized_pareto(np.maximum(excess, 1e-12 * excess[-1]))


def _generalized_pareto(x: np.ndarray) -> float:
    n, m = len(x), 30 + int(np.sqrt(len(x)))
    quartile = x[int(n / 4 + 0.5) - 1]
    theta = 1 / x[-1] + (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * quartile)
    k = np.log1p(-theta[:, None] * x).mean(axis=1)
    log_likelihood = n * (np.log(-theta / k) - k - 1)
    weights = np.exp(log_likelihood - np.logaddexp.reduce(log_likelihood))
    best = float((theta * weights).sum())
    shape = float(np.log1p(-best * x).mean())
    return (n * shape + 10 * 0.5) / (n + 10)
