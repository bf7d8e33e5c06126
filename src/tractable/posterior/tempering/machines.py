"""The way from a machine without couplings to a model: log p̃_β = (1 − β) log p̃_base + β log p̃_model.

Base and model have the same units, so the machine between them has lerped fields and β times the couplings, and its
local fields are (1 − β) a + β φ(x): one matrix product serves every temperature. The groups that are independent given
the others are summed out, and increments of log p̃_β of the groups that are kept are taken unit by unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.kernels import xla
from tractable.models._base import ModelError
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.precision import working_type
from tractable.models.units import Bernoulli, Spin, Units, _random
from tractable.plan.machines import Split, split
from tractable.posterior.approximate import blocks, gibbs
from tractable.posterior.approximate.blocks import Schedule, State
from tractable.posterior.tempering import narrow
from tractable.posterior.tempering._base import At
from tractable.posterior.tempering.cumulants import cumulant_change
from tractable.posterior.tempering.traced import Traced, taken

Base = Mapping[str, Any]

FLIPS = 16
NARROW = 64
"""In groups of at most so many kept units, single ones are flipped: all of them where that is cheap or they are few,
else some after each sweep; in wider groups it no longer pays."""


class KeptChains(NamedTuple):
    """The kept states, and ∂θ/∂β of the groups that are summed out."""

    x: State
    slope: State


class MachinePath(Traced):
    """The machines between a base and a model, and which of their groups are summed out.

    Attributes
    ----------
    model : the end at β = 1, without its offset.
    base : group → fields of the machine without couplings at β = 0. Fields may have a row for each chain, at both ends.
    schedule : the order in which the groups that are kept are drawn.
    summed, kept : the groups summed out in closed form, and the others, which are the state of a chain.
    flips : how many single units are drawn in each step with the summed groups summed out.
    narrow : the same path as the kernel takes it, where it does.
    backward : whether each step is the time reversal of the one of the forward path.
    first : the number of the first chain: what chain r draws depends on the key and its number alone.
    ready : the model laid out for sweeps, once it is `prepared`.
    """

    model: Boltzmann
    base: Base
    schedule: Schedule
    summed: tuple[str, ...] = eqx.field(static=True)
    kept: tuple[str, ...] = eqx.field(static=True)
    flips: int = eqx.field(static=True, default=0)
    narrow: narrow.Narrow | None = None
    backward: bool = eqx.field(static=True, default=False)
    first: Any = 0
    ready: blocks.Blocks | None = None

    def start(self, key: Any, n: int) -> State:
        """Exact draws of the kept groups at β = 0."""
        return _started(self, key, n)

    def prepared(self) -> MachinePath:
        """The same path, its model laid out for sweeps."""
        return replace(self, ready=blocks.laid_out(self.schedule, self.model))

    def entered(self, x: State) -> KeptChains:
        """The states with what their couplings add to the fields of the groups that are summed out."""
        n, slope, dtype = len(gibbs.numbers(x)), {}, jax.dtypes.canonicalize_dtype(self.model.dtype)
        x = {name: jnp.asarray(a, dtype) for name, a in x.items()}
        for name in self.summed:
            field = self.model.local_field(name, x) - self.base[name]
            slope[name] = jnp.broadcast_to(field, (n, field.shape[-1]))
        return KeptChains({name: x[name] for name in self.kept}, slope)

    def left(self, x: KeptChains) -> State:
        """The states alone."""
        return x.x

    def log_ratio(self, x: KeptChains, old: Any, new: Any) -> Float[Array, " c"]:
        """log p̃ of the kept states at the new temperature less that at the old one."""
        out = (new - old) * _linear(self, x.x)
        for name, slope in x.slope.items():
            theta = self.base[name] + _column(old) * slope
            out = out + cumulant_change(self.model.units[name], theta, _column(new - old) * slope).sum(-1)
        return out

    def sweep(self, key: Any, at: At, x: KeptChains) -> KeptChains:
        """A sweep and flips of single units at the new temperature."""
        key = jax.random.fold_in(key, at.time)
        moves = [self._swept, self._flipped]
        for move in moves[::-1] if self.backward else moves:
            x = move(key, at, x)
        return x

    def steps(self, key: Any, at: At, x: State) -> tuple[State, Any]:
        """The chains after some steps, and the increments of log p̃; by the kernel where it is there for the path."""
        if self.narrow is None or not xla.available():
            return super().steps(key, at, x)
        return _by_kernel(self, key, at, x)

    def means(self, x: State) -> State:
        """The kept states, and the means of the other groups given them, at the model."""
        return x | {name: self.model.units[name].mean(self.model.local_field(name, x)) for name in self.summed}

    def numbers(self, x: State) -> Array:
        """The chains, numbered."""
        return self.first + gibbs.numbers(x)

    def _swept(self, key: Any, at: At, chains: KeptChains) -> KeptChains:
        """Draws of the summed groups given the others, then of these; where all units flip, that adds nothing."""
        if self.flips and self.flips == self.model.units[self.kept[0]].n:
            return chains
        assert self.ready is not None
        key, rows, x = jax.random.fold_in(key, 0), self.numbers(chains.x), dict(chains.x)
        draw = gibbs.drawing(key, rows)
        for i, name in enumerate(self.summed):
            theta = self.base[name] + _column(at.new) * chains.slope[name]
            x[name] = draw(self.model.units[name], theta, (i,))
        draw = gibbs.drawing(jax.random.fold_in(key, len(self.summed)), rows)
        between = blocks.Tempered(jnp.broadcast_to(at.new, rows.shape), self.base)
        x, _ = blocks.sweep(self.ready, draw, blocks.pack(self.ready, x), {}, between)
        return self.entered(blocks.unpack(self.ready, x))

    def _flipped(self, key: Any, at: At, chains: KeptChains) -> KeptChains:
        """Gibbs draws of single kept units, the summed groups summed out: they cross where block sweeps are stuck."""
        if not self.flips:
            return chains
        (name,), beta = self.kept, _column(at.new)
        sites = (at.turn * self.flips + jnp.arange(self.flips)) % self.model.units[name].n
        keys = _flip_keys(self, key)
        if self.backward:
            sites, keys = sites[::-1], keys[::-1]
        rows = {group: _rows_of_couplings(self.model, name, group, sites) for group in self.summed}
        field = self.base[name] + beta * (jnp.asarray(self.model.fields[name]) - self.base[name])
        both = float(self.model.units[name].states().sum())

        def flip(chains: KeptChains, now: Any) -> tuple[KeptChains, None]:
            own, (key, site, w) = chains.x[name], now
            here = jax.lax.dynamic_index_in_dim(own, site, 1, keepdims=False)
            move = both - 2 * here
            log_ratio, slope = move * field[..., site], {g: s + move[:, None] * w[g] for g, s in chains.slope.items()}
            for group, s in chains.slope.items():
                theta, change = self.base[group] + beta * s, beta * (slope[group] - s)
                log_ratio = log_ratio + cumulant_change(self.model.units[group], theta, change).sum(-1)
            drawn = _random.bernoulli(key, self.numbers(chains.x), log_ratio[:, None])
            own = jax.lax.dynamic_update_index_in_dim(own, here + drawn[:, 0] * move, site, 1)
            return KeptChains({name: own}, jax.tree.map(partial(jnp.where, drawn > 0), slope, chains.slope)), None

        return jax.lax.scan(flip, chains, (keys, sites, rows))[0]

    # ------------------------------------------------------------ time reversal

    def reversed(self) -> MachinePath:
        """The path whose sweeps are the time reversal of these: kept groups and colours in the opposite order.

        What is summed out is drawn first in both. A group drawn unit by unit is mirrored, so that its units come in the
        opposite order; `mirrored` takes states from one path to the other.
        """
        plan = self.schedule
        colours = {name: tuple(reversed(classes)) for name, classes in plan.colours.items()}
        schedule = Schedule(tuple(reversed(plan.order)), plan.sequential, colours)
        model, base = _mirrored_model(self), self.mirrored(self.base)
        return replace(self, model=model, base=base, schedule=schedule, backward=self.flips > 0 and not self.backward)

    def mirrored(self, x: Mapping[str, Any]) -> dict[str, Any]:
        """Features with the units of sequentially drawn groups in the opposite order; its own inverse."""
        return {name: v[..., _mirror(self, name)] for name, v in x.items()}


# ---------------------------------------------------------------- the path of a model


def make_path(model: Boltzmann, base: Base, flipping: bool = True) -> MachinePath:
    """The path from given fields to a model; as many states as possible are summed out.

    It is in single precision unless the parameters are too large for it: see `models.precision`, whose context has to
    be open then.

    Parameters
    ----------
    base : group → fields [f], or a row for each chain [n_chains, f].

    Raises
    ------
    ModelError : a base that does not fit.
    """
    plain = eqx.tree_at(lambda m: m.offset, model, np.zeros(())).astype(working_type(model))
    fields = {name: _fitting(model.units[name], name, base).astype(plain.dtype) for name in model.groups}
    path = path_between(gibbs.schedule(model.graph), plain, fields, _summed(model))
    return _flipping(path) if flipping and _is_narrow(path) else path


def path_between(plan: Schedule, model: Boltzmann, base: Base, summed: tuple[str, ...]) -> MachinePath:
    """The path from given fields to a model, which may be traced; it keeps the groups that are not `summed` out."""
    kept = tuple(name for name in plan.order if name not in summed)
    return MachinePath(model, base, plan.only(kept), summed, kept)


def _fitting(units: Units, name: str, base: Base) -> Float[np.ndarray, "*c f"]:
    shape = np.shape(base[name]) if name in base else "nothing"
    if shape[-1:] != (units.n_features,):
        raise ModelError(f"the base needs fields of shape ({units.n_features},) for {name}, got {shape}")
    return np.asarray(base[name])


def _summed(model: Boltzmann) -> tuple[str, ...]:
    """The groups that the cheapest enumeration would sum out; none where there would be nothing left to keep."""
    found = split(model.graph)
    if found is None or not found.enumerated:
        return ()
    return tuple(name for name in found.summed if (name, name) not in model.couplings)


def _is_narrow(path: MachinePath) -> bool:
    """Whether one group of a few two-state units is kept and all that it touches is summed out."""
    graph = path.model.graph
    alone = len(path.kept) == 1 and len(path.summed) > 0 and not graph.coupled_within(path.kept[0])
    return alone and graph.states[path.kept[0]] == 2 and graph.sizes[path.kept[0]] <= NARROW


def _flipping(path: MachinePath) -> MachinePath:
    """The path on which single units are drawn as well; only these, where each comes up in every step."""
    n = path.model.units[path.kept[0]].n
    single = path.model.dtype == np.float32
    two_states = single and all(isinstance(units, Bernoulli | Spin) for units in path.model.units.values())
    form = narrow.narrow_form(path.model, path.base, Split(path.kept, path.summed)) if two_states else None
    return replace(path, narrow=form, flips=min(FLIPS, n) if form is None else n)


def base_log_partition(path: MachinePath) -> Float[np.ndarray, "*c"]:
    """log Z of the machine at β = 0, or of each chain's."""
    return log_partition_of_fields(path.model.units, path.base)


