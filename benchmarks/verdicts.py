"""Are verdicts true? log Z of machines for which it is known, by the road that large machines take.

Claims: of the answers that are called reliable at least 95 % contain log Z, in every class of machines (`_machines`)
and whatever data are given: none, samples of the model, rows of one phase, copies of one state. Reliable are at least
95 % in the easy classes, 80 % of uniform ferromagnets of up to 40 units a side, half of machines of two modes. The cost
is at most three times that of annealing without a search for phases. Shares of draws of `sample` in each phase are
within four standard errors of the exact ones in 95 % of the machines that are called reliable. On 784 × 15 the width is
below 0.1 in at most three seconds of one core, and log Z is contained in ten runs of ten.

Starts are never enumerated, nor drawn by random clusters, however small the machine. Rows are kept in out/, one file a
class: a run that was cut off, or one of more machines, goes on from there; ``--fresh`` forgets them, as one has to
where the code has changed.

    python benchmarks/verdicts.py [--only hole] [--machines 60] [--seed 0] [--modes none,phase] [--one] [--draws 0]
"""

from __future__ import annotations

import math
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import jax
import numpy as np
from _common import OUT, Log, Row, arguments, report, save
from _known import MODES, N_EXACT, Known, agreement, rows_for
from _machines import CLASSES, machine, seeded
from annealing import EXACT, digits, narrow_machine

import tractable as tr
from tractable.evaluate import anneal, starts
from tractable.plan import budget, machines
from tractable.posterior.exact import random_clusters
from tractable.posterior.tempering import exchange
from tractable.posterior.tempering.machines import MachinePath

EASY = ("near_uniform", "trained")
SHARE = {**dict.fromkeys(EASY, 0.95), "ferromagnets n <= 40": 0.8, "two_modes": 0.5}
"""Class → the least share of reliable answers."""

BEFORE = {"ferromagnets": (128, 2.24), "two_modes": (128, 0.18), "hopfield": (177, 0.16), "dense": (230, 0.2)}
BEFORE |= {"near_uniform": (128, 0.21), "strong": (128, 0.18), "trained": (128, 1.38), "deep": (128, 2.51)}
BEFORE |= {"blocks": (621, 2.65), "potts": (128, 0.31), "gaussian": (162, 0.1), "hole": (128, 0.13)}
BEFORE |= {"784x15": (204, 2.45)}
"""Class → median thousands of chain-sweeps and CPU-seconds of annealing at b3a0d3c, which looked for no phases: of ten
machines each, without data and with rows of one phase."""

COLUMNS = {"name": "", "runs": "d", "reliable": "d", "right": "d", "right of reliable": ".1%", "right of all": ".1%"}
COLUMNS |= {"share reliable": ".1%", "width": ".3f", "cpu": ".2f", "sweeps": ".0f", "× before": ".2f", "draws": ""}
COLUMNS |= {"as claimed": ""}


# ---------------------------------------------------------------- the road of large machines


@contextmanager
def as_if_large() -> Iterator[None]:
    """No exact samples where reverse runs start, nor in `sample`."""
    places = ((starts, "EXACT_FLOPS"), (starts, "CLUSTER_STEPS"), (machines, "START_FLOPS"))
    kept = [(place, name, getattr(place, name)) for place, name in places if hasattr(place, name)]
    patience, balanced = budget.PATIENCE["sample"], random_clusters.balanced
    for place, name, _ in kept:
        setattr(place, name, 0)
    random_clusters.balanced = lambda _: None
    budget.PATIENCE["sample"] = 0.0
    try:
        yield
    finally:
        for place, name, value in kept:
            setattr(place, name, value)
        random_clusters.balanced = balanced
        budget.PATIENCE["sample"] = patience


