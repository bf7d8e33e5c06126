"""Where the learning of a mixture begins: rows of the data, spread out or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any, TypedDict, Unpack

import numpy as np

from tractable.models._base import ModelError, check_options, nearest
from tractable.models.emissions import (
    Emissions,
    MixtureEmissions,
    ProductEmissions,
    Statistics,
    ToldColumns,
    pooled_emissions,
)
from tractable.models.emissions._base import as_rows, blocks, column_means, winsorized
from tractable.models.emissions.diagonal import column_moments
from tractable.models.keys import generator
from tractable.models.kinds import ColumnsWanted, Described, EmissionKinds, described
from tractable.models.mixture import Mixture
from tractable.models.weights import WeightedRows, counted

STARTS = ("k-means++", "rows", "random")
"""The kinds of starts, which take turns where there are several."""

LLOYD = 10
MIXED = 5
"""A random component is a blend of so many rows."""

SEEN = 20_000
"""At most so many rows are looked at to spread the start out."""


class OfColumns(TypedDict, total=False):
    """Which columns a model is made of, their categories, and the parts of each component."""

    columns: Any
    ignore: Any
    categories: Any
    n_parts: int
    weights: Any


def mixture(
    data: Any,
    n_components: int,
    emissions: EmissionKinds = "auto",
    *,
    start: str = "k-means++",
    key: Any = 0,
    **chosen: Unpack[OfColumns],
) -> Mixture:
    """A mixture for these data, where learning may begin.

    It keeps the names of columns and of their states (`Columns`), where the data have any: from then on a table is read
    by names, whatever the order of its columns.

    Parameters
    ----------
    data : rows [n, d], a DataFrame, name → column, or a list of cases; NaN is missing.
    n_components : K.
    emissions : ``"auto"``, Bernoulli for columns of nothing but 0 and 1 and Gaussian for other numbers, or
        ``"gaussian"``, ``"tied"``, ``"diagonal"``, ``"spherical"``, ``"bernoulli"``, ``"categorical"``, ``"poisson"``
        for all columns, but those of text, of booleans and of declared categories, which are categorical by themselves;
        or kind → columns by name or number, such as ``{"gaussian": ["temp", "wind"], "poisson": [2]}``.
    columns, ignore : the columns that the model is made of, or those to leave out, by name (of an array by number).
    categories : the states of categorical columns, those that do not turn up among them: column → their names, or
        their number; a list of these, one for each column; or one number for all. Otherwise those that turn up.
    start : ``"k-means++"`` groups rows around K of them that are far apart, by their numbers: where all columns hold
        categories or bits, as ``"random"``; ``"rows"`` puts each component about half way between a random row and the
        mean of all, which suits binary data of many columns; ``"random"`` between a blend of a few rows and the mean.
    n_parts : M > 1 makes each component a mixture of M parts of its own (`MixtureEmissions`).
    weights : how often each row counts, as for `fit`; a row of weight zero takes part in nothing.
    key : int or jax key; the same key gives the same start.

    Raises
    ------
    ModelError : values outside the domain, no rows, a column without a value.

    References
    ----------
    Arthur & Vassilvitskii, k-means++: the advantages of careful seeding, 2007.

    Examples
    --------
    >>> tr.mixture([[0.0], [0.1], [5.0], [5.2]], 2, "diagonal").n_parameters
    5
    """
    data, weights = counted(data, chosen.pop("weights", None))
    found, own = emissions_of([data], n_components, ColumnsWanted(emissions), chosen)
    begin = Mixture(np.full(n_components, 1 / n_components), own, columns=found.columns)
    return started(begin, WeightedRows(found.rows, weights), start, generator(key))


def emissions_of(
    parts: Any, n_components: int, wanted: ColumnsWanted, chosen: OfColumns
) -> tuple[Described, Emissions]:
    """What the columns of some tables are, and emissions under which every component has their distribution."""
    options: dict[str, Any] = dict(chosen)
    check_options(options, OfColumns.__annotations__, "a start")
    n_parts = options.pop("n_parts", 1)
    found = described(parts, wanted._replace(**options))
    told = ToldColumns(found.columns.names if found.columns else range(found.rows.shape[1]), found.n_states)
    own = pooled_emissions(found.kinds, found.rows, (n_components, n_parts), told)
    check_columns(found)
    return found, own


def check_columns(found: Described) -> None:
    """Raise for a column without a value, of which nothing can be learned."""
    empty = column_means(found.rows, 0.0)[1] == 0
    if empty.any():
        j = int(empty.argmax())
        name = j if found.columns is None else repr(found.columns.names[j])
        raise ModelError(f"column {name}: every entry is missing; drop the column")


def started(model: Mixture, data: WeightedRows, start: str, rng: np.random.Generator) -> Mixture:
    """A new start of the same shape as a mixture, from the data alone."""
    check_start(start, STARTS)
    chosen, numeric = _some(data, rng), ~discrete(model.free)
    if model.n_components == 1:
        return grouped(model, data, (chosen, np.zeros(len(chosen.rows), int)), rng)
    if start == "k-means++" and numeric.any():
        label = _groups(_numbers(chosen.rows, repooled(model, data), numeric), model.n_components, rng, chosen.each)
        return grouped(model, data, (chosen, label), rng)
    k, m = _sizes(model)
    pooled = _flat(model, data)
    n = 1 if start == "rows" else MIXED
    places = _different(chosen.rows, k * m * n, rng)
    share = rng.dirichlet(np.ones(n), k * m).reshape(-1, 1) * rng.uniform(0.5, 1.5, (k * m, 1)).repeat(n, axis=0)
    own = pooled.statistics(chosen.rows[places], share * np.repeat(np.eye(k * m), n, axis=0))
    found = _folded(pooled.maximized(own + _overall(pooled, data), pooled.prior()), k, m)
    return replace(found, columns=model.columns)


def _some(data: WeightedRows, rng: np.random.Generator) -> WeightedRows:
    """At most `SEEN` rows, drawn by their weights."""
    n = len(data.rows)
    if n <= SEEN:
        return data
    if data.weights is None:
        return WeightedRows(data.rows[np.sort(rng.choice(n, SEEN, replace=False))])
    return WeightedRows(data.rows[np.sort(rng.choice(n, SEEN, p=data.weights / data.weights.sum()))])


def check_start(start: str, known: Sequence[str]) -> None:
    """Refuse a start that is none of these."""
    if start not in known:
        raise ModelError(f"unknown start {start!r}{nearest(start, known)}; choose one of {', '.join(known)}")


def discrete(emissions: Emissions) -> np.ndarray:
    """Which columns hold categories or bits: rows that are grouped by these would be grouped by their values."""
    if isinstance(emissions, MixtureEmissions):
        return discrete(emissions.parts)
    if not isinstance(emissions, ProductEmissions):
        return np.full(emissions.n_columns, emissions.kind in ("bernoulli", "categorical"))
    out = np.zeros(emissions.n_columns, bool)
    for part, own in zip(emissions.parts, emissions.columns, strict=True):
        out[list(own)] = discrete(part)
    return out


def grouped(
    model: Mixture, data: WeightedRows, groups: tuple[WeightedRows, np.ndarray], rng: np.random.Generator
) -> Mixture:
    """A start of the same shape from rows and the component that each belongs to, with a trace of all rows."""
    (k, m), (chosen, label), pooled = _sizes(model), groups, _flat(model, data)
    numeric = ~discrete(model.free)
    if m > 1 and numeric.any():
        label = _parts(_numbers(chosen.rows, pooled, numeric), label, m, rng)
    elif m > 1:
        label = label * m + rng.integers(0, m, len(label))
    member = np.eye(k * m)[label] * chosen.each[:, None]
    own = pooled.statistics(chosen.rows, member)
    found = _folded(pooled.maximized(own + 1e-3 * _overall(pooled, data), pooled.prior()), k, m)
    return replace(found, columns=model.columns)


def _flat(model: Mixture, data: WeightedRows) -> Mixture:
    """The parts of all components side by side, each with the distribution of all rows."""
    own = model.free.parts if isinstance(model.free, MixtureEmissions) else model.free
    return repooled(Mixture(np.full(own.n_components, 1 / own.n_components), own), data)


def _sizes(model: Mixture) -> tuple[int, int]:
    """Components, and the parts of each."""
    return model.n_components, model.free.n_parts if isinstance(model.free, MixtureEmissions) else 1


def _folded(parts: Mixture, k: int, m: int) -> Mixture:
    """A mixture of k m parts as one of k components of m parts each."""
    if m == 1:
        return parts
    weights = parts.weights.reshape(k, m)
    sums = weights.sum(1)
    return Mixture(sums, MixtureEmissions(weights / sums[:, None], parts.free))


def _parts(x: np.ndarray, label: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """The part that each row goes to: groups within the groups."""
    out = label * m
    for i in np.unique(label):
        own = np.flatnonzero(label == i)
        out[own] += _groups(x[own], m, rng, np.ones(len(own)))
    return out


def _different(rows: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """The places of k random rows, no two of them equal where there are as many."""
    order = rng.permutation(len(rows))[: 10 * k]
    first = np.sort(np.unique(rows[order], axis=0, return_index=True)[1])
    return order[np.resize(first, k)]


def repooled(model: Mixture, data: WeightedRows) -> Mixture:
    """Every component with the distribution of all rows."""
    even = np.full(model.n_components, 1 / model.n_components)
    return replace(model, weights=even, emissions=model.free.repooled(*data))


def _overall(pooled: Mixture, data: WeightedRows) -> Statistics:
    """The statistics of all rows, of weight one in each component, numbers far outside the others drawn in."""
    low, high = winsorized(*data)
    bounds = (np.where(bare := discrete(pooled.free), -np.inf, low), np.where(bare, np.inf, high))
    total = data.each.sum()
    each = (np.repeat(w / total, pooled.n_components, 1) for _, w in blocks(*data))
    return reduce(add, (pooled.statistics(x, r) for (x, _), r in zip(blocks(*data, bounds), each, strict=True)))


def _numbers(rows: np.ndarray, pooled: Mixture, columns: np.ndarray) -> np.ndarray:
    """Rows to measure distances between: some of the columns, of equal variance where their units may differ."""
    x = as_rows(rows)[:, columns]
    x = np.where(np.isnan(x), pooled.free.means[0, columns], x)
    if pooled.free.kind in ("bernoulli", "spherical", "tied"):
        return x
    mean, variance = column_moments(x)
    return (x - mean) / np.sqrt(variance)


def _groups(x: np.ndarray, k: int, rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    """The group of each row: k-means from seeds that are far apart."""
    centres = x[_seeds(x, k, rng, weights)]
    label = np.zeros(len(x), int)
    for _ in range(LLOYD):
        label = _distances(x, centres).argmin(1)
        member = np.eye(k)[label] * weights[:, None]
        count = member.sum(0)
        centres = np.where(count[:, None] > 0, (member.T @ x) / np.where(count > 0, count, 1)[:, None], centres)
    return label


def _seeds(x: np.ndarray, k: int, rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    """Rows drawn one after the other, each in proportion to its squared distance from those before."""
    even = (weights == weights[0]).all()
    found = [int(rng.integers(len(x)) if even else rng.choice(len(x), p=weights / weights.sum()))]
    near = _distances(x, x[found])[:, 0]
    while len(found) < k:
        total = (near * weights).sum()
        found.append(int(rng.choice(len(x), p=near * weights / total if total > 0 else None)))
        near = np.minimum(near, _distances(x, x[found[-1:]])[:, 0])
    return np.array(found)


def _distances(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances [n, k]."""
    squares = (x * x).sum(1)[:, None] - 2 * x @ centres.T + (centres * centres).sum(1)
    return np.maximum(squares, 0)
