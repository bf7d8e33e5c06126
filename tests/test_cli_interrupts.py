"""Ctrl-C at the command line: one line, exit code 130, and of a fit that is kept how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run

ASIA = str(Path(tr.__file__).parent / "examples" / "asia.bif")
ROWS = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 1]] * 100)
HEARD = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""In the background of a shell it would be ignored."""

FITS = {
    "mixture": "--components 3 --tolerance 0 --prior 0",
    "hmm": "--states 2 --emissions bernoulli --tolerance 0 --n-init 2",
    "rbm": "--hidden 8 --no-live",
    "dbn": "--hidden 6,4 --pretrain 1000000",
}


@pytest.fixture
def rows(tmp_path: Path) -> str:
    np.save(path := str(tmp_path / "rows.npy"), ROWS)
    return path


def started(*argv: str) -> subprocess.Popen[str]:
    script = f"{HEARD}from tractable.cli import main; main()"
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", script, *argv], **pipes)


@pytest.mark.parametrize("name", FITS)
def test_a_fit_says_how_to_go_on(name: str, rows: str, tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    argv = ["fit", name, rows, "-o", str(model), *FITS[name].split(), "--epochs", "10000000"]
    fit, checkpoint = started(*argv, "--checkpoint-seconds", "0"), f"{model}.checkpoint"
    if name == "dbn":
        checkpoint += ".layer0"  # it is still at its first layer
    while not os.path.exists(checkpoint):
        assert fit.poll() is None, fit.communicate()
        time.sleep(0.02)
    time.sleep(0.3)
    fit.send_signal(signal.SIGINT)
    out, err = fit.communicate(timeout=120)
    told = f"interrupted; the fit is kept in {checkpoint}: the same command with --resume goes on from there"
    assert (fit.returncode, out, err) == (130, "", f"tractable: {told}\n")
    assert os.path.exists(checkpoint) and not model.exists()
    if name in ("mixture", "hmm"):  # which may have other numbers of iterations when they go on
        assert run([*argv[:-1], "1", "--resume", "--quiet"]) == 0
        assert model.exists() and not os.path.exists(checkpoint)


COMMANDS = {
    "load": [
        ("explain", ASIA),
        ("query", ASIA),
        ("separated", ASIA, "asia", "lung"),
        ("convert", ASIA, "out.uai"),
        ("decode", "m.safetensors", "rows.npy"),
        ("score", "m.safetensors", "rows.npy"),
        ("sample", "m.safetensors", "-o", "out.csv"),
        ("impute", "m.safetensors", "rows.npy", "-o", "out.csv"),
        ("transform", "m.safetensors", "rows.npy", "-o", "out.csv"),
        ("diagnose", "m.safetensors"),
        ("fit", "network", ASIA, "rows.csv", "-o", "out.bif"),
    ],
    "read_data": [
        ("fit", "rbm", "rows.npy", "--hidden", "2", "-o", "m.safetensors"),
        ("fit", "mixture", "rows.npy", "--components", "2", "-o", "m.safetensors"),
    ],
    "infer": [("query", ASIA), ("query", ASIA, "--json")],
}


@pytest.mark.parametrize(
    ("verb", "argv"), [(verb, argv) for verb, lines in COMMANDS.items() for argv in lines], ids=str
)
def test_every_command_ends_with_a_line(
    verb: str, argv: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    def struck(*arguments: Any, **options: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tr, verb, struck)
    assert run(argv) == 130
    assert capsys.readouterr() == ("", "tractable: interrupted\n") and not os.listdir(tmp_path)


def test_an_interrupt_while_modules_are_loaded_is_a_line_too() -> None:
    script = f"""{HEARD}
import os, sys
class Struck:
    def find_spec(self, name, *rest):
        if name == "tractable.cli._commands":
            os.kill(os.getpid(), signal.SIGINT)
            while True: pass
sys.meta_path.insert(0, Struck())
from tractable.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script, "query", ASIA], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "tractable: interrupted\n")
