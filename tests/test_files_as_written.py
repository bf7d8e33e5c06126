"""BIF files as people and other programs write them: what each means, or the line and the reason why it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import complaint
from hypothesis import given
from hypothesis import strategies as st
from sweep import sweep

import tractable as tr

# ---------------------------------------------------------------- BIF

PLAIN = """network n {
}
variable a {
  type discrete [ 2 ] { yes, no };
}
variable b {
  type discrete [ 2 ] { t, f };
}
probability ( a ) {
  table 0.3, 0.7;
}
probability ( b | a ) {
  (yes) 0.9, 0.1;
  (no) 0.2, 0.8;
}
"""


def bif(**changes: str) -> str:
    """The plain file with another name of the network, of the variable `a` or its first state, or with other rows."""
    text = PLAIN
    for old, new in changes.items():
        marks = {"network": "network n", "var": " a ", "state": "yes", "table": "0.3, 0.7", "row": "0.9, 0.1"}
        text = text.replace(marks[old], new)
    return text


NETWORK_NAMES = {
    "network {\n}": "net",
    'network "My Net" {\n}': "My Net",
    "network My Risk Net {\n}": "My Risk Net",
    "network Risk (v2) {\n}": "Risk (v2)",
    "network network {\n}": "network",
    "NETWORK n {\n}": "n",
    "": "net",
    'network n {\n  property software = GeNIe 2.0;\n  property "author";\n}': "n",
    "# made by me\n% (and by you\nnetwork n {\n  # inside {\n}": "n",
    "// made by me\n/* block\n comment */\nnetwork n { // hi\n}": "n",
}


def read(folder: Path, text: str | bytes, name: str = "net.bif", **options: Any) -> Any:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return tr.load(path, **options)


def is_plain(net: tr.BayesianNetwork, a: str = "a", yes: str = "yes") -> None:
    """Names, order of states and tables are those that the plain file has."""
    assert dict(net.states) == {a: (yes, "no"), "b": ("t", "f")}
    assert dict(net.parents) == {a: (), "b": (a,)}
    assert (net.tables[a].tolist(), net.tables["b"].tolist()) == ([0.3, 0.7], [[0.9, 0.1], [0.2, 0.8]])
    assert float(tr.infer(net, {"b": "t"}).marginals[a][yes]) == pytest.approx(0.27 / 0.41, rel=1e-12)


@pytest.mark.parametrize("head", NETWORK_NAMES)
def test_a_network_may_have_any_name_or_none(head: str, tmp_path: Path) -> None:
    net = read(tmp_path, PLAIN.replace("network n {\n}", head))
    is_plain(net)
    assert net.name == NETWORK_NAMES[head]


VARIABLES = [
    "light-on",
    "1",
    "table",
    "probability",
    "température",
    "Blood Pressure",
    "P(x)",
    "x[1]",
    "a.b",
    "<5",
    "x,y",
]


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_may_have_any_name(name: str, quoted: bool, tmp_path: Path) -> None:
    written = f'"{name}"' if quoted else name
    if name == "x,y" and not quoted:  # two names in the head of a block
        text = bif(var=f" {written} ")
        assert complaint(tmp_path / "net.bif", text).startswith("net.bif:9: unknown variable 'x'")
    else:
        is_plain(read(tmp_path, bif(var=f" {written} ")), a=name)


STATES = ["very high", "[0,5)", "(0,1]", "_0_40]", "high(1)", "<5%", ">=5", "-1", "+1", "0.5", "1e3", "default", "是"]
STATES += ["Asy/Patch", "a.b", "o'b", "a:b", "a=b", "a|b", "#1", "%", "[1, 2)", "((x", "x))"]


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("name", STATES)
def test_a_state_may_have_any_name(name: str, quoted: bool, tmp_path: Path) -> None:
    is_plain(read(tmp_path, bif(state=f'"{name}"' if quoted else name)), yes=name)


def test_intervals_as_r_and_pandas_cut_them(tmp_path: Path) -> None:
    text = """network unknown {
}
variable age { type discrete [ 3 ] { (0,40], (40,65], (65,90] }; }
variable dose { type discrete [ 3 ] { [0, 1), [1, 2), 2 or more }; }
variable ill { type discrete [ 2 ] { no, yes }; }
probability ( age ) { table 0.5, 0.3, 0.2; }
probability ( dose ) { table 0.25, 0.25, 0.5; }
probability ( ill | age, dose ) {
"""
    ages, doses = ("(0,40]", "(40,65]", "(65,90]"), ("[0, 1)", "[1, 2)", "2 or more")
    for i, age in enumerate(ages):
        for j, dose in enumerate(doses):
            text += f"  ({age}, {dose}) {1 - (i + 3 * j) / 16}, {(i + 3 * j) / 16};\n"
    net = read(tmp_path, text + "}\n")
    assert dict(net.states) == {"age": ages, "dose": doses, "ill": ("no", "yes")}
    assert (net.tables["ill"][..., 1] * 16).tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    tr.save(net, tmp_path / "again.bif")
    assert dict(tr.load(tmp_path / "again.bif").states) == dict(net.states)


def test_the_count_tells_blanks_that_part_names_from_blanks_in_them(tmp_path: Path) -> None:
    for states in ("very high, low", '"very high" low', "very high,low,"):
        text = "network {} variable A { type discrete [ 2 ] { @ }; } probability ( A ) { table 1 0; }".replace(
            "@", states
        )
        assert read(tmp_path, text).states["A"] == ("very high", "low")
    text = text.replace("[ 2 ]", "[ 3 ]").replace("1 0", "1 0 0")
    assert read(tmp_path, text).states["A"] == ("very", "high", "low")


def test_a_head_that_can_be_read_in_two_ways_is_refused(tmp_path: Path) -> None:
    text = "".join(f"variable {v} {{ type discrete [ 1 ] {{ s }}; }}\n" for v in ("a b", "a", "b"))
    text += "probability ( a ) { table 1; }\nprobability ( b ) { table 1; }\n"
    message = complaint(tmp_path / "net.bif", text + "probability ( a b ) { table 1; }\n")
    assert message == "net.bif:6: 'a b' can be read in two ways; quote the names"
    assert read(tmp_path, text + 'probability ( "a b" ) { table 1; }\n').variables == ("a b", "a", "b")


FORMS = {
    "commas and bars": PLAIN.replace("b | a", "b, a"),
    "no blanks": PLAIN.replace("( b | a )", "(b|a)").replace("discrete [ 2 ] {", "discrete[2]{"),
    "no commas": PLAIN.replace("0.3, 0.7", "0.3 0.7").replace("0.9, 0.1", "0.9 0.1"),
    "a table": PLAIN.replace("(yes) 0.9, 0.1;\n  (no) 0.2, 0.8;", "table 0.9, 0.2, 0.1, 0.8;"),
    "another order of rows": PLAIN.replace("(yes) 0.9, 0.1;\n  (no) 0.2, 0.8;", "(no) 0.2, 0.8;\n  (yes) 0.9, 0.1;"),
    "a default": PLAIN.replace("(no)", "default"),
    "numbers": PLAIN.replace("0.3, 0.7", "3E-1, 7.0e-001").replace("0.9, 0.1", ".9, 1.e-1"),
    "no semicolon": PLAIN.replace("};", "}"),
    "an equals sign": PLAIN.replace("] {", "] = {"),
    "keywords in capitals": PLAIN.replace("variable", "VARIABLE").replace("table", "Table").replace("type", "TYPE"),
    "properties": PLAIN.replace("};", '};\n  property position = (73, 165) ;\n  property label = "a; b } c" ;'),
    "pgmpy's weight": PLAIN.replace("};", "};\n  property weight = None ;"),
    "a byte-order mark": "\ufeff" + PLAIN,
    "Windows": PLAIN.replace("\n", "\r\n"),
    "old Macintosh": PLAIN.replace("\n", "\r"),
    "UTF-16": PLAIN.encode("utf-16"),
    "UTF-16, the other way round": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_bif_file_may_have_the_form_of(form: str, tmp_path: Path) -> None:
    is_plain(read(tmp_path, FORMS[form]))


def test_a_child_may_be_declared_before_its_parent(tmp_path: Path) -> None:
    head, a, b, rest = PLAIN.replace("variable", "@variable", 2).replace("probability", "@probability", 1).split("@")
    net = read(tmp_path, head + b + a + rest)
    assert net.variables == ("b", "a") and net.tables["b"].tolist() == [[0.9, 0.1], [0.2, 0.8]]


REFUSED = {
    "": ": the file is empty",
    bif(row="NA, NA"): ":13: 'NA' is not a number",
    bif(row="NaN, NaN"): ":13: 'NaN' is not a finite number ≥ 0",
    bif(table="0,3 0,7"): ":10: expected 2 numbers, found 4; write decimals with a point",
    bif(row="0.89, 0.1"): ":13: variable 'b': row 0 of the table sums to 0.99, not to 1",
    PLAIN.replace("[ 2 ]", ""): ":4: expected '[' after the type of 'a', found '{'",
    PLAIN.replace("variable a", "variable x {\n  type continuous;\n}\nvariable a"): ":4: variable 'x' is not discrete",
    PLAIN.replace("yes, no", "yes no, maybe"): ":4: variable 'a' declares '2' states and lists 2",
}


@pytest.mark.parametrize("text", [text for text in REFUSED if "maybe" not in text], ids=lambda text: REFUSED[text][:40])
def test_a_bif_file_is_refused_with_line_and_reason(text: str, tmp_path: Path) -> None:
    assert complaint(tmp_path / "net.bif", text).startswith(f"net.bif{REFUSED[text]}")


def test_bytes_that_are_not_utf8_are_refused_with_their_line(tmp_path: Path) -> None:
    text = bif(state="ouié")
    message = complaint(tmp_path / "net.bif", text.encode("latin-1"))
    assert message == "net.bif:4: byte 0xe9 is not UTF-8; save the file as UTF-8"
    message = complaint(tmp_path / "net.bif", b"\xff\xfe" + PLAIN.encode("utf-16-le") + b"x")
    assert "is not UTF-16; save the file as UTF-8" in message


# ---------------------------------------------------------------- names that nobody quotes

WORDS = ["very", "high", "<5", "a/b", "o'b", "0.5", "default", "table", "-1", "x_1", "é", "a|b", "%", "type"]
INTERVALS = [f"{left}{numbers}{right}" for left in "([" for numbers in ("0,1", "1, 2", "-Inf,3") for right in ")]"]


@st.composite
def unquoted(draw: st.DrawFn) -> tr.BayesianNetwork:
    """Networks whose states are words, several words, intervals, or words with brackets, as programs write them."""
    words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
    name = st.one_of(words, st.sampled_from(INTERVALS), words.map("{}(1)".format), words.map("{}]".format))
    states = {v: draw(st.lists(name, min_size=1, max_size=4, unique=True)) for v in ("Blood Pressure", "P(x)", "table")}
    rng, parents = np.random.default_rng(draw(st.integers(0, 99))), {"table": ("P(x)", "Blood Pressure")}
    shapes = {v: [len(states[u]) for u in (*parents.get(v, ()), v)] for v in states}
    return tr.BayesianNetwork(states, parents, {v: rng.dirichlet(np.ones(s[-1]), s[:-1]) for v, s in shapes.items()})


def as_others_write(net: tr.BayesianNetwork) -> str:
    """BIF with every name as it is."""
    text = "network unknown {\n}\n"
    for v, states in net.states.items():
        text += f"variable {v} {{\n    type discrete [ {len(states)} ] {{ {', '.join(states)} }};\n}}\n"
    for v, parents in net.parents.items():
        text += f"probability ( {' | '.join([v, ', '.join(parents)]) if parents else v} ) {{\n"
        table = net.tables[v]
        for row in np.ndindex(*table.shape[:-1]):
            label = ", ".join(net.states[u][k] for u, k in zip(parents, row, strict=True))
            text += f"    {f'( {label} )' if parents else 'table'} {', '.join(map(repr, table[row].tolist()))} ;\n"
        text += "}\n"
    return text


@sweep(150)
@given(net=unquoted())
def test_names_that_nobody_quotes_are_taken_as_written(net: tr.BayesianNetwork, tmp_path_factory: Any) -> None:
    again = read(tmp_path_factory.mktemp("written"), as_others_write(net))
    assert (dict(again.states), dict(again.parents)) == (dict(net.states), dict(net.parents))
    assert again.packed.values.tobytes() == net.packed.values.tobytes()


# ---------------------------------------------------------------- what is written


@pytest.mark.parametrize("name", ["network", "", "My Net", "probability", "1", "é", 'a "b" c', "a//b", "x {", "net-1"])
@pytest.mark.parametrize("extension", [".bif", ".xml", ".safetensors"])
def test_the_name_of_a_network_comes_back(name: str, extension: str, tmp_path: Path) -> None:
    net = tr.BayesianNetwork({"a": ["x", "y"]}, {}, {"a": [0.5, 0.5]}, name)
    tr.save(net, tmp_path / f"net{extension}")
    assert tr.load(tmp_path / f"net{extension}").name == name


def test_a_network_without_a_name_of_its_own_is_written_as_bif_that_others_read(tmp_path: Path) -> None:
    tr.save(tr.BayesianNetwork({"a": ["x", "y"]}, {}, {"a": [0.5, 0.5]}), tmp_path / "net.bif")
    assert (tmp_path / "net.bif").read_text().startswith('network "network" {\n')


@pytest.mark.parametrize("extension", [".bif", ".xml", ".xmlbif", ".bifxml", ".uai", ".bif.gz"])
@pytest.mark.parametrize("lost", ["ties", "fixed"])
def test_no_format_drops_which_tables_are_learned_together_or_not_at_all(
    extension: str, lost: str, tmp_path: Path
) -> None:
    half, learned = [0.5, 0.5], {"ties": {"ties": [["a", "b"]]}, "fixed": {"fixed": ["a"]}}[lost]
    net = tr.BayesianNetwork({"a": ["x", "y"], "b": ["x", "y"]}, {}, {"a": half, "b": half}, **learned)
    with pytest.raises(tr.FormatError, match=rf"has no place for the {lost} of a network; write \.safetensors"):
        tr.save(net, tmp_path / f"net{extension}")
    assert not list(tmp_path.iterdir())
    tr.save(net, tmp_path / "net.safetensors")
    again = tr.load(tmp_path / "net.safetensors")
    assert (again.ties, again.fixed) == (net.ties, net.fixed) != ((), ())


# ---------------------------------------------------------------- errors of the system


def test_what_the_system_says_is_also_an_error_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "asia.bif"
    for read_it in (tr.load, tr.read_data, lambda path: tr.read_evidence(path, NET)):
        with pytest.raises(FileNotFoundError) as caught:
            read_it(str(tmp_path / "asia.csv"))
        assert isinstance(caught.value, tr.FormatError) and caught.value.errno == 2
        assert (str(caught.value), caught.value.filename) == (
            f"{tmp_path}/asia.csv: no such file",
            f"{tmp_path}/asia.csv",
        )
    path.mkdir()
    with pytest.raises(IsADirectoryError, match="is a directory; name a file in it") as caught:
        tr.load(path)
    assert isinstance(caught.value, tr.FormatError)
    with pytest.raises(FileNotFoundError, match="cannot be written") as caught:
        tr.save(NET, tmp_path / "nowhere" / "net.bif")
    assert isinstance(caught.value, tr.FormatError)


def test_what_may_not_be_read_is_a_permission_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    tr.save(NET, tmp_path / "net.bif")
    monkeypatch.setattr("builtins.open", refusing)
    with pytest.raises(PermissionError, match=r"net\.bif: cannot be read: Permission denied") as caught:
        tr.load(tmp_path / "net.bif")
    assert isinstance(caught.value, tr.FormatError)


NET = tr.BayesianNetwork({"a": ["x", "y"]}, {}, {"a": [0.5, 0.5]}, "n")
