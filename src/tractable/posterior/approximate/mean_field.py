"""Mean field: the factorized q closest to a machine, the lower bound on log Z that it gives, and its second-order kin.

With q = ∏ q_i in the families of the units, natural parameters θ and means μ = ∇Γ(θ), the couplings being linear in
each unit,

    ELBO(θ) = E_q[log p̃] + H(q) = interaction(μ) + Σ_g Σ_i (Γ(θ_i) − θ_i·μ_i) ≤ log Z.

Setting the θ of units that do not touch to their fields at the means of all others is the exact maximum over them: a
sweep block by block never lowers the bound (Wainwright & Jordan 2008, section 5.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.graph.groups import GroupGraph
from tractable.models._base import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.units import Units
from tractable.posterior.approximate import blocks
from tractable.posterior.approximate.blocks import Clamp, Clamps, Schedule, State, schedule
from tractable.posterior.certificate import Certificate

Fixpoint = tuple[State, Array, Array, Array]
"""Means, value of each row, sweeps made, last change."""
Carry = tuple[State, State, Array, Array]
"""Means, natural parameters, sweeps made, last change."""
ROUNDING = 10
"""Means that move by no more than so many units of rounding have settled."""


@dataclass(frozen=True, eq=False)
class MeanField:
    """A factorized approximation, one for each row.

    Attributes
    ----------
    means : group → expected features [n_rows, n_features].
    log_partition : ``bound`` below log Z for the naive method, an ``estimate`` for the second order [n_rows].
    n_iterations : sweeps made; fewer than allowed when all rows settled.
    change : the largest change of a mean in the last sweep.
    """

    means: Mapping[str, np.ndarray]
    log_partition: Certificate
    n_iterations: int
    change: float


# ---------------------------------------------------------------- inside a traced step


def layer_means(
    model: Boltzmann, x: Float[Array, "c f"], n_iterations: Any = 10, plan: Schedule | None = None
) -> dict[str, Float[Array, "c f"]]:
    """The means of the hidden groups given rows of visible features, beside those features; for use under `jit`.

    Where the hidden groups do not touch (a restricted machine) the answer is exact and takes one pass. Otherwise they
    start from a pass upward, each from the groups already known, and are then updated block by block until they move by
    no more than rounding, at most `n_iterations` times. No derivative passes through the result: it is a fixed point
    at which the bound is stationary.

    Parameters
    ----------
    x : features of the visible units.
    n_iterations : the most sweeps; may be traced.
    plan : the schedule, needed only where a hidden group is sparse.
    """
    own = hidden_schedule(model) if plan is None else plan.only(model.hidden)
    means = {VISIBLE: jax.lax.stop_gradient(x)}
    model = jax.lax.stop_gradient(model)
    for name in model.hidden:
        means[name] = model.units[name].mean(_outer_field(model, name, means))
    if not _hidden_touch(model):
        return means
    ready = blocks.laid_out(own, model)
    first = blocks.pack(ready, means)
    settled = ROUNDING * jnp.finfo(first[VISIBLE].dtype).eps
    step = lambda c: _moved(c, *blocks.sweep(ready, _mean, c[0], {}))  # noqa: E731
    theta = {name: first[name] for name in own.order}
    return blocks.unpack(ready, _until_settled(step, first, theta, (n_iterations, settled))[0])


def _mean(units: Units, theta: Array, at: tuple[Any, ...]) -> Array:
    return units.mean(theta)


def hidden_schedule(model: Boltzmann) -> Schedule:
    """The blocks of the hidden groups; needs no value, so it can be had of a traced model."""
    sizes = {name: model.units[name].n for name in model.hidden}
    states = {name: model.units[name].n_states for name in sizes}
    for name in set(model.edges).intersection(sizes):
        raise ModelError(f"the hidden group {name} is sparse: hand over the schedule of the machine")
    return schedule(GroupGraph(sizes, states, tuple(p for p in model.couplings if VISIBLE not in p)))


def _hidden_touch(model: Boltzmann) -> bool:
    return any(VISIBLE not in pair for pair in model.couplings)


def _outer_field(model: Boltzmann, name: str, known: Mapping[str, Array]) -> Array:
    """The field of a group from others, couplings within it left out."""
    pairs = {pair: w for pair, w in model.couplings.items() if pair != (name, name)}
    field = replace(model, couplings=pairs, edges={}).local_field(name, known)
    rows = next(iter(known.values())).shape[0]
    return jnp.broadcast_to(field, (rows, model.units[name].n_features))


def elbo(model: Boltzmann, theta: State, means: State, clamp: Clamps = None) -> Float[Array, " c"]:
    """E_q[log p̃] + H(q) of each row; clamped entries have their base measure in place of an entropy."""
    out = model.interaction(means)
    for name, units in model.units.items():
        out = out + _entropy(units, theta[name], means[name], (clamp or {}).get(name))
    return out


def _entropy(units: Units, theta: Array, means: Array, held: Clamp | None) -> Array:
    """Σ_i (Γ(θ_i) − θ_i·μ_i) over the free units, and log q of the others."""
    if held is None:
        return units.cumulant(theta).sum(-1) - (theta * means).sum(-1)
    first = held.known[..., units.first_features]  # one entry for each unit
    free = jnp.where(first, 0, units.cumulant(theta)).sum(-1) - jnp.where(held.known, 0, theta * means).sum(-1)
    return free + units.log_base(jnp.where(held.known, held.values, 0))


# ---------------------------------------------------------------- to convergence


def mean_field(
    model: Boltzmann, x: State, clamp: Clamps = None, *, n_iterations: int = 1000, tolerance: float = 1e-9
) -> MeanField:
    """Naive mean field from given starting means, many rows at once, until no mean moves by more than `tolerance`.

    Parameters
    ----------
    x : group → starting means [n_rows, n_features]; `starts` makes some. Rows that start apart may end apart: the
        bound has many maxima, and the best of several is the one to keep (`best_of`).
    clamp : entries that are observed.

    Examples
    --------
    >>> from tractable.models.boltzmann_machine import boltzmann
    >>> free = boltzmann(1, couplings=[[0.0]], visible_bias=[0.0])
    >>> round(float(mean_field(free, starts(free, 1)).log_partition.lower[0]), 6)  # log 2
    0.693147
    """
    means, bound, n, change = iterate(schedule(model.graph), model, dict(x), clamp, (n_iterations, tolerance))
    bound = np.asarray(bound)
    return _record(means, Certificate.bound(bound, bound), n, change)


def _record(means: State, certificate: Certificate, n: Any, change: Any) -> MeanField:
    return MeanField({name: np.asarray(m) for name, m in means.items()}, certificate, int(n), float(change))


@jax.jit
def iterate(
    plan: Schedule, model: Boltzmann, x: State, clamp: Clamps, limits: Any
) -> tuple[State, Array, Array, Array]:
    ready = blocks.laid_out(plan, model)
    held = blocks.pack_clamp(ready, clamp)

    step = lambda c: _moved(c, *blocks.sweep(ready, _mean, c[0], held))  # noqa: E731
    first = blocks.pack(ready, x)
    packed, theta, n, change = _until_settled(step, first, first, limits)
    means = blocks.unpack(ready, packed)
    return means, elbo(model, blocks.unpack(ready, theta), means, clamp), n, change


def _until_settled(step: Any, x: State, theta: State, limits: Any) -> tuple[State, State, Array, Array]:
    """Steps until nothing moves by more than the tolerance, or there have been enough (at least one)."""
    far = jnp.full((), jnp.inf, next(iter(x.values())).dtype)
    carry = (dict(x), dict(theta), jnp.zeros((), jnp.int32), far)
    return jax.lax.while_loop(lambda c: (c[2] < jnp.maximum(limits[0], 1)) & (c[3] > limits[1]), step, carry)


def _moved(carry: Carry, new: State, theta: State) -> Carry:
    return new, theta, carry[2] + 1, _largest_change(carry[0], new)


def _largest_change(old: State, new: State) -> Array:
    changes = [jnp.abs(new[name] - old[name]).max() for name in new]
    return jnp.max(jnp.stack(changes))


def starts(model: Boltzmann, n: int, key: Any = 0) -> State:
    """Starting means: the first row those of the fields alone, the others random and far apart."""
    words = int(key) if isinstance(key, int | np.integer) else np.asarray(jax.random.key_data(key)).ravel().tolist()
    rng, theta = np.random.default_rng(words), {}
    for name in model.groups:
        field = np.asarray(model.fields[name])
        noise = 3 * rng.standard_normal((n, field.size)) * (np.arange(n) > 0)[:, None]
        theta[name] = (field + noise).astype(jax.dtypes.canonicalize_dtype(field.dtype))
    return _means(model, theta)


@jax.jit
def _means(model: Boltzmann, theta: State) -> State:
    return {name: model.units[name].mean(t) for name, t in theta.items()}


def best_of(found: MeanField, n: int) -> MeanField:
    """Of every `n` successive rows the one with the largest value."""
    value = np.asarray(found.log_partition.value).reshape(-1, n)
    row = np.arange(len(value)) * n + np.where(np.isnan(value), -np.inf, value).argmax(axis=1)
    means = {name: m[row] for name, m in found.means.items()}
    return MeanField(means, found.log_partition[row], found.n_iterations, found.change)


# ---------------------------------------------------------------- second order


def tap(
    model: Boltzmann, x: State, clamp: Clamps = None, *, n_iterations: int = 1000, tolerance: float = 1e-9
) -> MeanField:
    """The Thouless–Anderson–Palmer correction: the couplings to second order (Plefka 1982), damped by one half.

    log Z ≈ ELBO + ½ Σ_pairs w² Γ''_i Γ''_j, stationary where θ_i = field_i + ½ (Γ'''_i / Γ''_i) Σ_j w² Γ''_j. It is
    closer than the naive bound when couplings are weak or many, and is no bound: an ``estimate`` without an error.

    Raises
    ------
    ModelError : categorical units; the correction is written for units with one number each.
    """
    for name, units in model.units.items():
        if units.n_features != units.n:
            raise ModelError(f"{name}: the second order is for units with one number each, not for categorical ones")
    means, value, n, change = _tap(model, dict(x), clamp, (n_iterations, tolerance))
    value = np.asarray(value)
    return _record(means, Certificate.estimate(value), n, change)


@jax.jit
def _tap(model: Boltzmann, x: State, clamp: Clamps, limits: Any) -> Fixpoint:
    squared = _squared(model)

    def step(carry: tuple[State, State, Array, Array]) -> tuple[State, State, Array, Array]:
        means, theta, n, _ = carry
        old = means
        for name in model.groups:
            field = jnp.broadcast_to(
                model.local_field(name, means) + _onsager(model, squared, name, theta, clamp), means[name].shape
            )
            theta = theta | {name: 0.5 * (theta[name] + field)}
            means = means | {name: _kept(clamp, name, model.units[name].mean(theta[name]), means[name])}
        return means, theta, n + 1, _largest_change(old, means)

    theta = {name: jnp.broadcast_to(model.local_field(name, x), x[name].shape) for name in model.groups}
    means, theta, n, change = _until_settled(step, x, theta, limits)
    second = 0.5 * squared.interaction(_variances(model, theta, clamp))
    return means, elbo(model, theta, means, clamp) + second, n, change


def _kept(clamp: Clamps, name: str, new: Array, old: Array) -> Array:
    held = (clamp or {}).get(name)
    return new if held is None else jnp.where(held.known, old, new)


def _squared(model: Boltzmann) -> Boltzmann:
    """The machine of the squared couplings alone: its interaction is Σ_pairs w² V_i V_j."""
    fields = {name: jnp.zeros_like(jnp.asarray(b)) for name, b in model.fields.items()}
    couplings = {pair: jnp.square(jnp.asarray(w)) for pair, w in model.couplings.items()}
    return replace(model, fields=fields, couplings=couplings, offset=jnp.zeros_like(jnp.asarray(model.offset)))


def _derivatives(units: Units, theta: Array) -> tuple[Array, Array]:
    """Γ'' and Γ''' of each unit."""

    def second(t: Array) -> Array:
        return jax.jvp(units.mean, (t,), (jnp.ones_like(t),))[1]

    return jax.jvp(second, (theta,), (jnp.ones_like(theta),))


def _variances(model: Boltzmann, theta: State, clamp: Clamps) -> State:
    return {
        name: _kept(clamp, name, _derivatives(model.units[name], t)[0], jnp.zeros_like(t)) for name, t in theta.items()
    }


def _onsager(model: Boltzmann, squared: Boltzmann, name: str, theta: State, clamp: Clamps) -> Array:
    """What a unit would feel of itself through the others, taken out of its field."""
    variance, third = _derivatives(model.units[name], theta[name])
    small = variance < 1e-30
    ratio = jnp.where(small, 0, third / jnp.where(small, 1, variance))
    return 0.5 * ratio * squared.local_field(name, _variances(model, theta, clamp))
