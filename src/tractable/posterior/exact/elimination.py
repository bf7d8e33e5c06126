"""Elimination: a contraction tree run over the tables that the evidence leaves.

log Z by one sweep up the tree; all marginals by one sweep down, the derivative of the first. Tables are scaled by
powers of two; where entries may have underflowed and mattered, the run is repeated with logarithms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tractable import kernels
from tractable.kernels import Job, Reduced, Scopes, Tables, TreeRun
from tractable.kernels.threads import in_order, n_cores
from tractable.models.pruning import only
from tractable.plan import ContractionTree
from tractable.posterior.exact.progress import tracked


class Result(NamedTuple):
    """log Z, the marginals of all states one after the other (None if not asked for), and the most bytes held."""

    log_z: float
    marginals: np.ndarray | None
    peak_bytes: int


def scopes_of(tables: Tables, keep: np.ndarray | None = None) -> Scopes:
    """Who shares a table with whom."""
    return Scopes(tables.sizes, tables.scope_starts, tables.scopes, keep)


def sum_product(reduced: Reduced, tree: ContractionTree | None, marginals: bool) -> Result:
    """log Z of the reduced network and, on request, every marginal over the states of the original one."""
    if reduced.impossible:
        return Result(-np.inf, None, 0)
    if tree is not None and tree.sliced:
        return _sliced(reduced, tree, marginals)
    scopes, pairs = (None, None) if tree is None else (tree.scopes, tree.pairs)
    return _whole(reduced, scopes, pairs, marginals)


def fitted(tree: ContractionTree | None, rest: Reduced) -> ContractionTree | None:
    """What remains of a tree when evidence is cut out of the network that it was made for."""
    if tree is None or rest.impossible:
        return None
    factor = rest.factor if tree.leaves is None else rest.factor[tree.leaves]
    pairs = collapse(tree.pairs, len(factor), factor)
    sliced = tuple(int(rest.index[v]) for v in tree.sliced if rest.index[v] >= 0)
    return replace(tree, scopes=scopes_of(rest.tables), pairs=pairs, sliced=sliced, leaves=None)


def within(tree: ContractionTree, rest: Reduced) -> Reduced:
    """What remains of a network, of its tables those that a tree was made for."""
    assert tree.leaves is not None
    known = tree.leaves[tree.leaves < len(rest.factor)]  # rows bring tables of their own, which are gone
    mine = np.isin(np.arange(rest.tables.n_factors), rest.factor[known])
    return rest if mine.all() else only(rest, mine)


def copied(tree: ContractionTree, copies: Sequence[int]) -> ContractionTree:
    """The tree where copies of some leaves stand after all others: each is taken together with its like first."""
    if not copies:
        return tree
    m, out = tree.scopes.m, []
    name, made = list(range(m)), m + len(copies)
    for at, leaf in enumerate(copies, m):
        out += [name[leaf], at]
        name[leaf], made = made, made + 1
    for x, y in tree.pairs[: 2 * (m - 1)].reshape(-1, 2).tolist():
        out += [name[x], name[y]]
        name.append(made)
        made += 1
    return replace(tree, pairs=np.array([*out, 0, 0], np.int32))


def conditioned(base: Reduced, states: np.ndarray) -> Reduced:
    """A reduced network with a case of evidence [n_variables] besides: the same as if both had come at once."""
    inner, impossible = _inner(base, states)
    if impossible:
        return base._replace(impossible=True, log_constant=-np.inf)
    rest = kernels.reduce(base.tables, inner)
    there, starts = base.index >= 0, np.cumsum(base.sizes) - base.sizes
    index, n_kept, kept = base.index.copy(), base.n_kept.copy(), base.kept.copy()
    index[there], n_kept[there] = rest.index, rest.n_kept
    ends = np.cumsum(rest.sizes)
    for v, end, n, k in zip(np.flatnonzero(there).tolist(), ends, rest.sizes, rest.n_kept, strict=True):
        own = base.kept[starts[v] : starts[v] + n]
        kept[starts[v] : starts[v] + k] = own[rest.kept[end - n : end - n + k]]
    return Reduced(
        rest.tables,
        base.sizes,
        index,
        kept,
        n_kept,
        rest.factor,
        base.log_constant + rest.log_constant,
        rest.impossible,
    )


def _inner(base: Reduced, states: np.ndarray) -> tuple[np.ndarray, bool]:
    """Evidence as states of the reduced network, and whether the case is one that its zeros rule out."""
    inner, starts = np.full(len(base.tables.sizes), -1, np.int32), np.cumsum(base.sizes) - base.sizes
    for v in np.flatnonzero(states >= 0).tolist():
        kept = base.kept[starts[v] : starts[v] + base.n_kept[v]]
        at = np.flatnonzero(kept == states[v])
        if not len(at):
            return inner, True
        if base.index[v] >= 0:
            inner[base.index[v]] = at[0]
    return inner, base.impossible


def _whole(
    reduced: Reduced, scopes: Scopes | None, pairs: np.ndarray | None, marginals: bool, alone: bool = True
) -> Result:
    tables = reduced.tables
    if scopes is None or pairs is None or not tables.n_factors:  # nothing interacts: what is left free is uniform
        log_z = reduced.log_constant + float(np.log(tables.sizes.astype(np.float64)).sum())
        uniform = np.repeat(1.0 / tables.sizes, tables.sizes)
        return Result(log_z, _spread(reduced, uniform) if marginals else None, 0)
    run = run_safely(tables, scopes, pairs, Job(kernels.MARGINALS if marginals else kernels.EVIDENCE, alone=alone))
    log_z = reduced.log_constant + float(run.log_z[0])
    if run.status == kernels.ZERO:
        return Result(-np.inf, None, run.peak_bytes)
    spread = None if run.marginals is None or not marginals else _spread(reduced, run.marginals)
    return Result(log_z, spread, run.peak_bytes)


def run_safely(tables: Tables, scopes: Scopes, pairs: np.ndarray, job: Job) -> TreeRun:
    """Run with scaled numbers; again with logarithms where an underflow may have mattered."""
    run = kernels.run(tables, scopes, pairs, job)
    if run.status == kernels.UNSAFE and job.task == kernels.EVIDENCE:  # the sweep down can tell whether it mattered
        run = kernels.run(tables, scopes, pairs, job._replace(task=kernels.MARGINALS))
    if run.status == kernels.UNSAFE:
        run = kernels.run(tables, scopes, pairs, job._replace(semiring=kernels.LOG_SUM_EXP))
    return run


def _spread(reduced: Reduced, marginals: np.ndarray) -> np.ndarray:
    """Marginals over the remaining states, laid out over all states: fixed variables have their state for certain."""
    if len(marginals) == len(reduced.kept):
        return marginals
    sizes = reduced.sizes
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    slot = np.arange(len(reduced.kept)) - np.repeat(starts, sizes)
    live = slot < np.repeat(reduced.n_kept, sizes)
    target = (np.repeat(starts, sizes) + reduced.kept)[live]
    values = np.ones(len(target))
    values[np.repeat(reduced.index >= 0, reduced.n_kept)] = marginals
    out = np.zeros(len(reduced.kept))
    out[target] = values
    return out


def collapse(pairs: np.ndarray, n_leaves: int, factor: np.ndarray) -> np.ndarray:
    """The contraction pairs that remain when leaves vanish: `factor` gives each leaf's new number, −1 if it is gone."""
    made = int((factor >= 0).sum())
    name, out = factor.tolist(), []
    steps = iter(pairs[: 2 * (n_leaves - 1)].tolist())
    for x, y in zip(steps, steps, strict=True):
        a, b = name[x], name[y]
        if a >= 0 and b >= 0:
            out += [a, b]
            name.append(made)
            made += 1
        else:
            name.append(max(a, b))
    return np.array([*out, 0, 0], np.int32)


