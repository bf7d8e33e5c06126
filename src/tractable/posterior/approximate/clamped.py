"""Approximate answers about the free units of a machine, many rows of evidence at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.precision import in_working_precision, working_type
from tractable.plan.machines import RESTARTS, RESTARTS_OF_MANY, TOGETHER, GibbsChains, Restarts
from tractable.posterior.approximate import gibbs
from tractable.posterior.approximate.mean_field import MeanField, best_of, mean_field, starts, tap
from tractable.posterior.cases import CaseAnswer, Cases, as_features
from tractable.posterior.certificate import Certificate

BURN_IN = 0.25


def by_mean_field(model: Boltzmann, cases: Cases, key: Any, program: Restarts) -> CaseAnswer:
    """The best of several naive mean-field solutions, in double precision."""
    found = _mean_field(model, cases, key, program.n_each)
    return CaseAnswer(found.log_partition, {name: Certificate.estimate(m) for name, m in found.means.items()})


def by_tap(model: Boltzmann, cases: Cases, key: Any, program: None = None) -> CaseAnswer:
    """The second-order solution that starts from the fields alone."""
    with jax.enable_x64(True):
        model = model.astype(np.float64)
        x, clamp = _clamped_starts(model, cases, 1, key)
        found = tap(model, x, clamp)
    return CaseAnswer(found.log_partition, {name: Certificate.estimate(m) for name, m in found.means.items()})


def _mean_field(model: Boltzmann, cases: Cases, key: Any, n: int) -> MeanField:
    with jax.enable_x64(True):
        model = model.astype(np.float64)
        x, clamp = _clamped_starts(model, cases, n, key)
        return best_of(mean_field(model, x, clamp), n)


def _clamped_starts(model: Boltzmann, cases: Cases, n: int, key: Any) -> tuple[gibbs.State, dict[str, gibbs.Clamp]]:
    """`n` starting points for each row, what is known in place."""
    first = starts(model, n, key)
    clamp = _clamps(model, cases, n)
    return _placed({name: np.tile(a, (cases.n_rows, 1)) for name, a in first.items()}, clamp), clamp


def _placed(x: Mapping[str, Any], clamp: Mapping[str, gibbs.Clamp]) -> dict[str, Any]:
    """The state with what is known in place."""
    return {name: np.where(clamp[name].known, clamp[name].values, a) for name, a in x.items()}


def _clamps(model: Boltzmann, cases: Cases, n: int) -> dict[str, gibbs.Clamp]:
    """What is known in each row, repeated `n` times."""
    known, x = as_features(model, cases)
    dtype = jax.dtypes.canonicalize_dtype(model.dtype)
    repeated = {name: np.repeat(x[name].astype(dtype), n, axis=0) for name in model.groups}
    return {name: gibbs.Clamp(np.repeat(known[name], n, axis=0), repeated[name]) for name in model.groups}


def by_gibbs(model: Boltzmann, cases: Cases, key: Any, program: GibbsChains) -> CaseAnswer:
    """Averages over many independent chains; the standard error is that of the mean of the chains' averages.

    It holds whatever the correlation within a chain, as it reads only how far the chains differ. log Z is not estimated
    from samples: its certificate is the bound of mean field.
    """
    means = [averages(model, part, key, program) for part in _parts(cases, program.n_each)]
    by_chain = {name: np.concatenate([m[name] for m in means]) for name in model.groups}
    bound = _mean_field(model, cases, key, RESTARTS_OF_MANY if cases.many else RESTARTS).log_partition
    return CaseAnswer(bound, {name: _over_chains(m) for name, m in by_chain.items()})


def _over_chains(means: np.ndarray) -> Certificate:
    return Certificate.estimate(means.mean(axis=1), means.std(axis=1, ddof=1) / np.sqrt(means.shape[1]))


def _parts(cases: Cases, n_chains: int) -> list[tuple[int, Cases]]:
    """The rows in parts that run together, each with the number of its first row."""
    step = max(1, TOGETHER // n_chains)
    return [(first, cases.take(slice(first, first + step))) for first in range(0, cases.n_rows, step)]


@in_working_precision
def averages(model: Boltzmann, part: tuple[int, Cases], key: Any, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """The averages of every chain [n_rows, n_chains, n_features]; a chain's numbers depend on its row alone."""
    first, cases = part
    n_chains, n_sweeps = size
    rows = first * n_chains + np.arange(cases.n_rows * n_chains, dtype=np.uint32)
    _, means = _chains(model, cases, gibbs.Stream(as_key(key), rows), (n_chains, n_sweeps))
    return {name: np.asarray(m, np.float64).reshape(cases.n_rows, n_chains, -1) for name, m in means.items()}


def _chains(
    model: Boltzmann, cases: Cases, stream: gibbs.Stream, size: tuple[int, int]
) -> tuple[gibbs.State, gibbs.State]:
    """Last states and averages of chains that start from the fields alone, the first sweeps left out."""
    model = model.astype(working_type(model))
    clamp = _clamps(model, cases, size[0])
    free = [name for name in model.groups if not clamp[name].known.all()]
    plan = gibbs.schedule(model.graph).only(free)
    x = gibbs.start(model, jax.random.fold_in(stream.key, 0), jnp.asarray(stream.rows))
    x = _placed(x, clamp)
    clamp = {name: held for name, held in clamp.items() if name in free and held.known.any()}
    burn_in = max(1, int(BURN_IN * size[1]))
    x, _ = gibbs.averages(plan, model, gibbs.Stream(jax.random.fold_in(stream.key, 1), stream.rows), x, burn_in, clamp)
    return gibbs.averages(plan, model, gibbs.Stream(jax.random.fold_in(stream.key, 2), stream.rows), x, size[1], clamp)


def as_key(key: Any) -> Any:
    """A jax key from an integer or a key."""
    return jax.random.key(int(key)) if isinstance(key, int | np.integer) else key


@in_working_precision
def draw(model: Boltzmann, cases: Cases, key: Any, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """The ends of independent chains in the first case: group → values [n_chains, n_units]."""
    rows = np.arange(size[0], dtype=np.uint32)
    x, _ = _chains(model, cases.take(slice(0, 1)), gibbs.Stream(as_key(key), rows), size)
    return model.decode(x)
