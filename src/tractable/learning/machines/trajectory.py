"""Trajectory tempering: the model exchanges states with checkpoints of its own past, which also yields its log Z."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tractable.learning._base import Seen, Training
from tractable.learning.machines.contrastive import PersistentCD
from tractable.learning.machines.phases import rao_blackwell, starting_with, summable_groups
from tractable.learning.machines.tempered import matched_base
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.keys import as_key
from tractable.plan.machines import Split
from tractable.posterior import Certificate
from tractable.posterior.approximate.gibbs import Schedule, State, run, schedule, start
from tractable.posterior.exact.enumeration import log_weights
from tractable.posterior.tempering.machines import log_partition_of_fields

OVERLAP = 0.15
"""Neighbours that accept fewer of their swaps get machines between them before log Z is taken."""

REFINEMENTS = 4
ROUNDS = 5
"""Exchanges in one call."""


class Trajectory(NamedTuple):
    """Checkpoints of a run in arrays of fixed size, of which the first `count` are in use; number 0 has no couplings.

    `past` are their parameters, `chains` their states [n_checkpoints, n_chains, f], `x` those of the current model, and
    `accepted` the share of swaps between the last checkpoint and the current model that equilibrium would accept.
    """

    past: Boltzmann
    chains: State
    x: State
    count: Int[Array, ""]
    accepted: Float[Array, ""]


class Work(NamedTuple):
    """log p̃_k − log p̃_(k−1) at the states of k − 1 (forward) and of k (reverse), for each chain [levels, n_chains]."""

    forward: Float[Array, "k c"]
    reverse: Float[Array, "k c"]


@dataclass(frozen=True, kw_only=True)
class TrajectoryTempering(PersistentCD):
    """PCD with replica exchange along the run: checkpoints of the past keep chains, and neighbours in time swap states.

    Number 0 is the factorized machine matched to the data, drawn exactly. In every `every`-th step each checkpoint's
    chains make `k` sweeps, and from number 0 up to the current model neighbours swap with probability
    min(1, p̃_k(x_(k−1)) p̃_(k−1)(x_k) / (p̃_k(x_k) p̃_(k−1)(x_(k−1)))), so that a new state can climb all the way at once.
    When fewer than `target` of the swaps with the last checkpoint are accepted, the current model is stored as a new
    one; when there is no room, every second one is forgotten. `log_partition_of` reads log Z off the same chains.

    Béreux, Decelle, Furtlehner, Rosset & Seoane, "Fast, accurate training and sampling of restricted Boltzmann
    machines" (2024).

    Parameters
    ----------
    n_checkpoints : how many are kept. target : acceptance below which a new one is stored.
    every : steps between two exchanges; an exchange costs about two steps of PCD for each checkpoint.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> learner = tr.TrajectoryTempering(n_checkpoints=4, batch_size=10, learning_rate=0.5)
    >>> run = tr.fit(tr.restricted(4, 2), rows, learner, epochs=40, live=0)
    >>> tr.log_likelihood(run.model, rows).value > -2  # independent columns: −2.77
    True
    """

    few_stay_apart: ClassVar[bool] = False

    n_checkpoints: int = 64
    target: float = 0.3
    every: int = 5

    def init(self, plan: Schedule, model: Boltzmann, key: Any, seen: Seen) -> Trajectory:
        x = super().init(plan, model, key, seen)
        couplings = jax.tree.map(jnp.zeros_like, model.couplings)
        first = eqx.tree_at(lambda m: (m.fields, m.couplings), model, (matched_base(model, seen.means), couplings))
        past = jax.tree.map(partial(_repeated, self.n_checkpoints), eqx.filter(first, eqx.is_inexact_array))
        chains = jax.tree.map(partial(_repeated, self.n_checkpoints), x)
        return Trajectory(past, chains, x, jnp.ones((), jnp.int32), jnp.ones(()))

    def negative(self, plan: Schedule, training: Training, key: Any, data: State) -> tuple[State, Trajectory]:
        model, climb, sweeps = training.model, *jax.random.split(key)
        plan = starting_with(plan, summable_groups(model))  # what a swap has summed out is drawn anew
        now = (training.step % self.every == 0).astype(jnp.int32)
        one = lambda _, own: self._stored(model, exchanged(plan, model, climb, own, self.k)[0])  # noqa: E731
        own = jax.lax.fori_loop(0, now, one, training.learner)  # a loop of one round or none works in place
        x = run(plan, model, sweeps, own.x, self.k)
        return rao_blackwell(plan, model, x), own._replace(x=x)

    def _stored(self, model: Boltzmann, own: Trajectory) -> Trajectory:
        """The current model among the checkpoints, if it is far enough from the last of them."""
        store = own.accepted < self.target
        full = (store & (own.count == self.n_checkpoints)).astype(jnp.int32)
        own = jax.lax.fori_loop(0, full, lambda _, own: _thinned(own), own)

        def put(stack: Array, new: Array) -> Array:
            slot = jnp.minimum(own.count, self.n_checkpoints - 1)
            return stack.at[slot].set(jnp.where(store, new, stack[slot]))

        past = jax.tree.map(put, own.past, eqx.filter(model, eqx.is_inexact_array))
        return own._replace(past=past, chains=jax.tree.map(put, own.chains, own.x), count=own.count + store)


def _repeated(n: int, x: Array) -> Array:
    return jnp.broadcast_to(x, (n, *x.shape))


def _thinned(own: Trajectory) -> Trajectory:
    """Every second checkpoint; the first stays, and so does the distance that a new one is stored at."""

    def move(i: Array, stacks: Any) -> Any:
        return jax.tree.map(lambda a: a.at[i].set(a[2 * i]), stacks)

    kept = (own.count + 1) // 2
    past, chains = jax.lax.fori_loop(1, kept, move, (own.past, own.chains))
    return own._replace(past=past, chains=chains, count=kept)


# ---------------------------------------------------------------- exchange


def exchanged(plan: Schedule, model: Boltzmann, key: Any, own: Trajectory, k: int) -> tuple[Trajectory, Work]:
    """`k` sweeps of each checkpoint's chains, and swaps from the first up to the current model; the works met."""
    n_levels, n_chains = own.chains[VISIBLE].shape[:2]

    def at(i: Any) -> Boltzmann:
        return eqx.combine(jax.tree.map(lambda a: a[i], own.past), model)

    def rung(i: Array, carry: tuple[State, Work]) -> tuple[State, Work]:
        chains, work = carry
        sweeps, swap = jax.random.split(jax.random.fold_in(key, i))
        upper = run(plan, at(i), sweeps, {name: a[i] for name, a in chains.items()}, k)
        lower = {name: a[i - 1] for name, a in chains.items()}
        lower, upper, met = _swapped((at(i - 1), at(i)), swap, lower, upper)
        chains = {name: a.at[i - 1].set(lower[name]).at[i].set(upper[name]) for name, a in chains.items()}
        return chains, _noted(work, i - 1, met)

    work = Work(*(jnp.zeros((n_levels, n_chains), own.accepted.dtype) for _ in range(2)))
    fresh = start(at(0), key, jnp.arange(n_chains, dtype=jnp.uint32))
    chains = {name: a.at[0].set(fresh[name]) for name, a in own.chains.items()}
    chains, work = jax.lax.fori_loop(1, own.count, rung, (chains, work))
    last = own.count - 1
    lower = {name: a[last] for name, a in chains.items()}
    lower, x, met = _swapped((at(last), model), jax.random.fold_in(key, own.count), lower, own.x)
    chains = {name: a.at[last].set(lower[name]) for name, a in chains.items()}
    return own._replace(chains=chains, x=x, accepted=_acceptance(met.forward)), _noted(work, last, met)


