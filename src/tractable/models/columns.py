"""Columns by name: what each column of a model of rows is called, and what its categories are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tractable.models._base import ModelError, nearest, set_fields
from tractable.models.frames import as_array
from tractable.models.rows import as_case, as_names, columns_of, is_column, is_named, n_rows_of, unknown_column
from tractable.models.unnamed import array_of, matrix
from tractable.models.values import is_missing, is_missing_word, number_of, shown, state_reader, text_of

MAX = 1e308
TEXT = "; a column of text holds categories: emissions={'categorical': […]}"
"""What to do about text where numbers were expected."""

_TIMES = (np.timedelta64, np.datetime64)
_NUMBERS = frozenset({float, int, bool, type(None)})


@dataclass(frozen=True)
class Columns:
    """The names of the columns of a model, or of units of a machine, by which it reads data and gives them back.

    Parameters
    ----------
    names : of the columns, in the order in which the model has them.
    categories : column → the names of its states, for those that hold categories; all others hold numbers.
    ignored : columns that were set aside when the model was made, and are set aside again.

    Raises
    ------
    ModelError : two columns of one name, categories of a column that is none, or two of one name.

    Examples
    --------
    >>> days = tr.mixture({"id": [7, 8, 9], "sky": ["sun", "rain", "sun"], "temp": [21.0, 12.5, 19.0]}, 2, ignore="id")
    >>> days.columns
    Columns(names=('sky', 'temp'), categories={'sky': ('rain', 'sun')}, ignored=('id',))
    """

    names: Sequence[str]
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ignored: Sequence[str] = ()

    def __post_init__(self) -> None:
        names, ignored = tuple(as_names(self.names) or ()), tuple(as_names(self.ignored) or ())
        given = {text_of(name): tuple(map(text_of, states)) for name, states in self.categories.items()}
        check_once([*names, *ignored], "two columns have the name {!r}; rename one of them")
        if strange := next(iter(given.keys() - {*names}), None):
            raise unknown_column(strange, names)
        for name, states in given.items():
            check_once(states, f"the column {name!r} has the state {{!r}} twice; names of states must differ")
        set_fields(
            self, names=names, categories={name: given[name] for name in names if name in given}, ignored=ignored
        )

    def __hash__(self) -> int:
        return hash((self.names, tuple(self.categories.items()), self.ignored))

    @classmethod
    def of(cls, given: Any, n_states: Sequence[int | None]) -> Columns | None:
        """Columns, or names alone, of a model whose columns have these numbers of states (None: numbers).

        Raises
        ------
        ModelError : more or fewer names than columns, or than states of one.
        """
        if given is None or not n_states:
            return None
        columns = given if isinstance(given, Columns) else cls(given)
        if len(columns.names) != len(n_states):
            raise ModelError(f"{len(columns.names)} names of columns, the model has {len(n_states)} columns")
        counted = {name: n for name, n in zip(columns.names, n_states, strict=True) if n is not None}
        named = {name: columns.categories.get(name, tuple(map(str, range(n)))) for name, n in counted.items()}
        for name in {**columns.categories, **named}:
            if len(named.get(name, ())) != counted.get(name):
                n = len(columns.categories[name])
                raise ModelError(f"the column {name!r} has {n} names of states, the model {counted.get(name, 'none')}")
        return cls(columns.names, named, columns.ignored)

    def some(self, chosen: Iterable[bool]) -> Columns | None:
        """Some of the columns; None where there are none."""
        names = [name for name, wanted in zip(self.names, chosen, strict=True) if wanted]
        own = {name: self.categories[name] for name in names if name in self.categories}
        return Columns(names, own, self.ignored) if names else None

    def with_states(self, categories: Mapping[str, Sequence[str]]) -> Columns:
        """The same columns, the states of some with these names."""
        return Columns(self.names, {**self.categories, **categories}, self.ignored) if categories else self

    @property
    def told(self) -> str:
        """The names in a few words."""
        return ", ".join(self.names[:6]) + (", …" if len(self.names) > 6 else "")

    # ------------------------------------------------------------ in

    def read(self, data: Any, name: str = "", partial: bool = False) -> np.ndarray:
        """Rows [n, n_columns] of numbers: of categories the index of the state, NaN for what is missing.

        Columns are found by their names where the data have names, else by their place.

        Parameters
        ----------
        data : a DataFrame, name → column, a list of cases, or an array.
        name : what errors begin with. partial : whether columns may be left out, and are missing then.

        Raises
        ------
        ModelError : a column that is not there, or that the model does not know; a value that no state has, or that is
            no number. The message names row and column.
        """
        try:
            return self._read(data, partial)
        except ModelError as error:
            raise ModelError(f"{name}{error}") from None

    def _read(self, data: Any, partial: bool) -> np.ndarray:
        if not is_named(data) and (case := self.case_of(data)) is not None:
            data = [case]
        found = self._named(data, partial) if is_named(data) else self._placed(data)
        if isinstance(found, np.ndarray):
            return found
        n_rows = n_rows_of(data) if is_named(data) else len(found[self.names[0]])
        out = np.full((n_rows, len(self.names)), np.nan)
        for j, name in enumerate(self.names):
            if name in found:
                out[:, j] = self.codes(name, found[name])
        return out

    def _named(self, data: Any, partial: bool) -> dict[str, Any]:
        found, known = columns_of(data), {*self.names, *self.ignored}
        if (strange := next((name for name in found if name not in known), None)) is not None:
            raise ModelError(self._unknown(strange))
        missing = [name for name in self.names if name not in found]
        if missing and not partial:
            raise ModelError(
                f"the data have no column {missing[0]!r}, they have {', '.join([*found][:6]) or 'none'}; the model has "
                f"{self.told}: give it as missing where nothing is known of it"
            )
        return found

    def _unknown(self, name: str) -> str:
        return (
            f"the model knows no column {name!r} (it has {self.told}); leave it out with tr.select(data, "
            f"ignore={name!r}) or --ignore {name}, or make the model with columns= or ignore="
            f"{nearest(name, self.names)}"
        )

    def _placed(self, data: Any) -> Any:
        array = matrix(data, axes=len(self.names) == 1)
        if array.shape[1] != len(self.names):
            raise ModelError(
                f"the data have {array.shape[1]} columns, the model has {len(self.names)} ({self.told}); "
                "name them, or choose some with columns="
            )
        if array.dtype.kind in "biuf" and not self.categories:
            return array
        return {name: cells_of(array[:, j]) for j, name in enumerate(self.names)}

    def codes(self, name: str, cells: Any) -> np.ndarray:
        """A column as numbers, NaN for what is missing."""
        if name not in self.categories:
            return numbers(name, cells)
        found = state_reader(name, tuple(self.categories[name])).codes(cells)
        return np.where(found < 0, np.nan, found)

    def evidence(self, given: Any, name: str = "evidence: ") -> np.ndarray:
        """Evidence about some of the columns as rows: one case by name, or many as of `read`."""
        case = self.case_of(given)
        return self.read(given, name, partial=True) if case is None else self._case(case, name)

    def case_of(self, given: Any) -> Mapping[Any, Any] | None:
        """One case by name: column → value, or a row of a table of pandas; None for anything else."""
        case = as_case(given)
        if case is None or any(map(is_column, case.values())):
            return None
        known = isinstance(given, Mapping) or not {*map(text_of, case)}.isdisjoint((*self.names, *self.ignored))
        return case if known or len(self.names) > 1 else None

    def _case(self, evidence: Mapping[Any, Any], start: str) -> np.ndarray:
        """One case, some columns by name, as a row [1, n_columns].

        Raises
        ------
        ModelError : as of `read`; soft evidence, which only networks take.
        """
        for name, value in evidence.items():
            if isinstance(value, Mapping) or hasattr(value, "weights"):
                raise ModelError(
                    f"the column {text_of(name)!r}: soft evidence is for networks; give a value, or leave it out"
                )
        return self.read({name: [value] for name, value in evidence.items()} or [{}], start, partial=True)

    # ------------------------------------------------------------ out

    def written(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Rows [n, n_columns] by name: categories as their names, numbers as numbers."""
        return {name: self.named(name, rows[:, j]) for j, name in enumerate(self.names)}

    def named(self, name: str, codes: np.ndarray) -> np.ndarray:
        """A column of numbers [n] as its values."""
        if name not in self.categories:
            return np.asarray(codes)
        return _by_code(self.categories[name], np.asarray(codes))

    def completed(self, data: Any, rows: np.ndarray) -> dict[str, Any]:
        """The columns of named data that have gaps, with the values of complete rows in these."""
        given, found = columns_of(data), {}
        for j, name in enumerate(self.names):
            gaps = np.isnan(self.codes(name, given[name]))
            if gaps.any():
                found[name] = self._filled(name, given[name], gaps, rows[:, j])
        return found

    def _filled(self, name: str, cells: Any, gaps: np.ndarray, codes: np.ndarray) -> np.ndarray:
        if name not in self.categories:
            return np.asarray(codes)
        there = [0.0] if isinstance(cells, np.ndarray) else [cells[i] for i in np.flatnonzero(~gaps)]
        values = _in_kind(self.categories[name], there)
        out = as_array([None if gap else cell for cell, gap in zip(cells, gaps, strict=True)])
        out[gaps] = _by_code(values, codes[gaps])
        return out

    def in_place(self, data: Any, rows: np.ndarray) -> np.ndarray:
        """Rows as the array that they came as: numbers where it holds numbers, else names."""
        array = matrix(data, axes=len(self.names) == 1)
        if not self.categories:
            return rows
        columns = [cells_of(array[:, j]) for j in range(array.shape[1])]
        out = np.empty(array.shape, np.float64 if array.dtype.kind in "biuf" else object)
        for j, (name, cells) in enumerate(zip(self.names, columns, strict=True)):
            gaps = np.isnan(self.codes(name, cells))
            out[:, j] = self._filled(name, cells, gaps, rows[:, j]) if gaps.any() else cells
        return out


