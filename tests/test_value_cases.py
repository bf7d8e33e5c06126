"""Values that were read as something else, each with what it means: one test for every kind of mistake."""

from __future__ import annotations

import copy
import pickle

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
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
        tr.fit(model, people, tr.EM(prior=0), ignore="id", validation=frame, progress=False)
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


def test_weights_that_have_names_are_read_by_them() -> None:
    """A Series with the states in its index, a table with a column for each: their order says nothing."""
    net = tr.BayesianNetwork({"rain": ["no", "yes"]}, {}, {"rain": [0.8, 0.2]})
    right = 0.2 * 4 / (0.2 * 4 + 0.8)
    for weights in (pd.Series({"yes": 4, "no": 1}), pd.Series([1, 4]), {"yes": 4, "no": 1}, [1, 4]):
        post = tr.infer(net, {"rain": tr.likelihood(weights)})
        assert post.marginals["rain"]["yes"] == pytest.approx(right)
    for table in (pd.DataFrame({"yes": [4, 1], "no": [1, 1]}), {"yes": [4, 1], "no": [1, 1]}, [[1, 4], [1, 1]]):
        post = tr.infer(net, {"rain": tr.likelihood(table)})
        assert post.marginals.array("rain")[:, 1].tolist() == pytest.approx([right, 0.2])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: {"a": tr.likelihood([[1, 2], [0, 0]])}, "row 1: variable 'a': .* not all zero"),
        (lambda: [{"a": tr.likelihood([1, 2])}, {"a": {"no": 1}}], "row 1: variable 'a': .* no weight for .* 'yes'"),
        (lambda: [{"a": tr.likelihood([[1, 2], [3, 4]])}], "row 0: variable 'a': .* of many cases for one"),
        (lambda: {"a": {"no": [1, 2], "yes": [3, 4]}}, "variable 'a': .* of many cases for one"),
        (lambda: {"a": tr.likelihood({"no": [1, 2], "yes": [3]})}, "columns of other lengths"),
        (lambda: {"a": np.eye(2)}, r"the column 'a' has the shape \(2, 2\)"),
        (lambda: {"a": tr.likelihood("no")}, "a number for each state.*'no'"),
        (lambda: {"a": tr.likelihood({1, 2})}, "a number for each state.*{1, 2}"),
        (lambda: {"a": tr.likelihood(None)}, "needs 2 numbers"),
        (lambda: {"a": 10**5000}, "no state number a number near 2"),
        (lambda: {"a": ["x" * 5000]}, r"^.{,200}$"),
        (lambda: pd.DataFrame([["no"]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "column .*'a', 'b'"),
        (lambda: [*pd.DataFrame({"a": ["no"]}).itertuples()], "have names: give a list of dicts"),
        (lambda: [pd.Series({"a": "no"})], "have names: give a list of dicts"),
        (lambda: pl.DataFrame({"a": ["no"]}).lazy(), "LazyFrame.*collect it first"),
    ],
)
def test_what_is_no_evidence_is_named_with_its_place(given, words) -> None:
    net = tr.BayesianNetwork({"a": ["no", "yes"]}, {}, {"a": [0.8, 0.2]})
    with pytest.raises(tr.ModelError, match=words):
        tr.infer(net, given())


def test_what_has_no_order_or_names_rows_is_no_column() -> None:
    """The keys of a dict of dicts, as `to_dict` makes it, were taken for its values."""
    frame = pd.DataFrame({"a": ["yes", "yes"]})
    net = tr.BayesianNetwork({"a": ["no", "yes"]}, {}, {"a": [0.8, 0.2]})
    for verb in (tr.log_likelihood, tr.impute, tr.fit):
        with pytest.raises(tr.ModelError, match=r"'a' is a dict; .*to_dict\('list'\)"):
            verb(net, frame.to_dict())
        with pytest.raises(tr.ModelError, match="'a' is a set, which has no order"):
            verb(net, {"a": {"no", "yes"}})
    assert tr.log_likelihood(net, frame.to_dict("list")).value == pytest.approx(np.log(0.2))


