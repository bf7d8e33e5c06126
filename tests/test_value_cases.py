"""Values that were read as something else, each with what it means: one test for every kind of mistake."""

from __future__ import annotations

import copy
import pickle

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import tractable as tr

BACKWARDS = tr.BayesianNetwork({"a": ("1", "0")}, {}, {"a": [0.9, 0.1]})


def smokers() -> tuple[pd.DataFrame, tr.BayesianNetwork]:
    """Fifty people of either sex, coded 1 and 2; one in five of the first smoke, thirty of the second."""
    frame = pd.DataFrame({"sex": [1] * 50 + [2] * 50, "smoker": [1, 0, 0, 0, 0] * 10 + [1] * 30 + [0] * 20})
    net = tr.bayesian_network(frame, {"smoker": ["sex"]})
    return frame, tr.fit(net, frame, tr.EM(prior=0), progress=False).model


def test_codes_of_a_survey_are_names_and_no_indices() -> None:
    frame, net = smokers()
    for sex in (1, "1", 1.0, "1.0", np.int64(1), True):
        assert tr.infer(net, {"sex": sex}).marginals["smoker"]["1"] == pytest.approx(0.2)
    assert tr.infer(net, {"sex": 2}).marginals["smoker"]["1"] == pytest.approx(0.6)
    assert tr.most_probable(net, {"sex": 1}).assignment == {"sex": "1", "smoker": "0"}
    row = tr.log_likelihood(net, frame[:1]).value
    assert row == pytest.approx(np.log(0.5 * 0.2))
    assert tr.log_evidence(net, frame[:1]).value[0] == pytest.approx(row, abs=1e-12)
    assert tr.log_evidence(net, frame.iloc[0]).value == pytest.approx(row, abs=1e-12)
    assert tr.log_evidence(net, dict(frame.iloc[0])).value == pytest.approx(row, abs=1e-12)
    with pytest.raises(tr.ModelError, match="'sex': no state is 0 \\(it has 1, 2\\); a number names the state"):
        tr.infer(net, {"sex": 0})


def test_states_in_another_order_than_their_numbers() -> None:
    zero = pd.DataFrame({"a": [0]})
    assert tr.infer(BACKWARDS, {"a": 0}).log_partition.value == pytest.approx(np.log(0.1))
    for data in (zero, {"a": [0]}, [{"a": 0}], np.array([[0]]), np.array([[0.0]]), {"a": np.array([0])}):
        assert tr.log_likelihood(BACKWARDS, data).value == pytest.approx(np.log(0.1))
        assert tr.log_evidence(BACKWARDS, data).value[0] == pytest.approx(np.log(0.1))


def test_what_was_drawn_is_learned_again() -> None:
    drawn = tr.sample(BACKWARDS, 1000)
    shares = [tr.fit(BACKWARDS, rows, tr.EM(prior=0)).model.tables["a"] for rows in (drawn, pd.DataFrame(drawn))]
    assert shares[0].tolist() == shares[1].tolist()
    assert shares[0][0] == pytest.approx(0.9, abs=0.03)


def test_states_are_text_from_construction_on(tmp_path) -> None:
    net = tr.BayesianNetwork({"a": [1, 2], "b": [True, False]}, {}, {"a": [0.3, 0.7], "b": [0.6, 0.4]})
    assert net.states == {"a": ("1", "2"), "b": ("True", "False")}
    assert tr.infer(net, {"a": "1", "b": True}).log_partition.value == pytest.approx(np.log(0.3 * 0.6))
    assert tr.infer(net, {"a": 1, "b": "false"}).log_partition.value == pytest.approx(np.log(0.3 * 0.4))
    for extension in ("bif", "xml", "safetensors"):
        tr.save(net, tmp_path / f"net.{extension}")
        assert tr.load(tmp_path / f"net.{extension}").states == net.states
    with pytest.raises(tr.ModelError, match="'a' has the state '1' twice"):
        tr.BayesianNetwork({"a": [1, 1.0]}, {}, {"a": [0.5, 0.5]})


def test_a_scale_of_which_an_answer_is_missing() -> None:
    """Of answers 1 to 5 nobody gave a 5: a 4 is still a 4, and a 5 is one that the network does not know."""
    frame = pd.DataFrame({"answer": [1, 2, 2, 3, 4, 4, 4, 1]})
    net = tr.fit(tr.bayesian_network(frame, {}), frame, tr.EM(prior=0)).model
    assert net.states["answer"] == ("1", "2", "3", "4")
    assert tr.infer(net).marginals["answer"] == pytest.approx({"1": 0.25, "2": 0.25, "3": 0.125, "4": 0.375})
    assert tr.log_evidence(net, {"answer": 4}).value == pytest.approx(np.log(0.375))
    with pytest.raises(tr.ModelError, match="no state is 5"):
        tr.infer(net, {"answer": 5})
    whole = tr.bayesian_network(frame, {}, states={"answer": range(1, 6)})
    assert whole.states["answer"] == ("1", "2", "3", "4", "5")


