"""The most probable joint states of a machine: the cheaper side enumerated, the other at its best, unit by unit.

    max_x log p̃(x) = max_e (log p̃(e) + Σ_s max_x θ_s(e)·T(x))

e runs through the joint states of the enumerated groups and s through the units that are independent given e. The k
best joint states have k different e at most, those whose own best are the best; of these all are found best first.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.kernels.maxima import best_states
from tractable.models.as_tables import log_bases
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.units import Mixed, Units
from tractable.plan.machines import CHUNK, Split
from tractable.posterior.best import RankedModes
from tractable.posterior.exact import binary
from tractable.posterior.exact.best_first import best_first
from tractable.posterior.exact.enumeration import n_states, states


def _kinds(units: Units) -> Iterator[tuple[Units, slice]]:
    """The units of each kind of a group, with their features."""
    if isinstance(units, Mixed):
        yield from ((part, features) for part, _, features in units)
    else:
        yield units, slice(None)


def _bases(units: Units) -> list[np.ndarray]:
    """log q of every state of each unit, of each kind by itself."""
    return [log_bases(part) for part, _ in _kinds(units)]


def _scores(units: Units, theta: Array, bases: list[Any]) -> Iterator[Float[Array, "*b n s"]]:
    """What every state of each unit adds where its natural parameters are these; of each kind by itself."""
    for (part, features), base in zip(_kinds(units), bases, strict=True):
        own = jnp.asarray(part.states(), theta.dtype)
        found = theta[..., features].reshape(*theta.shape[:-1], part.n, own.shape[1]) @ own.T
        yield found + base


def most_probable(machine: Boltzmann, split: Split, n: int) -> RankedModes:
    """The `n` best joint states of a machine all of whose units are discrete, or all where there are fewer."""
    with jax.enable_x64(True):
        machine = machine.astype(np.float64)
        top, index = _best_enumerated(machine, split, n)
        x = _completed(machine, split, top, states(machine, split, jnp.asarray(index)), n)
        log_weights, values = np.atleast_1d(machine.log_joint(x)), machine.decode(x)
    order = np.argsort(-log_weights, kind="stable")
    return RankedModes(log_weights[order], {name: np.asarray(own)[order] for name, own in values.items()})


def _best_enumerated(machine: Boltzmann, split: Split, n: int) -> tuple[np.ndarray, np.ndarray]:
    """What the best states of the enumerated groups have, all others at their best, and the numbers of these states."""
    if binary.applies(machine):
        form = binary.binary_form(machine, split)
        return best_states(form.W, form.c, form.b, form.J, n)
    total, values, index = n_states(machine, split), np.zeros(0), np.zeros(0, np.int64)
    size, bases = min(total, CHUNK), {name: _bases(machine.units[name]) for name in split.summed}
    for start in range(0, total, size):
        parts = (values, index), _chunk_best(machine, split, start, size, min(n, size), bases)
        values, index = (np.concatenate(own) for own in zip(*parts, strict=True))
        order = np.lexsort((index, -values))[:n]
        values, index = values[order], index[order]
    there = values > -np.inf
    return values[there], index[there]


@partial(jax.jit, static_argnums=(1, 3, 4))
def _chunk_best(model: Boltzmann, split: Split, start: Any, size: int, n: int, bases: Any) -> tuple[Array, Array]:
    """The best of `size` states from number `start` on, and their numbers; numbers beyond the last have −∞."""
    index = start + jnp.arange(size)
    inside = index < n_states(model, split)
    x = states(model, split, jnp.where(inside, index, 0))
    zeros = {name: jnp.zeros((size, model.units[name].n_features)) for name in split.summed}
    out = model.interaction({**x, **zeros}) + sum(model.units[name].log_base(own) for name, own in x.items())
    for name in split.summed:
        theta = jnp.broadcast_to(model.local_field(name, {**zeros, **x}), zeros[name].shape)
        out = out + sum(own.max(-1).sum(-1) for own in _scores(model.units[name], theta, bases[name]))
    best, at = jax.lax.top_k(jnp.where(inside, out, -jnp.inf), n)
    return best, index[at]


def _completed(machine: Boltzmann, split: Split, top: np.ndarray, x: Any, n: int) -> dict[str, np.ndarray]:
    """The features of the best joint states, given those of the enumerated groups and what these have."""
    parts = [(name, own) for name in split.summed for own in _all_scores(machine, name, x, len(top))]
    wide = max((own.shape[2] for _, own in parts), default=0)
    pads = [np.pad(own, ((0, 0), (0, 0), (0, wide - own.shape[2])), constant_values=-np.inf) for _, own in parts]
    table = np.concatenate([np.zeros((len(top), 0, wide)), *pads], axis=1)

    def scores(path: array) -> np.ndarray | None:
        rest = table[path[0], len(path) - 1 :] if path else top
        return rest if len(rest) else None

    chosen = np.array(best_first(scores, n)[0])
    out, at = {name: np.asarray(own)[chosen[:, 0]] for name, own in x.items()}, 1
    for name in split.summed:
        found = []
        for part, _ in _kinds(machine.units[name]):
            found.append(part.states()[chosen[:, at : (at := at + part.n)]].reshape(len(chosen), -1))
        out[name] = np.concatenate(found, axis=1)
    return out


def _all_scores(machine: Boltzmann, name: str, x: Any, n: int) -> Iterator[np.ndarray]:
    """What each state of each unit of a group adds to each of `n` enumerated states [n, units, states]."""
    wide = machine.units[name].n_features
    theta = jnp.broadcast_to(machine.local_field(name, {name: jnp.zeros(wide), **x}), (n, wide))
    yield from map(np.asarray, _scores(machine.units[name], theta, _bases(machine.units[name])))


def of_independent(model: Boltzmann, known: dict[str, np.ndarray], x: dict[str, np.ndarray]) -> list[RankedModes]:
    """The best state of each row of features where no two free units interact, and what the second best has."""
    with jax.enable_x64(True):
        model, chosen, loss = model.astype(np.float64), {}, np.full(len(next(iter(x.values()))), np.inf)
        for name in model.groups:
            chosen[name], own = _at_their_best(model, name, known[name], x)
            loss = np.minimum(loss, own)
        log_p, values = np.broadcast_to(model.log_joint(chosen), loss.shape), model.decode(chosen)
    values = {name: np.asarray(own) for name, own in values.items()}
    return [
        RankedModes(np.array([p, p - lost]), {name: own[r : r + 1] for name, own in values.items()})
        for r, (p, lost) in enumerate(zip(log_p, loss, strict=True))
    ]


def _at_their_best(
    model: Boltzmann, name: str, known: np.ndarray, x: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The features of a group, free units at their best, and the least that another state of one loses [rows]."""
    features, loss, n = x[name].copy(), np.full(len(known), np.inf), len(known)
    if known.all():
        return features, loss
    parts = zip(_kinds(model.units[name]), _all_scores(model, name, x, n), strict=True)
    for (part, own), scores in parts:
        best, free = scores.argmax(2), ~known[:, own].reshape(n, part.n, -1)[:, :, 0]
        chosen = part.states()[best].reshape(n, -1)
        features[:, own] = np.where(known[:, own], features[:, own], chosen)
        scores = scores.max(2, keepdims=True) - scores
        np.put_along_axis(scores, best[:, :, None], np.inf, 2)
        loss = np.minimum(loss, np.where(free, scores.min(2, initial=np.inf), np.inf).min(1, initial=np.inf))
    return features, loss


def are_discrete(model: Boltzmann, known: dict[str, np.ndarray]) -> bool:
    """Whether all units have states of the groups of which not all features are known."""
    free = [model.units[name] for name, own in known.items() if not own.all()]
    return all(np.isfinite(part.n_states) for units in free for part, _ in _kinds(units))
