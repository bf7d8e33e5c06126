"""Contrastive learners: the negative phase is taken at chains, and where the chains start is all they differ in."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from tractable.learning import sizes
from tractable.learning._base import Seen, Training
from tractable.learning.machines._base import MachineLearner
from tractable.learning.machines.phases import contrast, ending_with, summable_groups
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.posterior.approximate.gibbs import Schedule, State, run, start, sweep_with_fields


def negative(plan: Schedule, model: Boltzmann, key: Any, x: State, k: int) -> tuple[State, State]:
    """`k` sweeps: the chains, and the same with the groups drawn last at their means: no bias, and less noise.

    The means come from the fields that these groups were just drawn with: no product is made twice.
    """
    last = summable_groups(model)
    plan = ending_with(plan, last)
    x = run(plan, model, key, x, k - 1) if k > 1 else x
    rows = jnp.arange(x[VISIBLE].shape[0], dtype=jnp.uint32)
    x, theta = sweep_with_fields(plan, model, jax.random.fold_in(key, k), rows, x)
    return x, x | {g: model.units[g].mean(theta[g]) for g in last}


@dataclass(frozen=True, kw_only=True)
class Contrastive(MachineLearner):
    """Gradients that are the difference of two phases: at data, and at samples of the model."""

    @abstractmethod
    def negative(self, plan: Schedule, training: Training, key: Any, data: State) -> tuple[State, Any]:
        """Samples of the model, some groups at their means, and the learner's new state."""

    def gradient(
        self, plan: Schedule, training: Training, key: Any, data: State, weights: Array | None = None
    ) -> tuple[Boltzmann, Any]:
        free, own = self.negative(plan, training, key, data)
        return contrast(training.model, data, free, weights), own


@dataclass(frozen=True, kw_only=True)
class ContrastiveDivergence(Contrastive):
    """CD-k: chains of `k` sweeps that start at the data. Biased, the less so the larger k.

    Hinton, "Training products of experts by minimizing contrastive divergence", Neural Computation 14 (2002).

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> learner = tr.ContrastiveDivergence(k=1, batch_size=10, learning_rate=0.5)
    >>> run = tr.fit(tr.restricted(4, 2), rows, learner, epochs=40, live=0)
    >>> tr.log_likelihood(run.model, rows).value > -2  # independent columns: −2.77
    True
    """

    k: int = 1

    def negative(self, plan: Schedule, training: Training, key: Any, data: State) -> tuple[State, Any]:
        model = training.model
        rows = jnp.arange(data[VISIBLE].shape[0], dtype=jnp.uint32)
        own = {
            g: model.units[g].sample(jax.random.fold_in(key, i), rows, model.local_field(g, data))
            for i, g in enumerate(model.hidden)
        }
        return negative(plan, model, key, data | own, self.k)[1], training.learner


@dataclass(frozen=True, kw_only=True)
class PersistentCD(Contrastive):
    """PCD-k (stochastic maximum likelihood): `n_chains` chains, never restarted; None: 200, or the rows of a batch.

    Before the first step chains make `burn_in` sweeps: 200 where the learning rate follows from a model that has been
    learned already, which its first steps would spoil with chains that do not know it yet. A fit that goes astray with
    fewer than 200 chains goes on with 200 new ones, from its last good state.

    Younes, "Parametric inference for imperfectly observed Gibbsian fields" (1989); Tieleman, ICML 2008.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> learner = tr.PersistentCD(n_chains=20, batch_size=10, learning_rate=0.5)
    >>> run = tr.fit(tr.restricted(4, 2), rows, learner, epochs=40, live=0)
    >>> tr.log_likelihood(run.model, rows).value > -2  # independent columns: −2.77
    True
    """

    few_stay_apart: ClassVar[bool] = True
    """Whether a few chains cover a few modes only: nothing carries them from one to another."""

    k: int = 1
    n_chains: int | None = None
    burn_in: int = 0

    def settled(self, model: Any, n_rows: int, version: int = 2) -> Self:
        own = super().settled(model, n_rows)
        chains = own.n_chains or own.batch if version == 1 else own.chains
        settle = self.learning_rate is None and self.is_learned(model)
        return replace(own, n_chains=chains, burn_in=max(self.burn_in, sizes.BURN_IN if settle else 0))

    def with_more_chains(self) -> Self | None:
        if self.chains >= sizes.CHAINS or not self.few_stay_apart:
            return None
        return replace(self, n_chains=sizes.CHAINS, burn_in=max(self.burn_in, sizes.BURN_IN))

    @property
    def chains(self) -> int:
        """How many chains there are."""
        return self.n_chains or sizes.chains_of(self.batch)

    def init(self, plan: Schedule, model: Boltzmann, key: Any, seen: Seen) -> State:
        x = start(model, key, jnp.arange(self.chains, dtype=jnp.uint32))
        return run(plan, model, jax.random.fold_in(key, 1), x, self.burn_in) if self.burn_in else x

    def negative(self, plan: Schedule, training: Training, key: Any, data: State) -> tuple[State, Any]:
        chains, free = negative(plan, training.model, key, training.learner, self.k)
        return free, chains


@dataclass(frozen=True, kw_only=True)
class FastPersistentCD(PersistentCD):
    """FPCD: to the parameters under which chains move a fast, decaying copy of the updates is added; they mix faster.

    Tieleman & Hinton, "Using fast weights to improve persistent contrastive divergence", ICML 2009.

    Parameters
    ----------
    fast_rate : learning rate of the fast weights. fast_decay : what is left of them after a step.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> learner = tr.FastPersistentCD(batch_size=10, learning_rate=0.5)
    >>> run = tr.fit(tr.restricted(4, 2), rows, learner, epochs=40, live=0)
    >>> tr.log_likelihood(run.model, rows).value > -2  # independent columns: −2.77
    True
    """

    fast_rate: float = 0.05
    fast_decay: float = 0.95

    def init(self, plan: Schedule, model: Boltzmann, key: Any, seen: Seen) -> Any:
        zero = jax.tree.map(jnp.zeros_like, eqx.filter(model, eqx.is_inexact_array))
        return super().init(plan, model, key, seen), zero

    def gradient(
        self, plan: Schedule, training: Training, key: Any, data: State, weights: Array | None = None
    ) -> tuple[Boltzmann, Any]:
        chains, fast = training.learner
        quick = eqx.apply_updates(training.model, fast)
        chains, free = negative(plan, quick, key, chains, self.k)
        gradient = contrast(training.model, data, free, weights)
        fast = jax.tree.map(lambda f, g: self.fast_decay * f + self.fast_rate * g, fast, gradient)
        return gradient, (chains, fast)
