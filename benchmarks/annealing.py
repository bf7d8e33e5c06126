"""log Z by annealing in both directions: how close, how certain, how long.

Claims: on an RBM of 784 × 15 units, of which 2¹⁵ terms give log Z exactly, the interval contains it at a width below
0.1 nat in less than three seconds of one core. The peer is the customary run, forward alone: 100 chains × 1,000 even
temperatures from the model's own biases, with the visible states as the state of a chain; it is many nats off, and does
not say so. With the same base, temperatures and block Gibbs sampling (``flipping=False``) ours is as far off, and says
so; chains whose single hidden units are drawn with the visible ones summed out get there from this base too. A machine
of 784 × 500 (``--wide``: trained here for five epochs first) has no exact answer: its width and time are what counts.

    python benchmarks/annealing.py [--only narrow,deep] [--wide] [--json FILE]
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import Row, arguments, data, report, save

import tractable as tr
from tractable.evaluate import Annealed, Annealing, anneal, log_likelihood
from tractable.posterior.tempering import bounds

EXACT = 215.138405525317
DEEP = 9.917126301787
SEEDS = range(1, 11)


def narrow_machine() -> Any:
    """The reference RBM with 15 hidden units."""
    z = np.load(data("reference") / "rbm_784x15.npz")
    return tr.restricted(**{name: z[name] for name in z.files})


def deep() -> Any:
    """The reference machine of 5, 6 and 7 units."""
    z = np.load(data("reference") / "dbm_5x6x7.npz")
    biases = [z["visible_bias"], z["hidden_bias_1"], z["hidden_bias_2"]]
    return tr.deep([5, 6, 7], couplings=[z["couplings_1"], z["couplings_2"]], biases=biases)


def digits(part: str) -> np.ndarray:
    """Rows of binarized digits."""
    return np.unpackbits(np.load(data("mnist") / "binarized_mnist_fixed.npz")[part], axis=1)


def measured(run: Callable[[int], Annealed], truth: float, seeds: Any = SEEDS, apart: bool = True) -> Row:
    """Medians over seeds, the first call apart unless told otherwise: it compiles."""
    began = time.process_time()
    if apart:
        run(0)
    first = time.process_time() - began if apart else None
    found, seconds, wall = [], [], []
    for seed in seeds:
        cpu, clock = time.process_time(), time.perf_counter()
        found.append(run(seed))
        seconds.append(time.process_time() - cpu)
        wall.append(time.perf_counter() - clock)
    z = [f.log_partition for f in found]
    return {
        "temperatures": len(found[0].temperatures) - 1,
        "error": float(np.median([abs(c.value - truth) for c in z])),
        "std_error": float(np.median([c.std_error for c in z])),
        "width": float(np.median([c.upper - c.lower for c in z])),
        "covered": sum(c.lower <= truth <= c.upper for c in z),
        "runs": len(z),
        "reliable": sum(c.verdict == "reliable" for c in z),
        "cpu_seconds": float(np.median(seconds)),
        "wall_seconds": float(np.median(wall)),
        "first_call_cpu_seconds": first,
        "verdict": z[-1].verdict,
    }


def peer(model: Any, seed: int, n: int = 1000, n_chains: int = 100) -> tuple[float, float]:
    """log Z and effective sample size of the customary forward run, from the model's biases without its couplings."""
    w = jnp.asarray(model.couplings["visible", "hidden"], jnp.float32)
    b, c = (jnp.asarray(model.fields[name], jnp.float32) for name in ("visible", "hidden"))

    def step(v: Any, at: Any) -> Any:
        key, old, new = at
        field = v @ w
        work = (jax.nn.softplus(c + new * field) - jax.nn.softplus(c + old * field)).sum(-1)
        one, two = jax.random.split(key)
        h = jax.random.bernoulli(one, jax.nn.sigmoid(c + new * field)).astype(jnp.float32)
        return jax.random.bernoulli(two, jax.nn.sigmoid(b + new * h @ w.T)).astype(jnp.float32), work

    key = jax.random.key(seed)
    v = jax.random.bernoulli(key, jax.nn.sigmoid(b), (n_chains, len(b))).astype(jnp.float32)
    betas = jnp.linspace(0, 1, n + 1)
    _, work = jax.jit(lambda v: jax.lax.scan(step, v, (jax.random.split(key, n), betas[:-1], betas[1:])))(v)
    total = np.asarray(work, np.float64).sum(axis=0)
    base = np.logaddexp(0, np.asarray(b, float)).sum() + np.logaddexp(0, np.asarray(c, float)).sum()
    return bounds.log_mean_exp(total) + base, bounds.effective_sample_size(total)


