"""Damaged files: each is read, or refused in one line that begins with its path; nothing else happens."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from data import real_files
from hostile import counted
from hypothesis import given
from hypothesis import strategies as st
from models_at_random import Model, same
from sweep import sweep
from test_formats_net_xdsl import NET, XDSL
from zoo import ZOO

from tractable.formats import FormatError, load, read_evidence, save, write_evidence
from tractable.models import BayesianNetwork

pytestmark = pytest.mark.filterwarnings("ignore::tractable.FormatWarning")  # of what is read as MARKOV

READ_ONLY = {".net": [NET.encode()], ".xdsl": [XDSL.encode()]}
NUMBERS = [
    "nan",
    "-1",
    "-0.0",
    "1e999",
    "1e-320",
    "inf",
    str(2**60),
    "9" * 400,
    "0",
    "1",
    "2",
    ".5",
    "1_0",
    "0x10",
    "١",
]
MARKS = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ";",
    ",",
    "|",
    '"',
    "\\",
    '"a b"',
    "/*",
    "*/",
    "//",
    "#",
    "{" * 99,
    "\n",
    "\r",
    "\0",
]
WORDS = ["table", "default", "property", "variable x {", "probability (", "network", "type discrete [", "BAYES", "c"]
TAGS = ["<", ">", "&", "&lt;", "]]>", "<!--", "<![CDATA[", "<!ENTITY a 'b'>", "<NAME>", "</TABLE>", "<FOR>", "<BIF>"]
NASTY = [b"\xff", b"\xef\xbb\xbf", *(text.encode() for text in (*NUMBERS, *MARKS, *WORDS, *TAGS, "é", "true"))]


# ---------------------------------------------------------------- what is damaged


@cache
def seeds(extension: str) -> tuple[bytes, ...]:
    """Good files: small real ones where there are any, and those that we write ourselves."""
    real = [gzip.decompress(path.read_bytes()) for path in real_files(f"*/*{extension}.gz")[:30]]
    return (*[data for data in real if len(data) < 6_000][:8], *READ_ONLY.get(extension, ()), *_written(extension))


def _written(extension: str) -> list[bytes]:
    out = []
    if extension in READ_ONLY:
        return out
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"seed{extension}"
        for model in zoo():
            if isinstance(model, BayesianNetwork) or extension in (".uai", ".safetensors"):
                save(model, path)
                out.append(path.read_bytes())
    return out


@cache
def zoo() -> tuple[Model, ...]:
    return tuple(model for row in ZOO if (model := row.model()).states)


# ---------------------------------------------------------------- how it is damaged


def _span(rng: random.Random, data: bytes, longest: int = 60) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(start + rng.randrange(longest), len(data))


def cut(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def repeat(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:end] + data[start:end] * rng.randrange(1, 4) + data[end:]


def move(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    rest, at = data[:start] + data[end:], rng.randrange(len(data) - end + start + 1)
    return rest[:at] + data[start:end] + rest[at:]


def truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(NASTY) + data[at:]


def flip(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def word(rng: random.Random, data: bytes) -> bytes:
    """Another word in the place of one: from the same file, or a nasty one."""
    words = data.split()
    if not words:
        return data
    old, new = rng.choice(words), rng.choice([*words[:200], *NASTY])
    at = data.find(old, rng.randrange(len(data)))
    return data if at < 0 else data[:at] + new + data[at + len(old) :]


def line(rng: random.Random, data: bytes) -> bytes:
    """A line left out, given twice, or swapped with another."""
    lines = data.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(3)
    if kind == 0:
        del lines[i]
    elif kind == 1:
        lines.insert(i, lines[i])
    else:
        lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines)


Damage = Callable[[random.Random, bytes], bytes]
DAMAGES: Sequence[Damage] = (cut, repeat, move, truncate, insert, flip, word, word, line)


def damaged(extension: str) -> st.SearchStrategy[bytes]:
    """A good file with up to three damages; one draw settles all, for drawing takes longer than reading."""
    return st.integers(0, 2**32).map(lambda seed: spoil(random.Random(seed), extension))


def spoil(rng: random.Random, extension: str) -> bytes:
    data = rng.choice(seeds(extension))
    for _ in range(rng.randrange(1, 4)):
        data = rng.choice(DAMAGES)(rng, data)
    return data


# ---------------------------------------------------------------- what may happen


@pytest.fixture(scope="module", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def check(path: Path, data: bytes) -> None:
    """The file loads, and what it gave can be saved and comes back; or it is refused in one line."""
    path.write_bytes(data)
    try:
        with counted() as effort:
            model = load(path)
    except FormatError as error:
        one_line(error, path)
    else:
        again = path.with_name(f"again{'.bif' if path.suffix in READ_ONLY else ''.join(path.suffixes)}")
        try:
            save(model, again)
        except FormatError as error:  # a file may hold names that cannot be encoded
            assert "cannot hold; rename it" in str(error)
        else:
            assert same(model, load(again), named=".uai" not in path.suffixes)
    assert effort.little_for(len(data))


def one_line(error: FormatError, path: Path) -> None:
    message = str(error)
    assert message.startswith(f"{path}:")
    assert len(message.splitlines()) == 1
    assert len(message) < 600 + len(str(path))


@pytest.mark.parametrize("extension", [".bif", ".uai", ".xml", ".net", ".xdsl", ".safetensors"])
def test_the_damage_spoils_most_files_and_leaves_some_good(extension: str, folder: Path) -> None:
    path, spoilt, rng = folder / f"net{extension}", 0, random.Random(0)
    for _ in range(200):
        path.write_bytes(spoil(rng, extension))
        try:
            load(path)
        except FormatError:
            spoilt += 1
    assert 100 < spoilt < 196


@sweep(280)
@given(data=damaged(".bif"))
def test_damaged_bif(data: bytes, folder: Path) -> None:
    check(folder / "net.bif", data)


@sweep(240)
@given(data=damaged(".uai"))
def test_damaged_uai(data: bytes, folder: Path) -> None:
    check(folder / "net.uai", data)


@sweep(150)
@given(data=damaged(".xml"))
def test_damaged_xmlbif(data: bytes, folder: Path) -> None:
    check(folder / "net.xml", data)


@sweep(80)
@given(data=damaged(".net"))
def test_damaged_net(data: bytes, folder: Path) -> None:
    check(folder / "net.net", data)


@sweep(80)
@given(data=damaged(".xdsl"))
def test_damaged_xdsl(data: bytes, folder: Path) -> None:
    check(folder / "net.xdsl", data)


@sweep(120)
@given(data=damaged(".safetensors"))
def test_damaged_safetensors(data: bytes, folder: Path) -> None:
    check(folder / "net.safetensors", data)


@sweep(50)
@given(data=damaged(".bif"), seed=st.integers(0, 2**32), damage=st.sampled_from([cut, flip, truncate, repeat, insert]))
def test_damaged_gzip(data: bytes, seed: int, damage: Damage, folder: Path) -> None:
    check(folder / "net.bif.gz", damage(random.Random(seed), gzip.compress(data)))


@sweep(50)
@given(data=st.binary(max_size=300), extension=st.sampled_from([".bif", ".uai", ".xml", ".safetensors", ".bif.gz"]))
def test_noise(data: bytes, extension: str, folder: Path) -> None:
    check(folder / f"net{extension}", data)


@sweep(50)
@given(words=st.lists(st.sampled_from(NASTY), max_size=30), extension=st.sampled_from([".bif", ".uai", ".xml"]))
def test_word_salad(words: list[bytes], extension: str, folder: Path) -> None:
    heads = {".bif": b"variable x { type discrete [ 1 ] { s }; }", ".uai": b"MARKOV 1 1", ".xml": b"<BIF><NETWORK>"}
    check(folder / f"net{extension}", b" ".join([heads[extension], *words]))


@sweep(100)
@given(row=st.integers(0, len(zoo()) - 1), seed=st.integers(0, 2**64), extension=st.sampled_from([".evid", ".csv"]))
def test_damaged_evidence(row: int, seed: int, extension: str, folder: Path) -> None:
    model, rng, path = zoo()[row], random.Random(seed), folder / f"case{extension}"
    found = [
        {v: rng.choice(s) for v, s in model.states.items() if rng.random() < 0.5} for _ in range(rng.randrange(1, 4))
    ]
    write_evidence(found, path, model)
    data = path.read_bytes()
    for _ in range(rng.randrange(1, 3)):
        data = rng.choice(DAMAGES)(rng, data)
    path.write_bytes(data)
    try:
        found = read_evidence(path, model)
    except FormatError as error:
        one_line(error, path)
    assert all(state in model.states[name] for case in found for name, state in case.items())
