"""The price of a Boltzmann machine's queries, from its groups and who touches whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from tractable.graph import GraphError
from tractable.graph.groups import GroupGraph
from tractable.kernels import Scopes
from tractable.kernels.threads import n_cores
from tractable.plan._base import Alternative, Explanation, Plan, Query
from tractable.plan.budget import MAX_SECONDS, memory_bytes, speed

MAX_TERMS_LOG2 = 30
"""More joint states than 2 to this are never enumerated."""

FEW_PAIRS = 20_000
"""With more interacting pairs than this no elimination order is searched: dense blocks have no good one."""

CHUNK = 1 << 12
MACHINE_QUERIES: tuple[Query, ...] = ("marginals", "evidence", "gradient")
BINARY, GENERAL = 5e-10, 1.5e-9
"""Seconds on one core for one summed-out unit in one enumerated state: units with two states, and others; measured."""

PASSES = {"evidence": 1.0, "marginals": 5.0, "gradient": 5.0}
"""What expectations cost in evaluations of log Z."""


class Split(NamedTuple):
    """Which groups are enumerated, state by state, and which are summed out in closed form for each of those states."""

    enumerated: tuple[str, ...]
    summed: tuple[str, ...]


def plan_model(model: Any, observed: Any, query: Query, memory: int | float | str | None) -> Plan:
    """The plan of a query of a machine; only its graph is looked at."""
    if query not in MACHINE_QUERIES:
        raise ValueError(f"unknown query {query!r}; choose one of {', '.join(MACHINE_QUERIES)}")
    return plan_machine(model.graph, observed_units(model.graph, observed), query, memory)


def explain_model(model: Any, observed: Any, query: Query | None, memory: int | float | str | None) -> Explanation:
    """p(hidden | visible), log Z and the gradient, unless something else is asked for."""
    if observed or query:
        queries = (query,) if query else MACHINE_QUERIES
        return Explanation(tuple(plan_model(model, observed, q, memory) for q in queries))
    posterior = (plan_model(model, [model.groups[0]], "marginals", memory),) if len(model.groups) > 1 else ()
    return Explanation((*posterior, *(plan_model(model, (), q, memory) for q in ("evidence", "gradient"))))


def plan_machine(
    graph: GroupGraph,
    observed: Iterable[str] | Mapping[str, Iterable[int]],
    query: Query,
    memory: int | float | str | None,
) -> Plan:
    """The plan of a query of a machine of which some groups (or some of their units) are observed."""
    free = graph.without(observed)
    names = tuple(observed)
    if free.is_free:
        return _independent(graph, free, names, query)
    enumeration = _enumeration(graph, free, names, query, memory_bytes(memory))
    if enumeration.method and enumeration.seconds < 0.1:
        return enumeration
    elimination = _elimination(free, names, query, memory)
    options = [plan for plan in (enumeration, elimination) if plan is not None]
    return min(options, key=lambda plan: (plan.method is None, plan.seconds))


def observed_units(graph: GroupGraph, observed: Any) -> dict[str, Iterable[int]]:
    """What is observed, as units of groups: named groups, named units (``hidden3``), or group → units or values.

    NaN among values marks a unit that is not observed.
    """
    if isinstance(observed, Mapping):
        return {name: _observed(units) for name, units in observed.items()}
    found: dict[str, list[int]] = {}
    for name in (observed,) if isinstance(observed, str) else observed or ():
        group = name.rstrip("0123456789") if name not in graph.sizes else name
        found.setdefault(group, []).extend(range(graph.size(group)) if group == name else [int(name[len(group) :])])
    return dict(found)


def _observed(units: Any) -> Iterable[int]:
    array = np.asarray(units)
    return np.flatnonzero(~np.isnan(array)).tolist() if array.dtype.kind == "f" else array.tolist()


def split(graph: GroupGraph) -> Split | None:
    """The cheapest way to enumerate: the groups with most states among sets that do not touch are summed out."""
    found = [(graph.log2_states(way.enumerated), i, way) for i, way in enumerate(_ways(graph))]
    return min(found)[-1] if found else None


def _ways(graph: GroupGraph) -> Iterator[Split]:
    """Every way to enumerate finitely many states of some groups and to sum the others out."""
    for n in range(len(graph.sizes) + 1):
        for summed in filter(partial(_untouched, graph), combinations(graph.sizes, n)):
            rest = tuple(name for name in graph.sizes if name not in summed)
            if all(np.isfinite(graph.states[name]) for name in rest):
                yield Split(rest, summed)


def _untouched(graph: GroupGraph, names: tuple[str, ...]) -> bool:
    if any(map(graph.coupled_within, names)):
        return False
    return not any(b in graph.neighbours[a] for a, b in combinations(names, 2))


def _independent(graph: GroupGraph, free: GroupGraph, observed: tuple[str, ...], query: Query) -> Plan:
    n = float(free.n_units)
    reason = f"no two free units{_given(observed)} interact, so each has its closed form"
    if observed and not graph.is_free:
        reason = f"{' and '.join(observed)} observed: {reason}"
    return Plan("independent", 1.0, n, 8.0 * n, 1e-6 * n, reason, query=query, observed=observed)


def _given(observed: tuple[str, ...]) -> str:
    return f" given {', '.join(observed)}" if observed else ""


def _enumeration(graph: GroupGraph, free: GroupGraph, observed: tuple[str, ...], query: Query, memory: float) -> Plan:
    found = split(free)
    if found is None:
        reason = "continuous units are coupled to each other: there are no states to enumerate"
        return Plan(None, np.inf, np.inf, np.inf, np.inf, reason, _alternatives(), (), query, observed)
    bits = free.log2_states(found.enumerated)
    flops, size, seconds = _price(free, bits, query)
    common = (bits, flops, size, seconds, _why(free, found, bits))
    if bits <= MAX_TERMS_LOG2 and seconds <= MAX_SECONDS and size <= memory:
        return Plan("enumeration", *common, query=query, observed=observed)
    return Plan(None, *common, _alternatives(), _advice(free, found, bits), query, observed)


def _price(graph: GroupGraph, bits: float, query: Query) -> tuple[float, float, float]:
    """Multiply-adds, bytes and seconds of 2^bits states."""
    per_state = 2.0 * graph.n_units
    flops = 2.0**bits * per_state if bits < 1000 else np.inf
    term = BINARY if set(graph.states.values()) == {2} else GENERAL
    seconds = term * PASSES[query] * speed() * flops / 2 / n_cores()
    return flops, 8.0 * min(2.0 ** min(bits, 60), CHUNK) * per_state, seconds


def _why(graph: GroupGraph, found: Split, bits: float) -> str:
    rest = " and ".join(f"{graph.sizes[name]} {name}" for name in found.enumerated)
    terms = f"2^{bits:.4g}" if bits >= 14 else f"{round(2**bits):,}"
    if not found.summed:
        return f"{rest} units are all coupled: each of their {terms} joint states is a term of its own"
    out = " and ".join(f"{graph.sizes[name]} {name}" for name in found.summed)
    return f"{out} units do not touch each other and are summed out; the {rest} units are enumerated: {terms} terms"


def _advice(graph: GroupGraph, found: Split, bits: float) -> tuple[str, ...]:
    """How many units of the enumerated groups would have to be observed."""
    excess = bits - MAX_TERMS_LOG2
    name = max(found.enumerated, key=lambda g: graph.log2_states([g]))
    n = int(np.ceil(excess / np.log2(graph.states[name]))) if excess > 0 else 1
    return (f"{min(n, graph.sizes[name])} units of {name}",)


def _alternatives() -> tuple[Alternative, ...]:
    return (
        Alternative("annealing", "conditional", "forward and reverse runs bracket log Z: log_partition(model, data=…)"),
        Alternative("mean_field", "bound", "a factorized q: its ELBO is below log Z"),
        Alternative("gibbs", "estimate", "marginals from chains, with their standard errors"),
    )


def _elimination(
    free: GroupGraph, observed: tuple[str, ...], query: Query, memory: int | float | str | None
) -> Plan | None:
    """The plan of the elimination engine, where the machine is discrete and sparse."""
    from tractable.plan import price

    if not all(np.isfinite(list(free.states.values()))) or free.n_pairs > FEW_PAIRS:
        return None
    try:
        graph = free.units_graph()
    except GraphError:
        return None
    names = list(graph.sizes)
    place = {name: i for i, name in enumerate(names)}
    members = np.fromiter((place[v] for scope in graph.links for v in scope), np.int32)
    starts = np.concatenate([[0], np.cumsum([len(s) for s in graph.links])]).astype(np.int64)
    scopes = Scopes(np.array(list(graph.sizes.values()), np.int32), starts, members)
    return price(
        scopes, lambda: names, graph, observed, "marginals" if query == "gradient" else query, memory_bytes(memory)
    )
