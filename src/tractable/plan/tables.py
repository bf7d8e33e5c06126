"""The price of queries about networks of tables: a contraction tree, found, cut into slices, or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any

import numpy as np

from tractable.graph import Graph
from tractable.kernels import Reduced, Scopes
from tractable.kernels.threads import n_cores
from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence
from tractable.models.pruning import APART, left, linked
from tractable.plan._base import Apart, Ask, ContractionTree, Plan, within
from tractable.plan._units import listed
from tractable.plan.budget import predicted_bytes, predicted_seconds, sweeps
from tractable.plan.reasons import ALTERNATIVES, INSTEAD_OF_THE_BEST, why
from tractable.plan.search import find_tree
from tractable.plan.slicing import WORTH_SLICING, advice, sliced

CHUNK_ENTRIES = 1 << 20
"""Entries of all tables of a chunk of rows together; more rows amortize the steps, fewer stay in cache."""

MAX_CHUNK, MIN_CHUNK = 1024, 16
DRAWN = 3e-8
"""Seconds for the state of one variable in one sample; measured."""


RULED_OUT = "the evidence is impossible: the zeros alone rule it out"


def named(model: TableModel, names: Sequence[str], query: str, targets: Sequence[str] | None = None) -> Reduced:
    """The network of which only the names of what will be observed are known: nothing is conditioned yet."""
    return left(model, Evidence(np.full(len(model.states), -1, np.int32)), query, targets, names)


def plan_names(model: TableModel, reduced: Reduced, names: Sequence[str], ask: Ask, effort: float = 1.0) -> Plan:
    """The plan for a network of which `names` will be observed, see `named`."""
    seen = free_places(model, reduced, names)
    scopes, leaves = without(scopes_of(reduced), seen)
    if ask.query in APART:
        asked = set(free_places(model, reduced, ask.targets or ())) - set(seen)
        scopes, leaves = _linked(scopes, leaves, sorted(asked), ask.query)
    found = plan_reduced(model, reduced, scopes, tuple(names), ask, effort)
    if not isinstance(found.program, ContractionTree):
        return found
    return replace(found, program=replace(found.program, leaves=leaves))


def without(scopes: Scopes, seen: Sequence[int]) -> tuple[Scopes, np.ndarray]:
    """The scopes less some variables, those that are empty left out, and the numbers of those that stay."""
    free = ~np.isin(scopes.members, np.asarray(seen, np.int32))
    lengths = np.diff(np.concatenate([[0], np.cumsum(free)])[scopes.starts])
    starts = np.concatenate([[0], np.cumsum(lengths[lengths > 0])])
    return Scopes(scopes.sizes, starts, scopes.members[free]), np.flatnonzero(lengths > 0)


def _linked(scopes: Scopes, leaves: np.ndarray, asked: list[int], query: str) -> tuple[Scopes, np.ndarray]:
    """The scopes that are linked with what is asked for, and their numbers; a joint table keeps what is asked for."""
    chosen, lengths = linked(scopes.starts, scopes.members, asked), np.diff(scopes.starts)
    starts = np.concatenate([[0], np.cumsum(lengths[chosen])])
    keep = kept(scopes.n, asked) if query == "joint" else None
    return Scopes(scopes.sizes, starts, scopes.members[np.repeat(chosen, lengths)], keep), leaves[chosen]


def plan_reduced(
    model: TableModel,
    reduced: Reduced,
    scopes: Scopes,
    observed: tuple[str, ...],
    ask: Ask,
    effort: float = 1.0,
) -> Plan:
    """The plan for what is left of a network, with these scopes; `effort` as of `price`."""
    common = {"query": ask.query, "observed": observed, "budget": ask.budget, "structure": model.graph}
    common["targets"] = ask.targets
    if reduced.impossible:
        return Plan("constant", 0, 0, 0, 0, RULED_OUT, **common)
    if scopes.m == 0:
        reason = "every variable is independent of the others" if reduced.tables.sizes.size else "nothing is left free"
        size = 8.0 * scopes.n
        method = "independent" if size <= ask.budget.memory and ask.budget.seconds >= 1e-5 else None
        return Plan(method, 0, scopes.n, size, 1e-5, reason, **common)
    return price(scopes, lambda: free_names(model, reduced), model.graph, observed, ask, effort)


SLICED = 4.0
"""Slices save memory, and hardly ever time: a plan in haste tries none where the time is so many times too much."""


def price(
    scopes: Scopes,
    names: Callable[[], Sequence[str]],
    graph: Graph,
    observed: tuple[str, ...],
    ask: Ask,
    effort: float = 1.0,
) -> Plan:
    """The plan for scopes over named variables: search a tree, slice it, refuse what is over the budget.

    `effort` is as of `find_tree`; with none it is the first tree, as it is.
    """
    tree = find_tree(scopes, ask.query, ask.budget, effort * ask.effort)
    whole = priced(tree, names, graph, observed, ask, advised=False)
    if not effort or (whole.method and whole.seconds < WORTH_SLICING):
        return whole
    if ask.effort < 1 and whole.seconds > SLICED * ask.budget.seconds:
        return whole
    return priced(sliced(scopes, tree, ask.query, ask.budget), names, graph, observed, ask, ask.effort >= 1)


def priced(
    tree: ContractionTree,
    names: Callable[[], Sequence[str]],
    graph: Graph,
    observed: tuple[str, ...],
    ask: Ask,
    advised: bool = True,
) -> Plan:
    """The plan that runs this tree, or refuses to, with advice."""
    scopes, query, budget = tree.scopes, ask.query, ask.budget
    size = predicted_bytes(tree.cost, query, tree.slices)
    seconds = predicted_seconds(tree.cost, scopes.m - 1, query, tree.slices)
    common = {
        "width": float(tree.cost[1]),
        "flops": float(sweeps(query) * tree.cost[0] * tree.slices),
        "bytes": size,
        "seconds": seconds,
        "reason": lambda: why(scopes, names(), tree, graph, observed),
        "query": query,
        "observed": observed,
        "targets": ask.targets,
        "slices": tree.slices,
        "program": tree,
        "budget": budget,
        "structure": graph,
    }
    if size <= budget.memory and seconds <= budget.seconds:
        return Plan("elimination", **common)
    found: tuple[str, ...] = ()
    if advised:
        known = names()
        found = tuple(known[v] for v in advice(scopes, tree, query, budget))
    others = ALTERNATIVES if query != "map" else INSTEAD_OF_THE_BEST
    return Plan(None, alternatives=others, advice=found, **common)


# ---------------------------------------------------------------- many rows, samples, joint tables


def plan_rows(model: TableModel, reduced: Reduced, states: np.ndarray, ask: Ask, effort: float = 1.0) -> Plan:
    """The plan for many rows of evidence [n_rows, n_variables]: carried through one contraction, so many at a time.

    Its bytes are the answers and, on every core, the tables of some rows; where memory is short these are fewer. Where
    there is no such tree, rows that observe the same variables are run one by one on a tree of their own.
    """
    n_rows, seen = len(states), np.flatnonzero((states >= 0).any(axis=0))
    free = reduced.index[seen]
    answers = 8.0 * n_rows * (1 if ask.query == "evidence" else n_states(model, ask))
    if not reduced.impossible and (free >= 0).any() and n_rows:
        together = _together(model, reduced, seen[free >= 0], ask, effort)
        left = ask.budget.memory - answers
        if together.method and together.slices == 1 and together.bytes * min(n_cores(), n_rows) <= left:
            return _chunked(together, n_rows, answers, left)
    return _apart(model, reduced, states, answers, ask, effort)


def n_states(model: TableModel, ask: Ask) -> float:
    """The number of states of all variables whose marginals are asked for."""
    sizes = model.packed.sizes if ask.targets is None else model.packed.sizes[positions(model, ask.targets)]
    return float(sizes.sum())


def columns_of_states(model: TableModel, targets: Iterable[str]) -> np.ndarray:
    """Which of all states, side by side, are those of these variables, in their order."""
    ends = np.cumsum(model.packed.sizes)
    own = [np.arange(ends[v] - model.packed.sizes[v], ends[v]) for v in positions(model, targets)]
    return np.concatenate([np.zeros(0, np.int64), *own])


def row_scopes(reduced: Reduced, seen: np.ndarray) -> Scopes:
    """Who shares a table with whom where each observed variable has a table with the rows, which are kept."""
    own, row = scopes_of(reduced), len(reduced.tables.sizes)
    pairs = np.column_stack([reduced.index[seen], np.full(len(seen), row)]).ravel()
    starts = np.concatenate([own.starts, own.starts[-1] + 2 * np.arange(1, len(seen) + 1)])
    keep = np.zeros(row + 2, np.uint8)
    keep[row] = 1
    return Scopes(
        np.append(own.sizes, np.int32(1)), starts, np.concatenate([own.members, pairs]).astype(np.int32), keep
    )


def _together(model: TableModel, reduced: Reduced, seen: np.ndarray, ask: Ask, effort: float) -> Plan:
    names = list(model.states)
    observed = tuple(names[v] for v in seen.tolist())
    scopes = row_scopes(reduced, seen)
    return price(scopes, lambda: [*free_names(model, reduced), "row"], model.graph, observed, ask, effort)


def _chunked(plan: Plan, n_rows: int, answers: float, left: float) -> Plan:
    """The plan for one row as that for all of them."""
    rows = rows_at_once(plan, n_rows, left)
    size = answers + plan.bytes * rows * min(n_cores(), -(-n_rows // rows))
    told = {"flops": plan.flops * n_rows, "bytes": size, "reason": lambda: f"{plan.why}; {n_rows} rows"}
    scaled = replace(plan, program=replace(plan.program, rows=rows), **told)
    return scaled.for_rows(n_rows, plan.seconds * n_rows / n_cores())


def _apart(model: TableModel, reduced: Reduced, states: np.ndarray, answers: float, ask: Ask, effort: float) -> Plan:
    """A plan for each set of variables that rows observe."""
    if not len(states):
        return plan_reduced(model, reduced, scopes_of(reduced), (), ask, effort)
    names, parts = np.array([*model.states, ""], object), []
    known, which = np.unique(states >= 0, axis=0, return_inverse=True)
    for k, own in enumerate(known):
        rows = np.flatnonzero(which.ravel() == k)
        seen = tuple(names[:-1][own])
        plan = plan_names(model, named(model, seen, ask.query, ask.targets), seen, ask, effort)
        parts.append((rows, plan.for_rows(len(rows), plan.seconds * len(rows))))
    worst = max((plan for _, plan in parts), key=lambda plan: (plan.method is None, plan.bytes))
    told: dict[str, Any] = {
        "flops": sum(p.flops * len(rows) for rows, p in parts),
        "seconds": sum(p.seconds for _, p in parts),
    }
    told["reason"] = lambda: f"{worst.why}; {len(states)} rows"
    whole = replace(worst, program=Apart(tuple(parts)), slices=1, **told)
    return within(whole, answers + worst.bytes)


def rows_at_once(plan: Plan, n_rows: int, left: float) -> int:
    """Rows to run together: enough to amortize the steps, few enough to stay in cache and, on all cores, in memory."""
    cached = int(np.clip(CHUNK_ENTRIES / max(float(plan.program.cost[2]), 1.0), MIN_CHUNK, MAX_CHUNK))
    most = left / plan.bytes
    rows = min(cached, n_rows, int(most))
    return rows if rows * min(n_cores(), -(-n_rows // max(rows, 1))) <= most else max(1, int(most / n_cores()))


def reserved(n_variables: int, n_tables: int, ask: Ask) -> Ask:
    """The question of a tree for samples, with what the samples themselves take put aside, where that is there."""
    left = ask.budget.memory - 8.0 * (n_variables * ask.n + 2 * n_tables + n_variables)
    return ask._replace(budget=ask.budget._replace(memory=left)) if left > 0 else ask


def plan_samples(plan: Plan, n_variables: int, ask: Ask) -> Plan:
    """The plan that draws `ask.n` samples down the tree of a plan, so many at a time as memory holds."""
    budget, tree = ask.budget, plan.program
    steps = 2 * tree.scopes.m if tree is not None else 0
    each, answers = 8.0 * (steps + n_variables), 8.0 * n_variables * ask.n
    left = budget.memory - plan.bytes - answers
    rows = max(1, min(ask.n, int(max(left, 0.0) / max(each, 1.0))))
    runs = -(-ask.n // rows)
    told = {
        "query": "sample",
        "n": ask.n,
        "budget": budget,
        "seconds": plan.seconds * runs + ask.n * n_variables * DRAWN * plan.slices,
        "reason": lambda: f"{plan.why}; {ask.n:,} samples",
        "program": None if tree is None else replace(tree, rows=rows),
    }
    return within(replace(plan, **told), plan.bytes + answers + each * rows)


def plan_joint(model: TableModel, reduced: Reduced, names: Sequence[str], observed: Sequence[str], ask: Ask) -> Plan:
    """The plan of the joint table over variables, of a network in which these are linked with what is left.

    The table itself is priced first: where it alone is too large no tree is searched.
    """
    places = positions(model, names)
    width = float(np.log2([float(reduced.sizes[i]) for i in places]).sum())
    answer = 8.0 * 2.0 ** min(width, 1000.0)
    told = f"the joint table over {len(places)} variables has 2^{width:.4g} entries"
    if seen := [name for name in names if name in observed]:
        told += f", of which all but one in each row are zero for the observed {listed(seen)}: leave these out"
    common = {"query": "joint", "observed": tuple(observed), "budget": ask.budget, "structure": model.graph}
    table = Plan("independent", width, 0.0, 2 * answer, 1e-9 * answer, told, targets=tuple(names), **common)
    free = free_places(model, reduced, names)
    if reduced.impossible or not free or 2 * answer > ask.budget.memory:
        return within(table, 2 * answer)
    scopes = scopes_of(reduced, kept(len(reduced.tables.sizes), free))
    ask = ask._replace(targets=tuple(names))
    found = price(scopes, lambda: free_names(model, reduced), model.graph, tuple(observed), ask)
    return within(found, found.bytes + 2 * answer)


def scopes_of(reduced: Reduced, keep: np.ndarray | None = None) -> Scopes:
    """Who shares a table with whom in a conditioned network."""
    tables = reduced.tables
    return Scopes(tables.sizes, tables.scope_starts, tables.scopes, keep)


def kept(n: int, chosen: Iterable[int]) -> np.ndarray:
    """Flags of the variables that stay at the root of a tree."""
    keep = np.zeros(n + 1, np.uint8)
    keep[[*chosen]] = 1
    return keep


def free_places(model: TableModel, reduced: Reduced, names: Iterable[str]) -> list[int]:
    """The new numbers of those of these variables that stay free."""
    return [v for v in reduced.index[positions(model, names)].tolist() if v >= 0]


def positions(model: TableModel, names: Iterable[str]) -> list[int]:
    """The numbers of variables."""
    places = model.graph.places
    return [places[name] for name in names]


def free_names(model: TableModel, reduced: Reduced) -> list[str]:
    """The names of the variables that stay free, in the order of their new numbers."""
    return [name for name, i in zip(model.states, reduced.index.tolist(), strict=True) if i >= 0]


def observed_names(model: TableModel, states: np.ndarray) -> tuple[str, ...]:
    """The names of the variables that a case observes."""
    return tuple(compress(model.states, (states >= 0).tolist()))
