"""Hidden Markov models from the command line, and files of sequences."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run


def days(folder: Path) -> str:
    """Three sequences of two regimes, with gaps; who = 4, 2, 9."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 2)) + 6.0 * ((np.arange(60) // 5) % 2)[:, None]
    rows[7, 1] = np.nan
    table = np.column_stack([rows[:, 0], np.repeat([4, 2, 9], 20), rows[:, 1]])
    path = folder / "days.csv"
    tr.write_data(path, table)
    path.write_text("a,who,b\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    return str(path)


def told(capsys: pytest.CaptureFixture, *argv: str) -> dict[str, Any]:
    assert run([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_fit_decode_score_and_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data, model = days(tmp_path), str(tmp_path / "m.safetensors")
    cut = [data, "--by", "who"]
    fit = ["fit", "hmm", *cut, "--states", "2", "--emissions", "diagonal", "-o", model, "--validation", data]
    found = told(capsys, *fit, "--n-init", "2")
    last = found["history"][-1]
    assert found["converged"] and found["chain"]["kind"] == "HiddenMarkovModel"
    assert last["validation"]["value"] == pytest.approx(last["train"]["value"], rel=1e-12)
    chain, sequences = tr.load(model), tr.read_sequences(data, by="who")
    scored = told(capsys, "score", model, *cut)["log_likelihood"]
    assert scored["kind"] == "exact" and scored["value"] == pytest.approx(last["train"]["value"], rel=1e-9)
    out = str(tmp_path / "out.npy")
    paths = told(capsys, "decode", model, *cut, "-o", out)["sequences"]
    best: Any = tr.most_probable(chain, sequences)
    assert [p["states"] for p in paths] == [s.tolist() for s in best.assignment["state"]]
    assert [p["log_probability"] for p in paths] == best.log_probability.value.tolist()
    assert np.load(out).ravel().tolist() == np.concatenate(best.assignment["state"]).tolist()
    soft = told(capsys, "decode", model, *cut, "--posterior", "-o", out)["sequences"]
    assert np.load(out).shape == (60, 2)
    np.testing.assert_allclose(np.concatenate([p["states"] for p in soft]), np.load(out), atol=1e-15)
    for command in (["sample", model, "-n", "3"], ["impute", model, *cut], ["transform", model, *cut]):
        assert run([*command, "-o", str(tmp_path / "out.csv")]) == 0
    assert not np.isnan(tr.read_data(tmp_path / "out.csv")).any()
    capsys.readouterr()
    assert told(capsys, "explain", model, "--observed", "1000,20", "--query", "map")["plans"][0]["method"] == "Viterbi"


def test_what_people_see(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data, model, lengths = days(tmp_path), str(tmp_path / "m.safetensors"), tmp_path / "lengths.txt"
    lengths.write_text("20 20\n20\n", encoding="utf-8")
    fit = ["fit", "hmm", data, "--lengths", str(lengths), "--states", "3", "-o", model, "--epochs", "3", "--force"]
    for extra in (["--stationary"], ["--left-right", "--parts", "2", "--emissions", "diagonal"]):
        assert run([*fit, *extra]) == 0
        assert "log-likelihood of a train sequence" in capsys.readouterr().out
    chain: Any = tr.load(model)
    assert chain.transition[2].tolist() == [0, 0, 1] and chain.first.tolist() == [1, 0, 0]
    for command in (["decode", model, data], ["decode", model, data, "--posterior"], ["score", model, data]):
        assert run([*command, "--lengths", str(lengths)]) == 0
    assert run(["explain", model]) == 0
    assert "0×" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["fit", "hmm", "{data}", "--states", "2", "-o", "{out}.npy"], "extension '.npy'"),
        (["fit", "hmm", "{data}", "--states", "2", "-o", "{out}", "--by", "whom"], "did you mean 'who'"),
        (["fit", "hmm", "{data}", "--states", "2", "-o", "{out}", "--by", "b"], "row 7: the column that tells"),
        (["fit", "hmm", "{data}", "--states", "0", "-o", "{out}"], "--states"),
        (["fit", "hmm", "{data}", "--states", "2", "-o", "{out}", "--left-right", "--stationary"], "leave out"),
        (["fit", "hmm", "{data}", "--states", "2", "-o", "{out}", "--emissions", "bernoulli"], "is not 0 or 1"),
        (["decode", "{model}", "{data}"], "3 columns, the model has 2"),
        (["decode", "{mixture}", "{data}"], "for hidden Markov models"),
        (["score", "{mixture}", "{data}", "--by", "who"], "leave out --lengths and --by"),
        (["explain", "{model}", "--observed", "a"], "number of rows"),
        (["explain", "{model}", "--query", "gradient"], "marginals, evidence, map"),
        (["query", "{model}"], "--evidence-file"),
        (["sample", "{model}", "-o", "{out}.bif"], "extension '.bif'"),
    ],
)
def test_bad_input_is_said_in_a_line(argv: list, said: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    own = tr.DiagonalGaussianEmissions([[0.0, 0.0], [1.0, 1.0]], np.ones((2, 2)))
    paths = {name: str(tmp_path / f"{name}.safetensors") for name in ("model", "mixture", "out")}
    tr.save(tr.HiddenMarkovModel([0.5, 0.5], [[0.5, 0.5], [0.5, 0.5]], own), paths["model"])  # type: ignore
    tr.save(tr.Mixture([0.5, 0.5], own), paths["mixture"])  # type: ignore
    assert run([word.format(data=days(tmp_path), **paths) for word in argv]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and said in lines[0]


def test_files_of_sequences(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[[0, 1, null], [2]]", encoding="utf-8")
    found = tr.read_sequences(path)
    assert found.sizes.tolist() == [3, 1] and np.isnan(found.rows[2, 0]) and found.many
    path.write_text("[1, 2, 3]", encoding="utf-8")
    assert not tr.read_sequences(path).many and len(tr.read_sequences(path).rows) == 3
    path = tmp_path / "x.json.gz"
    path.write_bytes(gzip.compress(b"[[[1, 2], [3, 4]], [[5, 6]]]"))
    assert [part.tolist() for part in tr.read_sequences(path)] == [[[1, 2], [3, 4]], [[5, 6]]]
    np.save(tmp_path / "lengths.npy", np.array([[1], [2]]))
    np.save(tmp_path / "rows.npy", np.arange(6).reshape(3, 2))
    for lengths in ([1, 2], tmp_path / "lengths.npy"):
        assert tr.read_sequences(tmp_path / "rows.npy", lengths=lengths).sizes.tolist() == [1, 2]
    assert tr.read_sequences(tmp_path / "rows.npy", by=1).rows.tolist() == [[0], [2], [4]]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("[[1, 2], [[3, 4]]]", {}, "differ in the number of columns"),
        ("[[1, 2], []]", {}, "sequence 1: expected a list of numbers"),
        ('[["a"]]', {}, "sequence 0: expected"),
        ("[[1, 2], 3]", {}, "sequence 1: expected"),
        ("[]", {}, "expected a list of sequences"),
        ('{"a": 1}', {}, "expected a list of sequences"),
        ("[[1]", {}, "is not JSON"),
        ("[[1]]", {"by": 0}, "cut already"),
        ("[[1]]", {"by": 0, "lengths": [1]}, "either by lengths or by a column"),
    ],
)
def test_json_that_holds_no_sequences(text: str, options: dict, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(tr.FormatError, match=said):
        tr.read_sequences(tmp_path / "x.json", **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lengths": [2, 2]}, "sum to 4, but there are 3"),
        ({"lengths": [3, 0]}, "sequence 1 is empty"),
        ({"by": 0}, "row 2: sequence 1 comes back"),
        ({"by": 5}, "no column '5'; there are 0, 1"),
    ],
)
def test_rows_that_cannot_be_cut(options: dict, said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[1, 5], [2, 5], [1, 5]]))
    with pytest.raises(tr.FormatError, match=said):
        tr.read_sequences(tmp_path / "x.npy", **options)
    (tmp_path / "lengths.txt").write_text("1 two", encoding="utf-8")
    with pytest.raises(tr.FormatError, match="found 'two'"):
        tr.read_sequences(tmp_path / "x.npy", lengths=tmp_path / "lengths.txt")
