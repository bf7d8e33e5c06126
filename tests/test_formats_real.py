"""The real networks and instances: all of them load, soon, and hold what their files say."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from data import needs_data, real_files
from hostile import counted
from models_at_random import same
from sweep import some
from test_formats import ASYMMETRIC

from tractable.formats import load, read_evidence, save
from tractable.models import BayesianNetwork, MarkovNetwork

SIZES = {  # variables and arcs, as the repository of these networks lists them
    "alarm": (37, 46),
    "andes": (223, 338),
    "asia": (8, 8),
    "barley": (48, 84),
    "cancer": (5, 4),
    "child": (20, 25),
    "diabetes": (413, 602),
    "earthquake": (5, 4),
    "hailfinder": (56, 66),
    "hepar2": (70, 123),
    "insurance": (27, 52),
    "link": (724, 1125),
    "mildew": (35, 46),
    "munin": (1041, 1397),
    "munin1": (186, 273),
    "munin2": (1003, 1244),
    "munin3": (1041, 1306),
    "munin4": (1038, 1388),
    "pathfinder": (109, 195),
    "pigs": (441, 592),
    "sachs": (11, 17),
    "survey": (6, 6),
    "water": (32, 66),
    "win95pts": (76, 112),
}
NETWORKS = {path.name.removesuffix(".bif.gz"): path for path in real_files("bif/*.bif.gz")}
INSTANCES = real_files("uai*/*.uai.gz")

Row = tuple[str, list[str], list[str], list[float]]


def network(name: str) -> BayesianNetwork:
    net = load(NETWORKS[name])
    assert isinstance(net, BayesianNetwork)
    return net


def rows_line_by_line(path: Path) -> Iterator[Row]:
    """Child, parents, the parents' states and the numbers of each row: a second reader, for one line per row."""
    child, parents = "", []
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        if found := re.fullmatch(r"probability \( (\S+) (?:\| (.*) )?\) \{", line):
            child, parents = found[1], found[2].split(", ") if found[2] else []
        elif found := re.fullmatch(r"  (?:table|\((.*?)\)) (.*);", line):
            yield (
                child,
                parents,
                (found[1] or "").split(", ") if parents else [],
                [float(x) for x in found[2].split(",")],
            )


@needs_data
@pytest.mark.parametrize("name", SIZES)
def test_every_network_loads_in_half_a_million_calls(name: str) -> None:
    """They take a part of a second, which benchmarks/files.py measures; one for each number would be too many."""
    with counted() as effort:
        net = network(name)
    assert effort.calls < 500_000
    assert (len(net.variables), sum(map(len, net.parents.values()))) == SIZES[name]


