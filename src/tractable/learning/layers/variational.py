"""Gradients of variational bounds in the parameters of both networks, by any of several estimators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from tractable.learning import sizes
from tractable.learning._base import Minibatch, Seen, Training
from tractable.learning.layers._base import Direction, LayeredLearner
from tractable.learning.layers.reweighted import paired
from tractable.learning.layers.score_function import ANTITHETIC, ESTIMATORS, baselines
from tractable.learning.layers.wake import added, awake, explained, scaled
from tractable.models import ModelError
from tractable.models._base import nearest
from tractable.models.layers import log_bernoulli
from tractable.models.recognition import HelmholtzMachine, RecognitionNetwork
from tractable.models.units import _random

NAMES = (*sorted(ESTIMATORS), *sorted(ANTITHETIC))


@dataclass(frozen=True, kw_only=True)
class VariationalGradient(LayeredLearner):
    """Ascent on a bound on log p(x) in the parameters of the model and of the recognition network together.

    The bound is ELBO = E_q[log p(x, h) − log q(h | x)], and for ``"vimco"`` its K-sample form
    E[log (1/K) Σ_k p(x, h_k) / q(h_k | x)]. The gradient by q is E[f(h) ∇ log q(h | x)] in some form: what
    the estimators differ in is their variance.

    Parameters
    ----------
    estimator : ``"vimco"`` (at least two samples), ``"nvil"``, ``"disarm"``, ``"arm"``, ``"reinforce"``; see
        `learning.score_function`. One sample of the antithetic ones, arm and disarm, is a pair for every layer.
    samples : for each row.

    Raises
    ------
    ModelError : an unknown estimator; VIMCO with one sample.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> learner = tr.VariationalGradient(estimator="disarm", samples=1, batch_size=10, learning_rate=0.05)
    >>> run = tr.fit(tr.SigmoidBeliefNetwork([4, 2]), rows, learner, epochs=40, live=0)
    >>> tr.log_likelihood(run.model, rows).value > -2  # independent columns: −2.77
    True
    """

    estimator: str = "vimco"
    samples: int = 5

    def adopted(self, model: Any, key: Any) -> HelmholtzMachine:
        if self.estimator not in NAMES:
            near = nearest(self.estimator, NAMES)
            raise ModelError(f"unknown estimator {self.estimator!r}{near}; there are {', '.join(NAMES)}")
        if self.estimator == "vimco" and self.samples < 2:
            raise ModelError(f"VIMCO compares a sample with others: it needs two or more, got samples={self.samples}")
        model = super().adopted(model, key)
        if self.estimator in ANTITHETIC and model.recognition.is_autoregressive:
            raise ModelError(
                f"{self.estimator} flips whole layers, whose units must not depend on one another: take a recognition"
                " network without weights within its layers, or another estimator"
            )
        return model

    def init(self, plan: Any, model: HelmholtzMachine, key: Any, seen: Seen) -> Any:
        return baselines(model.recognition.sizes, key) if self.estimator == "nvil" else ()

    def ascent(self, training: Training, key: Any, batch: Minibatch) -> Direction:
        if self.estimator in ANTITHETIC:
            return self._antithetic(training, key, batch)
        wake = awake(training.model, key, batch, self.samples)
        rate = sizes.ADAM if self.learning_rate is None else self.learning_rate
        found = ESTIMATORS[self.estimator](wake, training.learner, rate)
        up = wake.back_p(jnp.broadcast_to(found.p[..., None], wake.log_p.shape) / len(batch.values))
        down = wake.back_q(found.q / len(batch.values))
        return Direction(paired(training.model, up, down), found.kept, wake.log_weights, wake.layers)

    def _antithetic(self, training: Training, key: Any, batch: Minibatch) -> Direction:
        model, x = training.model, batch.values
        every, often = x.repeat(self.samples, axis=0), batch.weights
        share = (1.0 if often is None else often.repeat(self.samples)[:, None]) / len(every)
        numbers = jnp.arange(len(every), dtype=jnp.uint32)
        path = _path(model.recognition, key, numbers, [every])
        log_p, back_p = explained(model.generative, path.layers)
        gradient, log_w = back_p(share * jnp.ones_like(log_p)), log_p.sum(-1) - path.log_q
        others, down = [], None
        for at in range(1, len(path.layers)):
            own = jax.random.fold_in(key, 100 + at)
            other = _path(model.recognition, own, numbers, [*path.layers[:at], path.opposite[at - 1]])
            log_p, back_p = explained(model.generative, other.layers)
            others.append(back_p(share * jnp.ones_like(log_p)))
            gap = (log_w - (log_p.sum(-1) - other.log_q))[:, None]
            part = self._by_logits(model.recognition, path, at, gap * share)
            down = part if down is None else added(down, part)
        for one in others:  # the opposite states are samples too
            gradient = added(gradient, one)
        up = scaled(gradient, 1 / (1 + len(others)))
        shape = (len(x), self.samples)
        layers = [h.reshape(*shape, -1) for h in path.layers]
        return Direction(paired(model, up, down), (), log_w.reshape(shape), layers)

    def _by_logits(self, q: RecognitionNetwork, path: _Upward, at: int, gap: Array) -> Any:
        """The gradient by the parameters of q, by way of the logits of one layer."""
        logits, back = jax.vjp(lambda q: q.logits(at, path.layers[at - 1]), q)
        estimate = ANTITHETIC[self.estimator]
        return back(estimate(path.uniform[at - 1], logits, gap, path.layers[at], path.opposite[at - 1]))[0]


@dataclass(frozen=True)
class _Upward:
    """States of all layers, drawn upward; for those that were drawn their uniform numbers and their opposites."""

    layers: list[Array]
    log_q: Array
    uniform: list[Array]
    opposite: list[Array]


def _path(q: RecognitionNetwork, key: Any, rows: Array, given: list[Array]) -> _Upward:
    """The layers given, and the rest of them drawn; log q is of all."""
    layers, uniform, opposite, log_q = [*given], [], [], jnp.zeros(len(rows))
    for at in range(1, len(q.sizes)):
        logits = q.logits(at, layers[at - 1])
        if at == len(layers):
            u, p = _random.uniform(jax.random.fold_in(key, at), rows, q.sizes[at]), jax.nn.sigmoid(logits)
            layers.append((u < p).astype(logits.dtype))
            uniform.append(u)
            opposite.append((1 - u < p).astype(logits.dtype))
        log_q = log_q + log_bernoulli(layers[at], logits)
    return _Upward(layers, log_q, uniform, opposite)
