"""What is known of sequences as time goes on: the states now, and what is expected of columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Followed:
    """A model of sequences, and those that a command is about."""

    path: str
    model: Any
    sequences: Any

    @property
    def parts(self) -> list[str]:
        """The states of all chains, by name, as they stand side by side."""
        if self.model.family == "hidden_markov":
            return [f"state {k}" for k in range(self.model.n_states)]
        return [f"{name} {k}" for name, n in zip(self.model.chains, self.model.sizes, strict=True) for k in range(n)]

    def each(self, found: Any) -> list[Any]:
        """What was found for each of the sequences."""
        return list(found) if self.sequences.many else [found]


def side_by_side(asked: Followed, found: Any) -> Any:
    """The probabilities of all chains side by side, where there are several."""
    if asked.model.family == "hidden_markov":
        return found
    chains = [found[name] for name in asked.model.chains]
    if not asked.sequences.many:
        return np.concatenate(chains, axis=1)
    return [np.concatenate(own, axis=1) for own in zip(*chains, strict=True)]


def columns(asked: Followed, found: Any, coverage: float) -> dict[str, np.ndarray]:
    """What is expected of each column, as columns [n] by name."""
    predictive = found.predictive
    if predictive is None:
        means = np.asarray(asked.model.emissions.mean(found.states))
        names = asked.model.named.names if asked.model.named else map(str, range(means.shape[1]))
        return {f"{name}_mean": means[:, j] for j, name in enumerate(names)}
    low, high = predictive.interval(coverage)
    parts = {"mean": predictive.means, "deviation": predictive.deviations, "low": low, "high": high}
    out: dict[str, np.ndarray] = {}
    for j, name in enumerate(predictive.names):
        if states := predictive.states(j):
            out |= dict(zip((f"{name}={s}" for s in states), predictive.probabilities(j).T, strict=True))
        else:
            out |= {f"{name}_{what}": numbers[:, j] for what, numbers in parts.items()}
    return out
