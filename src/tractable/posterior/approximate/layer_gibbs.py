"""Gibbs sampling of the units of layers: those that share a child one after another, the others at once.

The logit of a unit given all others is its own, from the layer above, plus what its children say:

    Σ_j log p(h_j | parents, unit on) − log p(h_j | parents, unit off),

which is where explaining away comes in: the children's logits hold the states of all their other parents. They are kept
up to date, so that a visit costs one pass over the children of the unit. Units without a common child, and without a
link, are visited together (`blocks_of`); the upper layer of a machine on top, and visible units, all at once. Dense
layers have a kernel (kernels/units.c).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from tractable.graph.layers import LayeredGraph
from tractable.kernels import xla, xla_units
from tractable.models.units import _random
from tractable.posterior.approximate.gibbs import CHUNK

LayerStates = list[Float[Array, "c n"]]


class Held(NamedTuple):
    """What is known of each layer: where, and the values, [c, n] for each."""

    known: list[Bool[Any, "c n"]]
    values: LayerStates


class TemperedLayers(NamedTuple):
    """Between a factorized q and the posterior: logits (1 − β) base + β those of the model; β may be a chain's own."""

    beta: Float[Any, "*c"]
    base: Sequence[Float[Any, "c n"]]


class LayerBlocks(eqx.Module):
    """For every layer the units that are visited together, [n_blocks, width], filled up with a number that is none."""

    units: tuple[Int[Any, "b w"], ...]


def blocks_of(graph: LayeredGraph) -> LayerBlocks:
    """Blocks of units without a common child and without a link, greedily; single units where a layer is dense."""
    return LayerBlocks(tuple(_blocks(graph, at) for at in range(len(graph.names))))


def _blocks(graph: LayeredGraph, at: int) -> np.ndarray:
    name, n = graph.names[at], graph.sizes[graph.names[at]]
    below = graph.links[graph.names[at - 1]] if at else ()
    own = graph.within.get(name, ())
    if below is None or own is None:
        return np.arange(n, dtype=np.int32)[:, None]
    blocks: list[tuple[list[int], set[Any]]] = []
    for unit, children in enumerate(_children(n, below, own)):
        block = next((b for b in blocks if not b[1] & children), None)
        if block is None:
            blocks.append(([unit], children))
        else:
            block[0].append(unit)
            block[1].update(children)
    width = max(len(units) for units, _ in blocks)
    return np.array([units + [n] * (width - len(units)) for units, _ in blocks], np.int32)


def _children(n: int, below: Any, own: Any) -> list[set[Any]]:
    """What each unit shares with others: its children, and its links within the layer, seen from both ends."""
    children: list[set[Any]] = [set() for _ in range(n)]
    for child, parent in below:
        children[parent].add(child)
    for child, parent in own:
        children[parent].add(("own", child))
        children[child].add(("own", child))
    return children


# ---------------------------------------------------------------- a sweep


class Children(NamedTuple):
    """Children of a layer: their states (None for its own), logits [c, m], how much each counts, weights [m, n + 1]."""

    states: Array | None
    logits: Array
    counts: Array
    weights: Array | None


class LayerChains(NamedTuple):
    """What a sweep needs beside states: blocks, the numbers of the chains, what is known, and the tempering."""

    blocks: LayerBlocks
    rows: Array
    held: Held
    tempered: TemperedLayers | None = None


def sweep(model: Any, chains: LayerChains, key: Any, x: LayerStates) -> LayerStates:
    """Draw every layer once given the others, from the bottom upward, the visible one last."""
    x = list(x)
    for at in (*range(1, len(x)), 0):
        own = jax.random.fold_in(key, at)
        if at == 0 and model.within[0] is None:
            x[0] = _independent(model, chains, own, x, 0)
        elif model.family == "deep_belief" and at == len(x) - 1:
            x[at] = _independent(model, chains, own, x, at)
        else:
            x[at] = _one_by_one(model, chains, own, x, at)
    return x


def draw(key: Any, rows: Array, theta: Array) -> Array:
    """0 or 1 for every chain and unit."""
    return _random.bernoulli(key, rows, theta)


def _mixed(theta: Array, tempered: TemperedLayers | None, at: int) -> Array:
    return theta if tempered is None else _between(tempered.beta, tempered.base[at], theta)


