"""Now, later and what is hidden, on the command line: filter, forecast, query of every family; help that leads."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_cli_names import LEAVES
from test_cli_show import ASIA, FAMILIES, lamps, weather

import tractable as tr
from tractable.cli import _folder
from tractable.cli._run import _command, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("ahead")
    for name in ("hmm", "mixture", "rbm", "sbn", "letters"):
        tr.save(FAMILIES[name](), where / f"{name}.safetensors")
    tr.save(lamps(), where / "factorial.safetensors")
    (where / "days.csv").write_text("who,temp,sky,wind\n1,0.5,sun,1\n1,8,,2\n1,1,rain,\n2,9.5,sun,3\n2,0,rain,0\n")
    (where / "light.csv").write_text("0.1\n1.9\n3\n")
    return where


@pytest.fixture
def told(capsys, folder: Path, monkeypatch):
    """What a command prints, in the folder of the files."""
    monkeypatch.chdir(folder)

    def told(command: str, code: int = 0) -> str:
        assert run(shlex.split(command)) == code
        out, err = capsys.readouterr()
        return out if code == 0 else err

    return told


def days() -> list[dict[str, Any]]:
    return [
        {"temp": [0.5, 8, 1], "sky": ["sun", None, "rain"], "wind": [1, 2, None]},
        {"temp": [9.5, 0], "sky": ["sun", "rain"], "wind": [3, 0]},
    ]


def test_filter_says_what_filtering_says(told, folder: Path) -> None:
    expected = tr.filtering(weather(), days())
    record = json.loads(told("filter hmm.safetensors days.csv --by who --json"))
    assert record["kind"] == "exact" and record["columns"] == ["state 0", "state 1"]
    for own, part in zip(record["sequences"], expected, strict=True):
        np.testing.assert_allclose(own["states"], part)
    told("filter hmm.safetensors days.csv --by who --lag 2 -o s.csv")
    rows = [*csv.DictReader(io.StringIO((folder / "s.csv").read_text()))]
    assert [row["sequence"] + row["row"] for row in rows] == ["00", "01", "02", "10", "11"]
    lagged = np.concatenate(tr.filtering(weather(), days(), lag=2))
    np.testing.assert_allclose([[float(row["state_0"]), float(row["state_1"])] for row in rows], lagged)
    out = told("filter hmm.safetensors days.csv --ignore who")
    assert "row" in out and out.count("\n") < 20
    found = json.loads(told("filter factorial.safetensors light.csv --json"))
    assert found["columns"] == ["chain0 0", "chain0 1", "chain1 0", "chain1 1"]
    light = tr.filtering(lamps(), [0.1, 1.9, 3.0])
    np.testing.assert_allclose(found["sequences"][0]["states"], np.hstack([light["chain0"], light["chain1"]]))


def test_forecast_says_what_the_verb_says(told, folder: Path) -> None:
    expected = tr.forecast(weather(), days(), 3)
    record = json.loads(told("forecast hmm.safetensors days.csv --by who --steps 3 --coverage 0.5 --json"))
    for own, part in zip(record["sequences"], expected, strict=True):
        low, high = part.predictive.interval(0.5)
        np.testing.assert_allclose(own["states"], part.states)
        np.testing.assert_allclose(own["columns"]["temp_mean"], part.predictive.means[:, 0])
        np.testing.assert_allclose(own["columns"]["wind_deviation"], part.predictive.deviations[:, 2])
        np.testing.assert_allclose([own["columns"]["temp_low"], own["columns"]["temp_high"]], [low[:, 0], high[:, 0]])
        np.testing.assert_allclose(own["columns"]["sky=rain"], part.predictive.probabilities("sky")[:, 1])
    out = told("forecast hmm.safetensors days.csv --by who --steps 2")
    assert "90 %" in out and "rain" in out and "±" in out and out.count("sequence") == 2
    told("forecast hmm.safetensors days.csv --by who --steps 2 -o ahead.npy")
    assert np.load(folder / "ahead.npy").shape == (4, 2 + 4 + 2 + 4)
    assert "0_mean" in told("forecast factorial.safetensors light.csv --steps 2 -o -")


def test_a_mixture_says_which_component_and_what_is_missing(told) -> None:
    model = FAMILIES["mixture"]()
    record = json.loads(told("query mixture.safetensors --evidence temp=1.5,sky=rain --json"))
    post, left = tr.infer(model, {"temp": 1.5, "sky": "rain"}), tr.condition(model, {"temp": 1.5, "sky": "rain"})
    assert record["log_evidence"]["value"] == pytest.approx(post.log_partition.value)
    assert record["marginals"]["component"] == pytest.approx(dict(post.marginals["component"]))
    assert set(record["columns"]) == {"wind"} and record["columns"]["wind"]["mean"] == pytest.approx(
        left.predictive.means[0, 0]
    )
    cases = [
        json.loads(line)
        for line in told("query mixture.safetensors --evidence-file days.csv --ignore who --json").splitlines()
    ]
    sky = tr.condition(model, {"temp": 8, "wind": 2}).predictive.probabilities("sky")[0]
    assert cases[1]["columns"] == {"sky": pytest.approx({"sun": sky[0], "rain": sky[1]})} and len(cases) == 5
    best = json.loads(told("query mixture.safetensors --evidence temp=1.5 --map --best 2 --json"))
    assert [own["assignment"]["component"] for own in best["best"]] == ["0", "1"] and "marginals" not in best
    assert "component" in told("query mixture.safetensors --evidence-file days.csv --ignore who")


def test_a_chain_says_where_it_was(told) -> None:
    post = tr.infer(weather(), days())
    cases = [
        json.loads(line) for line in told("query hmm.safetensors --evidence-file days.csv --by who --json").splitlines()
    ]
    for s, case in enumerate(cases):
        np.testing.assert_allclose(case["marginals"]["state"], post.marginals["state"][s])
        assert case["log_evidence"]["value"] == pytest.approx(post.log_partition.value[s])
    (best,) = [json.loads(told("query factorial.safetensors --evidence-file light.csv --map --json"))]
    found = tr.most_probable(lamps(), [0.1, 1.9, 3.0])
    assert best["map"] == {name: path.tolist() for name, path in found.assignment.items()}
    assert "chain1" in told("query factorial.safetensors --evidence-file light.csv")


def test_units_say_what_they_are_like(told, folder: Path) -> None:
    machine = FAMILIES["rbm"]()
    record = json.loads(told("query rbm.safetensors --evidence a=1,hidden[1]=0 --json"))
    post = tr.infer(machine, {"visible": [1, np.nan], "hidden": [np.nan, 0, np.nan]})
    np.testing.assert_allclose([*record["marginals"]["hidden"].values()], post.marginals["hidden"], atol=1e-12)
    assert record["log_evidence"]["value"] == pytest.approx(post.log_partition.value)
    assert [*json.loads(told("query rbm.safetensors --target b --json"))["marginals"]] == ["visible"]
    letters = json.loads(told("query letters.safetensors --evidence 0=1 --json"))["marginals"]["visible"]
    found = tr.infer(FAMILIES["letters"](), [1, np.nan]).marginals["visible"]
    np.testing.assert_allclose([*letters.values()], found.ravel(), atol=1e-12)
    (folder / "bits.csv").write_text("1,0,\n,,1\n")
    cases = [
        json.loads(line)
        for line in told("query sbn.safetensors --evidence-file bits.csv --map --marginals --json").splitlines()
    ]
    model = FAMILIES["sbn"]()
    for case, row in zip(cases, ([1, 0, np.nan], [np.nan, np.nan, 1]), strict=True):
        best = tr.most_probable(model, row)
        assert case["map"]["hidden1"] == best.assignment["hidden1"].tolist()
        np.testing.assert_allclose([*case["marginals"]["hidden2"].values()], tr.infer(model, row).marginals["hidden2"])
    assert ": estimate)" in told("query rbm.safetensors --evidence a=1 --method mean_field")
    assert "log weight" in told("query letters.safetensors --map --best 2")


def test_most_probable_states_wait_for_no_marginals(told, monkeypatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("infer was called")

    monkeypatch.setattr(tr, "infer", never, raising=False)
    alone = json.loads(told(f"query {ASIA} --map --json"))
    assert alone["map"] and not {"marginals", "log_evidence"} & {*alone}
    search = json.loads(told(f"query {ASIA} --map --method branch_and_bound --seconds 2 --json"))
    assert search["map"] == alone["map"] and search["plan"]["method"] == "branch_and_bound"
    monkeypatch.undo()
    assert "give --map" in told(f"query {ASIA} --method branch_and_bound", code=2)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("filter mixture.safetensors days.csv", "for hidden Markov models"),
        ("forecast hmm.safetensors days.csv --coverage 2", "between 0 and 1"),
        ("forecast hmm.safetensors days.csv --steps 0", "--steps"),
        ("query hmm.safetensors --evidence temp=1", "--evidence-file"),
        ("query mixture.safetensors --evidence tmp=1", "did you mean 'temp'"),
        ("query mixture.safetensors --evidence temp=warm", "expected a number"),
        ("query mixture.safetensors --evidence temp=1 --evidence-file days.csv --ignore who", "twice"),
        ("query mixture.safetensors --target wnd", "did you mean 'wind'"),
        ("query mixture.safetensors --by who", "leave out --lengths and --by"),
        ("query rbm.safetensors --evidence hidden[7]=1", "hidden[0 … 2]"),
        ("query rbm.safetensors --soft a=1:2", "--soft is for networks"),
        ("query rbm.safetensors --evidence a=3", "3"),
        ("query mixture.safetensors --exact", "--exact: not for a Mixture"),
        ("query hmm.safetensors --evidence-file days.csv --by who --method gibbs", "--method is one of auto"),
    ],
)
def test_bad_input_is_said_in_a_line(command: str, said: str, told) -> None:
    err = told(command, code=2)
    assert said in err and err.count("\n") == 1


# ---------------------------------------------------------------- help


@pytest.mark.parametrize(("name", "command"), LEAVES, ids=[name for name, _ in LEAVES])
def test_help_has_two_examples_that_parse_and_options_in_groups(name: str, command: Any, capsys: Any) -> None:
    assert run([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    examples = re.findall(r"^ +tractable (.+)$", shown, re.MULTILINE)
    assert len(examples) >= 2 and len({*examples}) == len(examples)
    for example in examples:
        words = shlex.split(example)
        own, rest = _command(words), words
        while hasattr(own, "commands"):
            own, rest = own.commands[rest[0]], rest[1:]
        assert name == " ".join(words[: len(words) - len(rest)])
        own.make_context(name, rest)
    assert re.search(r"^Every command:\n", shown, re.MULTILINE) and shown.rindex("--json  ") > shown.index(
        "Every command:"
    )


def suggested(told) -> list[str]:
    return re.findall(r"^ +tractable (.+)$", told(""), re.MULTILINE)


def test_alone_it_says_what_would_run_here(told, folder: Path, capsys) -> None:
    commands = suggested(told)
    assert "decode hmm.safetensors days.csv --ignore who" in commands
    for command in commands:
        if not command.startswith("fit"):
            told(command)


def test_hostile_folders_are_only_looked_at(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert "asia.bif --evidence" in "\n".join(_folder.suggestions())
    (tmp_path / "-rf.bif").write_text(Path(ASIA).read_text())
    (tmp_path / "a b'.bif.gz").write_bytes(gzip.compress(Path(ASIA).read_bytes()))
    (tmp_path / "bad\n\x1b.bif").write_text(Path(ASIA).read_text())
    (tmp_path / "zeros.csv").write_bytes(b"\0" * 100_000)
    (tmp_path / "cut.bif.gz").write_bytes(gzip.compress(b"x" * 9_999_999)[:500])
    (tmp_path / "huge.safetensors").write_bytes(b"\xff" * 64)
    (tmp_path / "other.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (tmp_path / "folder.csv").mkdir()
    for i in range(30):
        (tmp_path / f"t{i:02}.csv").write_text("a\x1b,b\n1,2\n")
    lines = _folder.suggestions()
    assert len(lines) == 1 + 2 * 10 + 1 and "23 files more" in lines[-1] and "\x1b" not in "".join(lines)
    argvs = [shlex.split(line)[1:] for line in lines if line.startswith("      tractable")]
    for argv in argvs[:2]:
        assert run(argv) == 0
    assert run([]) == 0 and "In this folder" in capsys.readouterr().out.replace("\r", "")
