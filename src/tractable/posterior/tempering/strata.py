"""Several bases for one model: each mode that was found may have a path of its own, and weights stay unbiased.

A chain draws its path k with probability π_k, goes along it, ends in x, and weighs W = e^work Z_base,k α_k(r(x))/π_k.
r(x) is the region that x is in, that of the mode whose independent units give x most probability, and α a table with
Σ_k α_k(r) = 1. An annealed run has E[e^work Z_base f(x)] = Z E_p[f] for any f, so that E[W] = Z for any such table;
here each region counts along one path alone. Pilot runs choose the table. Backward a chain starts from x ~ p, takes
path k = α(r(x)) after one sweep at the model, and weighs 1/W.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from tractable.kernels.enumeration import Progress
from tractable.models.boltzmann_machine import Boltzmann
from tractable.posterior.approximate.gibbs import State
from tractable.posterior.tempering._base import PathRun, run
from tractable.posterior.tempering.machines import MachinePath, base_log_partition, log_partition_of_fields, make_path
from tractable.posterior.tempering.modes import Fields, Modes, cut
from tractable.posterior.tempering.temperatures import Pilot, measured, pilot

REGION_FIELD = 4.0
"""Fields of the independent units that say which region a state is in are cut there."""

PILOTS = (50, 125)
BATCH = (32, 256)
"""Chains of a pilot that run together, at least and at most."""

BETTER, ERRORS = 0.7, 3.0
"""A region is left to its mode's own path where that finds more weight there, by so many nats and standard errors."""

UNSEEN = 3.0
"""What was seen in none of n runs has a share of less than so many n-ths, with 95 % confidence."""

FEW = 8
"""Fewer chains than that tell nothing about temperatures."""

LEAST = 0.05
"""The share of chains that every path in use has at least."""


MELTING = (1, 2)
"""Those of the broad bases that belong to no phase: without fields, and that of all modes together."""


class Strata(NamedTuple):
    """The paths in use, and which of them counts in which region.

    Attributes
    ----------
    bases : fields of the base of each path, group → [k, f]; the broad one first.
    regions : fields of the independent units of each mode, group → [r, f], and log Z of these [r].
    table : the path that counts in each region [r].
    share : π, the part of the chains that go along each path [k].
    """

    model: Boltzmann
    bases: Fields
    regions: Fields
    log_z: Float[np.ndarray, " r"]
    table: Int[np.ndarray, " r"]
    share: Float[np.ndarray, " k"]
    flipping: bool

    def region(self, x: State) -> Int[np.ndarray, " c"]:
        """The region that each state is in."""
        score = sum(np.asarray(a, np.float64) @ np.asarray(self.regions[name], np.float64).T for name, a in x.items())
        kept = {name: self.regions[name] for name in x}
        return np.argmax(score - log_partition_of_fields(self.model.units, kept), axis=1)

    def drawn(self, key: Any, n: int) -> Int[np.ndarray, " c"]:
        """The path of each of `n` chains, drawn."""
        return np.asarray(jax.random.choice(key, len(self.share), (n,), p=np.asarray(self.share, np.float32)))

    def path(self, which: Int[np.ndarray, " c"]) -> MachinePath:
        """The path of chains that each have one of the bases."""
        return make_path(self.model, _rows(self.bases, which), self.flipping)

    def log_weights(
        self, work: Float[np.ndarray, " c"], which: Int[np.ndarray, " c"], region: Int[np.ndarray, " c"]
    ) -> Float[np.ndarray, " c"]:
        """log W of forward runs; −∞ where a chain ends in a region that counts along another path."""
        return np.where(self.table[region] == which, work + self.offset(which), -np.inf)

    def offset(self, which: Int[np.ndarray, " c"]) -> Float[np.ndarray, " c"]:
        """log Z_base − log π of the path of each chain."""
        return log_partition_of_fields(self.model.units, self.bases)[which] - np.log(self.share[which])


def forward_runs(
    paths: Strata, key: Any, betas: np.ndarray, n: int, progress: Progress = None
) -> tuple[PathRun, Float[np.ndarray, " c"]]:
    """Chains along paths that are drawn, and their log W."""
    which = paths.drawn(jax.random.fold_in(key, 0), n)
    path = paths.path(which)
    found = run(path, key, betas, path.start(jax.random.fold_in(key, 1), n), progress)
    return found, paths.log_weights(found.work, which, paths.region(found.x))


