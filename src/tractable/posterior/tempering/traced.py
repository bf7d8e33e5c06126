"""Paths of arrays: a number of steps is compiled into one program."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.posterior.tempering._base import CHUNK, At


class Traced(eqx.Module):
    """A path whose `log_ratio` and `sweep` are traced; they see chains as `entered` makes them."""

    @abstractmethod
    def start(self, key: Any, n: int) -> Any:
        """`n` exact draws at β = 0."""

    @abstractmethod
    def log_ratio(self, x: Any, old: Any, new: Any) -> Float[Array, " c"]:
        """log p̃_new − log p̃_old of each chain; temperatures are numbers, or one for each chain."""

    @abstractmethod
    def sweep(self, key: Any, at: At, x: Any) -> Any:
        """The chains after a move that leaves p̃ at the new temperature as it is."""

    def prepared(self) -> Self:
        """The same path, with what does not change from sweep to sweep worked out."""
        return self

    def entered(self, x: Any) -> Any:
        """What is carried from step to step."""
        return x

    def left(self, x: Any) -> Any:
        """The states alone."""
        return x

    def steps(self, key: Any, at: At, x: Any) -> tuple[Any, Any]:
        """The chains after at most `CHUNK` steps, and the increments of log p̃; one program for any number of steps."""
        n = len(at.time)
        filled = At(*(np.append(v, np.zeros(CHUNK - n, v.dtype)) for v in at))
        x, gained = _compiled(self, key, filled, x, n)
        return x, np.asarray(gained)[:n]


def taken(path: Traced, key: Any, at: At, x: Any, n: Any) -> tuple[Any, Float[Array, "t c"]]:
    """The first `n` of some steps, to be traced."""
    path = path.prepared()
    first = path.entered(x)
    gain = jax.eval_shape(path.log_ratio, first, at.old[0], at.new[0])

    def step(t: Any, carry: tuple[Any, Array]) -> tuple[Any, Array]:
        chains, gained = carry
        now = At(*(v[t] for v in at))
        gained = jax.lax.dynamic_update_index_in_dim(gained, path.log_ratio(chains, now.old, now.new), t, 0)
        return path.sweep(key, now, chains), gained

    chains, gained = jax.lax.fori_loop(0, n, step, (first, jnp.zeros((len(at.time), *gain.shape), gain.dtype)))
    return path.left(chains), gained


_compiled = jax.jit(taken)
