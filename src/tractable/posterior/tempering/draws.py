"""Draws of a machine of which exact ones cost too much: the ends of annealed runs, chosen by their weights, and judged.

Chains that start alike see one phase. Annealed runs along the paths of all modes that were found (`strata`) have
weights with E[W f(x)] = Z E_p[f], whatever the chains do: chosen in proportion to these, their ends are draws of the
model, all phases with their shares. What would give wrong shares gives a wrong log Z too: replica exchange, which finds
it another way, has to agree.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from tractable.models.boltzmann_machine import Boltzmann
from tractable.models.keys import as_key
from tractable.models.precision import in_working_precision, working_type
from tractable.plan.machines import TOGETHER, AnnealedDraws
from tractable.posterior.approximate import gibbs
from tractable.posterior.approximate.gibbs import State
from tractable.posterior.tempering import bases, bounds, modes, strata
from tractable.posterior.tempering._base import whole
from tractable.posterior.tempering.ladders import LADDERS, exchanged
from tractable.posterior.tempering.modes import Fields, Modes
from tractable.posterior.tempering.strata import Piloted
from tractable.posterior.tempering.verdicts import against_exchange, against_weights, given_the_phases

WORK = 1.0
"""The variance of log W at which as many draws cost least: e^v runs for each, of a number of steps in proportion to
1/v."""

FEWEST = 50.0
"""Draws that are worth fewer independent ones, and less than half their number, do not tell of shares."""

UNSEEN = 1e-3
"""Phases of a smaller share may be missed."""

STATES = 224
"""States of the ladders that stand in where annealed runs tell too little."""

WORTH = 0.15
"""The share of independent draws among runs below which more temperatures are taken."""

MORE = 8
"""Runs for each draw wanted, at most."""


class Draws(NamedTuple):
    """Draws of all units.

    Attributes
    ----------
    x : group → features [n, f].
    means : group → the averages of their means given all others over the sweeps that the draws end with.
    effective : how many independent draws say as much about means.
    verdict : what speaks against them, or the phases they are in.
    """

    x: Fields
    means: Fields
    effective: float
    verdict: str

    @property
    def reliable(self) -> bool:
        """Whether nothing speaks against them."""
        return self.verdict.startswith("reliable")


class _Runs(NamedTuple):
    """log W of annealed runs, the region that each ended in, and the kept groups there."""

    w: Float[np.ndarray, " c"]
    region: Int[np.ndarray, " c"]
    x: Fields


@in_working_precision
def draw(model: Boltzmann, n: int, key: Any, how: AnnealedDraws) -> Draws:
    """`n` draws; the same key gives the same."""
    keys = jax.random.split(as_key(key), 6)
    known, found = _explored(model, keys[0], how.n_runs)
    runs = _together(_annealed(found, keys[1], n, how))
    x, third = exchanged(model, known, keys[2], (STATES, None), found.ladders)
    effective, enough, travelled = _effective(runs), min(FEWEST, n / 2), LADDERS * third.round_trips
    apart = third.value - float(model.offset) - bounds.log_mean_exp(runs.w)
    errors = third.error, float(np.sqrt(max(0.0, 1 / effective - 1 / len(runs.w))))
    weights = against_weights([(effective, bounds.pareto_shape(runs.w), len(runs.w))], enough)
    witness = against_exchange(apart, errors, third.round_trips)
    if weights and not witness and travelled >= enough:  # ladders that agree: theirs are the draws
        runs, effective, weights = _Runs(np.zeros(STATES), found.strata.region(x), _arrays(x)), travelled, []
    reasons = weights + witness
    verdict = f"unreliable: {'; '.join(reasons)}" if reasons else given_the_phases(runs.region, runs.w)
    if effective < n:
        verdict += f"; worth {effective:.0f} independent draws"
    x, means = _refreshed(model, runs, _chosen(runs.w, n, keys[3]), keys[4], how.n_sweeps)
    return Draws(x, means, min(float(n), effective), verdict)


def _explored(model: Boltzmann, key: Any, n_runs: int) -> tuple[Modes, Piloted]:
    """The modes that are found, and the paths for them that pilot runs choose."""
    ends = bases.free_run(model, key)
    known = modes.find(model, None, ends)
    means = {name: np.atleast_1d(np.asarray(a, np.float64).mean(axis=0)) for name, a in ends.items()}
    broad = bases.broad(model, bases.with_means(model, means, bases.FREE_CHAINS), known)
    how = strata.Piloting(n_runs, unseen=UNSEEN)
    return known, strata.piloted(model, broad, known, jax.random.fold_in(key, 1), how)


def _annealed(found: Piloted, key: Any, n: int, how: AnnealedDraws) -> list[_Runs]:
    """Runs until they are worth as many draws as are wanted.

    More temperatures, and new runs, as long as few of the first carry the weight: a variance tells little of tails.
    """
    least, most = how.temperatures
    steps = whole(np.clip(np.nan_to_num(found.pilot.variance / WORK, nan=np.inf), least, most))
    parts = [_run(found, jax.random.fold_in(key, 0), steps, how.n_runs)]
    for i in range(1, 9):
        if steps >= most or _effective(parts[0]) >= WORTH * how.n_runs:
            break
        steps = min(2 * steps, most)
        parts = [_run(found, jax.random.fold_in(key, i), steps, how.n_runs)]
    while sum(map(_effective, parts)) < n and len(parts) * how.n_runs < MORE * n:
        parts.append(_run(found, jax.random.fold_in(key, 8 + len(parts)), steps, how.n_runs))
    return parts


def _run(found: Piloted, key: Any, n_steps: int, n_runs: int) -> _Runs:
    run, w = strata.forward_runs(found.strata, key, found.pilot.temperatures(n_steps), n_runs)
    return _Runs(w, found.strata.region(run.x), _arrays(run.x))


def _arrays(x: State) -> Fields:
    return {name: np.asarray(a) for name, a in x.items()}


def _together(parts: list[_Runs]) -> _Runs:
    x = {name: np.concatenate([part.x[name] for part in parts]) for name in parts[0].x}
    return _Runs(np.concatenate([p.w for p in parts]), np.concatenate([p.region for p in parts]), x)


def _effective(runs: _Runs) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.nan_to_num(bounds.effective_sample_size(runs.w)))


def _chosen(w: np.ndarray, n: int, key: Any) -> np.ndarray:
    """The numbers of `n` runs drawn by their weights, evenly spaced through the sum of these, in a drawn order."""
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel().tolist())
    weight = np.exp(w - np.max(w, initial=-np.inf, where=np.isfinite(w)), where=np.isfinite(w), out=np.zeros(len(w)))
    share = np.cumsum(weight if weight.any() else np.ones(len(w)))
    index = np.searchsorted(share, (np.arange(n) + rng.random()) / max(n, 1) * share[-1])
    return rng.permutation(np.minimum(index, len(w) - 1))


def _refreshed(model: Boltzmann, runs: _Runs, chosen: np.ndarray, key: Any, n_sweeps: int) -> tuple[Fields, Fields]:
    """All units after sweeps at the model, through which copies of one run part; and the averages of their means."""
    plain, plan, parts = model.astype(working_type(model)), gibbs.schedule(model.graph), []
    for first in range(0, max(len(chosen), 1), TOGETHER):
        own = chosen[first : first + TOGETHER]
        rows = first + np.arange(len(own), dtype=np.uint32)
        x = {name: jnp.asarray(a[own], plain.dtype) for name, a in runs.x.items()}
        x = _completed(plain, jax.random.fold_in(key, 0), rows, x)
        stream = gibbs.Stream(jax.random.fold_in(key, 1), rows)
        parts.append(gibbs.averages(plan, plain, stream, x, (0, n_sweeps))[:2])
    joined = [[{name: np.asarray(a) for name, a in part.items()} for part in side] for side in zip(*parts, strict=True)]
    x, means = ({name: np.concatenate([p[name] for p in side]) for name in side[0]} for side in joined)
    return x, means


def _completed(model: Boltzmann, key: Any, rows: np.ndarray, kept: State) -> State:
    """The groups that were summed out, drawn given those that were kept: they are independent then."""
    draw, x = gibbs.drawing(key, jnp.asarray(rows)), dict(kept)
    for i, name in enumerate(name for name in model.groups if name not in kept):
        theta = model.local_field(name, kept)
        x[name] = draw(model.units[name], jnp.broadcast_to(theta, (len(rows), theta.shape[-1])), (i,))
    return {name: x[name] for name in model.groups}
