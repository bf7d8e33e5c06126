"""Cases of evidence about a network of tables answered by intervals: `mini_buckets.py` for each, and what it says."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tractable.kernels import Reduced
from tractable.models.keys import generator
from tractable.plan import BudgetError, Plan
from tractable.plan._units import duration
from tractable.plan.mini_buckets import IntervalRun, Ran
from tractable.plan.outlook import log_width
from tractable.plan.tables import positions
from tractable.posterior.approximate.mini_buckets import Drawn, drawn
from tractable.posterior.approximate.table_rows import Estimated, Rows, of_targets
from tractable.posterior.certificate import Certificate
from tractable.posterior.exact.elimination import over_states

AHEAD = 6.0
"""What is foreseen is for so many times the seconds that it took."""


class Found(NamedTuple):
    """Of one case: log Z, and the marginals of all states where they are asked for."""

    log_z: Certificate
    marginals: Certificate | None
    ran: Ran | None


def solve(plan: Plan, case: Any, key: Any) -> Estimated:
    """What was planned, run: the different cases one after the other, each on all cores."""
    rows, program = Rows.of(plan, case), plan.program
    n = len(rows.left)
    own = program._replace(seconds=program.seconds / n, spent=program.spent / n)
    seed = int(generator(key).integers(2**62))
    asked = [] if plan.query == "evidence" else list(case.model.states if plan.targets is None else plan.targets)
    places = positions(case.model, asked)
    found = [bracketed(reduced, places, own, seed) for reduced in rows.left]
    if any(one is None for one in found):
        raise BudgetError(replace(plan, method=None, reason="the memory does not suffice for the smallest bound"))
    ran = plan if case.many or found[0].ran is None else replace(plan, program=program._replace(ran=found[0].ran))
    log_z = _over_rows(rows, [one.log_z for one in found], case.many)
    if plan.query == "evidence" or (not case.many and found[0].marginals is None):
        return Estimated(log_z, None, ran)
    nothing = Certificate.exact(np.full(len(rows.left[0].kept), np.nan))
    marginals = _over_rows(rows, [one.marginals or nothing for one in found], case.many)
    return Estimated(log_z, marginals.map(lambda a: of_targets(case, plan, a)), ran)


def bracketed(reduced: Reduced, places: np.ndarray, program: IntervalRun, seed: int) -> Found | None:
    """Intervals of what one case leaves of a network; None where the memory allows nothing."""
    if reduced.impossible:
        return Found(Certificate.exact(-math.inf), None, None)
    index = reduced.index[places]
    wanted = np.zeros(len(reduced.tables.sizes), np.uint8)
    wanted[index[index >= 0]] = 1
    found = drawn(reduced.tables, wanted, program, seed)
    if found is None:
        return None
    if found.bound == -math.inf:
        return Found(Certificate.exact(-math.inf), None, None)
    log_z = _log_partition(found, program) + reduced.log_constant
    return Found(log_z, _marginals(found, reduced, wanted, program), found.ran)


def _log_partition(found: Drawn, program: IntervalRun) -> Certificate:
    if found.whole:
        return Certificate.exact(found.bound)
    if not found.bets.n:
        return Certificate.bound(found.bound, upper=found.bound)
    told = found.bets.log_partition(found.bound, program.confidence)
    upper = "bound" if told.upper == found.bound else "probabilistic"
    return replace(told, upper_kind=upper, verdict=_verdict(found, told, program))


def _verdict(found: Drawn, told: Certificate, program: IntervalRun) -> str:
    """How much was drawn, and what more time would give."""
    n = found.bets.n
    if told.value == -math.inf:
        return f"no state of positive weight found in {n:,} draws; log Z <= {told.upper:.6g}"
    spread, gap = n * float(told.std_error) ** 2, max(found.bound - told.value, 0.0)
    more = log_width((1 + AHEAD) * n, gap, spread, 1 - program.confidence)
    in_time = f"{duration(AHEAD * program.seconds)} more would" if program.draws is None else f"{AHEAD:.0f} times more would"
    return f"{n:,} draws under a bound {gap:.3g} above; {in_time} give about ±{more / 2:.2g}"


def _marginals(found: Drawn, reduced: Reduced, wanted: np.ndarray, program: IntervalRun) -> Certificate:
    """Of all states; those of what is neither wanted nor known are no numbers."""
    told = found.bets.marginals(program.confidence) if wanted.any() else Certificate.exact(np.empty(0))
    own = np.repeat(wanted.astype(bool), reduced.tables.sizes)

    def laid_out(values: np.ndarray) -> np.ndarray:
        whole = np.full(len(own), np.nan)
        whole[own] = values
        return over_states(reduced, whole)

    return told.map(laid_out)


def _over_rows(rows: Rows, found: list[Certificate], many: bool) -> Certificate:
    """The certificates of different cases as that of all cases."""
    if not many:
        return found[0]
    ends = {end: rows.gathered([getattr(c, end) for c in found], True) for end in ("value", "lower", "upper")}
    kinds = {c.kind for c in found}
    if kinds == {"exact"}:
        return Certificate.exact(ends["value"])
    confidence = min((c.confidence for c in found if c.confidence is not None), default=None)
    told = {c.verdict for c in found if c.verdict}
    verdict = next(iter(told)) if len(told) == 1 else f"{len(found)} different rows, each with its interval"
    kind = "probabilistic" if confidence is not None else "bound"
    return Certificate(*ends.values(), kind, confidence, verdict=verdict)
