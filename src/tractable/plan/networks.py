"""The plans of queries about networks of tables, by states or names of what is observed, of one case or many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tractable.kernels import Reduced, Scopes
from tractable.models._base import check_known, set_fields
from tractable.models.conditioning import TableModel, one_case
from tractable.models.contradiction import contradiction
from tractable.models.evidence import Evidence
from tractable.models.pruning import APART, barren, left
from tractable.models.rows import as_case, as_names, is_named
from tractable.plan import counting
from tractable.plan._base import QUERIES, Ask, Plan, Query, check_query
from tractable.plan.budget import AT_ONCE
from tractable.plan.ladder import with_ladder
from tractable.plan.reasons import left_out, narrowed
from tractable.plan.sparse import opened_for, padded
from tractable.plan.tables import (
    RULED_OUT,
    free_places,
    kept,
    n_states,
    named,
    observed_names,
    plan_names,
    plan_reduced,
    plan_rows,
    plan_samples,
    positions,
    reserved,
    scopes_of,
)
from tractable.plan.targets import plan_marginals


def plan_model(model: TableModel, observed: Any, ask: Ask) -> Plan:
    """The plan of a query given names of variables, or their states."""
    check_query(ask.query, (*QUERIES, "sample"))
    ask = ask._replace(targets=targets_of(model, ask.targets))
    if as_case(observed) is not None or is_named(observed):
        names, given = (), one_case(model, observed)
    else:
        names, given = tuple(dict.fromkeys(as_names(observed) or ())), None
        check_known(names, model.states)
    whole = opened_for(model, given or _nothing(model), ask, names)
    if isinstance(whole, Plan):
        return whole
    if given is None:
        found = answered(ByNames(whole, names, ask), ask, model.states)
        return found if names else with_ladder(found, whole, _nothing(whole), ask)
    given = padded(given, whole)
    return with_ladder(answered(OneCase(whole, given, ask), ask, model.states), whole, given, ask)


def explained(model: TableModel, observed: Any, query: Query | None) -> list[tuple[Any, Query]]:
    """What `explain` asks: every query given what is observed."""
    return [(observed, q) for q in ((query,) if query else QUERIES)]


def targets_of(model: TableModel, targets: Iterable[str] | None) -> tuple[str, ...] | None:
    """The variables asked for, each once, in the order given; None for all.

    Raises
    ------
    ModelError : a variable that the network does not have.
    """
    if targets is None:
        return None
    names = tuple(dict.fromkeys(as_names(targets) or ()))
    check_known(names, model.states)
    return names


def answered(question: Any, ask: Ask, names: Iterable[str] | None = None) -> Plan:
    """The plan of the query; of marginals, by default of all these, in groups where there is none for all together."""
    if ask.query == "map" and ask.targets is not None and question.single:
        from tractable.plan.summed_out import of_some  # no other question waits for it

        return of_some(question, ask)
    if ask.query == "marginals":
        return plan_marginals(question, tuple(question.model.states if names is None else names), ask)
    return question.price(ask.query, None, 1.0)


@dataclass(eq=False)
class OneCase:
    """One case of evidence, by its states."""

    model: TableModel
    given: Evidence
    ask: Ask
    known: dict[Any, tuple[Reduced, Scopes]] = field(default_factory=dict, repr=False)
    single: ClassVar[bool] = True
    held: ClassVar[float] = 0.0

    def left(self, query: Query, targets: tuple[str, ...] | None) -> tuple[Reduced, Scopes]:
        """What is left of the network for a query; kept but for parts of the network, of which there are many."""
        if (query, targets) in self.known:
            return self.known[query, targets]
        reduced = left(self.model, self.given, query, targets)
        own = free_places(self.model, reduced, targets or ()) if query == "joint" else []
        found = reduced, scopes_of(reduced, kept(len(reduced.tables.sizes), own) if own else None)
        if query not in APART:
            self.known[query, targets] = found
        return found

    def price(self, query: Query, targets: tuple[str, ...] | None, effort: float) -> Plan:
        """The plan of a query about some variables: by search where that is asked for, or where it pays."""
        if not self._may_search(query, effort):
            return self._eliminate(query, targets, effort)
        return self._search(query, targets) or self._eliminate(query, targets, effort)

    def _may_search(self, query: Query, effort: float) -> bool:
        if query not in counting.QUERIES or self.ask.method == "elimination":
            return False
        return self.ask.method == "counting" or (effort == 1 and self.model.packed.zeros >= counting.ZEROS)

    def _search(self, query: Query, targets: tuple[str, ...] | None) -> Plan | None:
        """The plan of a search, or of the first tree where that is cheap; None where a longer look is due."""
        quick, asked = self._eliminate(query, targets, 0.0), self.ask.method == "counting"
        if quick.program is None or (quick.method and quick.seconds < AT_ONCE and not asked):
            return quick
        ask = self.ask._replace(query=query, targets=targets)

        def rest() -> Reduced:
            return left(self.model, self.given, query, targets, merge=False)

        if asked:
            return counting.asked_for(quick, rest, ask)
        if quick.method:
            return counting.considered(quick, rest, ask) or quick
        likely = self.model.packed.zeros >= counting.MOSTLY  # else the longer look is more likely to help
        return (counting.considered(quick, rest, ask) if likely else None) or self._last(rest, ask, likely)

    def _last(self, rest: Callable[[], Reduced], ask: Ask, probed: bool) -> Plan:
        """The plan after a longer look; where that is refused too, a search that may come to an end."""
        found = self._eliminate(ask.query, ask.targets, 1.0)
        if found.method:
            return found
        choose = counting.last_resort if probed else counting.considered
        return choose(found, rest, ask) or found

    def _eliminate(self, query: Query, targets: tuple[str, ...] | None, effort: float) -> Plan:
        model, given = self.model, self.given
        (reduced, scopes), seen = self.left(query, targets), observed_names(model, given.states)
        ask = self.ask
        if ask.query != query or ask.targets is not targets:
            ask = ask._replace(query=query, targets=targets)
        if reduced.impossible:
            ruled_out = plan_reduced(model, reduced, scopes, seen, ask, effort)
            return replace(ruled_out, reason=lambda: f"{RULED_OUT}: {contradiction(model, given)}")
        if query != "sample":
            return self.explained(plan_reduced(model, reduced, scopes, seen, ask, effort), reduced)
        tree = plan_reduced(model, reduced, scopes, seen, reserved(len(model.states), scopes.m, ask), effort)
        return plan_samples(_ancestral(tree, model, given, ()), len(model.states), ask)

    def explained(self, plan: Plan, reduced: Reduced) -> Plan:
        """The plan with all that made it what it is: pruning, zeros and independence besides its width."""
        why = plan.reason
        set_fields(plan, reason=lambda: _told(why, self._narrowed(plan, reduced)))  # while it is being made
        return plan

    def _narrowed(self, plan: Plan, reduced: Reduced) -> str:
        n = len(barren(self.model, self.given, plan.targets or ())) if _pruned(plan) else 0
        return narrowed(reduced, len(plan.observed), n)

    def near(self, target: str) -> frozenset[int]:
        """The free variables linked with one."""
        return _near(left(self.model, self.given, "targets", (target,)))

    def is_known(self, target: str) -> bool:
        """Whether a variable is observed."""
        return self.given.states[positions(self.model, (target,))[0]] >= 0


class ByNames(NamedTuple):
    """One case of evidence, by the names of what will be observed."""

    model: TableModel
    names: tuple[str, ...]
    ask: Ask
    single, held = True, 0.0

    def price(self, query: Query, targets: tuple[str, ...] | None, effort: float) -> Plan:
        """The plan of a query about some variables."""
        model, names = self.model, self.names
        base = named(model, names, query, targets)
        ask = self.ask._replace(query=query, targets=targets)
        if query != "sample":
            plan = plan_names(model, base, names, ask, effort)
            if plan.method is None and query in counting.QUERIES and model.packed.zeros >= counting.ZEROS:
                plan = replace(plan, alternatives=(*plan.alternatives, counting.BY_STATES))
            why = plan.reason
            set_fields(plan, reason=lambda: _told(why, left_out(self._n_barren(plan), len(model.states))))
            return plan
        tree = plan_names(model, base, names, reserved(len(model.states), scopes_of(base).m, ask), effort)
        return plan_samples(_ancestral(tree, model, _nothing(model), names), len(model.states), ask)

    def _n_barren(self, plan: Plan) -> int:
        asked = (*(plan.targets or ()), *self.names)
        return len(barren(self.model, _nothing(self.model), asked)) if _pruned(plan) else 0

    def near(self, target: str) -> frozenset[int]:
        """The free variables linked with one, what will be observed among them."""
        return _near(named(self.model, self.names, "targets", (target,)))

    def is_known(self, target: str) -> bool:
        """Whether a variable will be observed."""
        return target in self.names


class ManyRows(NamedTuple):
    """Rows of evidence, as states with −1 for what is not observed [n_rows, n_variables]."""

    model: TableModel
    states: np.ndarray
    ask: Ask
    single = False

    def price(self, query: Query, targets: tuple[str, ...] | None, effort: float) -> Plan:
        """The plan of a query about some variables."""
        ask = self.ask._replace(query=query, targets=targets)
        if query == "targets":
            ask = ask._replace(budget=ask.budget._replace(memory=max(ask.budget.memory - self.held, 1.0)))
        return plan_rows(self.model, self._base(query, targets), self.states, ask, effort)

    @property
    def held(self) -> float:
        """The bytes of all answers, which stay while parts run."""
        return 8.0 * len(self.states) * n_states(self.model, self.ask)

    def near(self, target: str) -> frozenset[int]:
        """The variables that matter to one, or to what some row observes."""
        return _near(self._base("targets", (target,)))

    def is_known(self, target: str) -> bool:
        """Whether all rows observe a variable."""
        return bool((self.states[:, positions(self.model, (target,))] >= 0).all())

    def _base(self, query: Query, targets: Sequence[str] | None) -> Reduced:
        names = list(self.model.states)
        return named(self.model, [names[v] for v in np.flatnonzero((self.states >= 0).any(axis=0))], query, targets)


def _pruned(plan: Plan) -> bool:
    """Whether what matters to nothing that is asked is left out."""
    return plan.query in ("evidence", *APART) or (plan.query == "marginals" and plan.targets is not None)


def _told(why: str | Callable[[], str], more: str) -> str:
    """A plan's reason, and what else there is to say."""
    first = why if isinstance(why, str) else why()
    return f"{first}; {more}" if more else first


def _near(base: Reduced) -> frozenset[int]:
    return frozenset(np.flatnonzero(base.index >= 0)[np.unique(base.tables.scopes)].tolist())


def _nothing(model: TableModel) -> Evidence:
    return Evidence(np.full(len(model.states), -1, np.int32))


def _ancestral(plan: Plan, model: TableModel, given: Evidence, names: Sequence[str]) -> Plan:
    """The plan of samples where some variables are drawn given their parents, one after the other."""
    n = len(barren(model, given, names))
    if not n or plan.method is None or plan.method == "constant":
        return plan
    method = plan.method if plan.program is not None else "ancestral"
    told = f"{n:,} variables on which nothing observed hangs are drawn given their parents"
    return replace(plan, method=method, reason=lambda: told if plan.program is None else f"{told}; {plan.why}")
