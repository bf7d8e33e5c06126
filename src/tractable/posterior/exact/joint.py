"""The joint posterior over chosen variables: one sweep up a tree at whose root they stay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tractable import kernels
from tractable.kernels import Job, Reduced, Tables
from tractable.models import ModelError
from tractable.models._base import check_known
from tractable.models.conditioning import TableModel
from tractable.models.evidence import with_likelihoods
from tractable.models.rows import as_names
from tractable.plan import Ask, ContractionTree, allowed
from tractable.plan.tables import plan_joint
from tractable.posterior.exact.elimination import parts, scopes_of


def joint_table(model: TableModel, reduced: Reduced, variables: Sequence[str], ask: Ask) -> np.ndarray:
    """The normalized joint table over the variables, an axis for each in the order given, over all their states.

    Raises
    ------
    ModelError : unknown variables, or one twice. BudgetError : the table, or what makes it, is too large.
    """
    places = _places(model, variables)
    free = sorted({int(reduced.index[i]) for i in places} - {-1})
    tables = _with_units(reduced.tables, free)
    scopes = scopes_of(tables, _flags(len(tables.sizes), free)) if free else None
    plan = allowed(plan_joint(model, reduced, places, scopes, ask))
    if not free:
        return _spread(reduced, places, np.ones(()))
    table = _summed(reduced._replace(tables=tables), plan.program, free)
    return _spread(reduced, places, table / table.sum())


def _places(model: TableModel, variables: Sequence[str]) -> list[int]:
    names = as_names(variables) or []
    index = {name: i for i, name in enumerate(model.states)}
    check_known(names, index)
    if len(set(names)) != len(names):
        raise ModelError(f"a variable occurs twice in {', '.join(names)}")
    return [index[name] for name in names]


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
        total = total * np.exp(top - new) + _spread(part, free, table) * np.exp(log_scale - new)
        top = new
    return total


def _root(tables: Tables, pairs: np.ndarray, free: list[int]) -> tuple[float, np.ndarray]:
    """The table at the root of the tree, in the order of the variables' numbers, and the logarithm of its scale."""
    if not tables.n_factors:
        lonely = tables.sizes.astype(np.float64)
        return float(np.log(lonely).sum()), np.full([int(tables.sizes[v]) for v in free], 1.0 / lonely[free].prod())
    shape = [int(tables.sizes[v]) for v in free]
    job = Job(root_size=int(np.prod(shape)))
    scopes = scopes_of(tables, _flags(len(tables.sizes), free))
    run = kernels.run(tables, scopes, pairs, job)
    if run.status == kernels.UNSAFE:
        run = kernels.run(tables, scopes, pairs, job._replace(semiring=kernels.LOG_SUM_EXP))
        assert run.root is not None
        top = run.root.max()
        return float(run.log_z[0] + top), np.exp(run.root - top).reshape(shape)
    assert run.root is not None
    return float(run.log_z[0]), run.root.reshape(shape)


def _spread(reduced: Reduced, places: Sequence[int], table: np.ndarray) -> np.ndarray:
    """A table over remaining states and free variables, over all states of all variables at these places instead."""
    free = sorted({int(reduced.index[i]) for i in places} - {-1})
    table = np.transpose(table, [free.index(int(reduced.index[i])) for i in places if reduced.index[i] >= 0])
    starts = np.concatenate([[0], np.cumsum(reduced.sizes)])
    kept = [reduced.kept[starts[i] : starts[i] + reduced.n_kept[i]] for i in places]
    out = np.zeros([int(reduced.sizes[i]) for i in places])
    out[np.ix_(*kept)] = table.reshape([len(k) for k in kept])
    return out


def _flags(n: int, chosen: list[int]) -> np.ndarray:
    keep = np.zeros(n + 1, np.uint8)
    keep[chosen] = 1
    return keep


def _with_units(tables: Tables, variables: list[int]) -> Tables:
    """The tables, with a constant one for each of these variables that has none."""
    lonely = set(variables) - set(tables.scopes.tolist())
    return with_likelihoods(tables, {v: np.ones(int(tables.sizes[v])) for v in sorted(lonely)})
