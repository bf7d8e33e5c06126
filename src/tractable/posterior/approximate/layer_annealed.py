"""One row of layers by annealed chains: where Gibbs chains do not cross, their weights say the shares of modes.

One set of chains has a base of its own for each mode, and counts only those that end nearest to the mode they come
from: the sum over modes is unbiased for p(x) whatever the modes are. The other set starts from fair coins, and knows of
none. The answer is that of the set whose weights are worth more, if the other one finds nothing that it lacks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from tractable.models.keys import as_key
from tractable.models.recognition import RecognitionNetwork
from tractable.plan.directed import CHAINS
from tractable.posterior.approximate import layer_gibbs as gibbs
from tractable.posterior.approximate import layer_modes
from tractable.posterior.approximate.layers import started
from tractable.posterior.cases import Cases
from tractable.posterior.tempering._base import PathRun, run
from tractable.posterior.tempering.layers import LayerPath
from tractable.posterior.tempering.temperatures import curved

ANNEALED, FEWEST = 128, 40
"""Chains of each set, and temperatures, at least."""

EFFORTS = (1.0, 4.0)
"""The work, of that of the chains which do not cross: the second where the first does not do."""

SETTLED = 50
"""Sweeps of the chains at the end, which draws are taken after, and averages over."""

LEAST, SHARE = 40.0, 0.5
"""Independent draws that the weights must be worth; as a share of the draws asked for."""

UNSURE, BY_MODE = 0.02, 4
"""How near to certain a unit of a base is at most; a mode with fewer chains has none."""

LACKING = 0.05
"""The share of all that one set may find more of than the other, beside four standard errors."""

ENOUGH = 300.0
"""Nats by which one set finds more than the other, as far as they are counted."""


class WeighedChains(NamedTuple):
    """Annealed chains of one row and their shares of the weight [c]; what they are worth; why they may not do."""

    chains: gibbs.LayerChains
    x: gibbs.LayerStates
    share: Float[np.ndarray, " c"]
    worth: float
    doubt: str | None


def weighed(
    model: Any,
    recognition: RecognitionNetwork | None,
    part: tuple[Cases, np.ndarray],
    key: Any,
    size: tuple[int, int],
) -> WeighedChains:
    """Annealed chains of the one row in `part`, for averages and for `size[0]` draws, in place of `size[1]` sweeps."""
    modes, n = layer_modes.find(model, recognition, *part, key).row(0), max(ANNEALED, size[0])
    strata, found, work = _strata(modes, n), None, max(size[0], CHAINS) * size[1]
    bases = [np.concatenate([a, np.zeros_like(a)]) for a in strata.bases()]
    for attempt, effort in enumerate(EFFORTS):
        own, betas = jax.random.fold_in(as_key(key), 7 + attempt), curved(max(FEWEST, int(effort * work / (2 * n))))
        at = started(model, *part, 2 * n, own, bases)
        done = run(LayerPath(model, at.chains, bases), jax.random.fold_in(own, 1), betas, at.x)
        found = _judged(strata, done, at.chains, SHARE * size[0])
        if found.doubt is None:
            break
    assert found is not None
    return found


class ModeBases(NamedTuple):
    """The modes that have a base, by their log odds [k, n], and the mode that each chain starts from [c]."""

    odds: list[Float[np.ndarray, "k n"]]
    origin: Int[np.ndarray, " c"]

    def bases(self) -> list[np.ndarray]:
        """Logits [c, n] for every chain; no unit is certain."""
        limit = np.log(1 / UNSURE - 1)
        return [np.clip(a, -limit, limit)[self.origin].astype(np.float32) for a in self.odds]

    def nearest(self, x: gibbs.LayerStates, known: Any) -> Int[np.ndarray, " c"]:
        """The mode whose q gives each state of the hidden units the most."""
        log_q = np.zeros((len(x[0]), len(self.odds[0])))
        for theta, h, k in zip(self.odds[1:], x[1:], known[1:], strict=True):
            free = ~np.asarray(k)
            log_q += (np.asarray(h) * free) @ theta.T - free @ np.logaddexp(0, theta).T
        return log_q.argmax(axis=1)


def _strata(modes: list[tuple[float, list[np.ndarray]]], n: int) -> ModeBases:
    """`n` chains shared out among the modes by the root of their weight."""
    weights = np.array([w for w, _ in modes])
    share = np.exp((weights - weights.max()) / 2)
    kept = share >= min(BY_MODE * share.sum() / n, 1.0)
    total = np.cumsum(share[kept]) / share[kept].sum()
    origin = np.searchsorted(total[:-1], (np.arange(n) + 0.5) / n)
    layers = zip(*(odds for _, odds in modes), strict=True)
    return ModeBases([np.stack(layer)[kept] for layer in layers], origin)


def _worth(log_weights: Float[np.ndarray, " c"]) -> float:
    """The effective sample size; none where weights are no numbers."""
    total = np.logaddexp.reduce(log_weights) if log_weights.max() > -np.inf else -np.inf
    if not np.isfinite(total):
        return 0.0
    return float(np.exp(2 * total - np.logaddexp.reduce(2 * log_weights)))


def _judged(strata: ModeBases, done: PathRun, chains: gibbs.LayerChains, needed: float) -> WeighedChains:
    """The set of chains whose weights are worth more, and the first doubt there is."""
    n, near = len(strata.origin), strata.nearest(done.x, chains.held.known).reshape(2, -1)
    of_mode = np.bincount(strata.origin)
    sets = np.stack([done.work[:n] - np.log(of_mode[strata.origin]), done.work[n:] - np.log(n)])
    sets[0, near[0] != strata.origin] = -np.inf
    worth = [_worth(w) for w in sets]
    best = int(np.argmax(worth))
    chosen, total = np.arange(n) + best * n, np.logaddexp.reduce(sets[best]) if worth[best] else np.inf
    scaled = np.exp(np.minimum(sets - total, ENOUGH))
    found = WeighedChains(taken(chains, chosen), [h[chosen] for h in done.x], scaled[best], worth[best], None)
    if not worth[best] >= max(LEAST, needed):
        return found._replace(doubt=f"the weights of annealed ones are worth {worth[best]:.1f} of {n}")
    sums = [_sums(*own) for own in zip(scaled, near, (of_mode, np.full(len(of_mode), n)), strict=True)]
    more, variance = sums[1 - best][0] - sums[best][0], sums[0][1] + sums[1][1]
    if not (more <= 4 * np.sqrt(variance) + LACKING).all():
        return found._replace(doubt=f"annealed ones from other bases find {more.max():.0%} more")
    return found


def _sums(shares: np.ndarray, near: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a set of chains has of each mode and of all, and the variances; of a mode so many chains could have it."""
    total, squares = (np.bincount(near, w, minlength=len(counts)) for w in (shares, shares**2))
    variance = np.maximum(squares - total**2 / counts, 0)
    return np.append(total, total.sum()), np.append(variance, variance.sum())


