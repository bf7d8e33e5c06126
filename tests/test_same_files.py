"""Paths of one command, or of one fit, that lead to the same file: refused before any work, and no file is touched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run

ASIA = str(Path(tr.__file__).parent / "examples" / "asia.bif")
ROWS = np.array([[0, 1, 1, 0], [1, 0, 0, 1]] * 10, np.float64)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run: rows, sequences, models, and links to them."""
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", ROWS)
    np.savez("rows.npz", train=ROWS)
    np.savetxt("rows.csv", ROWS, delimiter=",")
    Path("lengths.npy").symlink_to("rows.npy")
    tr.save(tr.restricted(4, 2), "rbm.safetensors")
    tr.save(tr.hidden_markov([ROWS], 2, "bernoulli"), "hmm.safetensors")
    tr.save(tr.load(ASIA), "asia.bif")
    Path("cases.csv").write_text("lung\nyes\nno\n")
    for link, target in {"link.bif": "asia.bif", "link.npy": "rows.npy", "link.csv": "rows.csv"}.items():
        Path(link).symlink_to(target)
    for link in ("model.npy", "model.png", "model.csv"):
        Path(link).symlink_to("rbm.safetensors")
    Path("sub").mkdir()
    Path("sub", "back").symlink_to("..")
    return tmp_path


def state(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.iterdir() if path.is_file()}


RBM = ("fit", "rbm", "rows.npy", "--hidden", 2, "--epochs", 1)
MIXTURE = ("fit", "mixture", "rows.csv", "--components", 2)
HMM = ("fit", "hmm", "rows.csv", "--states", 2, "--emissions", "bernoulli")
NETWORK = ("fit", "network", "asia.bif", "cases.csv")

SAME = [
    ((*RBM, "-o", "m.safetensors", "--checkpoint", "m.safetensors"), "--output", "--checkpoint"),
    ((*RBM, "-o", "./m.safetensors", "--checkpoint", "sub/back/m.safetensors"), "--output", "--checkpoint"),
    ((*RBM, "-o", "rbm.safetensors", "--checkpoint", "model.png"), "--output", "--checkpoint"),
    ((*RBM, "-o", "rbm.safetensors", "--checkpoint", "rbm.safetensors", "--resume"), "--output", "--checkpoint"),
    ((*RBM, "-o", "rbm.safetensors", "--plot", "model.png"), "--output", "--plot"),
    ((*RBM, "-o", "m.safetensors", "--plot", "p.png", "--checkpoint", "p.png"), "--plot", "--checkpoint"),
    ((*RBM, "-o", "m.safetensors", "--checkpoint", "rows.npy"), "DATA", "--checkpoint"),
    ((*RBM, "-o", "m.safetensors", "--checkpoint", "link.npy", "--resume"), "DATA", "--checkpoint"),
    ((*RBM, "-o", "m.safetensors", "--validation", "link.csv", "--checkpoint", "rows.csv"), "--validation", "--check"),
    (("fit", "rbm", "rows.npz:train", *RBM[3:], "-o", "m.safetensors", "--checkpoint", "rows.npz"), "DATA", "--check"),
    ((*RBM[:1], "dbm", *RBM[2:], "-o", "m.safetensors", "--checkpoint", "m.safetensors"), "--output", "--checkpoint"),
    (("fit", "sbn", "rows.npy", "--hidden", 2, "-o", "m.safetensors", "--checkpoint", "rows.npy"), "DATA", "--check"),
    ((*MIXTURE, "-o", "m.safetensors", "--checkpoint", "m.safetensors"), "--output", "--checkpoint"),
    ((*MIXTURE, "-o", "m.safetensors", "--checkpoint", "rows.csv", "--resume"), "DATA", "--checkpoint"),
    ((*HMM, "-o", "m.safetensors", "--checkpoint", "m.safetensors"), "--output", "--checkpoint"),
    ((*HMM, "-o", "m.safetensors", "--lengths", "lengths.npy", "--checkpoint", "rows.npy"), "--lengths", "--check"),
    ((*NETWORK, "-o", "asia.bif"), "NET", "--output"),
    ((*NETWORK, "-o", "link.bif"), "NET", "--output"),
    ((*NETWORK, "-o", "m.bif", "--checkpoint", "cases.csv"), "DATA", "--checkpoint"),
    (("convert", "asia.bif", "asia.bif"), "IN", "OUT"),
    (("convert", "asia.bif", "./link.bif"), "IN", "OUT"),
    (("impute", "rbm.safetensors", "rows.csv", "-o", "rows.csv"), "DATA", "--output"),
    (("impute", "rbm.safetensors", "rows.csv", "-o", "model.csv"), "MODEL", "--output"),
    (("transform", "rbm.safetensors", "rows.npy", "-o", "link.npy"), "DATA", "--output"),
    (("sample", "rbm.safetensors", "--evidence-file", "rows.npy", "-o", "./rows.npy"), "--evidence-file", "--output"),
    (("sample", "rbm.safetensors", "-o", "model.npy"), "MODEL", "--output"),
    (("decode", "hmm.safetensors", "rows.csv", "-o", "link.csv"), "SEQUENCES", "--output"),
    (("decode", "hmm.safetensors", "rows.csv", "--lengths", "link.npy", "-o", "rows.npy"), "--lengths", "--output"),
    (("diagnose", "rbm.safetensors", "--plot", "model.png"), "MODEL", "--plot"),
]


