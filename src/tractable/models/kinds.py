"""What columns of data hold, where a model is made from them: which are kept, of what kind, with which categories."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tractable.models._base import ModelError
from tractable.models.columns import Columns, cells_of, numbers
from tractable.models.emissions._base import two_axes
from tractable.models.emissions.categorical import MAX_STATES
from tractable.models.rows import array_of, as_names, columns_of, declared, is_named, unknown_column, values_of
from tractable.models.values import is_missing, is_missing_word, number_of, text_of

CATEGORICAL = "categorical"
BOOLEANS = ("False", "True")
ALONE = 20
"""A column of at least so many texts, all of them different, is taken for names of the rows."""

Kinds = str | Mapping[str, Any]


class Wanted(NamedTuple):
    """What is asked of the columns: kinds of emissions, which are kept or left out, and categories."""

    emissions: Kinds = "gaussian"
    columns: Any = None
    ignore: Any = None
    categories: Any = None


class Described(NamedTuple):
    """Rows of numbers [n, d], and what their columns are: names where they have any, kinds, numbers of states."""

    rows: np.ndarray
    columns: Columns | None
    kinds: str | dict[str, list[int]]
    n_states: list[int | None]


class _Table(NamedTuple):
    """Columns by name, or by number as text, the categories that they declare, and the array that they are of."""

    cells: dict[str, Any]
    declared: Mapping[str, tuple[str, ...]]
    named: bool
    array: np.ndarray | None = None


def described(parts: Sequence[Any], wanted: Wanted) -> Described:
    """The rows of some tables or arrays with the same columns, and what the columns are.

    Columns of text, of booleans and those that are declared as categories become categorical, whatever kind is asked
    of all; their states are named. Numbers of an array without names stay numbers.

    Raises
    ------
    ModelError : a column that is not there, named twice or not at all; values that do not fit the kind.
    """
    table = _joined([_table(part) for part in parts])
    names = _chosen(table, wanted)
    if not names:
        raise ModelError("no column is left to learn from")
    given = dict(_given(names, table, wanted.categories))
    kinds = _kinds(names, table, wanted.emissions, given)
    own = [name for name in names if kinds[name] == CATEGORICAL]
    if isinstance(wanted.categories, int):
        given = dict.fromkeys(own, _counted("categories=", wanted.categories))
    if strange := [name for name in given if name not in own] or (not own and wanted.categories is not None):
        told = f"{strange[0]!r} is {kinds[strange[0]]}" if isinstance(strange, list) else "there are none"
        raise ModelError(f"categories= is for categorical columns (emissions='categorical'); {told}")
    if not table.named and not any(isinstance(given.get(n), tuple) or _has_names(table.cells[n]) for n in own):
        return Described(
            _placed(table, names),
            None,
            _by_kind(names, kinds, isinstance(wanted.emissions, str)),
            [given.get(name) for name in names],
        )
    states = {name: _states(name, table, given.get(name)) for name in own}
    columns = Columns(names, states, [name for name in table.cells if name not in names] if table.named else ())
    rows = columns.read({name: table.cells[name] for name in names})
    return Described(
        rows,
        columns,
        _by_kind(names, kinds, isinstance(wanted.emissions, str)),
        [len(states[n]) if n in states else None for n in names],
    )


def _placed(table: _Table, names: list[str]) -> np.ndarray:
    """The rows of an array without names; where nothing is left out it stays as it is, on disk if it lies there."""
    if table.array is None:
        return np.stack([numbers(name, table.cells[name]) for name in names], axis=1)
    whole = names == list(table.cells)
    return table.array if whole else table.array[:, [int(name) for name in names]]


def _has_names(cells: Any) -> bool:
    return not isinstance(cells, np.ndarray) and (_is_text(cells) or _is_boolean(cells))


# ---------------------------------------------------------------- the data


def _table(data: Any) -> _Table:
    if is_named(data):
        return _Table(columns_of(data), declared(data), True)
    array = array_of(data)
    if array.dtype.kind in "biufcmM" or array.ndim != 2:
        array = two_axes(array)
    numeric = array if array.dtype.kind in "biuf" else None
    return _Table({str(j): cells_of(array[:, j]) for j in range(array.shape[1])}, {}, False, numeric)


def _joined(tables: Sequence[_Table]) -> _Table:
    """Tables of the same columns, one below the other."""
    first = tables[0]
    if len(tables) == 1:
        return first
    for table in tables[1:]:
        if {*table.cells} != {*first.cells}:
            other = next(iter({*table.cells} ^ {*first.cells}))
            raise ModelError(f"the column {other!r} is not in all of the sequences")
    cells = {name: _stacked([table.cells[name] for table in tables]) for name in first.cells}
    own = {name: dict.fromkeys(c for t in tables for c in t.declared.get(name, ())) for name in first.cells}
    arrays = [table.array for table in tables]
    whole = None if any(array is None for array in arrays) else np.concatenate(arrays)  # type: ignore[arg-type]
    return _Table(cells, {name: tuple(found) for name, found in own.items() if found}, first.named, whole)


def _stacked(parts: list[Any]) -> Any:
    if all(isinstance(part, np.ndarray) for part in parts) and len({part.dtype.kind == "b" for part in parts}) == 1:
        return np.concatenate(parts)
    return [cell for part in parts for cell in (part.tolist() if isinstance(part, np.ndarray) else part)]


# ---------------------------------------------------------------- which columns


def _chosen(table: _Table, wanted: Wanted) -> list[str]:
    known = list(table.cells)
    left = {_place(name, known) for name in _listed(wanted.ignore)}
    kept = known if wanted.columns is None else [_place(name, known) for name in _listed(wanted.columns)]
    if len({*kept}) < len(kept):
        raise ModelError(f"columns= names {next(n for n in kept if kept.count(n) > 1)!r} twice")
    return [name for name in kept if name not in left]


def _listed(given: Any) -> list[str]:
    return [str(int(given))] if isinstance(given, int | np.integer) else as_names(given) or []


def _place(name: str, known: list[str]) -> str:
    """A column by its name, or by its number where none has that name."""
    if name in known:
        return name
    if name.isdecimal() and int(name) < len(known):
        return known[int(name)]
    raise unknown_column(name, known)


# ---------------------------------------------------------------- of which kind


def _kinds(names: list[str], table: _Table, emissions: Kinds, given: Collection[str]) -> dict[str, str]:
    """The kind of each column."""
    if isinstance(emissions, str):
        return {
            name: CATEGORICAL if name in given or _is_categorical(name, table, emissions) else emissions
            for name in names
        }
    found: dict[str, str] = {}
    for kind, own in emissions.items():
        for column in _listed(own):
            name = _place(column, list(table.cells))
            if name in found or name not in names:
                raise ModelError(f"emissions must name every column once: {name!r} is {_slip(name, found)}")
            found[name] = kind
    if left := [name for name in names if name not in found]:
        raise ModelError(
            f"emissions must name every column once: {left[0]!r} is of no kind; name it, or leave it out with ignore="
        )
    return found


def _slip(name: str, found: Mapping[str, str]) -> str:
    return f"named twice, for {found[name]} too" if name in found else "left out by columns= or ignore="


def _is_categorical(name: str, table: _Table, kind: str) -> bool:
    cells, states = table.cells[name], table.declared.get(name, ())
    if states == BOOLEANS or _is_boolean(cells):
        return kind != "bernoulli" and (table.named or not isinstance(cells, np.ndarray) or kind == CATEGORICAL)
    if states or kind == CATEGORICAL:
        return True
    if not _is_text(cells):
        return False
    values = {text_of(cell) for cell in cells if not _is_gap(cell)}
    if len(values) >= ALONE and len(values) == sum(not _is_gap(cell) for cell in cells):
        raise ModelError(
            f"the column {name!r} holds {len(values)} texts, no two of them alike, as names of rows are: leave it out "
            f"with ignore={name!r} (--ignore {name}), or say its kind, emissions={{'categorical': [{name!r}], …}}"
        )
    return True


def _is_gap(cell: Any) -> bool:
    return is_missing(cell) or (isinstance(cell, str) and is_missing_word(cell))


def _is_boolean(cells: Any) -> bool:
    if isinstance(cells, np.ndarray):
        return cells.dtype.kind == "b"
    kinds = {*map(type, cells)}
    if not kinds & {bool, np.bool_, str}:
        return False
    there = [cell for cell in cells if not _is_gap(cell)]
    return bool(there) and all(
        cell.strip().lower() in ("true", "false") if isinstance(cell, str) else isinstance(cell, bool | np.bool_)
        for cell in there
    )


def _is_text(cells: Any) -> bool:
    """Whether a column holds texts that are no numbers; what is neither is left for the reader of numbers to refuse."""
    if isinstance(cells, np.ndarray):
        return False
    return any(
        isinstance(cell, str | bytes) and not _is_gap(cell) and number_of(text_of(cell)) is None for cell in cells
    )


def _by_kind(names: list[str], kinds: Mapping[str, str], alone: bool) -> str | dict[str, list[int]]:
    """Kind → numbers of columns, in the order in which they are asked for; `alone`: or one kind for all."""
    out: dict[str, list[int]] = {}
    places = {name: j for j, name in enumerate(names)}
    for name, kind in kinds.items():
        out.setdefault(kind, []).append(places[name])
    return next(iter(out)) if alone and len(out) == 1 else out


# ---------------------------------------------------------------- categories


def _given(names: list[str], table: _Table, categories: Any) -> Iterator[tuple[str, Any]]:
    """The columns whose categories are given: names of states, or their number."""
    if categories is None or isinstance(categories, int):
        return
    if not isinstance(categories, Mapping):
        if len(categories) != len(names):
            raise ModelError(f"categories= has {len(categories)} entries for {len(names)} columns; give one for each")
        categories = {name: own for name, own in zip(names, categories, strict=True) if own is not None}
    for column, own in categories.items():
        name = _place(text_of(column), list(table.cells))
        if name not in names:
            raise ModelError(f"categories= names {name!r}, which columns= or ignore= leaves out")
        is_list = hasattr(own, "__iter__") and not isinstance(own, str | bytes)
        yield name, tuple(map(text_of, own)) if is_list else _counted(f"categories of {name!r}", own)


def _counted(what: str, n: Any) -> int:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= MAX_STATES:
        raise ModelError(f"{what}: expected names of states, or their number, got {n!r}")
    return int(n)


def _states(name: str, table: _Table, given: Any) -> tuple[str, ...]:
    """The states of a categorical column."""
    cells = table.cells[name]
    if isinstance(given, tuple):
        return given
    if given is None and table.declared.get(name):
        return tuple(table.declared[name])
    if given is None and _is_boolean(cells):
        return BOOLEANS
    try:
        found = values_of(cells)
    except ModelError as error:
        raise ModelError(f"the column {name!r} {error}") from None
    if given is None:
        if not found:
            raise ModelError(f"column {name!r}: every entry is missing; drop the column")
        return tuple(found)
    if len(found) == given or any(number_of(state) is None for state in found):
        return _of_number(name, found, given)
    return tuple(map(str, range(given)))


def _of_number(name: str, found: list[str], given: int) -> tuple[str, ...]:
    numbered = tuple(map(str, range(given)))
    if {*found} <= {*numbered}:
        return numbered
    if len(found) != given:
        raise ModelError(
            f"the column {name!r} has {len(found)} states by name ({', '.join(found[:6])}), not {given}: "
            "categories= takes the names of all of them"
        )
    return tuple(found)
