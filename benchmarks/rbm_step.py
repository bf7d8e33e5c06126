"""One training step of an RBM on MNIST: against scikit-learn, rbms, learnergy, plain jax, and bare matrix products.

784 visible and 500 hidden units, 100 rows and 100 persistent chains, one Gibbs step, single precision. "ours" are the
steps that `fit` makes, with centred gradients; "bare" is a step with plain gradients and nothing else.
Claims: a step takes no longer than 1 / 0.85 of its limit, the same five matrix products and as many random numbers by
NumPy or by XLA, whichever is faster, and nothing else; and it is at least 3 times as fast as scikit-learn's, 1.5 times
as fast as that of rbms, twice as fast as that of learnergy (a step of its own fit, which is contrastive divergence from
the data). Everything takes turns in one run, rbms and learnergy in processes of their own.

    python benchmarks/rbm_step.py [--only ours,limit] [--peers PYTHON] [--json FILE]

``--peers`` names an interpreter that has torch, rbms and learnergy, where that is not this one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from _common import HERE, Row, alternate, arguments, contestants, data, other_process, report, save
from jax import Array

import tractable as tr
from tractable.kernels import xla
from tractable.learning import loop
from tractable.learning.records import GradientOptions

BATCH, HIDDEN, STEPS, RATE = 100, 500, 50, np.float32(0.05)
CLAIMS = {"limit": 0.85, "scikit-learn": 3.0, "rbms": 1.5, "learnergy": 2.0}
COLUMNS = {"name": "", "ms a step": ".3f", "ours is faster by": ".2f", "claimed": ".2f", "remark": ""}
Epoch = Callable[[], Any]


class State(NamedTuple):
    """Parameters, the hidden units of the chains, and the number of the step."""

    W: Array
    b: Array
    c: Array
    chains: Array
    step: Array


def our_step(state: State, x: Array) -> State:
    """A step with the kernels for zeros and ones."""
    W, b, c, chains, step = state
    rows = jnp.arange(len(chains), dtype=jnp.uint32)
    positive = xla.conditional_mean(x, W, c)
    v, _ = xla.gibbs_half(jnp.stack([step, jnp.uint32(0)]), rows, chains, W, b, transposed=True)
    chains, negative = xla.gibbs_half(jnp.stack([step, jnp.uint32(1)]), rows, v, W, c)
    rate = RATE / len(x)
    W = W + rate * xla.outer_difference(x, positive, v, negative)
    ones = jnp.ones(len(x))
    b = b + rate * (ones @ x - ones @ v)
    c = c + rate * (ones @ positive - ones @ negative)
    return State(W, b, c, chains, step + 1)


def plain_step(state: State, x: Array) -> State:
    """The same step as one writes it in jax."""
    W, b, c, chains, step = state
    keys = jax.random.split(jax.random.key(step))
    positive = jax.nn.sigmoid(x @ W + c)
    v = jax.random.bernoulli(keys[0], jax.nn.sigmoid(chains @ W.T + b)).astype(W.dtype)
    negative = jax.nn.sigmoid(v @ W + c)
    chains = jax.random.bernoulli(keys[1], negative).astype(W.dtype)
    rate = RATE / len(x)
    W = W + rate * (x.T @ positive - v.T @ negative)
    b = b + rate * (x.sum(0) - v.sum(0))
    c = c + rate * (positive.sum(0) - negative.sum(0))
    return State(W, b, c, chains, step + 1)


def training(step: Callable[[State, Array], State], batches: np.ndarray) -> Epoch:
    """Steps on all batches in one compiled program."""
    n, every = batches.shape[2], jnp.asarray(batches)
    compiled = jax.jit(lambda state: jax.lax.scan(lambda s, x: (step(s, x), None), state, every)[0], donate_argnums=0)
    W = jnp.asarray(0.01 * np.random.default_rng(0).normal(size=(n, HIDDEN)), jnp.float32)
    state = State(W, jnp.zeros(n), jnp.zeros(HIDDEN), jnp.zeros((BATCH, HIDDEN)), jnp.uint32(0))

    def epoch() -> None:
        nonlocal state
        state = jax.block_until_ready(compiled(state))

    return epoch


def fitting(batches: np.ndarray) -> Epoch:
    """The steps that `fit` makes, with all it does in them: centred gradients, their norm, means of units."""
    learner = tr.PersistentCD(batch_size=BATCH, momentum=0.0, learning_rate=float(RATE))
    rows = batches.reshape(-1, batches.shape[2]).astype(np.uint8)
    fit = loop.Fitting(tr.restricted(rows.shape[1], HIDDEN), rows, None, learner, 1000, GradientOptions(key=0))
    state, steps = fit._begun(), len(batches)
    block = fit._block(np.arange(len(rows)), 0, steps)

    def epoch() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(loop.run_block(learner, fit.plan, state, fit.key, block, (steps, 1_000_000)))

    return epoch


def numpy_limit(batches: np.ndarray) -> Epoch:
    """The products of a step and its random numbers, into arrays that are there already."""
    rng = np.random.Generator(np.random.SFC64(0))
    n, shape = batches.shape[2], (BATCH, HIDDEN)
    W = rng.random((n, HIDDEN), np.float32)
    h, v = rng.random(shape, np.float32), batches[1]
    hidden, visible, outer = np.empty(shape, np.float32), np.empty((BATCH, n), np.float32), np.empty_like(W)

    def epoch() -> None:
        for x in batches:
            np.matmul(x, W, out=hidden)
            np.matmul(h, W.T, out=visible)
            rng.random(out=visible, dtype=np.float32)
            np.matmul(v, W, out=hidden)
            rng.random(out=hidden, dtype=np.float32)
            np.matmul(x.T, h, out=outer)
            np.matmul(v.T, h, out=outer)

    return epoch


def xla_limit(batches: np.ndarray) -> Epoch:
    """The same in one compiled program, with the fastest of jax's generators."""
    rng = np.random.default_rng(0)
    W, h = (jnp.asarray(rng.random(shape), jnp.float32) for shape in ((batches.shape[2], HIDDEN), (BATCH, HIDDEN)))
    rows, key = [jnp.asarray(batch) for batch in batches], jax.random.key(0, impl="unsafe_rbg")

    @jax.jit
    def step(key: Array, x: Array, v: Array, h: Array, W: Array) -> tuple[Array, ...]:
        return x @ W, h @ W.T, v @ W, x.T @ h, v.T @ h, jax.random.bits(key, (BATCH, x.shape[1] + HIDDEN))

    def epoch() -> None:
        for x in rows:
            jax.block_until_ready(step(key, x, rows[1], h, W))

    return epoch