def _rows(fields: Fields, which: np.ndarray) -> dict[str, np.ndarray]:
    return {name: a[which] for name, a in fields.items()}


def _strata(
    model: Boltzmann, bases: Fields, modes: Modes, table: np.ndarray, share: np.ndarray, flipping: bool
) -> Strata:
    regions = {name: cut(model.units[name], modes.fields[name], REGION_FIELD) for name in model.groups}
    return Strata(
        model, bases, regions, log_partition_of_fields(model.units, regions), table, share / share.sum(), flipping
    )


class Rungs(NamedTuple):
    """A base for replica exchange, and the rejection that every step between temperatures costs [t]; their sum is Λ."""

    base: Fields
    betas: Float[np.ndarray, " t+1"]
    costs: Float[np.ndarray, " t"]


class Piloted(NamedTuple):
    """The strata that pilot runs chose, and what these tell about temperatures."""

    strata: Strata
    pilot: Pilot
    ladders: tuple[Rungs, ...]


class Piloting(NamedTuple):
    """Chains of the final runs, whether single units flip, and the share of a region that may go unseen.

    By default it is what a path that has seen nothing of a region may have missed: enough for the sum over all regions.
    Draws want every phase.
    """

    n: int
    flipping: bool = True
    unseen: float | None = None


def piloted(model: Boltzmann, broad: Sequence[Fields], modes: Modes, key: Any, how: Piloting) -> Piloted:
    """Pilot runs from all broad bases and modes.

    The broad base with the largest estimate, by a lower bound, serves all regions but those where a mode's own path
    finds clearly more weight.
    """
    n, flipping, unseen = how
    k, m, batch = len(broad), len(modes.elbo), int(np.clip(n, *BATCH))
    bases = {g: np.stack([*(np.asarray(b[g]) for b in broad), *modes.fields[g]]) for g in model.groups}
    each = batch // 2
    more = -(-(k * each + 3 * batch * m // 32) // batch) * batch - k * each
    which = np.concatenate([np.repeat(np.arange(k), each), k + np.sort(np.arange(more) % m)])
    everywhere = _strata(model, bases, modes, np.zeros(m, int), np.ones(k + m), flipping)
    found, betas = Pilot(np.array([0.0, 1.0]), np.ones(1), np.inf), np.zeros(0)
    for i, steps in enumerate(PILOTS):
        betas = found.temperatures(steps)
        seen = _seen(everywhere, which, jax.random.fold_in(key, i), betas, batch)
        found = _together(betas, [measured(betas, seen.increments[:, which == b]) for b in range(k)])
    return _chosen(everywhere, modes, k, seen, (betas, unseen))


def single(model: Boltzmann, base: Fields, modes: Modes, key: Any, how: tuple[int, bool, bool]) -> Piloted:
    """One path for all regions; `how`: chains of a run, whether single units flip, whether temperatures are known."""
    bases = {name: np.asarray(base[name], np.float64)[None] for name in model.groups}
    strata = _strata(model, bases, modes, np.zeros(len(modes.elbo), int), np.ones(1), how[1])
    nothing = Pilot(np.array([0.0, 1.0]), np.ones(1), np.inf)
    found = nothing if how[2] else pilot(strata.path(np.zeros(how[0], int)), key, how[0])
    return Piloted(strata, found, ())


class _Seen(NamedTuple):
    which: np.ndarray
    increments: np.ndarray
    log_weight: np.ndarray
    region: np.ndarray


def _seen(all_paths: Strata, which: np.ndarray, key: Any, betas: np.ndarray, batch: int) -> _Seen:
    parts = []
    for first in range(0, len(which), batch):
        own = which[first : first + batch]
        key, path = jax.random.fold_in(key, first), all_paths.path(own)
        found = run(path, key, betas, path.start(key, batch))
        parts.append((found.increments, found.work + base_log_partition(path), all_paths.region(found.x)))
    increments, weight, region = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    return _Seen(which, increments, weight, region)


def _together(betas: np.ndarray, pilots: Sequence[Pilot]) -> Pilot:
    """Temperatures that serve several paths: where any of them needs many there are many."""
    pilots = [p for p in pilots if np.isfinite(p.variance)] or list(pilots)
    scale = np.sqrt([p.variance for p in pilots])[:, None]
    density = (scale * np.stack([p.density for p in pilots])).max(axis=0)
    even = (density * np.diff(pilots[0].betas)).sum()
    variance = max(p.variance for p in pilots)
    return Pilot(pilots[0].betas, density / even if even > 0 else pilots[0].density, variance)


def _chosen(everywhere: Strata, modes: Modes, k: int, seen: _Seen, how: tuple[np.ndarray, float | None]) -> Piloted:
    """The broad base with the largest estimate, and the modes that keep a path of their own."""
    betas, unseen = how
    top = np.max(seen.log_weight[np.isfinite(seen.log_weight)], initial=0.0)
    w = np.exp(np.where(np.isfinite(seen.log_weight), seen.log_weight - top, -np.inf))
    best = max(range(k), key=lambda b: _lower(w[seen.which == b]))
    unseen = UNSEEN / (seen.which == best).sum() if unseen is None else unseen
    table, shares = _shared_out(w, seen, (best, unseen), np.arange(k, k + len(modes.elbo)))
    used = [best, *(k + np.flatnonzero(table))]
    share = np.maximum(np.array(shares) / max(sum(shares), 1e-300), LEAST)
    bases = {name: a[used] for name, a in everywhere.bases.items()}
    strata = _strata(everywhere.model, bases, modes, table, share, everywhere.flipping)
    counted = [seen.increments[:, _counts(seen, b, table, i)] for i, b in enumerate(used)]
    pilots = [measured(betas, a) for a in counted if a.shape[1] >= FEW]
    told = _together(betas, pilots or [measured(betas, seen.increments[:, seen.which == best])])
    return Piloted(strata, told, _ladders(everywhere, seen, betas))


def _shared_out(
    w: np.ndarray, seen: _Seen, broad: tuple[int, float], own_paths: np.ndarray
) -> tuple[np.ndarray, list[float]]:
    """The path of each region, 0 being the broad one, and the weight that each path in use finds where it counts."""
    best, unseen = broad
    table, shares = np.zeros(len(own_paths), int), [0.0]
    everything = float(w[seen.which == best].mean())
    for r, path in enumerate(own_paths):
        (mean, error), (own, own_error) = (_mean(w, seen, base, r) for base in (best, path))
        least = mean or unseen * everything
        if own > least * np.exp(BETTER) and own - least > ERRORS * np.hypot(error, own_error):
            table[r] = len(shares)
            shares.append(own)
        else:
            shares[0] += mean
    return table, shares


def _ladders(everywhere: Strata, seen: _Seen, betas: np.ndarray) -> tuple[Rungs, ...]:
    """From each base that belongs to no phase, that without fields first: there every phase melts."""
    spread = [np.nan_to_num(seen.increments[:, seen.which == base].std(axis=1)) / np.sqrt(np.pi) for base in MELTING]
    own = [{name: a[base] for name, a in everywhere.bases.items()} for base in MELTING]
    return tuple(Rungs(base, betas, costs + 1e-9) for base, costs in zip(own, spread, strict=True))


def _counts(seen: _Seen, base: int, table: np.ndarray, path: int) -> np.ndarray:
    """The pilot's chains of a base that end where it counts."""
    return (seen.which == base) & (table[seen.region] == path)


def _lower(w: np.ndarray) -> float:
    """What the mean is at least, roughly: less three standard errors, or the geometric mean where weights vary much."""
    with np.errstate(divide="ignore"):
        return max(w.mean() - 3 * w.std() / np.sqrt(len(w)), float(np.exp(np.log(w).mean())))


def _mean(w: np.ndarray, seen: _Seen, base: int, region: int) -> tuple[float, float]:
    own = np.where(seen.region == region, w, 0)[seen.which == base]
    return (float(own.mean()), float(own.std() / np.sqrt(len(own)))) if len(own) else (0.0, 0.0)
