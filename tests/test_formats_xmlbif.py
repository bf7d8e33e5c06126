"""The XMLBIF reader, checked on files written by hand, and what it says about bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile import complaint
from models_at_random import same

from tractable.formats import load
from tractable.models import BayesianNetwork

NET = """<?xml version="1.0"?>
<BIF VERSION="0.3">
<NETWORK>
<NAME>skew &amp; co</NAME>
<VARIABLE TYPE="nature"><NAME> a </NAME><OUTCOME>x</OUTCOME><OUTCOME>y</OUTCOME><PROPERTY>p = 1</PROPERTY></VARIABLE>
<VARIABLE><NAME>b</NAME><OUTCOME>p</OUTCOME><OUTCOME>&lt;5</OUTCOME><OUTCOME>Asy/Patch</OUTCOME></VARIABLE>
<VARIABLE><NAME>c</NAME><OUTCOME>t</OUTCOME><OUTCOME>f</OUTCOME></VARIABLE>
<DEFINITION><FOR>c</FOR><GIVEN>b</GIVEN><GIVEN>a</GIVEN>
  <TABLE><!-- a = x, y -->
    0.1 0.9  0.2 0.8 <!-- b = p -->
    0.3 0.7  0.4 0.6
    .5 5e-1  6.0E-1 0.4
  </TABLE>
