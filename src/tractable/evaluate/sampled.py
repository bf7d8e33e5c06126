"""The likelihood of rows from weights whose mean is unbiased for p(x), and how the bound grows with their number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tractable.evaluate.records import LogLikelihood
from tractable.posterior import Certificate

STEPS = (1, 2, 5)
SHARE = 0.02
"""The part of δ that the samples take where log Z takes another: the bound of a mean of many rows hardly notices."""


@dataclass(frozen=True, eq=False)
class SampleBounds:
    """The mean over rows of log (1/K Σ weights) for growing K: each is below the log-likelihood in expectation.

    Attributes
    ----------
    samples : K. values : the bound at each K. std_errors : of the draws, the rows being what they are.

    Examples
    --------
    >>> machine = tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([3, 2]))
    >>> bounds = tr.log_likelihood(machine, [[0, 1, 1]], method="importance", samples=50).by_samples
    >>> bounds.samples.tolist(), bounds.values.shape
    ([1, 2, 5, 10, 20, 50], (6,))
    """

    samples: np.ndarray
    values: np.ndarray
    std_errors: np.ndarray


@dataclass(frozen=True, repr=False)
class SampledLogLikelihood(LogLikelihood):
    """A mean log-likelihood that was estimated from below by importance sampling.

    Attributes
    ----------
    samples : weights for each row.
    by_samples : the bound for fewer of them.
    effective_sample_size : (Σ w)²/Σ w² of each row, between 1 and the number of samples.

    Examples
    --------
    >>> machine = tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([3, 2]))
    >>> found = tr.log_likelihood(machine, [[0, 1, 1]], method="importance", samples=50)
    >>> found.samples, found.kind, found.effective_sample_size.shape
    (50, 'probabilistic', (1,))
    """

    samples: int = 0
    by_samples: SampleBounds | None = field(default=None, repr=False)
    effective_sample_size: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)


class Tally:
    """What is kept of the weights of rows, part by part: never all of them at once."""

    def __init__(self, n_samples: int):
        self.n = n_samples
        self.steps = [k for k in (s * 10**e for e in range(7) for s in STEPS) if k < n_samples] + [n_samples]
        self.bounds: list[np.ndarray] = []
        self.variances: list[np.ndarray] = []
        self.effective: list[np.ndarray] = []

    def add(self, log_weights: np.ndarray) -> None:
        """The log weights of some rows [n_rows, K]."""
        parts = [self._grouped(log_weights, k) for k in self.steps]
        self.bounds.append(np.stack([p.mean(1) for p in parts], axis=1))
        spread = [p.var(1, ddof=1) / p.shape[1] if p.shape[1] > 1 else np.full(len(p), np.nan) for p in parts]
        self.variances.append(np.stack(spread, axis=1))
        twice = np.logaddexp.reduce(2 * log_weights, axis=1)
        self.effective.append(np.exp(2 * np.logaddexp.reduce(log_weights, axis=1) - twice))

    def _grouped(self, log_weights: np.ndarray, k: int) -> np.ndarray:
        """log (1/k Σ weights) of groups of k samples [n_rows, n_groups]."""
        n = self.n // k
        return np.logaddexp.reduce(log_weights[:, : n * k].reshape(-1, n, k), axis=2) - np.log(k)

    def result(self, confidence: float, log_z: Certificate | None = None) -> SampledLogLikelihood:
        """The certificate of the mean.

        Rows are independent draws, so ∏ Ẑ_n/p(x_n) has expectation one, and by Markov's inequality the mean of log Ẑ
        exceeds that of log p(x) by log(1/δ)/N with probability at most δ.
        """
        found, variances = np.concatenate(self.bounds), np.concatenate(self.variances)
        rows, n, z = found[:, -1], len(found), log_z or Certificate.exact(0.0)
        share = 1 - confidence if z.kind == "exact" else SHARE * (1 - confidence)
        effective, margin = np.concatenate(self.effective), np.log(1 / share)
        how: dict[str, Any] = {"kind": "probabilistic", "confidence": 1 - share, "verdict": _verdict(effective)}
        below = Certificate(rows, rows - margin, np.full(n, np.inf), **how)
        mean = Certificate(rows.mean(), rows.mean() - margin / n, np.inf, **how)
        growth = SampleBounds(np.array(self.steps), found.mean(0) - z.value, np.sqrt(variances.sum(0)) / n)
        extra = {"samples": self.n, "by_samples": growth, "effective_sample_size": effective}
        return SampledLogLikelihood.of(mean - z, per_row=below - z, log_partition=z, **extra)


def _verdict(effective: np.ndarray) -> str:
    return (
        f"a lower bound on average, whatever the proposal: of a row's samples {np.median(effective):.1f} count (median)"
    )


def checked_samples(samples: Any, what: str = "samples") -> int:
    """A number of samples, at least one."""
    if not isinstance(samples, int | np.integer) or isinstance(samples, bool) or samples < 1:
        raise ValueError(f"the number of {what} must be a whole number, at least 1, got {samples!r}")
    return int(samples)


def checked_confidence(confidence: Any) -> float:
    """A probability between zero and one."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence is a probability between 0 and 1, such as 0.95, got {confidence!r}")
    return float(confidence)
