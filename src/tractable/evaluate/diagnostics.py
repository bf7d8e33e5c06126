"""Whether chains have converged, and how many independent draws theirs are worth.

Draws are arrays [n_chains, n_draws, …]; every measure is taken for each of the trailing entries. Vehtari, Gelman,
Simpson, Carpenter & Bürkner 2021, "Rank-normalization, folding, and localization"; Geyer 1992.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float


R_HAT = 1.01
"""Chains that agree stay below this."""

EFFECTIVE = 100.0
"""Fewer independent draws than this say little, of the mean and of convergence alike."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What the draws of some chains are worth.

    Attributes
    ----------
    verdict : ``"converged"``, or what is wrong, in words.
    r_hat, effective, autocorrelation_time : for each trailing entry of the draws.
    mean, std_error : of the draws, the Monte-Carlo error taken from the effective sample size.

    Examples
    --------
    >>> import numpy as np
    >>> drifting = np.linspace(0, 1, 100) + np.zeros((4, 1))
    >>> found = tr.evaluate.diagnose(drifting)
    >>> found.converged, found.verdict
    (False, 'chains disagree: R-hat 1.73; run longer chains')
    """

    verdict: str
    r_hat: Float[np.ndarray, "*b"] = field(repr=False)
    effective: Float[np.ndarray, "*b"] = field(repr=False)
    autocorrelation_time: Float[np.ndarray, "*b"] = field(repr=False)
    mean: Float[np.ndarray, "*b"] = field(repr=False)
    std_error: Float[np.ndarray, "*b"] = field(repr=False)

    @property
    def converged(self) -> bool:
        """Whether nothing speaks against it."""
        return self.verdict == "converged"

    def _repr_html_(self) -> str:
        from tractable import _html

        return _html.diagnosis(self)


def diagnose(draws: Any) -> Diagnosis:
    """Measures and verdict of draws [n_chains, n_draws, …].

    Raises
    ------
    ValueError : fewer than four draws in a chain, or values that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> tr.evaluate.diagnose(np.random.default_rng(0).normal(size=(4, 1000))).verdict
    'converged'
    """
    x, unit = _checked(draws)
    r_hat, effective = split_r_hat(x), effective_sample_size(x)
    n = x.shape[0] * x.shape[1]
    error = x.reshape(n, *x.shape[2:]).std(axis=0, ddof=1) / np.sqrt(effective)
    verdict = _constant(x) or _verdict(r_hat, effective)
    return Diagnosis(verdict, r_hat, effective, n / effective, unit * x.mean(axis=(0, 1)), unit * error)


def _constant(x: np.ndarray) -> str:
    """The verdict where draws never change; nothing elsewhere."""
    varies = _varies(x)
    if varies.all():
        return ""
    where = _which(varies, int(np.argmin(varies)))
    return f"draws never change{where}: they cannot tell whether chains have converged; run longer chains"


def _verdict(r_hat: np.ndarray, effective: np.ndarray) -> str:
    worst, fewest = float(np.max(r_hat)), float(np.min(effective))
    if not worst <= R_HAT:  # what is not a number has not converged
        return f"chains disagree: R-hat {worst:.3g}{_which(r_hat, int(np.argmax(r_hat)))}; run longer chains"
    if not fewest >= EFFECTIVE:
        where = _which(effective, int(np.argmin(effective)))
        return f"too few independent draws: {fewest:.0f}{where}; run longer chains"
    return "converged"


def _which(values: np.ndarray, flat: int) -> str:
    """Where the worst entry stands; nothing for a single one."""
    if values.size == 1:
        return ""
    return f" at entry {', '.join(str(int(i)) for i in np.unravel_index(flat, values.shape))}"


def split_r_hat(draws: Any) -> Float[np.ndarray, "*b"]:
    """Rank-normalized split R-hat: √(variance of all draws/variance within half-chains), the larger of bulk and tail.

    Chains are cut in halves, so that a drift shows; values are replaced by the normal scores of their ranks, so that it
    exists for every distribution; the tail is the same for |x − median|. One is perfect. Chains that never change
    give ∞ where they differ, and NaN, which passes no check, where they do not.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=(4, 500))
    >>> apart = noise + np.array([[0], [0], [0], [3]])  # one chain is elsewhere
    >>> [round(float(tr.evaluate.split_r_hat(draws)), 1) for draws in (noise, apart)]
    [1.0, 1.5]
    """
    x = _halves(_checked(draws).x)
    folded = np.abs(x - np.median(x, axis=(0, 1)))
    out = np.maximum(_r_hat(_normal_scores(x)), _r_hat(_normal_scores(folded)))
    return np.where(_varies(x), out, np.nan)


def _r_hat(x: np.ndarray) -> np.ndarray:
    """One where nothing varies, as |x − median| of spins does not."""
    n, moving = x.shape[1], (np.ptp(x, axis=1) > 0).any(axis=0)
    within = x.var(axis=1, ddof=1).mean(axis=0)
    between = x.mean(axis=1).var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.sqrt((n - 1) / n + between / within)
    return np.where(moving, out, np.where(_varies(x), np.inf, 1.0))


def _varies(x: np.ndarray) -> np.ndarray:
    """Where not all draws are the same; a variance need not be zero then, by rounding."""
    return np.ptp(x, axis=(0, 1)) > 0


def effective_sample_size(draws: Any) -> Float[np.ndarray, "*b"]:
    """How many independent draws estimate the mean as well: n_chains n_draws/τ (Vehtari et al. 2021, equation 10).

    Draws that never change give NaN, which passes no check.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=(4, 500))
    >>> sticky = np.repeat(noise, 10, axis=1)
    >>> sticky.size, round(float(tr.evaluate.effective_sample_size(sticky)), -3)
    (20000, 2000.0)
    """
    x = _checked(draws).x
    return x.shape[0] * (x.shape[1] // 2 * 2) / autocorrelation_time(x)


def autocorrelation_time(draws: Any) -> Float[np.ndarray, "*b"]:
    """The integrated autocorrelation time τ = 1 + 2 Σ_t ρ_t, the sum cut by Geyer's initial monotone sequence.

    Sums ρ_2k + ρ_2k+1 of a reversible chain are positive and decreasing: the sum stops before the first that is not
    positive, of which ρ_2k counts once if it is, and larger ones are lowered to those before. ρ counts the disagreement
    of half-chains as correlation. At least 1/log10 of the number of draws; draws that never change count as one draw
    for each chain.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=(4, 5000))
    >>> sticky = np.repeat(noise, 10, axis=1)
    >>> [round(float(tr.evaluate.autocorrelation_time(draws))) for draws in (noise, sticky)]
    [1, 10]
    """
    x = _halves(_checked(draws).x)
    n_chains, n = x.shape[:2]
    rho = _correlations(x)
    pairs = rho[: n // 2 * 2].reshape(n // 2, 2, *rho.shape[1:]).sum(axis=1)
    pairs[0] = np.maximum(pairs[0], 0)
    last = max((n - 3) // 2, 1)
    positive = np.cumprod(pairs[:last] >= 0, axis=0)
    tau = 2 * (np.minimum.accumulate(pairs[:last], axis=0) * positive).sum(axis=0) - 1
    half = np.take_along_axis(rho, 2 * positive.sum(axis=0, keepdims=True), axis=0)[0]
    tau = tau + np.maximum(half, 0)
    floor = 1 / np.log10(max(n_chains * n, 11))
    return np.where(_varies(x), np.maximum(tau, floor), np.nan)


def _correlations(x: np.ndarray) -> np.ndarray:
    """ρ_t = 1 − (W − mean autocovariance at t)/V, with V the variance of all draws and W that within chains."""
    n = x.shape[1]
    covariance = _autocovariance(x)
    within = (covariance[:, 0] * n / (n - 1)).mean(axis=0)
    total = within * (n - 1) / n + x.mean(axis=1).var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = 1 - (within - covariance.mean(axis=0)) / total
    rho[0] = 1.0
    return np.where(total > 0, rho, 0.0)


def _autocovariance(x: np.ndarray) -> np.ndarray:
    """Σ_s (x_s − x̄)(x_s+t − x̄)/n along each chain, by Fourier transforms."""
    n = x.shape[1]
    size = 1 << int(2 * n - 1).bit_length()
    spectrum = np.fft.rfft(x - x.mean(axis=1, keepdims=True), size, axis=1)
    return np.fft.irfft(np.abs(spectrum) ** 2, size, axis=1)[:, :n] / n


def _halves(x: np.ndarray) -> np.ndarray:
    """Each chain as two, the draw between them left out where their number is odd."""
    n = x.shape[1] // 2
    return np.concatenate([x[:, :n], x[:, -n:]])


def _normal_scores(x: np.ndarray) -> np.ndarray:
    """Φ⁻¹((rank − 3/8)/(n + 1/4)) of each value among all draws, equal values sharing their mean rank."""
    flat = x.reshape(x.shape[0] * x.shape[1], -1)
    n = len(flat)
    ranks = np.stack([_mean_ranks(column) for column in flat.T], axis=1)
    different, place = np.unique(ranks, return_inverse=True)
    scores = np.array([NormalDist().inv_cdf((r - 0.375) / (n + 0.25)) for r in different.tolist()])
    return scores[place].reshape(x.shape)


def _mean_ranks(column: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(column, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


class Checked(NamedTuple):
    """Draws in units of the largest of their entry, where squares would overflow or vanish, and these units."""

    x: np.ndarray
    unit: np.ndarray


def _checked(draws: Any) -> Checked:
    x = np.asarray(draws, np.float64)
    if x.ndim < 2 or x.shape[1] < 4 or not x.size:
        raise ValueError(f"expected draws [n_chains, n_draws, …] with at least four draws in a chain, got {x.shape}")
    if not np.isfinite(x).all():
        chain, draw, *_ = np.argwhere(~np.isfinite(x))[0].tolist()
        value = x[~np.isfinite(x)][0]
        raise ValueError(
            f"some draws are not finite, the first {value}, draw {draw} of chain {chain}; look at the chains"
        )
    most = np.abs(x).max(axis=(0, 1))
    unit = np.where((most > 1e100) | ((most < 1e-100) & (most > 0)), most, 1.0)
    return Checked(x / unit, unit)
