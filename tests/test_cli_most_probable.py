"""The most probable on the command line: of all, of targets, the k best, of many cases and sequences; bad input."""

from __future__ import annotations

import csv
import json
from itertools import product
from pathlib import Path
from typing import Any

import brute_force
import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run

ASIA = str(Path(tr.__file__).parent / "examples" / "asia.bif")
GIVEN = ["query", ASIA, "--evidence", "asia=yes,dysp=yes"]


@pytest.fixture
def told(capsys):
    """What a command prints, line by line of JSON."""

    def told(*argv: str, code: int = 0) -> list[dict[str, Any]]:
        assert run([*argv, "--json"]) == code
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return told


@pytest.fixture
def failed(capsys):
    """The line that a command ends with."""

    def failed(*argv: str) -> str:
        assert run([*argv]) == 2
        shown = capsys.readouterr()
        assert shown.out == "" and shown.err.count("\n") == 1
        return shown.err

    return failed


def truth(evidence: dict[str, str], targets: tuple[str, ...]) -> list[tuple[float, tuple[str, ...]]]:
    """Every state of the targets with log P of it and the evidence, the most probable first."""
    net: Any = tr.load(ASIA)
    out = []
    for states in product(*(net.states[v] for v in targets)):
        total = tr.log_evidence(net, {**evidence, **dict(zip(targets, states, strict=True))}).value
        out.append((float(total), states))
    return sorted((one for one in out if one[0] > -np.inf), reverse=True)


def test_the_best_of_the_targets_in_order(told) -> None:
    (record,) = told(*GIVEN, "--target", "lung,tub,smoke", "--map", "--best", "5")
    expected = truth({"asia": "yes", "dysp": "yes"}, ("lung", "tub", "smoke"))[:5]
    assert [tuple(best["assignment"].values()) for best in record["best"]] == [states for _, states in expected]
    np.testing.assert_allclose([best["log_probability"] for best in record["best"]], [p for p, _ in expected])
    assert record["map"] == record["best"][0]["assignment"] and not any(best["tied"] for best in record["best"])
    assert all(best["optimum"]["kind"] == "exact" for best in record["best"])


def test_all_of_them_are_said_to_be_all(told, capsys) -> None:
    (record,) = told(*GIVEN, "--target", "lung,tub", "--map", "--best", "30")
    assert len(record["best"]) == 4
    assert run([*GIVEN, "--target", "lung,tub", "--map", "--best", "30", "-q"]) == 0
    shown = capsys.readouterr().out
    assert "these are all: 4 assignments are possible" in shown and "log P(these and what is observed)" in shown
    (one,) = told(*GIVEN, "--target", "lung", "--evidence", "tub=no,xray=yes", "--map")
    assert "best" not in one and set(one["map"]) == {"lung"}


def test_the_best_of_all_variables_agree_with_enumeration(told) -> None:
    net: Any = tr.load(ASIA)
    (record,) = told(*GIVEN, "--map", "--best", "4")
    values = [best["log_probability"] for best in record["best"]]
    weights = [brute_force.log_weight(net, best["assignment"]) for best in record["best"]]
    np.testing.assert_allclose(values, weights)
    free = tuple(v for v in net.states if v not in ("asia", "dysp"))
    np.testing.assert_allclose(values, [p for p, _ in truth({"asia": "yes", "dysp": "yes"}, free)[:4]])


