"""Data on the command line as users keep them: what is wrong has file and line, what is left out may be bad."""

from __future__ import annotations

import codecs
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run

NETWORK = """network two { }
variable smoke { type discrete [2] { no, yes }; }
variable lung { type discrete [2] { no, yes }; }
probability (smoke) { table .6, .4; }
probability (lung | smoke) { (no) .9, .1; (yes) .5, .5; }
"""
HALF = NETWORK.replace(".9, .1", ".9, .09")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("two.bif").write_text(NETWORK)
    return tmp_path


def fit(data: str | bytes, *options: str, kind: str = "mixture", sizes: str = "--components") -> int:
    content = data.encode() if isinstance(data, str) else data
    Path("x.csv").write_bytes(content)
    return run(["fit", kind, "x.csv", sizes, "1", "-o", "m.safetensors", "--force", "-q", *options])


# ---------------------------------------------------------------- what is wrong, and where


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("a,b\n1,2\n2,3.5\n3,x7\n4,5\n", "x.csv:4: row 2, column 'b': 'x7' is no number, as others in the column are"),
        ("a;b\n1,5;2\nx;3\n2,5;4\n", "x.csv:3: row 1, column 'a': 'x' is no number, as others in the column are"),
        ("a,b\n1,2\n\ninf,3\n2,4\n", "x.csv:4: row 1, column 'a': the value inf is not a finite number"),
        ("a,b\n1,2\n2,1e999\n", "x.csv:3: row 1, column 'b': '1e999' is too large for a number of 64 bits"),
        ("p,b\n10%,2\n20%,3\n10%,4\n", "x.csv:2: row 0, column 'p': '10%' is a number with a sign; leave the sign out"),
        ("p,b\n$1,2\n$2,3\n$1,4\n", "x.csv:2: row 0, column 'p': '$1' is a number with a sign; leave the sign out"),
        ("d,b\n2020-01-02,2\n2020-01-03,3\n2020-01-02,4\n", "x.csv:2: row 0, column 'd': '2020-01-02' is a time"),
        (b"a,b\n1,\x002\n", "x.csv:2: holds a byte 0, as UTF-16 without its mark does; save the file as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), "x.csv:1: holds a byte 0, as UTF-16 without its mark does"),
        ('a,b\n1,2\n\n"2,3\n' + "4,4\n" * 99, "x.csv:4: a quote opens here and does not end"),
        ('a,b\n1,2\n\n"2,3\n' + "4,4\n" * 99999, "x.csv:4: a quote opens here and does not end"),
        ("a,b\n" + "x" * 200000 + ",2\n", "x.csv:2: a cell is longer than 131072 characters"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(data: str | bytes, said: str, capsys: Any) -> None:
    assert fit(data, "--emissions", "gaussian") == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_categories_make_words_among_numbers_states(capsys: Any) -> None:
    text = "a,b\n1,0\n2,1\n3,2\n4,3+\n"
    assert fit(text) == 2
    assert "(--categories b=N)" in capsys.readouterr().err
    assert fit(text, "--categories", "b=4") == 0
    assert tr.load("m.safetensors").columns.categories == {"b": ("0", "1", "2", "3+")}
    assert fit(text, "--categories", "b=3+|2|1|0") == 0
    assert tr.load("m.safetensors").columns.categories == {"b": ("3+", "2", "1", "0")}


def test_values_that_a_model_does_not_know_name_file_and_line(capsys: Any) -> None:
    assert fit("who,sky,temp\nUlm,sun,1.5\nUlm,rain,2\nBern,sun,4\n", "--ignore", "who") == 0
    for text, said in [
        ("sky,temp\nsun,2\n\nsnow,1\n", "y.csv:4: row 1: variable 'sky' has no state 'snow' (it has rain, sun)"),
        ("sky,temp\nsun,cold\n", "y.csv:2: row 0, column 'temp': 'cold' is no number"),
        ("sky\nsun\n", "y.csv: the data have no column 'temp'"),
    ]:
        Path("y.csv").write_text(text)
        for command in (["score"], ["impute", "-o", "z.csv"], ["transform", "-o", "z.npy"]):
            assert run([command[0], "m.safetensors", "y.csv", *command[1:]]) == 2
            assert said in capsys.readouterr().err
    assert fit("a\n1\n2\n", "--validation", "y.csv") == 2
    assert "y.csv: the model knows no column 'sky'" in capsys.readouterr().err
    assert fit("w,a\nUlm,1\nBern,2\n\nUlm,3\n", "--by", "w", kind="hmm", sizes="--states") == 2
    assert "x.csv:5: row 2: sequence Ulm comes back" in capsys.readouterr().err


def test_a_column_of_a_kind_is_named_as_the_file_names_it() -> None:
    with pytest.raises(tr.ModelError, match=r"row 1, column 'b': the value -1\.0 is not a count"):
        tr.mixture({"a": [1.0, 2.0], "b": [1, -1]}, 1, {"gaussian": "a", "poisson": "b"})
    with pytest.raises(tr.ModelError, match=r"row 1, column 1: the value -1\.0 is not a count"):
        tr.emissions_for({"gaussian": [0], "poisson": [1]}, [[1.0, 2.0], [1.0, -1.0]], 1)


# ---------------------------------------------------------------- columns that are left out


@pytest.mark.parametrize("kind", [("mixture", "--components"), ("hmm", "--states")])
@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("a,,b\n1,9,2\n2,9,3.5\n3,9,4\n", ["--ignore", "1"]),
        ("a,,b\n1,9,2\n2,9,3.5\n3,9,4\n", ["--columns", "a", "--columns", "2"]),
        ("a,c,c,b\n1,9,0,2\n2,9,0,3.5\n3,9,0,4\n", ["--ignore", "c"]),
        ("a,c,c,b\n1,9,0,2\n2,9,0,3.5\n3,9,0,4\n", ["--ignore", "1,2"]),
        ('a,p,b\n1,"1,234",2\n2,"2,345",3.5\n3,"3,456",4\n', ["--ignore", "p"]),
        ("a,b,\n1,2,\n2,3.5,\n3,4,\n", ["--ignore", "2"]),
        ('"a","x, y","b"\n1,oh,2\n2,my,3.5\n3,0,4\n', ["--ignore", '"x, y"']),
    ],
)
def test_what_is_left_out_may_be_anything(data: str, options: list[str], kind: tuple[str, str]) -> None:
    last = data.splitlines()[0].split(",").index("b") if '"' not in data.splitlines()[0] else 2
    for emissions in ("diagonal", f"diagonal:0,{last}"):  # numbers are those of the file
        assert fit(data, *options, "--emissions", emissions, kind=kind[0], sizes=kind[1]) == 0
        model = tr.load("m.safetensors")
        np.testing.assert_allclose(getattr(model, "emissions", None).means[0], [2, 9.5 / 3])
        assert model.columns.names == ("a", "b")
    assert run(["score", "m.safetensors", "x.csv", *options, "-q"]) == 0


