"""Many cases at once: the evidence row is one more axis, carried through a single contraction.

Every observed variable gets a table of indicators [state, row]; the tree is planned once, with the row axis kept. Rows
are cut into chunks that stay in cache and within the budget, and chunks are spread over the processor's cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tractable import kernels
from tractable.kernels import Job, Reduced, Scopes, Tables, TreeRun
from tractable.kernels.threads import side_by_side
from tractable.models.conditioning import TableModel
from tractable.plan import Apart, ContractionTree, Plan
from tractable.plan.tables import columns_of_states, named, positions, row_scopes
from tractable.posterior.exact.elimination import conditioned, fitted, sum_product, within


class BatchResult(NamedTuple):
    """Results for all rows: log Z, and marginals [n_rows, n_states] if they are asked for.

    `places` says where those of each variable asked for are, by its number; `columns`, which of all states they are.
    """

    log_z: np.ndarray
    marginals: np.ndarray | None
    places: dict[int, slice]
    columns: np.ndarray

    def put(self, rows: Sequence[int] | np.ndarray, log_z: float, marginals: np.ndarray | None) -> None:
        """The same answer for some rows; NaN where there is no posterior."""
        self.log_z[rows] = log_z
        if self.marginals is not None:
            self.marginals[rows] = np.nan if marginals is None else marginals[self.columns]


class Batch(NamedTuple):
    """A network, its cases, and the variables (by their original numbers) that get indicator tables."""

    reduced: Reduced
    states: np.ndarray
    observed: np.ndarray
    tree: ContractionTree


def solve_rows(model: TableModel, base: Reduced, states: np.ndarray, plan: Plan) -> BatchResult:
    """log Z of every row of evidence [n_rows, n_variables], and the marginals if the plan is for these."""
    n_rows = len(states)
    out = _empty(model, n_rows, plan)
    if isinstance(plan.program, Apart):
        for rows, own in plan.program.parts:
            whole = own.query == "marginals" and own.targets is None
            mine = base if whole else named(model, own.observed, own.query, own.targets)
            _alone(mine, own.program, states, rows, out)
    elif n_rows:
        _together(base, states, plan.program, out)
    return out


def _empty(model: TableModel, n_rows: int, plan: Plan) -> BatchResult:
    """Room for the results of a plan."""
    names = model.states if plan.targets is None else plan.targets
    columns, asked = columns_of_states(model, names), positions(model, names)
    ends = np.cumsum(model.packed.sizes[asked]).tolist()
    places = {v: slice(end - int(model.packed.sizes[v]), end) for v, end in zip(asked, ends, strict=True)}
    room = np.zeros((n_rows, len(columns))) if plan.query != "evidence" else None
    return BatchResult(np.empty(n_rows), room, places, columns)


def _together(base: Reduced, states: np.ndarray, tree: ContractionTree, out: BatchResult) -> None:
    seen = np.flatnonzero((states >= 0).any(axis=0))
    batch = Batch(base, states, seen[base.index[seen] >= 0], tree)
    pieces = [slice(i, min(i + tree.rows, len(states))) for i in range(0, len(states), tree.rows)]
    redo = [r for rows in side_by_side(lambda piece: _run_chunk(batch, piece, out), pieces) for r in rows]
    leaves = np.arange(base.tables.n_factors + len(batch.observed))
    _alone(base, replace(tree, leaves=leaves), states, np.array(redo, int), out)
    impossible = _impossible(base, states, seen)
    out.log_z[impossible] = -np.inf
    if out.marginals is not None:
        out.marginals[out.log_z == -np.inf] = np.nan


def _impossible(base: Reduced, states: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Rows that observe a state that no case can have."""
    starts = np.cumsum(base.sizes) - base.sizes
    out = np.zeros(len(states), bool)
    for v in seen:
        kept = base.kept[starts[v] : starts[v] + base.n_kept[v]]
        out |= ~np.isin(states[:, v], [-1, *kept.tolist()])
    return out


