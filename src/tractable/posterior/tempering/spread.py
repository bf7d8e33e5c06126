"""Gibbs chains, of many rows of evidence at once, that start spread over the modes of each row's posterior.

Where the chains of a row do not cross, their average has the shares that they started with, and the row is answered by
annealed draws instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tractable.models._base import ModelError
from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.clamping import condition
from tractable.models.keys import as_key
from tractable.models.normalizable import check_normalizable
from tractable.models.precision import in_working_precision, working_type
from tractable.plan.machines import RESTARTS, RESTARTS_OF_MANY, TOGETHER, GibbsChains, annealed_draws
from tractable.posterior.approximate import gibbs, mean_field
from tractable.posterior.approximate.clamped import bounded, clamps, placed
from tractable.posterior.approximate.gibbs import State
from tractable.posterior.approximate.over_chains import CROSS, Halves, apart, averaged, verdict
from tractable.posterior.cases import CaseAnswer, Cases
from tractable.posterior.certificate import Certificate, joined
from tractable.posterior.tempering import bases, modes
from tractable.posterior.tempering.draws import Draws, draw
from tractable.posterior.tempering.modes import Fields, Modes

BURN_IN = 0.25
SWEEPS = 30
"""Of the mean field of each row."""

OF_MANY = 8
"""Modes of the machine, and random means, that the mean field of each of many rows starts from."""

AGAIN, DRAWS = 16, 256
"""Rows whose chains do not cross that are answered by annealed draws, and how many draws each."""


def by_gibbs(model: Boltzmann, cases: Cases, key: Any, program: GibbsChains) -> CaseAnswer:
    """Averages over chains, their standard errors from how far the chains differ, and whether these cross.

    log Z is not estimated from samples: its certificate is the bound of mean field.
    """
    key = as_key(key)
    means, hats = _averaged(model, cases, key, program)
    bound = bounded(model, cases, key, RESTARTS_OF_MANY if cases.many else RESTARTS).log_partition
    rows = apart(hats)
    again = {int(r): _drawn(model, cases, int(r), key) for r in np.flatnonzero(rows)[:AGAIN]}
    rows[[r for r, drawn in again.items() if drawn.reliable]] = False
    said = verdict(hats, rows) if rows.any() or not again else _annealed(again, cases.n_rows)
    return CaseAnswer(bound, {name: _replaced(model, cases, (name, c), again, said) for name, c in means.items()})


def _annealed(again: Mapping[int, Draws], n_rows: int) -> str | None:
    """The verdict where annealed draws answer what chains do not."""
    said = joined(*(drawn.verdict for drawn in again.values()))
    return said if n_rows == 1 else f"{CROSS} in {n_rows - len(again)} of {n_rows} rows, the others are annealed"


def _averaged(
    model: Boltzmann, cases: Cases, key: Any, program: GibbsChains
) -> tuple[dict[str, Certificate], dict[str, np.ndarray]]:
    """The averages of all rows, and R-hat of each, group by group."""
    first = means_to_start_from(model, jax.random.fold_in(key, 2), cases.n_rows)
    parts = [averages(model, part, first, key, program) for part in _parts(cases, program.n_each)]
    means, hats = {}, {}
    for name in model.groups:
        sides = zip(*(part[name] for part in parts), strict=True)
        means[name], hats[name] = averaged(Halves(*(np.concatenate(side, axis=1) for side in sides)))
    return means, hats


def _drawn(model: Boltzmann, cases: Cases, row: int, key: Any) -> Draws:
    """One row by annealed draws."""
    machine = condition(model, cases.row(row))
    return draw(machine, DRAWS, jax.random.fold_in(key, 3 + row), annealed_draws(DRAWS))


def _replaced(
    model: Boltzmann, cases: Cases, group: tuple[str, Certificate], found: Mapping[int, Draws], said: str | None
) -> Certificate:
    """The means of a group, those of rows that were drawn anew put in.

    Of n draws a phase of the share 1/n may have none: the error is at least what that comes to.
    """
    name, chains = group
    value, error = np.array(chains.value), np.array(chains.std_error)
    for r, drawn in found.items():
        free = np.isnan(cases.values[name][r])[model.units[name].unit_of_feature]
        if name in drawn.means:
            own = np.asarray(drawn.means[name], np.float64)
            value[r, free] = own.mean(axis=0)
            n = drawn.effective if drawn.reliable else 1.0
            error[r, free] = np.hypot(own.std(axis=0, ddof=1) / np.sqrt(n), modes.scale(model.units[name]) / n)
    return Certificate.estimate(value, error, verdict=said)


def _parts(cases: Cases, n_chains: int) -> Iterator[tuple[int, Cases]]:
    """The rows in parts that run together, each with the number of its first row."""
    step = max(1, TOGETHER // n_chains)
    return ((first, cases.take(slice(first, first + step))) for first in range(0, cases.n_rows, step))


@in_working_precision
def averages(
    model: Boltzmann, part: tuple[int, Cases], means: Fields, key: Any, size: GibbsChains
) -> dict[str, Halves]:
    """Of every chain [2, n_rows, n_chains, n_features]; a chain's numbers depend on its row alone."""
    (first, cases), (n_chains, n_sweeps) = part, size
    plain = model.astype(working_type(model))
    rows = first * n_chains + np.arange(cases.n_rows * n_chains, dtype=np.uint32)
    clamp = clamps(plain, cases, n_chains)
    x = placed(_started(plain, cases, means, jax.random.fold_in(key, 0), (rows, n_chains)), clamp)
    free = [name for name in plain.groups if not clamp[name].known.all()]
    plan = gibbs.schedule(plain.graph).only(free)
    clamp = {name: held for name, held in clamp.items() if name in free and held.known.any()}
    half, stream = -(-n_sweeps // 2), gibbs.Stream(jax.random.fold_in(key, 1), rows)
    edges, found = np.cumsum([0, max(1, int(BURN_IN * n_sweeps)), half, half]).tolist(), []
    for start, end in pairwise(edges):
        along = gibbs.averages(plan, plain, stream, x, (start, end), clamp)
        x, found = along.x, [*found, along]
    shape = (cases.n_rows, n_chains, -1)
    return {name: Halves(*(_both(found[1:], side, name, shape) for side in ("means", "squares"))) for name in x}


def _both(found: list[gibbs.Along], side: str, name: str, shape: tuple[int, int, int]) -> np.ndarray:
    return np.stack([np.asarray(getattr(along, side)[name], np.float64).reshape(shape) for along in found])


# ---------------------------------------------------------------- starts


def first_states(model: Boltzmann, key: Any, n: int) -> State:
    """States of `n` chains of a machine of which nothing is observed, spread over its modes; numbered from 0."""
    plain = model.astype(working_type(model))
    found = modes.find(model, None, bases.free_run(model, key))
    fields = {name: jnp.asarray(a, plain.dtype) for name, a in spread(found, n).items()}
    return gibbs.independent(plain.units, key, jnp.arange(n, dtype=jnp.uint32), fields)


def spread(found: Modes, n: int) -> Fields:
    """Fields of independent units for `n` chains, group → [n, f], shared out over modes in proportion to √weights.

    So a light mode has more chains than its share, which shows whether they leave it, and a negligible one none.
    """
    share = np.cumsum(np.sqrt(found.weights))
    at = np.searchsorted(share, (np.arange(n) + 0.5) / n * share[-1])
    return {name: a[np.minimum(at, len(share) - 1)] for name, a in found.fields.items()}


@in_working_precision
def means_to_start_from(model: Boltzmann, key: Any, n_rows: int) -> Fields:
    """Means from which the mean field of every row starts, group → [s, f]: random ones, those along eigenvectors of
    the couplings, and modes of the machine; for a single row all from which these were looked for.
    """
    plain = model.astype(working_type(model))
    parts: list[Any] = [mean_field.starts(plain, OF_MANY, key)]
    try:
        check_normalizable(model)
        ends = bases.free_run(model, key)
    except ModelError:  # evidence alone makes it normalizable
        ends = {name: np.asarray(a) for name, a in parts[0].items()}
    else:
        parts.append({name: m[:OF_MANY] for name, m in modes.find(model, None, ends).means.items()})
    parts.append(modes.starts(plain, None, ends) if n_rows == 1 else modes.along_eigenvectors(plain))
    return {name: np.concatenate([np.asarray(part[name], plain.dtype) for part in parts]) for name in plain.groups}


def _started(model: Boltzmann, cases: Cases, means: Fields, key: Any, chains: tuple[np.ndarray, int]) -> State:
    """First states of the chains of all rows, of which the numbers and how many for each row are given."""
    rows, n = chains
    found = [spread(some, n) for some in _modes_of_rows(model, cases, means)]
    fields = {name: jnp.asarray(np.concatenate([f[name] for f in found]), model.dtype) for name in model.groups}
    return gibbs.independent(model.units, key, jnp.asarray(rows), fields)


def _modes_of_rows(model: Boltzmann, cases: Cases, means: Fields) -> Iterator[Modes]:
    """The modes of the posterior of every row; each takes as many sweeps, whatever the others need."""
    n = len(means[model.groups[0]])
    clamp = clamps(model, cases, n)
    x = placed({name: np.tile(a, (cases.n_rows, 1)) for name, a in means.items()}, clamp)
    x = {name: jnp.asarray(a, model.dtype) for name, a in x.items()}
    limits = (SWEEPS, jnp.zeros((), model.dtype))
    found, elbo, *_ = jax.block_until_ready(mean_field.iterate(gibbs.schedule(model.graph), model, x, clamp, limits))
    fields, elbo = modes.fields_of(model, found), np.asarray(elbo, np.float64).reshape(-1, n)
    by_row = [{name: np.asarray(a).reshape(-1, n, a.shape[1]) for name, a in part.items()} for part in (found, fields)]
    for r in range(cases.n_rows):
        own, at = ({name: a[r] for name, a in part.items()} for part in by_row)
        yield modes.distinct(model, own, at, elbo[r])
