"""Machines that are narrow on one side, in the form in which the kernel anneals them: k units of zeros and ones whose
neighbours, zeros and ones too, are summed out.

    log p̃_β(h) = c_β·h + Σ_j log(1 + exp(b_βj + β h·W_j)),   c_β and b_β on the straight line from base to model
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.kernels import xla
from tractable.models.boltzmann_machine import Boltzmann
from tractable.plan.machines import Split
from tractable.posterior.exact import binary

MAX_FIELD = 80.0
"""Odds up to e^80 can be held in single precision, and multiplied."""


class Narrow(NamedTuple):
    """The kept side as x = scale·h + shift with h ∈ {0, 1}; fields of both sides at β = 0, of one base or of each
    chain's, and at β = 1 in the last row; and couplings. `slope` is ∂ log p̃_β / ∂β of what does not depend on h.
    """

    scale: Float[Any, " k"]
    shift: Float[Any, " k"]
    W: Float[Any, "k m"]
    c: Float[Any, "n+1 k"]
    b: Float[Any, "n+1 m"]
    slope: Float[Any, " n"]


def narrow_form(model: Boltzmann, base: Mapping[str, Any], split: Split) -> Narrow | None:
    """The path from base to model in this form; None where its odds may not be held in single precision."""
    end = binary.binary_form(model, split)
    rows = {name: np.atleast_2d(np.asarray(a, np.float64)) for name, a in base.items()}
    first = [_without_couplings(model, rows, side) for side in (end.enumerated, end.summed)]
    (c, kept), (b, summed) = first
    W, fields = end.W, np.abs(np.concatenate([b, end.b[None]]))
    if not np.max([*fields[:-1].max(axis=0), *(fields[-1] + np.abs(W).sum(axis=0))]) <= MAX_FIELD:
        return None
    side = end.enumerated
    c, b = np.concatenate([c, end.c[None]]), np.concatenate([b, end.b[None]])
    slope = end.constant - kept - summed
    return Narrow(*(np.asarray(a, np.float32) for a in (side.scale, side.shift, W, c, b, slope)))


def _without_couplings(model: Boltzmann, rows: Mapping[str, np.ndarray], side: binary.Side) -> tuple[Any, Any]:
    """The fields of h and a constant, for each row of fields of a side without couplings."""
    theta = np.concatenate([rows[name] for name in side.groups], axis=1) if side.groups else np.zeros((1, 0))
    return theta * side.scale, theta @ side.shift


def anneal(
    form: Narrow, words: tuple[Array, Array], betas: Array, x: Float[Array, "c k"], backward: bool
) -> tuple[Float[Array, "c k"], Float[Array, "t c"]]:
    """Chains through the temperatures by the kernel: states at the end, and the increments of log p̃.

    `words` are seeds uint32 [n_steps, k, 2] and the numbers of the chains uint32 [n_chains].
    """
    h = jnp.round((x - form.shift) / form.scale)
    h, change = xla.narrow_anneal(words, betas, h, (form.W, form.c, form.b), backward)
    return form.scale * h + form.shift, change + jnp.outer(jnp.diff(betas), form.slope)
