"""Coupling from the past with random clusters: against enumeration, and against sums over the numbers of on-units."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from machines_oracle import Z, joint
from sweep import seeds

import tractable as tr
from tractable.kernels.random_clusters import Bonds, draws
from tractable.models.boltzmann_machine import Boltzmann
from tractable.posterior.engines import machines
from tractable.posterior.exact.random_clusters import balanced, draw

STRENGTHS = [0.0, 0.0, 0.25, 0.5, 1.0]
"""Of couplings and fields of spins: binary fractions, so that what cancels cancels."""

SHAPES = ("restricted", "deep", "dense", "edges")
UNITS = {"bernoulli": (0.5, 0.5, tr.Bernoulli), "spin": (0.0, 1.0, tr.Spin)}


def machine(shape: str, rng: np.random.Generator, strengths: list[float], signs: Any = None) -> Boltzmann:
    """A machine of a few units with these strengths of couplings and fields between spins, and flips of its units.

    `signs` draws a sign for each instead: then it may be no ferromagnet, however flipped.
    """
    sizes = {"restricted": [3, 2], "deep": [2, 2, 2], "dense": [5], "edges": [6]}[shape]
    kinds = rng.choice(list(UNITS), len(sizes))
    shift, scale = (np.repeat([UNITS[k][i] for k in kinds], sizes).astype(float) for i in range(2))
    n, flips = sum(sizes), rng.choice([-1.0, 1.0], sum(sizes))
    layer = np.repeat(np.arange(len(sizes)), sizes)
    allowed = np.abs(layer[:, None] - layer) == (1 if len(sizes) > 1 else 0)
    w = np.triu(rng.choice(strengths, (n, n)) * allowed, 1)
    w, h = w + w.T, rng.choice(strengths, n)
    if signs is None:
        w, h = w * np.outer(flips, flips), h * flips
    else:
        upper = np.triu(rng.choice(signs, (n, n)), 1)
        w, h = w * (upper + upper.T), h * rng.choice(signs, n)
    w = w / np.outer(scale, scale)
    return _made(shape, sizes, [UNITS[k][2] for k in kinds], (w, h / scale - w @ shift))


def _made(shape: str, sizes: list[int], kinds: list[Any], numbers: tuple[np.ndarray, np.ndarray]) -> Boltzmann:
    w, b = numbers
    at = [slice(a, a + n) for a, n in zip(np.cumsum([0, *sizes]).tolist(), sizes, strict=False)]
    units = [kind(n) for kind, n in zip(kinds, sizes, strict=True)]
    if shape == "dense":
        return tr.boltzmann(units=units[0], couplings=w, visible_bias=b)
    if shape == "edges":
        pairs = list(itertools.combinations(range(len(b)), 2))
        return tr.boltzmann(edges=pairs, units=units[0], couplings=[w[i, j] for i, j in pairs], visible_bias=b)
    couplings = [w[i, j] for i, j in itertools.pairwise(at)]
    return tr.deep(units, couplings=couplings, biases=[b[i] for i in at])


def side_by_side(model: Boltzmann, x: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(x[name]) for name in model.groups], axis=1)


def assert_drawn_from(model: Boltzmann, x: np.ndarray) -> None:
    """Counts of states by χ², rare ones together, and the mean log-weight."""
    table, n = joint(model), len(x)
    every = {tuple(row): i for i, row in enumerate(side_by_side(model, table.values).tolist())}
    counts = np.bincount([every[tuple(row)] for row in x.tolist()], minlength=len(every))
    assert not counts[table.p * n < 1e-6].any()
    expected, often = n * table.p, n * table.p >= 5
    found = np.append(counts[often], counts[~often].sum())
    expected = np.append(expected[often], max(expected[~often].sum(), 1e-12))
    found, expected = found[expected > 1e-6], expected[expected > 1e-6]
    freedom, chi = len(found) - 1, float(((found - expected) ** 2 / expected).sum())
    assert chi < freedom + Z * math.sqrt(2 * max(freedom, 1)) + 25  # beyond one in a million, for few cells too
    logs = np.log(np.maximum(table.p, 1e-300))
    mean, spread = float(table.p @ logs), math.sqrt(max(float(table.p @ (logs - table.p @ logs) ** 2), 0.0))
    assert abs(counts @ logs / n - mean) < Z * spread / math.sqrt(n) + 1e-9


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", seeds(8))
def test_tiny_machines(shape: str, seed: int) -> None:
    rng = np.random.default_rng([seed, SHAPES.index(shape)])
    strengths = [0.0] if seed == 0 else [*STRENGTHS, 1000.0] if seed % 4 == 3 else STRENGTHS
    model = machine(shape, rng, strengths)
    form = balanced(model)
    assert form is not None
    x = draw(form, 4000, seed, 1e9)
    assert x is not None and {*x} == {*model.groups}
    assert_drawn_from(model, side_by_side(model, x))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", seeds(40))
def test_who_is_a_ferromagnet(shape: str, seed: int) -> None:
    """Against all flips of all units; where it is one, its bonds say log p̃ up to a constant."""
    rng = np.random.default_rng([seed, 7, SHAPES.index(shape)])
    odd = seed % 2
    model = machine(shape, rng, [0.0, 0.0, 1.0] if odd else STRENGTHS, [-1.0, 1.0])
    form, table = balanced(model), joint(model)
    logs, x = np.log(table.p), side_by_side(model, table.values)
    states = np.where(x > 0, 1.0, -1.0)
    n = states.shape[1]
    moments = np.concatenate([states.T, [states[:, i] * states[:, j] for i, j in itertools.combinations(range(n), 2)]])
    h, j = np.split(moments @ logs / len(states), [n])  # the coefficients of log p̃ in products of spins
    pairs = list(itertools.combinations(range(n), 2))
    flipped = states[:, [i for i, _ in pairs]] * states[:, [j for _, j in pairs]] * j
    assert (form is not None) == bool(((states * h > -1e-5).all(1) & (flipped > -1e-5).all(1)).any())
    if form is None:
        return
    turned = np.column_stack([states * np.sign(form.scale), np.ones(len(states))])
    said = (turned[:, form.bonds.ends[:, 0]] * turned[:, form.bonds.ends[:, 1]]) @ form.bonds.couplings
    assert np.ptp(said - logs) < 1e-4


def test_other_units_have_no_spins() -> None:
    assert balanced(tr.restricted(tr.Gaussian(2), 2)) is None
    assert balanced(tr.restricted(tr.Categorical(2, 3), 2)) is None
    pair = tr.restricted(1, 1)
    for broken in (np.nan, np.inf):
        assert balanced(replace(pair, couplings={own: np.full((1, 1), broken) for own in pair.couplings})) is None


def on_phase(n: int, w: float, b: float) -> float:
    """P(more than half of all units are on) of n + n units: Σ C(n, i) C(n, j) e^(wij + b(i + j))."""
    k = np.arange(n + 1)
    choose = np.array([math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in k])
    logs = (choose + b * k)[:, None] + choose + b * k + w * np.outer(k, k)
    p = np.exp(logs - np.logaddexp.reduce(logs.ravel()))
    return float(p[np.add.outer(k, k) > n].sum())


def uniform(n: int, w: float, b: float) -> Boltzmann:
    return tr.restricted(couplings=np.full((n, n), w), visible_bias=np.full(n, b), hidden_bias=np.full(n, b))


@pytest.mark.parametrize(("n", "w", "b"), [(40, 0.14926, -3.0), (40, 0.4, -8.0), (20, 0.3, -2.95), (60, 0.1, -3.0)])
def test_shares_of_phases(n: int, w: float, b: float) -> None:
    exact, form = on_phase(n, w, b), balanced(uniform(n, w, b))
    assert form is not None and (n != 40 or w == 0.4 or abs(exact - 0.269) < 2e-3)
    x = draw(form, 4000, 1, 1e9)
    assert x is not None
    share = ((x["visible"].sum(1) + x["hidden"].sum(1)) > n).mean()
    assert abs(share - exact) < Z * math.sqrt(exact * (1 - exact) / 4000)


def test_sample_is_exact_where_chains_stay_in_a_phase() -> None:
    """Of chains that start from the fields alone a quarter of a per cent is in the phase that has 27 %."""
    exact = on_phase(40, 0.14926, -3.0)
    share = (tr.sample(uniform(40, 0.14926, -3.0), 1000, key=3).sum(1) > 20).mean()
    assert abs(share - exact) < Z * math.sqrt(exact * (1 - exact) / 1000) + 0.02


def method_of(model: Boltzmann, n: int, evidence: Any = None) -> str:
    from tractable.plan import Ask, Budget

    asked = machines.read(model, evidence)
    found = machines.plan(asked, Ask("sample", Budget(1e9, 100.0), "auto", n, patience=1e-3))
    return machines.solve(found, asked, 0).method


def test_which_method_drew() -> None:
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], (2, 24))
    flipped = tr.restricted(units="spin", couplings=0.08 * np.outer(*signs))
    assert method_of(flipped, 20) == "random_clusters"
    frustrated = tr.restricted(units="spin", couplings=0.08 * rng.normal(size=(24, 24)))
    assert method_of(frustrated, 20) == "annealing"
    held = np.where(np.arange(24) < 8, signs[0], np.nan)
    assert method_of(flipped, 20, held) == "random_clusters"  # what is known are fields of one sign
    x = tr.sample(flipped, 7, evidence=held)
    assert (x[:, :8] == held[:8]).all() and np.isin(x, (-1, 1)).all()
    two_signs = np.where(np.arange(24) % 2, 1.0, -1.0).astype(np.float32) * signs[0]
    assert method_of(replace(flipped, fields=flipped.fields | {"visible": two_signs}), 20) == "annealing"


def test_what_takes_too_long_is_left() -> None:
    form = balanced(uniform(40, 0.14926, -3.0))
    assert form is not None
    assert draw(form, 10, 0, 1e3) is None
    assert draw(form, 10, 0, 1e8) is not None


def test_draws_depend_on_seed_and_number_alone() -> None:
    form = balanced(uniform(12, 0.3, -1.8))
    assert form is not None
    few, many = draws(form.bonds, 5, 3, 1e9), draws(form.bonds, 50, 3, 1e9)
    assert few is not None and many is not None
    assert (few.spins == many.spins[:5]).all() and (few.work == many.work[:5]).all()
    other = draws(form.bonds, 50, 4, 1e9)
    assert other is not None and (other.spins != many.spins).any()


def test_bonds_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="two different vertices from 0 to 2"):
        draws(Bonds(3, np.array([[0, 3]], np.int32), np.ones(1)), 1, 0, 1e9)
    with pytest.raises(ValueError, match="one coupling ≥ 0 for each bond"):
        draws(Bonds(3, np.array([[0, 1]], np.int32), -np.ones(1)), 1, 0, 1e9)