def test_many_cases_each_with_its_best_to_a_file(told, tmp_path: Path, capsys) -> None:
    cases, out = tmp_path / "cases.csv", tmp_path / "best.csv"
    cases.write_text("asia,dysp,either,lung\nyes,no,,\n,yes,,\n,,no,yes\n")
    asked = ["query", ASIA, "--evidence-file", str(cases), "--target", "smoke,bronc", "--map", "--best", "2"]
    records = told(*asked, "-o", str(out))
    for record, given in zip(records, ({"asia": "yes", "dysp": "no"}, {"dysp": "yes"}), strict=False):
        expected = truth(given, ("smoke", "bronc"))[:2]
        assert [tuple(best["assignment"].values()) for best in record["best"]] == [states for _, states in expected]
    assert records[2]["map"] == {} and records[2]["best"] == [] and records[2]["log_probability"] == "-inf"
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [(row["case"], row["rank"]) for row in rows] == [("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")]
    for row in rows:
        best = records[int(row["case"]) - 1]["best"][int(row["rank"]) - 1]
        assert {v: row[v] for v in ("smoke", "bronc")} == best["assignment"] and row["tied"] == "false"
        assert float(row["log_probability"]) == float(row["optimum_at_most"]) == best["log_probability"]
    assert run([*asked, "-q"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert sum(line.split()[:2] in (["1", "2"], ["2", "2"]) for line in shown) == 2


def test_soft_evidence_counts_in_every_case(told, tmp_path: Path) -> None:
    cases = tmp_path / "cases.csv"
    cases.write_text("dysp\nyes\nno\n")
    soft = ["--soft", "smoke=yes:0.01,no:0.9", "--target", "smoke", "--map"]
    together = told("query", ASIA, "--evidence-file", str(cases), *soft)
    for record, state in zip(together, ("yes", "no"), strict=True):
        (alone,) = told("query", ASIA, "--evidence", f"dysp={state}", *soft)
        assert record["map"] == alone["map"] == {"smoke": "no"}
        assert record["log_probability"] == pytest.approx(alone["log_probability"], abs=1e-9)


def test_a_tie_is_said(tmp_path: Path, told, capsys) -> None:
    path = str(tmp_path / "even.uai")
    tr.save(tr.MarkovNetwork({"0": "01", "1": "01"}, [(("0", "1"), np.ones((2, 2)))]), path)
    (record,) = told("query", path, "--map", "--best", "9")
    assert len(record["best"]) == 4 and all(best["tied"] for best in record["best"])
    assert run(["query", path, "--map", "--best", "2"]) == 0
    assert "another assignment is as probable" in capsys.readouterr().out


def test_impossible_evidence_has_no_best(told) -> None:
    (record,) = told("query", ASIA, "--evidence", "lung=yes,either=no", "--map", "--best", "3")
    assert (record["map"], record["best"], record["log_probability"]) == ({}, [], "-inf")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--map", "--target", "lung,asia"], "asia"),
        (["--map", "--target", "lnug"], "did you mean 'lung'"),
        (["--map", "--best", "0"], "--best"),
        (["--best", "3"], "give --map too"),
        (["-o", "x.csv"], "give --map too"),
        (["--map", "-o", "x.json"], ".csv, .parquet"),
        (["--map", "-o", "nowhere/x.csv"], "no such folder"),
        (["--map", "-o", "-", "--json"], "leave out one of them"),
        (["--map", "-o", ASIA], "are the same file"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_line(options: list[str], words: str, failed) -> None:
    assert words in failed(*GIVEN, *options)


# ---------------------------------------------------------------- sequences


@pytest.fixture
def weather(tmp_path: Path) -> tuple[str, str]:
    """A left–right model, and two sequences of which the second has fewer paths."""
    activities = tr.CategoricalEmissions([[[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]]])
    model, rows = str(tmp_path / "weather.safetensors"), str(tmp_path / "days.csv")
    tr.save(tr.HiddenMarkovModel([1.0, 0.0], [[0.5, 0.5], [0.0, 1.0]], activities), model)
    Path(rows).write_text("activity,day\n0,1\n1,1\n2,1\n0,2\n")
    return model, rows


def test_decode_gives_the_best_paths(weather: tuple[str, str], told, tmp_path: Path, capsys) -> None:
    model, rows = weather
    out = str(tmp_path / "states.csv")
    (record,) = told("decode", model, rows, "--by", "day", "--best", "5", "-o", out)
    first, second = record["sequences"]
    assert [len(first["best"]), len(second["best"])] == [3, 1] and second["best"][0]["states"] == [0]
    values = [path["log_probability"] for path in first["best"]]
    assert values == sorted(values, reverse=True) and first["states"] == first["best"][0]["states"]
    written = tr.read_data(out)
    assert written.shape == (4, 5) and (written[3, 1:] == -1).all()
    np.testing.assert_array_equal(written[:3, :3].T, [path["states"] for path in first["best"]])
    assert run(["decode", model, rows, "--by", "day", "--best", "5"]) == 0
    assert "fewer than 5 paths" in capsys.readouterr().out


def test_paths_and_probabilities_are_not_asked_for_at_once(weather: tuple[str, str], failed) -> None:
    assert "leave out one" in failed("decode", *weather, "--by", "day", "--best", "2", "--posterior")
