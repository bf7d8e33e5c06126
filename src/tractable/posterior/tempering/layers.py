"""The way from a factorized q(h) to the posterior of layers: log p̃_β = (1 − β) log q(h) + β log p(x, h), row by row.

A chain that starts from q and is swept at rising β has weights whose mean is unbiased for p(x); one that starts from an
exact sample of the posterior and is taken back to q, weights whose mean is unbiased for 1/p(x). One gives a bound from
below, the other one from above (Neal 2001; Grosse, Ancha & Roy 2016).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tractable.posterior.approximate import layer_gibbs as gibbs
from tractable.posterior.approximate.importance import log_joint_of_seen
from tractable.posterior.tempering._base import At
from tractable.posterior.tempering.traced import Traced


class LayerPath(Traced):
    """Layers, the chains of some rows with what is known of each, and the logits of q for every chain."""

    model: Any
    chains: gibbs.LayerChains
    base: list[Float[Any, "c n"]]

    def start(self, key: Any, n: int) -> gibbs.LayerStates:
        """Exact draws of q, what is known in place, as many as `base` has rows."""
        return _drawn(self, key)

    def log_ratio(self, x: gibbs.LayerStates, old: Any, new: Any) -> Float[Array, " c"]:
        """The change of β times log p(x, h) − log q(h) of the free hidden units."""
        held, loose = self.chains.held, self.model.within[0] is None
        out = log_joint_of_seen(self.model, x, held.known[0].astype(x[0].dtype) if loose else None)
        for at in range(1 if loose else 0, len(x)):
            log_q = x[at] * self.base[at] - jax.nn.softplus(self.base[at])
            out = out - (log_q * ~held.known[at]).sum(-1)
        return (new - old) * out

    def sweep(self, key: Any, at: At, x: gibbs.LayerStates) -> gibbs.LayerStates:
        """Every layer once at the new temperature."""
        chains = self.chains._replace(tempered=gibbs.TemperedLayers(at.new, self.base))
        return gibbs.sweep(self.model, chains, jax.random.fold_in(key, at.time), x)


@jax.jit
def _drawn(path: LayerPath, key: Any) -> gibbs.LayerStates:
    held, rows = path.chains.held, path.chains.rows
    drawn = [gibbs.draw(jax.random.fold_in(key, at), rows, jnp.asarray(b)) for at, b in enumerate(path.base)]
    return [jnp.where(k, v, h) for k, v, h in zip(held.known, held.values, drawn, strict=True)]