class Sweeps:
    """Counts the sweeps of all chains of annealed runs and of replica exchange."""

    def __init__(self) -> None:
        self.n, steps, run = 0, MachinePath.steps, exchange.run

        def counted_steps(path: Any, key: Any, at: Any, x: Any) -> Any:
            self.n += len(at.time) * len(next(iter(x.values())))
            return steps(path, key, at, x)

        def counted_run(path: Any, key: Any, state: Any, n: int, n_sweeps: int = 1) -> Any:
            self.n += n * n_sweeps * state.place.size
            return run(path, key, state, n, n_sweeps)

        setattr(MachinePath, "steps", counted_steps)  # noqa: B010
        exchange.run = counted_run

    def of(self, call: Callable[[], Any]) -> tuple[int, float, Any]:
        """Sweeps and CPU-seconds of a call, and what it returns."""
        before, began = self.n, time.process_time()
        found = call()
        return self.n - before, time.process_time() - began, found


# ---------------------------------------------------------------- one run


def log_z(known: Known, rows: Any, key: int, sweeps: Sweeps) -> Row:
    """log Z by annealing against the truth."""
    n, seconds, found = sweeps.of(lambda: anneal(known.model, data=rows, key=key))
    z = found.log_partition
    return {
        "kind": known.kind,
        "truth": known.log_z,
        "value": float(z.value),
        "lower": float(z.lower),
        "upper": float(z.upper),
        "right": bool(z.lower <= known.log_z <= z.upper),
        "reliable": reliable(z),
        "verdict": z.verdict,
        "kinds": [z.lower_kind, z.upper_kind],
        "starts": found.starts,
        "cpu": seconds,
        "sweeps": n / 1000,
    }


def reliable(found: Any) -> bool:
    """Whether a certificate, or draws, say so."""
    return found.verdict.startswith("reliable")


def shares(known: Known, key: int, rng: np.random.Generator, n: int) -> Row:
    """The furthest that the share of draws in a phase is from the exact one, in standard errors of both."""
    began = time.process_time()
    drawn = tr.sample(known.model, n, key=key)
    seconds = time.process_time() - began
    ours, exact = known.phase(np.asarray(drawn)), known.phase(known.draw(rng, N_EXACT))
    furthest, told = 0.0, {}
    for phase in np.union1d(ours, exact):
        p, q = float((ours == phase).mean()), float((exact == phase).mean())
        pooled = (p * n + q * N_EXACT + 1) / (n + N_EXACT + 2)
        error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / N_EXACT))
        furthest, told[int(phase)] = max(furthest, abs(p - q) / error), (round(p, 4), round(q, 4))
    return {"furthest": furthest, "shares": told, "reliable draws": reliable(drawn), "draw cpu": seconds}


# ---------------------------------------------------------------- a class


def measured(name: str, args: Any, sweeps: Sweeps) -> list[Row]:
    """Every machine of a class with all kinds of data, and its draws."""
    log, modes, rows = Log(f"verdicts_{name}", args.fresh), args.modes.split(","), []
    for seed in range(args.seed, args.seed + args.machines):
        own = [str(seeded(name, seed, 8).choice(modes))] if args.one else modes
        rows += _rows(log, name, seed, own, args.draws, sweeps)
    jax.clear_caches()
    return rows


def _rows(log: Log, name: str, seed: int, modes: Sequence[str], n_draws: int, sweeps: Sweeps) -> list[Row]:
    """The rows of one machine, which is made if any of them is missing; the first tells of its draws too."""
    known, out = cache(lambda: machine(name, seed)), []
    for mode in modes:
        rng = seeded(name, seed, 1 + MODES.index(mode))
        made = log.row(f"{name} {seed} {mode}", partial(_one, known, (mode, rng), seed, sweeps))
        out.append(made | {"class": name, "seed": seed, "mode": mode})
    if n_draws:
        rng = seeded(name, seed, 9)
        draws = log.row(f"{name} {seed} {n_draws} draws", lambda: shares(known(), seed, rng, n_draws))
        out[0] |= {key: draws[key] for key in ("furthest", "reliable draws")}
    return out


def _one(known: Callable[[], Known], data: tuple[str, np.random.Generator], key: int, sweeps: Sweeps) -> Row:
    return log_z(known(), rows_for(known(), *data), key, sweeps)


