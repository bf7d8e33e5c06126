"""Learning of networks from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run

NET = tr.BayesianNetwork(
    {"rain": ["no", "yes"], "wet": ["no", "yes"], "slip": ["no", "yes"]},
    {"wet": ["rain"], "slip": ["wet"]},
    {"rain": [0.7, 0.3], "wet": [[0.9, 0.1], [0.2, 0.8]], "slip": [[0.95, 0.05], [0.4, 0.6]]},
)


@pytest.fixture
def files(tmp_path):
    """A network, and 300 rows with gaps."""
    net, data = str(tmp_path / "net.bif"), str(tmp_path / "rows.csv")
    tr.save(NET, net)
    drawn, rng = tr.sample(NET, 300, key=0), np.random.default_rng(0)
    columns = {v: [s if rng.random() > 0.2 else "" for s in states] for v, states in drawn.items()}
    lines = [",".join(columns), *(",".join(row) for row in zip(*columns.values(), strict=True))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    return net, data, str(tmp_path / "learned.bif")


def test_fit_score_and_impute(files, tmp_path, capsys):
    net, data, learned = files
    assert run(["fit", "network", net, data, "-o", learned, "--json", "--n-init", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["converged"] and found["history"][-1]["kl"]["value"] == 0
    model = tr.load(learned)
    assert isinstance(model, tr.BayesianNetwork)
    np.testing.assert_allclose(model.tables["wet"], NET.tables["wet"], atol=0.1)
    assert run(["score", learned, data, "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)["log_likelihood"]["value"]
    assert scored == pytest.approx(found["history"][-1]["train"]["value"], rel=1e-6)
    whole = str(tmp_path / "whole.csv")
    assert run(["impute", learned, data, "-o", whole]) == 0
    assert all(len(case) == 3 for case in tr.read_evidence(whole, NET))
    again = ["fit", "network", net, data, "-o", learned, "--force", "--start", "model", "--validation", data]
    assert run(again) == 0
    assert "log-likelihood of a validation row" in capsys.readouterr().out


def test_parquet_and_hidden_variables(files, tmp_path, capsys):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    net, data, learned = files
    frame = pandas.read_csv(data)[["wet", "slip"]]
    frame.to_parquet(tmp_path / "rows.parquet")
    assert run(["fit", "network", net, str(tmp_path / "rows.parquet"), "-o", learned]) == 0
    assert "wrote" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rain,wet\nno,yes\nmaybe,no\n", "bad.csv:3: variable 'rain' has no state 'maybe'"),
        ("rain,wett\nno,yes\n", "unknown variable 'wett'; did you mean 'wet'?"),
        ("rain,wet\n", "there are no rows"),
        ("", "the file is empty"),
    ],
)
def test_what_cannot_be_learned_from_is_said_in_a_line(text, words, files, tmp_path, capsys):
    (tmp_path / "bad.csv").write_text(text)
    assert run(["fit", "network", files[0], str(tmp_path / "bad.csv"), "-o", files[2]]) == 2
    found = capsys.readouterr().err
    assert words in found and found.count("\n") == 1


def test_a_markov_network_and_a_wrong_extension_are_refused(files, tmp_path, capsys):
    field = str(tmp_path / "field.uai")
    tr.save(tr.MarkovNetwork({"0": "01"}, [("0", [1.0, 3.0])]), field)
    (tmp_path / "one.csv").write_text("0\n1\n")
    assert run(["fit", "network", field, str(tmp_path / "one.csv"), "-o", files[2]]) == 2
    assert "only tables of a BayesianNetwork are learned" in capsys.readouterr().err
    assert run(["fit", "network", files[0], files[1], "-o", "x.npy"]) == 2
    assert "extension" in capsys.readouterr().err


# ---------------------------------------------------------------- without a file of the network


def test_a_structure_and_rows_are_enough(files, tmp_path, capsys):
    _, data, learned = files
    assert run(["fit", "network", "--structure", "rain->wet; wet->slip", data, "-o", learned, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["converged"]
    model = tr.load(learned)
    assert model.parents == NET.parents and model.states == NET.states
    for v in NET.variables:
        np.testing.assert_allclose(model.tables[v], NET.tables[v], atol=0.12)
    again = str(tmp_path / "again.bif")
    assert run(["fit", "network", files[0], data, "-o", again]) == 0
    for v in NET.variables:
        np.testing.assert_allclose(tr.load(again).tables[v], model.tables[v], atol=1e-3)


def test_rows_as_r_and_pandas_write_them_make_a_network(tmp_path, capsys):
    text = '"","sex","smoker"\n' + "".join(f'"{i}",{1 + i % 2},{"NA" if i == 3 else "yes"}\n' for i in range(8))
    (tmp_path / "rows.csv").write_text(text)
    learned = str(tmp_path / "learned.bif")
    assert run(["fit", "network", "--structure", "sex -> smoker", str(tmp_path / "rows.csv"), "-o", learned]) == 0
    assert tr.load(learned).states == {"sex": ("1", "2"), "smoker": ("yes",)}


def test_a_hidden_variable_says_its_states_in_the_structure(files, capsys):
    structure = "why{here|there} -> rain; why -> wet; wet -> slip"
    assert run(["fit", "network", "--structure", structure, files[1], "-o", files[2], "--epochs", "5"]) == 0
    assert tr.load(files[2]).states["why"] == ("here", "there")


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["--structure", "rain->wett", "DATA"], 2, "names 'wett', which is no column of"),
        (["--structure", "rain->wett", "DATA"], 2, "did you mean 'wet'?"),
        (["--structure", "rain->why", "DATA"], 2, "a hidden variable says its states: why{a|b} or why[2]"),
        (["--structure", "rain->wet->rain", "DATA"], 2, "the parents form a directed cycle: rain → wet → rain"),
        (["--structure", "rain->", "DATA"], 2, "'rain->' in the structure: a name is missing at the end"),
        (["--structure", "rain->wet", "NET", "DATA"], 2, "expected DATA alone, for --structure stands for NET, got 2"),
        (["DATA"], 2, 'without a file of the network give its --structure "a->b; a->c"'),
        (["--structure", "rain->wet", "ARRAY"], 2, "has no names of columns, which --structure is about"),
        (["--structure", "a[1000],b[1000],c[1000],d[1000]->rain", "DATA"], 3, "the table of 'rain' given 4 parents"),
    ],
)
def test_what_no_structure_is_for_is_said_in_a_line(argv, code, words, files, tmp_path, capsys):
    np.save(tmp_path / "rows.npy", np.zeros((3, 3), int))
    names = {"NET": files[0], "DATA": files[1], "ARRAY": str(tmp_path / "rows.npy")}
    assert run(["fit", "network", *(names.get(word, word) for word in argv), "-o", files[2]]) == code
    found = capsys.readouterr().err
    assert words in found and found.count("\n") == 1


@pytest.mark.parametrize("method", ["belief_propagation", "gibbs"])
def test_estimates_say_what_they_are(method: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    net = tr.MarkovNetwork(dict.fromkeys("abc", "01"), [(p, np.array([[1.0, 2], [3, 4]])) for p in ("ab", "bc", "ca")])
    path = str(tmp_path / "ring.uai")
    tr.save(net, path)
    assert run(["query", path, "--method", method]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert ("on loops, without a bound" if method == "belief_propagation" else "standard errors up to") in shown
    assert run(["query", path, "--method", method, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {e["kind"] for e in found["estimates"].values()} == {"estimate"}
    assert found["plan"]["method"] == method
    exact = tr.infer(net).marginals.array("a")
    assert next(iter(found["marginals"].values()))["1"] == pytest.approx(exact[1], abs=0.02)
    assert run(["query", path, "--method", "gibs"]) == 2
    assert "is not one of" in capsys.readouterr().err
