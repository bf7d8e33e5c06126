"""Tables that say by name what their entries are of: the same array from every container, in any order, or an error."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweep import seeds

import tractable as tr

WORDS = ["no", "yes", "1", "0", "1.5", "True", "a b", "NA", "p", "x", "(0, 1]", "é"]
STATES = {"smoke": ("no", "yes"), "air": ("good", "bad"), "lung": ("yes", "no")}


class Random:
    """A table over one to three variables, and its entries in an order of their own."""

    def __init__(self, seed: int):
        rng = np.random.default_rng(seed)
        self.scope = [str(v) for v in rng.permutation(["rain", "a name", "x", "p", "0"])[: rng.integers(1, 4)]]
        self.states = {v: tuple(map(str, rng.permutation(WORDS)[: rng.integers(1, 4)])) for v in self.scope}
        shape = [len(self.states[v]) for v in self.scope]
        self.table = rng.dirichlet(np.ones(shape[-1]), shape[:-1])
        places = [tuple(int(k) for k in place) for place in rng.permutation(list(np.ndindex(*shape)))]
        self.cells = [
            (tuple(self.states[v][k] for v, k in zip(self.scope, place, strict=True)), float(self.table[place]))
            for place in places
        ]
        self.columns = [str(v) for v in rng.permutation([*self.scope, "number"])]

    def long(self) -> Any:
        rows = [dict(zip(self.scope, labels, strict=True)) | {"number": p} for labels, p in self.cells]
        return pd.DataFrame(rows)[self.columns]

    def series(self) -> Any:
        return self.long().set_index([v for v in self.columns if v != "number"])["number"]

    def wide(self) -> Any:
        """A column for each parent and each state; where these have the same name a frame cannot be wide."""
        if {*self.scope} & {*self.states[self.scope[-1]]}:
            return self.long()
        if len(self.scope) == 1:
            return pd.DataFrame([{labels[0]: p for labels, p in self.cells}])
        wide = self.series().unstack(self.scope[-1])
        return wide.reset_index().rename_axis(columns=None)

    def nested(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for labels, p in self.cells:
            at = out
            for label in labels[:-1]:
                at = at.setdefault(label, {})
            at[labels[-1]] = p
        return out


def rows_of(made: Random) -> Any:
    """Parents' states → the row as a list."""
    if len(made.scope) == 1:
        return made.table.tolist()
    out = {labels[:-1]: made.table[_place(made, labels)].tolist() for labels, _ in made.cells}
    return out if len(made.scope) > 2 else {labels[0]: row for labels, row in out.items()}


