"""`tractable fit sbn`: the model in its file, the record, and what it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run


@pytest.fixture
def rows(tmp_path: Path) -> str:
    path = tmp_path / "rows.npy"
    np.save(path, np.random.default_rng(0).integers(0, 2, (60, 5)).astype(np.uint8))
    return str(path)


def test_a_network_is_learned_and_written(rows: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(tmp_path / "model.safetensors")
    options = ["--epochs", "2", "--batch", "20", "--samples", "2", "--tanh", "3", "--no-live", "--json"]
    assert run(["fit", "sbn", rows, "--layers", "3,2", "-o", model, *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [sorted({"bound", "effective_sample_size", "gradient_variance"} - set(e)) for e in found["history"]] == [
        [],
        [],
    ]
    learned = tr.load(model)
    assert isinstance(learned, tr.HelmholtzMachine) and learned.sizes == (5, 3, 2)
    assert learned.recognition.weights[0][0].shape == (5, 3)
    assert not os.path.exists(f"{model}.checkpoint")


def test_a_memory_and_units_that_see_one_another(rows: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(tmp_path / "model.safetensors")
    options = [
        "--algorithm",
        "jsa",
        "--autoregressive",
        "--pretrain",
        "1",
        "--epochs",
        "2",
        "--batch",
        "20",
        "--no-live",
    ]
    assert run(["fit", "sbn", rows, "--layers", "3,2", "-o", model, *options]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors", "rows.npy"]
    own = tr.load(model).recognition.within
    assert [a.shape for a in own] == [(3, 3), (2, 2)] and np.tril(own[0], -1).any() and not np.triu(own[0]).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--layers", "3,x"], "--layers: expected numbers of units"),
        (["--layers", "3", "--algorithm", "vimco", "--samples", "1"], "two or more, got samples=1"),
        (["--layers", "3", "--sweeps", "0.5"], "--sweeps: only jsa remembers states; --algorithm is rws"),
        (["--layers", "3", "--algorithm", "arm", "--autoregressive"], "arm flips whole layers"),
    ],
)
def test_what_is_refused(rows: str, options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", "sbn", rows, "-o", f"{rows}.safetensors", *options]) == 2
    assert words in capsys.readouterr().err
