"""What a kind of unit has to say of itself: its cumulant function, how to draw it, and which values it takes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tractable.models._base import ModelError
from tractable.models.columns import Columns, numbers_of
from tractable.models.levels import as_columns, read, written
from tractable.models.rows import framed


class Units(eqx.Module):
    """A group of `n` units of one kind: an exponential family p(x) ∝ q(x) exp(θ·T(x)) for each unit.

    T(x) are the features of a state (one number for most kinds, one for each state of a categorical unit), θ its
    natural parameter and q a base measure. The cumulant function Γ(θ) = log Σ_x q(x) exp(θ·T(x)) gives the rest: the
    expected features are ∇Γ(θ), their covariance ∇²Γ(θ), the entropy Γ(θ) − θ·∇Γ(θ) (for q = 1).

    Units that hold data may have names, ``columns=["a", "b"]``: then tables are read by these, and come back so.

    Examples
    --------
    >>> spins = tr.Spin(2)
    >>> spins.n_states, spins.domain
    (2, '−1 or 1')
    >>> isinstance(spins, tr.models.units.Units)
    True
    """

    n: eqx.AbstractVar[int]
    columns: Columns | None = eqx.field(static=True, default=None, kw_only=True, repr=False, converter=as_columns)
    zero_one: ClassVar[bool] = False  # whether features are zeros and ones

    def __check_init__(self) -> None:
        Columns.of(self.columns, self.n_states_by_name)

    @property
    def n_features(self) -> int:
        """The length of the feature vector of the whole group."""
        return self.n

    @property
    def n_states(self) -> float:
        """How many states a unit has; infinite for a continuous one."""
        return 2

    @property
    def unit_of_feature(self) -> np.ndarray:
        """The unit that each feature belongs to."""
        return np.repeat(np.arange(self.n), self.n_features // max(self.n, 1))

    @property
    def first_features(self) -> np.ndarray:
        """The first feature of each unit."""
        return np.unique(self.unit_of_feature, return_index=True)[1]

    @abstractmethod
    def cumulant(self, theta: Float[Array, "*b f"]) -> Float[Array, "*b n"]:
        """Γ(θ) of each unit."""

    @abstractmethod
    def sample(self, key: Any, rows: Any, theta: Float[Array, "c f"]) -> Float[Array, "c f"]:
        """The features of a state drawn for each unit and each row; row r depends on `key` and ``rows[r]`` alone."""

    def mean(self, theta: Float[Array, "*b f"]) -> Float[Array, "*b f"]:
        """Expected features ∇Γ(θ)."""
        return jax.grad(lambda t: self.cumulant(t).sum())(theta)

    @abstractmethod
    def field_with_mean(self, mean: np.ndarray, n_rows: float) -> np.ndarray:
        """The natural parameter with these expected features, shrunk by half a count so that it stays finite."""

    def log_base(self, features: Float[Array, "*b f"]) -> Float[Array, "*b"]:
        """log q(x), summed over the units."""
        return jnp.zeros(features.shape[:-1], features.dtype)

    def encode(self, values: Any) -> Any:
        """The features of given values [..., n]."""
        return values

    def decode(self, features: Any) -> Any:
        """The values [..., n] of features; of expected features, the expected value (categorical: the likeliest)."""
        return features

    def expected(self, features: Any) -> Any:
        """The expected values [..., n] of expected features; of states that are words the likeliest."""
        return self.decode(features)

    def numbers(self, data: Any) -> np.ndarray:
        """Data as numbers [..., n], NaN for what is missing, whatever they came in."""
        return numbers_of(data) if self.columns is None else read(self.columns, self.named_states(), data)

    def named(self, values: np.ndarray, data: Any = None) -> Any:
        """Values [n_rows, n] by the names that the units have for them, in the container that the data came in."""
        if self.columns is None:
            return framed(values, data)
        return written(self.columns, self.named_states(), values, data)

    @property
    def n_states_by_name(self) -> list[int | None]:
        """How many states each column has that have names, where it has columns; None for one of numbers."""
        return [None] * self.n

    def named_states(self) -> Iterator[tuple[np.ndarray, slice]]:
        """The values of states that have names, with the columns that have these."""
        yield from ()

    @abstractmethod
    def allowed(self, values: np.ndarray) -> np.ndarray:
        """Which of the values [..., n] a unit can take."""

    @property
    @abstractmethod
    def domain(self) -> str:
        """The values a unit can take, in words."""

    def remedy(self, values: np.ndarray) -> str:
        """What to do about data that hold other values, by what all of them are; nothing where nothing is known."""
        return ""

    def take(self, units: np.ndarray) -> Units:
        """The group of some of the units."""
        return type(self)(len(units))

    def scaled(self, beta: float) -> Units:
        """The same units with the base measure q(x)^β."""
        if type(self).log_base is not Units.log_base:
            raise ModelError(f"{type(self).__name__} units do not say what their base measure is to a power")
        return self

    def states(self) -> np.ndarray:
        """The features [n_states, features of one unit] of each state of one unit."""
        raise ModelError(f"{type(self).__name__.lower()} units have no list of states; integrate them out instead")

    def joint_states(self, index: Array, dtype: Any) -> Float[Array, "*b f"]:
        """The features of the joint states of all units with these numbers."""
        base, digits = int(self.n_states), []
        for _ in range(self.n):
            digits.append(index % base)
            index = index // base
        table = jnp.asarray(self.states(), dtype)
        return table[jnp.stack(digits, axis=-1)].reshape(*index.shape, self.n_features)

    @property
    def told(self) -> Sequence[Any]:
        """What messages call the columns."""
        return range(self.n) if self.columns is None else [*map(repr, self.columns.names)]

    def check(self, values: np.ndarray, missing: bool = False, first_row: int = 0, columns: Any = None) -> None:
        """Raise for the first value outside the domain, naming its row, counted from the first one, and its column.

        `columns` are what messages call the columns; their names, or numbers, if absent.
        """
        bad = ~self.allowed(values)
        if missing:
            bad &= ~np.isnan(values) if values.dtype.kind == "f" else True
        if not bad.any():
            return
        *row, column = (int(i) for i in np.argwhere(bad)[0])
        value, called = values[(*row, column)], (columns or self.told)[column]
        where = f"row {first_row + row[0]}, column {called}" if row else f"column {called}"
        if value != value:
            raise ModelError(f"{where}: the value {value} is missing; impute it first")
        told = self.remedy(values[~np.isnan(values)] if values.dtype.kind == "f" else values)
        raise ModelError(f"{where}: the value {value} is not one of this unit: {self.domain}{told and '; '}{told}")
