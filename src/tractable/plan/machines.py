"""The price of a Boltzmann machine's queries, from its groups and who touches whom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from tractable.graph import Graph, GraphError
from tractable.graph.groups import GroupGraph
from tractable.kernels import Scopes
from tractable.kernels.threads import n_cores
from tractable.models import ModelError
from tractable.plan._base import (
    Alternative,
    Ask,
    Plan,
    Query,
    check_exact,
    check_method,
    check_query,
    exact_alone,
    n_ranks,
    within,
)
from tractable.plan.budget import LIVE_LOG2_STATES, START_FLOPS, speed
from tractable.plan.budget import ask as asked
from tractable.plan.searched_units import searched
from tractable.plan.tables import plan_samples, price

MAX_TERMS_LOG2 = 30
"""More joint states than 2 to this are never enumerated."""

FEW_PAIRS = 20_000
"""With more interacting pairs than this no elimination order is searched: dense blocks have no good one."""

CHUNK = 1 << 12
MACHINE_QUERIES: tuple[Query, ...] = ("marginals", "evidence", "gradient")
EXACT, APPROXIMATE = ("independent", "enumeration", "elimination"), ("mean_field", "tap", "gibbs")
METHODS = ("auto", "exact", *EXACT, *APPROXIMATE)
BINARY, GENERAL = 5e-10, 1.5e-9
"""Seconds on one core for one summed-out unit in one enumerated state: units with two states, and others; measured."""

PASSES = {"evidence": 1.0, "map": 1.0}
"""What log Z costs in evaluations of itself; expectations cost five."""

OTHERWISE = {"sample": "annealing", "impute": "gibbs", "transform": "mean_field", "evidence": "annealing"}
"""What answers where exact answers take longer than one has patience for."""

RESTARTS, RESTARTS_OF_MANY = 8, 2
CHAINS, CHAINS_OF_MANY = 64, 16
SWEEPS = {"marginals": 1000, "sample": 25, "impute": 200}
"""Of a chain; of samples, after they were annealed."""

FEWEST_RUNS, TEMPERATURES = 256, (100, 5000)
SEARCH = 400_000
"""Sweeps of all chains that look for phases: modes, pilot runs, replica exchange."""

TOGETHER = 2048
"""Chains that run at once."""


class Split(NamedTuple):
    """Which groups are enumerated, state by state, and which are summed out in closed form for each of those states."""

    enumerated: tuple[str, ...]
    summed: tuple[str, ...]


class GibbsChains(NamedTuple):
    """How many Gibbs chains for each row, and their sweeps."""

    n_each: int
    n_sweeps: int


class AnnealedDraws(NamedTuple):
    """Annealed runs that go together, their temperatures at least and at most, and the sweeps that draws end with."""

    n_runs: int
    temperatures: tuple[int, int]
    n_sweeps: int


class Restarts(NamedTuple):
    """From how many starts mean field climbs for each row."""

    n_each: int


def plan_model(model: Any, observed: Any, ask: Ask) -> Plan:
    """The plan of a query of a machine; only its graph is looked at."""
    check_query(ask.query, (*MACHINE_QUERIES, "map", "sample"))
    return plan_machine(model.graph, observed_units(model.graph, observed), ask)


def explained(model: Any, observed: Any, query: Query | None) -> list[tuple[Any, Query]]:
    """p(hidden | visible), log Z and the gradient, unless something else is asked for."""
    if observed or query:
        return [(observed, q) for q in ((query,) if query else MACHINE_QUERIES)]
    posterior: list[tuple[Any, Query]] = [([model.groups[0]], "marginals")] if len(model.groups) > 1 else []
    return [*posterior, ((), "evidence"), ((), "gradient")]


ObservedGroups = Iterable[str] | Mapping[str, Iterable[int]]


def plan_machine(graph: GroupGraph, observed: ObservedGroups, ask: Ask, n_rows: int = 1, many: bool = False) -> Plan:
    """The plan for cases of a machine of which some groups (or some of their units) are observed.

    `many` says that these are some of many cases, each of which an approximation then takes less trouble about.

    Raises
    ------
    ModelError : the method asked for does not apply. ValueError : there is no such method.
    """
    check_method(ask.method, METHODS)
    ask = exact_alone(ask)
    check_exact(ask, EXACT)
    given = dict(observed) if isinstance(observed, Mapping) else None
    return replace(_chosen(graph, observed, ask, n_rows, many), given=given)


def _chosen(graph: GroupGraph, observed: ObservedGroups, ask: Ask, n_rows: int, many: bool) -> Plan:
    if ask.method in APPROXIMATE:
        return _approximate(graph, observed, ask, (ask.method, n_rows, many))
    found = _exact(graph, observed, ask)
    found = found.for_rows(n_rows, found.seconds * n_rows)
    if ask.query == "map":
        free = graph.without(observed)
        return searched(found, ask, free.log2_states(free.sizes), n_rows) if _has_tables(free) else found
    if found.method is None and ask.method == "auto" and ask.patience < math.inf:
        return _approximate(graph, observed, ask, (OTHERWISE[ask.query], n_rows, many))
    return found


def _has_tables(free: GroupGraph) -> bool:
    """Whether units stand in few tables, each of two of them."""
    return free.n_pairs <= FEW_PAIRS and all(np.isfinite(list(free.states.values())))


def plan_starts(graph: GroupGraph, n: int) -> Plan:
    """The plan of the samples that reverse annealing starts from: exact ones where they cost next to nothing."""
    found = plan_machine(graph, (), asked("sample", n=n))
    return found if found.flops <= START_FLOPS else replace(found, method="gibbs", program=None)


def plan_live(graph: GroupGraph) -> Plan:
    """The plan of log Z while a machine is being trained: exact where it has few states, else annealed."""
    ask = asked("evidence")
    dense = (min(graph.log2_states([a]), graph.log2_states([b])) for a, b in graph.couplings)
    if max(dense, default=0.0) > LIVE_LOG2_STATES:  # no order of elimination is narrower
        return replace(_enumeration(graph, graph, (), ask), method="annealing", program=None)
    found = plan_machine(graph, (), ask)
    few = found.method in EXACT and found.width <= LIVE_LOG2_STATES
    return found if few else replace(found, method="annealing", program=None)


def _exact(graph: GroupGraph, observed: ObservedGroups, ask: Ask) -> Plan:
    free, names = graph.without(observed), _listed(graph, observed)
    method = ask.method
    if ask.query == "map" and (continuous := [g for g in free.sizes if not np.isfinite(free.log2_states([g]))]):
        told = f"the most probable state is one of discrete units, and {continuous[0]} has continuous ones"
        raise ModelError(f"{told}: observe them, or take the means that infer gives")
    if free.is_free and method != "elimination":
        return _independent(graph, free, names, ask)
    if method == "independent":
        raise inapplicable(ask, "some of the free units interact")
    needless = method == "auto" and free.is_one_block
    found = cheaper(
        method,
        lambda: _enumeration(graph, free, names, ask),
        lambda: None if needless or (ask.query, ask.n > 1) == ("map", True) else _elimination(graph, free, names, ask),
    )
    if found is None:
        raise inapplicable(ask, "it needs discrete units with few pairs of them interacting")
    return found


def _listed(graph: GroupGraph, observed: ObservedGroups) -> tuple[str, ...]:
    """What is observed, whole groups by their name."""
    if not isinstance(observed, Mapping):
        return tuple(observed)
    counts = {name: len(set(units)) for name, units in observed.items()}
    return tuple(name if n == graph.sizes[name] else f"{n} units of {name}" for name, n in counts.items() if n)


def cheaper(
    method: str, enumeration: Callable[[], Plan], elimination: Callable[[], Plan | None], at_once: float = 0.1
) -> Plan | None:
    """The cheaper of two exact ways, or the one that is asked for; an order is searched only where that may pay."""
    first = None if method == "elimination" else enumeration()
    if first is not None and (method == "enumeration" or (first.method and first.seconds < at_once)):
        return first
    options = [plan for plan in (first, elimination()) if plan is not None]
    return min(options, key=lambda plan: (plan.method is None, plan.seconds), default=None)


def inapplicable(ask: Ask, why: str) -> ModelError:
    """The error for a method that was asked for by name."""
    return ModelError(f"{ask.method} does not apply: {why}; leave the choice to method='auto'")


def observed_units(graph: GroupGraph, observed: Any) -> dict[str, list[int]]:
    """What is observed, as units of groups: named groups, named units (``hidden3``), or group → units or values.

    NaN among values marks a unit that is not observed.
    """
    found = _units_by_group(graph, observed)
    return {name: sorted(set(units)) for name, units in found.items() if len(units)}


def _units_by_group(graph: GroupGraph, observed: Any) -> Mapping[str, list[int]]:
    if isinstance(observed, Mapping):
        return {name: _observed(units) for name, units in observed.items()}
    found: dict[str, list[int]] = {}
    for name in (observed,) if isinstance(observed, str) else observed or ():
        group = name.rstrip("0123456789") if name not in graph.sizes else name
        size = graph.size(group)  # an error where there is no such group
        found.setdefault(group, []).extend(range(size) if group == name else [int(name[len(group) :])])
    return found


def _observed(units: Any) -> list[int]:
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
            if np.isfinite(graph.log2_states(rest)):
                yield Split(rest, summed)


def _untouched(graph: GroupGraph, names: tuple[str, ...]) -> bool:
    if any(map(graph.coupled_within, names)):
        return False
    return not any(b in graph.neighbours[a] for a, b in combinations(names, 2))


def _independent(graph: GroupGraph, free: GroupGraph, observed: tuple[str, ...], ask: Ask) -> Plan:
    n = float(free.n_units)
    reason = f"no two free units{_given(observed)} interact, so each has its closed form"
    if observed and not graph.is_free:
        reason = f"{' and '.join(observed)} observed: {reason}"
    kept = n_ranks(ask.n, free.log2_states(free.sizes)) if ask.query == "map" else ask.n
    plan = Plan("independent", 1.0, n, 0.0, 1e-6 * n, reason, **_asked(graph, observed, ask))
    return within(plan, (24.0 if ask.query == "map" else 8.0) * n * kept)


def _asked(graph: GroupGraph, observed: tuple[str, ...], ask: Ask) -> dict[str, Any]:
    return {"query": ask.query, "n": ask.n, "observed": observed, "budget": ask.exactly, "structure": graph}


def _given(observed: tuple[str, ...]) -> str:
    return f" given {', '.join(observed)}" if observed else ""


def _enumeration(graph: GroupGraph, free: GroupGraph, observed: tuple[str, ...], ask: Ask) -> Plan:
    found, more = split(free), _asked(graph, observed, ask)
    if found is None:
        reason = "continuous units are coupled to each other: there are no states to enumerate"
        return Plan(None, np.inf, np.inf, np.inf, np.inf, reason, _alternatives(ask), **more)
    bits, budget = free.log2_states(found.enumerated), ask.exactly
    flops, size, seconds = _price(free, bits, ask)
    common = (bits, flops, size, seconds, lambda: _why(free, found, bits))
    if bits <= MAX_TERMS_LOG2 and seconds <= budget.seconds and size <= budget.memory:
        return Plan("enumeration", *common, program=found, **more)
    return Plan(None, *common, _alternatives(ask), _advice(free, found, bits), **more)


def _price(graph: GroupGraph, bits: float, ask: Ask) -> tuple[float, float, float]:
    """Multiply-adds, bytes and seconds of 2^bits states."""
    per_state = 2.0 * graph.n_units
    flops = 2.0**bits * per_state if bits < 1000 else np.inf
    term = BINARY if set(graph.states.values()) == {2} else GENERAL
    seconds = term * PASSES.get(ask.query, 5.0) * speed() * flops / 2 / n_cores()
    drawn = 16.0 * ask.n * graph.n_units if ask.query == "sample" else 0.0
    if ask.query == "map":  # of the best, what every state of each unit adds
        drawn = (
            24.0
            * n_ranks(ask.n, graph.log2_states(graph.sizes))
            * sum(sum(graph.states_of(name)) for name in graph.sizes)
        )
    return flops, 8.0 * min(2.0 ** min(bits, 60), CHUNK) * per_state + drawn, seconds


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
    n = int(np.ceil(excess / np.mean(np.log2(graph.states_of(name))))) if excess > 0 else 1
    return (f"{min(n, graph.sizes[name])} units of {name}",)


def _alternatives(ask: Ask) -> tuple[Alternative, ...]:
    if ask.query == "map":
        return ()
    return (
        Alternative("annealing", "conditional", "forward and reverse runs bracket log Z: log_partition(model)"),
        Alternative("mean_field", "bound", "a factorized q: its ELBO is below log Z"),
        Alternative("gibbs", "estimate", "marginals from chains, with their standard errors"),
    )


def _elimination(graph: GroupGraph, free: GroupGraph, observed: tuple[str, ...], ask: Ask) -> Plan | None:
    """The plan of the elimination engine, where the machine is discrete and sparse."""
    if not _has_tables(free):
        return None
    try:
        units = free.units_graph()
    except GraphError:
        return None
    names, inner = list(units.sizes), ask._replace(query="marginals" if ask.query == "gradient" else ask.query)
    plan = price(_scopes(units), lambda: names, units, observed, inner._replace(budget=ask.exactly))
    plan = plan_samples(plan, len(names), inner) if ask.query == "sample" else plan
    return replace(plan, query=ask.query, structure=graph)


def _scopes(units: Graph) -> Scopes:
    """Who shares a table with whom: see `factors`."""
    place = {name: i for i, name in enumerate(units.sizes)}
    members = [[place[v] for v in scope] for scope in factors(units)]
    starts = np.concatenate([[0], np.cumsum([len(s) for s in members])]).astype(np.int64)
    flat = np.fromiter((v for own in members for v in own), np.int32)
    return Scopes(np.array(list(units.sizes.values()), np.int32), starts, flat)


def factors(units: Graph) -> list[tuple[str, ...]]:
    """The scopes of the tables that stand for a machine: units that meet nobody, then pairs, which hold the fields."""
    met = {v for scope in units.links if len(scope) > 1 for v in scope}
    return [scope for scope in units.links if len(scope) > 1 or not met.issuperset(scope)]


# ---------------------------------------------------------------- approximations


def _approximate(graph: GroupGraph, observed: ObservedGroups, ask: Ask, how: tuple[str, int, bool]) -> Plan:
    """What an approximation costs, roughly: one asked for by name, or one that answers in place of exact sums."""
    method, n_rows, many = how
    if ask.query == "sample":
        return _annealed_draws(graph, observed, ask)
    free, program = graph.without(observed), _effort(method, ask, many)
    rows = n_rows * (1 if program is None else program.n_each)
    passes = program.n_sweeps if isinstance(program, GibbsChains) else 100
    flops = 2.0 * (free.n_pairs + free.n_units) * rows * passes
    why = "was asked for" if method == ask.method else "answers where exact answers take too long"
    told = f"{method} {why}: {rows:,} chains" if isinstance(program, GibbsChains) else f"{method} {why}"
    more = _asked(graph, _listed(graph, observed), ask) | {"budget": ask.budget, "program": program}
    size = 8.0 * (rows + 2 * min(rows, TOGETHER)) * graph.n_units
    return within(Plan(method, 0.0, flops, size, 1e-9 * flops, told, **more), size)


def annealed_draws(n: int) -> AnnealedDraws:
    """The program of `n` draws: as many runs together as in pilot runs, which compiles once, but for very many."""
    return AnnealedDraws(FEWEST_RUNS if n <= TOGETHER else TOGETHER, TEMPERATURES, SWEEPS["sample"])


def _annealed_draws(graph: GroupGraph, observed: ObservedGroups, ask: Ask) -> Plan:
    """The price of samples from annealed runs, some three for each."""
    free, n = graph.without(observed), max(FEWEST_RUNS, 3 * ask.n)
    program = annealed_draws(ask.n)
    sweeps = float(SEARCH + n * 3 * TEMPERATURES[0] + ask.n * program.n_sweeps)
    flops = 2.0 * (free.n_pairs + free.n_units) * sweeps
    why = f"annealing answers where exact answers take too long: runs along the paths of all modes, {n:,} or more"
    more = _asked(graph, _listed(graph, observed), ask) | {"budget": ask.budget, "program": program}
    size = 8.0 * (n + ask.n + 4 * TOGETHER) * graph.n_units
    return within(Plan("annealing", 0.0, flops, size, 1e-9 * flops, why, **more), size)


def _effort(method: str, ask: Ask, many: bool) -> GibbsChains | Restarts | None:
    sweeps = ask.sweeps or SWEEPS.get(ask.query, SWEEPS["marginals"])
    if method == "gibbs":
        return GibbsChains(CHAINS_OF_MANY if many else CHAINS, sweeps)
    return Restarts(RESTARTS_OF_MANY if many else RESTARTS) if method == "mean_field" else None
