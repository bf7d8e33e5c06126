"""Enumerating the cheaper side of a machine while the other is summed out in closed form, state by state.

log Z = log Σ_e exp(log p̃(e) + Σ_s Γ_s(θ_s(e))), e running through the joint states of the enumerated groups and s
through the units that are independent given e. Every expectation is a derivative of it: ∂ log Z / ∂θ are the expected
sufficient statistics, and they come as a machine-shaped record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.kernels.enumeration import Progress
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.units import Mixed, Units
from tractable.plan.machines import CHUNK, Split
from tractable.posterior.exact import binary


class EnumeratedSums(NamedTuple):
    """log Z and its derivatives: expected features in ``gradient.fields``, products in ``gradient.couplings``."""

    log_z: float
    gradient: Boltzmann


def n_states(model: Boltzmann, split: Split) -> int:
    """The joint states of the enumerated groups."""
    return int(np.prod([_n_joint(model.units[g]) for g in split.enumerated], dtype=object))


def _n_joint(units: Units) -> int:
    """How many joint states a group has."""
    return math.prod(units.states_each) if isinstance(units, Mixed) else int(units.n_states) ** units.n


def states(model: Boltzmann, split: Split, index: Array) -> dict[str, Float[Array, "c f"]]:
    """The features of the joint states with these numbers [c]."""
    out = {}
    for name in split.enumerated:
        out[name] = model.units[name].joint_states(index, model.dtype)
        index = index // _n_joint(model.units[name])
    return out


def log_weights(model: Boltzmann, split: Split, x: Mapping[str, Array]) -> Float[Array, " c"]:
    """log Σ_s p̃(e, s) for each of many states e of the enumerated groups, given by their features."""
    zeros = {
        name: jnp.zeros((*next(iter(x.values())).shape[:-1], model.units[name].n_features)) for name in split.summed
    }
    out = model.log_joint({**x, **zeros}) if x else jnp.asarray(model.offset)[None]
    for name in split.summed:
        out = out + model.units[name].cumulant(model.local_field(name, {**zeros, **x})).sum(-1)
    return out


@partial(jax.jit, static_argnums=(1, 3))
def chunk_log_sum(model: Boltzmann, split: Split, start: Array, size: int) -> Float[Array, ""]:
    """The log-sum over `size` states from number `start` on; numbers beyond the last count nothing."""
    index = start + jnp.arange(size)
    inside = index < n_states(model, split)
    weights = log_weights(model, split, states(model, split, jnp.where(inside, index, 0)))
    return jax.nn.logsumexp(jnp.where(inside, weights, -jnp.inf))


_chunk_gradient = jax.jit(jax.value_and_grad(chunk_log_sum, allow_int=True), static_argnums=(1, 3))


def log_partition(model: Boltzmann, split: Split, progress: Progress = None) -> float:
    """log Z in double precision, memory flat."""
    if binary.applies(model):
        return binary.log_partition(model, split, progress)
    with jax.enable_x64(True):
        model = model.astype(np.float64)
        parts = [float(chunk_log_sum(model, split, start, size)) for start, size in _chunks(model, split, progress)]
    return float(np.logaddexp.reduce(parts))


def statistics(model: Boltzmann, split: Split, progress: Progress = None) -> EnumeratedSums:
    """log Z and all expected sufficient statistics, in double precision."""
    if binary.applies(model):
        return EnumeratedSums(*binary.statistics(model, split, progress))
    with jax.enable_x64(True):
        model = model.astype(np.float64)
        log_z, total = -np.inf, None
        for start, size in _chunks(model, split, progress):
            part, gradient = _chunk_gradient(model, split, start, size)
            new = np.logaddexp(log_z, float(part))
            keep, add = np.exp(log_z - new), np.exp(float(part) - new)
            total = gradient if total is None else jax.tree.map(partial(_merged, keep, add), total, gradient)
            log_z = new
    assert total is not None
    return EnumeratedSums(float(log_z), total)


def _merged(keep: float, add: float, a: Any, b: Any) -> Any:
    return keep * a + add * b if jnp.issubdtype(jnp.result_type(a), jnp.floating) else a


def _chunks(model: Boltzmann, split: Split, progress: Progress) -> Any:
    total = n_states(model, split)
    size = min(total, CHUNK)
    for start in range(0, total, size):
        yield start, size
        if progress:
            progress(min(start + size, total), total)


def sample(model: Boltzmann, split: Split, generator: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """`n` exact, independent samples: an enumerated state by its weight, then the summed-out units given it."""
    draw = binary.sample if binary.applies(model) else _sample_states
    with jax.enable_x64(True):
        x = draw(model, split, generator, n)
        key = jax.random.key(int(generator.integers(2**31)))
        drawn = _with_summed(model.astype(np.float64), split.summed, key, x, np.arange(n, dtype=np.uint32))
        return model.decode(drawn)


@partial(jax.jit, static_argnums=1)
def _with_summed(
    model: Boltzmann, summed: tuple[str, ...], key: Any, x: dict[str, Array], rows: Array
) -> dict[str, Array]:
    """The given features, and draws of the groups that are summed out, which are independent given these."""
    out = dict(x)
    for i, name in enumerate(summed):
        none = jnp.zeros((len(rows), model.units[name].n_features))
        theta = jnp.broadcast_to(model.local_field(name, {name: none, **x}), none.shape)
        out[name] = model.units[name].sample(jax.random.fold_in(key, i), rows, theta)
    return out


def _sample_states(
    model: Boltzmann, split: Split, generator: np.random.Generator, n: int
) -> dict[str, Float[Array, "n f"]]:
    """Features of the enumerated groups, drawn by the weights of their joint states; chunk by chunk."""
    model = model.astype(np.float64)
    parts = np.array([float(chunk_log_sum(model, split, start, size)) for start, size in _chunks(model, split, None)])
    counts = generator.multinomial(n, np.exp(parts - np.logaddexp.reduce(parts)))
    index = np.concatenate([_drawn(model, split, k, int(c), generator) for k, c in enumerate(counts) if c] or [[]])
    return states(model, split, jnp.asarray(generator.permutation(index).astype(np.int64)))


def _drawn(model: Boltzmann, split: Split, chunk: int, count: int, generator: np.random.Generator) -> np.ndarray:
    total = n_states(model, split)
    size = min(total, CHUNK)
    index = np.arange(chunk * size, min(total, (chunk + 1) * size))
    weights = np.asarray(_log_weights_at(model, split, index))
    return generator.choice(index, size=count, p=np.exp(weights - np.logaddexp.reduce(weights)))


@partial(jax.jit, static_argnums=1)
def _log_weights_at(model: Boltzmann, split: Split, index: Array) -> Float[Array, " c"]:
    return log_weights(model, split, states(model, split, index))
