"""Machines of Bernoulli and spin units as the arrays that the enumeration kernel takes, and its answers as machines.

A spin is 2h − 1 with h ∈ {0, 1}, so that every such machine is one of 0/1 units with other fields and a constant.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tractable.kernels import enumeration
from tractable.kernels.enumeration import Progress
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.units import Bernoulli, Spin
from tractable.plan.machines import Split


class Side(NamedTuple):
    """The units of some groups side by side: x = scale·h + shift with h ∈ {0, 1}."""

    groups: tuple[str, ...]
    starts: np.ndarray
    fields: np.ndarray
    scale: np.ndarray
    shift: np.ndarray

    def part(self, name: str) -> slice:
        """Where the units of a group stand."""
        i = self.groups.index(name)
        return slice(self.starts[i], self.starts[i + 1])


class Binary(NamedTuple):
    """log p̃ = constant + c·h + b·y + h·Wy + Σ_{i<j} J_ij h_i h_j, the states of h enumerated and y summed out."""

    enumerated: Side
    summed: Side
    W: np.ndarray
    c: np.ndarray
    b: np.ndarray
    J: np.ndarray | None
    constant: float


def applies(model: Boltzmann) -> bool:
    """Whether all units have two states given by one number."""
    return all(isinstance(units, Bernoulli | Spin) for units in model.units.values())


def log_partition(model: Boltzmann, split: Split, progress: Progress = None) -> float:
    """log Z."""
    form = binary_form(model, split)
    return enumeration.log_sum(form.W, form.c, form.b, form.J, progress) + form.constant


def statistics(model: Boltzmann, split: Split, progress: Progress = None) -> tuple[float, Boltzmann]:
    """log Z and the expected sufficient statistics as a machine: features in its fields, products in its couplings."""
    form = binary_form(model, split)
    found = enumeration.expectations(form.W, form.c, form.b, form.J, progress)
    a, s = form.enumerated, form.summed
    x, y = a.scale * found.h + a.shift, s.scale * found.x + s.shift
    # E[(αh + t)(βy + u)'] = αβ E[hy'] + t E[βy]' + E[αh] u' + t u'
    xy = a.scale[:, None] * found.hx * s.scale + np.outer(a.shift, y - s.shift) + np.outer(x, s.shift)
    xx = a.scale[:, None] * found.hh * a.scale + np.outer(a.shift, x - a.shift) + np.outer(x, a.shift)
    fields = {g: x[a.part(g)] for g in a.groups} | {g: y[s.part(g)] for g in s.groups}
    couplings = {pair: _products(model, pair, form, xy, xx) for pair in model.couplings}
    record = Boltzmann(model.units, fields, couplings, model.edges, np.float64(1.0))
    return found.log_z + form.constant, record


def sample(model: Boltzmann, split: Split, generator: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """`n` exact, independent draws of the features of the enumerated groups."""
    form = binary_form(model, split)
    side = form.enumerated
    x = side.scale * enumeration.sample(form.W, form.c, form.b, form.J, generator, n) + side.shift
    return {name: x[:, side.part(name)] for name in side.groups}


def _products(model: Boltzmann, pair: tuple[str, str], form: Binary, xy: np.ndarray, xx: np.ndarray) -> np.ndarray:
    first, second = (name in form.enumerated.groups for name in pair)
    (p, q), a, s = pair, form.enumerated, form.summed
    if not (first or second):  # a group of one unit, which meets nobody within it
        return np.zeros((model.units[p].n, model.units[q].n))
    if first and second:
        block = xx[a.part(p), a.part(q)]
        if p != q:
            return block
        return block[tuple(np.asarray(model.edges[p]).T)] if p in model.edges else np.triu(block, 1)
    return xy[a.part(p), s.part(q)] if first else xy[a.part(q), s.part(p)].T


def binary_form(model: Boltzmann, split: Split) -> Binary:
    """The machine in 0/1 units."""
    a, s = _side(model, split.enumerated), _side(model, split.summed)
    W, J = np.zeros((a.fields.size, s.fields.size)), np.zeros((a.fields.size, a.fields.size))
    for (p, q), w in model.couplings.items():
        w = np.asarray(w, np.float64)
        if p in a.groups and q in a.groups:
            J[a.part(p), a.part(q)] += _square(model, p, w) if p == q else w
            if p != q:
                J[a.part(q), a.part(p)] += w.T
        elif p in a.groups:
            W[a.part(p), s.part(q)] += w
        elif q in a.groups:
            W[a.part(q), s.part(p)] += w.T
    c = a.scale * (a.fields + W @ s.shift + J @ a.shift)
    b = s.scale * (s.fields + a.shift @ W)
    constant = float(model.offset) + a.fields @ a.shift + s.fields @ s.shift + a.shift @ W @ s.shift
    constant += 0.5 * a.shift @ J @ a.shift
    inner = a.scale[:, None] * J * a.scale if J.any() else None
    return Binary(a, s, a.scale[:, None] * W * s.scale, c, b, inner, float(constant))


def _square(model: Boltzmann, name: str, w: np.ndarray) -> np.ndarray:
    """The couplings within a group as a symmetric matrix."""
    if name not in model.edges:
        return np.triu(w, 1) + np.triu(w, 1).T
    i, j = np.asarray(model.edges[name]).T
    out = np.zeros((model.units[name].n,) * 2)
    np.add.at(out, (i, j), w)
    return out + out.T


def _side(model: Boltzmann, groups: tuple[str, ...]) -> Side:
    spin = [np.full(model.units[g].n, isinstance(model.units[g], Spin)) for g in groups]
    is_spin = np.concatenate(spin) if spin else np.zeros(0, bool)
    fields: list[Any] = [np.asarray(model.fields[g], np.float64) for g in groups]
    starts = np.concatenate([[0], np.cumsum([model.units[g].n for g in groups])]).astype(int)
    shift = np.where(is_spin, -1.0, 0.0)
    return Side(groups, starts, np.concatenate(fields) if fields else np.zeros(0), np.where(is_spin, 2.0, 1.0), shift)