def _alone(base: Reduced, tree: ContractionTree | None, states: np.ndarray, rows: np.ndarray, out: BatchResult) -> None:
    """Rows one by one on a tree for what they observe; those that are alike once."""
    if not len(rows):
        return
    distinct, where = np.unique(states[rows], axis=0, return_inverse=True)
    for k, row in enumerate(distinct):
        rest = conditioned(base, row)
        if tree is not None and tree.leaves is not None:
            rest = within(tree, rest)
        wide = _with_indicators(rest, tree)
        found = sum_product(rest, fitted(tree, wide), out.marginals is not None)
        out.put(rows[where.ravel() == k], found.log_z, found.marginals)


def _with_indicators(rest: Reduced, tree: ContractionTree | None) -> Reduced:
    """What remains of the tables, with those of indicators, which are gone."""
    n = 0 if tree is None or tree.leaves is None else int(tree.leaves.max(initial=-1)) + 1
    gone = np.full(max(n - len(rest.factor), 0), -1, np.int32)
    return rest._replace(factor=np.concatenate([rest.factor, gone])) if len(gone) else rest


def _run_chunk(batch: Batch, piece: slice, out: BatchResult) -> Sequence[int]:
    """Run some rows; returns those that have to be run alone because numbers may have underflowed."""
    reduced, states = batch.reduced, batch.states[piece]
    tables, scopes = _with_rows(batch, len(states)), row_scopes(reduced, batch.observed)
    _fill_indicators(batch, tables, states)
    task = kernels.EVIDENCE if out.marginals is None else kernels.MARGINALS
    scopes = Scopes(tables.sizes, scopes.starts, scopes.members, scopes.keep)
    run = kernels.run(tables, scopes, batch.tree.pairs, Job(task, row=len(tables.sizes) - 1, alone=False))
    if run.status == kernels.UNSAFE:
        return range(piece.start, piece.stop)
    out.log_z[piece] = run.log_z + reduced.log_constant
    if out.marginals is not None and run.marginals is not None:
        _put_marginals(reduced, run, out.places, out.marginals[piece])
    return ()


def _put_marginals(reduced: Reduced, run: TreeRun, places: dict[int, slice], out: np.ndarray) -> None:
    """Marginals of the free variables, and certainty for the others, over the states asked for [n_rows, n_states]."""
    starts, found = np.cumsum(reduced.sizes) - reduced.sizes, run.marginals
    assert found is not None
    for v, place in places.items():
        i, kept = reduced.index[v], reduced.kept[starts[v] : starts[v] + reduced.n_kept[v]]
        if i < 0:
            out[:, place][:, kept] = 1.0
        else:
            out[:, place][:, kept] = found[run.starts[i] : run.starts[i + 1]].reshape(-1, len(out)).T


def _with_rows(batch: Batch, n_rows: int) -> Tables:
    """The reduced tables, a row variable, and with it an indicator table (of ones so far) for each observed one."""
    tables, scopes = batch.reduced.tables, row_scopes(batch.reduced, batch.observed)
    lengths = tables.sizes[batch.reduced.index[batch.observed]].astype(np.int64) * n_rows
    return Tables(
        np.append(tables.sizes, np.int32(n_rows)),
        scopes.starts,
        scopes.members,
        np.concatenate([tables.value_starts, tables.value_starts[-1] + np.cumsum(lengths)]),
        np.concatenate([tables.values, np.ones(int(lengths.sum()))]),
    )


def _fill_indicators(batch: Batch, tables: Tables, states: np.ndarray) -> None:
    """One where the row observes this state or nothing, zero elsewhere."""
    reduced = batch.reduced
    columns = np.concatenate([[0], np.cumsum(reduced.sizes)])
    for k, v in enumerate(batch.observed):
        kept = reduced.kept[columns[v] : columns[v] + reduced.n_kept[v]]
        table = tables.table(reduced.tables.n_factors + k)
        column = states[:, v]
        np.logical_or(kept[:, None] == column, column < 0, out=table, casting="unsafe")
