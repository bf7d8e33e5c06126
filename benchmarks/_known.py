"""Machines with their log Z, exact draws of their visible units, and phases.

Uniform machines (all units of a layer alike) are summed by counting: the sum over the states of a layer of n units is
one over the n + 1 numbers of units that are on. The others are small enough on one side to be enumerated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import tractable as tr
from tractable.models.keys import generator
from tractable.plan import ask
from tractable.plan.machines import EXACT, plan_machine
from tractable.posterior.cases import read_cases
from tractable.posterior.exact import clamped

Rng = np.random.Generator
Rows = np.ndarray
N_ROWS = 200
N_EXACT = 20_000
"""Exact draws that shares of phases are taken from."""


class Known(NamedTuple):
    """A machine, its log Z, exact draws of its visible units, and the number of the phase that each row belongs to."""

    kind: str
    model: Any
    log_z: float
    draw: Callable[[Rng, int], Rows]
    phase: Callable[[Rows], np.ndarray]


MODES = ("none", "true", "phase", "copies")


def rows_for(known: Known, mode: str, rng: Rng) -> Rows | None:
    """Data: none, samples of the model, samples of one of its two heaviest phases, or copies of one sample."""
    if mode == "none":
        return None
    rows = known.draw(rng, N_EXACT if mode == "phase" else N_ROWS)
    if mode == "phase":
        phases, counts = np.unique(known.phase(rows), return_counts=True)
        heaviest = phases[np.argsort(-counts)][:2]
        return rows[known.phase(rows) == rng.choice(heaviest)][:N_ROWS]
    return np.repeat(rows[:1], N_ROWS, axis=0) if mode == "copies" else rows


# ---------------------------------------------------------------- truth


def log_sum(a: np.ndarray, axis: int | None = None) -> np.ndarray:
    """log Σ exp."""
    return np.logaddexp.reduce(a.ravel() if axis is None else a, axis=0 if axis is None else axis)


class Uniform(NamedTuple):
    """Layers of units that are all alike: sizes, a field for each layer, a coupling for each pair of neighbours."""

    sizes: Sequence[int]
    fields: Sequence[float]
    couplings: Sequence[float]
    spin: bool = False

    def totals(self, layer: int) -> np.ndarray:
        """The sum over a layer of its units' values, for each number of units that are on."""
        n = self.sizes[layer]
        return np.arange(-n, n + 1, 2.0) if self.spin else np.arange(n + 1.0)

    def messages(self) -> list[np.ndarray]:
        """For each layer the log weight of each number of units on, with all layers below summed out."""
        out: list[np.ndarray] = []
        for i, (n, b) in enumerate(zip(self.sizes, self.fields, strict=True)):
            factorials = np.append(0, np.cumsum(np.log(np.arange(1, n + 1))))
            own = factorials[-1] - factorials - factorials[::-1] + b * self.totals(i)
            out.append(own + log_sum(out[-1][:, None] + self._pairs(i - 1), axis=0) if i else own)
        return out

    def _pairs(self, i: int) -> np.ndarray:
        return self.couplings[i] * np.outer(self.totals(i), self.totals(i + 1))

    def draw(self, rng: Rng, n: int) -> Rows:
        """Which visible units are on [n, n_visible]."""
        messages = self.messages()
        counts = rng.choice(len(messages[-1]), size=n, p=_normal(messages[-1]))
        for i in reversed(range(len(self.sizes) - 1)):
            tables = np.cumsum(_normal(messages[i][:, None] + self._pairs(i)), axis=0)[:, counts]
            counts = (rng.random(n) * tables[-1] > tables).sum(axis=0)
        return rng.permuted(np.arange(self.sizes[0]) < counts[:, None], axis=1)


def _normal(log_weights: np.ndarray) -> np.ndarray:
    p = np.exp(log_weights - log_weights.max(axis=0))
    return p / p.sum(axis=0)


