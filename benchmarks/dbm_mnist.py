"""A deep Boltzmann machine 784-500-1000 on binarized MNIST (fixed), for comparison with dbn_mnist.py, certified.

It starts as the restricted machine of rbm_mnist.py with a second layer of small random couplings. Then PCD moves all of
it, with mean field for the data. Reported are the bound of mean field and annealed rows on all 10,000 test rows, log Z
annealed in both directions.

    python benchmarks/dbm_mnist.py                      # quick: an epoch of each stage, few rows and temperatures
    python benchmarks/dbm_mnist.py --full [--fresh]     # all of it; goes on where an interrupted run stopped

Everything is kept in benchmarks/out/dbm_mnist; a restricted machine there as first.safetensors is the first layer.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from _common import OUT, Log, Row, arguments, report, save
from dbn_mnist import first_machine, fitted
from rbm_mnist import HIDDEN, SIDE, LocalPCD, rows_of

import tractable as tr
from tractable.evaluate.annealed import Annealing
from tractable.evaluate.annealed_rows import RowAnnealing

SIZES, SPREAD = [SIDE * SIDE, HIDDEN, 1000], 0.005
LEARNER = LocalPCD(
    learning_rate=0.02, momentum=0.0, averaging=0.4, n_chains=400, batch_size=200, local=1.5, smooth=3e-4
)
EPOCHS = 5
COLUMNS = {"name": "", "mean field": ".2f", "annealed": ".2f", "lower": ".2f", "verdict": "", "minutes": ".1f"}


def start(folder: Path, quick: bool) -> tr.Boltzmann:
    """The machine of one layer; the second layer's couplings are small, its units balanced where the first one is."""
    first, whole = first_machine(folder, quick)[0], tr.deep(SIZES, key=1)
    w = np.random.default_rng(0).normal(0, SPREAD, (HIDDEN, SIZES[-1])).astype(np.float32)
    mean = tr.transform(first, rows_of("train")[::20]).mean(0)
    names, inner = whole.groups, np.asarray(first.fields["hidden"]) - w.sum(1) / 2
    fields = [first.fields["visible"], inner.astype(np.float32), (-mean @ w).astype(np.float32)]
    couplings = {names[:2]: first.couplings["visible", "hidden"], names[1:]: w}
    return replace(whole, fields=dict(zip(names, fields, strict=True)), couplings=couplings)


def learned(place: Path, quick: bool) -> Row:
    """Learn the machine, and keep it."""
    run = fitted(start(place.parent, quick), rows_of("train", "valid"), LEARNER, place, 1 if quick else EPOCHS)
    tr.save(run.model, str(place))
    return {"minutes": run.history[-1].seconds / 60}


def certified(place: Path, quick: bool) -> Row:
    """The bound of mean field and annealed rows, with log Z."""
    model, test = tr.load(str(place)), rows_of("test")[: 200 if quick else None]
    settings = Annealing(n_chains=16, n_temperatures=100) if quick else Annealing()
    log_z = tr.log_partition(model, data=rows_of("train")[::10], key=0, settings=settings)
    bound = tr.log_likelihood(model, test, log_partition=log_z)
    rows = RowAnnealing(n_chains=1, n_temperatures=100)
    found = tr.log_likelihood(model, test, log_partition=log_z, method="annealing", rows=rows, key=0)
    ends = {"annealed": found.value, "lower": found.lower, "verdict": log_z.verdict}
    return {"mean field": bound.value, **ends}


def main() -> None:
    """Learn, certify and report."""
    args = arguments(__doc__, full="all epochs and temperatures")
    folder = OUT / ("dbm_mnist" if args.full else "dbm_mnist_quick")
    if args.fresh or not args.full:
        shutil.rmtree(folder, ignore_errors=True)
        Log(folder.name, fresh=True)
    folder.mkdir(parents=True, exist_ok=True)
    log, place = Log(folder.name), folder / "784-500-1000.safetensors"
    times = log.row("learned", lambda: learned(place, not args.full))
    rows = [{"name": place.stem} | log.row("ends", lambda: certified(place, not args.full)) | times]
    report("Deep Boltzmann machine on MNIST", COLUMNS, rows, [] if args.full else ["quick: nothing is claimed"])
    save(args.json, rows)


if __name__ == "__main__":
    main()
