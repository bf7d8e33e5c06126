"""Walks down a contraction tree: the most probable joint state, and exact joint samples."""

from __future__ import annotations

import numpy as np

from tractable import kernels
from tractable.kernels import Job, Reduced, Tables
from tractable.plan import ContractionTree
from tractable.posterior.certificate import ImpossibleEvidenceError
from tractable.posterior.exact.elimination import parts, scopes_of
from tractable.posterior.exact.progress import tracked

PIECE = 1 << 20
"""Random numbers drawn in one go: what NumPy does at once cannot be interrupted."""


def most_probable_states(reduced: Reduced, tree: ContractionTree | None) -> tuple[float, np.ndarray]:
    """The largest log product of the tables, and the state of every original variable that attains it."""
    if reduced.impossible:
        return -np.inf, np.empty(0, np.int32)
    if tree is None:
        return reduced.log_constant, original(reduced, np.zeros((1, len(reduced.tables.sizes)), np.int32))[0]
    best, states = -np.inf, np.zeros((1, len(reduced.tables.sizes)), np.int32)
    for part, pairs in tracked(parts(reduced, tree), tree.slices, "slices"):
        value, found = _maximize(part, pairs)
        if part is not reduced:
            value, found = value + part.log_constant, original(part, found)
        if value > best:
            best, states = value, found
    return best + reduced.log_constant, original(reduced, states)[0]


def _maximize(reduced: Reduced, pairs: np.ndarray) -> tuple[float, np.ndarray]:
    tables = reduced.tables
    if not tables.n_factors:
        return 0.0, np.zeros((1, len(tables.sizes)), np.int32)
    run = kernels.run(tables, scopes_of(tables), pairs, Job(kernels.WALK, kernels.MAX_PLUS))
    assert run.states is not None
    return float(run.log_z[0]), run.states


def sample_states(reduced: Reduced, tree: ContractionTree | None, rng: np.random.Generator, n: int) -> np.ndarray:
    """`n` independent exact samples of every original variable, shape [n, n_variables]; as many at a time as the tree
    says, on which what is drawn does not depend (but for slices, each of which may replace any of its samples)."""
    if reduced.impossible:
        raise _nothing_to_sample()
    states = np.zeros((n, len(reduced.tables.sizes)), np.int32)
    if tree is None or not tree.sliced:
        for v in np.setdiff1d(np.arange(states.shape[1]), reduced.tables.scopes):
            states[:, v] = rng.integers(reduced.tables.sizes[v], size=n)
    if tree is not None and reduced.tables.n_factors:
        for start in range(0, n, step := tree.rows or max(n, 1)):
            _draw_into(states[start : start + step], reduced, tree, rng)
    return original(reduced, states)


def _draw_into(states: np.ndarray, reduced: Reduced, tree: ContractionTree, rng: np.random.Generator) -> None:
    """Samples of the free variables, but for those in no table, which are there."""
    if tree.sliced:
        log_z, states[:] = _draw_sliced(reduced, tree, rng, len(states))
    else:
        log_z, found = _walked(reduced.tables, tree.pairs, rng, len(states))
        for v in np.unique(reduced.tables.scopes):
            states[:, v] = found[:, v]
    if log_z == -np.inf:
        raise _nothing_to_sample()


def _nothing_to_sample() -> ImpossibleEvidenceError:
    return ImpossibleEvidenceError("the evidence has probability zero under the model: there is nothing to sample")


def _walked(tables: Tables, pairs: np.ndarray, rng: np.random.Generator, n: int) -> tuple[float, np.ndarray]:
    """log Z, and samples of the variables that some table holds."""
    uniforms = np.empty((n, 2 * tables.n_factors))
    for some in np.array_split(uniforms, uniforms.size // PIECE + 1):
        rng.random(out=some)
    job = Job(kernels.WALK, uniforms=uniforms)
    run = kernels.run(tables, scopes_of(tables), pairs, job)
    if run.status == kernels.UNSAFE:
        run = kernels.run(tables, scopes_of(tables), pairs, job._replace(semiring=kernels.LOG_SUM_EXP))
    assert run.states is not None
    return float(run.log_z[0]), run.states


def _draw(reduced: Reduced, pairs: np.ndarray, rng: np.random.Generator, n: int) -> tuple[float, np.ndarray]:
    """log Z and samples of the free variables of a slice; those in no table are uniform."""
    tables = reduced.tables
    log_z, states = 0.0, np.zeros((n, len(tables.sizes)), np.int32)
    if tables.n_factors:
        log_z, states = _walked(tables, pairs, rng, n)
    for v in np.setdiff1d(np.arange(len(tables.sizes)), tables.scopes):
        states[:, v] = rng.integers(tables.sizes[v], size=n)
    return log_z, states


def _draw_sliced(reduced: Reduced, tree: ContractionTree, rng: np.random.Generator, n: int) -> tuple[float, np.ndarray]:
    """Samples from each slice; each replaces those before with the new part's share of the total so far."""
    total, states = -np.inf, np.zeros((n, len(reduced.tables.sizes)), np.int32)
    for part, pairs in tracked(parts(reduced, tree), tree.slices, "slices"):
        log_z, found = _draw(part, pairs, rng, n)
        lonely = np.setdiff1d(np.arange(len(part.tables.sizes)), part.tables.scopes)
        if not part.tables.n_factors:
            log_z = float(np.log(part.tables.sizes[lonely].astype(np.float64)).sum())
        log_z += part.log_constant
        if log_z == -np.inf:
            continue
        total = float(np.logaddexp(total, log_z))
        taken = rng.random(n) < np.exp(log_z - total)
        states[taken] = original(part, found)[taken]
    return total, states


def original(reduced: Reduced, states: np.ndarray) -> np.ndarray:
    """States of the reduced network as states of the original one."""
    starts = np.concatenate([[0], np.cumsum(reduced.sizes)[:-1]])
    out = np.empty((len(states), len(reduced.index)), np.int32)
    for v, i in enumerate(reduced.index.tolist()):
        kept = reduced.kept[starts[v] :]
        out[:, v] = kept[states[:, i]] if i >= 0 else kept[0]
    return out
