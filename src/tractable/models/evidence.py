"""Evidence as users write it -> state indices: one case (a dict) or many (columns, a list of dicts, an array)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np

from tractable.kernels import Tables
from tractable.models._base import ModelError, nearest, read_only, set_fields, unknown_variable
from tractable.models.frames import is_frame
from tractable.models.rows import as_case, columns_of, is_case_list, is_column
from tractable.models.unnamed import check_unnamed
from tractable.models.values import state_index, state_reader, text_of

StateNames = Mapping[str, Sequence[str]]
"""The names of the states of each variable."""

LIKELIHOOD = "a likelihood is a number for each state, or state → weight, and not"


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Soft evidence about a variable: p(what was observed | state), up to a factor; see `likelihood`.

    Examples
    --------
    >>> tr.likelihood({"no": 1, "yes": 4})
    likelihood({'no': 1, 'yes': 4})
    """

    weights: Any

    def __post_init__(self) -> None:
        given = _by_state(self.weights)
        set_fields(self, weights=given if isinstance(given, Mapping) else read_only(_numbers(LIKELIHOOD, given)))

    @property
    def many(self) -> bool:
        """Whether there is a row of weights for each of many cases."""
        if isinstance(self.weights, Mapping):
            return any(map(is_column, self.weights.values()))
        return self.weights.ndim == 2

    def __len__(self) -> int:
        by_name = isinstance(self.weights, Mapping) and self.many
        return len(next(iter(self.weights.values())) if by_name else self.weights)

    def of(self, variable: str, names: Sequence[str]) -> np.ndarray:
        """The weights [n_states], or [n_rows, n_states], checked.

        Raises
        ------
        ModelError : not one weight for each state, a negative one, an infinite one, all zero.
        """
        given = self.weights
        vector = _weights_by_name(variable, given, names) if isinstance(given, Mapping) else given
        if vector.ndim not in (1, 2) or vector.shape[-1] != len(names):
            raise ModelError(
                f"variable {variable!r}: a likelihood needs {len(names)} numbers, one per state, got {vector.shape}"
            )
        rows = np.atleast_2d(vector)
        if not (good := ((rows >= 0) & np.isfinite(rows)).all(1) & rows.any(1)).all():
            row = int(good.argmin())
            raise ModelError(
                f"{f'row {row}: ' if vector.ndim == 2 else ''}variable {variable!r}: "
                f"a likelihood needs finite numbers ≥ 0, not all zero; got {rows[row]}"
            )
        return vector

    def of_one(self, variable: str, names: Sequence[str]) -> np.ndarray:
        """The weights [n_states] for one case, checked."""
        if self.many:
            raise ModelError(
                f"variable {variable!r}: a likelihood of many cases for one; give one weight for each state"
            )
        return self.of(variable, names)

    def __repr__(self) -> str:
        told = dict(self.weights) if isinstance(self.weights, Mapping) else self.weights.tolist()
        return f"likelihood({told})"


def likelihood(weights: Any) -> Likelihood:
    """Soft evidence about a variable: how likely what was observed is under each of its states, up to a factor.

    Parameters
    ----------
    weights : λ [n_states] in the order of the states, or state → weight with a weight for each, of which a Series of
        pandas with its index is one; for many cases [n_rows, n_states], or state → column of weights, of which a table
        is one. In evidence of one case a plain mapping of state → weight means the same.

    Raises
    ------
    ModelError : what is no numbers; and where it is used: not one weight for each state, a negative one, all of them
        zero.

    Examples
    --------
    >>> net = tr.BayesianNetwork({"rain": ["no", "yes"]}, {}, {"rain": [0.8, 0.2]})
    >>> post = tr.infer(net, {"rain": tr.likelihood([0.1, 0.4])})
    >>> round(post.marginals["rain"]["yes"], 6)
    0.5
    >>> tr.infer(net, {"rain": {"no": 1, "yes": 4}}).marginals["rain"]["yes"] == post.marginals["rain"]["yes"]
    True
    """
    return Likelihood(weights)


def _weights_by_name(variable: str, given: Mapping[Any, Any], names: Sequence[str]) -> np.ndarray:
    """State → weight, or column of weights, as weights in the order of the states."""
    found: dict[int, np.ndarray] = {}
    for state, weight in given.items():
        place = state_index(variable, state, tuple(names))
        if place < 0 or place in found:
            raise ModelError(
                f"variable {variable!r}: the likelihood names {'no' if place < 0 else 'twice the'} state {state!r}"
            )
        found[place] = _numbers(f"variable {variable!r}: the weight of state {state!r} is no number", weight)
    told = ""
    if len(found) < len(names):
        told = f"no weight for the state {names[min({*range(len(names))} - {*found})]!r}; give one for each"
    elif len({x.shape for x in found.values()}) > 1:
        told = "columns of other lengths"
    if told:
        raise ModelError(f"variable {variable!r}: the likelihood has {told}")
    return np.stack([found[place] for place in range(len(names))], axis=-1)


