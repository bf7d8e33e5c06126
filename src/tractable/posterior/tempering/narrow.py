"""Machines that are narrow on one side, in the form in which the kernel anneals them: k units of zeros and ones whose
neighbours, zeros and ones too, are summed out.

    log p̃_β(h) = c_β·h + Σ_j log(1 + exp(b_βj + β h·W_j)),   c_β and b_β on the straight line from base to model
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
    """The kept side as x = scale·h + shift with h ∈ {0, 1}; fields of both sides at β = 0 and 1, and couplings.

    `slope` is ∂ log p̃_β / ∂β of what does not depend on h.
    """

    scale: Float[Any, " k"]
    shift: Float[Any, " k"]
    W: Float[Any, "k m"]
    c: Float[Any, "2 k"]
    b: Float[Any, "2 m"]
    slope: Float[Any, ""]


def narrow_form(model: Boltzmann, base: Mapping[str, Any], split: Split) -> Narrow | None:
    """The path from base to model in this form; None where its odds may not be held in single precision."""
    zeros = {pair: np.zeros_like(w) for pair, w in model.couplings.items()}
    ends = [binary.binary_form(m, split) for m in (replace(model, fields=dict(base), couplings=zeros), model)]
    W, fields = ends[1].W, [np.abs(end.b) for end in ends]
    if not np.max([*fields[0], *(fields[1] + np.abs(W).sum(axis=0))]) <= MAX_FIELD:
        return None
    side = ends[1].enumerated
    c, b = (np.stack([getattr(end, name) for end in ends]) for name in ("c", "b"))
    slope = np.array(ends[1].constant - ends[0].constant)
    return Narrow(*(a.astype(np.float32) for a in (side.scale, side.shift, W, c, b, slope)))


def anneal(
    form: Narrow, words: tuple[Array, Array], betas: Array, x: Float[Array, "c k"], backward: bool
) -> tuple[Float[Array, "c k"], Float[Array, "t c"]]:
    """Chains through the temperatures by the kernel: states at the end, and the increments of log p̃.

    `words` are seeds uint32 [n_steps, k, 2] and the numbers of the chains uint32 [n_chains].
    """
    h = jnp.round((x - form.shift) / form.scale)
    h, change = xla.narrow_anneal(words, betas, h, (form.W, form.c, form.b), backward)
    return form.scale * h + form.shift, change + jnp.diff(betas)[:, None] * form.slope
