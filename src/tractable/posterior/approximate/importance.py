"""Importance sampling of the hidden units with a recognition network as the proposal.

With h_1 … h_K drawn from q(h | x), the mean of p(x, h_k)/q(h_k | x) is unbiased for p(x) and not negative: log of it is
below log p(x) in expectation, the closer the larger K (Burda, Grosse & Salakhutdinov 2016), and it exceeds
log p(x) + log(1/δ) with probability at most δ.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.models.precision import single
from tractable.models.recognition import Proposal, RecognitionNetwork

SAMPLES = 1000
"""Samples that are drawn together for a row; more come in several draws."""

CELLS = 1 << 20
"""Units of the widest layer, over all samples drawn together."""


class Weighted(NamedTuple):
    """log weights [n_rows, K], and the means of every hidden layer by the weights, where they were asked for."""

    log_weights: Float[np.ndarray, "r k"]
    means: list[Float[np.ndarray, "r n"]]


def log_joint_of_seen(model: Any, layers: list[Array], seen: Array | None) -> Float[Array, "*b"]:
    """log p̃ of what is observed and the hidden layers; visible units that are not `seen` are left out."""
    terms = model.log_joint_by_layer(layers)
    if seen is not None:
        a = model.logits(0, layers)
        terms[0] = ((layers[0] * a - jax.nn.softplus(a)) * seen).sum(-1)
    return sum(terms, jnp.zeros(()))


@partial(jax.jit, static_argnames=("n", "with_means"))
def _drawn(
    both: tuple[Any, RecognitionNetwork], key: Any, x: tuple[Array, Array | None], rows: Array, n: int, with_means: bool
) -> tuple[Array, list[Array]]:
    model, recognition = both
    values, seen = x
    proposal: Proposal = recognition.sample(key, values, n, rows)
    log_w = log_joint_of_seen(model, proposal.layers, None if seen is None else seen[:, None]) - proposal.log_q
    if not with_means:
        return log_w, []
    share, visible = jax.nn.softmax(log_w, axis=1), jax.nn.sigmoid(model.logits(0, proposal.layers))
    means = [jnp.einsum("rk,rkn->rn", share, h) for h in (visible, *proposal.layers[1:])]
    return log_w, [means[0] if seen is None else jnp.where(seen > 0, values, means[0]), *means[1:]]


class RowPart(NamedTuple):
    """Rows of the visible units [n_rows, n_visible], NaN where they are free, and the number of the first of them."""

    values: np.ndarray
    first: int = 0


def weights(
    model: Any, recognition: RecognitionNetwork, part: RowPart, n: int, key: Any, with_means: bool = False
) -> Weighted:
    """The log weights of `n` samples for every row; a row's samples depend on the key and its number alone."""
    both = (single(model), recognition.astype(np.float32))
    missing, n_rows = np.isnan(part.values), len(part.values)
    filled = np.where(missing, 0.5, part.values).astype(np.float32)
    seen = (~missing).astype(np.float32) if missing.any() else None
    step = min(n_rows, max(1, CELLS // (min(n, SAMPLES) * max(model.sizes))))
    log_w, sums = [], []
    for first in range(0, n_rows, step):
        index = np.minimum(np.arange(first, first + step), n_rows - 1)  # the last part is filled up
        x = filled[index], None if seen is None else seen[index]
        rows = (part.first + index).astype(np.uint32)
        sizes = [min(SAMPLES, n - start) for start in range(0, n, SAMPLES)]
        draws = [_drawn(both, jax.random.fold_in(key, i), x, rows, size, with_means) for i, size in enumerate(sizes)]
        kept = min(step, n_rows - first)
        log_w.append(np.concatenate([np.asarray(w, np.float64) for w, _ in draws], axis=1)[:kept])
        if with_means:
            sums.append(_combined(draws, kept))
    return Weighted(np.concatenate(log_w), [np.concatenate(layer) for layer in zip(*sums, strict=True)])


def _combined(draws: list[tuple[Array, list[Array]]], kept: int) -> list[np.ndarray]:
    """The means of several draws, each by its share of the weight."""
    logs = np.stack([np.logaddexp.reduce(np.asarray(w, np.float64), axis=1) for w, _ in draws])[:, :kept]
    share = np.exp(logs - np.logaddexp.reduce(logs, axis=0))[..., None]
    layers = zip(*(means for _, means in draws), strict=True)
    return [(share * np.stack([np.asarray(m, np.float64)[:kept] for m in layer])).sum(0) for layer in layers]
