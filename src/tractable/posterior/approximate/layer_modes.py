"""RowModes of the posterior of layers, row by row: where chains end that are cooled from starts of several kinds.

In such a state x* no unit gains by a change of its own. The log odds θ of every unit given all others say how far its
weight reaches, log p̃(x*) + Σ log(1 + e^−|θ|), were units independent in its neighbourhood; and the factorized q with
these odds is what chains of that mode start from. The bound of mean field would say the same for thousands of times the
work: it takes a number for each link where these take one sweep of a chain.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from tractable.models.boltzmann_machine import VISIBLE
from tractable.models.deep_belief import TOP
from tractable.models.keys import as_key
from tractable.models.recognition import RecognitionNetwork
from tractable.posterior.approximate import layer_gibbs as gibbs
from tractable.posterior.approximate.importance import log_joint_of_seen
from tractable.posterior.approximate.layers import recognized, started
from tractable.posterior.cases import Cases

STARTS = 32
"""Of every row: what is recognized, or expected before anything is seen; fair coins; whole layers on or off; and units
drawn to one side each."""

COOLING = np.array([1, 1, 2, 2, 4, 4, 8, 8, 16, 16], np.float32)
"""Inverse temperatures of the sweeps."""

UNSURE, SURE, SIDES = 0.02, 8.0, 4.0
"""How near to certain a recognized unit is at most; logits of whole layers; the root of the mean square of those that
draw units to one side."""

ALIKE = 0.5
"""Ends are the same mode where no unit's mean given the others differs by more."""

GOLDEN = (5**0.5 - 1) / 2


class RowModes(NamedTuple):
    """What every row's starts led to: log odds of all units [r, s, n], and the log weight of each end [r, s], −∞ of an
    end that another one stands for.
    """

    odds: list[Float[np.ndarray, "r s n"]]
    log_weights: Float[np.ndarray, "r s"]

    def shared_out(self, n: int) -> list[Float[np.ndarray, "c n"]]:
        """The odds that `n` chains of each row start from: as many of a mode as the root of its weight says.

        Chains of a light mode tell whether others come to see it, while one of no weight has none.
        """
        share = np.exp((self.log_weights - self.log_weights.max(axis=1, keepdims=True)) / 2)
        total = np.cumsum(share, axis=1) / share.sum(axis=1, keepdims=True)
        places = (0.5 + GOLDEN * np.arange(n)) % 1  # any number of them in a row is spread evenly
        chosen = np.stack([np.searchsorted(row[:-1], places) for row in total])
        return [a[np.arange(len(a))[:, None], chosen].reshape(-1, a.shape[2]) for a in self.odds]

    def row(self, r: int) -> list[tuple[float, list[Float[np.ndarray, " n"]]]]:
        """The modes of one row: the log weight and the odds of each."""
        kept = np.flatnonzero(np.isfinite(self.log_weights[r]))
        return [(float(self.log_weights[r, s]), [a[r, s] for a in self.odds]) for s in kept]


def find(model: Any, recognition: RecognitionNetwork | None, part: Cases, rows: np.ndarray, key: Any) -> RowModes:
    """The modes of these rows; what is found of one depends on its number alone."""
    own = jax.random.fold_in(as_key(key), 6)
    chains, x = started(model, part, rows, STARTS, own, _starts(_guessed(model, recognition, part)))
    odds, log_p = _cooled(model, chains, jax.random.fold_in(own, 1), x, COOLING)
    shape, free = (part.n_rows, STARTS), [np.isnan(v) for v in part.values.values()]
    found = [np.asarray(a, np.float64).reshape(*shape, -1) for a in odds]
    weights = np.asarray(log_p, np.float64).reshape(shape)
    weights = np.where(np.isfinite(weights), weights, np.finfo(float).min)
    hidden = [at for at, name in enumerate(model.groups) if name != VISIBLE or model.within[0] is not None]
    for r in range(part.n_rows):
        own = [_sigmoid(found[at][r][:, free[at][r]]) for at in hidden]
        means = np.concatenate([np.zeros((STARTS, 0)), *own], axis=1)
        weights[r, _seen_before(means, weights[r])] = -np.inf
    return RowModes(found, weights)


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(a / 2))


def _seen_before(means: Float[np.ndarray, "s n"], weights: Float[np.ndarray, " s"]) -> Bool[np.ndarray, " s"]:
    """The ends that are like one of more weight."""
    order = np.argsort(-weights, kind="stable")
    ranked = means[order]
    apart = np.abs(ranked[:, None] - ranked).max(axis=2, initial=0)
    out = np.empty(len(means), bool)
    out[order] = np.tril(apart <= ALIKE, -1).any(axis=1)
    return out


def _guessed(model: Any, recognition: RecognitionNetwork | None, part: Cases) -> list[np.ndarray]:
    """Logits [n_rows, n] of every layer: those a recognition network gives, else those of means passed downward."""
    x = part.values[VISIBLE]
    if recognition is not None and not np.isnan(x).any():
        sure = [np.clip(mean, UNSURE, 1 - UNSURE) for mean in recognized(model, recognition, x).values()]
        return [np.log(m) - np.log1p(-m) for m in sure]
    out = [np.asarray(b, float) for b in model.biases]
    out += [np.asarray(model.top.fields[name], float) for name in TOP] if model.family == "deep_belief" else []
    for at in reversed(range(len(model.weights))):
        out[at] = out[at] + np.asarray(model.weights[at], float) @ _sigmoid(out[at + 1])
    return [np.broadcast_to(a, (part.n_rows, len(a))) for a in out]


def _starts(known: list[np.ndarray]) -> list[np.ndarray]:
    """The logits [n_rows · s, n] that starts are drawn from, a quarter of each kind."""
    rng, kinds = np.random.default_rng(0), STARTS // 4
    out = []
    for at, logits in enumerate(known):
        n_rows, n = logits.shape
        whole = SURE * np.where(np.arange(kinds) >> (at % 3) & 1, 1.0, -1.0)
        sides = SIDES * rng.normal(size=(kinds, n))
        same = np.stack([np.zeros((kinds, n)), np.tile(whole[:, None], n), sides]).reshape(-1, n)
        own = np.concatenate([np.repeat(logits[:, None], kinds, 1), np.tile(same, (n_rows, 1, 1))], axis=1)
        out.append(own.reshape(-1, n).astype(np.float32))
    return out


@jax.jit
def _cooled(
    model: Any, chains: gibbs.LayerChains, key: Any, x: gibbs.LayerStates, betas: Array
) -> tuple[gibbs.LayerStates, Array]:
    """The log odds of all units at the end, and the log weight of the neighbourhood."""
    none = [jnp.zeros_like(h) for h in x]

    def one(t: Any, x: gibbs.LayerStates) -> gibbs.LayerStates:
        cold = chains._replace(tempered=gibbs.TemperedLayers(betas[t], none))
        return gibbs.sweep(model, cold, jax.random.fold_in(key, t), x)

    x = jax.lax.fori_loop(0, len(betas), one, x)
    odds, known, loose = gibbs.log_odds(model, chains, x), chains.held.known, model.within[0] is None
    log_p = log_joint_of_seen(model, x, known[0].astype(x[0].dtype) if loose else None)
    for at in range(1 if loose else 0, len(x)):
        log_p = log_p + (jax.nn.softplus(-jnp.abs(odds[at])) * ~known[at]).sum(-1)
    return odds, log_p
