"""Evidence as users write it -> state indices: one case (a dict) or many (dict of arrays, DataFrame, 2-D array)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from tractable.kernels import Tables
from tractable.models._base import ModelError, unknown_state, unknown_variable

_MISSING = (None, "")


@dataclass(frozen=True)
class Evidence:
    """What is observed: state indices with −1 for unobserved, shape [n] or [n_rows, n], and likelihood vectors."""

    states: np.ndarray
    likelihoods: Mapping[int, np.ndarray] = field(default_factory=dict)

    @property
    def many(self) -> bool:
        """Whether there is one row per case."""
        return self.states.ndim == 2


def parse_evidence(states: Mapping[str, Sequence[str]], evidence: Any) -> Evidence:
    """Evidence over variables with these state names.

    One case is a mapping of variable to state name, state index or likelihood vector p(observation | state) (a sequence
    of floats, one per state). Many cases are a mapping of variable to equally long sequences of names or indices, a
    DataFrame with a column per observed variable, or an array [n_rows, n_variables] of indices; None, NaN, −1 and the
    empty string mean unobserved.

    Raises
    ------
    ModelError : unknown variable or state, ragged columns, an index out of range, a negative or all-zero likelihood.
    """
    if evidence is None:
        return _nothing(len(states))
    if isinstance(evidence, np.ndarray) and evidence.ndim == 2:
        return _from_array(states, evidence)
    if not isinstance(evidence, Mapping):
        evidence = _columns(evidence)
        return _from_columns(states, evidence)
    kinds = {name: _is_column(value) for name, value in evidence.items()}
    if any(kinds.values()):
        if not all(kinds.values()):
            single = next(name for name, many in kinds.items() if not many)
            raise ModelError(f"variable {single!r} has a single value beside columns of many; repeat it for every row")
        return _from_columns(states, evidence)
    return _one_case(states, evidence)


def parse_rows(states: Mapping[str, Sequence[str]], data: Any) -> np.ndarray:
    """Rows of data as state indices [n_rows, n_variables], −1 where a value is missing or a variable has no column.

    Data are a DataFrame, a mapping of variable to a column, a list of cases, or an array [n_rows, n_variables]. Numbers
    in an array are indices (NaN or −1: missing); elsewhere they are names, where all of a column's are names of states.

    Raises
    ------
    ModelError : unknown variable or state (the message names row and column), ragged columns, other shapes.
    """
    if _is_cases(data) and not any(data):
        return np.full((len(data), len(states)), -1, np.int32)
    if isinstance(data, Mapping) or _is_cases(data) or not isinstance(data, list | tuple | np.ndarray):
        columns = columns_of(data)
        return _from_columns(states, {v: _named(c, states.get(v, ())) for v, c in columns.items()}).states
    array = np.asarray(data)
    if array.ndim != 2:
        raise ModelError(f"rows of data have the shape [n_rows, n_variables], got {array.shape}")
    if array.dtype.kind in "OUS" and array.shape[1] == len(states):
        return _from_columns(states, dict(zip(states, array.T.tolist(), strict=True))).states
    return _from_array(states, array).states


def columns_of(data: Any) -> dict[str, Any]:
    """The columns of a DataFrame, of a mapping of variable to column, or of a list of cases."""
    if isinstance(data, Mapping):
        return dict(data)
    if _is_cases(data):
        return {name: [case.get(name) for case in data] for name in dict.fromkeys(v for case in data for v in case)}
    return _columns(data)


def is_indices(column: Any) -> bool:
    """Whether a column is an array of numbers, which are indices of states."""
    return isinstance(column, np.ndarray) and column.dtype.kind in "iuf"


def _is_cases(data: Any) -> bool:
    return isinstance(data, list) and all(isinstance(case, Mapping) for case in data)


def text_of(value: Any) -> str:
    """A value as the name of a state: 1 and 1.0 are the same."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def _named(cells: Any, names: Sequence[str]) -> Any:
    """Numbers as names of states, where each of them is one; those of an array are indices."""
    if is_indices(cells):
        return cells
    texts = {x: text_of(x) for x in set(cells) if isinstance(x, int | float) and x == x}
    return [texts.get(x, x) for x in cells] if texts and set(texts.values()) <= {*names} else cells


@lru_cache(8)
def _nothing(n: int) -> Evidence:
    states = np.full(n, -1, np.int32)
    states.setflags(write=False)
    return Evidence(states)


def with_likelihoods(tables: Tables, likelihoods: Mapping[int, np.ndarray]) -> Tables:
    """The tables with a factor over one variable added for each likelihood vector."""
    if not likelihoods:
        return tables
    vectors = list(likelihoods.values())
    lengths = np.cumsum([len(x) for x in vectors])
    return Tables(
        tables.sizes,
        np.concatenate([tables.scope_starts, tables.scope_starts[-1] + np.arange(1, len(vectors) + 1)]),
        np.concatenate([tables.scopes, np.fromiter(likelihoods, np.int32)]),
        np.concatenate([tables.value_starts, tables.value_starts[-1] + lengths]),
        np.concatenate([tables.values, *vectors]),
    )


