"""Estimators of the gradient of a bound by the parameters of q, from samples of 0/1 units: no derivative passes these.

Each says what counts for ∇ log p(x, h_k) and for ∇ log q(h_k | x) of every sample, from the terms of both; antithetic
estimators give a gradient by the logits of q instead, see `antithetic`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tractable.learning.layers.wake import Wake, bound, normalized

HIDDEN = 100
"""Tanh units of the networks that predict the learning signal."""

MEMORY = 0.01


class TermWeights(NamedTuple):
    """What the gradients of the terms count: of log p(x, h) [b, k], of log q [b, k, l]; and the new baselines."""

    p: Float[Array, "b k"]
    q: Float[Array, "b k l"]
    kept: Any


class Baselines(NamedTuple):
    """What is taken off the learning signals of NVIL, for each layer of q.

    Attributes
    ----------
    mean, variance : running, of the signals [l].
    networks : for each layer (W, b, v): v · tanh(b + W below) is expected of the signal given the layer below.
    moments : of the networks' gradients, squared, running.
    """

    mean: Float[Array, " l"]
    variance: Float[Array, " l"]
    networks: tuple[tuple[Array, Array, Array], ...]
    moments: tuple[tuple[Array, Array, Array], ...]


def baselines(sizes: tuple[int, ...], key: Any) -> Baselines:
    """Baselines that expect nothing yet, for a recognition network with these layers."""
    n, networks = len(sizes) - 1, []
    for at, size in enumerate(sizes[:-1]):
        w = jax.random.normal(jax.random.fold_in(key, at), (size, HIDDEN)) * size**-0.5
        networks.append((w, jnp.zeros(HIDDEN), jnp.zeros(HIDDEN)))
    nets = tuple(networks)
    return Baselines(jnp.zeros(n), jnp.ones(n), nets, jax.tree.map(jnp.zeros_like, nets))


def reinforce(wake: Wake, kept: Any, rate: float) -> TermWeights:
    """The ELBO, (log p − log q) ∇ log q: without bias, and with all the variance there is.

    Williams, "Simple statistical gradient-following algorithms", Machine Learning 8 (1992).
    """
    n = wake.log_p.shape[1]
    signal = jnp.broadcast_to(wake.log_weights[..., None], wake.log_q.shape)
    return TermWeights(jnp.full(signal.shape[:2], 1 / n), signal / n, kept)


def nvil(wake: Wake, kept: Baselines, rate: float) -> TermWeights:
    """The ELBO, with signals of each layer alone, baselines that depend on the layer's input, and variances of one.

    Layer l of q hears log p(hˡ⁻¹, …, hᴸ) − log q(hˡ, …, hᴸ | hˡ⁻¹), less its running mean and what a network of tanh
    units expects given hˡ⁻¹, divided by max(1, its running standard deviation): without bias but for that factor.

    Mnih & Gregor, "Neural variational inference and learning in belief networks", ICML 2014, sections 2.3 and 2.6.
    """
    n = wake.log_p.shape[1]
    signal = local_signals(wake)
    inputs = [jnp.broadcast_to(h, (*signal.shape[:2], h.shape[-1])) for h in wake.layers[:-1]]
    rest = jax.lax.stop_gradient(signal - kept.mean)

    def left(networks: Any) -> Array:
        return rest - jnp.stack([jnp.tanh(h @ w + b) @ v for h, (w, b, v) in zip(inputs, networks, strict=True)], -1)

    off, back = jax.vjp(left, kept.networks)
    slope = back(-off / jnp.maximum(1.0, kept.variance) / off[..., 0].size)[0]  # downhill on the squared error
    moments = jax.tree.map(lambda s, g: s + MEMORY * (g * g - s), kept.moments, slope)
    networks = jax.tree.map(lambda w, g, s: w + rate * g / (jnp.sqrt(s) + 1e-8), kept.networks, slope, moments)
    mean = kept.mean + MEMORY * rest.mean((0, 1))
    variance = kept.variance + MEMORY * (off.var((0, 1)) - kept.variance)
    weights = off / jnp.maximum(1.0, jnp.sqrt(kept.variance))
    return TermWeights(jnp.full(signal.shape[:2], 1 / n), weights / n, Baselines(mean, variance, networks, moments))


def local_signals(wake: Wake) -> Float[Array, "b k l"]:
    """For each layer of q the terms of log p − log q that its states have a part in."""
    reach = lambda terms: jnp.flip(jnp.cumsum(jnp.flip(terms, -1), -1), -1)  # noqa: E731
    return reach(wake.log_p)[..., :-1] - reach(wake.log_q)


def vimco(wake: Wake, kept: Any, rate: float) -> TermWeights:
    """The K-sample bound L; the signal of a sample is L less what it is when the others' mean log w stands for it.

    ∇ L = Σ_k (L − L₋ₖ) ∇ log q(h_k) + Σ_k w̃_k ∇ (log p(x, h_k) − log q(h_k | x)): without bias.

    Mnih & Rezende, "Variational inference for Monte Carlo objectives", ICML 2016, equations 8–11.
    """
    log_w = wake.log_weights
    n, weights = log_w.shape[1], normalized(log_w)
    others = (log_w.sum(1, keepdims=True) - log_w) / (n - 1)
    without = jnp.where(jnp.eye(n, dtype=bool), others[:, :, None], log_w[:, None, :])
    signal = bound(log_w)[:, None] - (jax.nn.logsumexp(without, axis=2) - jnp.log(n))
    return TermWeights(weights, jnp.broadcast_to((signal - weights)[..., None], wake.log_q.shape), kept)


ESTIMATORS = {"nvil": nvil, "reinforce": reinforce, "vimco": vimco}


# ---------------------------------------------------------------- antithetic samples


def arm(uniform: Array, logits: Array, gap: Array, h: Array, other: Array) -> Array:
    """The gradient by logits from f(h) − f(h̃), h = [u < σ(a)] and h̃ = [u > σ(−a)]: (f(h̃) − f(h)) (u − 1/2).

    Yin & Zhou, "ARM: augment-REINFORCE-merge gradient for stochastic binary networks", ICLR 2019, theorem 1.
    """
    return gap * (0.5 - uniform)


def disarm(uniform: Array, logits: Array, gap: Array, h: Array, other: Array) -> Array:
    """The same with u integrated out given h and h̃: ½ (f(h) − f(h̃)) (h − h̃) σ(|a|), nothing where they agree.

    Dong, Mnih & Tucker, "DisARM: an antithetic gradient estimator for binary latent variables", NeurIPS 2020, eq. 6.
    """
    return 0.5 * gap * (h - other) * jax.nn.sigmoid(jnp.abs(logits))


ANTITHETIC = {"arm": arm, "disarm": disarm}
