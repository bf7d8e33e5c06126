"""Where the learning of a mixture begins: rows of the data, spread out or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from tractable.models._base import ModelError, nearest
from tractable.models.emissions import MixtureEmissions, Statistics, emissions_for
from tractable.models.emissions._base import as_rows, column_means, two_axes
from tractable.models.keys import generator
from tractable.models.mixture import Mixture
from tractable.posterior.engines.mixtures import chunks

STARTS = ("k-means++", "rows")
LLOYD = 10
SEEN = 20_000
"""At most so many rows are looked at to spread the start out."""


def mixture(
    data: Any,
    n_components: int,
    emissions: str | Mapping[str, Sequence[int]] = "gaussian",
    *,
    start: str = "k-means++",
    n_parts: int = 1,
    key: Any = 0,
) -> Mixture:
    """A mixture for these data, where learning may begin.

    Parameters
    ----------
    data : rows [n, d]; NaN is missing.
    n_components : K.
    emissions : ``"gaussian"``, ``"tied"``, ``"diagonal"``, ``"spherical"``, ``"bernoulli"``, ``"categorical"``,
        ``"poisson"``, or kind → columns, such as ``{"gaussian": [0, 1], "poisson": [2]}``.
    start : ``"k-means++"`` groups rows around K of them that are far apart; ``"rows"`` puts each component half way
        between a random row and the mean of all, which suits binary data of many columns.
    n_parts : M > 1 makes each component a mixture of M parts of its own (`MixtureEmissions`).
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
    rows = two_axes(data)
    own = emissions_for(emissions, rows, n_components, n_parts)
    check_columns(rows)
    return started(Mixture(np.full(n_components, 1 / n_components), own), rows, start, generator(key))


def check_columns(rows: np.ndarray) -> None:
    """Raise for a column without a value, of which nothing can be learned."""
    empty = column_means(rows, 0.0)[1] == 0
    if empty.any():
        raise ModelError(f"column {int(empty.argmax())}: every entry is missing; drop the column")


def started(model: Mixture, rows: np.ndarray, start: str, rng: np.random.Generator) -> Mixture:
    """A new start of the same shape as a mixture, from the data alone."""
    if start not in STARTS:
        raise ModelError(f"unknown start {start!r}{nearest(start, STARTS)}; choose one of {', '.join(STARTS)}")
    chosen = rows if len(rows) <= SEEN else rows[np.sort(rng.choice(len(rows), SEEN, replace=False))]
    if start == "k-means++":
        label = _groups(_numbers(chosen, repooled(model, rows)), model.n_components, rng)
        return grouped(model, rows, (chosen, label), rng)
    k, m = _sizes(model)
    pooled = _flat(model, rows)
    own = pooled.statistics(chosen[_different(chosen, k * m, rng)], np.eye(k * m))
    return _folded(pooled.maximized(own + _overall(pooled, rows), pooled.prior()), k, m)


def grouped(
    model: Mixture, rows: np.ndarray, groups: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> Mixture:
    """A start of the same shape from rows and the component that each belongs to, with a trace of all rows."""
    (k, m), (chosen, label), pooled = _sizes(model), groups, _flat(model, rows)
    own = pooled.statistics(chosen, np.eye(k * m)[_parts(_numbers(chosen, pooled), label, m, rng)])
    return _folded(pooled.maximized(own + 1e-3 * _overall(pooled, rows), pooled.prior()), k, m)


def _flat(model: Mixture, rows: np.ndarray) -> Mixture:
    """The parts of all components side by side, each with the distribution of all rows."""
    own = model.free.parts if isinstance(model.free, MixtureEmissions) else model.free
    return repooled(Mixture(np.full(own.n_components, 1 / own.n_components), own), rows)


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
    for i in np.unique(label) if m > 1 else ():
        own = np.flatnonzero(label == i)
        out[own] += _groups(x[own], m, rng)
    return out


def _different(rows: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """The places of k random rows, no two of them equal where there are as many."""
    order = rng.permutation(len(rows))[: 10 * k]
    first = np.sort(np.unique(rows[order], axis=0, return_index=True)[1])
    return order[np.resize(first, k)]


def repooled(model: Mixture, rows: np.ndarray) -> Mixture:
    """Every component with the distribution of all rows."""
    return Mixture(np.full(model.n_components, 1 / model.n_components), model.free.repooled(rows))


def _overall(pooled: Mixture, rows: np.ndarray) -> Statistics:
    """The statistics of all rows, of weight one in each component."""
    each = np.full((1, pooled.n_components), 1 / len(rows))
    return reduce(add, (pooled.statistics(rows[r], np.repeat(each, len(rows[r]), 0)) for r in chunks(rows)))


def _numbers(rows: np.ndarray, pooled: Mixture) -> np.ndarray:
    """Rows to measure distances between: columns of equal variance, except where all are bits."""
    x = as_rows(rows)
    x = np.where(np.isnan(x), pooled.free.means[0], x)
    if pooled.free.kind in ("bernoulli", "spherical", "tied"):
        return x
    scale = x.std(0)
    return (x - x.mean(0)) / np.where(scale > 0, scale, 1)


def _groups(x: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """The group of each row: k-means from seeds that are far apart."""
    centres = x[_seeds(x, k, rng)]
    label = np.zeros(len(x), int)
    for _ in range(LLOYD):
        label = _distances(x, centres).argmin(1)
        member = np.eye(k)[label]
        count = member.sum(0)
        centres = np.where(count[:, None] > 0, (member.T @ x) / np.maximum(count, 1)[:, None], centres)
    return label


def _seeds(x: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Rows drawn one after the other, each in proportion to its squared distance from those before."""
    found = [int(rng.integers(len(x)))]
    near = _distances(x, x[found])[:, 0]
    while len(found) < k:
        total = near.sum()
        found.append(int(rng.choice(len(x), p=near / total if total > 0 else None)))
        near = np.minimum(near, _distances(x, x[found[-1:]])[:, 0])
    return np.array(found)


def _distances(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances [n, k]."""
    squares = (x * x).sum(1)[:, None] - 2 * x @ centres.T + (centres * centres).sum(1)
    return np.maximum(squares, 0)
