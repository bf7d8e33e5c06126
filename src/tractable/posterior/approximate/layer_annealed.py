"""One row of layers by annealed chains: where Gibbs chains do not cross, their weights say the shares of modes.

Half of the chains start from the means of all modes found, half from fair coins. The weights of either are unbiased for
p(x), so that both have to say the same; and what they say of a mode must not be less than what is found there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tractable.models.recognition import RecognitionNetwork
from tractable.posterior.approximate import layer_gibbs as gibbs
from tractable.posterior.approximate import layer_modes
from tractable.posterior.approximate.clamped import as_key
from tractable.posterior.approximate.layers import started
from tractable.posterior.cases import Cases
from tractable.posterior.tempering._base import run
from tractable.posterior.tempering.layers import LayerPath
from tractable.posterior.tempering.temperatures import curved

CHAINS, TEMPERATURES = 128, (100, 400)
"""Chains of a row, and temperatures: the second number where the first does not do."""

SETTLED = 50
"""Sweeps of the chains at the end, which draws are taken after, and averages over."""

LEAST, SHARE = 24.0, 0.5
"""Independent draws that the weights must be worth; as a share of the draws asked for."""

UNSURE = 0.1
"""How near to certain a unit is at most where chains start."""


class Weighed(NamedTuple):
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
    n: int = 0,
) -> Weighed:
    """Annealed chains of the one row in `part`, enough for averages and for `n` draws."""
    modes = layer_modes.find(model, recognition, *part, key).row(0)
    n_chains = 2 * max(CHAINS // 2, -(-n // 2))
    bases = _bases(modes, n_chains)
    for attempt, n_temperatures in enumerate(TEMPERATURES):
        own = jax.random.fold_in(as_key(key), 7 + attempt)
        at = started(model, *part, n_chains, own, bases)
        done = run(LayerPath(model, at.chains, bases), own, curved(n_temperatures), at.x)
        found = _judged(done.work, modes, Weighed(at.chains, done.x, done.work, 0.0, None), SHARE * n)
        if found.doubt is None:
            break
    return found


def _bases(modes: list[Any], n_chains: int) -> list[np.ndarray]:
    """Logits [c, n]: those of the means of all modes together, none of them certain, and zeros."""
    weights = np.array([w for w, _ in modes])
    share = np.exp((weights - weights.max()) / 2)
    out = []
    for layer in zip(*(odds for _, odds in modes), strict=True):
        mean = np.clip((share / share.sum()) @ (0.5 * (1 + np.tanh(np.stack(layer) / 2))), UNSURE, 1 - UNSURE)
        both = np.stack([np.log(mean) - np.log1p(-mean), np.zeros_like(mean)])
        out.append(np.repeat(both, n_chains // 2, axis=0).astype(np.float32))
    return out


def _worth(log_weights: Float[np.ndarray, " c"]) -> float:
    """The effective sample size."""
    total = np.logaddexp.reduce(log_weights)
    return float(np.exp(2 * total - np.logaddexp.reduce(2 * log_weights)))


def _judged(work: np.ndarray, modes: list[Any], found: Weighed, needed: float) -> Weighed:
    """The shares, what they are worth, and the first doubt there is."""
    total, n = np.logaddexp.reduce(work), len(work)
    share, worth = np.exp(work - total), _worth(work)
    found = found._replace(share=share, worth=worth)
    halves = [work[: n // 2], work[n // 2 :]]
    log_z = [np.logaddexp.reduce(h) - np.log(len(h)) for h in halves]
    error = np.sqrt(sum(1 / _worth(h) for h in halves))
    if not worth >= max(LEAST, needed):
        return found._replace(doubt=f"the weights of annealed ones are worth {worth:.1f} of {n}")
    if not abs(log_z[0] - log_z[1]) <= 4 * error + 0.05:
        return found._replace(doubt=f"annealed ones from two bases differ by {abs(log_z[0] - log_z[1]):.2g} nats")
    missed = _missed(modes, found, float(total - np.log(n)))
    return found if missed is None else found._replace(doubt=missed)


def _missed(modes: list[Any], found: Weighed, log_z: float) -> str | None:
    """Whether annealed chains hold less of a mode than its neighbourhood alone weighs."""
    near = np.stack([_log_q(odds, found) for _, odds in modes]).argmax(axis=0)
    for k, (weight, _) in enumerate(modes):
        held = float(found.share[near == k].sum())
        least = float(np.exp(min(weight - log_z, 0.0)))
        if not least <= held + 4 * np.sqrt(held * (1 - held) / found.worth) + 0.1:
            return f"annealed ones hold {held:.2g} of a mode that weighs {least:.2g} or more"
    return None


def _log_q(odds: list[np.ndarray], found: Weighed) -> Float[np.ndarray, " c"]:
    total = np.zeros(len(found.share))
    for theta, x, known in zip(odds[1:], found.x[1:], found.chains.held.known[1:], strict=True):
        each = np.asarray(x) * theta - np.logaddexp(0, theta)
        total += (each * ~np.asarray(known)).sum(axis=1)
    return total


def averaged(model: Any, found: Weighed, key: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Layer by layer the averages over all chains by their weights, and standard errors [n]."""
    own = jax.random.fold_in(as_key(key), 9)
    _, along = gibbs.averages(model, found.chains, own, found.x, range(SETTLED))
    out = []
    for h in (np.asarray(a, np.float64) for a in along.means):
        mean = found.share @ h
        out.append((mean, np.sqrt(found.share**2 @ (h - mean) ** 2)))
    return out


def resampled(model: Any, found: Weighed, key: Any, n: int) -> gibbs.LayerStates:
    """`n` chains drawn by the weights, some sweeps later."""
    own = np.random.default_rng(np.asarray(jax.random.key_data(jax.random.fold_in(as_key(key), 9))))
    places = own.permutation((np.arange(n) + own.random()) / max(n, 1))
    chosen = jnp.asarray(np.searchsorted(np.cumsum(found.share)[:-1], places))
    held = gibbs.Held(*([a[chosen] for a in layers] for layers in found.chains.held))
    chains = found.chains._replace(held=held, rows=jnp.arange(n, dtype=jnp.uint32))
    x = [h[chosen] for h in found.x]
    return gibbs.averages(model, chains, jax.random.fold_in(as_key(key), 10), x, range(SETTLED))[0]
