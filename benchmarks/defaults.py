"""What fits at their defaults learn: a share of what a mixture gains over independent columns, on held-out rows.

Claims: at least 0.8 of the gain of a mixture (the better one of 10 and 30 components) for the default learner of each
family, at least 0.5 for the others; a fit below 0.3 says so. Each takes at most a minute of two cores. With --rows the
same for tables of 50 to 50,000 rows, with --cli by the command line, with --bad a hundred settings that are bad on
purpose: each is improved, stopped or said. scikit-learn's BernoulliRBM at its own defaults stands beside. With --cost
what the yardstick takes, at most a tenth of the fit: pairs of fits with and without.

    python benchmarks/defaults.py [--only bars,digits] [--learners rbm,sbn] [--rows] [--cli] [--bad] [--cost]
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _common import Row, arguments, data, report, save

import tractable as tr

COLUMNS = {"data": "", "learner": "", "rows": "d", "share": ".2f", "held out": ".2f", "mixture": ".2f", "alone": ".2f"}
COSTS = {"data": "", "learner": "", "seconds": ".2f", "ratio": ".3f"}
COLUMNS |= {"steps": "d", "cpu s": ".1f", "said": ""}
HIDDEN, SAMPLES, PAIRS = 64, 500, 5


class Table(NamedTuple):
    """Rows to learn from, and others."""

    train: np.ndarray
    held: np.ndarray


# ---------------------------------------------------------------- data


def bars(n: int, seed: int) -> np.ndarray:
    """Bars and stripes on 4 × 4 pixels."""
    rng = np.random.default_rng(seed)
    lines, upright = rng.integers(0, 2, (n, 4, 1)), rng.random(n) < 0.5
    images = np.tile(lines, (1, 1, 4))
    return np.where(upright[:, None, None], images.transpose(0, 2, 1), images).reshape(n, 16).astype(np.uint8)


def noisy(n: int, seed: int) -> np.ndarray:
    """Eight patterns of 40 bits, a tenth of which are flipped."""
    patterns, rng = np.random.default_rng(7).integers(0, 2, (8, 40)), np.random.default_rng(seed)
    return (patterns[rng.integers(0, 8, n)] ^ (rng.random((n, 40)) < 0.1)).astype(np.uint8)


def digits() -> Table:
    """Scikit-learn's digits, 8 × 8, cut to zeros and ones."""
    from sklearn.datasets import load_digits

    rows = (np.asarray(load_digits(return_X_y=True)[0]) > 7.5).astype(np.uint8)
    rows = rows[np.random.default_rng(0).permutation(len(rows))]
    return Table(rows[:1500], rows[1500:])


def uci(name: str) -> Table:
    """One of the UCI sets."""
    path = data("uci") / f"{name}.npz"
    return Table(*(np.asarray(tr.read_data(f"{path}:{part}")).astype(np.uint8) for part in ("train", "test")))


def nltcs() -> Table:
    """Sixteen binary columns on the elderly."""
    parts = (data("density") / f"nltcs.{part}.data.gz" for part in ("train", "test"))
    return Table(*(np.loadtxt(path, np.uint8, delimiter=",") for path in parts))


DATA: dict[str, Callable[[], Table]] = {
    "bars": lambda: Table(bars(500, 0), bars(500, 1)),
    "digits": digits,
    "adult": lambda: uci("adult"),
    "mushrooms": lambda: uci("mushrooms"),
    "nltcs": nltcs,
    "noisy": lambda: Table(noisy(1000, 1), noisy(1000, 2)),
}


@cache
def table(name: str, n_rows: int = 0) -> Table:
    """A data set; of so many train rows, drawn again and again where there are fewer."""
    found = DATA[name]()
    if not n_rows:
        return found
    if name in ("bars", "noisy"):
        return Table((bars if name == "bars" else noisy)(n_rows, 3), found.held)
    rng = np.random.default_rng(3)
    return Table(found.train[rng.permutation(len(found.train))[:n_rows]], found.held)


