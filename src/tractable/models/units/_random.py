"""Random numbers for many chains: a function of the key, the chain's number and the column, however rows are cut.

The words are those of `kernels.xla.counter_bits`: each is a hash of where it stands, which costs a few integer
operations beside the comparison that consumes it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tractable.kernels import xla


def uniform(key: Any, rows: Array, n: int, dtype: Any = jnp.float32) -> Float[Array, "c n"]:
    """Numbers strictly between 0 and 1, in steps of 2⁻²⁴."""
    return ((xla.counter_bits(seed(key), rows, n) >> 8).astype(dtype) + 0.5) * 2.0**-24


def bernoulli(key: Any, rows: Array, logits: Float[Array, "c n"]) -> Float[Array, "c n"]:
    """0 or 1 with P(1) = σ(logit)."""
    return xla.sample_bernoulli(seed(key), rows, logits)


def normal(key: Any, rows: Array, n: int, dtype: Any = jnp.float32) -> Float[Array, "c n"]:
    """Standard normal numbers, by inversion."""
    return jax.scipy.special.ndtri(uniform(key, rows, n, dtype))


def seed(key: Any) -> Array:
    """The two words that stand for a key."""
    return jax.random.bits(key, (2,), jnp.uint32)
