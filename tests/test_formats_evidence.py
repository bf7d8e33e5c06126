"""Evidence files: the forms they come in, and what the readers say about bad ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_at_random import Model, bayesian_networks, markov_networks
from sweep import sweep
from test_formats import ASYMMETRIC

from tractable.formats import FormatError, read_evidence, write_evidence
from tractable.models import BayesianNetwork, MarkovNetwork

WIDE = MarkovNetwork({f"v{i}": "abcdefghij" for i in range(10)}, [])


Cases = list[dict[str, str]]


def cases(folder: Path, content: str | bytes, name: str = "case.evid", model: Model = ASYMMETRIC) -> Cases:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return read_evidence(folder / name, model)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [{}]),
        (" \n", [{}]),
        ("0", [{}]),
        ("0\n", [{}]),
        ("1 2 3", [{"c": "v"}]),
        ("2 0 1 1 2\n", [{"a": "y", "b": "r"}]),
        ("2\n0 1\n1 2\n", [{"a": "y", "b": "r"}]),
        ("1\n0\n", [{}]),
        ("1\n2 0 1 1 2\n", [{"a": "y", "b": "r"}]),
        ("1 2 0 1 1 2", [{"a": "y", "b": "r"}]),
        ("2\n1 0 1\n1 1 2\n", [{"a": "y"}, {"b": "r"}]),
        ("3\n0\n1 1 2\n0\n", [{}, {"b": "r"}, {}]),
        ("2 1 0 1 1 1 2", [{"a": "y"}, {"b": "r"}]),
    ],
)
def test_uai_evidence_comes_in_these_forms(text: str, found: Cases, tmp_path: Path) -> None:
    assert cases(tmp_path, text) == found


def test_where_the_counts_fit_both_forms_the_lines_tell(tmp_path: Path) -> None:
    both = [2, 0, 1, 3, 4]  # two of one case, or nothing and then one
    assert cases(tmp_path, " ".join(map(str, both)), model=WIDE) == [{"v0": "b", "v3": "e"}]
    assert cases(tmp_path, "2\n0 1\n3 4", model=WIDE) == [{"v0": "b", "v3": "e"}]
    assert cases(tmp_path, "2\n0\n1 3 4", model=WIDE) == [{}, {"v3": "e"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5", ":1: the counts do not fit the 1 numbers; expected: k, then k times variable and state"),
        ("1 0 1 1", ":1: the counts do not fit"),
        ("115292150460684697 0 1", ":1: the counts do not fit"),
        ("1152921504606846976 0 1", ":1: expected a whole number ≥ 0, found '1152921504606846976'"),
        ("1\n0 x", ":2: expected a whole number ≥ 0, found 'x'"),
        ("1\n0 -1", ":2: expected a whole number ≥ 0, found '-1'"),
        ("1\n0 1.0", ":2: expected a whole number ≥ 0, found '1.0'"),
        ("1\n0 ²", ":2: expected a whole number ≥ 0, found '²'"),
        ("1\n0 " + "9" * 5000, ":2: expected a whole number ≥ 0, found '999"),
        ("2\n0 1\n3 0", ":3: unknown variable 3; the model's variables are 0 to 2"),
        ("2\n0 1\n1 3", ":3: variable 1 ('b') has no state 3, only 0 to 2"),
        ("2\n0 1\n0 1", ":3: variable 0 ('a') is observed twice; keep one"),
        ("2\n1 0 1\n2 1 1 1 1", ":3: variable 1 ('b') is observed twice; keep one"),
        (b"1 0 \xff", ":1: byte 0xff is not UTF-8; save the file as UTF-8"),
    ],
)
def test_bad_uai_evidence_names_the_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        cases(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/case.evid{message}")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a,b\ny,r\n", [{"a": "y", "b": "r"}]),
        ("c,a\r\nv,\r\n,x\r\n", [{"c": "v"}, {"a": "x"}]),
        ('\ufeffa,"b"\n\n"y",\n', [{"a": "y"}]),
        ("a\n", []),
        ("a,b\n,\n", [{}]),
        ('a\n""\n', [{}]),
    ],
)
def test_csv_has_a_header_and_a_case_per_row(text: str, found: Cases, tmp_path: Path) -> None:
    assert cases(tmp_path, text, "case.csv") == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": the file is empty; expected a header of variable names"),
        ("a,d\n", ":1: unknown variable 'd'"),
        ("a,b,a\n", ":1: two columns have the name 'a'; rename one of them"),
        ("a,b\nx,p\ny,Q\n", ":3: variable 'b' has no state 'Q' (it has p, q, r)"),
        ("a,b\nx\n", ":2: expected 2 cells as in the first row, found 1"),
        ("a,b\nx,p,q\n", ":2: expected 2 cells as in the first row, found 3"),
        ('a,b\nx,"p', ":2: a quote opens here and does not end"),
        ('a,b\nx,"p"q\n', ":2: not CSV: "),
        ("a,b\nx," + "p" * 200_000, ":2: a cell is longer than 131072 characters"),
        (b"a\nx\n\xff", ":3: byte 0xff is not UTF-8; save the file as UTF-8"),
    ],
)
def test_bad_csv_names_the_line(text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        cases(tmp_path, text, "case.csv")
    assert str(caught.value).startswith(f"{tmp_path}/case.csv{message}")


def test_a_misspelt_name_gets_the_nearest(tmp_path: Path) -> None:
    net = BayesianNetwork({"smoke": ["yes", "no"]}, {}, {"smoke": np.array([0.5, 0.5])})
    with pytest.raises(FormatError, match="unknown variable 'smoek'; did you mean 'smoke'"):
        cases(tmp_path, "smoek\nyes\n", "case.csv", net)
    with pytest.raises(FormatError, match=r"has no state 'yess' .*; did you mean 'yes'"):
        cases(tmp_path, "smoke\nyess\n", "case.csv", net)


@st.composite
def observed(draw: st.DrawFn) -> tuple[Model, Cases]:
    model = draw(st.one_of(bayesian_networks(), markov_networks()))
    case = st.fixed_dictionaries({}, optional={v: st.sampled_from(s) for v, s in model.states.items()})
    return model, draw(st.lists(case, min_size=1, max_size=4))


@sweep(50)
@given(observed=observed(), packing=st.sampled_from(["", ".gz"]))
def test_uai_evidence_comes_back(observed: tuple[Model, Cases], packing: str, folder: Path) -> None:
    model, given_cases = observed
    write_evidence(given_cases, folder / f"case.evid{packing}", model)
    assert read_evidence(folder / f"case.evid{packing}", model) == given_cases


@sweep(50)
@given(observed=observed(), packing=st.sampled_from(["", ".gz"]))
def test_csv_evidence_comes_back(observed: tuple[Model, Cases], packing: str, folder: Path) -> None:
    model, given_cases = observed
    header = {name for case in given_cases for name in case} or list(model.states)[:1]
    blank = [name for name in header if any(not state.strip() for state in model.states[name])]
    strange = any("\0" in text for text in (*header, *(x for case in given_cases for x in case.values())))
    if any(name not in case for name in blank for case in given_cases) or not model.states or strange:
        with pytest.raises(FormatError, match=r"write \.evid instead"):
            write_evidence(given_cases, folder / "case.csv", model)
    else:
        write_evidence(given_cases, folder / f"case.csv{packing}", model)
        assert read_evidence(folder / f"case.csv{packing}", model) == given_cases


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evidence")


@pytest.mark.parametrize("extension", [".evid", ".csv"])
def test_only_what_the_model_knows_is_written(extension: str, tmp_path: Path) -> None:
    for case, message in [({"d": "x"}, "unknown variable 'd'"), ({"a": "z"}, "variable 'a' has no state 'z'")]:
        with pytest.raises(FormatError, match=message):
            write_evidence([case], tmp_path / f"case{extension}", ASYMMETRIC)
    assert not list(tmp_path.iterdir())


def test_no_case_at_all_cannot_be_uai_evidence(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="there is no case to write"):
        write_evidence([], tmp_path / "case.evid", ASYMMETRIC)
    write_evidence([], tmp_path / "case.csv", ASYMMETRIC)
    assert read_evidence(tmp_path / "case.csv", ASYMMETRIC) == []


def test_models_are_not_evidence(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"'\.bif' is not known.*; use one of \.csv, \.evid, each"):
        cases(tmp_path, "", "net.bif")
