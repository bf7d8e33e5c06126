"""The blocks in which the units of a machine are visited, by structure, and one sweep over them.

A group whose units do not interact is visited at once: one matrix product for all chains. A sparse group is visited
one colour class after another, each gathering the neighbours of its units. A dense group is visited unit by unit, all
chains together. Layers alternate: one sweep visits every second layer, then the others. Gibbs sampling draws each unit
given the others; mean field puts its mean in its place: the sweep is the same.

Inside a loop of sweeps the chains of a group with couplings of its own come last and its units in the order of the
visit, so that every gather, product and update moves contiguous rows: `laid_out`, `pack` and `unpack`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from tractable.graph.groups import GroupGraph
from tractable.models._base import ModelError
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.units import Units

State = dict[str, Float[Array, "c f"]]
Draw = Callable[[Units, Float[Array, "c f"], tuple[Any, ...]], Float[Array, "c f"]]
"""(units, their natural parameters, which block it is) → new features."""

TOGETHER = 32
"""So many units of a dense group share one matrix product; among them the fields are kept up to date one by one."""

FEW_NEIGHBOURS = 32


class ColourClass(NamedTuple):
    """Units of which no two interact, with the neighbours of each and the edges that lead to them."""

    units: Int[Any, " u"]
    neighbours: Int[Any, "u d"]
    edges: Int[Any, "u d"]
    present: Float[Any, "u d"]


class Schedule(eqx.Module):
    """The order in which the groups are visited, which of them unit by unit, and the colour classes of sparse ones."""

    order: tuple[str, ...] = eqx.field(static=True)
    sequential: tuple[str, ...] = eqx.field(static=True)
    colours: dict[str, tuple[ColourClass, ...]]

    def only(self, groups: Sequence[str]) -> Schedule:
        """The same for some of the groups; the others stay as they are."""
        return replace(self, order=tuple(name for name in self.order if name in groups))


class Clamp(NamedTuple):
    """Entries that stay as they are: where they are, and their features."""

    known: Bool[Any, "c f"]
    values: Float[Any, "c f"]


Clamps = Mapping[str, Clamp] | None
"""What is held of each group."""


class Tempered(NamedTuple):
    """Chain r has the natural parameters (1 − β_r) base + β_r θ of a machine between a factorized one and the model.

    The base of a group without couplings of its own may have a row for each chain.
    """

    beta: Float[Array, " c"]
    base: Mapping[str, Float[Array, "*c f"]]


# ---------------------------------------------------------------- the schedule, from the graph alone


def schedule(graph: GroupGraph) -> Schedule:
    """The blocks of a sweep, by structure; the visible group comes last.

    Raises
    ------
    ModelError : continuous units that are coupled to each other.
    """
    order = tuple(name for block in reversed(graph.independent_groups()) for name in reversed(block))
    for name in order:
        if graph.coupled_within(name) and not np.isfinite(graph.states[name]):
            raise ModelError(f"the continuous units of {name} are coupled to each other; only discrete ones may be")
    colours = {name: tuple(colour_classes(graph.sizes[name], edges)) for name, edges in graph.edges.items()}
    sequential = tuple(name for name in order if graph.coupled_within(name) and name not in colours)
    return Schedule(order, sequential, colours)


def colour_classes(n: int, edges: Any) -> list[ColourClass]:
    """Few sets of units without edges inside, found greedily along a breadth-first walk."""
    around: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    for e, (i, j) in enumerate(edges):
        around[i].append((j, e))
        around[j].append((i, e))
    colour = np.full(n, -1)
    for unit in _breadth_first(around):
        taken = {colour[j] for j, _ in around[unit]}
        colour[unit] = next(c for c in range(n) if c not in taken)
    same = [np.flatnonzero(colour == c) for c in range(colour.max(initial=-1) + 1)]
    return [_colour_class(part, around) for units in same for part in _by_degree(units, around)]


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


def _by_degree(units: np.ndarray, around: list[list[tuple[int, int]]]) -> list[np.ndarray]:
    """One class, or several where a few units with many neighbours would pad the table of all others."""
    degree = np.array([len(around[u]) for u in units])
    if degree.max() * len(units) <= 2 * degree.sum() + 64:
        return [units]
    size = np.ceil(np.log2(np.maximum(degree, 1)))
    return [units[size == s] for s in np.unique(size)]


def _colour_class(units: np.ndarray, around: list[list[tuple[int, int]]]) -> ColourClass:
    width = max(len(around[u]) for u in units)
    padded = [around[u] + [(0, 0)] * (width - len(around[u])) for u in units]
    pairs = np.asarray(padded, np.int32).reshape(len(units), width, 2)
    present = np.arange(width) < np.array([len(around[u]) for u in units])[:, None]
    return ColourClass(units.astype(np.int32), pairs[..., 0], pairs[..., 1], present.astype(np.float32))


# ---------------------------------------------------------------- layout: what a loop of sweeps works on


class Sparse(NamedTuple):
    """A sparse group: its units in the order of the visit, where each stands in it, and for each colour class the
    neighbours in that numbering and the couplings to them, [d, u]."""

    order: Int[Array, " n"]
    place: Int[Array, " n"]
    neighbours: tuple[Int[Array, "d u"], ...]
    weights: tuple[Float[Array, "d u"], ...]


class Blocks(eqx.Module):
    """A machine made ready for sweeps: `outer` lacks the couplings within groups, which the other fields hold.

    `dense` has the symmetric couplings of groups that are visited unit by unit, padded to whole blocks of units.
    """

    plan: Schedule
    outer: Boltzmann
    sparse: dict[str, Sparse]
    dense: dict[str, Float[Array, "f f"]]


def laid_out(plan: Schedule, model: Boltzmann) -> Blocks:
    """The machine made ready; what does not change from sweep to sweep is computed here."""
    across = {pair: w for pair, w in model.couplings.items() if pair[0] != pair[1]}
    sparse = {
        name: _sparse(classes, jnp.asarray(model.couplings[name, name])) for name, classes in plan.colours.items()
    }
    dense = {name: _padded(model, name) for name in plan.sequential}
    return Blocks(plan, replace(model, couplings=across, edges={}), sparse, dense)


def _sparse(classes: tuple[ColourClass, ...], w: Array) -> Sparse:
    order = jnp.concatenate([part.units for part in classes])
    place = jnp.zeros_like(order).at[order].set(jnp.arange(len(order), dtype=order.dtype))
    neighbours = tuple(place[part.neighbours].T for part in classes)
    weights = tuple((w[part.edges] * part.present.astype(w.dtype)).T for part in classes)
    return Sparse(order, place, neighbours, weights)


def _padded(model: Boltzmann, name: str) -> Array:
    width, _, total = _sizes(model.units[name])
    w = model.within(name)
    return jnp.pad(w, [(0, total * width - len(w))] * 2)


def _sizes(units: Units) -> tuple[int, int, int]:
    """Features of a unit, units of a block, units of all blocks."""
    n_blocks = -(-units.n // TOGETHER)
    block = -(-units.n // n_blocks)
    return units.n_features // units.n, block, n_blocks * block


def pack(blocks: Blocks, x: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays [c, f] as they are for most groups, [f, c] in the order of the visit for those with couplings within."""
    return {name: _packed(blocks, name, a) for name, a in x.items()}


