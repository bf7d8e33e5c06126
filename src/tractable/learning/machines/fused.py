"""The step of a restricted machine of zeros and ones, with one pass over its couplings.

The centred gradient is the plain one less two outer products, ∇W − μ_v ∇cᵀ − ∇b μ_hᵀ, and its products with the means
are products of a few vectors: so gradient, decay, momentum and update are made tile by tile, with the plain gradient.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.kernels import xla
from tractable.learning.machines import phases
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.units import Bernoulli
from tractable.posterior.approximate.gibbs import State


class Settings(NamedTuple):
    """Rate of a step, decay of the couplings, momentum, and what is added to the gradient of the fields."""

    rate: Any
    decay: float
    momentum: float
    pull: phases.GroupMeans


def applies(model: Boltzmann) -> bool:
    """Whether a machine is of this kind, and the kernel is there for it."""
    if len(model.units) != 2 or len(model.couplings) != 1 or model.edges:
        return False
    ((pair, w),) = model.couplings.items()
    binary = all(isinstance(units, Bernoulli) for units in model.units.values())
    return pair == (VISIBLE, *model.hidden) and binary and w.dtype == np.float32 and xla.available()


def moved(
    model: Boltzmann,
    trace: Boltzmann | None,
    phase: tuple[State, State],
    offsets: phases.GroupMeans,
    settings: Settings,
) -> tuple[Boltzmann, Boltzmann | None, Float[Array, ""]]:
    """The machine and the trace of its momentum after a step, and the norm of its gradient by the couplings.

    `phase` holds data and samples of the model, hidden units at their means; `offsets` are zero for plain gradients.
    """
    ((pair, w),) = model.couplings.items()
    (v, h), (mu_v, mu_h) = pair, (offsets[name] for name in pair)
    data, free = (_averaged(x, h) for x in phase)
    db, dc = (phases.means(phase[0])[g] - phases.means(phase[1])[g] + settings.pull.get(g, 0) for g in pair)
    scalars = jnp.stack([settings.rate, settings.decay, settings.momentum]).astype(w.dtype)
    corrections = jnp.stack([mu_v, db]), jnp.stack([dc, mu_h])
    own = () if trace is None else (trace.couplings[pair],)
    new, squares, *own = xla.outer_step((data[v], data[h], free[v], free[h]), corrections, scalars, w, *own)
    # what is left of the gradients of the fields at the offsets
    at_h = data[v].T @ (data[h] @ mu_h) - free[v].T @ (free[h] @ mu_h)
    at_v = (data[v] @ mu_v) @ data[h] - (free[v] @ mu_v) @ free[h]
    if settings.decay:
        at_h, at_v = at_h - settings.decay * (w @ mu_h), at_v - settings.decay * (mu_v @ w)
    gradient = {
        v: db - (at_h - mu_v * (dc @ mu_h) - db * (mu_h @ mu_h)),
        h: dc - (at_v - dc * (mu_v @ mu_v) - mu_h * (mu_v @ db)),
    }
    fields, falling = dict(model.fields), {}
    for name, g in gradient.items():
        falling[name] = -g if trace is None else settings.momentum * trace.fields[name] - g
        fields[name] = fields[name] - settings.rate * falling[name]
    model = replace(model, fields=fields, couplings={pair: new})
    trace = trace and replace(trace, fields=falling, couplings={pair: own[0]})
    return model, trace, jnp.sqrt(squares.sum())


def _averaged(x: State, hidden: str) -> State:
    """Products of these are averages over the rows."""
    return x | {hidden: x[hidden] / len(x[hidden])}