@pytest.mark.parametrize("column", [np.array([0.0, 2.0, 1.0]), [0.0, 2.0, 1.0], [0, 2, 1], np.array([0, 2, 1])])
def test_a_column_of_floats_as_long_as_the_states_is_three_cases(column) -> None:
    net = tr.BayesianNetwork({"a": ("low", "middle", "high")}, {}, {"a": [0.1, 0.5, 0.4]})
    np.testing.assert_allclose(np.exp(tr.log_evidence(net, {"a": column}).value), [0.1, 0.4, 0.5])


@pytest.mark.parametrize(
    "column", [[1, 1, 0], [1.0, 1.0, 0.0], (1, 1, 0), np.array([1.0, 1.0, 0.0]), [True, True, False]]
)
def test_neither_type_nor_length_make_a_likelihood(column) -> None:
    net = tr.BayesianNetwork({"a": ("0", "1")}, {}, {"a": [0.25, 0.75]})
    np.testing.assert_allclose(np.exp(tr.log_evidence(net, {"a": column}).value), [0.75, 0.75, 0.25])
    two = tr.infer(net, {"a": column[:2]})
    np.testing.assert_allclose(np.exp(two.log_partition.value), [0.75, 0.75])
    soft = tr.infer(net, {"a": tr.likelihood([1.0, 3.0])})
    assert np.exp(soft.log_partition.value) == pytest.approx(0.25 + 3 * 0.75)


def test_evidence_from_a_file_is_evidence(tmp_path) -> None:
    frame, net = smokers()
    frame.to_csv(tmp_path / "people.csv", index=False)
    cases = tr.read_evidence(tmp_path / "people.csv", net)
    assert cases[0] == {"sex": "1", "smoker": "1"}
    post = tr.infer(net, cases)
    np.testing.assert_allclose(post.log_partition.value, tr.log_evidence(net, frame).value)


