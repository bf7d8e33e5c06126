"""Are verdicts on chains of layers true? Posterior means and draws of small networks, against exact ones.

Claims, in every class: of the networks whose averages are called reliable at least 95 % have all means within four
standard errors and 0.02 of the exact ones; of those whose draws are called reliable as many have all shares within four
standard errors of as many independent draws and 0.02. Chains are asked for by name, however small the network.

    python benchmarks/layer_draws.py [--only pairs,glass] [--networks 20] [--seed 0] [--draws 400]
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from _common import Row, arguments, report, save

import tractable as tr

Rng = np.random.Generator
Asked = tuple[Any, np.ndarray]

ERRORS, SLACK, SHARE = 4.0, 0.02, 0.95


def pairs(rng: Rng, k: int, w: float) -> Asked:
    """Of each of k pairs of causes exactly one is on: two observed children of each say so."""
    weights = np.kron(np.eye(k), [[w, w], [-w, -w]]) + 0.3 * rng.normal(size=(2 * k, 2 * k))
    biases = [np.tile([-w / 2, 1.5 * w], k), rng.normal(size=2 * k)]
    return tr.SigmoidBeliefNetwork(weights=[weights], biases=biases), np.ones(2 * k)


def needle(rng: Rng, n: int, w: float) -> Asked:
    """A switch that is on only where n causes are on, and leaves them free where it is off; as heavy either way."""
    weights = np.hstack([np.full((n, 1), -w), w * np.eye(n)]) + 0.1 * rng.normal(size=(n, n + 1))
    biases = [np.full(n, w / 2), np.append(n * np.log(2), np.zeros(n)) + 0.3 * rng.normal(size=n + 1)]
    return tr.SigmoidBeliefNetwork(weights=[weights], biases=biases), np.ones(n)


def two_phases(rng: Rng, w: float) -> Asked:
    """A deep belief network, the six by six units on top of which are on or off together."""
    own = np.full((6, 6), w) + 0.05 * rng.normal(size=(6, 6))
    top = tr.restricted(couplings=own, visible_bias=-own.sum(1) / 2 + 0.2 * rng.normal(), hidden_bias=-own.sum(0) / 2)
    weights, biases = [0.3 * rng.normal(size=(4, 6))], [rng.normal(size=4)]
    return tr.DeepBeliefNetwork(top=top, weights=weights, biases=biases), rng.integers(2, size=4).astype(float)


def at_random(rng: Rng, sizes: list[int], scale: float, own: bool = False) -> Asked:
    """Normal weights; random values of the visible units, or those of a draw of the network's `own`."""
    weights = [scale * rng.normal(size=pair) for pair in pairwise(sizes)]
    net = tr.SigmoidBeliefNetwork(weights=weights, biases=[rng.normal(size=n) for n in sizes])
    x = np.asarray(net.sample(int(rng.integers(1000)), 1)[0], float)[0] if own else rng.integers(2, size=sizes[0])
    return net, np.where(rng.random(sizes[0]) < 0.8, x, np.nan)


CLASSES: dict[str, Callable[[Rng], Asked]] = {
    "pairs, 6": lambda rng: pairs(rng, 2, 6.0),
    "pairs, 9": lambda rng: pairs(rng, 2, 9.0),
    "pairs, 30": lambda rng: pairs(rng, 3, 30.0),
    "needle": lambda rng: needle(rng, 8, 14.0),
    "needle, 30": lambda rng: needle(rng, 10, 30.0),
    "two phases, weak": lambda rng: two_phases(rng, 0.7),
    "two phases": lambda rng: two_phases(rng, 2.7),
    "two phases, strong": lambda rng: two_phases(rng, 5.3),
    "weak": lambda rng: at_random(rng, [6, 5, 4], 0.7),
    "strong": lambda rng: at_random(rng, [8, 6, 6], 6.0),
    "glass": lambda rng: at_random(rng, [20, 14], 8.0),
    "planted": lambda rng: at_random(rng, [24, 14], 10.0, True),
}


def measured(name: str, seed: int, n_draws: int) -> Row:
    """Of one network: whether averages and draws are called reliable, and whether they are right."""
    net, x = CLASSES[name](np.random.default_rng([seed, *map(ord, name)]))
    truth, post = tr.infer(net, x).marginals, tr.infer(net, x, method="gibbs", key=seed)
    drawn, right, shares = post.sample(n_draws, key=seed), True, True
    for group in net.groups:
        found, mean = post.certificates(group), np.clip(truth[group], 0, 1)
        right &= bool((np.abs(found.value - mean) <= ERRORS * found.std_error + SLACK).all())
        error = np.sqrt(mean * (1 - mean) / n_draws)
        shares &= bool((np.abs(np.asarray(drawn[group]).mean(0) - mean) <= ERRORS * error + SLACK).all())
    told = post.certificates("hidden1").verdict or ""
    reliable = told.startswith("reliable"), bool(drawn["hidden1"].reliable)
    return {"reliable": reliable, "right": (right, shares), "annealed": "annealed" in told}


def of_class(name: str, seeds: range, n_draws: int) -> Row:
    """Counts over all networks of a class."""
    rows = [measured(name, seed, n_draws) for seed in seeds]
    out: Row = {"name": name, "networks": len(rows), "annealed": sum(row["annealed"] for row in rows)}
    for at, what in enumerate(("means", "draws")):
        called = [row["right"][at] for row in rows if row["reliable"][at]]
        out |= {f"{what} reliable": len(called), f"{what} right": sum(called)}
        out["holds"] = out.get("holds", True) and sum(called) >= SHARE * len(called)
    return out


COLUMNS = {
    "name": "",
    "networks": "d",
    "annealed": "d",
    "means reliable": "d",
    "means right": "d",
    "draws reliable": "d",
    "draws right": "d",
    "holds": "",
}


def main() -> None:
    """Measure what was asked for."""
    more: Any = {"networks": (20, "of each class"), "seed": (0, "of the first"), "draws": (400, "of each network")}
    args = arguments(__doc__, **more)
    names = [name for name in CLASSES if not args.only or any(part in name for part in args.only)]
    seeds = range(args.seed, args.seed + args.networks)
    rows = [of_class(name, seeds, args.draws) for name in names]
    report("Chains of layers: verdicts against exact posteriors", COLUMNS, rows, ["right: of those called reliable"])
    save(args.json, rows)


if __name__ == "__main__":
    main()
