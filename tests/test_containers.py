"""The same rows in every container that users have give every verb the same numbers and the same names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from agreement import gaps
from hypothesis import given
from hypothesis import strategies as st
from sweep import sweep

import tractable as tr
from tractable.models.evidence import Evidence
from tractable.models.observations import Observations
from tractable.models.rows import columns_of

STATES = (
    ("no", "yes"),
    ("yes", "no", "maybe"),
    ("1", "0"),
    ("1", "2", "3"),
    ("5", "3", "1"),
    ("False", "True"),
    ("true", "false"),
    ("-1", "1"),
    ("0.5", "1.5", "10"),
    ("NA", "there"),
    ("(0,1]", "(1,2]", "> 2"),
    ("x y", 'say "z"'),
    ("01", "1"),
    ("only",),
)


class Table(NamedTuple):
    """A network, rows of state indices with −1 for gaps, and the same rows as somebody typed them."""

    net: tr.BayesianNetwork
    codes: np.ndarray
    cells: dict[str, list[Any]]

    @property
    def names(self) -> dict[str, list[str | None]]:
        """The rows as names of states."""
        places = enumerate(self.net.states.items())
        return {v: [own[s] if s >= 0 else None for s in self.codes[:, i]] for i, (v, own) in places}


def typed(states: tuple[str, ...], how: str) -> list[Any]:
    """The states as values of some type, where each then means one of them alone."""
    numbers = {"int": int, "float": float, "bool": lambda name: {"true": True, "false": False}[name.lower()]}
    try:
        if how == "index":
            [float(name) for name in states]
            return list(states)
    except ValueError:
        plain = {name.lower() for name in states} & {"true", "false"}
        mixed = any(name.lstrip("-").replace(".", "").isdigit() for name in states)
        return list(states) if plain or mixed else list(range(len(states)))
    try:
        values = [numbers[how](name) for name in states]
    except (KeyError, ValueError):
        return list(states)
    return values if len({*values}) == len(values) else list(states)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    names = ["a", "b c", "d", "1"][: draw(st.integers(1, 4))]
    states = {v: draw(st.sampled_from(STATES)) for v in names}
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parents = {v: [p for p in names[:i] if rng.random() < 0.6] for i, v in enumerate(names)}
    shapes = {v: [len(states[p]) for p in (*parents[v], v)] for v in names}
    raw = {v: rng.gamma(1.0, size=shape) + 0.05 for v, shape in shapes.items()}
    net = tr.BayesianNetwork(states, parents, {v: t / t.sum(-1, keepdims=True) for v, t in raw.items()})
    sizes = [len(s) for s in states.values()]
    n_rows = draw(st.integers(1, 6))
    seen = rng.random((n_rows, len(names))) < draw(st.sampled_from([1.0, 0.7]))
    codes = np.where(seen, rng.integers(sizes, size=(n_rows, len(names))), -1).astype(np.int32)
    cells = {}
    for i, v in enumerate(names):
        values = typed(states[v], draw(st.sampled_from(["text", "int", "float", "bool", "index"])))
        cells[v] = [values[s] if s >= 0 else None for s in codes[:, i].tolist()]
    return Table(net, codes, cells)


def cases(table: Table) -> list[dict[str, Any]]:
    """A dict for each row, in which gaps are not there."""
    rows = zip(*table.cells.values(), strict=True)
    return [{v: x for v, x in zip(table.cells, row, strict=True) if x is not None} for row in rows]


def objects(table: Table) -> np.ndarray:
    out = np.empty(table.codes.shape, object)
    for i, column in enumerate(table.cells.values()):
        out[:, i] = column
    return out


def shuffled(columns: dict[str, Any]) -> dict[str, Any]:
    return {v: columns[v] for v in reversed(columns)}


def nullable(table: Table) -> pd.DataFrame:
    return pd.DataFrame({v: pd.Series(x, dtype=object) for v, x in table.cells.items()}).convert_dtypes()


def categories(table: Table) -> pd.DataFrame:
    own = {v: pd.Categorical(x, categories=table.net.states[v], ordered=True) for v, x in table.names.items()}
    return pd.DataFrame(own)


def enums(table: Table) -> pl.DataFrame:
    return pl.DataFrame({v: pl.Series(v, x, pl.Enum(table.net.states[v])) for v, x in table.names.items()})


def through_csv(table: Table, folder: str) -> Any:
    path = f"{folder}/rows.csv"
    frame = pd.DataFrame({v: pd.Series(x, dtype=object) for v, x in table.cells.items()})
    frame.to_csv(path, index=False, na_rep="?")
    return tr.read_evidence(path, table.net)


def through_parquet(table: Table, folder: str) -> Any:
    path = f"{folder}/rows.parquet"
    pl.DataFrame({v: list(x) for v, x in table.cells.items()}, strict=False).write_parquet(path)
    return pl.read_parquet(path)


CONTAINERS: dict[str, Callable[[Table, str], Any]] = {
    "columns": lambda t, _: dict(t.cells),
    "columns in another order": lambda t, _: shuffled(t.cells),
    "columns of objects": lambda t, _: dict(zip(t.cells, objects(t).T, strict=True)),
    "columns as they are guessed": lambda t, _: {v: pd.Series(x).to_numpy() for v, x in t.cells.items()},
    "cases": lambda t, _: cases(t),
    "array": lambda t, _: objects(t),
    "rows": lambda t, _: objects(t).tolist(),
    "pandas": lambda t, _: pd.DataFrame(t.cells),
    "pandas, nullable": lambda t, _: nullable(t),
    "pandas, categories": lambda t, _: categories(t),
    "polars": lambda t, _: pl.DataFrame({v: list(x) for v, x in t.cells.items()}, strict=False),
    "polars, enums": lambda t, _: enums(t),
    "arrow": lambda t, _: pa.table({v: pa.array(x) for v, x in t.cells.items()}),
    "names": lambda t, _: t.names,
    "CSV": through_csv,
    "Parquet": through_parquet,
}


def same(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def check_answers(table: Table, data: Any) -> None:
    """Every verb that takes rows, against the same question about state indices."""
    net, codes = table.net, Evidence(table.codes)
    expected, found = tr.infer(net, codes), tr.infer(net, data)
    same(found.log_partition.value, expected.log_partition.value)
    for v in net.states:
        same(found.marginals.array(v), expected.marginals.array(v))
    same(tr.log_evidence(net, data).value, expected.log_partition.value)
    same(tr.log_likelihood(net, data).per_row.value, expected.log_partition.value)
    fits = [tr.fit(net, rows, tr.EM(prior=1.0), epochs=1, progress=False) for rows in (data, Observations(table.codes))]
    same(fits[0].model.vector(), fits[1].model.vector())
    whole, best = tr.impute(net, Observations(table.codes), codes=True), tr.most_probable(net, data)
    if (table.codes >= 0).all():
        same(best.log_probability.value, expected.log_partition.value)
    for answers, states in ((tr.impute(net, data), whole), (best.assignment, None)):
        names = by_column(answers, list(net.states))
        for i, (v, own) in enumerate(net.states.items()):
            places = [own.index(name) for name in names[v]]
            assert all(s in (-1, p) for s, p in zip(table.codes[:, i].tolist(), places, strict=True))
            assert states is None or places == states[v].tolist()


def by_column(answers: Any, variables: list[str]) -> dict[str, list[Any]]:
    if isinstance(answers, np.ndarray):
        return dict(zip(variables, answers.T.tolist(), strict=True))
    return {v: np.asarray(column).tolist() for v, column in columns_of(answers).items()}


@pytest.mark.parametrize("container", CONTAINERS)
@sweep(35)
@given(tables())
def test_every_container_gives_every_verb_the_same_rows(container: str, table: Table) -> None:
    with TemporaryDirectory() as folder:
        data = CONTAINERS[container](table, folder)
    check_answers(table, data)
    if container.startswith(("pandas", "polars")):
        assert type(tr.impute(table.net, data)) is type(data)
        assert type(tr.most_probable(table.net, data).assignment) is type(data)


@sweep(50)
@given(tables())
def test_a_row_alone_is_that_row_of_many(table: Table) -> None:
    many = tr.infer(table.net, cases(table)).log_partition.value
    for row, case in enumerate(cases(table)):
        alone = tr.infer(table.net, case)
        same(alone.log_partition.value, many[row])
        best = tr.most_probable(table.net, case).assignment
        assert all(best[v] == x[row] for v, x in table.names.items() if x[row] is not None)


@pytest.mark.parametrize("extension", [".bif", ".xml", ".uai", ".safetensors"])
@sweep(40)
@given(tables())
def test_a_network_that_was_saved_reads_the_same_rows(extension: str, table: Table) -> None:
    with TemporaryDirectory() as folder:
        path = f"{folder}/net{extension}"
        tr.save(table.net, path)
        loaded: Any = tr.load(path)
    names = list(table.cells) if extension != ".uai" else list(loaded.states)
    data: Any = dict(zip(names, table.cells.values(), strict=True))
    if extension == ".uai":  # which has numbers for variables and for states
        data = gaps(table.codes)
    same(tr.log_evidence(loaded, data).value, tr.log_evidence(table.net, Evidence(table.codes)).value)


@sweep(50)
@given(tables(), st.integers(0, 1000))
def test_samples_read_back_as_what_was_drawn(table: Table, key: int) -> None:
    drawn, codes = tr.sample(table.net, 20, key=key), tr.sample(table.net, 20, key=key, codes=True)
    expected = np.column_stack([*codes.values()])
    with TemporaryDirectory() as folder:
        path = Path(folder, "drawn.csv")
        drawn.to_frame("pandas").to_csv(path, index=False)
        read = tr.read_evidence(path, table.net)
    for rows in (drawn, pd.DataFrame(drawn), pl.DataFrame(drawn), drawn.to_frame("pyarrow"), read):
        assert np.array_equal(table.net.check(rows).states, expected)


@sweep(50)
@given(tables())
def test_a_network_made_from_rows_knows_their_values(table: Table) -> None:
    """States come from the rows: whatever they are called there, counting them is counting the states."""
    if (table.codes < 0).any() or any("NA" in column for column in table.cells.values()):
        return  # what is not declared is missing
    net = tr.bayesian_network(pd.DataFrame(table.cells), {})
    run = tr.fit(net, table.cells, tr.EM(prior=0), progress=False)
    for v, column in table.cells.items():
        for value in column:
            share = sum(x == value and type(x) is type(value) for x in column) / len(column)
            same(np.exp(tr.log_evidence(run.model, {v: value}).value), share)
