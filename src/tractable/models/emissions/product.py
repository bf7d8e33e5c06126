"""Columns of different kinds side by side: numbers, counts and states in one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tractable.models._base import ModelError, set_fields
from tractable.models.emissions._base import Emissions, Levels, Statistics, two_axes


@dataclass(frozen=True, eq=False, repr=False)
class ProductEmissions(Emissions):
    """p(x | k) = ∏_parts p(x_columns | k): parts are independent given the component.

    Parameters
    ----------
    parts : the emissions of each part, all of K components.
    columns : the columns that each part describes; together every column once.

    Raises
    ------
    ModelError : parts of different K, columns left out or named twice, a part with another number of columns.

    Examples
    --------
    >>> mixed = tr.ProductEmissions([tr.BernoulliEmissions([[0.5]]), tr.PoissonEmissions([[2.0]])], [[1], [0]])
    >>> mixed.log_likelihood([[0, 1]]).round(6).tolist()
    [[-2.693147]]
    """

    kind: ClassVar[str] = "product"
    domain: ClassVar[str] = "in the domain of its column"
    prior_strength: ClassVar[float] = np.nan

    parts: Sequence[Emissions]
    columns: Sequence[Sequence[int]]

    def __post_init__(self) -> None:
        columns = tuple(tuple(int(c) for c in own) for own in self.columns)
        parts = tuple(self.parts)
        if not parts or len(parts) != len(columns):
            raise ModelError(f"{len(parts)} parts with {len(columns)} lists of columns: give one list for each part")
        if sorted(c for own in columns for c in own) != list(range(sum(map(len, columns)))):
            raise ModelError(f"the parts must name every column once, got {columns}")
        self._check_parts(parts, columns)
        set_fields(self, parts=parts, columns=columns)

    @staticmethod
    def _check_parts(parts: tuple[Emissions, ...], columns: tuple[tuple[int, ...], ...]) -> None:
        for part, own in zip(parts, columns, strict=True):
            if part.n_columns != len(own) or part.n_components != parts[0].n_components:
                wanted = f"{parts[0].n_components} components and {len(own)} columns"
                raise ModelError(f"{part!r} takes the columns {own}: expected {wanted}")

    @property
    def means(self) -> np.ndarray:
        """The expected row of each component."""
        return self._assembled([part.means for part in self.parts])

    @property
    def deviations(self) -> np.ndarray:
        """Those of the parts."""
        return self._assembled([part.deviations for part in self.parts])

    def cumulative(self, x: np.ndarray) -> np.ndarray:
        """Those of the parts."""
        return self._assembled(self._each(x, lambda part, own: part.cumulative(own)))

    @property
    def whole(self) -> np.ndarray:
        """Those of the parts."""
        return self._assembled([part.whole[None] for part in self.parts])[0]

    @property
    def n_parameters(self) -> int:
        """The sum over the parts."""
        return sum(part.n_parameters for part in self.parts)

    @property
    def n_components(self) -> int:
        """K."""
        return self.parts[0].n_components

    @property
    def n_columns(self) -> int:
        """d."""
        return sum(map(len, self.columns))

    def arrays(self) -> dict[str, np.ndarray]:
        """The parameters of all parts, with the part's number before their names."""
        return {f"{i}.{name}": array for i, part in enumerate(self.parts) for name, array in part.arrays().items()}

    @property
    def column_states(self) -> tuple[int | None, ...]:
        """Those of the parts."""
        found: list[int | None] = [None] * self.n_columns
        for part, own in zip(self.parts, self.columns, strict=True):
            for column, n in zip(own, part.column_states, strict=True):
                found[column] = n
        return tuple(found)

    def domain_of(self, column: int) -> str:
        """What the part of a column says of it."""
        part, own = next((p, own) for p, own in zip(self.parts, self.columns, strict=True) if column in own)
        return part.domain_of(own.index(column))

    def _assembled(self, blocks: Sequence[np.ndarray]) -> np.ndarray:
        """Columns of the parts in their places."""
        places = np.argsort([c for own in self.columns for c in own])
        return np.concatenate(blocks, axis=-1)[..., places]

    def _each(self, x: Any, ask: Callable[[Emissions, np.ndarray], Any]) -> list[Any]:
        """The answers of the parts, each about its columns."""
        rows = two_axes(x)
        return [ask(part, rows[:, own]) for part, own in zip(self.parts, self.columns, strict=True)]

    def allowed(self, x: np.ndarray) -> np.ndarray:
        """What the part of each column allows."""
        return self._assembled(self._each(x, lambda part, own: part.allowed(own)))

    @classmethod
    def pooled(cls, x: Any, n_components: int, weights: np.ndarray | None = None) -> ProductEmissions:
        """Not known without the parts: see `emissions_for`."""
        raise ModelError("which columns are of which kind? Use emissions_for({kind: columns}, x, n_components)")

    def repooled(self, x: Any, weights: np.ndarray | None = None) -> ProductEmissions:
        """Each part as it does it."""
        return ProductEmissions(self._each(x, lambda part, own: part.repooled(own, weights)), self.columns)

    def log_likelihood(self, x: Any) -> np.ndarray:
        """The sum over the parts [n, K]."""
        return sum(self._each(x, lambda part, own: part.log_likelihood(own)))  # type: ignore[return-value]

    def statistics(self, x: Any, responsibilities: np.ndarray) -> Statistics:
        """Those of the parts, with the part's number before their names."""
        return self._numbered(self._each(x, lambda part, own: part.statistics(own, responsibilities)))

    def _numbered(self, parts: Sequence[Statistics]) -> Statistics:
        return Statistics.joined((f"{i}.", part) for i, part in enumerate(parts))

    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> ProductEmissions:
        """Each part by itself."""
        own = [None if prior is None else prior.part(f"{i}.") for i in range(len(self.parts))]
        parts = [p.maximized(statistics.part(f"{i}."), own[i]) for i, p in enumerate(self.parts)]
        return ProductEmissions(parts, self.columns)

    def prior(self, strength: float | None = None) -> Statistics:
        """The priors of the parts, each of its own strength by default."""
        return self._numbered([part.prior(strength) for part in self.parts])

    def log_prior(self, prior: Statistics) -> float:
        """The sum over the parts."""
        return sum(part.log_prior(prior.part(f"{i}.")) for i, part in enumerate(self.parts))

    def conditioned(self, row: np.ndarray) -> Emissions | None:
        """The product of what stays free in each part."""
        row = np.asarray(row, np.float64)
        free = [(p.conditioned(row[list(own)]), np.array(own)) for p, own in zip(self.parts, self.columns, strict=True)]
        left = [(part, own[np.isnan(row[own])]) for part, own in free if part is not None]
        place = np.cumsum(np.isnan(row)) - 1
        return ProductEmissions([p for p, _ in left], [place[own].tolist() for _, own in left]) if left else None

    def imputed(self, x: np.ndarray, responsibilities: np.ndarray, levels: Levels = ()) -> np.ndarray:
        """Each part's columns as the part does it."""
        of_parts = iter([levels[j] for j in own] if levels else () for own in self.columns)
        return self._assembled(self._each(x, lambda part, own: part.imputed(own, responsibilities, next(of_parts))))

    def sample(self, rng: np.random.Generator, components: np.ndarray) -> np.ndarray:
        """Rows, part by part."""
        return self._assembled([part.sample(rng, components) for part in self.parts])
