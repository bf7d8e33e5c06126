"""Which marginals are computed together: in one sweep, or, where that is too wide, in groups of variables.

Log Z is a question of its own there. For a group only its ancestors and those of the evidence count, less what evidence
cuts off from it; one variable alone needs no sweep back, which takes a third of the time and less memory. A group is
halved, the variables linked with the fewest others first, until its halves do no better; every group is planned, and
the cheapest run as far as the budget goes.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Protocol

import numpy as np

from tractable.plan._base import Ask, ByTarget, ContractionTree, Plan, Query
from tractable.plan._units import listed
from tractable.plan.budget import AT_ONCE
from tractable.plan.search import FAR, WORTH

SPLITTING = 8.0
"""Seconds that planning in groups takes at most; what is not planned by then is refused."""

ALONE = 0.1
"""The share of its patience that the search for a single variable's tree has."""

LOOKED_AT, SMALL = 16, 0.5
"""So many variables are looked at, and a part of a network is small that has less than this share of its variables."""

Part = tuple[tuple[str, ...], Plan]


class Pricing(Protocol):
    """Evidence about a network, by states or by names, for one case or many."""

    def price(self, query: Query, targets: tuple[str, ...] | None, effort: float) -> Plan:
        """The plan of a query about some variables."""
        ...

    def near(self, target: str) -> frozenset[int]:
        """The free variables that are linked with one when the marginal of this one alone is asked for."""
        ...

    def is_known(self, target: str) -> bool:
        """Whether a variable is observed, in every case."""
        ...

    @property
    def model(self) -> Any:
        """The network."""
        ...

    @property
    def held(self) -> float:
        """The bytes of all answers, which stay while parts run."""
        ...

    @property
    def single(self) -> bool:
        """Whether this is one case, whose variables may be answered one by one without a sweep back."""
        ...


def plan_marginals(pricing: Pricing, names: Sequence[str], ask: Ask) -> Plan:
    """The plan of the marginals that are asked for, of all of these names where none are."""
    names = names if ask.targets is None else ask.targets
    quick = pricing.price("marginals", ask.targets, 0.0)
    if _cheap(quick) or _in_vain(pricing, quick, ask):
        return quick
    search = WORTH * quick.seconds
    if search <= AT_ONCE or (quick.method and ask.targets is None) or not _promising(pricing, names, quick):
        whole = pricing.price("marginals", ask.targets, 1.0)
        return whole if whole.method else in_parts(pricing, names, ask) or whole
    return _cheaper(pricing, search, names, ask)


def _cheap(plan: Plan) -> bool:
    """Whether a plan is taken without a second look."""
    return plan.method is not None and plan.seconds < AT_ONCE


def _in_vain(pricing: Pricing, quick: Plan, ask: Ask) -> bool:
    """Whether a plan in haste need not look on: far too wide, and a network of which nothing can be left out."""
    far = quick.method is None and quick.seconds > FAR * ask.budget.seconds
    return ask.effort < 1 and far and not (pricing.model.conditional >= 0).any()