def log_partition_of_fields(units: Mapping[str, Units], fields: Base) -> Float[np.ndarray, "*c"]:
    """log Z of a machine without couplings: the sum of its cumulants, in double precision."""
    with jax.enable_x64(True):
        both = jax.tree.map(lambda a: np.asarray(a, np.float64), (dict(units), dict(fields)))
        return np.asarray(_sum_of_cumulants(*both))


@jax.jit
def _sum_of_cumulants(units: Mapping[str, Units], fields: Base) -> Float[Array, "*c"]:
    return sum((units[name].cumulant(a).sum(-1) for name, a in fields.items()), jnp.zeros(()))


# ---------------------------------------------------------------- steps


@partial(jax.jit, static_argnums=2)
def _started(path: MachinePath, key: Any, n: int) -> State:
    rows = path.first + jnp.arange(n, dtype=jnp.uint32)
    return gibbs.independent(path.model.units, key, rows, {name: path.base[name] for name in path.kept})


def _column(beta: Any) -> Array:
    """Temperatures beside features: a number, or one for each chain."""
    return jnp.expand_dims(beta, -1)


def _linear(path: MachinePath, x: State) -> Float[Array, " c"]:
    """∂/∂β of what does not go through a cumulant: (b − a)·T(x) and the couplings among the groups that are kept."""
    inner = {pair: w for pair, w in path.model.couplings.items() if {*pair} <= {*path.kept}}
    out = replace(path.model, fields={}, couplings=inner).interaction(x)
    for name in path.kept:
        slope = jnp.asarray(path.model.fields[name]) - path.base[name]
        out = out + (x[name] @ slope if slope.ndim == 1 else (x[name] * slope).sum(-1))
    return out


