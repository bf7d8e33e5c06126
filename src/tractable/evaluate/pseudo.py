"""The pseudo-log-likelihood: each visible unit given all the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import checked_values
from tractable.models.keys import as_key
from tractable.models.units import Gaussian, Mixed, Units
from tractable.posterior import Certificate
from tractable.posterior.engines._protocol import unsupported

CELLS = 1 << 23
"""Rows are taken so many at a time that rows × units stays below this."""

MARGIN, SPACING = 8.0, 0.75
"""Of the points of an integral, in standard deviations: beyond the outermost means, and from one to the next."""

TOGETHER = 8
"""States of a unit that are looked at together."""


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

    Of Boltzmann machines without hidden units, or with ones that do not interact, as in restricted machines. Beside
    hidden units a real column is integrated numerically, to rounding.

    Parameters
    ----------
    data : [n_rows, n_visible] without missing values.
    n_units : as many units, drawn at random for all rows together, stand for all: an ``estimate`` with its standard
        error. None takes every unit and is ``exact``.
    key : of that draw.

    Raises
    ------
    ModelError : no Boltzmann machine; hidden units that interact, or are continuous as visible ones are.

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
    return np.asarray(jax.random.permutation(as_key(key), n))[:n_units]


def _check(model: Boltzmann) -> None:
    if not model.graph.without([VISIBLE]).is_free:
        raise ModelError("hidden units interact: p(v_i | other v) has no closed form; use log_likelihood")
    check_conditionals(model)


def check_conditionals(model: Boltzmann) -> None:
    """Refuse visible units whose conditionals are neither sums nor integrals of mixtures of Gaussians."""
    real = [part for part, _, _ in _parts(model.units[VISIBLE]) if not np.isfinite(part.n_states)]
    endless = [name for name in model.hidden if not np.isfinite(model.units[name].n_states)]
    if not model.hidden or not real:
        return
    if endless or not all(isinstance(part, Gaussian) for part in real):
        raise ModelError("continuous visible units beside continuous hidden ones: p(v_i | other v) has no closed form")


def _by_unit(model: Boltzmann, values: np.ndarray, units: np.ndarray) -> np.ndarray:
    """log p(v_i | others) [n_rows, units]."""
    widest = max(u.n_features for u in model.units.values())
    size, points = max(1, CELLS // (8 * widest)), n_points(model) if model.hidden else 0
    parts = []
    for start in range(0, len(values), size):
        x = model.encode({VISIBLE: np.asarray(values[start : start + size], np.float64)})[VISIBLE]
        found = _with_hidden(model, x, jnp.asarray(units), points) if model.hidden else _alone(model, x)[:, units]
        parts.append(np.asarray(found))
    return np.concatenate(parts)


@jax.jit
def _alone(model: Boltzmann, x: Float[Array, "c f"]) -> Float[Array, "c n"]:
    """θ·T(x) + log q(x) − Γ(θ) of each unit."""
    own, theta = model.units[VISIBLE], model.local_field(VISIBLE, {VISIBLE: x})
    theta = jnp.broadcast_to(theta, x.shape)
    linear = jnp.zeros((len(x), own.n), x.dtype).at[:, own.unit_of_feature].add(theta * x)
    return linear + _log_bases(own, x) - own.cumulant(theta)


def _log_bases(units: Units, x: Array) -> Float[Array, "c n"]:
    """log q of each unit."""
    if isinstance(units, Mixed):
        return jnp.concatenate([_log_bases(part, x[:, f]) for part, _, f in units], axis=-1)
    if type(units).log_base is Units.log_base:
        return jnp.zeros((len(x), units.n), x.dtype)
    of = jnp.asarray(units.unit_of_feature)
    return jax.vmap(lambda i: units.log_base(jnp.where(of == i, x, 0)), out_axes=1)(jnp.arange(units.n))


# ---------------------------------------------------------------- beside hidden units


@partial(jax.jit, static_argnums=3)
def _with_hidden(model: Boltzmann, x: Float[Array, "c f"], units: Array, points: int) -> Float[Array, "c u"]:
    return jax.lax.map(conditional(model, x, points), units).T


def conditional(model: Boltzmann, x: Float[Array, "c f"], points: int) -> Callable[[Array], Float[Array, " c"]]:
    """i ↦ log p(v_i | all other v) of each row, of a machine whose hidden units do not interact, which are summed out.

    It is −log Σ_s p̃(v with unit i in the state s) / p̃(v); real units have an integral over s, by the trapezoid rule
    with so many points. What is integrated are Gaussians of one width, for which the rule has no error to speak of
    while points are less than a standard deviation apart.
    """
    inner = {pair: w for pair, w in model.couplings.items() if pair == (VISIBLE, VISIBLE)}
    linear = Boltzmann(
        {VISIBLE: model.units[VISIBLE]}, {VISIBLE: model.fields[VISIBLE]}, inner, model.edges, model.offset
    )
    theta = jnp.broadcast_to(linear.local_field(VISIBLE, {VISIBLE: x}), x.shape)
    found = [
        (own, _of_part(model, x[:, f], Met(part, theta[:, f], _hidden(model, x, f)), points))
        for part, own, f in _parts(model.units[VISIBLE])
    ]
    if len(found) == 1:
        return found[0][1]
    first = jnp.asarray([own.start for own, _ in found])
    return lambda i: jax.lax.switch((i >= first).sum() - 1, [lambda j, o=o, f=f: f(j - o.start) for o, f in found], i)


class HiddenGroup(NamedTuple):
    """Hidden units, their natural parameters in each row, and what features of some visible units add to these."""

    units: Units
    theta: Float[Array, "c k"]
    slope: Float[Array, "f k"]

    @property
    def reach(self) -> tuple[Array, Array]:
        """What the group adds to the natural parameter of each of these features, at least and at most."""
        ends = []
        for part, _, f in _parts(self.units):
            w = jax.lax.stop_gradient(self.slope)[:, f].reshape(len(self.slope), part.n, -1)
            each = w @ jnp.asarray(part.states(), w.dtype).T
            ends.append((each.min(-1).sum(-1), each.max(-1).sum(-1)))
        return sum(a for a, _ in ends), sum(b for _, b in ends)  # type: ignore


class Met(NamedTuple):
    """Visible units of one kind, their natural parameters without hidden units, and these."""

    units: Units
    theta: Float[Array, "c f"]
    hidden: list[HiddenGroup]


def _hidden(model: Boltzmann, x: Array, f: slice) -> list[HiddenGroup]:
    wide = lambda name: (len(x), model.units[name].n_features)  # noqa: E731
    theta = {name: jnp.broadcast_to(model.local_field(name, {VISIBLE: x}), wide(name)) for name in model.hidden}
    return [HiddenGroup(model.units[name], t, _couplings(model, name)[f]) for name, t in theta.items()]


def _of_part(model: Boltzmann, x: Array, met: Met, points: int) -> Callable[[Array], Array]:
    """The same for units of one kind, counted from the first of them."""
    units, width = met.units, met.units.n_features // met.units.n

    def one(i: Array) -> Array:
        cut = lambda array, axis: jax.lax.dynamic_slice_in_dim(array, i * width, width, axis)  # noqa: E731
        now, theta, slopes = cut(x, 1), cut(met.theta, 1), [cut(h.slope, 0) for h in met.hidden]

        def log_base(state: Array) -> Array:
            wide = jnp.zeros((len(x), units.n_features), x.dtype)
            return units.log_base(jax.lax.dynamic_update_slice_in_dim(wide, state, i * width, 1))

        def log_ratio(state: Array) -> Array:
            move = state - now
            out = (move * theta).sum(-1) + log_base(jnp.broadcast_to(state, now.shape)) - log_base(now)
            for h, slope in zip(met.hidden, slopes, strict=True):
                out = out + (h.units.cumulant(h.theta + move @ slope) - h.units.cumulant(h.theta)).sum(-1)
            return out

        if np.isfinite(units.n_states):
            return -jax.nn.logsumexp(_each(log_ratio, jnp.asarray(units.states(), x.dtype)), axis=0)
        states, step = _grid(met, theta, i, points)
        return -jax.nn.logsumexp(_each(log_ratio, states), axis=0) - jnp.log(step[:, 0])

    return one


def _each(of: Callable[[Array], Array], states: Array) -> Array:
    return jax.lax.map(of, states, batch_size=TOGETHER)


def _grid(met: Met, theta: Float[Array, "c 1"], i: Array, points: int) -> tuple[Float[Array, "p c 1"], Array]:
    """Values of a real unit that reach beyond whatever hidden units make of it, and how far apart they are."""
    units: Any = met.units
    precision = jnp.exp(jnp.asarray(units.log_precision)[i])
    low, high = (sum(ends)[i] for ends in zip(*(h.reach for h in met.hidden), strict=True))  # type: ignore
    margin = MARGIN / jnp.sqrt(precision)
    first, last = (theta + low) / precision - margin, (theta + high) / precision + margin
    step = (last - first) / (points - 1)
    states = first + step * jnp.arange(points, dtype=theta.dtype)[:, None, None]
    return jax.lax.stop_gradient(states), jax.lax.stop_gradient(step)


def n_points(model: Boltzmann) -> int:
    """How many points a grid needs for the largest reach of any real unit; one where there is no real unit."""
    widest = 0.0
    for part, _, f in _parts(model.units[VISIBLE]):
        if isinstance(part, Gaussian):
            none = jnp.zeros((1, part.n_features))
            ends = [HiddenGroup(model.units[name], none, _couplings(model, name)[f]).reach for name in model.hidden]
            reach = sum(np.asarray(high) - np.asarray(low) for low, high in ends)
            widest = max(widest, float(np.max(reach * np.exp(-0.5 * np.asarray(part.log_precision)))) + 2 * MARGIN)
    return int(np.ceil(widest / SPACING)) + 1


def _parts(units: Units) -> list[tuple[Units, slice, slice]]:
    """Units of one kind after another, with their columns and their features."""
    return list(units) if isinstance(units, Mixed) else [(units, slice(0, units.n), slice(0, units.n_features))]


def _couplings(model: Boltzmann, name: str) -> Array:
    """Visible features × features of a hidden group."""
    w = model.couplings.get((VISIBLE, name))
    if w is not None:
        return jnp.asarray(w)
    other = model.couplings.get((name, VISIBLE))
    shape = (model.units[VISIBLE].n_features, model.units[name].n_features)
    return jnp.zeros(shape) if other is None else jnp.asarray(other).T
