"""Sums over all states of the hidden layers, one layer at a time, each in chunks of matrix products.

From the top downward m_l(h) = log Σ_above p(h_l, above) for every state h of layer l: the states of two neighbouring
layers meet in one matrix product. On the way back up p(h_l | x) gives the means. What no observation depends on is
never summed over. In double precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tractable.models.deep_belief import TOP
from tractable.plan._base import Query

CELLS, CACHED = 1 << 21, 1 << 15
"""Entries of a chunk: of pairs of states, which meet in products, and of logits, which go through exponentials."""

TOGETHER = 512
"""Factors 1 + e^-|a|, each at most two, whose product is a double."""


class Parameters(NamedTuple):
    """The directed layers in double precision; the logits of layer l are b[l] + W[l] h[l + 1] (+ L[l] h[l])."""

    weights: list[np.ndarray]
    biases: list[np.ndarray]
    within: list[np.ndarray | None]


def parameters(model: Any) -> Parameters:
    """The parameters of the directed layers."""
    double = [
        [None if a is None else np.asarray(a, np.float64) for a in group]
        for group in (model.weights, model.biases, model.within)
    ]
    return Parameters(*double)  # pyright: ignore[reportArgumentType]


def sum_softplus(a: np.ndarray) -> np.ndarray:
    """Σ log(1 + e^a) over the last axis: the logarithm of a product of factors between one and two."""
    total = np.maximum(a, 0).sum(-1)
    factors = np.abs(a)
    np.negative(factors, out=factors)
    np.exp(factors, out=factors)
    factors += 1
    for start in range(0, a.shape[-1], TOGETHER):
        total += np.log(factors[..., start : start + TOGETHER].prod(-1))
    return total


def joint_states(values: np.ndarray) -> np.ndarray:
    """All states that agree with the values of a layer, NaN where a unit is free: [2^free, n]."""
    free = np.flatnonzero(np.isnan(values))
    out = np.repeat(np.nan_to_num(values)[None], 1 << len(free), axis=0)
    out[:, free] = (np.arange(len(out))[:, None] >> np.arange(len(free))) & 1
    return out


class Problem:
    """Rows with the same units observed, and the same values of hidden ones."""

    def __init__(self, model: Any, values: list[np.ndarray], query: Query):
        self.model, self.own, self.values = model, parameters(model), values
        self.n_directed = len(model.biases)
        self.counted = _counted(model, values, query)
        self.states = [self._states_of(at) for at in range(self.n_directed)]
        if model.family == "deep_belief":
            self.states.append(joint_states(values[self.n_directed][0]))
        self.by_row = not np.isnan(values[0][:, self.counted[0]]).any()
        self.norms = [None if w is not None else self._norm(at) for at, w in enumerate(self.own.within)]
        self.messages = self._messages()

    def _states_of(self, at: int) -> np.ndarray:
        """The states of a directed layer; of the visible one the rows, where nothing in them that counts is free."""
        counted = self.counted[at]
        if at == 0 and not np.isnan(self.values[0][:, counted]).any():
            return np.where(counted, np.nan_to_num(self.values[0]), 0)
        return joint_states(np.where(counted, self.values[at][0], 0))

    def above(self, at: int) -> np.ndarray:
        """The states of the layer above, one empty state where there is none."""
        return self.states[at + 1] if at + 1 < len(self.states) else np.zeros((1, 0))

    def _logits(self, at: int, upper: np.ndarray, units: np.ndarray) -> np.ndarray:
        """b + W h of some units, for many states of the layer above."""
        b = self.own.biases[at][units]
        return b + upper @ self.own.weights[at][units].T if at < len(self.own.weights) else np.tile(b, (len(upper), 1))

    def _norm(self, at: int) -> np.ndarray:
        """Σ log(1 + e^a) over the counted units for each state of the layer above."""
        upper, units = self.above(at), np.flatnonzero(self.counted[at])
        return np.concatenate([sum_softplus(self._logits(at, part, units)) for part in self._pieces(upper, len(units))])

    def _pieces(self, upper: np.ndarray, n_units: int) -> Iterator[np.ndarray]:
        """The states of a layer, so many at a time that logits of units below stay in the cache."""
        step = max(1, CACHED // max(n_units, 1))
        return (upper[start : start + step] for start in range(0, len(upper), step))

    def over(self, a: np.ndarray) -> Any:
        """What is left of states that are not asked for, over the last axis: their sum."""
        return log_sum(a)

    def closed(self, theta: np.ndarray) -> np.ndarray:
        """The same of units that do not touch each other, by their logits."""
        return sum_softplus(theta)

    def pairs(self, at: int, rows: slice) -> np.ndarray:
        """log p of the counted units of layer `at` in some of its states given all states of the layer above [q, s]."""
        h, units = self.states[at][rows], np.flatnonzero(self.counted[at])
        norm, inner = self.norms[at], self.own.within[at]
        if norm is not None or inner is None:
            own = h[:, units]
            linear = own @ self.own.biases[at][units]
            if at < len(self.own.weights):
                return linear[:, None] + (own @ self.own.weights[at][units]) @ self.above(at).T - norm
            return linear[:, None] - norm
        logits, field = self._logits(at, self.above(at), units), (h @ inner.T)[:, units]
        found = [(logits + f) @ own - sum_softplus(logits + f) for own, f in zip(h[:, units], field, strict=True)]
        return np.stack(found)

    def chunks(self, at: int) -> Iterator[slice]:
        """Slices of the states of a layer that meet all states above it at once."""
        step = max(1, CELLS // len(self.above(at)))
        return (slice(start, start + step) for start in range(0, len(self.states[at]), step))

    # ------------------------------------------------------------ from the top downward

    def _messages(self) -> list[np.ndarray]:
        """m_l of every layer but the visible one."""
        out = [self._top_message()]
        for at in reversed(range(1, self.n_directed)):
            parts = [self.over(self.pairs(at, rows) + out[0]) for rows in self.chunks(at)]
            out.insert(0, np.concatenate(parts))
        return [np.zeros(0), *out]

    def _top_message(self) -> np.ndarray:
        """log p̃ of the states of the layer above the directed ones; of nothing at all, zero."""
        if self.model.family != "deep_belief":
            return np.zeros(1)
        states, top, known = self.states[-1], self.model.top, self.values[-1][0]
        theta, free = self.top_logits(), np.isnan(known)
        linear = states @ np.asarray(top.fields[TOP[0]], np.float64) + theta[:, ~free] @ known[~free]
        return float(top.offset) + linear + self.closed(theta[:, free])

    def top_logits(self) -> np.ndarray:
        """The logits of the upper layer of the machine on top for every state of its lower one."""
        w, c = (np.asarray(a, np.float64) for a in (self.model.top.couplings[TOP], self.model.top.fields[TOP[1]]))
        return self.states[-1] @ w + c

    def log_z(self) -> np.ndarray:
        """log p̃(x) of every row."""
        found = np.concatenate([log_sum(self.pairs(0, rows) + self.messages[1]) for rows in self.chunks(0)])
        return found if self.by_row else np.atleast_1d(log_sum(found))

    # ------------------------------------------------------------ back up

    def posteriors(self, rows: slice) -> list[np.ndarray]:
        """p(h_l | x) over the states of every layer, for some rows (all of them together where the rows are summed)."""
        joint = self.pairs(0, rows if self.by_row else slice(None)) + self.messages[1]
        if self.by_row:
            out = [np.zeros(0), normalized(joint)]
        else:
            both = normalized(joint.reshape(1, -1)).reshape(joint.shape)
            out = [both.sum(1)[None], both.sum(0)[None]]
        for at in range(1, len(self.states) - 1):
            total = np.zeros((len(out[at]), len(self.states[at + 1])))
            for chunk in self.chunks(at):
                total += out[at][:, chunk] @ normalized(self.pairs(at, chunk) + self.messages[at + 1])
            out.append(total)
        return out

    def means(self, rows: slice) -> list[np.ndarray]:
        """The means of every layer given some rows."""
        p = self.posteriors(rows)
        out = [self._visible_means(p, rows)]
        out += [q @ states for q, states in zip(p[1:], self.states[1:], strict=False)]  # above the top is one state
        if self.model.family == "deep_belief":
            known = self.values[-1][0]
            out.append(np.where(np.isnan(known), p[-1] @ sigmoid(self.top_logits()), known))
        return out

    def _visible_means(self, p: list[np.ndarray], rows: slice) -> np.ndarray:
        if not self.by_row:
            return p[0] @ self.states[0]
        out = self.values[0][rows].copy()
        free = np.flatnonzero(~self.counted[0])
        if len(free):
            out[:, free] = self._free_means(p[1], free)
        return out

    def _free_means(self, p: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Σ_h p(h | x) σ(a(h)) of visible units that nothing observed depends on."""
        out, step = np.zeros((len(p), len(units))), max(1, CACHED // len(units))
        upper = self.above(0)
        for start in range(0, len(upper), step):
            part = slice(start, start + step)
            out += p[:, part] @ sigmoid(self._logits(0, upper[part], units))
        return out

    # ------------------------------------------------------------ samples given the first row

    def draw(self, rng: np.random.Generator, n: int) -> list[np.ndarray]:
        """`n` exact, independent samples of all layers given the first row."""
        joint = (self.pairs(0, slice(0, 1) if self.by_row else slice(None)) + self.messages[1]).reshape(-1)
        cells = rng.choice(len(joint), size=n, p=normalized(joint[None])[0])
        lower, index = np.divmod(cells, len(self.above(0)))
        out = [self._drawn_visible(rng, lower, index)]
        for at in range(1, len(self.states)):
            out.append(self.states[at][index])
            if at + 1 < len(self.states):
                index = self._drawn_above(rng, at, index)
        if self.model.family == "deep_belief":
            known = self.values[-1][0]
            new = rng.random((n, len(known))) < sigmoid(self.top_logits()[index])
            out.append(np.where(np.isnan(known), new, known).astype(float))
        return out

    def _drawn_visible(self, rng: np.random.Generator, lower: np.ndarray, index: np.ndarray) -> np.ndarray:
        out, free = self.states[0][lower], np.flatnonzero(~self.counted[0])
        if len(free):
            p = sigmoid(self._logits(0, self.above(0)[index], free))
            out[:, free] = rng.random(p.shape) < p
        return out

    def _drawn_above(self, rng: np.random.Generator, at: int, index: np.ndarray) -> np.ndarray:
        """A state of the layer above for each given state of layer `at`."""
        found = np.empty(len(index), int)
        for state in np.unique(index):
            (mine,) = np.nonzero(index == state)
            p = normalized(self.pairs(at, slice(state, state + 1)) + self.messages[at + 1])[0]
            found[mine] = rng.choice(len(p), size=len(mine), p=p)
        return found


def _counted(model: Any, values: list[np.ndarray], query: Query) -> list[np.ndarray]:
    """Which units of the directed layers count.

    For log p(x) those that are observed or have an observed descendant; for means all hidden ones.
    """
    graph = model.graph
    observed = {name: np.flatnonzero(~np.isnan(v[0])).tolist() for name, v in zip(graph.names, values, strict=True)}
    counted = graph.counted(observed, pruned=query == "evidence")
    return [np.isin(np.arange(graph.sizes[name]), list(counted[name])) for name in graph.names[: len(model.biases)]]


def log_sum(a: np.ndarray) -> Any:
    """log Σ e^a over the last axis."""
    top = a.max(-1)
    return top + np.log(np.exp(a - top[..., None]).sum(-1))


def normalized(a: np.ndarray) -> np.ndarray:
    """e^a divided by its sum over the last axis."""
    out = np.exp(a - a.max(-1, keepdims=True))
    return out / out.sum(-1, keepdims=True)


def sigmoid(a: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-a)."""
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1, e) / (1 + e)
