"""What every command takes: --memory, which it means, and --quiet, under which it says the answer alone."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run

ASIA = str(Path(tr.__file__).parent / "examples" / "asia.bif")
ROWS = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 1]] * 6)
GAPS = np.where(np.arange(96).reshape(24, 4) % 7 == 0, np.nan, ROWS)
FITS = {
    "fit rbm": "rows.npy --hidden 2 --epochs 2 --no-yardstick --force -o fitted.safetensors",
    "fit dbm": "rows.npy --hidden 2,2 --epochs 2 --pretrain 1 --no-yardstick --force -o fitted.safetensors",
    "fit boltzmann": "rows.npy --epochs 2 --no-yardstick --force -o fitted.safetensors",
    "fit sbn": "rows.npy --hidden 2 --epochs 2 --pretrain 1 --no-yardstick --force -o fitted.safetensors",
    "fit dbn": "rows.npy --hidden 2,2 --epochs 2 --pretrain 1 --no-yardstick --force -o fitted.safetensors",
    "fit mixture": "gaps.npy --components 2 --epochs 3 --force -o fitted.safetensors --validation rows.npy",
    "fit hmm": "gaps.npy --states 2 --emissions bernoulli --epochs 3 --force -o fitted.safetensors",
    "fit network": f"{ASIA} cases.csv --epochs 2 --force -o fitted.bif",
}
WRITE = {
    "convert": f"--force {ASIA} asia.uai",
    "sample": "hmm.safetensors -n 9 -o drawn.csv",
    "impute": "hmm.safetensors gaps.npy -o whole.csv",
    "transform": "hmm.safetensors gaps.npy -o means.csv",
}
ANSWER = {
    "explain": f"{ASIA} --query marginals",
    "query": f"{ASIA} --evidence asia=yes --target lung",
    "show": f"{ASIA} --variable lung",
    "filter": "hmm.safetensors gaps.npy",
    "forecast": "hmm.safetensors gaps.npy --steps 2",
    "separated": f"{ASIA} asia lung",
    "decode": "hmm.safetensors gaps.npy",
    "score": "hmm.safetensors gaps.npy",
    "diagnose": "rbm.safetensors --chains 2 --sweeps 40",
}
COMMANDS = FITS | WRITE | ANSWER


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", ROWS)
    np.save("gaps.npy", GAPS)
    Path("cases.csv").write_text("asia,dysp\n" + "yes,yes\nno,\n" * 3)
    tr.save(tr.restricted(4, 2), "rbm.safetensors")
    tr.save(tr.hidden_markov([ROWS], 2, "bernoulli"), "hmm.safetensors")
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], name: str, *more: str) -> tuple[int, str, str]:
    code = run([*name.split(), *COMMANDS[name].split(), *more])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("name", COMMANDS)
def test_a_byte_is_too_little_for_every_command(name: str, folder: Path, capsys: Any) -> None:
    before = sorted(os.listdir(folder))
    code, out, err = told(capsys, name, "--memory", "1")
    if name == "explain":  # to be told so is an answer
        assert code == 0 and "refused" in out
        return
    machine = name in ("fit rbm", "fit dbm", "fit boltzmann", "fit sbn", "fit dbn")
    assert code == (2 if machine else 3) and err.count("\n") == 1 and sorted(os.listdir(folder)) == before
    assert re.search("refused by the budget|takes .* to learn|the model alone takes", err)


@pytest.mark.parametrize("name", COMMANDS)
def test_enough_is_enough_and_no_size_is_refused(name: str, capsys: Any) -> None:
    assert told(capsys, name, "--memory", "1GiB", "--json")[0] == 0
    code, out, err = told(capsys, name, "--memory", "much")
    assert (code, out) == (2, "") and "'much' is not a size" in err


@pytest.mark.parametrize("name", FITS | WRITE)
def test_nothing_is_said_of_a_file_that_was_written(name: str, capsys: Any) -> None:
    assert told(capsys, name, "--quiet") == (0, "", "")
    assert os.path.exists(COMMANDS[name].split()[-1].replace("rows.npy", "fitted.safetensors"))


@pytest.mark.parametrize("name", ANSWER)
def test_the_answer_is_a_part_of_what_is_said_otherwise(name: str, capsys: Any) -> None:
    (_, loud, _), (code, quiet, err) = told(capsys, name), told(capsys, name, "-q")
    assert (code, err) == (0, "") and quiet
    lines = [re.sub(r"[\d.]+ .s", "", line) for line in loud.splitlines()]
    assert all(re.sub(r"[\d.]+ .s", "", line) in lines for line in quiet.splitlines())
    said_besides = {"explain", "query", "show", "filter", "forecast", "decode", "score"}
    assert (len(quiet) < len(loud)) == (name in said_besides)


@pytest.mark.parametrize("name", COMMANDS)
def test_json_is_the_same_quiet_or_not(name: str, capsys: Any) -> None:
    code, out, err = told(capsys, name, "--json", "--quiet")
    assert (code, err) == (0, "") and isinstance(json.loads(out), dict)


@pytest.mark.parametrize("name", ["fit rbm", "fit mixture", "fit dbn"])
def test_no_bar_at_a_terminal_when_quiet(name: str, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert told(capsys, name, "--quiet") == (0, "", "")
    assert "epoch" in told(capsys, name)[2]


def test_the_library_has_the_same_budget() -> None:
    net: Any = tr.load(ASIA)
    data = {"asia": ["yes", "no", None], "dysp": ["yes", "no", "no"]}
    hmm, mixture = tr.hidden_markov([ROWS], 2, "bernoulli"), tr.mixture(ROWS, 2, "bernoulli")
    for model, rows in ((net, data), (hmm, ROWS), (mixture, ROWS)):
        with pytest.raises(tr.BudgetError):
            tr.fit(model, rows, memory=1, progress=False)
        with pytest.raises(tr.BudgetError):
            tr.bic(model, rows, memory=1)
        assert tr.fit(model, rows, memory="1GiB", epochs=1, progress=False).history
    with pytest.raises(tr.BudgetError, match="8 chains of 1,000 sweeps"):
        tr.evaluate.traces(tr.restricted(4, 2), memory="1KiB")
    with pytest.raises(tr.ModelError, match="1000 B: take smaller batches"):
        tr.fit(tr.restricted(4, 2), ROWS, memory=1000, progress=False)
