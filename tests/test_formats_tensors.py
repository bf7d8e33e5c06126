"""The safetensors files: what others see in them, and what the reader says about headers that lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import complaint
from safetensors import safe_open
from safetensors.numpy import save as pack
from test_formats import ASYMMETRIC, SKEWED_PAIR

from tractable.formats import save

ABOUT: dict[str, Any] = {
    "version": 1,
    "kind": "bayesian",
    "name": "net",
    "variables": [
        {"name": "a", "states": ["x", "y"], "parents": []},
        {"name": "b", "states": ["p", "q", "r"], "parents": ["a"]},
    ],
}
TENSORS = {"table.a": np.array([0.25, 0.75]), "table.b": np.array([[0.2, 0.3, 0.5], [0.5, 0.3, 0.2]])}
FIELD: dict[str, Any] = {**ABOUT, "kind": "markov", "scopes": [["b", "a"]]}


def test_other_programs_see_one_tensor_per_table(tmp_path: Path) -> None:
    save(ASYMMETRIC, tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", framework="numpy") as file:
        assert set(file.keys()) == {"table.a", "table.b", "table.c"}
        assert file.get_tensor("table.c").shape == (3, 2, 4)
        about = json.loads(file.metadata()["tractable"])
    assert about["kind"] == "bayesian"
    assert about["variables"][2] == {"name": "c", "states": ["t", "f", "u", "v"], "parents": ["b", "a"]}
    save(SKEWED_PAIR, tmp_path / "pair.safetensors")
    with safe_open(tmp_path / "pair.safetensors", framework="numpy") as file:
        assert file.get_tensor("factor.0").tolist() == [[1, 2], [3, 4], [5, 6]]
        assert json.loads(file.metadata()["tractable"])["scopes"] == [["1", "0"], [], ["0"]]


def changed(about: dict[str, Any], **changes: object) -> dict[str, Any]:
    return {key: value for key, value in {**about, **changes}.items() if value is not None}


def variables(*states: object, **more: object) -> list[object]:
    return [{"name": "a", "states": list(states), "parents": [], **more}, ABOUT["variables"][1]]


B = "table.b"
NO_GOOD = "the header's 'tractable' entry has no good"
TWO = ABOUT["variables"][:1] * 2
BAD: list[tuple[Any, dict[str, np.ndarray], str]] = [
    (None, TENSORS, "the header has no 'tractable' entry; the file was not written by tractable.save"),
    ("{", TENSORS, "the header's 'tractable' entry is not JSON"),
    ("[" * 100_000, TENSORS, "the header's 'tractable' entry is not JSON"),
    ("[]", TENSORS, "expected a format version from 1 to 2, found 'None'"),
    (
        changed(ABOUT, version=3),
        TENSORS,
        "is of format version 3, which a later tractable reads",
    ),
    (changed(ABOUT, kind="tree"), TENSORS, f"{NO_GOOD} kind"),
    (changed(ABOUT, kind=["markov"]), TENSORS, f"{NO_GOOD} kind"),
    (changed(ABOUT, name=None, variables=3), TENSORS, f"{NO_GOOD} name, variables"),
    (changed(ABOUT, variables=variables("x", 1)), TENSORS, f"{NO_GOOD} variables"),
    (
        changed(ABOUT, variables=variables("x", "y", parents="b")),
        TENSORS,
        f"{NO_GOOD} variables",
    ),
    (changed(ABOUT, variables=variables("x", "x")), TENSORS, "the header has the name 'x' twice; names must differ"),
    (
        changed(ABOUT, variables=TWO),
        TENSORS,
        "the header has the name 'a' twice; names must differ",
    ),
    (
        changed(ABOUT, variables=variables("x", "y", "z")),
        TENSORS,
        "variable 'a': the table has shape (2,), its",
    ),
    (changed(ABOUT, variables=variables("x", "y", parents=["c"])), TENSORS, "variable 'a': unknown variable 'c'"),
    (changed(ABOUT, variables=variables("x", "y", parents=["b"])), TENSORS, "variable 'a': the table has shape (2,)"),
    (changed(ABOUT, variables=variables()), {**TENSORS, "table.a": np.empty(0)}, "variable 'a' has no states"),
    (ABOUT, {B: TENSORS[B]}, "the tensor 'table.a' is missing"),
    (ABOUT, {**TENSORS, "table.c": TENSORS[B]}, "the tensor 'table.c' is not described in the header"),
    (ABOUT, {**TENSORS, B: TENSORS[B].astype("f4")}, "the tensor 'table.b' has type F32; tables are F64"),
    (ABOUT, {**TENSORS, B: TENSORS[B].T.copy()}, "variable 'b': the table has shape (3, 2), its variables need (2, 3)"),
    (ABOUT, {**TENSORS, B: TENSORS[B] * 0.9}, "variable 'b': row 1 of the table sums to 0.9, not to 1"),
    (ABOUT, {**TENSORS, B: -TENSORS[B]}, "variable 'b': the entry"),
    (ABOUT, {**TENSORS, B: TENSORS[B] * np.nan}, "variable 'b': the entry"),
    (
        FIELD,
        {"factor.0": np.ones((2, 3))},
        "factor 0 over (b, a): the table has shape (2, 3), its variables need",
    ),
    (changed(FIELD, scopes=None), {"factor.0": np.ones((3, 2))}, f"{NO_GOOD} scopes"),
    (changed(FIELD, scopes=[["b", "d"]]), {"factor.0": np.ones((3, 2))}, "factor 0 over (b, d): unknown variable 'd'"),
    (
        changed(FIELD, scopes=[["b", "b"]]),
        {"factor.0": np.ones((3, 3))},
        "factor 0 over (b, b): a variable occurs",
    ),
]


@pytest.mark.parametrize(("about", "tensors", "message"), BAD, ids=[message[:60] for *_, message in BAD])
def test_complaints_name_the_cause(about: Any, tensors: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    text = about if isinstance(about, str) or about is None else json.dumps(about)
    content = pack(tensors, None if text is None else {"tractable": text})
    assert complaint(tmp_path / "net.safetensors", content).startswith(f"net.safetensors: {message}")


def test_a_cycle_is_shown(tmp_path: Path) -> None:
    loop = variables("x", "y", parents=["b"])
    content = pack(
        {**TENSORS, "table.a": np.full((3, 2), 0.5)}, {"tractable": json.dumps(changed(ABOUT, variables=loop))}
    )
    assert "the parents form a directed cycle: a → b → a" in complaint(tmp_path / "net.safetensors", content)


def header(text: str, data: bytes = b"", size: int | None = None) -> bytes:
    return (len(text) if size is None else size).to_bytes(8, "little") + text.encode() + data


def tensor(shape: list[int], end: int, dtype: str = "F64") -> str:
    return json.dumps({"table.a": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}})


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        header("{}", size=2**63),
        header("{}", size=2**20),
        header("{"),
        header("[" * 100_000),
        header(tensor([2**60], 8), bytes(8)),
        header(tensor([2**60, 16], 0)),
        header(tensor([2**40, 0], 0)),
        header(tensor([1], 2**60), bytes(8)),
        header(tensor([2], 8), bytes(8)),
        header(tensor([1], 8), bytes(80)),
        header(tensor([1], 2, "BF16"), bytes(2)),
        header(tensor([1] * 1000, 8), bytes(8)),
        header('{"__metadata__": {"tractable": 3}}'),
        header('{"__metadata__": {"tractable": "3"}}'),
        header('{"__metadata__": {"tractable": "{\\"version\\": 1}"}}'),
    ],
    ids=range(16),
)
def test_a_header_that_lies_is_caught(content: bytes, tmp_path: Path) -> None:
    complaint(tmp_path / "net.safetensors", content)
