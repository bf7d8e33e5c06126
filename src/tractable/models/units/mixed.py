"""Columns of several kinds in one layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.models._base import ModelError, nearest
from tractable.models.columns import Columns
from tractable.models.kinds import ColumnsWanted, Described, described
from tractable.models.levels import as_columns
from tractable.models.units._base import Units
from tractable.models.units.bernoulli import Bernoulli
from tractable.models.units.categorical import Categorical
from tractable.models.units.gaussian import Gaussian
from tractable.models.units.spin import Spin
from tractable.models.values import number_of, text_of


class Mixed(Units):
    """Units of several kinds, one part after another in the order of the columns.

    Γ, means and draws are those of the parts.

    Parameters
    ----------
    parts : units of each run of columns of one kind, such as ``Bernoulli(3), Gaussian(2, learned=True)``.
    columns : the names of the columns and of their categories, by which tables are read and given back.

    Raises
    ------
    ModelError : no parts; parts that are mixed themselves; names of another number of columns.

    Examples
    --------
    >>> machine = tr.restricted(tr.Mixed(tr.Bernoulli(2), tr.Gaussian(1), tr.Categorical(1, 3)), 4)
    >>> machine.n_visible, machine.couplings["visible", "hidden"].shape
    (4, (6, 4))
    >>> tr.impute(machine, [[0, 1, 0.5, float("nan")]]).shape
    (1, 4)
    """

    n: int = eqx.field(static=True)
    parts: tuple[Units, ...]

    def __init__(self, *parts: Units, columns: Any = None):
        if not parts or any(not isinstance(part, Units) or isinstance(part, Mixed) for part in parts):
            raise ModelError("Mixed takes units of each kind of columns, such as Mixed(Bernoulli(3), Gaussian(2))")
        self.n, self.parts = sum(part.n for part in parts), parts
        self.columns = _named(parts, columns)

    # ------------------------------------------------------------ parts

    def __iter__(self) -> Iterator[tuple[Units, slice, slice]]:
        """The parts with their columns and their features."""
        columns = np.cumsum([0, *(part.n for part in self.parts)]).tolist()
        features = np.cumsum([0, *(part.n_features for part in self.parts)]).tolist()
        for part, own, f in zip(self.parts, pairwise(columns), pairwise(features), strict=True):
            yield part, slice(*own), slice(*f)

    def _each(self, of: Callable[[Units, Any], Any], features: Any) -> Any:
        """What something makes of the features of each part, side by side."""
        found = [of(part, features[..., f]) for part, _, f in self]
        return (np if all(isinstance(own, np.ndarray) for own in found) else jnp).concatenate(found, axis=-1)

    @property
    def n_features(self) -> int:
        return sum(part.n_features for part in self.parts)

    @property
    def n_states(self) -> float:
        return np.inf  # there is no one number

    @property
    def states_each(self) -> tuple[int, ...]:
        """The number of states of each unit; empty where some have infinitely many."""
        if not all(np.isfinite(part.n_states) for part in self.parts):
            return ()
        return tuple(int(part.n_states) for part in self.parts for _ in range(part.n))

    def joint_states(self, index: Array, dtype: Any) -> Float[Array, "*b f"]:
        found = []
        for part in self.parts:
            found.append(part.joint_states(index, dtype))
            index = index // int(part.n_states) ** part.n
        return jnp.concatenate(found, axis=-1)

    @property
    def unit_of_feature(self) -> np.ndarray:
        return np.concatenate([own.start + part.unit_of_feature for part, own, _ in self])

    # ------------------------------------------------------------ the family

    def cumulant(self, theta: Float[Array, "*b f"]) -> Float[Array, "*b n"]:
        return self._each(lambda part, t: part.cumulant(t), theta)

    def mean(self, theta: Float[Array, "*b f"]) -> Float[Array, "*b f"]:
        return self._each(lambda part, t: part.mean(t), theta)

    def sample(self, key: Any, rows: Any, theta: Float[Array, "c f"]) -> Float[Array, "c f"]:
        found = [part.sample(jax.random.fold_in(key, i), rows, theta[..., f]) for i, (part, _, f) in enumerate(self)]
        return jnp.concatenate(found, axis=-1)

    def field_with_mean(self, mean: np.ndarray, n_rows: float) -> np.ndarray:
        return self._each(lambda part, m: part.field_with_mean(m, n_rows), np.asarray(mean))

    def log_base(self, features: Float[Array, "*b f"]) -> Float[Array, "*b"]:
        found = [part.log_base(features[..., f]) for part, _, f in self]
        return sum(found[1:], start=found[0])

    def encode(self, values: Any) -> Any:
        plain = isinstance(values, np.ndarray)  # which keeps double precision outside of jax
        array, values = (np, values) if plain else (jnp, jnp.asarray(values))
        found = [array.asarray(part.encode(values[..., own])) for part, own, _ in self]
        dtype = array.result_type(values.dtype, array.float32)
        return array.concatenate([own.astype(dtype) for own in found], axis=-1)

    def decode(self, features: Any) -> Any:
        return self._each(lambda part, x: part.decode(x), features)

    def expected(self, features: Any) -> Any:
        return self._each(lambda part, x: part.expected(x), features)

    def take(self, units: np.ndarray) -> Units:
        units = np.asarray(units)
        own = [(part, units[(units >= at.start) & (units < at.stop)] - at.start) for part, at, _ in self]
        kept = [part.take(chosen) for part, chosen in own if len(chosen)]
        if len(kept) == 1:
            return kept[0]
        return Mixed(*kept, columns=None if self.columns is None else self.columns.some(np.isin(range(self.n), units)))

    def scaled(self, beta: float) -> Mixed:
        return Mixed(*(part.scaled(beta) for part in self.parts), columns=self.columns)

    # ------------------------------------------------------------ values

    def allowed(self, values: np.ndarray) -> np.ndarray:
        return np.concatenate([part.allowed(values[..., own]) for part, own, _ in self], axis=-1)

    @property
    def domain(self) -> str:
        return ", ".join(f"columns {own.start}–{own.stop - 1}: {part.domain}" for part, own, _ in self)

    def check(self, values: np.ndarray, missing: bool = False, first_row: int = 0, columns: Any = None) -> None:
        for part, own, _ in self:
            part.check(values[..., own], missing, first_row, (columns or self.told)[own])

    @property
    def n_states_by_name(self) -> list[int | None]:
        return [n for part in self.parts for n in part.n_states_by_name]

    def named_states(self) -> Iterator[tuple[np.ndarray, slice]]:
        for part, at, _ in self:
            yield from (
                (levels, slice(at.start + own.start, at.start + own.stop)) for levels, own in part.named_states()
            )


def _named(parts: Sequence[Units], columns: Any) -> Columns | None:
    """Names of columns, with those of the states that parts have."""
    if any(part.columns is not None for part in parts):
        raise ModelError("the names of columns belong to Mixed as a whole: Mixed(…, columns=[…])")
    found = Columns.of(as_columns(columns), [n for part in parts for n in part.n_states_by_name])
    if found is None:
        return None
    each = [getattr(part, "names", ()) for part in parts for _ in range(part.n)]
    return found.with_states({name: states for name, states in zip(found.names, each, strict=True) if states})


def units_for(
    data: Any, kinds: Any = "auto", *, columns: Any = None, ignore: Any = None, categories: Any = None
) -> Units:
    """Units that can hold the columns of a table, which they read by name and give back so.

    Parameters
    ----------
    data : a DataFrame, column → values, a list of cases, or an array [n_rows, n_columns].
    kinds : ``"bernoulli"``, ``"spin"``, ``"gaussian"`` (its precision is learned), ``"categorical"``, or kind →
        columns. ``"auto"``: columns of 0 and 1 are Bernoulli, other numbers Gaussian. Text and booleans are categories
        even where another kind is asked of all columns.
    columns, ignore : which columns, see `select`.
    categories : column → names of its states or their number, for categories that data need not show; one number for
        all categorical columns.

    Raises
    ------
    ModelError : a column that is not there, of a kind that units do not have, or whose values do not fit it.

    Examples
    --------
    >>> table = {"sex": ["f", "m", "f"], "stars": [1, 5, None], "age": [31.0, 60.5, 44.0], "fit": [0, 1, 1]}
    >>> units = tr.units_for(table, categories={"stars": [1, 2, 3, 4, 5]})
    >>> [type(part).__name__ for part in units.parts], units.parts[1].q
    (['Categorical', 'Categorical', 'Gaussian', 'Bernoulli'], 5)
    >>> list(tr.sample(tr.restricted(units, 3), 2))
    ['sex', 'stars', 'age', 'fit']
    """
    found = described([data], ColumnsWanted(kinds, columns, ignore, categories))
    _check_whole(found, categories if isinstance(categories, Mapping) else {})
    parts = [[unit for _, unit in own] for _, own in groupby(_singly(found), key=lambda pair: pair[0])]
    if len(parts) == 1:
        return _together(parts[0], found.columns)
    return Mixed(*map(_together, parts), columns=found.columns)


def _check_whole(found: Described, given: Mapping[Any, Any]) -> None:
    """Refuse real numbers as states, unless they are given as such."""
    listed = {text_of(name) for name in given}
    for name, states in () if found.columns is None else found.columns.categories.items():
        real = next((state for state in states if float(number_of(state) or 0) % 1), None)
        if real is not None and name not in listed:
            raise ModelError(
                f"the column {name!r} holds real numbers such as {real}, for units 'gaussian' or 'mixed' (--units); as "
                f"states they are listed, categories={{{name!r}: […]}} (--categories {name}=…)"
            )


def _singly(found: Described) -> Iterator[tuple[Any, Units]]:
    """A unit for each column, after what it has in common with those that it is put together with."""
    n = found.rows.shape[1]
    by_kind = {found.kinds: range(n)} if isinstance(found.kinds, str) else found.kinds
    if strange := next((kind for kind in by_kind if kind not in _OF_KIND), None):
        raise ModelError(f"no units are {strange!r}{nearest(strange, _OF_KIND)}; there are {', '.join(_OF_KIND)}")
    of = {j: kind for kind, own in by_kind.items() for j in own}
    names = [()] * n if found.columns is None else [found.columns.categories.get(v, ()) for v in found.columns.names]
    return (_kind(of[j], found.rows[:, j], found.n_states[j], names[j]) for j in range(n))


_OF_KIND: dict[str, type[Units]] = {
    "bernoulli": Bernoulli,
    "categorical": Categorical,
    "gaussian": Gaussian,
    "spin": Spin,
}


def _kind(kind: str, column: np.ndarray, n_states: int | None, names: Sequence[str]) -> tuple[Any, Units]:
    """A unit for a column, after what it has in common with those that are put together with it."""
    if kind == "categorical":
        q = n_states or int(np.nanmax(column, initial=1)) + 1
        return (kind, q, tuple(names)), Categorical(1, q, names)
    return (kind,), _OF_KIND[kind](1)


def _together(units: Sequence[Units], columns: Columns | None = None) -> Units:
    """Units that are alike as one group."""
    first, n = units[0], len(units)
    if isinstance(first, Categorical):
        return Categorical(n, first.q, first.names, columns=columns)
    if isinstance(first, Gaussian):
        return Gaussian(n, learned=True, columns=columns)
    return type(first)(n, columns=columns)
