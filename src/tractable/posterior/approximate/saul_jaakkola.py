"""Mean field in layers of 0/1 units, with the bound of Saul, Jaakkola & Jordan (1996) below log p(x).

With q = ∏ q_i and means μ, the ELBO needs E_q[log(1 + e^a)] for every unit with logit a = b + Σ W_j h_j, which has no
closed form. For any ξ, log(1 + e^a) = ξ a + log(e^(−ξ a) + e^((1−ξ) a)), and by Jensen's inequality

    E[log(1 + e^a)] ≤ ξ E[a] + log(E[e^(−ξ a)] + E[e^((1−ξ) a)]),
    E[e^(t a)] = e^(t b) ∏_j (1 − μ_j + μ_j e^(t W_j)).

ξ is put at σ(E[a]), where the bound is tight to the second order in the spread of a. The means climb the bound by
natural gradients, θ ← (1 − η) θ + η ∂(ELBO − H)/∂μ; the best bound on the way is kept: it holds without convergence.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from tractable.models.deep_belief import TOP

TOGETHER = 8
"""Rows that climb together; each takes a number for every weight."""


class KnownLayers(NamedTuple):
    """One row, or many: which units of each layer are known, and their values, zero elsewhere."""

    known: list[Bool[Any, "*r n"]]
    values: list[Float[Any, "*r n"]]


class LayerBound(NamedTuple):
    """The bound of each row, and the logits of q for every unit, layer by layer."""

    bound: Float[Array, " r"]
    logits: list[Float[Array, "r n"]]


@partial(jax.jit, static_argnames="n_steps")
def climb(
    model: Any, rows: KnownLayers, start: list[Float[Array, "r n"]], n_steps: int = 60, rate: float = 0.5
) -> LayerBound:
    """The best bound on the way from starting logits, row by row."""

    def one(row: tuple[KnownLayers, list[Array]]) -> LayerBound:
        known, theta = row

        def step(_: Any, carry: tuple[list[Array], LayerBound]) -> tuple[list[Array], LayerBound]:
            theta, best = carry
            mu = _means(known, theta)
            energy, slope = jax.value_and_grad(lambda m: expected_log_joint(model, known, m))(mu)
            best = _better(best, LayerBound(energy + _entropy(known, theta), theta))
            return [(1 - rate) * t + rate * g for t, g in zip(theta, slope, strict=True)], best

        first = LayerBound(jnp.full((), -jnp.inf, theta[0].dtype), theta)
        theta, best = jax.lax.fori_loop(0, n_steps, step, (theta, first))
        return _better(
            best, LayerBound(expected_log_joint(model, known, _means(known, theta)) + _entropy(known, theta), theta)
        )

    return jax.lax.map(one, (rows, start), batch_size=TOGETHER)


def _better(best: LayerBound, new: LayerBound) -> LayerBound:
    """The new one where it is better; one that is not a number is not."""
    return jax.tree.map(partial(jnp.where, new.bound > best.bound), new, best)


def _means(known: KnownLayers, theta: list[Array]) -> list[Array]:
    free = zip(known.known, known.values, theta, strict=True)
    return [jnp.where(k, v, jax.nn.sigmoid(t)) for k, v, t in free]


def _entropy(known: KnownLayers, theta: list[Array]) -> Array:
    """H(q) of the free units: Σ log(1 + e^θ) − θ μ."""
    each = (
        jnp.where(k, 0, jax.nn.softplus(t) - t * jax.nn.sigmoid(t)) for k, t in zip(known.known, theta, strict=True)
    )
    return sum((h.sum() for h in each), jnp.zeros(()))


def expected_log_joint(model: Any, known: KnownLayers, mu: list[Float[Array, " n"]]) -> Float[Array, ""]:
    """A lower bound on E_q[log p̃] of one row; exact in whatever is linear, by the bound above in the rest.

    A visible unit that is free and that no other depends on is at its mean given the others: it adds its entropy back.
    """
    total = jnp.zeros((), mu[0].dtype)
    for at in range(len(model.biases)):
        at_least = _units(model, at, mu)
        if at == 0 and model.within[0] is None:
            at_least = jnp.where(known.known[0], at_least, -_binary_entropy(mu[0]))
        total = total + at_least.sum()
    if model.family == "deep_belief":
        total = total + model.top.interaction({TOP[0]: mu[-2], TOP[1]: mu[-1]})
    return total


def _binary_entropy(mu: Array) -> Array:
    inside = jnp.clip(mu, 1e-12, 1 - 1e-12)
    return -(inside * jnp.log(inside) + (1 - inside) * jnp.log1p(-inside))


def _units(model: Any, at: int, mu: list[Array]) -> Array:
    """The share of every unit of a layer: μ E[a] less the bound on E[log(1 + e^a)]."""
    b, parents = jnp.asarray(model.biases[at]), []
    if at < len(model.weights):
        parents.append((jnp.asarray(model.weights[at]), mu[at + 1]))
    if model.within[at] is not None:
        parents.append((jnp.tril(jnp.asarray(model.within[at]), -1), mu[at]))
    a = b + sum((w @ m for w, m in parents), jnp.zeros_like(b))
    xi = jax.lax.stop_gradient(jax.nn.sigmoid(a))
    moments = jnp.logaddexp(_log_moment(b, parents, -xi), _log_moment(b, parents, 1 - xi))
    return mu[at] * a - xi * a - moments


def _log_moment(b: Array, parents: list[tuple[Array, Array]], t: Array) -> Array:
    """log E[e^(t a)]: a sum over parents of log(1 − μ + μ e^s), which is 0 or s where a parent is certain."""
    out = t * b
    for w, m in parents:
        s, tiny = t[:, None] * w, jnp.finfo(m.dtype).tiny
        inside = jnp.clip(m, tiny, 1 - jnp.finfo(m.dtype).epsneg)
        mixed = jnp.logaddexp(jnp.log1p(-inside), jnp.log(inside) + s)
        out = out + jnp.where(m > 0, jnp.where(m < 1, mixed, s), 0).sum(1)
    return out


def start(model: Any, values: list[np.ndarray]) -> list[np.ndarray]:
    """Logits to start from: the biases, which the data then pull away."""
    biases = [np.asarray(b, np.float64) for b in model.biases]
    if model.family == "deep_belief":
        biases += [np.asarray(model.top.fields[name], np.float64) for name in TOP]
    return [np.broadcast_to(b, v.shape).copy() for b, v in zip(biases, values, strict=True)]
