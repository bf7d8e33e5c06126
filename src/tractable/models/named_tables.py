"""Tables that say by name what their entries are of: frames, wide and long, and mappings. Order never matters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from tractable.models._base import ModelError, nearest
from tractable.models.axes import Axes, Listed, has_names, listed
from tractable.models.rows import columns_of
from tractable.models.values import StateReader, is_missing, text_of

Cell = tuple[tuple[Any, ...], Any]
"""The states that an entry is of, one for each variable, and the entry."""


def array_of(where: str, table: Any, axes: Axes) -> np.ndarray:
    """The table as an array: every entry there, and none twice.

    >>> wet = {"yes": {"yes": 0.9, "no": 0.1}, "no": [0.8, 0.2]}
    >>> array_of("wet", wet, {"rain": ("no", "yes"), "wet": ("no", "yes")}).tolist()
    [[0.8, 0.2], [0.1, 0.9]]
    """
    readers = [Labels(v, own, where) for v, own in axes.items()]
    found: dict[tuple[int, ...], float] = {}
    own = list(axes.values())[-1] if axes else ()
    for labels, value in cells_of(where, table, tuple(axes), own):
        place = tuple([reader[label] for reader, label in zip(readers, labels, strict=True)])
        if place in found:
            raise ModelError(f"{where}: the table has two entries for {listed(axes, place)}; keep one")
        found[place] = number_in(where, value, axes, place)
    shape = tuple(map(len, axes.values()))
    if len(found) < math.prod(shape):
        place = next(place for place in product(*map(range, shape)) if place not in found)
        left_out = "give it, or tr.sparse(table), which has zeros for what is left out"
        raise ModelError(f"{where}: the table has no entry for {listed(axes, place)}; {left_out}")
    out = np.empty(shape)
    for place, value in found.items():
        out[place] = value
    return out


class Labels(dict):
    """Label → index of the state, each different one read once."""

    def __init__(self, variable: str, states: Sequence[str], where: str):
        super().__init__()
        self.reader, self.where = StateReader(variable, states), where

    def __missing__(self, label: Any) -> int:
        try:
            self[label] = code = self.reader.code(label if not _is_interval(label) else text_of(label))
        except ModelError as error:
            raise ModelError(f"{self.where}: {error}") from None
        if code < 0:
            raise ModelError(f"{self.where}: a row of the table does not say the state of {self.reader.variable!r}")
        return code


def _is_interval(label: Any) -> bool:
    """Whether this is one of pandas' intervals, which are states where columns were cut."""
    return hasattr(label, "left") and hasattr(label, "right")


def number_in(where: str, value: Any, axes: Axes, place: Sequence[int]) -> float:
    """An entry as a number.

    Raises
    ------
    ModelError : it is missing, or none; the message names the place.
    """
    try:
        number = math.nan if is_missing(value) else float(value)
    except (TypeError, ValueError):
        raise ModelError(f"{where}: {value!r} for {listed(axes, place)} is no number") from None
    if math.isnan(number):
        raise ModelError(f"{where}: the entry for {listed(axes, place)} is missing")
    return number


def states_said(tables: Mapping[str, Any], parents: Mapping[str, Sequence[str]], known: Mapping[str, Any]) -> Axes:
    """The states of all variables: those that are known, else what their own table says, else what their children's.

    Raises
    ------
    ModelError : a variable whose states nothing says.
    """
    found: dict[str, tuple[str, ...]] = {}
    for v, table in tables.items():
        if has_names(table):
            scope = (*parents.get(v, ()), v)
            said = list(cells_of(f"variable {v!r}", table, scope, known.get(v)))
            for axis, name in enumerate(scope):
                states = tuple(dict.fromkeys(text_of(labels[axis]) for labels, _ in said))
                found[name] = states if name == v else found.get(name, states)
    out = {}
    for v in dict.fromkeys((*parents, *tables)):
        if v not in known and v not in found:
            raise ModelError(f"variable {v!r}: nothing says which states it has; give states, or a table with names")
        out[v] = known[v] if v in known else found[v]
    return out


# ---------------------------------------------------------------- the entries


def cells_of(where: str, table: Any, scope: tuple[str, ...], own: Sequence[str] | None) -> Iterable[Cell]:
    """All entries of a table over these variables, with their states as they are written there.

    Parameters
    ----------
    own : the states of the last variable, where they are known: rows in a mapping may be lists in their order.
    """
    if isinstance(table, Listed):
        return cells_of(where, table.entries, scope, own)
    if isinstance(table, Mapping):
        return _of_mapping(where, table, scope, own, ())
    if not scope:
        raise ModelError(f"{where}: a table over no variables is a number")
    if hasattr(table, "iloc"):
        return _of_pandas(where, table, scope, own)
    return _of_columns(where, columns_of(table), scope, own)


def _of_mapping(
    where: str, table: Any, scope: tuple[str, ...], own: Sequence[str] | None, given: tuple[Any, ...]
) -> Iterator[Cell]:
    """Entries below the states that are given: a key is the state of the next variable, or of several as a tuple."""
    left = len(scope) - len(given)
    table = dict(table.items()) if hasattr(table, "iloc") and getattr(table, "ndim", 0) == 1 else table
    if not left:
        yield given, table
    elif isinstance(table, Mapping):
        for key, value in table.items():
            labels = key if isinstance(key, tuple) else (key,)
            if len(labels) > left:
                raise ModelError(f"{where}: the key {key!r} has more states than the {left} variables {scope[-left:]}")
            yield from _of_mapping(where, value, scope, own, (*given, *labels))
    else:
        row = _row(where, table, scope, own, given)
        yield from (((*given, state), value) for state, value in zip(own or (), row, strict=True))


