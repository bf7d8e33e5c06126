"""Gibbs chains of layers, many rows at once: they start from the modes found, and say whether they cross.

The rows in which they do not, so many at most, are answered by annealed chains, whose weights know the shares of modes
that no chain crosses to; and where these do not do either, the verdict says so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool

from tractable.models.keys import as_key
from tractable.models.precision import single
from tractable.models.recognition import RecognitionNetwork
from tractable.plan.directed import CHAINS, GibbsChains
from tractable.posterior.approximate import layer_annealed, layer_modes, over_chains
from tractable.posterior.approximate import layer_gibbs as gibbs
from tractable.posterior.approximate.layers import Started, by_mean_field, parts_of, started
from tractable.posterior.approximate.over_chains import Halves
from tractable.posterior.cases import CaseAnswer, Cases
from tractable.posterior.certificate import Certificate, joined

BURN_IN = 0.25
AGAIN = 16
"""Rows that are annealed in one call, at most."""


def by_gibbs(model: Any, recognition: Any, cases: Cases, key: Any, program: GibbsChains) -> CaseAnswer:
    """Averages over chains; log p(x) is not estimated from samples: its certificate is the bound of mean field."""
    means = chain_means(model, recognition, cases, key, program)
    return CaseAnswer(by_mean_field(model, None, cases).log_partition, means)


class Averaged(NamedTuple):
    """Of the rows of a part, layer by layer [n_rows, n]: averages, their standard errors, and R-hat."""

    value: list[np.ndarray]
    error: list[np.ndarray]
    r_hat: list[np.ndarray]


def chain_means(
    model: Any, recognition: RecognitionNetwork | None, cases: Cases, key: Any, program: GibbsChains
) -> dict[str, Certificate]:
    """Averages over chains, with standard errors, and with the verdict on all rows."""
    plain, (n, n_sweeps) = single(model), program
    whole = _averaged_of(plain, recognition, cases, key, (n, n_sweeps))
    r_hat = dict(zip(model.groups, whole.r_hat, strict=True))
    lost = over_chains.apart(r_hat)
    told = [
        _annealed_in_place(plain, recognition, (cases, int(r)), (key, n_sweeps), whole)
        for r in np.flatnonzero(lost)[:AGAIN]
    ]
    verdict = _verdict(r_hat, lost, told)
    found = zip(model.groups, whole.value, whole.error, strict=True)
    return {name: Certificate.estimate(value, error, verdict) for name, value, error in found}


def _averaged_of(
    model: Any, recognition: RecognitionNetwork | None, cases: Cases, key: Any, size: tuple[int, int]
) -> Averaged:
    parts: list[Averaged] = []
    for rows, part in parts_of(model, cases, size[0]):
        halves = _chains(model, recognition, (part, rows), key, size)[1]
        found = [over_chains.averaged(own) for own in halves]
        parts.append(Averaged([c.value for c, _ in found], [c.std_error for c, _ in found], [r for _, r in found]))
    return Averaged(*([np.concatenate(layer) for layer in zip(*own, strict=True)] for own in zip(*parts, strict=True)))


def _chains(
    model: Any, recognition: RecognitionNetwork | None, part: tuple[Cases, np.ndarray], key: Any, size: tuple[int, int]
) -> tuple[gibbs.LayerStates, list[Halves]]:
    """Chains from the modes of each row, the first sweeps left out: last states, and what halves say."""
    (cases, rows), (n, n_sweeps) = part, size
    modes = layer_modes.find(model, recognition, cases, rows, key)
    at, own = started(model, cases, rows, n, key, modes.shared_out(n)), jax.random.fold_in(as_key(key), 1)
    return _halves(model, at, own, (cases.n_rows, n), n_sweeps)


def _halves(
    model: Any, at: Started, key: Any, shape: tuple[int, int], n_sweeps: int
) -> tuple[gibbs.LayerStates, list[Halves]]:
    burn_in, n = max(1, int(BURN_IN * n_sweeps)), max(1, n_sweeps // 2)
    x, _ = gibbs.averages(model, at.chains, key, at.x, range(burn_in))
    x, first = gibbs.averages(model, at.chains, key, x, range(burn_in, burn_in + n))
    x, second = gibbs.averages(model, at.chains, key, x, range(burn_in + n, burn_in + max(n_sweeps, 2 * n)))

    def stacked(*both: Any) -> np.ndarray:
        return np.stack([np.asarray(a, np.float64).reshape(*shape, -1) for a in both])

    pairs = zip(first.means, second.means, first.squares, second.squares, strict=True)
    return x, [Halves(stacked(a, b), stacked(c, d)) for a, b, c, d in pairs]


def _annealed_in_place(
    model: Any, recognition: RecognitionNetwork | None, case: tuple[Cases, int], how: tuple[Any, int], whole: Averaged
) -> layer_annealed.WeighedChains:
    """What annealed chains say of one row, put in place of what the others did, where that can be relied on."""
    (cases, r), (key, n_sweeps) = case, how
    found = layer_annealed.weighed(model, recognition, (cases.take([r]), np.array([r])), key, (0, n_sweeps))
    if found.doubt is None:
        for at, (value, error) in enumerate(layer_annealed.averaged(model, found, key)):
            whole.value[at][r], whole.error[at][r] = value, error
    return found


def _verdict(
    r_hat: dict[str, np.ndarray], lost: Bool[np.ndarray, " rows"], told: list[layer_annealed.WeighedChains]
) -> str:
    """Of all rows, those that were annealed among them."""
    again, left = np.flatnonzero(lost)[: len(told)], lost.copy()
    left[again] = [found.doubt is not None for found in told]
    doubts = joined(*(found.doubt for found in told))
    if left.any():
        return f"{over_chains.verdict(r_hat, left)}{f'; {doubts}' if doubts else ''}"
    if not told:
        return over_chains.CROSS
    where = f" in {len(told)} of {len(lost)} rows" if len(lost) > 1 else ""
    return f"{RELIABLE}: chains do not cross{where}, {_in_place(told)}"


RELIABLE = "reliable given the phases found"


def _in_place(told: list[layer_annealed.WeighedChains]) -> str:
    worth = min(found.worth for found in told)
    return f"annealed ones, worth {worth:.0f} independent draws, stand for them"


class Ends(NamedTuple):
    """Draws: layer → states [n, n_units], and the verdict on them."""

    values: dict[str, np.ndarray]
    verdict: str


def chain_ends(
    model: Any, recognition: RecognitionNetwork | None, cases: Cases, key: Any, size: tuple[int, int]
) -> Ends:
    """The ends of `n` chains in the first case, or annealed ones where these do not cross."""
    plain, first, (n, n_sweeps) = single(model), (cases.take(slice(0, 1)), np.array([0])), size
    x, halves = _chains(plain, recognition, first, key, (max(n, CHAINS), n_sweeps))
    r_hat = {name: over_chains.averaged(own)[1] for name, own in zip(model.groups, halves, strict=True)}
    lost = over_chains.apart(r_hat)
    if lost.any():
        found = layer_annealed.weighed(plain, recognition, first, key, size)
        verdict = _verdict(r_hat, lost, [found])
        x = x if found.doubt else layer_annealed.resampled(plain, found, key, n)
    else:
        verdict = over_chains.CROSS
    return Ends({g: np.asarray(h, np.float64)[:n] for g, h in zip(model.groups, x, strict=True)}, verdict)
