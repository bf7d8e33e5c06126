"""What is saved is loaded, field by field and bit for bit; what a format cannot hold is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files_zoo import MODELS, difference

import tractable as tr
from tractable.cli._run import run

NET = MODELS["learned in part"]


@pytest.mark.parametrize("name", MODELS)
def test_every_field_of_every_model_comes_back(name: str, tmp_path: Path) -> None:
    tr.save(MODELS[name], tmp_path / "m.safetensors")
    assert difference(MODELS[name], tr.load(tmp_path / "m.safetensors")) is None


def test_a_difference_is_found() -> None:
    for other in (replace(NET, ties=()), replace(NET, fixed=("c",)), replace(NET, name="x"), MODELS["offset"]):
        assert difference(NET, other)
    assert difference(MODELS["offset"], replace(MODELS["offset"], offset=0.0))


@pytest.mark.parametrize("extension", [".bif", ".xml", ".uai", ".uai.gz"])
def test_a_text_has_no_place_for_what_is_tied_or_fixed(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{extension}"
    for net, lost in ((NET, "ties and fixed"), (replace(NET, ties=()), "fixed"), (replace(NET, fixed=()), "ties")):
        with pytest.raises(tr.FormatError, match=rf"no place for the {lost} of a network; write \.safetensors$"):
            tr.save(net, path)
    assert not path.exists()
    tr.save(replace(NET, ties=(), fixed=()), path)


def test_a_network_learned_from_its_file_stays_tied_and_fixed(tmp_path: Path, capsys: Any) -> None:
    rng, (net, data, out) = np.random.default_rng(0), (str(tmp_path / n) for n in ("n.safetensors", "d.csv", "o.bif"))
    rows = rng.integers(2, size=(30, 4))
    Path(data).write_text("\n".join(["a,b,c,d", *(",".join(("no", "yes")[s] for s in row) for row in rows)]))
    tr.save(NET, net)
    assert run(["fit", "network", net, data, "-o", out]) == 2
    told, said = capsys.readouterr()
    assert not told and "o.bif: .bif has no place for the ties and fixed" in said and said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.csv", "n.safetensors"]
    assert run(["fit", "network", net, data, "-o", f"{out}.safetensors"]) == 0
    found = tr.load(f"{out}.safetensors")
    assert np.array_equal(found.tables["b"], found.tables["c"]) and np.array_equal(found.tables["d"], NET.tables["d"])
    assert not np.array_equal(found.tables["b"], NET.tables["b"])


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"ties": "ab"}, "no good ties"),
        ({"fixed": [1]}, "no good fixed"),
        ({"ties": [["b", "x"]]}, "unknown variable 'x'"),
        ({"ties": [["a", "b"]]}, "'a' and 'b' are tied, but their tables differ"),
        ({"fixed": ["x"]}, "unknown variable 'x'"),
    ],
)
def test_ties_that_make_no_sense_are_refused(about: dict[str, Any], said: str, tmp_path: Path) -> None:
    import json

    from safetensors.numpy import load, save

    path = tmp_path / "m.safetensors"
    tr.save(NET, path)
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    header["tractable"] = json.dumps(json.loads(header["tractable"]) | about)
    path.write_bytes(save(load(data), header))
    with pytest.raises(tr.FormatError, match=said):
        tr.load(path)