def _between(beta: Any, base: Any, theta: Array) -> Array:
    beta = jnp.expand_dims(beta, -1)
    return (1 - beta) * base + beta * theta


def _independent(model: Any, chains: LayerChains, key: Any, x: LayerStates, at: int) -> Array:
    """A layer whose units are independent given the others."""
    theta = jnp.broadcast_to(_mixed(model.logits(at, x), chains.tempered, at), x[at].shape)
    held = chains.held
    return jnp.where(held.known[at], held.values[at], draw(key, chains.rows, theta))


def _one_by_one(model: Any, chains: LayerChains, key: Any, x: LayerStates, at: int) -> Array:
    families = _families(model, x, chains.held, at)
    start = jnp.where(chains.held.known[at], chains.held.values[at], x[at])
    plain = partial(_scanned, chains, key, at)
    together, own = chains.blocks.units[at].shape[1] > 1, chains.tempered and jnp.ndim(chains.tempered.beta)
    if together or own or not _has_kernel(families, start):
        return plain(families, start)
    return jax.lax.platform_dependent(families, start, cpu=partial(_by_kernel, chains, key, at), default=plain)


def _has_kernel(families: list[Children], start: Array) -> bool:
    """Whether these units have children in the layer below and none in their own, in single precision."""
    only_below = families[0].weights is None and len(families) == 2
    return only_below and start.dtype == families[0].logits.dtype == jnp.float32 and xla.available()


def _by_kernel(chains: LayerChains, key: Any, at: int, families: list[Children], start: Array) -> Array:
    (own, below), tempered = families, chains.tempered
    assert below.states is not None and below.weights is not None
    beta = 1.0 if tempered is None else tempered.beta
    order = jnp.asarray(chains.blocks.units[at])[:, 0].astype(jnp.uint32)
    words = (_random.seed(key), chains.rows.astype(jnp.uint32), order)
    units = (_mixed(own.logits, tempered, at), start, (~chains.held.known[at]).astype(jnp.float32))
    states = jnp.broadcast_to(below.states, below.logits.shape)
    return xla_units.gibbs_units(words, units, (states, below.logits, below.counts, below.weights[:, :-1]), beta)


def _scanned(chains: LayerChains, key: Any, at: int, families: list[Children], start: Array) -> Array:
    held, tempered = chains.held, chains.tempered
    uniform = _random.uniform(key, chains.rows, start.shape[1], start.dtype)
    threshold = jnp.log(uniform) - jnp.log1p(-uniform)

    def visit(carry: tuple[Array, list[Array]], here: Array) -> tuple[tuple[Array, list[Array]], None]:
        h, logits = carry
        old, theta = _taken(h, here), _taken(logits[0], here)
        offs = []
        for family, a in zip(families, logits, strict=True):
            said, off = _said(family, h, a, here, old)
            theta, offs = theta + said, [*offs, off]
        if tempered is not None:
            theta = _between(tempered.beta, _taken(tempered.base[at], here), theta)
        drawn = (_taken(threshold, here) < theta).astype(h.dtype)
        new = jnp.where(_taken(held.known[at], here), old, drawn)
        logits = [_back(f, off, here, new) for f, off in zip(families, offs, strict=True)]
        return (h.at[:, here].set(new, mode="drop"), logits), None

    (h, _), _ = jax.lax.scan(visit, (start, [f.logits for f in families]), jnp.asarray(chains.blocks.units[at]))
    return h


def _taken(a: Array, here: Array) -> Array:
    """Columns of an array, zeros for the unit that is none."""
    return a.at[:, here].get(mode="fill", fill_value=0)


def _families(model: Any, x: LayerStates, held: Held, at: int) -> list[Children]:
    """The layer itself, whose units may be children of others in it, and the layer below.

    Visible units that are free and depend on no other say nothing.
    """
    own = model.within[at] if at < len(model.within) else None
    logits = jnp.broadcast_to(model.logits(at, x), x[at].shape)
    out = [Children(None, logits, jnp.ones_like(logits), None if own is None else _columns(own))]
    if at:
        logits = jnp.broadcast_to(model.logits(at - 1, x), x[at - 1].shape)
        counts = held.known[0] if at == 1 and model.within[0] is None else jnp.ones_like(logits)
        out.append(Children(x[at - 1], logits, counts.astype(logits.dtype), _columns(model.weights[at - 1])))
    return out