@needs_data
@pytest.mark.verify
@pytest.mark.parametrize("name", some(SIZES, 8))
def test_every_row_is_where_its_file_says(name: str) -> None:
    net, n_rows = network(name), 0
    for child, parents, labels, numbers in rows_line_by_line(NETWORKS[name]):
        n_rows += 1
        if n_rows > 2000 and n_rows % 29:
            continue
        assert net.parents[child] == tuple(parents)
        at = tuple(net.states[v].index(state) for v, state in zip(parents, labels, strict=True))
        row = net.tables[child][at]
        assert np.abs(row - numbers).max() < 1e-3
        np.testing.assert_allclose(row, np.array(numbers) / sum(numbers), rtol=1e-12)
    assert n_rows == sum(t.size // t.shape[-1] for t in net.tables.values())


@needs_data
def test_the_states_of_child_keep_their_names() -> None:
    net = network("child")
    assert net.states["ChestXray"] == ("Normal", "Oligaemic", "Plethoric", "Grd_Glass", "Asy/Patch")
    assert net.states["LowerBodyO2"] == ("<5", "5-12", "12+")
    assert net.states["CO2Report"] == ("<7.5", ">=7.5")


@needs_data
@pytest.mark.verify
@pytest.mark.parametrize("name", some(SIZES, 8))
def test_every_network_comes_back_through_every_format(name: str, tmp_path: Path) -> None:
    net = network(name)
    for extension in (".bif", ".uai", ".xml", ".safetensors.gz"):
        save(net, tmp_path / f"net{extension}")
        assert same(net, load(tmp_path / f"net{extension}"), named=extension != ".uai")


@needs_data
@pytest.mark.verify
@pytest.mark.parametrize("path", some(INSTANCES, 30), ids=lambda path: path.name.removesuffix(".uai.gz"))
def test_every_instance_and_its_evidence_load(path: Path, tmp_path: Path) -> None:
    net = load(path)
    words = gzip.decompress(path.read_bytes()).split()
    assert isinstance(net, BayesianNetwork if words[0] == b"BAYES" else MarkovNetwork)
    tail, scopes = net.packed.table(net.packed.n_factors - 1).ravel(), np.diff(net.packed.scope_starts)
    assert words[1] == str(len(net.states)).encode()
    written = np.array(words[-tail.size :], float)  # rows of conditional tables come to sum to one
    np.testing.assert_allclose(written, tail, rtol=0 if words[0] == b"MARKOV" else 1e-4)
    assert len(words) == 3 + len(net.states) + int((2 + scopes).sum()) + net.packed.values.size
    evidence = path.with_name(path.name.removesuffix(".gz") + ".evid")
    (case,) = read_evidence(evidence, net)
    numbers = evidence.read_text().split() or ["0"]
    assert len(case) == int(numbers[0] if len(numbers) % 2 else numbers[1])
    if path.stat().st_size < 10_000:
        save(net, tmp_path / "net.uai.gz")
        assert same(net, load(tmp_path / "net.uai.gz"), named=False)


# ---------------------------------------------------------------- a second opinion


def as_pyagrum(path: Path, net: BayesianNetwork) -> dict[str, np.ndarray]:
    """The table of each variable as pyAgrum reads it, the axes in our order."""
    gum = pytest.importorskip("pyagrum")
    theirs, tables = gum.loadBN(str(path)), {}
    for name in net.variables:
        axes = theirs.cpt(name).names[::-1]  # the array has them backwards
        assert set(axes) == {*net.parents[name], name}
        tables[name] = np.transpose(theirs.cpt(name).toarray(), [axes.index(v) for v in (*net.parents[name], name)])
    return tables


@pytest.mark.parametrize("extension", [".bif", ".bifxml"])
@pytest.mark.parametrize("name", ["skew", "asia", "alarm", "insurance", "water"])
def test_pyagrum_reads_what_we_write(name: str, extension: str, tmp_path: Path) -> None:
    if name != "skew" and name not in NETWORKS:
        pytest.skip("needs the real networks")
    net = ASYMMETRIC if name == "skew" else network(name)
    save(net, tmp_path / f"net{extension}")
    theirs = as_pyagrum(tmp_path / f"net{extension}", net)
    for v in net.variables:  # they keep some numbers in single precision
        np.testing.assert_allclose(net.tables[v], theirs[v], atol=1e-7)


def test_pyagrum_and_we_read_a_bif_table_alike(tmp_path: Path) -> None:
    numbers = ", ".join(map(repr, np.moveaxis(ASYMMETRIC.tables["c"], -1, 0).ravel().tolist()))
    (tmp_path / "net.bif").write_text(
        "network skew { }"
        "variable a { type discrete [ 2 ] { x, y }; } variable b { type discrete [ 3 ] { p, q, r }; }"
        "variable c { type discrete [ 4 ] { t, f, u, v }; }"
        "probability ( a ) { table 0.25, 0.75; } probability ( b ) { table 0.2, 0.3, 0.5; }"
        f"probability ( c | b, a ) {{ table {numbers}; }}"
    )
    ours = load(tmp_path / "net.bif")
    assert isinstance(ours, BayesianNetwork)
    theirs = as_pyagrum(tmp_path / "net.bif", ours)
    assert ours.tables["c"].tolist() == ASYMMETRIC.tables["c"].tolist()
    np.testing.assert_allclose(theirs["c"], ours.tables["c"], atol=1e-7)
