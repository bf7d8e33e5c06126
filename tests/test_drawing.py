"""Drawings of graphs: boxes and lines keep clear of each other, and what is drawn is what is known."""

from __future__ import annotations

import re
import warnings
from itertools import pairwise
from math import comb
from pathlib import Path

import numpy as np
import pytest
from data import real_files
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PatchCollection, PolyCollection
from matplotlib.colors import to_rgba

import tractable as tr
from tractable.graph import drawing, drawing_order, layout
from tractable.plots import plans
from tractable.plots._base import MARKED, OBSERVED
from tractable.plots._text import shown


def network(name):
    """A published network; asia is in the package."""
    found = [Path(tr.__file__).parent / "examples" / "asia.bif"] if name == "asia" else real_files(f"bif/{name}.bif.gz")
    if not found:
        pytest.skip("no published networks; set TRACTABLE_DATA to their folder")
    return tr.load(found[0])


def overlapping(corners):
    """Pairs of rectangles [n, (x0, y0, x1, y1)] that meet in more than a line."""
    low, high = corners[:, None, :2], corners[:, None, 2:]
    meet = ((low < corners[None, :, 2:] - 1e-6) & (high > corners[None, :, :2] + 1e-6)).all(-1)
    return np.argwhere(np.triu(meet, 1)).tolist()


def rectangles(found, boxes):
    return np.array([[x - boxes[v][0] / 2, y - boxes[v][1] / 2, x + boxes[v][0] / 2, y + boxes[v][1] / 2]
                     for v, (x, y) in found.places.items()])  # fmt: skip


def at_random(n, p, seed, links=0):
    """A graph at random: arrows from earlier to later variables, and some links."""
    rng = np.random.default_rng(seed)
    names = [f"v{i}" for i in range(n)]
    parents = {names[j]: tuple(names[i] for i in range(j) if rng.random() < p) for j in range(n)}
    pairs = [tuple(names[i] for i in rng.choice(n, 2, replace=False)) for _ in range(links)]
    return tr.Graph(dict.fromkeys(names, 2), parents, pairs)


GRAPHS = {
    "nothing": tr.Graph({}),
    "alone": tr.Graph({"a": 2}),
    "apart": tr.Graph(dict.fromkeys("abcdefg", 2)),
    "chain": tr.Graph(None, "a -> b -> c -> d"),
    "star": tr.Graph(dict.fromkeys(["hub", *map(str, range(60))], 2), {str(i): ("hub",) for i in range(60)}),
    "cycle": tr.Graph(dict.fromkeys("abc", 2), {"a": ("c",), "b": ("a",), "c": ("b",)}),
    "ring": tr.Graph(dict.fromkeys("abcdef", 2), links=[*pairwise("abcdef"), "fa"]),
    "clique": tr.Graph(dict.fromkeys("abcdefgh", 2), links=["abcdefgh"]),
    "sparse": at_random(40, 0.05, 1),
    "dense": at_random(18, 0.4, 2),
    "mixed": at_random(25, 0.08, 3, links=8),
}


