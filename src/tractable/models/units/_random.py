"""Random numbers for many chains: a function of the key, the chain's number and the column, however rows are cut.

A counter-based generator: each 32-bit word is a hash of where it stands. It costs a few integer operations that fuse
with the comparison that consumes them; the platform's generators write whole arrays first. The constants of the mixing
function are those of the low-bias 32-bit hash found by C. Wellons' search (2018).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

_WEYL = 0x9E3779B9


def _mixed(x: Array) -> Array:
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


def bits(key: Any, rows: UInt32[Array, " c"], n: int) -> UInt32[Array, "c n"]:
    """`n` random words for each row."""
    seed = jax.random.bits(key, (2,), jnp.uint32)
    stream = _mixed(_mixed(seed[0] + rows.astype(jnp.uint32) * jnp.uint32(_WEYL)) ^ seed[1])
    return _mixed(_mixed(stream[:, None] + jnp.arange(n, dtype=jnp.uint32) * jnp.uint32(_WEYL)) ^ stream[:, None])


def uniform(key: Any, rows: Array, n: int, dtype: Any = jnp.float32) -> Float[Array, "c n"]:
    """Numbers strictly between 0 and 1, in steps of 2⁻²⁴."""
    return ((bits(key, rows, n) >> 8).astype(dtype) + 0.5) * 2.0**-24


def bernoulli(key: Any, rows: Array, logits: Float[Array, "c n"]) -> Float[Array, "c n"]:
    """0 or 1 with P(1) = σ(logit)."""
    u = uniform(key, rows, logits.shape[-1], logits.dtype)
    return (u < jax.nn.sigmoid(logits)).astype(logits.dtype)


def normal(key: Any, rows: Array, n: int, dtype: Any = jnp.float32) -> Float[Array, "c n"]:
    """Standard normal numbers, by inversion."""
    return jax.scipy.special.ndtri(uniform(key, rows, n, dtype))
