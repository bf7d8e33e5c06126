"""All of q on one assignment: the most probable path of each sequence, the most probable completion of each row.

    ELBO(q) = log p(x, z*),   KL(q ‖ p(z | x)) = −log p(z* | x)

No z has a higher ELBO, so that E-steps of this kind never lower it: Viterbi training (Juang & Rabiner 1990).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tractable.kernels.chain import Chains, filtered, viterbi
from tractable.models.hidden_markov import HiddenMarkovModel
from tractable.models.sequences import Sequences
from tractable.posterior.expected import Expected


def of_paths(model: HiddenMarkovModel, x: Sequences, weights: np.ndarray) -> tuple[np.ndarray, Expected]:
    """log p of each sequence, and what the paths count; an impossible sequence counts nothing."""
    chains = Chains(model.first, model.transition, model.log_likelihoods(x.rows), x.sizes)
    found, log_p = viterbi(chains), filtered(chains)[0]
    each = x.each(weights)
    marginals = one_hot(found.states, each, model.n_states)
    counts = transitions(found.states, each, x, model.n_states)
    statistics = model.statistics(x.rows, marginals, marginals[x.ends - x.sizes].sum(0), counts)
    return log_p, expected(statistics, log_p, found.log_probability, weights)


def one_hot(states: np.ndarray, weights: np.ndarray, k: int) -> np.ndarray:
    """States [n] as indicators [n, k], weighted; nothing where a row has no weight."""
    out = np.zeros((len(states), k))
    there = np.flatnonzero((weights > 0) & (states >= 0))
    out[there, states[there]] = weights[there]
    return out


def transitions(states: np.ndarray, weights: np.ndarray, x: Sequences, k: int) -> np.ndarray:
    """How often one state follows another [k, k], weighted; none from one sequence to the next."""
    inside = (weights[1:] > 0) & (states[1:] >= 0)
    inside[x.ends[:-1] - 1] = False
    pairs = states[:-1][inside] * k + states[1:][inside]
    return np.bincount(pairs, weights[1:][inside], k * k).reshape(k, k)


def expected(statistics: Any, log_p: np.ndarray, log_best: np.ndarray, weights: np.ndarray) -> Expected:
    """The record, of what counts."""
    on = weights > 0
    total, elbo = float(log_p[on] @ weights[on]), float(log_best[on] @ weights[on])
    on &= np.isfinite(log_p)
    return Expected(statistics, total, elbo, float((log_p[on] - log_best[on]) @ weights[on]))
