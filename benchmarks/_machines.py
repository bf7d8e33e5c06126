"""Machines whose log Z is known, made from seeds, class by class."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from _common import OUT
from _known import Known, Rng, Rows, Uniform, counted, enumerated, layered, log_sum, nearest

import tractable as tr


def seeded(name: str, seed: int, *more: int) -> Rng:
    """Random numbers of one machine of a class."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *more])


def machine(name: str, seed: int) -> Known:
    """Machine number `seed` of a class."""
    return CLASSES[name](seeded(name, seed), seed)


def ferromagnet(rng: Rng, seed: int) -> Known:
    """All couplings alike, around the transition (J = 1) and beyond; every second one turned round, or in a field.

    The field is such that the phases' weights are up to 1,000 to 1. With 0/1 units the biases make both phases
    alike where there is no field.
    """
    n, spin = (20, 40, 60)[seed % 3], bool(seed // 3 % 2)
    strength = float(np.exp(rng.uniform(np.log(0.8), np.log(4))))
    field = rng.uniform(-7, 7) / (4 * n) if seed // 6 % 2 else 0.0
    flips = [rng.random(n) < 0.5 for _ in range(2)] if seed // 12 % 2 else None
    w, b = (strength / n, field) if spin else (4 * strength / n, 2 * field - 2 * strength)
    words = f"{n}x{n} {'spin' if spin else '0/1'}{' field' if field else ''}{' turned' if flips else ''}"
    return counted(words, Uniform((n, n), (b, b), (w,), spin), flips)


def _side(log_odds: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Where an increasing function has a value, by halving."""
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if log_odds(middle) < target else (low, middle)
    return (low + high) / 2


def _hidden(m: int, spin: bool) -> np.ndarray:
    states = (np.arange(2**m)[:, None] >> np.arange(m) & 1).astype(float)
    return 2 * states - 1 if spin else states


def _summed(h: np.ndarray, W: np.ndarray, b: np.ndarray, spin: bool) -> np.ndarray:
    """log Σ_v of every hidden state, the hidden units' own fields left out."""
    theta = h @ W.T + b
    return (np.logaddexp(theta, -theta) if spin else np.logaddexp(0, theta)).sum(axis=1)


def tilted(rng: Rng, shape: tuple[int, int], spin: bool, odds: float) -> Known:
    """A pattern and its opposite, of weights e^odds to 1, with noise on the couplings."""
    (n, m), a = shape, rng.uniform(0.15, 0.4)
    xi, eta = (rng.choice([-1.0, 1.0], size=k) for k in shape)
    W = a * (np.outer(xi, eta) + 0.3 * rng.normal(size=shape))
    b = 0.1 * rng.normal(size=n)
    h = _hidden(m, True)
    summed, side = _summed(h, W, b, True), h @ eta

    def log_odds(u: float) -> float:
        total = summed + u * side
        return float(log_sum(total[side > 0]) - log_sum(total[side < 0]))

    c = _side(log_odds, odds, -5, 5) * eta
    if not spin:  # x = 2y − 1
        W, b, c = 4 * W, 2 * b - 2 * W.sum(axis=1), 2 * c - 2 * W.sum(axis=0)
    model = layered([W], [b, c], "spin" if spin else "bernoulli")
    return enumerated(f"{n}x{m} tilted {'spin' if spin else '0/1'}", model, nearest(model, np.stack([xi, -xi])))


def narrow(rng: Rng, shape: tuple[int, int], n_modes: int, odds: float) -> Known:
    """Narrow modes beside a broad one, together e^odds times its weight: at higher temperatures they have none.

    Each mode has hidden units of its own, which are on there and off in the broad one.
    """
    (n, m), a = shape, rng.uniform(0.4, 1.2)
    xi = rng.choice([-1.0, 1.0], size=(n_modes, n))
    W = a * np.repeat(xi, m // n_modes, axis=0).T + 0.1 * rng.normal(size=shape)
    b = 0.2 * rng.normal(size=n)
    h = _hidden(m, False)
    on = h.sum(axis=1)
    summed, many = _summed(h, W, b, False), on > m // n_modes / 2

    def log_odds(c: float) -> float:
        total = summed + c * on
        return float(log_sum(total[many]) - log_sum(total[~many]))

    c = np.full(m, _side(log_odds, odds, -2 * a * n, 10))
    model = layered([W], [b, c], "bernoulli")
    return enumerated(f"{n}x{m} {n_modes} narrow", model, nearest(model, xi, 0.5))


def two_modes(rng: Rng, seed: int) -> Known:
    """Two modes of weights 1:1 to 1:1000: opposite patterns, or a narrow and a broad one."""
    odds = rng.uniform(-7, 7)
    if seed % 3 == 2:
        return narrow(rng, (30, 12), 1, odds)
    return tilted(rng, (30, 12), bool(seed % 3), odds)


def hole(rng: Rng, seed: int) -> Known:
    """Narrow modes in 60 + 14 units, up to a thousand times as heavy as all else: no temperature leads there."""
    return narrow(rng, (60, 14), 1 + seed % 2, rng.uniform(-3, 7))


def blocks(rng: Rng, seed: int) -> Known:
    """Blocks of 6 + 2 units that do not touch, of two modes each: up to 64 modes, with fields of either sign."""
    k, spin = (4, 6)[seed % 2], bool(seed // 2 % 2)
    a = rng.uniform(0.4, 1.5, size=k)
    xi = rng.choice([-1.0, 1.0], size=6 * k)
    W = np.repeat(np.repeat(np.diag(a), 6, axis=0), 2, axis=1) * xi[:, None]
    b, c = 0.1 * rng.normal(size=6 * k), 0.3 * rng.normal(size=2 * k)
    if not spin:
        W, b, c = 4 * W, 2 * b - 2 * W.sum(axis=1), 2 * c - 2 * W.sum(axis=0)
    model = layered([W], [b, c], "spin" if spin else "bernoulli")
    first = np.concatenate([xi[:6], np.zeros(6 * k - 6)])
    return enumerated(f"{k} blocks {'spin' if spin else '0/1'}", model, nearest(model, np.stack([first, -first])))


def hopfield(rng: Rng, seed: int) -> Known:
    """Few patterns: in all pairs of spins, in hidden spins (four for each pattern), or in Gaussian hidden units."""
    k = (2, 3, 4)[seed // 3 % 3]
    n = (18, 40, 18)[seed % 3]
    xi = rng.choice([-1.0, 1.0], size=(k, n))
    strength = rng.uniform(0.8, 3)
    if seed % 3 == 0:
        J = strength / n * (xi.T @ xi) * (1 - np.eye(n))
        model = tr.boltzmann(n, units="spin", couplings=J, visible_bias=0.05 * rng.normal(size=n))
    elif seed % 3 == 1:
        W = strength / np.sqrt(4 * n) * np.repeat(xi, 12 // k, axis=0).T
        model = layered([W], [0.02 * rng.normal(size=n), 0.02 * rng.normal(size=12)], "spin")
    else:
        xi = np.concatenate([xi, np.zeros((4 - k, n))])
        W = np.sqrt(strength / n) * xi.T
        model = tr.restricted(tr.Spin(n), tr.Gaussian(4), couplings=W, visible_bias=0.05 * rng.normal(size=n))
    kind = ("pairs", "hidden spins", "Gaussian hidden")[seed % 3]
    return enumerated(f"{k} patterns, {kind}", model, nearest(model, np.concatenate([xi[:k], -xi[:k]])))


def dense(rng: Rng, seed: int) -> Known:
    """Frustrated: random couplings between all pairs, from weak to glassy."""
    n, spin = (12, 16, 20)[seed % 3], bool(seed // 3 % 2)
    J = np.triu(rng.normal(size=(n, n)), 1) * rng.uniform(0.3, 3) / np.sqrt(n)
    J, b = J + J.T, 0.1 * rng.normal(size=n)
    if not spin:
        J, b = 4 * J, 2 * b - 2 * J.sum(axis=1)
    units = "spin" if spin else "bernoulli"
    return enumerated(f"{n} {units}", tr.boltzmann(n, units=units, couplings=J, visible_bias=b))


def _random(rng: Rng, seed: int, scale: float) -> Known:
    n, m = (30, 12) if seed % 2 else (20, 14)
    units = ("bernoulli", "spin")[seed // 2 % 2]
    model = layered([scale * rng.normal(size=(n, m))], [scale * rng.normal(size=k) for k in (n, m)], units)
    return enumerated(f"{n}x{m} {units}", model)


def near_uniform(rng: Rng, seed: int) -> Known:
    """Small weights."""
    return _random(rng, seed, float(np.exp(rng.uniform(np.log(0.005), np.log(0.15)))))


def strong(rng: Rng, seed: int) -> Known:
    """Large random weights."""
    return _random(rng, seed, rng.uniform(0.7, 3))


def deep(rng: Rng, seed: int) -> Known:
    """Layers: random ones, and uniform ferromagnets around the transition."""
    units = ("bernoulli", "spin")[seed // 2 % 2]
    if seed % 2:
        sizes = ((5, 6, 7), (10, 10, 10))[seed // 4 % 2]
        scale = rng.uniform(0.2, 1.5)
        weights = [scale * rng.normal(size=pair) for pair in pairwise(sizes)]
        return enumerated(f"{sizes} {units}", layered(weights, [0.5 * rng.normal(size=n) for n in sizes], units))
    sizes = ((20, 20, 20), (12, 16, 12))[seed // 4 % 2]
    strength, field = rng.uniform(0.5, 1.6), rng.uniform(-5, 5) / (2 * sum(sizes)) * (seed // 8 % 2)
    couplings = [strength / np.sqrt(a * b) for a, b in pairwise(sizes)]
    felt = [field for _ in sizes]
    if units == "bernoulli":
        near = [sum(w * sizes[j] for w, j in _neighbours(i, couplings)) for i in range(3)]
        felt, couplings = [2 * f - 2 * v for f, v in zip(felt, near, strict=True)], [4 * w for w in couplings]
    flips = [rng.random(n) < 0.5 for n in sizes] if seed // 16 % 2 else None
    return counted(f"{sizes} uniform {units}", Uniform(sizes, felt, couplings, units == "spin"), flips)


def _neighbours(i: int, couplings: Sequence[float]) -> list[tuple[float, int]]:
    return [(couplings[k], k + 1 if k == i else k) for k in (i - 1, i) if 0 <= k < len(couplings)]


def potts(rng: Rng, seed: int) -> Known:
    """Units of three states: random couplings, or a state favoured by all (a first-order transition)."""
    n, m, q = 20, 6, 3
    if seed % 2:
        hidden, scale = tr.Categorical(m, q), rng.uniform(0.2, 1.2)
        W = scale * rng.normal(size=(n * q, m * q))
    else:
        hidden, strength = tr.Categorical(m, q), rng.uniform(1.5, 5)
        W = strength / m * np.tile(np.eye(q), (n, m)) * 2 / np.sqrt(n / m)
    b, c = (0.05 * rng.normal(size=k * q) for k in (n, m))
    model = tr.restricted(tr.Categorical(n, q), hidden, couplings=W, visible_bias=b, hidden_bias=c)
    return enumerated(("uniform", "random")[seed % 2], model, nearest(model, 3 * np.tile(np.eye(q), (1, n)) - 1))


def gaussian(rng: Rng, seed: int) -> Known:
    """Gaussian visible units and hidden zeros and ones or spins: random couplings, or two modes."""
    n, m = 12, 10
    units = (tr.Bernoulli(m), tr.Spin(m))[seed // 2 % 2]
    if seed % 2:
        W = rng.uniform(0.1, 0.7) * rng.normal(size=(n, m))
    else:
        W = (
            rng.uniform(0.3, 1.2)
            / np.sqrt(m)
            * np.outer(rng.choice([-1.0, 1.0], size=n), rng.uniform(0.7, 1.3, size=m))
        )
    c = 0.1 * rng.normal(size=m) - (0.5 * W.T @ W.sum(axis=1) if seed // 2 % 2 == 0 else 0)
    model = tr.restricted(tr.Gaussian(n), units, couplings=W, visible_bias=0.1 * rng.normal(size=n), hidden_bias=c)
    return enumerated(f"{('two modes', 'random')[seed % 2]} {type(units).__name__.lower()}", model)


def trained(rng: Rng, seed: int) -> Known:
    """Restricted machines fitted to bars and stripes (16 units) or to digits (64), for few or many epochs."""
    which, m = (("bars", 8), ("bars", 12), ("digits", 16))[seed % 3]
    epochs = int((rng.integers(50, 1000), rng.integers(5, 60))[which == "digits"])
    path = OUT / "machines" / f"{which}_{m}_{epochs}_{seed}.npz"
    if not path.exists():
        _train(path, bars() if which == "bars" else digits(), (m, epochs, seed))
    with np.load(path) as stored:
        weights, biases = stored["couplings"], [stored["visible_bias"], stored["hidden_bias"]]
    return enumerated(f"{which} {m} hidden", layered([weights], biases, "bernoulli"))


def _train(path: Path, rows: Rows, how: tuple[int, int, int]) -> None:
    m, epochs, seed = how
    start = tr.restricted(rows.shape[1], m, key=seed)
    model = tr.fit(start, rows, tr.PersistentCD(), epochs=epochs, live=0, progress=False, key=seed).model
    path.parent.mkdir(parents=True, exist_ok=True)
    b, c = (np.asarray(model.fields[name]) for name in ("visible", "hidden"))
    np.savez(path, couplings=np.asarray(model.couplings["visible", "hidden"]), visible_bias=b, hidden_bias=c)


def bars(n: int = 4) -> Rows:
    """Bars and stripes: every picture of whole rows or whole columns, repeated."""
    lines = _hidden(n, False)[:, :, None] * np.ones(n)
    return np.tile(np.concatenate([lines, lines.transpose(0, 2, 1)]).reshape(-1, n * n), (10, 1))


def digits() -> Rows:
    """Digits of 8 × 8 pixels from scikit-learn, in black and white."""
    from sklearn.datasets import load_digits

    return (np.asarray(load_digits(return_X_y=True)[0]) >= 8).astype(float)


CLASSES: dict[str, Callable[[Rng, int], Known]] = {
    "ferromagnets": ferromagnet,
    "two_modes": two_modes,
    "hopfield": hopfield,
    "dense": dense,
    "near_uniform": near_uniform,
    "strong": strong,
    "trained": trained,
    "deep": deep,
    "blocks": blocks,
    "potts": potts,
    "gaussian": gaussian,
    "hole": hole,
}
