"""Rows for models of units, in every container: the same numbers, and a table where a table came in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import tractable as tr

ROWS = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]])
NAMES = ["a", "b", "c"]
FRAME = pd.DataFrame(ROWS, columns=NAMES)
WHOLE: dict[str, Any] = {
    "pandas": FRAME,
    "booleans": FRAME > 0,
    "nullable": FRAME.astype("Int64"),
    "nullable booleans": (FRAME > 0).astype("boolean"),
    "objects": FRAME.astype(object),
    "text": FRAME.astype(int).astype(str),
    "polars": pl.DataFrame(ROWS, schema=NAMES),
    "arrow": pa.table({name: ROWS[:, j] for j, name in enumerate(NAMES)}),
    "cases": FRAME.to_dict("records"),
    "lists": ROWS.tolist(),
    "a list of text": ROWS.astype(int).astype(str).tolist(),
    "an array of booleans": ROWS > 0,
    "an array with names": np.array([tuple(row) for row in ROWS], [(name, "f8") for name in NAMES]),
}
MODELS = {
    "restricted": tr.restricted(3, 2, key=0),
    "boltzmann": tr.boltzmann(3, hidden=1, key=1),
    "sigmoid belief": tr.SigmoidBeliefNetwork([3, 2]),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("form", WHOLE)
def test_rows_in_every_container(model: str, form: str) -> None:
    machine, data = MODELS[model], WHOLE[form]
    expected, found = tr.infer(machine, ROWS), tr.infer(machine, data)
    np.testing.assert_allclose(found.log_partition.value, expected.log_partition.value)
    np.testing.assert_allclose(
        tr.log_likelihood(machine, data).per_row.value, tr.log_likelihood(machine, ROWS).per_row.value
    )
    np.testing.assert_allclose(tr.transform(machine, data), tr.transform(machine, ROWS), atol=1e-7)


GAPS = np.array([[0, 1, np.nan], [np.nan, 0, 1]])
WITH_GAPS: dict[str, Any] = {
    "pandas": pd.DataFrame(GAPS, columns=NAMES, index=["x", "y"]),
    "nullable": pd.DataFrame({"a": [0, pd.NA], "b": [1, 0], "c": [pd.NA, 1]}, dtype="Int64"),
    "pandas' own gaps": pd.DataFrame({"a": [0, pd.NA], "b": [1, 0], "c": [None, 1]}),
    "polars": pl.DataFrame({"a": [0, None], "b": [1, 0], "c": [None, 1]}),
    "lists": [[0, 1, None], [None, 0, 1]],
    "masked": np.ma.masked_invalid(GAPS),
    "text": [["0", "1", "NA"], ["?", "0", "1"]],
}


@pytest.mark.parametrize("form", WITH_GAPS)
def test_gaps_in_every_container(form: str) -> None:
    machine, data = MODELS["restricted"], WITH_GAPS[form]
    expected, found = tr.impute(machine, GAPS), tr.impute(machine, data)
    np.testing.assert_allclose(np.asarray(found, float), expected, atol=1e-7)
    if isinstance(data, pd.DataFrame | pl.DataFrame):
        assert type(found) is type(data) and list(found.columns) == NAMES
        assert not isinstance(data, pd.DataFrame) or found.index.equals(data.index)


def test_learning_from_a_table_is_learning_from_its_numbers() -> None:
    options: dict[str, Any] = {"epochs": 1, "progress": False, "live": 0.0, "key": 0}
    one = tr.fit(MODELS["restricted"], FRAME.astype("Int64"), **options, validation=FRAME > 0)
    two = tr.fit(MODELS["restricted"], ROWS, **options, validation=ROWS)
    np.testing.assert_array_equal(tr.transform(one.model, ROWS), tr.transform(two.model, ROWS))


@pytest.mark.parametrize("verb", [tr.infer, tr.log_likelihood, tr.impute, tr.fit], ids=lambda verb: verb.__name__)
def test_what_is_no_number_is_named(verb: Any) -> None:
    with pytest.raises(tr.ModelError, match="row 1, column 'b': 'rain' is no number"):
        verb(MODELS["restricted"], pd.DataFrame({"a": [1, 0], "b": ["1", "rain"], "c": [1, 1]}))
    with pytest.raises(tr.ModelError, match="two columns have the name 'a'"):
        verb(MODELS["restricted"], pd.DataFrame([[1, 0, 1]], columns=["a", "a", "b"]))
