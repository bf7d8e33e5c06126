"""Sequences of rows, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tractable._cached import cached_property
from tractable.models._base import ModelError, set_fields
from tractable.models.columns import Columns, read_table
from tractable.models.emissions import Emissions
from tractable.models.frames import is_frame
from tractable.models.rows import columns_of, is_named, listed, n_rows_of, select, take, unknown_column
from tractable.models.unnamed import matrix
from tractable.models.values import is_missing, text_of

LOOK = 512
"""Rows that are looked at first, to see whether any are alike."""


class DistinctRows(NamedTuple):
    """Rows that all differ, and which of them each row of the data is."""

    rows: np.ndarray  # [n_kinds, n_columns]
    kind: np.ndarray  # [n_rows]


@dataclass(frozen=True, eq=False, repr=False)
class Sequences:
    """Rows of several sequences, one after another, and how many belong to each.

    Parameters
    ----------
    rows : [n_rows, n_columns], NaN where something is missing; or a table whose columns have names: a DataFrame,
        name → column, a list of cases.
    lengths : of the sequences, summing to n_rows; None for one sequence.
    many : whether answers come as a list, one for each sequence.
    by : instead of lengths, the column (its name, or its number where columns have none) whose value, of any kind,
        changes where a sequence ends; models do not see it.

    Raises
    ------
    ModelError : lengths that do not add up, an empty sequence; a value of `by` that is missing or comes back.

    Examples
    --------
    >>> import numpy as np
    >>> [len(part) for part in tr.Sequences(np.zeros((5, 1)), [2, 3]).split(np.arange(5))]
    [2, 3]
    >>> days = tr.Sequences({"station": ["Ulm", "Ulm", "Bern"], "rain": [0.0, 2.5, 1.0]}, by="station")
    >>> [part["rain"].tolist() for part in days]
    [[0.0, 2.5], [1.0]]
    """

    rows: Any
    lengths: np.ndarray | None = None
    many: bool = True
    by: str | int | None = None

    def __post_init__(self) -> None:
        rows = self.rows if is_named(self.rows) else matrix(self.rows, axes=1)
        if self.by is not None:
            lengths, rows, by = _cut(rows, self.by, self.lengths)
        else:
            lengths, by = checked_lengths(self.lengths, n_rows_of(rows)), None
        set_fields(self, rows=rows, lengths=lengths, by=by)

    def __repr__(self) -> str:
        """How many there are, and of what: rows may be long."""
        n, names = len(self), [*map(str, columns_of(self.rows))] if self.named else []
        told = f", columns {listed(names)}" if names else ""
        return f"Sequences({n:,} {'sequence' if n == 1 else 'sequences'}, {int(self.sizes.sum()):,} rows in all{told})"

    @property
    def named(self) -> bool:
        """Whether the columns of the rows have names."""
        return not isinstance(self.rows, np.ndarray) or self.rows.dtype.names is not None

    @property
    def data(self) -> Any:
        """The rows without the column that tells sequences apart."""
        return self.rows if self.by is None else select(self.rows, ignore=str(self.by))

    @property
    def ends(self) -> np.ndarray:
        """The row behind the last one of each sequence."""
        return np.cumsum(self.sizes)

    @property
    def sizes(self) -> np.ndarray:
        """The lengths."""
        return np.asarray(self.lengths)

    @cached_property
    def kinds(self) -> DistinctRows | None:
        """The rows that differ, where at least half are like others: learning then looks at each kind once.

        >>> import numpy as np
        >>> tr.Sequences(np.array([3, 5, 3, 3])).kinds.kind.tolist()
        [0, 1, 0, 0]
        """
        some = self.rows[:: len(self.rows) // LOOK + 1]
        if 2 * len(_distinct(some)[0]) > len(some):
            return None
        found = DistinctRows(*_distinct(self.rows))
        return None if 2 * len(found.rows) > len(found.kind) else found

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, chosen: Any) -> Sequences:
        """Some of the sequences, by an array of numbers or a slice."""
        numbers = np.arange(len(self))[chosen].reshape(-1)
        places = self.split(np.arange(self.sizes.sum()))
        rows = take(self.data, np.concatenate([places[i] for i in numbers]))
        return Sequences(rows, self.sizes[numbers], self.many)

    def split(self, values: np.ndarray) -> list[np.ndarray]:
        """What belongs to each sequence of an array over rows."""
        return np.split(values, self.ends[:-1])

    def each(self, values: np.ndarray) -> np.ndarray:
        """What each sequence has, for every row of it."""
        return np.repeat(values, self.sizes, axis=0)

    def shaped(self, values: np.ndarray) -> Any:
        """An array over rows as answers have it: itself for one sequence, a list for many."""
        return self.split(values) if self.many else values

    def __iter__(self) -> Iterator[Any]:
        data = self.data
        return (take(data, slice(end - n, end)) for end, n in zip(self.ends.tolist(), self.sizes.tolist(), strict=True))


def cut(who: Any) -> np.ndarray:
    """The lengths of sequences, from a column whose value, of any kind, changes where one ends.

    Raises
    ------
    ModelError : a value that is missing, or that comes back later; the message names the row.

    >>> cut(["Ulm", "Ulm", "Bern"]).tolist(), cut(np.array([7.0, 9.0, 9.0])).tolist()
    ([2, 1], [1, 2])
    """
    cells, places = who.tolist() if isinstance(who, np.ndarray) else who, {}
    row = next((row for row, cell in enumerate(cells) if is_missing(cell) or cell == ""), None)
    if row is not None:
        raise ModelError(f"row {row}: the column that tells the sequences apart is empty")
    try:
        number = np.fromiter((places.setdefault(cell, len(places)) for cell in cells), np.int64, len(cells))
    except TypeError:
        raise ModelError("the column that tells the sequences apart holds lists; give texts or numbers") from None
    begins = np.flatnonzero(np.diff(number, prepend=-1))
    again = np.flatnonzero(number[begins] != np.arange(len(begins)))
    if len(again):
        row = int(begins[again[0]])
        raise ModelError(f"row {row}: sequence {text_of(cells[row])} comes back; sort the rows by it")
    return np.diff(np.append(begins, len(number)))


def _cut(rows: Any, by: str | int, lengths: Any) -> tuple[np.ndarray, Any, str | None]:
    """The lengths that a column says, the rows, and the name of the column where it is still among them."""
    if lengths is not None:
        raise ModelError("sequences are cut either by lengths or by a column; give one of them")
    if not isinstance(rows, np.ndarray) or rows.dtype.names is not None:
        found, name = columns_of(rows), text_of(by)
        if name not in found:
            raise unknown_column(name, found)
        if len(found) < 2:
            raise ModelError(f"there is no column beside {name!r}, which tells the sequences apart")
        return checked_lengths(cut(found[name]), n_rows_of(rows)), rows, name
    if not str(by).isdecimal() or int(by) >= rows.shape[1]:
        raise unknown_column(str(by), [str(j) for j in range(rows.shape[1])])
    if rows.shape[1] < 2:
        raise ModelError("there is no column beside the one that tells the sequences apart")
    return cut(rows[:, int(by)]), np.delete(rows, int(by), axis=1), None


def checked_lengths(given: Any, n_rows: int) -> np.ndarray:
    """Lengths that sum to the number of rows, of one sequence where none are given."""
    lengths = np.asarray([n_rows] if given is None else given)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise ModelError(f"lengths are whole numbers, one for each sequence, got {given!r}")
    if len(lengths) == 0 or lengths.min() < 1:
        where = f"sequence {int(lengths.argmin())} is empty" if len(lengths) else "there is no sequence"
        raise ModelError(f"{where}; every sequence needs at least one row")
    if lengths.sum() != n_rows:
        raise ModelError(f"the lengths sum to {lengths.sum()}, but there are {n_rows} rows")
    return lengths.astype(np.int64)


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if rows.shape[1] == 1:
        values, kind = np.unique(rows[:, 0], return_inverse=True)
        return values[:, None], kind.astype(np.int32)
    values, kind = np.unique(rows, axis=0, return_inverse=True)
    return values, kind.ravel().astype(np.int32)


def read_sequences(
    emissions: Emissions, data: Any, name: str = "", columns: Columns | None = None, partial: bool = False
) -> Sequences:
    """Sequences from what a user hands in, as numbers, every value looked at.

    Parameters
    ----------
    data : one sequence as an array [t, n_columns] (or [t] where there is one column) or a table with names; several as
        a list of arrays, of lists or of tables; or `Sequences`. name : what errors begin with.
    columns : the names by which columns are found. partial : whether some may be left out, and are missing then.

    Raises
    ------
    ModelError : what is no sequence, has the wrong width, holds a value outside the domain; the message names the
        sequence and its row.
    """
    reader = Reader(emissions, columns, partial)
    if isinstance(data, Sequences):
        rows = reader.rows(data.data, name)
        return Sequences(reader.checked(np.split(rows, data.ends[:-1]), rows, name), data.sizes, data.many)
    if not are_many(data):
        return Sequences(reader.one(data, name), None, False)
    if len(data) == 0:
        raise ModelError(f"{name}there is no sequence; give a list of at least one")
    parts = [reader.rows(part, f"{name}sequence {number}: ") for number, part in enumerate(data)]
    same = len({part.shape[1:] for part in parts}) == 1 and all(map(len, parts))
    rows = np.concatenate(parts) if same else None
    return Sequences(reader.checked(parts, rows, name), np.array([len(p) for p in parts]))


class Reader(NamedTuple):
    """What is known of the rows that are read."""

    emissions: Emissions
    columns: Columns | None
    partial: bool

    def rows(self, data: Any, name: str) -> np.ndarray:
        """The rows of one sequence; their values are still to be looked at."""
        n = self.emissions.n_columns
        if np.ndim(data) == 0 and not is_named(data):
            raise ModelError(f"{name}expected a sequence of rows, got {data!r}")
        if self.columns is not None:
            read = self.columns.evidence if self.partial else self.columns.read
            array = read(data, name)
        else:
            array = read_table(None, data, name, n == 1 or not np.size(data))
        return array.reshape(0, n) if not array.size else array

    def one(self, data: Any, name: str) -> np.ndarray:
        """The rows of one sequence, looked at."""
        return self.looked_at(self.rows(data, name), name)

    def looked_at(self, rows: np.ndarray, name: str) -> np.ndarray:
        """Rows, of which there are some, every value looked at."""
        if not len(rows):
            raise ModelError(f"{name}there are no rows; every sequence needs at least one row")
        return self.emissions.check(rows, name, self.columns and self.columns.names)

    def checked(self, parts: list[np.ndarray], rows: np.ndarray | None, name: str) -> np.ndarray:
        """All rows at once; where something is wrong, one sequence after another, to name it."""
        try:
            if rows is not None:
                return self.looked_at(rows, name)
        except ModelError:
            pass
        for number, part in enumerate(parts):
            self.looked_at(part, f"{name}sequence {number}: ")
        raise ModelError(f"{name}the sequences differ in the number of columns")


def as_many(data: Any) -> Any:
    """Sequences as they are; one of them as a list."""
    return data if isinstance(data, Sequences) or are_many(data) else [data]


def are_many(data: Any) -> bool:
    """A list of arrays, of lists or of tables; a list of numbers or of cases is one sequence."""
    if not isinstance(data, list | tuple):
        return False
    first = data[0] if len(data) else []
    if isinstance(first, Mapping):
        return any(np.ndim(column) for column in first.values())
    return isinstance(first, list) or is_frame(first) or np.ndim(first) > 0
