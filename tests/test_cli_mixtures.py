"""Mixtures from the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from killed import kill

import tractable as tr
from tractable.cli._run import run


def test_fit_score_sample_and_impute(tmp_path, capsys):
    rows = np.random.default_rng(0).normal(size=(40, 2)) + 4.0 * (np.arange(40) % 2)[:, None]
    gaps = np.where(np.eye(40, 2) > 0, np.nan, rows)
    data, model = str(tmp_path / "x.csv"), str(tmp_path / "m.safetensors")
    tr.write_data(data, gaps)
    fit = ["fit", "mixture", data, "--components", "2", "--emissions", "diagonal", "-o", model, "--force"]
    assert run([*fit, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["converged"] and found["history"][-1]["kl"]["value"] == 0
    assert run(["score", model, data, "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)["log_likelihood"]["value"]
    assert scored == pytest.approx(found["history"][-1]["train"]["value"], rel=1e-9)
    for command in (["sample", model, "-n", "3"], ["impute", model, data], ["transform", model, data]):
        assert run([*command, "-o", str(tmp_path / "out.csv")]) == 0
    assert run(["explain", model]) == 0
    assert run([*fit, "--validation", data]) == 0
    assert "converged" in capsys.readouterr().out


def test_a_value_outside_the_domain_is_said_in_a_line(tmp_path, capsys):
    data = str(tmp_path / "x.csv")
    tr.write_data(data, np.array([[0.0, 1.0], [0.5, 1.0]]))
    fit = ["fit", "mixture", data, "--components", "2", "-o", str(tmp_path / "m.safetensors")]
    assert run([*fit, "--emissions", "bernoulli"]) == 2
    assert "x.csv:2: row 1, column 0: the value 0.5 is not 0 or 1" in capsys.readouterr().err


def bits(tmp_path: Path) -> str:
    rows = np.random.default_rng(1).random((300, 12)) < np.random.default_rng(2).random((4, 12))[np.arange(300) % 4]
    tr.write_data(data := str(tmp_path / "bits.npy"), rows.astype(np.uint8))
    return data


@pytest.mark.skipif(os.name == "nt", reason="a system without kill -9")
@pytest.mark.parametrize("command", ["mixture", "hmm"])
def test_a_killed_fit_goes_on_to_the_same_model_bit_for_bit(command, tmp_path, capsys):
    """Killed when the checkpoint holds some iterations of both starts, then --resume."""
    size = ("--components", "3") if command == "mixture" else ("--states", "3", "--emissions", "bernoulli")
    options = (*size, "--n-init", "2", "--epochs", "30", "--tolerance", "0", "--checkpoint-seconds", "0")
    data = bits(tmp_path)

    def fit(name: str, *more: str) -> list[str]:
        return ["fit", command, data, *options, *more, "-o", str(tmp_path / f"{name}.safetensors")]

    kill(fit("killed"), after=40)
    checkpoint = tmp_path / "killed.safetensors.checkpoint"
    assert checkpoint.read_bytes().count(b'iteration\\": 5') == 2 and not (tmp_path / "killed.safetensors").exists()
    assert run(fit("killed")) == 2 and capsys.readouterr().err.count("--resume") == 1  # what is there must be meant
    assert run(fit("whole")) == run(fit("killed", "--resume")) == 0
    assert (tmp_path / "killed.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert not list(tmp_path.glob("*.checkpoint"))


def test_columns_of_several_kinds_criteria_and_the_curves(tmp_path, capsys):
    rng = np.random.default_rng(0)
    label = np.arange(60) % 2
    rows = np.column_stack([rng.normal(size=60) + 4 * label, rng.poisson(2 + 6 * label), label, rng.normal(size=60)])
    tr.write_data(data := str(tmp_path / "x.csv"), rows)
    kinds = ["--emissions", "gaussian:0,3", "--emissions", "bernoulli:2", "--emissions", "poisson:1"]
    model, plot = str(tmp_path / "m.safetensors"), tmp_path / "em.png"
    pytest.importorskip("matplotlib")
    fit = ["fit", "mixture", data, "--components", "2", *kinds, "-o", model]
    assert run([*fit, "--plot", str(plot), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    loaded = tr.load(model)
    assert loaded.free.columns == ((0, 3), (2,), (1,)) and plot.read_bytes().startswith(b"\x89PNG")
    assert found["aic"] == pytest.approx(tr.aic(loaded, rows).value) and found["bic"] > found["aic"]
    assert run([*fit[:-1], str(tmp_path / "again.safetensors")]) == 0
    assert "AIC" in capsys.readouterr().out and not os.path.exists(model + ".checkpoint")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--emissions", "gausian"], "did you mean 'gaussian'"),
        (["--emissions", "gaussian:a"], "no column 'a'; there are 0, 1"),
        (["--emissions", "bernoulli:0-5"], "every column once: '6' is of no kind"),
        (["--emissions", "bernoulli:0-20"], "no column '12'"),
        (["--plot", "x.gif"], ".png"),
        (["--checkpoint", "/nowhere/at/all"], "cannot be written"),
    ],
)
def test_bad_options_are_said_in_a_line(options, words, tmp_path, capsys):
    data, model = bits(tmp_path), str(tmp_path / "m.safetensors")
    assert run(["fit", "mixture", data, "--components", "2", "-o", model, *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1 and not os.path.exists(model)


def test_help_has_an_example(capsys):
    assert run(["fit", "mixture", "--help"]) == 0
    out = capsys.readouterr().out
    assert "tractable fit mixture votes.csv" in out and "--resume" in out