def _by_code(values: Sequence[Any], codes: np.ndarray) -> np.ndarray:
    """Values by their indices, None for NaN."""
    return as_array([*values, None])[np.where(np.isnan(codes), len(values), codes).astype(np.int64)]


def _in_kind(states: Sequence[str], cells: Sequence[Any]) -> Sequence[Any]:
    """The states as cells of a column: numbers where it holds numbers, as text where it holds text."""
    kinds = {*map(type, cells)}
    if not kinds or any(issubclass(kind, str | bytes) for kind in kinds):
        return states
    as_numbers = [number_of(state) for state in states]
    if None in as_numbers:  # numbers were indices
        plain = all(issubclass(kind, int | float | np.number) for kind in kinds)
        return list(range(len(states))) if plain else states
    return [bool(x) for x in as_numbers] if kinds <= {bool, np.bool_} else as_numbers


def cells_of(column: np.ndarray) -> Any:
    """A column of an array: numbers as they are, else a list of cells."""
    if column.dtype.kind in "biuf":
        return column
    return (column.astype(f"{column.dtype.kind}8[us]") if column.dtype.kind in "mM" else column).tolist()


def numbers(name: str, cells: Any, of_text: str = TEXT) -> np.ndarray:
    """A column of numbers as such, NaN for what is missing; booleans are 0 and 1, text must read as a number.

    Raises
    ------
    ModelError : a value that is none; the message names the row and the column.

    >>> numbers("temp", [1, "2.5", None, "NA", True]).tolist()
    [1.0, 2.5, nan, nan, 1.0]
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "biuf":
        return cells.astype(np.float64)
    try:
        if {*map(type, cells)} <= _NUMBERS:
            return np.array(cells, np.float64)
    except OverflowError:
        pass
    return np.array([_number(name, row, cell, of_text) for row, cell in enumerate(cells)], np.float64)


def _number(name: str, row: int, cell: Any, of_text: str) -> float:
    if is_missing_word(cell) if isinstance(cell, str) else is_missing(cell):
        return np.nan
    if isinstance(cell, float | np.floating):
        return float(cell)
    number = None if _is_time(cell) else number_of(cell)
    if number is not None and abs(number) < MAX:
        return float(number)
    raise ModelError(f"row {row}, column {name!r}: {shown(cell)} {_complaint(name, cell, of_text)}")


def _complaint(name: str, cell: Any, of_text: str) -> str:
    """What is wrong with a cell that is no number."""
    if _is_time(cell):
        return f"is a time; make it a number, such as days, or leave the column out with ignore={name!r}"
    told = of_text if isinstance(cell, str | bytes) else ""
    return f"is no number{told}" if number_of(cell) is None else "is too large for a number of 64 bits"


def _is_time(cell: Any) -> bool:
    return isinstance(cell, _TIMES) or any(hasattr(cell, name) for name in ("strftime", "isoformat", "days"))


def read_table(columns: Columns | None, data: Any, name: str = "", one_column: bool = False) -> np.ndarray:
    """Rows [n, n_columns] of numbers, by the names of a model that has them, else by their places.

    A single axis is one row, or a column where there is `one_column`.
    """
    if columns is not None:
        return columns.read(data, name)
    if is_named(data):
        found = columns_of(data)
        return np.stack([numbers(column, cells) for column, cells in found.items()], axis=1)
    try:
        array = array_of(data)
    except ModelError as error:
        raise ModelError(f"{name}{error}") from None
    if array.ndim != 1:
        return array
    return array[:, None] if one_column else array[None]


def numbers_of(data: Any) -> np.ndarray:
    """Data for a model whose columns have no names as an array of numbers, NaN for gaps, whatever they came in.

    Raises
    ------
    ModelError : what is no number; the message names row and column.

    >>> numbers_of([["1", None], [0, True]]).tolist()
    [[1.0, nan], [0.0, 1.0]]
    """
    if is_named(data):
        found = columns_of(data)
        whole = [x if isinstance(x, np.ndarray) else numbers(name, x, "") for name, x in found.items()]
        return np.stack(whole, axis=1) if whole else np.zeros((n_rows_of(data), 0))
    array = array_of(data)
    if array.dtype.kind in "biuf" or array.ndim not in (1, 2):
        return array
    if array.ndim == 1:
        return np.array([_number(str(j), 0, cell, "") for j, cell in enumerate(array.tolist())])
    return np.stack([numbers(str(j), cells_of(array[:, j]), "") for j in range(array.shape[1])], axis=1)


def check_once(names: Sequence[str], told: str) -> None:
    """Raise for the first name that comes twice."""
    if len({*names}) < len(names):
        raise ModelError(told.format(next(name for name in names if names.count(name) > 1)))