def taken(chains: gibbs.LayerChains, index: Any) -> gibbs.LayerChains:
    """Some of the chains."""
    held = gibbs.Held(*([a[index] for a in layers] for layers in chains.held))
    return chains._replace(held=held, rows=chains.rows[index])


def averaged(model: Any, found: WeighedChains, key: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Layer by layer the averages over all chains by their weights, and standard errors [n]: of what is not known at
    least what a mode that no chain has seen may come to, one draw.
    """
    own = jax.random.fold_in(as_key(key), 9)
    _, along = gibbs.averages(model, found.chains, own, found.x, range(SETTLED))
    out = []
    for h, known in zip(along.means, found.chains.held.known, strict=True):
        h = np.asarray(h, np.float64)
        mean = found.share @ h
        least = np.where(np.asarray(known)[0], 0.0, 1 / found.worth)
        out.append((mean, np.hypot(np.sqrt(found.share**2 @ (h - mean) ** 2), least)))
    return out


def resampled(model: Any, found: WeighedChains, key: Any, n: int) -> gibbs.LayerStates:
    """`n` chains drawn by the weights, some sweeps later."""
    own = np.random.default_rng(np.asarray(jax.random.key_data(jax.random.fold_in(as_key(key), 9))))
    places = own.permutation((np.arange(n) + own.random()) / max(n, 1))
    chosen = jnp.asarray(np.searchsorted(np.cumsum(found.share)[:-1], places))
    chains = taken(found.chains, chosen)._replace(rows=jnp.arange(n, dtype=jnp.uint32))
    x = [h[chosen] for h in found.x]
    return gibbs.averages(model, chains, jax.random.fold_in(as_key(key), 10), x, range(SETTLED))[0]
