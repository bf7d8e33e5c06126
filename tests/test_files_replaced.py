"""Files that are written over: their mode, their owner, links to them; and files that are new."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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


# ---------------------------------------------------------------- parts that are left


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".part")


KILLED = """
import os, signal, sys
import tractable as tr
net = tr.BayesianNetwork({"a": ["x", "y"]}, {}, {"a": [0.5, 0.5]})
replace = os.replace
def wait_or_die(*args):
    print("written", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL) if sys.argv[2] == "die" else replace(*args)
os.replace = wait_or_die
tr.save(net, sys.argv[1])
"""


@contextmanager
def writing(path: Path, then: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has written its part of a file, and replaces the file, or dies, when it reads a line."""
    argv = [sys.executable, "-c", KILLED, str(path), then]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "written\n"
        yield process
        process.communicate("\n", timeout=60)


@pytest.mark.skipif(os.name == "nt", reason="a system without kill -9")
def test_the_part_of_a_killed_writer_is_cleared_by_the_next_write_into_its_place(tmp_path: Path) -> None:
    path = tmp_path / "[net] *.bif"  # what a pattern would take for another name
    for _ in range(2):
        with writing(path, "die"):
            pass
        (part,) = left(tmp_path)  # the second writer cleared that of the first
        assert part.startswith(".[net] *.bif.")
    tr.save(NET, tmp_path / "other.bif")
    assert left(tmp_path) == [part]
    tr.save(NET, path)
    assert left(tmp_path) == [] and tr.load(path).name == NET.name


@pytest.mark.skipif(os.name == "nt", reason="a system without kill -9")
def test_a_part_that_somebody_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "net.bif"
    with writing(path, "finish"), writing(path, "die"):
        assert len(left(tmp_path)) == 2
        tr.save(NET, path)
        assert len(left(tmp_path)) == 2
    assert left(tmp_path) != [] and tr.load(path).name == "network"
    tr.save(NET, path)
    assert left(tmp_path) == []


def test_a_long_name_has_a_part_too(tmp_path: Path) -> None:
    path = tmp_path / f"{'é' * 120}.bif"  # 244 bytes of the 255 that a name may have
    tr.save(NET, path)
    assert tr.load(path).name == NET.name and left(tmp_path) == []


def test_without_locks_only_a_part_of_yesterday_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tractable.formats._parts.fcntl", None)
    new, old = tmp_path / ".net.bif.000000000000.part", tmp_path / ".net.bif.111111111111.part"
    for part in (new, old):
        part.touch()
    os.utime(old, (time.time() - 90_000,) * 2)
    tr.save(NET, tmp_path / "net.bif")
    assert left(tmp_path) == [new.name]


def test_writers_at_once_leave_a_whole_file_and_no_parts(tmp_path: Path) -> None:
    path, nets = (
        tmp_path / "net.bif",
        [tr.BayesianNetwork({f"v{i}": "xy"}, {}, {f"v{i}": [0.5, 0.5]}) for i in range(8)],
    )
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda net: [tr.save(net, path) for _ in range(20)], nets))
    assert tr.load(path).variables[0] in {f"v{i}" for i in range(8)} and left(tmp_path) == []
