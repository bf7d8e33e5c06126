"""log p̃(v) row by row where the hidden units cannot be summed out: annealing from each row's own mean field.

For each row v a few chains go from the factorized q of mean field to p(h | v), through machines with the fields
(1 − β) a + β φ and β times the couplings among hidden units. e^work is an unbiased estimate of p̃(v)/Z_base, and so:

- log p̃(v) of a row is at least the betting bound of its chains, with the stated confidence;
- over R independent rows ∏ (estimate/p̃) has the expectation one, so that by Markov's inequality the mean of log p̃(v) is
  at least the mean of the logarithms of the estimates less log(1/δ)/R.

There is no upper end: reverse runs would need exact samples of the hidden units given each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.evaluate import bounds
from tractable.evaluate.cumulants import cumulant_change
from tractable.evaluate.path import State, sum_of_cumulants
from tractable.models.boltzmann_machine import VISIBLE, Boltzmann
from tractable.models.clamping import checked_values
from tractable.posterior import Certificate
from tractable.posterior.approximate.mean_field import layer_means

TOGETHER = 4096
"""Chains that run side by side."""

SWEEPS = 50
FEW = 2.0
"""Effective chains below which a row's estimate is the work of a single one."""

NO_UPPER = "log p̃(v) of each row is annealed and has no upper end: that takes exact samples of its hidden units"


@dataclass(frozen=True)
class RowAnnealing:
    """How to anneal the hidden units of each row.

    Attributes
    ----------
    n_chains : chains for each row.
    n_temperatures : even steps between mean field and model.
    confidence : of the lower ends; half of what they may fail by is left to log Z.
    """

    n_chains: int = 16
    n_temperatures: int = 200
    confidence: float = 0.95


class _Path(eqx.Module):
    """The hidden groups of each chain: fields at both ends [c, f], and the couplings that all share."""

    inner: Boltzmann
    base: State
    end: State
    summed: tuple[str, ...] = eqx.field(static=True)

    @property
    def units(self) -> Any:
        return self.inner.units

    @property
    def kept(self) -> tuple[str, ...]:
        return tuple(name for name in self.inner.groups if name not in self.summed)

    def slope(self, name: str, x: State) -> Array:
        """∂θ/∂β of a group given others."""
        return self.end[name] + self.inner.local_field(name, x) - self.base[name]


def applies(model: Boltzmann) -> bool:
    """Whether the hidden groups are layers that interact: no couplings within any of them, but some between."""
    graph = model.graph.without([VISIBLE])
    return not graph.is_free and not any(graph.coupled_within(name) for name in model.hidden)


def certified(
    model: Boltzmann, values: Any, key: Any = 0, settings: RowAnnealing | None = None
) -> tuple[Certificate, Certificate]:
    """log p̃(v) of complete rows [n_rows, n_visible], each with its own lower end, and their mean with its own.

    Raises
    ------
    ModelError : values that do not fit the model, or are missing.
    """
    settings = settings or RowAnnealing()
    work, delta = row_work(model, values, key, settings), (1 - settings.confidence) / 2
    effective = np.array([bounds.effective_sample_size(w) for w in work])
    value = np.array([bounds.log_mean_exp(w) for w in work])
    lower = np.minimum([bounds.log_mean_lower(w, delta) for w in work], value)
    error, n = np.sqrt(np.maximum(1 / effective - 1 / settings.n_chains, 0)), len(work)
    how: dict[str, Any] = {"kind": "probabilistic", "confidence": settings.confidence, "verdict": _verdict(effective)}
    rows = Certificate(value, lower, np.full(n, np.inf), std_error=error, **how)
    mean, low = float(value.mean()), float(value.mean() - np.log(1 / delta) / n)
    return rows, Certificate(mean, low, np.inf, std_error=rows.mean().std_error, **how)


def _verdict(effective: np.ndarray) -> str:
    few = int((~(effective >= FEW)).sum())  # what is not a number counts among them
    if not few:
        return NO_UPPER
    return f"{NO_UPPER}; of {few} of {len(effective)} rows one chain carries the estimate: use more temperatures"


def row_work(model: Boltzmann, values: Any, key: Any, settings: RowAnnealing) -> Float[np.ndarray, "r c"]:
    """log p̃(v) of each row as each of its chains has it."""
    rows = checked_values(model, VISIBLE, values, missing=False)
    key = jax.random.key(key) if isinstance(key, int | np.integer) else key
    parts = _parts(rows, settings)
    return np.concatenate([_work(model, part, (key, first), settings)[:n] for first, n, part in parts])


