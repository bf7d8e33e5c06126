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
    options = ["--epochs", "2", "--batch-size", "20", "--samples", "2", "--tanh", "3", "--no-live", "--json"]
    assert run(["fit", "sbn", rows, "--hidden", "3,2", "-o", model, *options]) == 0
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
        "--batch-size",
        "20",
        "--no-live",
    ]
    assert run(["fit", "sbn", rows, "--hidden", "3,2", "-o", model, *options]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors", "rows.npy"]
    own = tr.load(model).recognition.within
    assert [a.shape for a in own] == [(3, 3), (2, 2)] and np.tril(own[0], -1).any() and not np.triu(own[0]).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--hidden", "3,x"], "--hidden: expected numbers of units"),
        (["--hidden", "3", "--algorithm", "vimco", "--samples", "1"], "two or more, got samples=1"),
        (["--hidden", "3", "--sweeps", "0.5"], "--sweeps: only jsa remembers states; --algorithm is rws"),
        (["--hidden", "3", "--algorithm", "arm", "--autoregressive"], "arm flips whole layers"),
        (["--hidden", "3", "--learning-rate", "nan"], "learning_rate must be a finite number, zero or more"),
        (["--hidden", "3", "--learning-rate", "inf"], "got learning_rate=inf"),
        (["--hidden", "3", "--averaging", "nan"], "averaging must be a number from 0 to 1"),
        (["--hidden", "3", "--pretrain-rate", "nan"], "pretrain_rate must be a finite number, zero or more"),
        (["--hidden", "3", "--checkpoint-seconds", "nan"], "checkpoint_seconds must be a number"),
    ],
)
@pytest.mark.parametrize("before", [[], ["--pretrain", "1000000"]], ids=["at once", "after pretraining"])
def test_what_is_refused_at_once(
    rows: str, options: list[str], words: str, before: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = os.listdir(os.path.dirname(rows))
    assert run(["fit", "sbn", rows, "-o", f"{rows}.safetensors", *options, *before]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert os.listdir(os.path.dirname(rows)) == folder


def test_a_deep_belief_network_is_refused_before_it_is_pretrained(
    rows: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["fit", "dbn", rows, "-o", f"{rows}.safetensors", "--pretrain", "1000000", "--hidden"]
    assert run([*command, "5"]) == 2 and "--hidden needs at least two numbers" in capsys.readouterr().err
    assert run([*command, "3,2", "--algorithm", "vimco", "--samples", "1"]) == 2
    assert "two or more, got samples=1" in capsys.readouterr().err and len(os.listdir(os.path.dirname(rows))) == 1
    np.save(rows, np.array([[0, 1, np.nan]]))
    assert run([*command, "3,2"]) == 2
    assert f"{rows}: row 0, column 2: the value nan is missing; impute it first" in capsys.readouterr().err


def test_help_names_every_kind_of_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", "--help"]) == 0
    assert "the same as sbn" in capsys.readouterr().out
    assert run(["fit", "dbn", "--help"]) == 0
    assert "nothing may be missing" in " ".join(capsys.readouterr().out.split())