@pytest.mark.parametrize(("argv", "one", "other"), SAME, ids=[" ".join(map(str, argv)) for argv, *_ in SAME])
def test_two_names_of_one_file_are_refused_and_nothing_is_touched(
    argv: tuple[Any, ...], one: str, other: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state(folder)
    code, (out, err) = run([str(a) for a in argv]), capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{one} " in err and other in err and "are the same file; give" in err
    assert state(folder) == before


def test_a_model_that_is_called_like_a_layer_of_the_checkpoint_stays(folder: Path) -> None:
    argv = (*RBM, "-o", "m.layer0.safetensors", "--checkpoint", "m", "--no-live")
    for more in ((), ("--resume", "--force")):
        assert run([str(a) for a in (*argv, *more)]) == 0
        assert tr.load("m.layer0.safetensors").n_visible == 4 and not os.path.exists("m")


OTHERS = ["rows.npy", "rbm.safetensors", "asia.bif", "link.npy"]


@pytest.mark.parametrize("path", OTHERS)
@pytest.mark.parametrize("resume", [False, True])
def test_a_checkpoint_takes_the_place_of_nothing_but_a_checkpoint(path: str, resume: bool, folder: Path) -> None:
    """The data may be mapped from the very file that is named for the checkpoint."""
    before, rows = state(folder), tr.read_data("rows.npy")
    options: dict[str, Any] = {"checkpoint": path, "resume": resume, "epochs": 1, "progress": False}
    seen: list[Any] = []
    for model, learner in ((tr.restricted(4, 2), tr.PersistentCD()), (tr.mixture(rows, 2, "bernoulli"), tr.EM())):
        with pytest.raises(tr.FormatError, match=rf"^{path}: is not a checkpoint of a fit"):
            tr.fit(model, rows, learner, callback=seen.append, **options)
    assert state(folder) == before and not seen


def test_a_layer_finds_its_place_taken_before_the_first_is_learned(folder: Path) -> None:
    os.link("rbm.safetensors", "fit.layer1")
    before = state(folder)
    with pytest.raises(tr.FormatError, match=r"^fit\.layer1: is not a checkpoint of a fit"):
        tr.pretrain([4, 3, 2], ROWS, epochs=1, progress=False, checkpoint="fit")
    assert state(folder) == before


def test_a_model_saved_where_the_checkpoint_is_stays(folder: Path) -> None:
    """Saved from a callback: the fit goes on without a checkpoint, and what was saved is there at its end."""

    def callback(record: Any) -> None:
        tr.save(tr.restricted(4, 3), "fit.safetensors")

    options: dict[str, Any] = {"epochs": 2, "progress": False, "live": 0, "checkpoint_seconds": 0}
    with pytest.warns(RuntimeWarning, match=r"without a new checkpoint: fit\.safetensors: is not a"):
        tr.fit(tr.restricted(4, 2), ROWS, checkpoint="fit.safetensors", callback=callback, **options)
    assert tr.load("fit.safetensors").units["hidden"].n == 3


def test_an_empty_file_may_become_a_checkpoint(folder: Path) -> None:
    Path("fit").touch()
    tr.fit(tr.mixture(ROWS, 2, "bernoulli"), ROWS, epochs=1, checkpoint="fit")
    assert Path("fit").stat().st_size


def test_data_written_where_they_are_mapped_from_are_harmless(folder: Path) -> None:
    tr.write_data("link.npy", tr.read_data("rows.npy")[:5])
    assert np.array_equal(tr.read_data("rows.npy"), ROWS[:5])
