"""Wake–sleep and reweighted wake–sleep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from tractable.learning._base import Training
from tractable.learning.layered import Climb, LayeredLearner
from tractable.learning.wake import awake, normalized, zeros
from tractable.models.recognition import HelmholtzMachine


@dataclass(frozen=True, kw_only=True)
class WakeSleep(LayeredLearner):
    """Wake–sleep: the model learns from what is recognized in the data, the recognition network from dreams.

    The wake phase climbs ELBO = E_q[log p(x, h) − log q(h | x)] in the parameters of the model; the sleep phase climbs
    E_p[log q(h | x)] in those of the recognition network: the other divergence, so both together climb nothing.
    With ``top=ContrastiveDivergence(k=…)`` it is the up–down algorithm for deep belief networks: chains of the machine
    on top start at what was recognized, and dreams go on from there.

    Hinton, Dayan, Frey & Neal, "The wake–sleep algorithm for unsupervised neural networks", Science 268 (1995); Hinton,
    Osindero & Teh, "A fast learning algorithm for deep belief nets", Neural Computation 18 (2006), section 5.
    """

    @property
    def slept(self) -> float:
        return 1.0

    def ascent(self, training: Training, key: Any, x: Float[Array, "b n"]) -> Climb:
        model = training.model
        wake = awake(model, key, x, self.samples)
        up = wake.back_p(jnp.full_like(wake.log_p, 1 / wake.log_p[..., 0].size))
        return Climb(paired(model, up, zeros(model.recognition)), (), wake.log_weights, wake.layers)


@dataclass(frozen=True, kw_only=True)
class ReweightedWakeSleep(LayeredLearner):
    """Reweighted wake–sleep: `samples` guesses for each row, each counted as likely as it is under the model.

    With w_k = p(x, h_k) / q(h_k | x) of h_k ~ q(h | x), normalized to w̃, the model climbs Σ_k w̃_k ∇ log p(x, h_k), an
    estimate of ∇ log p(x) whose bias falls as 1 / K; the recognition network climbs Σ_k w̃_k ∇ log q(h_k | x) (wake) and
    ∇ log q(h | x) of dreams (sleep).

    Bornschein & Bengio, "Reweighted wake-sleep", ICLR 2015.

    Parameters
    ----------
    wake, sleep : what the two phases count in the step of the recognition network.
    """

    samples: int = 5
    wake: float = 0.5
    sleep: float = 0.5

    @property
    def slept(self) -> float:
        return self.sleep

    def ascent(self, training: Training, key: Any, x: Float[Array, "b n"]) -> Climb:
        model = training.model
        wake = awake(model, key, x, self.samples)
        weights = normalized(wake.log_weights)[..., None] / len(x)
        up = wake.back_p(jnp.broadcast_to(weights, wake.log_p.shape))
        down = wake.back_q(on_every(weights, wake.log_q, self.wake)) if self.wake else zeros(model.recognition)
        return Climb(paired(model, up, down), (), wake.log_weights, wake.layers)


def on_every(weights: Array, terms: Array, factor: Any) -> Array:
    """The same weights for each of the terms."""
    return jnp.broadcast_to(factor * weights, terms.shape)


def paired(model: HelmholtzMachine, generative: Any, recognition: Any) -> HelmholtzMachine:
    """The two gradients as that of the pair."""
    return eqx.tree_at(lambda m: (m.generative, m.recognition), model, (generative, recognition))