def test_tables_are_read_only_and_replaced_in_a_new_network() -> None:
    own = np.array([0.5, 0.5])
    net = tr.BayesianNetwork({"smoke": ["no", "yes"]}, {}, {"smoke": own})
    field = tr.MarkovNetwork({"a": "01"}, [("a", own)])
    fitted = tr.fit(net, {"smoke": ["no", "yes"]}, progress=False).model
    for model in (net, fitted, pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        with pytest.raises(ValueError, match="read-only"):
            model.tables["smoke"][0] = 0.9
        with pytest.raises(ValueError, match="read-only"):
            model.packed.values[0] = 0.9
    for factor in (field.factors[0], tr.condition(net, {}).factors[0]):
        with pytest.raises(ValueError, match="read-only"):
            factor.table[0] = 0.9
    own[0] = 7.0
    assert net.tables["smoke"].tolist() == [0.5, 0.5]
    other = net.replace(tables={"smoke": [0.9, 0.1]})
    assert tr.infer(other).marginals["smoke"]["no"] == pytest.approx(0.9)
    assert tr.infer(net).marginals["smoke"]["no"] == pytest.approx(0.5)


def test_an_order_of_categories_is_kept_with_those_that_do_not_turn_up() -> None:
    sizes = pd.Categorical(["m", "l", "m"], categories=["s", "m", "l", "xl"], ordered=True)
    net = tr.bayesian_network(pd.DataFrame({"size": sizes, "good": [True, False, True]}), {"size": ["good"]})
    assert net.states == {"size": ("s", "m", "l", "xl"), "good": ("False", "True")}


@pytest.mark.parametrize(
    "structure",
    [
        [("smoke", "lung"), ("smoke", "bronc")],
        nx.DiGraph([("smoke", "lung"), ("smoke", "bronc")]),
        "smoke->lung; smoke->bronc",
        {"lung": ["smoke"], "bronc": ["smoke"]},
    ],
    ids=["edges", "DiGraph", "text", "parents"],
)
def test_a_structure_is_written_as_people_write_it(structure) -> None:
    rows = {"smoke": ["no", "yes"], "lung": ["no", "no"], "bronc": ["no", "yes"]}
    net = tr.bayesian_network(rows, structure)
    assert net.parents == {"smoke": (), "lung": ("smoke",), "bronc": ("smoke",)}


def test_a_column_of_names_of_rows_is_left_out_where_that_is_said() -> None:
    frame, net = smokers()
    people = frame.assign(id=[f"p{i}" for i in range(100)])
    for verb in (tr.infer, tr.log_likelihood, tr.impute, tr.fit, tr.log_evidence, tr.most_probable):
        with pytest.raises(tr.ModelError, match=r"the column 'id' is no variable .*ignore='id'.*columns=.*--ignore id"):
            verb(net, people)
    some = tr.bayesian_network(people, "sex->smoker", ignore="id")
    same = tr.bayesian_network(people, "sex->smoker", columns=["smoker", "sex"])
    assert some.states == net.states and set(same.states) == set(net.states)
    for model in (some, same):
        run = tr.fit(model, people, tr.EM(prior=0), ignore="id", validation=people, progress=False)
        assert run.history[-1].validation.value == pytest.approx(tr.log_likelihood(net, frame).value)
    assert tr.log_likelihood(net, tr.select(people, ignore=["id"])).value == tr.log_likelihood(net, frame).value
    with pytest.raises(tr.ModelError, match=r"there is no column 'ids'.*did you mean 'id'"):
        tr.fit(net, people, ignore="ids")


def test_a_table_over_forty_parents_is_priced_and_refused() -> None:
    names = [f"x{i}" for i in range(40)]
    rows = {v: ["no", "yes"] for v in [*names, "y"]}
    with pytest.raises(ValueError, match=r"'y'.*40 parents"):
        tr.bayesian_network(rows, {"y": names})


def test_results_are_tables() -> None:
    frame, net = smokers()
    marginals = tr.infer(net, frame[:2]).marginals.to_frame("pandas")
    assert list(marginals.columns) == ["row", "variable", "state", "probability"]
    assert len(marginals) == 2 * 4
    assert tr.most_probable(net, {"sex": 1}).to_frame("pandas").to_dict("list") == {"sex": ["1"], "smoker": ["0"]}
    best = tr.most_probable(net, frame[["sex"]])
    assert best.to_frame("pandas").equals(best.assignment)
    assert tr.sample(net, 3).to_frame("polars").shape == (3, 2)


def test_gaps_are_filled_in_the_table_that_came_in() -> None:
    _, net = smokers()
    frame = pd.DataFrame({"smoker": [None, "1", None], "sex": [1, 2, 2]}, index=["x", "y", "z"])
    whole = tr.impute(net, frame)
    assert whole.to_dict("list") == {"smoker": ["0", "1", "1"], "sex": ["1", "2", "2"]}
    assert whole.index.tolist() == ["x", "y", "z"]
    codes = tr.impute(net, frame, codes=True)
    assert codes["smoker"].tolist() == [0, 1, 1] and codes["sex"].tolist() == [0, 1, 1]
    assert tr.impute(net, [{"sex": 1}, {"sex": 2}]) == [{"sex": "1", "smoker": "0"}, {"sex": "2", "smoker": "1"}]


def test_impossible_cases_among_many_have_no_most_probable_state() -> None:
    net = tr.BayesianNetwork({"a": "01", "b": "01"}, "a->b", {"a": [0.5, 0.5], "b": [[1, 0], [0, 1]]})
    best = tr.most_probable(net, {"a": [0, 0, 1], "b": [0, 1, None]})
    assert best.log_probability.value.tolist() == pytest.approx([np.log(0.5), -np.inf, np.log(0.5)])
    assert best.assignment["b"].tolist() == ["0", None, "1"]


def test_soft_evidence_of_some_cases() -> None:
    """Each case by itself, whatever is soft in the others."""
    _, net = smokers()
    cases = [{"sex": 1}, {"sex": {"1": 0.2, "2": 0.8}}, {}, {"smoker": tr.likelihood([1, 3]), "sex": 2}]
    many = tr.infer(net, cases)
    for row, case in enumerate(cases):
        alone = tr.infer(net, case)
        assert many.log_partition.value[row] == pytest.approx(alone.log_partition.value, abs=1e-12)
        np.testing.assert_allclose(many.marginals.array("smoker")[row], alone.marginals.array("smoker"), atol=1e-12)
    weights = tr.likelihood([[1.0, 0.0], [0.2, 0.8], [1.0, 1.0]])
    np.testing.assert_allclose(
        tr.infer(net, {"sex": weights}).marginals.array("smoker"), many.marginals.array("smoker")[:3], atol=1e-12
    )


def test_a_scope_that_is_the_name_of_a_variable_is_that_variable() -> None:
    net = tr.MarkovNetwork({"rain": ["no", "yes"], "a": "01", "b": "01"}, [("rain", [1, 3]), ("ab", np.ones((2, 2)))])
    assert [factor.scope for factor in net.factors] == [("rain",), ("a", "b")]
