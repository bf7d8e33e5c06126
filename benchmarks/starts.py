"""The best of ten starts of EM, beside hmmlearn's and scikit-learn's best of ten: who finds the better optimum.

Claim: on twelve data sets the best of ten default starts is no more than 0.01 nat a sequence (a chain) or a row (a
mixture) below the peer's best of ten. Every solution is scored by this library's likelihood with variances of at least
`FLOOR` of those of the columns, which are standardized; one with a component of less than two rows is left out.

    python benchmarks/starts.py [--only casino,iris] [--json FILE]

The regimes, the 8-symbol and the binary chain are drawn from known parameters. Rows of nltcs and msnbc are taken for
sequences of 16 and 17 answers, which hmmlearn can learn; a part of them is.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from _common import Row, arguments, data, once, report, save
from hmmlearn import hmm
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import tractable as tr

STARTS, FLOOR, GAP = 10, 1e-3, 0.01
ITERATIONS = 400
COLUMNS = {
    "name": "",
    "states": "d",
    "of": "",
    "ours": ".4f",
    "peer": ".4f",
    "ours − peer": ".4f",
    "alike": "d",
    "peer alike": "d",
    "left out": "",
    "seconds": ".1f",
    "peer seconds": ".1f",
}


@dataclass(frozen=True)
class Case:
    """Sequences, or rows for a mixture, and the model that is looked for."""

    name: str
    kind: str
    size: int
    sequences: list[np.ndarray]

    @property
    def is_chain(self) -> bool:
        """Whether rows follow one another."""
        return self.name not in MIXTURES

    @property
    def rows(self) -> np.ndarray:
        """All rows."""
        return np.concatenate(self.sequences)

    @property
    def data(self) -> Any:
        """As this library takes them."""
        return self.sequences if self.is_chain else self.rows


@dataclass(frozen=True, kw_only=True)
class Remembered(tr.EM):
    """EM that keeps where each start ended, not the best alone."""

    ends: list[Any] = field(default_factory=list, repr=False)

    def _one(self, *given: Any) -> Any:
        run = super()._one(*given)
        self.ends.append(run.model)
        return run


# ---------------------------------------------------------------- the data

MIXTURES = {"galaxies": 3, "geyser": 3, "quakes": 4, "iris": 3}


def casino() -> Case:
    """The rolls of the dishonest casino as they are printed."""
    rolls = json.loads((data("sequences") / "dishonest_casino.json").read_text())["rolls_book"]
    return Case("casino", "categorical", 2, [np.array([[int(roll) - 1] for roll in rolls], float)])


def earthquakes() -> Case:
    """Counts of 1900–2006."""
    counts = tr.read_data(data("sequences") / "earthquakes_1900_2006.csv")[:, 1:]
    return Case("earthquakes", "poisson", 3, [np.asarray(counts, float)])


def lynx() -> Case:
    """Logarithms of the lynx trapped each year, 1821–1934."""
    counts = tr.read_data(data("sequences") / "lynx.csv")[:, 1:]
    return Case("lynx", "diagonal", 3, [standardized(np.log(counts))])


def drawn(name: str, model: tr.HiddenMarkovModel, lengths: list[int]) -> Case:
    """Sequences from known parameters."""
    sequences = [np.asarray(tr.sample(model, n, key=i)).reshape(n, -1) for i, n in enumerate(lengths)]
    kind = "diagonal" if model.emissions.kind == "diagonal" else "categorical"
    return Case(name, kind, model.n_states, [standardized(s) if kind == "diagonal" else s for s in sequences])


def lasting(k: int, stay: float, emissions: Any) -> tr.HiddenMarkovModel:
    """States that last, with these emissions."""
    transition = (stay - (1 - stay) / (k - 1)) * np.eye(k) + (1 - stay) / (k - 1)
    return tr.HiddenMarkovModel(np.full(k, 1 / k), transition, emissions)


def regimes() -> Case:
    """A real series that is calm and restless in turn, about nearly the same mean."""
    emissions = tr.DiagonalGaussianEmissions(np.array([[0.0], [0.3]]), np.array([[1.0], [9.0]]))
    return drawn("regimes", lasting(2, 0.97, emissions), [600])


def symbols() -> Case:
    """Four states of eight symbols, which they share."""
    tables = np.random.default_rng(8).dirichlet(np.full(8, 0.5), 4)
    return drawn("8 symbols", lasting(4, 0.9, tr.CategoricalEmissions([tables])), [200] * 5)


def binary() -> Case:
    """Two states of one bit."""
    emissions = tr.CategoricalEmissions([np.array([[0.85, 0.15], [0.35, 0.65]])])
    return drawn("binary", lasting(2, 0.95, emissions), [300] * 2)


def answers(name: str, n: int) -> Callable[[], Case]:
    """Rows of bits as sequences of answers."""

    def made() -> Case:
        rows = tr.read_data(data("density") / f"{name}.train.data.gz")
        chosen = np.asarray(rows[:: len(rows) // n][:n], float)
        return Case(name, "categorical", 4, [row[:, None] for row in chosen])

    return made


def mixture(name: str) -> Callable[[], Case]:
    """Rows of measurements, standardized."""

    def made() -> Case:
        rows = numbers(name)
        return Case(name, "gaussian", MIXTURES[name], [standardized(rows)])

    return made


def numbers(name: str) -> np.ndarray:
    """The columns of numbers in a table."""
    lines = (data("mixtures") / f"{name}.csv").read_text().splitlines()
    header = [cell.strip().strip('"') for cell in lines[0].split(",")]
    cells = [[cell.strip().strip('"') for cell in line.split(",")] for line in lines[1:] if line]
    kept = [j for j, head in enumerate(header) if head not in ("", "rownames") and is_number(cells[0][j])]
    return np.array([[float(row[j]) for j in kept] for row in cells])


def is_number(cell: str) -> bool:
    """Whether text is one."""
    return cell.replace(".", "", 1).replace("-", "", 1).isdigit()


def standardized(rows: np.ndarray) -> np.ndarray:
    """Columns of mean zero and variance one."""
    return (rows - rows.mean(0)) / rows.std(0)


CASES: dict[str, Callable[[], Case]] = {
    "casino": casino,
    "earthquakes": earthquakes,
    "lynx": lynx,
    "regimes": regimes,
    "8 symbols": symbols,
    "binary": binary,
    **{name: mixture(name) for name in MIXTURES},
    "nltcs": answers("nltcs", 200),
    "msnbc": answers("msnbc", 200),
}


# ---------------------------------------------------------------- who learns


def ours(case: Case) -> Iterator[Any]:
    """Where ten default starts end."""
    make: Any = tr.hidden_markov if case.is_chain else tr.mixture
    begin = make(case.data, case.size, case.kind)
    learner = Remembered(n_init=STARTS, tolerance=1e-8, prior=None if case.kind in ("gaussian", "diagonal") else 0)
    tr.fit(begin, case.data, learner, epochs=ITERATIONS, progress=False)
    yield from learner.ends


def theirs(case: Case) -> Iterator[Any]:
    """Where ten starts of hmmlearn or scikit-learn end, as models of this library."""
    for seed in range(STARTS):
        if not case.is_chain:
            found: Any = GaussianMixture(case.size, max_iter=ITERATIONS, tol=1e-6, random_state=seed).fit(case.rows)
            yield tr.Mixture(found.weights_, tr.GaussianEmissions(found.means_, found.covariances_))
            continue
        kinds: dict[str, Any] = {"categorical": hmm.CategoricalHMM, "poisson": hmm.PoissonHMM}
        peer = kinds.get(case.kind, hmm.GaussianHMM)(case.size, n_iter=ITERATIONS, tol=1e-5, random_state=seed)
        x = case.rows.astype(int) if case.kind in kinds else case.rows
        found = peer.fit(x, [len(s) for s in case.sequences])
        yield tr.HiddenMarkovModel(found.startprob_, found.transmat_, emissions(case, found))


def emissions(case: Case, found: Any) -> Any:
    """The emissions of a model of hmmlearn."""
    if case.kind == "categorical":
        return tr.CategoricalEmissions([found.emissionprob_])
    if case.kind == "poisson":
        return tr.PoissonEmissions(found.lambdas_)
    return tr.DiagonalGaussianEmissions(found.means_, np.array([np.diag(c) for c in found.covars_]))


# ---------------------------------------------------------------- who is better


def floored(model: Any) -> Any:
    """The model with variances of at least `FLOOR` in every direction."""
    own = model.emissions
    if own.kind == "diagonal":
        own = tr.DiagonalGaussianEmissions(own.locations, np.maximum(own.variances, FLOOR))
    elif own.kind == "gaussian":
        values, vectors = np.linalg.eigh(own.covariances)
        spread = np.einsum("kij,kj,klj->kil", vectors, np.maximum(values, FLOOR), vectors)
        own = tr.GaussianEmissions(own.locations, spread)
    if isinstance(model, tr.Mixture):
        return tr.Mixture(model.weights, own)
    return tr.HiddenMarkovModel(model.first, model.transition, own)


def scores(case: Case, models: list[Any]) -> list[float]:
    """The likelihood of each solution, a sequence or row, of those that have two rows or more in each component."""
    found = []
    for model in map(floored, models):
        shares = tr.transform(model, case.data)
        if (np.concatenate(shares) if case.is_chain else shares).sum(0).min() >= 2:
            found.append(tr.log_likelihood(model, case.data).value)
    return sorted(found, reverse=True)


def measured(case: Case) -> Row:
    """Both sides."""
    seconds, own = once(lambda: list(ours(case)))
    peer_seconds, other = once(lambda: list(theirs(case)))
    a, b = scores(case, own), scores(case, other)
    return {
        "name": case.name,
        "states": case.size,
        "of": "hmmlearn" if case.is_chain else "scikit-learn",
        "ours": a[0],
        "peer": b[0],
        "ours − peer": a[0] - b[0],
        "alike": sum(a[0] - score < GAP for score in a),
        "peer alike": sum(b[0] - score < GAP for score in b),
        "left out": f"{STARTS - len(a)}, {STARTS - len(b)}",
        "seconds": seconds,
        "peer seconds": peer_seconds,
    }


def main() -> None:
    """Measure, and print a table."""
    args = arguments(__doc__)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = [measured(make()) for name, make in CASES.items() if not args.only or any(w in name for w in args.only)]
    behind = [row["name"] for row in rows if row["ours − peer"] < -GAP]
    notes = [f"no more than {GAP} nat below the peer's best: {len(rows) - len(behind)} of {len(rows)}"]
    notes += [f"behind: {', '.join(behind)}"] if behind else []
    report("Starts of EM: the best of ten beside the peers' best of ten", COLUMNS, rows, notes)
    save(args.json, rows, behind=behind)


if __name__ == "__main__":
    main()
