"""Units with several states without an order (Potts units)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.models._base import ModelError
from tractable.models.columns import Columns, cells_of
from tractable.models.frames import as_array
from tractable.models.levels import as_columns
from tractable.models.rows import columns_of, framed, is_named
from tractable.models.units import _random, _remedies
from tractable.models.units._base import Units
from tractable.models.unnamed import array_of
from tractable.models.values import number_of, state_reader, text_of


class Categorical(Units):
    """x ∈ {0, …, q − 1}, its features a vector with a single one: Γ(θ) = log Σ_k e^θ_k.

    States may have names, `q` of them: then data are read by these, and come back so. States whose names are all
    numbers, such as ratings from 1 to 5, have these as values.

    Examples
    --------
    >>> machine = tr.restricted(tr.Categorical(2, 3), 2)
    >>> machine.couplings["visible", "hidden"].shape
    (6, 2)
    >>> sorted({int(x) for row in tr.sample(machine, 50) for x in row})
    [0, 1, 2]
    >>> letters = tr.restricted(tr.Categorical(2, names="ACGT"), 2)
    >>> tr.impute(letters, [["G", None]])[0].tolist()[0], tr.Categorical(1, names=[1, 2, 5]).levels.tolist()
    ('G', [1.0, 2.0, 5.0])
    """

    n: int = eqx.field(static=True)
    zero_one: ClassVar[bool] = True
    q: int = eqx.field(static=True, default=2)
    names: tuple[str, ...] = eqx.field(static=True, default=())

    def __init__(self, n: int, q: int | None = None, names: Iterable[Any] = (), *, columns: Any = None):
        self.n, self.names = n, tuple(map(text_of, names))
        self.q = q if q is not None else len(self.names) or 2
        if self.names:
            _check_names(self.names, self.q)
        found = Columns.of(as_columns(columns), [self.q] * n)
        self.columns = found and found.with_states(dict.fromkeys(found.names, self.names) if self.names else {})

    @property
    def n_states_by_name(self) -> list[int | None]:
        return [self.q] * self.n

    def named_states(self) -> Iterator[tuple[np.ndarray, slice]]:
        if self.names:
            yield self.levels, slice(0, self.n)

    @property
    def words(self) -> tuple[str, ...]:
        """The names of the states where they are no numbers."""
        return self.names if self.names and number_of(self.names[0]) is None else ()

    @property
    def levels(self) -> np.ndarray:
        """The value of each state: its number, or what its name says where names are numbers."""
        plain = self.words or not self.names
        return np.arange(self.q) if plain else np.array([number_of(name) for name in self.names], np.float64)

    def numbers(self, data: Any) -> np.ndarray:
        if not self.names or self.columns is not None:
            return super().numbers(data)
        if is_named(data):
            return self._read(columns_of(data))
        array = array_of(data)
        if array.dtype.kind in "biuf" or array.ndim not in (1, 2):
            return array
        rows = np.atleast_2d(array)
        found = self._read({str(j): cells_of(rows[:, j]) for j in range(rows.shape[1])})
        return found[0] if array.ndim == 1 else found

    def _read(self, columns: Mapping[str, Any]) -> np.ndarray:
        codes = np.stack([state_reader(name, self.names).codes(cells) for name, cells in columns.items()], axis=1)
        return np.where(codes < 0, np.nan, self.levels.astype(np.float64)[codes])

    def named(self, values: np.ndarray, data: Any = None) -> Any:
        if not self.words or self.columns is not None:
            return super().named(values, data)
        found = as_array([*self.words, None])[np.where(np.isnan(values), self.q, values).astype(np.int64)]
        return framed(found, data)

    @property
    def n_features(self) -> int:
        return self.n * self.q

    @property
    def n_states(self) -> float:
        return self.q

    def _split(self, features: Any) -> Any:
        return features.reshape(*features.shape[:-1], self.n, self.q)

    def cumulant(self, theta: Float[Array, "*b f"]) -> Float[Array, "*b n"]:
        return jax.nn.logsumexp(self._split(theta), axis=-1)

    def mean(self, theta: Float[Array, "*b f"]) -> Float[Array, "*b f"]:
        return jax.nn.softmax(self._split(theta), axis=-1).reshape(theta.shape)

    def sample(self, key: Any, rows: Any, theta: Float[Array, "c f"]) -> Float[Array, "c f"]:
        gumbel = -jnp.log(-jnp.log(_random.uniform(key, rows, theta.shape[-1], theta.dtype)))
        states = jnp.argmax(self._split(theta + gumbel), axis=-1)
        return jax.nn.one_hot(states, self.q, dtype=theta.dtype).reshape(theta.shape)

    def field_with_mean(self, mean: np.ndarray, n_rows: float) -> np.ndarray:
        return np.log((np.asarray(mean, np.float64) * n_rows + 0.5) / (n_rows + 0.5 * self.q))

    def encode(self, values: Any) -> Any:
        if self.names:  # in single precision, as which data are held
            one_hot = jnp.asarray(values, jnp.float32)[..., None] == jnp.asarray(self.levels, jnp.float32)
        else:
            one_hot = jnp.asarray(values)[..., None] == jnp.arange(self.q)
        return one_hot.reshape(*one_hot.shape[:-2], -1).astype(float)

    def decode(self, features: Any) -> Any:
        at = self._split(features).argmax(axis=-1)
        return (
            at if not self.names else (np if isinstance(at, np.ndarray | np.integer) else jnp).asarray(self.levels)[at]
        )

    def expected(self, features: Any) -> Any:
        if self.words:  # which have no mean
            return self.decode(features)
        return self._split(features) @ self.levels.astype(features.dtype)

    def allowed(self, values: np.ndarray) -> np.ndarray:
        if self.names:
            return np.isin(np.asarray(values, np.float32), self.levels.astype(np.float32))
        return (values >= 0) & (values < self.q) & (values == np.floor(values))

    @property
    def domain(self) -> str:
        if self.names and not self.words:
            return f"one of {', '.join(self.names)}"
        return f"a whole number from 0 to {self.q - 1}"

    def remedy(self, values: np.ndarray) -> str:
        return _remedies.of_categories(values)

    def take(self, units: np.ndarray) -> Categorical:
        return Categorical(len(units), self.q, self.names)

    def states(self) -> np.ndarray:
        return np.eye(self.q)


def _check_names(names: tuple[str, ...], q: int) -> None:
    """Refuse names that are not one for each state, or of which only some are numbers."""
    if len({*names}) != q or len(names) != q:
        raise ModelError(f"expected {q} different names of states, got {', '.join(names)}")
    words = [name for name in names if number_of(name) is None]
    if 0 < len(words) < q:
        other = next(name for name in names if name not in words)
        raise ModelError(f"names of states are all numbers, or none is: {words[0]!r} beside {other!r}; rename one")
