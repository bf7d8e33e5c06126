"""The most probable states of networks of tables: of all variables or some, the k best, with both ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from tractable.models import BayesianNetwork, ModelError
from tractable.models.evidence import Evidence
from tractable.models.pruning import left
from tractable.models.rows import Rows
from tractable.plan import Ask, BudgetError, Plan, adopted, allowed
from tractable.plan._units import duration
from tractable.plan.budget import anytime
from tractable.plan.most_probable import OneByOne, SearchRun, one_by_one, plan_best
from tractable.plan.summed_out import SumOut, not_observed
from tractable.plan.tables import observed_names, positions
from tractable.posterior._base import MostProbable
from tractable.posterior.certificate import Certificate, weaker
from tractable.posterior.engines.network_cases import Case, by_name
from tractable.posterior.exact.summed_out import Marginal

LEAST = 0.05
"""Seconds that a search has, however many others share its time."""

ROUNDING = 1e-12
"""Of a log probability: what is nearer to a bound has it."""


class Best(NamedTuple):
    """A state of what was asked for [n], its log probability, a bound of the optimum, whether another one ties.

    Where that bound rests on intervals of what others are worth, it holds with this `confidence`. `plan`: as it ran.
    """

    value: Certificate
    states: np.ndarray
    upper: float
    tied: bool = False
    confidence: float | None = None
    plan: Plan | None = None

    def below(self, most: float) -> Best:
        """The same where no log probability is larger than so much."""
        return self._replace(upper=max(min(self.upper, most), float(self.value.lower)))

    @property
    def optimum(self) -> Certificate:
        """What the best has: at least what was found."""
        found = self.value
        if self.confidence is not None:
            upper = max(self.upper, found.value)
            return Certificate(found.value, found.lower, upper, "probabilistic", self.confidence)
        if self.upper == -np.inf or self.upper <= found.value + ROUNDING * max(1.0, abs(found.value)):
            return found
        return Certificate.bound(found.value, lower=found.value, upper=self.upper)


Solver = Callable[[Plan, Case, Any], Any]


def plan(case: Case, ask: Ask, exactly: Callable[[Case, Ask], Plan]) -> Plan:
    """The plan: of rows that observe the same variables, that of the first of them."""
    if ask.targets is not None and not case.given.many:
        not_observed(ask.targets, observed_names(case.model, case.given.states))
    if isinstance(ask.method, Plan):
        return _adopted(case, ask)
    if ask.anytime is not None:  # a search has the seconds that planning leaves
        ask = ask._replace(anytime=ask.anytime._replace(since=time.perf_counter()))
    if case.given.many:
        return _of_rows(case, ask, exactly)
    return plan_best(case.model, case.given, ask, lambda own: exactly(case, own))


def check_rows(case: Case, targets: Sequence[str]) -> None:
    """Refuse targets that a row observes, and say which one."""
    seen = case.given.states[:, positions(case.model, targets)] >= 0
    for row in np.flatnonzero(seen.any(axis=1))[:1].tolist():
        not_observed(targets, observed_names(case.model, case.given.states[row]), f"row {row}: ")


def _of_rows(case: Case, ask: Ask, exactly: Callable[[Case, Ask], Plan]) -> Plan:
    """The plan of many rows: exact ones of all variables share a tree, others are answered one by one."""
    rows, plain = case.given.states, ask.n == 1 and ask.targets is None
    if not len(rows) or (plain and ask.method in ("exact", "elimination", "counting")):
        return replace(exactly(case, ask._replace(targets=None, n=1)), targets=ask.targets)
    ask = _each(ask, len(np.unique(rows, axis=0)))
    found = plan(Case(case.model, Evidence(rows[0]), asked_for=case.asked_for), ask, exactly)
    together = None
    if plain and found.method and not isinstance(found.program, SearchRun):
        together = exactly(case, ask._replace(anytime=None))
    return together if together is not None and together.method else one_by_one(found, rows, ask)


def _each(ask: Ask, n: int) -> Ask:
    """The question about one of `n` rows, which share the patience."""
    terms = ask.anytime
    return ask if terms is None else ask._replace(anytime=terms._replace(patience=terms.patience / n))


def _adopted(case: Case, ask: Ask) -> Plan:
    """A plan made before, for what is observed here."""
    case.one()
    found = adopted(ask.method, case.model.graph, ask, set(observed_names(case.model, case.given.states)))
    if found.n != ask.n or (found.method and found.program is None and found.method == "elimination"):
        raise ModelError("the plan is none for this case: make one by its states, and for as many of the best")
    return found


def solve(plan: Plan, case: Case, key: Any, planned: Callable[[Case, Ask], Plan], run: Solver) -> list[Any]:
    """The best, first one first; of many rows such a list for each."""
    if isinstance(plan.program, OneByOne):
        return list(_rows(plan.program.then, case, key, planned, run))
    if isinstance(plan.program, SumOut | SearchRun):
        most = most_of(case)
        try:
            return [one.below(most) for one in _beyond(plan, case, key, planned, run)]
        except UnfoundError as error:
            raise nothing_found(plan, min(error.upper, most)) from None
    value, states = run(plan, case, key)
    if case.given.many:
        ended = zip(np.atleast_1d(value).tolist(), states, strict=True)
        return [[Best(Certificate.exact(v), own, v)] if v > -np.inf else [] for v, own in ended]
    return [Best(Certificate.exact(value), states, value)] if value > -np.inf else []


class UnfoundError(Exception):
    """A search has met no state of positive probability, and has not shown that there is none: a bound of all."""

    def __init__(self, upper: float):
        super().__init__(upper)
        self.upper = upper


def most_of(case: Case) -> float:
    """The most that a log probability can be: that of what was heard of softly, where all other evidence is a state."""
    if not isinstance(case.model, BayesianNetwork):
        return np.inf
    return float(sum(np.log(np.max(weights)) for weights in case.given.likelihoods.values()))


def _beyond(plan: Plan, case: Case, key: Any, planned: Any, run: Solver) -> list[Best]:
    """What is found beyond one walk along a tree: sums first, a search, both at once."""
    if isinstance(plan.program, SumOut):
        return _summed_out(plan, case, key, planned, run)
    return _mixed(plan, case, key) if plan.program.mixed else _searched(plan, case, key)


def _rows(ask: Ask, case: Case, key: Any, planned: Any, run: Solver) -> Iterator[list[Best]]:
    """The answers to rows, those that are alike once, each in its share of the time that is left."""
    terms = ask.anytime or anytime(None)
    rows, which = np.unique(case.given.states, axis=0, return_inverse=True)
    end, found = time.perf_counter() + terms.seconds, []
    for k, row in enumerate(rows):
        share = max((end - time.perf_counter()) / (len(rows) - k), LEAST)
        own = ask if ask.anytime is None else ask._replace(anytime=terms._replace(seconds=min(share, terms.seconds)))
        one = Case(case.model, Evidence(row), asked_for=case.asked_for)
        try:
            found.append(solve(allowed(planned(one, own)), one, key, planned, run))
        except BudgetError as error:
            place = int(np.flatnonzero(which.ravel() == k)[0])
            raise BudgetError(replace(error.plan, reason=f"row {place}: {error.plan.why}")) from None
    yield from (found[k] for k in which.ravel().tolist())


def _summed_out(plan: Plan, case: Case, key: Any, planned: Any, run: Solver) -> list[Best]:
    """The best of the network over the targets that is left when all else is summed out."""
    since = time.perf_counter()
    rest = Marginal(case.model, case.given, plan.targets or (), plan.program)
    if rest.log_constant == -np.inf:
        return []
    network = rest.network
    inner = Case(network, Evidence(np.full(len(network.states), -1, np.int32)))
    then, terms = plan.program.then, plan.program.then.anytime
    if terms is not None:  # the sums were a part of the time
        left_over = max(terms.seconds - (time.perf_counter() - since), LEAST)
        then = then._replace(anytime=terms._replace(seconds=left_over))
    second = plan.program.ran or allowed(planned(inner, then))
    constant = rest.log_constant
    try:
        found = _inner(second, inner, key, planned, run)
    except UnfoundError as error:
        raise UnfoundError(error.upper + constant) from None
    ran = replace(plan, program=plan.program._replace(ran=found[0].plan or second)) if found else None
    return [
        Best(one.value + constant, rest.original(one.states[None])[0], one.upper + constant, one.tied, plan=ran)
        for one in found
    ]


def _inner(plan: Plan, case: Case, key: Any, planned: Any, run: Solver) -> list[Best]:
    """The best of a network that sums have left."""
    if isinstance(plan.program, SearchRun):
        return _beyond(plan, case, key, planned, run)
    return solve(plan, case, key, planned, run)


def _searched(plan: Plan, case: Case, key: Any) -> list[Best]:
    """The best of all variables, by a search."""
    from tractable.posterior.approximate import branch_and_bound  # a question that is small does not wait for it
    from tractable.posterior.exact.walk import original

    reduced = left(case.model, case.given, "map")
    if reduced.impossible:
        return []
    found = branch_and_bound.best(reduced.tables, plan.program, key)
    states, constant = original(reduced, found.states), reduced.log_constant
    if not len(states) and found.rest > -np.inf:
        raise UnfoundError(found.rest + constant)
    ran = replace(plan, program=plan.program._replace(ran=found.ran)) if found.ran else None
    return [
        Best(Certificate.exact(value + constant), own, upper + constant, tied, plan=ran)
        for value, own, upper, tied in zip(found.values, states, found.upper, found.tied, strict=True)
    ]


def _mixed(plan: Plan, case: Case, key: Any) -> list[Best]:
    """The best of some variables, where the sum over the others is itself too expensive."""
    module = import_module("tractable.posterior.approximate.marginal_map")
    found, rest, ran = module.best(case.model, case.given, plan, key)
    if not found and rest > -np.inf:
        raise UnfoundError(rest)
    own = replace(plan, program=plan.program._replace(ran=ran)) if ran else None
    return [Best(*one, plan=own) for one in found]


def nothing_found(plan: Plan, upper: float) -> BudgetError:
    """The error where a search has met no state of positive probability, and has not shown that there is none."""
    told = f"no state of positive probability was found in {duration(plan.seconds)}; log p <= {upper:.6g}"
    return BudgetError(replace(plan, method=None, reason=f"{told}; more seconds may find one"))


# ---------------------------------------------------------------- records


def records(case: Case, found: list[Any], plan: Plan, names: Sequence[str]) -> list[MostProbable]:
    """The answer about these variables; of rows a column for each, None where a row has no more."""
    if case.given.many:
        return [_column(case, found, j, plan, names) for j in range(max([1, *map(len, found)]))]
    if not found:
        raise case.impossible("no state is possible")
    told = [(_named(case, one.states, names), one) for one in found]
    return [
        MostProbable(states, one.value, one.plan or plan, None, one.optimum, bool(one.tied)) for states, one in told
    ]


def _named(case: Case, states: np.ndarray, names: Sequence[str]) -> dict[str, str]:
    return {v: str(case.states[v][s]) for v, s in zip(names, states.tolist()[: len(names)], strict=True)}


def _column(case: Case, found: list[list[Best]], j: int, plan: Plan, names: Sequence[str]) -> MostProbable:
    """The j-th best of every row."""
    none = Best(Certificate.exact(-np.inf), np.full(len(names), -1, np.int32), -np.inf)
    ranked = [own[j] if j < len(own) else none for own in found]
    codes = np.array([one.states[: len(names)] for one in ranked], np.int32).reshape(len(found), len(names))
    assignment: Rows = by_name({v: case.states[v] for v in names}, dict(zip(names, codes.T, strict=True)))
    value, optimum = (_numbers([getattr(one, what) for one in ranked]) for what in ("value", "optimum"))
    return MostProbable(assignment, value, plan, None, optimum, np.array([one.tied for one in ranked], bool))


def _numbers(found: Sequence[Certificate]) -> Certificate:
    """A number for each row."""
    if all(one.kind == "exact" for one in found):
        return Certificate.of_cases(np.array([one.value for one in found], np.float64))
    value, lower, upper = (
        np.array([getattr(one, e) for one in found], np.float64) for e in ("value", "lower", "upper")
    )
    confidence = min((one.confidence for one in found if one.confidence is not None), default=None)
    return Certificate(value, lower, upper, weaker(*(one.kind for one in found)), confidence)
