"""The plan of the most probable states of a network of tables: exact where that is affordable, else a search."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence
from tractable.plan._base import Anytime, Ask, Plan
from tractable.plan._units import duration, memory_size
from tractable.plan.budget import anytime
from tractable.plan.counting import in_the_dark
from tractable.plan.reasons import SEARCHES
from tractable.plan.summed_out import SumOut, plan_summed_out, sums_refused
from tractable.plan.tables import observed_names

HASTE = 0.1
"""Of its patience, the share that the search for an exact plan has where a search for the best may answer instead."""

BYTES = 64.0
"""Of a state of a variable, at the least: its place in tables, in a bound and in what was found."""


class SearchRun(NamedTuple):
    """A program: branch and bound for some seconds within some memory; `mixed` where sums are beyond it.

    `ran`: as it ran once, all that was decided by the clock in its order, and what another program has told meanwhile.
    """

    k: int
    seconds: float
    memory: float
    confidence: float = 0.95
    mixed: bool = False
    ran: tuple[Any, ...] | None = None


class OneByOne(NamedTuple):
    """A program for many rows: the question about each of them, in the time that the others leave."""

    then: Ask


def plan_best(model: TableModel, given: Evidence, ask: Ask, exactly: Callable[[Ask], Plan]) -> Plan:
    """The plan for one case: `exactly` is the plan of the most probable state of all variables, or its refusal."""
    if ask.targets is not None:
        return _of_some(model, given, ask)
    if ask.method in SEARCHES:
        return _searched(model, given, ask, None)
    found = exactly(_in_haste(ask)._replace(anytime=None))
    if found.method and not in_the_dark(found):
        return found if ask.n == 1 else _ranked(model, found, ask)
    return found if ask.method != "auto" or ask.anytime is None else _searched(model, given, ask, found)


def _in_haste(ask: Ask) -> Ask:
    """The question of an exact plan, where a search may answer instead."""
    terms = ask.anytime
    if terms is None or ask.method != "auto":
        return ask
    return ask._replace(budget=ask.budget._replace(seconds=min(ask.budget.seconds, terms.patience)), effort=HASTE)


def _of_some(model: TableModel, given: Evidence, ask: Ask) -> Plan:
    """The plan of sums, and of the best of what they leave; by a search where that is asked for, or allowed."""
    search = ask.method in SEARCHES
    own = _in_haste(ask._replace(method="auto") if search else ask)._replace(anytime=None)
    found = plan_summed_out(model, given, own)
    if not isinstance(found.program, SumOut):
        return found
    refused, then = sums_refused(found), found.program.then._replace(method=ask.method, anytime=ask.anytime)
    found = replace(found, program=found.program._replace(then=then))
    if not search and (found.method or ask.method != "auto" or ask.anytime is None):
        return found
    # A search knows of products alone: sums come before it, or are mixed with it.
    searched = _searched(model, given, ask, None if search else found)
    return replace(searched, program=searched.program._replace(mixed=True) if refused else found.program)


def _fits(model: TableModel, ask: Ask) -> bool:
    """Whether the memory holds a search for so many."""
    return BYTES * float(model.packed.n_states) * ask.n <= ask.budget.memory


def _left(terms: Anytime) -> float:
    """The seconds that planning has left of those there are, at least half of them."""
    return max(terms.seconds - max(time.perf_counter() - terms.since, 0.0), terms.seconds / 2)


def _ranked(model: TableModel, found: Plan, ask: Ask) -> Plan:
    """The plan of the k best, from that of the best."""
    terms, memory, fits = ask.anytime or anytime(None), ask.budget.memory, _fits(model, ask)
    told = f"the {ask.n:,} best one after the other" if fits else f"{memory_size(memory)} do not suffice for {ask.n:,}"
    return replace(
        found,
        method=found.method if fits else None,
        n=ask.n,
        program=SearchRun(ask.n, _left(terms), memory, terms.confidence),
        reason=lambda: f"{found.why}; {told}",
    )


def _searched(model: TableModel, given: Evidence, ask: Ask, exact: Plan | None) -> Plan:
    """The plan of a search under a bound, where nothing exact is affordable or asked for."""
    terms, memory, fits = ask.anytime or anytime(None), ask.budget.memory, _fits(model, ask)
    told = f"the best that a search finds in {duration(terms.seconds)}, and a bound of all others"
    told = told if fits else f"{memory_size(memory)} do not suffice for a search"
    return Plan(
        (ask.method if exact is None else SEARCHES[0]) if fits else None,
        getattr(exact, "width", 0.0),
        getattr(exact, "flops", math.nan),
        memory,
        terms.seconds,
        told if exact is None else f"{told}; exact answers are refused, as {exact.why}",
        query="map",
        observed=observed_names(model, given.states),
        advice=getattr(exact, "advice", ()),
        n=ask.n,
        program=SearchRun(ask.n, _left(terms), memory, terms.confidence),
        budget=ask.budget,
        structure=model.graph,
        targets=ask.targets,
    )


def one_by_one(plan: Plan, rows: np.ndarray, ask: Ask) -> Plan:
    """The plan of many rows from that of one of them."""
    n, terms = len(np.unique(rows, axis=0)), ask.anytime
    seconds = plan.seconds * n
    if plan.method in SEARCHES and terms is not None:  # they share the time
        seconds = min(seconds, terms.seconds)
    told: dict[str, Any] = {
        "program": OneByOne(ask),
        "reason": lambda: f"{plan.why}; {n:,} different row{'s' * (n != 1)}",
    }
    return replace(plan, **told).for_rows(n, seconds)
