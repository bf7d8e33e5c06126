"""An RBM with 500 hidden units on binarized MNIST, fitted in phases and certified by annealing in both directions.

Claim: on all 10,000 test rows of the fixed binarization the lower end of the interval stands above −84.0, the interval
is narrower than 0.11 nat, and training takes at most 60 minutes on two cores. Settings were chosen on the validation
rows; the last phase learns from train and validation rows together, with settings that were chosen before.

    python benchmarks/rbm_mnist.py                      # quick: one epoch of each phase, few temperatures
    python benchmarks/rbm_mnist.py --full [--fresh]     # all of it; goes on where an interrupted run stopped
    python benchmarks/rbm_mnist.py --full --only 0,1    # only these of the parts that the annealing comes in

Checkpoints, the model after each phase and the weights of each part of the annealing are kept in benchmarks/out.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _common import OUT, Log, Row, arguments, data, report, save
from jax import Array

import tractable as tr
from tractable.evaluate.annealed import Annealing, anneal
from tractable.evaluate.certified import certified
from tractable.evaluate.starts import Starts
from tractable.models.boltzmann_machine import VISIBLE
from tractable.posterior import Certificate
from tractable.posterior.tempering.ladders import Exchanged

SIDE, HIDDEN = 28, 500
CLAIMED, WIDTH = -84.0, 0.11
TEMPERATURES, CHAINS, PARTS, BURN_IN = 40_000, 64, 6, 3_000
COLUMNS = {"name": "", "value": ".2f", "lower": ".2f", "upper": ".2f", "verdict": "", "minutes": ".1f"}


@dataclass(frozen=True, kw_only=True)
class LocalPCD(tr.PersistentCD):
    """PCD under a prior of smooth filters that are each confined to a part of the image.

    The coupling w between pixel i and hidden unit j decays by `local` / (N (s² + `floor`)), s² being the mean of w²
    over the 3×3 pixels around i: the penalty of a Gaussian with the variance of the neighbourhood. Where a filter has
    little it loses that too, and where it has much it hardly shrinks. To that comes the penalty
    `smooth` / 2 Σ (w_ij − w_kj)² over neighbouring pixels i and k, with zeros outside the image.

    Parameters
    ----------
    n_rows : N, rows that the decay is meant for. every : steps between two looks at s².
    """

    smooth: float = 0.0
    local: float = 0.0
    floor: float = 0.005
    n_rows: int = 50_000
    every: int = 10

    def init(self, plan: Any, model: Any, key: Any, seen: Any) -> Any:
        return super().init(plan, model, key, seen), jnp.zeros_like(_filters(model))

    def gradient(self, plan: Any, training: Any, key: Any, data: Any) -> tuple[Any, Any]:
        chains, decay = training.learner
        gradient, chains = super().gradient(plan, training._replace(learner=chains), key, data)
        w = _filters(training.model)
        look = (training.step % self.every == 0).astype(jnp.int32)  # a loop of one round or none skips the work
        decay = jax.lax.fori_loop(0, look, lambda _, old: self._decay(w), decay)
        pull = decay * w + self.smooth * _laplacian(w)
        return eqx.tree_at(_filters, gradient, _filters(gradient) - pull), (chains, decay)

    def _decay(self, w: Array) -> Array:
        return self.local / self.n_rows / (_blurred(w * w) + self.floor)


def _filters(model: Any) -> Any:
    return model.couplings[VISIBLE, model.hidden[0]]


def _on_grid(w: Array) -> Array:
    """Filters as images with a border of zeros, [SIDE + 2, SIDE + 2, n_hidden]."""
    return jnp.pad(w.reshape(SIDE, SIDE, -1), ((1, 1), (1, 1), (0, 0)))


def _blurred(w: Array) -> Array:
    """The mean over 3×3 pixels."""
    x = _on_grid(w)
    x = x[:-2] + x[1:-1] + x[2:]
    return (x[:, :-2] + x[:, 1:-1] + x[:, 2:]).reshape(w.shape) / 9


def _laplacian(w: Array) -> Array:
    """Four times each pixel less its four neighbours."""
    x = _on_grid(w)
    around = x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]
    return (4 * x[1:-1, 1:-1] - around).reshape(w.shape)


# ---------------------------------------------------------------- training


class Phase(NamedTuple):
    """A number of epochs with one learner, from the rows of some splits."""

    epochs: int
    learner: LocalPCD
    splits: tuple[str, ...] = ("train",)
    key: int = 1


SIZES: dict[str, Any] = {"batch_size": 100, "n_chains": 100, "momentum": 0.0}
FIRST = LocalPCD(learning_rate=0.2, averaging=0.4, local=1.0, floor=0.01, smooth=2e-4, **SIZES)
LONG = LocalPCD(learning_rate=0.2, averaging=0.25, local=1.5, smooth=3e-4, **SIZES)
FINAL = replace(LONG, learning_rate=0.25, floor=0.003, smooth=2e-4)
MANY = {"learning_rate": 0.1, "averaging": 0.6, "n_chains": 400, "batch_size": 200}
PHASES = (
    Phase(60, FIRST),
    Phase(15, replace(LONG, **MANY)),
    Phase(90, LONG, key=2),
    Phase(60, FINAL, ("train", "valid"), key=3),
    Phase(25, replace(FINAL, **MANY), ("train", "valid"), key=4),
)


def rows_of(*splits: str) -> np.ndarray:
    """The rows of some splits, one after another."""
    path = data("mnist") / "binarized_mnist_fixed.npz"
    return np.concatenate([np.asarray(tr.read_data(f"{path}:{name}:784")) for name in splits])


def trained(folder: Path, quick: bool) -> tuple[Any, float]:
    """The model after all phases, and the minutes that took; phases that are done already are not run again."""
    model, minutes, log = tr.restricted(SIDE * SIDE, HIDDEN, key=1), 0.0, Log(folder.name)
    for i, phase in enumerate(PHASES):
        place, start = folder / f"phase{i}.safetensors", model
        minutes += log.row(place.stem, lambda p=phase, m=start, to=place: _fitted(p, m, to, quick))["minutes"]
        model = tr.load(str(place))
    return model, minutes


def _fitted(phase: Phase, model: Any, place: Path, quick: bool) -> Row:
    rows = rows_of(*phase.splits)
    learner, epochs = replace(phase.learner, n_rows=len(rows)), 1 if quick else phase.epochs
    options = {"checkpoint": str(place.with_suffix(".checkpoint")), "resume": True, "live": 0}
    run: Any = tr.fit(model, rows, learner, epochs=epochs, key=phase.key, **options)
    tr.save(run.model, str(place))
    return {"minutes": run.history[-1].seconds / 60}


# ---------------------------------------------------------------- certificate


class Plan(NamedTuple):
    """The parts of the annealing, each of some chains in both directions from a key of its own.

    The weights of chains are independent and unbiased, so that any number of parts together give a certificate; they
    may run side by side in several processes.
    """

    parts: tuple[int, ...]
    n_temperatures: int
    pilot: Annealing
    each: Annealing


def plan_of(quick: bool, only: list[str]) -> Plan:
    """Few temperatures, or all of them."""
    pilot = Annealing(n_chains=128, n_temperatures=300 if quick else 1_000, burn_in=1, phases=False)
    n, parts = (400, 2) if quick else (TEMPERATURES, PARTS)
    each = Annealing(n_chains=CHAINS, n_temperatures=n, max_temperatures=n, burn_in=min(n, BURN_IN))
    return Plan(tuple(map(int, only)) or tuple(range(parts)), n, pilot, each)


def temperatures(folder: Path, model: Any, plan: Plan) -> np.ndarray:
    """The temperatures of all parts, placed by a shorter run."""
    place = folder / "temperatures.npy"
    if not place.exists():
        found = anneal(model, data=rows_of("train"), key=10**6, settings=plan.pilot)
        np.save(place, found.pilot.temperatures(plan.n_temperatures))
    return np.load(place)


def annealed(folder: Path, model: Any, plan: Plan) -> Certificate:
    """log Z from the chains of all parts that were run, now or earlier."""
    betas = temperatures(folder, model, plan)
    for part in plan.parts:
        place = folder / f"part{part}.npz"
        if not place.exists():
            found = anneal(model, data=rows_of("train"), key=part, settings=plan.each, temperatures=betas)
            third = found.exchanged
            assert third is not None
            np.savez(place, forward=found.forward, reverse=found.reverse, exchange=third.log_z, trips=third.round_trips)
            print(f"part {part}: {found.log_partition}", flush=True)
    there = [np.load(place) for place in sorted(folder.glob("part*.npz"))]
    forward, reverse, ladders = (
        np.concatenate([part[name] for part in there]) for name in ("forward", "reverse", "exchange")
    )
    trips = float(np.mean([part["trips"] for part in there]))
    starts = Starts({}, f"{len(ladders)} ladders", False, Exchanged(ladders, trips, 0))
    offset = float(np.median(forward[np.isfinite(forward)]))
    return certified((forward - offset, offset - reverse), offset, plan.each.confidence, starts, None)[0]


def main() -> None:
    """Train, anneal and report."""
    args = arguments(__doc__, full="all epochs and temperatures: some 40 minutes of two cores")
    folder = OUT / ("rbm_mnist" if args.full else "rbm_mnist_quick")
    if args.fresh or not args.full:
        shutil.rmtree(folder, ignore_errors=True)
        Log(folder.name, fresh=True)
    folder.mkdir(parents=True, exist_ok=True)
    model, minutes = trained(folder, not args.full)
    log_z, rows = annealed(folder, model, plan_of(not args.full, args.only)), []
    for name in ("train", "valid", "test"):
        found = tr.log_likelihood(model, rows_of(name), log_partition=log_z)
        rows.append(
            {"name": name, "minutes": minutes} | {k: getattr(found, k) for k in ("value", "lower", "upper", "verdict")}
        )
    test = rows[-1]
    held = test["lower"] > CLAIMED and test["upper"] - test["lower"] < WIDTH
    notes = [f"claim: test above {CLAIMED}, narrower than {WIDTH}: {'held' if held else 'not held'}"]
    report(
        "An RBM with 500 hidden units on MNIST", COLUMNS, rows, notes if args.full else ["quick: nothing is claimed"]
    )
    save(args.json, rows)


if __name__ == "__main__":
    main()
