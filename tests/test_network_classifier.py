"""Bayesian networks as classifiers of scikit-learn."""

from __future__ import annotations

import brute_force
import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.naive_bayes import CategoricalNB
from sklearn.utils.estimator_checks import check_estimator

import tractable as tr
from tractable.estimators import BayesianNetworkClassifier
from tractable.estimators.columns import column_of
from tractable.learning.starts.trees import best_tree, information


@pytest.mark.parametrize("structure", ["naive", "tree"])
@pytest.mark.filterwarnings("ignore")
def test_what_scikit_learn_asks_of_an_estimator(structure):
    found = check_estimator(BayesianNetworkClassifier(structure), on_fail=None)
    failed = [r for r in found if r["status"] not in ("passed", "skipped")]
    assert not failed


def rows_of(n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A class, a column that follows it, one that follows the two, and one that follows nothing."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    a = np.where(rng.random(n) < 0.7, y, rng.integers(3, size=n))
    b = (a + y + (rng.random(n) < 0.1)) % 2
    return np.column_stack([a, rng.integers(2, size=n), b]).astype(float), y


def test_the_naive_network_is_the_naive_bayes_of_scikit_learn():
    x, y = rows_of()
    own = BayesianNetworkClassifier(prior=0).fit(x, y)
    peer = CategoricalNB(alpha=1e-12, force_alpha=True).fit(x.astype(int), y)
    np.testing.assert_allclose(own.predict_proba(x), peer.predict_proba(x.astype(int)), atol=1e-9)


def test_the_tree_finds_what_hangs_together_and_classifies_better():
    """The class is whether two columns differ, which neither of them shows alone."""
    rng = np.random.default_rng(0)
    x = rng.integers(2, size=(1000, 3)).astype(float)
    y = ((x[:, 0] != x[:, 2]) ^ (rng.random(1000) < 0.1)).astype(int)
    tree, naive = (BayesianNetworkClassifier(s).fit(x[:500], y[:500]) for s in ("tree", "naive"))
    assert "x0" in tree.model_.parents["x2"]
    assert tree.score(x[500:], y[500:]) > 0.85 > 0.65 > naive.score(x[500:], y[500:])


@pytest.mark.parametrize("structure", ["naive", "tree", {"x0": ["class"], "x2": ["x0", "class"], "class": ["x1"]}])
def test_probabilities_of_rows_with_gaps_are_sums_over_all_joint_states(structure):
    x, y = rows_of()
    x[np.random.default_rng(1).random(x.shape) < 0.2] = np.nan
    found = BayesianNetworkClassifier(structure, random_state=0).fit(x, y)
    objective = [step.objective for step in found.history_]
    assert (np.diff(objective) > -1e-12).all() and len(objective) > 2
    proba = found.predict_proba(x[:15])
    for row, p in zip(x[:15], proba, strict=True):
        evidence = {f"x{j}": int(v) for j, v in enumerate(row) if v == v}
        np.testing.assert_allclose(p, brute_force.marginals(found.model_, evidence)["class"], atol=1e-10)


def test_text_columns_and_names_of_a_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"colour": ["red", "blue", None, "red"] * 5, "size": [1.0, 2.5, np.nan, 1.5] * 5})
    found = BayesianNetworkClassifier("tree").fit(frame, ["ripe", "raw", "raw", "ripe"] * 5)
    assert found.model_.states["colour"] == ("blue", "red") and len(found.model_.states["size"]) == 3
    assert found.predict(frame.iloc[:2]).tolist() == ["ripe", "raw"]
    with pytest.raises(tr.ModelError, match=r"row 1: variable 'colour' has no state 'rod' .* did you mean 'red'"):
        found.predict(frame.iloc[:2].assign(colour=["red", "rod"]))
    with pytest.raises(tr.ModelError, match="row 0, column 'size': 'a' is no number, which the column held"):
        found.predict(frame.iloc[:2].assign(size=["a", "b"]))