def _place(made: Random, labels: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(made.states[v].index(x) for v, x in zip(made.scope[:-1], labels, strict=False))


FORMS: dict[str, Callable[[Random], Any]] = {
    "array": lambda made: made.table,
    "nested lists": lambda made: made.table.tolist(),
    "flat": lambda made: made.table.ravel(),
    "rows": rows_of,
    "entries": lambda made: dict(made.cells),
    "nested": Random.nested,
    "long": Random.long,
    "wide": Random.wide,
    "series": Random.series,
    "long index": lambda made: made.long().set_index(made.scope[0]),
    "cases": lambda made: made.long().to_dict("records"),
    "polars": lambda made: pl.from_pandas(made.long()),
    "wide polars": lambda made: pl.from_pandas(made.wide()),
    "arrow": lambda made: pa.Table.from_pandas(made.long(), preserve_index=False),
    "crossed": lambda made: made.series().unstack(made.scope[0]) if len(made.scope) > 1 else made.series(),
}


@pytest.mark.verify
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", seeds(25))
def test_every_form_gives_the_same_table(seed: int, form: str) -> None:
    made = Random(seed)
    child, parents = made.scope[-1], made.scope[:-1]
    roots = {v: np.full(len(made.states[v]), 1 / len(made.states[v])) for v in parents}
    given_ = FORMS[form](made)
    net = tr.BayesianNetwork(made.states, {child: parents}, {**roots, child: given_})
    np.testing.assert_array_equal(net.tables[child], made.table)
    factor = tr.MarkovNetwork(made.states, [(made.scope, given_)]).factors[0]
    np.testing.assert_array_equal(factor.table, made.table)
    if form not in ("array", "nested lists", "flat", "rows"):
        named = {v: dict(zip(made.states[v], p, strict=True)) for v, p in roots.items()}
        free = tr.BayesianNetwork(None, {child: parents}, {**named, child: given_})
        assert {v: {*own} for v, own in free.states.items()} == {v: {*own} for v, own in made.states.items()}
        ours, theirs = tr.infer(free).marginals[child], tr.infer(net).marginals[child]
        assert all(abs(ours[s] - theirs[s]) < 1e-12 for s in made.states[child])


def test_tables_that_pandas_makes_of_rows() -> None:
    rows = pd.DataFrame({"s": ["a", "a", "b", "b", "a"], "t": ["x", "y", "x", "y", "x"]})
    shares = {"s": rows["s"].value_counts(normalize=True), "t": pd.crosstab(rows["s"], rows["t"], normalize="index")}
    net = tr.BayesianNetwork(None, "s->t", shares)
    assert net.states == {"s": ("a", "b"), "t": ("x", "y")}
    np.testing.assert_allclose(net.tables["t"], [[2 / 3, 1 / 3], [0.5, 0.5]])
    for counts in (rows.groupby("s")["t"].value_counts(), pd.crosstab(rows["t"], rows["s"])):
        again = tr.BayesianNetwork(net.states, "s->t", {"s": rows["s"].value_counts(), "t": counts}, normalize=True)
        np.testing.assert_allclose(again.tables["t"], net.tables["t"])
    plain = pd.DataFrame({"y": [1 / 3, 0.5], "x": [2 / 3, 0.5]}, index=["a", "b"])
    np.testing.assert_allclose(
        tr.BayesianNetwork(net.states, "s->t", shares | {"t": plain}).tables["t"], net.tables["t"]
    )


def long(**changes: Any) -> list[dict[str, Any]]:
    cells = [
        {"smoke": s, "air": a, "lung": x, "p": 0.5}
        for s in STATES["smoke"]
        for a in STATES["air"]
        for x in STATES["lung"]
    ]
    return [cells[0] | changes, *cells[1:]]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (long()[1:], "variable 'lung': the table has no entry for smoke=no, air=good, lung=yes"),
        (long() + long()[3:4], "the table has two entries for smoke=no, air=bad, lung=no; keep one"),
        (long(smoke="maybe"), "variable 'smoke' has no state 'maybe'"),
        (long(smoke=None), "a row of the table does not say the state of 'smoke'"),
        (long(p="half"), "'half' for smoke=no, air=good, lung=yes is no number"),
        (long(p=None), "the entry for smoke=no, air=good, lung=yes is missing"),
        (pd.DataFrame(long()).drop(columns="air"), "the table has no column 'air'"),
        (pd.DataFrame(long()).rename(columns={"air": "aire"}), "no column 'air'; did you mean 'aire'?"),
        (pd.DataFrame(long()).assign(n=1), "needs one column of numbers, it has 'p', 'n'"),
        (pd.DataFrame(long()).drop(columns="p"), "needs one column of numbers, it has none"),
        (pd.DataFrame(long()).drop(columns="lung"), "'p'"),
        (pd.DataFrame(long()).set_index(["smoke", "air", "lung"])["p"].rename_axis(["a", "b", "c"]), "levels 'a', 'b'"),
        ({("no", "good", "yes", "x"): 0.5}, "has more states than the 3 variables"),
        ({"no": {"good": [0.5, 0.25, 0.25]}}, "the row for smoke=no, air=good has 3 numbers, 'lung' has 2 states"),
        ({"no": [0.5, 0.5]}, "for smoke=no does not say its states of 'air'"),
        (0.5, "has shape ()"),
        ("half", "no array of numbers; its variables need (2, 2, 2)"),
        ([[1], [1, 2]], "no array of numbers; its variables need (2, 2, 2)"),
    ],
)
def test_what_is_missing_or_twice_is_named(table: Any, words: str) -> None:
    roots = {"smoke": [0.5, 0.5], "air": [0.5, 0.5]}
    with pytest.raises(tr.ModelError) as error:
        tr.BayesianNetwork(STATES, "smoke->lung<-air", {**roots, "lung": table})
    assert words in str(error.value) and str(error.value).startswith("variable 'lung': ")


