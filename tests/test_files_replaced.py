"""Files that are written over: their mode, their owner, links to them; and files that are new."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable.cli._outputs import draw
from tractable.formats import write_evidence
from tractable.plots import chain_traces

ROWS = np.array([[0, 1, 1, 0], [1, 0, 0, 1]] * 10, np.float64)
NET = tr.BayesianNetwork({"rain": ["no", "yes"]}, {}, {"rain": [0.8, 0.2]})


def fitted(path: str) -> None:
    tr.fit(tr.mixture(ROWS, 2, "bernoulli"), ROWS, epochs=2, checkpoint=path)


WRITERS: dict[str, Callable[[str], Any]] = {
    "net.bif": lambda path: tr.save(NET, path),
    "net.xml": lambda path: tr.save(NET, path),
    "net.uai.gz": lambda path: tr.save(NET, path),
    "net.safetensors": lambda path: tr.save(NET, path),
    "cases.csv": lambda path: write_evidence([{"rain": "yes"}], path, NET),
    "cases.evid": lambda path: write_evidence([{"rain": "yes"}], path, NET),
    "rows.npy": lambda path: tr.write_data(path, ROWS),
    "rows.npz": lambda path: tr.write_data(path, ROWS),
    "rows.csv": lambda path: tr.write_data(path, ROWS),
    "fit.checkpoint": fitted,
    "traces.png": lambda path: draw(path, chain_traces, ROWS),
    "traces.svg.gz": lambda path: draw(path, chain_traces, ROWS),
}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_keeps_its_mode_and_a_new_one_has_that_of_the_umask(name: str, tmp_path: Path, umask: None) -> None:
    if name.startswith("traces"):
        pytest.importorskip("matplotlib")
    path, real = tmp_path / name, tmp_path / "real"
    WRITERS[name](str(path))
    assert mode(path) == 0o640
    for kept in (0o600, 0o664, 0o444):
        path.chmod(kept)
        WRITERS[name](str(path))
        assert mode(path) == kept
    path.rename(real)
    real.chmod(0o600)
    path.symlink_to(real)
    WRITERS[name](str(path))
    assert path.is_symlink() and mode(real) == 0o600 and sorted(os.listdir(tmp_path)) == sorted([name, "real"])


def test_a_part_is_never_open_to_more_than_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen, fsync = tmp_path / "net.bif", [], os.fsync
    tr.save(NET, path)
    path.chmod(0o600)
    monkeypatch.setattr(os, "fsync", lambda number: (seen.append(os.fstat(number).st_mode & 0o777), fsync(number)))
    tr.save(NET, path)
    assert seen == [0o600]


def refusing(group_too: bool) -> Callable[..., None]:
    def chown(path: str, user: int, group: int) -> None:
        if user != -1 or group_too:
            raise PermissionError(1, "Operation not permitted")

    return chown


@pytest.mark.skipif(not hasattr(os, "chown"), reason="a system without owners")
@pytest.mark.parametrize(("group_too", "kept"), [(False, 0o674), (True, 0o644)])
def test_a_group_that_cannot_be_kept_gives_no_rights_to_another(
    group_too: bool, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.bif"
    tr.save(NET, path)
    path.chmod(0o674)
    monkeypatch.setattr(os, "chown", refusing(group_too))
    tr.save(NET, path)
    assert mode(path) == kept


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_someone_else_stays_theirs(tmp_path: Path) -> None:
    path = tmp_path / "net.bif"
    tr.save(NET, path)
    os.chown(path, 12345, 54321)
    path.chmod(0o640)
    tr.save(NET, path)
    assert (path.stat().st_uid, path.stat().st_gid, mode(path)) == (12345, 54321, 0o640)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes")
def test_what_is_no_regular_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    path = tmp_path / "net.bif"
    os.mkfifo(path)
    with pytest.raises(tr.FormatError, match="cannot be written: it is not a regular file; choose another place"):
        tr.save(NET, path)
    assert path.is_fifo() and os.listdir(tmp_path) == ["net.bif"]
