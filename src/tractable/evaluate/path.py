"""The way from a machine without couplings to a model: log p̃_β = (1 − β) log p̃_base + β log p̃_model.

Base and model have the same units, so the machine between them has lerped fields and β times the couplings, and its
local fields are (1 − β) a + β φ(x): one matrix product serves every temperature. The groups that are independent given
the others are summed out, and increments of log p̃_β of the groups that are kept are taken unit by unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.evaluate import narrow
from tractable.evaluate.cumulants import cumulant_change
from tractable.kernels import xla
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.units import Bernoulli, Spin, Units, _random
from tractable.plan.machines import Split, split
from tractable.posterior.approximate import blocks, gibbs

State = dict[str, Float[Array, "c f"]]
Progress = Callable[[int, int], None] | None
Ready = blocks.Blocks | None
"""A machine laid out for sweeps, where some group has couplings of its own."""

FLIPS = 16
NARROW = 64
"""In groups of at most so many kept units, single ones are flipped: all of them where that is cheap or they are few,
else some after each sweep; in wider groups it no longer pays."""

CHUNK = 25
"""Temperatures in one call; the last call is filled up with steps that do not change the temperature."""


class Path(eqx.Module):
    """The machines between a base and a model, and which of their groups are summed out.

    Attributes
    ----------
    model : the end at β = 1, without its offset.
    base : group → fields of the machine without couplings at β = 0.
    schedule : the order in which the groups that are kept are drawn.
    summed, kept : the groups summed out in closed form, and the others, which are the state of a chain.
    flips : how many single units are drawn in each step with the summed groups summed out.
    narrow : the same path as the kernel takes it, where it does.
    backward : whether each step is the time reversal of the one of the forward path.
    """

    model: Boltzmann
    base: Mapping[str, Float[Any, " f"]]
    schedule: gibbs.Schedule
    summed: tuple[str, ...] = eqx.field(static=True)
    kept: tuple[str, ...] = eqx.field(static=True)
    flips: int = eqx.field(static=True, default=0)
    narrow: narrow.Narrow | None = None
    backward: bool = eqx.field(static=True, default=False)


def make_path(model: Boltzmann, base: Mapping[str, Any], flipping: bool = True) -> Path:
    """The path from given fields to a model, in single precision; as many states as possible are summed out."""
    summed = _summed(model)
    plan = gibbs.schedule(model.graph)
    order = tuple(name for name in plan.order if name not in summed)
    plain = eqx.tree_at(lambda m: m.offset, model, np.zeros(())).astype(np.float32)
    fields = {name: np.asarray(base[name], np.float32) for name in model.groups}
    schedule = gibbs.Schedule(order, tuple(g for g in plan.sequential if g in order), plan.colours)
    path = Path(plain, fields, schedule, summed, order)
    return _flipping(path) if flipping and _is_narrow(path) else path


def _summed(model: Boltzmann) -> tuple[str, ...]:
    """The groups that the cheapest enumeration would sum out; none where there would be nothing left to keep."""
    found = split(model.graph)
    if found is None or not found.enumerated:
        return ()
    return tuple(name for name in found.summed if (name, name) not in model.couplings)


def _is_narrow(path: Path) -> bool:
    """Whether one group of a few two-state units is kept and all that it touches is summed out."""
    graph = path.model.graph
    alone = len(path.kept) == 1 and len(path.summed) > 0 and not graph.coupled_within(path.kept[0])
    return alone and graph.states[path.kept[0]] == 2 and graph.sizes[path.kept[0]] <= NARROW


def _flipping(path: Path) -> Path:
    """The path on which single units are drawn as well; only these, where each comes up in every step."""
    n = path.model.units[path.kept[0]].n
    two_states = all(isinstance(units, Bernoulli | Spin) for units in path.model.units.values())
    form = narrow.narrow_form(path.model, path.base, Split(path.kept, path.summed)) if two_states else None
    return replace(path, narrow=form, flips=min(FLIPS, n) if form is None else n)


def base_log_partition(path: Path) -> float:
    """log Z of the machine at β = 0: the sum of its cumulants, in double precision."""
    with jax.enable_x64(True):
        units = path.model.astype(np.float64).units
        fields = {name: np.asarray(a, np.float64) for name, a in path.base.items()}
        return float(sum_of_cumulants(units, fields))


@jax.jit
def sum_of_cumulants(units: Mapping[str, Units], fields: Mapping[str, Array]) -> Float[Array, "*b"]:
    """log Z of machines without couplings."""
    return sum((units[name].cumulant(a).sum(-1) for name, a in fields.items()), jnp.zeros(()))


def _lerp(beta: Any, start: Any, end: Any) -> Array:
    return start + beta * (jnp.asarray(end) - start)


# ---------------------------------------------------------------- increments


def _linear(path: Path, x: State) -> Float[Array, " c"]:
    """∂/∂β of what does not go through a cumulant: (b − a)·T(x) and the couplings among the groups that are kept."""
    inner = {pair: w for pair, w in path.model.couplings.items() if {*pair} <= {*path.kept}}
    fields = {name: jnp.asarray(path.model.fields[name]) - path.base[name] for name in path.kept}
    part = eqx.tree_at(lambda m: (m.fields, m.couplings), path.model, (fields, inner), is_leaf=lambda v: v is None)
    return part.interaction(x)


# ---------------------------------------------------------------- sweeps


class At(NamedTuple):
    """One step: its number, the temperatures before and after it, and the units that are flipped in it."""

    time: Any
    old: Any
    new: Any
    sites: Any


class Chains(NamedTuple):
    """The kept states, and what their couplings add to the fields of the groups that are summed out."""

    x: State
    slope: State


def _slopes(path: Path, x: State) -> State:
    """∂θ/∂β of each summed group."""
    return {name: path.model.local_field(name, x) - path.base[name] for name in path.summed}


def _change(path: Path, chains: Chains, at: At) -> Float[Array, " c"]:
    """log p̃ of the kept states at the new temperature less that at the old one."""
    step = at.new - at.old
    out = step * _linear(path, chains.x)
    for name, slope in chains.slope.items():
        units, theta = path.model.units[name], path.base[name] + at.old * slope
        out = out + cumulant_change(units, theta, step * slope).sum(-1)
    return out


def _step(path: Path, ready: Ready, key: Any, chains: Chains, at: At) -> tuple[Chains, Array]:
    """The increment of log p̃ from one temperature to the next, then a sweep and flips at the next."""
    change = _change(path, chains, at)
    moves = [partial(_swept, path, ready), partial(_flips, path)]
    for move in moves[::-1] if path.backward else moves:
        chains = move(key, chains, at)
    return chains, change


def _swept(path: Path, ready: Ready, key: Any, chains: Chains, at: At) -> Chains:
    """The chains after a sweep; where every unit is flipped, that adds nothing."""
    if path.flips and path.flips == path.model.units[path.kept[0]].n:
        return chains
    x = _sweep(path, ready, jax.random.fold_in(key, 0), chains, at.new)
    return Chains(x, _slopes(path, x))


def _sweep(path: Path, ready: Ready, key: Any, chains: Chains, beta: Array) -> State:
    """Draw the summed groups given the others, then the others given them."""
    rows, x = _numbers(chains.x), dict(chains.x)
    for i, name in enumerate(path.summed):
        theta = path.base[name] + beta * chains.slope[name]
        x[name] = _drawn(path.model.units[name], jax.random.fold_in(key, i), rows, theta)
    key = jax.random.fold_in(key, len(path.summed))
    if ready is not None:
        between = blocks.Tempered(jnp.broadcast_to(beta, rows.shape), path.base)
        x = blocks.unpack(ready, blocks.sweep(ready, gibbs.drawing(key, rows), blocks.pack(ready, x), {}, between)[0])
    else:
        for i, name in enumerate(path.schedule.order):
            theta = _lerp(beta, path.base[name], path.model.local_field(name, x))
            x[name] = _drawn(path.model.units[name], jax.random.fold_in(key, i), rows, theta)
    return {name: x[name] for name in path.kept}


def _drawn(units: Units, key: Any, rows: Array, theta: Array) -> Array:
    return units.sample(key, rows, jnp.broadcast_to(theta, (rows.shape[0], units.n_features)))


def _flips(path: Path, key: Any, chains: Chains, at: At) -> Chains:
    """Gibbs draws of single kept units with the summed groups summed out: they cross where block sweeps are stuck."""
    if not path.flips:
        return chains
    (name,) = path.kept
    sites = (at.sites * path.flips + jnp.arange(path.flips)) % path.model.units[name].n
    keys = _flip_keys(path, key)
    if path.backward:
        sites, keys = sites[::-1], keys[::-1]
    rows = {group: _rows_of_couplings(path.model, name, group, sites) for group in path.summed}
    field = _lerp(at.new, path.base[name], path.model.fields[name])
    both = float(path.model.units[name].states().sum())

    def flip(chains: Chains, now: Any) -> tuple[Chains, None]:
        own, (key, site, w) = chains.x[name], now
        here = jax.lax.dynamic_index_in_dim(own, site, 1, keepdims=False)
        move = both - 2 * here
        log_ratio, slope = move * field[site], {g: s + move[:, None] * w[g] for g, s in chains.slope.items()}
        for group, s in chains.slope.items():
            units, theta = path.model.units[group], path.base[group] + at.new * s
            log_ratio = log_ratio + cumulant_change(units, theta, at.new * (slope[group] - s)).sum(-1)
        taken = _random.bernoulli(key, _numbers(chains.x), log_ratio[:, None])
        own = jax.lax.dynamic_update_index_in_dim(own, here + taken[:, 0] * move, site, 1)
        return Chains({name: own}, jax.tree.map(partial(jnp.where, taken > 0), slope, chains.slope)), None

    return jax.lax.scan(flip, chains, (keys, sites, rows))[0]


def _flip_keys(path: Path, key: Any) -> Any:
    return jax.vmap(partial(jax.random.fold_in, key))(1 + jnp.arange(path.flips))


def _rows_of_couplings(model: Boltzmann, name: str, group: str, sites: Array) -> Array:
    """The couplings of some units to a group [n_sites, f]."""
    if (name, group) in model.couplings:
        return jnp.asarray(model.couplings[name, group])[sites]
    w = model.couplings.get((group, name))
    return jnp.zeros((len(sites), model.units[group].n_features)) if w is None else jnp.asarray(w)[:, sites].T


def _numbers(x: State) -> Array:
    return jnp.arange(next(iter(x.values())).shape[0], dtype=jnp.uint32)


@jax.jit
def _run_chunk(path: Path, key: Any, at: At, x: State) -> tuple[State, Float[Array, "t c"]]:
    if path.narrow is not None and xla.available():
        return jax.lax.platform_dependent(path, key, at, x, cpu=_by_kernel, default=_step_by_step)
    return _step_by_step(path, key, at, x)


def _step_by_step(path: Path, key: Any, at: At, x: State) -> tuple[State, Float[Array, "t c"]]:
    coupled = path.schedule.sequential or path.schedule.colours
    ready = blocks.laid_out(path.schedule, path.model) if coupled else None

    def step(chains: Chains, now: At) -> tuple[Chains, Array]:
        return _step(path, ready, jax.random.fold_in(key, now.time), chains, now)

    chains, change = jax.lax.scan(step, Chains(x, _slopes(path, x)), at)
    return chains.x, change


def _by_kernel(path: Path, key: Any, at: At, x: State) -> tuple[State, Float[Array, "t c"]]:
    """The same steps with the same random words."""
    assert path.narrow is not None
    own = jax.vmap(partial(jax.random.fold_in, key))(at.time)
    seeds = jax.vmap(jax.vmap(_random.seed))(jax.vmap(partial(_flip_keys, path))(own))
    betas = jnp.append(at.old[:1], at.new)
    out, change = narrow.anneal(path.narrow, seeds, betas, x[path.kept[0]], path.backward)
    return {path.kept[0]: out}, change


class Run(NamedTuple):
    """Increments of log p̃ [n_steps, n_chains] in double precision, and the states at the end."""

    increments: Float[np.ndarray, "t c"]
    x: State

    @property
    def work(self) -> Float[np.ndarray, " c"]:
        """The logarithm of each chain's importance weight."""
        return self.increments.sum(axis=0)