def test_a_name_with_a_comma_is_shown_as_it_is_typed(capsys: Any) -> None:
    assert fit('"x, y",b\n1,9\n2,8\n', "--columns", "x, y") == 2
    assert "there is no column 'x'; there are \"x, y\", b" in capsys.readouterr().err


# ---------------------------------------------------------------- kinds


def test_columns_fit_by_themselves_in_both_faces() -> None:
    rows = {"bit": [0, 1, 1, None], "real": [0.5, 1.0, 0.0, 2.0], "sky": ["sun", "rain", None, "sun"]}
    expected = {"bernoulli": [0], "gaussian": [1], "categorical": [2]}
    begin = tr.mixture(rows, 1)
    assert {part.kind: list(own) for part, own in zip(begin.free.parts, begin.free.columns, strict=True)} == expected
    tr.write_data("rows.csv", rows)
    assert fit(Path("rows.csv").read_bytes(), "--epochs", "1") == 0
    found = tr.load("m.safetensors").free
    assert {part.kind: list(own) for part, own in zip(found.parts, found.columns, strict=True)} == expected
    for array in (np.array([[0, 1], [1, 0]], np.uint8), np.array([[0, np.nan], [1, 0]])):
        assert tr.mixture(array, 1).emissions.kind == tr.hidden_markov(array, 1).emissions.kind == "bernoulli"
    assert tr.mixture(np.array([[0, 2.0], [1, 3.0]]), 1).emissions.parts[1].kind == "gaussian"


# ---------------------------------------------------------------- what stands around the cells


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"smoke,lung\r\nyes,\r\n,no\r\n", b"smoke,lung\r\nyes,no\r\nno,no\r\n"),
        (codecs.BOM_UTF8 + b"smoke;lung\nyes;\n;no\n", codecs.BOM_UTF8 + b"smoke;lung\nyes;no\nno;no\n"),
        (b"sep=;\r\nsmoke;lung\r\nyes;\r\n;no\r\n", b"sep=;\r\nsmoke;lung\r\nyes;no\r\nno;no\r\n"),
        ("smoke\tlung\r\nyes\t\r\n".encode("utf-16"), codecs.BOM_UTF8 + b"smoke\tlung\r\nyes\tno\r\n"),
        (b'smoke,lung,"a\nb"\r\nyes,,"1\n2"\r\n', b'smoke,lung,"a\nb"\r\nyes,no,"1\n2"\r\n'),
    ],
)
def test_impute_keeps_what_stands_around_the_cells(before: bytes, after: bytes) -> None:
    Path("gaps.csv").write_bytes(before)
    more = ["--columns", "smoke,lung"]
    assert run(["impute", "two.bif", "gaps.csv", "-o", "whole.csv", *more]) == 0
    assert Path("whole.csv").read_bytes() == after


# ---------------------------------------------------------------- states


