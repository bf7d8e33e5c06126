"""An iteration of EM on a mixture of Gaussians, side by side with scikit-learn's, from the same start.

Claims: 10 components, 100,000 rows, 30 columns: at least twice as fast as scikit-learn's GaussianMixture, for diagonal
and for full covariances. The time of an iteration is that of fits of so many iterations less that of fits of one,
so that starting up does not count. `limit` is the time of the matrix products alone that an iteration is made of
(NumPy, all cores, double precision): for diagonal covariances of rows and their squares with the parameters, and of
responsibilities with rows and squares; for full ones of rows with a matrix for each component, there and back.

    python benchmarks/mixture_speed.py [--only full,diag] [--json FILE]
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
from _common import Row, arguments, report, save
from sklearn.mixture import GaussianMixture

import tractable as tr

N, D, K = 100_000, 30, 10
ITERATIONS, ROUNDS = 5, 5
KINDS = {"full": "gaussian", "tied": "tied", "diag": "diagonal", "spherical": "spherical"}
COLUMNS = {
    "covariances": "",
    "ours": ".1f",
    "scikit-learn": ".1f",
    "ratio": ".2f",
    "limit": ".1f",
    "of limit": ".0%",
    "difference": ".1e",
}


def rows() -> np.ndarray:
    """Clusters that overlap."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, D)) + 1.5 * rng.normal(size=(K, D))[rng.integers(0, K, N)]


def ours(begin: tr.Mixture, x: np.ndarray, n: int) -> float:
    """The log-likelihood after so many iterations."""
    run = tr.fit(begin, x, tr.EM(prior=0, tolerance=0), epochs=n, progress=False)
    return run.history[-1].train.value


def peers(kind: str, begin: tr.Mixture, x: np.ndarray, n: int) -> float:
    """The same by scikit-learn: the lower bound it keeps is that of the last E-step, before the last M-step."""
    spread = begin.free.arrays()
    wide = spread["covariances"] if "covariances" in spread else spread["variances"]
    precisions = 1 / wide if kind in ("diag", "spherical") else np.linalg.inv(wide)
    peer = GaussianMixture(
        K,
        covariance_type=kind,
        tol=0,
        reg_covar=0,
        max_iter=n + 1,
        weights_init=begin.weights,
        means_init=begin.free.means,
        precisions_init=precisions,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        return float(peer.fit(x).lower_bound_)


def limit(kind: str, x: np.ndarray) -> Callable[[], None]:
    """The products of an iteration."""
    r = np.random.default_rng(1).random((N, K))
    wide = [np.random.default_rng(2).random((D, D)) for _ in range(K)]
    features = np.random.default_rng(3).random((2 * D, K))
    both = np.concatenate([x, x * x], 1)

    def products() -> None:
        if kind in ("diag", "spherical"):
            _ = both @ features, r.T @ both
            return
        for matrix in wide:
            _ = x @ matrix, x.T @ x

    return products


def seconds(call: Callable[[], object]) -> float:
    """Of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def measured(kind: str, x: np.ndarray) -> Row:
    """Both sides in turn, several rounds; medians of milliseconds for an iteration."""
    begin = tr.mixture(x, K, KINDS[kind], key=0)
    products = limit(kind, x)
    sides = {"ours": lambda n: ours(begin, x, n), "scikit-learn": lambda n: peers(kind, begin, x, n)}
    found: dict[str, list[float]] = {name: [] for name in (*sides, "limit")}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            few, many = seconds(lambda side=side: side(1)), seconds(lambda side=side: side(1 + ITERATIONS))
            found[name].append(1e3 * (many - few) / ITERATIONS)
        found["limit"].append(1e3 * seconds(products))
    times = {name: statistics.median(values) for name, values in found.items()}
    ratio = statistics.median(b / a for a, b in zip(found["ours"], found["scikit-learn"], strict=True))
    difference = abs(sides["ours"](ITERATIONS) - sides["scikit-learn"](ITERATIONS))
    share = times["ours"] / times["limit"]
    return {"covariances": kind, **times, "ratio": ratio, "of limit": share, "difference": difference}


def main() -> None:
    """Measure what was asked for."""
    args = arguments(__doc__)
    x = rows()
    found = [measured(kind, x) for kind in KINDS if not args.only or kind in args.only]
    note = f"milliseconds an iteration, {N:,} rows, {D} columns, {K} components"
    report("An iteration of EM: mixtures of Gaussians", COLUMNS, found, [note])
    save(args.json, found)


if __name__ == "__main__":
    main()