def run(path: Path, key: Any, betas: np.ndarray, x: State, progress: Progress = None) -> Run:
    """Chains through a sequence of temperatures, in either direction; chain r draws by the key and r alone."""
    n, found = len(betas) - 1, []
    steps = _steps(betas, path.backward)
    for start in range(0, n, CHUNK):
        part = jax.tree.map(lambda v, start=start: v[start : start + CHUNK], steps)
        x, change = _run_chunk(path, key, part, x)
        found.append(np.asarray(change, np.float64))
        if progress:
            progress(min(start + CHUNK, n), n)
    return Run(np.concatenate(found)[:n] if found else np.zeros((0, len(_numbers(x)))), x)


def _steps(betas: np.ndarray, backward: bool) -> At:
    """The steps of a run; backwards, each sweep meets the units that were flipped in it on the way up."""
    n = len(betas) - 1
    filled = np.append(betas, np.full(-n % CHUNK, betas[-1])).astype(np.float32)
    time = np.arange(len(filled) - 1, dtype=np.int32)
    return At(time, filled[:-1], filled[1:], np.abs(n - 2 - time) if backward else time)


@partial(jax.jit, static_argnums=2)
def base_states(path: Path, key: Any, n: int) -> State:
    """Exact draws at β = 0."""
    rows = jnp.arange(n, dtype=jnp.uint32)
    keys = {name: jax.random.fold_in(key, i) for i, name in enumerate(path.kept)}
    return {name: _drawn(path.model.units[name], keys[name], rows, path.base[name]) for name in path.kept}


