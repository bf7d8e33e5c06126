"""Tables of other libraries, of pandas, polars and arrow, all of them through narwhals: in, and made anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tractable.models._base import ModelError
from tractable.models.unnamed import not_understood
from tractable.models.values import text_of

FRAMES = ("pandas", "polars", "pyarrow")


def once(names: Iterable[Any]) -> list[str]:
    """Names of columns as text, each of them there once."""
    found = [text_of(name) for name in names]
    if len({*found}) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ModelError(f"two columns have the name {twice!r}; rename one of them")
    return found


def is_frame(data: Any) -> bool:
    """Whether data are a table of another library."""
    if isinstance(data, np.ndarray | Mapping | list | tuple) or not hasattr(data, "__len__"):
        return False
    return frame_in(data) is not None


def frame_in(data: Any) -> Any:
    """A table of another library as narwhals sees it, None where it is none."""
    import narwhals as nw

    if hasattr(data, "iloc") and hasattr(data, "columns"):  # of pandas, whose names may be anything
        names = once(data.columns)
        data = data if names == list(data.columns) else data.set_axis(names, axis=1)
    elif hasattr(data, "column_names"):  # of arrow
        once(data.column_names)
        batch = type(data).__name__ == "RecordBatch"
        data = nw.dependencies.get_pyarrow().Table.from_batches([data]) if batch else data
    found = nw.from_native(data, eager_only=True, pass_through=True)
    return found if isinstance(found, nw.DataFrame) else None


def frame_columns(data: Any) -> dict[str, Any]:
    """The columns of a table of another library."""
    if isinstance(data, np.ndarray | list | tuple):
        raise ModelError("these columns have no names: give a DataFrame, a dict of columns or a list of dicts")
    if (frame := frame_in(data)) is None:
        raise not_understood(data)
    return {name: series_cells(frame[name]) for name in once(frame.columns)}


def series_cells(series: Any) -> Any:
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
        table = None if isinstance(data, np.ndarray | list | tuple) else frame_in(data)
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


# ---------------------------------------------------------------- out


def frame_of(columns: Mapping[str, Any], library: str | None = None) -> Any:
    """A table of a library; of the first that is installed if None."""
    import narwhals as nw

    from tractable.extras import is_there

    if library is None:
        library = next((name for name in FRAMES if is_there(name)), None)
    if library not in FRAMES:
        raise ModelError(f"a table of {', '.join(FRAMES)}: {'none is installed' if library is None else library}")
    return nw.from_dict({n: writable(c) for n, c in columns.items()}, backend=library).to_native()


def writable(column: Any) -> Any:
    """A column as other libraries take it."""
    array = np.asarray(column)
    return array if array.dtype.kind in "biuf" else array.tolist()


def as_array(cells: Sequence[Any]) -> np.ndarray:
    """Cells as an array of objects, whatever they are."""
    return np.fromiter(cells, object, len(cells))