@cache
def yardstick(name: str, n_rows: int = 0) -> tuple[float, float]:
    """Held-out rows as independent columns, and under the better mixture."""
    train, held = table(name, n_rows)
    p = (train.sum(0) + 0.5) / (len(train) + 1)
    alone = float((held * np.log(p) + (1 - held) * np.log1p(-p)).sum(1).mean())
    sizes = [k for k in (10, 30) if k <= len(train)]
    fits = (tr.fit(tr.mixture(train, k, "bernoulli", key=0), train, tr.EM(), progress=False).model for k in sizes)
    return alone, max(float(tr.log_likelihood(model, held)) for model in fits)


# ---------------------------------------------------------------- learners


def machine(learner: Any, *layers: int) -> Callable[[int], tuple[Any, Any]]:
    """A restricted or deep machine, or one without hidden units, and its learner."""
    if not layers:
        return lambda n: (tr.boltzmann(n, key=0), learner)
    return lambda n: (tr.restricted(n, *layers, key=0) if len(layers) == 1 else tr.deep([n, *layers], key=0), learner)


def layers(kind: Any, learner: Any, *sizes: int) -> Callable[[int], tuple[Any, Any]]:
    """A network of layers and its learner."""
    return lambda n: (kind([n, *sizes], key=0), learner)


BOUNDS = ("vimco", "nvil", "disarm", "arm", "reinforce")
DEFAULT = ("rbm", "dbm", "boltzmann", "sbn", "dbn", "helmholtz")
LEARNERS: dict[str, Callable[[int], tuple[Any, Any]]] = {
    "rbm": machine(None, HIDDEN),
    "rbm cd": machine(tr.ContrastiveDivergence(), HIDDEN),
    "rbm fpcd": machine(tr.FastPersistentCD(), HIDDEN),
    "rbm tempered": machine(tr.TemperedPCD(), HIDDEN),
    "rbm trajectory": machine(tr.TrajectoryTempering(), HIDDEN),
    "rbm exact": machine(tr.ExactGradient(), 10),
    "rbm pseudo": machine(tr.PseudoLikelihood(), HIDDEN),
    "dbm": machine(None, HIDDEN, 32),
    "dbm layerwise": machine(tr.Layerwise(), HIDDEN, 32),
    "boltzmann": machine(None),
    "boltzmann pseudo": machine(tr.PseudoLikelihood()),
    "sbn": layers(tr.SigmoidBeliefNetwork, None, HIDDEN),
    "sbn wake-sleep": layers(tr.SigmoidBeliefNetwork, tr.WakeSleep(), HIDDEN),
    "sbn jsa": layers(tr.SigmoidBeliefNetwork, tr.JointStochasticApproximation(), HIDDEN),
    **{
        f"sbn {name}": layers(
            tr.SigmoidBeliefNetwork, tr.VariationalGradient(estimator=name, samples=5 if name == "vimco" else 1), HIDDEN
        )
        for name in BOUNDS
    },
    "helmholtz": lambda n: (tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([n, HIDDEN], key=0), key=0), None),
    "dbn": layers(tr.DeepBeliefNetwork, None, HIDDEN, HIDDEN),
    "dbn layerwise": layers(tr.DeepBeliefNetwork, tr.Layerwise(), HIDDEN, HIDDEN),
}


def likelihood(model: Any, held: np.ndarray) -> float:
    """Held-out rows under a model, of more than a thousand every so many."""
    rows = held[np.linspace(0, len(held) - 1, min(1000, len(held))).astype(int)]
    if not isinstance(model, tr.Boltzmann):
        return float(tr.log_likelihood(model, rows, key=0, samples=SAMPLES))
    return float(tr.evaluate.live_log_likelihood(model, rows, None, 0, budget=1500).train)


def learned(name: str, kind: str, n_rows: int = 0) -> Row:
    """A fit at its defaults."""
    train, held = table(name, n_rows)
    model, learner = LEARNERS[kind](train.shape[1])
    followed = {} if "layerwise" in kind else {"validation": held}
    began = time.process_time()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run = tr.fit(model, train, learner, key=0, progress=False, live=0, **followed)
    took = time.process_time() - began
    return row(name, kind, n_rows, likelihood(run.model, held), {"steps": run.steps, "cpu s": took, "said": said(told)})


