"""Files and models: what every format must do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_at_random import Model, bayesian_networks, markov_networks, same, xml_names
from sweep import sweep
from zoo import ZOO, Row

from tractable.formats import FormatError, load, save
from tractable.models import BayesianNetwork, MarkovNetwork, ModelError

BAYESIAN = [".bif", ".uai", ".xml", ".xmlbif", ".bifxml", ".safetensors"]
MARKOV = [".uai", ".safetensors"]

ASYMMETRIC = BayesianNetwork(
    states={"a": ["x", "y"], "b": ["p", "q", "r"], "c": ["t", "f", "u", "v"]},
    parents={"c": ["b", "a"], "a": ["b"]},
    tables={
        "a": [[0.25, 0.75], [0.5, 0.5], [0.125, 0.875]],
        "b": [0.2, 0.3, 0.5],
        "c": [
            [[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]],
            [[0.7, 0.1, 0.1, 0.1], [1, 0, 0, 0]],
            [[0, 1, 0, 0], [0.25] * 4],
        ],
    },
    name="skew",
)
SKEWED_PAIR = MarkovNetwork(
    {"0": "01", "1": "012"},
    [(("1", "0"), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), ((), np.array(7.0)), (("0",), [8.0, 9.0])],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def through(model: Model, path: Path) -> Model:
    save(model, path)
    return load(path)


def keeps_names(extension: str) -> bool:
    return not extension.startswith(".uai")


# ---------------------------------------------------------------- round trips


@pytest.mark.parametrize("packing", ["", ".gz"])
@pytest.mark.parametrize("extension", BAYESIAN)
@pytest.mark.parametrize("row", ZOO, ids=str)
def test_every_kind_of_model_comes_back_bit_for_bit(row: Row, extension: str, packing: str, tmp_path: Path) -> None:
    model, path = row.model(), tmp_path / f"net{extension}{packing}"
    if isinstance(model, MarkovNetwork) and extension not in MARKOV:
        with pytest.raises(FormatError, match=r"a MarkovNetwork cannot be written as .*; write \.uai or \.safetensors"):
            save(model, path)
        assert not path.exists()
    else:
        assert same(model, through(model, path), named=keeps_names(extension))


@sweep(50)
@given(
    model=bayesian_networks(), packing=st.sampled_from(["", ".gz"]), extension=st.sampled_from([".bif", ".safetensors"])
)
def test_bayesian_networks_with_any_names_come_back(model: Model, packing: str, extension: str, folder: Path) -> None:
    assert same(model, through(model, folder / f"net{extension}{packing}"))


@sweep(30)
@given(model=bayesian_networks(xml_names), packing=st.sampled_from(["", ".gz"]))
def test_bayesian_networks_come_back_from_xml(model: Model, packing: str, folder: Path) -> None:
    assert same(model, through(model, folder / f"net.xml{packing}"))


@sweep(30)
@given(model=markov_networks(), packing=st.sampled_from(["", ".gz"]), extension=st.sampled_from(MARKOV))
def test_markov_networks_come_back(model: Model, packing: str, extension: str, folder: Path) -> None:
    assert same(model, through(model, folder / f"net{extension}{packing}"), named=keeps_names(extension))


@sweep(20)
@given(
    model=bayesian_networks(xml_names), route=st.permutations([".bif", ".xml.gz", ".safetensors", ".bif.gz", ".uai"])
)
def test_conversions_keep_every_bit(model: Model, route: list[str], folder: Path) -> None:
    start, named = model, True
    for extension in route:
        model = through(model, folder / f"net{extension}")
        named = named and keeps_names(extension)
        assert same(start, model, named=named)


@pytest.mark.parametrize("extension", BAYESIAN)
def test_axes_stay_in_place_in_asymmetric_tables(extension: str, tmp_path: Path) -> None:
    net = through(ASYMMETRIC, tmp_path / f"net{extension}")
    names = dict(zip("abc", net.variables, strict=True))
    assert isinstance(net, BayesianNetwork)
    assert net.parents[names["c"]] == (names["b"], names["a"])
    assert net.tables[names["c"]].shape == (3, 2, 4)
    assert net.tables[names["c"]][1, 0].tolist() == [0.7, 0.1, 0.1, 0.1]
    assert net.tables[names["a"]].tolist() == [[0.25, 0.75], [0.5, 0.5], [0.125, 0.875]]


@pytest.mark.parametrize("extension", MARKOV)
def test_axes_stay_in_place_in_asymmetric_factors(extension: str, tmp_path: Path) -> None:
    net = through(SKEWED_PAIR, tmp_path / f"net{extension}")
    assert isinstance(net, MarkovNetwork)
    assert [scope for scope, _ in net.factors] == [("1", "0"), (), ("0",)]
    assert [np.asarray(table).tolist() for _, table in net.factors] == [[[1, 2], [3, 4], [5, 6]], 7, [8, 9]]


@pytest.mark.parametrize("extension", MARKOV)
def test_a_factor_may_have_more_variables_than_an_array_has_axes(extension: str, tmp_path: Path) -> None:
    names = [f"v{i}" for i in range(100)]
    states = {name: ["0", "1"] if i in (3, 90) else ["0"] for i, name in enumerate(names)}
    net = MarkovNetwork(states, [(tuple(names), np.array([1.0, 2.0, 3.0, 4.0]))])
    assert same(net, through(net, tmp_path / f"wide{extension}"), named=keeps_names(extension))


@pytest.mark.parametrize("extension", BAYESIAN)
def test_a_family_may_have_more_variables_than_an_array_has_axes(extension: str, tmp_path: Path) -> None:
    names = [f"v{i}" for i in range(80)]
    states = {name: ["no", "yes"] if i in (3, 79) else ["only"] for i, name in enumerate(names)}
    tables = {name: [0.25, 0.75] if len(states[name]) == 2 else [1.0] for name in names}
    tables[names[-1]] = [0.1, 0.9, 0.6, 0.4]
    net = BayesianNetwork(states, {names[-1]: names[:-1]}, tables)
    assert same(net, through(net, tmp_path / f"wide{extension}"), named=keeps_names(extension))


def test_a_name_that_xml_cannot_hold_is_refused(tmp_path: Path) -> None:
    net = BayesianNetwork({"a\x01": ["x"]}, {}, {"a\x01": [1.0]})
    with pytest.raises(FormatError, match=r"net\.xml: variable 'a\\x01' has '\\x01' in its name, which \.xml cannot"):
        save(net, tmp_path / "net.xml")


@pytest.mark.parametrize("extension", [".bif", ".xml"])
def test_a_name_that_no_text_can_hold_is_refused(extension: str, tmp_path: Path) -> None:
    net = BayesianNetwork({"a": ["x", "y\ud800"]}, {}, {"a": [1.0, 0.0]})
    with pytest.raises(FormatError, match=r"variable 'a': the state 'y\\ud800' has '\\ud800' in its name, which \."):
        save(net, tmp_path / f"net{extension}")


# ---------------------------------------------------------------- files


def refused(path: Path) -> str:
    """The message of the error, which must be one line, without the folder."""
    with pytest.raises(FormatError) as caught:
        load(path)
    assert isinstance(caught.value, ModelError)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path.parent}{os.sep}", "")


@pytest.mark.parametrize("extension", BAYESIAN)
def test_an_empty_file_says_so(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{extension}"
    path.write_bytes(b" \n")
    assert refused(path) == f"net{extension}: the file is empty"


def test_what_is_no_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "alarm.bif").write_text("")
    (tmp_path / "sub.bif").mkdir()
    os.mkfifo(tmp_path / "pipe.bif")
    assert refused(tmp_path / "alram.bif") == "alram.bif: no such file; did you mean 'alarm.bif'?"
    assert refused(tmp_path / "nowhere" / "x.bif") == "x.bif: no such file"
    assert refused(tmp_path / "sub.bif") == "sub.bif: is a directory; name a file in it"
    assert refused(tmp_path / "pipe.bif") == "pipe.bif: is not a regular file; copy its content to one"
    assert "embedded null" in refused(tmp_path / "a\0.bif")


def test_an_unknown_extension_lists_the_known_ones(tmp_path: Path) -> None:
    for name, cause in [("a.txt", "the extension '.txt' is not known"), ("a", "the name has no extension")]:
        (tmp_path / name).write_text("x")
        known = ".bif, .bifxml, .net, .safetensors, .uai, .xdsl, .xml, .xmlbif, each also with .gz"
        assert refused(tmp_path / name).startswith(f"{name}: {cause}")
        assert refused(tmp_path / name).endswith(f"; use one of {known}")
        with pytest.raises(FormatError, match="use one of"):
            save(ASYMMETRIC, tmp_path / name)
    (tmp_path / "a.biff.gz").write_text("x")
    assert "did you mean '.bif'?" in refused(tmp_path / "a.biff.gz")


def test_damaged_compression_says_so(tmp_path: Path) -> None:
    good = tmp_path / "good.bif.gz"
    save(ASYMMETRIC, good)
    data = good.read_bytes()
    flipped = bytearray(data)
    flipped[-6] ^= 1
    for content, cause in [
        (data[:-9], "the compressed data end early"),
        (b"", "the compressed data end early"),
        (b"network x {}", "is not gzip data, or damaged"),
        (bytes(flipped), "is not gzip data, or damaged"),
        (data + b"tail", "is not gzip data, or damaged"),
    ]:
        (tmp_path / "bad.bif.gz").write_bytes(content)
        assert refused(tmp_path / "bad.bif.gz").startswith(f"bad.bif.gz: {cause}")
    (tmp_path / "packed.bif").write_bytes(data)
    assert refused(tmp_path / "packed.bif") == "packed.bif: is compressed; rename it to packed.bif.gz"
    assert same(ASYMMETRIC, load(good))


def test_a_file_that_expands_without_end_is_refused_soon(tmp_path: Path) -> None:
    member = zlib.compress(b"1 " * 2**23, wbits=31)
    for name in ("bomb.uai.gz", "bomb.safetensors.gz"):
        (tmp_path / name).write_bytes(member * 64)  # 1 GiB, were it expanded
        tracemalloc.start()
        assert re.match(rf"{name}: expands to more than \d+ MiB; if you trust it", refused(tmp_path / name))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 300 * 2**20


def test_gzip_members_are_joined(tmp_path: Path) -> None:
    save(ASYMMETRIC, tmp_path / "net.bif")
    text = (tmp_path / "net.bif").read_bytes()
    parts = [zlib.compress(part, wbits=31) for part in (text[:100], b"", text[100:])]
    (tmp_path / "net.bif.gz").write_bytes(b"".join(parts))
    assert same(ASYMMETRIC, load(tmp_path / "net.bif.gz"))


def test_bytes_that_are_no_text_name_their_line(tmp_path: Path) -> None:
    for extension in (".bif", ".uai"):
        path = tmp_path / f"net{extension}"
        path.write_bytes(b"network x {\n}\nvariable \xff")
        assert refused(path) == f"net{extension}:3: byte 0xff is not UTF-8; save the file as UTF-8"


def test_a_byte_order_mark_and_carriage_returns_are_harmless(tmp_path: Path) -> None:
    for extension in (".bif", ".uai", ".xml"):
        path = tmp_path / f"net{extension}"
        save(ASYMMETRIC, path)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
        assert same(ASYMMETRIC, load(path), named=keeps_names(extension))


@pytest.mark.parametrize("extension", BAYESIAN)
def test_the_same_content_gives_the_same_bytes(extension: str, tmp_path: Path) -> None:
    save(ASYMMETRIC, tmp_path / f"one{extension}.gz")
    os.utime(tmp_path / f"one{extension}.gz", (0, 0))
    save(load(tmp_path / f"one{extension}.gz"), tmp_path / f"two{extension}.gz")
    one, two = ((tmp_path / f"{name}{extension}.gz").read_bytes() for name in ("one", "two"))
    assert one == two
    assert one[4:8] == bytes(4), "the header holds a time"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "net.bif"
    save(ASYMMETRIC, path)
    before = path.read_bytes()
    monkeypatch.setattr(os, step, full)
    with pytest.raises(FormatError, match=r"net\.bif: cannot be written: No space left on device"):
        save(through_nothing(), path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.bif"]


def through_nothing() -> BayesianNetwork:
    return BayesianNetwork({"other": ["one"]}, {}, {"other": [1.0]})


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be written: No such file or directory"):
        save(ASYMMETRIC, tmp_path / "nowhere" / "net.bif")
    (tmp_path / "taken.bif").mkdir()
    with pytest.raises(FormatError, match="cannot be written: Is a directory"):
        save(ASYMMETRIC, tmp_path / "taken.bif")
    assert os.listdir(tmp_path) == ["taken.bif"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "net.bif").symlink_to(tmp_path / "real" / "net.bif")
    save(ASYMMETRIC, tmp_path / "net.bif")
    assert (tmp_path / "net.bif").is_symlink()
    assert same(ASYMMETRIC, load(tmp_path / "real" / "net.bif"))


def test_reading_one_format_imports_no_other(tmp_path: Path) -> None:
    save(ASYMMETRIC, tmp_path / "net.bif.gz")
    code = (
        "import sys, numpy, dataclasses; before = set(sys.modules);"
        f"from tractable.formats import load; load({str(tmp_path / 'net.bif.gz')!r});"
        "print(*sorted(name for name in set(sys.modules) - before if name.split('.')[0] != 'tractable'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {
        "xml",
        "csv",
        "json",
        "difflib",
        "safetensors",
        "gzip",
        "tempfile",
        "jax",
        "scipy",
    }
