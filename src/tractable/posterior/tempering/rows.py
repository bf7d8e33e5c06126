"""The way from the mean field of each row of data to its hidden units in a deep machine, p(h | v).

The machines on it have the hidden groups alone, fields that are a row's own, (1 − β) a + β φ, and β times the couplings
among hidden units, which all rows share.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.precision import working_type
from tractable.posterior.approximate.gibbs import Schedule, schedule
from tractable.posterior.approximate.mean_field import layer_means
from tractable.posterior.tempering.machines import MachinePath, path_between

SWEEPS = 50
"""Of the mean field that a row starts from."""


def applies(model: Boltzmann) -> bool:
    """Whether the hidden groups are layers that interact: no couplings within any of them, but some between."""
    graph = model.graph.without([VISIBLE])
    return not graph.is_free and not any(graph.coupled_within(name) for name in model.hidden)


def rows_path(model: Boltzmann, v: Float[np.ndarray, "r v"], n_chains: int, first: int = 0) -> MachinePath:
    """The path of complete rows of data, `n_chains` for each, in the precision of `make_path`; `first` is the number of
    the first row. Every second layer, the larger half of the hidden units, is summed out.
    """
    graph, plain = model.graph.without([VISIBLE]), model.astype(working_type(model))
    summed = max(graph.independent_groups(), key=lambda block: sum(graph.sizes[name] for name in block))
    x = jnp.asarray(plain.units[VISIBLE].encode(np.asarray(v, plain.dtype)), plain.dtype)
    return _path_of((schedule(graph), summed), plain, x, n_chains, jnp.uint32(first * n_chains))


@eqx.filter_jit
def _path_of(
    how: tuple[Schedule, tuple[str, ...]], model: Boltzmann, v: Array, n_chains: int, first: Array
) -> MachinePath:
    hidden, given = model.hidden, {VISIBLE: v}
    inner = {pair: w for pair, w in model.couplings.items() if VISIBLE not in pair}
    ends = [{name: model.local_field(name, x) for name in hidden} for x in (layer_means(model, v, SWEEPS), given)]
    wide = {name: (len(v), model.units[name].n_features) for name in hidden}
    base, end = ({g: jnp.repeat(jnp.broadcast_to(a, wide[g]), n_chains, 0) for g, a in x.items()} for x in ends)
    machine = Boltzmann({name: model.units[name] for name in hidden}, end, inner, {}, jnp.zeros(()))
    return eqx.tree_at(lambda path: path.first, path_between(how[0], machine, base, how[1]), first)


def log_joint_of_data(model: Boltzmann, v: Float[np.ndarray, "r v"]) -> Float[np.ndarray, " r"]:
    """What of log p̃(v, h) does not depend on the hidden units; in double precision."""
    with jax.enable_x64(True):
        exact = model.astype(np.float64)
        x = jnp.asarray(exact.units[VISIBLE].encode(np.asarray(v, np.float64)), jnp.float64)
        zeros = {name: jnp.zeros((len(x), exact.units[name].n_features)) for name in model.hidden}
        return np.asarray(exact.log_joint({VISIBLE: x, **zeros}))
