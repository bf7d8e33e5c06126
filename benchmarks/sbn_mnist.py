"""A sigmoid belief network of 200 units on binarized MNIST, learned in two phases, and bounds on the test set.

Claim: on all 10,000 test rows of the fixed binarization better than −103.1, the strongest figure known for this network
without weights within its layers. It is learned by reweighted wake–sleep. Two bounds are given: K samples of the
recognition network, and chains that are annealed to the posterior of each row, one for each. Both are lower ones on
average.

    python benchmarks/sbn_mnist.py                   # quick: an epoch of each phase, few samples and temperatures
    python benchmarks/sbn_mnist.py --full [--fresh]  # all of it; goes on where an interrupted run stopped

Everything is kept in benchmarks/out/sbn_mnist.
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
HIDDEN, CLAIMED = 200, -103.1


class Phase(NamedTuple):
    """Epochs with one learner."""

    epochs: int
    learner: tr.ReweightedWakeSleep


RWS = tr.ReweightedWakeSleep(learning_rate=2e-3, batch_size=100)
PHASES = (
    Phase(128, replace(RWS, decay=False, averaging=0.05)),
    Phase(40, replace(RWS, learning_rate=1e-3, samples=20, averaging=0.3)),
)


def learned(folder: Path, quick: bool) -> tuple[Any, float]:
    """The model after all phases, and the minutes that they took; each is kept when it is done."""
    model: Any = tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([SIDE * SIDE, HIDDEN]))
    rows, minutes = rows_of("train")[: 1000 if quick else None], 0.0
    for number, phase in enumerate(PHASES):
        place = folder / f"phase{number}.safetensors"
        if place.exists():
            model = tr.load(str(place))
            continue
        options = {"checkpoint": str(place.with_suffix(".checkpoint")), "resume": True, "live": 0}
        epochs = 1 if quick else phase.epochs
        run = tr.fit(model, rows, phase.learner, epochs=epochs, key=number, **options)
        model, minutes = run.model, minutes + run.history[-1].seconds / 60
        tr.save(model, str(place))
    return model, minutes


def bounded(model: Any, log: Log, quick: bool) -> Row:
    """Both bounds on the test rows, some hundred rows at a time: what is done is not done again."""
    test = rows_of("test")[: 100 if quick else None]
    k, n = (20, 20) if quick else (SAMPLES, TEMPERATURES)
    found = tr.log_likelihood(model, test, samples=k, method="importance", key=0)

    def annealed(first: int) -> Row:
        part = test[first : first + ROWS]
        runs = tr.log_likelihood(model, part, samples=n, chains=1, method="annealing", key=first)
        return {"sum": float(np.sum(runs.per_row.value))}

    parts = [log.row(f"rows {at}", lambda at=at: annealed(at)) for at in range(0, len(test), ROWS)]
    return {
        "importance": found.value,
        "samples": k,
        "annealed": sum(part["sum"] for part in parts) / len(test),
        "temperatures": n,
    }


def main() -> None:
    """Learn, bound and report."""
    args = arguments(__doc__, full="all epochs, samples and temperatures: some 17 CPU-minutes")
    quick, name = not args.full, "sbn_mnist_quick" if not args.full else "sbn_mnist"
    folder, log = OUT / name, Log(name, fresh=args.fresh or quick)
    if args.fresh or quick:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    model, minutes = learned(folder, quick)
    seconds, found = once(lambda: bounded(model, log, quick))
    row = {"name": str(HIDDEN), "claimed": CLAIMED, "minutes": minutes + seconds / 60, **found}
    held = max(row["importance"], row["annealed"]) > CLAIMED
    notes = [f"claim: {'held' if held else 'not held'}; minutes are of learning and bounding"]
    report("A sigmoid belief network on MNIST", COLUMNS, [row], ["quick: nothing is claimed"] if quick else notes)
    save(args.json, [row])


if __name__ == "__main__":
    main()
