"""Hidden Markov models as files: what is written is read bit for bit, and what is damaged is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from test_hidden_markov import GAUSSIANS, weather

import tractable as tr

A = [[0.9, 0.1], [0.1, 0.9]]
SIX = np.arange(12.0).reshape(6, 2)
PARTS = tr.ProductEmissions([GAUSSIANS, tr.PoissonEmissions([[1.0], [2.5]])], [[2, 0], [1]])
MIXTURE = tr.MixtureEmissions([[0.2, 0.3, 0.5], [0.6, 0.4, 0]], tr.DiagonalGaussianEmissions(SIX, SIX + 1))
MODELS = {
    "free": weather(),
    "stationary": tr.HiddenMarkovModel("stationary", A, PARTS),
    "tied": tr.HiddenMarkovModel([0.5, 0.5], A, GAUSSIANS, ties=[[0, 1], [1, 0]]),
    "mixtures": tr.HiddenMarkovModel([1.0, 0.0], [[0.7, 0.3], [0.0, 1.0]], MIXTURE),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_file_gives_the_same_model(name: str, tmp_path: Path) -> None:
    model, path = MODELS[name], tmp_path / "m.safetensors.gz"
    tr.save(model, path)
    back: Any = tr.load(path)
    assert back.vector().tolist() == model.vector().tolist() and back.is_stationary == model.is_stationary
    assert back.n_parameters == model.n_parameters
    rows = tr.sample(model, 9, key=0)
    assert (back.log_likelihoods(rows) == model.log_likelihoods(rows)).all()
    assert (back.ties is None) == (model.ties is None) and np.array_equal(back.ties, model.ties)


def test_what_was_learned_keeps_its_bits(tmp_path: Path) -> None:
    run = tr.fit(tr.hidden_markov(tr.sample(MODELS["tied"], 60, key=1), 3), tr.sample(MODELS["tied"], 60, key=1))
    tr.save(run.model, tmp_path / "m.safetensors")
    assert tr.load(tmp_path / "m.safetensors").vector().tolist() == run.model.vector().tolist()  # type: ignore


def test_mixtures_of_mixtures_are_files_too(tmp_path: Path) -> None:
    model = tr.Mixture([0.25, 0.75], tr.ProductEmissions([MIXTURE, tr.PoissonEmissions([[1.0], [2.5]])], [[0, 2], [1]]))
    for mixture in (model, tr.Mixture([0.25, 0.75], MIXTURE)):
        tr.save(mixture, tmp_path / "m.safetensors")
        back: Any = tr.load(tmp_path / "m.safetensors")
        assert back.vector().tolist() == mixture.vector().tolist()


@pytest.mark.parametrize(
    ("about", "tensors", "said"),
    [
        ({"stationary": "yes"}, {}, "no good stationary"),
        ({"version": 7}, {}, "is of format version 7, which"),
        ({"emissions": "normal"}, {}, "unknown kind of emissions 'normal'"),
        ({"emissions": {"mixture": "gaussian"}}, {}, "tensor 'weights' is missing"),
        ({"emissions": [{"kind": "gaussian"}]}, {}, "no good emissions"),
        ({}, {"extra": np.zeros(1)}, "tensor 'extra' has no place"),
        ({}, {"emissions.extra": np.zeros(1)}, "tensor 'extra' has no place"),
        ({}, {"start": None}, "tensor 'start' is missing"),
        ({}, {"start": np.array([0.5, np.nan])}, "'start' has entries that are not finite"),
        ({}, {"start": np.zeros(2, np.float32)}, "'start' has type F32"),
        ({}, {"transition": np.eye(3)}, "transition has the shape"),
        ({}, {"ties": np.full((2, 2), 0.5)}, "ties are whole numbers"),
        ({}, {"emissions.covariances": np.zeros((2, 2, 2))}, "not positive definite"),
    ],
)
def test_a_damaged_file_is_named(about: dict, tensors: dict, said: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    tr.save(MODELS["tied"], path)
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    told = json.loads(header["__metadata__"]["tractable"]) | about
    found = {name: a for name, a in (load_tensors(data) | tensors).items() if a is not None}
    path.write_bytes(save_tensors(found, {"tractable": json.dumps(told)}))
    with pytest.raises(tr.FormatError, match=said) as error:
        tr.load(path)
    assert str(path) in str(error.value)


def test_other_formats_say_that_they_hold_networks(tmp_path: Path) -> None:
    with pytest.raises(tr.ModelError):
        tr.save(MODELS["free"], tmp_path / "m.bif")
