"""Exact, independent draws from machines of two-state units that are ferromagnets up to flips of units.

With x = shift + scale·s, s = ±1, the machine has couplings J and fields h of spins. A field is a coupling to one more
spin, the ghost, which is up. Where some spins can be flipped so that no coupling is negative, which is so if no loop
has an odd number of negative ones (Harary 1953: the signed graph is balanced), the machine is a ferromagnet, and random
clusters coupled from the past draw from it exactly: see `kernels.random_clusters`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tractable.kernels.random_clusters import Bonds, draws
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.keys import generator
from tractable.models.units import Spin
from tractable.posterior.exact import binary

ROUNDING = 1e-14
"""A field that is smaller than this part of the terms that cancel in it is zero."""

TRIALS = 4
"""Draws that are thrown away, to see what one takes: to stop early at those that take long would favour the others."""

CAP = 64
"""What any draw may take beyond its share; times to meet have exponential tails, so that none does."""


class Ferromagnet(NamedTuple):
    """The bonds of a machine once some units are flipped.

    Attributes
    ----------
    bonds : couplings of spins, the ghost the last.
    shift, scale : x = shift + scale·s for all units side by side, the flips being in the signs of the scale.
    parts : group → where its units stand.
    """

    bonds: Bonds
    shift: np.ndarray
    scale: np.ndarray
    parts: dict[str, slice]


def balanced(model: Boltzmann) -> Ferromagnet | None:
    """The machine as a ferromagnet; None where it is none, however units are flipped, or has other units.

    >>> from tractable.models import boltzmann
    >>> odd = np.array([[0, 1, 1], [1, 0, -1], [1, -1, 0]])
    >>> balanced(boltzmann(couplings=odd, units="spin")) is None, balanced(boltzmann(couplings=-abs(odd))) is None
    (True, True)
    >>> balanced(boltzmann(couplings=abs(odd), units="spin")).scale.tolist()
    [1.0, 1.0, 1.0]
    """
    if not binary.applies(model):
        return None
    sizes = [model.units[name].n for name in model.groups]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    parts = {name: slice(a, b) for name, a, b in zip(model.groups, starts, starts[1:], strict=False)}
    spin = np.repeat([isinstance(model.units[name], Spin) for name in model.groups], sizes)
    shift, scale = np.where(spin, 0.0, 0.5), np.where(spin, 1.0, 0.5)
    ends, couplings = _coupled(model, parts)
    fields = np.concatenate([np.asarray(model.fields[name], np.float64) for name in model.groups] or [np.zeros(0)])
    bonds = _with_ghost(ends, couplings, fields, (shift, scale))
    if not np.isfinite(bonds.couplings).all() or (signs := _signs(bonds)) is None:
        return None
    return Ferromagnet(bonds._replace(couplings=abs(bonds.couplings)), shift, scale * signs, parts)


def draw(form: Ferromagnet, n: int, key: Any, budget: float) -> dict[str, np.ndarray] | None:
    """`n` exact, independent draws, group → features [n, n_units]; None where they would take more than the budget.

    `budget` : bonds visited and steps between vertices, about two nanoseconds each, of all draws together; whether it
    is enough, trial draws say.
    """
    rng = generator(key)
    trial, seed = (int(a) for a in rng.integers(2**63, size=2))
    share = budget / max(n, 1)
    tried = draws(form.bonds, TRIALS, trial, TRIALS * share)
    if tried is None or tried.work.mean() > share:
        return None
    found = draws(form.bonds, n, seed, CAP * share)
    if found is None:
        return None
    x = form.shift + form.scale * found.spins
    return {name: x[:, part] for name, part in form.parts.items()}


def _coupled(model: Boltzmann, parts: dict[str, slice]) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of units that are coupled [m, 2], and their couplings [m]."""
    ends, couplings = [np.zeros((0, 2), np.int32)], [np.zeros(0)]
    for (a, b), given in model.couplings.items():
        w = np.asarray(given, np.float64)
        if a == b and a in model.edges:
            i, j = np.asarray(model.edges[a]).T
        else:
            w = np.triu(w, 1) if a == b else w
            i, j = w.nonzero()
            w = w[i, j]
        ends.append(np.stack([parts[a].start + i, parts[b].start + j], axis=1).astype(np.int32)[w != 0])
        couplings.append(w[w != 0])
    return np.concatenate(ends), np.concatenate(couplings)


def _with_ghost(
    ends: np.ndarray, couplings: np.ndarray, fields: np.ndarray, units: tuple[np.ndarray, np.ndarray]
) -> Bonds:
    """Couplings between spins, those of 0/1 units turned, and fields as couplings to the ghost."""
    (shift, scale), n = units, len(fields)
    with np.errstate(all="ignore"):
        h, terms = fields.copy(), abs(fields)
        for own, other in (ends.T, ends[:, ::-1].T):
            np.add.at(h, own, couplings * shift[other])
            np.add.at(terms, own, abs(couplings) * shift[other])
        h = np.where(abs(h) <= ROUNDING * terms, 0.0, h) * scale
        held = np.flatnonzero(h != 0)
        ghost = np.stack([held, np.full(len(held), n)], axis=1).astype(np.int32)
        inner = couplings * scale[ends[:, 0]] * scale[ends[:, 1]]
    return Bonds(n + 1, np.concatenate([ends, ghost]), np.concatenate([inner, h[held]]))


def _signs(bonds: Bonds) -> np.ndarray | None:
    """Signs of the spins with which no coupling is negative; None where there are none."""
    starts, others, negative = _neighbours(bonds)
    signs = np.zeros(bonds.n)
    for first in range(bonds.n - 1, -1, -1):  # the ghost, which stays up, and then whoever is not joined to it
        if signs[first]:
            continue
        signs[first], front = 1.0, np.array([first])
        while len(front):
            at = _slots(starts, front)
            reached, own = others[at], np.repeat(signs[front], starts[front + 1] - starts[front])
            wanted = np.where(negative[at], -own, own)
            new = signs[reached] == 0
            signs[reached[new]] = wanted[new]
            front = np.unique(reached[new])
    i, j = bonds.ends.T
    return None if (bonds.couplings * signs[i] * signs[j] < 0).any() else signs[:-1]


def _neighbours(bonds: Bonds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of all vertices, one after another: where theirs start, the neighbours, and whether the coupling is negative."""
    own, other = np.concatenate([bonds.ends, bonds.ends[:, ::-1]]).T
    order = np.argsort(own, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(own, minlength=bonds.n))])
    return starts, other[order], np.tile(bonds.couplings < 0, 2)[order]


def _slots(starts: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """The places of the neighbours of some vertices."""
    counts = starts[vertices + 1] - starts[vertices]
    return np.repeat(starts[vertices] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
