"""The joint posterior over chosen variables: one sweep up a tree at whose root they stay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tractable import kernels
from tractable.kernels import Job, Reduced, Tables
from tractable.models import ModelError
from tractable.models._base import check_known
from tractable.models.conditioning import TableModel
from tractable.models.evidence import Evidence, with_likelihoods
from tractable.models.pruning import left
from tractable.models.rows import as_names
from tractable.plan import Ask, ContractionTree, allowed
from tractable.plan.tables import kept, observed_names, plan_joint, positions
from tractable.posterior.exact.elimination import parts, scopes_of


def joint_table(model: TableModel, given: Evidence, variables: Sequence[str], ask: Ask) -> np.ndarray:
    """The normalized joint table over the variables, an axis for each in the order given, over all their states.

    Raises
    ------
    ModelError : unknown variables, or one twice. BudgetError : the table, or what makes it, is too large.
    """
    names = checked_names(model, variables)
    places, reduced = positions(model, names), left(model, given, "joint", names)
    reduced = reduced._replace(tables=with_units(reduced.tables, free_among(reduced, places)))
    plan = allowed(plan_joint(model, reduced, names, observed_names(model, given.states), ask))
    table = summed_up(reduced, plan.program, places)
    assert table is not None  # the posterior was asked for it, so that its evidence is possible
    return table


def summed_up(reduced: Reduced, tree: ContractionTree | None, places: Sequence[int]) -> np.ndarray | None:
    """The normalized joint table of variables, an axis for each; None where nothing is possible."""
    if not (free := free_among(reduced, places)):
        return spread(reduced, places, np.ones(()))
    assert tree is not None
    table = _summed(reduced, tree, free)
    return spread(reduced, places, table / table.sum()) if table.sum() > 0 else None


def free_among(reduced: Reduced, places: Sequence[int]) -> list[int]:
    """The numbers of the variables at these places that are free, in their order."""
    return sorted({int(reduced.index[i]) for i in places} - {-1})


def checked_names(model: TableModel, variables: Sequence[str]) -> list[str]:
    """Names of variables of the model, none of them twice."""
    names = as_names(variables) or []
    check_known(names, model.states)
    if len(set(names)) != len(names):
        raise ModelError(f"a variable occurs twice in {', '.join(names)}")
    return names


def _summed(reduced: Reduced, tree: ContractionTree, free: list[int]) -> np.ndarray:
    """The unnormalized table over the free variables, added up over the slices of the tree."""
    total, top = np.zeros([int(reduced.tables.sizes[v]) for v in free]), -np.inf
    for part, pairs in parts(reduced, tree):
        if part is reduced:
            return _root(part.tables, pairs, free)[1]
        inner = sorted({int(part.index[v]) for v in free} - {-1})
        log_scale, table = _root(part.tables, pairs, inner)
        log_scale += part.log_constant
        new = max(top, log_scale)
        total = total * np.exp(top - new) + spread(part, free, table) * np.exp(log_scale - new)
        top = new
    return total


def logarithms(reduced: Reduced, tree: ContractionTree, free: list[int]) -> np.ndarray:
    """The logarithms of the unnormalized table over free variables, however far apart they are; −∞ are zeros."""
    total = None
    for part, pairs in parts(reduced, tree):
        inner = sorted({int(part.index[v]) for v in free} - {-1}) if part is not reduced else free
        scale, table, in_logs = _at_root(part.tables, pairs, inner)
        with np.errstate(divide="ignore"):
            own = table if in_logs else np.log(table, out=table)  # tables may be large: no copies
            own += scale
        if part is reduced:
            return own
        own = spread(part, free, own + part.log_constant, -np.inf)
        total = own if total is None else np.logaddexp(total, own)
    return np.full([int(reduced.tables.sizes[v]) for v in free], -np.inf) if total is None else total


def _root(tables: Tables, pairs: np.ndarray, free: list[int]) -> tuple[float, np.ndarray]:
    """The table at the root of the tree, in the order of the variables' numbers, and the logarithm of its scale."""
    scale, table, in_logs = _at_root(tables, pairs, free)
    if not in_logs:
        return scale, table
    top = table.max()
    return float(scale + top), np.exp(table - top)


def _at_root(tables: Tables, pairs: np.ndarray, free: list[int]) -> tuple[float, np.ndarray, bool]:
    """The same, and whether it has logarithms: where numbers are too far apart."""
    shape = [int(tables.sizes[v]) for v in free]
    if not tables.n_factors:
        lonely = tables.sizes.astype(np.float64)
        return float(np.log(lonely).sum()), np.full(shape, 1.0 / lonely[free].prod()), False
    job = Job(root_size=int(np.prod(shape)))
    scopes = scopes_of(tables, kept(len(tables.sizes), free))
    run = kernels.run(tables, scopes, pairs, job)
    if in_logs := run.status == kernels.UNSAFE:
        run = kernels.run(tables, scopes, pairs, job._replace(semiring=kernels.LOG_SUM_EXP))
    assert run.root is not None
    return float(run.log_z[0]), run.root.reshape(shape), in_logs


def spread(reduced: Reduced, places: Sequence[int], table: np.ndarray, zero: float = 0.0) -> np.ndarray:
    """A table over remaining states and free variables, over all states of all variables at these places instead."""
    free = free_among(reduced, places)
    table = np.transpose(table, [free.index(int(reduced.index[i])) for i in places if reduced.index[i] >= 0])
    starts = np.concatenate([[0], np.cumsum(reduced.sizes)])
    states = [reduced.kept[starts[i] : starts[i] + reduced.n_kept[i]] for i in places]
    out = np.full([int(reduced.sizes[i]) for i in places], zero)
    out[np.ix_(*states)] = table.reshape([len(own) for own in states])
    return out


def with_units(tables: Tables, variables: list[int]) -> Tables:
    """The tables, with a constant one for each of these variables that has none."""
    lonely = set(variables) - set(tables.scopes.tolist())
    return with_likelihoods(tables, {v: np.ones(int(tables.sizes[v])) for v in sorted(lonely)})
