"""Rows of data as users hand them in, and as they get them back: columns by name, in whatever container they came."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from tractable.models._base import ModelError, nearest
from tractable.models.values import ordered_values, text_of

Names = str | Collection[str]


class Rows(dict[str, np.ndarray]):
    """Rows of data: columns of equal length by name; what `sample` and `impute` give where they got no table.

    A dictionary, so that any library makes a table of it.

    Examples
    --------
    >>> net = tr.MarkovNetwork({"rain": ["no", "yes"]}, [(["rain"], [0.0, 3.0])])
    >>> rows = tr.sample(net, 3)
    >>> len(rows["rain"]), rows["rain"][0], rows.n_rows
    (3, 'yes', 3)
    """

    def __missing__(self, name: str) -> np.ndarray:
        raise KeyError(f"{name!r}{nearest(str(name), self)}")

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.values()), ()))

    def to_frame(self, library: str | None = None) -> Any:
        """The rows as a table of ``"pandas"``, ``"polars"`` or ``"pyarrow"``; the first that is installed if None."""
        return frame_of(self, library)


# ---------------------------------------------------------------- in


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


def is_frame(data: Any) -> bool:
    """Whether data are a table of another library."""
    if isinstance(data, np.ndarray | Mapping | list | tuple) or not hasattr(data, "__len__"):
        return False
    return _frame(data) is not None


def columns_of(data: Any) -> dict[str, Any]:
    """The columns of a table of another library, of name → column, or of a list of cases: arrays of numbers, or lists.

    Raises
    ------
    ModelError : two columns of one name, columns of different lengths, data without names.
    """
    if isinstance(data, Mapping):
        found = _named([(name, _plain(column)) for name, column in data.items()])
    elif isinstance(data, np.ndarray) and data.dtype.names is not None:
        found = {name: _plain(data[name]) for name in data.dtype.names}
    else:
        found = _of_cases(data) if is_case_list(data) else _of_frame(data)
    return _checked(found)


def _of_cases(data: Any) -> dict[str, list[Any]]:
    cases = [{text_of(name): value for name, value in case.items()} for case in data]
    return {name: [case.get(name) for case in cases] for name in dict.fromkeys(name for case in cases for name in case)}


def n_rows_of(data: Any) -> int:
    """The number of rows of data."""
    if isinstance(data, Mapping):
        return len(next(iter(data.values()), ()))
    return len(data)


def _named(columns: list[tuple[Any, Any]]) -> dict[str, Any]:
    names = [text_of(name) for name, _ in columns]
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ModelError(f"two columns have the name {twice!r}; rename one of them")
    return dict(zip(names, (column for _, column in columns), strict=True))


def _checked(columns: dict[str, Any]) -> dict[str, Any]:
    """Columns, all as long as the first."""
    lengths = {name: _length(name, column) for name, column in columns.items()}
    first = next(iter(lengths.values()), 0)
    for name, n in lengths.items():
        if n != first:
            raise ModelError(f"the column {name!r} has {n} rows, the first one has {first}")
    return columns


def _length(name: str, column: Any) -> int:
    if isinstance(column, str | bytes) or not hasattr(column, "__len__"):
        raise ModelError(f"the column {name!r} is a single value, {column!r}; repeat it for every row")
    return len(column)


def _plain(column: Any) -> Any:
    """A column as a list, or as an array of numbers; one of another library first made one of these."""
    if isinstance(column, list | tuple | str | bytes) or not hasattr(column, "__len__"):
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
        return _cells(series)
    return np.asarray(column) if hasattr(column, "__array__") else list(column)


def _frame(data: Any) -> Any:
    """A table of another library as narwhals sees it, None where it is none."""
    import narwhals as nw

    names = list(getattr(data, "columns", ()))
    if len({*map(text_of, names)}) < len(names) and hasattr(data, "iloc"):  # of pandas, which narwhals refuses
        _named([(name, None) for name in names])
    if hasattr(data, "iloc") and not all(isinstance(name, str) for name in names):
        data = data.rename(columns=text_of)
    found = nw.from_native(data, eager_only=True, pass_through=True)
    return found if isinstance(found, nw.DataFrame) else None


def _of_frame(data: Any) -> dict[str, Any]:
    if (frame := _frame(data)) is None:
        lazy = "; collect it first" if hasattr(data, "collect") else ""
        raise ModelError(
            f"data of type {type(data).__name__} are not understood{lazy}; "
            "give a dict, a list of dicts, a DataFrame or an array of shape [n_rows, n_variables]"
        )
    names = list(frame.columns)
    return _named([(name, _cells(frame[name])) for name in names])


def _cells(series: Any) -> Any:
    """A column of another library: an array where it holds numbers and has no gaps, else a list with None for gaps."""
    import narwhals as nw

    plain = series.dtype.is_numeric() or series.dtype == nw.Boolean
    if not series.null_count():
        return series.to_numpy() if plain and series.dtype != nw.Decimal else series.to_list()
    cells = as_array(series.to_list())
    cells[series.is_null().to_numpy()] = None
    return cells.tolist()


def declared(data: Any) -> dict[str, tuple[str, ...]]:
    """The categories that columns say they have, in their order, those that do not turn up too.

    Of pandas' categorical columns, of those of an ``Enum`` of polars, and of dictionaries of arrow; booleans have two.
    """
    import narwhals as nw

    if isinstance(data, Mapping):
        frame: Mapping[str, Any] = {}
        for name, column in data.items():
            if isinstance(column, np.ndarray | list | tuple):
                continue  # which declares nothing, and there may be many
            found = nw.from_native(column, series_only=True, pass_through=True)
            frame |= {text_of(name): found} if isinstance(found, nw.Series) else {}
    else:
        table = None if isinstance(data, np.ndarray | list | tuple) else _frame(data)
        frame = {} if table is None else {name: table[name] for name in table.columns}
    return {text_of(name): own for name, series in frame.items() if (own := _categories(series))}


def _categories(series: Any) -> tuple[str, ...]:
    import narwhals as nw

    if series.dtype == nw.Boolean:
        return ("False", "True")
    if series.dtype == nw.Enum:
        return tuple(map(text_of, series.dtype.categories))
    native = series.to_native()
    if series.dtype != nw.Categorical or series.implementation.is_polars():
        return ()  # a Categorical of polars does not say which categories are its own
    if series.implementation.is_pyarrow():
        chunks = native.unify_dictionaries().chunks
        return tuple(map(text_of, chunks[0].dictionary.to_pylist())) if chunks else ()
    return tuple(map(text_of, native.cat.categories))


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
        return _frame(data).select(kept).to_native()
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
        return _frame(data)[rows if isinstance(rows, slice) else rows.tolist()].to_native()
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


def as_array(cells: Sequence[Any]) -> np.ndarray:
    """Cells as an array: of text where all are text, of objects where they are mixed."""
    out = np.empty(len(cells), object)
    out[:] = cells
    return out


# ---------------------------------------------------------------- out


def like(data: Any, columns: Mapping[str, Any]) -> Any:
    """Columns in the container that `data` came in: a table, a list of cases, an array, or `Rows`."""
    if is_case_list(data):
        cells = [np.asarray(column).tolist() for column in columns.values()]
        return [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]
    if is_frame(data):
        return _frame_like(data, columns)
    if isinstance(data, Mapping) or data is None or (isinstance(data, np.ndarray) and data.dtype.names):
        return Rows(columns)
    return np.stack([np.asarray(column) for column in columns.values()], axis=1)


def _frame_like(data: Any, columns: Mapping[str, Any]) -> Any:
    """A table of the library that another one is of, and with its index where it has as many rows."""
    import narwhals as nw

    made = nw.from_dict({n: _writable(c) for n, c in columns.items()}, backend=nw.get_native_namespace(data))
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

    frame = _frame(data)
    made = [nw.new_series(n, _writable(c), backend=frame.implementation) for n, c in columns.items()]
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
    if not is_frame(data) or np.shape(found) != (len(data), len(columns_of(data))):
        return found
    return like(data, dict(zip(columns_of(data), np.asarray(found).T, strict=True)))


def _writable(column: Any) -> Any:
    array = np.asarray(column)
    return array if array.dtype.kind in "biuf" else array.tolist()


FRAMES = ("pandas", "polars", "pyarrow")


def frame_of(columns: Mapping[str, Any], library: str | None = None) -> Any:
    """A table of a library; of the first that is installed if None."""
    import narwhals as nw

    from tractable.extras import is_there

    if library is None:
        library = next((name for name in FRAMES if is_there(name)), None)
    if library not in FRAMES:
        raise ModelError(f"a table of {', '.join(FRAMES)}: {'none is installed' if library is None else library}")
    return nw.from_dict({n: _writable(c) for n, c in columns.items()}, backend=library).to_native()
