"""Mixtures from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run


def test_fit_score_sample_and_impute(tmp_path, capsys):
    rows = np.random.default_rng(0).normal(size=(40, 2)) + 4.0 * (np.arange(40) % 2)[:, None]
    gaps = np.where(np.eye(40, 2) > 0, np.nan, rows)
    data, model = str(tmp_path / "x.csv"), str(tmp_path / "m.safetensors")
    tr.write_data(data, gaps)
    fit = ["fit", "mixture", data, "--components", "2", "--emissions", "diagonal", "-o", model]
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
    assert run(["fit", "mixture", data, "--components", "2", "-o", str(tmp_path / "m.safetensors")]) == 2
    assert "row 1, column 0: the value 0.5 is not 0 or 1" in capsys.readouterr().err
