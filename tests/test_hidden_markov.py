"""Hidden Markov models: published values, the oracle of all paths, what is missing, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from chains_oracle import enumerate_paths
from data import DATA, needs_data

import tractable as tr
from tractable.posterior import ImpossibleEvidenceError

infer: Any = tr.infer  # what it returns depends on the family of the model
most_probable: Any = tr.most_probable
GAUSSIANS = tr.GaussianEmissions([[0.0, 0.0], [2.0, -1.0]], [[[1.0, 0.5], [0.5, 1.0]], [[0.5, 0.0], [0.0, 2.0]]])


def weather() -> tr.HiddenMarkovModel:
    activities = tr.CategoricalEmissions([[[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]]])  # walk, shop, clean
    return tr.HiddenMarkovModel([0.6, 0.4], [[0.7, 0.3], [0.4, 0.6]], activities)


def gaussian() -> tr.HiddenMarkovModel:
    return tr.HiddenMarkovModel([0.3, 0.7], [[0.8, 0.2], [0.5, 0.5]], GAUSSIANS)


def test_the_weather_of_the_textbook() -> None:
    best, post = most_probable(weather(), [0, 1, 2]), infer(weather(), [0, 1, 2])
    assert np.exp(best.log_probability.value) == pytest.approx(0.01344, rel=1e-12)
    assert best.assignment["state"].tolist() == [1, 0, 0]
    published = [[0.23170303, 0.76829697], [0.62406281, 0.37593719], [0.86397706, 0.13602294]]
    np.testing.assert_allclose(post.marginals["state"], published, atol=2e-7)  # they were computed in single precision
    assert post.log_partition.kind == "exact" and post.log_partition.value == pytest.approx(np.log(0.033612), rel=1e-12)


@needs_data
def test_the_dishonest_casino() -> None:
    assert DATA is not None
    told = json.loads((DATA / "sequences" / "dishonest_casino.json").read_text(encoding="utf-8"))
    model = tr.HiddenMarkovModel([0.5, 0.5], told["A"], tr.CategoricalEmissions([[told["B_fair"], told["B_loaded"]]]))
    for kind, log_p in told["loglik_uniform_start"].items():
        rolls = np.array([int(roll) - 1 for roll in told[f"rolls_{kind}"]])
        assert tr.log_partition(model, rolls).value == pytest.approx(log_p, rel=1e-13)
        assert "".join("FL"[s] for s in most_probable(model, rolls).assignment["state"]) == told["viterbi_book"]


@pytest.mark.parametrize("model", [weather(), gaussian()], ids=["categorical", "gaussian"])
def test_answers_are_those_of_all_paths_and_of_the_network(model: tr.HiddenMarkovModel) -> None:
    rows = tr.sample(model, 7, key=3)
    rows[2] = np.nan
    rows[4, -1] = np.nan
    truth = enumerate_paths(model.first, model.transition, model.log_likelihoods(rows))
    assert truth is not None
    network = tr.condition(model, rows)
    for method in ("sequential", "associative"):
        post = infer(model, rows, method=method)
        np.testing.assert_allclose(post.log_partition.value, truth.log_p, rtol=1e-12)
        np.testing.assert_allclose(post.marginals["state"], truth.marginals, atol=1e-12)
        np.testing.assert_allclose(post.transitions, truth.transitions, atol=1e-12)
    other = infer(network)
    np.testing.assert_allclose(other.log_partition.value, truth.log_p, rtol=1e-12)
    np.testing.assert_allclose([other.marginals.array(f"state{t}") for t in range(7)], truth.marginals, atol=1e-12)
    best = most_probable(model, rows)
    assert best.assignment["state"].tolist() == truth.paths[truth.log_joint.argmax()].tolist()


def test_many_sequences_give_lists_and_a_missing_row_says_nothing() -> None:
    parts = [[0, 1, 2], [2], [1, 1]]
    post, best = infer(weather(), parts), most_probable(weather(), parts)
    assert [m.shape for m in post.marginals["state"]] == [(3, 2), (1, 2), (2, 2)]
    assert [p.shape for p in best.assignment["state"]] == [(3,), (1,), (2,)]
    assert [s.shape for s in post.sample(5, key=0)["state"]] == [(5, 3), (5, 1), (5, 2)]
    for i, part in enumerate(parts):
        one = infer(weather(), part)
        np.testing.assert_allclose(post.marginals["state"][i], one.marginals["state"], atol=1e-15)
        assert post.log_partition.value[i] == pytest.approx(one.log_partition.value, rel=1e-14)
    together = infer(weather(), tr.Sequences(np.concatenate(parts), [3, 1, 2]))
    assert together.log_partition.value.tolist() == post.log_partition.value.tolist()
    blank = infer(weather(), [np.nan, np.nan])
    np.testing.assert_allclose(blank.marginals["state"], [[0.6, 0.4], [0.58, 0.42]], atol=1e-15)
    assert blank.log_partition.value == pytest.approx(0, abs=1e-15)


def test_filtering_forecasts_and_the_online_filter_agree() -> None:
    model, rows = gaussian(), tr.sample(gaussian(), 6, key=1)
    rows[3] = np.nan
    beliefs, now = tr.filtering(model, rows), tr.OnlineFilter(model)
    for t, row in enumerate(rows):
        now = now.update(row)
        np.testing.assert_allclose(now.belief, beliefs[t], atol=1e-13)
        np.testing.assert_allclose(infer(model, rows[: t + 1]).marginals["state"][t], beliefs[t], atol=1e-13)
    assert now.log_likelihood == pytest.approx(tr.log_partition(model, rows).value, rel=1e-13) and now.n_rows == 6
    np.testing.assert_allclose(tr.filtering(model, rows, lag=6), infer(model, rows).marginals["state"], atol=1e-13)
    ahead = tr.forecast(model, rows, 3)
    longer = infer(model, np.vstack([rows, np.full((3, 2), np.nan)])).marginals["state"][-3:]
    np.testing.assert_allclose(ahead.states, longer, atol=1e-13)
    np.testing.assert_allclose(ahead.means, longer @ model.emissions.means, atol=1e-13)


def test_samples_have_the_moments_of_the_model_and_completions_those_of_the_posterior() -> None:
    model, n = gaussian(), 100_000
    rows = tr.sample(model, n, key=0)
    pi = np.array([5, 2]) / 7
    np.testing.assert_allclose(rows.mean(0), pi @ model.emissions.means, atol=5 * np.sqrt(8 / n))
    given = rows[:4].copy()
    given[1], given[2, 0] = np.nan, np.nan
    completed = tr.sample(model, n, evidence=given, key=1)
    assert (completed[:, [0, 3]] == rows[[0, 3]]).all() and (completed[:, 2, 1] == rows[2, 1]).all()
    filled = tr.impute(model, given)
    np.testing.assert_allclose(completed.mean(0), filled, atol=5 * np.sqrt(4 / n))
    np.testing.assert_array_equal(tr.sample(model, 5, key=2), tr.sample(model, 5, key=2))
    assert tr.sample(model, 0).shape == (0, 2)


def test_the_price_is_that_of_a_chain() -> None:
    plan = tr.plan(weather(), observed=500)
    assert plan.method == "forward-backward" and "a chain of width 1: forward–backward, O(T K²)" in plan.why
    assert [p.query for p in tr.explain(weather())] == ["marginals", "evidence", "map"]
    assert tr.plan(weather(), observed=10**6, memory="1MiB").method is None
    with pytest.raises(tr.BudgetError, match="a chain of width 1"):
        infer(weather(), np.zeros(100_000, int), memory="1MiB")
    with pytest.raises(ValueError, match="number of rows"):
        tr.plan(weather(), observed=["a"])


def test_impossible_sequences_are_named_with_the_row() -> None:
    sure = tr.CategoricalEmissions([np.eye(3)])
    cycle = tr.HiddenMarkovModel([1, 0, 0], np.roll(np.eye(3), 1, axis=1), sure)
    assert tr.log_partition(cycle, [0, 1, 2, 0]).value == 0
    assert tr.log_partition(cycle, [[0, 1], [0, 2]]).value.tolist() == [0, -np.inf]
    with pytest.raises(ImpossibleEvidenceError, match="the sequence has probability zero from row 2"):
        most_probable(cycle, [0, 1, 1, 2])
    assert (
        most_probable(cycle, [[0, 1], [0, 1, 1, 2]]).log_probability.verdict == "impossible: sequence 1 from row 2 on"
    )
    with pytest.raises(ImpossibleEvidenceError):
        _ = infer(cycle, [1]).marginals
    with pytest.raises(tr.ModelError, match="the sequence has probability zero from row 0"):
        tr.fit(cycle, [1, 2], tr.EM(prior=0), progress=False)
    with pytest.raises(ImpossibleEvidenceError, match="row 1 has probability zero"):
        tr.OnlineFilter(cycle).update(0).update(0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([[0, 1], [2, 5]], "sequence 1: row 1, column 0: the value 5"),
        ([[0, 1], []], "sequence 1: there are no rows"),
        ([], "there is no sequence"),
        ([0.5], "row 0, column 0"),
        (np.zeros((3, 2)), "2 columns, the model has 1"),
        ([np.zeros((3, 1)), np.zeros((3, 4))], "sequence 1: the data have 4 columns"),
        (["walk"], "not numbers"),
        (None, "needs a sequence"),
        (7, "expected a sequence of rows, got 7"),
    ],
)
def test_bad_sequences_are_named(data: object, said: str) -> None:
    with pytest.raises(tr.ModelError, match=said):
        infer(weather(), data)


@pytest.mark.parametrize(
    ("lengths", "said"), [([2, 2], "sum to 4, but there are 3"), ([3, 0], "sequence 1 is empty"), ([1.5, 1.5], "whole")]
)
def test_lengths_that_do_not_add_up(lengths: list, said: str) -> None:
    with pytest.raises(tr.ModelError, match=said):
        tr.Sequences(np.zeros((3, 1)), lengths)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start": [0.5, 0.6]}, "start must sum to 1"),
        ({"start": "uniform"}, "'stationary'"),
        ({"start": [1.0]}, "start has the shape"),
        ({"transition": [[0.5, 0.5], [0.5, 0.4]]}, "row 1 of transition"),
        ({"transition": [[1.5, -0.5], [0.5, 0.5]]}, "≥ 0"),
        ({"transition": np.eye(2), "start": "stationary"}, "more than one distribution"),
        ({"ties": np.zeros((2, 2), int)}, "tied by label 0 differ"),
        ({"ties": [[0.5, 1], [1, 2]]}, "whole numbers"),
        ({"ties": [[0, -1], [1, 2]], "transition": [[0.5, 0.5], [0.5, 0.5]]}, None),
        ({"ties": [[0, 1], [1, 2]], "transition": [[0.5, 0.5], [0.5, 0.5]]}, "some of their labels only"),
        ({"ties": [[0, -1], [0, -1]], "transition": [[0.5, 0.5], [0.5, 0.5]]}, "free entries"),
    ],
)
def test_parameters_that_are_none(change: dict, said: str | None) -> None:
    good = {"start": [0.5, 0.5], "transition": [[0.9, 0.1], [0.2, 0.8]], "emissions": weather().emissions}
    if said is None:
        assert tr.HiddenMarkovModel(**{**good, **change}).n_states == 2
        return
    with pytest.raises(tr.ModelError, match=said):
        tr.HiddenMarkovModel(**{**good, **change})
