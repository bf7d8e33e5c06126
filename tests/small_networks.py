"""Networks of tables small enough for the sum over all joint states, of kinds that bounds and weights find hard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import tractable as tr
from tractable.kernels import Tables


class SmallNetwork(NamedTuple):
    """Numbers of states, and for each table its variables and its entries as logarithms; -inf is a zero."""

    sizes: tuple[int, ...]
    scopes: tuple[tuple[int, ...], ...]
    logs: tuple[np.ndarray, ...]

    @property
    def names(self) -> list[str]:
        """The names of its variables."""
        return [f"v{i}" for i in range(len(self.sizes))]

    @property
    def tables(self) -> Tables:
        """Its tables as the kernels take them."""
        starts = np.cumsum([0, *map(len, self.scopes)]).astype(np.int64)
        value_starts = np.cumsum([0, *(t.size for t in self.logs)]).astype(np.int64)
        scopes = np.array([v for s in self.scopes for v in s], np.int32)
        values = np.exp(np.concatenate([t.ravel() for t in self.logs]))
        return Tables(np.array(self.sizes, np.int32), starts, scopes, value_starts, values)

    @property
    def network(self) -> tr.MarkovNetwork:
        """The network itself."""
        states = {v: [str(s) for s in range(k)] for v, k in zip(self.names, self.sizes, strict=True)}
        of = [([self.names[v] for v in s], np.exp(t)) for s, t in zip(self.scopes, self.logs, strict=True)]
        return tr.MarkovNetwork(states, of)

    def log_joint(self, x: np.ndarray) -> np.ndarray:
        """The logarithm of the product of all tables, for columns of states."""
        found = [t[tuple(x[list(s)])] for s, t in zip(self.scopes, self.logs, strict=True)]
        return np.sum(found, axis=0) if found else np.zeros(x.shape[1])

    @property
    def all_states(self) -> np.ndarray:
        """All joint states as columns."""
        return np.indices(self.sizes).reshape(len(self.sizes), -1)

    def log_z(self, given: np.ndarray | None = None) -> float:
        """The logarithm of the sum over all joint states; `given`: over these."""
        f = self.log_joint(self.all_states)
        f = f if given is None else np.where(given, f, -np.inf)
        return float(np.logaddexp.reduce(f))

    def probabilities(self) -> np.ndarray:
        """Of all joint states."""
        return np.exp(self.log_joint(self.all_states) - self.log_z())

    def marginal(self, variables: Sequence[int]) -> np.ndarray:
        """The joint marginal of some variables, an axis for each."""
        out = np.zeros([self.sizes[v] for v in variables])
        np.add.at(out, tuple(self.all_states[list(variables)]), self.probabilities())
        return out


def random_network(seed: int, n: int | None = None) -> SmallNetwork:
    """4 to 14 variables of 1 to 4 states in tables of 1 to 3, couplings of 0.1 to 10; a third with zeros, a third with
    what is all but zero."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 15)) if n is None else n
    sizes = tuple(int(k) for k in rng.choice([1, 2, 2, 2, 3, 4], size=n))
    kind, scale, scopes, logs = seed % 3, float(10 ** rng.uniform(-1, 1)), [], []
    for _ in range(int(rng.integers(n, 3 * n))):
        scopes.append(tuple(int(v) for v in rng.choice(n, size=int(rng.choice([1, 2, 2, 2, 3])), replace=False)))
        t = scale * rng.normal(size=[sizes[v] for v in scopes[-1]])
        rare = (0.0, -np.inf, -float(rng.choice([12, 30, 690])))[kind]
        logs.append(np.where(rng.random(t.shape) < (0.0, 0.12, 0.1)[kind], rare, t))
    return (
        SmallNetwork(sizes, tuple(scopes), tuple(logs)) if math.prod(sizes) <= 20_000 else random_network(seed + 10**9)
    )
