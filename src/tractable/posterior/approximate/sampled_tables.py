"""The E-step of a network of which some rows are too wide: exact where it can be, elsewhere by weighted draws.

Rows are cut into cases as for the exact one (`components.py`). A group of cases that the budget refuses, or that would
take long, is drawn instead (`weighted_cases.py`): an order of elimination and the parts of its buckets are raced on one
case of the group, and bounds of the others begin where its bound ended. All ends of a step hold together: the
probability to miss is divided over its cases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tractable.kernels.mini_buckets import BATCH
from tractable.kernels.threads import in_order, n_cores
from tractable.models import BayesianNetwork, ModelError
from tractable.models.emissions import Statistics
from tractable.models.observations import Observations
from tractable.plan import BudgetError, Memory, ask
from tractable.plan.mini_buckets import CORES
from tractable.posterior.approximate.joint_bets import LEAST_SPREAD, BlockMeans, CaseDraws, ends, least_mean
from tractable.posterior.approximate.mini_buckets import TOO_LITTLE
from tractable.posterior.approximate.weighted_cases import (
    PIECE,
    CaseTables,
    DrawsAsked,
    Splitting,
    Start,
    WeightedCase,
    split,
    started,
    weighted,
)
from tractable.posterior.certificate import Certificate
from tractable.posterior.exact.cases_of_tables import answered, planned
from tractable.posterior.exact.components import Program
from tractable.posterior.exact.expected_tables import (
    COUNT,
    Prepared,
    by_rows,
    impossible,
    needs,
    times_logs,
    weighed,
)
from tractable.posterior.expected import Expected, Told, UnderBound

WORK = 2e10
"""Multiply-adds up to which the cases of a group are answered exactly."""

HOPELESS = 64.0
"""Times as many for the first order: no other one is sought."""

ORDERS = 4
"""Ways to split the buckets of a group that race."""

SWEPT, LEAST, MOST = 2e7, 2.0**14, 2.0**24
"""Entries of the parts of all cases of a step together, and of one case at least and at most."""


class SampledGroup(NamedTuple):
    """DrawnCases that are drawn: their numbers among all, their tables, and the ways to split their buckets."""

    numbers: np.ndarray
    tables: CaseTables
    parts: list[Splitting]


class DrawnCases(NamedTuple):
    """What is drawn, by its cases of positive weight: weights [n], numbers among all cases, and what came of each."""

    weights: np.ndarray
    numbers: np.ndarray
    found: list[WeightedCase]

    def total(self, name: str) -> float:
        """The sum over rows of a number of each case."""
        return sum(w * getattr(one, name) for w, one in zip(self.weights.tolist(), self.found, strict=True))

    def split(self) -> tuple[DrawnCases, DrawnCases]:
        """Those that draws were needed for, and the others."""
        needed = np.array([one.seen is not None for one in self.found], bool)
        return self._some(needed), self._some(~needed)

    def _some(self, which: np.ndarray) -> DrawnCases:
        found = [self.found[i] for i in np.flatnonzero(which)]
        return DrawnCases(self.weights[which], self.numbers[which], found)


def expected_statistics(
    model: BayesianNetwork, rows: Observations, weights: np.ndarray | None, how: UnderBound, memory: Memory = None
) -> Expected:
    """The E-step: expected entries of each table under q, and log p(x), ELBO and KL with their ends.

    Raises
    ------
    ModelError : a row of probability zero, or of which no draw has a positive weight, unless `how` is not strict.
    BudgetError : memory that does not suffice for the smallest bound of a row.
    """
    exact, groups = _prepared(model, rows, memory)
    program = exact.program
    weight = weighed(program, rows, weights)
    theta = program.layout.extended(model.packed.values)
    own, counts = weight.cases.copy(), weight.counts.copy()
    own[np.concatenate([np.zeros(0, np.int64), *(group.numbers for group in groups)])] = 0
    log_z = answered(program, exact.plans, theta, own, counts)
    known = float(own @ log_z) + times_logs(weight.counts, theta)
    cases = _drawn(groups, (theta, weight.cases, counts), how, ask("marginals", memory).budget.memory)
    if how.strict and not known + cases.total("log_z") > -np.inf:
        counting = np.ones(len(rows), bool) if weights is None else weights > 0
        log_z[cases.numbers] = [one.log_z if one.bound == -np.inf else 0.0 for one in cases.found]
        found = _impossible(rows, by_rows(program, rows, theta, log_z), counting)
        raise found or _unseen(program, rows, cases, how)
    told = _told(known, cases, how)
    values = [float(certificate.value) for certificate in told]
    return Expected(Statistics({COUNT: counts[program.layout.places]}), *values, told=told)  # pyright: ignore


def _prepared(model: BayesianNetwork, rows: Observations, memory: Memory) -> tuple[Prepared, list[SampledGroup]]:
    """Worked out once for rows of data and a structure."""
    whole = rows if rows.whole is None else rows.whole
    key = ("sampled", tuple(model.parents.items()), tuple(map(len, model.states.values())), memory)
    if key not in whole.memo:
        exact = Prepared(*planned(model, whole.states, memory, HOPELESS * WORK))
        whole.memo[key] = exact, list(_sampled(exact, ask("marginals", memory).budget.memory))
    return whole.memo[key]


def _sampled(exact: Prepared, memory: float) -> Iterator[SampledGroup]:
    """The groups that are drawn."""
    program, first, wide = exact.program, exact.program.kernel.n_cases, []
    for group, plan in zip(program.contracted, exact.plans, strict=True):
        if plan.method is None or plan.flops * len(group.base) > WORK:
            wide.append((np.arange(first, first + len(group.base)), group, plan))
        first += len(group.base)
    entries = float(np.clip(SWEPT / max(sum(len(numbers) for numbers, *_ in wide), 1), LEAST, MOST))
    for numbers, group, plan in wide:
        tables = CaseTables(program.layout, group)
        parts = split(tables, ORDERS, entries, memory / CORES)
        if not parts:
            raise BudgetError(replace(plan, method=None, reason=TOO_LITTLE))
        yield SampledGroup(numbers, tables, parts)


class CaseWork(NamedTuple):
    """A case to draw: its group, its number there; where its bound begins, which it finds by itself if it is alone."""

    group: SampledGroup
    case: int
    start: Start | None


def _drawn(
    groups: list[SampledGroup], given: tuple[np.ndarray, np.ndarray, np.ndarray], how: UnderBound, memory: float
) -> DrawnCases:
    """All cases of positive weight, whose counts are added to those given."""
    theta, weights, counts = given
    numbers = np.concatenate([np.zeros(0, np.int64), *(g.numbers[weights[g.numbers] > 0] for g in groups)])
    level = (1 - how.confidence) / 4 / max(len(numbers), 1)

    def one(work: CaseWork) -> tuple[CaseWork, WeightedCase]:
        (own, tables, parts), case, start = work
        room = memory / 4 / (BATCH * 12 * len(tables.sizes))
        asked = DrawsAsked(how.draws, level, int(np.clip(room, 1, PIECE)))
        seed = np.random.default_rng([*how.seed, int(own[case])]).integers(2**62, size=2)
        values = theta[tables.entries(case)]
        start = started(parts, tables.tables(values)) if start is None else start
        return work, weighted(tables, values, start, asked, seed)

    most = max((parts.bytes for group in groups for parts in group.parts), default=0.0)
    work, out = _work(groups, theta, weights), []
    for (group, case, _), found in in_order(one, work) if most * n_cores() <= memory else map(one, work):
        if found.counts is not None:
            counts[group.tables.entries(case)] += weights[group.numbers[case]] * found.counts
        out.append(found._replace(counts=None if found.counts is None else NO_COUNTS))
    return DrawnCases(weights[numbers], numbers, out)


NO_COUNTS = np.zeros(0)
"""In place of counts that have been added up."""


def _work(groups: list[SampledGroup], theta: np.ndarray, weights: np.ndarray) -> Iterator[CaseWork]:
    """All cases of positive weight, group by group."""
    for group in groups:
        cases, start = np.flatnonzero(weights[group.numbers] > 0).tolist(), None
        if len(cases) > 1:
            start = started(group.parts, group.tables.tables(theta[group.tables.entries(cases[0])]))
        yield from (CaseWork(group, case, start) for case in cases)


def _impossible(rows: Observations, log_p: np.ndarray, counting: np.ndarray) -> ModelError | None:
    """The error about a row of probability zero, if there is one."""
    bad = np.isneginf(log_p) & counting
    return impossible(rows, bad) if bad.any() else None


def _unseen(program: Program, rows: Observations, cases: DrawnCases, how: UnderBound) -> ModelError:
    """The error about a row for which nothing of positive weight was found."""
    case, one = next((i, one) for i, one in zip(cases.numbers, cases.found, strict=True) if one.counts is None)
    places, needed = needs(program, rows)
    row = int(places[needed == case].min())
    row = row if rows.chosen is None else int(rows.chosen[row])
    return ModelError(
        f"row {row}: none of {how.draws:,} draws of what it hides had a positive weight, log p <= {one.bound:.6g}:"
        " take more draws, MiniBucketsEStep(draws=…), or begin with tables without zeros"
    )


def _told(known: float, cases: DrawnCases, how: UnderBound) -> Told:
    """What is known exactly and what was drawn, added up."""
    log_p, elbo, lower, upper = (known + cases.total(name) for name in ("log_z", "elbo", "lower", "upper"))
    if lower == upper:
        return Told(*map(Certificate.exact, (upper, upper, 0.0)))
    most = cases.total("kl_upper")
    if lower > -np.inf:
        together = _together(cases, how)
        lower, upper = max(lower, known + together.lower), min(upper, known + together.upper)
        most = min(most, max(0.0, upper - known - together.elbo))
    log_p = min(max(log_p, lower), upper)
    kl = min(max(0.0, log_p - elbo), most)
    error = float(np.hypot.reduce(cases.weights * [one.std_error for one in cases.found]))
    gap = np.mean([one.bound - one.log_z for one in cases.found])
    verdict = f"{len(cases.found):,} different cases, {how.draws:,} draws each under bounds {gap:.2g} above on average"
    sure = ("probabilistic", how.confidence)
    return Told(
        Certificate(log_p, lower, upper, *sure, error, verdict),
        Certificate(log_p - kl, lower - most, upper, *sure, error, verdict),
        Certificate(kl, 0.0, most, *sure, verdict=verdict),
    )


class Together(NamedTuple):
    """Ends of the sum of log Z, and the lower one of that of E[log R], by bets on the draws of all cases."""

    lower: float
    upper: float
    elbo: float


def _together(cases: DrawnCases, how: UnderBound) -> Together:
    """A quarter of the probability to miss for each; beside it what is exact."""
    drawn, exact = cases.split()
    c, level = drawn.weights, (1 - how.confidence) / 4
    log_x, mass, log_f, least, mean, spread, blocks, width = (
        np.array(column) for column in zip(*(one.seen or () for one in drawn.found), strict=True)
    )
    low, high = ends(CaseDraws(c, how.draws, log_x, mass, log_f, least, mean, spread), level)
    base = exact.total("log_z") + drawn.total("scale")
    foreseen = np.logaddexp(0.0, np.log(np.maximum(mean, 1e-300)) - log_f)
    variance = np.maximum(spread, LEAST_SPREAD) / (how.draws // blocks.shape[1])
    elbo = least_mean(c, BlockMeans(blocks, width, foreseen, variance), level)
    return Together(base + low, base + high, base + float(c @ log_f) + elbo)
