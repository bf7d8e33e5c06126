"""Columns by name on the command line: `fit mixture`, `fit hmm`, and what takes their models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tractable as tr
from tractable.cli._run import run

RNG = np.random.default_rng(1)
N = 40
DAYS = pd.DataFrame(
    {
        "id": [f"day {i}" for i in range(N)],
        "station": ["Ulm"] * 15 + ["Bern"] * 25,
        "sky": np.where(RNG.random(N) < 0.5, "sun", "rain"),
        "temp": RNG.normal(10, 5, N).round(2),
        "wind, max": RNG.normal(30, 1, N).round(2),
        "wet": RNG.random(N) < 0.4,
    }
)
DAYS.loc[3, "temp"], DAYS.loc[4, "sky"] = np.nan, None
BY_NAME = ["--emissions", 'gaussian:temp,"wind, max"', "--emissions", "categorical:sky,wet"]


@pytest.fixture
def days(tmp_path: Path) -> str:
    DAYS.to_csv(tmp_path / "days.csv", index=False)
    DAYS[DAYS.columns[::-1]].to_csv(tmp_path / "turned.csv", index=False)
    return str(tmp_path / "days.csv")


def answer(capsys: Any, *argv: str) -> Any:
    assert run([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: Any, *argv: str) -> str:
    assert run(argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_a_mixture_by_name(days: str, capsys: Any, tmp_path: Path) -> None:
    model, turned = str(tmp_path / "m.safetensors"), days.replace("days", "turned")
    fit = ["fit", "mixture", days, "--components", "2", "--ignore", "id,station", "-o", model]
    answer(capsys, *fit, *BY_NAME, "--categories", "sky=sun|rain|fog", "--validation", turned)
    states = {"sky": ["sun", "rain", "fog"], "wet": ["False", "True"]}
    loaded = tr.load(model)
    assert loaded.columns == tr.Columns(["sky", "temp", "wind, max", "wet"], states, ["id", "station"])
    own = DAYS.drop(columns=["id", "station"])
    begin = tr.mixture(
        own, 2, {"gaussian": ["temp", "wind, max"], "categorical": ["sky", "wet"]}, categories={"sky": states["sky"]}
    )
    np.testing.assert_allclose(loaded.vector(), tr.fit(begin, own, progress=False).model.vector())
    found = [answer(capsys, "score", model, data)["log_likelihood"]["value"] for data in (days, turned)]
    assert found[0] == found[1] == tr.log_likelihood(loaded, DAYS).value
    out = tmp_path / "out.csv"
    assert run(["impute", model, turned, "-o", str(out)]) == 0
    filled = pd.read_csv(out)
    assert filled.columns.tolist() == DAYS.columns.tolist()[::-1]
    wanted = tr.impute(loaded, DAYS)
    assert filled["sky"].tolist() == wanted["sky"].tolist() and filled["id"].tolist() == DAYS["id"].tolist()
    np.testing.assert_allclose(filled["temp"], wanted["temp"])


def test_a_chain_by_name(days: str, capsys: Any, tmp_path: Path) -> None:
    model, turned = str(tmp_path / "m.safetensors"), days.replace("days", "turned")
    fit = ["fit", "hmm", days, "--by", "station", "--states", "2", "--ignore", "id", "-o", model]
    answer(capsys, *fit, "--emissions", "gaussian:3-4", "--emissions", "categorical:2,wet", "--stationary")
    numbered = tr.load(model).vector()
    Path(model).unlink()
    answer(capsys, *fit, *BY_NAME, "--stationary")
    loaded = tr.load(model)
    np.testing.assert_array_equal(loaded.vector(), numbered)
    assert loaded.is_stationary and loaded.columns.ignored == ("id",)
    cut = tr.Sequences(DAYS, by="station")
    paths = [part["states"] for part in answer(capsys, "decode", model, turned, "--by", "station")["sequences"]]
    assert paths == [path.tolist() for path in tr.most_probable(loaded, cut).assignment["state"]]
    assert "knows no column 'station'" in refused(capsys, "score", model, days)


def test_text_is_categorical_by_itself(days: str, capsys: Any, tmp_path: Path) -> None:
    model = str(tmp_path / "m.safetensors")
    fit = ["fit", "hmm", days, "--by", "station", "--states", "2", "--columns", "wet,sky,temp", "-o", model]
    answer(capsys, *fit, "--left-right")
    assert tr.load(model).columns == tr.Columns(
        ["wet", "sky", "temp"], {"wet": ["False", "True"], "sky": ["rain", "sun"]}, ["id", "wind, max"]
    )


@pytest.mark.parametrize("states", [["--categories", "6"], ["--categories", "roll=6"], ["--categories", "0=6"]])
def test_a_declared_number_of_symbols(states: list[str], capsys: Any, tmp_path: Path) -> None:
    data, model = tmp_path / "dice.csv", str(tmp_path / "m.safetensors")
    data.write_text("roll\n0\n1\n4\n2\n1\n0\n")
    fit = ["fit", "hmm", str(data), "--states", "2", "--emissions", "categorical", "-o", model]
    answer(capsys, *fit, *states)
    assert tr.load(model).columns == tr.Columns(["roll"], {"roll": list("012345")})
    assert np.isfinite(tr.log_likelihood(tr.load(model), {"roll": [5]}).value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "no two of them alike, as names of rows are: leave it out with ignore='id' (--ignore id)"),
        (["--emissions", "gaussian:tmp"], "no column 'tmp'"),
        (["--emissions", "gaussian:"], "such as gaussian:0,2-4 or gaussian:temp"),
        (["--emissions", "gaussian:temp", "--emissions", "poisson:3"], "'temp' is named twice, for gaussian too"),
        (["--emissions", "gausian:temp", "--columns", "temp"], "did you mean 'gaussian'"),
        (["--columns", "tmp"], "no column 'tmp'"),
        (["--ignore", "id", "--categories", "sky"], "COLUMN=N or COLUMN=a|b|c"),
        (["--ignore", "id", "--categories", "sky=sun,rain"], "sky=sun|rain"),
        (["--ignore", "id", "--categories", "sky=1"], "'sky' has 2 states by name"),
    ],
)
@pytest.mark.parametrize("command", [["mixture", "--components"], ["hmm", "--states"]])
def test_slips_are_said_in_a_line(command: list[str], options: list[str], said: str, days: str, capsys: Any) -> None:
    model = days.replace("days.csv", "m.safetensors")
    found = refused(capsys, "fit", command[0], days, command[1], "2", "-o", model, *options)
    assert said in found and not Path(model).exists()
