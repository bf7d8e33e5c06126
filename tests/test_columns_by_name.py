"""Mixtures and hidden Markov models keep the names of columns and states: data are read by them, and come back so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from containers import NAMED, placed, plain
from hypothesis import given
from hypothesis import strategies as st
from sweep import sweep

import tractable as tr

RNG = np.random.default_rng(0)
N = 60
DAYS = pd.DataFrame(
    {
        "id": np.arange(N),
        "sky": np.where(RNG.random(N) < 0.5, "sun", "rain"),
        "temp": RNG.normal(10, 5, N).round(2),
        "wind": RNG.normal(30, 1, N).round(2),
        "wet": RNG.random(N) < 0.4,
    }
)
OWN = ["sky", "temp", "wind", "wet"]


@pytest.fixture(scope="module")
def mix() -> tr.Mixture:
    return tr.fit(tr.mixture(DAYS, 2, ignore="id"), DAYS, progress=False).model


@pytest.fixture(scope="module")
def chain() -> tr.HiddenMarkovModel:
    return tr.fit(tr.hidden_markov(DAYS, 2, ignore="id"), DAYS, progress=False).model


def both(mix: Any, chain: Any) -> list[Any]:
    return [mix, chain]


# ---------------------------------------------------------------- what the columns are


def test_kinds_and_categories_are_found(mix: tr.Mixture, chain: tr.HiddenMarkovModel) -> None:
    wanted = tr.Columns(OWN, {"sky": ["rain", "sun"], "wet": ["False", "True"]}, ["id"])
    for model in both(mix, chain):
        assert model.columns == wanted
        kinds = {part.kind: own for part, own in zip(model.emissions.parts, model.emissions.columns, strict=True)}
        assert kinds == {"categorical": (0, 3), "gaussian": (1, 2)}


def test_a_kind_for_all_leaves_text_to_itself() -> None:
    found = tr.mixture(DAYS, 2, "diagonal", columns=["temp", "sky"])
    assert [part.kind for part in found.emissions.parts] == ["diagonal", "categorical"]
    assert found.columns == tr.Columns(["temp", "sky"], {"sky": ["rain", "sun"]}, ["id", "wind", "wet"])


def test_booleans_are_bits_where_bits_are_asked_for() -> None:
    found = tr.mixture(DAYS[["wet", "sky"]], 2, "bernoulli")
    assert [part.kind for part in found.emissions.parts] == ["bernoulli", "categorical"]


@pytest.mark.parametrize("by", [["temp", "wind"], [2, 3], ["temp", 3]])
def test_kinds_by_name_or_number(by: list[Any]) -> None:
    kinds = {"diagonal": by, "categorical": ["wet", "sky"]}
    found = tr.mixture(DAYS, 2, kinds, ignore=["id"])
    assert found.emissions.columns == ((1, 2), (3, 0))
    assert tr.log_likelihood(found, DAYS).value == tr.log_likelihood(tr.mixture(DAYS, 2, kinds, ignore=0), DAYS).value


def test_declared_categories() -> None:
    given = {"sky": ["sun", "fog", "rain"]}
    found = tr.mixture(DAYS, 2, columns=["sky", "temp"], categories=given)
    assert found.columns.categories == {"sky": ("sun", "fog", "rain")}
    assert tr.infer(found, {"sky": "fog"}).possible
    learned = tr.fit(found, DAYS, tr.EM(prior=0), progress=False).model
    assert tr.log_evidence(learned, {"sky": "fog"}).value == -np.inf  # never seen, and no prior speaks for it
    assert tr.fit(found, DAYS, progress=False).model.emissions.parts[0].tables[0][:, 1].min() > 0


def test_an_ordered_categorical_keeps_its_order_and_what_was_not_seen() -> None:
    grades = pd.Categorical(["low", "high", "low", "high"], ["low", "middle", "high"], ordered=True)
    frame = pd.DataFrame({"grade": grades, "x": [1.0, 2.0, 1.5, 2.5]})
    enum = pl.DataFrame({"grade": pl.Series(list(grades), dtype=pl.Enum(["low", "middle", "high"])), "x": frame["x"]})
    for data in (frame, enum):
        assert tr.mixture(data, 2, "diagonal").columns.categories["grade"] == ("low", "middle", "high")


def test_a_table_without_a_state_is_not_shifted() -> None:
    """Likert 1 … 4 of 5, and the number of symbols of a die that never showed a six."""
    likert = {"answer": [1, 2, 4, 2, 1]}
    found = tr.mixture(likert, 1, "categorical")
    assert found.columns.categories["answer"] == ("1", "2", "4")
    assert np.exp(tr.log_likelihood(found, {"answer": [4]}).value) == pytest.approx(1 / 5, abs=1e-3)
    five = tr.mixture(likert, 1, "categorical", categories={"answer": range(1, 6)})
    assert five.columns.categories["answer"] == ("1", "2", "3", "4", "5")
    rolls = np.array([0, 1, 4, 2, 1])
    for die in (
        tr.hidden_markov(rolls, 2, "categorical", categories=6),
        tr.mixture(rolls[:, None], 2, "categorical", categories=[6]),
    ):
        assert die.columns is None and die.emissions.n_states == (6,)
        assert np.isfinite(tr.log_likelihood(die, [[5]]).value)


def test_states_are_read_by_one_rule() -> None:
    """A number names the state that reads as the same number, never the place where it stands."""
    model = tr.Mixture([1.0], tr.CategoricalEmissions([[[0.1, 0.9]]]), columns=tr.Columns(["sex"], {"sex": ["2", "1"]}))
    for one in (1, 1.0, "1", True, "1.0"):
        assert np.exp(tr.log_evidence(model, {"sex": one}).value) == pytest.approx(0.9)
    for rows in ({"sex": [1]}, [{"sex": "1"}], np.array([[1.0]]), np.array([[1]]), np.array([["1"]])):
        assert np.exp(tr.log_likelihood(model, rows).value) == pytest.approx(0.9)
    with pytest.raises(tr.ModelError, match=r"no state is 0 .*it has 2, 1"):
        tr.infer(model, {"sex": 0})
    drawn = tr.sample(model, 500, key=0)
    assert tr.log_likelihood(model, drawn).value == pytest.approx(0.9 * np.log(0.9) + 0.1 * np.log(0.1), abs=0.1)


def test_columns_of_text_without_a_header() -> None:
    rows = [["sun", 1.5], ["rain", 0.5], ["sun", None], ["rain", 2.0]]
    found = tr.mixture(rows, 2, "diagonal")
    assert found.columns == tr.Columns(["0", "1"], {"0": ["rain", "sun"]})
    assert tr.impute(found, rows)[2, 0] == "sun"
    walk = tr.hidden_markov(["walk", "shop", "clean", "walk"], 2, "categorical")
    assert walk.columns.categories == {"0": ("clean", "shop", "walk")}
    assert tr.most_probable(walk, ["walk", "clean"]).assignment["state"].shape == (2,)


# ---------------------------------------------------------------- the same rows are the same rows


@pytest.mark.parametrize("name", NAMED)
def test_every_container_holds_the_same_rows(name: str, mix: tr.Mixture, chain: tr.HiddenMarkovModel) -> None:
    cells = {column: DAYS[column].tolist() for column in DAYS}
    cells["temp"][3] = cells["sky"][4] = cells["wet"][5] = None
    data, base = NAMED[name](cells), NAMED["pandas"](cells)
    for model in both(mix, chain):
        assert tr.log_likelihood(model, data).value == tr.log_likelihood(model, base).value
        assert tr.bic(model, data).value == tr.bic(model, base).value
        np.testing.assert_array_equal(tr.transform(model, data), tr.transform(model, base))
        found, wanted = tr.impute(model, data), plain(tr.impute(model, base))
        assert type(found) is type(data) or isinstance(found, dict)
        for column in OWN:
            assert [*map(str, plain(found)[column])] == [*map(str, wanted[column])] or name == "text"


def test_a_frame_in_another_order_is_the_same_frame(mix: tr.Mixture, chain: tr.HiddenMarkovModel) -> None:
    turned = DAYS[["wet", "wind", "id", "temp", "sky"]]
    for model in both(mix, chain):
        assert tr.log_likelihood(model, turned).value == tr.log_likelihood(model, DAYS).value
        run = tr.fit(model, turned, validation=DAYS[::-1], epochs=3, progress=False)
        assert run.history[-1].train.value == pytest.approx(run.history[-1].validation.value) or model is chain
        assert tr.impute(model, turned).columns.tolist() == turned.columns.tolist()
    assert tr.log_likelihood(mix, DAYS[OWN].to_numpy()).value == tr.log_likelihood(mix, DAYS).value


tables = st.integers(3, 9).flatmap(
    lambda n: st.fixed_dictionaries(
        {
            "real": st.lists(st.none() | st.floats(-9, 9, width=16), min_size=n, max_size=n),
            "count": st.lists(st.integers(0, 4), min_size=n, max_size=n),
            "text": st.lists(st.none() | st.sampled_from(["a", "b c", "ü"]), min_size=n, max_size=n),
            "bit": st.lists(st.none() | st.booleans(), min_size=n, max_size=n),
            "mark": st.lists(st.none() | st.sampled_from([1, 2, 5]), min_size=n, max_size=n),
        }
    ).filter(lambda columns: all({*cells} != {None} for cells in columns.values()))
)
KINDS = {"diagonal": ["real"], "poisson": ["count"], "categorical": ["text", "bit", "mark"]}


@sweep(20)
@given(tables)
def test_models_of_the_same_rows_are_the_same(columns: dict[str, list[Any]]) -> None:
    wanted = tr.mixture(columns, 2, KINDS)
    assert wanted.columns.categories["bit"] == ("False", "True")
    rows = tr.log_likelihood(wanted, columns).per_row.value
    full = plain(tr.impute(wanted, columns))
    by_place = tr.log_likelihood(wanted, placed(columns)).per_row.value
    np.testing.assert_array_equal(by_place, rows)
    for name, make in NAMED.items():
        data = make(columns)
        found = tr.mixture(data, 2, KINDS)
        assert {*found.columns.names} == {*columns} and found.columns.categories == wanted.columns.categories, name
        np.testing.assert_allclose(found.vector(), wanted.vector(), rtol=0, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(tr.log_likelihood(found, data).per_row.value, rows, atol=1e-9, err_msg=name)
        np.testing.assert_array_equal(tr.log_likelihood(wanted, data).per_row.value, rows, err_msg=name)
        again = tr.log_likelihood(wanted, tr.impute(wanted, data)).per_row.value  # read as what it was written for
        np.testing.assert_allclose(again, tr.log_likelihood(wanted, full).per_row.value, atol=1e-9, err_msg=name)


# ---------------------------------------------------------------- evidence


def test_evidence_by_name(mix: tr.Mixture) -> None:
    one = tr.infer(mix, {"sky": "rain", "temp": 3.2})
    many = tr.infer(mix, {"temp": [3.2, np.nan], "sky": ["rain", None]})
    frame = tr.infer(mix, pd.DataFrame({"temp": [3.2], "sky": ["rain"]}))
    row = tr.infer(mix, pd.Series({"temp": 3.2, "sky": "rain"}))
    assert many.log_partition.value[0] == one.log_partition.value == row.log_partition.value
    assert many.log_partition.value[1] == pytest.approx(0, abs=1e-12)
    assert frame.log_partition.value.tolist() == [one.log_partition.value]  # a table has many rows, even one
    assert one.marginals["component"]["0"] == many.marginals.array("component")[0, 0]
    by_hand = tr.log_evidence(mix, [[0, 3.2, np.nan, np.nan]]).value  # rain is the first of the states
    assert by_hand == one.log_partition.value


def test_conditioning_by_name(mix: tr.Mixture) -> None:
    left = tr.condition(mix, {"sky": "rain", "wind": 30.0})
    assert left.columns == tr.Columns(["temp", "wet"], {"wet": ["False", "True"]}, ["id"])
    whole = tr.log_evidence(mix, {"sky": "rain", "wind": 30.0, "temp": 4.0}).value
    assert tr.log_partition(left, {"temp": 4.0}).value == pytest.approx(whole)
    drawn = tr.sample(mix, 5, evidence={"sky": "rain"}, key=1)
    assert drawn["sky"].tolist() == ["rain"] * 5 and {*drawn} == {*OWN}


def test_components_of_many_rows(mix: tr.Mixture) -> None:
    found = tr.most_probable(mix, DAYS)
    one = tr.most_probable(mix, DAYS[OWN].iloc[3])
    assert found.assignment["component"][3] == one.assignment["component"]
    assert found.log_probability.value[3] == one.log_probability.value
    assert found.to_frame("pandas")["component"].tolist() == found.assignment["component"].tolist()
    assert found.assignment["component"].tolist() == tr.transform(mix, DAYS).argmax(1).astype(str).tolist()
    sure = tr.Mixture([1.0], tr.BernoulliEmissions([[1.0]]))
    some = tr.most_probable(sure, np.array([[1.0], [0.0]]))
    assert some.assignment["component"].tolist() == ["0", None]
    assert some.log_probability.value.tolist() == [0.0, -np.inf]


# ---------------------------------------------------------------- what comes back


def test_samples_come_by_name(mix: tr.Mixture, chain: tr.HiddenMarkovModel) -> None:
    for model in both(mix, chain):
        drawn, codes = tr.sample(model, 400, key=2), tr.sample(model, 400, key=2, codes=True)
        assert {*drawn["sky"]} == {"rain", "sun"} and {*drawn["wet"]} == {"False", "True"}
        np.testing.assert_array_equal(drawn["temp"], codes[:, 1])
        np.testing.assert_array_equal(drawn["sky"] == "sun", codes[:, 0])
        assert drawn.to_frame("pandas").columns.tolist() == OWN
        each = [tr.log_likelihood(model, [rows] if model is chain else rows).value for rows in (drawn, DAYS)]
        each = np.divide(each, [400, N]) if model is chain else each
        assert each[0] == pytest.approx(each[1], abs=0.3)


def test_gaps_are_filled_and_the_rest_is_left(mix: tr.Mixture, chain: tr.HiddenMarkovModel) -> None:
    frame = DAYS.astype({"sky": "category", "wet": "boolean"}).set_index(np.arange(N) + 100)
    frame.loc[103, "temp"], frame.loc[104, "sky"], frame.loc[105, "wet"] = np.nan, None, pd.NA
    for model in both(mix, chain):
        found = tr.impute(model, frame)
        assert found.isna().sum().sum() == 0
        assert found.dtypes.tolist() == frame.dtypes.tolist() and found.index.equals(frame.index)
        there = frame.notna()
        pd.testing.assert_frame_equal(found.where(there).astype(object), frame.where(there).astype(object))
        codes = tr.impute(model, frame, codes=True)
        assert found.loc[104, "sky"] == ["rain", "sun"][int(codes[4, 0])] and found.loc[103, "temp"] == codes[3, 1]
        assert found.loc[105, "wet"] == bool(codes[5, 3])
        kept = pl.from_pandas(frame.reset_index(drop=True))
        assert tr.impute(model, kept).schema == kept.schema


def test_numbers_as_states_come_back_as_numbers() -> None:
    frame = pd.DataFrame({"mark": [1.0, 2.0, np.nan, 5.0, 1.0], "x": [0.0, 1.0, 0.1, 5.0, 0.2]})
    model = tr.mixture(frame, 2, {"categorical": ["mark"], "diagonal": ["x"]})
    assert model.columns.categories["mark"] == ("1", "2", "5")
    found = tr.impute(model, frame)
    assert found.dtypes.tolist() == frame.dtypes.tolist() and found["mark"][2] in (1, 2, 5)
    array = tr.impute(model, frame.to_numpy())
    np.testing.assert_array_equal(array, found.to_numpy())


def test_means_come_by_name(mix: tr.Mixture, chain: tr.HiddenMarkovModel) -> None:
    for model in both(mix, chain):
        found = tr.reconstruct(model, DAYS)
        assert found.columns.tolist() == OWN and {*found["sky"]} <= {"rain", "sun"}
        weights = tr.transform(model, DAYS)
        np.testing.assert_allclose(found["temp"], weights @ model.emissions.means[:, 1])
    ahead = tr.forecast(chain, DAYS, 2)
    np.testing.assert_allclose(ahead.means["temp"], ahead.states @ chain.emissions.means[:, 1])
    assert set(ahead.means["sky"]) <= {"rain", "sun"}


def test_names_are_in_files(mix: tr.Mixture, chain: tr.HiddenMarkovModel, tmp_path: Path) -> None:
    rooms = tr.factorial_hidden_markov(DAYS, [2, 2], columns=["wind", "temp"])
    for model in (*both(mix, chain), rooms):
        tr.save(model, tmp_path / "m.safetensors")
        found = tr.load(tmp_path / "m.safetensors")
        assert found.columns == model.columns
        assert tr.log_likelihood(found, DAYS).value == tr.log_likelihood(model, DAYS).value
    assert rooms.columns == tr.Columns(["wind", "temp"], {}, ["id", "sky", "wet"])
    assert {*tr.sample(rooms, 3)} == {"wind", "temp"}


def test_names_stay_in_every_way_of_learning(mix: tr.Mixture, chain: tr.HiddenMarkovModel, tmp_path: Path) -> None:
    for model in both(mix, chain):
        for learner in (tr.EM(n_init=2, start="rows"), tr.EM(n_init=2, start="k-means++")):
            assert tr.fit(model, DAYS, learner, epochs=2, progress=False).model.columns == model.columns
        options: dict[str, Any] = {"checkpoint": str(tmp_path / f"{model.family}.checkpoint"), "progress": False}
        tr.fit(model, DAYS, tr.EM(tolerance=0), epochs=2, **options)
        run = tr.fit(model, DAYS[DAYS.columns[::-1]], tr.EM(tolerance=0), epochs=4, resume=True, **options)
        assert run.model.columns == model.columns and len(run.history) == 5
    assert tr.fit(mix, DAYS, tr.OnlineEM(), epochs=2, progress=False).model.columns == mix.columns
    assert tr.left_right(DAYS, 3, ignore="id").columns == chain.columns


def test_names_of_a_model_that_was_made_by_hand() -> None:
    two = tr.Mixture([1.0], tr.GaussianEmissions([[1.0, 5.0]], np.eye(2)[None]), columns=["a", "b"])
    assert tr.log_likelihood(two, {"b": [5.0], "a": [1.0]}).value == pytest.approx(-np.log(2 * np.pi))
    coin = tr.Mixture([1.0], tr.CategoricalEmissions([[[0.1, 0.9]]]), columns=["coin"])
    assert coin.columns.categories == {"coin": ("0", "1")}


# ---------------------------------------------------------------- sequences


def test_sequences_by_name(chain: tr.HiddenMarkovModel) -> None:
    frame = DAYS.assign(station=["Ulm"] * 20 + ["Bern"] * 40)
    frame.loc[[3, 30], "temp"] = np.nan
    cut = tr.Sequences(frame, by="station")
    parts = [frame[:20].drop(columns="station"), pl.from_pandas(frame[20:].drop(columns="station"))]
    lengths = tr.Sequences(frame.drop(columns="station"), [20, 40])
    found = [tr.log_likelihood(chain, data).per_row.value.tolist() for data in (cut, parts, lengths)]
    assert found[0] == found[1] == found[2]
    filled, apart = tr.impute(chain, cut), tr.impute(chain, parts)
    assert filled[0].columns.tolist() == frame.columns.tolist() and filled[1].index[0] == 20
    assert isinstance(apart[1], pl.DataFrame)
    assert filled[1]["temp"].tolist() == apart[1]["temp"].to_list()
    assert (
        tr.hidden_markov(cut, 2, ignore="id").columns == chain.columns == tr.hidden_markov(parts, 2, ignore=0).columns
    )
    assert [len(part) for part in tr.reconstruct(chain, cut)] == [20, 40]
    first = tr.Sequences(frame[["station", *DAYS]], by="station")  # which has its place among the numbers of columns
    by_number = tr.hidden_markov(first, 2, {"diagonal": [3, 4], "categorical": [2, "wet"]}, ignore=1)
    assert by_number.columns == chain.columns and by_number.emissions.columns == ((1, 2), (0, 3))
    assert tr.infer(chain, cut).marginals["state"][1].shape == (40, 2)
    assert tr.filtering(chain, parts)[0].shape == (20, 2)
    assert [type(part).__name__ for part in cut[[1]]] == ["DataFrame"] and cut[[1]].sizes.tolist() == [40]


def test_a_filter_takes_rows_by_name(chain: tr.HiddenMarkovModel) -> None:
    now = tr.OnlineFilter(chain)
    for t in range(3):
        now = now.update({"temp": DAYS["temp"][t], "sky": DAYS["sky"][t]})
    rows = DAYS[:3].assign(wind=np.nan, wet=None)
    np.testing.assert_allclose(now.belief, tr.filtering(chain, rows)[-1])


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.drop(columns="wind"), "the data have no column 'wind', they have id, sky.*has sky, temp"),
        (
            lambda d: d.assign(extra=1),
            r"no column 'extra'.*tr\.select\(data, ignore='extra'\) or --ignore extra.*columns=",
        ),
        (lambda d: d.assign(temp="hot"), "row 0, column 'temp': 'hot' is no number"),
        (lambda d: d.assign(temp=pd.Timestamp("2020-01-01")), "row 0, column 'temp': .* is a time; make it a number"),
        (lambda d: d.assign(sky=["sun", "fog"] * (N // 2)), "row 1: .*'sky' has no state 'fog' .it has rain, sun"),
        (lambda d: d.assign(wet=3), "row 0: .*'wet'.*no state is 3"),
        (lambda d: d.to_numpy(), "the data have 5 columns, the model has 4 .sky, temp, wind, wet.*columns="),
        (lambda d: pd.concat([d, d[["sky"]]], axis=1), "two columns have the name 'sky'"),
        (lambda d: [[1, 2], [3]], "rows differ in length|sequence 0: the data have 2 columns"),
        (lambda d: {"sky": ["sun"], "temp": 3.0, "wind": [1.0], "wet": [True]}, "'temp' is a single value"),
    ],
)
def test_what_does_not_fit_is_refused(change: Any, said: str, mix: tr.Mixture, chain: tr.HiddenMarkovModel) -> None:
    for model in both(mix, chain):
        for verb in (tr.log_likelihood, tr.impute, tr.transform, lambda m, d: tr.fit(m, d, progress=False)):
            with pytest.raises(tr.ModelError, match=said):
                verb(model, change(DAYS))


def test_an_extra_column_is_set_aside_by_name(mix: tr.Mixture) -> None:
    more = DAYS.assign(extra=1)
    assert tr.log_likelihood(mix, tr.select(more, ignore="extra")).value == tr.log_likelihood(mix, DAYS).value


def test_columns_of_any_container_are_chosen() -> None:
    cells = {"b": [1, 2], 3: ["x", "y"], "c": [True, False]}
    for make in (
        dict,
        pd.DataFrame,
        lambda c: pd.DataFrame(c).to_dict("records"),
        lambda c: pl.DataFrame({"b": c["b"], "3": c[3], "c": c["c"]}),
    ):
        assert [*map(str, plain(tr.select(make(cells), ignore="b")))] == ["3", "c"]
        assert [*map(str, plain(tr.select(make(cells), ["c", 3])))] == ["c", "3"]
    assert tr.select(np.eye(3), ignore=[0, 2]).tolist() == [[0.0], [1.0], [0.0]]
    with pytest.raises(tr.ModelError, match="no column '3'; there are 0, 1, 2"):
        tr.select(np.eye(3), 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"emissions": {"gaussian": ["temp"], "categorical": ["sky"]}}, "name every column once: 'id' is of no kind"),
        ({"emissions": {"gaussian": ["temp", "temp"]}}, "'temp' is named twice, for gaussian too"),
        ({"emissions": {"gaussian": ["temp"]}, "columns": "wind"}, "'temp' is left out by columns="),
        (
            {"emissions": {"gaussian": ["sky", "id", "temp", "wind"], "categorical": ["wet"]}},
            "column 'sky': '.*' is no",
        ),
        ({"columns": ["tmp"]}, "no column 'tmp'.*; did you mean 'temp'"),
        ({"ignore": "idd"}, "no column 'idd'.*; did you mean 'id'"),
        ({"columns": ["temp", "temp"]}, "names 'temp' twice"),
        ({"columns": []}, "no column is left"),
        ({"categories": {"sky": 1}}, "'sky' has 2 states by name .rain, sun., not 1"),
        ({"categories": {"sky": 0}}, "categories of 'sky': expected names of states, or their number, got 0"),
        ({"categories": {"skies": 3}}, "no column 'skies'.*; did you mean 'sky'"),
        ({"categories": [2, 3]}, "2 entries for 5 columns"),
        ({"categories": {"sky": ["a", "a"]}}, "the state 'a' twice"),
        ({"categories": {"sky": ["sun", "fog"]}}, "'sky' has no state 'rain'"),
        ({"columns": "temp", "categories": 3}, "categories= is for categorical columns, and there are none"),
        ({"parts": 2}, "no option 'parts'; did you mean 'n_parts'"),
    ],
)
def test_what_cannot_be_made_is_refused(options: dict[str, Any], said: str) -> None:
    for make in (tr.mixture, tr.hidden_markov, tr.left_right):
        with pytest.raises(tr.ModelError, match=said):
            make(DAYS, 2, **options)


def test_names_of_rows_are_no_categories() -> None:
    frame = DAYS.assign(id=[f"day {i}" for i in range(N)])
    with pytest.raises(tr.ModelError, match=re.escape("ignore='id' (--ignore id)")):
        tr.mixture(frame, 2)
    assert tr.mixture(frame, 2, ignore="id").columns.ignored == ("id",)


def test_soft_evidence_is_for_networks(mix: tr.Mixture) -> None:
    for soft in ({"sun": 0.2, "rain": 0.8}, tr.likelihood([0.2, 0.8])):
        with pytest.raises(tr.ModelError, match="column 'sky': soft evidence is for networks"):
            tr.infer(mix, {"sky": soft})
    with pytest.raises(tr.ModelError, match=r"knows no column 'skies'.*; did you mean 'sky'"):
        tr.infer(mix, {"skies": "sun"})


@pytest.mark.parametrize("about", [[], {}, {"names": ["a"]}, {"names": [1, 2], "categories": {}, "ignored": []}])
def test_a_file_with_names_that_are_none(about: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    tr.save(tr.Mixture([1.0], tr.PoissonEmissions([[1.0, 2.0]]), columns=["a", "b"]), path)
    whole = path.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    own = json.loads(header["__metadata__"]["tractable"])
    assert own["columns"] == {"names": ["a", "b"], "categories": {}, "ignored": []}
    header["__metadata__"]["tractable"] = json.dumps(own | {"columns": about})
    changed = json.dumps(header).encode()
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + whole[8 + size :])
    with pytest.raises(tr.FormatError, match="has no good columns: names, categories, ignored"):
        tr.load(path)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["a"], "1 names of columns, the model has 2 columns"),
        (["a", "a"], "two columns have the name 'a'"),
        (tr.Columns(["a", "b"], {"a": ["x", "y"]}), "'a' has 2 names of states, the model none"),
        (tr.Columns(["a", "b"], {"b": ["x", "y"]}), "'b' has 2 names of states, the model 3"),
    ],
)
def test_names_that_do_not_fit_the_model(columns: Any, said: str) -> None:
    parts = [tr.PoissonEmissions([[1.0]]), tr.CategoricalEmissions([[[0.2, 0.3, 0.5]]])]
    with pytest.raises(tr.ModelError, match=said):
        tr.Mixture([1.0], tr.ProductEmissions(parts, [[0], [1]]), columns=columns)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"who": ["a", "b", "a"], "x": [1, 2, 3]}, "row 2: sequence a comes back; sort the rows by it"),
        ({"who": ["a", None, "a"], "x": [1, 2, 3]}, "row 1: the column that tells the sequences apart is empty"),
        ({"who": ["a"]}, "no column beside 'who'"),
        ({"x": [1.0]}, "there is no column 'who'"),
    ],
)
def test_sequences_that_cannot_be_told_apart(data: Any, said: str) -> None:
    for make in (pl.DataFrame, pd.DataFrame, dict):
        with pytest.raises(tr.ModelError, match=said):
            tr.Sequences(make(data), by="who")


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_estimators_take_tables_with_text(make: Any) -> None:
    cells = {name: DAYS[name].tolist() for name in OWN}
    cells["sky"][4] = cells["temp"][3] = None
    table = make(cells)
    mixture = tr.estimators.MixedMixture(2, kinds={"gaussian": ["temp", "wind"], "categorical": ["sky", "wet"]})
    chain = tr.estimators.HiddenMarkovModel(2, emissions="diagonal")
    for model in (mixture.set_params(random_state=0).fit(table), chain.set_params(random_state=0).fit(table)):
        assert model.feature_names_in_.tolist() == OWN
        assert model.model_.columns.categories == {"sky": ("rain", "sun"), "wet": ("False", "True")}
        filled = plain(model.impute(table))
        assert filled["sky"][4] in ("rain", "sun") and filled["sky"][:4] == cells["sky"][:4]
        assert model.score(table) == model.score(make(cells))
        assert {*model.sample(3)[0]} == {*OWN}
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(make(dict(reversed(cells.items()))))


def test_a_row_without_a_table_is_one_row() -> None:
    """It was taken for as many rows as it has cells, all of them alike."""
    days = {"sky": ["sun", "rain"] * 5, "temp": [20.0, 8.0, 21.5, 9.0, 19.0, 7.5, 20.5, 8.5, 21.0, 9.5]}
    hmm = tr.hidden_markov(days, 2, key=0)
    right = tr.log_evidence(hmm, {"sky": "sun", "temp": 20.0}).value
    assert tr.log_evidence(hmm, ["sun", 20.0]).value == pytest.approx(right)
    assert tr.transform(tr.mixture(days, 2, key=0), ["sun", 20.0]).shape == (1, 2)


def test_an_array_of_numbers_whose_categories_are_all_missing() -> None:
    days = {"sky": ["sun", "rain"] * 5, "temp": [20.0, 8.0, 21.5, 9.0, 19.0, 7.5, 20.5, 8.5, 21.0, 9.5]}
    mix = tr.fit(tr.mixture(days, 2, key=0), days, progress=False).model
    assert tr.impute(mix, np.array([[np.nan, 20.0], [np.nan, 8.0]])).tolist() == [[1.0, 20.0], [0.0, 8.0]]
    assert tr.most_probable(mix, {"sky": [], "temp": []}).assignment["component"].tolist() == []
    with pytest.raises(tr.ModelError, match="column 'temp' is a set"):
        tr.log_likelihood(mix, {"sky": ["sun"], "temp": {20.0}})
    for soft in ({"sky": tr.likelihood([1, 2]), "temp": 3.0}, [{"sky": {"sun": 1, "rain": 2}, "temp": 3.0}]):
        with pytest.raises(tr.ModelError, match="soft evidence is for networks"):
            tr.infer(mix, soft)


def test_one_column_is_as_many_rows_as_it_has_values_to_every_verb() -> None:
    """Of an array the first row alone was answered, and a Series was a case to some verbs."""
    values = np.array([1.0, 2.0, 8.0, 9.0, 1.5, 8.5])
    table = pd.DataFrame({"temp": values})
    mix = tr.fit(tr.mixture(table, 2, key=0), table, progress=False).model
    hmm = tr.fit(tr.hidden_markov(table, 2, key=0), table, progress=False).model
    for data in (values, values.tolist(), pd.Series(values), pl.Series(values)):
        for model in (mix, hmm):
            right = tr.log_evidence(model, table).value
            np.testing.assert_allclose(tr.log_evidence(model, data).value, right)
            np.testing.assert_allclose(tr.infer(model, data).log_partition.value, right)
            assert tr.log_likelihood(model, data).value == pytest.approx(tr.log_likelihood(model, table).value)
        assert len(tr.most_probable(mix, data).to_frame("pandas")) == len(values)


def test_a_row_of_a_table_is_read_by_its_names() -> None:
    """By place it would be another one where the table has its columns in another order."""
    days = {"low": [1.0, 2.0, 1.5, 8.0], "high": [10.0, 20.0, 15.0, 30.0]}
    frame = pd.DataFrame(days)
    mix = tr.fit(tr.mixture(days, 2, key=0), days, progress=False).model
    hmm = tr.fit(tr.hidden_markov(days, 2, key=0), days, progress=False).model
    turned = frame[["high", "low"]]
    for row in (turned.iloc[0], next(turned.itertuples(index=False)), dict(turned.iloc[0])):
        assert tr.log_evidence(mix, row).value == pytest.approx(tr.log_evidence(mix, frame[:1]).value[0])
        now = tr.OnlineFilter(hmm).update(row)
        assert now.log_likelihood == pytest.approx(tr.log_evidence(hmm, frame[:1]).value)
        if not isinstance(row, dict):
            assert tr.log_likelihood(mix, row).value == pytest.approx(tr.log_likelihood(mix, frame[:1]).value)
    with pytest.raises(tr.ModelError, match="one row at a time, got 2"):
        tr.OnlineFilter(hmm).update(frame[:2])


def test_conditioning_and_plans_go_by_names_too() -> None:
    days = {"low": [1.0, 2.0, 1.5, 8.0], "high": [10.0, 20.0, 15.0, 30.0]}
    mix, hmm = tr.mixture(days, 2, key=0), tr.hidden_markov(days, 2, key=0)
    one = tr.log_partition(tr.condition(hmm, {"low": 2.0})).value
    assert one == pytest.approx(tr.log_evidence(hmm, {"low": 2.0}).value)
    assert tr.plan(mix, ["low"]).observed == ("low",)
    with pytest.raises(tr.ModelError, match=r"no column 'lo'.*did you mean 'low'"):
        tr.plan(mix, ["lo"])
    with pytest.raises(tr.ModelError, match="a number of rows"):
        tr.plan(hmm, pd.DataFrame(days))
    paths = tr.most_probable(hmm, [days, {name: column[:2] for name, column in days.items()}])
    assert paths.to_frame("pandas")["sequence"].tolist() == [0, 0, 0, 0, 1, 1]
    with pytest.raises(tr.ModelError, match="holds lists"):
        tr.Sequences({**days, "who": [[1]] * 4}, by="who")
