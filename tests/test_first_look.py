"""What a first-time user prints and draws: numbers beside their ends, records in a line, figures of what is at hand."""

import numpy as np
import pytest

import tractable as tr
from tractable.graph._errors import nearest

TABLE = {"id": [*"abcdef"], "sky": [*"rrsrss"], "temp": [8.0, 9.0, 21.0, 7.5, 20.0, 22.0], "day": [*range(6)]}


def test_numbers_with_ends_show_them():
    net = tr.MarkovNetwork({"a": "01", "b": "01"}, [(("a", "b"), [[2.0, 1.0], [1.0, 3.0]])])
    post = tr.infer(net, method="mini_buckets", draws=200)
    own = tr.Certificate(np.array([0.25, 0.75]), np.array([0.2, 0.7]), np.array([0.3, 0.8]), "probabilistic", 0.95)
    assert str(own) == "0.25 [0.2, 0.3]; 0.75 [0.7, 0.8], probabilistic at 95 %"
    assert "[" not in repr(tr.infer(net).marginals)
    ends = post.certificates("a")
    assert (f"[{ends.lower[0]:.4g}, {ends.upper[0]:.4g}]" in repr(post.marginals)) == (ends.kind != "exact")
    assert str(tr.Certificate(-3.0, -np.inf, np.inf, "estimate", std_error=np.inf)) == "-3 ± ?, estimate"


def test_records_stay_short():
    rows = tr.Sequences({"temp": np.arange(500.0), "wet": np.zeros(500)}, [200, 300])
    assert repr(rows) == "Sequences(2 sequences, 500 rows in all, columns temp, wet)"
    coin = tr.HiddenMarkovModel([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], tr.BernoulliEmissions([[0.9], [0.2]]))
    told = repr(tr.most_probable(coin, np.ones((300, 1))))
    assert "300 in all" in told and "\n" not in told
    page = tr.models.rows.Rows(x=np.arange(30.0), kind=np.array(["<b>"] * 30))._repr_html_()
    assert "&lt;b&gt;" in page and "<b>" not in page and "more rows" in page


def test_names_that_differ_in_case_or_are_numbers():
    assert nearest("low", ["HIGH", "LOW"]) == "; did you mean 'LOW'?"
    grid = tr.MarkovNetwork({str(i): "01" for i in range(3)}, [(("0", "1", "2"), np.ones((2, 2, 2)))])
    with pytest.raises(ValueError, match="called by their numbers, 0 to 2"):
        tr.infer(grid, {"s0.0": "1"})
    net = tr.BayesianNetwork({"a": "01"}, {}, {"a": [0.4, 0.6]})
    with pytest.raises(ValueError, match=r"'id', 'age' are no variables .*--ignore id,age"):
        tr.infer(net, {"a": ["0", "1"], "id": [1, 2], "age": [3, 4]})


def test_figures_take_what_is_at_hand():
    pytest.importorskip("matplotlib")
    model = tr.mixture(TABLE, 2, ignore=["id", "day"], key=0)
    axes = tr.plots.emissions(model, TABLE).axes
    assert [ax.get_xlabel() for ax in axes] == ["sky", "temp"]
    net = tr.BayesianNetwork({"a": "01"}, {}, {"a": [0.4, 0.6]})
    bars = tr.plots.beliefs(tr.infer(net), ["a"]).axes[0].patches
    assert [round(float(bar.get_width()), 6) for bar in bars] == [0.4, 0.6]
    chain = tr.HiddenMarkovModel([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]], tr.BernoulliEmissions([[0.9], [0.2]]))
    assert "0.20" in [text.get_text() for text in tr.plots.transition_graph(chain).axes[0].texts]
    assert len(tr.plots.filters(tr.restricted(4, 3)).axes) == 3
