"""Mixtures of Bernoullis against the log-likelihoods that others have published for mixtures of the same size.

Claims: 500 components on binarized MNIST at −125.8 or better (−137.64 is the figure usually quoted); 32 components on
the UCI sets dna −97.56, mushrooms −14.78, nips −282.75 or better. All exact. The strength of the prior, and which of
several starts is kept, are chosen on validation rows, from ranges that earlier trials had narrowed. `test` is the
figure of the model learned from the train rows alone; `test, all` that of the same model after it has learned on from
train and validation rows together, with what was chosen.

    python benchmarks/mixtures.py [--only dna,nips] [--json FILE]

`mnist500` takes a quarter of an hour on two idle cores; without --only it is left out.
"""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _common import Log, Row, arguments, data, report, save

import tractable as tr

COLUMNS = {
    "name": "",
    "components": "d",
    "prior": "g",
    "iterations": "d",
    "validation": ".3f",
    "test": ".3f",
    "test, all": ".3f",
    "published": ".2f",
    "kind": "",
    "minutes": ".1f",
}


class Case(NamedTuple):
    """A data set, the size of the mixture, what was published, and among what the validation rows choose."""

    file: str
    components: int
    published: float
    priors: tuple[float, ...]
    starts: tuple[str, ...] = ("rows", "k-means++")
    keys: int = 5
    epochs: int = 300
    learner: tr.EM = tr.EM(tolerance=1e-4)


CASES = {
    "dna": Case("uci/dna.npz", 32, -97.56, (8.0, 16.0, 32.0)),
    "mushrooms": Case("uci/mushrooms.npz", 32, -14.78, (0.03, 0.1)),
    "nips": Case("uci/nips.npz", 32, -282.75, (5.0, 10.0, 20.0)),
    "mnist500": Case(
        "mnist/binarized_mnist_fixed.npz", 500, -125.8, (3.0,), ("rows",), 3, 25, tr.IncrementalEM(n_blocks=25)
    ),
}


def rows_of(case: Case, part: str) -> np.ndarray:
    """The rows of one split."""
    folder, name = case.file.split("/")
    path: Path = data(folder) / name
    packed = ":784" if folder == "mnist" else ""
    return tr.read_data(f"{path}:{part}{packed}")


class Fitted(NamedTuple):
    """A start with a prior, and where it led."""

    validation: float
    learner: tr.EM
    run: tr.EMRun


def fitted(case: Case, rows: tuple[np.ndarray, np.ndarray], which: tuple[float, str, int]) -> Fitted:
    """One start with one prior, learned from the train rows."""
    (prior, start, key), (train, validation) = which, rows
    begin = tr.mixture(train, case.components, "bernoulli", start=start, key=key)
    learner = replace(case.learner, prior=prior)
    run = tr.fit(begin, train, learner, epochs=case.epochs, validation=validation, progress=False)
    held = run.history[-1].validation
    assert held is not None
    print(f"prior {prior:g}, {start} {key}: validation {held.value:.3f} after {len(run.history) - 1}", flush=True)
    return Fitted(held.value, learner, run)


def measured(name: str) -> Row:
    """Choose on the validation rows, then score all test rows; and again after learning from validation rows too."""
    case = CASES[name]
    rows = rows_of(case, "train"), rows_of(case, "valid")
    began = time.perf_counter()
    best = max(
        (fitted(case, rows, which) for which in product(case.priors, case.starts, range(case.keys))),
        key=lambda found: found.validation,
    )
    minutes = (time.perf_counter() - began) / 60
    test = rows_of(case, "test")
    found = tr.log_likelihood(best.run.model, test)
    everything = np.concatenate(rows)
    more = tr.fit(best.run.model, everything, best.learner, epochs=max(1, case.epochs // 2), progress=False)
    return {
        "name": name,
        "components": case.components,
        "prior": best.learner.prior,
        "iterations": best.run.history[-1].iteration,
        "validation": best.validation,
        "test": found.value,
        "test, all": tr.log_likelihood(more.model, test).value,
        "published": case.published,
        "kind": found.kind,
        "minutes": minutes,
    }


def main() -> None:
    """Fit and score what was asked for."""
    args = arguments(__doc__)
    names = [name for name in CASES if name in args.only] or [name for name in CASES if name != "mnist500"]
    log = Log("mixtures", args.fresh)
    rows = [log.row(name, lambda name=name: measured(name)) for name in names]
    better = sum(row["test"] >= row["published"] for row in rows)
    report(
        "Test log-likelihood of mixtures", COLUMNS, rows, [f"{better} of {len(rows)} as good as published or better"]
    )
    save(args.json, rows)
    log.finish()


if __name__ == "__main__":
    main()
