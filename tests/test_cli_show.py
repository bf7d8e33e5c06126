"""What a model is made of, on the command line: every family, all numbers as JSON and rows, bounded on the screen."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run

ASIA = str(Path(tr.__file__).parent / "examples" / "asia.bif")
NAMES = ("<script>alert(1)</script>", "x" * 200, "שלום עולם", "日本語の変数", "a\x1b[31mb\x07", "\u202eevil")


@pytest.fixture
def told(capsys):
    """What a command prints."""

    def told(*argv: Any, code: int = 0) -> str:
        assert run([str(a) for a in argv]) == code
        out, err = capsys.readouterr()
        return out if code == 0 else err

    return told


def weather() -> tr.HiddenMarkovModel:
    parts = [
        tr.CategoricalEmissions([[[0.2, 0.8], [0.5, 0.5]]]),
        tr.GaussianEmissions([[0.0, 1.0], [9.0, 2.0]], [np.eye(2)] * 2),
    ]
    columns = tr.Columns(["temp", "sky", "wind"], {"sky": ["sun", "rain"]})
    return tr.HiddenMarkovModel(
        [0.6, 0.4], [[0.7, 0.3], [0.4, 0.6]], tr.ProductEmissions(parts, [[1], [0, 2]]), columns=columns
    )


def lamps() -> tr.FactorialHiddenMarkovModel:
    light = tr.AdditiveGaussianEmissions([[[0.0], [1.0]], [[0.0], [2.0]]], [[0.04]])
    return tr.FactorialHiddenMarkovModel([[0.5, 0.5]] * 2, [[[0.9, 0.1], [0.2, 0.8]]] * 2, light)


FAMILIES: dict[str, Any] = {
    "markov": lambda: tr.MarkovNetwork(
        {"a": "01", "b": "xyz"}, [("ab", [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), ((), [7.0][0])]
    ),
    "mixture": lambda: tr.Mixture([0.3, 0.7], weather().emissions, columns=weather().columns),
    "hmm": weather,
    "factorial": lamps,
    "rbm": lambda: tr.restricted(tr.Mixed(tr.Bernoulli(1), tr.Gaussian(1), columns=["a", "b"]), 3, key=1),
    "letters": lambda: tr.restricted(tr.Categorical(2, names="ACGT"), 2, key=1),
    "sparse": lambda: tr.boltzmann(3, edges=[(0, 1), (1, 2)], units="spin", couplings=[0.5, -2.0]),
    "sbn": lambda: tr.SigmoidBeliefNetwork([3, 2, 2], within=True, key=1),
    "dbn": lambda: tr.DeepBeliefNetwork([3, 2, 2], key=1),
    "helmholtz": lambda: tr.HelmholtzMachine(
        tr.SigmoidBeliefNetwork([3, 2], key=1), tr.RecognitionNetwork([3, 2], hidden=4, key=1)
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_shows_all_of_its_numbers(name: str, told, tmp_path: Path) -> None:
    model = FAMILIES[name]()
    tr.save(model, path := tmp_path / "model.safetensors")
    record = json.loads(told("show", path, "--json"))
    shown = [np.array(own["values"]) for own in record["tables"]]
    assert all(np.isfinite(own).all() and own.size for own in shown) and told("show", path, "-q")
    if hasattr(model, "n_parameters") and hasattr(model, "groups") and name not in ("rbm", "sbn"):
        assert sum(own.size for own in shown) >= model.n_parameters
    rows = [*csv.DictReader(io.StringIO(told("show", path, "--csv", "-q")))]
    values = np.concatenate([own.ravel() for own in shown])
    own = [float(row["value"]) for row in rows if row["what"] != "standard deviation"]
    np.testing.assert_array_equal(own, values)


def test_the_numbers_are_those_of_the_model(told, tmp_path: Path) -> None:
    model = weather()
    tr.save(model, path := tmp_path / "weather.safetensors")
    tables = {own["table"] + own.get("variable", ""): own for own in json.loads(told("show", path, "--json"))["tables"]}
    assert tables["transitionsto"]["values"] == model.transition.tolist()
    assert tables["transitionsto"]["rows"] == [{"from": "0"}, {"from": "1"}]
    assert tables["emissionssky"] | {"rows": 0} == {
        "table": "emissions",
        "variable": "sky",
        "rows": 0,
        "columns": ["sun", "rain"],
        "values": [[0.2, 0.8], [0.5, 0.5]],
    }
    assert tables["emissions"]["columns"] == ["temp", "wind"] and tables["emissions"]["deviations"] == [[1, 1], [1, 1]]
    out = told("show", path)
    assert "transitions" in out and "0.7" in out and "9 ± 1" in out and "rain" in out


def test_a_table_given_its_parents_and_chosen_variables(told, tmp_path: Path) -> None:
    net: Any = tr.load(ASIA)
    out = told("show", ASIA, "--variable", "either,lung", "-q")
    assert "either given lung, tub" in out and "lung given smoke" in out and "asia" not in out
    (own,) = json.loads(told("show", ASIA, "--variable", "dysp", "--json"))["tables"]
    for row, values in zip(own["rows"], own["values"], strict=True):
        at = tuple(net.states[v].index(row[v]) for v in net.parents["dysp"])
        assert values == net.tables["dysp"][at].tolist()
    told("show", ASIA, "-o", tmp_path / "asia.csv")
    rows = [*csv.DictReader(io.StringIO((tmp_path / "asia.csv").read_text()))]
    assert len(rows) == 36 and rows[0] == {
        "table": "asia",
        "given": "",
        "variable": "asia",
        "what": "yes",
        "value": "0.01",
    }
    machine = FAMILIES["rbm"]()
    tr.save(machine, path := tmp_path / "rbm.safetensors")
    assert "a" in told("show", path, "--variable", "a", "-q") and "log precision" in told(
        "show", path, "--variable", "b"
    )
    tr.save(weather(), path := tmp_path / "weather.safetensors")
    assert "sky" not in told("show", path, "--variable", "temp", "-q")


def test_what_is_large_or_hostile_is_bounded_and_shown_as_text(told, tmp_path: Path) -> None:
    k = 1000
    many = tr.HiddenMarkovModel(np.full(k, 1 / k), np.full((k, k), 1 / k), tr.PoissonEmissions(np.ones((k, 30))))
    tr.save(many, path := tmp_path / "many.safetensors")
    out = told("show", path)
    assert len(out) < 20_000 and "980 rows" in out and "22 columns more" in out and "most probable of 1,000 to" in out
    net = tr.BayesianNetwork(
        {name: ["no", name] for name in NAMES},
        {NAMES[0]: NAMES[1:]},
        {NAMES[0]: np.full((2,) * 6, 0.5), **{name: [0.25, 0.75] for name in NAMES[1:]}},
        name=NAMES[4],
    )
    tr.save(net, path := tmp_path / "hostile.safetensors")
    out = told("show", path)
    assert "\x1b" not in out and "\x07" not in out and "\u202e" not in out and "x" * 100 not in out
    assert "\\x1b[31mb" in out and "שלום" in out and "日本語" in out and "<script>" in out
    assert {own["table"] for own in json.loads(told("show", path, "--json"))["tables"]} == {*NAMES}
    wide = tr.restricted(200, 100, key=0)
    tr.save(wide, path := tmp_path / "wide.safetensors")
    out, w = (
        told("show", path, "-q"),
        np.asarray(
            wide.couplings["hidden", "visible"]
            if ("hidden", "visible") in wide.couplings
            else wide.couplings["visible", "hidden"]
        ),
    )
    i, j = np.unravel_index(np.abs(w).argmax(), w.shape)
    assert len(out) < 20_000 and f"{w[i, j]:.6g}" in out and "19,985 weaker ones more" in out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--variable", "lnug"], "did you mean 'lung'"),
        (["--json", "--csv"], "leave out one"),
        (["-o", "x.npy"], ".csv"),
        (["-o", ASIA], "extension"),
    ],
)
def test_bad_input_is_said_in_a_line(argv: list[str], said: str, told) -> None:
    err = told("show", ASIA, *argv, code=2)
    assert said in err and err.count("\n") == 1


def test_more_text_than_memory_is_refused(told) -> None:
    assert "--memory" in told("show", ASIA, "--json", "--memory", "2KiB", code=3)
