"""From the work of both directions to a certificate, and in words whether its value can be relied on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tractable.evaluate import bounds
from tractable.evaluate.starts import Starts
from tractable.posterior import Certificate

Checks = Mapping[str, float]

MIN_OVERLAP = 0.05
MIN_EFFECTIVE = 10.0
MAX_TAIL = 1.0
MIN_PAIRS = 32
"""Fewer runs are bounded for each direction apart: pairs of them cannot exclude anything."""

TOLERANCE = 0.05
"""Nats by which the directions may differ beyond four standard errors."""

CHECKS = (
    "gap",
    "gap_error",
    "overlap",
    "forward_effective",
    "reverse_effective",
    "forward_tail",
    "reverse_tail",
    "halves",
)
MIXED = "the chains that reverse runs start from are samples of the model"
OVERFLOW = "parameters this large overflow single precision: scale them down"


def certified(
    w: bounds.Weights, back: bounds.Weights, offset: float, confidence: float, starts: Starts
) -> tuple[Certificate, Checks]:
    """The certificate of log Z from forward work `w` and reverse work `back`, both relative to `offset`.

    The ends of the interval are betting bounds, each failing with half of 1 − confidence. The lower one is that of the
    forward runs alone (`bounds.log_mean_lower`) and supposes nothing, unless the reverse runs started from exact
    samples. The upper one is that of both directions together (`bounds.log_ratio_lower`) and supposes that the reverse
    runs started from the model: it is conditional on that unless they started from exact samples. Where a check fails,
    the bounds of each direction alone are covered too, and where the runs started from chains the forward runs and both
    halves of the reverse ones as well. The standard error is then at least half of what the directions differ by.
    """
    delta, broken = (1 - confidence) / 2, int((~np.isfinite(np.append(w, back))).sum())
    if broken:
        reason = f"the work of {broken} of {len(w) + len(back)} runs is not finite; {OVERFLOW}"
        nothing = Certificate(np.nan, -np.inf, np.inf, "probabilistic", confidence, np.inf, _verdict([reason]))
        return nothing, dict.fromkeys(CHECKS, np.nan)
    ratio = bounds.acceptance_ratio(w, back)
    low, high = _ends(w, back, delta, starts.exact)
    checks = _checks(w, back, ratio, starts.n_from_data)
    reasons = _reasons(checks)
    if reasons:
        low, high = min(low, bounds.log_mean_lower(w, delta)), max(high, -bounds.log_mean_lower(back, delta))
    if reasons and not starts.exact:
        high = max(high, bounds.log_mean_exp(w), *(-v for v in _halves(back, starts.n_from_data))) + np.log(1 / delta)
    value, low, high = ratio.log_z, min(low, ratio.log_z), max(high, ratio.log_z)
    error = max(ratio.std_error, abs(checks["gap"]) / 2) if reasons else ratio.std_error
    value, low, high = (offset + float(v) for v in (value, low, high))
    upper = {} if starts.exact else {"upper_kind": "conditional", "assumes": MIXED}
    return Certificate(value, low, high, "probabilistic", confidence, error, _verdict(reasons), **upper), checks


def _ends(w: bounds.Weights, back: bounds.Weights, delta: float, exact: bool) -> tuple[float, float]:
    if not len(w) == len(back) >= MIN_PAIRS:
        return bounds.log_mean_lower(w, delta), -bounds.log_mean_lower(back, delta)
    low = bounds.log_ratio_lower(w, back, delta) if exact else bounds.log_mean_lower(w, delta)
    return low, -bounds.log_ratio_lower(back, w, delta)


def _halves(back: bounds.Weights, n_from_data: int) -> list[float]:
    """log of the mean weight of the runs that started from data, and of the others."""
    parts = (back[:n_from_data], back[n_from_data:])
    return [bounds.log_mean_exp(part) for part in parts if len(part)]


def _checks(w: bounds.Weights, back: bounds.Weights, ratio: bounds.Ratio, n_from_data: int) -> dict[str, float]:
    forward, reverse = bounds.log_mean_exp(w), -bounds.log_mean_exp(back)
    ess = bounds.effective_sample_size(w), bounds.effective_sample_size(back)
    return {
        "gap": reverse - forward,
        "gap_error": float(np.sqrt(sum(max(0.0, 1 / e - 1 / len(v)) for e, v in zip(ess, (w, back), strict=True)))),
        "overlap": ratio.overlap,
        "forward_effective": ess[0],
        "reverse_effective": ess[1],
        "forward_tail": bounds.pareto_shape(w),
        "reverse_tail": bounds.pareto_shape(back),
        "halves": _disagreement(back, n_from_data),
    }


def _disagreement(back: bounds.Weights, n: int) -> float:
    """How many standard errors the mean work of the runs from data is away from that of the others."""
    if min(n, len(back) - n) < 2:
        return 0.0
    a, b = back[:n], back[n:]
    if abs(a.mean() - b.mean()) < TOLERANCE:
        return 0.0
    error = float(np.sqrt(a.var() / len(a) + b.var() / len(b)))
    return float(abs(a.mean() - b.mean())) / error if error > 0 else np.inf


def _reasons(checks: Checks) -> list[str]:
    """What speaks against the value, with what would help; a check that is not a number speaks against it."""
    out = []
    gap = checks["gap"]
    if not abs(gap) <= 4 * checks["gap_error"] + TOLERANCE:
        cure = "more temperatures or a base closer to the data" if gap > 0 else "longer chains for the reverse runs"
        out.append(f"forward and reverse disagree by {abs(gap):.3g} nats; use {cure}")
    elif not checks["overlap"] >= MIN_OVERLAP:
        out.append("forward and reverse runs hardly overlap; use more temperatures")
    few = np.minimum(checks["forward_effective"], checks["reverse_effective"])  # NaN where either is
    heavy = np.maximum(checks["forward_tail"], checks["reverse_tail"])
    if not out and not few >= MIN_EFFECTIVE:
        out.append(f"few chains carry the weight (effective sample size {few:.1f}); use more temperatures")
    if not out and not heavy <= MAX_TAIL:
        out.append(f"the weights have a heavy tail (Pareto shape {heavy:.2f}); use more temperatures")
    if not checks["halves"] <= 4:
        out.append(
            "reverse runs from data and from annealed chains differ: the chains have not mixed; use a longer burn-in"
        )
    return out


def _verdict(reasons: list[str]) -> str:
    return f"unreliable: {'; '.join(reasons)}" if reasons else "reliable"
