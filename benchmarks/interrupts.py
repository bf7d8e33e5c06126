"""Ctrl-C at random moments of long calls: how soon it ends them, and whether the next answers are right.

Claim: of 1,000 interrupts over all these kinds of calls none is lost, none leaves a wrong number, and the slowest
reaction is below 0.3 seconds.

    python benchmarks/interrupts.py                          # 60 interrupts
    python benchmarks/interrupts.py --full                   # 1,000
    python benchmarks/interrupts.py --only grid,enumeration

Every call would take seconds to hours. A thread sends SIGINT after a random time of up to two seconds; the reaction is
the time from then until KeyboardInterrupt is caught. After each a small call of the same kind has to give its known
answer. Compilations of jax cannot be interrupted: each kind is run for a moment before the first interrupt.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from _common import Row, arguments, report, save

import tractable as tr
from tractable.kernels.threads import side_by_side

COLUMNS = {"call": "", "interrupts": "d", "caught": "d", "wrong": "d", "median": ".3f", "slowest": ".3f"}
LATEST = 2.0
QUICK, FULL = 60, 1000


class Kind(NamedTuple):
    """A call that takes long, and a small one whose answer is a number."""

    long: Callable[[], Any]
    small: Callable[[], float]


def grid(side: int, states: int = 2, seed: int = 0) -> tr.MarkovNetwork:
    """A Markov network on a square grid with random tables."""
    rng = np.random.default_rng(seed)
    names = [[f"x{i}_{j}" for j in range(side)] for i in range(side)]
    pairs = [(names[i][j], names[i][j + 1]) for i in range(side) for j in range(side - 1)]
    pairs += [(names[i][j], names[i + 1][j]) for i in range(side - 1) for j in range(side)]
    labels = tuple(str(s) for s in range(states))
    return tr.MarkovNetwork(
        dict.fromkeys([v for row in names for v in row], labels),
        [(pair, rng.gamma(1.0, size=(states, states))) for pair in pairs],
    )


def eliminated() -> Kind:
    """Marginals of a grid of 24 × 24: width 24 and more, large products among its steps."""
    large, small = grid(24), grid(5)
    return Kind(
        lambda: tr.infer(large, memory="12GB", seconds=1e9).log_partition.value,
        lambda: tr.infer(small).log_partition.value,
    )


def most_probable() -> Kind:
    """The most probable state of a grid of 22 × 22."""
    large, small = grid(22), grid(5)
    return Kind(
        lambda: tr.most_probable(large, memory="12GB", seconds=1e9),
        lambda: tr.most_probable(small).log_probability.value,
    )


def searched() -> Kind:
    """A search for trees of a grid of 40 × 40 of four states, which ends in a refusal."""
    large, small = grid(40, 4), grid(5)
    planned = [tr.MarkovNetwork(large.states, large.factors) for _ in range(200)]
    return Kind(lambda: [tr.plan(net) for net in planned], lambda: tr.plan(small).width)


def enumerated() -> Kind:
    """log Z of a restricted machine with 32 hidden units."""
    large, small = tr.restricted(64, 32, key=0), tr.restricted(8, 5, key=0)
    return Kind(lambda: tr.log_partition(large, method="exact", seconds=1e9), lambda: tr.log_partition(small).value)


def annealed() -> Kind:
    """log Z of a restricted machine by annealing."""
    large, small = tr.restricted(400, 200, key=0), tr.restricted(8, 5, key=0)
    return Kind(
        lambda: [tr.log_partition(large, method="annealing", key=i) for i in range(1000)],
        lambda: tr.log_partition(small).value,
    )


def trained() -> Kind:
    """PCD on rows of 400 columns."""
    rows = np.random.default_rng(0).integers(0, 2, (5_000, 400)).astype(float)
    large, small = tr.restricted(400, 200, key=0), tr.restricted(8, 5, key=0)
    return Kind(
        lambda: tr.fit(large, rows, tr.PersistentCD(), epochs=10_000, key=0),
        lambda: tr.log_partition(small).value,
    )


def mixed() -> Kind:
    """EM of a mixture of Gaussians with full covariances."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300_000, 12))
    large = tr.mixture(rows[:2000], 20, "gaussian")
    small = tr.mixture(rows[:500], 2, "gaussian")
    return Kind(
        lambda: tr.fit(large, rows, tr.EM(tolerance=0), epochs=10_000, key=0),
        lambda: float(tr.log_likelihood(small, rows[:500]).value),
    )