def summary(name: str, rows: Sequence[Row], before: str = "") -> Row:
    """One line of the table."""
    sure = [row for row in rows if row["reliable"]]
    drawn = [row for row in sure if "furthest" in row and row["reliable draws"]]
    close = sum(row["furthest"] <= 4 for row in drawn)
    right = sum(row["right"] for row in sure)
    sweeps, past = statistics.median(row["sweeps"] for row in rows), BEFORE.get(before or name)
    times = sweeps / past[0] if past else None
    kept = [right >= 0.95 * len(sure), len(sure) >= SHARE.get(name, 0) * len(rows), close >= 0.95 * len(drawn)]
    kept.append(name not in EASY or times is None or times <= 3)
    return {
        "name": name,
        "runs": len(rows),
        "reliable": len(sure),
        "right": right,
        "right of reliable": right / len(sure) if sure else None,
        "right of all": sum(row["right"] for row in rows) / len(rows),
        "share reliable": len(sure) / len(rows),
        "width": statistics.median(row["upper"] - row["lower"] for row in rows),
        "cpu": statistics.median(row["cpu"] for row in rows),
        "sweeps": sweeps,
        "× before": times,
        "draws": f"{close}/{len(drawn)}" if drawn else None,
        "as claimed": "yes" if all(kept) else "no",
    }


def lines(name: str, rows: Sequence[Row]) -> list[Row]:
    """The line of a class, of its kinds of data, and of the smaller ferromagnets."""
    out = [summary(name, rows)]
    if name == "ferromagnets":
        few = [row for row in rows if int(re.match(r"\d+", row["kind"])[0]) <= 40]  # type: ignore[index]
        out.append(summary("ferromagnets n <= 40", few, "ferromagnets"))
    modes = dict.fromkeys(row["mode"] for row in rows)
    for mode in modes if len(modes) > 1 else ():
        part = summary(f"  {mode}", [row for row in rows if row["mode"] == mode], name)
        out.append(part | {"as claimed": None})
    return out


# ---------------------------------------------------------------- 784 × 15


def reference(sweeps: Sweeps) -> Row:
    """The machine of 784 × 15 units, ten times with the digits; compiled before."""
    known, train = Known("784x15", narrow_machine(), EXACT, *[lambda *_: np.zeros(0)] * 2), digits("train")
    log_z(known, train, 0, sweeps)
    found = [log_z(known, train, key, sweeps) for key in range(1, 11)]
    row = summary("784x15", found)
    claims = row["width"] < 0.1, row["cpu"] <= 3, all(f["right"] for f in found)
    return row | {"as claimed": "yes" if all(claims) else "no"}


def main() -> None:
    """Measure what was asked for and print it."""
    args = arguments(
        __doc__,
        machines=(6, "machines of each class; the claims are about 60"),
        seed=(0, "number of the first"),
        modes=(",".join(MODES), "kinds of data"),
        one="of each machine only one kind of data, drawn",
        draws=(1000, "draws of sample for each machine; 0 leaves them out"),
    )
    jax.config.update("jax_compilation_cache_dir", str(OUT / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    assert agreement(np.random.default_rng(args.seed)) < 1e-9
    rows, sweeps, classes = [], Sweeps(), {}
    wanted = args.only or [*CLASSES, "reference"]
    with as_if_large():
        for name in (name for name in CLASSES if name in wanted):
            classes[name] = measured(name, args, sweeps)
            rows += lines(name, classes[name])
    if "reference" in wanted:
        rows.append(reference(sweeps))
    wrong = [r for found in classes.values() for r in found if r["reliable"] and not r["right"]]
    notes = ["right: log Z is inside; width, cpu (seconds), sweeps (thousands of chain-sweeps): medians"]
    notes += [
        f"wrong: {r['key']} ({r['kind']}): {r['truth']:.4f} not in [{r['lower']:.4f}, {r['upper']:.4f}]" for r in wrong
    ]
    report("Verdicts: log Z by annealing where it is known", COLUMNS, rows, notes)
    save(args.json, rows, runs=classes)


if __name__ == "__main__":
    main()
