"""Cases of evidence about a network of tables answered by intervals: `mini_buckets.py` for each, and what it says."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from tractable.kernels import Reduced, Tables
from tractable.models.keys import generator
from tractable.plan import BudgetError, Plan
from tractable.plan._units import duration
from tractable.plan.counting import ZEROS
from tractable.plan.mini_buckets import IntervalRun, Ran, interval_in
from tractable.plan.outlook import log_width
from tractable.plan.tables import positions
from tractable.posterior.approximate.acceptance import sampled
from tractable.posterior.approximate.mini_bucket_rows import drawn_alike
from tractable.posterior.approximate.mini_buckets import TOO_LITTLE, ImportanceSample, Questions, drawn
from tractable.posterior.approximate.some_states import log_sum_of_some
from tractable.posterior.approximate.table_rows import Estimated, TableCases
from tractable.posterior.certificate import KINDS, Certificate
from tractable.posterior.exact.elimination import over_states
from tractable.posterior.exact.joint import free_among, spread

AHEAD = 6.0
"""What is foreseen is for so many times the seconds that it took."""


VAGUE, LONG = 15.0, 10.0
"""Gaps, in nats, of which draws tell nothing: zeros may; and the seconds that all effort in these belongs to."""


class Bracket(NamedTuple):
    """Of one case: log Z, the marginals of what is asked for, None if impossible, and how it ran."""

    log_z: Certificate
    marginals: Certificate | None
    ran: Ran | None


def solve(plan: Plan, case: Any, key: Any) -> Any:
    """What was planned, run: the different cases one after the other, each on all cores, those alike in turn."""
    start, cases, program = time.perf_counter(), TableCases.of(plan, case), plan.program
    if plan.query == "sample":
        return sampled(plan, case, cases.base, generator(key))
    seed = int(generator(key).integers(2**62))
    names = case.states if plan.targets is None else plan.targets
    asked = [] if plan.query == "evidence" else list(names)
    places = np.array(positions(case.model, asked), np.int64)
    found: dict[int, Bracket] = {}
    sets = cases.alike()
    spent = program.spent + time.perf_counter() - start
    for alike in sets:
        share = len(alike) / cases.n
        own = program._replace(seconds=share * program.seconds, spent=share * spent)
        for i, bracket in zip(alike, bracketed(map(cases.one, alike), len(alike), (own, seed), places), strict=True):
            if bracket is None:
                raise BudgetError(replace(plan, method=None, reason=TOO_LITTLE))
            found[i] = bracket
    return _gathered(plan, cases, [found[i] for i in range(cases.n)], sum(len(case.model.states[v]) for v in asked))  # pyright: ignore


def _gathered(plan: Plan, cases: TableCases, found: list[Bracket], n_states: int) -> Estimated:
    """The answers to different cases as those to all."""
    first = found[0]
    if cases.different is None:
        ran = plan if first.ran is None else replace(plan, program=plan.program._replace(ran=first.ran))
        return Estimated(first.log_z, None if plan.query == "evidence" else first.marginals, ran)
    nothing = Certificate.exact(np.full(n_states, np.nan))
    log_z = _over_rows(cases, [one.log_z for one in found])
    marginals = [nothing if one.marginals is None else one.marginals for one in found]
    return Estimated(log_z, None if plan.query == "evidence" else _over_rows(cases, marginals))


IMPOSSIBLE = Bracket(Certificate.exact(-math.inf), None, None)


def bracketed(
    rows: Iterator[Reduced], n: int, how: tuple[IntervalRun, int], places: np.ndarray
) -> Iterator[Bracket | None]:
    """Intervals of what n cases that are alike leave of a network; None where the memory allows nothing."""

    def asked(reduced: Reduced) -> tuple[Tables, Questions]:
        index = np.unique(reduced.index[places])
        return reduced.tables, Questions.of(reduced.tables.sizes, [[v] for v in index[index >= 0].tolist()])

    first = next(rows)
    if first.impossible:
        yield from [IMPOSSIBLE] * n
        return
    samples = drawn_alike(chain([first], rows), n, how, asked) if n > 1 else [(first, drawn(*asked(first), *how))]
    program = how[0]._replace(seconds=how[0].seconds / n)
    for reduced, found in samples:
        if found is None or found.bound == -math.inf:
            yield found and IMPOSSIBLE
            continue
        log_z = _log_partition(found._replace(bound=found.bound + reduced.log_constant), program)
        if log_z.upper - log_z.value > VAGUE and reduced.tables.zeros >= ZEROS:
            some = log_sum_of_some(reduced.tables, found.ran.seed, min(program.seconds / LONG, 1.0))
            log_z = _at_least(log_z, some + reduced.log_constant)
        yield Bracket(log_z, _marginals(found, reduced, places, program), found.ran)


def joint(plan: Plan, case: Any, variables: Sequence[str]) -> Certificate:
    """The joint marginal of some variables, an axis for each in the order given: the draws of the plan, as it ran."""
    found, program, reduced, free = _redrawn(plan, case, variables)
    places = positions(case.model, variables)
    told = found.bets.marginals(program.confidence) if free else Certificate.exact(np.ones(1))
    sizes = reduced.tables.sizes[free]
    return told.map(lambda a: spread(reduced, places, a.reshape(sizes)))


def mean(plan: Plan, case: Any, variables: Sequence[str], values: np.ndarray) -> Certificate:
    """The mean of a function of some variables, given by its values with an axis for each, by the draws of the plan."""
    found, program, reduced, free = _redrawn(plan, case, variables)
    starts, places = np.concatenate([[0], np.cumsum(reduced.sizes)]), positions(case.model, variables)
    possible = values[np.ix_(*(reduced.kept[starts[i] : starts[i] + reduced.n_kept[i]] for i in places))]
    own = [int(reduced.index[i]) for i in places if reduced.index[i] >= 0]
    left = possible.reshape(reduced.tables.sizes[own]).transpose([own.index(v) for v in free])
    if not free:
        return Certificate.exact(float(left.reshape(-1)[0]))
    told = found.bets.mean_of(0, left.ravel().tolist(), 1 - program.confidence)
    value, lower, upper = map(float, told)
    return Certificate(value, lower, upper, "probabilistic", program.confidence)


def _redrawn(
    plan: Plan, case: Any, variables: Sequence[str]
) -> tuple[ImportanceSample, IntervalRun, Reduced, list[int]]:
    """Draws of the joint states of variables: those of the plan, where its network has all of them."""
    case.one()
    interval = interval_in(plan)
    program = interval.program
    reduced = case.left(interval.query, interval.targets)
    if interval.query == "evidence" or not {*variables} <= {*(interval.targets or case.states)}:
        reduced, program = case.left("marginals", tuple(variables)), program._replace(ran=None)
    free = free_among(reduced, positions(case.model, variables))
    found = drawn(reduced.tables, Questions.of(reduced.tables.sizes, [free] if free else []), program, 0)
    if found is None:
        raise BudgetError(replace(plan, method=None, reason=TOO_LITTLE))
    return found, program, reduced, free


def _log_partition(found: ImportanceSample, program: IntervalRun) -> Certificate:
    if found.whole:
        return Certificate.exact(found.bound)
    if not found.bets.n_draws:
        told = f"interrupted before anything was drawn; log Z <= {found.bound:.6g}" if found.interrupted else ""
        return replace(Certificate.bound(found.bound, upper=found.bound), verdict=told)
    told = found.bets.log_partition(found.bound, program.confidence)
    upper = "bound" if told.upper == found.bound else "probabilistic"
    return replace(told, upper_kind=upper, verdict=_verdict(found, told, program))


def _at_least(told: Certificate, least: float) -> Certificate:
    """The interval, where the sum over some states that a search has found lies above its lower end."""
    if least <= told.lower:
        return told
    verdict = f"{told.verdict}; a search found states that together give log Z >= {least:.6g}"
    value = max(told.value, least)
    upper_kind = told.upper_kind
    confidence = None if upper_kind == "bound" else told.confidence
    return Certificate(value, least, told.upper, "bound", confidence, None, verdict, "bound", upper_kind)


def _verdict(found: ImportanceSample, told: Certificate, program: IntervalRun) -> str:
    """How much was drawn, and what more time would give."""
    n, told_off = found.bets.n_draws, "interrupted: " if found.interrupted else ""
    if told.value == -math.inf:
        return f"no state of positive weight found in {n:,} draws; log Z <= {told.upper:.6g}"
    spread, gap = n * float(told.std_error) ** 2, max(found.bound - told.value, 0.0)
    more = log_width((1 + AHEAD) * n, gap, spread, 1 - program.confidence)
    in_time = (
        f"{duration(AHEAD * program.seconds)} more would" if program.draws is None else f"{AHEAD:.0f} times more would"
    )
    return f"{told_off}{n:,} draws under a bound {gap:.3g} above; {in_time} give about ±{more / 2:.2g}"


def _marginals(
    found: ImportanceSample, reduced: Reduced, places: np.ndarray, program: IntervalRun
) -> Certificate | None:
    """Of all states of the variables at these places."""
    sizes, index = reduced.tables.sizes, reduced.index[places]
    drawn_of = np.isin(np.arange(len(sizes)), index)
    told = found.bets.marginals(program.confidence) if drawn_of.any() else Certificate.exact(np.empty(0))
    own, starts = np.repeat(drawn_of, sizes), [0, *np.cumsum(reduced.sizes).tolist()]
    columns = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in places] or [np.empty(0, np.int64)])

    def laid_out(values: np.ndarray) -> np.ndarray:
        whole = np.full(len(own), np.nan)
        whole[own] = values
        return over_states(reduced, whole)[columns]

    return told.map(laid_out)


def _over_rows(cases: TableCases, found: list[Certificate]) -> Certificate:
    """The certificates of different cases as that of all cases: as sure as the least sure."""
    value, lower, upper = (cases.gathered([getattr(c, end) for c in found]) for end in ("value", "lower", "upper"))
    kind, *_ = sorted((c.kind for c in found), key=KINDS.index, reverse=True)
    if kind == "exact":
        return Certificate.exact(value)
    confidence = min((c.confidence for c in found if c.confidence is not None), default=None)
    told = f"{len(found):,} different rows, each with an interval of its own" if len(found) > 1 else found[0].verdict
    return Certificate(value, lower, upper, kind, confidence, verdict=told)