</DEFINITION>
<DEFINITION><FOR>a</FOR><TABLE>0.25 0.75</TABLE></DEFINITION>
<DEFINITION><FOR>b</FOR><TABLE>0.2 0.3 0.5</TABLE></DEFINITION>
</NETWORK>
</BIF>
"""


def test_a_table_lists_the_given_variables_first_and_the_child_fastest(tmp_path: Path) -> None:
    (tmp_path / "net.xml").write_text(NET)
    net = load(tmp_path / "net.xml")
    assert isinstance(net, BayesianNetwork)
    assert net.name == "skew & co"
    assert net.states == {"a": ("x", "y"), "b": ("p", "<5", "Asy/Patch"), "c": ("t", "f")}
    assert net.parents["c"] == ("b", "a")
    assert net.tables["c"][..., 0].tolist() == [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1", "utf-8"])
def test_the_declared_encoding_is_honoured(encoding: str, tmp_path: Path) -> None:
    text = NET.replace('"1.0"', f'"1.0" encoding="{encoding}"', 1).replace("Asy", "Asé")
    (tmp_path / "net.xml").write_bytes(text.encode(encoding))
    assert load(tmp_path / "net.xml").states["b"][2] == "Asé/Patch"


DOCUMENT_TYPE = """<!DOCTYPE BIF [
  <!ELEMENT BIF ( NETWORK )*>
  <!ATTLIST BIF VERSION CDATA #REQUIRED>
  <!ELEMENT VARIABLE ( NAME, ( OUTCOME | PROPERTY )* ) >
  <!ATTLIST VARIABLE TYPE (nature|decision|utility) "nature">
]>
"""


def test_a_document_type_without_entities_is_harmless(tmp_path: Path) -> None:
    (tmp_path / "one.xml").write_text(NET)
    (tmp_path / "two.xml").write_text(NET.replace("<BIF", DOCUMENT_TYPE + "<BIF", 1))
    assert same(load(tmp_path / "one.xml"), load(tmp_path / "two.xml"))


BOMB = '<!DOCTYPE BIF [<!ENTITY a "ha">\n<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>\n'
BAD = [
    ("</VARIABLE>", "", ":17: not well-formed XML: mismatched tag"),
    ("</BIF>", "", ":19: not well-formed XML: no element found"),
    ("<BIF", "<BOF", ":2: an XMLBIF file begins with <BIF>, found <BOF>; is it another format?"),
    ("<BIF", BOMB + "<BIF", ":2: the file declares or uses the entity 'a'; write its text instead"),
    (
        "<BIF",
        '<!DOCTYPE BIF [<!ENTITY x SYSTEM "file:///etc/passwd">]><BIF',
        ":2: the file declares or uses the entity 'x'",
    ),
    ("<BIF", '<!DOCTYPE BIF SYSTEM "http://localhost/x.dtd"><BIF', None),
    (
        "<BIF",
        "<!DOCTYPE BIF [" + '<!ATTLIST BIF a CDATA "v">' * 300 + "]><BIF",
        ":2: more than 256 attribute declarations",
    ),
    ("co</NAME>", "&who;</NAME>", ":4: not well-formed XML: undefined entity"),
    ("<OUTCOME>x", "<OUTCOME><b>x</b>", ":5: an element <b> inside <OUTCOME>, which holds text only"),
    ("<NAME> a </NAME>", "", ":5: a VARIABLE has 0 NAMEs; give it one"),
    ("<NAME> a </NAME>", "<NAME>b</NAME>", ":6: variable 'b' is declared twice"),
    ("<OUTCOME>y", "<OUTCOME>x", ":5: variable 'a' has the state 'x' twice"),
    ("<OUTCOME>t</OUTCOME><OUTCOME>f</OUTCOME>", "", ":7: variable 'c' has no OUTCOME; give it at least one"),
    ('TYPE="nature"', 'TYPE="utility"', ":5: a variable of type 'utility'; only nature variables can be read"),
    ("<FOR>a</FOR>", "", ":15: a DEFINITION needs one FOR and one TABLE"),
    ("<FOR>a</FOR>", "<FOR>alpha</FOR>", ":15: unknown variable 'alpha'"),
    ("<FOR>a</FOR>", "<FOR>b</FOR>", ":15: the table of 'b' has 2 numbers, it needs 3"),
    (
        "<FOR>b</FOR><TABLE>0.2 0.3 0.5",
        "<FOR>a</FOR><TABLE>0.5 0.5",
        ":16: variable 'a' has a second table; keep one",
    ),
    (
        "<DEFINITION><FOR>b</FOR><TABLE>0.2 0.3 0.5</TABLE></DEFINITION>",
        "",
        ":6: variable 'b' has no DEFINITION; add one",
    ),
    ("<GIVEN>a</GIVEN>", "<GIVEN>b</GIVEN>", ":9: a table names 'b' twice"),
    ("<GIVEN>a</GIVEN>", "", ":9: the table of 'c' has 12 numbers, it needs 6"),
    ("0.25", "0.24", ":15: variable 'a': row 0 of the table sums to 0.99, not to 1"),
    ("6.0E-1", "0.5", ":9: variable 'c': row 5 of the table sums to 0.9, not to 1"),
    ("0.25", "-0.25", ":15: '-0.25' is not a finite number ≥ 0"),
    ("0.25", "inf", ":15: 'inf' is not a finite number ≥ 0"),
    ("0.25", "a quarter", ":15: 'a' is not a number"),
    ("<FOR>a</FOR>", "<FOR>a</FOR><GIVEN>c</GIVEN>", ":15: the table of 'a' has 2 numbers, it needs 4"),
    ('"1.0"', '"1.0" encoding="nonsense"', ":1: "),
    ('"1.0"', '"1.0" encoding="utf-32"', ":1: "),
    ('"1.0"', '"1.0" encoding="gb18030"', ":1: "),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD, ids=[str(message)[:60] for *_, message in BAD])
def test_complaints_name_the_line_and_the_cause(old: str, new: str, message: str | None, tmp_path: Path) -> None:
    assert old in NET
    text = NET.replace(old, new, 1)
    if message is None:  # an external document type is never fetched
        (tmp_path / "net.xml").write_text(text)
        load(tmp_path / "net.xml")
    else:
        assert complaint(tmp_path / "net.xml", text).startswith(f"net.xml{message}")


def test_a_cycle_is_shown_and_located(tmp_path: Path) -> None:
    text = "<BIF><NETWORK>\n"
    text += "".join(f"<VARIABLE><NAME>{v}</NAME><OUTCOME>s</OUTCOME></VARIABLE>\n" for v in "abc")
    for v, u in ("ab", "bc", "ca"):
        text += f"<DEFINITION><FOR>{v}</FOR><GIVEN>{u}</GIVEN><TABLE>1</TABLE></DEFINITION>\n"
    message = complaint(tmp_path / "net.xml", text + "</NETWORK></BIF>")
    assert message.startswith("net.xml:5: the parents form a directed cycle: a → ")


def test_deep_and_wide_files_are_refused_soon(tmp_path: Path) -> None:
    n = 200_000
    for text in (
        "<BIF>" + "<a>" * n,
        "<BIF>" + "".join(f"<a{i}>" for i in range(n)),
        "<BIF><NETWORK>" + "<VARIABLE>" * 20 + "</VARIABLE>" * 20,
        "<BIF " + " ".join(f'a{i}="x"' for i in range(20_000)) + "><NETWORK/></BIF>",
        "<BIF><NETWORK>" + "x" * 1_000_000 + "</NETWORK></BIF>",
        "<!DOCTYPE BIF [<!ELEMENT BIF " + "(" * n + "]><BIF/>",
        "<!DOCTYPE BIF [<!ENTITY % p '" + "%q;" * 100 + "'> %p;]><BIF/>",
        "<BIF><NETWORK><!-- " + "-" * n,
        "<BIF><![CDATA[" + "]" * n,
    ):
        complaint(tmp_path / "net.xml", text)
