"""The E-step of a network: log Z of every case, and the posterior of all entries of its tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tractable import kernels
from tractable.kernels import Job, Scopes, Tables, TreeRun
from tractable.kernels.cases import enumerated
from tractable.kernels.threads import side_by_side
from tractable.models import BayesianNetwork
from tractable.models._base import pack
from tractable.plan import Memory, Plan, allowed, ask
from tractable.plan.search import GREEDY
from tractable.plan.tables import price, rows_at_once
from tractable.posterior.exact.case_arrays import Group, offsets
from tractable.posterior.exact.components import Program, program
from tractable.posterior.exact.layout import Layout


class Entries(NamedTuple):
    """Expected entries of one family in some cases: from its first entry on."""

    family: int
    counts: np.ndarray


class ContractedPart(NamedTuple):
    """Some cases of a group that is contracted: their weights, and the tree."""

    group: Group
    weights: np.ndarray
    pairs: np.ndarray


def planned(
    model: BayesianNetwork, states: np.ndarray, memory: Memory = None, most: float | None = None
) -> tuple[Program, list[Plan]]:
    """What an E-step on these rows does, and the plans of the groups that are contracted.

    With `most` refused ones too, a group for which the first order takes more multiply-adds than these among them: no
    better one is sought.

    Raises
    ------
    BudgetError : a component that the budget refuses.
    """
    if most is not None:
        found = program(Layout(model.packed), states, may_contract_whole=False)
        return found, [_plan(model, found.layout, group, memory, most) for group in found.contracted]
    found = program(Layout(model.packed), states)
    plans = [_plan(model, found.layout, group, memory) for group in found.contracted]
    if found.whole.any() and plans[-1].method is None:  # too wide with nothing observed: each component by itself
        found = program(found.layout, states, may_contract_whole=False)
        plans = [_plan(model, found.layout, group, memory) for group in found.contracted]
    return found, [allowed(plan) for plan in plans]


def _plan(model: BayesianNetwork, layout: Layout, group: Group, memory: Memory, most: float = np.inf) -> Plan:
    names = list(model.states)
    tables = _tables(layout, _some(group, slice(0, 1)), np.ones(layout.n_entries))
    observed = tuple(v for i, v in enumerate(names) if i not in group.hidden)
    own = [*(names[v] for v in group.hidden), "row"]
    if most < np.inf and (first := _scopes(tables).greedy_tree(*GREEDY)) is not None:
        flops, width, size = first[1][:3].tolist()
        if flops * len(group.base) > most:
            why, terms = "the first order takes too long", ask("marginals", memory).budget
            return Plan(None, width, flops, 8 * size, 0.0, why, query="marginals", budget=terms)
    plan = price(_scopes(tables), lambda: own, model.graph, observed, ask("marginals", memory))
    return replace(plan, method=None) if plan.slices > 1 else plan


def _some(group: Group, cases: Any) -> Group:
    known = None if group.known is None else group.known[cases]
    return replace(group, base=group.base[cases], known=known)


def answered(
    found: Program, plans: Sequence[Plan], theta: np.ndarray, weights: np.ndarray, counts: np.ndarray | None
) -> np.ndarray:
    """log Z of each case (0 where its weight is 0); `counts`, if given, grows by the expected entries of all tables."""
    n = found.kernel.n_cases
    log_z = np.zeros(found.n_cases)
    log_z[:n] = enumerated(found.kernel, theta, weights[:n], counts)
    for i in np.flatnonzero(np.isnan(log_z)):
        log_z[i], parts = _in_logarithms(found.layout, _lone(found, int(i)), theta, weights[i])
        _add(found.layout, parts, counts)
    work = list(_parts(found, plans, weights))
    done = side_by_side(lambda w: _run(found.layout, w[1], theta), work)
    for (at, _), (own, parts) in zip(work, done, strict=True):
        log_z[at] = own
        _add(found.layout, parts, counts)
    return log_z


def _add(layout: Layout, parts: Sequence[Entries], counts: np.ndarray | None) -> None:
    if counts is not None:
        for part in parts:
            counts[layout.starts[part.family] : layout.starts[part.family + 1]] += part.counts


def _lone(found: Program, case: int) -> Group:
    """The group of one case that is enumerated, holding that alone."""
    starts = found.kernel.case_start
    g = int(np.searchsorted(starts, case, "right")) - 1
    i = case - int(starts[g])
    return _some(found.enumerated[g], slice(i, i + 1))


def _parts(found: Program, plans: Sequence[Plan], weights: np.ndarray) -> Iterator[tuple[np.ndarray, ContractedPart]]:
    """The contracted cases of positive weight in pieces that stay in cache, with their numbers."""
    start = found.kernel.n_cases
    for group, plan in zip(found.contracted, plans, strict=True):
        cases = start + np.flatnonzero(weights[start : start + len(group.base)] > 0)
        assert plan.budget is not None
        size = rows_at_once(plan, len(cases), plan.budget.memory) if len(cases) else 1
        for at in (cases[i : i + size] for i in range(0, len(cases), size)):
            yield at, ContractedPart(_some(group, at - start), weights[at], plan.program.pairs)
        start += len(group.base)


def _run(layout: Layout, part: ContractedPart, theta: np.ndarray) -> tuple[np.ndarray, list[Entries]]:
    tables = _tables(layout, part.group, theta)
    run = kernels.run(tables, _scopes(tables), part.pairs, Job(kernels.ENTRIES, row=len(tables.sizes) - 1, alone=False))
    if run.status == kernels.UNSAFE:
        alone = [_some(part.group, slice(i, i + 1)) for i in range(len(part.weights))]
        each = [_in_logarithms(layout, group, theta, w) for group, w in zip(alone, part.weights, strict=True)]
        return np.array([log_z for log_z, _ in each]), [entry for _, entries in each for entry in entries]
    return run.log_z, _entries(layout, part.group, tables, run, part.weights)


def _in_logarithms(layout: Layout, group: Group, theta: np.ndarray, weight: float) -> tuple[float, list[Entries]]:
    """The answer to one case whose numbers leave the range of doubles."""
    tables = _tables(layout, group, theta)
    scopes = _scopes(tables)
    pairs = scopes.tree_from_order(np.arange(len(group.hidden), dtype=np.int32))
    run = kernels.run(tables, scopes, pairs, Job(kernels.ENTRIES, kernels.LOG_SUM_EXP, alone=False))
    if run.status == kernels.ZERO:
        return -np.inf, []
    return float(run.log_z[0]), _entries(layout, group, tables, run, np.array([weight]))


def _tables(layout: Layout, group: Group, theta: np.ndarray) -> Tables:
    """A table for each family over its hidden variables and the cases, and indicators of what is known."""
    place, n = {v: i for i, v in enumerate(group.hidden)}, len(group.base)
    scopes, tables = [], []
    for column, j in enumerate(group.families):
        own = [v for v in layout.families[j].tolist() if v in place]
        scopes.append([*(place[v] for v in own), len(place)])
        tables.append(theta[offsets(layout, j, own)[:, None] + group.base[:, column]])
    if group.known is not None:
        for i, (v, known) in enumerate(zip(group.hidden, group.known.T, strict=True)):
            scopes.append([i, len(place)])
            states = np.arange(layout.sizes[v])[:, None]
            tables.append(((known < 0) | (known == states)).astype(np.float64))
    return pack([*(int(layout.sizes[v]) for v in group.hidden), n], scopes, tables)


def _scopes(tables: Tables) -> Scopes:
    keep = np.zeros(len(tables.sizes) + 1, np.uint8)
    keep[len(tables.sizes) - 1] = 1
    return Scopes(tables.sizes, tables.scope_starts, tables.scopes, keep)


def _entries(layout: Layout, group: Group, tables: Tables, run: TreeRun, weights: np.ndarray) -> list[Entries]:
    """Posteriors of the tables' entries as expected entries of the families that they were read from."""
    assert run.marginals is not None
    out = []
    for column, j in enumerate(group.families):
        own = [v for v in layout.families[j].tolist() if v in group.hidden]
        at = offsets(layout, j, own)[:, None] + (group.base[:, column] - layout.starts[j])
        share = run.marginals[tables.value_starts[column] : tables.value_starts[column + 1]].reshape(at.shape)
        size = int(layout.starts[j + 1] - layout.starts[j])
        out.append(Entries(j, np.bincount(at.ravel(), (share * weights).ravel(), minlength=size)))
    return out
