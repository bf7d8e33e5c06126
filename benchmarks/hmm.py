"""Hidden Markov models: forward-backward, Viterbi and an iteration of EM, beside hmmlearn.

Both start from the same parameters and see the same sequences; an iteration of EM includes what each library does
around it (checks, log-likelihoods of rows, the M-step), and is the time of many iterations divided by their number.
Times are medians of runs in turn. hmmlearn runs with ``implementation="scaling"``, the faster of its two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from _common import Row, alternate, arguments, geometric_mean, report, save
from hmmlearn import hmm

import tractable as tr

ITERATIONS = 10


class Case(NamedTuple):
    """The same model in both libraries, and data for it."""

    name: str
    ours: Any
    theirs: Callable[[], Any]
    sequences: list[np.ndarray]


def case(kind: str, k: int, n: int, length: int) -> Case:
    """`n` sequences sampled from a model that learning then starts near."""
    rng = np.random.default_rng([k, n])
    transition, start = rng.dirichlet(np.full(k, 2.0), k), np.full(k, 1 / k)
    if kind == "categorical":
        emissions: Any = tr.CategoricalEmissions([rng.dirichlet(np.ones(10), k)])
    else:
        emissions = tr.DiagonalGaussianEmissions(rng.normal(size=(k, 2)) * 3, np.ones((k, 2)))
    ours: Any = tr.HiddenMarkovModel(start, transition, emissions)
    sequences = [tr.sample(ours, length, key=int(i)) for i in range(n)]
    if kind == "categorical":
        sequences = [x.astype(int) for x in sequences]
    return Case(f"{kind} K={k} {n}×{length}", ours, lambda: peer(kind, ours), sequences)


def peer(kind: str, model: Any) -> Any:
    """hmmlearn's model with the same parameters, nothing but the likelihood to maximize."""
    common: dict[str, Any] = {"n_iter": ITERATIONS, "tol": -1, "init_params": "", "implementation": "scaling"}
    if kind == "categorical":
        found: Any = hmm.CategoricalHMM(model.n_states, **common)
        found.emissionprob_, found.n_features = model.emissions.tables[0], model.emissions.tables[0].shape[1]
    else:
        found = hmm.GaussianHMM(model.n_states, "diag", min_covar=0, covars_prior=0, covars_weight=0, **common)
        found.means_, found.covars_ = model.emissions.means, model.emissions.variances
    found.startprob_, found.transmat_ = model.first, model.transition
    return found


def measured(found: Case) -> list[Row]:
    """A row for each task."""
    x, lengths = np.concatenate(found.sequences), [len(s) for s in found.sequences]
    ours, theirs = found.ours, found.theirs()
    infer: Any = tr.infer
    em = tr.EM(prior=0, tolerance=0)
    tasks: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "forward–backward": (lambda: infer(ours, found.sequences), lambda: theirs.score_samples(x, lengths)),
        "Viterbi": (lambda: tr.most_probable(ours, found.sequences), lambda: theirs.decode(x, lengths)),
        "EM": (
            lambda: tr.fit(ours, found.sequences, em, epochs=ITERATIONS, progress=False),
            lambda: found.theirs().fit(x, lengths),
        ),
    }
    rows = []
    for task, (mine, peers) in tasks.items():
        times = alternate({"ours": mine, "hmmlearn": peers}, (5, 21))
        # fit also takes the likelihood after its last iteration: one E-step more
        by = (ITERATIONS + 1, ITERATIONS) if task == "EM" else (1, 1)
        row = {"name": found.name, "task": task, "tractable ms": 1e3 * times["ours"] / by[0]}
        row["hmmlearn ms"] = 1e3 * times["hmmlearn"] / by[1]
        rows.append(row | {"ratio": row["hmmlearn ms"] / row["tractable ms"], "off": difference(found, task)})
    return rows


def difference(found: Case, task: str) -> float:
    """How far the answers of the two are apart."""
    x, lengths, infer = np.concatenate(found.sequences), [len(s) for s in found.sequences], tr.infer
    theirs = found.theirs()
    if task == "forward–backward":
        marginals: Any = infer(found.ours, found.sequences).marginals
        return float(np.abs(np.concatenate(marginals["state"]) - theirs.score_samples(x, lengths)[1]).max())
    if task == "Viterbi":
        log_p = float(np.sum(tr.most_probable(found.ours, found.sequences).log_probability.value))
        return abs(log_p - theirs.decode(x, lengths)[0]) / abs(log_p)
    run = tr.fit(found.ours, found.sequences, tr.EM(prior=0, tolerance=0), epochs=ITERATIONS, progress=False)
    return float(np.abs(run.model.transition - theirs.fit(x, lengths).transmat_).max())


def main() -> None:
    """Measure, and print a table."""
    args = arguments(__doc__)
    sizes = ((2, 100, 200), (5, 100, 200), (8, 500, 200), (32, 50, 200), (5, 1, 100_000))
    cases = [(kind, *size) for kind in ("categorical", "gaussian") for size in sizes]
    chosen = [c for c in cases if not args.only or any(word in str(c) for word in args.only)]
    rows = [row for c in chosen for row in measured(case(*c))]
    columns = {"name": "", "task": "", "tractable ms": ".2f", "hmmlearn ms": ".2f", "ratio": ".1f", "off": ".0e"}
    means = {task: geometric_mean(r["ratio"] for r in rows if r["task"] == task) for task in {r["task"] for r in rows}}
    notes = [f"{task}: {mean:.1f} times hmmlearn's speed (geometric mean)" for task, mean in sorted(means.items())]
    report("Hidden Markov models: beside hmmlearn", columns, rows, notes)
    save(args.json, rows, **means)


if __name__ == "__main__":
    main()
