"""Evidence as users write it: every form means what it says, every mistake is named with its remedy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
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
        ({"wind": -1}, [-1, -1, -1, -1]),
        ({"only": 0}, [-1, -1, 0, -1]),
        ({"digits": "0"}, [-1, -1, -1, 1]),
        ({"digits": 0}, [-1, -1, -1, 0]),
    ],
)
def test_one_case(evidence: Any, expected: list[int]) -> None:
    found = parse_evidence(STATES, evidence)
    assert not found.many
    assert found.states.tolist() == expected
    assert found.likelihoods == {}


def test_a_text_is_a_state_name_and_a_number_an_index() -> None:
    """A variable whose states are called 1, 0 and 10, in this order."""
    assert states_of({"digits": "1"})[3] == 0
    assert states_of({"digits": 1})[3] == 1
    assert states_of({"digits": ["1", "0", "10"]}) == [[-1, -1, -1, k] for k in range(3)]
    assert states_of({"digits": [1, 0, 2]}) == [[-1, -1, -1, k] for k in (1, 0, 2)]


@pytest.mark.parametrize(
    "vector", [[0.2, 0.5, 0.0], (0.2, 0.5, 0.0), np.array([0.2, 0.5, 0.0]), np.array([0.2, 0.5, 0.0], np.float32)]
)
def test_a_sequence_of_floats_is_a_likelihood(vector: Any) -> None:
    found = parse_evidence(STATES, {"wind": vector, "rain": "yes"})
    assert found.states.tolist() == [1, -1, -1, -1]
    assert list(found.likelihoods) == [1]
    np.testing.assert_allclose(found.likelihoods[1], [0.2, 0.5, 0.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"rian": "yes"}, "unknown variable 'rian'; did you mean 'rain'\\?"),
        ({"wind": "strom"}, "'wind' has no state 'strom' \\(it has calm, breeze, storm\\); did you mean 'storm'\\?"),
        ({"wind": "Storm"}, "has no state 'Storm'"),
        ({"wind": 3}, "'wind' has 3 states; there is no state number 3"),
        ({"wind": -2}, "no state number -2"),
        ({"wind": 10**30}, "no state number"),
        ({"wind": [0.1, 0.2]}, "'wind': a likelihood needs 3 numbers, one per state, got shape \\(2,\\)"),
        ({"wind": [0.1, -0.2, 0.3]}, "'wind': a likelihood needs finite numbers ≥ 0"),
        ({"wind": [0.0, 0.0, 0.0]}, "not all zero"),
        ({"wind": np.array([np.inf, 0, 0])}, "finite numbers"),
        ({"wind": np.array([np.nan, 0, 0])}, "finite numbers"),
        ({"wind": 1.5}, "'wind'"),
        ({"wind": True}, "'wind'"),
        ({"wind": {"storm": 1.0}}, "'wind'"),
        ("rain", "str is not understood"),
        (7, "int is not understood"),
        ([{"rain": "yes"}], "list is not understood"),
    ],
)
def test_mistakes_in_one_case(evidence: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_evidence(STATES, evidence)


def test_verbs_for_one_case_refuse_many() -> None:
    net = next(row for row in ZOO if row.name == "markov_chain").model()
    many = {"a": [0, 1]}
    for verb in (tr.condition, tr.most_probable):
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
    "lists of indices": {"rain": [1, -1, 0], "wind": [2, 0, -1]},
    "names, indices and what is missing": {"rain": ["yes", np.nan, 0], "wind": [2, "calm", None]},
    "arrays of indices": {"rain": np.array([1, -1, 0]), "wind": np.array([2, 0, -1], np.int8)},
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
    "an array with −1": np.array(EXPECTED),
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
        ({"rian": ["yes"]}, "unknown variable 'rian'; did you mean 'rain'\\?"),
        ({"rain": ["yes", "yse"]}, "row 1: variable 'rain' has no state 'yse'.*did you mean 'yes'\\?"),
        ({"rain": ["yes", 2]}, "row 1: variable 'rain' has 2 states; there is no state number 2"),
        ({"rain": np.array([0, 1, 5])}, "row 2: variable 'rain' has 2 states; there is no state number 5"),
        ({"rain": np.array([0, -7])}, "row 1: .*no state number -7"),
        ({"rain": ["yes", "no"], "wind": ["calm"]}, "the column 'wind' has 1 rows, the first one has 2"),
        (pd.DataFrame({"wnid": ["calm"]}), "unknown variable 'wnid'; did you mean 'wind'\\?"),
        (pd.DataFrame({"wind": [0.5]}), "row 0: .*wind"),
        (np.zeros((2, 3)), "evidence has 3 columns, the model has 4 variables"),
        (np.full((2, 4), 0.5), "state indices"),
        (np.full((2, 4), 1), "row 0: variable 'only' has 1 states; there is no state number 1"),
        (np.full((2, 4), np.inf), "row 0: variable 'rain' has 2 states; there is no state number inf"),
        (np.full((2, 4), 2**32), "no state number 4294967296"),
        (np.full((2, 4), 1e30), "no state number"),
        (np.full((2, 4), "no"), "state indices"),
        (np.full((2, 4), True), "state indices"),
        ({"rain": ["yes", "no"], "wind": "calm"}, "'wind' has a single value beside columns of many"),
        ({"rain": ["yes", "no"], "digits": "10"}, "'digits' has a single value beside columns of many"),
        ({"rain": ["yes", "no"], "wind": 1}, "'wind' has a single value beside columns of many"),
        ({"rain": ["yes", "no"], "wind": None}, "'wind' has a single value beside columns of many"),
        ({"rain": ["yes", "no"], "wind": [0.1, 0.2, 0.3]}, "'wind' has a single value beside columns of many"),
        ({"rain": [["yes"], ["no"]]}, "rain"),
    ],
)
def test_mistakes_in_many_cases(evidence: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_evidence(STATES, evidence)


cells = st.sampled_from([(0, 0), (1, 1), ("no", 0), ("yes", 1), (None, -1), ("", -1), (float("nan"), -1), (-1, -1)])


@given(st.lists(cells, min_size=1, max_size=8))
def test_a_column_is_its_cells(column: list[tuple[Any, int]]) -> None:
    values = [value for value, _ in column]
    if all(isinstance(value, float) for value in values):
        values.append("yes")
        column = [*column, ("yes", 1)]
    found = parse_evidence(STATES, {"rain": values})
    assert found.states[:, 0].tolist() == [index for _, index in column]
    frame = parse_evidence(STATES, pd.DataFrame({"rain": pd.Series(values, dtype=object)}))
    assert frame.states.tolist() == found.states.tolist()


# What evidence does to a model


def test_a_likelihood_of_one_state_is_that_state() -> None:
    net = next(row for row in ZOO if row.name == "markov_random").model()
    hard, soft = tr.infer(net, {"b": 1}), tr.infer(net, {"b": [0.0, 1.0, 0.0]})
    assert soft.log_partition.value == pytest.approx(hard.log_partition.value, abs=1e-12)
    for name in net.states:
        np.testing.assert_allclose(soft.marginals.array(name), hard.marginals.array(name), atol=1e-12)


def test_a_flat_likelihood_changes_only_the_constant() -> None:
    net = next(row for row in ZOO if row.name == "bayesian_diamond").model()
    assert tr.log_evidence(net, {"c": [0.25] * 4}).value == pytest.approx(np.log(0.25), abs=1e-12)


def test_the_model_is_left_as_it_was() -> None:
    net = next(row for row in ZOO if row.name == "bayesian_zeros").model()
    before = net.packed.values.copy()
    likelihood = np.array([0.5, 0.25])
    name = next(v for v, states in net.states.items() if len(states) == 2)
    given = {name: likelihood}
    for verb in (tr.infer, tr.log_evidence, tr.most_probable, tr.condition, tr.plan):
        verb(net, given)
    tr.infer(net, np.zeros((3, len(net.states)), int))
    assert np.array_equal(net.packed.values, before)
    assert likelihood.tolist() == [0.5, 0.25]
    assert list(given) == [name]
