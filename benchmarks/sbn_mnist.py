"""Sigmoid belief networks 200, 200-200, 200-200-200 on binarized MNIST, learned in phases, and bounds on the test set.

Claims: on all 10,000 test rows of the fixed binarization better than −103.1, −93.4 and −90.1, the strongest figures
known for these networks without weights within their layers. Reweighted wake–sleep first; then with a memory and a
recognition network whose units see one another; of three layers, units that have died out by then are put to use again
and what is remembered moves on by Gibbs sampling. Two bounds are given: K samples of the recognition network, and
chains that are annealed to the posterior of each row, one for each. Both are lower ones on average.

    python benchmarks/sbn_mnist.py                        # quick: an epoch of each phase, few samples and temperatures
    python benchmarks/sbn_mnist.py --full [--fresh]       # all of it; goes on where an interrupted run stopped
    python benchmarks/sbn_mnist.py --full --only 200-200  # one of them

Everything is kept in benchmarks/out/sbn_mnist; a model there as NAME.safetensors is bounded as it is.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _common import OUT, Log, Row, arguments, once, report, save
from rbm_mnist import SIDE, rows_of

import tractable as tr

COLUMNS = {
    "name": "",
    "importance": ".2f",
    "samples": ",d",
    "annealed": ".2f",
    "temperatures": ",d",
    "claimed": ".1f",
    "minutes": ".1f",
}
SAMPLES, TEMPERATURES, ROWS = 1000, 500, 500
DEAD = 0.01
"""Units that are on in fewer rows than this share, or off, are dead."""

SMALL = 0.03

RWS, JSA = tr.ReweightedWakeSleep(learning_rate=2e-3), tr.JointStochasticApproximation(learning_rate=1e-3)
STEADY = {"decay": False, "averaging": 0.05}


class Phase(NamedTuple):
    """Epochs with one learner; before them units may begin to see one another, and dead ones be put to use again."""

    epochs: int
    learner: Any
    within: bool = False
    revived: bool = False


class Case(NamedTuple):
    """The hidden layers of a network, what is claimed of it, and how it is learned."""

    hidden: tuple[int, ...]
    claimed: float
    phases: tuple[Phase, ...]


CASES = {
    "200": Case(
        (200,),
        -103.1,
        (
            Phase(128, replace(RWS, **STEADY)),
            Phase(40, replace(RWS, learning_rate=1e-3, samples=20, averaging=0.3)),
        ),
    ),
    "200-200": Case(
        (200, 200),
        -93.4,
        (
            Phase(88, replace(RWS, **STEADY)),
            Phase(100, replace(RWS, averaging=0.3)),
            Phase(24, replace(JSA, **STEADY)),
            Phase(56, replace(JSA, **STEADY), within=True),
            Phase(32, replace(JSA, averaging=0.1)),
        ),
    ),
    "200-200-200": Case(
        (200, 200, 200),
        -90.1,
        (
            Phase(56, replace(RWS, **STEADY)),
            Phase(14, replace(RWS, averaging=0.3)),
            Phase(60, replace(JSA, learning_rate=2e-3, **STEADY), within=True),
            Phase(14, replace(JSA, sweeps=0.5, **STEADY), revived=True),
            Phase(64, replace(JSA, sweeps=0.5, averaging=0.1)),
        ),
    ),
}


def learned(case: Case, folder: Path, quick: bool) -> tuple[Any, float]:
    """The model after all phases, and the minutes that they took; each is kept when it is done."""
    sizes, minutes = [SIDE * SIDE, *case.hidden], 0.0
    model: Any = tr.HelmholtzMachine(tr.SigmoidBeliefNetwork(sizes))
    rows = rows_of("train")[: 1000 if quick else None]
    for number, phase in enumerate(case.phases):
        place = folder / f"phase{number}.safetensors"
        if place.exists():
            model = tr.load(str(place))
            continue
        model = seeing(model) if phase.within else model
        model = revived(model, rows) if phase.revived else model
        options = {"checkpoint": str(place.with_suffix(".checkpoint")), "resume": True, "live": 0}
        epochs = 1 if quick else phase.epochs
        run = tr.fit(model, rows, phase.learner, epochs=epochs, key=number, **options)
        model, minutes = run.model, minutes + run.history[-1].seconds / 60
        tr.save(model, str(place))
    return model, minutes


def seeing(model: tr.HelmholtzMachine) -> tr.HelmholtzMachine:
    """The same with a recognition network whose units see those before them, with weights of zero."""
    q = model.recognition
    return tr.HelmholtzMachine(model.generative, tr.RecognitionNetwork(weights=q.weights, biases=q.biases, within=True))


def revived(model: tr.HelmholtzMachine, rows: np.ndarray) -> tr.HelmholtzMachine:
    """Units that hardly ever change are taken out, and begin again as coins that say next to nothing.

    What they gave others when they were always on goes into the biases of these.
    """
    p, q, rng = model.generative, model.recognition, np.random.default_rng(5)
    weights, up, within = ([np.array(a) for a in own] for own in (p.weights, (w[0] for w in q.weights), q.within))
    biases, lifted = ([np.array(a) for a in own] for own in (p.biases, (b[0] for b in q.biases)))
    for at, states in enumerate(q.sample(0, rows).layers[1:]):
        mean = np.asarray(states).mean((0, 1))
        dead = np.flatnonzero((mean < DEAD) | (mean > 1 - DEAD))
        always = dead[mean[dead] > 0.5]
        new = SMALL * rng.normal(size=(len(weights[at]), len(dead)))
        biases[at] += weights[at][:, always].sum(1) - 0.5 * new.sum(1)
        weights[at][:, dead], biases[at + 1][dead] = new, 0
        lifted[at] += within[at][:, always].sum(1)
        within[at][:, dead], within[at][dead] = 0, 0
        up[at][:, dead], lifted[at][dead] = SMALL * rng.normal(size=(len(up[at]), len(dead))), 0
        if at + 1 < len(weights):
            weights[at + 1][dead] = SMALL * rng.normal(size=(len(dead), weights[at + 1].shape[1]))
            lifted[at + 1] += up[at + 1][always].sum(0)
            up[at + 1][dead] = SMALL * rng.normal(size=(len(dead), up[at + 1].shape[1]))
    return tr.HelmholtzMachine(
        tr.SigmoidBeliefNetwork(weights=weights, biases=biases),
        tr.RecognitionNetwork(weights=up, biases=lifted, within=within),
    )


def bounded(model: Any, name: str, log: Log, quick: bool) -> Row:
    """Both bounds on the test rows, some hundred rows at a time: what is done is not done again."""
    test = rows_of("test")[: 100 if quick else None]
    k, n = (20, 20) if quick else (SAMPLES, TEMPERATURES)
    found = tr.log_likelihood(model, test, samples=k, method="importance", key=0)

    def annealed(first: int) -> Row:
        part = test[first : first + ROWS]
        runs = tr.log_likelihood(model, part, samples=n, chains=1, method="annealing", key=first)
        return {"sum": float(np.sum(runs.per_row.value))}

    parts = [log.row(f"{name} rows {at}", lambda at=at: annealed(at)) for at in range(0, len(test), ROWS)]
    return {
        "importance": found.value,
        "samples": k,
        "annealed": sum(part["sum"] for part in parts) / len(test),
        "temperatures": n,
    }


def measured(name: str, folder: Path, log: Log, quick: bool) -> Row:
    """Learn and bound one of the networks."""
    case, given = CASES[name], folder / f"{name}.safetensors"
    own = folder / name
    own.mkdir(parents=True, exist_ok=True)
    model, minutes = (tr.load(str(given)), 0.0) if given.exists() else learned(case, own, quick)
    seconds, found = once(lambda: bounded(model, name, log, quick))
    return {"name": name, "claimed": case.claimed, "minutes": minutes + seconds / 60, **found}


def main() -> None:
    """Learn, bound and report."""
    args = arguments(__doc__, full="all epochs, samples and temperatures")
    folder = OUT / ("sbn_mnist" if args.full else "sbn_mnist_quick")
    log = Log(folder.name, fresh=args.fresh or not args.full)
    if args.fresh or not args.full:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in CASES if not args.only or name in args.only]
    rows = [log.row(name, lambda name=name: measured(name, folder, log, not args.full)) for name in names]
    held = [row["name"] for row in rows if max(row["importance"], row["annealed"]) > row["claimed"]]
    notes = [f"better than claimed: {', '.join(held) or 'none'}; minutes are of learning and bounding"]
    report("Sigmoid belief networks on MNIST", COLUMNS, rows, notes if args.full else ["quick: nothing is claimed"])
    save(args.json, rows)


if __name__ == "__main__":
    main()