def _packed(blocks: Blocks, name: str, a: Array) -> Array:
    if name in blocks.sparse:
        return a.T[blocks.sparse[name].order]
    if name in blocks.dense:
        width, _, total = _sizes(blocks.outer.units[name])
        return jnp.pad(a.T, ((0, total * width - a.shape[-1]), (0, 0)))
    return a


def unpack(blocks: Blocks, x: Mapping[str, Array]) -> dict[str, Array]:
    """The inverse of `pack`."""
    return {name: _unpacked(blocks, name, a) for name, a in x.items()}


def _unpacked(blocks: Blocks, name: str, a: Array) -> Array:
    if name in blocks.sparse:
        return a[blocks.sparse[name].place].T
    return a[: blocks.outer.units[name].n_features].T if name in blocks.dense else a


def pack_clamp(blocks: Blocks, clamp: Clamps) -> dict[str, Clamp]:
    """Clamped entries in the layout of the state."""
    return {name: Clamp(*(_packed(blocks, name, a) for a in held)) for name, held in (clamp or {}).items()}


# ---------------------------------------------------------------- a sweep


class Visit(NamedTuple):
    """What one group needs to be visited: its number in the sweep, how its units are drawn, and what stays as it is."""

    at: int
    name: str
    draw: Draw
    held: Clamp | None
    base: Array | None  # [f] in the layout of the group, beside `beta`
    beta: Array | None