def chained() -> Kind:
    """EM of a hidden Markov model of 30 states on a sequence of a million rows."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1_000_000, 1))
    large = tr.hidden_markov(rows[:5000], 30, "gaussian", key=0)
    small = tr.hidden_markov(rows[:500], 2, "gaussian", key=0)
    return Kind(
        lambda: tr.fit(large, rows, tr.EM(tolerance=0), epochs=10_000, key=0),
        lambda: float(tr.log_likelihood(small, rows[:500]).value),
    )


def sampled() -> Kind:
    """Gibbs sampling of a dense machine, half of whose units are observed."""
    rng = np.random.default_rng(0)
    J = np.triu(rng.normal(0, 0.05, (400, 400)), 1)
    large, small = tr.boltzmann(couplings=J + J.T), tr.restricted(8, 5, key=0)
    rows = np.where(np.arange(400) < 200, rng.integers(0, 2, (100, 400)), np.nan)
    return Kind(
        lambda: [tr.infer(large, rows, method="gibbs", key=i) for i in range(100)],
        lambda: tr.log_partition(small).value,
    )


def short() -> Kind:
    """Many calls of a fraction of a millisecond, on all cores."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 3))
    model = tr.mixture(rows[:500], 3, "gaussian")

    def calls() -> None:
        while True:
            tr.log_likelihood(model, rows)
            side_by_side(abs, range(6), products=True)

    return Kind(calls, lambda: float(tr.log_likelihood(model, rows).value))


KINDS: dict[str, Callable[[], Kind]] = {
    "grid": eliminated,
    "most probable": most_probable,
    "search": searched,
    "enumeration": enumerated,
    "annealing": annealed,
    "machine": trained,
    "mixture": mixed,
    "chain": chained,
    "Gibbs": sampled,
    "short calls": short,
}


def interrupted(call: Callable[[], Any], after: float) -> float | None:
    """Seconds from an interrupt to its KeyboardInterrupt; None where the call returned all the same."""
    sent: list[float] = []

    def send() -> None:
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(after, send)
    try:
        timer.start()
        call()
        timer.join()
    except KeyboardInterrupt:
        return time.perf_counter() - sent[0]
    return None


def measured(name: str, n: int, rng: np.random.Generator) -> Row:
    """Interrupts of one kind of call."""
    kind = KINDS[name]()
    right = kind.small()
    interrupted(kind.long, LATEST)
    reactions, wrong = [], 0
    for _ in range(n):
        reactions.append(interrupted(kind.long, rng.uniform(0, LATEST)))
        wrong += not np.isclose(kind.small(), right, rtol=1e-12)
    caught = [x for x in reactions if x is not None]
    return {
        "call": name,
        "interrupts": n,
        "caught": len(caught),
        "wrong": wrong,
        "median": float(np.median(caught)),
        "slowest": max(caught),
    }


def main() -> None:
    """Measure all kinds, and print a table."""
    args = arguments(__doc__, full=f"{FULL} interrupts")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
    names = [name for name in KINDS if not args.only or any(word in name for word in args.only)]
    n, rng = -(-(FULL if args.full else QUICK) // len(names)), np.random.default_rng(0)
    rows = [measured(name, n, rng) for name in names]
    lost = sum(row["interrupts"] - row["caught"] for row in rows)
    notes = [
        f"{n * len(names):,} interrupts, {lost} lost, {sum(row['wrong'] for row in rows)} wrong answers after them; "
        f"the slowest reaction took {max(row['slowest'] for row in rows):.3f} s"
    ]
    report("Interrupts at random moments: seconds until KeyboardInterrupt", COLUMNS, rows, notes)
    save(args.json, rows)


if __name__ == "__main__":
    main()
