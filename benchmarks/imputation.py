"""Missing entries: how likely they are under what each method says of them, given the rest of the row.

30 % of the entries are removed at random, of train and test rows alike; no row loses all. Learning sees the gaps.
Then, on test rows, the log-density of the removed entries given the observed ones, for each of them: of a mixture
it is exact, log p(all) − log p(observed). An imputer names one value, so it is given the fairest predictive
distribution at hand: for real columns a Gaussian around that value, for binary columns a Bernoulli variable of that
probability (kept within 1/n of 0 and 1); the variance of each column is that of the imputer's own errors on entries
of the train rows that were removed besides (another 10 %). `error` is the root mean square error, in standard
deviations of the columns. The size of the mixture is chosen by BIC.

    python benchmarks/imputation.py [--only iris,nltcs] [--json FILE]
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from _common import Row, arguments, data, report, save
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

import tractable as tr

REMOVED, BESIDES = 0.3, 0.1
COLUMNS = {"name": "", "method": "", "log-likelihood": ".4f", "error": ".4f"}
REAL = ("iris", "quakes")
BINARY = ("nltcs", "plants")
MOST = 4000
"""Rows that are learned from, at most: nearest neighbours are slow."""


def read(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Train and test rows."""
    if name in BINARY:
        folder = data("density")
        parts = [tr.read_data(folder / f"{name}.{part}.data.gz") for part in ("train", "test")]
        return parts[0][:MOST].astype(float), parts[1][: MOST // 4].astype(float)
    columns = {"iris": slice(-5, -1), "quakes": slice(-5, None)}[name]
    text = np.genfromtxt(data("mixtures") / f"{name}.csv", delimiter=",", skip_header=1)[:, columns]
    rows = text[np.random.default_rng(0).permutation(len(text))]
    cut = len(rows) * 2 // 3
    return rows[:cut], rows[cut:]


def gaps(x: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which entries are removed; no row loses all."""
    rng = np.random.default_rng(seed)
    gone = rng.random(x.shape) < share
    gone[np.arange(len(x)), rng.integers(x.shape[1], size=len(x))] = False
    return gone


def ours(name: str, train: np.ndarray) -> tr.Mixture:
    """The mixture with the best BIC."""
    kind = "bernoulli" if name in BINARY else "gaussian"
    sizes = (4, 8, 16, 32) if name in BINARY else (1, 2, 3, 4, 6, 8)
    learner = tr.EM(n_init=3, tolerance=1e-5, prior=None if name in BINARY else 1e-2)
    models = [tr.fit(tr.mixture(train, k, kind), train, learner, epochs=300, progress=False).model for k in sizes]
    return min(models, key=lambda model: tr.bic(model, train).value)


def of_imputer(make: Callable[[], Any], sets: dict[str, np.ndarray], binary: bool) -> tuple[np.ndarray, np.ndarray]:
    """Log-densities and imputed values of the removed test entries."""
    inner = gaps(sets["train"], BESIDES, 3) & ~np.isnan(sets["train"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = make().fit_transform(np.where(inner, np.nan, sets["train"]))
        found = make().fit(sets["train"]).transform(sets["test"])
    wrong = np.where(inner, own - sets["whole train"], np.nan)
    spread = np.sqrt(np.nanmean(wrong**2, 0))
    gone, truth = np.isnan(sets["test"]), sets["whole test"]
    if binary:
        p = np.clip(found, 1 / len(own), 1 - 1 / len(own))
        return np.where(truth == 1, np.log(p), np.log(1 - p))[gone], found
    density = -0.5 * ((truth - found) / spread) ** 2 - np.log(spread) - 0.5 * np.log(2 * np.pi)
    return density[gone], found


def measured(name: str) -> list[Row]:
    """A row for each method."""
    train, test = read(name)
    if name in REAL:
        mean, scale = train.mean(0), train.std(0)
        train, test = (train - mean) / scale, (test - mean) / scale
    gone = gaps(test, REMOVED, 2)
    sets = {"whole train": train, "whole test": test}
    sets |= {"train": np.where(gaps(train, REMOVED, 1), np.nan, train), "test": np.where(gone, np.nan, test)}
    model = ours(name, sets["train"])
    both = (tr.log_likelihood(model, rows).per_row.value.sum() for rows in (test, sets["test"]))
    rows = [("mixture, exact", (next(both) - next(both)) / gone.sum(), tr.impute(model, sets["test"]))]
    peers = {
        "IterativeImputer": lambda: IterativeImputer(max_iter=20, random_state=0),
        "KNNImputer, 5": lambda: KNNImputer(n_neighbors=5),
        "KNNImputer, 50": lambda: KNNImputer(n_neighbors=50),
    }
    for label, make in peers.items():
        density, filled = of_imputer(make, sets, name in BINARY)
        rows.append((label, density.mean(), filled))
    error = [float(np.sqrt(((filled - test)[gone] ** 2).mean())) for _, _, filled in rows]
    return [
        {"name": name, "method": method, "log-likelihood": float(value), "error": wrong}
        for (method, value, _), wrong in zip(rows, error, strict=True)
    ]


def main() -> None:
    """Measure what was asked for."""
    args = arguments(__doc__)
    found = [row for name in (*REAL, *BINARY) if not args.only or name in args.only for row in measured(name)]
    note = f"{REMOVED:.0%} of the entries removed at random; nats for a removed entry; real columns scaled"
    report("Imputation: the likelihood of what is missing", COLUMNS, found, [note])
    save(args.json, found)


if __name__ == "__main__":
    main()
