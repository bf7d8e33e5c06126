"""Factorial hidden Markov models: exact, structured mean field and mean field; time, and KL from the posterior.

Rows are drawn from random models, as in Ghahramani & Jordan (1997): M = 2 … 5 chains of K = 2 or 3 states.
The product chain (all joint states as one hidden Markov model, dense transitions) is the exact peer. Times are medians
of runs in turn.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from _common import Row, alternate, arguments, geometric_mean, report, save

import tractable as tr

N_ROWS, COLUMNS, N_MODELS = 200, 4, 5


def model(m: int, k: int, seed: int) -> tr.FactorialHiddenMarkovModel:
    """Standard normal contributions, unit noise, uniform transitions."""
    rng = np.random.default_rng([m, k, seed])
    parts = [rng.normal(size=(k, COLUMNS)) for _ in range(m)]
    steps = [rng.dirichlet(np.ones(k), k) for _ in range(m)]
    return tr.FactorialHiddenMarkovModel(
        [rng.dirichlet(np.ones(k)) for _ in range(m)], steps, tr.AdditiveGaussianEmissions(parts, np.eye(COLUMNS))
    )


def product(found: tr.FactorialHiddenMarkovModel) -> tr.HiddenMarkovModel:
    """All joint states as one chain."""
    e = found.emissions
    emissions = tr.TiedGaussianEmissions(e.means, e.covariance)
    return tr.HiddenMarkovModel(reduce(np.kron, found.starts), reduce(np.kron, found.transitions), emissions)


def measured(m: int, k: int) -> Row:
    """Times of one model, KL (median) of several."""
    infer: Any = tr.infer
    gaps: dict[str, list[float]] = {"structured": [], "mean_field": []}
    for seed in range(N_MODELS):
        found = model(m, k, seed)
        rows = tr.sample(found, N_ROWS, key=seed)
        for method, own in gaps.items():
            own.append(infer(found, rows, method=method).kl.value)
    found, plain = model(m, k, 0), product(model(m, k, 0))
    rows = tr.sample(found, N_ROWS, key=0)
    times = alternate(
        {
            "exact": lambda: infer(found, rows),
            "product": lambda: infer(plain, rows),
            "structured": lambda: infer(found, rows, method="structured"),
            "mean_field": lambda: infer(found, rows, method="mean_field"),
        },
        (3, 9),
    )
    off = abs(infer(found, rows).log_partition.value - infer(plain, rows).log_partition.value)
    row: Row = {"name": f"M={m} K={k}", "states": k**m} | {f"{name} ms": 1e3 * times[name] for name in times}
    row |= {"against product": times["product"] / times["exact"], "off": off}
    return row | {f"KL {method}": float(np.median(own)) for method, own in gaps.items()}


def main() -> None:
    """Measure, and print a table."""
    args = arguments(__doc__)
    rows = [measured(m, k) for k in (2, 3) for m in (2, 3, 4, 5)]
    columns = {"name": "", "states": "d", "exact ms": ".2f", "product ms": ".2f", "against product": ".1f"}
    columns |= {
        "structured ms": ".1f",
        "mean_field ms": ".1f",
        "KL structured": ".3g",
        "KL mean_field": ".3g",
        "off": ".0e",
    }
    mean = geometric_mean(row["against product"] for row in rows)
    notes = [
        f"exact: {mean:.1f} times the speed of the dense product chain (geometric mean)",
        f"KL in nats of a sequence of {N_ROWS} rows and {COLUMNS} columns, the median of {N_MODELS} models",
    ]
    report("Factorial hidden Markov models: exact and approximate", columns, rows, notes)
    save(args.json, rows, against_product=mean)


if __name__ == "__main__":
    main()