def scikit_learn(batches: np.ndarray) -> Epoch:
    """The step that BernoulliRBM.fit repeats, in single precision: partial_fit would go to double."""
    from sklearn.neural_network import BernoulliRBM

    machine = BernoulliRBM(HIDDEN, batch_size=BATCH, learning_rate=float(RATE), n_iter=1, random_state=0)
    machine.fit(batches[:2].reshape(-1, batches.shape[2]))
    rng = np.random.RandomState(0)

    def epoch() -> None:
        for x in batches:
            machine._fit(x, rng)

    return epoch


def makers(batches: np.ndarray, python: str, file: Path) -> dict[str, Callable[[], Epoch]]:
    """Every contestant, each made when it is its turn."""
    command = [python, str(HERE / "_rbm_peers.py")]
    others = {name: [*command, name, str(file), str(HIDDEN)] for name in ("rbms", "learnergy")}
    return {
        "ours": lambda: fitting(batches),
        "ours, bare": lambda: training(our_step, batches),
        "plain jax": lambda: training(plain_step, batches),
        "limit, NumPy": lambda: numpy_limit(batches),
        "limit, XLA": lambda: xla_limit(batches),
        "scikit-learn": lambda: scikit_learn(batches),
    } | {name: lambda line=line: other_process(line, STEPS) for name, line in others.items()}


def rows_of(times: Row, missing: Row) -> list[Row]:
    """A row for each contestant, and one for the better of the limits."""
    limits = [times[name] for name in ("limit, NumPy", "limit, XLA") if name in times]
    if limits:
        times = times | {"limit": min(limits)}
    rows = [
        {"name": name, "ms a step": t * 1e3 / STEPS, "ours is faster by": t / times["ours"], "remark": ""}
        for name, t in times.items()
        if not name.endswith(" first")
    ]
    for row in rows:
        row["claimed"] = CLAIMS.get(row["name"])
    return rows + [{"name": name, "remark": why} for name, why in missing.items()]


def main() -> None:
    """Measure what was asked for."""
    options = arguments(__doc__)
    with np.load(data("mnist") / "binarized_mnist_fixed.npz") as file:
        x = np.unpackbits(file["train"], axis=1).astype(np.float32)
    x = np.random.default_rng(0).permutation(x)[: STEPS * BATCH]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, x)
        found, missing = contestants(makers(x.reshape(STEPS, BATCH, -1), options.peers, path), options.only)
        times = alternate(found, rounds=(9, 101), budget=60.0, rest=0.1)
    rows = rows_of(times, missing)
    notes = [f"medians over rounds of {STEPS} steps, in turn; kernels in C: {xla.available()}; ones: {x.mean():.1%}"]
    report("RBM step: 784 × 500 units, 100 rows, 100 chains, one Gibbs step", COLUMNS, rows, notes)
    save(options.json, rows)


if __name__ == "__main__":
    main()