def _one_case(states: Mapping[str, Sequence[str]], evidence: Mapping[str, Any]) -> Evidence:
    index = {name: i for i, name in enumerate(states)}
    found = np.full(len(states), -1, np.int32)
    likelihoods = {}
    for name, value in evidence.items():
        if name not in index:
            raise unknown_variable(name, index)
        if isinstance(value, (list, tuple, np.ndarray)):
            likelihoods[index[name]] = _likelihood(name, value, len(states[name]))
        else:
            found[index[name]] = state_index(name, value, states[name])
    return Evidence(found, likelihoods)


def state_index(variable: str, value: object, names: Sequence[str]) -> int:
    """The index of a state given by name or index; −1 where it is missing."""
    if value is None or (isinstance(value, float) and value != value):
        return -1
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        if not -1 <= value < len(names):
            raise ModelError(f"variable {variable!r} has {len(names)} states; there is no state number {value}")
        return int(value)
    text = str(value)
    if text not in names:
        raise unknown_state(variable, text, names)
    return names.index(text)


def _likelihood(name: str, value: Any, n_states: int) -> np.ndarray:
    vector = np.asarray(value, np.float64)
    if vector.shape != (n_states,):
        raise ModelError(
            f"variable {name!r}: a likelihood needs {n_states} numbers, one per state, got shape {vector.shape}; "
            "for many cases give state names or integer indices"
        )
    if not (np.all(vector >= 0) and np.all(np.isfinite(vector)) and vector.any()):
        raise ModelError(f"variable {name!r}: a likelihood needs finite numbers ≥ 0, not all zero; got {vector}")
    return vector


def _is_column(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "iuOUSb"
    return isinstance(value, (list, tuple)) and not any(isinstance(x, float) and x == x for x in value)


def _columns(frame: Any) -> dict[str, Any]:
    import narwhals as nw  # only tables of other libraries need it

    try:
        data = nw.from_native(frame, eager_only=True)
    except TypeError:
        raise ModelError(
            f"evidence of type {type(frame).__name__} is not understood; "
            "give a dict, a DataFrame or an array of shape [n_rows, n_variables]"
        ) from None
    return {name: _cells(data[name]) for name in data.columns}


def _cells(column: Any) -> list[Any]:
    if not column.null_count():
        return column.to_list()
    return [None if gone else x for x, gone in zip(column.to_list(), column.is_null().to_list(), strict=True)]


def _from_columns(states: Mapping[str, Sequence[str]], columns: Mapping[str, Any]) -> Evidence:
    index = {name: i for i, name in enumerate(states)}
    lengths = {name: len(column) for name, column in columns.items()}
    n_rows = next(iter(lengths.values()), 0)
    out = np.full((n_rows, len(states)), -1, np.int32)
    for name, column in columns.items():
        if name not in index:
            raise unknown_variable(name, index)
        if lengths[name] != n_rows:
            raise ModelError(f"the column {name!r} has {lengths[name]} rows, the first one has {n_rows}")
        out[:, index[name]] = _column_indices(name, column, states[name])
    return Evidence(out)


def _column_indices(name: str, column: Any, names: Sequence[str]) -> np.ndarray:
    if isinstance(column, np.ndarray) and column.dtype.kind in "iu":
        _check_range(name, column, len(names))
        return column
    known: dict[Any, int] = {s: i for i, s in enumerate(names)} | dict.fromkeys(_MISSING, -1)
    try:
        return np.array([known[x] for x in column], np.int32)
    except (KeyError, TypeError):  # integers, NaN, or a mistake: slowly, with the row in the message
        return np.array([_cell(name, i, x, names) for i, x in enumerate(column)], np.int32)


def _cell(name: str, row: int, value: Any, names: Sequence[str]) -> int:
    if isinstance(value, str) and not value:
        return -1
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return state_index(name, value, names)
    except ModelError as error:
        raise ModelError(f"row {row}: {error}") from None


def _check_range(name: str, column: np.ndarray, size: int) -> None:
    wrong = (column < -1) | (column >= size)
    if wrong.any():
        row = int(wrong.argmax())
        raise ModelError(f"row {row}: variable {name!r} has {size} states; there is no state number {column[row]}")


def _from_array(states: Mapping[str, Sequence[str]], array: np.ndarray) -> Evidence:
    if array.shape[1] != len(states):
        raise ModelError(f"evidence has {array.shape[1]} columns, the model has {len(states)} variables")
    filled = np.where(np.isnan(array), -1, array) if array.dtype.kind == "f" else array
    if filled.dtype.kind not in "iuf" or (filled.dtype.kind == "f" and (filled != np.floor(filled)).any()):
        raise ModelError("an evidence array holds state indices, with NaN or −1 for what is unobserved")
    for i, (name, names) in enumerate(states.items()):
        _check_range(name, filled[:, i], len(names))
    return Evidence(filled.astype(np.int32))