def test_numbers_are_cut_into_bins_of_equal_shares():
    x = np.random.default_rng(0).exponential(size=1000)
    column = column_of("x", x, 4, np.ones(1000))
    np.testing.assert_allclose(np.bincount(column.codes(x)), 250)
    assert len(column_of("x", np.r_[1.0, 2.0, 2.0], 4, np.ones(3)).states) == 2
    weights = np.random.default_rng(1).integers(3, size=1000)
    again = column_of("x", np.repeat(x, weights), 4, np.ones(weights.sum()))
    np.testing.assert_array_equal(column_of("x", x, 4, weights.astype(float)).cuts, again.cuts)


def test_information_is_what_the_definition_says():
    rng = np.random.default_rng(0)
    x, label, w = rng.integers(-1, 3, (600, 2)), rng.integers(2, size=600), rng.random(600)
    expected = 0.0
    for c in range(2):
        rows = (label == c) & (x >= 0).all(1)
        p = np.zeros((3, 3))
        np.add.at(p, (x[rows, 0], x[rows, 1]), w[rows])
        p /= p.sum()
        expected += w[label == c].sum() / w.sum() * np.sum(p * np.log(p / np.outer(p.sum(1), p.sum(0))))
    assert information(x, [3, 3], label, w)[0, 1] == pytest.approx(expected)
    assert best_tree(np.zeros((0, 0))) == [] and best_tree(np.zeros((1, 1))) == [-1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: BayesianNetworkClassifier("tre"), "did you mean 'tree'"),
        (lambda: BayesianNetworkClassifier({"x9": ["class"]}), "unknown variable 'x9'"),
        (lambda: BayesianNetworkClassifier({"x0": ["x1"], "x1": ["x0"]}), "cycle"),
        (lambda: BayesianNetworkClassifier(n_bins=0), "n_bins"),
        (lambda: BayesianNetworkClassifier(prior=-1.0), "pseudo-rows"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, words):
    with pytest.raises(tr.ModelError, match=words):
        make().fit(*rows_of(20))


def test_a_table_means_what_it_means_to_every_model():
    """Categories in their order, booleans, gaps of any kind: each of these was an error, or a state of its own."""
    pandas = pytest.importorskip("pandas")
    colours = ["red", "blue", None, "NA", "?"] * 4
    frame = pandas.DataFrame(
        {
            "colour": pandas.Categorical(["red", "blue", None, None, None] * 4, ["green", "red", "blue"]),
            "said": colours,
            "ripe": pandas.array([True, None, False, True, None] * 4, dtype="boolean"),
            "size": pandas.array([1, 2, None, 3, 1] * 4, dtype="Int64"),
        }
    )
    label = ["eat", "wait", "wait", "eat", "wait"] * 4
    found = BayesianNetworkClassifier().fit(frame, label)
    assert found.model_.states["colour"] == ("green", "red", "blue")
    assert found.model_.states["said"] == ("blue", "red") and found.model_.states["ripe"] == ("False", "True")
    assert [len(column.states) for column in found.columns_] == [3, 2, 2, 3]
    right = found.predict_proba(frame)
    for same in (frame.astype(object), frame.astype({"ripe": object}), frame.assign(colour=colours)):
        np.testing.assert_allclose(found.predict_proba(same), right)
    for cell in (frame.assign(said=[["red"]] * 20), frame.assign(size=pandas.date_range("2020", periods=20))):
        with pytest.raises(tr.ModelError, match=r"column 'said'|column 'size'"):
            BayesianNetworkClassifier().fit(cell, label)


def test_structures_are_written_as_those_of_networks():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": ["x", "y"] * 10, "b": ["u", "u", "v", "v"] * 5})
    edges = [("class", "a"), ("class", "b"), ("a", "b")]
    for structure in (edges, "class -> a, b; a -> b", {"a": ["class"], "b": ["class", "a"]}):
        found = BayesianNetworkClassifier(structure).fit(frame, ["no", "yes"] * 10)
        assert found.model_.parents["b"] == ("class", "a")
    with pytest.raises(tr.ModelError, match="there twice"):
        BayesianNetworkClassifier([("class", "a"), ("class", "a")]).fit(frame, ["no", "yes"] * 10)