def _parts(rows: np.ndarray, settings: RowAnnealing) -> Iterator[tuple[int, int, np.ndarray]]:
    """Some rows at a time, the last of them filled up: all parts have the same shape."""
    size = min(len(rows), max(1, TOGETHER // settings.n_chains))
    for first in range(0, len(rows), size):
        part = rows[first : first + size]
        yield first, len(part), part[np.minimum(np.arange(size), len(part) - 1)]


def _work(model: Boltzmann, rows: np.ndarray, how: Any, settings: RowAnnealing) -> Float[np.ndarray, "r c"]:
    """log p̃(v) as each chain has it."""
    key, first = how
    plain, n = model.astype(np.float32), settings.n_chains
    v = jnp.asarray(plain.units[VISIBLE].encode(np.asarray(rows, np.float32)), jnp.float32)
    path = _path_of(plain, v, n, _summed(model))
    numbers = jnp.arange(first * n, (first + len(rows)) * n, dtype=jnp.uint32)
    betas = jnp.linspace(0, 1, settings.n_temperatures + 1, dtype=jnp.float32)
    change = np.asarray(_run(path, key, betas, numbers), np.float64).sum(axis=0)
    return _constants(model, rows, path, n)[:, None] + change.reshape(len(rows), n)


def _constants(model: Boltzmann, rows: np.ndarray, path: _Path, n_chains: int) -> Float[np.ndarray, " r"]:
    """log Z of each row's base, and what of log p̃ does not depend on the hidden units; in double precision."""
    with jax.enable_x64(True):
        exact = model.astype(np.float64)
        v = jnp.asarray(exact.units[VISIBLE].encode(np.asarray(rows, np.float64)), jnp.float64)
        zeros = {name: jnp.zeros((len(v), exact.units[name].n_features)) for name in model.hidden}
        base = {name: np.asarray(a, np.float64)[::n_chains] for name, a in path.base.items()}
        hidden = {name: exact.units[name] for name in base}
        return np.asarray(exact.log_joint({VISIBLE: v, **zeros}) + sum_of_cumulants(hidden, base))


def _summed(model: Boltzmann) -> tuple[str, ...]:
    """Every second layer: the larger half of the hidden units is summed out."""
    graph = model.graph.without([VISIBLE])
    blocks = graph.independent_groups()
    return max(blocks, key=lambda block: sum(graph.sizes[name] for name in block))


@eqx.filter_jit
def _path_of(model: Boltzmann, v: Array, n_chains: int, summed: tuple[str, ...]) -> _Path:
    hidden = model.hidden
    inner = {pair: w for pair, w in model.couplings.items() if VISIBLE not in pair}
    fields = {name: jnp.zeros_like(model.fields[name]) for name in hidden}
    means = layer_means(model, v, SWEEPS)
    wide = {name: (len(v), model.units[name].n_features) for name in hidden}
    base = {name: jnp.broadcast_to(model.local_field(name, means), wide[name]) for name in hidden}
    end = {name: jnp.broadcast_to(model.local_field(name, {VISIBLE: v}), wide[name]) for name in hidden}
    base, end = jax.tree.map(lambda a: jnp.repeat(a, n_chains, axis=0), (base, end))
    machine = Boltzmann({name: model.units[name] for name in hidden}, fields, inner, {}, jnp.zeros(()))
    return _Path(machine, base, end, summed)


@jax.jit
def _run(path: _Path, key: Any, betas: Array, numbers: Array) -> Float[Array, "t c"]:
    """The increments of log p̃ of all chains; what chain r draws depends on the key and its number alone."""

    def drawn(key: Any, i: int, name: str, theta: Array) -> Array:
        return path.units[name].sample(jax.random.fold_in(key, i), numbers, theta)

    def step(x: State, now: Any) -> tuple[State, Array]:
        time, old, new = now
        change = (new - old) * _linear(path, x)
        key_now, whole = jax.random.fold_in(key, time), dict(x)
        for i, name in enumerate(path.summed):
            slope = path.slope(name, x)
            theta = path.base[name] + old * slope
            change = change + cumulant_change(path.units[name], theta, (new - old) * slope).sum(-1)
            whole[name] = drawn(key_now, i, name, path.base[name] + new * slope)
        for i, name in enumerate(path.kept, start=len(path.summed)):
            whole[name] = drawn(key_now, i, name, path.base[name] + new * path.slope(name, whole))
        return {name: whole[name] for name in path.kept}, change

    start = jax.random.fold_in(key, len(betas))
    x = {name: drawn(start, i, name, path.base[name]) for i, name in enumerate(path.kept)}
    return jax.lax.scan(step, x, (jnp.arange(len(betas) - 1), betas[:-1], betas[1:]))[1]


def _linear(path: _Path, x: State) -> Float[Array, " c"]:
    """∂/∂β of log p̃ of the kept states, what goes through the groups that are summed out left aside."""
    out = sum(((x[name] * (path.end[name] - path.base[name])).sum(-1) for name in path.kept), jnp.zeros(()))
    touching = {pair: w for pair, w in path.inner.couplings.items() if {*pair} <= {*path.kept}}
    for (a, b), w in touching.items():
        out = out + ((x[a] @ w) * x[b]).sum(-1)
    return out
