"""The price of queries about models of layers: which observations join which hidden units, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tractable.graph import GraphError
from tractable.graph.groups import GroupGraph
from tractable.graph.layers import LayeredGraph, VStructure
from tractable.kernels import Scopes
from tractable.plan._base import Alternative, Explanation, Plan, Query
from tractable.plan.budget import MAX_SECONDS, memory_bytes, speed
from tractable.plan.machines import MAX_TERMS_LOG2, plan_machine

LAYER_QUERIES: tuple[Query, ...] = ("marginals", "evidence")
SOFTPLUS, PAIR = 1e-8, 1.2e-8
"""Seconds for one log(1 + e^a), and for one pair of states of neighbouring layers; rough."""

MAX_PARENTS = 16
"""A unit with more parents has no table for the elimination engine."""

COMFORT = 22
"""Bits that are summed over in some seconds: what the advice aims at."""

NAMED = 3
"""Units that the reason names one by one; more are counted."""

Given = Mapping[str, Iterable[int]]
Observed = dict[str, frozenset[int]]
Memory = int | float | str | None


class Price(NamedTuple):
    """log2 of the states summed over jointly, multiply-adds, bytes and seconds."""

    width: float
    flops: float
    bytes: float
    seconds: float


def plan_model(model: Any, observed: Any, query: Query, memory: Memory) -> Plan:
    """The plan of a query of a model of layers; only its graph is looked at."""
    if query not in LAYER_QUERIES:
        raise ValueError(f"unknown query {query!r}; choose one of {', '.join(LAYER_QUERIES)}")
    return plan_layers(model.graph, observed_units(model.graph, observed), query, memory)


def explain_model(model: Any, observed: Any, query: Query | None, memory: Memory) -> Explanation:
    """p(hidden | visible) and log p(visible), unless something else is asked for, and what nothing observed costs."""
    queries = (query,) if query else LAYER_QUERIES
    asked = observed is not None and len(observed) > 0
    given = observed if asked else [model.graph.names[0]]
    plans = [plan_model(model, given, q, memory) for q in queries]
    return Explanation((*plans, *(() if asked or query else (plan_model(model, (), "evidence", memory),))))


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


def plan_layers(graph: LayeredGraph, given: Given, query: Query, memory: Memory) -> Plan:
    """The plan for layers of which some units are observed: the cheaper of enumeration and elimination."""
    if graph.undirected_top and query == "evidence" and only_top(graph, given):
        return _top_plan(graph, given, memory)
    first = enumeration(graph, given, query, memory)
    if first.method and first.seconds < 0.1:
        return first
    second = elimination(graph, given, query, memory)
    options = [plan for plan in (first, second) if plan is not None]
    return min(options, key=lambda plan: (plan.method is None, plan.seconds))


def only_top(graph: LayeredGraph, given: Given) -> bool:
    """Whether nothing below the machine on top is observed: what is asked is then a question about that machine."""
    seen = graph.observed(given)
    return not any(seen[name] for name in graph.names[:-2])


def _top_plan(graph: LayeredGraph, given: Given, memory: Memory) -> Plan:
    lower, upper = (graph.sizes[name] for name in graph.names[-2:])
    sizes: dict[str, int] = {"visible": lower, "hidden": upper}
    seen = [graph.observed(given)[name] for name in graph.names[-2:]]
    machine = GroupGraph(sizes, dict.fromkeys(sizes, 2.0), (("visible", "hidden"),))
    units = {own: part for own, part in zip(sizes, seen, strict=True) if part}
    return plan_machine(machine, units, "evidence", memory)


def enumeration(graph: LayeredGraph, given: Given, query: Query, memory: Memory) -> Plan:
    """The plan that sums over all states of the hidden layers, one layer at a time."""
    cost, names = price(graph, given, query), _listed(graph, given)
    common = cost.width, cost.flops, cost.bytes, cost.seconds, why(graph, given, query)
    if not any(graph.free(given, query == "evidence").values()):
        return Plan("independent", *common, query=query, observed=names)
    if _affordable(cost, memory):
        return Plan("enumeration", *common, query=query, observed=names)
    others = ALTERNATIVES[:-1] if graph.undirected_top else ALTERNATIVES
    return Plan(None, *common, others, advice(graph, given, query, memory), query, names)


def _affordable(cost: Price, memory: Memory) -> bool:
    return cost.width <= MAX_TERMS_LOG2 and cost.seconds <= MAX_SECONDS and cost.bytes <= memory_bytes(memory)


def price(graph: LayeredGraph, given: Given, query: Query) -> Price:
    """What summing layer by layer costs: the states of two neighbouring layers meet in matrix products."""
    free, counted = graph.free(given, query == "evidence"), graph.counted(given, query == "evidence")
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
    scale = 2.0 if query == "marginals" else 1.0
    return Price(float(graph.width(given, query == "evidence")), scale * flops, size, scale * seconds * speed())


def elimination(graph: LayeredGraph, given: Given, query: Query, memory: Memory) -> Plan | None:
    """The plan of the elimination engine, where links are few and no unit has many parents."""
    from tractable.plan import price as price_scopes

    if not graph.is_sparse or graph.undirected_top:
        return None
    units = graph.units_graph()
    if max(map(len, units.parents.values())) > MAX_PARENTS:
        return None
    seen = _unit_names(graph.observed(given))
    counted = _unit_names(graph.counted(given, query == "evidence"))
    wanted = counted if query == "evidence" else {**dict.fromkeys(units.sizes), **counted}
    names = [unit for unit in wanted if unit not in seen]
    if not names:
        return None
    scopes = _scopes(names, [(*units.parents[unit], unit) for unit in wanted])
    return price_scopes(scopes, lambda: names, units, tuple(seen), query, memory_bytes(memory))


def _unit_names(units: Mapping[str, Iterable[int]]) -> dict[str, None]:
    """Units of layers as variables, in order."""
    return dict.fromkeys(f"{name}.{i}" for name, own in units.items() for i in sorted(own))


def _scopes(names: list[str], families: list[tuple[str, ...]]) -> Scopes:
    """Families over the free units; one of which all are observed has no scope."""
    place = {name: i for i, name in enumerate(names)}
    members = [own for family in families if (own := [place[v] for v in family if v in place])]
    starts = np.concatenate([[0], np.cumsum([len(own) for own in members])]).astype(np.int64)
    return Scopes(np.full(len(names), 2, np.int32), starts, np.fromiter((v for own in members for v in own), np.int32))


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


def advice(graph: LayeredGraph, given: Given, query: Query, memory: Memory) -> tuple[str, ...]:
    """Hidden units whose observation brings a query within the budget, taken from the bottom upward."""
    seen = graph.observed(given)
    for bits in range(COMFORT, 0, -1):
        enough = _leaving(graph, seen, query, bits)
        if _affordable(price(graph, enough, query), memory):
            return tuple(
                f"{len(enough[name] - seen[name])} units of {name}" for name in seen if enough[name] > seen[name]
            )
    return ()


def _leaving(graph: LayeredGraph, seen: Observed, query: Query, bits: int) -> Observed:
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
    return states * PAIR * speed() * (2.0 if query == "marginals" else 1.0)
