"""Narrow, plain and dumb terminals: no traceback, no strange characters, and every number of the answer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run

ASIA = str(Path(tr.__file__).parent / "examples" / "asia.bif")
ROWS = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 1]] * 6)
COMMANDS = {
    "explain": f"explain {ASIA}",
    "explain one": f"explain {ASIA} --query map",
    "explain machine": "explain rbm.safetensors",
    "refused": f"query {ASIA} --memory 1",
    "query": f"query {ASIA} --evidence asia=yes,dysp=yes --target lung,tub --joint --map",
    "cases": f"query {ASIA} --evidence-file cases.csv",
    "separated": f"separated {ASIA} asia smoke --given dysp",
    "convert": f"convert --force {ASIA} asia.uai",
    "decode": "decode hmm.safetensors rows.npy",
    "score": "score rbm.safetensors rows.npy",
    "sample": "sample rbm.safetensors -n 3 -o drawn.csv",
    "impute": "impute rbm.safetensors rows.npy -o whole.csv",
    "transform": "transform rbm.safetensors rows.npy -o means.csv",
    "diagnose": "diagnose rbm.safetensors --chains 2 --sweeps 40",
    "fit rbm": "fit rbm rows.npy --hidden 2 --epochs 2 --no-yardstick --force -o rbm.safetensors --validation rows.npy",
    "fit sbn": "fit sbn rows.npy --hidden 2 --epochs 2 --no-yardstick --force -o sbn.safetensors",
    "fit mixture": "fit mixture rows.npy --components 2 --epochs 3 --force -o mix.safetensors --validation rows.npy",
    "fit hmm": "fit hmm rows.npy --states 2 --emissions bernoulli --epochs 3 --force -o chain.safetensors",
    "fit network": f"fit network {ASIA} cases.csv --epochs 2 --force -o learned.bif",
    "bad input": f"query {ASIA} --evidence lüng=yes",
    "help": "fit rbm --help",
}
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e[-+]\d+)?")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    here = tmp_path_factory.mktemp("terminals")
    before = Path.cwd()
    os.chdir(here)
    np.save("rows.npy", ROWS)
    Path("cases.csv").write_text("asia,dysp\n" + "yes,yes\nno,\n" * 3)
    tr.save(tr.restricted(4, 2), "rbm.safetensors")
    tr.save(tr.hidden_markov([ROWS], 2, "bernoulli"), "hmm.safetensors")
    yield
    os.chdir(before)


def shown(argv: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    for left in Path().glob("*.checkpoint*"):
        left.unlink()
    code = run(argv.split())
    out, err = capsys.readouterr()
    return code, out, err


def numbers(text: str) -> list[str]:
    """All numbers, but for seconds, which differ from run to run."""
    return sorted(NUMBER.findall(re.sub(r"[\d.]+ (?:µs|us|ms|s)\b", "", text)))


@pytest.mark.parametrize("name", [name for name in COMMANDS if not name.startswith("fit ")])
@pytest.mark.parametrize("columns", ["40", "20"])
def test_on_a_narrow_terminal_no_number_is_cut(
    name: str, columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    wide = shown(COMMANDS[name], capsys)
    monkeypatch.setenv("COLUMNS", columns)
    narrow = shown(COMMANDS[name], capsys)
    assert narrow[0] == wide[0] and numbers(narrow[1]) == numbers(wide[1]) and narrow[2] == wide[2]
    assert narrow[1].count("…") == wide[1].count("…")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name.startswith("fit ")])
@pytest.mark.parametrize("columns", ["40", "20"])
def test_the_record_of_a_fit_is_not_cut_either(
    name: str, columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    code, out, err = shown(COMMANDS[name], capsys)
    assert (code, err) == (0, "") and "…" not in out
    rows = [line.split() for line in out.splitlines() if re.match(r" +\d+ +\d+\.\d ", line)]
    assert [int(row[0]) for row in rows] == list(range(int(rows[0][0]), int(rows[-1][0]) + 1)) and len(rows) > 1
    assert len({len(row) for row in rows}) == 1 and all(re.search(r"\.\d{3}", " ".join(row)) for row in rows)


WITH_JAX = ("explain machine", "score", "sample", "impute", "transform", "diagnose", "fit rbm", "fit sbn")
PLAIN = {
    "LC_ALL=C": {"LC_ALL": "C"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "dumb": {"TERM": "dumb", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"},
}


@pytest.mark.parametrize("kind", PLAIN)
def test_what_a_terminal_cannot_show_is_written_otherwise(kind: str) -> None:
    """All commands in one process for one kind of terminal, those without jax for each; its output is a pipe."""
    names = [name for name in COMMANDS if name != "fit sbn" and (kind == "LC_ALL=C" or name not in WITH_JAX)]
    script = "import sys, glob, os\nfrom tractable.cli._run import run\nfor line in sys.argv[1:]:\n"
    script += "    print('$', run(line.split()), flush=True)\n"
    script += "    [os.unlink(path) for path in glob.glob('*.checkpoint*')]\n"
    env = {k: v for k, v in os.environ.items() if k not in ("LC_ALL", "PYTHONIOENCODING", "PYTHONUTF8", "COLUMNS")}
    argv = [sys.executable, "-c", script, *(COMMANDS[name] for name in names)]
    done = subprocess.run(argv, capture_output=True, env=env | PLAIN[kind])
    encoding = {"dumb": "utf-8", "latin-1": "latin-1"}.get(kind, "ascii")
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert done.returncode == 0 and "Traceback" not in err and "\x1b" not in out + err
    codes = {line.rpartition(" ")[2] for line in out.splitlines() if line.startswith("$ ")}
    assert codes == {"0", "2", "3"}
    if kind == "dumb":
        assert "asia → tub → either ← lung ← smoke" in out and "lüng" in err
        return
    assert "asia -> tub -> either <- lung <- smoke" in out and "log p" in out
    assert not re.search(r"\\u|\\x", out) and ("lüng" if kind == "latin-1" else r"l\xfcng") in err


def test_a_name_is_escaped_and_what_is_ours_is_not(tmp_path: Path) -> None:
    net = tr.BayesianNetwork({"größe": ["klein", "日"]}, {}, {"größe": [0.25, 0.75]})
    tr.save(net, path := str(tmp_path / "net.safetensors"))
    argv = [sys.executable, "-m", "tractable", "query", path, "--map", "--marginals"]
    done = subprocess.run(argv, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    out = done.stdout.decode("ascii")
    assert done.returncode == 0 and r"gr\xf6\xdfe" in out and r"\u65e5" in out and "0.75" in out and "###" in out
    assert not re.search(r"\\u(?!65e5)", out)


def test_a_bar_at_a_dumb_terminal_leaves_the_answer_whole() -> None:
    """A pseudo-terminal that moves no cursor: no escape sequences."""
    pty = pytest.importorskip("pty")
    main, other = pty.openpty()
    argv = [sys.executable, "-m", "tractable", *COMMANDS["fit mixture"].split(), "--json"]
    env = os.environ | {"TERM": "dumb", "COLUMNS": "20"}
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=other, env=env)
    os.write(other, b"end\n")
    said = os.read(main, 1 << 16).decode()
    os.close(main)
    os.close(other)
    assert done.returncode == 0 and done.stdout.startswith(b'{"model"') and "\x1b" not in said
