"""Approximate answers about the free units of a machine, many rows of evidence at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from tractable.models.boltzmann_machine import Boltzmann
from tractable.plan.machines import Restarts
from tractable.posterior.approximate import gibbs
from tractable.posterior.approximate.mean_field import MeanField, best_of, mean_field, starts, tap
from tractable.posterior.cases import CaseAnswer, Cases, as_features
from tractable.posterior.certificate import Certificate


def by_mean_field(model: Boltzmann, cases: Cases, key: Any, program: Restarts) -> CaseAnswer:
    """The best of several naive mean-field solutions, in double precision."""
    found = bounded(model, cases, key, program.n_each)
    return CaseAnswer(found.log_partition, {name: Certificate.estimate(m) for name, m in found.means.items()})


def by_tap(model: Boltzmann, cases: Cases, key: Any, program: None = None) -> CaseAnswer:
    """The second-order solution that starts from the fields alone."""
    with jax.enable_x64(True):
        model = model.astype(np.float64)
        x, clamp = _clamped_starts(model, cases, 1, key)
        found = tap(model, x, clamp)
    return CaseAnswer(found.log_partition, {name: Certificate.estimate(m) for name, m in found.means.items()})


def bounded(model: Boltzmann, cases: Cases, key: Any, n: int) -> MeanField:
    """The best mean-field solution of each row from `n` starts, in double precision."""
    with jax.enable_x64(True):
        model = model.astype(np.float64)
        x, clamp = _clamped_starts(model, cases, n, key)
        return best_of(mean_field(model, x, clamp), n)


def _clamped_starts(model: Boltzmann, cases: Cases, n: int, key: Any) -> tuple[gibbs.State, dict[str, gibbs.Clamp]]:
    """`n` starting points for each row, what is known in place."""
    first = starts(model, n, key)
    clamp = clamps(model, cases, n)
    return placed({name: np.tile(a, (cases.n_rows, 1)) for name, a in first.items()}, clamp), clamp


def placed(x: Mapping[str, Any], clamp: Mapping[str, gibbs.Clamp]) -> dict[str, Any]:
    """The state with what is known in place."""
    return {name: np.where(clamp[name].known, clamp[name].values, a) for name, a in x.items()}


def clamps(model: Boltzmann, cases: Cases, n: int) -> dict[str, gibbs.Clamp]:
    """What is known in each row, repeated `n` times."""
    known, x = as_features(model, cases)
    dtype = jax.dtypes.canonicalize_dtype(model.dtype)
    repeated = {name: np.repeat(x[name].astype(dtype), n, axis=0) for name in model.groups}
    return {name: gibbs.Clamp(np.repeat(known[name], n, axis=0), repeated[name]) for name in model.groups}
