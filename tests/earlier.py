"""Models and fits of every family, made of plain numbers, as files of each version of the library: see `fixtures`.

Before the version of a format goes up, the code that wrote the last one leaves its files::

    python tests/earlier.py tests/fixtures/0.1.0

A model is a file by its name. A fit leaves the checkpoint at which it was stopped and the model at which it would have
ended; what goes on from the one has to end at the other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tractable as tr

FIXTURES = Path(__file__).parent / "fixtures"
A = [[0.875, 0.125], [0.25, 0.75]]
ROW = [0.625, 0.375]
SIX = np.arange(12.0).reshape(6, 2)
BITS = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 1, 0], [0, 0, 1, 1]] * 6, np.float64)
REALS = np.round(np.sin(np.arange(48.0)).reshape(24, 2) + np.arange(24)[:, None] % 2, 3)


def waves(*shape: int) -> np.ndarray:
    """Numbers between −1 and 1 that are none in particular."""
    return np.round(np.sin(1.0 + 2 * np.arange(np.prod(shape))).reshape(shape), 4)


def machine(*layers: Any) -> tr.Boltzmann:
    """A machine of two layers or more."""
    sizes = [layer if isinstance(layer, int) else layer.n_features for layer in layers]
    couplings = [waves(*pair) for pair in pairwise(sizes)]
    biases = [waves(n) for n in sizes]
    if len(layers) > 2:
        return tr.deep(layers, couplings=couplings, biases=biases)
    bias = dict(zip(("visible_bias", "hidden_bias"), biases, strict=True))
    return tr.restricted(*layers, couplings=couplings[0], **bias)


def general(units: str) -> tr.Boltzmann:
    w = np.triu(waves(4, 4), 1)
    return tr.boltzmann(4, units=units, couplings=w + w.T, visible_bias=waves(4))


def emissions() -> dict[str, Any]:
    gaussian = tr.GaussianEmissions(SIX[:2], [[[2.0, 0.5], [0.5, 1.0]], [[1.0, 0.0], [0.0, 3.0]]], [0.25, -7.0])
    mixed = tr.MixtureEmissions([[0.25, 0.25, 0.5], [0.5, 0.5, 0]], tr.DiagonalGaussianEmissions(SIX, SIX + 1, [3, 1]))
    return {
        "bernoulli": tr.BernoulliEmissions([[0.875, 0.0, 0.5], [0.125, 1.0, 0.25]]),
        "categorical": tr.CategoricalEmissions([[[0.25, 0.25, 0.5], [0.5, 0.25, 0.25]], [ROW, [1.0, 0.0]]]),
        "poisson": tr.PoissonEmissions([[1.0, 3.5], [2.5, 0.0]]),
        "gaussian": gaussian,
        "tied": tr.TiedGaussianEmissions(SIX[:2], [[2.0, 0.5], [0.5, 1.0]], [0.5, 9.0]),
        "diagonal": tr.DiagonalGaussianEmissions(SIX[:2], SIX[:2] + 1, [0.5, 9.0]),
        "spherical": tr.SphericalGaussianEmissions(SIX[:2], [1.5, 2.5], [0.5, 9.0]),
        "product": tr.ProductEmissions([gaussian, tr.PoissonEmissions([[1.0], [2.5]])], [[2, 0], [1]]),
        "mixed": mixed,
    }


def models() -> dict[str, Any]:
    """A model of every family, of every kind of unit and of emissions."""
    own = emissions()
    lamps = tr.AdditiveGaussianEmissions([[[0.0], [1.0]], [[0.0], [2.0], [-1.0]]], [[0.0625]], [5.0])
    steps = [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.25, 0.25, 0.5]]
    sbn = tr.SigmoidBeliefNetwork(weights=[waves(4, 3), waves(3, 2)], biases=[waves(4), waves(3), waves(2)])
    lower = np.tril(waves(3, 3), -1)
    q = tr.RecognitionNetwork(
        weights=[[waves(4, 2), waves(2, 3)], [waves(3, 5), waves(5, 2)]],
        biases=[[waves(2), waves(3)], [waves(5), waves(2)]],
        within=[lower, None],
    )
    dbn = tr.DeepBeliefNetwork(top=machine(3, 2), weights=[waves(4, 3)], biases=[waves(4)])
    linear = tr.RecognitionNetwork(weights=[waves(4, 3)], biases=[waves(3)])
    out = {
        "bayesian": tr.BayesianNetwork(
            {"rain": ["no", "yes"], "wet": ["dry", "a, b", "ü"]},
            {"wet": ["rain"]},
            {"rain": ROW, "wet": [[0.5, 0.25, 0.25], [0.0, 0.125, 0.875]]},
            "garden",
        ),
        "markov": tr.MarkovNetwork(
            {"0": "01", "1": "012"}, [(("1", "0"), SIX[:3]), ((), np.array(7.0)), (("0",), [8.0, 9.0])], "pair"
        ),
        "boltzmann_spin": general("spin"),
        "boltzmann_bernoulli": general("bernoulli"),
        "boltzmann_sparse": tr.boltzmann(4, [(0, 1), (1, 3)], couplings=[0.5, -1.5], visible_bias=waves(4)),
        "restricted_bernoulli": machine(4, 2),
        "restricted_spin": machine(tr.Spin(3), tr.Spin(2)),
        "restricted_categorical": machine(tr.Categorical(2, 3), tr.Categorical(1, 2)),
        "restricted_gaussian": machine(tr.Gaussian(3, [0.5, -1.0, 0.25]), 2),
        "restricted_learned": machine(tr.Gaussian(3, [0.5, -1.0, 0.25], learned=True), 2).astype(np.float32),
        "deep": machine(4, 3, tr.Categorical(2, 3)),
        "sigmoid_belief": sbn,
        "sigmoid_belief_within": tr.SigmoidBeliefNetwork(
            weights=[waves(4, 3)], biases=[waves(4), waves(3)], within=[None, lower]
        ),
        "deep_belief": dbn,
        "helmholtz": tr.HelmholtzMachine(sbn, q),
        "helmholtz_deep_belief": tr.HelmholtzMachine(dbn, linear),
        "chain_stationary": tr.HiddenMarkovModel("stationary", A, own["poisson"]),
        "chain_tied": tr.HiddenMarkovModel(ROW, [ROW, ROW[::-1]], own["gaussian"], ties=[[0, 1], [1, 0]]),
        "chain_mixed": tr.HiddenMarkovModel(ROW, A, own["mixed"]),
        "factorial": tr.FactorialHiddenMarkovModel([ROW, [1.0, 0.0, 0.0]], [A, steps], lamps),
        "offset": tr.Mixture(ROW, own["bernoulli"], -3.25),
    }
    return out | {f"mixture_{kind}": tr.Mixture(ROW, part) for kind, part in own.items()}


class Fit(NamedTuple):
    """Where learning begins, the data, the learner, and how many epochs there are."""

    model: Any
    data: Any
    learner: Any
    epochs: int = 6


def fits() -> dict[str, Callable[[], Fit]]:
    """Fits by gradients, by EM, and by EM in blocks."""
    made = models()
    chain = tr.HiddenMarkovModel("stationary", A, tr.BernoulliEmissions([waves(4) ** 2, 1 - waves(4) ** 2]))
    pair = tr.Mixture(ROW, tr.DiagonalGaussianEmissions([[0.0, 0.5], [1.0, -0.5]], np.ones((2, 2))))
    net = made["bayesian"]
    rain = {"wet": ["dry", "a, b", "ü", "dry"] * 5}
    two = tr.AdditiveGaussianEmissions([[[0.0], [1.0]], [[0.0], [0.5]]], [[0.5]])
    factorial = tr.FactorialHiddenMarkovModel([ROW, ROW], [A, A], two)
    small = {"batch_size": 8, "learning_rate": 0.1}
    return {
        "fit_exact": lambda: Fit(machine(4, 2), BITS, tr.ExactGradient(**small)),
        "fit_pcd": lambda: Fit(machine(4, 2), BITS, tr.PersistentCD(**small)),
        "fit_rws": lambda: Fit(made["helmholtz"], BITS, tr.ReweightedWakeSleep(samples=3, **small)),
        "fit_em": lambda: Fit(pair, REALS, tr.EM(n_init=2, start="rows", tolerance=0)),
        "fit_chain": lambda: Fit(chain, [BITS[:9], BITS[9:]], tr.EM(tolerance=0)),
        "fit_network": lambda: Fit(net, rain, tr.EM(tolerance=0, start="model")),
        "fit_incremental": lambda: Fit(pair, REALS, tr.IncrementalEM(n_blocks=3, tolerance=0)),
        "fit_online": lambda: Fit(pair, REALS, tr.OnlineEM(batch_size=7, tolerance=0)),
        "fit_structured": lambda: Fit(factorial, REALS[:, :1], tr.GeneralizedEM(posterior="structured", tolerance=0)),
    }


class StoppedError(Exception):
    """Ends a fit on the way."""


def run(fit: Fit, path: Path | None = None, stop: int | None = None, **options: Any) -> Any:
    """The fit, kept in a file, and stopped after some of its records if that is asked for."""
    left = [stop]

    def callback(record: Any) -> None:
        if left[0] is not None:
            left[0] -= 1
            if left[0] < 0:
                raise StoppedError

    kept = {} if path is None else {"checkpoint": str(path), "checkpoint_seconds": 0.0}
    options |= {"epochs": fit.epochs, "key": 3, "progress": False, "callback": callback, **kept}
    try:
        return tr.fit(fit.model, fit.data, fit.learner, **options).model
    except StoppedError:
        return None


def write(folder: Path) -> None:
    """The models and checkpoints of this version of the library."""
    for name, model in models().items():
        tr.save(model, folder / f"{name}.safetensors")
    for name, make in fits().items():
        run(make(), folder / f"{name}.checkpoint", stop=3)
        tr.save(run(make()), folder / f"{name}.safetensors")


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir()
    write(Path(sys.argv[1]))
