"""Rows of data as users hand them in, and as they get them back: columns by name, in whatever container they came."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from tractable.models._base import ModelError, nearest
from tractable.models.frames import as_array, frame_columns, frame_in, frame_of, is_frame, once, series_cells, writable
from tractable.models.values import ordered_values, text_of

Names = str | Collection[str]


class Rows(dict[str, np.ndarray]):
    """Rows of data: columns of equal length by name; what `sample` and `impute` give where they got no table.

    A dictionary, so that any library makes a table of it. What was drawn by chains has its ``verdict``.

    Examples
    --------
    >>> net = tr.MarkovNetwork({"rain": ["no", "yes"]}, [(["rain"], [0.0, 3.0])])
    >>> rows = tr.sample(net, 3)
    >>> len(rows["rain"]), rows["rain"][0], rows.n_rows
    (3, 'yes', 3)
    """

    verdict: str = "exact"

    def __missing__(self, name: str) -> np.ndarray:
        raise KeyError(f"{name!r}{nearest(str(name), self)}")

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.values()), ()))

    def _repr_html_(self) -> str:
        from tractable import _html

        return _html.rows(self)

    def to_frame(self, library: str | None = None) -> Any:
        """The rows as a table of ``"pandas"``, ``"polars"`` or ``"pyarrow"``; the first that is installed if None."""
        return frame_of(self, library)


# ---------------------------------------------------------------- in


def is_column(value: Any) -> bool:
    """Whether this holds many values in an order: no text, no mapping, no set, not a single value."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    if isinstance(value, str | bytes | Mapping | set | frozenset):
        return False
    return hasattr(value, "__len__") and hasattr(value, "__iter__")


def as_case(given: Any) -> Mapping[Any, Any] | None:
    """One case by name: a mapping, a named tuple, a row of a table of pandas; None for anything else."""
    if isinstance(given, Mapping):
        return given
    if hasattr(given, "_asdict"):
        return given._asdict()
    return given.to_dict() if hasattr(given, "to_dict") and getattr(given, "ndim", 2) == 1 else None


def is_case_list(data: Any) -> bool:
    """Whether data are a list of cases, each a mapping of name to value."""
    return isinstance(data, list | tuple) and all(isinstance(case, Mapping) for case in data)


def is_named(data: Any) -> bool:
    """Whether the columns of data have names: a table of another library, name → column, or a list of cases."""
    if isinstance(data, np.ndarray):
        return data.dtype.names is not None
    if isinstance(data, Mapping):
        return True
    return (is_case_list(data) and len(data) > 0) or is_frame(data)


def columns_of(data: Any) -> dict[str, Any]:
    """The columns of a table of another library, of name → column, or of a list of cases: arrays of numbers, or lists.

    Raises
    ------
    ModelError : two columns of one name, columns of different lengths, data without names.
    """
    if isinstance(data, Mapping):
        found = dict(zip(once(data), map(_plain, data.values()), strict=True))
    elif isinstance(data, np.ndarray) and data.dtype.names is not None:
        found = {name: _plain(data[name]) for name in data.dtype.names}
    else:
        found = _of_cases(data) if is_case_list(data) else frame_columns(data)
    return _checked(found)


def _of_cases(data: Any) -> dict[str, list[Any]]:
    cases = [{text_of(name): value for name, value in case.items()} for case in data]
    return {name: [case.get(name) for case in cases] for name in dict.fromkeys(name for case in cases for name in case)}


def n_rows_of(data: Any) -> int:
    """The number of rows of data."""
    if isinstance(data, Mapping):
        return len(next(iter(data.values()), ()))
    return len(data)


def _checked(columns: dict[str, Any]) -> dict[str, Any]:
    """Columns, all as long as the first."""
    lengths = {name: _length(name, column) for name, column in columns.items()}
    first = next(iter(lengths.values()), 0)
    for name, n in lengths.items():
        if n != first:
            raise ModelError(f"the column {name!r} has {n} rows, the first one has {first}")
    return columns


