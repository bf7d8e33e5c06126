"""What a command would miss or be refused at its end is said at its beginning: no learning, no chains for nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run

ASIA = str(Path(tr.__file__).parent / "examples" / "asia.bif")
ROWS = np.array([[0, 1, 1, 0], [1, 0, 0, 1]] * 10, np.float64)
FITS = {
    "rbm": ("rbm", "rows.csv", "--hidden", "2"),
    "dbm": ("dbm", "rows.csv", "--hidden", "2,2", "--pretrain", "2"),
    "boltzmann": ("boltzmann", "rows.csv"),
    "dbn": ("dbn", "rows.csv", "--hidden", "2,2"),
    "helmholtz": ("helmholtz", "rows.csv", "--hidden", "2"),
    "sbn": ("sbn", "rows.csv", "--hidden", "2"),
    "mixture": ("mixture", "rows.csv", "--components", "2"),
    "hmm": ("hmm", "rows.csv", "--states", "2", "--emissions", "bernoulli"),
    "network": ("network", ASIA, "cases.csv"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data and models, in a library that neither learns nor draws nor infers."""

    def never(*args: Any, **options: Any) -> Any:
        raise AssertionError("the work has begun")

    monkeypatch.chdir(tmp_path)
    np.savetxt("rows.csv", ROWS, delimiter=",")
    Path("cases.csv").write_text("lung\nyes\nno\n")
    tr.save(tr.restricted(4, 2), "rbm.safetensors")
    tr.save(tr.hidden_markov([ROWS], 2, "bernoulli"), "hmm.safetensors")
    for verb in ("fit", "infer", "most_probable", "sample", "impute", "transform", "log_likelihood"):
        monkeypatch.setattr(tr, verb, never)
    monkeypatch.setattr("tractable.cli._fitting.fit_columns", never)
    monkeypatch.setattr("tractable.cli._fitting.pretrain", never)
    monkeypatch.setattr("tractable.cli._traces.traces", never)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    before = sorted(Path().iterdir())
    code, (out, err) = run(argv), capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1) and sorted(Path().iterdir()) == before
    return err


@pytest.mark.parametrize("name", FITS)
def test_no_fit_writes_over_a_file_unless_told_to(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit, model = ("fit", *FITS[name], "-o", "m.safetensors"), Path("m.safetensors")
    model.write_bytes(b"of yesterday")
    assert refused(capsys, *fit) == "tractable: m.safetensors: is there already; --force writes over it\n"
    ended = refused(capsys, *fit, "--resume")  # there is no checkpoint
    assert "m.safetensors: there is nothing to resume, the fit that wrote this has ended; " in ended
    assert ("--start m.safetensors goes on from it" in ended) == (name not in ("mixture", "hmm", "network"))
    assert model.read_bytes() == b"of yesterday"
    for content, more in ((b"of yesterday", ("--force",)), (b"", ())):  # of an empty file nothing is lost
        model.write_bytes(content)
        with pytest.raises(AssertionError, match="the work has begun"):
            run([*fit, *more])
    model.write_bytes(b"of yesterday")
    Path("m.safetensors.checkpoint").write_bytes(b"")
    with pytest.raises(AssertionError, match="the work has begun"):  # the fit that is kept there was told to
        run([*fit, "--resume"])


def test_convert_writes_over_a_file_only_when_told_to(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out.uai").write_text("of yesterday")
    assert (
        refused(capsys, "convert", ASIA, "out.uai") == "tractable: out.uai: is there already; --force writes over it\n"
    )
    assert Path("out.uai").read_text() == "of yesterday"
    assert run(["convert", ASIA, "out.uai", "--force"]) == 0
    assert Path("out.uai").read_text().startswith("BAYES\n8\n")


@pytest.mark.parametrize("name", FITS)
def test_a_fit_that_cannot_be_drawn_does_not_begin(name: str, folder: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    said = refused(capsys, "fit", *FITS[name], "-o", "m.safetensors", "--plot", "curve.png")
    assert 'a figure needs matplotlib: pip install "tractable[plots]"' in said


@pytest.mark.parametrize("plot", ["curve.gif", "curve", "nowhere/curve.png", "rows.csv/curve.png", "."])
@pytest.mark.parametrize("name", [*FITS, "diagnose"])
def test_a_figure_with_no_place_is_found_out_before_any_work(name: str, plot: str, folder: Path, capsys: Any) -> None:
    command = ("diagnose", "rbm.safetensors") if name == "diagnose" else ("fit", *FITS[name], "-o", "m.safetensors")
    assert plot in refused(capsys, *command, "--plot", plot)


def test_chains_that_cannot_be_drawn_are_not_run(folder: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert 'pip install "tractable[plots]"' in refused(capsys, "diagnose", "rbm.safetensors", "--plot", "traces.png")


@pytest.mark.parametrize("output", ["out.idx", "out.docx", "nowhere/out.csv", "rows.csv/out.csv", "."])
@pytest.mark.parametrize(
    "argv",
    [
        ("sample", "rbm.safetensors"),
        ("sample", ASIA),
        ("impute", "rbm.safetensors", "rows.csv"),
        ("impute", ASIA, "cases.csv"),
        ("transform", "rbm.safetensors", "rows.csv"),
        ("decode", "hmm.safetensors", "rows.csv"),
    ],
    ids=" ".join,
)
def test_rows_with_no_place_are_not_made(argv: tuple[str, ...], output: str, folder: Path, capsys: Any) -> None:
    assert output in refused(capsys, *argv, "-o", output)
