"""One step of reweighted wake–sleep on MNIST: against plain torch, pyro's own loss, and bare matrix products.

784-200-200 units, five samples for each of 100 rows, wake phases of both networks and the sleep phase, Adam, single
precision. "ours" are the steps that `fit` makes.
Claims: at least 1.5 times as fast as the same step in plain torch and 3 times as fast as pyro's ReweightedWakeSleep.
"limit" are the same matrix products by NumPy, and as many random numbers, and nothing else. Everything takes turns.

    python benchmarks/rws_step.py [--only torch] [--peers PYTHON] [--json FILE]

``--peers`` names an interpreter that has torch and pyro, where that is not this one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
from _common import HERE, alternate, arguments, contestants, data, other_process, report, save

import tractable as tr
from tractable.kernels import xla
from tractable.learning import loop
from tractable.learning.records import GradientOptions

SIZES, SAMPLES, BATCH, STEPS = (784, 200, 200), 5, 100, 20
CLAIMS = {"torch": 1.5, "pyro": 3.0}
COLUMNS = {"name": "", "ms a step": ".2f", "rows a second": ",.0f", "ours is faster by": ".2f", "claimed": ".1f"}
COLUMNS |= {"remark": ""}
Epoch = Callable[[], Any]


def fitting(rows: np.ndarray) -> Epoch:
    """The steps that `fit` makes, with all it does in them: the bound, sample sizes, the variance of the gradient."""
    learner = tr.ReweightedWakeSleep(samples=SAMPLES, batch_size=BATCH)
    model = learner.adopted(tr.SigmoidBeliefNetwork(SIZES), jax.random.key(0))
    fit = loop.Fitting(model, rows.astype(np.uint8), None, learner, 1000, GradientOptions(key=0))
    state, block = fit._begun(), fit._block(np.arange(len(rows)), 0, STEPS)

    def epoch() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(loop.run_block(learner, fit.plan, state, fit.key, block, (STEPS, 1_000_000)))

    return epoch


def limit(rows: np.ndarray) -> Epoch:
    """The products of a step and its random numbers, into arrays that are there already."""
    rng = np.random.Generator(np.random.SFC64(0))
    many = BATCH * SAMPLES
    W = [rng.random(pair, np.float32) for pair in pairwise(SIZES)]
    awake, dreams = ([rng.random((k, n), np.float32) for n in SIZES] for k in (many, BATCH))
    outer = [np.empty_like(w) for w in W]

    def step(x: np.ndarray) -> None:
        np.matmul(x, W[0], out=dreams[1])  # the first layer of recognition, once for each row
        for below, w, above in zip(awake[1:], W[1:], awake[2:], strict=False):
            np.matmul(below, w, out=above)
        for below, w, above in zip(awake, W, awake[1:], strict=False):
            np.matmul(above, w.T, out=below)
        for below, above, out in zip(awake, awake[1:], outer, strict=False):
            np.matmul(below.T, above, out=out)
        np.matmul(x.T, dreams[1], out=outer[0])
        for below, above, out in list(zip(awake, awake[1:], outer, strict=False))[1:]:
            np.matmul(below.T, above, out=out)
        for below, w, above, out in zip(dreams, W, dreams[1:], outer, strict=False):
            np.matmul(above, w.T, out=below)
            np.matmul(below, w, out=above)
            np.matmul(below.T, above, out=out)
        for h in (*awake[1:], *dreams):
            rng.random(out=h, dtype=np.float32)

    return lambda: [step(x) for x in rows.reshape(STEPS, BATCH, -1)]


def makers(rows: np.ndarray, python: str, file: Path) -> dict[str, Callable[[], Epoch]]:
    """Every contestant, each made when it is its turn."""
    how = [str(file), ",".join(map(str, SIZES[1:])), str(SAMPLES), str(BATCH)]
    lines = {name: [python, str(HERE / "_rws_peers.py"), name, *how] for name in CLAIMS}
    own: dict[str, Callable[[], Epoch]] = {"ours": lambda: fitting(rows), "limit": lambda: limit(rows)}
    return own | {name: lambda line=line: other_process(line, STEPS) for name, line in lines.items()}


def main() -> None:
    """Measure what was asked for."""
    options = arguments(__doc__)
    with np.load(data("mnist") / "binarized_mnist_fixed.npz") as file:
        x = np.unpackbits(file["train"], axis=1).astype(np.float32)
    x = np.random.default_rng(0).permutation(x)[: STEPS * BATCH]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, x)
        found, missing = contestants(makers(x, options.peers, path), options.only)
        times = alternate(found, rounds=(9, 51), budget=30.0, rest=0.2)
    own = times["ours"]
    rows = [
        {"name": name, "ms a step": t * 1e3 / STEPS, "rows a second": STEPS * BATCH / t, "ours is faster by": t / own}
        | {"claimed": CLAIMS.get(name), "remark": ""}
        for name, t in times.items()
        if not name.endswith(" first")
    ]
    rows += [{"name": name, "remark": why} for name, why in missing.items()]
    notes = [f"medians over rounds of {STEPS} steps, in turn; kernels in C: {xla.available()}; ones: {x.mean():.1%}"]
    if "limit" in times:
        notes.append(f"ours is at {times['limit'] / own:.0%} of the limit: the products and random numbers alone")
    report("Reweighted wake–sleep: a step, 784-200-200 units, 5 samples of each of 100 rows", COLUMNS, rows, notes)
    save(options.json, rows)


if __name__ == "__main__":
    main()
