"""A deep belief network 784-500-500 on binarized MNIST, learned in stages, its lower end certified.

Claim: on all 10,000 test rows of the fixed binarization the lower end of the interval stands above −86.2. The first
layer is the machine of rbm_mnist.py. The top learns states of the hidden units that are recognized in train and
validation rows; it starts as the transpose of the first machine, as much of it as there is room for, and the bound
where that machine is, or near it. Then reweighted wake–sleep moves all layers at once.

    python benchmarks/dbn_mnist.py                   # quick: an epoch of each stage, few temperatures
    python benchmarks/dbn_mnist.py --full [--fresh]  # all of it; goes on where an interrupted run stopped

Everything is kept in benchmarks/out/dbn_mnist; a restricted machine there as first.safetensors is the first layer.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
from _common import OUT, Log, Row, arguments, once, report, save
from rbm_mnist import HIDDEN, SIDE, rows_of, trained

import tractable as tr
from tractable.learning.layers.layerwise import sent_up
from tractable.learning.layers.stacks import stack_of

CLAIMED, SAMPLES, COPIES = -86.2, 100, 2
NAME, TOP_UNITS = "784-500-500", 500
COLUMNS = {"name": "", "value": ".2f", "lower": ".2f", "verdict": "", "minutes": ".1f"}
TOP = tr.PersistentCD(learning_rate=0.03, momentum=0.0, n_chains=400, batch_size=200, weight_decay=1e-4, averaging=0.4)
WHOLE = tr.ReweightedWakeSleep(
    batch_size=100, learning_rate=1e-4, samples=5, averaging=0.5, top=tr.PersistentCD(n_chains=400), wake=1.0, sleep=0.0
)
EPOCHS = 4
"""Of the top, each over `COPIES` states for every row, and of the whole."""


def first_machine(folder: Path, quick: bool) -> tuple[Any, float]:
    """The machine of the first layer, and the minutes that it took here."""
    given = folder / "first.safetensors"
    if given.exists():
        return tr.load(str(given)), 0.0
    own = OUT / ("rbm_mnist_quick" if quick else "rbm_mnist")
    own.mkdir(parents=True, exist_ok=True)
    return trained(own, quick)


def with_top(first: Any, place: Path, quick: bool) -> Row:
    """Learn the machine on top from states of the hidden units, and keep the stack."""
    rows, keys = rows_of("train", "valid"), [jax.random.key(i) for i in range(1 if quick else COPIES)]
    states = np.concatenate([sent_up(first, rows, key) for key in keys])
    sizes = [SIDE * SIDE, HIDDEN, TOP_UNITS]
    top = stack_of(tr.DeepBeliefNetwork(sizes, key=1), transposed=True).start(1, [first], rows.mean(0))
    run = fitted(top, states, TOP, place, 1 if quick else EPOCHS)
    tr.save(tr.stacked([first, run.model]), str(place))
    return {"minutes": run.history[-1].seconds / 60}


def as_a_whole(model: Any, place: Path, quick: bool) -> Row:
    """Learn all layers together."""
    run = fitted(model, rows_of("train", "valid"), WHOLE, place, 1 if quick else EPOCHS)
    tr.save(run.model, str(place))
    return {"minutes": run.history[-1].seconds / 60}


def fitted(model: Any, rows: np.ndarray, learner: Any, place: Path, epochs: int) -> Any:
    """A fit that goes on where it was interrupted."""
    options = {"checkpoint": str(place.with_suffix(".checkpoint")), "resume": True, "live": 0}
    return tr.fit(model, rows, learner, epochs=epochs, key=1, **options)


def certified(name: str, place: Path, quick: bool) -> Row:
    """Both ends of log Z of the top, and the bound on the test rows."""
    model, test = tr.load(str(place)), rows_of("test")
    states = model.recognition.sample(0, rows_of("train")[::10]).layers[-1][:, 0]
    seconds, log_z = once(lambda: tr.log_partition(model.generative.top, data=np.asarray(states), key=0))
    rows, k = test[:1000] if quick else test, 5 if quick else SAMPLES
    more, found = once(
        lambda: tr.log_likelihood(model, rows, samples=k, method="importance", key=0, log_partition=log_z)
    )
    known = {field: getattr(found, field) for field in ("value", "lower", "verdict")}
    return {"name": name, "minutes": (seconds + more) / 60, **known}


def learned(folder: Path, quick: bool) -> list[Row]:
    """The stages of the network, each with its figures; what is done already is not done again."""
    log = Log(folder.name)
    first, minutes = first_machine(folder, quick)
    stack, whole = folder / f"{NAME}.safetensors", folder / f"{NAME}-whole.safetensors"
    times = [minutes, log.row(f"{NAME} top", lambda: with_top(first, stack, quick))["minutes"]]
    found = [log.row(f"{NAME} bound", lambda: certified(NAME, stack, quick))]
    times.append(log.row(f"{NAME} whole", lambda: as_a_whole(tr.load(str(stack)), whole, quick))["minutes"])
    found.append(log.row(f"{NAME} whole bound", lambda: certified(f"{NAME}, as a whole", whole, quick)))
    return [row | {"minutes": sum(times[: 2 + i])} for i, row in enumerate(found)]


def main() -> None:
    """Learn, bound and report."""
    args = arguments(__doc__, full="all epochs and temperatures")
    folder = OUT / ("dbn_mnist" if args.full else "dbn_mnist_quick")
    if args.fresh or not args.full:
        shutil.rmtree(folder, ignore_errors=True)
        Log(folder.name, fresh=True)
    folder.mkdir(parents=True, exist_ok=True)
    rows = learned(folder, not args.full)
    held = [row["name"] for row in rows if row["lower"] > CLAIMED]
    notes = [f"claim: lower end above {CLAIMED}: {', '.join(held) or 'not'} held; minutes are of learning"]
    report("A deep belief network on MNIST", COLUMNS, rows, notes if args.full else ["quick: nothing is claimed"])
    save(args.json, rows)


if __name__ == "__main__":
    main()
