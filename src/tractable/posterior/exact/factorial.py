"""Exact answers about chains that meet in what they produce: over joint states, moved one chain at a time.

    α_t = (α_{t−1} A_1 ⊗ … ⊗ A_M) ∘ b_t,   each A_m along its own axis: O(T M k^(M+1))   (Ghahramani & Jordan 1997)

The kernel does it in doubles. What those cannot hold, most probable paths and samples are done here with logarithms.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tractable.kernels.chain_factorial import Joined, JointChains
from tractable.kernels.chain_factorial import filtered as filter_chains
from tractable.kernels.chain_factorial import smooth as smooth_chains
from tractable.models.additive import Terms, joint_table
from tractable.models.emissions._base import logs
from tractable.models.factorial_hidden_markov import FactorialHiddenMarkovModel
from tractable.posterior.exact.best_first import best_first

Combine = Callable[..., Any]


class Question(NamedTuple):
    """A model and rows as the recursions take them."""

    chains: JointChains
    lengths: np.ndarray

    def parts(self) -> list[slice]:
        """The rows of each sequence."""
        ends = np.cumsum(self.lengths)
        return [slice(int(b - n), int(b)) for b, n in zip(ends, self.lengths, strict=True)]


def question(model: FactorialHiddenMarkovModel, terms: Terms, lengths: np.ndarray) -> Question:
    """What is asked of the recursions about these rows."""
    own, linear = list(zip(model.starts, model.transitions, strict=True)), terms.linear.copy()
    linear[:, model.emissions.slices[0]] += terms.constant[:, None]  # here it cancels what is large, row by row
    return Question(JointChains(own, linear, joint_table(terms.quadratic, model.sizes), terms.group), lengths)


def smooth(asked: Question, weights: np.ndarray | None = None) -> Joined:
    """log p(x), p(z_t^m | x), expected transitions, and joint posteriors summed over the rows of each group."""
    found = smooth_chains(asked.chains, asked.lengths, weights)
    for s in np.flatnonzero(np.isnan(found.log_likelihood)):
        _log_smooth(asked, int(s), 1.0 if weights is None else float(weights[s]), found)
    return found


def filtered(asked: Question) -> tuple[np.ndarray, np.ndarray]:
    """log p(x) of each sequence, and p(z_t^m | x_1, …, x_t) [n, Σk]."""
    found = filter_chains(asked.chains, asked.lengths)
    log_p, out = found.log_likelihood, found.marginals
    for s in np.flatnonzero(np.isnan(log_p)):
        part = asked.parts()[s]
        alpha = log_forward(asked, part)
        log_p[s] = np.logaddexp.reduce(alpha[-1])
        out[part] = _marginals(asked, alpha) if log_p[s] > -np.inf else np.nan
    return log_p, out


def fixed_lag(asked: Question, lag: int) -> np.ndarray:
    """p(z_t^m | x_1, …, x_{t+lag}) of every row [n, Σk].

    Raises
    ------
    ValueError : a negative lag.
    """
    if lag < 0:
        raise ValueError(f"a lag is a number of rows ≥ 0, got {lag}")
    if lag == 0:
        return filtered(asked)[1]
    return np.concatenate([_lagged(asked, part, lag) for part in asked.parts()])


def _lagged(asked: Question, part: slice, lag: int) -> np.ndarray:
    alpha, rows, n = log_forward(asked, part), _rows(asked, part), part.stop - part.start
    if not (alpha[-1] > -np.inf).any():
        return np.full((n, sum(asked.chains.sizes)), np.nan)
    after = np.zeros_like(alpha)
    for ahead in range(min(lag, n - 1), 0, -1):
        after[: n - ahead] = _backward(asked, rows[ahead:] + after[: n - ahead])
    return _marginals(asked, alpha + after)


# ---------------------------------------------------------------- with logarithms


class JointPaths(NamedTuple):
    """The best joint paths, as states of each chain [k, n, M], and log p(path, x) of each sequence [k, n_sequences]."""

    states: np.ndarray
    log_probability: np.ndarray


def viterbi(asked: Question, n: int = 1) -> JointPaths:
    """The `n` most probable joint paths of each sequence, best first; where there are fewer, −1 and −∞."""
    found = [_best_paths(asked, part, n) for part in asked.parts()]
    joint = np.concatenate([paths for paths, _ in found], axis=1)
    states = np.where(joint[..., None] < 0, -1, _split_states(asked, np.maximum(joint, 0)))
    return JointPaths(states, np.stack([values for _, values in found], axis=1))


def _best_paths(asked: Question, part: slice, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The best joint paths of one sequence [n, t], and log p of each."""
    delta = _rows(asked, part)
    delta[0] += _log_start(asked)
    for t in range(1, len(delta)):
        delta[t] += _forward(asked, delta[t - 1 : t], np.max)[0]
    states, log_p = np.full((n, len(delta)), -1), np.full(n, -np.inf)
    if (top := delta[-1].max()) == -np.inf:
        return states, log_p

    def scores(path: array) -> np.ndarray | None:  # from the end backwards
        t = len(delta) - 1 - len(path)
        if t < 0:
            return None
        return delta[t] + _entering(asked, np.array(path[-1:]))[0] if path else delta[t]

    paths, losses = best_first(scores, n)
    states[: len(paths)], log_p[: len(paths)] = np.array(paths)[:, ::-1], top - losses
    return states, log_p


