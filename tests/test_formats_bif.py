"""The BIF reader: the forms that files come in, and what it says about bad ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hostile import complaint
from test_formats import ASYMMETRIC

from tractable.formats import bif as reader
from tractable.formats import load, save
from tractable.models import BayesianNetwork

HEAD = """network skew {
}
variable a { type discrete [ 2 ] { x, y }; }
variable b { type discrete [ 3 ] { p, q, r }; }
variable c { type discrete [ 2 ] { t, f }; }
probability ( a ) { table 0.25, 0.75; }
probability ( b ) { table .2 3e-1 5.0E-1; }
"""
TABLE = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]  # p(c = t | a, b)


def read(folder: Path, text: str) -> BayesianNetwork:
    path = folder / "net.bif"
    path.write_text(text, encoding="utf-8")
    net = load(path)
    assert isinstance(net, BayesianNetwork)
    return net


# ---------------------------------------------------------------- forms


def test_a_table_lists_the_child_slowest_and_the_last_parent_fastest(tmp_path: Path) -> None:
    body = "probability ( c | a, b ) { table 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4; }"
    net = read(tmp_path, HEAD + body)
    assert net.tables["c"][..., 0].tolist() == TABLE
    assert net.tables["b"].tolist() == [0.2, 0.3, 0.5]


def test_rows_go_where_their_labels_say(tmp_path: Path) -> None:
    rows = [
        f"({x}, {p}) {t}, {1 - t};"
        for x, line in zip("xy", TABLE, strict=True)
        for p, t in zip("pqr", line, strict=True)
    ]
    for order in ([0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5], [5, 2, 0, 4, 1, 3]):
        net = read(tmp_path, HEAD + "probability ( c | a, b ) {\n" + "\n".join(rows[k] for k in order) + "\n}")
        assert net.tables["c"][..., 0].tolist() == TABLE


def test_parents_may_come_in_another_order_than_the_variables(tmp_path: Path) -> None:
    rows = "(p, x) .1 .9; (p, y) .4 .6; (q, x) .2 .8; (q, y) .5 .5; (r, x) .3 .7; (r, y) .6 .4;"
    net = read(tmp_path, HEAD + f"probability ( c | b, a ) {{ {rows} }}")
    assert net.parents["c"] == ("b", "a")
    assert net.tables["c"][..., 0].tolist() == np.transpose(TABLE).tolist()


def test_a_default_row_fills_the_gaps(tmp_path: Path) -> None:
    net = read(
        tmp_path, HEAD + "probability ( c | a, b ) { default 0.75, 0.25; (y, q) 0.5, 0.5; property late; (x, r) 0, 1; }"
    )
    assert net.tables["c"][..., 0].tolist() == [[0.75, 0.75, 0.0], [0.75, 0.5, 0.75]]
    net = read(tmp_path, HEAD + "probability ( c | a ) { (x) 1 0; (y) 0 1; default 0.5 0.5; }")
    assert net.tables["c"].tolist() == [[1, 0], [0, 1]]


def test_the_old_dialect_is_read(tmp_path: Path) -> None:
    text = """
    network "dog { problem }" { //3 variables
      property "author: \\"nobody\\" // not a comment";
      property version 1.0 (draft) [2];
    }
    /* a block
       of comment } */
    variable  "light on" { //2 values
      property "position = (218, 195)" ;
      type discrete[2] {  "a, b"  "};" };
    }
    variable "family-out" { type discrete[2] { "true" "false" }; property x; }
    probability ( "light on"  "family-out" ) { //2 variables and 4 values
      table 0.6 0.05 0.4 0.95 ;
    }
    probability ("family-out") { table 0.15 /* why */ 0.85 ; }
    """
    net = read(tmp_path, text)
    assert net.name == "dog { problem }"
    assert net.states == {"light on": ("a, b", "};"), "family-out": ("true", "false")}
    assert net.parents["light on"] == ("family-out",)
    assert net.tables["light on"].tolist() == [[0.6, 0.4], [0.05, 0.95]]


def test_blocks_may_come_in_any_order(tmp_path: Path) -> None:
    lines = HEAD.splitlines()
    net = read(tmp_path, "\n".join([*lines[5:], "probability ( c ) { table 1 0; }", *lines[2:5], *lines[:2]]))
    assert net.variables == ("a", "b", "c")
    assert net.name == "skew"


def test_names_are_quoted_only_where_they_must_be(tmp_path: Path) -> None:
    net = BayesianNetwork({"Asy/Patch": ["<5", "a b", "é", "x//y", ""]}, {}, {"Asy/Patch": [0.2] * 5})
    save(net, tmp_path / "net.bif")
    assert '{ <5, "a b", é, "x//y", "" };' in (tmp_path / "net.bif").read_text(encoding="utf-8")
    assert "probability ( Asy/Patch ) {" in (tmp_path / "net.bif").read_text(encoding="utf-8")


def test_rows_near_one_are_normalized_once(tmp_path: Path) -> None:
    net = read(
        tmp_path, "variable a { type discrete [3] { x, y, z }; } probability ( a ) { table 0.333 0.333 0.3339; }"
    )
    assert abs(net.tables["a"].sum() - 1) < 1e-15
    save(net, tmp_path / "again.bif")
    again = load(tmp_path / "again.bif")
    assert again.packed.values.tobytes() == net.packed.values.tobytes()


# ---------------------------------------------------------------- complaints

C = "probability ( c | a ) {\n(x) 0.5, 0.5;\n(y) 0.5, 0.5;\n}\n"

BAD = [
    ("nonsense { here }", ":8: expected network, variable or probability, found 'nonsense'"),
    ("", ":5: variable 'c' has no probability block; add one"),
    ("probability ( c ) { }", ":8: 'c' has 0 of 1 rows; add the others, or a default"),
    ("probability ( c ) {", ":8: the probability block has no closing '}'; is the file cut short?"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n}", ":8: 'c' has 1 of 2 rows"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(x) 0.5, 0.5;\n}", ":10: this row of 'c' is given twice"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(y) 0.5 0.4 0.1;\n}", ":10: expected 2 numbers, found 3"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(y) 0.5;\n}", ":10: expected 2 numbers, found 1"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(y) 0.5\n ,0.4;\n}", ":10: variable 'c': row 1 of the table sums to 0.9"),
    ("probability ( c | a ) {\n(y) 0.5, 0.4;\n(x) 0.5, 0.5;\n}", ":9: variable 'c': row 1 of the table sums to 0.9"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(y) 1.5\n -0.5;\n}", ":11: '-0.5' is not a finite number ≥ 0"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(y) nan, 1;\n}", ":10: 'nan' is not a finite number ≥ 0"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(y) 1e999, 1;\n}", ":10: '1e999' is not a finite number ≥ 0"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(y) 0_5, 1;\n}", ":10: '0_5' is not a number"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(y) ٠, 1;\n}", ":10: '٠' is not a number"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(y) one, 1;\n}", ":10: 'one' is not a number"),
    ('probability ( c | a ) {\n(x) 0.5, 0.5;\n(y) "1", 0;\n}', ":10: expected numbers, found a name in quotes"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(yy) 0.5, 0.5;\n}", ":10: variable 'a' has no state 'yy' (it has x, y)"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(y, p) 0.5, 0.5;\n}", ":10: expected 1 states of parents, found 2"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(y 0.5, 0.5;\n}", ":10: expected ')' after the states of a row"),
    ("probability ( c | a ) {\n(x) 0.5, 0.5;\n(y) 0.5, 0.5\n}", ":10: expected ';' after a row of"),
    ("probability ( c | a ) {\ntable 0.5, 0.5, 0.5;\n}", ":9: expected 4 numbers, found 3"),
    ("probability ( c | a ) {\ntable 0.5, 0.5, 0.5, 0.4;\n}", ":9: variable 'c': row 1 of the table sums to 0.9"),
    ("probability ( c | a ) {\ndefault 0.5, 0.4;\n}", ":9: variable 'c': row 0 of the table sums to 0.9"),
    ("probability ( c | a ) {\ntable 1 1 0 0;\ntable 1 1 0 0;\n}", ":10: expected one table, or rows and one default"),
    ("probability ( c | a ) {\ntable 1 1 0 0;\n(x) 1 0;\n}", ":8: 'c' has a table and rows; keep one of them"),
    ("probability ( c | a ) {\nproperty endless\n}", ":9: expected ';' after the property, found '}'"),
    ("probability ( c | a ) {\nfunction f(x);\n}", ":9: expected one table, or rows and one default, in the prob"),
    ("probability ( c | d ) {\n}", ":8: unknown variable 'd'"),
    ("probability ( c | a, a ) {\n}", ":8: a probability block names 'a' twice"),
    ("probability ( c | c ) {\n}", ":8: a probability block names 'c' twice"),
    ("probability ( ) {\n}", ":8: a probability block names no variable"),
    ("probability c { table 1 0; }", ":8: expected '(' after 'probability'"),
    (C + C, ":12: variable 'c' has a second probability block; keep one"),
    (C + "variable a { type discrete [ 1 ] { x }; }", ":12: variable 'a' is declared twice"),
    (C + "variable d { type discrete [ 2 ] { x }; }", ":12: variable 'd' declares '2' states and lists 1"),
    (
        C + "variable d { type discrete [ 1152921504606846976 ] { x }; }",
        ":12: variable 'd' declares '1152921504606846976'",
    ),
    (C + "variable d { type discrete [ 2 ] { x, x }; }", ":12: variable 'd' has the state 'x' twice; rename one"),
    (C + "variable d { type discrete [ 0 ] { }; }", ":12: variable 'd' has no states; give it at least one"),
    (C + "variable d { type continuous; }", ":12: variable 'd' is not discrete; only discrete variables"),
    (C + "variable d { }", ":12: variable 'd' has no type; add: type discrete [ n ] { … };"),
    (C + "variable d { type discrete { x, y }; }", ":12: expected '[' after the type of 'd', found '{'"),
    (C + "variable d { type discrete [ 2 ] { x y, z, u }; }", ":12: variable 'd' declares '2' states and lists 3"),
    (C + "variable d { type discrete [ 2 ] { x; y }; }", ":12: expected '}' after the type of 'd', found ';'"),
    (C + "variable d { type discrete [ 1 ] { x } y }", ":12: expected type or property once each, found 'y'"),
    (C + "variable { }", ":12: expected a name after 'variable'; add one"),
    (C + "variable d e { }", ":12: variable 'd e' has no type; add: type discrete [ n ] { … };"),
    (C + 'variable "d" e { }', ":12: 'd e' is a name in quotes and more; quote the whole name"),
    (C + "variable d\ntype discrete [ 1 ] { x }; }", ":12: expected '{' after the variable's name, found '['"),
    (C + "network x", ":12: unexpected 'network' after the last block"),
    (C + "network (\nx { }", ":12: expected '{' after the network's name, found '('"),
    (C + "network x {", ":12: the network block has no closing '}'; is the file cut short?"),
    (C + '"never closed', ':12: " is never closed'),
    (C + "\n/* never closed", ":13: /* is never closed"),
    (C + "}", ":12: expected network, variable or probability, found '}'"),
    (C + "tail", ":12: unexpected 'tail' after the last block"),
    ("probability ( c ) { table 1 0; }\n" + "{" * 100_000, ":9: expected network, variable or probability"),
    ("probability ( c ) " + "(" * 100_000, ":8: the probability block has no closing"),
]


@pytest.mark.parametrize(("tail", "message"), BAD, ids=[message[:60] for _, message in BAD])
def test_complaints_name_the_line_and_the_cause(tail: str, message: str, tmp_path: Path) -> None:
    assert complaint(tmp_path / "net.bif", HEAD + tail).startswith(f"net.bif{message}")


def test_a_cycle_is_shown_and_located(tmp_path: Path) -> None:
    text = "".join(f"variable {v} {{ type discrete [ 1 ] {{ s }}; }}\n" for v in "abc")
    text += "".join(f"probability ( {v} | {u} ) {{ (s) 1; }}\n" for v, u in ("ab", "bc", "ca"))
    assert complaint(tmp_path / "net.bif", text) in (
        "net.bif:4: the parents form a directed cycle: a → b → c → a",
        "net.bif:4: the parents form a directed cycle: a → c → b → a",
    )


def test_a_default_cannot_claim_a_huge_table(tmp_path: Path) -> None:
    names = [f"v{i}" for i in range(61)]
    text = "".join(f"variable {v} {{ type discrete [ 2 ] {{ s, t }}; }}\n" for v in names)
    text += "".join(f"probability ( {v} ) {{ table 1 0; }}\n" for v in names[1:])
    text += f"probability ( v0 | {', '.join(names[1:])} ) {{ default 0.5 0.5; }}\n"
    message = complaint(tmp_path / "net.bif", text)
    assert message.startswith(
        "net.bif:122: 'v0' has 0 of 2^60 or more rows, too many for a default; write the rows out"
    )
    message = complaint(tmp_path / "net.bif", text.replace("default 0.5 0.5;", "table 0.5 0.5;"))
    assert message.startswith("net.bif:122: expected 2^61 or more numbers, found 2")


def test_many_small_defaults_cannot_add_up_to_a_huge_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_DEFAULT_ENTRIES", 100)
    names = [f"v{i}" for i in range(20)]
    text = "".join(f"variable {v} {{ type discrete [ 2 ] {{ s, t }}; }}\n" for v in names)
    text += "".join(
        f"probability ( {v} | {', '.join(names[max(i - 3, 0) : i])} ) {{ default 0.5 0.5; }}\n"
        for i, v in enumerate(names)
    )
    assert ": 'v8' has 0 of 8 rows, too many for a default" in complaint(tmp_path / "net.bif", text)


def test_bad_files_of_some_size_are_refused_soon(tmp_path: Path) -> None:
    n = 5_000
    long, many = "x" * 1_000_000, " ".join(f"s{i}" for i in range(n))
    for text in (
        f"variable {long} {{ type discrete [ 1 ] {{ s }}; }} probability ( {long[1:]}y ) {{ table 1; }}",
        f"variable a {{ type discrete [ {n + 1} ] {{ {many} s0 }}; }}",
        "".join(f"variable v{i} {{ type discrete [ 1 ] {{ s }}; }}\n" for i in range(n))
        + "probability ( w ) { table 1; }",
        "variable a { type discrete [ 1 ] { s }; }" + "/*" * n,
        '"' * (2 * n),
        "variable a { type discrete [ 1 ] { s }; } probability ( a ) { table " + "9" * 1_000_000 + "; }",
        "variable a { type discrete [ 1 ] { s }; } probability ( a ) { " + "property " * n + "}",
    ):
        complaint(tmp_path / "net.bif", text)


def test_the_asymmetric_network_reads_the_same_by_hand(tmp_path: Path) -> None:
    save(ASYMMETRIC, tmp_path / "net.bif")
    assert "  (q, x) 0.7, 0.1, 0.1, 0.1;\n" in (tmp_path / "net.bif").read_text()