def _sliced(reduced: Reduced, tree: ContractionTree, marginals: bool) -> Result:
    """Condition on every joint state of the sliced variables and add up: smaller tables, and zeros rule states out."""
    tables = reduced.tables

    def run_part(evidence: np.ndarray) -> Result:
        found = _part(tables, tree, evidence)
        if found is None:
            return Result(-np.inf, None, 0)
        rest, pairs = found
        return _whole(rest, scopes_of(rest.tables), pairs, marginals, alone=False)

    total, peak = Result(-np.inf, None, 0), 0
    for result in tracked(in_order(run_part, assignments(tables, tree.sliced)), tree.slices, "slices"):
        total = _added(total, result)
        peak = max(peak, n_cores() * result.peak_bytes)
    if total.marginals is None:
        return Result(reduced.log_constant + total.log_z, None, peak)
    starts = np.concatenate([[0], np.cumsum(tables.sizes)[:-1]])
    normal = total.marginals / np.repeat(np.add.reduceat(total.marginals, starts), tables.sizes)
    return Result(reduced.log_constant + total.log_z, _spread(reduced, normal), peak)


def parts(reduced: Reduced, tree: ContractionTree) -> Iterator[tuple[Reduced, np.ndarray]]:
    """The network itself with the tree's pairs; for a sliced tree every possible slice with what remains of them."""
    if not tree.sliced:
        yield reduced, tree.pairs
        return
    for evidence in assignments(reduced.tables, tree.sliced):
        found = _part(reduced.tables, tree, evidence)
        if found is not None:
            yield found


def _part(tables: Tables, tree: ContractionTree, evidence: np.ndarray) -> tuple[Reduced, np.ndarray] | None:
    rest = kernels.reduce(tables, evidence)
    return None if rest.impossible else (rest, collapse(tree.pairs, tables.n_factors, rest.factor))


def _added(total: Result, part: Result) -> Result:
    """Two sums in one, marginals weighted by their share."""
    if part.log_z == -np.inf:
        return total
    log_z = float(np.logaddexp(total.log_z, part.log_z))
    if part.marginals is None or total.marginals is None:
        return Result(log_z, part.marginals, 0)
    share = np.exp(part.log_z - log_z)
    return Result(log_z, total.marginals * np.exp(total.log_z - log_z) + part.marginals * share, 0)


def assignments(tables: Tables, sliced: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Evidence for every joint state of the sliced variables in turn."""
    for states in np.ndindex(*(int(tables.sizes[v]) for v in sliced)):
        evidence = np.full(len(tables.sizes), -1, np.int32)
        evidence[list(sliced)] = states
        yield evidence
