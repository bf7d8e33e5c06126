"""The machine on top of a deep belief network while it is learned: samples of it, for the gradient of its log Z.

The last term of log p(x, h¹, …) is log p̃ of the machine on top less its log Z. What the samples of the hidden layers
climb is log p̃; the gradient of log Z is the mean of ∇ log p̃ over samples of the machine, the negative phase of every
learner of machines, and a sleeping network dreams on from the same samples, downward.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from tractable.learning._base import Seen, Training
from tractable.learning.layers.wake import added
from tractable.learning.machines.contrastive import Contrastive, PersistentCD
from tractable.learning.machines.phases import group_graph
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.deep_belief import DeepBeliefNetwork
from tractable.models.recognition import HelmholtzMachine
from tractable.models.sigmoid_belief import SigmoidBeliefNetwork, drawn_below
from tractable.posterior.approximate.gibbs import Schedule, State, schedule


class Free(NamedTuple):
    """Samples of the machine on top, its upper layer at its means, and what its learner keeps."""

    states: State
    kept: Any


def check(learner: Contrastive, generative: Any) -> None:
    """Refuse a learner whose samples of the model cannot be taken without its steps, or that has no top to sample."""
    if not isinstance(learner, Contrastive) or type(learner).gradient is not Contrastive.gradient:
        raise ModelError(
            f"the machine on top is followed by chains: take PersistentCD, ContrastiveDivergence or TemperedPCD as top,"
            f" got {type(learner).__name__}"
        )
    if isinstance(generative, SigmoidBeliefNetwork) and learner != PersistentCD():
        raise ModelError("top is about the machine on top of a deep belief network, here is none: leave it out")


def begun(learner: Any, model: HelmholtzMachine, key: Any) -> Any:
    """The chains at the first step; nothing where no machine is on top."""
    if not isinstance(model.generative, DeepBeliefNetwork):
        return ()
    top = model.generative.top
    own, even = replace(learner.top, batch_size=learner.batch), np.full(top.n_visible, 0.5)
    return own.init(_plan(top), top, key, Seen(even, 0))  # the means are those of a tempered learner's base


def free(learner: Contrastive, training: Training, key: Any, seen: Array) -> Free | None:
    """Samples of the machine on top, where there is one; `seen` are states of its lower layer recognized in data."""
    if not isinstance(training.model.generative, DeepBeliefNetwork):
        return None
    top = training.model.generative.top
    own = training._replace(model=top, learner=training.offsets.chains)
    return Free(*learner.negative(_plan(top), own, key, {VISIBLE: seen}))


def less_log_z(gradient: HelmholtzMachine, generative: Any, found: Free) -> HelmholtzMachine:
    """The gradient of log p in place of log p̃: less the mean of the same over samples of the machine on top."""
    negative = eqx.filter_grad(lambda top: top.log_joint(found.states).mean())(generative.top)
    own = added(_top(gradient), negative, -1.0)
    own = eqx.tree_at(lambda top: top.offset, own, jnp.zeros_like(own.offset))  # what rounding leaves is no gradient
    return eqx.tree_at(_top, gradient, own)


def _top(machine: Any) -> Boltzmann:
    return machine.generative.top


def dreams(generative: Any, key: Any, n: int, found: Free | None) -> list[Array]:
    """States of the layers that a recognition network proposes, drawn downward; `n` of them from a directed network."""
    if found is None:
        return generative.sample(key, n)
    states = found.states[VISIBLE]
    rows = jnp.arange(len(states), dtype=jnp.uint32)
    return drawn_below(generative, key, rows, states, len(generative.weights))


def _plan(top: Boltzmann) -> Schedule:
    return schedule(group_graph(top))
