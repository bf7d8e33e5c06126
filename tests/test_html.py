"""What notebooks show of records: well-formed, without script, bounded, names as text, numbers with their ends."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import tractable as tr
from tractable import _blocks

HOSTILE = (
    "<script>alert(1)</script>",
    'a"onmouseover="alert(1)',
    "</style><img src=x onerror='alert(1)'>",
    "&lt;b&gt;",
    "שלום עולם",
    "病気" * 40,
    "x" * 200,
    "\x1b[31mred\x00",
    "\u202ereversed",
)


def hostile() -> tr.BayesianNetwork:
    """A chain whose variables, states and own name are hostile."""
    states = {v: [v, f"not {v}"] for v in HOSTILE}
    parents = {v: [u] for u, v in pairwise(HOSTILE)}
    tables: dict[str, Any] = {v: [[0.9, 0.1], [0.2, 0.8]] if v in parents else [0.3, 0.7] for v in HOSTILE}
    return tr.BayesianNetwork(states, parents, tables, HOSTILE[0])


def long_chain(n: int) -> tr.BayesianNetwork:
    variables = [f"v{i}" for i in range(n)]
    tables: dict[str, Any] = {v: [[0.9, 0.1], [0.2, 0.8]] for v in variables} | {"v0": [0.3, 0.7]}
    parents = {v: [u] for u, v in pairwise(variables)}
    return tr.BayesianNetwork(dict.fromkeys(variables, "01"), parents, tables)


ROWS = np.array([[0.0, 1.0], [0.4, 1.2], [3.0, 5.0], [3.4, 4.0]])
BITS = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 20)


def coin() -> tr.MarkovNetwork:
    return tr.MarkovNetwork({"a": "01", "b": "01"}, [("ab", [[1, 2], [3, 4]])])


def chain() -> tr.HiddenMarkovModel:
    return tr.hidden_markov([ROWS], 2, "gaussian")


RECORDS: Mapping[str, Callable[[], Any]] = {
    "BayesianNetwork": hostile,
    "MarkovNetwork": coin,
    "Graph": lambda: hostile().graph,
    "undirected Graph": lambda: coin().graph,
    "Separation": lambda: tr.is_separated(hostile(), HOSTILE[0], HOSTILE[2]),
    "closed Separation": lambda: tr.is_separated(hostile(), HOSTILE[0], HOSTILE[2], given=[HOSTILE[1]]),
    "Plan": lambda: tr.plan(hostile(), [HOSTILE[0]]),
    "refused Plan": lambda: tr.plan(tr.restricted(50, 50)),
    "Explanation": lambda: tr.explain(hostile(), [HOSTILE[0]]),
    "refused Explanation": lambda: tr.explain(tr.restricted(50, 50)),
    "Posterior": lambda: tr.infer(hostile(), {HOSTILE[0]: HOSTILE[0]}),
    "Posterior of rows": lambda: tr.infer(hostile(), {HOSTILE[0]: [0, 1]}),
    "impossible Posterior": lambda: tr.infer(tr.MarkovNetwork({"a": "01"}, [("a", [1, 0])]), {"a": "1"}),
    "Posterior of a mixture": lambda: tr.infer(tr.mixture(ROWS, 2, "diagonal"), ROWS),
    "Posterior of a machine": lambda: tr.infer(tr.restricted(6, 4)),
    "ChainPosterior": lambda: tr.infer(chain(), ROWS),
    "ChainPosterior of many": lambda: tr.infer(chain(), [ROWS, ROWS]),
    "Marginals": lambda: tr.infer(hostile()).marginals,
    "no Marginals": lambda: tr.infer(coin(), targets=[]).marginals,
    "Means": lambda: tr.infer(tr.restricted(6, 4)).marginals,
    "MostProbable": lambda: tr.most_probable(hostile()),
    "MostProbable of rows": lambda: tr.most_probable(hostile(), {HOSTILE[0]: [0, 1]}),
    "MostProbable of a frame": lambda: tr.most_probable(coin(), _frame({"a": ["0", "1"]})),
    "MostProbable path": lambda: tr.most_probable(chain(), ROWS),
    "MostProbable paths": lambda: tr.most_probable(chain(), [ROWS, ROWS]),
    "Certificate": lambda: tr.Certificate(2.0, 1.9, 2.25, "conditional", 0.95, verdict=HOSTILE[0], assumes=HOSTILE[1]),
    "Certificate of rows": lambda: tr.log_evidence(hostile(), {HOSTILE[0]: [0, 1] * 20}),
    "Certificate of a matrix": lambda: tr.Certificate.bound(np.eye(3), lower=np.zeros((3, 3))),
    "Certificate of no rows": lambda: tr.Certificate.exact(np.zeros(0)),
    "EMRun": lambda: tr.fit(tr.mixture(ROWS, 2, "diagonal"), ROWS, tr.EM()),
    "Rows": lambda: tr.impute(tr.mixture(_frame({HOSTILE[0]: ROWS[:, 0]}), 2, "diagonal"), {HOSTILE[0]: [0.0, None]}),
    "Run": lambda: tr.fit(tr.restricted(4, 2), BITS, epochs=12, yardstick=False),
    "History": lambda: tr.fit(tr.mixture(ROWS, 2, "diagonal"), ROWS, tr.EM()).history,
    "empty History": tr.History,
    "Mixture": lambda: tr.mixture(_frame({HOSTILE[0]: ROWS[:, 0], HOSTILE[1]: ROWS[:, 1]}), 2, "diagonal"),
    "Mixture of nothing": lambda: tr.condition(tr.mixture(ROWS, 2, "diagonal"), ROWS[0]),
    "HiddenMarkovModel": chain,
    "FactorialHiddenMarkovModel": lambda: tr.factorial_hidden_markov([ROWS], [2, 3]),
    "Emissions": lambda: tr.CategoricalEmissions([[[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]]]),
    "Boltzmann": lambda: tr.restricted(6, 4, key=0),
    "SigmoidBeliefNetwork": lambda: tr.SigmoidBeliefNetwork([4, 3, 2], key=0),
    "HelmholtzMachine": lambda: tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([4, 3, 2], key=0)),
    "DeepBeliefNetwork": lambda: tr.DeepBeliefNetwork([4, 3, 2], key=0),
    "Diagnosis": lambda: tr.evaluate.diagnose(np.random.default_rng(0).normal(size=(4, 50, 30))),
    "Diagnosis of chains that stand still": lambda: tr.evaluate.diagnose(np.zeros((4, 50))),
    "tied Emissions": lambda: tr.mixture(ROWS, 2, "tied").emissions,
}


def _frame(columns: dict[str, Any]) -> Any:
    return pytest.importorskip("pandas").DataFrame(columns)


TAGS = ("small", "i", "b", "pre")


def shown(record: Any) -> ElementTree.Element:
    """The card of a record, read as XML, which what is not well-formed is not."""
    return ElementTree.fromstring(record._repr_html_())


def words(element: ElementTree.Element) -> str:
    """What one reads on it, style apart."""
    for style in element.findall("style"):
        element.remove(style)
    return " ".join(" ".join(element.itertext()).split())


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_a_card_without_script(name: str) -> None:
    record = RECORDS[name]()
    card = shown(record)
    assert card.attrib == {"class": "tractable"} and len(record._repr_html_()) < 60_000
    tags = {element.tag for element in card.iter()}
    assert tags <= {"div", "style", "p", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "bdi", *TAGS}
    known = {"class", "scope", "title", "aria-hidden"}
    assert all(set(element.attrib) <= known | ({"style"} if element.tag in "ib" else set()) for element in card.iter())
    assert all(next(table.iter("th")).attrib["scope"] for table in card.iter("table"))
    assert all(
        re.search(r"\d|impossible", "".join(bar.itertext()))
        for bar in card.iter("div")
        if "said" in bar.attrib.values()
    )


def test_every_public_class_that_is_a_record_has_a_card() -> None:
    cards = {type(make()).__name__ for make in RECORDS.values()}
    assert {name for name in tr.__all__ if hasattr(getattr(tr, name), "_repr_html_")} <= cards | {
        *(name for name in tr.__all__ if name.endswith("Emissions"))
    }
    assert {
        "BayesianNetwork",
        "MarkovNetwork",
        "Plan",
        "Explanation",
        "Posterior",
        "MostProbable",
        "Certificate",
    } <= cards
    assert {"Separation", "Graph", "EMRun", "Run", "History", "Mixture", "HiddenMarkovModel", "Marginals"} <= cards


@pytest.mark.parametrize("name", ["BayesianNetwork", "Posterior", "Posterior of rows", "MostProbable", "Explanation"])
def test_names_are_text(name: str) -> None:
    html = RECORDS[name]()._repr_html_()
    assert "<script" not in html and "<img" not in html and 'a"on' not in html and html.count("</style>") == 1
    if name != "Explanation":
        assert {HOSTILE[1], HOSTILE[3], HOSTILE[4]} <= {bdi.text for bdi in shown(RECORDS[name]()).iter("bdi")}


def test_a_name_that_is_long_is_cut_and_told_in_whole_on_the_side() -> None:
    (long,) = {bdi.attrib["title"] for bdi in shown(hostile()).iter("bdi") if bdi.text == "x" * 47 + "…"}
    assert long == "x" * 200


def test_what_is_shown_is_bounded_and_says_how_much_it_leaves_out() -> None:
    net = long_chain(1041)
    assert words(shown(net)).endswith("… and 1,001 more variables")
    post = tr.infer(net)
    captions = [caption.findtext("bdi") for caption in shown(post).iter("caption")]
    assert captions == [f"v{i}" for i in range(40)] and "1,001 more" in words(shown(post))
    wide = tr.MarkovNetwork({"a": 1000}, [("a", np.ones(1000))])
    assert "988 more states" in words(shown(tr.infer(wide)))
    assert max(len(x._repr_html_()) for x in (net, post, post.marginals, tr.most_probable(net), net.graph)) < 60_000


def test_intervals_are_shown_beside_their_bars_and_on_them() -> None:
    found = tr.infer(coin(), method="mini_buckets", draws=512)
    card, known = shown(found), found.certificates("a")
    assert known.kind == "probabilistic" and "probabilistic at 95 %" in words(card)
    assert f"{known.value[0]:.4g} [{known.lower[0]:.4g}, {known.upper[0]:.4g}]" in words(card)
    fill, ends = next(bar for bar in card.iter("span") if bar.attrib.get("class") == "bar")
    left, width = (float(x) for x in re.findall(r"[\d.]+", ends.attrib["style"]))
    assert fill.attrib["style"] == f"width:{round(100 * known.value[0], 2)}%"
    assert left == pytest.approx(100 * known.lower[0], abs=0.01)
    assert left + width == pytest.approx(100 * known.upper[0], abs=0.02)


def test_exact_bars_have_no_ends_and_estimates_say_that_they_are_estimates() -> None:
    assert not list(shown(tr.infer(coin())).iter("b"))
    estimate = shown(tr.infer(coin(), method="gibbs"))
    assert not list(estimate.iter("b")) and "estimate" in words(estimate)


def test_what_cannot_be_relied_on_is_set_apart() -> None:
    card = shown(tr.Certificate(2.0, 1.9, 2.25, "probabilistic", 0.95, verdict="unreliable: chains do not cross"))
    (warned,) = (span for span in card.iter("span") if span.attrib["class"] == "warn")
    assert warned.text == "unreliable: chains do not cross"


def test_impossible_evidence_and_what_the_budget_refuses_are_said() -> None:
    assert "the evidence has probability zero" in words(shown(RECORDS["impossible Posterior"]()))
    assert "refused" in words(shown(RECORDS["refused Explanation"]()))
    some = tr.infer(tr.MarkovNetwork({"a": "01"}, [("a", [1, 0])]), {"a": ["0", "1"]})
    assert "impossible" in words(shown(some))


def test_a_long_run_shows_its_last_records() -> None:
    record = tr.learning.Epoch(1, seconds=0.5, train=tr.Certificate.exact(-3.0))
    card = words(shown(tr.History(tuple(tr.learning.Epoch(i, 0.5, train=record.train) for i in range(1, 201)))))
    assert "the last 10 of 200 records" in card and "191" in card and "190" not in card


def test_the_style_holds_inside_cards_alone_and_knows_dark_pages() -> None:
    rules = re.sub(r"@media[^{]*{(.*?})}", r"\1", _blocks.STYLE.replace("\n", " "))
    selectors = [one.strip() for rule in re.findall(r"([^{}]+){", rules) for one in rule.split(",")]
    assert selectors and all(re.search(r"\.tractable\b", one) for one in selectors)
    assert "prefers-color-scheme:dark" in _blocks.STYLE and "color-scheme:light dark" in _blocks.STYLE
    assert set(re.findall("--[a-z]+", _blocks.LIGHT)) == set(re.findall("--[a-z]+", _blocks.DARK))


def test_columns_are_named_where_they_are_columns_alone() -> None:
    """Categories are no columns, though there are as many of them."""
    tables = [[[0.1, 0.9], [0.6, 0.4]], [[0.3, 0.7], [0.2, 0.8]]]
    states = shown(tr.Mixture([0.5, 0.5], tr.CategoricalEmissions(tables), columns=["u", "v"]))
    assert "u" not in {heading.findtext("bdi") for heading in states.iter("th")}
    means = tr.Mixture([0.5, 0.5], tr.BernoulliEmissions([[0.9, 0.1], [0.2, 0.8]]), columns=["u", "v"])
    assert "u v component 0 0.9 0.1" in words(shown(means))


def test_nothing_of_it_is_loaded_before_it_is_asked_for() -> None:
    code = (
        "import sys, tractable as tr; p = tr.infer(tr.MarkovNetwork({'a': '01'}, [('a', [1, 3])])); repr(p.marginals); "
    )
    code += "print('tractable._html' in sys.modules); p._repr_html_(); print('tractable._html' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == [
        "False",
        "True",
    ]


def test_lines_say_what_matters() -> None:
    net = long_chain(6)
    post = tr.infer(net)
    assert repr(post.marginals).startswith("Marginals of 6 variables: v0 (0 0.3, 1 0.7), v1 (0 0.41, 1 0.59), ")
    assert repr(post.marginals).endswith(", …") and "v4" not in repr(post.marginals)
    assert repr(tr.infer(net, {"v0": [0, 1]}).marginals) == "Marginals of 6 variables: v0, v1, v2, v3, …"
    assert repr(tr.explain(net)).startswith("Explanation(marginals: elimination, evidence: ")
    assert repr(tr.plan(tr.restricted(50, 50))).startswith("Plan(marginals: refused, ")
    assert (
        repr(tr.most_probable(coin()))
        == "MostProbable({'a': '1', 'b': '1'}, log_probability=Certificate(1.38629, exact))"
    )
    assert repr(tr.History()) == "History(0 records)" and "\x1b" not in repr(
        tr.infer(hostile(), targets=[HOSTILE[7]]).marginals
    )
