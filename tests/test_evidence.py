"""Evidence as users write it: every form means what it says, every mistake is named with its remedy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zoo import ZOO

import tractable as tr
from tractable.models import ModelError
from tractable.models.evidence import parse_evidence

STATES = {"rain": ("no", "yes"), "wind": ("calm", "breeze", "storm"), "only": ("one",), "digits": ("1", "0", "10")}


def states_of(evidence: Any) -> list:
    return parse_evidence(STATES, evidence).states.tolist()


# One case


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (None, [-1, -1, -1, -1]),
        ({}, [-1, -1, -1, -1]),
        ({"wind": "storm"}, [-1, 2, -1, -1]),
        ({"wind": 2}, [-1, 2, -1, -1]),
        ({"wind": np.int64(2), "rain": np.uint8(1)}, [1, 2, -1, -1]),
        ({"wind": np.str_("breeze")}, [-1, 1, -1, -1]),
        ({"wind": None, "rain": "yes"}, [1, -1, -1, -1]),
        ({"wind": float("nan"), "rain": np.float64("nan")}, [-1, -1, -1, -1]),
        ({"wind": "2"}, [-1, 2, -1, -1]),
        ({"wind": 2.0}, [-1, 2, -1, -1]),
        ({"wind": "NA", "rain": "?"}, [-1, -1, -1, -1]),
        ({"wind": " storm "}, [-1, 2, -1, -1]),
        ({"digits": "1.0"}, [-1, -1, -1, 0]),
        ({"digits": True}, [-1, -1, -1, 0]),
        ({"digits": "false"}, [-1, -1, -1, 1]),
        ({"only": 0}, [-1, -1, 0, -1]),
        ({"digits": "0"}, [-1, -1, -1, 1]),
        ({"digits": 0}, [-1, -1, -1, 1]),
    ],
)
def test_one_case(evidence: Any, expected: list[int]) -> None:
    found = parse_evidence(STATES, evidence)
    assert not found.many
    assert found.states.tolist() == expected
    assert found.likelihoods == {}


def test_a_number_names_the_state_that_reads_as_the_same_number() -> None:
    """A variable whose states are called 1, 0 and 10, in this order: an index would be another state."""
    assert states_of({"digits": "1"})[3] == 0
    assert states_of({"digits": 1})[3] == 0
    assert states_of({"digits": ["1", "0", "10"]}) == [[-1, -1, -1, k] for k in range(3)]
    for column in ([1, 0, 10], [1.0, 0.0, 10.0], [True, False, 10], np.array([1, 0, 10]), np.array([1.0, 0, 10])):
        assert states_of({"digits": column}) == [[-1, -1, -1, k] for k in range(3)]


def test_two_states_that_read_the_same_are_told_apart_by_text_alone() -> None:
    states = {"x": ("1", "1.0", "True")}
    assert parse_evidence(states, {"x": ["1", "1.0", "True"]}).states.ravel().tolist() == [0, 1, 2]
    for value in (1, 1.0, True, "1.00", "true"):
        with pytest.raises(ModelError, match=r"'x': .* could be '1' or '1.0' or 'True'; give the state as text"):
            parse_evidence(states, {"x": value})


def test_missing_words_may_be_states() -> None:
    states = {"x": ("NA", "?", "nan", "")}
    assert parse_evidence(states, {"x": ["NA", "?", "nan", "", None]}).states.ravel().tolist() == [0, 1, 2, 3, -1]
    with pytest.raises(ModelError, match="no state 'na'"):
        parse_evidence(states, {"x": "na"})


@pytest.mark.parametrize("weights", [[0.2, 0.5, 0.0], (0.2, 0.5, 0.0), np.array([0.2, 0.5, 0.0], np.float32)])
def test_soft_evidence_has_a_form_of_its_own(weights: Any) -> None:
    by_name = dict(zip(("calm", "breeze", "storm"), weights, strict=True))
    for soft in (tr.likelihood(weights), tr.likelihood(by_name), by_name):
        found = parse_evidence(STATES, {"wind": soft, "rain": "yes"})
        assert found.states.tolist() == [1, -1, -1, -1]
        assert list(found.likelihoods) == [1]
        np.testing.assert_allclose(found.likelihoods[1], [0.2, 0.5, 0.0], rtol=1e-6)


@pytest.mark.parametrize("column", [[0.0, 2.0, 1.0], np.array([0.0, 2.0, 1.0]), [0, 2, 1], ["0", "2", "1"]])
def test_a_column_as_long_as_the_states_is_a_column(column: Any) -> None:
    net = tr.BayesianNetwork({"a": ("low", "middle", "high")}, {}, {"a": [0.1, 0.5, 0.4]})
    rows = tr.log_evidence(net, {"a": column}).value
    np.testing.assert_allclose(np.exp(rows), [0.1, 0.4, 0.5])


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"rian": "yes"}, "unknown variable 'rian'; did you mean 'rain'\\?"),
        ({"wind": "strom"}, "'wind' has no state 'strom' \\(it has calm, breeze, storm\\); did you mean 'storm'\\?"),
        ({"wind": "Storm"}, "has no state 'Storm'"),
        ({"wind": 3}, "'wind': there is no state number 3; it has 3 states \\(calm, breeze, storm\\)"),
        ({"wind": -1}, "no state number -1"),
        ({"wind": 10**30}, "no state number"),
        (
            {"digits": 2},
            "'digits': no state is 2 \\(it has 1, 0, 10\\); a number names the state that reads as the same",
        ),
        ({"wind": [0.1, 0.2, 0.7]}, "row 0: .*'wind': 0.1 is none of its states .*tr.likelihood"),
        ({"digits": [0.1, 0.2, 0.7]}, "no state is 0.1.*tr.likelihood\\(\\[0.1, 0.2, 0.7\\]\\)"),
        ({"wind": tr.likelihood([0.1, 0.2])}, "'wind': a likelihood needs 3 numbers, one per state, got \\(2,\\)"),
        ({"wind": tr.likelihood([0.1, -0.2, 0.3])}, "'wind': a likelihood needs finite numbers ≥ 0"),
        ({"wind": tr.likelihood([0.0, 0.0, 0.0])}, "not all zero"),
        ({"wind": tr.likelihood([np.inf, 0, 0])}, "finite numbers"),
        ({"wind": tr.likelihood([np.nan, 0, 0])}, "finite numbers"),
        ({"wind": {"storm": 1.0}}, "'wind': the likelihood has no weight for the state 'calm'"),
        ({"wind": {"storm": 1.0, "calm": 1, "gale": 0}}, "no state 'gale'"),
        ({"wind": {"storm": 1.0, "calm": 1, "breeze": "much"}}, "the weight of state 'breeze' is no number: 'much'"),
        ({"wind": {"storm": 1.0, 2: 1, "breeze": 0}}, "twice the state 2"),
        ({"wind": 1.5}, "'wind': 1.5 is none of its states"),
        ({"wind": True}, "'wind': True is none of its states"),
        ({"wind": [["storm"]]}, "'wind': a list is no state"),
        ("rain", "data of type str are not understood; give a DataFrame"),
        (7, "data of type int are not understood"),
        ([1, 0, 0, 1], "one case is variable → value"),
        ([{"rain": "yes"}, {"rian": "yes"}], "row 1: unknown variable 'rian'; did you mean 'rain'"),
        (pd.DataFrame({"id": [1], "rain": ["yes"]}), "the column 'id' is no variable .*columns=.*--ignore id"),
        (pd.DataFrame([["yes", "no"]], columns=["rain", "rain"]), "two columns have the name 'rain'"),
    ],
)
def test_mistakes_in_one_case(evidence: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_evidence(STATES, evidence)


def test_verbs_for_one_case_refuse_many() -> None:
    net = next(row for row in ZOO if row.name == "markov_chain").model()
    many = {"a": [0, 1]}
    for verb in (tr.condition,):
        with pytest.raises(ModelError, match="one case"):
            verb(net, many)
    with pytest.raises(ModelError, match="one case"):
        tr.sample(net, 2, evidence=many)
    with pytest.raises(ModelError, match="one case"):
        tr.plan(net, many)


# Many cases

EXPECTED = [[1, 2, -1, -1], [-1, 0, -1, -1], [0, -1, -1, -1]]
MANY: dict[str, Any] = {
    "lists of names": {"rain": ["yes", None, "no"], "wind": ["storm", "calm", None]},
    "tuples, empty for missing": {"rain": ("yes", "", "no"), "wind": ("storm", "calm", "")},
    "lists of indices": {"rain": [1, None, 0], "wind": [2, 0, None]},
    "a list of cases": [{"rain": "yes", "wind": 2}, {"wind": "calm"}, {"rain": 0}],
    "lists of rows": [["yes", 2, None, ""], [None, "calm", None, None], (0, "NA", np.nan, "?")],
    "names, indices and what is missing": {"rain": ["yes", np.nan, 0], "wind": [2, "calm", None]},
    "arrays of indices": {"rain": np.array([1, np.nan, 0]), "wind": np.array([2, 0, np.nan], np.float32)},
    "unsigned arrays beside lists": {"rain": [1, None, 0], "wind": ["storm", "calm", None]},
    "arrays of names": {"rain": np.array(["yes", "", "no"]), "wind": np.array(["storm", "calm", ""], object)},
    "a frame of names": pd.DataFrame({"rain": ["yes", None, "no"], "wind": ["storm", "calm", None]}),
    "a frame of categories": pd.DataFrame(
        {"rain": ["yes", None, "no"], "wind": ["storm", "calm", None]}, dtype="category"
    ),
    "a frame of numbers": pd.DataFrame({"rain": [1, np.nan, 0], "wind": [2, 0, np.nan]}),
    "a frame of nullable integers": pd.DataFrame({"rain": [1, None, 0], "wind": [2, 0, None]}, dtype="Int64"),
    "a frame with another index": pd.DataFrame({"rain": ["yes", None, "no"], "wind": [2, 0, None]}, index=[7, 7, 1]),
    "an array with NaN": np.array([[1, 2, np.nan, np.nan], [np.nan, 0, np.nan, np.nan], [0, np.nan, np.nan, np.nan]]),
    "an array of text": np.array([["yes", "storm", "", ""], ["", "calm", "", ""], ["no", "NA", "?", ""]]),
    "a frame of polars": pl.DataFrame({"rain": ["yes", None, "no"], "wind": ["storm", "calm", None]}),
    "a table of arrow": pa.table({"rain": ["yes", None, "no"], "wind": [2, 0, None]}),
    "an array with names": np.array([("yes", 2.0), ("", 0.0), ("no", np.nan)], dtype=[("rain", "U3"), ("wind", "f8")]),
    "a frame with missing values of its own": pd.DataFrame({"rain": ["yes", pd.NA, "no"]}).assign(wind=[2, 0, pd.NA]),
}


@pytest.mark.parametrize("form", MANY)
def test_many_cases(form: str) -> None:
    found = parse_evidence(STATES, MANY[form])
    assert found.many
    assert found.states.tolist() == EXPECTED


@pytest.mark.parametrize("evidence", [{"rain": []}, pd.DataFrame({"rain": []}), np.zeros((0, 4))], ids=type)
def test_no_case_at_all(evidence: Any) -> None:
    found = parse_evidence(STATES, evidence)
    assert found.many
    assert found.states.shape == (0, 4)


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"rian": ["yes"]}, "the column 'rian' is no variable of the network; did you mean 'rain'\\?"),
        ({"rain": ["yes", "yse"]}, "row 1: variable 'rain' has no state 'yse'.*did you mean 'yes'\\?"),
        ({"rain": ["yes", 2]}, "row 1: variable 'rain': there is no state number 2; it has 2 states"),
        ({"rain": np.array([0, 1, 5])}, "row 2: variable 'rain': there is no state number 5"),
        ({"rain": np.array([0, -7])}, "row 1: .*no state number -7"),
        ({"rain": ["yes", "no"], "wind": ["calm"]}, "the column 'wind' has 1 rows, the first one has 2"),
        (pd.DataFrame({"wnid": ["calm"]}), "the column 'wnid' is no variable .*did you mean 'wind'\\?"),
        (pd.DataFrame({"wind": [0.5]}), "row 0: .*wind"),
        (np.zeros((2, 3)), "the array has 3 columns, the model has 4 variables; .*columns="),
        (np.full((2, 4), 0.5), "row 0: variable 'rain': 0.5 is none of its states"),
        (np.full((2, 4), 1), "row 0: variable 'only': there is no state number 1"),
        (np.full((2, 4), np.inf), "row 0: variable 'rain' has no state 'inf'"),
        (np.full((2, 4), 2**32), "no state number 4294967296"),
        (np.full((2, 4), 1e30), "no state number"),
        (np.full((2, 4), "no"), "row 0: variable 'wind' has no state 'no'"),
        (np.full((2, 4), True), "row 0: variable 'rain': True is none of its states"),
        (np.zeros((2, 4, 1)), "the shape \\[n_rows, n_variables\\]"),
        ([["yes", 1], ["no"]], "differ in length"),
        ({"rain": ["yes", "no"], "wind": "calm"}, "'wind' has a single value beside columns of many"),
        ({"rain": ["yes", "no"], "digits": "10"}, "'digits' has a single value beside columns of many"),
        ({"rain": ["yes", "no"], "wind": 1}, "'wind' has a single value beside columns of many"),
        ({"rain": ["yes", "no"], "wind": None}, "'wind' has a single value beside columns of many"),
        ({"rain": ["yes", "no"], "wind": [0.1, 0.2, 0.3]}, "the column 'wind' has 3 rows, the first one has 2"),
        ({"rain": "yes", "wind": [0.1, 0.2, 0.3]}, "'rain' has a single value beside columns.*tr.likelihood"),
        ({"rain": [["yes"], ["no"]]}, "rain"),
    ],
)
def test_mistakes_in_many_cases(evidence: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_evidence(STATES, evidence)


cells = st.sampled_from(
    [(0, 0), (1, 1), ("no", 0), ("yes", 1), (None, -1), ("", -1), (float("nan"), -1), ("NA", -1), (1.0, 1)]
)


@given(st.lists(cells, min_size=1, max_size=8))
def test_a_column_is_its_cells(column: list[tuple[Any, int]]) -> None:
    values = [value for value, _ in column]
    found = parse_evidence(STATES, {"rain": values})
    assert found.states[:, 0].tolist() == [index for _, index in column]
    frame = parse_evidence(STATES, pd.DataFrame({"rain": pd.Series(values, dtype=object)}))
    assert frame.states.tolist() == found.states.tolist()


# What evidence does to a model


def test_a_likelihood_of_one_state_is_that_state() -> None:
    net = next(row for row in ZOO if row.name == "markov_random").model()
    hard, soft = tr.infer(net, {"b": 1}), tr.infer(net, {"b": tr.likelihood([0.0, 1.0, 0.0])})
    assert soft.log_partition.value == pytest.approx(hard.log_partition.value, abs=1e-12)
    for name in net.states:
        np.testing.assert_allclose(soft.marginals.array(name), hard.marginals.array(name), atol=1e-12)


def test_a_flat_likelihood_changes_only_the_constant() -> None:
    net = next(row for row in ZOO if row.name == "bayesian_diamond").model()
    assert tr.log_evidence(net, {"c": tr.likelihood([0.25] * 4)}).value == pytest.approx(np.log(0.25), abs=1e-12)


def test_the_model_is_left_as_it_was() -> None:
    net = next(row for row in ZOO if row.name == "bayesian_zeros").model()
    before = net.packed.values.copy()
    likelihood = np.array([0.5, 0.25])
    name = next(v for v, states in net.states.items() if len(states) == 2)
    given = {name: tr.likelihood(likelihood)}
    for verb in (tr.infer, tr.log_evidence, tr.most_probable, tr.condition, tr.plan):
        verb(net, given)
    tr.infer(net, np.zeros((3, len(net.states)), int))
    assert np.array_equal(net.packed.values, before)
    assert likelihood.tolist() == [0.5, 0.25]
    assert list(given) == [name]