def _length(name: str, column: Any) -> int:
    if getattr(column, "ndim", 1) > 1:
        raise ModelError(f"the column {name!r} has the shape {column.shape}; a column has one axis, [n_rows]")
    if is_column(column):
        return len(column)
    if hasattr(column, "weights"):
        raise ModelError(f"the column {name!r}: soft evidence is for networks, in evidence of infer and its like")
    if isinstance(column, Mapping):
        raise ModelError(f"the column {name!r} is a dict; give its values as a list, as frame.to_dict('list') does")
    if isinstance(column, set | frozenset):
        raise ModelError(f"the column {name!r} is a set, which has no order; give a list")
    raise ModelError(f"the column {name!r} is a single value, {column!r:.80}; repeat it for every row")


def _plain(column: Any) -> Any:
    """A column as a list, or as an array of numbers; one of another library first made one of these."""
    if isinstance(column, list | tuple) or not is_column(column):
        return column
    if isinstance(column, np.ma.MaskedArray):
        return column.tolist()
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "mM":  # as numbers of nanoseconds they would be numbers
            column = column.astype(f"{column.dtype.kind}8[us]")
        return column if column.dtype.kind in "biuf" or column.ndim != 1 else column.tolist()
    import narwhals as nw

    series = nw.from_native(column, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        return series_cells(series)
    return np.asarray(column) if hasattr(column, "__array__") else list(column)


def values_of(column: Any) -> list[str]:
    """The different values in a column as names of states."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "biuf":
        return ordered_values(np.unique(column[~np.isnan(column)] if column.dtype.kind == "f" else column))
    try:
        return ordered_values({*column})
    except TypeError:
        raise ModelError("holds lists; a state is text, a number or a boolean") from None


# ---------------------------------------------------------------- some of the columns


def select(data: Any, columns: Names | None = None, ignore: Names = ()) -> Any:
    """The data with some of their columns only: `columns` by name, in this order, or all but those to `ignore`.

    Parameters
    ----------
    data : a DataFrame (the same kind comes back), name → column, a list of cases; or an array, by number from 0.

    Raises
    ------
    ModelError : a column that is not there; data whose columns have no names.

    Examples
    --------
    >>> tr.select({"id": [7, 8], "rain": ["no", "yes"]}, ignore="id")["rain"].tolist()
    ['no', 'yes']
    """
    if isinstance(data, np.ndarray) and data.dtype.names is None and data.ndim == 2:
        return data[:, list(map(int, _kept([str(j) for j in range(data.shape[1])], columns, ignore)))]
    if not is_named(data):
        raise ModelError(f"data of type {type(data).__name__} have no names of columns to choose by")
    found = columns_of(data)
    kept = _kept(list(found), columns, ignore)
    if is_frame(data):
        return frame_in(data).select(kept).to_native()
    return _cases_of(data, kept) if is_case_list(data) else Rows({name: _objects(found[name]) for name in kept})


def _cases_of(data: Any, kept: list[str]) -> list[dict[Any, Any]]:
    cases = [{text_of(name): (name, value) for name, value in case.items()} for case in data]
    return [dict(case[name] for name in kept if name in case) for case in cases]


def _kept(known: list[str], columns: Any, ignore: Any) -> list[str]:
    """The names of the columns that are kept, in the order in which they are asked for."""
    wanted, left = as_names(columns), {*(as_names(ignore) or ())}
    there = {*known}
    if strange := [name for name in (*(wanted or ()), *left) if name not in there]:
        raise unknown_column(strange[0], known)
    return [name for name in (known if wanted is None else wanted) if name not in left]


def take(data: Any, rows: Any) -> Any:
    """Some of the rows, by a slice or an array of numbers; a table stays one of the same library."""
    if is_frame(data):
        return frame_in(data)[rows if isinstance(rows, slice) else rows.tolist()].to_native()
    if is_case_list(data):
        return data[rows] if isinstance(rows, slice) else [data[i] for i in rows]
    if not is_named(data):
        return data[rows]
    return Rows({name: _objects(column)[rows] for name, column in columns_of(data).items()})


def as_names(given: Any) -> list[str] | None:
    """Names of columns: one, or several."""
    if given is None:
        return None
    return [text_of(given)] if isinstance(given, str | int | np.integer) else [text_of(name) for name in given]


def unknown_column(name: str | int, known: Collection[str]) -> ModelError:
    """The error for a column that is not there."""
    return ModelError(f"there is no column {name!r}{nearest(str(name), known)}; there are {listed(known)}")


def listed(names: Collection[str]) -> str:
    """The first names of a list as they are typed on the command line: those with a comma in quotes."""
    typed = (f'"{name}"' if "," in name else name for name in islice(names, 12))
    return ", ".join(typed) + (", …" if len(names) > 12 else "")


def _objects(column: Any) -> np.ndarray:
    return column if isinstance(column, np.ndarray) else as_array(column)


# ---------------------------------------------------------------- out


def like(data: Any, columns: Mapping[str, Any]) -> Any:
    """Columns in the container that `data` came in: a table, a list of cases, an array, or `Rows`."""
    if is_frame(data):
        return _frame_like(data, columns)
    if data is None or isinstance(data, Mapping) or getattr(getattr(data, "dtype", None), "names", None):
        return Rows(columns)
    return _rows_like(data, columns)


def _rows_like(data: Any, columns: Mapping[str, Any]) -> Any:
    """A list of cases, or an array; of no columns as many rows as there were."""
    cells = [np.asarray(column) for column in columns.values()]
    if not is_case_list(data):
        return np.stack(cells, axis=1) if cells else np.empty((len(data), 0), object)
    rows = zip(*(column.tolist() for column in cells), strict=True) if cells else ((),) * len(data)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _frame_like(data: Any, columns: Mapping[str, Any]) -> Any:
    """A table of the library that another one is of, and with its index where it has as many rows."""
    import narwhals as nw

    made = nw.from_dict({n: writable(c) for n, c in columns.items()}, backend=frame_in(data).implementation)
    native = made.to_native()
    if hasattr(data, "iloc") and len(native) == len(data):
        native.index = data.index
    return native


def replaced(data: Any, columns: Mapping[str, Any]) -> Any:
    """Named data with these columns in place of their own, everything else as it came: order, types, index."""
    if is_case_list(data):
        return _cases_replaced(data, {name: np.asarray(column).tolist() for name, column in columns.items()})
    if not is_frame(data):
        return Rows({name: _objects(c) for name, c in {**columns_of(data), **columns}.items()})
    import narwhals as nw

    frame = frame_in(data)
    made = [nw.new_series(n, writable(c), backend=frame.implementation) for n, c in columns.items()]
    new = frame.with_columns(_as_before(series, frame[series.name]) for series in made).to_native()
    if hasattr(data, "iloc"):
        new.columns = data.columns
    return new


def _cases_replaced(cases: Sequence[Any], columns: Mapping[str, list[Any]]) -> list[dict[Any, Any]]:
    own = {text_of(name): name for case in cases for name in case}
    return [{**case, **{own[n]: cells[row] for n, cells in columns.items()}} for row, case in enumerate(cases)]


def _as_before(series: Any, old: Any) -> Any:
    """A column in the type that it had, where that holds the same values."""
    import narwhals as nw

    native = series.to_native()
    try:
        if hasattr(native, "iloc"):  # a type of pandas says more than its counterpart here: the categories
            cast = nw.from_native(native.astype(old.to_native().dtype), series_only=True)
        else:
            cast = series.cast(old.dtype)
        return cast if old.dtype.is_float() or cast.to_list() == series.to_list() else series
    except Exception:  # each of the libraries has its own
        return series


def framed(found: Any, data: Any) -> Any:
    """Numbers [n_rows, n_columns] as a table like the one that came in, where one did, with its columns' names."""
    if not (is_frame(data) or is_case_list(data)) or np.shape(found) != (len(data), len(columns_of(data))):
        return found
    return like(data, dict(zip(columns_of(data), np.asarray(found).T, strict=True)))
