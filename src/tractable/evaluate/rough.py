"""A rough log-likelihood of a machine, in a fraction of a second: to see that it learns, not to say how well.

Few chains at few temperatures make log Z too small, and the likelihood too large: a model that looks worse than
independent columns here is.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.precision import in_working_precision
from tractable.plan.machines import EXACT, plan_live
from tractable.posterior.approximate.gibbs import Schedule, schedule
from tractable.posterior.approximate.mean_field import layer_means
from tractable.posterior.engines import machines
from tractable.posterior.engines._protocol import Solved
from tractable.posterior.tempering._base import run
from tractable.posterior.tempering.machines import log_partition_of_fields, make_path

CHAINS, TEMPERATURES, ROWS = 64, 75, 500
ITERATIONS = 10


def rough_log_likelihood(model: Boltzmann, rows: Any, key: Any) -> float | None:
    """The mean log-likelihood of at most 500 rows that miss nothing, roughly; None where there are none.

    log Z is exact up to 2¹⁶ enumerated states, else of 64 chains annealed forward in 75 steps from independent units
    that match the rows; hidden units that interact given the data are bounded by mean field.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> machine = tr.restricted(4, 2)
    >>> abs(tr.evaluate.rough_log_likelihood(machine, rows, key=0) - tr.log_likelihood(machine, rows).value) < 1e-3
    True
    """
    values = np.asarray(rows)
    values = values[~np.isnan(values).any(axis=1)] if values.dtype.kind == "f" else values
    if not len(values):
        return None
    values = values[np.linspace(0, len(values) - 1, min(ROWS, len(values))).astype(int)]
    v = np.asarray(model.units[VISIBLE].encode(values), np.float32)
    return float(_unnormalized(schedule(model.graph), model.astype(np.float32), v)) - rough_log_partition(model, v, key)


def rough_log_partition(model: Boltzmann, features: np.ndarray, key: Any) -> float:
    """log Z, roughly: exact where few states are to be enumerated."""
    plan = plan_live(model.graph)
    if plan.method in EXACT:
        asked = machines.read(model, None)
        return float(
            machines.log_partition(asked, [Solved(slice(None), asked, plan, machines.solve(plan, asked, key))])
        )
    return _annealed(model, features, key)


@in_working_precision
def _annealed(model: Boltzmann, features: np.ndarray, key: Any) -> float:
    base = {name: np.zeros(model.units[name].n_features) for name in model.groups}
    means = features.mean(0, dtype=np.float64)
    base[VISIBLE] = np.asarray(model.units[VISIBLE].field_with_mean(means, len(features)), np.float64)
    path, betas = make_path(model, base, flipping=False), np.linspace(0, 1, TEMPERATURES + 1)
    work = run(path, key, betas, path.start(jax.random.fold_in(key, 1), CHAINS)).work
    log_z = float(log_partition_of_fields(model.units, base) + np.asarray(model.offset))
    top = work.max()
    return log_z + float(top + np.log(np.exp(work - top).mean()))


@jax.jit
def _unnormalized(plan: Schedule, model: Boltzmann, v: Float[Array, "b f"]) -> Float[Array, ""]:
    """The mean of log Σ_h p̃(v, h), a lower bound where hidden units interact."""
    x = layer_means(model, v, ITERATIONS, plan)
    out = model.interaction(x) + model.units[VISIBLE].log_base(v)
    for name in model.hidden:
        theta = jnp.broadcast_to(model.local_field(name, x), x[name].shape)
        out = out + model.units[name].cumulant(theta).sum(-1) - (theta * x[name]).sum(-1)
    return out.mean()