def sample_paths(asked: Question, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` joint paths [n, rows, M] from p(z | x): filtering forward, sampling backward."""
    out = np.empty((n, asked.chains.n_rows), np.int64)
    for part in asked.parts():
        alpha, own = log_forward(asked, part), out[:, part]
        own[:, -1] = _drawn(np.repeat(alpha[-1:], n, 0), rng)
        for t in range(len(alpha) - 2, -1, -1):
            own[:, t] = _drawn(alpha[t] + _entering(asked, own[:, t + 1]), rng)
    return _split_states(asked, out)


def log_forward(asked: Question, part: slice) -> np.ndarray:
    """log p(x_1, …, x_t, z_t) of one sequence's joint states [t, J]."""
    out = _rows(asked, part)
    out[0] += _log_start(asked)
    for t in range(1, len(out)):
        out[t] += _forward(asked, out[t - 1 : t], np.logaddexp.reduce)[0]
    return out


def _log_smooth(asked: Question, s: int, weight: float, found: Joined) -> None:
    """The answer about one sequence, put into what was found about the others."""
    part = asked.parts()[s]
    alpha, ahead = log_forward(asked, part), _rows(asked, part)
    beta = np.zeros_like(ahead)
    for t in range(len(beta) - 1, 0, -1):
        ahead[t] += beta[t]
        beta[t - 1] = _backward(asked, ahead[t : t + 1])[0]
    log_p = np.logaddexp.reduce(alpha[-1])
    if log_p == -np.inf:  # it counts nothing
        found.log_likelihood[s], found.marginals[part] = log_p, np.nan
        return
    found.log_likelihood[s], found.marginals[part] = log_p, _marginals(asked, alpha + beta)
    np.add.at(found.joint, asked.chains.group[part], weight * np.exp(alpha + beta - log_p))
    for m, counts in enumerate(found.transitions):
        counts += weight * _log_counts(asked, m, alpha[:-1], ahead[1:] - log_p)


def _log_counts(asked: Question, m: int, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Expected transitions of chain m: those before it move on from one row, those behind it back from the next."""
    for i in range(m):
        before = _moved(asked, before, i, False, np.logaddexp.reduce)
    for i in range(m + 1, len(asked.chains.sizes)):
        after = _moved(asked, after, i, True, np.logaddexp.reduce)
    u, v = _axis(asked, before, m), _axis(asked, after, m)
    step, k = logs(asked.chains.transitions[m]), u.shape[2]
    pairs = [[np.exp(u[:, :, i] + v[:, :, j] + step[i, j]).sum() for j in range(k)] for i in range(k)]
    return np.array(pairs)


def _forward(asked: Question, x: np.ndarray, combine: Combine) -> np.ndarray:
    for m in range(len(asked.chains.sizes)):
        x = _moved(asked, x, m, False, combine)
    return x


def _backward(asked: Question, x: np.ndarray) -> np.ndarray:
    for m in range(len(asked.chains.sizes)):
        x = _moved(asked, x, m, True, np.logaddexp.reduce)
    return x


def _moved(asked: Question, x: np.ndarray, m: int, back: bool, combine: Combine) -> np.ndarray:
    """Joint states [n, J] after a step of one chain, or before it."""
    step = asked.chains.transitions[m]
    step = logs(step.T if back else step)
    return combine(_axis(asked, x, m)[:, :, :, None, :] + step[:, :, None], axis=2).reshape(x.shape)


def _axis(asked: Question, x: np.ndarray, m: int) -> np.ndarray:
    """Joint states [n, J] as [n, outer, k, inner] around the states of chain m."""
    sizes = asked.chains.sizes
    return x.reshape(len(x), int(np.prod(sizes[:m])), sizes[m], int(np.prod(sizes[m + 1 :])))


def _rows(asked: Question, part: slice) -> np.ndarray:
    """log p(x_t | z) of joint states [t, J]."""
    chains = asked.chains
    out, begin = chains.base[chains.group[part]], 0
    for m, k in enumerate(chains.sizes):
        _axis(asked, out, m)[...] += chains.linear[part, None, begin : begin + k, None]
        begin += k
    return out


def _log_start(asked: Question) -> np.ndarray:
    out = np.zeros((1, asked.chains.n_joint))
    for m, start in enumerate(asked.chains.starts):
        _axis(asked, out, m)[...] += logs(start)[:, None]
    return out[0]


def _entering(asked: Question, joint: np.ndarray) -> np.ndarray:
    """log p(z' = joint | z) for every z [n, J]."""
    out = np.zeros((len(joint), asked.chains.n_joint))
    states = _split_states(asked, joint)
    for m, step in enumerate(asked.chains.transitions):
        _axis(asked, out, m)[...] += logs(step).T[states[:, m]][:, None, :, None]
    return out


def _drawn(log_weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A state for each row of log weights [n, J]."""
    with np.errstate(invalid="ignore"):
        totals = np.exp(log_weights - log_weights.max(1, keepdims=True)).cumsum(1)
    return (totals < rng.random((len(totals), 1)) * totals[:, -1:]).sum(1)


def _marginals(asked: Question, log_joint: np.ndarray) -> np.ndarray:
    """Of every chain [n, Σk], from joint states [n, J] up to a constant for each row."""
    with np.errstate(invalid="ignore"):  # NaN where nothing is possible
        p = np.exp(log_joint - log_joint.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return np.concatenate([_axis(asked, p, m).sum((1, 3)) for m in range(len(asked.chains.sizes))], axis=1)


def _split_states(asked: Question, joint: np.ndarray) -> np.ndarray:
    """The state of each chain [..., M] in joint states."""
    return np.stack(np.unravel_index(joint, asked.chains.sizes), axis=-1)
