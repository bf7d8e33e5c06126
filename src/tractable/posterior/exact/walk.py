"""Walks down a contraction tree: the most probable joint state, and exact joint samples."""

from __future__ import annotations

import numpy as np

from tractable import kernels
from tractable.kernels import Job, Reduced
from tractable.plan import Plan
from tractable.posterior.certificate import ImpossibleEvidenceError
from tractable.posterior.exact.elimination import parts, scopes_of
from tractable.posterior.exact.progress import tracked


def most_probable_states(reduced: Reduced, plan: Plan) -> tuple[float, np.ndarray]:
    """The largest log product of the tables, and the state of every original variable that attains it."""
    if reduced.impossible:
        return -np.inf, np.empty(0, np.int32)
    if plan.tree is None:
        return reduced.log_constant, _original(reduced, np.zeros((1, len(reduced.tables.sizes)), np.int32))[0]
    best, states = -np.inf, np.zeros((1, len(reduced.tables.sizes)), np.int32)
    for part, pairs in tracked(parts(reduced, plan.tree), plan.tree.slices, "slices"):
        value, found = _maximize(part, pairs)
        if part is not reduced:
            value, found = value + part.log_constant, _original(part, found)
        if value > best:
            best, states = value, found
    return best + reduced.log_constant, _original(reduced, states)[0]


def _maximize(reduced: Reduced, pairs: np.ndarray) -> tuple[float, np.ndarray]:
    tables = reduced.tables
    if not tables.n_factors:
        return 0.0, np.zeros((1, len(tables.sizes)), np.int32)
    run = kernels.run(tables, scopes_of(tables), pairs, Job(kernels.WALK, kernels.MAX_PLUS))
    assert run.states is not None
    return float(run.log_z[0]), run.states


def sample_states(reduced: Reduced, plan: Plan, rng: np.random.Generator, n: int) -> np.ndarray:
    """`n` independent exact samples of every original variable, shape [n, n_variables]."""
    if plan.tree is not None and plan.tree.sliced:
        log_z, states = _draw_sliced(reduced, plan, rng, n)
    else:
        pairs = np.zeros(2, np.int32) if plan.tree is None else plan.tree.pairs
        log_z, states = _draw(reduced, pairs, rng, n)
    if log_z == -np.inf:
        raise ImpossibleEvidenceError("the evidence has probability zero under the model: there is nothing to sample")
    return _original(reduced, states)


def _draw(reduced: Reduced, pairs: np.ndarray, rng: np.random.Generator, n: int) -> tuple[float, np.ndarray]:
    """log Z and samples of the free variables; those in no table are uniform."""
    tables = reduced.tables
    log_z, states = 0.0, np.zeros((n, len(tables.sizes)), np.int32)
    if tables.n_factors:
        job = Job(kernels.WALK, uniforms=rng.random((n, 2 * tables.n_factors)))
        run = kernels.run(tables, scopes_of(tables), pairs, job)
        if run.status == kernels.UNSAFE:
            run = kernels.run(tables, scopes_of(tables), pairs, job._replace(semiring=kernels.LOG_SUM_EXP))
        assert run.states is not None
        log_z, states = float(run.log_z[0]), run.states
    for v in np.setdiff1d(np.arange(len(tables.sizes)), tables.scopes):
        states[:, v] = rng.integers(tables.sizes[v], size=n)
    return log_z, states


def _draw_sliced(reduced: Reduced, plan: Plan, rng: np.random.Generator, n: int) -> tuple[float, np.ndarray]:
    """Samples from each slice; each replaces those before with the new part's share of the total so far."""
    assert plan.tree is not None
    total, states = -np.inf, np.zeros((n, len(reduced.tables.sizes)), np.int32)
    for part, pairs in tracked(parts(reduced, plan.tree), plan.tree.slices, "slices"):
        log_z, found = _draw(part, pairs, rng, n)
        lonely = np.setdiff1d(np.arange(len(part.tables.sizes)), part.tables.scopes)
        if not part.tables.n_factors:
            log_z = float(np.log(part.tables.sizes[lonely].astype(np.float64)).sum())
        log_z += part.log_constant
        if log_z == -np.inf:
            continue
        total = float(np.logaddexp(total, log_z))
        taken = rng.random(n) < np.exp(log_z - total)
        states[taken] = _original(part, found)[taken]
    return total, states


def _original(reduced: Reduced, states: np.ndarray) -> np.ndarray:
    """States of the reduced network as states of the original one."""
    starts = np.concatenate([[0], np.cumsum(reduced.sizes)[:-1]])
    out = np.empty((len(states), len(reduced.index)), np.int32)
    for v, i in enumerate(reduced.index.tolist()):
        kept = reduced.kept[starts[v] :]
        out[:, v] = kept[states[:, i]] if i >= 0 else kept[0]
    return out
