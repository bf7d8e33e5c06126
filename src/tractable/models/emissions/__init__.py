"""How each component of a mixture, or each state of a hidden Markov model, produces a row of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tractable.models._base import ModelError, nearest
from tractable.models.emissions._base import Emissions, Statistics, two_axes
from tractable.models.emissions.bernoulli import BernoulliEmissions
from tractable.models.emissions.categorical import CategoricalEmissions
from tractable.models.emissions.diagonal import DiagonalGaussianEmissions, SphericalGaussianEmissions
from tractable.models.emissions.gaussian import GaussianEmissions, TiedGaussianEmissions
from tractable.models.emissions.mixed import MixtureEmissions
from tractable.models.emissions.poisson import PoissonEmissions
from tractable.models.emissions.product import ProductEmissions

__all__ = [
    "KINDS",
    "BernoulliEmissions",
    "CategoricalEmissions",
    "DiagonalGaussianEmissions",
    "Emissions",
    "GaussianEmissions",
    "MixtureEmissions",
    "PoissonEmissions",
    "ProductEmissions",
    "SphericalGaussianEmissions",
    "Statistics",
    "TiedGaussianEmissions",
    "emissions_for",
]

KINDS: dict[str, type[Emissions]] = {
    kind.kind: kind
    for kind in (
        BernoulliEmissions,
        CategoricalEmissions,
        PoissonEmissions,
        GaussianEmissions,
        TiedGaussianEmissions,
        DiagonalGaussianEmissions,
        SphericalGaussianEmissions,
    )
}


def emissions_for(
    kind: str | Mapping[str, Sequence[int]],
    x: Any,
    n_components: int,
    n_parts: int = 1,
    *,
    n_states: int | Sequence[int | None] | None = None,
) -> Emissions:
    """Emissions of a kind, every component with the distribution of the columns of x: where learning begins.

    Parameters
    ----------
    kind : ``"bernoulli"``, ``"categorical"``, ``"poisson"``, ``"gaussian"``, ``"tied"``, ``"diagonal"``,
        ``"spherical"``, or a mapping of kinds to the columns they describe.
    x : rows of data [n, d]; NaN is missing.
    n_components : K.
    n_parts : M > 1 makes each component a mixture of M such emissions (`MixtureEmissions`).
    n_states : how many states categorical columns have, those that do not turn up among them: one number, or one for
        each column of x; None counts up to the largest.

    Raises
    ------
    ModelError : an unknown kind, values outside its domain.

    Examples
    --------
    >>> tr.emissions_for({"bernoulli": [0], "poisson": [1]}, [[0, 3], [1, 5]], 2).means.tolist()
    [[0.5, 4.0], [0.5, 4.0]]
    """
    rows = two_axes(x)
    told = ToldColumns(range(rows.shape[1]), _each(n_states, rows.shape[1]))
    return pooled_emissions(kind, rows, (n_components, n_parts), told)


class ToldColumns(NamedTuple):
    """What messages call each column, and how many states it has, where that is declared."""

    names: Sequence[Any]
    n_states: Sequence[int | None]

    def some(self, places: Sequence[int]) -> ToldColumns:
        """Some of the columns."""
        return ToldColumns([self.names[c] for c in places], [self.n_states[c] for c in places])


def pooled_emissions(
    kind: str | Mapping[str, Sequence[int]], rows: np.ndarray, sizes: tuple[int, int], told: ToldColumns
) -> Emissions:
    """The same for so many components, and parts of each."""
    n_components, n_parts = sizes
    if n_parts != 1:
        return _mixtures(kind, rows, sizes, told)
    if not isinstance(kind, str):
        _check_named(kind, rows.shape[1])
        parts = [pooled_emissions(name, rows[:, list(own)], sizes, told.some(own)) for name, own in kind.items()]
        return ProductEmissions(parts, list(kind.values()))
    if kind not in KINDS:
        raise ModelError(f"unknown kind of emissions {kind!r}{nearest(kind, KINDS)}; choose one of {', '.join(KINDS)}")
    if n_components < 1:
        raise ModelError(f"the number of components must be at least 1, got {n_components}")
    if not rows.size:
        raise ModelError(f"there are no data: got the shape {rows.shape}")
    if kind == "categorical":  # which looks for itself
        return CategoricalEmissions.pooled(rows, n_components, told.n_states, told.names)
    KINDS[kind].pooled(np.zeros((1, rows.shape[1])), 1).check(rows, columns=told.names)
    return KINDS[kind].pooled(rows, n_components)


def _each(n_states: int | Sequence[int | None] | None, n_columns: int) -> Sequence[int | None]:
    """A number of states, or none, for each column."""
    if n_states is None or isinstance(n_states, int):
        return [n_states] * n_columns
    if len(n_states) != n_columns or not all(n is None or (type(n) is int and n > 0) for n in n_states):
        raise ModelError(f"n_states is a number for each of the {n_columns} columns, or None; got {list(n_states)}")
    return n_states


def _check_named(kinds: Mapping[str, Sequence[int]], n_columns: int) -> None:
    if sorted(c for own in kinds.values() for c in own) != list(range(n_columns)):
        raise ModelError(f"kinds must name every column 0 … {n_columns - 1} once, got {dict(kinds)}")


def _mixtures(kind: Any, rows: np.ndarray, sizes: tuple[int, int], told: ToldColumns) -> MixtureEmissions:
    n_components, n_parts = sizes
    if n_parts < 1:
        raise ModelError(f"the number of parts must be at least 1, got {n_parts}")
    parts = pooled_emissions(kind, rows, (n_components * n_parts, 1), told)
    return MixtureEmissions(np.full((n_components, n_parts), 1 / n_parts), parts)