def said(told: list[warnings.WarningMessage]) -> str:
    """The first words of what a fit has said."""
    return "; ".join(str(one.message).split(":")[0] for one in told)


def row(name: str, kind: str, n_rows: int, found: float, more: Row) -> Row:
    """A line of the table."""
    alone, mixture = yardstick(name, n_rows)
    share = (found - alone) / (mixture - alone) if mixture > alone else math.nan
    own = {"data": name, "learner": kind, "rows": len(table(name, n_rows).train), "share": share}
    return own | {"held out": found, "mixture": mixture, "alone": alone} | more


def peer(name: str) -> Row:
    """Scikit-learn's machine at its own defaults, scored like ours."""
    from sklearn.neural_network import BernoulliRBM

    train, held = table(name)
    began = time.process_time()
    rbm = BernoulliRBM(random_state=0).fit(train)
    took = time.process_time() - began
    own = {"visible_bias": rbm.intercept_visible_, "hidden_bias": rbm.intercept_hidden_}
    model = tr.restricted(couplings=rbm.components_.T, **own)  # pyright: ignore[reportArgumentType]
    return row(name, "scikit-learn rbm", 0, likelihood(model, held), {"cpu s": took, "said": ""})


COMMANDS = {"rbm": str(HIDDEN), "dbm": f"{HIDDEN},32", "sbn": str(HIDDEN), "dbn": f"{HIDDEN},{HIDDEN}"}


def by_command(name: str, kind: str) -> Row:
    """The same through the command line."""
    train, held = table(name)
    with tempfile.TemporaryDirectory() as folder:
        rows, model = Path(folder, "rows.npy"), Path(folder, "model.safetensors")
        np.save(rows, train)
        command = ["-m", "tractable", "fit", kind, str(rows), "--hidden", COMMANDS[kind], "-o", str(model), "--json"]
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
        found, fitted = json.loads(done.stdout), tr.load(str(model))
    told = "; ".join(line.split(":")[1].strip() for line in done.stderr.splitlines() if line.startswith("tractable:"))
    return row(name, f"fit {kind}", 0, likelihood(fitted, held), {"steps": found["steps"], "said": told})


def cost(name: str, kind: str) -> Row:
    """Seconds of a fit with its yardstick and without, in turn, after one that compiles: medians."""
    train, _ = table(name)
    taken: dict[bool, list[float]] = {True: [], False: []}
    for i in range(1 + PAIRS):
        for on in taken:
            model, learner = LEARNERS[kind](train.shape[1])
            began = time.perf_counter()
            tr.fit(model, train, learner, key=0, progress=False, live=0, yardstick=on)
            taken[on] += [time.perf_counter() - began] if i else []
    ratios = [a / b for a, b in zip(*taken.values(), strict=True)]
    return {"data": name, "learner": kind, "seconds": float(np.median(taken[True])), "ratio": float(np.median(ratios))}


# ---------------------------------------------------------------- bad settings


def bad_settings() -> Iterator[tuple[str, Any]]:
    """A hundred settings, each bad on purpose."""
    rates = (1e-7, 1e-5, 1.0, 3.0, 10.0, 100.0, 1000.0, 1e5)
    machines = (tr.PersistentCD, tr.ContrastiveDivergence, tr.FastPersistentCD, tr.TemperedPCD)
    nets = (tr.ReweightedWakeSleep, tr.WakeSleep, tr.JointStochasticApproximation)
    for kind in (*machines, tr.PseudoLikelihood):
        yield from ((f"{kind.__name__} rate {rate:g}", kind(learning_rate=rate)) for rate in rates)
        yield from ((f"{kind.__name__} momentum {m}", kind(momentum=m)) for m in (0.99, 0.999, 1.0))
        yield from ((f"{kind.__name__} weight decay {w}", kind(weight_decay=w)) for w in (1.0, 10.0, 1000.0))
    for n, batch in ((1, 10), (2, 10), (5, 5), (10, 10), (10, 1)):
        yield f"{n} chains, batch {batch}", tr.PersistentCD(n_chains=n, batch_size=batch, learning_rate=0.1)
    for kind in nets:
        yield from ((f"{kind.__name__} rate {rate:g}", kind(learning_rate=rate)) for rate in rates[:4] + rates[5:7])
        yield f"{kind.__name__} batch 500", kind(batch_size=500)
    yield from ((f"vimco rate {r:g}", tr.VariationalGradient(learning_rate=r)) for r in (1e-6, 1.0, 100.0))
    yield from ((f"sparsity {s}", tr.PersistentCD(sparsity=0.5, sparsity_cost=s)) for s in (10.0, 1000.0))
    yield "batch 500", tr.PersistentCD(batch_size=500)