def narrow(rows: list[Row]) -> None:
    """784 × 15: good base, bad base, the peer, and likelihoods."""
    model, train = narrow_machine(), digits("train")
    good = Annealing(n_temperatures=800)
    rows.append(
        {"case": "784x15, data base", **measured(lambda s: anneal(model, data=train, key=s, settings=good), EXACT)}
    )
    base = dict(model.fields)
    for name, flipping in (("bad base", True), ("bad base, block Gibbs", False)):
        bad = Annealing(n_chains=100, n_temperatures=1000, schedule="linear", flipping=flipping)
        found = measured(lambda s, own=bad: anneal(model, base=base, key=s, settings=own), EXACT, SEEDS[:5])
        rows.append({"case": f"784x15, {name}", **found})
    found = [peer(model, seed) for seed in range(5)]
    error, effective = (float(np.median(v)) for v in zip(*((z - EXACT, e) for z, e in found), strict=True))
    rows.append(
        {"case": "784x15, forward alone, bad base", "error": error, "verdict": f"effective size {effective:.0f}"}
    )
    for part in ("train", "test"):
        began = time.process_time()
        value = log_likelihood(model, digits(part)).value
        rows.append(
            {"case": f"784x15, mean log p of {part}", "error": value, "cpu_seconds": time.process_time() - began}
        )


START = tr.PersistentCD(batch_size=100, learning_rate=0.1, n_chains=100)


def wide(rows: list[Row]) -> None:
    """784 × 500, trained for five epochs: width and time for more and more temperatures."""
    train = digits("train")
    model = tr.fit(tr.restricted(784, 500, key=0), train, START, epochs=5, live=0, progress=False).model
    for n in (500, 5_000):
        settings = Annealing(n_temperatures=n)
        found = measured(
            lambda s, own=settings: anneal(model, data=train, key=s, settings=own), np.nan, [1], apart=False
        )
        rows.append({"case": f"784x500, {n:,} temperatures", **found, "error": None, "covered": None})


COLUMNS = {
    "case": "",
    "temperatures": "d",
    "error": ".4f",
    "std_error": ".4f",
    "width": ".3f",
    "covered": "d",
    "runs": "d",
}
COLUMNS |= {
    "reliable": "d",
    "cpu_seconds": ".2f",
    "wall_seconds": ".2f",
    "first_call_cpu_seconds": ".1f",
    "verdict": "",
}


def main() -> None:
    """Measure what was asked for and print it."""
    args = arguments(__doc__, wide="a machine of 784 × 500 units as well: some minutes")
    rows: list[Row] = []
    wanted = args.only or ["narrow", "deep"]
    if "narrow" in wanted:
        narrow(rows)
    if "deep" in wanted:
        model = deep()
        rows.append({"case": "deep 5-6-7", **measured(lambda s: anneal(model, key=s), DEEP)})
    if args.wide:
        wide(rows)
    report(
        "Annealing: medians over seeds", COLUMNS, rows, ["error: of log Z, in nats; for rows of data the mean log p"]
    )
    save(args.json, rows)


if __name__ == "__main__":
    main()
