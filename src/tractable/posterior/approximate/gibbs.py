"""Gibbs sampling of Boltzmann machines: each unit drawn given all others, in the blocks of `blocks.schedule`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt32

from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.units import Units
from tractable.posterior.approximate import blocks
from tractable.posterior.approximate.blocks import Clamp, Clamps, Schedule, State, schedule

__all__ = [
    "Clamp",
    "Schedule",
    "State",
    "Stream",
    "averages",
    "drawing",
    "independent",
    "run",
    "schedule",
    "start",
    "sweep",
    "sweep_with_fields",
]

CACHE, FEWEST = 2**19, 16
"""Bytes of states that gathers should find near; and so many chains at least, for the vector units."""


class Stream(NamedTuple):
    """The random numbers of some chains: a key, and the number of each chain, which alone says what it draws."""

    key: Any
    rows: UInt32[Any, " c"]


def drawing(key: Any, rows: Array) -> blocks.Draw:
    """Draws that depend on `key` and the block; chain r uses random numbers of its own, ``rows[r]``."""

    def draw(units: Units, theta: Array, at: tuple[Any, ...]) -> Array:
        own = key
        for number in at:
            own = jax.random.fold_in(own, number)
        return units.sample(own, rows, theta)

    return draw


def sweep(plan: Schedule, model: Boltzmann, key: Any, rows: Array, x: State, clamp: Clamps = None) -> State:
    """Draw every group once given the others, for many chains; chain r uses random numbers of its own, ``rows[r]``."""
    return sweep_with_fields(plan, model, key, rows, x, clamp)[0]


def sweep_with_fields(
    plan: Schedule, model: Boltzmann, key: Any, rows: Array, x: State, clamp: Clamps = None
) -> tuple[State, State]:
    """A sweep, and the natural parameters that each unit was drawn with."""
    ready = blocks.laid_out(plan, model)
    found = blocks.sweep(ready, drawing(key, rows), blocks.pack(ready, x), blocks.pack_clamp(ready, clamp))
    new, theta = (blocks.unpack(ready, part) for part in found)
    return new, theta


CHUNK = 25
"""Sweeps between two looks at what interrupts."""


@jax.jit
def start(model: Boltzmann, key: Any, rows: Array) -> State:
    """Independent draws from the fields alone."""
    return independent(model.units, key, rows, {name: model.fields[name] for name in model.groups})


def independent(units: Mapping[str, Units], key: Any, rows: Array, fields: Mapping[str, Any]) -> State:
    """Draws of units without couplings, whose fields are the same for all chains or have a row for each."""
    draw, x = drawing(key, rows), {}
    for i, (name, theta) in enumerate(fields.items()):
        x[name] = draw(units[name], jnp.broadcast_to(theta, (len(rows), units[name].n_features)), (i,))
    return x


@jax.jit
def run(plan: Schedule, model: Boltzmann, key: Any, x: State, n_sweeps: Any, clamp: Clamps = None) -> State:
    """Many sweeps; the chains are numbered from 0."""
    ready, rows = blocks.laid_out(plan, model), numbers(x)
    held = blocks.pack_clamp(ready, clamp)

    def part(rows: Array, x: State) -> State:
        def one(t: Array, x: State) -> State:
            return blocks.sweep(ready, drawing(jax.random.fold_in(key, t), rows), x, held)[0]

        return blocks.unpack(ready, jax.lax.fori_loop(0, n_sweeps, one, blocks.pack(ready, x)))

    size = _in_cache(plan, model, len(rows)) if clamp is None else len(rows)
    if size == len(rows):
        return part(rows, x)
    parts = {name: a.reshape(-1, size, a.shape[1]) for name, a in x.items()}
    done = jax.lax.map(lambda both: part(*both), (rows.reshape(-1, size), parts))
    return {name: a.reshape(x[name].shape) for name, a in done.items()}


def _in_cache(plan: Schedule, model: Boltzmann, n_chains: int) -> int:
    """How many chains of a sparse machine go through all sweeps together: few enough that gathers stay in the cache.

    What a chain draws does not depend on its company; dense products are better off with all chains at once.
    """
    if set(plan.order) != set(plan.colours):
        return n_chains
    most = max(FEWEST, CACHE // (4 * sum(model.units[name].n_features for name in plan.order)))
    return max((size for size in range(FEWEST, most + 1) if n_chains % size == 0), default=n_chains)


class Along(NamedTuple):
    """The last states of some chains; along each, the averages of the means of all units, and of their squares."""

    x: State
    means: State
    squares: State


def averages(
    plan: Schedule, model: Boltzmann, stream: Stream, x: State, sweeps: tuple[int, int], clamp: Clamps = None
) -> Along:
    """The sweeps of these numbers, and for each chain the average of each unit's mean given the others as it was drawn.

    Averaging means in place of draws has the same expectation and less variance (Rao–Blackwell).
    """
    none = {name: jnp.zeros_like(x[name]) for name in plan.order}
    along = Along(dict(x), none, dict(none))
    for first in range(*sweeps, CHUNK):
        until = min(first + CHUNK, sweeps[1])
        along = jax.block_until_ready(_summed(plan, model, stream, along, (first, until), clamp))
    n, x = max(sweeps[1] - sweeps[0], 1), along.x
    means = {name: _with(clamp, name, part / n) for name, part in along.means.items()}
    squares = {name: _with(clamp, name, part / n, 2) for name, part in along.squares.items()}
    return Along(x, {**x, **means}, {**{name: a**2 for name, a in x.items()}, **squares})


@jax.jit
def _summed(
    plan: Schedule, model: Boltzmann, stream: Stream, along: Along, sweeps: tuple[Any, Any], clamp: Clamps
) -> Along:
    """The states after the sweeps of these numbers, and the sums of the means and of their squares."""
    ready, (key, rows) = blocks.laid_out(plan, model), stream
    held = blocks.pack_clamp(ready, clamp)

    def one(t: Array, carry: Along) -> Along:
        x, theta = blocks.sweep(ready, drawing(jax.random.fold_in(key, t), rows), carry.x, held)
        theta = blocks.unpack(ready, theta)
        means = {name: model.units[name].mean(theta[name]) for name in carry.means}
        squares = {name: carry.squares[name] + m**2 for name, m in means.items()}
        return Along(x, {name: carry.means[name] + m for name, m in means.items()}, squares)

    found = jax.lax.fori_loop(*sweeps, one, along._replace(x=blocks.pack(ready, along.x)))
    return found._replace(x=blocks.unpack(ready, found.x))


def _with(clamp: Clamps, name: str, means: Array, power: int = 1) -> Array:
    held = (clamp or {}).get(name)
    return means if held is None else jnp.where(held.known, held.values**power, means)


def numbers(x: State) -> Array:
    """The chains of a state, numbered from 0."""
    return jnp.arange(next(iter(x.values())).shape[0], dtype=jnp.uint32)
