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
    reduced = reduced._replace(tables=_with_units(reduced.tables, free_among(reduced, places)))
    plan = allowed(plan_joint(model, reduced, names, observed_names(model, given.states), ask))
    table = summed_up(reduced, plan.program, places)
    assert table is not None  # the posterior was asked for it, so that its evidence is possible
    return table


def summed_up(reduced: Reduced, tree: ContractionTree | None, places: Sequence[int]) -> np.ndarray | None:
    """The normalized joint table of variables, an axis for each; None where nothing is possible."""
    if not (free := free_among(reduced, places)):
        return spread(reduced, places, np.ones(()))
    assert tree is not None
    table = unnormalized(reduced, tree, free)[1]
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


def unnormalized(reduced: Reduced, tree: ContractionTree, free: list[int]) -> tuple[float, np.ndarray]:
    """The unnormalized table over free variables, added up over the slices of the tree, and the log of its scale."""
    total, top = np.zeros([int(reduced.tables.sizes[v]) for v in free]), -np.inf
    for part, pairs in parts(reduced, tree):
        if part is reduced:
            return _root(part.tables, pairs, free)
        inner = sorted({int(part.index[v]) for v in free} - {-1})
        log_scale, table = _root(part.tables, pairs, inner)
        log_scale += part.log_constant
        new = max(top, log_scale)
        total = total * np.exp(top - new) + spread(part, free, table) * np.exp(log_scale - new)
        top = new
    return top, total


def _root(tables: Tables, pairs: np.ndarray, free: list[int]) -> tuple[float, np.ndarray]:
    """The table at the root of the tree, in the order of the variables' numbers, and the logarithm of its scale."""
    if not tables.n_factors:
        lonely = tables.sizes.astype(np.float64)
        return float(np.log(lonely).sum()), np.full([int(tables.sizes[v]) for v in free], 1.0 / lonely[free].prod())
    shape = [int(tables.sizes[v]) for v in free]
    job = Job(root_size=int(np.prod(shape)))
    scopes = scopes_of(tables, kept(len(tables.sizes), free))
    run = kernels.run(tables, scopes, pairs, job)
    if run.status == kernels.UNSAFE:
        run = kernels.run(tables, scopes, pairs, job._replace(semiring=kernels.LOG_SUM_EXP))
        assert run.root is not None
        top = run.root.max()
        return float(run.log_z[0] + top), np.exp(run.root - top).reshape(shape)
    assert run.root is not None
    return float(run.log_z[0]), run.root.reshape(shape)


def spread(reduced: Reduced, places: Sequence[int], table: np.ndarray) -> np.ndarray:
    """A table over remaining states and free variables, over all states of all variables at these places instead."""
    free = free_among(reduced, places)
    table = np.transpose(table, [free.index(int(reduced.index[i])) for i in places if reduced.index[i] >= 0])
    starts = np.concatenate([[0], np.cumsum(reduced.sizes)])
    states = [reduced.kept[starts[i] : starts[i] + reduced.n_kept[i]] for i in places]
    out = np.zeros([int(reduced.sizes[i]) for i in places])
    out[np.ix_(*states)] = table.reshape([len(own) for own in states])
    return out


def _with_units(tables: Tables, variables: list[int]) -> Tables:
    """The tables, with a constant one for each of these variables that has none."""
    lonely = set(variables) - set(tables.scopes.tolist())
    return with_likelihoods(tables, {v: np.ones(int(tables.sizes[v])) for v in sorted(lonely)})