def _promising(pricing: Pricing, names: Sequence[str], quick: Plan) -> bool:
    """Whether what single variables hang on is small beside the whole: else a search for one sweep comes first."""
    tree, some = quick.program, names[:: max(len(names) // LOOKED_AT, 1)]
    n = tree.scopes.n if isinstance(tree, ContractionTree) else len(pricing.model.states)
    return max((len(pricing.near(name)) for name in some), default=0) < SMALL * n


def _cheaper(pricing: Pricing, search: float, names: Sequence[str], ask: Ask) -> Plan:
    """In parts, where these take less than a search for one sweep would, or else what is cheaper."""
    parts = in_parts(pricing, names, ask)
    seconds = _complete(parts)
    if parts is not None and seconds <= max(AT_ONCE, search):
        return parts
    whole = pricing.price("marginals", ask.targets, 1.0)
    return whole if whole.method and whole.seconds <= seconds else parts or whole


def _complete(parts: Plan | None) -> float:
    """The seconds of a plan that refuses nothing; infinite of others."""
    whole = parts is not None and not parts.refused and parts.program.evidence.method
    return parts.seconds if parts is not None and whole else math.inf


def in_parts(pricing: Pricing, names: Sequence[str], ask: Ask) -> Plan | None:
    """The plan of log Z and of groups of variables, each by itself; None where these are refused.

    Of all variables some are known as they are observed, which is no answer to what was asked.
    """
    found, refused, spent = _affordable(_Halving(pricing, SPLITTING * ask.effort).parts(names), ask.budget.seconds)
    told = {name for group, _ in found for name in group}
    if names and (not told or (ask.targets is None and all(map(pricing.is_known, told)))):
        return None
    evidence = _first(pricing, "evidence", (), 1.0)
    if evidence.seconds + spent > ask.budget.seconds:
        evidence = replace(evidence, method=None)
    return _whole(ByTarget(evidence, found, refused), ask, pricing.held) if told or evidence.method else None


def _affordable(parts: Sequence[Part], seconds: float) -> tuple[tuple[Part, ...], tuple[Part, ...], float]:
    """The cheapest parts, as far as the seconds go, those that are refused, and the seconds of the first."""
    parts = sorted(parts, key=lambda part: (part[1].method is None, part[1].seconds))
    spent = [0.0, *np.cumsum([plan.seconds if plan.method else math.inf for _, plan in parts]).tolist()]
    n = bisect_right(spent, seconds) - 1
    return tuple(parts[:n]), tuple((group, replace(plan, method=None)) for group, plan in parts[n:]), spent[n]


def _first(pricing: Pricing, query: Query, targets: tuple[str, ...], effort: float) -> Plan:
    """The first plan where it is cheap, else that of a search."""
    plan = pricing.price(query, targets, 0.0)
    return plan if _cheap(plan) else pricing.price(query, targets, effort)


def _whole(program: ByTarget, ask: Ask, held: float) -> Plan:
    """The plan that stands for all parts: the width and memory of the worst, the work of all."""
    plans = [plan for _, plan in program.parts] + ([program.evidence] if program.evidence.method else [])
    worst = max(plans, key=lambda plan: plan.width)
    told: dict[str, Any] = {name: sum(getattr(plan, name) for plan in plans) for name in ("flops", "seconds")}
    told |= {name: max(getattr(plan, name) for plan in plans) for name in ("bytes", "slices")}
    told |= {"bytes": held + told["bytes"], "query": "marginals", "targets": ask.targets}
    return replace(worst, method="elimination", program=program, reason=lambda: _why(program, worst), **told)


def _why(program: ByTarget, worst: Plan) -> str:
    n = len(program.parts)
    groups = f"{n} groups of variables, each" if n > 1 else "one group of variables,"
    told = f"too wide for one sweep: {groups} with the part of the network that it hangs on; the widest: {worst.why}"
    if program.refused:
        names = [name for group, _ in program.refused for name in group]
        told += f"; refused: {listed(names)}"
    return told if program.evidence.method else f"{told}; log Z is refused: {program.evidence.why}"


class _Halving:
    """Groups that are halved until their halves do no better, and what was found to be hopeless on the way."""

    def __init__(self, pricing: Pricing, seconds: float):
        self.pricing, self.near = pricing, cache(self._near)
        self.components: list[frozenset[int]] = []
        self.places = {name: i for i, name in enumerate(pricing.model.states)}
        self.seconds, self.end = seconds, time.perf_counter() + seconds
        self.hopeless: list[tuple[frozenset[int], Plan]] = []

    def parts(self, names: Sequence[str]) -> list[Part]:
        """The groups with their plans, refused ones among them."""
        sizes: dict[str, int] = {}
        for name in names:
            if time.perf_counter() < self.end or not sizes:
                sizes[name] = len(self.near(name))
        late = [((name,), self._late(name)) for name in names if name not in sizes]
        return [*self._parts(tuple(sorted(sizes, key=sizes.__getitem__))), *late] if sizes else []

    def _near(self, name: str) -> frozenset[int]:
        """The free variables linked with one: where nothing can be barren, all of a component are alike."""
        known = next((own for own in self.components if self.places[name] in own), None)
        found = self.pricing.near(name) if known is None else known
        if not (self.pricing.model.conditional >= 0).any():
            self.components.append(found)
        return found

    def _late(self, name: str) -> Plan:
        plan = self.pricing.price("targets", (name,), 0.0)
        told = f"planning what else was asked for took its {self.seconds:.2g} seconds: ask for {name} by itself"
        return replace(plan, method=None, reason=told)

    def _parts(self, names: tuple[str, ...]) -> Iterator[Part]:
        plan = self.pricing.price("targets", names, 0.0)
        alike = len({*map(self.near, names)}) == 1
        if _cheap(plan) or (plan.method and alike):
            yield names, plan
        elif alike or time.perf_counter() > self.end:
            yield from (((name,), self._alone(name, plan)) for name in names)
        else:
            half = len(names) // 2
            apart = [*self._parts(names[:half]), *self._parts(names[half:])]
            seconds = sum(p.seconds for _, p in apart)
            yield from [(names, plan)] if plan.method and plan.seconds <= seconds else apart

    def _alone(self, name: str, plan: Plan) -> Plan:
        """The plan for one variable, where that for a group that it is in, or for itself, is refused."""
        near = self.near(name)
        if known := next((found for others, found in self.hopeless if others <= near), None):
            return known if plan.method else plan
        if time.perf_counter() > self.end:
            return self._late(name)
        query: Query = "joint" if self.pricing.single else "targets"
        found = _first(self.pricing, query, (name,), ALONE)
        if not found.method:
            self.hopeless.append((near, found))
        return found
