"""Cases of evidence about a network of tables, and what was planned for them, run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tractable._cached import cached_property
from tractable.kernels import Reduced, TreeThatRan
from tractable.models import ModelError
from tractable.models.conditioning import TableModel
from tractable.models.contradiction import contradiction
from tractable.models.evidence import Evidence, findings
from tractable.models.keys import generator
from tractable.models.pruning import barren, left
from tractable.models.rows import Rows, as_names
from tractable.plan import Ask, Beside, Budget, BudgetError, ByTarget, ContractionTree, Instead, Plan, Query, allowed
from tractable.plan.networks import OneCase
from tractable.plan.sparse import opened_for, padded
from tractable.plan.tables import free_names, named, observed_names, plan_samples, positions, priced
from tractable.posterior.certificate import Certificate, ImpossibleEvidenceError
from tractable.posterior.exact.ancestral import draw_given_parents
from tractable.posterior.exact.counting import most_probable_by_search, samples_by_search, sum_by_search
from tractable.posterior.exact.elimination import conditioned, fitted, scopes_of, sum_product, within
from tractable.posterior.exact.joint import checked_names, joint_table, summed_up
from tractable.posterior.exact.walk import most_probable_states, sample_states


class Answer(NamedTuple):
    """log Z, or the plan that was refused it, and the marginals over the states of what is asked for, side by side.

    Of many cases they have an axis of rows in front.
    """

    log_partition: Certificate | Plan
    marginals: np.ndarray | Certificate | None
    plan: Plan | None = None  # as it ran, where that can be repeated


ESTIMATED_BY = {
    "belief_propagation": "tractable.posterior.approximate.belief_propagation",
    "gibbs": "tractable.posterior.approximate.table_gibbs",
    "mean_field": "tractable.posterior.approximate.structured_mean_field",
    "mini_buckets": "tractable.posterior.approximate.intervals",
}
"""The module whose `solve` runs each estimate of `plan.estimates`; no other question waits for these."""


@dataclass(eq=False)
class Case:
    """One case of evidence about a network, or many; `ran` is the tree of an answer that was planned on the way."""

    model: TableModel
    given: Evidence
    budget: Budget | None = None
    ran: TreeThatRan | None = None
    asked_for: TableModel | None = None
    """The network that was asked about, where `model` has variables besides."""

    targets: tuple[str, ...] | None = None
    """The variables asked for, where these are not all."""

    source: Case | None = None
    """The case before sparse tables were made dense for a question: another question may leave other ones."""

    @property
    def states(self) -> Mapping[str, Sequence[str]]:
        """The states of the variables that were asked about."""
        return (self.asked_for or self.model).states

    def opened(self, ask: Ask) -> Case:
        """The case as it is computed with: about a network without sparse tables.

        Raises
        ------
        BudgetError : what the evidence leaves of these is more than the budget allows.
        """
        if not self.model.sparse:
            return self
        if isinstance(ask.method, Plan):
            ask = ask._replace(query=ask.method.query, targets=ask.method.targets)
        whole = self._opened(self.given, ask)
        if isinstance(ask.method, Plan) and whole.graph != ask.method.structure:  # one by names cuts nothing out
            seen = observed_names(self.model, self.given.states)
            whole = self._opened(Evidence(np.full_like(self.given.states, -1)), ask, seen)
        return Case(whole, padded(self.given, whole), asked_for=self.asked_for or self.model, source=self)

    def _opened(self, given: Evidence, ask: Ask, seen: Sequence[str] = ()) -> TableModel:
        found = opened_for(self.model, given, ask, seen)
        if isinstance(found, Plan):
            raise BudgetError(found)
        return found

    @property
    def evidence(self) -> dict[str, Any]:
        """What is observed, by names."""
        return findings(self.states, self.given)

    @property
    def many(self) -> bool:
        """Whether there are many cases."""
        return self.given.many

    def left(self, query: Query, targets: Sequence[str] | None = None) -> Reduced:
        """What the evidence leaves of the network for a query; of many cases, what their names leave."""
        asked = None if targets is None else tuple(targets)
        if self.many:
            seen = np.array([*self.model.states, ""], object)[:-1][(self.given.states >= 0).any(axis=0)].tolist()
            return named(self.model, seen, query, asked)
        found = self.known.get((query, asked)) or self.asking(None).left(query, asked)
        return found[0]

    @cached_property
    def known(self) -> dict[Any, Any]:
        """What is left of the network for a query, see `OneCase.left`."""
        return {}

    def asking(self, ask: Any) -> OneCase:
        """The one case as the room `plan` sees it, with what is known of it already."""
        return OneCase(self.model, self.given, ask, self.known)

    @cached_property
    def plan(self) -> Plan:
        """The plan of a question that was planned and answered in one call: the tree that ran."""
        assert self.ran is not None and self.budget is not None
        reduced = self.left("marginals", self.targets)
        scopes = scopes_of(reduced.tables)
        tree = ContractionTree(scopes, self.ran.pairs(scopes.m), self.ran.cost)
        seen, ask = observed_names(self.model, self.given.states), Ask("marginals", self.budget, targets=self.targets)
        found = priced(tree, lambda: free_names(self.model, reduced), self.model.graph, seen, ask)
        return self.asking(ask).explained(found, reduced)

    def joint(self, plan: Plan, variables: Sequence[str]) -> np.ndarray:
        """The joint posterior over several variables."""
        return self.joint_certificate(plan, variables).value

    def joint_certificate(self, plan: Plan, variables: Sequence[str]) -> Certificate:
        """The joint posterior over several variables, with its certificate: exact, or an interval as the plan has."""
        self.one()
        if plan.method == "mini_buckets":
            from tractable.posterior.approximate.intervals import joint

            return joint(plan, self, checked_names(self.model, variables))
        assert plan.budget is not None
        case = (self.source or self).opened(Ask("joint", plan.budget, targets=tuple(as_names(variables) or ())))
        return Certificate.exact(joint_table(case.model, case.given, variables, Ask("joint", plan.budget)))

    def mean(self, plan: Plan, variables: Sequence[str], values: Any) -> Certificate:
        """The posterior mean of a function of several variables, by its value in each of their joint states."""
        self.one()
        names, table = checked_names(self.model, variables), np.asarray(values, np.float64)
        sizes = tuple(len(self.model.states[v]) for v in names)
        if table.shape != sizes or not np.isfinite(table).all():
            raise ModelError(f"a function of {', '.join(names)} has finite values [{', '.join(map(str, sizes))}]")
        if plan.method == "mini_buckets":
            from tractable.posterior.approximate.intervals import mean

            return mean(plan, self, names, table)
        return Certificate.exact(float((self.joint(plan, names) * table).sum()))

    def draw(self, plan: Plan, n: int, key: Any) -> dict[str, np.ndarray]:
        """`n` exact samples of all variables."""
        self.one()
        assert plan.budget is not None
        ask = Ask("sample", plan.budget, n=n)
        if plan.method == "gibbs":
            return solve(replace(plan, query="sample", n=n), self, key)
        if plan.method == "mini_buckets":
            from tractable.plan.mini_buckets import for_samples

            return solve(for_samples(self.model, self.given, plan, n), self, key)
        if self._has_tree(plan):
            return _drawn(self, plan_samples(plan, len(self.model.states), ask), key)
        case = (self.source or self).opened(ask)
        return _drawn(case, case.asking(ask).price("sample", None, 1.0), key)

    def _has_tree(self, plan: Plan) -> bool:
        """Whether a plan of marginals holds the tree that samples are drawn down: nothing of it can be left out."""
        return isinstance(plan.program, ContractionTree) and plan.targets is None and not barren(self.model, self.given)

    def in_names(self, found: dict[str, np.ndarray]) -> Rows:
        """State indices as names of states."""
        return by_name(self.states, found)

    def contradiction(self) -> str:
        """Which findings rule each other out, to go on within a sentence; empty where the zeros do not show it."""
        told = "" if self.many else contradiction(self.model, self.given)
        return f", as {told}" if told else ""

    def impossible(self, what: str) -> ImpossibleEvidenceError:
        """The error where there is nothing to answer with."""
        return ImpossibleEvidenceError(
            f"the evidence has probability zero under the model{self.contradiction()}: {what}"
        )

    def one(self) -> None:
        """Raise where there are many cases."""
        if self.many:
            raise ModelError("this needs one case, the evidence holds many; pick a row of it")

    def __getstate__(self) -> dict[str, Any]:
        return {"known": {}} | {
            name: vars(self)[name] for name in ("model", "given", "budget", "ran", "asked_for", "targets", "source")
        }


def _ready(case: Case, plan: Plan) -> tuple[Reduced, ContractionTree | None]:
    """The conditioned network and the tree that runs on it."""
    tree = plan.program
    if tree is None or tree.leaves is None:
        return case.left(plan.query, plan.targets), tree
    base = named(case.model, plan.observed, plan.query, plan.targets)
    rest = within(tree, conditioned(base, case.given.states))
    return rest, fitted(tree, rest)


def solve(plan: Plan, case: Case, key: Any) -> Any:
    """What was planned, run: marginals, log Z, the most probable states or samples."""
    if isinstance(plan.program, tuple):  # in parts, or of an estimate
        parts = {ByTarget: _by_target, Beside: _beside, Instead: _instead}.get(type(plan.program))
        if parts is not None:
            return parts(plan, case, key)
    if plan.method in ESTIMATED_BY:
        found = import_module(ESTIMATED_BY[plan.method]).solve(plan, case, key)
        return found if plan.query == "sample" else Answer(*found)
    if case.given.many:
        return _many(plan, case)
    if plan.query == "sample":
        return _drawn(case, plan, key)
    return _by_search(plan, case) if plan.method == "counting" else _by_elimination(plan, case)


def _many(plan: Plan, case: Case) -> Any:
    if plan.method == "counting":
        return _rows_by_search(plan, case)
    if plan.query == "map":
        return _most_probable_rows(case, plan)
    from tractable.posterior.exact.batch import solve_rows  # a query of one case does not wait for it

    rows = solve_rows(case.model, case.left(plan.query, plan.targets), case.given.states, plan)
    return Answer(Certificate.of_cases(rows.log_z), rows.marginals)


def _by_elimination(plan: Plan, case: Case) -> Any:
    reduced, tree = _ready(case, plan)
    if plan.query == "map":
        return most_probable_states(reduced, tree)
    if plan.query == "joint":
        table = summed_up(reduced, tree, positions(case.model, plan.targets or ()))
        return Answer(Certificate.exact(0.0 if table is not None else -np.inf), table)
    found = sum_product(reduced, tree, plan.query != "evidence")
    return Answer(Certificate.exact(found.log_z), chosen(case.model, plan.targets, found.marginals))


def _by_search(plan: Plan, case: Case) -> Any:
    reduced = left(case.model, case.given, plan.query, plan.targets, merge=False)
    if plan.query == "map":
        return most_probable_by_search(reduced, plan)
    found = sum_by_search(reduced, plan, plan.query != "evidence")
    return Answer(Certificate.exact(found.log_z), chosen(case.model, plan.targets, found.marginals))


def _rows_by_search(plan: Plan, case: Case) -> Any:
    """The answers to many rows, one after the other; those that are alike once."""
    rows, first, which = np.unique(case.given.states, axis=0, return_index=True, return_inverse=True)
    found, which = list(_row_by_row(plan, case.model, rows, first.tolist())), which.ravel()
    if plan.query == "map":
        states = [own if value > -np.inf else row for row, (value, own) in zip(rows, found, strict=True)]
        return np.array([value for value, _ in found])[which], np.array(states)[which]
    log_z = Certificate.of_cases(np.array([float(one.log_partition) for one in found])[which])
    return Answer(log_z, None if plan.query == "evidence" else _stacked(plan, case.model, found)[which])


def _stacked(plan: Plan, model: TableModel, found: Sequence[Answer]) -> np.ndarray:
    """The marginals of rows [n_rows, n_states]; NaN where a row is impossible."""
    nothing = np.full(sum(len(model.states[v]) for v in plan.targets or model.states), np.nan)
    return np.array([nothing if one.marginals is None else one.marginals for one in found])


def _row_by_row(plan: Plan, model: TableModel, rows: np.ndarray, places: Sequence[int]) -> Iterator[Any]:
    """The answer to each row within the time that the others left; `places` are their numbers, to name them by."""
    end = time.perf_counter() + plan.program.seconds
    for row, place in zip(rows, places, strict=True):
        left = replace(plan.program, seconds=max(end - time.perf_counter(), 0.0))
        try:
            yield _by_search(replace(plan, program=left), Case(model, Evidence(row)))
        except BudgetError as error:
            raise BudgetError(replace(error.plan, reason=f"row {place}: {error.plan.why}")) from None


def chosen(model: TableModel, targets: Sequence[str] | None, marginals: np.ndarray | None) -> np.ndarray | None:
    """Of marginals over all states those of the variables asked for, in their order."""
    if targets is None or marginals is None:
        return marginals
    places = model.graph.state_slices
    return np.concatenate([marginals[places[name]] for name in targets] or [marginals[:0]])


def _by_target(plan: Plan, case: Case, key: Any = 0) -> Answer:
    """The parts, one after the other; evidence is impossible as soon as it is for one of them."""
    program = plan.program
    log_z, ran = program.evidence, None
    if program.evidence.method:
        log_z, _, ran = solve(program.evidence, case, key)
    names = tuple(case.states) if plan.targets is None else plan.targets
    places, width = slices(case.states, names), sum(len(case.states[v]) for v in names)
    out = np.full((*case.given.states.shape[:-1], width), np.nan)
    for group, part in program.parts:
        found = solve(part, case, 0).marginals
        if found is None:
            return Answer(Certificate.exact(-np.inf), None)
        for v, own in slices(case.states, group).items():
            out[..., places[v]] = found[..., own]
    if case.many and isinstance(log_z, Certificate):
        out[np.asarray(log_z.value) == -np.inf] = np.nan
    return Answer(log_z, out, ran and replace(plan, program=program._replace(evidence=ran)))


def _instead(plan: Plan, case: Case, key: Any) -> Any:
    """What the first program answers; what the other one does, where that comes to no end."""
    first, otherwise = plan.program
    try:
        return solve(first, case, key)
    except BudgetError:
        found = solve(otherwise, case, key)
        return found._replace(plan=found.plan or otherwise) if isinstance(found, Answer) else found


def _beside(plan: Plan, case: Case, key: Any) -> Answer:
    """What is exact, and intervals of what the budget refuses of it."""
    exact, interval = plan.program
    sure, rest = _by_target(exact, case), solve(interval, case, key)
    known = sure if isinstance(sure.log_partition, Certificate) else rest
    ran = None if rest.plan is None else replace(plan, program=plan.program._replace(interval=rest.plan))
    if sure.marginals is None or rest.marginals is None:
        return Answer(known.log_partition, None if interval.targets else sure.marginals, ran)
    names = tuple(case.states) if plan.targets is None else plan.targets
    own, others = slices(case.states, names), slices(case.states, interval.targets or ())

    def together(values: np.ndarray) -> np.ndarray:
        out = np.array(sure.marginals)
        for v, place in others.items():
            out[..., own[v]] = values[..., place]
        return out

    return Answer(known.log_partition, rest.marginals.map(together), ran)


def slices(states: Mapping[str, Sequence[str]], names: Sequence[str]) -> dict[str, slice]:
    """Where the states of each of these variables are, side by side."""
    ends = np.cumsum([0, *(len(states[v]) for v in names)]).tolist()
    return {v: slice(a, b) for v, (a, b) in zip(names, pairwise(ends), strict=True)}


def _most_probable_rows(case: Case, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """log p and the most probable states of each row [n_rows, n_variables]; those that are alike once."""
    base = named(case.model, plan.observed, plan.query)
    rows, which = np.unique(case.given.states, axis=0, return_inverse=True)
    values, states = np.full(len(rows), -np.inf), rows.copy()
    for k, row in enumerate(rows):
        rest = conditioned(base, row)
        values[k], found = most_probable_states(rest, fitted(plan.program, rest))
        if values[k] > -np.inf:
            states[k] = found
    return values[which.ravel()], states[which.ravel()]


def _drawn(case: Case, plan: Plan, key: Any) -> dict[str, np.ndarray]:
    """Exact samples of all variables, as state indices."""
    rng = generator(key)
    if allowed(plan).method == "counting":
        states = samples_by_search(left(case.model, case.given, "marginals", merge=False), plan, rng, plan.n)
        if states is None:
            raise case.impossible("there is nothing to sample")
        return {name: states[:, v] for v, name in enumerate(case.states)}
    reduced, tree = _ready(case, plan)
    if reduced.impossible:
        raise case.impossible("there is nothing to sample")
    states = sample_states(reduced, tree, rng, plan.n)
    draw_given_parents(case.model, case.given, states, rng)
    return {name: states[:, v] for v, name in enumerate(case.states)}


def by_name(states: Mapping[str, Sequence[str]], codes: Mapping[str, np.ndarray]) -> Rows:
    """State indices as names, −1 as None; what is no index is a number already."""
    of = {v: np.array([*states[v], None], object) for v in codes}
    out = Rows({v: of[v][own] if own.dtype.kind in "iu" else own for v, own in codes.items()})
    out.verdict = getattr(codes, "verdict", "exact")
    return out