@pytest.mark.parametrize("name", GRAPHS)
class TestLayout:
    @pytest.fixture
    def drawn(self, name):
        graph = GRAPHS[name]
        rng = np.random.default_rng(len(graph.sizes))
        boxes = {v: (float(rng.uniform(20, 150)), float(rng.uniform(10, 70))) for v in graph.sizes}
        return graph, boxes, layout(graph, boxes)

    def test_boxes_lie_apart_within_the_drawing(self, drawn):
        graph, boxes, found = drawn
        assert list(found.places.keys() - graph.sizes.keys()) == [] and len(found.places) == len(graph.sizes)
        if graph.sizes:
            corners = rectangles(found, boxes)
            assert overlapping(corners) == []
            assert corners.min() >= -1e-6 and (corners[:, 2:] <= [found.width + 1e-6, found.height + 1e-6]).all()

    def test_each_pair_has_one_line_from_border_to_border(self, drawn):
        graph, boxes, found = drawn
        pairs = [frozenset((route.tail, route.head)) for route in found.routes]
        expected = {frozenset((v, w)) for v, near in graph.skeleton.items() for w in near}
        assert len(pairs) == len(set(pairs)) and set(pairs) == expected
        for route in found.routes:
            assert route.directed == (route.tail in graph.parents.get(route.head, ()))
            for (x, y), v in ((route.points[0], route.tail), (route.points[-1], route.head)):
                assert x == found.places[v][0]
                assert abs(y - found.places[v][1]) == pytest.approx(boxes[v][1] / 2)

    def test_lines_pass_no_box(self, drawn):
        """Neither where they run straight through a layer nor within the gap in which they cross."""
        _, boxes, found = drawn
        for route in found.routes:
            others = np.array([c for v, c in zip(found.places, rectangles(found, boxes), strict=True)
                               if v not in (route.tail, route.head)]).reshape(-1, 4)  # fmt: skip
            for (x, y), (u, w) in pairwise(route.points):
                inside = (others[:, 0] < max(x, u)) & (others[:, 2] > min(x, u))
                inside &= (others[:, 1] < max(y, w) - 1e-6) & (others[:, 3] > min(y, w) + 1e-6)
                assert not inside.any()

    def test_arrows_point_down_where_there_is_no_cycle(self, drawn):
        graph, _, found = drawn
        if not graph.directed_cycle() and not graph.links:
            assert all(found.places[r.tail][1] < found.places[r.head][1] for r in found.routes)

    def test_the_same_graph_gives_the_same_drawing(self, drawn):
        graph, boxes, found = drawn
        assert layout(graph, boxes) == found


