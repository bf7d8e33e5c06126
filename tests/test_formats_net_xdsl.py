"""NET files of Hugin and XDSL files of GeNIe: what is read of them, and what is refused, where and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data import needs_data, real_files
from hostile import complaint

import tractable as tr

NET = """% by hand
net
{
    name = "Wet grass";
    node_size = (80 40);
    HR_Desc = "several
lines; with { marks }";
}
node rain
{
    label = "Rain";
    states = ("no" "a lot");
    position = (1 2);
}
discrete node hose.on
{
    states = (0 1 "(2,3]");
}
node wet { states = ("n" "y"); }
potential (rain) { data = (0.75 0.25); }
potential ( hose.on ) { data = (.5 .25 2.5e-1); }
potential ( wet | rain hose.on )
{
    data = ((( 1 0 )    % rain = no, hose.on = 0
             ( 0.5 0.5 )
             ( 0.25 0.75 ))
            (( 0.125 0.875 ) ( 0 1 ) ( 0.0625 0.9375 )));
    experience = (1 1 1 1 1 1);
}
"""
XDSL = """<?xml version="1.0" encoding="ISO-8859-1"?>
<smile version="1.0" id="Grass" numsamples="10000">
	<nodes>
		<cpt id="rain"><state id="no" /><state id="a lot" /><probabilities>0.75 0.25</probabilities></cpt>
		<cpt id="hose.on" dynamic="plate">
			<state id="0" /><state id="1" /><state id="(2,3]" />
			<property id="unit">l</property>
			<probabilities>.5 .25 2.5e-1</probabilities>
		</cpt>
		<cpt id="wet">
			<state id="n" /><state id="y" />
			<parents>rain hose.on</parents>
			<probabilities>1 0 0.5 0.5 0.25 0.75 0.125 0.875 0 1 0.0625 0.9375</probabilities>
		</cpt>
	</nodes>
	<dynamic numslices="10">
	</dynamic>
	<extensions><genie app="GeNIe 2.4"><node id="wet"><name>Wet</name></node></genie></extensions>
