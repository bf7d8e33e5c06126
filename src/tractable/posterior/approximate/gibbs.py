"""Gibbs sampling of Boltzmann machines, its blocks chosen by structure.

A group whose units do not interact is drawn at once: one matrix product for all chains. A sparse group is drawn one
colour class after another, each gathering the neighbours of its units. A dense group is drawn unit by unit, all chains
together. Layers alternate: one sweep draws every second layer, then the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from tractable.graph.groups import GroupGraph
from tractable.models.boltzmann_machine import Boltzmann

State = dict[str, Float[Array, "c f"]]


class ColourClass(NamedTuple):
    """Units of which no two interact, with the neighbours of each and the edges that lead to them."""

    units: Int[Array, " u"]
    neighbours: Int[Array, "u d"]
    edges: Int[Array, "u d"]
    present: Float[Array, "u d"]


class Schedule(eqx.Module):
    """The order in which the groups are drawn, and the colour classes of those that are sparse."""

    order: tuple[str, ...] = eqx.field(static=True)
    sequential: tuple[str, ...] = eqx.field(static=True)
    colours: dict[str, tuple[ColourClass, ...]]


class Clamp(NamedTuple):
    """Entries that stay as they are: where they are, and their features."""

    known: Bool[Array, "c f"]
    values: Float[Array, "c f"]


def schedule(graph: GroupGraph) -> Schedule:
    """The blocks of a sweep, by structure; the visible group comes last."""
    order = tuple(name for block in reversed(graph.independent_groups()) for name in reversed(block))
    colours = {name: tuple(colour_classes(graph.sizes[name], edges)) for name, edges in graph.edges.items()}
    sequential = tuple(name for name in order if graph.coupled_within(name) and name not in colours)
    return Schedule(order, sequential, colours)


def colour_classes(n: int, edges: Any) -> list[ColourClass]:
    """Few sets of units without edges inside, found greedily from the units with most neighbours on."""
    around: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    for e, (i, j) in enumerate(edges):
        around[i].append((j, e))
        around[j].append((i, e))
    colour = np.full(n, -1)
    for unit in _breadth_first(around):
        taken = {colour[j] for j, _ in around[unit]}
        colour[unit] = next(c for c in range(n) if c not in taken)
    return [_colour_class(np.flatnonzero(colour == c), around) for c in range(colour.max(initial=-1) + 1)]


def _breadth_first(around: list[list[tuple[int, int]]]) -> list[int]:
    """Every unit after a neighbour of it where it has one: two colours then do for whatever two colours can do for."""
    order: dict[int, None] = {}
    for root in range(len(around)):
        queue = [root]
        for unit in queue:  # grows while it runs
            if unit not in order:
                order[unit] = None
                queue.extend(j for j, _ in around[unit] if j not in order)
    return list(order)


def _colour_class(units: np.ndarray, around: list[list[tuple[int, int]]]) -> ColourClass:
    width = max((len(around[u]) for u in units), default=0)
    padded = [around[u] + [(0, 0)] * (width - len(around[u])) for u in units]
    pairs = np.asarray(padded, np.int32).reshape(len(units), width, 2)
    present = np.arange(width) < np.array([len(around[u]) for u in units])[:, None]
    return ColourClass(units.astype(np.int32), pairs[..., 0], pairs[..., 1], present.astype(np.float32))


def sweep(
    plan: Schedule, model: Boltzmann, key: Any, rows: Array, x: State, clamp: Mapping[str, Clamp] | None = None
) -> State:
    """Draw every group once given the others, for many chains; chain r uses random numbers of its own, ``rows[r]``."""
    x = dict(x)
    for i, name in enumerate(plan.order):
        own = jax.random.fold_in(key, i)
        if name in plan.colours:
            new = _draw_colours(plan.colours[name], model, name, own, rows, x)
        elif name in plan.sequential:
            new = _draw_sequentially(model, name, own, rows, x)
        else:
            new = model.units[name].sample(own, rows, model.local_field(name, x))
        held = (clamp or {}).get(name)
        x[name] = new if held is None else jnp.where(held.known, held.values, new)
    return x


def _draw_colours(colours: tuple[ColourClass, ...], model: Boltzmann, name: str, key: Any, rows: Array, x: State) -> Array:
    own, w = x[name], jnp.asarray(model.couplings[name, name])
    outer = model.local_field(name, {k: v for k, v in x.items() if k != name} | {name: jnp.zeros_like(own)})
    outer = jnp.broadcast_to(outer, own.shape)
    for c, part in enumerate(colours):
        weights = w[part.edges] * part.present
        theta = outer[:, part.units] + jnp.einsum("cud,ud->cu", own[:, part.neighbours], weights)
        drawn = model.units[name].take(part.units).sample(jax.random.fold_in(key, c), rows, theta)
        own = own.at[:, part.units].set(drawn)
    return own


def _draw_sequentially(model: Boltzmann, name: str, key: Any, rows: Array, x: State) -> Array:
    """One unit after another, the fields of all others kept up to date."""
    units, w = model.units[name], model.within(name)
    width = units.n_features // units.n
    one = units.take(np.arange(1))

    def draw(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        own, theta = carry
        at = i * width
        new = one.sample(jax.random.fold_in(key, i), rows, jax.lax.dynamic_slice_in_dim(theta, at, width, 1))
        change = new - jax.lax.dynamic_slice_in_dim(own, at, width, 1)
        theta = theta + change @ jax.lax.dynamic_slice_in_dim(w, at, width, 0)
        return jax.lax.dynamic_update_slice_in_dim(own, new, at, 1), theta

    start = jnp.broadcast_to(model.local_field(name, x), x[name].shape)
    return jax.lax.fori_loop(0, units.n, draw, (x[name], start))[0]


def start(model: Boltzmann, key: Any, rows: Array) -> State:
    """Independent draws from the fields alone."""
    x = {}
    for i, name in enumerate(model.groups):
        theta = jnp.broadcast_to(jnp.asarray(model.fields[name]), (len(rows), model.units[name].n_features))
        x[name] = model.units[name].sample(jax.random.fold_in(key, i), rows, theta)
    return x


@jax.jit
def run(plan: Schedule, model: Boltzmann, key: Any, x: State, n_sweeps: Any) -> State:
    """Many sweeps; the chains are numbered from 0."""
    rows = jnp.arange(next(iter(x.values())).shape[0], dtype=jnp.uint32)
    return jax.lax.fori_loop(0, n_sweeps, lambda t, x: sweep(plan, model, jax.random.fold_in(key, t), rows, x), x)