def test_crossings_are_counted_and_reduced():
    """A complete bipartite graph has C(n, 2) C(m, 2) crossings whatever the order; a tree has none."""
    n, m = 4, 5
    whole = drawing_order.in_layers(n + m, [(i, n + j, True) for i in range(n) for j in range(m)])
    order = drawing_order.ordered(whole)
    assert drawing_order.crossings(order, whole) == comb(n, 2) * comb(m, 2)
    tree = drawing_order.in_layers(15, [((i - 1) // 2, i, True) for i in np.random.default_rng(0).permutation(15) if i])
    assert drawing_order.crossings(drawing_order.ordered(tree), tree) == 0


def test_layers_are_as_short_as_the_best_ones_nearly():
    """The sum of the lengths of all arcs beside the optimum of the linear program, for a network that is deep."""
    from scipy.optimize import linprog

    graph = network("alarm").graph
    place = {v: i for i, v in enumerate(graph.sizes)}
    arcs = [(place[a], place[b]) for a, b, _ in drawing.drawn_pairs(graph)]
    ranks = drawing_order.ranked(len(place), arcs)
    lengths = np.array([ranks[b] - ranks[a] for a, b in arcs])
    rows = np.zeros((len(arcs), len(place)))
    for k, (a, b) in enumerate(arcs):
        rows[k, [a, b]] = 1, -1
    best = linprog(-rows.sum(0), A_ub=rows, b_ub=-np.ones(len(arcs)), bounds=(0, None)).fun
    assert lengths.min() == 1 and lengths.sum() <= 1.2 * best


# ---------------------------------------------------------------- figures


def frames(figure):
    (found,) = (c for c in figure.axes[0].collections if isinstance(c, PatchCollection))
    return found


def corners_of(figure):
    """The rectangles of boxes and of texts in pixels, as they come out."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    ax = figure.axes[0]
    boxes = [path.get_extents(ax.transData) for path in frames(figure).get_paths()]
    texts = [text.get_window_extent(renderer) for text in ax.texts]
    return tuple(np.array([[b.x0, b.y0, b.x1, b.y1] for b in own]).reshape(-1, 4) for own in (boxes, texts))


@pytest.mark.parametrize(("name", "n"), [("asia", 8), ("alarm", 37), ("andes", 223)])
def test_no_label_meets_another_one(name, n):
    """Extents of all texts and boxes as they are rendered: apart, texts within the boxes or below them all."""
    net = network(name)
    variable = list(net.states)[5]
    figure = tr.plots.network(tr.infer(net, {variable: net.states[variable][0]}))
    boxes, texts = corners_of(figure)
    assert len(boxes) == n and overlapping(boxes) == [] and overlapping(texts) == []
    middle = (texts[:, :2] + texts[:, 2:]) / 2
    held = ((boxes[None, :, :2] < middle[:, None]) & (boxes[None, :, 2:] > middle[:, None])).all(-1)
    assert (held.sum(1) == 1).sum() == len(texts) - 2  # two lines below the network
    of = boxes[held.argmax(1)]
    inside = (of[:, :2] <= texts[:, :2] + 1) & (of[:, 2:] >= texts[:, 2:] - 1)
    assert inside[held.any(1)].all() and texts[~held.any(1), 3].max() < boxes[:, 1].min()
    width, height = figure.get_size_inches() * figure.dpi
    assert (texts >= 0).all() and (texts[:, 2] <= width).all() and (texts[:, 3] <= height).all()


@pytest.fixture(scope="module")
def asia():
    return network("asia")


def texts_of(figure):
    return [text.get_text() for text in figure.axes[0].texts]


class TestNetwork:
    def test_bars_are_the_marginals(self, asia):
        post = tr.infer(asia, {"xray": "yes"})
        figure = tr.plots.network(post)
        back, bars = (c for c in figure.axes[0].collections if isinstance(c, PolyCollection) and c.get_zorder() >= 3)
        long = [np.ptp(np.asarray(path.vertices)[:, 0]) for path in back.get_paths()]
        shares = [np.ptp(np.asarray(path.vertices)[:, 0]) for path in bars.get_paths()]
        expected = [p for v in post.marginals if v != "xray" for p in post.marginals[v].values()]
        found = np.divide(shares, long)
        order = [v for v in asia.states if v != "xray"]
        assert order == [t for t in texts_of(figure) if t in order]
        assert found == pytest.approx(expected)
        filled = [tuple(c) == to_rgba(OBSERVED) for c in frames(figure).get_facecolors()]
        assert filled == [v == "xray" for v in asia.states] and "= yes" in texts_of(figure)
        assert f"log p(evidence) = {post.log_partition}".replace("-", "−") in texts_of(figure)

    def test_intervals_are_drawn_where_the_certificate_has_ends(self, asia):
        post = tr.infer(asia, {"xray": "yes"}, method="mini_buckets", draws=2000)
        figure = tr.plots.network(post)
        (ends,) = (c for c in figure.axes[0].collections if isinstance(c, LineCollection))
        found = post.certificates("asia")
        assert found.lower[0] < found.upper[0] and len(ends.get_paths()) == 3 * 2 * 7
        assert f"{100 * found.lower[0]:.1f} – {100 * found.upper[0]:.1f} %" in texts_of(figure)
        assert re.search("probabilistic at 95 %", texts_of(figure)[-1])

    def test_one_case_of_many_and_soft_evidence(self, asia):
        many = tr.infer(asia, [{"xray": "yes"}, {"smoke": "no"}])
        assert texts_of(tr.plots.network(many, row=1)).count("= no") == 1
        soft = tr.infer(asia, {"smoke": {"yes": 4, "no": 1}})
        filled = [tuple(c) == to_rgba(OBSERVED) for c in frames(tr.plots.network(soft)).get_facecolors()]
        assert filled == [v == "smoke" for v in asia.states] and "80.0 %" in texts_of(tr.plots.network(soft))

    def test_targets_alone_have_bars(self, asia):
        texts = texts_of(tr.plots.network(tr.infer(asia, {"xray": "yes"}, targets=["lung"])))
        assert sum(t.endswith("%") for t in texts) == 2 and set(asia.states) <= set(texts)

    def test_what_the_budget_refuses_says_so(self):
        causes = [f"c{i}" for i in range(12)]
        tables = {v: [0.5, 0.5] for v in causes} | {"y": [0.3, 0.7]}
        tables |= {"d": np.random.default_rng(0).dirichlet([1, 1], (2,) * 12)}
        net = tr.BayesianNetwork(dict.fromkeys(tables, "01"), {"d": causes}, tables)
        post = tr.infer(net, {"d": "1"}, memory=2000, method="exact")
        texts = texts_of(tr.plots.network(post))
        assert len(post.refused) == 12 == texts.count("refused by the budget") and "70.0 %" in texts
        assert "log p(evidence): refused by the budget" in texts

    @pytest.mark.parametrize("given", [(), ("dysp",), ("either", "smoke")])
    def test_a_separation_is_pointed_at(self, asia, given):
        """The open path, or a closed one and what blocks; what is given is shaded, and the reason stands below."""
        found = tr.is_separated(asia, "asia", "bronc" if given[1:] else "smoke", given=given)
        figure = tr.plots.network(asia, highlight=found)
        edges = [tuple(c) == to_rgba(MARKED) for c in frames(figure).get_edgecolors()]
        marked = {v for v, one in zip(asia.states, edges, strict=True) if one}
        assert marked == {*found.path, *found.closed, *found.blocked_by} >= {"asia"}
        assert bool(found.path) == (given == ("dysp",)) and found.given == given
        filled = [tuple(c) == to_rgba(OBSERVED) for c in frames(figure).get_facecolors()]
        assert filled == [v in given for v in asia.states]
        assert " ".join(texts_of(figure)[8:]) == found.reason

    def test_the_moral_graph_and_the_widest_clique(self, asia):
        assert "2 links added" in texts_of(tr.plots.network(asia, highlight="moral"))[-1]
        figure = tr.plots.network(asia, highlight="clique")
        edges = [tuple(c) == to_rgba(MARKED) for c in frames(figure).get_edgecolors()]
        names = [v for v, one in zip(asia.states, edges, strict=True) if one]
        assert len(names) == 3 and "a table of 8 entries" in " ".join(texts_of(figure))
        assert all(v in " ".join(texts_of(figure)[8:]) for v in names)

    def test_a_part_of_a_network_that_is_too_large(self):
        net = network("pigs")
        with pytest.raises(ValueError, match=r"441 variables are too many .* around=\['p"):
            tr.plots.network(net)
        name = next(iter(net.states))
        texts = texts_of(tr.plots.network(net, around=name))
        assert set(texts[:-1]) == {name, *net.graph.skeleton[name]} and "of 441 variables" in texts[-1]
        with pytest.raises(tr.GraphError, match="unknown variable"):
            tr.plots.network(net, around="nobody")

    def test_groups_of_units_and_what_has_no_graph(self):
        assert texts_of(tr.plots.network(tr.Graph(None, "a -> b"))) == ["a", "b"]
        layers = tr.SigmoidBeliefNetwork([6, 1])
        assert texts_of(tr.plots.network(tr.restricted(784, 5))) == ["visible", "784 units", "hidden", "5 units"]
        assert texts_of(tr.plots.network(tr.infer(layers))) == ["visible", "6 units", "hidden1", "1 unit"]
        with pytest.raises(TypeError, match="float has no graph of variables"):
            tr.plots.network(1.0)
        with pytest.raises(ValueError, match="'moral', 'clique', a list of names"):
            tr.plots.network("a -> b", highlight="morals")


NAMES = [
    "a" * 200,
    "שלום עולם",
    "中文变量名",
    "$x^2$ & $",
    "<script>alert(1)</script>",
    "_hidden",
    "tab\tthere\n",
    "\ud800",
]


@pytest.fixture(scope="module")
def strange():
    """Names and states that a file may hold."""
    rng = np.random.default_rng(0)
    states = {v: ["no", "yes"] for v in NAMES} | {"many": [f"{i} ${'s' * 50}" for i in range(1000)]}
    tables = {v: [[0.3, 0.7], [0.6, 0.4]] for v in NAMES[1:]}
    tables |= {NAMES[0]: [0.2, 0.8], "many": rng.dirichlet(np.full(1000, 0.05), 2)}
    return tr.BayesianNetwork(states, {v: [NAMES[0]] for v in [*NAMES[1:], "many"]}, tables)


def test_any_name_is_drawn_as_text(strange, tmp_path):
    """No warning, no mathematics, nothing cut by the page, nothing overlapping; as PNG and as SVG."""
    post = tr.infer(strange, {NAMES[2]: "yes"})
    figure = tr.plots.network(post)
    boxes, texts = corners_of(figure)
    assert overlapping(boxes) == [] and overlapping(texts) == [] and (boxes[:, 2] - boxes[:, 0]).max() < 300
    assert not any(text.get_parse_math() for text in figure.axes[0].texts)
    said = texts_of(figure)
    assert {"<script>alert(1)</script>", "$x^2$ & $", "שלום עולם", "tab\\tthere\\n", "\\ud800"} <= set(said)
    assert "… and 995 more" in " ".join(said) and max(map(len, said[:-2])) < 45
    figures = [
        figure,
        tr.plots.beliefs({"$a": tr.infer(strange), "_b": post}),
        tr.plots.conditional_table(strange, "many"),
        tr.plots.plan({v: tr.plan(strange, observed=[v]) for v in NAMES[:4]}),
        tr.plots.transition_graph(np.eye(4), NAMES[:4]),
        tr.plots.state_path([0, 1, 2], {"$": [1.0, 2.0, 3.0], "_": [1.0, 2.0, 0.0]}, NAMES[2:6]),
        tr.plots.explaining_away({"$x": [0.1, 0.2]}, NAMES[2:4]),
        tr.plots.emissions(tr.PoissonEmissions([[2.0]]), {"$n": [1, 2, 0]}, names=["_$"]),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for own in figures:
            own.savefig(tmp_path / "drawn.png", dpi=40)
        figure.savefig(tmp_path / "drawn.svg")
        assert "<script" not in (tmp_path / "drawn.svg").read_text()


def test_names_are_told_apart_and_bounded():
    assert shown("x" * 199 + "1") != shown("x" * 199 + "2") and len(shown("中" * 200)) <= 28
    assert shown("中文") == "\\u4e2d\\u6587" or len(shown("中文")) == 2  # where a font has the letters


# ---------------------------------------------------------------- plans


def test_costs_of_steps_are_those_of_the_contraction():
    """The sum over the steps of a chain of tables, by hand; each joins two tables of two variables of three states."""
    names = "abcd"
    net = tr.MarkovNetwork(
        dict.fromkeys(names, "012"), [(pair, np.ones((3, 3)) + np.eye(3)) for pair in pairwise(names)]
    )
    costs = plans.step_costs(tr.plan(net, query="evidence"))
    assert costs.tolist() == [3 * 3, 3] or sorted(costs.tolist()) == [3, 9]
    plan = tr.plan(network("alarm"))
    assert 3 * plans.step_costs(plan).sum() == pytest.approx(
        plan.flops, rel=1e-12
    )  # there once, and back for both operands


def test_plans_side_by_side():
    dense = tr.restricted(60, 60)
    refused, allowed = tr.plan(dense), tr.plan(network("asia"))
    figure = tr.plots.plan({"dense": refused, "asia": allowed})
    above, below = figure.axes
    assert len(above.lines) == 2 and len(above.lines[0].get_xdata()) == 0
    told = [text.get_text() for text in below.texts]
    assert told[0].strip().startswith("refused") and told[1].strip().startswith("elimination")
    assert below.patches[0].get_hatch() and not below.patches[1].get_hatch()
    assert below.patches[1].get_x() + below.patches[1].get_width() == pytest.approx(allowed.seconds)
    with pytest.raises(ValueError, match="expected a plan"):
        tr.plots.plan({})