def _flip_keys(path: MachinePath, key: Any) -> Any:
    return jax.vmap(partial(jax.random.fold_in, key))(1 + jnp.arange(path.flips))


def _rows_of_couplings(model: Boltzmann, name: str, group: str, sites: Array) -> Array:
    """The couplings of some units to a group [n_sites, f]."""
    if (name, group) in model.couplings:
        return jnp.asarray(model.couplings[name, group])[sites]
    w = model.couplings.get((group, name))
    return jnp.zeros((len(sites), model.units[group].n_features)) if w is None else jnp.asarray(w)[:, sites].T


@jax.jit
def _by_kernel(path: MachinePath, key: Any, at: At, x: State) -> tuple[State, Float[Array, "t c"]]:
    """The same steps with the same random words, on a CPU by the kernel."""
    plain = partial(taken, n=len(at.time))
    return jax.lax.platform_dependent(path, key, at, x, cpu=_annealed_narrow, default=plain)


def _annealed_narrow(path: MachinePath, key: Any, at: At, x: State) -> tuple[State, Float[Array, "t c"]]:
    assert path.narrow is not None
    own = jax.vmap(partial(jax.random.fold_in, key))(at.time)
    seeds = jax.vmap(jax.vmap(_random.seed))(jax.vmap(partial(_flip_keys, path))(own))
    words, betas = (seeds, path.numbers(x)), jnp.append(at.old[:1], at.new)
    out, change = narrow.anneal(path.narrow, words, betas, x[path.kept[0]], path.backward)
    return {path.kept[0]: out}, change


# ---------------------------------------------------------------- mirrors


def _mirror(path: MachinePath, name: str) -> np.ndarray:
    features = np.arange(path.model.units[name].n_features)
    if name not in path.schedule.sequential:
        return features
    return features.reshape(path.model.units[name].n, -1)[::-1].ravel()


def _mirrored_model(path: MachinePath) -> Boltzmann:
    model, couplings = path.model, {}
    for (a, b), w in model.couplings.items():
        whole = model.within(a) if a == b and a in path.schedule.sequential else w
        couplings[a, b] = (
            whole if a in model.edges and a == b else np.asarray(whole)[np.ix_(_mirror(path, a), _mirror(path, b))]
        )
    turned = {name: model.units[name] for name in path.schedule.sequential}
    turned = {name: units.take(np.arange(units.n)[::-1]) for name, units in turned.items()}
    return Boltzmann(model.units | turned, path.mirrored(model.fields), couplings, model.edges, model.offset)