</smile>
"""
REAL = real_files("networks/*.net.gz") + real_files("networks/*.xdsl.gz")
FILES = {"grass.net": NET, "grass.xdsl": XDSL}


@pytest.mark.parametrize("name", FILES)
def test_the_first_parent_is_slowest_and_the_child_fastest(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FILES[name])
    net = tr.load(tmp_path / name)
    assert net.name == {"grass.net": "Wet grass", "grass.xdsl": "Grass"}[name]
    assert dict(net.states) == {"rain": ("no", "a lot"), "hose.on": ("0", "1", "(2,3]"), "wet": ("n", "y")}
    assert dict(net.parents) == {"rain": (), "hose.on": (), "wet": ("rain", "hose.on")}
    assert net.tables["wet"][..., 1].tolist() == [[0, 0.5, 0.75], [0.875, 1, 0.9375]]
    assert (net.tables["rain"].tolist(), net.tables["hose.on"].tolist()) == ([0.75, 0.25], [0.5, 0.25, 0.25])


@needs_data
def test_alarm_is_the_same_in_both_formats() -> None:
    one, other = (tr.load(real_files(name)[0]) for name in ("networks/alarm.net.gz", "bif/alarm.bif.gz"))
    for v, parents in other.parents.items():
        axes = [(*one.parents[v], v).index(u) for u in (*parents, v)]
        np.testing.assert_allclose(np.transpose(one.tables[v], axes), other.tables[v], rtol=1e-15)


@needs_data
@pytest.mark.parametrize(
    "path", real_files("networks/*.net.gz") + real_files("networks/*.xdsl.gz"), ids=lambda p: p.name
)
def test_a_real_file_is_read_or_refused_with_its_line(path: Path) -> None:
    try:
        net = tr.load(path, tr.BayesianNetwork)
    except tr.FormatError as error:
        assert str(error).removeprefix(f"{path}:").partition(":")[0].isdigit()
    else:
        assert sum(tr.infer(net).marginals[net.variables[0]].values()) == pytest.approx(1)


ANOTHER = "node wet { states = (a b); }\n"
REFUSED = [
    (NET + "continuous node x { }", "net:30: a block 'continuous'; only net, discrete nodes and their potentials can"),
    (NET + "utility u { }", "net:30: a block 'utility'; only net, discrete nodes and their potentials can be read"),
    (
        "class grass {\n" + NET + "}",
        "net:1: a block 'class'; only net, discrete nodes and their potentials can be read",
    ),
    (NET + ANOTHER, "net:30: variable 'wet' is declared twice"),
    (NET + ANOTHER.replace("wet", "x"), "net:30: variable 'x' has no potential; add one"),
    (NET + "node x { }", "net:30: variable 'x' has no states; give it at least one"),
    (NET + "node x { states = (a a); }", "net:30: variable 'x' has the state 'a' twice"),
    (NET + "node x { states (a) }", "net:30: expected '=' after 'states' in node 'x', found '('"),
    (NET + "node x { states = (a)", "net:30: expected ';' after 'states' in node 'x', found the end of the file"),
    (NET + 'node x { label = "', "net:30: expected ';' after 'label' in node 'x', found the end of the file"),
    (NET.replace("(0.75 0.25)", "(0.75 x)"), "net:20: the potential of 'rain': 'x' is not a number"),
    (NET.replace("(0.75 0.25)", "normal(0, 1)"), "net:20: the potential of 'rain': 'normal' is not a number"),
    (NET.replace("(0.75 0.25)", "(0.75 0.5)"), "net:20: variable 'rain': row 0 of the table sums to 1.25, not to 1"),
    (NET.replace("(0.75 0.25)", "(1)"), "net:20: the table of 'rain' has 1 numbers, it needs 2"),
    (NET.replace("data = (0.75", "model_data = (0.75"), "net:20: the potential of 'rain' has no data; only tables can"),
    (NET.replace("(rain)", "(rain wet)"), "net:20: a potential of 2 nodes; each has a potential of its own"),
    (NET.replace("| rain", "| rein"), "net:22: unknown variable 'rein'; did you mean 'rain'?"),
    (NET.replace("( hose.on )", "( rain )"), "net:21: variable 'rain' has a second table; keep one"),
    (
        NET.replace("Wet grass", 'x"; software = "aGrUM 0.17.2'),
        "net:22: aGrUM 0.17.2 wrote it, which orders parents",
    ),
    ("% nothing\nnet { }", "net:1: holds no nodes; is it a NET file?"),
    (XDSL.replace("cpt", "noisymax"), "xdsl:4: a node 'rain' of the kind <noisymax>; only chance nodes with tables"),
    (
        XDSL.replace('10">', '10"><cpt id="wet" order="1"/>'),
        "xdsl:16: a dynamic network has arcs between slices",
    ),
    (XDSL.replace("0.75 0.25<", "0.75 x<"), "xdsl:4: variable 'rain': 'x' is not a number"),
    (XDSL.replace("0.75 0.25<", "0.75 0.5<"), "xdsl:4: variable 'rain': row 0 of the table sums to 1.25, not to 1"),
    (XDSL.replace("1 0 0.5", "0.5"), "xdsl:13: the table of 'wet' has 10 numbers, it needs 12"),
    (XDSL.replace(">rain hose", ">rein hose"), "xdsl:13: unknown variable 'rein'; did you mean 'rain'?"),
    (
        XDSL.replace("GeNIe 2.4", "aGrUM 3.3.1"),
        "xdsl:18: pyAgrum wrote it, which lists numbers in another order",
    ),
    (XDSL.replace('id="wet"', 'id="rain"'), "xdsl:10: variable 'rain' is declared twice"),
    (XDSL.replace('id="y"', 'id="n"'), "xdsl:13: variable 'wet' has the state 'n' twice"),
    ("<smile/>", "xdsl:1: holds no <cpt>; is it an XDSL file?"),
    ("<BIF/>", "xdsl:1: an XDSL file begins with <SMILE>, found <BIF>; is it another format?"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[message[:50] for _, message in REFUSED])
def test_complaints_name_the_line_and_the_cause(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / f"net.{message.partition(':')[0]}"
    assert complaint(path, text).startswith(f"net.{message}")


@pytest.mark.parametrize("extension", [".net", ".xdsl.gz"])
def test_neither_is_written(extension: str, tmp_path: Path) -> None:
    net = tr.BayesianNetwork({"a": ["x", "y"]}, {}, {"a": [0.5, 0.5]})
    with pytest.raises(tr.FormatError, match=r"file is read, not written; write \.bif, \.xml or \.safetensors"):
        tr.save(net, tmp_path / f"a{extension}")


@pytest.mark.parametrize(
    "nodes",
    [
        '<cpt id="a"><state id="x"/><state id="y"/><probabilities>.5 .5</probabilities></cpt>',
        '<nodes><cpt id="a"><state id="x"/><cpt id="b"><state id="z"/></cpt></cpt></nodes>',
    ],
    ids=["outside the nodes", "within a node"],
)
def test_a_node_stands_among_the_nodes(nodes: str, tmp_path: Path) -> None:
    (tmp_path / "x.xdsl").write_text(f'<?xml version="1.0"?>\n<smile version="1.0" id="n">{nodes}</smile>\n')
    with pytest.raises(tr.FormatError, match=r"x\.xdsl:2: the node '[ab]' is not where nodes are"):
        tr.load(tmp_path / "x.xdsl")
