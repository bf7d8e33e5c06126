"""Walks down a contraction tree: the most probable joint state, and exact joint samples."""

from __future__ import annotations

import numpy as np

from tractable import kernels
from tractable.kernels import Reduced, Run
from tractable.plan import Plan
from tractable.posterior.exact.elimination import assignments, collapse, scopes_of
from tractable.posterior.exact.progress import tracked


def most_probable_states(reduced: Reduced, plan: Plan) -> tuple[float, np.ndarray]:
    """The largest log product of the tables, and the state of every original variable that attains it."""
    if reduced.impossible:
        return -np.inf, np.empty(0, np.int32)
    tables = reduced.tables
    if plan.tree is None or not tables.n_factors:
        return reduced.log_constant, _original(reduced, np.zeros((1, len(tables.sizes)), np.int32))[0]
    best = (-np.inf, np.zeros(len(tables.sizes), np.int32))
    sliced = plan.tree.sliced
    for evidence in tracked(assignments(tables, sliced), plan.tree.slices, "slices"):
        part = kernels.reduce(tables, evidence) if sliced else None
        if part is None:
            found = _maximize(reduced, plan.tree.pairs)
        elif part.impossible:
            continue
        else:
            value, states = _maximize(part, collapse(plan.tree.pairs, tables.n_factors, part.factor))
            found = (value + part.log_constant, _original(part, states[None])[0])
        if found[0] > best[0]:
            best = found
    return best[0] + reduced.log_constant, _original(reduced, best[1][None])[0]


def _maximize(reduced: Reduced, pairs: np.ndarray) -> tuple[float, np.ndarray]:
    tables = reduced.tables
    if not tables.n_factors:
        return 0.0, np.zeros(len(tables.sizes), np.int32)
    run = kernels.run(tables, scopes_of(tables), pairs, kernels.WALK, kernels.MAX_PLUS)
    assert run.states is not None
    return float(run.log_z[0]), run.states[0]


def sample_states(reduced: Reduced, plan: Plan, rng: np.random.Generator, n: int) -> np.ndarray:
    """`n` independent exact samples of every original variable, shape [n, n_variables]."""
    tables = reduced.tables
    lonely = np.setdiff1d(np.arange(len(tables.sizes)), tables.scopes)
    states = np.zeros((n, len(tables.sizes)), np.int32)
    if plan.tree is not None and tables.n_factors:
        run = _draw(reduced, plan, rng.random((n, 2 * tables.n_factors)))
        assert run.states is not None
        states = run.states
    for v in lonely:
        states[:, v] = rng.integers(tables.sizes[v], size=n)
    return _original(reduced, states)


def _draw(reduced: Reduced, plan: Plan, uniforms: np.ndarray) -> Run:
    assert plan.tree is not None
    tables = reduced.tables
    return kernels.run(tables, scopes_of(tables), plan.tree.pairs, kernels.WALK, kernels.SUM_PRODUCT, uniforms=uniforms)


def _original(reduced: Reduced, states: np.ndarray) -> np.ndarray:
    """States of the reduced network as states of the original one."""
    starts = np.concatenate([[0], np.cumsum(reduced.sizes)[:-1]])
    out = np.empty((len(states), len(reduced.index)), np.int32)
    for v, i in enumerate(reduced.index.tolist()):
        kept = reduced.kept[starts[v] :]
        out[:, v] = kept[states[:, i]] if i >= 0 else kept[0]
    return out