# ---------------------------------------------------------------- time reversal


def reversed_path(path: Path) -> Path:
    """The path whose sweeps are the time reversal of the given one's: kept groups and colours in the opposite order.

    What is summed out is drawn first in both. A group drawn unit by unit is mirrored, so that its units come in the
    opposite order; `mirrored` takes states from one path to the other.
    """
    plan = path.schedule
    colours = {name: tuple(reversed(classes)) for name, classes in plan.colours.items()}
    schedule = gibbs.Schedule(tuple(reversed(plan.order)), plan.sequential, colours)
    base = mirrored(path, path.base)
    backward = path.flips > 0 and not path.backward
    return Path(_mirrored_model(path), base, schedule, path.summed, path.kept, path.flips, path.narrow, backward)


def mirrored(path: Path, x: Mapping[str, Any]) -> dict[str, Any]:
    """Features with the units of sequentially drawn groups in the opposite order; its own inverse."""
    return {name: v[..., _mirror(path, name)] for name, v in x.items()}


def _mirror(path: Path, name: str) -> np.ndarray:
    features = np.arange(path.model.units[name].n_features)
    if name not in path.schedule.sequential:
        return features
    return features.reshape(path.model.units[name].n, -1)[::-1].ravel()


def _mirrored_model(path: Path) -> Boltzmann:
    model, couplings = path.model, {}
    for (a, b), w in model.couplings.items():
        whole = model.within(a) if a == b and a in path.schedule.sequential else w
        couplings[a, b] = (
            whole if a in model.edges and a == b else np.asarray(whole)[np.ix_(_mirror(path, a), _mirror(path, b))]
        )
    units = {name: _mirrored_units(path, name, own) for name, own in model.units.items()}
    return Boltzmann(units, mirrored(path, model.fields), couplings, model.edges, model.offset)


def _mirrored_units(path: Path, name: str, units: Units) -> Units:
    return units.take(np.arange(units.n)[::-1]) if name in path.schedule.sequential else units
