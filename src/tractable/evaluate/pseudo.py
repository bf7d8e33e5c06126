"""The pseudo-log-likelihood: each visible unit given all the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import checked_values
from tractable.posterior import Certificate
from tractable.posterior.engines._protocol import unsupported

CELLS = 1 << 23
"""Rows are taken so many at a time that rows × units stays below this."""


@dataclass(frozen=True, repr=False)
class PseudoLogLikelihood(Certificate):
    """The mean pseudo-log-likelihood of rows, and its value for each row: no likelihood, log Z is nowhere in it.

    Examples
    --------
    >>> found = tr.pseudo_log_likelihood(tr.boltzmann(2, couplings=[[0.0, 0.0], [0.0, 0.0]]), [[0, 1], [1, 1]])
    >>> found.per_row.round(6).tolist(), f"{found:.4f}"
    ([-1.386294, -1.386294], '-1.3863')
    """

    per_row: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)


def pseudo_log_likelihood(
    model: Boltzmann, data: Any, *, n_units: int | None = None, key: Any = 0
) -> PseudoLogLikelihood:
    """The mean over rows of Σ_i log p(v_i | all other visible units), hidden units summed out (Besag 1975).

    Of Boltzmann machines without hidden units, or with ones that do not interact, as in restricted machines.

    Parameters
    ----------
    data : [n_rows, n_visible] without missing values.
    n_units : as many units, drawn at random for all rows together, stand for all: an ``estimate`` with its standard
        error. None takes every unit and is ``exact``.
    key : of that draw.

    Raises
    ------
    ModelError : no Boltzmann machine; hidden units that interact, or that see continuous visible units: no closed form.

    Examples
    --------
    >>> import numpy as np
    >>> found = tr.pseudo_log_likelihood(tr.restricted(couplings=[[0.0], [0.0]]), [[0, 1], [1, 1]])
    >>> round(found.value / float(np.log(2)), 9), found.kind
    (-2.0, 'exact')
    """
    if not isinstance(model, Boltzmann):
        raise unsupported(model, "pseudo_log_likelihood")
    values = checked_values(model, VISIBLE, data, missing=False)
    if values.ndim != 2 or not len(values):
        raise ModelError(f"expected rows of data [n_rows, {model.n_visible}], got an array of shape {values.shape}")
    _check(model)
    n = model.n_visible
    units = np.arange(n) if n_units is None else _some(n, n_units, key)
    with jax.enable_x64(True):
        parts = _by_unit(model.astype(np.float64), values, units)
    per_row = parts.mean(axis=1) * n
    value = float(per_row.mean())
    if len(units) == n:
        return PseudoLogLikelihood.of(Certificate.exact(value), per_row=per_row)
    spread = parts.mean(axis=0).std(ddof=1) if len(units) > 1 else np.inf
    error = float(n * spread / np.sqrt(len(units)) * np.sqrt(1 - len(units) / n))
    return PseudoLogLikelihood.of(Certificate.estimate(value, error), per_row=per_row)


def _some(n: int, n_units: int, key: Any) -> np.ndarray:
    if not 1 <= n_units <= n:
        raise ModelError(f"n_units must be from 1 to {n}, got {n_units}")
    key = jax.random.key(key) if isinstance(key, int | np.integer) else key
    return np.asarray(jax.random.permutation(key, n))[:n_units]


def _check(model: Boltzmann) -> None:
    if not model.graph.without([VISIBLE]).is_free:
        raise ModelError("hidden units interact: p(v_i | other v) has no closed form; use log_likelihood")
    if model.hidden and not np.isfinite(model.units[VISIBLE].n_states):
        raise ModelError("continuous visible units beside hidden ones have no closed form here; use log_likelihood")


def _by_unit(model: Boltzmann, values: np.ndarray, units: np.ndarray) -> np.ndarray:
    """log p(v_i | others) [n_rows, units]."""
    widest = max(u.n_features for u in model.units.values())
    size = max(1, CELLS // (8 * widest))
    parts = []
    for start in range(0, len(values), size):
        x = model.encode({VISIBLE: np.asarray(values[start : start + size], np.float64)})[VISIBLE]
        found = _with_hidden(model, x, jnp.asarray(units)) if model.hidden else _alone(model, x)[:, units]
        parts.append(np.asarray(found))
    return np.concatenate(parts)


@jax.jit
def _alone(model: Boltzmann, x: Float[Array, "c f"]) -> Float[Array, "c n"]:
    """θ·T(x) + log q(x) − Γ(θ) of each unit."""
    own, theta = model.units[VISIBLE], model.local_field(VISIBLE, {VISIBLE: x})
    theta = jnp.broadcast_to(theta, x.shape)
    one = own.take(np.arange(1))
    if not np.isfinite(own.n_states):
        base = jax.vmap(lambda i: _log_base_of(own, x, i))(jnp.arange(own.n)).T
        return theta * x + base - own.cumulant(theta)
    return (theta * x).reshape(len(x), own.n, one.n_features).sum(-1) - own.cumulant(theta)


def _log_base_of(units: Any, x: Array, i: Array) -> Array:
    return units.log_base(jnp.where(jnp.arange(x.shape[-1]) == i, x, 0))


@jax.jit
def _with_hidden(model: Boltzmann, x: Float[Array, "c f"], units: Array) -> Float[Array, "c u"]:
    """−log Σ_s p̃(v with unit i in the state s)/p̃(v)."""
    own = model.units[VISIBLE]
    table = jnp.asarray(own.states(), x.dtype)
    width = table.shape[1]
    inner = {pair: w for pair, w in model.couplings.items() if pair == (VISIBLE, VISIBLE)}
    linear = Boltzmann({VISIBLE: own}, {VISIBLE: model.fields[VISIBLE]}, inner, model.edges, model.offset)
    theta = jnp.broadcast_to(linear.local_field(VISIBLE, {VISIBLE: x}), x.shape)
    fields = {
        name: jnp.broadcast_to(model.local_field(name, {VISIBLE: x}), (len(x), model.units[name].n_features))
        for name in model.hidden
    }

    def change(i: Array, state: Array) -> Array:
        move = state - jax.lax.dynamic_slice_in_dim(x, i * width, width, 1)
        out = (move * jax.lax.dynamic_slice_in_dim(theta, i * width, width, 1)).sum(-1)
        for name, phi in fields.items():
            hidden = model.units[name]
            step = move @ jax.lax.dynamic_slice_in_dim(_couplings(model, name), i * width, width, 0)
            out = out + (hidden.cumulant(phi + step) - hidden.cumulant(phi)).sum(-1)
        return out

    def one(i: Array) -> Array:
        return -jax.nn.logsumexp(jnp.stack([change(i, state) for state in table]), axis=0)

    return jax.lax.map(one, units).T


def _couplings(model: Boltzmann, name: str) -> Array:
    """Visible features × features of a hidden group."""
    w = model.couplings.get((VISIBLE, name))
    if w is not None:
        return jnp.asarray(w)
    other = model.couplings.get((name, VISIBLE))
    shape = (model.units[VISIBLE].n_features, model.units[name].n_features)
    return jnp.zeros(shape) if other is None else jnp.asarray(other).T
