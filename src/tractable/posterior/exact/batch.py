"""Many cases at once: the evidence row is one more axis, carried through a single contraction.

Every observed variable gets a table of indicators [state, row]; the tree is searched once, with the row axis kept. Rows
are cut into chunks that stay in cache, and chunks are spread over the processor's cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tractable import kernels
from tractable.kernels import Job, Reduced, Scopes, Tables
from tractable.kernels.threads import n_cores, side_by_side
from tractable.models import Evidence, ModelError, TableModel, reduce_model
from tractable.plan import ContractionTree, Plan, allowed, plan_reduced, price
from tractable.plan.budget import memory_bytes
from tractable.posterior._base import Marginals, Posterior
from tractable.posterior.certificate import Certificate
from tractable.posterior.exact.elimination import scopes_of, sum_product

CHUNK_ENTRIES = 1 << 20
"""Entries of all tables of a chunk together; more rows amortize the steps, fewer stay in cache."""

MAX_CHUNK, MIN_CHUNK = 1024, 16


class Rows(NamedTuple):
    """Results for all rows: log Z, and marginals [n_rows, n_states] over all states of all variables."""

    log_z: np.ndarray
    marginals: np.ndarray


class Batch(NamedTuple):
    """A network with an indicator table for each variable that some row observes."""

    reduced: Reduced
    observed: np.ndarray  # original numbers of those variables that are free in the reduced network
    tables: Tables  # with indicator tables for one row
    impossible: np.ndarray  # rows that observe a state that no case can have


def infer_rows(model: TableModel, given: Evidence, memory: int | float | str | None) -> Posterior:
    """The posterior of every row of evidence; `log_partition` and the marginals have a leading axis of rows."""
    batch = _batch(model, given)
    plan, tree = _plan(model, batch, given, memory)
    rows = _alone(model, given, memory) if tree is None else _together(model, given, batch, tree, memory)
    marginals = Marginals(model.states, model.graph.state_slices, lambda place: rows.marginals[:, place])
    return Posterior(Certificate.exact(rows.log_z), lambda: plan, marginals, _one_only, _one_only)


def _one_only(*_: Any) -> Any:
    raise ModelError("joint marginals and samples are for one case; pick a row of the evidence")


def _batch(model: TableModel, given: Evidence) -> Batch:
    reduced = reduce_model(model, Evidence(np.full(len(model.states), -1, np.int32)))
    seen = np.flatnonzero((given.states >= 0).any(axis=0))
    starts = np.concatenate([[0], np.cumsum(reduced.sizes)])
    impossible = np.zeros(len(given.states), bool)
    for v in seen:
        kept = reduced.kept[starts[v] : starts[v] + reduced.n_kept[v]]
        impossible |= ~np.isin(given.states[:, v], [-1, *kept.tolist()])
    observed = seen[reduced.index[seen] >= 0] if not reduced.impossible else seen[:0]
    return Batch(reduced, observed, _with_rows(reduced, observed, 1), impossible)


def _with_rows(reduced: Reduced, observed: np.ndarray, n_rows: int) -> Tables:
    """The reduced tables, a row variable, and with it an indicator table (of ones so far) for each observed one."""
    tables = reduced.tables
    row = len(tables.sizes)
    free = reduced.index[observed]
    lengths = tables.sizes[free].astype(np.int64) * n_rows
    return Tables(
        np.append(tables.sizes, np.int32(n_rows)),
        np.concatenate([tables.scope_starts, tables.scope_starts[-1] + 2 * np.arange(1, len(free) + 1)]),
        np.concatenate([tables.scopes, np.column_stack([free, np.full_like(free, row)]).ravel()]).astype(np.int32),
        np.concatenate([tables.value_starts, tables.value_starts[-1] + np.cumsum(lengths)]),
        np.concatenate([tables.values, np.ones(int(lengths.sum()))]),
    )


def _keep_row(tables: Tables) -> Scopes:
    keep = np.zeros(len(tables.sizes) + 1, np.uint8)
    keep[len(tables.sizes) - 1] = 1
    return scopes_of(tables, keep)


def _plan(model: TableModel, batch: Batch, given: Evidence, memory: Any) -> tuple[Plan, ContractionTree | None]:
    """The plan of the batched run, priced for all rows; no tree where rows one by one fit better."""
    n_rows = len(given.states)
    if batch.reduced.impossible or not n_rows or not len(batch.observed):
        nothing = Evidence(np.full(len(model.states), -1, np.int32))
        return plan_reduced(model, batch.reduced, nothing, "marginals", memory), None
    out_bytes = 8.0 * n_rows * float(model.packed.sizes.sum())
    together = _price(model, batch, memory)
    size = out_bytes + together.bytes * n_cores() * rows_in_cache(together.tree)
    if together.method and together.slices == 1 and size < memory_bytes(memory):
        return _scaled(together, n_rows, size), together.tree
    first = Evidence(given.states[0])
    alone = allowed(plan_reduced(model, reduce_model(model, first), first, "marginals", memory))
    return _scaled(alone, n_rows, out_bytes + alone.bytes), None


def _price(model: TableModel, batch: Batch, memory: Any) -> Plan:
    variables = list(model.states)
    observed = tuple(variables[v] for v in batch.observed.tolist())
    names = [v for v, i in zip(variables, batch.reduced.index.tolist(), strict=True) if i >= 0]
    scopes = _keep_row(batch.tables)
    return price(scopes, lambda: [*names, "row"], model.graph, observed, "marginals", memory_bytes(memory))


def rows_in_cache(tree: ContractionTree | None) -> int:
    """Rows to run together: enough to amortize the steps, few enough to stay in cache."""
    entries = max(float(tree.cost[2]), 1.0) if tree is not None else 1.0
    return int(np.clip(CHUNK_ENTRIES / entries, MIN_CHUNK, MAX_CHUNK))


def _scaled(plan: Plan, n_rows: int, n_bytes: float) -> Plan:
    seconds = plan.seconds * n_rows / n_cores()
    return replace(plan, flops=plan.flops * n_rows, seconds=seconds, bytes=n_bytes, reason=f"{plan.why}; {n_rows} rows")


def _together(model: TableModel, given: Evidence, batch: Batch, tree: ContractionTree, memory: Any) -> Rows:
    n_rows = len(given.states)
    chunk = rows_in_cache(tree)
    out = Rows(np.empty(n_rows), np.zeros((n_rows, int(model.packed.sizes.sum()))))
    pieces = [slice(i, min(i + chunk, n_rows)) for i in range(0, n_rows, chunk)]
    redo = [r for rows in side_by_side(lambda piece: _run_chunk(given, batch, tree, piece, out), pieces) for r in rows]
    for r in redo:
        _run_row(model, Evidence(given.states[r]), memory, out, r)
    out.log_z[batch.impossible] = -np.inf
    out.marginals[out.log_z == -np.inf] = np.nan
    return out


def _run_chunk(given: Evidence, batch: Batch, tree: ContractionTree, piece: slice, out: Rows) -> Sequence[int]:
    """Run some rows; returns those that have to be run alone because numbers may have underflowed."""
    reduced, states = batch.reduced, given.states[piece]
    n_rows = len(states)
    tables = _with_rows(reduced, batch.observed, n_rows)
    _fill_indicators(reduced, tables, batch.observed, states)
    run = kernels.run(
        tables, _keep_row(tables), tree.pairs, Job(kernels.MARGINALS, row=len(tables.sizes) - 1, alone=False)
    )
    if run.status == kernels.UNSAFE:
        return range(piece.start, piece.stop)
    assert run.marginals is not None
    out.log_z[piece] = run.log_z + reduced.log_constant
    starts = run.starts
    columns = np.concatenate([[0], np.cumsum(reduced.sizes)])
    for v, i in enumerate(reduced.index.tolist()):
        kept = columns[v] + reduced.kept[columns[v] : columns[v] + reduced.n_kept[v]]
        if i < 0:
            out.marginals[piece, kept] = 1.0
        else:
            block = run.marginals[starts[i] : starts[i + 1]].reshape(-1, n_rows)
            out.marginals[piece, kept[0] : kept[-1] + 1][:, kept - kept[0]] = block.T
    return ()


def _fill_indicators(reduced: Reduced, tables: Tables, observed: np.ndarray, states: np.ndarray) -> None:
    """One where the row observes this state or nothing, zero elsewhere."""
    columns = np.concatenate([[0], np.cumsum(reduced.sizes)])
    first = reduced.tables.n_factors
    for k, v in enumerate(observed):
        kept = reduced.kept[columns[v] : columns[v] + reduced.n_kept[v]]
        table = tables.table(first + k)
        column = states[:, v]
        np.logical_or(kept[:, None] == column, column < 0, out=table, casting="unsafe")


def _alone(model: TableModel, given: Evidence, memory: Any) -> Rows:
    n_rows = len(given.states)
    out = Rows(np.empty(n_rows), np.zeros((n_rows, int(model.packed.sizes.sum()))))
    distinct, where = np.unique(given.states, axis=0, return_inverse=True)
    for k, row in enumerate(distinct):
        same = np.flatnonzero(where.ravel() == k)
        _run_row(model, Evidence(row), memory, out, int(same[0]))
        out.log_z[same], out.marginals[same] = out.log_z[same[0]], out.marginals[same[0]]
    return out


def _run_row(model: TableModel, evidence: Evidence, memory: Any, out: Rows, r: int) -> None:
    reduced = reduce_model(model, evidence)
    plan = allowed(plan_reduced(model, reduced, evidence, "marginals", memory))
    result = sum_product(reduced, plan, marginals=True)
    out.log_z[r] = result.log_z
    out.marginals[r] = np.nan if result.marginals is None else result.marginals
