"""The price of the most probable state of some variables: all others are summed out first, part by part.

max_y Σ_z p(y, z, x): the sum comes first, so that variables z that are linked with each other leave one table over all
y around them. What is left is a network over y, whose most probable state is another question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tractable.kernels import Reduced, Scopes, Tables
from tractable.models import ModelError
from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence
from tractable.models.pruning import apart, left
from tractable.plan._base import Ask, Plan
from tractable.plan._units import listed
from tractable.plan.tables import free_names, free_places, kept, named, observed_names, plan_reduced, price, scopes_of

ENTRY, COPIES = 1.5e-7, 4
"""Seconds for an entry of a table that a sum leaves until it is one of a network, and copies of it; measured."""


NOTHING = "nothing has to be summed out"


class HiddenPart(NamedTuple):
    """Variables that are summed out together, with those asked for around them, which stay.

    The numbers of their tables, all variables of these, the places of those asked for among these, the plan of the sum.
    """

    tables: np.ndarray
    variables: np.ndarray
    around: tuple[int, ...]
    plan: Plan

    @property
    def table_width(self) -> float:
        """log2 of the entries of the table that the sum leaves."""
        sizes = self.plan.program.scopes.sizes
        return float(np.log2(sizes[list(self.around)].astype(np.float64)).sum())


class SumOut(NamedTuple):
    """A program: sums of parts, and what is asked of the network that they leave; the plan for that, where it ran."""

    parts: tuple[HiddenPart, ...]
    then: Ask
    ran: Plan | None = None


def not_observed(targets: Sequence[str], observed: Sequence[str], where: str = "") -> None:
    """Refuse targets that are observed; `where`, to begin with.

    Raises
    ------
    ModelError : some are.
    """
    if both := [name for name in targets if name in observed]:
        told = "the target {} is" if len(both) == 1 else "the targets {} are"
        raise ModelError(f"{where}{told.format(listed(both))} observed: leave out the one or the other")


def what_matters(model: TableModel, given: Evidence, targets: Sequence[str]) -> Reduced:
    """What evidence leaves of the network, without what matters neither to it nor to the targets."""
    return left(model, given, "marginals", targets)


def plan_summed_out(model: TableModel, given: Evidence, ask: Ask) -> Plan:
    """The plan of the most probable state of the targets: refused where a sum is, or what it leaves."""
    return _planned(model, what_matters(model, given, ask.targets or ()), observed_names(model, given.states), ask)


def plan_summed_out_by_names(model: TableModel, names: Sequence[str], ask: Ask) -> Plan:
    """The same where only the names of what will be observed are known: a price, and no program."""
    not_observed(ask.targets or (), names)
    reduced = named(model, names, "marginals", ask.targets)
    places = free_places(model, reduced, names)
    sizes = reduced.tables.sizes.copy()
    sizes[places] = 1  # what is observed has no choice
    tables = replace(reduced.tables, sizes=sizes)
    return replace(_planned(model, reduced._replace(tables=tables), tuple(names), ask, places), program=None)


def of_some(question: Any, ask: Ask) -> Plan:
    """The plan of one case, by its states or by the names of what it observes."""
    if getattr(question, "names", None):
        return plan_summed_out_by_names(question.model, question.names, ask)
    given = getattr(question, "given", None) or Evidence(np.full(len(question.model.states), -1, np.int32))
    not_observed(ask.targets or (), observed_names(question.model, given.states))
    return plan_summed_out(question.model, given, ask)


def _planned(
    model: TableModel, reduced: Reduced, seen: tuple[str, ...], ask: Ask, seen_places: Sequence[int] = ()
) -> Plan:
    if reduced.impossible:
        return plan_reduced(model, reduced, scopes_of(reduced), seen, ask)
    asked = free_places(model, reduced, ask.targets or ())
    groups = hidden_parts(reduced, [*asked, *seen_places])
    parts = tuple(_priced(model, reduced, own, [*asked, *seen_places], seen, ask) for own in groups)
    every = [part.plan for part in parts]
    if all(plan.method for plan in every):  # a sum that is refused would leave a table that nobody can look at
        every.append(plan_reduced(model, reduced, _left(reduced, parts), seen, ask._replace(targets=None)))
    return _together(parts, every, len(reduced.tables.sizes) - len(asked) - len(seen_places), ask)


def _together(parts: Sequence[HiddenPart], every: Sequence[Plan], n_hidden: int, ask: Ask) -> Plan:
    """One plan of all sums, one after the other, and of what they leave."""
    worst = max(every, key=lambda plan: (plan.method is None, plan.width))
    seconds = sum(plan.seconds for plan in every) + _seconds_left(parts)
    size = max(plan.bytes for plan in every) + _bytes_left(parts)
    fits = size <= ask.budget.memory and seconds <= ask.budget.seconds and worst.method is not None
    told = f"{n_hidden:,} variables are" if n_hidden != 1 else "1 variable is"
    what = f"{told} summed out in {len(parts):,} part{'s' * (len(parts) != 1)}" if parts else NOTHING
    return replace(
        worst,
        method="elimination" if fits else None,
        bytes=size,
        seconds=seconds,
        flops=sum(plan.flops for plan in every),
        query="map",
        targets=ask.targets,
        n=ask.n,
        slices=1,
        program=SumOut(tuple(parts), ask._replace(targets=None)),
        reason=lambda: f"{what}; {worst.why}",
    )


def sums_refused(plan: Plan) -> bool:
    """Whether the sums are too expensive, and not only what is left after them."""
    assert isinstance(plan.program, SumOut) and plan.budget is not None
    parts, limits = plan.program.parts, plan.budget
    size = max((part.plan.bytes for part in parts), default=0.0) + _bytes_left(parts)
    too_long = sum(part.plan.seconds for part in parts) + _seconds_left(parts) > limits.seconds
    return size > limits.memory or too_long or any(part.plan.method is None for part in parts)


def _seconds_left(parts: Sequence[HiddenPart]) -> float:
    """What it takes to make tables of a network of those that the sums leave."""
    return ENTRY * sum(2.0 ** min(part.table_width, 1000.0) for part in parts)


def _bytes_left(parts: Sequence[HiddenPart]) -> float:
    """What the tables take that the sums leave."""
    return sum(COPIES * 8.0 * 2.0 ** min(part.table_width, 1000.0) for part in parts)


def hidden_parts(reduced: Reduced, asked: Sequence[int]) -> list[np.ndarray]:
    """The numbers of the tables of variables to be summed out, those linked with each other together."""
    tables = reduced.tables
    chosen = np.zeros(len(tables.sizes) + 1, bool)
    chosen[list(asked)] = True
    owner = _owners(tables)
    hidden = ~chosen[tables.scopes]
    return _linked(len(tables.sizes), owner[hidden], tables.scopes[hidden])


def linked_tables(tables: Tables) -> list[np.ndarray]:
    """The numbers of the tables, those linked with each other together."""
    return _linked(len(tables.sizes), _owners(tables), tables.scopes)


def _owners(tables: Tables) -> np.ndarray:
    """Which table each entry of the scopes is one of."""
    return np.repeat(np.arange(tables.n_factors), np.diff(tables.scope_starts))


def _linked(n: int, owner: np.ndarray, members: np.ndarray) -> list[np.ndarray]:
    """Numbers of tables in groups that have some of `n` variables in common; which table has which, as pairs."""
    root = list(range(n))

    def find(v: int) -> int:
        while root[v] != v:
            root[v] = v = root[root[v]]
        return v

    first: dict[int, int] = {}
    for table, v in zip(owner.tolist(), members.tolist(), strict=True):
        root[find(v)] = find(first.setdefault(table, v))
    found: dict[int, list[int]] = {}
    for table, v in first.items():
        found.setdefault(find(v), []).append(table)
    return [np.array(own) for own in found.values()]


def _priced(
    model: TableModel, reduced: Reduced, numbers: np.ndarray, asked: Sequence[int], seen: tuple[str, ...], ask: Ask
) -> HiddenPart:
    variables, tables = apart(reduced.tables, numbers)
    around = tuple(np.flatnonzero(np.isin(variables, asked)).tolist())
    scopes = Scopes(tables.sizes, tables.scope_starts, tables.scopes, kept(len(variables), around))
    free = free_names(model, reduced)
    names = [free[v] for v in variables.tolist()]
    ask = ask._replace(query="joint", targets=tuple(names[v] for v in around))
    left_over = 8.0 * 2.0 ** min(float(scopes.log_size[list(around)].sum()), 1000.0)
    effort = 1.0 if left_over <= ask.budget.memory else 0.0  # no order helps
    return HiddenPart(numbers, variables, around, price(scopes, lambda: names, model.graph, seen, ask, effort))


def _left(reduced: Reduced, parts: Sequence[HiddenPart]) -> Scopes:
    """Who shares a table with whom after the sums."""
    tables = reduced.tables
    rest = np.setdiff1d(np.arange(tables.n_factors), np.concatenate([[-1], *(part.tables for part in parts)]))
    scopes = [tables.scope(j).tolist() for j in rest.tolist()]
    scopes += [part.variables[list(part.around)].tolist() for part in parts if part.around]
    starts = np.concatenate([[0], np.cumsum([len(s) for s in scopes])]).astype(np.int64)
    return Scopes(tables.sizes, starts, np.array([v for s in scopes for v in s], np.int32))
