"""Figures: what is drawn are the numbers that were given."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from matplotlib.colors import to_rgb

import tractable as tr
from tractable.evaluate import SampleBounds
from tractable.learning.em.records import Iteration
from tractable.learning.records import Epoch, History
from tractable.plots import (
    bound_against_samples,
    chain_traces,
    components,
    em_curves,
    explaining_away,
    filters,
    gradient_variance,
    learning_curve,
    samples,
    state_path,
    transition_graph,
)

pytest.importorskip("matplotlib")


def epoch(number, train=None, validation=None):
    return Epoch(number, float(number), 0.1 * number, 0.5, train, validation)


def saved(figure, path):
    """The figure can be written."""
    figure.savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")


class TestLearningCurve:
    def test_values_and_intervals_of_both(self, tmp_path):
        records = [
            epoch(1, tr.Certificate(-9.0, -9.5, -8.0, "bound"), tr.Certificate(-10.0, -10.0, -10.0, "exact")),
            epoch(2),
            epoch(
                3,
                tr.Certificate(-5.0, -5.5, -4.0, "bound"),
                tr.Certificate(-6.0, -np.inf, np.inf, "estimate", None, 0.5),
            ),
        ]
        figure = learning_curve(History(tuple(records)))
        (ax,) = figure.axes
        train, held = ax.lines
        assert train.get_xydata().tolist() == [[1, -9], [3, -5]] and held.get_xydata().tolist() == [[1, -10], [3, -6]]
        assert ax.get_legend_handles_labels()[1] == ["train", "validation"]
        bands = [band.get_paths()[0].vertices for band in ax.collections]
        assert {(1.0, -9.5), (1.0, -8.0), (3.0, -5.5), (3.0, -4.0)} <= set(map(tuple, bands[0]))
        assert {(1.0, -10.0), (3.0, -7.0), (3.0, -5.0)} <= set(map(tuple, bands[1]))
        saved(figure, tmp_path / "curve.png")

    def test_without_a_likelihood_the_gradient_is_drawn(self):
        (ax,) = learning_curve([epoch(1), epoch(2)]).axes
        assert ax.lines[0].get_ydata().tolist() == [0.1, 0.2] and "gradient" in ax.get_ylabel()


class TestEM:
    def test_three_curves_are_the_record(self, tmp_path):
        rows = np.random.default_rng(0).normal(size=(40, 1)) + 3 * (np.arange(40) % 2)[:, None]
        history = tr.fit(tr.mixture(rows, 2, "diagonal"), rows, tr.GeneralizedEM(posterior="hard"), epochs=5).history
        above, below = (figure := em_curves(history)).axes
        assert above.get_legend_handles_labels()[1] == ["log-likelihood", "ELBO"]
        train, elbo, kl = (line.get_ydata() for line in (*above.lines, *below.lines))
        assert list(train) == [r.train.value for r in history] and list(kl) == [r.kl.value for r in history]
        assert np.array(train) == pytest.approx(np.add(elbo, kl), abs=1e-9)
        saved(figure, tmp_path / "em.png")

    def test_where_kl_is_zero_one_panel_says_all(self):
        rows = np.random.default_rng(0).normal(size=(30, 1)) + 3 * (np.arange(30) % 2)[:, None]
        history = tr.fit(tr.mixture(rows, 2, "diagonal"), rows + 1e4, epochs=4).history
        (ax,) = (figure := em_curves(history)).axes
        assert [line.get_label() for line in ax.lines] == ["log-likelihood = ELBO"]
        figure.draw_without_rendering()
        assert ax.yaxis.get_offset_text().get_text() == "" and ax.get_ylabel() == "nats a row"

    def test_a_kl_within_an_interval_is_a_band(self):
        kl = tr.Certificate(0.0, 0.0, 1.5, "bound")
        record = Iteration(0, 0.0, tr.Certificate(-2.0, -2.0, -0.5, "bound"), tr.Certificate.exact(-2.0), kl, -2.0, 0.0)
        (band,) = em_curves([record]).axes[1].collections
        assert {(0.0, 0.0), (0.0, 1.5)} <= set(map(tuple, band.get_paths()[0].vertices))


class TestComponents:
    def test_means_are_images_the_largest_first(self, tmp_path):
        means = np.random.default_rng(0).random((3, 6))
        figure = components(means, weights=[0.2, 0.5, 0.3], shape=(2, 3))
        shown = [np.asarray(ax.images[0].get_array()) for ax in figure.axes]
        assert all(np.array_equal(image.ravel(), means[k]) for image, k in zip(shown, (1, 2, 0), strict=True))
        assert figure.axes[0].get_title() == "0.5"
        saved(figure, tmp_path / "components.png")

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ([[[4.0, 1.5], [1.5, 1.0]], np.eye(2)], [[[4.0, 1.5], [1.5, 1.0]], np.eye(2)]),
            ([[4.0, 1.5], [1.5, 1.0]], [[[4.0, 1.5], [1.5, 1.0]]] * 2),
            ([[4.0, 1.0], [2.0, 3.0]], [np.diag([4.0, 1.0]), np.diag([2.0, 3.0])]),
            ([4.0, 1.0], [4 * np.eye(2), np.eye(2)]),
        ],
    )
    def test_ellipses_lie_at_standard_deviations(self, given, expected, tmp_path):
        """Every point of an ellipse has the Mahalanobis distance that it stands for, in all shapes of covariances."""
        means = np.array([[0.0, 1.0], [5.0, 2.0]])
        figure = components(means, given, weights=[0.7, 0.3], rows=means)
        patches = figure.axes[0].patches
        assert len(patches) == 4
        for i, patch in enumerate(patches):
            k, radius = i // 2, i % 2 + 1
            edge = patch.get_patch_transform().transform(np.asarray(patch.get_path().vertices)[::3]) - means[k]
            distance = np.sqrt(np.einsum("ni,ij,nj->n", edge, np.linalg.inv(expected[k]), edge))
            assert distance[:8] == pytest.approx(np.full(len(distance[:8]), radius), rel=1e-2)
        saved(figure, tmp_path / "ellipses.png")

    @pytest.mark.parametrize(
        ("means", "covariances", "words"),
        [(np.zeros((2, 3)), np.ones((2, 3)), "two columns"), (np.zeros((2, 5)), None, "square")],
    )
    def test_what_cannot_be_drawn_is_refused(self, means, covariances, words):
        with pytest.raises(ValueError, match=words):
            components(means, covariances)
        with pytest.raises(ValueError, match="weights"):
            components(np.zeros((2, 4)), weights=[1.0])


class TestImages:
    def test_filters_are_columns_on_one_scale(self, tmp_path):
        weights = np.arange(12.0).reshape(6, 2) - 7
        figure = filters(weights, (2, 3))
        shown = [ax.images[0] for ax in figure.axes]
        for j, image in enumerate(shown):
            assert np.array_equal(image.get_array(), weights[:, j].reshape(2, 3))
            assert image.get_clim() == (-7, 7)
        saved(figure, tmp_path / "filters.png")

    def test_samples_are_rows(self):
        rows = np.random.default_rng(0).integers(0, 2, (5, 9))
        figure = samples(rows)
        assert [
            np.array_equal(ax.images[0].get_array(), row.reshape(3, 3))
            for ax, row in zip(figure.axes, rows, strict=True)
        ] == [True] * 5

    def test_no_more_than_a_hundred(self):
        assert len(samples(np.eye(120, 4)).axes) == 100

    @pytest.mark.parametrize(
        ("array", "shape"), [(np.zeros((2, 5)), None), (np.zeros((2, 4)), (2, 3)), (np.zeros(4), None)]
    )
    def test_what_is_no_image_is_refused(self, array, shape):
        with pytest.raises(ValueError, match="numbers"):
            samples(array, shape)


class TestTraces:
    def test_a_line_for_each_chain(self, tmp_path):
        draws = np.random.default_rng(0).normal(size=(3, 50))
        figure = chain_traces(draws, ["energy"])
        (ax,) = figure.axes
        assert np.array_equal([line.get_ydata() for line in ax.lines], draws) and ax.get_ylabel() == "energy"
        saved(figure, tmp_path / "traces.png")

    def test_a_panel_for_each_quantity(self):
        draws = np.random.default_rng(0).normal(size=(2, 10, 3))
        axes = chain_traces(draws).axes
        assert len(axes) == 3 and np.array_equal(axes[2].lines[1].get_ydata(), draws[1, :, 2])

    def test_wrong_shape(self):
        with pytest.raises(ValueError, match="n_chains"):
            chain_traces([1.0, 2.0])


class TestChains:
    def test_a_path_and_probabilities_over_the_columns(self, tmp_path):
        path, rows = np.array([0, 0, 2, 1]), np.arange(8.0).reshape(4, 2)
        top, bottom = state_path(path, rows, ["a", "b", "c"]).axes
        assert [line.get_ydata().tolist() for line in top.lines] == rows.T.tolist()
        assert [text.get_text() for text in (bottom.get_legend() or pytest.fail("no legend")).texts] == ["a", "b", "c"]
        figure = state_path(np.array([[0.25, 0.75], [1.0, 0.0]]))
        shares = figure.axes[0].collections
        assert len(shares) == 2 and np.asarray(shares[0].get_paths()[0].vertices)[:, 1].max() == 1
        saved(figure, tmp_path / "path.png")

    def test_an_arrow_for_each_transition_that_is_there(self, tmp_path):
        figure = transition_graph([[0.7, 0.3, 0.0], [0.0, 0.999, 0.001], [0.5, 0.25, 0.25]])
        texts = [text.get_text() for text in figure.axes[0].texts]
        assert [t for t in texts if t.startswith("state")] == ["state 0", "state 1", "state 2"]
        assert sorted(t for t in texts if t and t[0].isdigit()) == ["0.25", "0.25", "0.30", "0.50", "0.70", "1.00"]
        saved(figure, tmp_path / "graph.png")

    def test_a_path_beside_its_bands(self):
        """A strip has the colours of the path; behind the columns they are mixed as the states are probable."""
        shares, path = np.array([[0.25, 0.75], [1.0, 0.0], [0.4, 0.6]]), [1, 0, 0]
        top, strip, bands = state_path(shares, [1.0, 2.0, 3.0], path=path).axes
        blue, orange = (np.array(to_rgb(colour)) for colour in ("C0", "C1"))
        assert np.asarray(strip.images[0].get_array())[0] == pytest.approx(np.array([orange, blue, blue]))
        mixed = shares @ np.array([blue, orange])
        assert np.asarray(top.images[0].get_array())[0] == pytest.approx(mixed)
        assert (strip.get_ylabel(), bands.get_ylabel()) == ("path", "state") and len(bands.collections) == 2
        with pytest.raises(ValueError, match="expected a path of 3 rows"):
            state_path(shares, path=[0, 1])

    @pytest.mark.parametrize(
        ("draw", "said"),
        [
            (lambda: state_path([0.5, 1.0]), "path of states"),
            (lambda: state_path([]), "path of states"),
            (lambda: state_path([0, 1], [1.0]), "expected 2 rows"),
            (lambda: state_path([0, 1], names=["a"]), "2 states need as many names"),
            (lambda: transition_graph([[1.0, 0.0]]), "transitions"),
        ],
    )
    def test_what_cannot_be_drawn(self, draw, said):
        with pytest.raises(ValueError, match=said):
            draw()


def test_drawing_leaves_no_state_behind():
    """No window, no figure that pyplot holds on to, and matplotlib only when something is drawn."""
    script = (
        "import sys, tractable.plots as p\nassert 'matplotlib' not in sys.modules\n"
        "p.chain_traces([[1, 2]])\nassert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"tractable\[plots\]"):
        chain_traces([[1, 2]])


class TestLayers:
    def test_variances_are_bars_in_their_order(self, tmp_path):
        figure = gradient_variance({"reinforce": 30.0, "nvil": 2.5, "disarm": 1.0})
        (ax,) = figure.axes
        assert [bar.get_width() for bar in ax.patches] == [30, 2.5, 1] and ax.get_xscale() == "log"
        assert [tick.get_text() for tick in ax.get_yticklabels()] == ["reinforce", "nvil", "disarm"]
        assert ax.yaxis_inverted()
        saved(figure, tmp_path / "variances.png")

    @pytest.mark.parametrize("bad", [{}, {"nvil": 0.0}, {"nvil": np.nan}])
    def test_variances_that_are_none(self, bad):
        with pytest.raises(ValueError, match="expected variances above zero"):
            gradient_variance(bad)

    def test_a_bound_over_its_samples(self, tmp_path):
        given = SampleBounds(np.array([1, 10]), np.array([-9.0, -7.5]), np.array([0.2, np.nan]))
        figure = bound_against_samples(given)
        (line,) = figure.axes[0].lines
        assert line.get_xdata().tolist() == [1, 10] and line.get_ydata().tolist() == [-9, -7.5]
        saved(figure, tmp_path / "bound.png")

    def test_causes_side_by_side(self):
        figure = explaining_away({"x": [0.4, 0.4], "x and z1": [0.1, 1.0]})
        assert [bar.get_height() for bar in figure.axes[0].patches] == [0.4, 0.4, 0.1, 1]
        with pytest.raises(ValueError, match="probabilities between 0 and 1"):
            explaining_away({"x": [1.2]})

    def test_receptive_fields_of_causes(self):
        model = tr.SigmoidBeliefNetwork([6, 3, 2])
        deeper = filters(model.weights[0] @ model.weights[1], (2, 3))
        assert len(filters(model.weights[0], (2, 3)).axes) == 3 and len(deeper.axes) == 2


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_columns_of_a_table_are_named(make):
    table = make({"sky": ["sun", "rain", "sun"], "temp": [20.0, 8.0, 19.0], "wind": [1, 3, 2]})
    path = tr.plots.state_path([0, 1, 0], table)
    assert [text.get_text() for text in path.axes[0].get_legend().get_texts()] == ["temp", "wind"]
    ax = tr.plots.components([[19.0, 1.0], [8.0, 3.0]], [1.0, 1.0], rows=table).axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("temp", "wind")


@pytest.fixture(scope="module")
def rain():
    """Rain and a sprinkler wet the grass."""
    tables = {
        "rain": [0.2, 0.8],
        "sprinkler": [0.4, 0.6],
        "wet": [[[0.99, 0.01], [0.9, 0.1]], [[0.8, 0.2], [0.0, 1.0]]],
    }
    return tr.BayesianNetwork(dict.fromkeys(tables, ("yes", "no")), {"wet": ["rain", "sprinkler"]}, tables)


class TestTables:
    def test_heat_is_the_table_with_a_row_for_each_state_of_the_parents(self, rain, tmp_path):
        figure = tr.plots.conditional_table(rain, "wet")
        ax = figure.axes[0]
        assert np.array_equal(ax.images[0].get_array(), rain.tables["wet"].reshape(4, 2))
        assert [t.get_text() for t in ax.get_yticklabels()] == ["yes, yes", "yes, no", "no, yes", "no, no"]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("wet", "rain, sprinkler")
        assert [t.get_text() for t in ax.texts][:2] == ["0.99", "0.01"]
        assert figure.axes[1].get_ylabel() == "probability" or figure.axes[1].get_xlabel() == "probability"
        saved(figure, tmp_path / "heat.png")

    def test_a_large_table_is_cut_and_says_so(self):
        states = {f"p{i}": "0123" for i in range(4)} | {"child": [str(i) for i in range(30)]}
        parents = [f"p{i}" for i in range(4)]
        tables = {v: np.full(4, 0.25) for v in parents} | {"child": np.full((4, 4, 4, 4, 30), 1 / 30)}
        ax = tr.plots.conditional_table(tr.BayesianNetwork(states, {"child": parents}, tables), "child").axes[0]
        assert ax.get_title() == "64 of 256 rows, 24 of 30 states" and not ax.texts
        assert ax.images[0].get_array().shape == (64, 24)

    def test_what_has_no_table(self, rain):
        with pytest.raises(tr.GraphError, match="unknown variable 'wett'; did you mean 'wet'"):
            tr.plots.conditional_table(rain, "wett")
        with pytest.raises(TypeError, match="expected a Bayesian network"):
            tr.plots.conditional_table(tr.MarkovNetwork({"a": "01"}, [("a", [1, 2])]), "a")


class TestBeliefs:
    def test_bars_are_the_marginals_of_each_posterior(self, rain, tmp_path):
        before, after = tr.infer(rain), tr.infer(rain, {"wet": "yes"})
        figure = tr.plots.beliefs({"before": before, "wet": after}, ["rain", "sprinkler"])
        for ax, v in zip(figure.axes, ("rain", "sprinkler"), strict=True):
            expected = [*before.marginals[v].values(), *after.marginals[v].values()]
            assert [bar.get_width() for bar in ax.patches] == pytest.approx(expected)
            assert ax.get_title() == v and [t.get_text() for t in ax.get_yticklabels()] == ["yes", "no"]
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["before", "wet"]
        saved(figure, tmp_path / "beliefs.png")

    def test_the_variables_that_moved_most_come_by_themselves(self):
        names = [f"v{i}" for i in range(20)]
        net = tr.BayesianNetwork(
            dict.fromkeys([*names, "cause"], "01"),
            {v: ["cause"] for v in names},
            {"cause": [0.5, 0.5]} | {v: [[0.5 + i / 50, 0.5 - i / 50], [0.5, 0.5]] for i, v in enumerate(names)},
        )
        figure = tr.plots.beliefs({"before": tr.infer(net), "after": tr.infer(net, {"cause": "0"})})
        assert [ax.get_title() for ax in figure.axes] == [*names[9:], "cause"]

    def test_intervals_are_drawn_on_the_bars(self, rain):
        found = tr.infer(rain, {"wet": "yes"}, method="mini_buckets", draws=500)
        ax = tr.plots.beliefs({"wet": found}, ["rain"]).axes[0]
        ends = np.sort([segment[:, 0] for segment in ax.collections[0].get_segments()], axis=1)
        own = found.certificates("rain")
        assert ends == pytest.approx(np.stack([own.lower, own.upper], axis=1)) and (ends[:, 0] < ends[:, 1]).all()

    def test_nothing_to_draw(self, rain):
        with pytest.raises(ValueError, match="expected posteriors"):
            tr.plots.beliefs({})
        with pytest.raises(ValueError, match="no variables"):
            tr.plots.beliefs({"a": tr.infer(rain)}, [])


class TestEmissions:
    def test_densities_integrate_to_the_weights(self, tmp_path):
        """Of two correlated columns each has its own normal density, times the weight of its component."""
        means, covariances = np.array([[0.0, 5.0], [4.0, -5.0]]), np.array([[[1.0, 0.8], [0.8, 2.0]]] * 2)
        rows = np.random.default_rng(0).normal(size=(400, 2)) * 4
        own = tr.GaussianEmissions(means, covariances)
        figure = tr.plots.emissions(own, rows, weights=[0.3, 0.7], names=["low", "high"])
        for j, ax in enumerate(figure.axes):
            for line, mean, share in zip(ax.lines, means[:, j], (0.3, 0.7), strict=False):
                x, y = line.get_data()
                variance = covariances[0, j, j]
                normal = np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
                assert y == pytest.approx(share * normal)
            low, high, whole = (np.asarray(line.get_ydata()) for line in ax.lines)
            assert whole == pytest.approx(low + high)
            assert sum(bar.get_height() * bar.get_width() for bar in ax.patches) == pytest.approx(1)
        told = [text.get_text() for text in figure.legends[0].get_texts()]
        assert told == ["low (30 %)", "high (70 %)", "all"]
        saved(figure, tmp_path / "emissions.png")

    def test_counts_have_probabilities_and_the_likeliest_weights(self):
        """Without weights those of most likelihood: shares of rows that only one component can have."""
        rows = np.array([0.0] * 30 + [100.0] * 70 + [np.nan])
        ax = tr.plots.emissions(tr.PoissonEmissions([[0.01], [100.0]]), rows).axes[0]
        first, second, whole = (np.asarray(line.get_ydata()) for line in ax.lines)
        assert first[0] == pytest.approx(0.3 * np.exp(-0.01), rel=0.05)
        assert second.sum() == pytest.approx(0.7 * 0.52, rel=0.1)  # of a Poisson(100), what is at most its mean
        assert whole == pytest.approx(first + second) and ax.get_ylabel() == "probability"

    def test_wrong_shapes(self):
        own = tr.PoissonEmissions([[1.0], [2.0]])
        with pytest.raises(ValueError, match="the rows have 2 columns, the emissions 1"):
            tr.plots.emissions(own, np.zeros((3, 2)))
        with pytest.raises(ValueError, match="2 components need as many weights"):
            tr.plots.emissions(own, [1, 2], weights=[1.0])
        with pytest.raises(ValueError, match="2 components need as many names"):
            tr.plots.emissions(own, [1, 2], names=["a"])


def test_axes_are_named_and_have_no_offset():
    narrow = {s: tr.Certificate(1e6 + 2.0, 1e6 + 2 - 1 / s, 1e6 + 2 + 1 / s, "bound") for s in (1.0, 10.0)}
    figure = tr.plots.intervals(narrow, {"$x$": 1e6 + 2.1})
    figure.draw_without_rendering()
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("seconds", "log Z") and not ax.yaxis.get_offset_text().get_text()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["interval", "value", "$x$"]