def outcome(what: str, learner: Any) -> Row:
    """What becomes of a fit with bad settings: improved, stopped, said, or nothing of these."""
    train, held = table("bars")
    new = tr.SigmoidBeliefNetwork if hasattr(learner, "top") else tr.deep
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            run = tr.fit(new([16, 32], key=0), train, learner, key=0, progress=False, live=0)
        except tr.ModelError as error:
            return {"setting": what, "outcome": "stopped", "said": str(error)[:90]}
    alone, mixture = yardstick("bars")
    share = (likelihood(run.model, held) - alone) / (mixture - alone)
    fine = share >= 0.5
    name = "improved" if told and fine else "said" if told else "learned" if share >= 0.3 else "silent"
    return {"setting": what, "outcome": name, "share": share, "said": said(told)[:90]}


# ---------------------------------------------------------------- all of it


def rows_of(args: Any) -> Iterator[Row]:
    """What was asked for, line by line."""
    wanted = [name for name in DATA if not args.only or any(word in name for word in args.only)]
    kinds = [kind for kind in LEARNERS if not args.learners or any(kind == w for w in args.learners.split(","))]
    for name in wanted:
        if args.cli:
            yield from (by_command(name, kind) for kind in COMMANDS)
        elif args.cost:
            yield from (cost(name, kind) for kind in kinds if kind in DEFAULT)
        elif args.rows:
            yield from (learned(name, kind, n) for kind in ("rbm", "sbn") for n in (50, 500, 5_000, 50_000))
        else:
            width = table(name).train.shape[1]
            yield from (learned(name, kind) for kind in kinds if kind != "rbm exact" or width < 200)
            yield peer(name)


def verdict(found: list[Row]) -> list[str]:
    """Where less was learned than is claimed, and where nothing was said of it."""
    named = {f"{r['data']} {r['learner']} {r['share']:.2f}": r for r in found}
    low = [name for name, r in named.items() if r["share"] < (0.8 if r["learner"] in DEFAULT else 0.5)]
    silent = [name for name, r in named.items() if r["share"] < 0.3 and not r["said"]]
    return [
        f"below what is claimed: {', '.join(low) or 'none'}",
        f"below 0.3 and silent: {', '.join(silent) or 'none'}",
    ]


def main() -> None:
    """Measure and print."""
    args = arguments(
        __doc__,
        learners=("", "which, a,b"),
        rows="50 to 50,000 rows",
        cli="by command",
        bad="bad settings",
        cost="what yardsticks take",
    )
    if args.bad:
        found, columns = [], {"setting": "", "outcome": "", "share": ".2f", "said": ""}
        for what, learner in bad_settings():
            found.append(outcome(what, learner))
            print(found[-1], flush=True)
        counts = {name: sum(r["outcome"] == name for r in found) for name in sorted({r["outcome"] for r in found})}
        notes = [f"{len(found)} settings: {counts}"]
    else:
        found, columns, notes = [], COSTS if args.cost else COLUMNS, []
        for one in rows_of(args):
            found.append(one)
            print({k: round(v, 2) if isinstance(v, float) else v for k, v in one.items()}, flush=True)
        notes = [] if args.cost else verdict([one for one in found if "scikit" not in one["learner"]])
    report("defaults", columns, found, notes)
    save(args.json, found)


if __name__ == "__main__":
    main()