def test_a_cell_in_an_array_of_its_own_and_one_that_is_masked() -> None:
    for names in (("no", "yes"), ("1", "0")):
        net = tr.BayesianNetwork({"a": names}, {}, {"a": [0.8, 0.2]})
        for cell, right in ((np.array(0), tr.log_evidence(net, {"a": 0}).value), (np.ma.masked, 0.0)):
            assert tr.log_evidence(net, {"a": cell}).value == right
            assert tr.log_evidence(net, {"a": [cell]}).value[0] == right
            assert tr.log_likelihood(net, [{"a": cell}]).value == right


def test_views_and_batches_are_columns_and_tables() -> None:
    columns = {"a": ["no", "yes", None]}
    net = tr.BayesianNetwork({"a": ["no", "yes"]}, {}, {"a": [0.8, 0.2]})
    right = tr.log_evidence(net, columns).value
    for data in ({"a": dict(enumerate(columns["a"])).values()}, pa.RecordBatch.from_pydict(columns)):
        assert tr.log_evidence(net, data).value.tolist() == right.tolist()
        assert tr.log_likelihood(net, data).value == pytest.approx(right.mean())
    assert isinstance(tr.impute(net, pa.RecordBatch.from_pydict(columns)), pa.Table)
    named = next(pd.DataFrame({"a": ["yes"]}).itertuples(index=False))
    assert tr.log_evidence(net, named).value == pytest.approx(np.log(0.2))


def test_plans_of_what_is_observed_take_names_and_one_case() -> None:
    net = tr.BayesianNetwork({1: ["no", "yes"], 2: ["no", "yes"]}, [(1, 2)], {1: [0.8, 0.2], 2: np.full((2, 2), 0.5)})
    for observed in (1, [1], ["1"], {1: "no"}, pd.Series({1: "no"}), {1: tr.likelihood([1, 2])}):
        assert tr.plan(net, observed).method == "elimination"
    with pytest.raises(tr.ModelError, match="one case"):
        tr.plan(net, pd.DataFrame({"1": ["no", "yes"]}))


def test_names_of_variables_are_text_too() -> None:
    """Numbers, as columns of a table of pandas and nodes of a graph often are, from the structure to the answer."""
    tables = {1: [0.8, 0.2], 2: [[0.9, 0.1], [0.3, 0.7]]}
    structures = [{2: [1]}, {2: 1}, [(1, 2)], nx.DiGraph([(1, 2)]), {2.0: [1.0]}, "1 -> 2"]
    for structure in structures:
        net = tr.BayesianNetwork({1: ["no", "yes"], 2: ["no", "yes"]}, structure, tables, fixed=[1])
        assert net.variables == ("1", "2") and net.parents["2"] == ("1",) and net.fixed == ("1",)
        post = tr.infer(net, {2: "yes"})
        assert post.marginals[1]["yes"] == pytest.approx(0.2 * 0.7 / (0.2 * 0.7 + 0.8 * 0.1))
        assert post.joint([2, 1]).shape == (2, 2) and post.certificates(1).value.shape == (2,)
    assert net.replace({1: [0.5, 0.5]}).tables["1"].tolist() == [0.5, 0.5]
    field = tr.MarkovNetwork({1: "ab", 2: "ab"}, [((1, 2), np.ones((2, 2)))])
    assert field.replace({(1, 2): np.eye(2)}).factors[0].table.tolist() == [[1, 0], [0, 1]]
    frame = pd.DataFrame([["no", "yes"], ["yes", "yes"]], columns=[1, 2])
    run = tr.fit(tr.bayesian_network(frame, {2: [1]}, ties=[]), frame, tr.EM(prior=0), progress=False)
    assert run.model.variables == ("1", "2") and tr.impute(net, frame).columns.tolist() == ["1", "2"]


