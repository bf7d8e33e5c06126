"""What learners of layered models share: samples of the hidden layers as both networks see them, and two gradients.

Every such learner climbs a weighted sum of ∇ log p(x, h) over samples h ~ q(h | x), of ∇ log q(h | x) over the same,
and of ∇ log q(h | x) over samples of the model itself. They differ in the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tractable.learning._base import Minibatch
from tractable.models.recognition import HelmholtzMachine


class Wake(NamedTuple):
    """Samples of the hidden layers for each row of a batch.

    Attributes
    ----------
    layers : x [b, 1, n], then the hidden layers [b, k, n].
    log_p : log p(x | h¹), …, log p(hᴸ) [b, k, L + 1]. log_q : log q(h¹ | x), … [b, k, L].
    back_p, back_q : weights of these terms, in their shapes ↦ the weighted sum of their gradients by the parameters.
    """

    layers: list[Array]
    log_p: Float[Array, "b k m"]
    log_q: Float[Array, "b k l"]
    back_p: Callable[[Array], Any]
    back_q: Callable[[Array], Any]

    @property
    def log_weights(self) -> Float[Array, "b k"]:
        """log p(x, h) − log q(h | x)."""
        return self.log_p.sum(-1) - self.log_q.sum(-1)


def awake(model: HelmholtzMachine, key: Any, batch: Minibatch, n_samples: int) -> Wake:
    """Draw the hidden layers from the recognition network, `n_samples` times for each row."""

    def recognized(q: Any) -> tuple[Array, list[Array]]:
        layers, terms = q.sample_by_layer(key, batch.values, n_samples)
        return jnp.stack(terms, -1), layers

    log_q, back_q, layers = jax.vjp(recognized, model.recognition, has_aux=True)
    log_p, back_p = explained(model.generative, layers)
    return _counted(Wake(layers, log_p, log_q, back_p, lambda weights: back_q(weights)[0]), batch)


def _counted(wake: Wake, batch: Minibatch) -> Wake:
    """The same, each row of the batch counting as often as it should."""
    if (often := batch.weights) is None:
        return wake
    back_p, back_q = wake.back_p, wake.back_q
    each = lambda weights: weights * often[:, None, None]  # noqa: E731
    return wake._replace(back_p=lambda w: back_p(each(w)), back_q=lambda w: back_q(each(w)))


def weighed(model: HelmholtzMachine, layers: list[Array], batch: Minibatch) -> Wake:
    """The same of hidden layers that are given, x [b, 1, n] and then [b, k, n]."""
    log_q, back_q = jax.vjp(lambda q: jnp.stack(q.log_prob_by_layer(layers), -1), model.recognition)
    log_p, back_p = explained(model.generative, layers)
    return _counted(Wake(layers, log_p, log_q, back_p, lambda weights: back_q(weights)[0]), batch)


def explained(generative: Any, layers: list[Array]) -> tuple[Float[Array, "b k m"], Callable[[Array], Any]]:
    """The terms of log p(x, h), and what their weights make of their gradients."""
    log_p, back = jax.vjp(lambda p: jnp.stack(p.log_joint_by_layer(layers), -1), generative)
    return log_p, lambda weights: back(weights)[0]


def asleep(model: HelmholtzMachine, dreams: list[Array]) -> Any:
    """The mean of ∇ log q(h | x) over samples x, h of the generative model: the sleep phase."""
    log_q, back = jax.vjp(lambda q: jnp.stack(q.log_prob_by_layer(dreams), -1), model.recognition)
    return back(jnp.full_like(log_q, 1 / len(log_q)))[0]


def bound(log_weights: Float[Array, "b k"]) -> Float[Array, " b"]:
    """log (1/K) Σ_k p(x, h_k) / q(h_k | x): its expectation is a lower bound on log p(x), the tighter the larger K."""
    return jax.nn.logsumexp(log_weights, axis=1) - jnp.log(log_weights.shape[1])


def normalized(log_weights: Float[Array, "b k"]) -> Float[Array, "b k"]:
    """Importance weights that add up to one."""
    return jax.nn.softmax(log_weights, axis=1)


def effective_sample_size(weights: Float[Array, "b k"]) -> Float[Array, " b"]:
    """1 / Σ w² of normalized weights: how many of the samples count."""
    return 1 / (weights**2).sum(1)


def zeros(tree: Any) -> Any:
    """The gradient of what does not move."""
    return jax.tree.map(jnp.zeros_like, tree)


def added(first: Any, second: Any, weight: Any = 1.0) -> Any:
    """first + weight · second, entry by entry."""
    return jax.tree.map(lambda a, b: a + weight * b, first, second)


def scaled(tree: Any, factor: Any) -> Any:
    """Every entry times a factor."""
    return jax.tree.map(lambda a: factor * a, tree)
