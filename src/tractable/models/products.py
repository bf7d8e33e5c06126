"""Matrix products with states of units: where these are zeros and ones, sums of few rows in place of dense products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tractable.kernels import xla
from tractable.models.units import Units


def times(units: Units, x: Float[Array, "*b f"], w: Any, transposed: bool = False) -> Float[Array, "*b k"]:
    """x @ w, or x @ w.T, for features (or expected features) x of these units."""
    w = jnp.asarray(w)
    if x.ndim != 2 or not units.zero_one:
        return x @ (w.T if transposed else w)
    fast = xla.binary_dot_transposed if transposed else xla.binary_dot
    return _if_binary((x,), lambda x, w: fast(x, w), lambda x, w: x @ (w.T if transposed else w), x, w)


def contrasted(units: Units, data: tuple[Array, Array], free: tuple[Array, Array]) -> Float[Array, "f k"]:
    """The average of xᵀy over the rows of the first pair (x, y), minus that of the second."""
    (x, y), (x2, y2) = data, free
    y, y2 = y / len(y), y2 / len(y2)
    plain = lambda x, y, x2, y2: x.T @ y - x2.T @ y2  # noqa: E731
    if not units.zero_one:
        return plain(x, y, x2, y2)
    return _if_binary((x, x2), xla.outer_difference, plain, x, y, x2, y2)


def _if_binary(
    tested: tuple[Array, ...], fast: Callable[..., Array], plain: Callable[..., Array], *arrays: Array
) -> Array:
    """Samples are zeros and ones, means are not: looking costs little beside the product."""
    if arrays[0].dtype != jnp.float32 or not xla.available():
        return plain(*arrays)
    binary = jnp.stack([jnp.all((x == 0) | (x == 1)) for x in tested]).all()
    return jax.lax.cond(binary, fast, plain, *arrays)
