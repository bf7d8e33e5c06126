"""How long an RBM with 500 hidden units takes to a validation log-likelihood of −100 on binarized MNIST.

Claim: at most a fifth of the time of scikit-learn's BernoulliRBM (single precision, the whole of its fit) and of rbms
(centred gradients, 100 chains, one Gibbs step), each at the best of several settings. Training is timed, with all
compilation; likelihoods, by annealing in both directions, are not. A library is given up when it has not arrived after
a minute and a half of training for one setting, more than ten times ours.

    python benchmarks/time_to_likelihood.py [--only rbms] [--peers PYTHON] [--json FILE]

``--peers`` names an interpreter that has torch and rbms, where that is not this one.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from _common import HERE, Log, Row, arguments, data, report, save

import tractable as tr
from tractable.evaluate import Annealing

HIDDEN, TARGET, MINUTES = 500, -100.0, 1.5
OURS = {"batch 100, 2 epochs": (2, 100, 0.5), "batch 25, 1 epoch": (1, 25, 0.3)}
THEIRS = {"batch 100, rate 0.1": (100, 0.1), "batch 20, rate 0.05": (20, 0.05), "batch 10, rate 0.02": (10, 0.02)}
RBMS = {"batch 100, rate 0.1": (100, 0.1), "batch 25, rate 0.05": (25, 0.05)}
SCORING = Annealing(n_temperatures=1000)
COLUMNS = {"name": "", "setting": "", "epochs": "d", "seconds": ".1f", "log-likelihood": ".2f", "verdict": ""}


def rows_of(part: str) -> np.ndarray:
    """One split of binarized MNIST."""
    return tr.read_data(f"{data('mnist') / 'binarized_mnist_fixed.npz'}:{part}:784")


def score(model: tr.Boltzmann, train: np.ndarray, validation: np.ndarray) -> tuple[float, str]:
    """Validation log-likelihood, and how far it can be trusted."""
    log_z = tr.log_partition(model, data=train, key=0, settings=SCORING)
    found = tr.log_likelihood(model, validation, log_partition=log_z)
    return found.value, found.verdict or ""


def ours(setting: tuple[int, int, float]) -> Iterator[tuple[float, tr.Boltzmann]]:
    """One fit: its seconds and its model."""
    epochs, batch, rate = setting
    learner = tr.PersistentCD(batch_size=batch, n_chains=100, learning_rate=rate, momentum=0.0, averaging=0.3)
    began = time.perf_counter()
    run = tr.fit(tr.restricted(784, HIDDEN, key=0), rows_of("train"), learner, epochs=epochs, live=0, progress=False)
    yield time.perf_counter() - began, run.model


def scikit_learn(setting: tuple[int, float]) -> Iterator[tuple[float, tr.Boltzmann]]:
    """Epoch after epoch of BernoulliRBM: the seconds so far and the model."""
    from sklearn.neural_network import BernoulliRBM

    batch, rate = setting
    rows, seconds, rng = rows_of("train").astype(np.float32), 0.0, np.random.RandomState(0)
    machine = BernoulliRBM(HIDDEN, batch_size=batch, learning_rate=rate, n_iter=1, random_state=0)
    machine.fit(rows[:batch])  # makes its arrays
    while seconds < 60 * MINUTES:
        order, began = rng.permutation(len(rows)), time.perf_counter()
        for start in range(0, len(rows) - batch + 1, batch):
            machine._fit(rows[order[start : start + batch]], rng)
        seconds += time.perf_counter() - began
        weights = {"couplings": machine.components_.T, "visible_bias": machine.intercept_visible_}
        yield seconds, tr.restricted(**weights, hidden_bias=machine.intercept_hidden_)


def rbms(setting: tuple[int, float], python: str) -> Iterator[tuple[float, tr.Boltzmann]]:
    """Epoch after epoch of rbms, in a process of its own: the seconds so far and the model."""
    batch, rate = setting
    with tempfile.TemporaryDirectory() as folder:
        rows, out = Path(folder) / "rows.npy", Path(folder) / "model.npz"
        np.save(rows, rows_of("train").astype(np.float32))
        how = [python, str(HERE / "_rbm_peers.py"), "rbms", str(rows), str(HIDDEN), str(batch), str(rate), str(out)]
        with subprocess.Popen(how, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdin is not None and child.stdout is not None
            if child.stdout.readline().strip() != "ready":
                raise RuntimeError(f"rbms does not start in {python}")
            seconds = 0.0
            while seconds < 60 * MINUTES:
                child.stdin.write("\n")
                child.stdin.flush()
                seconds += float(child.stdout.readline())
                with np.load(out) as found:
                    yield seconds, tr.restricted(**{name: found[name] for name in found.files})
            child.stdin.close()


def arrival(name: str, setting: str, way: Callable[[], Iterator[tuple[float, tr.Boltzmann]]]) -> Row:
    """The first moment at which the target is reached, or the last that was tried; looks grow rarer."""
    train, validation = rows_of("train"), rows_of("valid")
    row: Row = {"name": name, "setting": setting}
    due = 1
    for i, (seconds, model) in enumerate(way(), start=1):
        if i < due:
            continue
        due = max(i + 1, int(1.4 * i))
        value, verdict = score(model, train, validation)
        row |= {"epochs": i, "seconds": seconds, "log-likelihood": value, "verdict": verdict}
        if value >= TARGET:
            return row
    return row | {"verdict": f"not there; {row.get('verdict', '')}"}


def main() -> None:
    """Run all settings, one after the other, and compare the best."""
    args = arguments(__doc__)
    log = Log("time_to_likelihood", args.fresh)
    cases = [("tractable", k, lambda v=v: ours(v)) for k, v in OURS.items()]
    cases += [("scikit-learn", k, lambda v=v: scikit_learn(v)) for k, v in THEIRS.items()]
    cases += [("rbms", k, lambda v=v: rbms(v, args.peers)) for k, v in RBMS.items()]
    chosen = [case for case in cases if not args.only or any(word in case[0] for word in args.only)]
    rows = [log.row(f"{name} {k}", lambda name=name, k=k, way=way: arrival(name, k, way)) for name, k, way in chosen]
    arrived = [
        r
        for r in rows
        if r["log-likelihood"] >= TARGET and (r["name"] != "tractable" or str(r["verdict"]).startswith("reliable"))
    ]
    best = {
        name: min((r["seconds"] for r in arrived if r["name"] == name), default=np.inf)
        for name in ("tractable", "scikit-learn", "rbms")
    }
    told = [
        f"{name} takes {best[name] / best['tractable']:.1f} times as long"
        if np.isfinite(best[name])
        else f"{name} does not arrive"
        for name in ("scikit-learn", "rbms")
    ]
    report(f"Time to {TARGET}", COLUMNS, rows, [f"the best of each: {', '.join(told)}"])
    save(args.json, rows)
    log.finish()


if __name__ == "__main__":
    main()
