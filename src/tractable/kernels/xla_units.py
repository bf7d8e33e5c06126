"""Bernoulli units that are drawn one after another inside jax programs: each hears of those before it.

On a CPU these are C kernels (ordered.c and units.c, through xla_handlers.c).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from tractable.kernels import xla


def sample_ordered(seed: Array, rows: Array, logits: Array, within: Array) -> Array:
    """Zeros and ones of units that depend on those before them: P(1) = σ(logits + tril(within, −1) @ the units)."""
    n = logits.shape[1]
    if within.shape != (n, n):
        raise ValueError(f"what a layer of {n} units takes from itself has the shape {within.shape}")
    logits, within = (jax.lax.stop_gradient(a) for a in (logits, within))
    return xla.either("sample_ordered", _one_by_one, *xla.numbers(seed, rows, logits.shape[0]), logits, within)


def gibbs_units(
    words: tuple[Array, Array, Array], units: tuple[Array, Array, Array], children: tuple[Array, ...], beta: Any
) -> Array:
    """Chains of binary units that have the same children, drawn one after another given all others; on CPUs only.

    A unit's logit is its own plus β Σ_j log p(x_j | unit on) − log p(x_j | unit off) of the children that count.

    Parameters
    ----------
    words : seed uint32 [2], numbers of the chains uint32 [n_chains], units in the order of visits uint32 [n_visits].
    units : their own logits, states, and one where they are free, zero where they stay as they are [n_chains, n].
    children : states, logits, and one where they count, else zero [n_chains, m]; weights [m, n].
    """
    call = jax.ffi.ffi_call("tractable_gibbs_units", jax.ShapeDtypeStruct(units[1].shape, jnp.float32))
    return call(*words, *units, *children, jnp.full(1, beta, jnp.float32))


def _one_by_one(seed: Array, rows: Array, logits: Array, within: Array) -> Array:
    """A unit is on where logit(u) is below its own logit, and then adds its column to the logits after it."""
    uniform = xla.uniform(seed, rows, logits.shape[1]).astype(logits.dtype)
    margins = (logits - (jnp.log(uniform) - jnp.log1p(-uniform))).T  # by units, so that one of them lies together
    columns = jnp.tril(within, -1).T

    def draw(i: Any, margins: Array) -> Array:
        on = jax.lax.dynamic_index_in_dim(margins, i, 0, False) > 0
        return margins + jnp.where(on, jax.lax.dynamic_index_in_dim(columns, i, 0, False)[:, None], 0)

    return (jax.lax.fori_loop(0, len(margins), draw, margins) > 0).astype(logits.dtype).T
