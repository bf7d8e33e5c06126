"""What columns of data hold, where a model is made from them: which are kept, of what kind, with which categories."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tractable.models._base import ModelError
from tractable.models.columns import Columns, cells_of, check_once, numbers
from tractable.models.emissions._base import ROWS, two_axes
from tractable.models.emissions.categorical import MAX_STATES
from tractable.models.frames import declared
from tractable.models.rows import as_names, columns_of, is_named, unknown_column, values_of
from tractable.models.unnamed import array_of
from tractable.models.values import is_missing, is_missing_word, number_of, text_of

AUTO, BERNOULLI, CATEGORICAL, GAUSSIAN = "auto", "bernoulli", "categorical", "gaussian"
BOOLEANS = ("False", "True")
_MEANT = re.compile(r"(?P<time>\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?)|[$€£¥] ?[+-]?\d[\d.,]*|[+-]?\d[\d.,]* ?[%$€£¥]")
"""Text that has been a time or a number with a sign."""

ALONE = 20
"""A column of at least so many texts, all of them different, is taken for names of the rows."""

EmissionKinds = str | Mapping[str, Any]


class ColumnsWanted(NamedTuple):
    """What is asked of the columns: kinds of emissions, which are kept or left out, and categories.

    `aside` is a column that is no data, but has its place among the numbers of columns.
    """

    emissions: EmissionKinds = AUTO
    columns: Any = None
    ignore: Any = None
    categories: Any = None
    aside: str | None = None


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


def described(parts: Sequence[Any], wanted: ColumnsWanted) -> Described:
    """The rows of some tables or arrays with the same columns, and what the columns are.

    Columns of text, of booleans and those that are declared as categories become categorical, whatever kind is asked
    of all; their states are named. Numbers of an array without names stay numbers.

    Raises
    ------
    ModelError : a column that is not there, named twice or not at all; values that do not fit the kind.
    """
    tables = [_table(part) for part in parts]
    table = tables[0] if len(tables) == 1 else _joined(tables)
    names = _chosen(table, wanted)
    given = _given(names, table, wanted.categories)
    kinds = _kinds(names, table, wanted.emissions, given)
    given = _checked(given, kinds, wanted.categories)
    by_kind = _by_kind(names, kinds, isinstance(wanted.emissions, str))
    own = {name: given.get(name) for name in _categorical(names, kinds)}
    if not table.named and not any(_has_names(table.cells[name], states) for name, states in own.items()):
        return Described(_placed(table, names), None, by_kind, list(map(given.get, names)))
    columns = Columns(names, _states(table, own), _ignored(table, names, wanted.aside))
    rows = columns.read({name: table.cells[name] for name in names})
    n_states = {name: len(states) for name, states in columns.categories.items()}
    return Described(rows, columns, by_kind, list(map(n_states.get, names)))


def _ignored(table: _Table, names: list[str], aside: str | None) -> list[str]:
    """The columns that are left out by name, and are known again."""
    kept = {*names, aside}
    return [name for name in table.cells if name not in kept] if table.named else []


def _placed(table: _Table, names: list[str]) -> np.ndarray:
    """The rows of an array without names; where nothing is left out it stays as it is, on disk if it lies there."""
    if table.array is None:
        return np.stack([numbers(name, table.cells[name]) for name in names], axis=1)
    whole = names == list(table.cells)
    return table.array if whole else table.array[:, [int(name) for name in names]]


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
    for table in tables:
        if other := {*table.cells} ^ {*first.cells}:
            raise ModelError(f"the column {min(other)!r} is not in all of the sequences")
    cells = {name: _stacked([table.cells[name] for table in tables]) for name in first.cells}
    arrays = [table.array for table in tables if table.array is not None]
    whole = np.concatenate(arrays) if len(arrays) == len(tables) else None
    return _Table(cells, _together([table.declared for table in tables]), first.named, whole)


def _together(declared: Sequence[Mapping[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """The categories that any of the tables declares."""
    out: dict[str, dict[str, None]] = {}
    for own in declared:
        for name, states in own.items():
            out.setdefault(name, {}).update(dict.fromkeys(states))
    return {name: tuple(states) for name, states in out.items()}


def _stacked(parts: list[Any]) -> Any:
    if all(isinstance(part, np.ndarray) for part in parts) and len({part.dtype.kind == "b" for part in parts}) == 1:
        return np.concatenate(parts)
    return [cell for part in parts for cell in (part.tolist() if isinstance(part, np.ndarray) else part)]


# ---------------------------------------------------------------- which columns


def _chosen(table: _Table, wanted: ColumnsWanted) -> list[str]:
    known = _known(table)
    left = {_place(name, known) for name in _listed(wanted.ignore)} | {wanted.aside}
    kept = list(table.cells) if wanted.columns is None else [_place(name, known) for name in _listed(wanted.columns)]
    check_once(kept, "columns= names {!r} twice")
    if known and not {*kept} - left:
        raise ModelError("no column is left to learn from")
    return [name for name in kept if name not in left]


def _listed(given: Any) -> list[str]:
    return as_names(given) or []


def _known(table: _Table) -> dict[str, str]:
    """What columns may be called: their names, and their numbers where none has that name."""
    return {str(j): name for j, name in enumerate(table.cells)} | {name: name for name in table.cells}


def _place(name: str, known: Mapping[str, str]) -> str:
    if name in known:
        return known[name]
    raise unknown_column(name, dict.fromkeys(known.values()))


# ---------------------------------------------------------------- of which kind


def _kinds(names: list[str], table: _Table, emissions: EmissionKinds, given: Collection[str]) -> dict[str, str]:
    """The kind of each column."""
    if not isinstance(emissions, str):
        return _said(names, _known(table), emissions)
    own = {name for name in names if name in given or _is_categorical(name, table, emissions)}
    rest = [name for name in names if name not in own]
    kind = dict.fromkeys(rest, emissions) if emissions != AUTO else _fitting(table, rest)
    return {name: kind.get(name, CATEGORICAL) for name in names}


def _fitting(table: _Table, names: list[str]) -> dict[str, str]:
    """The kind that fits each column of numbers: of two values, 0 and 1, or of any."""
    if table.array is not None:
        bits = np.ones(table.array.shape[1], bool)
        for start in range(0, len(table.array), ROWS):  # which may lie on disk
            block = table.array[start : start + ROWS]
            bits &= ((block == 0) | (block == 1) | np.isnan(block)).all(0)
        return {name: BERNOULLI if bits[int(name)] else GAUSSIAN for name in names}
    return {name: BERNOULLI if _are_bits(table.cells[name]) else GAUSSIAN for name in names}


def _are_bits(cells: Any) -> bool:
    """Whether a column holds nothing but 0 and 1."""
    if isinstance(cells, np.ndarray):
        return bool(((cells == 0) | (cells == 1) | np.isnan(cells)).all())
    return all(_is_gap(cell) or number_of(cell) in (0, 1) for cell in _different(cells))


def _said(names: list[str], known: Mapping[str, str], emissions: Mapping[str, Any]) -> dict[str, str]:
    """The kind of each column as kind → columns says."""
    found: dict[str, str] = {}
    kept = {*names}
    for kind, column in ((kind, column) for kind, own in emissions.items() for column in _listed(own)):
        name = _place(column, known)
        if name in found or name not in kept:
            slip = f"named twice, for {found[name]} too" if name in found else "left out by columns= or ignore="
            raise ModelError(f"kinds must name every column once: {name!r} is {slip}")
        found[name] = kind
    if left := [name for name in names if name not in found]:
        raise ModelError(
            f"kinds must name every column once: {left[0]!r} is of no kind; name it, or leave it out with ignore="
        )
    return found


def _is_categorical(name: str, table: _Table, kind: str) -> bool:
    """Whether a column holds categories, where this kind is asked of all columns."""
    cells, states = table.cells[name], table.declared.get(name, ())
    if kind == CATEGORICAL:
        return True
    if states == BOOLEANS or is_boolean(cells):
        return kind != BERNOULLI and (table.named or not isinstance(cells, np.ndarray))
    if not states and is_text(cells):
        _check_words(name, cells)
        _check_repeated(name, cells)
        return True
    return bool(states)


def _check_words(name: str, cells: Sequence[Any]) -> None:
    """Refuse text that may have been meant as numbers: among numbers, with a sign such as %, or a time."""
    there = [cell for cell in _different(cells) if not _is_gap(cell)]
    words = {cell for cell in there if number_of(cell) is None}
    told = "is no number, as others in the column are; leave a missing cell empty"
    if len(words) == len(there) and (told := _meant(words)) is None:
        return
    row = next(row for row, cell in enumerate(cells) if isinstance(cell, str | bytes) and cell in words)
    raise ModelError(
        f"row {row}, column {name!r}: {text_of(cells[row])!r} {told}, or say that they are categories, "
        f"categories={{{name!r}: [their names]}} or their number (--categories {name}=N), or ignore the column"
    )


def _meant(words: Iterable[Any]) -> str | None:
    """What all the words of a column are instead of categories."""
    found = [_MEANT.fullmatch(text_of(word)) for word in words]
    if not all(found):
        return None
    is_time = any(match["time"] for match in found if match)
    return "is a time; make it a number" if is_time else "is a number with a sign; leave the sign out"


def _check_repeated(name: str, cells: Sequence[Any]) -> None:
    n = sum(not _is_gap(cell) for cell in _different(cells))
    if n >= ALONE and n == sum(not _is_gap(cell) for cell in cells):
        raise ModelError(
            f"the column {name!r} holds {n} texts, no two of them alike, as names of rows are: leave it out "
            f"with ignore={name!r} (--ignore {name}), or say its kind, emissions={{'categorical': [{name!r}], …}}"
        )


def _is_gap(cell: Any) -> bool:
    return is_missing_word(cell) if isinstance(cell, str) else is_missing(cell)


def _different(cells: Sequence[Any]) -> Collection[Any]:
    """Each different cell once, where they are of a kind: for a set True is 1."""
    kinds = {*map(type, cells)}
    try:
        return {*cells} if not {bool, np.bool_} & kinds or kinds <= {bool, np.bool_, str, type(None)} else cells
    except TypeError:  # lists
        return cells


def is_boolean(cells: Any) -> bool:
    """Whether a column holds truth values alone, also as text."""
    if isinstance(cells, np.ndarray):
        return cells.dtype.kind == "b"
    there = [cell for cell in _different(cells) if not _is_gap(cell)]
    return bool(there) and all(map(_is_truth, there))


def _is_truth(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell.strip().lower() in ("true", "false")
    return isinstance(cell, bool | np.bool_)


def is_text(cells: Any) -> bool:
    """Whether a column holds texts that are no numbers; what is neither is left for the reader of numbers to refuse."""
    if isinstance(cells, np.ndarray):
        return False
    texts = (text_of(cell) for cell in _different(cells) if isinstance(cell, str | bytes))
    return any(number_of(text) is None and not is_missing_word(text) for text in texts)


def _has_names(cells: Any, given: Any) -> bool:
    """Whether the states of a column of an array have names."""
    return isinstance(given, tuple) or (not isinstance(cells, np.ndarray) and (is_text(cells) or is_boolean(cells)))


def _by_kind(names: list[str], kinds: Mapping[str, str], alone: bool) -> str | dict[str, list[int]]:
    """Kind → numbers of columns, in the order in which they are asked for; `alone`: or one kind for all."""
    out: dict[str, list[int]] = {}
    places = {name: j for j, name in enumerate(names)}
    for name, kind in kinds.items():
        out.setdefault(kind, []).append(places[name])
    return next(iter(out)) if alone and len(out) == 1 else out


# ---------------------------------------------------------------- categories


def _given(names: list[str], table: _Table, categories: Any) -> dict[str, Any]:
    """The columns whose categories are given one by one: names of states, or their number."""
    if categories is None or isinstance(categories, int | np.integer):
        return {}
    listed = categories if isinstance(categories, Mapping) else _one_each(names, categories)
    known, kept = _known(table), {*names}
    found = {_place(text_of(column), known): own for column, own in listed.items()}
    if out := [name for name in found if name not in kept]:
        raise ModelError(f"categories= names {out[0]!r}, which columns= or ignore= leaves out")
    return {name: _states_given(name, own) for name, own in found.items()}


def _one_each(names: list[str], categories: Sequence[Any]) -> dict[str, Any]:
    if len(categories) != len(names):
        raise ModelError(f"categories= has {len(categories)} entries for {len(names)} columns; give one for each")
    return {name: own for name, own in zip(names, categories, strict=True) if own is not None}


def _states_given(name: str, own: Any) -> Any:
    if hasattr(own, "__iter__") and not isinstance(own, str | bytes):
        return tuple(map(text_of, own))
    return _counted(f"categories of {name!r}", own)


def _counted(what: str, n: Any) -> int:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= MAX_STATES:
        raise ModelError(f"{what}: expected names of states, or their number, got {n!r}")
    return int(n)


def _categorical(names: Iterable[str], kinds: Mapping[str, str]) -> list[str]:
    return [name for name in names if kinds[name] == CATEGORICAL]


def _checked(given: dict[str, Any], kinds: Mapping[str, str], categories: Any) -> dict[str, Any]:
    """What is given of categorical columns, also where it is one number for all."""
    own = _categorical(kinds, kinds)
    if strange := [name for name in given if name not in own]:
        raise ModelError(f"categories= is for categorical columns; {strange[0]!r} is {kinds[strange[0]]}")
    if given or categories is None or not isinstance(categories, int | np.integer):
        return given
    if not own:
        raise ModelError("categories= is for categorical columns, and there are none: say that they are 'categorical'")
    return dict.fromkeys(own, _counted("categories=", categories))


def _states(table: _Table, given: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The states of categorical columns."""
    return {name: _states_of(name, table, own) for name, own in given.items()}


def _states_of(name: str, table: _Table, given: Any) -> tuple[str, ...]:
    if isinstance(given, tuple):
        return given
    try:
        found = values_of(table.cells[name])
    except ModelError as error:
        raise ModelError(f"the column {name!r} {error}") from None
    if given is not None:
        return _of_number(name, found, given)
    own = table.declared.get(name) or (BOOLEANS if is_boolean(table.cells[name]) else tuple(found))
    if not own:
        raise ModelError(f"column {name!r}: every entry is missing; drop the column")
    return tuple(own)


def _of_number(name: str, found: list[str], given: int) -> tuple[str, ...]:
    """So many states, which turn up as these."""
    numbered = tuple(map(str, range(given)))
    if {*found} <= {*numbered}:
        return numbered
    if len(found) != given:
        raise ModelError(
            f"the column {name!r} has {len(found)} states by name ({', '.join(found[:6])}), not {given}: "
            "categories= takes the names of all of them"
        )
    return tuple(found)
