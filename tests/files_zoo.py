"""A model of every family, with every kind of field that a file has to hold, and equality field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import jax
import layers_zoo
import machines_zoo
import numpy as np
import zoo

import tractable as tr

A = [[0.9, 0.1], [0.1, 0.9]]
SIX = np.arange(12.0).reshape(6, 2)
GAUSSIANS = tr.GaussianEmissions(SIX[:2], [[[2.0, 0.5], [0.5, 1.0]], [[1.0, 0.0], [0.0, 3.0]]], [0.25, -7.0])
PARTS = tr.ProductEmissions([GAUSSIANS, tr.PoissonEmissions([[1.0], [2.5]])], [[2, 0], [1]])
MIXED = tr.MixtureEmissions([[0.2, 0.3, 0.5], [0.6, 0.4, 0]], tr.DiagonalGaussianEmissions(SIX, SIX + 1, [3.0, 1.0]))

EMISSIONS: dict[str, Any] = {
    "bernoulli": tr.BernoulliEmissions([[0.9, 0.0, 0.5], [0.1, 1.0, 0.25]]),
    "categorical": tr.CategoricalEmissions([[[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]], [[0.5, 0.5], [1.0, 0.0]]]),
    "poisson": tr.PoissonEmissions([[1.0, 3.5], [2.5, 0.0]]),
    "gaussian": GAUSSIANS,
    "tied": tr.TiedGaussianEmissions(SIX[:2], [[2.0, 0.5], [0.5, 1.0]], [0.5, 9.0]),
    "diagonal": tr.DiagonalGaussianEmissions(SIX[:2], SIX[:2] + 1, [0.5, 9.0]),
    "spherical": tr.SphericalGaussianEmissions(SIX[:2], [1.5, 2.5], [0.5, 9.0]),
    "product": PARTS,
    "mixture": MIXED,
    "product of mixtures": tr.ProductEmissions([MIXED, tr.PoissonEmissions([[1.0], [2.5]])], [[0, 2], [1]]),
}

LAMPS = tr.AdditiveGaussianEmissions([[[0.0], [1.0]], [[0.0], [2.0], [-1.0]]], [[0.04]], [5.0])
STEPS = [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.25, 0.25, 0.5]]
ROW = [0.9, 0.1]

MODELS: dict[str, Any] = {
    "learned in part": tr.BayesianNetwork(
        {v: ["no", "yes"] for v in "abcd"},
        {"b": ["a"], "c": ["a"], "d": ["c"]},
        {"a": [0.25, 0.75], "b": [ROW, ROW], "c": [ROW, ROW], "d": A},
        "half",
        ties=[["b", "c"]],
        fixed=["d"],
    ),
    "without a name": tr.MarkovNetwork({"a": "01"}, [(("a",), [1.0, 2.0])], ""),
    "stationary": tr.HiddenMarkovModel("stationary", A, PARTS),
    "ties": tr.HiddenMarkovModel([0.5, 0.5], A, GAUSSIANS, ties=[[0, 1], [1, 0]]),
    "offset": tr.Mixture([0.25, 0.75], GAUSSIANS, -3.25),
    "factorial": tr.FactorialHiddenMarkovModel([[0.5, 0.5], [1.0, 0.0, 0.0]], [A, STEPS], LAMPS),
    "learned precision": tr.restricted(tr.Gaussian(3, [0.5, -1.0, 0.0], learned=True), 2, key=1),
    "double precision": tr.restricted(couplings=np.eye(3) / 3, visible_bias=np.ones(3)).astype(np.float64),
    "tanh": tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([4, 3]), tr.RecognitionNetwork([4, 3], hidden=(5, 2))),
    "within": tr.HelmholtzMachine(
        tr.SigmoidBeliefNetwork([4, 3, 2]), tr.RecognitionNetwork([4, 3, 2], within=[None, [[0, 0], [0.5, 0]]])
    ),
}
NAMES = tr.Columns(["a, b", "ü"], {"a, b": ["", "?", "3"], "ü": ["no", "yes"]}, ["id"])
MODELS |= {
    "names of states": tr.Mixture([0.25, 0.75], EMISSIONS["categorical"], columns=NAMES),
    "names of columns": tr.HiddenMarkovModel(ROW, A, PARTS, columns=["x", "y", "0"]),
    "names of chains": tr.FactorialHiddenMarkovModel([[0.5, 0.5], [1.0, 0.0, 0.0]], [A, STEPS], LAMPS, columns=["x"]),
}
MODELS |= {f"mixture of {name}": tr.Mixture([0.25, 0.75], own) for name, own in EMISSIONS.items()}
MODELS |= {f"chain of {name}": tr.HiddenMarkovModel(ROW, A, own) for name, own in EMISSIONS.items()}
MODELS |= {f"tables {row}": row.model() for row in zoo.ZOO}
MODELS |= {f"machine {row}": row.model() for row in machines_zoo.ZOO}
MODELS |= {f"layers {row}": row.model() for row in layers_zoo.ZOO}
MODELS |= {f"helmholtz {row}": tr.HelmholtzMachine(row.model(), key=3) for row in layers_zoo.ZOO}


def difference(a: Any, b: Any, where: str = "model") -> str | None:
    """The first field in which two models differ, in its type or to the last bit; None where there is none."""
    if isinstance(a, np.ndarray | np.generic | jax.Array):
        same = np.asarray(a).dtype == np.asarray(b).dtype and np.array_equal(np.asarray(a), np.asarray(b))
        return None if same else f"{where}: {a} is not {b}"
    if type(a) is not type(b):
        return f"{where}: a {type(a).__name__} is no {type(b).__name__}"
    parts = [_parts(x) for x in (a, b)]
    if parts[0] is None or parts[1] is None:
        return None if a == b else f"{where}: {a!r} is not {b!r}"
    if parts[0].keys() != parts[1].keys():
        return f"{where}: {[*parts[0]]} are not {[*parts[1]]}"
    found = (difference(part, parts[1][name], f"{where}.{name}") for name, part in parts[0].items())
    return next(filter(None, found), None)


def _parts(x: Any) -> dict[Any, Any] | None:
    """What a record, mapping or sequence is made of."""
    if is_dataclass(x):
        return {f.name: getattr(x, f.name) for f in fields(x)}
    if isinstance(x, Mapping):
        return dict(x)
    return dict(enumerate(x)) if isinstance(x, tuple | list) else None