def _by_state(given: Any) -> Any:
    """Weights that have names as state → weight: a table, a Series of pandas with an index of its own."""
    if isinstance(given, Likelihood):
        return given.weights
    if is_frame(given):
        return columns_of(given)
    plain = type(getattr(given, "index", None)).__name__ == "RangeIndex"
    return given if plain or (case := as_case(given)) is None else case


def _numbers(what: str, given: Any) -> np.ndarray:
    """Weights as an array of their own."""
    try:
        return np.array(given, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ModelError(f"{what}: {given!r:.80}") from None


@dataclass(frozen=True)
class Evidence:
    """What is observed: state indices with −1 for unobserved, shape [n] or [n_rows, n], and likelihood vectors.

    `likelihoods` has the weights of a variable's states [n_states]; of many cases [n_rows, n_states].
    """

    states: np.ndarray
    likelihoods: Mapping[int, np.ndarray] = field(default_factory=dict)

    @property
    def many(self) -> bool:
        """Whether there is one row per case."""
        return self.states.ndim == 2


def findings(states: StateNames, given: Evidence) -> dict[str, Any]:
    """Evidence by names: variable → state, or soft evidence; of many cases → a column of states and None."""
    found: dict[str, Any] = {}
    for i, (v, names) in enumerate(states.items()):
        own = np.array([*names, None], object)[given.states[..., i]]
        if i in given.likelihoods:
            found[v] = Likelihood(given.likelihoods[i])
        elif given.many and (given.states[:, i] >= 0).any():
            found[v] = list(own)
        elif not given.many and own is not None:
            found[v] = own
    return found


def parse_evidence(states: StateNames, evidence: Any) -> Evidence:
    """Evidence over variables with these state names.

    One case is a mapping of variable to a value, or to soft evidence. Many cases are a mapping of variable to equally
    long columns of values, a list of cases, a DataFrame with a column per observed variable, or an array [n_rows,
    n_variables]. What a value means: `models.values`.

    Raises
    ------
    ModelError : unknown variable, a value that no state has, ragged columns, a negative or all-zero likelihood.
    """
    if evidence is None:
        return _nothing(len(states))
    if isinstance(evidence, Evidence):
        return evidence
    if isinstance(evidence, Mapping) and not _is_one_case(evidence):
        return _many_by_name(states, evidence)
    case = as_case(evidence)
    return _many(states, evidence) if case is None else _one_case(states, case)


def parse_rows(states: StateNames, data: Any) -> np.ndarray:
    """Rows of data as state indices [n_rows, n_variables], −1 where a value is missing or a variable has no column.

    Data are a DataFrame, a mapping of variable to a column, a list of cases, or an array [n_rows, n_variables].

    Raises
    ------
    ModelError : unknown variable or state (the message names row and column), ragged columns, other shapes.
    """
    found = _many_by_name(states, data) if isinstance(data, Mapping) else _many(states, data)
    if found.likelihoods:
        variable = list(states)[min(found.likelihoods)]
        raise ModelError(f"variable {variable!r}: rows of data hold states; soft evidence is for infer and its like")
    return found.states


def _many(states: StateNames, data: Any) -> Evidence:
    """Many cases that are no mapping."""
    if is_case_list(data):
        for row, case in enumerate(data):
            if unknown := [name for name in case if text_of(name) not in states]:
                raise ModelError(f"row {row}: {unknown_variable(text_of(unknown[0]), states)}")
        return _from_columns(states, columns_of(data), len(data))
    if _is_array(data):
        return _from_array(states, data)
    return _from_columns(states, columns_of(data), len(data))


def _is_array(data: Any) -> bool:
    if isinstance(data, np.ndarray):
        return data.dtype.names is None
    return isinstance(data, list | tuple) or (hasattr(data, "__array__") and not hasattr(data, "columns"))


def _is_one_case(evidence: Mapping[Any, Any]) -> bool:
    """Whether a mapping holds values, not columns of them.

    Raises
    ------
    ModelError : some of both.
    """
    if not any(map(_is_column, evidence.values())):
        return True
    if single := [name for name, value in evidence.items() if not _is_column(value)]:
        raise ModelError(
            f"variable {single[0]!r} has a single value beside columns of many: repeat it for every row "
            "(soft evidence of one case is tr.likelihood([...]))"
        )
    return False


def _is_column(value: Any) -> bool:
    return value.many if isinstance(value, Likelihood) else is_column(value)


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


def _one_case(states: StateNames, evidence: Mapping[Any, Any]) -> Evidence:
    index = dict(zip(states, count(), strict=False))
    found = np.full(len(states), -1, np.int32)
    likelihoods = {}
    for given, value in evidence.items():
        name = text_of(given)
        if name not in index:
            raise unknown_variable(name, index)
        if isinstance(value, Mapping | Likelihood):
            likelihoods[index[name]] = Likelihood(value).of_one(name, states[name])
        else:
            found[index[name]] = state_index(name, value, tuple(states[name]))
    return Evidence(found, likelihoods)


def _many_by_name(states: StateNames, evidence: Mapping[Any, Any]) -> Evidence:
    """Columns of values, and of rows of weights."""
    soft = {text_of(name): x for name, x in evidence.items() if isinstance(x, Likelihood)}
    hard = columns_of({name: x for name, x in evidence.items() if not isinstance(x, Likelihood)})
    return _from_columns(states, {**hard, **soft}, None)


def _from_columns(states: StateNames, columns: Mapping[str, Any], n_rows: int | None) -> Evidence:
    index = {name: i for i, name in enumerate(states)}
    n_rows = len(next(iter(columns.values()), ())) if n_rows is None else n_rows
    out = np.full((n_rows, len(states)), -1, np.int32)
    likelihoods = {}
    for name, column in columns.items():
        if name not in index:
            raise _unknown_columns([own for own in columns if own not in index], index)
        if len(column) != n_rows:
            raise ModelError(f"the column {name!r} has {len(column)} rows, the first one has {n_rows}")
        out[:, index[name]], soft = _column(name, column, states[name])
        likelihoods |= {} if soft is None else {index[name]: soft}
    return Evidence(out, likelihoods)


def _unknown_columns(found: Sequence[str], known: Mapping[str, Any]) -> ModelError:
    """All of them at once, with what leaves them out."""
    if len(found) == 1:
        (name,) = found
        what = f"the column {name!r} is no variable of the network{nearest(name, known)}; leave it out"
        ignored, option = repr(name), name
    else:
        what = f"the columns {', '.join(map(repr, found))} are no variables of the network; leave them out"
        ignored, option = repr([*found]), ",".join(found)
    return ModelError(
        f"{what}: tr.select(data, ignore={ignored}), or columns= for those to keep; as an option --ignore {option}"
    )


def _column(name: str, column: Any, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """The states of a column, and the likelihoods in it, rows of ones beside them; None where there are none."""
    if isinstance(column, Likelihood):
        soft = column.of(name, names)
        return np.full(len(soft), -1, np.int32), soft
    column = column.tolist() if isinstance(column, np.ndarray) and column.dtype == object else column
    if isinstance(column, np.ndarray):
        return _states(name, column, names), None
    plain = state_reader(name, tuple(names)).plain(column)
    return _mixed(name, column, names) if plain is None else (plain, None)


def _mixed(name: str, column: Any, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """A list of cells, some of which may be likelihoods."""
    if not any(issubclass(kind, Likelihood | Mapping) for kind in {*map(type, column)}):
        return _states(name, column, names), None
    soft = np.ones((len(column), len(names)))
    for row, cell in enumerate(column):
        if isinstance(cell, Likelihood | Mapping):
            soft[row] = _soft_cell(row, cell, name, names)
    return _states(name, [None if isinstance(x, Likelihood | Mapping) else x for x in column], names), soft


def _soft_cell(row: int, cell: Any, name: str, names: Sequence[str]) -> np.ndarray:
    try:
        return Likelihood(cell).of_one(name, names)
    except ModelError as error:
        raise ModelError(f"row {row}: {error}") from None


def _states(name: str, column: Any, names: Sequence[str]) -> np.ndarray:
    try:
        return state_reader(name, tuple(names)).codes(column)
    except ModelError as error:
        if len(column) == len(names) and {*map(type, column)} <= {float, int, np.float64, np.int64}:
            raise ModelError(
                f"{error}; if this is a likelihood of one case: tr.likelihood({[float(x) for x in column]})"
            ) from None
        raise


def _from_array(states: StateNames, data: Any) -> Evidence:
    check_unnamed(data)
    try:
        array = np.asarray(data) if not isinstance(data, list | tuple) else _objects(data)
    except ValueError as error:
        raise ModelError(f"the rows differ in length, or are none: {error}") from None
    if array.ndim != 2:
        raise ModelError(
            f"an array of evidence has the shape [n_rows, n_variables], got {array.shape}; one case is variable → value"
        )
    if array.shape[1] != len(states):
        raise ModelError(
            f"the array has {array.shape[1]} columns, the model has {len(states)} variables; "
            "name the columns (variable → column, a DataFrame), or choose them with columns="
        )
    return _from_columns(states, {name: array[:, i] for i, name in enumerate(states)}, len(array))


def _objects(rows: Sequence[Any]) -> np.ndarray:
    """Rows of cells as they are: what they mean does not depend on each other."""
    if {*map(type, rows)} <= {list, tuple, np.ndarray} and len({*map(len, rows)}) == 1:
        out = np.empty((len(rows), len(rows[0])), object)
        for i, row in enumerate(rows):
            out[i] = [*row]
        return out
    if rows and not any(isinstance(row, list | tuple | np.ndarray) for row in rows):
        return np.empty(len(rows))
    raise ValueError("each row is a list of as many values")
