"""Wake–sleep and reweighted wake–sleep."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.learning._base import Minibatch, Seen, Training
from tractable.learning.layers._base import Direction, LayeredLearner
from tractable.learning.layers.wake import Wake, awake, normalized, weighed, zeros
from tractable.models import ModelError
from tractable.models.recognition import HelmholtzMachine
from tractable.models.sigmoid_belief import SigmoidBeliefNetwork
from tractable.posterior.approximate import layer_gibbs

CHOICE, SWEEP = 2000, 2001
"""Random numbers that choose among samples, and those of sweeps; layers, chains and dreams have others."""


@dataclass(frozen=True, kw_only=True)
class WakeSleep(LayeredLearner):
    """Wake–sleep: the model learns from what is recognized in the data, the recognition network from dreams.

    The wake phase climbs ELBO = E_q[log p(x, h) − log q(h | x)] in the parameters of the model; the sleep phase climbs
    E_p[log q(h | x)] in those of the recognition network: the other divergence, so both together climb nothing.
    With ``top=ContrastiveDivergence(k=…)`` it is the up–down algorithm for deep belief networks: chains of the machine
    on top start at what was recognized, and dreams go on from there.

    Hinton, Dayan, Frey & Neal, "The wake–sleep algorithm for unsupervised neural networks", Science 268 (1995); Hinton,
    Osindero & Teh, "A fast learning algorithm for deep belief nets", Neural Computation 18 (2006), section 5.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> learner = tr.WakeSleep(batch_size=10, learning_rate=0.05)
    >>> run = tr.fit(tr.SigmoidBeliefNetwork([4, 2]), rows, learner, epochs=40, live=0)
    >>> tr.log_likelihood(run.model, rows).value > -2  # independent columns: −2.77
    True
    """

    @property
    def slept(self) -> float:
        return 1.0

    def ascent(self, training: Training, key: Any, batch: Minibatch) -> Direction:
        model = training.model
        wake = awake(model, key, batch, self.samples)
        up = wake.back_p(jnp.full_like(wake.log_p, 1 / wake.log_p[..., 0].size))
        return Direction(paired(model, up, zeros(model.recognition)), (), wake.log_weights, wake.layers)


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

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> learner = tr.ReweightedWakeSleep(batch_size=10, learning_rate=0.05)
    >>> run = tr.fit(tr.SigmoidBeliefNetwork([4, 2]), rows, learner, epochs=40, live=0)
    >>> tr.log_likelihood(run.model, rows).value > -2  # independent columns: −2.77
    True
    """

    samples: int = 5
    wake: float = 0.5
    sleep: float = 0.5

    @property
    def slept(self) -> float:
        return self.sleep

    def ascent(self, training: Training, key: Any, batch: Minibatch) -> Direction:
        wake = awake(training.model, key, batch, self.samples)
        return Direction(self.weighted(training.model, wake, wake.log_weights), (), wake.log_weights, wake.layers)

    def weighted(self, model: HelmholtzMachine, wake: Wake, log_weights: Float[Array, "b k"]) -> HelmholtzMachine:
        """The direction in which samples pull that have these weights."""
        weights = normalized(log_weights)[..., None] / len(log_weights)
        up = wake.back_p(jnp.broadcast_to(weights, wake.log_p.shape))
        down = wake.back_q(on_every(weights, wake.log_q, self.wake)) if self.wake else zeros(model.recognition)
        return paired(model, up, down)