def sweep(
    blocks: Blocks, draw: Draw, x: Mapping[str, Array], clamp: Mapping[str, Clamp], tempered: Tempered | None = None
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Visit every group once: the new state, and the natural parameters that each unit was drawn with; all packed."""
    x, thetas = dict(x), {}
    for i, name in enumerate(blocks.plan.order):
        base = None if tempered is None else _packed(blocks, name, jnp.atleast_2d(tempered.base[name]))
        visit = Visit(i, name, draw, clamp.get(name), base, None if tempered is None else tempered.beta)
        outer = blocks.outer.local_field(name, unpack(blocks, {k: v for k, v in x.items() if k != name}))
        if name in blocks.sparse:
            x[name], thetas[name] = _by_colour(blocks, visit, outer, x[name])
        elif name in blocks.dense:
            x[name], thetas[name] = _one_by_one(blocks, visit, outer, x[name])
        else:
            theta = jnp.broadcast_to(_mixed(outer, base, visit.beta, rows=0), x[name].shape)
            x[name], thetas[name] = _held(draw(blocks.outer.units[name], theta, (i,)), visit.held), theta
    return x, thetas


def _mixed(theta: Array, base: Array | None, beta: Array | None, rows: int) -> Array:
    """θ of the model, or what lies between the base and it; `rows` is the axis of the chains."""
    if base is None or beta is None:
        return theta
    return base + jnp.expand_dims(beta, 1 - rows) * (theta - base)


def _held(new: Array, held: Clamp | None, at: Any = None) -> Array:
    if held is None:
        return new
    known, values = held
    if at is not None:
        known, values = (jax.lax.dynamic_slice_in_dim(a, at, new.shape[0]) for a in held)
    return jnp.where(known, values, new)


def _by_colour(blocks: Blocks, visit: Visit, outer: Array, own: Array) -> tuple[Array, Array]:
    units, sparse = blocks.outer.units[visit.name], blocks.sparse[visit.name]
    field = jnp.atleast_2d(outer).T[sparse.order]
    at, thetas = 0, []
    for c, (nearby, w) in enumerate(zip(sparse.neighbours, sparse.weights, strict=True)):
        here = slice(at, at + w.shape[1])
        theta = _mixed(field[here] + _gathered(nearby, w, own), _part(visit.base, here), visit.beta, rows=1)
        part = units.take(sparse.order[here])  # pyright: ignore[reportArgumentType]
        new = visit.draw(part, theta.T, (visit.at, c)).T
        own = jax.lax.dynamic_update_slice_in_dim(own, _held(new, visit.held, at), at, 0)
        thetas.append(theta)
        at = here.stop
    return own, jnp.concatenate(thetas)


def _part(base: Array | None, here: slice) -> Array | None:
    return None if base is None else base[here]


def _gathered(nearby: Array, w: Array, own: Array) -> Array:
    """Σ_d w_d x_(d-th neighbour) [u, c]; few neighbours are written out, so that one loop reads and adds them all."""
    if len(w) > FEW_NEIGHBOURS:
        return jnp.einsum("duc,du->uc", own.at[nearby].get(mode="promise_in_bounds"), w)
    total = jnp.zeros((w.shape[1], own.shape[1]), own.dtype)
    for one, a in zip(nearby, w, strict=True):
        total = total + own.at[one].get(mode="promise_in_bounds") * a[:, None]
    return total


def _one_by_one(blocks: Blocks, visit: Visit, outer: Array, own: Array) -> tuple[Array, Array]:
    """Block by block: the fields by one product, then one unit after another, the fields of those to come updated."""
    units, w = blocks.outer.units[visit.name], blocks.dense[visit.name]
    width, block, total = _sizes(units)
    one, size = units.take(np.arange(1)), width * block
    field = jnp.atleast_2d(jnp.pad(outer, [(0, 0)] * (outer.ndim - 1) + [(0, len(w) - outer.shape[-1])])).T
    later = jnp.kron(jnp.tri(block, k=-1, dtype=w.dtype), jnp.ones((width, width), w.dtype))

    def draw_block(own: Array, b: Array) -> tuple[Array, Array]:
        first = b * size
        rows = jax.lax.dynamic_slice_in_dim(w, first, size)
        inside = jax.lax.dynamic_slice_in_dim(rows, first, size, 1) * later
        base = None if visit.base is None else jax.lax.dynamic_slice_in_dim(visit.base, first, size)

        def draw_unit(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            own, theta = carry
            at = i * width
            old = jax.lax.dynamic_slice_in_dim(own, first + at, width)
            mixed = _mixed(
                jax.lax.dynamic_slice_in_dim(theta, at, width),
                None if base is None else jax.lax.dynamic_slice_in_dim(base, at, width),
                visit.beta,
                rows=1,
            )
            new = _held(visit.draw(one, mixed.T, (visit.at, b * block + i)).T, visit.held, first + at)
            theta = theta + _product(jax.lax.dynamic_slice_in_dim(inside, at, width, 1), new - old)
            return jax.lax.dynamic_update_slice_in_dim(own, new, first + at, 0), theta

        theta = jax.lax.dynamic_slice_in_dim(field, first, size) + rows @ own
        own, theta = jax.lax.fori_loop(0, block, draw_unit, (own, theta))
        return own, _mixed(theta, base, visit.beta, rows=1)

    own, thetas = jax.lax.scan(draw_block, own, jnp.arange(total // block))
    return own, thetas.reshape(own.shape)


def _product(w: Array, change: Array) -> Array:
    """A matrix product of which the inner dimension is short: sums of outer products, which need no library call."""
    return sum((w[:, k, None] * change[k] for k in range(1, w.shape[1])), w[:, 0, None] * change[0])