def _acceptance(forward: Float[Array, " c"]) -> Float[Array, ""]:
    """The share of swaps accepted in equilibrium, from the works at the lower chains x alone: x′ ~ p_k is x reweighted.

    The chains of a model that is being learned lag behind it, and would look too much like the last checkpoint's.
    """
    swaps = jnp.exp(jnp.minimum(forward[:, None] - forward[None, :], 0))
    return (swaps @ jax.nn.softmax(forward)).mean()


def _noted(work: Work, i: Array, met: Work) -> Work:
    return Work(*(all_.at[i].set(one) for all_, one in zip(work, met, strict=True)))


def _swapped(models: tuple[Boltzmann, Boltzmann], key: Any, lower: State, upper: State) -> tuple[State, State, Work]:
    forward, reverse = (_log_weight(models[1], x) - _log_weight(models[0], x) for x in (lower, upper))
    accepted = jnp.log(jax.random.uniform(key, forward.shape, forward.dtype)) < forward - reverse
    swap = lambda a, b: {name: jnp.where(accepted[:, None], b[name], a[name]) for name in a}  # noqa: E731
    return swap(lower, upper), swap(upper, lower), Work(forward, reverse)


def _log_weight(model: Boltzmann, x: State) -> Float[Array, " c"]:
    """log p̃ of each state, the units that a sweep draws first summed out."""
    summed = summable_groups(model)
    kept = tuple(name for name in x if name not in summed)
    return log_weights(model, Split(kept, summed), {name: x[name] for name in kept})