def test_states_that_nothing_says_are_asked_for() -> None:
    with pytest.raises(tr.ModelError, match="variable 'a': nothing says which states it has"):
        tr.BayesianNetwork(None, "a->b", {"a": [0.5, 0.5], "b": {"x": {"y": 1.0}}} | {"a": [1.0]} | {"b": [[1.0]]})
    with pytest.raises(tr.ModelError, match="'a' has no state 'z'"):
        tr.BayesianNetwork(None, "a->b", {"a": {"x": 1.0}, "b": {"z": {"y": 1.0}}})
    with pytest.raises(tr.ModelError, match="its structure says"):
        tr.BayesianNetwork({"a": "01"}, "a{x|y}", {"a": [0.5, 0.5]})


# ---------------------------------------------------------------- rows that do not sum to one


def test_hand_rounded_rows_are_normalized_where_asked() -> None:
    states, tables = {"a": ["x", "y"], "b": [0, 1, 2]}, {"a": [0.5, 0.5], "b": [[0.33, 0.33, 0.33], [1, 0, 0]]}
    with pytest.raises(tr.ModelError) as error:
        tr.BayesianNetwork(states, "a->b", tables)
    assert str(error.value) == (
        "variable 'b': row 0 of the table sums to 0.99, not to 1; normalize=True (convert --normalize) "
        "divides each row by its sum (it is that of a=x)"
    )
    net = tr.BayesianNetwork(states, "a->b", tables, normalize=True)
    np.testing.assert_allclose(net.tables["b"], [[1 / 3] * 3, [1, 0, 0]])
    counts = tr.BayesianNetwork(states, "a->b", {"a": [3, 1], "b": [[2, 2, 4], [1e308, 1e308, 0]]}, normalize=True)
    np.testing.assert_allclose(counts.tables["b"], [[0.25, 0.25, 0.5], [0.5, 0.5, 0]])
    assert counts.tables["a"].tolist() == [0.75, 0.25]
    assert net.replace({"a": [2, 6]}, normalize=True).tables["a"].tolist() == [0.25, 0.75]


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([0, 0], "row 1 of the table (it is that of a=y) has only zeros: all-zero weights"),
        ([-0.5, 1.5], "the entry -0.5 at a=y, b=0 is not a finite number ≥ 0"),
        ([np.nan, 1], "the entry nan at a=y, b=0 is not"),
        ([np.inf, 1], "the entry inf at a=y, b=0 is not"),
    ],
)
def test_negative_and_all_zero_weights_are_errors_in_any_case(row: list[float], words: str, normalize: bool) -> None:
    with pytest.raises(tr.ModelError) as error:
        tr.BayesianNetwork({"a": "xy", "b": 2}, "a->b", {"a": [0.5, 0.5], "b": [[0.5, 0.5], row]}, normalize=normalize)
    assert words in str(error.value)


# ---------------------------------------------------------------- states are text


@given(st.lists(st.sampled_from([1, 1.0, True, "1", "True", np.int64(1), np.float32(1), np.bool_(True), 2, "x", 0.5])))
def test_states_are_text_from_construction_on(states: list[Any]) -> None:
    texts = ["True" if s is True or isinstance(s, np.bool_) else "1" if s == 1 else str(s) for s in states]
    try:
        net = tr.MarkovNetwork({"a": states}, [])
    except tr.ModelError as error:
        assert not texts or len({*texts}) < len(texts), error
    else:
        assert list(net.states["a"]) == texts and {*map(type, net.states["a"])} == {str}


