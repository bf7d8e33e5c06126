"""Annealed importance sampling over the hidden units, for every row by itself.

From a factorized q(h) to the posterior: log f_β = (1 − β) log q(h) + β log p(x, h). A chain that starts from q and is
swept at rising β has weights whose mean is unbiased for p(x), however badly it mixes; one that starts from an exact
sample of the posterior and is taken back to q, weights whose mean is unbiased for 1/p(x).
One gives a bound from below, the other one from above (Neal 2001; Grosse, Ancha & Roy 2016).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.posterior.approximate import layer_gibbs as gibbs
from tractable.posterior.approximate.importance import log_joint_of_seen

CELLS = 1 << 21
"""Units of the widest layer, over all chains that run together."""


class Annealed(NamedTuple):
    """The log weight of every chain, and its last state."""

    work: Float[Array, " c"]
    x: gibbs.State


def log_ratio(model: Any, chains: gibbs.Chains, base: list[Array], x: gibbs.State) -> Float[Array, " c"]:
    """log p(x, h) − log q(h) of the free hidden units."""
    held, loose = chains.held, model.within[0] is None
    out = log_joint_of_seen(model, x, held.known[0].astype(x[0].dtype) if loose else None)
    for at in range(1 if loose else 0, len(x)):
        free = ~held.known[at]
        out = out - ((x[at] * base[at] - jax.nn.softplus(base[at])) * free).sum(-1)
    return out


@jax.jit
def anneal(
    model: Any, chains: gibbs.Chains, key: Any, betas: Float[Any, " t"], x: gibbs.State, base: list[Array]
) -> Annealed:
    """Chains through a sequence of β, in either direction, from exact draws at the first of them."""

    def step(
        carry: tuple[gibbs.State, Array], now: tuple[Array, Array, Array]
    ) -> tuple[tuple[gibbs.State, Array], None]:
        x, work = carry
        time, old, new = now
        work = work + (new - old) * log_ratio(model, chains, base, x)
        at = chains._replace(tempered=gibbs.Tempered(new, base))
        return (gibbs.sweep(model, at, jax.random.fold_in(key, time), x), work), None

    times = (jnp.arange(len(betas) - 1), jnp.asarray(betas[:-1], x[0].dtype), jnp.asarray(betas[1:], x[0].dtype))
    (x, work), _ = jax.lax.scan(step, (list(x), jnp.zeros(len(x[0]), x[0].dtype)), times)
    return Annealed(work, x)


def ladder(n: int) -> np.ndarray:
    """β from 0 to 1 in `n` steps, finer at both ends, where a factorized q and the posterior differ most per step."""
    t = np.linspace(-1, 1, n + 1)
    raw = 1 / (1 + np.exp(-4 * t))
    return (raw - raw[0]) / (raw[-1] - raw[0])


@jax.jit
def base_states(chains: gibbs.Chains, key: Any, base: list[Array]) -> gibbs.State:
    """Exact draws of q, what is known in place."""
    held = chains.held
    drawn = [gibbs.draw(jax.random.fold_in(key, at), chains.rows, b) for at, b in enumerate(base)]
    return [jnp.where(k, v, h) for k, v, h in zip(held.known, held.values, drawn, strict=True)]
