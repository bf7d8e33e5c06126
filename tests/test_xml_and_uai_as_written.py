"""XMLBIF and UAI files as people and other programs write them: what each means, or why it is refused, and where."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hostile import complaint
from test_files_as_written import bif, is_plain, read

import tractable as tr
from tractable.cli._run import run

# ---------------------------------------------------------------- XMLBIF

XML = """<?xml version="1.0"?>
<BIF VERSION="0.3">
<NETWORK>
<NAME>Demo</NAME>
<VARIABLE TYPE="nature"><NAME>a</NAME><OUTCOME>yes</OUTCOME><OUTCOME>no</OUTCOME></VARIABLE>
<VARIABLE TYPE="nature"><NAME>b</NAME><OUTCOME>t</OUTCOME><OUTCOME>f</OUTCOME></VARIABLE>
<DEFINITION><FOR>a</FOR><TABLE>0.3 0.7</TABLE></DEFINITION>
<DEFINITION><FOR>b</FOR><GIVEN>a</GIVEN><TABLE>0.9 0.1 0.2 0.8</TABLE></DEFINITION>
</NETWORK>
</BIF>
"""
DOCTYPE = """<!-- made by a program -->
<!DOCTYPE BIF [
  <!ELEMENT BIF ( NETWORK )*>
  <!ATTLIST BIF VERSION CDATA #REQUIRED>
  <!ELEMENT VARIABLE ( NAME, ( OUTCOME |  PROPERTY )* ) >
  <!ATTLIST VARIABLE TYPE (nature|decision|utility) "nature">
]>
<BIF VER"""
NAMESPACE = '<BIF xmlns="http://a.b/c" xmlns:xsi="http://d.e/f" xsi:schemaLocation="http://a.b/c http://a.b/c.xsd" '


def xml(table: str = "0.9 0.1 0.2 0.8", state: str = "yes", kind: str = "nature") -> str:
    return XML.replace("0.9 0.1 0.2 0.8", table).replace("yes", state).replace("nature", kind)


XML_FORMS = {
    "as it should be": XML,
    "white space before the declaration": "\n  \n" + XML,
    "a byte-order mark": "\ufeff" + XML,
    "a byte-order mark and white space": "\ufeff \n" + XML,
    "no declaration": XML.partition("\n")[2],
    "a network at its root": XML.replace('<BIF VERSION="0.3">\n', "").replace("</BIF>\n", ""),
    "commas": xml(table="0.9, 0.1,\n0.2,0.8"),
    "a comment in the table": xml(table="0.9 0.1 <!-- the row of yes --> 0.2 0.8"),
    "Nature": xml(kind="Nature"),
    "chance": xml(kind="chance"),
    "discrete": xml(kind="discrete"),
    "no type": XML.replace(' TYPE="nature"', ""),
    "small letters": XML.lower().replace("demo", "Demo"),
    "a document type": XML.replace("<BIF VER", DOCTYPE),
    "a namespace": XML.replace("<BIF ", NAMESPACE),
    "a prefix": XML.replace("<", "<x:")
    .replace("<x:/", "</x:")
    .replace("<x:?", "<?")
    .replace("x:BIF ", 'x:BIF xmlns:x="http://a" '),
    "an older version": XML.replace("0.3", "0.15", 1),
    "properties": XML.replace("</OUTCOME></VAR", "</OUTCOME><PROPERTY>position = (1,2)</PROPERTY></VAR"),
    "UTF-16": XML.replace('"1.0"', '"1.0" encoding="UTF-16"').encode("utf-16"),
}
NAMES = {
    "&lt;5": "<5",
    "'\\'(-inf-2.45]\\''": "'\\'(-inf-2.45]\\''",
    "very high": "very high",
    "a,b": "a,b",
    "ouié’": "ouié’",
}


@pytest.mark.parametrize("form", XML_FORMS)
def test_an_xmlbif_file_may_have(form: str, tmp_path: Path) -> None:
    net = read(tmp_path, XML_FORMS[form], "net.xml")
    is_plain(net)
    assert net.name == "Demo"


@pytest.mark.parametrize("text", NAMES)
def test_names_in_xmlbif_are_taken_as_written(text: str, tmp_path: Path) -> None:
    is_plain(read(tmp_path, xml(state=text), "net.xml"), yes=NAMES[text])
    declared = XML.replace('"1.0"', '"1.0" encoding="windows-1252"', 1).replace("yes", text)
    is_plain(read(tmp_path, declared.encode("windows-1252"), "net.xml"), yes=NAMES[text])


XML_REFUSED = [
    (
        XML.replace("yes", "&x;").replace("<BIF", '<!DOCTYPE BIF [<!ENTITY x "yes">]>\n<BIF'),
        ":2: the file declares or uses the",
    ),
    ("\n\n<?xml version='1.0'?>\n<smile version='1.0'/>", ":4: an XMLBIF file begins with <BIF>, found <smile>; is it"),
    (
        XML.replace("DEFINITION", "PROBABILITY"),
        ":7: <PROBABILITY> is of drafts before XMLBIF 0.3, not read here; write",
    ),
    (XML.replace("0.3 0.7", ""), ":7: the table of 'a' has 0 numbers, it needs 2"),
    (xml(kind="decision"), ":5: a variable of type 'decision'; only nature variables can be read"),
    (
        '<?xml version="1.0"?>\n<BIF VERSION="0.5"><NETWORK/></BIF>',
        ":2: holds no <VARIABLE>; XMLBIF 0.3 is read, and the version",
    ),
    ("\n\n" + XML + "<", ":13: not well-formed XML"),
]


@pytest.mark.parametrize(("text", "message"), XML_REFUSED, ids=[message[:40] for _, message in XML_REFUSED])
def test_an_xmlbif_file_is_refused_with_line_and_reason(text: str, message: str, tmp_path: Path) -> None:
    assert complaint(tmp_path / "net.xml", text).startswith(f"net.xml{message}")


def test_an_observation_in_a_file_is_said_to_be_left_out(tmp_path: Path) -> None:
    text = XML.replace("<OUTCOME>f</OUTCOME>", "<OBS>t</OBS><OUTCOME>f</OUTCOME>")
    with pytest.warns(tr.FormatWarning, match=r"net\.xml:6: the observation 't' is no part of a network; give it as"):
        is_plain(read(tmp_path, text, "net.xml"))


# ---------------------------------------------------------------- UAI

UAI = "BAYES\n2\n2 2\n2\n1 0\n2 0 1\n\n2\n 0.3 0.7\n\n4\n 0.9 0.1\n 0.2 0.8\n"
UNEVEN = UAI.replace("0.9 0.1", "0.09 0.01")
UAI_FORMS = {
    "as it should be": UAI,
    "small letters": UAI.lower(),
    "a line that begins with c": "c header\n" + UAI,
    "a line that begins with #": "# header\n" + UAI,
    "comments as in C": "/* two\nlines */\n" + UAI.replace("0.7", "0.7 // of the first"),
    "Windows": UAI.replace("\n", "\r\n"),
    "UTF-16": UAI.encode("utf-16"),
}


@pytest.mark.parametrize("name", ["net.uai", "net.UAI"])
@pytest.mark.parametrize("form", UAI_FORMS)
def test_a_uai_file_may_have(form: str, name: str, tmp_path: Path) -> None:
    net = read(tmp_path, UAI_FORMS[form], name)
    assert isinstance(net, tr.BayesianNetwork)
    assert net.tables["1"].tolist() == [[0.9, 0.1], [0.2, 0.8]]
    assert float(tr.infer(net, {"1": "0"}).marginals["0"]["0"]) == pytest.approx(0.27 / 0.41, rel=1e-12)


MARKOV = "MARKOV\n1\n2\n1\n1 0\n\n2\n %s\n"
UAI_REFUSED = [
    (
        UAI.replace("2 0 1", "2 1 0"),
        ":4: variable 0 is the last of two scopes; in a BAYES file each variable is the last of",
    ),
    (
        UAI + "1 1 0\n",
        ":14: the last table is followed by 3 more numbers; are the counts right? Evidence has a file of its",
    ),
    (UAI + "0", ":14: the last table is followed by 1 more number;"),
    (UAI.replace(" 0.2 0.8\n", ""), ":12: table 1 needs 4 numbers, 2 are left; is the file cut short?"),
    ("LIMID\n2\n", ":1: a UAI file begins with BAYES or MARKOV, found 'LIMID'"),
    ("SPARSE_BAYES\n2\n", ":1: a UAI file begins with BAYES or MARKOV, found 'SPARSE_BAYES'"),
    (MARKOV % "-1.0 -2.0", ":8: '-1.0' is not a finite number ≥ 0; tables are not logarithms"),
    (MARKOV % "inf 1", ":8: 'inf' is not a finite number ≥ 0"),
    (MARKOV % "nan 1", ":8: 'nan' is not a finite number ≥ 0"),
    ("MARKOV\n2\n2 2\n1\n2 0 0\n\n4\n1 2 3 4\n", ":5: scope 0 names variable 0 twice"),
]


@pytest.mark.parametrize(("text", "message"), UAI_REFUSED, ids=[message[:40] for _, message in UAI_REFUSED])
def test_a_uai_file_is_refused_with_line_and_reason(text: str, message: str, tmp_path: Path) -> None:
    assert complaint(tmp_path / "net.uai", text).startswith(f"net.uai{message}")


def test_factors_may_be_zero_constant_or_far_apart(tmp_path: Path) -> None:
    assert tr.log_partition(read(tmp_path, MARKOV % "0 0", "net.uai")).value == -np.inf
    huge = read(tmp_path, MARKOV % "1e300 1e-300", "net.uai")
    assert tr.log_partition(huge).value == pytest.approx(300 * np.log(10), rel=1e-12)
    constant = read(tmp_path, "MARKOV\n2\n2 2\n2\n0\n2 0 1\n\n1\n 2.5\n\n4\n1 2 3 4\n", "net.uai")
    assert tr.log_partition(constant).value == pytest.approx(np.log(25), rel=1e-12)


SAID = "12: a row of the table of variable 1 sums to 0.1, not to 1: read as MARKOV, not as BAYES"


def test_bayes_whose_rows_do_not_sum_to_one_is_markov(tmp_path: Path) -> None:
    """p(0, 1) is in proportion to (.3 × .09, .3 × .01, .7 × .2, .7 × .8), whose sum is .73."""
    with pytest.warns(tr.FormatWarning, match=SAID):
        net = read(tmp_path, UNEVEN, "net.uai")
    assert isinstance(net, tr.MarkovNetwork)
    assert tr.log_partition(net).value == pytest.approx(np.log(0.73), rel=1e-12)
    assert float(tr.infer(net).marginals["0"]["0"]) == pytest.approx(0.03 / 0.73, rel=1e-12)
    with (
        warnings.catch_warnings(action="ignore"),
        pytest.raises(tr.FormatError, match="holds a MarkovNetwork, not a Ba"),
    ):
        tr.load(tmp_path / "net.uai", tr.BayesianNetwork)


def test_the_command_line_says_so_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.uai"
    path.write_text(UNEVEN)
    assert run(["query", str(path), "--target", "0"]) == 0
    out, err = capsys.readouterr()
    assert err == f"tractable: {path}:{SAID}\n"
    assert "MarkovNetwork" in out and "0.0410959" in out


EVIDENCE = {
    "1 1 0\n": [{"1": "0"}],
    "1\n1 1 0\n": [{"1": "0"}],
    "2\n1 1 0\n1 1 1\n": [{"1": "0"}, {"1": "1"}],
    "0\n": [{}],
    "/* Evidence */\n1 1 0\n": [{"1": "0"}],
    "1\n1\n0\n": [{"1": "0"}],
    "2 0 1 1 0": [{"0": "1", "1": "0"}],
}


@pytest.mark.parametrize("text", EVIDENCE)
def test_evidence_of_uai_may_be_written(text: str, tmp_path: Path) -> None:
    (tmp_path / "case.evid").write_text(text)
    assert tr.read_evidence(tmp_path / "case.evid", read(tmp_path, UAI, "net.uai")) == EVIDENCE[text]


def test_evidence_of_uai_is_refused_with_its_line(tmp_path: Path) -> None:
    net = read(tmp_path, UAI, "net.uai")
    for text, message in {
        "/* one\ntwo */ 1 1 5\n": "case.evid:2: variable 1 ('1') has no state 5, only 0 to 1",
        "1 2\n 0 1\n": "case.evid:1: the counts do not fit the 4 numbers; expected: k, then k times variable and state",
    }.items():
        assert complaint(tmp_path / "case.evid", text, lambda path: tr.read_evidence(path, net)) == message


# ---------------------------------------------------------------- rows rounded by hand


def test_rows_that_are_rounded_are_divided_by_their_sums_on_request(tmp_path: Path) -> None:
    text = bif(row="0.333333, 0.666666")
    np.testing.assert_allclose(read(tmp_path, text).tables["b"], [[1 / 3, 2 / 3], [0.2, 0.8]], rtol=1e-15)
    text = bif(row="0.33, 0.33")
    with pytest.raises(tr.FormatError, match=r"sums to 0\.66, not to 1.*normalize=True"):
        read(tmp_path, text)
    assert read(tmp_path, text, normalize=True).tables["b"].tolist() == [[0.5, 0.5], [0.2, 0.8]]
    with pytest.raises(tr.FormatError, match=r"net\.bif:13: variable 'b': row 0 of the table.* only zeros"):
        read(tmp_path, bif(row="0, 0"), normalize=True)
    is_plain(read(tmp_path, xml(table="0.45 0.05 2 8"), "net.xml", normalize=True))
    np.testing.assert_allclose(read(tmp_path, UNEVEN, "net.uai", normalize=True).tables["1"][0], [0.9, 0.1], rtol=1e-15)