def _row(
    where: str, row: Any, scope: tuple[str, ...], own: Sequence[str] | None, given: tuple[Any, ...]
) -> Sequence[Any]:
    there = ", ".join(f"{v}={x}" for v, x in zip(scope, given, strict=False)) or "the root of the table"
    listed = isinstance(row, list | tuple) or getattr(row, "ndim", 0) == 1
    if len(scope) - len(given) > 1 or not listed:
        raise ModelError(f"{where}: {row!r:.60} for {there} does not say its states of {scope[len(given)]!r}")
    if own is None:
        raise ModelError(f"{where}: the row for {there} is a list, and the states of {scope[-1]!r} are not known")
    if len(row) != len(own):
        raise ModelError(f"{where}: the row for {there} has {len(row)} numbers, {scope[-1]!r} has {len(own)} states")
    return row


def _of_columns(
    where: str, columns: Mapping[str, Any], scope: tuple[str, ...], own: Sequence[str] | None
) -> Iterable[Cell]:
    """Long, a column for each variable and one of numbers; or wide, a column for each state of the last variable."""
    *parents, child = scope
    if lacking := [parent for parent in parents if parent not in columns]:
        raise ModelError(f"{where}: the table has no column {lacking[0]!r}{nearest(lacking[0], columns)}")
    rest = [name for name in columns if name not in parents]
    if child not in rest or (own is not None and {*rest} == {*own}):
        return _of_wide(columns, parents, rest)
    return zip(zip(*map(columns.__getitem__, scope), strict=True), _only_numbers(where, columns, scope), strict=True)


def _only_numbers(where: str, columns: Mapping[str, Any], scope: tuple[str, ...]) -> Any:
    """The one column that is no variable of the table."""
    rest = [name for name in columns if name not in scope]
    if len(rest) != 1:
        beside, found = ", ".join(map(repr, scope)), ", ".join(map(repr, rest))
        raise ModelError(f"{where}: beside {beside} the table needs one column of numbers, it has {found or 'none'}")
    return columns[rest[0]]


def _of_wide(columns: Mapping[str, Any], parents: Sequence[str], states: Sequence[str]) -> Iterator[Cell]:
    for state in states:
        rows = zip(*(columns[v] for v in parents), strict=True) if parents else ((),) * len(columns[state])
        yield from (((*row, state), x) for row, x in zip(rows, columns[state], strict=True))


# ---------------------------------------------------------------- of pandas, where the index has names too


def _of_pandas(where: str, table: Any, scope: tuple[str, ...], own: Sequence[str] | None) -> Iterable[Cell]:
    if not hasattr(table, "columns"):
        return _crossed(where, [table.index], table.to_numpy(), scope)
    columns = table.columns
    if columns.nlevels > 1 or (columns.name is not None and text_of(columns.name) in scope):
        return _crossed(where, [table.index, columns], table.to_numpy(), scope)
    plain = columns_of(table.reset_index(drop=True))
    levels = _levels(table.index, plain, scope)
    return _of_columns(where, {**levels, **{v: x for v, x in plain.items() if v not in levels}}, scope, own)


def _levels(index: Any, columns: Mapping[str, Any], scope: tuple[str, ...]) -> dict[str, list[Any]]:
    """The levels of an index that are variables of the table; one without a name is the variable that is left."""
    names = _names_of([index])
    if names == [None] and type(index).__name__ != "RangeIndex":
        left = scope if len(scope) == len(columns) == 1 else [v for v in scope[:-1] if v not in columns]
        names = _filled(names, left)
    return {v: list(index.get_level_values(k)) for k, v in enumerate(names) if v in scope}


def _names_of(indexes: Iterable[Any]) -> list[str | None]:
    return [None if name is None else text_of(name) for index in indexes for name in index.names]


def _filled(names: list[str | None], left: Sequence[str]) -> list[str | None]:
    """The names of levels, where one variable is left that of those without."""
    return [left[0] if name is None and len(left) == 1 else name for name in names]


def _crossed(where: str, indexes: Sequence[Any], values: np.ndarray, scope: tuple[str, ...]) -> Iterator[Cell]:
    """Entries whose states are in the index and, of a cross table, in that of the columns."""
    names = _names_of(indexes)
    names = _filled(names, [v for v in scope if v not in names])
    if sorted(map(str, names)) != sorted(scope):
        found = ", ".join("one without a name" if name is None else repr(name) for name in names)
        raise ModelError(f"{where}: the table is over {', '.join(map(repr, scope))}, its index has the levels {found}")
    order = [names.index(v) for v in scope]
    for parts, value in zip(product(*map(_labels_of, indexes)), values.ravel().tolist(), strict=True):
        labels = sum(parts, ())
        yield tuple(labels[k] for k in order), value


def _labels_of(index: Any) -> list[tuple[Any, ...]]:
    return list(index) if index.nlevels > 1 else [(label,) for label in index]
