"""Models of layers in files, at the command line and in figures."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest
from layers_zoo import ZOO, Row

import tractable as tr
from tractable.cli._run import run
from tractable.evaluate import SampleBounds
from tractable.formats import FormatError


def leaves(model) -> list[np.ndarray]:
    import jax

    return [np.asarray(leaf) for leaf in jax.tree.leaves(model)]


@pytest.mark.parametrize("row", ZOO, ids=str)
def test_a_model_reads_back_bit_for_bit(row: Row, tmp_path) -> None:
    model = row.model()
    for name, one in (("model", model), ("machine", tr.HelmholtzMachine(model, key=3))):
        path = tmp_path / f"{name}.safetensors"
        tr.save(one, path)
        again = tr.load(path)
        assert type(again) is type(one) and again.sizes == one.sizes and again.graph == one.graph
        for a, b in zip(leaves(one), leaves(again), strict=True):
            assert a.dtype == b.dtype and (a == b).all()


def test_a_recognition_network_with_tanh_units_reads_back(tmp_path) -> None:
    machine = tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([4, 3]), tr.RecognitionNetwork([4, 3], hidden=(5, 2)))
    tr.save(machine, tmp_path / "m.safetensors")
    again = tr.load(tmp_path / "m.safetensors")
    assert [w.shape for w in again.recognition.weights[0]] == [(4, 5), (5, 2), (2, 3)]


def test_a_recognition_network_with_weights_within_a_layer_reads_back(tmp_path) -> None:
    own = [None, np.array([[0, 0], [0.5, 0]])]
    machine = tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([4, 3, 2]), tr.RecognitionNetwork([4, 3, 2], within=own))
    tr.save(machine, tmp_path / "m.safetensors")
    again = tr.load(tmp_path / "m.safetensors")
    assert again.recognition.within[0] is None and (again.recognition.within[1] == own[1]).all()


def test_a_file_that_lacks_something_is_refused_in_words(tmp_path) -> None:
    from safetensors import deserialize
    from safetensors.numpy import save_file

    path = tmp_path / "m.safetensors"
    tr.save(tr.SigmoidBeliefNetwork([3, 2]), path)
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    tensors = {n: np.frombuffer(t["data"], "<f4").reshape(t["shape"]) for n, t in deserialize(data)}
    cases = [
        ({k: v for k, v in tensors.items() if k != "biases.1"}, header, "biases.1.*is missing"),
        (tensors | {"more": np.zeros(1, "f4")}, header, "more.*not described"),
        (tensors | {"weights.0": np.zeros((2, 2), "f4")}, header, "expected the shape"),
        (tensors | {"biases.0": np.full(3, np.nan, "f4")}, header, "not finite"),
        (tensors, {"tractable": header["tractable"].replace("[3, 2]", "[3, 0]")}, "no good layers"),
    ]
    for content, about, message in cases:
        save_file(content, path, about)
        with pytest.raises(FormatError, match=message):
            tr.load(path)
    with pytest.raises(FormatError, match="clamped"):
        tr.save(tr.condition(tr.SigmoidBeliefNetwork([3, 2]), [1, 0, np.nan]), path)


def test_what_could_not_be_read_again_is_not_written(tmp_path) -> None:
    path = tmp_path / "m.safetensors"
    for model in (tr.SigmoidBeliefNetwork([3, 2]), tr.restricted(3, 2)):
        tr.save(model, path)
        before, broken = path.read_bytes(), model.astype(np.float32)
        bad = jax.tree.map(lambda a: np.asarray(a) + np.float32(np.inf), broken)
        with pytest.raises(FormatError, match="has entries that are not finite; the file is left as it was"):
            tr.save(bad, path)
        assert path.read_bytes() == before
    with pytest.raises(FormatError, match=r"a RecognitionNetwork is no model .*HelmholtzMachine"):
        tr.save(tr.RecognitionNetwork([3, 2]), path)
    with pytest.raises(FormatError, match=r"cannot be written as \.uai; write \.safetensors"):
        tr.save(tr.SigmoidBeliefNetwork([3, 2]), tmp_path / "m.uai")


def test_the_commands_take_models_of_layers(tmp_path, capsys) -> None:
    machine = tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([4, 3, 2], key=1))
    model, data, out = (str(tmp_path / name) for name in ("m.safetensors", "x.csv", "y.csv"))
    tr.save(machine, model)
    rows = np.array([[0, 1, 1, 0], [1, np.nan, 0, 0]])
    tr.write_data(data, rows)

    def ask(*argv: str) -> dict:
        assert run([*argv, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    found = ask("score", model, data)["log_likelihood"]
    assert found["kind"] == "exact" and found["value"] == pytest.approx(tr.log_likelihood(machine, rows).value)
    plans = ask("explain", model)["plans"]
    assert [p["method"] for p in plans] == ["enumeration", "enumeration", "independent"]
    assert "couples 3 parents in hidden1" in plans[0]["why"]
    ask("impute", model, data, "-o", out)
    assert not np.isnan(tr.read_data(out)).any()
    ask("sample", model, "-n", "5", "-o", out)
    assert tr.read_data(out).shape == (5, 4)
    assert run(["score", model, data, "--samples", "0"]) == 2
    capsys.readouterr()
    assert run(["explain", model, "--query", "map", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plans"][0]["method"] == "enumeration"


def test_figures_draw_the_numbers_they_are_given() -> None:
    pytest.importorskip("matplotlib")
    from tractable.plots import bound_against_samples, explaining_away

    ax = explaining_away({"x": [0.4, 0.3], "x, z1": [1.0, 0.1]}, ["a", "b"]).axes[0]
    assert [bar.get_height() for bar in ax.patches] == [0.4, 0.3, 1.0, 0.1]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b"]
    for wrong in ({}, {"x": [0.1], "y": [0.1, 0.2]}, {"x": [1.2]}):
        with pytest.raises(ValueError, match="expected"):
            explaining_away(wrong)
    bounds = SampleBounds(np.array([1, 5]), np.array([-3.0, -2.0]), np.array([0.1, np.nan]))
    assert bound_against_samples(bounds).axes[0].lines[0].get_ydata().tolist() == [-3, -2]


def test_the_commands_name_the_file_the_place_and_the_remedy(tmp_path, capsys) -> None:
    data, out = str(tmp_path / "x.csv"), str(tmp_path / "y.csv")
    tr.write_data(data, np.array([[0, 1, 1, 0], [1, np.nan, 0, 0]]))
    for machine in (tr.SigmoidBeliefNetwork([4, 3]), tr.restricted(4, 3)):
        model = str(tmp_path / "m.safetensors")
        tr.save(machine, model)
        assert run(["transform", model, data, "-o", out]) == 2
        assert f"{data}:2: row 1, column 1: the value nan is missing; impute it first" in capsys.readouterr().err
        tr.write_data(out, np.array([[0, 1, 2, 0]]))
        for command in (["score", model, out], ["impute", model, out], ["sample", model, "--evidence-file", out]):
            assert run(command if command[0] == "score" else [*command, "-o", f"{data}.npy"]) == 2
            assert f"{out}:1: row 0, column 2: the value 2" in capsys.readouterr().err


def test_what_is_given_stays_in_samples(tmp_path, capsys) -> None:
    data, out, model = (str(tmp_path / name) for name in ("x.csv", "y.npy", "m.safetensors"))
    tr.write_data(data, np.array([[1, np.nan, 0, np.nan], [0, 0, 1, 1]]))
    for machine in (tr.SigmoidBeliefNetwork([4, 3], key=1), tr.restricted(4, 3, key=1)):
        tr.save(machine, model)
        assert run(["sample", model, "-n", "50", "--evidence-file", data, "-o", out]) == 0
        rows = tr.read_data(out)
        assert rows.shape == (50, 4) and (rows[:, [0, 2]] == [1, 0]).all() and 0 < rows[:, 1].mean() < 1
    capsys.readouterr()
    tr.save(tr.mixture(rows, 2, "bernoulli"), model)
    assert run(["sample", model, "--evidence-file", data, "-o", out]) == 2
    assert "--evidence-file: not for a Mixture" in capsys.readouterr().err


def test_score_by_a_method(tmp_path, capsys) -> None:
    data, model = str(tmp_path / "x.npy"), str(tmp_path / "m.safetensors")
    np.save(data, np.array([[1, 0, 0, 1], [0, 0, 1, 1]]))
    tr.save(tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([4, 3], key=1)), model)
    found = {}
    for method in ("exact", "importance", "mean_field"):
        assert run(["score", model, data, "--method", method, "--json"]) == 0
        found[method] = json.loads(capsys.readouterr().out)["log_likelihood"]
    assert [f["kind"] for f in found.values()] == ["exact", "probabilistic", "bound"]
    assert found["mean_field"]["value"] <= found["exact"]["value"]
    tr.save(tr.restricted(4, 3), model)
    assert run(["score", model, data, "--method", "exact"]) == 0
    capsys.readouterr()
    assert run(["score", model, data, "--method", "importance"]) == 2
    assert "unknown method 'importance'" in capsys.readouterr().err
    assert run(["score", model, data, "--samples", "5"]) == 2
    assert "--samples: a Boltzmann needs none" in capsys.readouterr().err