@dataclass(frozen=True, kw_only=True)
class JointStochasticApproximation(ReweightedWakeSleep):
    """Reweighted wake–sleep with a memory: what explained a row best so far competes with new guesses.

    Of each row one state of the hidden units is kept. At the row's next turn it is weighed with `samples` new ones, all
    by w = p(x, h) / q(h | x), and one of them, drawn with probability w̃, is kept in its place. This is a chain whose
    law is p(h | x) itself, whatever q is (iterated sampling importance resampling), so that the gradient Σ w̃ ∇ log p
    is without bias once chains have forgotten where they began: as persistent chains are for the negative phase. The
    memory takes a bit for each row and hidden unit.

    Where q misses much of the posterior, a state that explains a row well is hardly ever given up, and the model learns
    it by heart. `sweeps` of Gibbs sampling, which moves unit by unit, let it go on from there.

    Ou & Song, "Joint stochastic approximation and its application to learning discrete latent variable models", UAI
    2020; Andrieu, Lee & Vihola, "Uniform ergodicity of the iterated conditional SMC", Bernoulli 24 (2018).

    Parameters
    ----------
    sweeps : share of the hidden units that are drawn anew, one by one given all others, before a state is weighed.

    Raises
    ------
    ModelError : from `fit`: a share that is none; sweeps for a deep belief network, whose top units are not kept.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> learner = tr.JointStochasticApproximation(batch_size=10, learning_rate=0.05)
    >>> run = tr.fit(tr.SigmoidBeliefNetwork([4, 2]), rows, learner, epochs=40, live=0)
    >>> tr.log_likelihood(run.model, rows).value > -2  # independent columns: −2.77
    True
    """

    remembers: ClassVar[bool] = True

    sweeps: float = 0.0

    def adopted(self, model: Any, key: Any) -> HelmholtzMachine:
        model = super().adopted(model, key)
        if self.sweeps and not isinstance(model.generative, SigmoidBeliefNetwork):
            raise ModelError("sweeps are for sigmoid belief networks: take sweeps=0 for a deep belief network")
        return model

    def init(self, plan: Any, model: HelmholtzMachine, key: Any, seen: Seen) -> Array:
        return jnp.zeros((seen.n_rows, -(-(1 + sum(model.recognition.sizes[1:])) // 8)), jnp.uint8)

    def ascent(self, training: Training, key: Any, batch: Minibatch) -> Direction:
        model, memory, x = training.model, training.learner, batch.values
        _, *new = model.recognition.sample_by_layer(key, x, self.samples)[0]
        known, old = recalled(memory[batch.rows], new)
        if self.sweeps:
            old = redrawn(model.generative, jax.random.fold_in(key, SWEEP), [x[:, None], *old], self.sweeps)
        layers = [x[:, None], *(jnp.concatenate(pair, axis=1) for pair in zip(old, new, strict=True))]
        wake = weighed(model, layers, batch)
        log_w = wake.log_weights.at[:, 0].add(jnp.where(known, 0, -jnp.inf))
        chosen = jax.random.categorical(jax.random.fold_in(key, CHOICE), log_w)
        memory = memory.at[batch.rows].set(remembered(layers[1:], chosen))
        return Direction(self.weighted(model, wake, log_w), memory, log_w[:, 1:], layers)


def recalled(memory: Array, new: list[Array]) -> tuple[Array, list[Array]]:
    """Which rows something is known of, and this, layer by layer [b, 1, n]; the first of the new states where not."""
    sizes = [h.shape[-1] for h in new]
    bits = jnp.unpackbits(memory, axis=1, count=1 + sum(sizes)).astype(new[0].dtype)
    known, *old = jnp.split(bits, np.cumsum([1, *sizes[:-1]]), axis=1)
    there = known[:, :, None] > 0
    return there[:, 0, 0], [jnp.where(there, a[:, None], h[:, :1]) for a, h in zip(old, new, strict=True)]


def redrawn(model: Any, key: Any, layers: list[Array], share: float) -> list[Array]:
    """The hidden layers [b, 1, n] after Gibbs sampling of a share of their units, the same ones in all rows."""
    states = [h[:, 0] for h in layers]
    orders = [jax.random.permutation(jax.random.fold_in(key, at), h.shape[1]) for at, h in enumerate(states)]
    some = tuple(order[: math.ceil(share * len(order)), None] for order in orders)
    held = layer_gibbs.Held([jnp.full(h.shape, not at) for at, h in enumerate(states)], states)
    chains = layer_gibbs.LayerChains(layer_gibbs.LayerBlocks(some), jnp.arange(len(states[0])), held)
    return [h[:, None] for h in layer_gibbs.sweep(model, chains, jax.random.fold_in(key, len(states)), states)[1:]]


def remembered(layers: list[Array], chosen: Array) -> Array:
    """One state of each row, in bits, after one that says that there is one."""
    taken = [jnp.take_along_axis(h, chosen[:, None, None], axis=1)[:, 0] for h in layers]
    return jnp.packbits(jnp.concatenate([jnp.ones_like(taken[0][:, :1]), *taken], axis=1).astype(bool), axis=1)


def on_every(weights: Array, terms: Array, factor: Any) -> Array:
    """The same weights for each of the terms."""
    return jnp.broadcast_to(factor * weights, terms.shape)


def paired(model: HelmholtzMachine, generative: Any, recognition: Any) -> HelmholtzMachine:
    """The two gradients as that of the pair."""
    return eqx.tree_at(lambda m: (m.generative, m.recognition), model, (generative, recognition))