# ---------------------------------------------------------------- log Z


def log_partition_of(training: Training, *, n_rounds: int = 40, key: Any = 0) -> Certificate:
    """log Z of the current model of a run with `TrajectoryTempering`, along the checkpoints that it kept.

    log Z = log Z_0 + Σ_k log Z_k / Z_(k−1): the first is exact, the ratio of neighbours is Bennett's (1976) from the
    works met in `n_rounds` more exchanges, c with Σ_forward σ(w − c) = Σ_reverse σ(c − w). Where learning went too fast
    for neighbours to overlap, machines on the straight line between them are put in. The standard error comes from the
    spread over chains, which never mix with each other, and from the difference between the two halves of the rounds;
    it is infinite where neighbours still do not overlap.

    Parameters
    ----------
    n_rounds : exchanges to measure in; as many before them let the chains settle.

    Returns
    -------
    Certificate : an ``estimate``.

    Raises
    ------
    ModelError : the run had another learner.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> learner = tr.TrajectoryTempering(n_checkpoints=4, batch_size=10, learning_rate=0.5)
    >>> run = tr.fit(tr.restricted(4, 2), rows, learner, epochs=40, live=0)
    >>> tr.log_partition_of(run.training).kind
    'estimate'
    """
    own, model = training.learner, training.model
    if not isinstance(own, Trajectory):
        raise ModelError("there is no trajectory: log_partition_of is for runs of fit(…, TrajectoryTempering())")
    key = as_key(key)
    plan = starting_with(schedule(model.graph), summable_groups(model))
    own, works, n_calls = _overlapping(plan, model, key, own), [], 2 * -(-n_rounds // (2 * ROUNDS))
    for t in range(2 * n_calls):  # the first half settles the chains
        own, work = _rounds(plan, model, jax.random.fold_in(key, t), own)
        works.append([np.asarray(w, np.float64)[:, : int(own.count)] for w in work])
    value, spread = _along(works[n_calls:])
    drift = _along(works[n_calls : -n_calls // 2])[0] - _along(works[-n_calls // 2 :])[0]
    error = float(np.hypot(spread, drift))
    value += _first_log_partition(model, own)
    return Certificate.estimate(value, error if np.isfinite(error) else np.inf)


def _along(works: list[list[np.ndarray]]) -> tuple[float, float]:
    """log Z of the current model minus that of the first, and its standard error, from the works of some calls."""
    pairs = [np.concatenate(w).swapaxes(0, 1) for w in zip(*works, strict=True)]
    found = [_bennett(forward, reverse) for forward, reverse in zip(*pairs, strict=True)]
    influence = np.sum([spread for _, spread in found], axis=0)
    error = float(influence.std(ddof=1) / np.sqrt(len(influence))) if len(influence) > 1 else np.inf
    return float(sum(c for c, _ in found)), error


def _overlapping(plan: Schedule, model: Boltzmann, key: Any, own: Trajectory) -> Trajectory:
    """The trajectory with machines put in where neighbours hardly overlap, its chains settled."""
    for attempt in range(REFINEMENTS + 1):
        own, works = _rounds(plan, model, jax.random.fold_in(key, 2**31 + attempt), own)
        accepted = np.exp(np.minimum(works.forward - works.reverse, 0)).mean((0, 2))[: int(own.count)]
        if accepted.min() > OVERLAP or attempt == REFINEMENTS:
            break
        own = _refined(model, own, np.where(accepted > OVERLAP, 0, np.where(accepted > OVERLAP / 4, 1, 3)))
    return own


@jax.jit
def _rounds(plan: Schedule, model: Boltzmann, key: Any, own: Trajectory) -> tuple[Trajectory, Work]:
    """The chains after some rounds, and the works of each [n_rounds, levels, n_chains]; the models stay as they are."""

    def one(own: Trajectory, t: Array) -> tuple[Trajectory, Work]:
        climb, sweeps = jax.random.split(jax.random.fold_in(key, t))
        own = own._replace(x=run(plan, model, sweeps, own.x, 1))
        return exchanged(plan, model, climb, own, 1)

    return jax.lax.scan(one, own, jnp.arange(ROUNDS))


def _refined(model: Boltzmann, own: Trajectory, extra: np.ndarray) -> Trajectory:
    """The checkpoints with `extra` machines between each and the next, evenly spaced in the parameters."""
    at = np.concatenate([k + np.arange(n + 1) / (n + 1) for k, n in enumerate(extra)])
    count, room = len(at), -(-len(at) // 32) * 32  # sizes come in few kinds: each is compiled for
    low = np.append(np.floor(at).astype(int), np.zeros(room - count, int))
    share = np.append(at, np.zeros(room - count)) - low

    def along(stack: Array, last: Array) -> Array:
        ends = jnp.concatenate([stack[: len(extra)], last[None]])
        part = jnp.asarray(share, stack.dtype).reshape(-1, *([1] * last.ndim))
        return ends[low] + part * (ends[low + 1] - ends[low])

    past = jax.tree.map(along, own.past, eqx.filter(model, eqx.is_inexact_array))
    chains = jax.tree.map(lambda a: a[low], own.chains)
    return own._replace(past=past, chains=chains, count=jnp.asarray(count, own.count.dtype))


def _first_log_partition(model: Boltzmann, own: Trajectory) -> float:
    first = eqx.combine(jax.tree.map(lambda a: a[0], own.past), model)
    return float(log_partition_of_fields(first.units, first.fields) + first.offset)


def _bennett(forward: np.ndarray, reverse: np.ndarray) -> tuple[float, np.ndarray]:
    """The logarithm of a ratio of partition functions, and each chain's influence on it; works [n_rounds, n_chains]."""
    low, high = min(forward.min(), reverse.min()), max(forward.max(), reverse.max())
    for _ in range(60):
        c = 0.5 * (low + high)
        low, high = (c, high) if _sigmoid(forward - c).sum() > _sigmoid(c - reverse).sum() else (low, c)
    up, down = _sigmoid(forward - c), _sigmoid(c - reverse)
    slope = (up * (1 - up)).mean() + (down * (1 - down)).mean()
    overlap = up.mean() * up.size > 1
    return c, (up - down).mean(0) / slope if overlap else np.full(up.shape[1], np.nan)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))
