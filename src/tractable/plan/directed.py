"""The price of queries about models of layers: which observations join which hidden units, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tractable.graph import GraphError
from tractable.graph.groups import GroupGraph
from tractable.graph.layers import LayeredGraph, VStructure
from tractable.kernels import Scopes
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
from tractable.plan.budget import speed
from tractable.plan.machines import MAX_TERMS_LOG2, GibbsChains, cheaper, inapplicable, plan_machine
from tractable.plan.searched_units import searched
from tractable.plan.tables import plan_samples
from tractable.plan.tables import price as price_scopes

LAYER_QUERIES: tuple[Query, ...] = ("marginals", "evidence")
EXACT, APPROXIMATE = ("independent", "enumeration", "elimination"), ("mean_field", "gibbs", "importance", "annealing")
METHODS = ("auto", "exact", *EXACT, *APPROXIMATE)
SOFTPLUS, PAIR = 1e-8, 1.2e-8
"""Seconds for one log(1 + e^a), and for one pair of states of neighbouring layers; rough."""

MAX_PARENTS = 16
"""A unit with more parents has no table for the elimination engine."""

COMFORT = 22
"""Bits that are summed over in some seconds: what the advice aims at."""

NAMED = 3
"""Units that the reason names one by one; more are counted."""

OTHERWISE = {"sample": "gibbs", "impute": "gibbs", "transform": "mean_field", "evidence": "annealing"}
PROPOSED = {**OTHERWISE, "transform": "recognition", "evidence": "importance"}
"""What answers where exact answers take longer than one has patience for; and where a recognition network proposes."""

CHAINS, SAMPLES, TEMPERATURES, ANNEALED_CHAINS = 32, 1000, 100, 16
SWEEPS = {"marginals": 400, "sample": 200, "impute": 200}
"""Of a chain. Of draws there are as many chains as are asked for, and no fewer than of averages, so that these say
whether they cross."""

Given = Mapping[str, Iterable[int]]
ObservedUnits = dict[str, frozenset[int]]


class WeighedSamples(NamedTuple):
    """How many weighted samples stand for each row."""

    n: int


class AnnealedChains(NamedTuple):
    """How many chains are annealed for each row, through how many temperatures."""

    n_chains: int
    n_temperatures: int


class Price(NamedTuple):
    """log2 of the states summed over jointly, multiply-adds, bytes and seconds."""

    width: float
    flops: float
    bytes: float
    seconds: float


def plan_model(model: Any, observed: Any, ask: Ask) -> Plan:
    """The plan of a query of a model of layers; only its graph is looked at."""
    check_query(ask.query, (*LAYER_QUERIES, "map", "sample"))
    graph, own = model.graph, model.generative if model.family == "helmholtz" else model
    known = {name: np.flatnonzero(~np.isnan(v)).tolist() for name, v in (own.known or {}).items()}
    given = graph.observed(observed_units(graph, observed))
    return plan_layers(graph, {name: units.union(known.get(name, ())) for name, units in given.items()}, ask)


def explained(model: Any, observed: Any, query: Query | None) -> list[tuple[Any, Query]]:
    """p(hidden | visible) and log p(visible), unless something else is asked for, and what nothing observed costs."""
    asked = observed is not None and len(observed) > 0
    given = observed if asked else [model.graph.names[0]]
    nothing: list[tuple[Any, Query]] = [] if asked or query else [((), "evidence")]
    return [*((given, q) for q in ((query,) if query else LAYER_QUERIES)), *nothing]


def observed_units(graph: LayeredGraph, observed: Any) -> dict[str, Iterable[int]]:
    """What is observed, as units of layers: named layers, named units (``hidden1.3``), or layer → units or values.

    In a mapping floating-point numbers are values, NaN where a unit is not observed, and integers are units. Numbers
    that stand alone are values of the visible layer.
    """
    if isinstance(observed, Mapping):
        return {name: _units(graph, name, np.asarray(values)) for name, values in observed.items()}
    named = (observed,) if isinstance(observed, str) else () if observed is None else observed
    if len(named) and np.asarray(named).dtype.kind in "biuf":
        return {graph.names[0]: _units(graph, graph.names[0], np.asarray(named, float))}
    return _named(graph, named)


def _named(graph: LayeredGraph, names: Iterable[str]) -> dict[str, Iterable[int]]:
    """Units of layers by the names of layers and of units."""
    found: dict[str, set[int]] = {}
    for name in names:
        layer, _, unit = name.partition(".") if name not in graph.sizes else (name, "", "")
        n = graph.size(name if unit and not unit.isdecimal() else layer)
        found.setdefault(layer, set()).update(range(n) if not unit else [int(unit)])
    return dict(found)


def _units(graph: LayeredGraph, name: str, array: np.ndarray) -> Iterable[int]:
    if array.dtype.kind != "f":
        return array.tolist()
    if array.shape != (graph.size(name),):
        raise GraphError(f"{name} has {graph.size(name)} units, got values of the shape {array.shape}")
    return np.flatnonzero(~np.isnan(array)).tolist()


def plan_layers(graph: LayeredGraph, given: Given, ask: Ask, n_rows: int = 1, proposed: bool = False) -> Plan:
    """The plan for rows of layers of which some units are observed: the cheaper of enumeration and elimination.

    `proposed` says that a recognition network proposes states of what is free.

    Raises
    ------
    ModelError : the method asked for does not apply. ValueError : there is no such method.
    """
    check_method(ask.method, METHODS)
    ask = exact_alone(ask)
    check_exact(ask, EXACT)
    return replace(_chosen(graph, given, ask, n_rows, proposed), given=graph.observed(given))


def _chosen(graph: LayeredGraph, given: Given, ask: Ask, n_rows: int, proposed: bool) -> Plan:
    if ask.method in APPROXIMATE:
        return _approximate(graph, given, ask, ask.method, n_rows)
    found = _exact(graph, given, ask)
    if found.method != "ancestral":
        by_row = found.seconds if found.method == "elimination" else seconds_by_row(graph, given, ask.query)
        found = found.for_rows(n_rows, found.seconds + by_row * (n_rows - 1))
    if ask.query == "map":
        free = float(sum(graph.free(given, False).values()))
        return searched(found, ask, free, n_rows) if _has_tables(graph) else found
    if found.method is None and ask.method == "auto" and ask.patience < math.inf:
        return _approximate(graph, given, ask, (PROPOSED if proposed else OTHERWISE)[ask.query], n_rows)
    return found


def _exact(graph: LayeredGraph, given: Given, ask: Ask) -> Plan:
    method = ask.method
    if ask.query == "sample" and not any(graph.observed(given).values()):
        return _ancestral(graph, ask)
    if graph.undirected_top and (ask.query, method) == ("evidence", "auto") and only_top(graph, given):
        return _top_plan(graph, given, ask)
    found = cheaper(method, lambda: enumeration(graph, given, ask), lambda: elimination(graph, given, ask))
    if found is None:
        raise inapplicable(ask, "it needs few links, and few parents for each unit")
    if method == "independent" and found.method != "independent":
        raise inapplicable(ask, why(graph, given, ask.query))
    return found


def only_top(graph: LayeredGraph, given: Given) -> bool:
    """Whether nothing below the machine on top is observed: what is asked is then a question about that machine."""
    seen = graph.observed(given)
    return not any(seen[name] for name in graph.names[:-2])


def _asked(graph: LayeredGraph, given: Given, ask: Ask) -> dict[str, Any]:
    return {
        "query": ask.query,
        "n": ask.n,
        "observed": _listed(graph, given),
        "budget": ask.exactly,
        "structure": graph,
    }


def _ancestral(graph: LayeredGraph, ask: Ask) -> Plan:
    """Samples given nothing: from the top downward; the machine on top is a question of its own."""
    flops, size = 2.0 * graph.n_links * ask.n, 12.0 * ask.n * graph.n_units
    reason = "nothing is observed: each layer is drawn given the one above, from the top downward"
    plan = Plan("ancestral", 0.0, flops, size, 1e-9 * flops, reason, **_asked(graph, {}, ask))
    return within(replace(plan, program=_top_plan(graph, {}, ask).program if graph.undirected_top else None), size)


def _top_plan(graph: LayeredGraph, given: Given, ask: Ask) -> Plan:
    """The plan of the machine on top, whose own plan is what runs."""
    lower, upper = (graph.sizes[name] for name in graph.names[-2:])
    sizes: dict[str, int] = {"visible": lower, "hidden": upper}
    seen = [graph.observed(given)[name] for name in graph.names[-2:]]
    machine = GroupGraph(sizes, dict.fromkeys(sizes, 2.0), (("visible", "hidden"),))
    units = {own: part for own, part in zip(sizes, seen, strict=True) if part}
    own = plan_machine(machine, units, ask._replace(method="auto"))
    return replace(own, program=own, structure=graph, observed=_listed(graph, given))


def enumeration(graph: LayeredGraph, given: Given, ask: Ask) -> Plan:
    """The plan that sums over all states of the hidden layers, one layer at a time."""
    cost, more = price(graph, given, ask), _asked(graph, given, ask)
    common = cost.width, cost.flops, cost.bytes, cost.seconds, lambda: why(graph, given, ask.query)
    if not any(graph.free(given, ask.query == "evidence").values()):
        return Plan("independent", *common, **more)
    if _affordable(cost, ask):
        return Plan("enumeration", *common, **more)
    others = ALTERNATIVES[:-1] if graph.undirected_top else ALTERNATIVES
    others = tuple(other for other in others if ask.query != "map" or other.certificate == "exact")
    return Plan(None, *common, others, advice(graph, given, ask), **more)


def _affordable(cost: Price, ask: Ask) -> bool:
    limit = ask.exactly
    return cost.width <= MAX_TERMS_LOG2 and cost.seconds <= limit.seconds and cost.bytes <= limit.memory


def price(graph: LayeredGraph, given: Given, ask: Ask) -> Price:
    """What summing layer by layer costs: the states of two neighbouring layers meet in matrix products."""
    pruned = ask.query == "evidence"
    free, counted = graph.free(given, pruned), graph.counted(given, pruned)
    names, flops, seconds, size = graph.names, 0.0, 0.0, 8.0 * 3 * 2**21
    if graph.undirected_top:  # the top layer is summed out in closed form
        names, seconds = names[:-1], 2.0 ** min(free[names[-2]], 500) * graph.sizes[names[-1]] * SOFTPLUS
    for name, above in pairwise([*names, ""]):
        own = 2.0 ** min(free[name], 500)
        upper = 2.0 ** min(free[above], 500) if above else 1.0
        units = len(counted[name])
        inside = units if name in graph.within else 0
        seconds += upper * units * SOFTPLUS + own * upper * (PAIR + inside * SOFTPLUS)
        flops += upper * units * (2 * free.get(above, 0) + 10) + own * upper * (2 * units + 4)
        size += 8.0 * own * (graph.sizes[name] + 4) if free[name] else 0.0
    scale = 1.0 if pruned else 2.0
    kept = n_ranks(ask.n, float(graph.n_units)) if ask.query == "map" else ask.n
    size += 16.0 * kept * graph.n_units if ask.query in ("sample", "map") else 0.0
    return Price(float(graph.width(given, pruned)), scale * flops, size, scale * seconds * speed())


def elimination(graph: LayeredGraph, given: Given, ask: Ask) -> Plan | None:
    """The plan of the elimination engine, where links are few and no unit has many parents."""
    if not _has_tables(graph) or (ask.query, ask.n > 1) == ("map", True):
        return None
    units = graph.units_graph()
    seen = _unit_names(graph.observed(given))
    counted = _unit_names(graph.counted(given, ask.query == "evidence"))
    wanted = counted if ask.query == "evidence" else {**dict.fromkeys(units.sizes), **counted}
    names = list(units.sizes)
    if not set(wanted) - set(seen):
        return None
    scopes, leaves = _scopes(names, {u: (*units.parents[u], u) for u in wanted}, set(seen))
    plan = price_scopes(scopes, lambda: names, units, tuple(seen), ask._replace(budget=ask.exactly))
    plan = plan_samples(plan, len(names), ask) if ask.query == "sample" else plan
    tree = replace(plan.program, leaves=leaves)
    return replace(plan, program=tree, structure=graph, observed=_listed(graph, given))


def _has_tables(graph: LayeredGraph) -> bool:
    """Whether links are few, and no unit has more parents than a table holds."""
    if not graph.is_sparse or graph.undirected_top:
        return False
    return max(map(len, graph.units_graph().parents.values())) <= MAX_PARENTS


def _unit_names(units: Mapping[str, Iterable[int]]) -> dict[str, None]:
    """Units of layers as variables, in order."""
    return dict.fromkeys(f"{name}.{i}" for name, own in units.items() for i in sorted(own))


def _scopes(names: list[str], families: Mapping[str, tuple[str, ...]], seen: set[str]) -> tuple[Scopes, np.ndarray]:
    """Families over the free units of all, and their numbers; one of which all are observed has no scope."""
    place = {name: i for i, name in enumerate(names)}
    members = {place[u]: [place[v] for v in own if v not in seen] for u, own in families.items()}
    members = {j: own for j, own in members.items() if own}
    starts = np.concatenate([[0], np.cumsum([len(own) for own in members.values()])]).astype(np.int64)
    flat = np.fromiter((v for own in members.values() for v in own), np.int32)
    return Scopes(np.full(len(names), 2, np.int32), starts, flat), np.fromiter(members, np.int64)


# ---------------------------------------------------------------- approximations


def _approximate(graph: LayeredGraph, given: Given, ask: Ask, method: str, n_rows: int) -> Plan:
    """What an approximation costs, roughly: one asked for by name, or one that answers in place of exact sums."""
    program = _effort(method, ask)
    rows = max(ask.n, CHAINS) if ask.query == "sample" else n_rows
    each = 1 if program is None else program[0]
    passes = {GibbsChains: 2.0, AnnealedChains: 2.5}.get(type(program), 1.0) * (program[-1] if program else 200.0)
    flops = 2.0 * graph.n_links * rows * passes * (1 if isinstance(program, WeighedSamples) else each)
    told = f"{method} " + ("was asked for" if method == ask.method else "answers where exact answers take too long")
    more = _asked(graph, given, ask) | {"budget": ask.budget, "program": program}
    size = 16.0 * rows * graph.n_units
    return within(Plan(method, 0.0, flops, size, 1e-9 * flops, told, **more), size)


def _effort(method: str, ask: Ask) -> GibbsChains | WeighedSamples | AnnealedChains | None:
    if method == "gibbs":
        sweeps = ask.sweeps or SWEEPS.get(ask.query, SWEEPS["marginals"])
        return GibbsChains(1 if ask.query == "sample" else CHAINS, sweeps)
    return {"importance": WeighedSamples(SAMPLES), "annealing": AnnealedChains(ANNEALED_CHAINS, TEMPERATURES)}.get(
        method
    )


# ---------------------------------------------------------------- in words


def why(graph: LayeredGraph, given: Given, query: Query = "evidence") -> str:
    """The structural reason: which observations join which parents, and what has to be summed over together."""
    free = {name: n for name, n in graph.free(given, query == "evidence").items() if n}
    found = graph.v_structures(given)
    if not free:
        return "nothing that is free matters to what is observed: it sums to one, layer by layer"
    joint = " and ".join(f"{n} {name}" for name, n in free.items())
    width = graph.width(given, query == "evidence")
    sums = f"{joint} units: one layer at a time, {width} of them meet in the largest sum, 2^{width} terms"
    if not found:
        return f"no observed unit couples two free parents, so what is summed over is small: {sums}"
    return f"explaining away: {'; '.join(map(v_structure, found))}: the moral graph joins {sums}"


def v_structure(found: VStructure) -> str:
    """One layer of v-structures, in words."""
    many = f"{found.fewest} to {found.most}" if found.fewest < found.most else f"{found.most}"
    units = f"each of {found.n_units} observed {found.layer} units"
    if found.n_units <= NAMED:
        units = " and ".join(f"{found.layer}.{i}" for i in found.units) + (", each," if found.n_units > 1 else "")
    return f"{units} couples {many} parents in {found.parents}"


def advice(graph: LayeredGraph, given: Given, ask: Ask) -> tuple[str, ...]:
    """Hidden units whose observation brings a query within the budget, taken from the bottom upward."""
    seen = graph.observed(given)
    for bits in range(COMFORT, 0, -1):
        enough = _leaving(graph, seen, ask.query, bits)
        if _affordable(price(graph, enough, ask), ask):
            return tuple(
                f"{len(enough[name] - seen[name])} units of {name}" for name in seen if enough[name] > seen[name]
            )
    return ()


def _leaving(graph: LayeredGraph, seen: ObservedUnits, query: Query, bits: int) -> ObservedUnits:
    """Units observed, so many that no two neighbouring layers have more free units than `bits` to be summed over.

    The upper layer of a machine on top is summed out in closed form.
    """
    enough, pruned = {**seen}, query == "evidence"
    for below, name in pairwise(graph.names[:-1] if graph.undirected_top else graph.names):
        free = graph.free(enough, pruned)
        taken = min(free[name], max(0, free[below] + free[name] - bits))
        open_ = sorted(graph.counted(enough, pruned)[name] - enough[name])
        enough[name] = enough[name].union(open_[:taken])
    return enough


ALTERNATIVES = (
    Alternative(
        "importance", "probabilistic", "K samples of a recognition network: log_likelihood(machine, data, samples=K)"
    ),
    Alternative("annealing", "probabilistic", "annealed importance sampling over the hidden units, row by row"),
    Alternative("mean_field", "bound", "a factorized q with the bound of Saul, Jaakkola & Jordan: below log p(x)"),
    Alternative("gibbs", "estimate", "marginals from chains, with their standard errors"),
    Alternative("missing links", "exact", "weights that are zero: with few parents for each unit elimination answers"),
)


def _listed(graph: LayeredGraph, given: Given) -> tuple[str, ...]:
    """What is observed, whole layers by their name."""
    seen = {name: units for name, units in graph.observed(given).items() if units}
    return tuple(name if len(u) == graph.sizes[name] else f"{len(u)} units of {name}" for name, u in seen.items())


def seconds_by_row(graph: LayeredGraph, given: Given, query: Query) -> float:
    """What each row costs on top: it meets every state of the first hidden layer."""
    states = 2.0 ** min(graph.free(given, query == "evidence")[graph.names[1]], 500) if len(graph.names) > 1 else 1.0
    return states * PAIR * speed() * (1.0 if query == "evidence" else 2.0)