def test_numbers_as_states_are_saved_queried_and_counted(tmp_path: Any) -> None:
    smoker = {1: {True: 0.1, False: 0.9}, 2.0: {"True": 0.6, "False": 0.4}}
    tables = {"sex": {1: 0.5, 2: 0.5}, "smoker": smoker}
    net = tr.BayesianNetwork({"sex": [1, 2], "smoker": [True, False]}, "sex->smoker", tables)
    assert net.states == {"sex": ("1", "2"), "smoker": ("True", "False")}
    tr.save(net, tmp_path / "net.bif")
    assert tr.load(tmp_path / "net.bif").states == net.states
    assert tr.infer(net, {"sex": 1}).marginals["smoker"]["True"] == pytest.approx(0.1)
    with pytest.raises(tr.ModelError, match="cannot be missing"):
        tr.MarkovNetwork({"a": ["x", None]}, [])
    with pytest.raises(tr.ModelError, match="two variables have the name '1' as text"):
        tr.MarkovNetwork({1: 2, "1": 2}, [])


# ---------------------------------------------------------------- what is held stays as it is


def held() -> tr.BayesianNetwork:
    return tr.BayesianNetwork(
        {"a": "xy", "b": "01", "c": "01"},
        {"b": "a", "c": "a"},
        {"a": [0.3, 0.7], "b": [[0.5, 0.5], [0.25, 0.75]], "c": [[0.5, 0.5], [0.25, 0.75]]},
        ties=[("b", "c")],
        fixed=["a"],
    )


def learned() -> tr.BayesianNetwork:
    return tr.fit(held(), {"a": ["x", "y", "y"], "b": ["0", None, "1"]}, tr.EM()).model


def loaded(tmp_path: Any) -> tr.BayesianNetwork:
    tr.save(held(), tmp_path / "net.safetensors")
    return tr.load(tmp_path / "net.safetensors")


@pytest.mark.parametrize(
    "make",
    [
        held,
        learned,
        loaded,
        lambda: copy.copy(held()),
        lambda: copy.deepcopy(held()),
        lambda: pickle.loads(pickle.dumps(learned())),
        lambda: held().replace({"a": [0.5, 0.5]}),
        lambda: tr.condition(held(), {"a": "x"}),
        lambda: pickle.loads(pickle.dumps(tr.condition(held(), {"a": "x"}))),
        lambda: copy.deepcopy(tr.condition(held(), {"a": "x"})),
        lambda: tr.condition(held(), {"a": "x"}).replace({0: 2.0}),
    ],
)
def test_tables_are_read_only_wherever_a_network_comes_from(make: Any, tmp_path: Any) -> None:
    net: Any = make(tmp_path) if make is loaded else make()
    tables = list(net.tables.values()) if isinstance(net, tr.BayesianNetwork) else [f.table for f in net.factors]
    for table in [t for t in tables if t.ndim]:
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0.9
        with pytest.raises(ValueError, match="WRITEABLE"):
            table.setflags(write=True)
        assert np.shares_memory(table, net.packed.values)
    with pytest.raises(TypeError, match="`replace` makes a new one"):
        net.states["a"] = ("x",)  # pyright: ignore[reportIndexIssue]
    with pytest.raises(TypeError, match="`replace` makes a new one"):
        net.states.update(a=("x",))
    if isinstance(net, tr.BayesianNetwork):
        with pytest.raises(TypeError, match="`replace` makes a new one"):
            net.tables["a"] = np.array([0.9, 0.1])  # pyright: ignore[reportIndexIssue]
        assert (net.ties, net.fixed, net.name) == ((("b", "c"),), ("a",), "network")
    assert tr.infer(net).marginals.keys() == net.states.keys()