def counted(kind: str, uniform: Uniform, flips: Sequence[np.ndarray] | None = None) -> Known:
    """A uniform machine in which some units are turned round: y = f + s x is what is uniform, s = −1 where turned."""
    sizes, spin = uniform.sizes, uniform.spin
    turned = flips if flips is not None else [np.zeros(n, bool) for n in sizes]
    signs = [1.0 - 2.0 * f for f in turned]
    shift = [0.0 if spin else float(f.sum()) for f in turned]
    felt = list(uniform.fields)
    for i, w in enumerate(uniform.couplings):
        felt[i], felt[i + 1] = felt[i] + w * shift[i + 1], felt[i + 1] + w * shift[i]
    constant = sum(b * f for b, f in zip(uniform.fields, shift, strict=True))
    constant += sum(w * f * g for w, (f, g) in zip(uniform.couplings, pairwise(shift), strict=True))
    biases = [b * s for b, s in zip(felt, signs, strict=True)]
    weights = [w * np.outer(s, t) for w, (s, t) in zip(uniform.couplings, pairwise(signs), strict=True)]

    def draw(rng: Rng, n: int) -> Rows:
        on = uniform.draw(rng, n) ^ turned[0]
        return 2.0 * on - 1 if spin else on.astype(float)

    log_z = float(log_sum(uniform.messages()[-1])) - constant
    model = layered(weights, biases, "spin" if spin else "bernoulli")
    return Known(kind, model, log_z, draw, nearest(model, np.stack([signs[0], -signs[0]])))


def layered(weights: Sequence[np.ndarray], biases: Sequence[np.ndarray], units: str) -> Any:
    """A restricted machine, or a deep one."""
    if len(weights) == 1:
        return tr.restricted(couplings=weights[0], visible_bias=biases[0], hidden_bias=biases[1], units=units)
    return tr.deep([len(b) for b in biases], couplings=weights, biases=biases, units=units)


def enumerated(kind: str, model: Any, phase: Callable[[Rows], np.ndarray] | None = None) -> Known:
    """A machine that the library enumerates; without phases of its own it is cut across its rows' longest axis."""

    def draw(rng: Rng, n: int) -> Rows:
        plan = plan_machine(model.graph, (), ask("sample", n=n))
        assert plan.method in EXACT
        return clamped.draw(model, read_cases(model, None), plan, generator(int(rng.integers(2**31))))["visible"]

    log_z = tr.log_partition(model, method="exact").value
    return Known(kind, model, float(log_z), draw, phase or _across(model, draw))


def _features(model: Any, rows: Rows) -> np.ndarray:
    """Features of visible values, those of zeros and ones as −1 and 1."""
    units = model.units["visible"]
    x = np.asarray(units.encode(rows), float)
    return 2 * x - 1 if units.zero_one else x


def nearest(model: Any, centres: np.ndarray, least: float = -1.0) -> Callable[[Rows], np.ndarray]:
    """The phase of a row: 1 + the number of the centre it agrees with most, 0 where with none more than `least`."""

    def phase(rows: Rows) -> np.ndarray:
        overlap = _features(model, rows) @ centres.T / centres.shape[1]
        return np.where(overlap.max(axis=1) > least, 1 + overlap.argmax(axis=1), 0)

    return phase


def _across(model: Any, draw: Callable[[Rng, int], Rows]) -> Callable[[Rows], np.ndarray]:
    x = _features(model, draw(np.random.default_rng(0), 2000))
    mean = x.mean(axis=0)
    axis = np.linalg.svd(x - mean, full_matrices=False)[2][0]
    return lambda rows: ((_features(model, rows) - mean) @ axis > 0).astype(int)


def agreement(rng: Rng) -> float:
    """The furthest that log Z by counting is from that by enumeration, over small machines."""
    furthest = 0.0
    for sizes in ((5, 7), (8, 8), (4, 5, 6)):
        for spin, turned in ((False, False), (False, True), (True, False), (True, True)):
            b, w = rng.normal(size=len(sizes)).tolist(), rng.normal(size=len(sizes) - 1).tolist()
            flips = [rng.random(n) < 0.5 for n in sizes] if turned else None
            known = counted("", Uniform(sizes, b, w, spin), flips)
            furthest = max(furthest, abs(known.log_z - tr.log_partition(known.model, method="exact").value))
    return furthest
