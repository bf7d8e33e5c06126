"""Tiny Boltzmann machines of every constructor and every kind of unit, for laws that must hold for all."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tractable.models.boltzmann_machine import Boltzmann, boltzmann, deep, restricted
from tractable.models.units import Categorical, Gaussian, Spin, Units

Rng = np.random.Generator


@dataclass(frozen=True)
class Row:
    """A named family of machines: one for each seed."""

    name: str
    build: Callable[[Rng], Boltzmann]

    def model(self, seed: int = 0) -> Boltzmann:
        return self.build(np.random.default_rng([seed, zlib.crc32(self.name.encode())]))

    def __str__(self) -> str:
        return self.name


def random_evidence(model: Boltzmann, rng: Rng, share: float = 0.5) -> dict[str, np.ndarray]:
    """Values for about a share of the units of every group, NaN for the others."""
    out = {}
    for name, units in model.units.items():
        values = random_values(units, rng, (units.n,))
        out[name] = np.where(rng.random(units.n) < share, values, np.nan)
    return out


def random_values(units: Units, rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """Values that the units can take, unit number last."""
    if isinstance(units, Gaussian):
        return rng.normal(size=shape)
    if isinstance(units, Categorical):
        return rng.integers(units.q, size=shape).astype(float)
    return rng.integers(2, size=shape) * (2.0 if isinstance(units, Spin) else 1.0) - isinstance(units, Spin)


def _sizes(layers: Sequence[int | Units]) -> list[int]:
    return [layer if isinstance(layer, int) else layer.n_features for layer in layers]


def _deep(rng: Rng, layers: list[int | Units], scale: float = 1.0) -> Boltzmann:
    """A machine of layers with random couplings and biases."""
    couplings = [scale * rng.normal(size=pair) for pair in pairwise(_sizes(layers))]
    return deep(layers, couplings=couplings, biases=[rng.normal(size=n) for n in _sizes(layers)])


def _restricted(rng: Rng, visible: int | Units, hidden: int | Units, scale: float = 1.0) -> Boltzmann:
    n, m = _sizes([visible, hidden])
    bias = {"visible_bias": rng.normal(size=n), "hidden_bias": rng.normal(size=m)}
    return restricted(visible, hidden, couplings=scale * rng.normal(size=(n, m)), **bias)


def symmetric(rng: Rng, n: int, scale: float) -> np.ndarray:
    """Random couplings of all pairs, none of a unit to itself."""
    upper = np.triu(scale * rng.normal(size=(n, n)), 1)
    return upper + upper.T


def _dense(rng: Rng, n: int, units: str, scale: float = 0.5) -> Boltzmann:
    return boltzmann(n, couplings=symmetric(rng, n, scale), visible_bias=rng.normal(size=n), units=units)


def _dense_categorical(rng: Rng) -> Boltzmann:
    w = symmetric(rng, 12, 0.5)
    for unit in range(4):
        w[3 * unit : 3 * unit + 3, 3 * unit : 3 * unit + 3] = 0
    return boltzmann(12, units=Categorical(4, 3), couplings=w, visible_bias=rng.normal(size=12))


def _with_hidden(rng: Rng) -> Boltzmann:
    machine = boltzmann(5, hidden=4)
    couplings = {pair: rng.normal(size=w.shape) * 0.7 for pair, w in machine.couplings.items()}
    fields = {name: rng.normal(size=len(b)) for name, b in machine.fields.items()}
    return Boltzmann(machine.units, fields, couplings, {}, np.float64(0.25))


def _sparse(rng: Rng, n: int, edges: list[tuple[int, int]], units: str) -> Boltzmann:
    weights = rng.normal(size=len(edges))
    return boltzmann(n, edges, couplings=weights, visible_bias=rng.normal(size=n), units=units)


def lattice(rows: int, columns: int) -> list[tuple[int, int]]:
    """The edges of a square lattice with open ends."""
    at = np.arange(rows * columns).reshape(rows, columns)
    pairs = [(at[:, :-1], at[:, 1:]), (at[:-1], at[1:])]
    return [e for a, b in pairs for e in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)]


STAR = [(0, k) for k in range(1, 9)] + [(7, 8), (2, 3)]

ZOO = (
    Row("free", lambda rng: boltzmann(4, couplings=np.zeros((4, 4)), visible_bias=rng.normal(size=4))),
    Row("edgeless", lambda rng: _sparse(rng, 4, [], "spin")),
    Row("restricted", lambda rng: _restricted(rng, 6, 4)),
    Row("restricted_wide", lambda rng: _restricted(rng, 3, 7)),
    Row("restricted_one", lambda rng: _restricted(rng, 1, 1)),
    Row("restricted_spin", lambda rng: _restricted(rng, Spin(5), Spin(4), 0.5)),
    Row("restricted_mixed", lambda rng: _restricted(rng, Categorical(3, 3), Spin(4), 0.7)),
    Row("restricted_categorical", lambda rng: _restricted(rng, 5, Categorical(3, 3))),
    Row("restricted_gaussian", lambda rng: _restricted(rng, Gaussian(3, np.array([0.2, -0.3, 0.5])), 5, 0.5)),
    Row("deep", lambda rng: _deep(rng, [4, 3, 4])),
    Row("deep_three", lambda rng: _deep(rng, [3, 3, 2, 3])),
    Row("deep_mixed", lambda rng: _deep(rng, [Categorical(2, 4), Spin(3), 3], 0.7)),
    Row("deep_gaussian", lambda rng: _deep(rng, [Gaussian(2, np.zeros(2)), 4, 3], 0.5)),
    Row("dense", lambda rng: _dense(rng, 8, "bernoulli")),
    Row("dense_spin", lambda rng: _dense(rng, 8, "spin", 0.3)),
    Row("dense_categorical", _dense_categorical),
    Row("dense_hidden", _with_hidden),
    Row("lattice", lambda rng: _sparse(rng, 12, lattice(3, 4), "spin")),
    Row("chain", lambda rng: _sparse(rng, 9, [(i, i + 1) for i in range(8)], "bernoulli")),
    Row("star", lambda rng: _sparse(rng, 10, STAR, "bernoulli")),  # a unit without neighbours, and one with eight
)
