"""Approximate answers about layers of 0/1 units, many rows of evidence at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tractable.models._base import ModelError
from tractable.models.boltzmann_machine import VISIBLE
from tractable.models.keys import as_key
from tractable.models.layers import with_known
from tractable.models.precision import single
from tractable.models.recognition import RecognitionNetwork
from tractable.models.sigmoid_belief import drawn_below
from tractable.plan.directed import AnnealedChains, WeighedSamples
from tractable.posterior.approximate import importance, saul_jaakkola
from tractable.posterior.approximate import layer_gibbs as gibbs
from tractable.posterior.cases import CaseAnswer, Cases
from tractable.posterior.certificate import Certificate
from tractable.posterior.exact.layers import sigmoid
from tractable.posterior.tempering._base import run
from tractable.posterior.tempering.layers import LayerPath
from tractable.posterior.tempering.temperatures import curved

CONFIDENCE = 0.95
CELLS = 1 << 21
"""Units of the widest layer, over all chains that run together."""

STARTS, APART = 4, 3.0
"""Starts of mean field for each row, and how far their logits lie from the biases."""

PRIOR_STATES, UNSURE = 4000, 0.02
"""States of the model before it has seen anything; how near to certain the q is at most that annealing starts from."""


class Factorized(NamedTuple):
    """The bound of each row [n_rows], and the means and logits of q, layer by layer [n_rows, n]."""

    bound: np.ndarray
    means: list[np.ndarray]
    logits: tuple[np.ndarray, ...]


def factorized(model: Any, cases: Cases, start: Any = None) -> Factorized:
    """The best factorized q that mean field finds for every row, what is known in place."""
    found, rows = climbed(model, cases, start)
    means = [np.where(k, v, sigmoid(np.asarray(t))) for k, v, t in zip(*rows, found.logits, strict=True)]
    return Factorized(np.asarray(found.bound), means, tuple(np.asarray(t) for t in found.logits))


def by_mean_field(model: Any, recognition: Any, cases: Cases, key: Any = 0, program: None = None) -> CaseAnswer:
    """The bound of Saul, Jaakkola & Jordan below log p(x), in double precision, and the means of q.

    The best of several starts: causes that are alike start alike, and from there the climb ends between the modes.
    """
    bound, means = _best_of_starts(model, cases, key)
    if model.within[0] is None:
        a, x = np.asarray(model.biases[0], float), cases.values[VISIBLE]
        if model.weights:
            a = a + means[1] @ np.asarray(model.weights[0], float).T
        means[0] = np.where(np.isnan(x), sigmoid(a), x)
    certificate = Certificate.bound(bound, bound)
    return CaseAnswer(certificate, {name: Certificate.estimate(m) for name, m in zip(model.groups, means, strict=True)})


def _best_of_starts(model: Any, cases: Cases, key: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """The best bound of each row over starts from the biases and far apart from them, and the means of its q."""
    bound, means, _ = factorized(model, cases)
    if all(not np.isnan(v).any() for name, v in cases.values.items() if name != VISIBLE):
        return bound, means
    first = saul_jaakkola.start(model, list(cases.values.values()))
    for i in range(1, STARTS):
        keys = jax.random.split(jax.random.fold_in(as_key(key), i), len(first))
        noise = (np.asarray(jax.random.normal(k, t.shape[1:])) for k, t in zip(keys, first, strict=True))
        other = factorized(model, cases, [t + APART * n for t, n in zip(first, noise, strict=True)])
        better = other.bound > bound
        bound = np.where(better, other.bound, bound)
        means = [np.where(better[:, None], a, b) for a, b in zip(other.means, means, strict=True)]
    return bound, means


def climbed(model: Any, cases: Cases, start: Any = None) -> tuple[saul_jaakkola.LayerBound, saul_jaakkola.KnownLayers]:
    """The best factorized q that mean field finds for every row, from these logits or from the biases."""
    values = list(cases.values.values())
    rows = saul_jaakkola.KnownLayers([~np.isnan(v) for v in values], [np.nan_to_num(v) for v in values])
    first = saul_jaakkola.start(model, values) if start is None else list(start)
    with jax.enable_x64(True):
        return saul_jaakkola.climb(model.astype(np.float64), rows, first), rows


def by_importance(
    model: Any, recognition: RecognitionNetwork | None, cases: Cases, key: Any, program: WeighedSamples
) -> CaseAnswer:
    """The K-sample bound of the recognition network, and means by its weights."""
    if recognition is None:
        raise ModelError("importance sampling needs a proposal: pair the model with one, HelmholtzMachine(model)")
    check_proposable(model, cases)
    found = importance.weights(
        model, recognition, importance.RowPart(cases.values[VISIBLE]), program.n, as_key(key), True
    )
    means, x = found.means, cases.values[VISIBLE]
    if len(means) < len(model.sizes):  # the top layer that was summed out
        means.append(np.asarray(jax.nn.sigmoid(model.logits(len(means), [*means, None]))))
    means[0] = np.where(np.isnan(x), means[0], x)
    estimates = map(Certificate.estimate, means)
    return CaseAnswer(by_weights(found.log_weights), dict(zip(model.groups, estimates, strict=True)))


def check_proposable(model: Any, cases: Cases) -> None:
    """Raise where a recognition network proposes no states of what is free."""
    if _knows_hidden(cases):
        raise ModelError("a recognition network knows nothing of observed hidden units; use annealing or gibbs")
    if _is_tangled(model, cases):
        raise ModelError("visible units that depend on each other must all be observed for importance sampling")


def is_proposable(model: Any, cases: Cases) -> bool:
    """Whether a recognition network proposes states of all that is free."""
    return not (_knows_hidden(cases) or _is_tangled(model, cases))


def _knows_hidden(cases: Cases) -> bool:
    return any((~np.isnan(v)).any() for name, v in cases.values.items() if name != VISIBLE)


def _is_tangled(model: Any, cases: Cases) -> bool:
    """Whether visible units that are free depend on each other."""
    return model.within[0] is not None and bool(np.isnan(cases.values[VISIBLE]).any())


def by_weights(log_weights: np.ndarray, confidence: float = CONFIDENCE) -> Certificate:
    """log p(x) of each row from weights whose mean is unbiased for p(x) [n_rows, K].

    By Markov's inequality log of the mean exceeds log p(x) by log(1/δ) with probability at most δ; nothing is supposed.
    """
    total, n = np.logaddexp.reduce(log_weights, axis=1), log_weights.shape[1]
    value, lower = total - np.log(n), total - np.log(n / (1 - confidence))
    effective = np.exp(2 * total - np.logaddexp.reduce(2 * log_weights, axis=1))
    verdict = f"a lower bound on average: of {n} weights {effective.min():.1f} count where they are least"
    return Certificate(value, lower, np.full_like(value, np.inf), "probabilistic", confidence, verdict=verdict)


# ---------------------------------------------------------------- chains


class Started(NamedTuple):
    """Chains of some rows: what a sweep needs, and their first states."""

    chains: gibbs.LayerChains
    x: gibbs.LayerStates


def started(model: Any, part: Cases, rows: Any, n: int, key: Any, base: Any = None) -> Started:
    """`n` chains for every row, drawn from logits [n_rows · n, n_units], or fair coins, what is known in place.

    A chain's numbers depend on that of its row alone.
    """
    numbers = (np.asarray(rows)[:, None] * n + np.arange(n)).ravel()
    values = [np.repeat(v, n, axis=0).astype(np.float32) for v in part.values.values()]
    held = gibbs.Held([~np.isnan(v) for v in values], [jnp.asarray(np.nan_to_num(v)) for v in values])
    chains = gibbs.LayerChains(gibbs.blocks_of(model.graph), jnp.asarray(numbers, jnp.uint32), held)
    path = LayerPath(model, chains, [np.zeros_like(v) for v in values] if base is None else base)
    return Started(chains, path.start(jax.random.fold_in(as_key(key), 0), len(numbers)))


def parts_of(model: Any, cases: Cases, n: int) -> Iterator[tuple[np.ndarray, Cases]]:
    """The rows in parts whose chains run together, each with their numbers."""
    step, numbers = max(1, CELLS // (n * max(model.sizes))), np.arange(cases.n_rows)
    return ((numbers[i : i + step], cases.take(slice(i, i + step))) for i in range(0, cases.n_rows, step))


def by_annealing(model: Any, recognition: Any, cases: Cases, key: Any, program: AnnealedChains) -> CaseAnswer:
    """Annealing from a factorized q: a bound that holds with probability, and means by the weights."""
    found = annealed(model, recognition, cases, key, Effort(*program))
    share = np.exp(found.work - np.logaddexp.reduce(found.work, axis=1, keepdims=True))[..., None]
    means = [(share * h).sum(1) for h in found.x]
    errors = [np.sqrt((share**2 * (h - m[:, None]) ** 2).sum(1)) for h, m in zip(found.x, means, strict=True)]
    over = [Certificate.estimate(m, error) for m, error in zip(means, errors, strict=True)]
    return CaseAnswer(by_weights(found.work), dict(zip(model.groups, over, strict=True)))


class Effort(NamedTuple):
    """Annealed chains for each row, and temperatures; `progress` hears of rows done, of how many."""

    n_chains: int
    n_temperatures: int
    progress: Callable[[int, int], None] | None = None

    def tell(self, done: int, total: int) -> None:
        """How far it has come."""
        if self.progress:
            self.progress(done, total)


class Runs(NamedTuple):
    """log weights [n_rows, n_chains] and last states [n_rows, n_chains, n] of annealed chains."""

    work: np.ndarray
    x: list[np.ndarray]


def annealed(
    model: Any,
    recognition: RecognitionNetwork | None,
    cases: Cases,
    key: Any,
    effort: Effort,
    posterior: list[np.ndarray] | None = None,
) -> Runs:
    """Chains from q to the posterior; or from exact samples of the `posterior` [n_rows, n], one for each, back to q."""
    plain, found = single(model), []
    betas, n = curved(effort.n_temperatures), effort.n_chains
    for rows, part in parts_of(model, cases, n):
        chains, _ = started(plain, part, rows, n, key)
        path = LayerPath(plain, chains, [np.repeat(t, n, axis=0) for t in annealed_from(model, recognition, part)])
        if posterior is None:
            x = path.start(jax.random.fold_in(as_key(key), 3), part.n_rows * n)
        else:
            x = [np.asarray(h[rows], np.float32) for h in posterior]
        done = run(path, jax.random.fold_in(as_key(key), 4), betas if posterior is None else betas[::-1], x)
        shape = (part.n_rows, n)
        states = [np.asarray(h, np.float64).reshape(*shape, -1) for h in done.x]
        found.append(Runs(done.work.reshape(shape), states))
        effort.tell(int(rows[-1]) + 1, cases.n_rows)
    states = zip(*(done.x for done in found), strict=True)
    return Runs(np.concatenate([done.work for done in found]), [np.concatenate(h) for h in states])


def annealed_from(model: Any, recognition: RecognitionNetwork | None, part: Cases) -> list[np.ndarray]:
    """Logits [n_rows, n] of a factorized q for every layer, under which no unit is certain.

    What matters is to cover the posterior. The means that a recognition network guesses do, where they can be had, and
    else those of the model before it has seen anything. The q of mean field, the nearest there is in the other
    direction, sits on one mode: on MNIST it cost five nats with 300 temperatures, more than knowing nothing (1.3), and
    is only for a machine on top, whose own means are unknown.
    """
    x = part.values[VISIBLE]
    if recognition is not None and not np.isnan(x).any():
        found = recognized(model, recognition, x)
        means = [np.asarray(found[name]) for name in model.groups]
    elif model.family == "sigmoid_belief":
        seen = with_known(model, None).sample(0, PRIOR_STATES)
        means = [np.broadcast_to(np.asarray(h).mean(0), (part.n_rows, h.shape[1])) for h in seen]
    else:
        means = [jax.nn.sigmoid(t) for t in climbed(model, part)[0].logits]
    sure = [np.clip(np.asarray(m), UNSURE, 1 - UNSURE) for m in means]
    return [np.asarray(np.log(m) - np.log1p(-m), np.float32) for m in sure]


# ---------------------------------------------------------------- without evidence


def below(model: Any, key: Any, top: np.ndarray) -> list[jax.Array]:
    """States of all layers down from given ones of the lower layer of the machine on top."""
    return _below(model.astype(np.float32), as_key(key), top)


@jax.jit
def _below(model: Any, key: Any, top: jax.Array) -> list[jax.Array]:
    rows = jnp.arange(len(top), dtype=jnp.uint32)
    return drawn_below(model, jax.random.fold_in(key, 5), rows, top, len(model.weights))


def recognized(model: Any, recognition: RecognitionNetwork, values: np.ndarray) -> dict[str, np.ndarray]:
    """The means a recognition network gives of every hidden layer, and of a top one that it leaves out given these."""
    means = [
        np.asarray(values, np.float64),
        *(np.asarray(m, np.float64) for m in _means(recognition, np.asarray(values, np.float32))),
    ]
    if len(means) < len(model.sizes):
        means.append(np.asarray(jax.nn.sigmoid(model.logits(len(means), [*means, None]))))
    return dict(zip(model.groups, means, strict=True))


_means = jax.jit(lambda recognition, x: recognition.astype(np.float32).means(x))
