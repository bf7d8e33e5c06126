"""Forward-backward as an associative scan: for accelerators, where depth counts more than work.

Elements are matrices of logarithms, so that zeros are exact; at the first row of a sequence the product starts anew,
which lets many sequences of any lengths lie one after another in one scan.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float

from tractable.kernels.chain import Chains, Smoothed

Element = tuple[Array, Array]


def smooth(chains: Chains) -> Smoothed:
    """log p(x), p(z_t | x) and the expected transitions of all sequences, in double precision."""
    first = np.zeros(chains.n_rows, bool)
    first[chains.offsets[:-1]] = True
    weights = np.repeat(chains.weights, np.diff(chains.offsets))
    with np.errstate(divide="ignore"), jax.enable_x64(True):
        logs = [jnp.asarray(np.log(p)) for p in (chains.start, chains.transition)]
        log_alpha, marginals, counts = _smooth(
            *logs, jnp.asarray(chains.rows), jnp.asarray(first), jnp.asarray(weights)
        )
        log_p = logsumexp(log_alpha[chains.offsets[1:] - 1], axis=1)
        return Smoothed(np.asarray(log_p), np.array(marginals), np.asarray(counts))


@jax.jit
def _smooth(
    log_start: Array, log_a: Float[Array, "k k"], rows: Float[Array, "t k"], first: Bool[Array, " t"], weights: Array
) -> tuple[Array, Array, Array]:
    """log p(x_1..t, z_t), the marginals, and the expected transitions."""
    begin = jnp.broadcast_to(log_start, log_a.shape)
    elements = jnp.where(first[:, None, None], begin, log_a) + rows[:, None, :]
    log_alpha = jax.lax.associative_scan(_then, (first, elements))[1][:, 0, :]
    ends = jnp.roll(first, -1)
    ahead = jnp.where(ends[:, None, None], 0.0, jnp.roll(elements, -1, axis=0))  # rows alike: log β is any column's sum
    suffix = jax.lax.associative_scan(lambda a, b: _then(a, b, swapped=True), (ends, ahead), reverse=True)[1]
    log_beta = logsumexp(suffix, axis=2)
    joint = log_alpha + log_beta
    log_p = logsumexp(joint, axis=1, keepdims=True)
    pairs = log_alpha[:-1, :, None] + log_a + (rows + log_beta)[1:, None, :] - log_p[1:, :, None]
    counted = ~first[1:] & (log_p[1:, 0] > -jnp.inf)
    counts = jnp.where(counted[:, None, None], jnp.exp(pairs), 0.0) * weights[1:, None, None]
    return log_alpha, jnp.exp(joint - log_p), counts.sum(0)


def _then(a: Element, b: Element, swapped: bool = False) -> Element:
    """a and then b, where b does not start anew; `swapped` in a scan that runs back."""
    (stop_a, x), (stop_b, y) = a, b
    left, right = (y, x) if swapped else (x, y)
    product = logsumexp(left[..., :, :, None] + right[..., None, :, :], axis=-2)
    return stop_a | stop_b, jnp.where(stop_b[..., None, None], y, product)