def test_arrays_handed_in_are_copied_and_stay_the_users_own() -> None:
    for table in (np.array([0.25, 0.75]), np.asfortranarray(np.array([[0.25, 0.75]] * 2))):
        parents = {"b": ["a"]} if table.ndim == 2 else {}
        states = {"a": "xy", "b": "01"} if table.ndim == 2 else {"b": "01"}
        net = tr.BayesianNetwork(states, parents, {"a": [0.5, 0.5], "b": table} if parents else {"b": table})
        field = tr.MarkovNetwork(states, [(list(states), table)])
        table[:] = 0.5
        assert net.tables["b"].max() == 0.75 and field.factors[0].table.max() == 0.75


def test_replace_checks_all() -> None:
    net = held()
    new = net.replace({"a": {"y": 0.25, "x": 0.75}}, name="other", fixed=())
    assert new.tables["a"].tolist() == [0.75, 0.25] and (new.name, new.fixed, new.ties) == ("other", (), net.ties)
    assert net.tables["a"].tolist() == [0.3, 0.7]
    assert net.replace().packed.values.tobytes() == net.packed.values.tobytes()
    assert net.replace({"b": [[1, 0], [0, 1]]}, ties=()).ties == ()
    for tables, words in [
        ({"d": [1.0]}, "unknown variable 'd'"),
        ({"a": [1.0]}, "has shape"),
        ({"b": [[1, 0], [0, 1]]}, "'b' and 'c' are tied, but their tables differ"),
    ]:
        with pytest.raises(tr.ModelError, match=words):
            net.replace(tables)


def test_factors_are_replaced_by_number_or_scope() -> None:
    ones = np.ones((2, 2))
    field = tr.MarkovNetwork({"a": "01", "b": "01"}, [("a", [1, 2]), ("ab", ones), (("b", "a"), ones)])
    assert field.replace({"a": [5, 6], 1: {"0": [1, 2], "1": [3, 4]}}).factors[1].table.tolist() == [[1, 2], [3, 4]]
    assert field.replace({("b", "a"): np.eye(2)}, name="new").name == "new"
    for factors, words in [
        ({3: [1]}, "there is no factor 3; the network has 3"),
        ({"c": [1]}, "no factor is over"),
        ({0: [1, -1]}, "factor 0 over .a.: the entry -1.0 at a=1"),
    ]:
        with pytest.raises(tr.ModelError, match=words):
            field.replace(factors)
    twice = tr.MarkovNetwork({"a": "01"}, [("a", [1, 2]), ("a", [1, 2])])
    with pytest.raises(tr.ModelError, match="2 factors are over"):
        twice.replace({"a": [1, 1]})


def test_states_that_a_table_says_may_be_left_out_for_some() -> None:
    lung = {"no": {"no": 0.9, "yes": 0.1}, "yes": {"yes": 0.7, "no": 0.3}}
    for structure in ({"lung": ["smoke"]}, "smoke -> lung", [("smoke", "lung")]):
        net = tr.BayesianNetwork({"smoke": ["yes", "no"]}, structure, {"smoke": [0.2, 0.8], "lung": lung})
        assert net.variables == ("smoke", "lung") and net.states["lung"] == ("no", "yes")
        assert net.tables["lung"].tolist() == [[0.3, 0.7], [0.9, 0.1]]
    with pytest.raises(tr.ModelError, match="unknown variable 'lun'; did you mean 'lung'"):
        tr.BayesianNetwork({"lung": ["no", "yes"]}, {}, {"lun": [0.5, 0.5]})


def test_states_without_an_order_and_what_holds_none() -> None:
    for make in (lambda own: tr.BayesianNetwork(own, {}, {"a": [0.5, 0.5]}), lambda own: tr.MarkovNetwork(own, [])):
        with pytest.raises(tr.ModelError, match="'a': a set of states has no order"):
            make({"a": {"x", "y"}})
        with pytest.raises(tr.ModelError, match="got a list"):
            make([("a", ["x", "y"])])