def test_na_is_a_state_where_the_structure_says_so() -> None:
    Path("x.csv").write_text("a,b\nNA,yes\nyes,\n?,no\n,no\n")
    Path("na.bif").write_text(
        'network na { }\nvariable a { type discrete [2] { "NA", yes }; }\n'
        "variable b { type discrete [2] { no, yes }; }\n"
        'probability (a) { table .5, .5; }\nprobability (b | a) { ("NA") .5, .5; (yes) .5, .5; }\n'
    )
    fit = ["-o", "found.bif", "--force", "-q", "--prior", "0", "--epochs", "3"]
    assert run(["fit", "network", "na.bif", "x.csv", *fit]) == 0
    wanted = tr.load("found.bif")
    assert run(["fit", "network", "--structure", "a{NA|yes} -> b", "x.csv", *fit]) == 0
    found = tr.load("found.bif")
    assert found.states == wanted.states
    np.testing.assert_allclose(found.tables["a"], wanted.tables["a"], rtol=1e-12)


def test_a_decimal_comma_names_the_state_with_a_point(capsys: Any) -> None:
    tr.save(tr.BayesianNetwork({"dose": ["0.5", "1.5"]}, {}, {"dose": [0.25, 0.75]}), "dose.bif")
    Path("x.csv").write_text("dose;x\n0,5;1\n1,5;2\n")
    assert run(["score", "dose.bif", "x.csv", "--ignore", "x", "-q"]) == 0
    assert f"{np.log([0.25, 0.75]).mean():.10g}" in capsys.readouterr().out
    assert run(["fit", "network", "--structure", "dose", "x.csv", "-o", "found.bif", "-q", "--ignore", "x"]) == 0
    assert tr.load("found.bif").states == {"dose": ("0.5", "1.5")}


@pytest.mark.parametrize(
    ("soft", "said"),
    [
        ("smoke", "expected VARIABLE=STATE:WEIGHT"),
        ("smoke=yes:0.7,no:0.3,yes:0.2", "the state 'yes' has two weights"),
        ("smoke=yes:0.7", "no weight for the state 'no'"),
        ("smoke=yes:0,no:0", "not all zero"),
    ],
)
def test_soft_evidence_that_says_too_little_or_too_much(soft: str, said: str, capsys: Any) -> None:
    assert run(["query", "two.bif", "--soft", soft]) == 2
    assert said in capsys.readouterr().err


def test_rows_that_were_rounded_are_normalized_where_asked(capsys: Any) -> None:
    Path("half.bif").write_text(HALF)
    assert run(["convert", "half.bif", "whole.uai"]) == 2
    assert "half.bif:5: variable 'lung': row 0 of the table sums to 0.99" in (err := capsys.readouterr().err)
    assert "normalize=True (convert --normalize) divides each row by its sum" in err
    assert run(["convert", "half.bif", "whole.uai", "--normalize"]) == 0
    np.testing.assert_allclose(tr.load("whole.uai").tables["1"], [[10 / 11, 1 / 11], [0.5, 0.5]])


def test_what_is_only_read_is_not_offered_for_writing(capsys: Any) -> None:
    assert run(["convert", "two.bif", "x.foo"]) == 2
    assert "use one of .bif, .bifxml, .safetensors, .uai, .xml, .xmlbif, each" in capsys.readouterr().err
    assert run(["convert", "two.bif", "x.net"]) == 2
    assert "a NET file is read, not written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("streams", "code", "said"),
    [
        ("<&-", 2, "standard input: is closed; name a file instead of -"),
        (">&- < x.csv", 0, ""),
        ("< x.csv > /dev/full", 2, "the standard output: No space left on device"),
    ],
)
def test_streams_that_are_closed_or_full(streams: str, code: int, said: str) -> None:
    if sys.platform != "linux":
        pytest.skip("a shell and /dev/full")
    Path("x.csv").write_text("smoke\nyes\n")
    line = f"'{sys.executable}' -m tractable query two.bif --evidence-file - -q {streams}"
    found = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (code, f"tractable: {said}\n" if said else "")


def test_a_file_of_pyagrum_is_read_with_a_warning(capsys: Any) -> None:
    scopes = ["1 0   # a", "1 1   # b", "3 0 1 2   # c"]
    tables = "2 .5 .5\n2 .25 .75\n8 .9 .1 .8 .2 .7 .3 .6 .4"
    Path("gum.uai").write_text("BAYES\n3\n2 2 2\n3\n" + "\n".join(scopes) + f"\n\n{tables}\n")
    assert run(["query", "gum.uai", "-q", "--target", "2", "--json"]) == 0
    assert capsys.readouterr().err.startswith("tractable: gum.uai:5: the names behind the scopes are pyAgrum's way")
    Path("plain.uai").write_text("BAYES\n3\n2 2 2\n3\n1 0\n1 1\n3 0 1 2   # c\n\n" + tables)
    assert run(["query", "plain.uai", "-q", "--json"]) == 0
    assert capsys.readouterr().err == ""
