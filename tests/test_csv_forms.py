"""Text as people and programs write it: every form of one table gives the same columns, to every reader and command."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import counted
from hypothesis import given
from hypothesis import strategies as st
from sweep import sweep

import tractable as tr
from tractable.cli._run import run
from tractable.formats import column_names
from tractable.formats._cells import is_number
from tractable.formats._quoting import text_of_rows

nan = float("nan")
SKY, RAIN = ["sun", "light rain", None, "sun"], [1.5, nan, 0.25, 2.0]

FORMS: dict[str, str] = {
    "R write.csv": '"","sky","rain"\n"1","sun",1.5\n"2","light rain",NA\n"3",NA,0.25\n"4","sun",2\n',
    "R write.csv, no row names": '"sky","rain"\n"sun",1.5\n"light rain",NA\nNA,0.25\n"sun",2\n',
    "R write.csv2": '"";"sky";"rain"\n"1";"sun";1,5\n"2";"light rain";NA\n"3";NA;0,25\n"4";"sun";2\n',
    "R write.table": '"sky" "rain"\n"1" "sun" 1.5\n"2" "light rain" NA\n"3" NA 0.25\n"4" "sun" 2\n',
    "R write.table, tabs": "sky\train\n1\tsun\t1.5\n2\tlight rain\tNA\n3\tNA\t0.25\n4\tsun\t2\n",
    "pandas": ",sky,rain\n0,sun,1.5\n1,light rain,\n2,,0.25\n3,sun,2.0\n",
    "pandas, no index": "sky,rain\nsun,1.5\nlight rain,\n,0.25\nsun,2.0\n",
    "pandas, na_rep": "sky,rain\nsun,1.5\nlight rain,NaN\nNaN,0.25\nsun,2.0\n",
    "pandas, index read and written again": "Unnamed: 0,sky,rain\n0,sun,1.5\n1,light rain,\n2,,0.25\n3,sun,2.0\n",
    "Excel, European": "\ufeffsky;rain\r\nsun;1,5\r\nlight rain;\r\n;0,25\r\nsun;2\r\n",
    "Excel, sep=": "sep=;\r\nsky;rain\r\nsun;1,5\r\nlight rain;\r\n;0,25\r\nsun;2\r\n",
    "blanks after commas": "sky, rain\nsun, 1.5\nlight rain, ?\n?, 0.25\nsun, 2\n",
    "blank lines": "\nsky,rain\n\nsun,1.5\nlight rain,\n \n,0.25\nsun,2\n\n\n",
    "old Mac": "sky,rain\rsun,1.5\rlight rain,NA\rNA,0.25\rsun,2\r",
    "bars": "sky|rain\nsun|1.5\nlight rain|NA\nNA|0.25\nsun|2\n",
}


def written(path: Path, text: str | bytes) -> str:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def plain(rows: Any) -> dict[str, list[Any]]:
    return {name: [None if x != x else x for x in np.asarray(column).tolist()] for name, column in rows.items()}


TABLE = {"sky": SKY, "rain": [None if x != x else x for x in RAIN]}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_table_is_the_table(form: str, tmp_path: Path) -> None:
    path = written(tmp_path / "days.csv", FORMS[form])
    assert plain(tr.read_columns(path)) == TABLE
    assert column_names(path) == ["sky", "rain"]
    assert tr.read_data(path, ignore="sky").ravel().tolist() == pytest.approx(RAIN, nan_ok=True)
    assert plain(tr.read_columns(path, columns=[1, "sky"])) == {"rain": TABLE["rain"], "sky": TABLE["sky"]}


NET = tr.BayesianNetwork(
    {"sky": ["sun", "light rain"], "rain": ["0.25", "1.5", "2"]},
    {"rain": ["sky"]},
    {"sky": [0.45, 0.55], "rain": [[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]},
)


def test_text_of_excel_in_utf_16(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "sky\train\r\nsun\t1,5\r\nlight rain\t\r\n\t0,25\r\nsun\t2\r\n".encode("utf-16"))
    assert plain(tr.read_columns(path)) == TABLE
    with pytest.raises(tr.FormatError, match=r"x.csv:3: expected 2 cells"):
        tr.read_data(written(tmp_path / "x.csv", "a\tb\n1\t2\n3\n".encode("utf-16")))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_evidence(form: str, tmp_path: Path) -> None:
    cases = tr.read_evidence(
        written(tmp_path / "days.csv", FORMS[form].replace("1,5", "1.5").replace("0,25", "0.25")), NET
    )
    assert cases == [
        {"sky": "sun", "rain": "1.5"},
        {"sky": "light rain"},
        {"rain": "0.25"},
        {"sky": "sun", "rain": "2"},
    ]


def test_frames_as_their_libraries_write_them(tmp_path: Path) -> None:
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    columns = {"sky": SKY, "rain": RAIN}
    for options in (
        {},
        {"index": False},
        {"na_rep": "NA"},
        {"sep": ";", "decimal": ","},
        {"sep": "\t"},
        {"quoting": 1},
    ):
        pd.DataFrame(columns).to_csv(tmp_path / "x.csv", **options)
        assert plain(tr.read_columns(tmp_path / "x.csv")) == TABLE, options
    for options in ({}, {"separator": ";"}, {"quote_style": "always"}, {"include_bom": True}, {"null_value": "NA"}):
        pl.DataFrame(columns).write_csv(tmp_path / "x.csv", **options)
        assert plain(tr.read_columns(tmp_path / "x.csv")) == TABLE, options


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (
            "a,b,c\n1,yes,true\n2,NA,false\n?,no,true\n",
            {"a": [1, 2, None], "b": ["yes", None, "no"], "c": [True, False, True]},
        ),
        ("a\nTrue\n\nNA\n", {"a": [True, None]}),
        ("a,b\nTrue,x\n,y\n", {"a": [True, None], "b": ["x", "y"]}),
        ("id,x\n007,1\n010,2\n", {"id": [7, 10], "x": [1, 2]}),
        ("id,x\n7,1\nb,2\n", {"id": ["7", "b"], "x": [1, 2]}),
        ('a,b\n"(1,5]",x\n"(5,9]",y\n', {"a": ["(1,5]", "(5,9]"], "b": ["x", "y"]}),
        ("a;b\n1;(1,5]\n2;(5,9]\n", {"a": [1, 2], "b": ["(1,5]", "(5,9]"]}),
        ("city\nNew York\nLos Angeles\n", {"city": ["New York", "Los Angeles"]}),
        ("home town\nNew York\nLos Angeles\n", {"home town": ["New York", "Los Angeles"]}),
        ('a,b\n"x;y",1\n"z;w",2\n', {"a": ["x;y", "z;w"], "b": [1, 2]}),
        ('a,b\n"two\nlines","say ""so"""\n', {"a": ["two\nlines"], "b": ['say "so"']}),
        ("land,1998,1999\nPeru,1,2\n", {"land": ["Peru"], "1998": [1], "1999": [2]}),
        ("x,y\n9007199254740993,1e400x\n", {"x": [9007199254740992.0], "y": ["1e400x"]}),
    ],
)
def test_columns_of_words_and_of_numbers(text: str, columns: dict, tmp_path: Path) -> None:
    assert plain(tr.read_columns(written(tmp_path / "x.csv", text))) == columns


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("a,a\n1,2\n", {}, "x.csv:1: two columns have the name 'a'; rename one of them"),
        ("a,,b\n1,2,3\n", {}, "x.csv:1: column 2 has no name; name it in the header, or ignore it by its number"),
        (
            "yes,23\nno,31\n",
            {},
            "x.csv:1: column 1: 'yes' is not a number; leave a missing cell empty; names of columns",
        ),
        ("a,b\ncaf\xe9,1\n".encode("latin-1"), {}, "x.csv:2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("id,x\nq,1\n", {"ignore": "idd"}, "x.csv: there is no column 'idd'; did you mean 'id'?; there are id, x"),
        ("id,x\nq,1\n", {"columns": 2}, "there is no column 2"),
        ("id,x\nq,1\n", {"ignore": ["id", "x"]}, "there is no column left"),
        ("1,2\n3,4\n", {"columns": "a"}, "there is no column 'a'; there are 0 … 1, and no header"),
        ("v;w\n1,234;x\n2.5;y\n", {}, "x.csv:1: column 1 ('v'): numbers have commas, or marks between thousands"),
        ('v,w\n"1,234.5",x\n"2",y\n', {}, "x.csv:1: column 1 ('v'): numbers have commas, or marks between thousands"),
        ("a,b\n1,2\n3\n", {}, "x.csv:3: expected 2 cells as in the first row, found 1"),
        ("a,b\n", {}, "x.csv: has a header, but no rows"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(text: str | bytes, options: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(tr.FormatError) as caught:
        tr.read_columns(written(tmp_path / "x.csv", text), **options)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_text_in_a_column_of_numbers_names_the_remedy(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "id,x\n1,1\n2,b\n")
    with pytest.raises(tr.FormatError, match=r"x.csv:3: column 2 \('x'\): 'b' is not a number.*--ignore"):
        tr.read_data(path)
    assert tr.read_data(path, ignore="x").tolist() == [[1], [2]]
    assert tr.read_data(path, columns=["id"]).tolist() == [[1], [2]]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8).map(str.strip)
WORDS = CELLS.filter(lambda cell: not is_number(cell))


@sweep(150)
@given(
    names=st.lists(
        WORDS.filter(lambda w: w[:1].isalpha() and w != "Unnamed: 0"),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    data=st.data(),
)
def test_columns_come_back(names: list[str], data: st.DataObject, folder: Path) -> None:
    n = data.draw(st.integers(1, 4))
    words = st.lists(st.none() | WORDS.filter(lambda w: w[:1].isalpha() or ord(w[0]) > 127), min_size=n, max_size=n)
    reals = st.lists(st.floats(allow_infinity=False), min_size=n, max_size=n).map(np.array)
    whole = st.lists(st.integers(-(2**53) + 1, 2**53 - 1), min_size=n, max_size=n).map(np.array)
    columns = {name: data.draw(st.one_of(words, reals, whole)) for name in names}
    tr.write_data(folder / "x.csv", columns)
    back = plain(tr.read_columns(folder / "x.csv"))
    assert back == plain(columns)


@sweep(100)
@given(
    rows=st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=4)),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
)
def test_the_delimiter_is_found_whatever_the_cells_hold(rows: list[list[str]], delimiter: str, folder: Path) -> None:
    header = [f"column {i}" for i in range(len(rows[0]))]
    (folder / "x.csv").write_bytes(text_of_rows([header, *rows], delimiter).encode())
    states = {name: tuple({row[k] for row in rows} | {"some state"}) for k, name in enumerate(header)}
    net = tr.MarkovNetwork(states, [])
    found = tr.read_evidence(folder / "x.csv", net)
    assert [[case[name] for name in header] for case in found] == rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


# ---------------------------------------------------------------- evidence and states


def test_a_state_may_be_called_na(tmp_path: Path) -> None:
    net = tr.MarkovNetwork({"a": ["NA", "yes"], "b": ["no", "yes"]}, [])
    path = written(tmp_path / "x.csv", "a,b\nNA,NA\n,yes\n")
    with pytest.raises(tr.FormatError, match=r"'b' has no state 'maybe'"):
        tr.read_evidence(written(tmp_path / "y.csv", "a,b\n?,maybe\n"), net)
    assert tr.read_evidence(path, net) == [{"a": "NA"}, {"b": "yes"}]


def test_numbers_name_states(tmp_path: Path) -> None:
    net = tr.MarkovNetwork({"a": ["1", "2"], "b": ["False", "True"], "c": ["x", "y"]}, [])
    path = written(tmp_path / "x.csv", "a,b,c\n1.0,true,1\n2,0,y\n")
    assert tr.read_evidence(path, net) == [{"a": "1", "b": "True", "c": "y"}, {"a": "2", "b": "False", "c": "y"}]


def test_a_column_that_is_no_variable_names_the_remedy(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "id,sky\n7,sun\n8,\n")
    with pytest.raises(tr.FormatError, match=r"x.csv:1: unknown variable 'id'.*--ignore id"):
        tr.read_evidence(path, NET)
    assert (
        tr.read_evidence(path, NET, ignore="id") == tr.read_evidence(path, NET, columns="sky") == [{"sky": "sun"}, {}]
    )


def test_evidence_in_tables(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    tr.write_data(tmp_path / "x.parquet", {"id": [1, 2], "sky": ["sun", None], "rain": [1.5, 2.0]})
    found = [{"sky": "sun", "rain": "1.5"}, {"rain": "2"}]
    assert tr.read_evidence(tmp_path / "x.parquet", NET, ignore="id") == found
    with pytest.raises(tr.FormatError, match=r"x.parquet: .*'id'.*--ignore id"):
        tr.read_evidence(tmp_path / "x.parquet", NET)
    np.save(tmp_path / "x.npy", np.array([[0, 1.5], [nan, 2]]))
    assert tr.read_evidence(tmp_path / "x.npy", NET) == found


def test_parquet_of_words(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    kinds = arrow.array(["b", None, "a"]).dictionary_encode()
    table = {"word": ["x", None, "y"], "kind": kinds, "yes": [True, False, None], "n": [1, 2, 3], "x": [0.5, None, 1.0]}
    write_table(arrow.table(table), tmp_path / "x.parquet")
    found = plain(tr.read_columns(tmp_path / "x.parquet"))
    assert found == {
        "word": ["x", None, "y"],
        "kind": ["b", None, "a"],
        "yes": [True, False, None],
        "n": [1, 2, 3],
        "x": [0.5, None, 1.0],
    }
    assert tr.read_data(tmp_path / "x.parquet", columns=["x", "n"]).shape == (3, 2)
    tr.write_data(tmp_path / "y.parquet", tr.read_columns(tmp_path / "x.parquet"))
    assert plain(tr.read_columns(tmp_path / "y.parquet")) == found


def test_sequences_by_a_column_of_words(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", ",where,day,rain\n0,Ulm,d1,1\n1,Ulm,d2,2\n2,Bern,d1,3\n")
    for by, ignore in (("where", "day"), (0, 1), ("0", ["day"])):
        found = tr.read_sequences(path, by=by, ignore=ignore)
        assert [part["rain"].tolist() for part in found] == [[1, 2], [3]]
    assert [list(part) for part in tr.read_sequences(path, by="where", columns="rain")] == [["rain"], ["rain"]]


# ---------------------------------------------------------------- the commands


def said(capsys: pytest.CaptureFixture, *argv: str, code: int = 0) -> str:
    capsys.readouterr()
    assert run(list(argv)) == code
    out, err = capsys.readouterr()
    return out if code == 0 else err


@pytest.fixture
def asia(tmp_path: Path) -> str:
    tr.save(NET, tmp_path / "net.bif")
    return str(tmp_path / "net.bif")


@pytest.mark.parametrize("form", [form for form in FORMS if "1,5" not in FORMS[form]])
def test_all_commands_read_every_form(form: str, asia: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data, model = written(tmp_path / "days.csv", FORMS[form]), str(tmp_path / "m.bif")
    said(capsys, "fit", "network", asia, data, "-o", model, "--quiet")
    score = json.loads(said(capsys, "score", model, data, "--json"))["log_likelihood"]["value"]
    cases = [{"sky": "sun", "rain": "1.5"}, {"sky": "light rain"}, {"rain": "0.25"}, {"sky": "sun", "rain": "2"}]
    assert score == pytest.approx(float(tr.log_likelihood(tr.load(model), cases)))
    lines = said(capsys, "query", model, "--evidence-file", data, "--json").splitlines()
    assert len(lines) == 4
    out = str(tmp_path / "out.csv")
    said(capsys, "impute", asia, data, "-o", out)
    whole = plain(tr.read_columns(out))
    assert whole == {"sky": ["sun", "light rain", "light rain", "sun"], "rain": [1.5, 0.25, 0.25, 2.0]}


def test_impute_leaves_what_stands_there(asia: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    text = '"";"id";"rain";"sky"\n"r1";"a;1";2;"sun"\n"r2";"b";NA;"sun"\n'
    data, out = written(tmp_path / "x.csv", text), tmp_path / "out.csv"
    said(capsys, "impute", asia, data, "-o", str(out), "--ignore", "id")
    assert out.read_text() == ';id;rain;sky\nr1;"a;1";2;sun\nr2;b;2;sun\n'
    hidden = written(tmp_path / "y.csv", "id,rain\n7,0.25\n8,\n")
    said(capsys, "impute", asia, hidden, "-o", str(out), "--ignore", "id")
    assert out.read_text() == "id,rain,sky\n7,0.25,light rain\n8,0.25,light rain\n".replace(
        "light rain", '"light rain"'
    )


def test_impute_sequences_keeps_the_column_that_cuts_them(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    text = "where;day;rain\nUlm;d1;1,5\nUlm;d2;NA\nBern;d1;0,5\n"
    data, model, out = written(tmp_path / "x.csv", text), str(tmp_path / "m.safetensors"), tmp_path / "out.csv"
    chain = tr.HiddenMarkovModel([1.0], [[1.0]], tr.DiagonalGaussianEmissions([[2.25]], [[1.0]]))
    tr.save(chain, model)
    said(capsys, "impute", model, data, "--by", "where", "--ignore", "day", "-o", str(out))
    assert out.read_text() == text.replace("NA", "2,25")
    said(capsys, "impute", model, data, "--by", "0", "--columns", "rain", "-o", str(out))
    assert out.read_text() == text.replace("NA", "2,25")
    assert "'d1' is no number" in said(capsys, "score", model, data, "--by", "where", code=2)


def test_a_machine_reads_some_columns(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("jax")
    machine = tr.restricted(couplings=np.array([[1.0], [-1.0]]), visible_bias=np.zeros(2), hidden_bias=np.zeros(1))
    tr.save(machine, model := str(tmp_path / "m.safetensors"))
    data = written(tmp_path / "x.csv", "id,a,b\nq,1,0\nr,0,1\n")
    expected = float(tr.log_likelihood(machine, np.array([[1, 0], [0, 1]])))
    for options in (["--ignore", "id"], ["--columns", "a,b"], ["--columns", "1", "--columns", "2"]):
        found = json.loads(said(capsys, "score", model, data, *options, "--json"))
        assert found["log_likelihood"]["value"] == pytest.approx(expected)
    assert "'q' is not a number" in said(capsys, "score", model, data, code=2)
    out = tmp_path / "out.csv"
    said(
        capsys,
        "fit",
        "rbm",
        data,
        "--ignore",
        "id",
        "--hidden",
        "1",
        "--epochs",
        "1",
        "-o",
        str(tmp_path / "n.safetensors"),
        "-q",
    )
    gaps = written(tmp_path / "y.csv", "id,a,b\nq,1,\nr,,\n")
    said(capsys, "impute", model, gaps, "--ignore", "id", "-o", str(out))
    lines = [line.split(",") for line in out.read_text().splitlines()]
    assert lines[0] == ["id", "a", "b"] and lines[1][:2] == ["q", "1"] and 0 < float(lines[1][2]) < 1
    assert [line[0] for line in lines] == ["id", "q", "r"]


# ---------------------------------------------------------------- standard input and output, pipes


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts text on the standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_a_dash_is_the_standard_input(asia: str, tmp_path: Path, typed: Any, capsys: pytest.CaptureFixture) -> None:
    text = FORMS["R write.csv"]
    typed(text)
    assert plain(tr.read_columns("-")) == TABLE
    typed(text)
    assert len(tr.read_evidence("-", NET)) == 4
    typed(text)
    assert len(said(capsys, "query", asia, "--evidence-file", "-", "--json").splitlines()) == 4
    typed("where,rain\nUlm,1\nBern,2\n")
    assert len(tr.read_sequences("-", by=0)) == 2
    typed("a,b\n1,2\n3\n")
    with pytest.raises(tr.FormatError, match=r"^standard input:3: expected 2 cells"):
        tr.read_data("-")
    fit = ["fit", "network", asia, "-", "--validation", "-", "-o", str(tmp_path / "m.bif")]
    assert "DATA and --validation both ask for the standard input" in said(capsys, *fit, code=2)


def test_a_dash_is_the_standard_output(asia: str, typed: Any, capfdbinary: pytest.CaptureFixture) -> None:
    typed(FORMS["pandas"])
    assert run(["impute", asia, "-", "-o", "-"]) == 0
    out, err = capfdbinary.readouterr()
    rows = b',sky,rain\n0,sun,1.5\n1,"light rain",0.25\n2,"light rain",0.25\n3,sun,2.0\n'
    assert (out, err) == (rows, b"wrote 4 rows\n")
    assert run(["sample", asia, "-n", "2", "-o", "-", "--quiet"]) == 0
    out, err = capfdbinary.readouterr()
    assert out.startswith(b"sky,rain\n") and out.count(b"\n") == 3 and not err
    assert run(["sample", asia, "-n", "2", "-o", "-", "--json"]) == 2
    assert b"--json and --output - both go to the standard output" in capfdbinary.readouterr()[1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("name", ["pipe", "pipe.csv"])
def test_pipes_hold_csv(name: str, tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / name)
    writer = threading.Thread(target=lambda: pipe.write_text(FORMS["pandas"]))
    writer.start()
    try:
        assert plain(tr.read_columns(pipe)) == TABLE
    finally:
        writer.join()


@pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="the standard input is no file")
def test_the_standard_input_as_a_file(tmp_path: Path) -> None:
    import subprocess

    code = "import tractable as tr; print(tr.read_data('/dev/stdin').tolist())"
    for stdin in (subprocess.PIPE, (tmp_path / "x.csv")):
        text = b"a;b\n1,5;2\n"
        if stdin is subprocess.PIPE:
            done = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, check=True)
        else:
            stdin.write_bytes(text)
            with open(stdin, "rb") as file:
                done = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True, check=True)
        assert done.stdout == b"[[1.5, 2.0]]\n"


# ---------------------------------------------------------------- writing names


def test_names_are_written_where_there_are_some(tmp_path: Path) -> None:
    tr.write_data(tmp_path / "x.csv", {"a": [0.5, nan], "b": ["x", None], "c": np.array([True, False]), "d": [1, 2]})
    assert (tmp_path / "x.csv").read_text() == "a,b,c,d\n0.5,x,True,1\n,,False,2\n"
    with pytest.raises(tr.FormatError, match="these names of columns would be taken for data: 0, 1"):
        tr.write_data(tmp_path / "x.csv", {"0": [1], "1": [2]})
    tr.write_data(tmp_path / "x.npy", {"a": [1, 2], "b": [3, 4]})
    assert np.load(tmp_path / "x.npy").tolist() == [[1, 3], [2, 4]]
    with pytest.raises(tr.FormatError, match="the column 'b' holds text"):
        tr.write_data(tmp_path / "x.npy", {"a": [1, 2], "b": ["x", "y"]})
    with pytest.raises(tr.FormatError, match="the column 'b' has 1 rows"):
        tr.write_data(tmp_path / "x.csv", {"a": [1, 2], "b": [3]})
    assert plain(tr.read_columns(tmp_path / "x.csv"))["d"] == [1, 2]  # as it was


# ---------------------------------------------------------------- long lines


@pytest.mark.parametrize("cells", [["0", "1"], ["0.5", "12.25"], ["0", "NA"]])
@pytest.mark.parametrize("name", ["", "v{}", "{}"])
def test_a_long_line_is_work_in_proportion(cells: list[str], name: str, tmp_path: Path) -> None:
    n = 100_000
    line = ",".join(cells * (n // 2))
    header = [",".join(name.format(k) for k in range(n))] if name else []
    path = written(tmp_path / "x.csv", "\n".join([*header, line, line]))
    with counted() as effort:
        table = tr.read_data(path)
    assert table.shape == (2, n) and effort.calls < 8 * n and effort.peak < 80 * os.path.getsize(path)
    columns = tr.read_columns(path)
    assert isinstance(columns, np.ndarray) if not name else list(columns) == header[0].split(",")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('a,b c,d\n> 2,"(1,2]","(0,1]"\n> 2,"(0,1]","(0,1]"\n', ["a", "b c", "d"]),
        ('a,b\n"x; y","p; q"\n"x","p; q; r"\n', ["a", "b"]),
        ('a;b\n"1,5 and 2,5";"x y"\n"3,5";"x"\n', ["a", "b"]),
    ],
)
def test_what_is_quoted_does_not_separate(text: str, names: list[str], tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(text)
    assert list(tr.read_columns(tmp_path / "rows.csv")) == names