def _columns(w: Any) -> Array:
    """The weights with a column of zeros for the unit that is none."""
    return jnp.pad(jnp.asarray(w), ((0, 0), (0, 1)))


def _said(family: Children, h: Array, logits: Array, here: Array, old: Array) -> tuple[Array | float, Array]:
    """What children say of each of these parents [c, w], and the children's logits with these parents off."""
    if family.weights is None:
        return 0.0, logits
    w, states = family.weights[:, here], h if family.states is None else family.states
    off = logits - old @ w.T
    on = off + w.sum(1)
    ratio = (states * (on - off) - jax.nn.softplus(on) + jax.nn.softplus(off)) * family.counts
    return ratio @ (w != 0).astype(w.dtype), off


def _back(family: Children, off: Array, here: Array, new: Array) -> Array:
    """The children's logits with these parents in their new states."""
    return off if family.weights is None else off + new @ family.weights[:, here].T


def log_odds(model: Any, chains: LayerChains, x: LayerStates) -> LayerStates:
    """The logit of every unit given the states of all others, what is known of it left out."""
    top = len(x) - 1 if model.family == "deep_belief" else -1
    alone = {top} | ({0} if model.within[0] is None else set())
    return [
        jnp.broadcast_to(model.logits(at, x), h.shape) if at in alone else _odds(model, chains, x, at)
        for at, h in enumerate(x)
    ]


def _odds(model: Any, chains: LayerChains, x: LayerStates, at: int) -> Array:
    families, units = _families(model, x, chains.held, at), jnp.asarray(chains.blocks.units[at])

    def visit(_: None, here: Array) -> tuple[None, Array]:
        old, theta = _taken(x[at], here), _taken(families[0].logits, here)
        return None, theta + sum(_said(family, x[at], family.logits, here, old)[0] for family in families)

    _, found = jax.lax.scan(visit, None, units)
    flat = jnp.moveaxis(found, 1, 0).reshape(len(x[at]), -1)
    return jnp.zeros_like(x[at]).at[:, units.ravel()].set(flat, mode="drop")


# ---------------------------------------------------------------- many sweeps


def means(model: Any, x: LayerStates) -> LayerStates:
    """The mean of every visible unit given the layer above, and the states of the others."""
    return [jax.nn.sigmoid(jnp.broadcast_to(model.logits(0, x), x[0].shape)), *x[1:]]


class LayerAverages(NamedTuple):
    """Averages along each chain, layer by layer: of every unit, and of its square."""

    means: LayerStates
    squares: LayerStates


def averages(
    model: Any, chains: LayerChains, key: Any, x: LayerStates, sweeps: range
) -> tuple[LayerStates, LayerAverages]:
    """The sweeps of these numbers: the last states, and averages over the way."""
    x, total = list(x), LayerAverages(*([jnp.zeros_like(h) for h in x] for _ in LayerAverages._fields))
    for first in sweeps[::CHUNK]:
        until = min(first + CHUNK, sweeps.stop)
        x, total = jax.block_until_ready(_summed(model, chains, key, (x, total), (first, until)))
    held, n = chains.held, max(len(sweeps), 1)

    def known(values: LayerStates, sums: LayerStates) -> LayerStates:
        return [jnp.where(k, v, a / n) for k, v, a in zip(held.known, values, sums, strict=True)]

    return x, LayerAverages(known(held.values, total.means), known([v**2 for v in held.values], total.squares))


@jax.jit
def _summed(
    model: Any, chains: LayerChains, key: Any, at: tuple[LayerStates, LayerAverages], sweeps: tuple[Any, Any]
) -> tuple[LayerStates, LayerAverages]:
    """The states after the sweeps of these numbers, and their sums."""

    def one(t: Array, carry: tuple[LayerStates, LayerAverages]) -> tuple[LayerStates, LayerAverages]:
        x, total = carry
        x = sweep(model, chains, jax.random.fold_in(key, t), x)
        seen = means(model, x) if model.within[0] is None else x
        return x, jax.tree.map(jnp.add, total, LayerAverages(seen, [h**2 for h in seen]))

    return jax.lax.fori_loop(*sweeps, one, at)
