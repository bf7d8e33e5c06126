"""Greedy pretraining of deep machines: a restricted machine for each pair of layers, then all of them put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.learning._base import Learner
from tractable.learning.contrastive import PersistentCD
from tractable.learning.fitting import fit
from tractable.learning.machines import checked_rows, completed
from tractable.models import ModelError
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann, deep, restricted
from tractable.models.units import Units
from tractable.posterior.approximate.gibbs import Schedule, schedule

ROWS = 4096
"""Rows that are sent up to the next layer together."""


class Twice(Units):
    """Two copies of a group of units that share fields and couplings: features T(x) + T(x′), hence twice the cumulant.

    In data both copies have the same state.
    """

    n: int = eqx.field(static=True)
    one: Units

    def __init__(self, one: Units):
        self.n, self.one = one.n, one

    @property
    def n_features(self) -> int:
        return self.one.n_features

    @property
    def n_states(self) -> float:
        return np.inf  # never enumerated

    def cumulant(self, theta: Float[Array, "*b f"]) -> Float[Array, "*b n"]:
        return 2 * self.one.cumulant(theta)

    def mean(self, theta: Float[Array, "*b f"]) -> Float[Array, "*b f"]:
        return 2 * self.one.mean(theta)

    def sample(self, key: Any, rows: Any, theta: Float[Array, "c f"]) -> Float[Array, "c f"]:
        first, second = jax.random.split(key)
        return self.one.sample(first, rows, theta) + self.one.sample(second, rows, theta)

    def field_with_mean(self, mean: np.ndarray, n_rows: int) -> np.ndarray:
        return self.one.field_with_mean(np.asarray(mean) / 2, n_rows)

    def encode(self, values: Any) -> Any:
        return 2 * self.one.encode(values)

    def allowed(self, values: np.ndarray) -> np.ndarray:
        return self.one.allowed(values)

    @property
    def domain(self) -> str:
        return self.one.domain


def pretrain(
    model: Boltzmann | Sequence[int | Units],
    data: Any,
    learner: Learner | None = None,
    *,
    epochs: int = 10,
    key: Any = 0,
    **options: Any,
) -> Boltzmann:
    """A deep machine whose layers have been learned one after the other, from the data up: a start for `fit`.

    In the finished machine an inner layer hears from both sides, in the restricted ones from one. Each layer is
    therefore learned at double strength: the data come twice below the first couplings, the top layer twice above the
    last, and the couplings between are halved. An inner layer's field is the average of the two it was learned with.

    Salakhutdinov & Hinton, "Deep Boltzmann machines", AISTATS 2009, section 3.3.

    Parameters
    ----------
    model : a machine of `deep`, of which the units are used, or its layers.
    data : [n_rows, n_visible], NaN = missing.
    learner : of each restricted machine, `PersistentCD()` by default.
    epochs : passes over the data for each.
    options : `progress`.

    Raises
    ------
    ModelError : a machine that is not made of layers; layers of real-valued units above the visible one.

    Examples
    --------
    >>> import tractable as tr
    >>> rows = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 50)
    >>> tr.pretrain([4, 3, 2], rows, epochs=1, progress=False).groups
    ('visible', 'hidden1', 'hidden2')
    """
    if unknown := set(options) - {"progress"}:
        raise ModelError(f"pretrain takes the options epochs, key and progress, not {', '.join(sorted(unknown))}")
    whole = model if isinstance(model, Boltzmann) else deep(model, key=key)
    rows, key = checked_rows(whole, data), jax.random.key(key) if isinstance(key, int | np.integer) else key
    pairs, found = _layers(whole), []
    for i, (below, above) in enumerate(pairs):
        part = _part(whole, (below, above), first=i == 0, last=i == len(pairs) - 1)
        own = jax.random.fold_in(key, i)
        settings = options | {"epochs": epochs, "key": own, "live": 0}
        found.append(fit(part, rows, learner or PersistentCD(), **settings).model)
        if i < len(pairs) - 1:
            rows = _sent_up(found[-1], rows, own)
    return _together(whole, pairs, found)


def _layers(model: Boltzmann) -> list[tuple[str, str]]:
    pairs = list(zip(model.groups, model.groups[1:], strict=False))
    if set(pairs) != set(model.couplings) or not pairs:
        raise ModelError("pretraining is for layers each coupled to the next, as in deep([784, 500, 1000])")
    for name in model.groups[1:-1]:
        if not np.isfinite(model.units[name].n_states):
            raise ModelError(f"{name} has real-valued units; only the first and the last layer of a stack may")
    return pairs


def _part(model: Boltzmann, pair: tuple[str, str], first: bool, last: bool) -> Boltzmann:
    """The restricted machine of two neighbouring layers, with the visible or the top layer twice where it is an end."""
    below, above = (model.units[name] for name in pair)
    w = np.asarray(model.couplings[pair])
    if first and not last:
        below = Twice(below)
    if last and not first:
        above = Twice(above)
    scale = 1.0 if first or last else 2.0
    return restricted(below, above, couplings=scale * w)


def _sent_up(model: Boltzmann, rows: np.ndarray, key: Any) -> np.ndarray:
    """A state of the upper layer drawn for each row."""
    units, parts, plan = model.units["hidden"], [], schedule(model.graph)
    for start in range(0, len(rows), ROWS):
        block = _drawn(plan, model, jax.random.fold_in(key, start), np.asarray(rows[start : start + ROWS]))
        parts.append(np.asarray(units.decode(block)).astype(np.int8 if units.n_states < 128 else np.int32))
    return np.concatenate(parts)


@jax.jit
def _drawn(plan: Schedule, model: Boltzmann, key: Any, rows: Array) -> Array:
    v, number = completed(plan, model, key, rows), jnp.arange(len(rows), dtype=jnp.uint32)
    return model.units["hidden"].sample(key, number, model.local_field("hidden", {VISIBLE: v}))


def _together(model: Boltzmann, pairs: list[tuple[str, str]], found: list[Boltzmann]) -> Boltzmann:
    """The deep machine: end couplings as learned, inner ones halved, inner fields averaged."""
    inner = range(1, len(pairs) - 1)
    parts = [np.asarray(part.couplings[VISIBLE, "hidden"]) for part in found]
    couplings = {pair: parts[i] * (0.5 if i in inner else 1.0) for i, pair in enumerate(pairs)}
    lower, upper = ([np.asarray(part.fields[g]) for part in found] for g in (VISIBLE, "hidden"))
    fields = [lower[0], *(0.5 * (c + b) for c, b in zip(upper, lower[1:], strict=False)), upper[-1]]
    ends = {VISIBLE: found[0].units[VISIBLE], model.groups[-1]: found[-1].units["hidden"]}
    units = dict(model.units) | {name: _single(own) for name, own in ends.items()}
    return replace(model, units=units, fields=dict(zip(model.groups, fields, strict=True)), couplings=couplings)


def _single(units: Units) -> Units:
    return units.one if isinstance(units, Twice) else units
