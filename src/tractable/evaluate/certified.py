"""From the work of both directions to a certificate, and in words whether its value can be relied on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from tractable.evaluate.starts import Starts
from tractable.posterior import Certificate
from tractable.posterior.tempering import bounds
from tractable.posterior.tempering.modes import Modes
from tractable.posterior.tempering.verdicts import (
    ERRORS,
    TOLERANCE,
    TRIPS,
    UNCERTAIN,
    against_exchange,
    against_weights,
    given_the_phases,
)

Checks = Mapping[str, float]

WAYS = ("forward", "reverse")
MIN_OVERLAP = 0.05
MIN_PAIRS = 32
"""Fewer runs are bounded for each direction apart: pairs of them cannot exclude anything."""

CHECKS = (
    "gap",
    "gap_error",
    "overlap",
    "forward_effective",
    "reverse_effective",
    "forward_tail",
    "reverse_tail",
    "exchange",
    "exchange_error",
    "round_trips",
)
GIVEN = "the samples given are samples of the model"
MIXED = "the chains that reverse runs start from are samples of the model"
UNSOUGHT = "phases were not looked for"
OVERFLOW = "parameters this large overflow: scale them down"


class Found(NamedTuple):
    """The region that each forward chain ended in, and the modes that were found."""

    region: Int[np.ndarray, " c"]
    modes: Modes


def certified(
    works: tuple[bounds.Weights, bounds.Weights], offset: float, confidence: float, starts: Starts, found: Found | None
) -> tuple[Certificate, Checks]:
    """The certificate of log Z from log W of forward runs and −log W of reverse runs, both relative to `offset`.

    The ends of the interval are betting bounds, each failing with half of 1 − confidence. The lower one is that of the
    forward runs alone (`bounds.log_mean_lower`) and supposes nothing, unless the reverse runs started from exact
    samples. The upper one is that of both directions together (`bounds.log_ratio_lower`) and supposes that the reverse
    runs started from samples of the model: it is conditional on that unless they are exact. Where a check fails, the
    bounds of each direction alone are covered too, and where the runs started from chains what the forward runs and
    replica exchange say, which is the value then, if its ladders agree. The standard error is then at least half of
    what the estimates differ by.
    """
    (w, back), delta = works, (1 - confidence) / 2
    broken = int((~(w < np.inf)).sum() + (~np.isfinite(back)).sum())
    if broken or not np.isfinite(w).any():
        reason = f"the work of {broken or len(w)} of {len(w) + len(back)} runs is not finite; {OVERFLOW}"
        nothing = Certificate(np.nan, -np.inf, np.inf, "probabilistic", confidence, np.inf, f"unreliable: {reason}")
        return nothing, dict.fromkeys(CHECKS, np.nan)
    ratio = bounds.acceptance_ratio(w, back)
    checks = _checks(w, back, ratio, starts, offset)
    low, high = _ends(w, back, delta, starts.exact)
    reasons = _reasons(checks, (len(w), len(back)))
    against, high = _witnessed(starts, checks, ratio, (low, high), offset)
    reasons += against
    if reasons:
        low, high = _wider((low, high), works, delta, starts, offset)
    value, told = _value(ratio, starts, reasons, offset)
    low, high = min(low, value), max(high, value)
    apart = np.nanmax([abs(checks["gap"]), abs(checks["exchange"])])
    error = max(ratio.std_error, apart / 2) if reasons else ratio.std_error
    value, low, high = (offset + float(v) for v in (value, low, high))
    upper = {} if starts.exact else {"upper_kind": "conditional", "assumes": _assumed(starts, found)}
    verdict = f"unreliable: {'; '.join([*reasons, *told])}" if reasons else _reliable(starts, found, w)
    return Certificate(value, low, high, "probabilistic", confidence, error, verdict, **upper), checks


def _value(ratio: bounds.Ratio, starts: Starts, reasons: list[str], offset: float) -> tuple[float, list[str]]:
    """log Z by both directions; where something speaks against them, by replica exchange if its ladders agree."""
    third = starts.exchanged
    if not reasons or third is None or not (third.error <= UNCERTAIN and third.round_trips >= TRIPS):
        return ratio.log_z, []
    return third.value - offset, [f"the value is that of replica exchange, {third.error:.2g} uncertain"]


def _witnessed(
    starts: Starts, checks: Checks, ratio: bounds.Ratio, ends: tuple[float, float], offset: float
) -> tuple[list[str], float]:
    """What replica exchange has against it, and the upper end, which covers what an uncertain one cannot exclude."""
    third, (low, high) = starts.exchanged, ends
    if third is None:
        return [], high
    errors = third.error, ratio.std_error
    reasons = against_exchange(checks["exchange"], errors, third.round_trips, high - low)
    return reasons, max(high, third.value - offset + 2 * third.error) if third.error > UNCERTAIN else high


def _wider(
    ends: tuple[float, float],
    works: tuple[bounds.Weights, bounds.Weights],
    delta: float,
    starts: Starts,
    offset: float,
) -> tuple[float, float]:
    """Ends that cover what each direction says alone, and replica exchange, where these contradict each other."""
    (low, high), (w, back) = ends, works
    low, high = min(low, bounds.log_mean_lower(w, delta)), max(high, -bounds.log_mean_lower(back, delta))
    if starts.exact:
        return low, high
    third = [] if starts.exchanged is None else [starts.exchanged.value - offset]
    return low, max(high, bounds.log_mean_exp(w), -bounds.log_mean_exp(back), *third) + np.log(1 / delta)


def _ends(w: bounds.Weights, back: bounds.Weights, delta: float, exact: bool) -> tuple[float, float]:
    if not len(w) == len(back) >= MIN_PAIRS:
        return bounds.log_mean_lower(w, delta), -bounds.log_mean_lower(back, delta)
    low = bounds.log_ratio_lower(w, back, delta) if exact else bounds.log_mean_lower(w, delta)
    return low, -bounds.log_ratio_lower(back, w, delta)


def _checks(
    w: bounds.Weights, back: bounds.Weights, ratio: bounds.Ratio, starts: Starts, offset: float
) -> dict[str, float]:
    counted = float(np.isfinite(w).mean())  # E[1/W] of reverse runs is 1/Z times the share of forward runs with W > 0
    forward, reverse = bounds.log_mean_exp(w), np.log(counted) - bounds.log_mean_exp(back)
    ess = bounds.effective_sample_size(w), bounds.effective_sample_size(back)
    third = starts.exchanged
    return {
        "gap": reverse - forward,
        "gap_error": float(np.sqrt(sum(max(0.0, 1 / e - 1 / len(v)) for e, v in zip(ess, (w, back), strict=True)))),
        "overlap": ratio.overlap,
        "forward_effective": ess[0],
        "reverse_effective": ess[1],
        "forward_tail": bounds.pareto_shape(w),
        "reverse_tail": bounds.pareto_shape(back),
        "exchange": 0.0 if third is None else third.value - offset - ratio.log_z,
        "exchange_error": 0.0 if third is None else float(np.hypot(third.error, ratio.std_error)),
        "round_trips": np.inf if third is None else third.round_trips,
    }


def _reasons(checks: Checks, n: tuple[int, int]) -> list[str]:
    """What speaks against the value, with what would help; a check that is not a number speaks against it."""
    both = [(checks[f"{way}_effective"], checks[f"{way}_tail"], of) for way, of in zip(WAYS, n, strict=True)]
    return [*_directions(checks), *against_weights(both)][:1]


def _directions(checks: Checks) -> list[str]:
    gap = checks["gap"]
    if not abs(gap) <= ERRORS * checks["gap_error"] + TOLERANCE:
        cure = "more temperatures or a base closer to the data" if gap > 0 else "longer chains for the reverse runs"
        return [f"forward and reverse disagree by {abs(gap):.3g} nats; use {cure}"]
    if not checks["overlap"] >= MIN_OVERLAP:
        return ["forward and reverse runs hardly overlap; use more temperatures"]
    return []


def _assumed(starts: Starts, found: Found | None) -> str:
    if starts.exchanged is None:
        return GIVEN if starts.origin == "given samples" else MIXED
    sought = "no phase has weight beyond those looked for along eigenvectors, columns, rows and chains"
    modes = "" if found is None else f"{len(found.modes.elbo)} modes, "
    return f"{sought} ({modes}{starts.origin} of {starts.exchanged.round_trips:.0f} round trips each)"


def _reliable(starts: Starts, found: Found | None, w: bounds.Weights) -> str:
    """What was tested, in words."""
    if starts.exact:
        return "reliable"
    if starts.exchanged is None:
        return f"reliable if {GIVEN}" if starts.origin == "given samples" else UNSOUGHT
    if found is None:
        return "reliable given the phases found"
    return given_the_phases(found.region, w)
