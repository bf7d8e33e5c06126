"""Intervals from the command line: what is too expensive for exact numbers, and what asking for these refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run

TINY = "24KiB"
"""So little memory that buckets have to be split."""


def square(n: int, seed: int = 0) -> tr.MarkovNetwork:
    """Spins on a square with random couplings and fields."""
    rng, places = np.random.default_rng(seed), [(i, j) for i in range(n) for j in range(n)]
    factors: list[Any] = [((f"s{i}{j}",), [1, np.exp(rng.normal())]) for i, j in places]
    for i, j in places:
        for k, m in ((i + 1, j), (i, j + 1)):
            if k < n and m < n:
                w = rng.normal()
                factors.append(((f"s{i}{j}", f"s{k}{m}"), np.exp([[w, -w], [-w, w]])))
    return tr.MarkovNetwork({f"s{i}{j}": "01" for i, j in places}, factors)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Six by six, as a file."""
    path = str(tmp_path_factory.mktemp("grid") / "grid.uai")
    tr.save(square(6), path)
    return path


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One that no exact method affords."""
    path = str(tmp_path_factory.mktemp("wide") / "wide.uai")
    rng, n = np.random.default_rng(1), 60
    pairs = [(i, j) for i in range(n) for j in range(i) if (i - j) % 3]
    alike = [((f"{i}", f"{j}"), np.exp(0.1 * rng.normal() * np.array([[1, -1], [-1, 1]]))) for i, j in pairs]
    tr.save(tr.MarkovNetwork({f"{i}": "01" for i in range(n)}, alike), path)
    return path


def found(argv: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    assert run([*argv, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_json_has_both_ends_of_everything(grid: str, capsys: pytest.CaptureFixture[str]) -> None:
    exact = tr.infer(tr.load(grid), {"3": "1"})
    argv = ["query", grid, "--evidence", "3=1", "--method", "mini_buckets", "--memory", TINY, "--draws", "20000"]
    told = found([*argv, "--target", "0,7", "--joint", "--confidence", "0.99"], capsys)
    log = told["log_evidence"]
    assert log["kind"] == "probabilistic" and log["confidence"] == 0.99 and "20,000 draws" in log["verdict"]
    assert log["lower"] < exact.log_partition.value < log["upper"] < log["lower"] + 0.5
    for v in ("0", "7"):
        own = told["intervals"][v]
        assert own["kind"] == "probabilistic" and own["confidence"] == 0.99
        for state, p in exact.marginals[v].items():
            assert own["lower"][state] < p < own["upper"][state] < own["lower"][state] + 0.1
    joint = exact.joint(["0", "7"])
    for cell in told["joint"]:
        p = joint[int(cell["states"]["0"]), int(cell["states"]["7"])]
        assert cell["lower"] < p < cell["upper"] and cell["lower"] <= cell["p"] <= cell["upper"]
    assert told["plan"]["method"] == "mini_buckets" and told["seconds"] > 0
    again = found([*argv, "--target", "0,7", "--joint", "--confidence", "0.99"], capsys)
    assert (again["log_evidence"], again["intervals"]) == (log, told["intervals"])


def test_tables_show_intervals_bars_and_what_more_time_would_give(grid: str, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    argv = ["query", grid, "--method", "mini_buckets", "--memory", TINY, "--draws", "300", "--target", "0"]
    assert run(argv) == 0
    shown = capsys.readouterr().out
    assert "(probabilistic at 95 %)" in shown and "would give about ±" in shown and "took " in shown
    assert "interval" in shown and "▒" in shown and "all intervals hold together at 95 % confidence" in shown


def test_cases_have_an_interval_each(grid: str, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "cases.csv").write_text("0,5\n1,0\n,1\n1,0\n")
    argv = ["query", grid, "--evidence-file", str(tmp_path / "cases.csv"), "--target", "7", "--memory", TINY]
    argv += ["--method", "mini_buckets", "--draws", "5000"]
    assert run(argv) == 0
    assert capsys.readouterr().out.count("probabilistic") == 3
    assert run([*argv, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    exact = tr.log_partition(tr.load(grid), [{"0": "1", "5": "0"}, {"5": "1"}, {"0": "1", "5": "0"}])
    for row, truth in zip(rows, exact.value, strict=True):
        assert row["log_evidence"]["lower"] < truth < row["log_evidence"]["upper"]
        assert row["intervals"]["7"]["lower"]["1"] < row["intervals"]["7"]["upper"]["1"]


def test_what_is_too_expensive_is_an_interval_and_exact_is_refused(wide: str, capsys) -> None:
    told = found(["query", wide, "--target", "0", "--seconds", "2"], capsys)
    assert told["plan"]["method"] == "mini_buckets" and told["log_evidence"]["kind"] == "probabilistic"
    assert told["seconds"] < 20 and told["intervals"]["0"]["lower"]["0"] <= 0.5 <= told["intervals"]["0"]["upper"]["0"]
    refused = found(["query", wide, "--target", "0", "--seconds", "2", "--exact"], capsys, 3)
    assert refused["plan"]["method"] is None


def test_the_most_probable_states_have_both_ends_where_exact_ones_are_refused(wide: str, capsys) -> None:
    argv = [
        "query",
        wide,
        "--method",
        "mini_buckets",
        "--draws",
        "500",
        "--seconds",
        "2",
        "--map",
        "--marginals",
        "--best",
        "2",
    ]
    told = found(argv, capsys)
    net: Any = tr.load(wide)
    assert len(told["best"]) == 2 and told["best"][0]["assignment"] == told["map"] and "0" in told["intervals"]
    for best in told["best"]:
        log_p = tr.log_partition(net, best["assignment"]).value
        assert best["log_probability"] == pytest.approx(log_p, abs=1e-9)
        assert best["optimum"]["lower"] == best["log_probability"] <= best["optimum"]["upper"]
    assert told["optimum"]["kind"] == "bound"
    assert run([*argv, "-q"]) == 0
    assert "; the optimum is " in capsys.readouterr().out


def test_the_most_probable_states_are_refused_where_the_rest_is_answered(grid: str, capsys, monkeypatch) -> None:
    def refused(net: Any, *_: Any, **__: Any) -> Any:
        raise tr.BudgetError(tr.plan(net, query="map", memory="1KiB"))

    monkeypatch.setattr(tr, "most_probable", refused, raising=False)
    assert run(["query", grid, "--map", "--marginals", "--json"]) == 3
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert told["map"] is None and told["map_refused"]["method"] is None and told["marginals"]
    assert shown.err.count("\n") == 1 and "the most probable assignment; the rest is answered" in shown.err


def test_plans_say_what_each_rung_gives(wide: str, capsys) -> None:
    told = found(["explain", wide, "--query", "evidence"], capsys)["plans"][0]
    note = next(a["note"] for a in told["alternatives"] if a["method"] == "mini_buckets")
    assert told["method"] is None and "nats in 10 s" in note and "nats in 1 min (exact: " in note
    known = found(["explain", wide, "--query", "evidence", "--observed", "0"], capsys)["plans"][0]
    assert "narrower with time" in str(known["alternatives"])  # by names alone there is nothing to look at
    best = found(["explain", wide, "--query", "map"], capsys)["plans"][0]
    assert {a["certificate"] for a in best["alternatives"]} <= {"exact", "bound"}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--seconds", "0"], "a budget of seconds must be positive, got 0"),
        (["--seconds", "nan"], "must be positive"),
        (["--confidence", "1"], "a confidence lies between 0 and 1"),
        (["--confidence", "95"], "a confidence lies between 0 and 1"),
        (["--draws", "0"], "not in the range"),
        (["--exact", "--method", "gibbs"], "--exact and --method gibbs exclude each other"),
        (["--exact", "--draws", "5"], "--draws is about intervals, and --exact gives none"),
        (["--method", "gibbs", "--confidence", "0.9"], "--confidence is about intervals, and --method gibbs"),
        (["--method", "mini_bucket"], "is not one of"),
    ],
)
def test_terms_that_make_no_sense_are_said_in_a_line(argv: list[str], words: str, grid: str, capsys) -> None:
    assert run(["query", grid, *argv]) == 2
    shown = capsys.readouterr().err
    assert words in shown and shown.count("\n") == 1


def test_the_difference_of_two_intervals_holds_at_the_confidence_asked_for() -> None:
    net, given = square(6), {"s00": "1"}
    truth = tr.log_evidence(net, given).value
    told = tr.log_evidence(net, given, method="mini_buckets", memory=TINY, draws=20_000, confidence=0.9)
    assert told.kind == "probabilistic" and told.confidence == pytest.approx(0.9)
    assert told.lower < truth < told.upper < told.lower + 1
    assert tr.log_evidence(square(2), {"s00": "1"}, method="mini_buckets").kind == "exact"


def test_other_families_have_no_terms_of_intervals() -> None:
    mixture = tr.Mixture([1.0], tr.BernoulliEmissions([[0.5]]))
    for verb in (tr.infer, tr.log_partition, tr.log_evidence):
        with pytest.raises(tr.ModelError, match="confidence"):
            verb(mixture, [[0]], confidence=0.9)