def test_no_rows_no_columns_and_no_weights_are_said() -> None:
    frame, net = smokers()
    for verb in (tr.log_likelihood, tr.fit, lambda net, rows: tr.fit(net, frame, validation=rows)):
        with pytest.raises(tr.ModelError, match="there are no rows"):
            verb(net, frame[:0])
    with pytest.raises(tr.ModelError, match="there are no columns"):
        tr.bayesian_network(pd.DataFrame(index=[1, 2]), {})
    for weights, words in (
        ([1.0] * 99 + [-1.0], "row 99: weights must be 100 finite numbers ≥ 0, got -1"),
        ([0.0] * 100, "not all zero"),
        (["much"] * 100, "one for each row; got .'much'"),
        ("smoker", "one for each row; got 'smoker'"),
    ):
        with pytest.raises(tr.ModelError, match=words):
            tr.fit(net, frame, weights=weights)
    with pytest.raises(tr.ModelError, match="columns have no names"):
        tr.bayesian_network(np.zeros((3, 2)), {})
    with pytest.raises(tr.ModelError, match="two columns have the name 'a'"):
        tr.bayesian_network(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), {})
    with pytest.raises(TypeError, match="whole number, got '3'"):
        tr.sample(net, "3")  # pyright: ignore
    best = tr.most_probable(net, np.array([[1, np.nan], [2, np.nan]]))
    assert best.to_frame("pandas").to_dict("list") == {"sex": ["1", "2"], "smoker": ["0", "1"]}
    cells = pl.DataFrame({"a": [[1, 2], [3, 4], None]})
    with pytest.raises(tr.ModelError, match="column 'a' holds lists"):
        tr.bayesian_network(cells, {})
    assert tr.bayesian_network({1: ["x", "y"]}, {}, states={1: ["y", "x"]}).states == {"1": ("y", "x")}


def test_a_scope_that_is_the_name_of_a_variable_is_that_variable() -> None:
    net = tr.MarkovNetwork({"rain": ["no", "yes"], "a": "01", "b": "01"}, [("rain", [1, 3]), ("ab", np.ones((2, 2)))])
    assert [factor.scope for factor in net.factors] == [("rain",), ("a", "b")]


def test_gaps_in_an_impossible_row_stay_gaps() -> None:
    """The first state, or zero, was filled in."""
    net = tr.BayesianNetwork({}, "a{x|y}; b{u|v}", {"a": [1.0, 0.0], "b": [0.3, 0.7]})
    rows = {"a": ["y", "x"], "b": [None, None]}
    assert tr.impute(net, rows)["b"].tolist() == [None, "v"]
    assert tr.impute(net, rows, codes=True)["b"].tolist() == [-1, 1]
    assert tr.impute(net, pl.DataFrame(rows, schema={"a": pl.String, "b": pl.String}))["b"].to_list() == [None, "v"]
    mix = tr.Mixture([0.5, 0.5], tr.BernoulliEmissions([[0.0, 0.5], [0.0, 0.2]]))
    np.testing.assert_allclose(tr.impute(mix, [[1, np.nan], [0, np.nan]]), [[1, np.nan], [0, 0.35]])
    kinds = tr.CategoricalEmissions([[[1.0, 0.0]], [[0.2, 0.8]]])
    named = tr.Mixture([1.0], kinds, columns=tr.Columns(["a", "b"], {"a": ["x", "y"], "b": ["u", "v"]}))
    assert tr.impute(named, rows)["b"].tolist() == [None, "v"]


def test_states_of_an_answer_are_asked_for_as_in_evidence() -> None:
    found = tr.infer(tr.BayesianNetwork({"a": [2, 1]}, {}, {"a": [0.2, 0.8]})).marginals
    assert found["a"][1] == found["a"]["1"] == found["a"][1.0] == pytest.approx(0.8)
    assert found["a"] == pytest.approx({"2": 0.2, "1": 0.8})
    assert "b" not in found and "a" in found and found.get("b", 7) == 7
    with pytest.raises(tr.ModelError, match=r"no state is 0 \(it has 2, 1\)"):
        found["a"][0]
