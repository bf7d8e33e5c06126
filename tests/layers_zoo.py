"""Tiny models of layers of every shape, for laws that must hold for all."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tractable.models import DeepBeliefNetwork, SigmoidBeliefNetwork, restricted

Rng = np.random.Generator


@dataclass(frozen=True)
class Row:
    """A named family of models: one for each seed."""

    name: str
    build: Callable[[Rng], Any]

    def model(self, seed: int = 0) -> Any:
        return self.build(np.random.default_rng([seed, zlib.crc32(self.name.encode())]))

    def __str__(self) -> str:
        return self.name


def network(rng: Rng, sizes: list[int], scale: float = 1.0, within: tuple[int, ...] = (), zeros: float = 0.0) -> Any:
    """Random weights and biases; `within` says which layers are autoregressive, `zeros` how many links are missing."""
    weights = [scale * rng.normal(size=pair) * (rng.random(pair) >= zeros) for pair in pairwise(sizes)]
    own = [np.tril(rng.normal(size=(n, n)), -1) if at in within else None for at, n in enumerate(sizes)]
    return SigmoidBeliefNetwork(weights=weights, biases=[rng.normal(size=n) for n in sizes], within=own)


def deep_belief(rng: Rng, sizes: list[int], scale: float = 1.0) -> DeepBeliefNetwork:
    n, m = sizes[-2:]
    bias = {"visible_bias": rng.normal(size=n), "hidden_bias": rng.normal(size=m)}
    top = restricted(couplings=scale * rng.normal(size=(n, m)), **bias)
    weights = [scale * rng.normal(size=pair) for pair in pairwise(sizes[:-1])]
    return DeepBeliefNetwork(top=top, weights=weights, biases=[rng.normal(size=n) for n in sizes[:-2]])


def random_evidence(model: Any, rng: Rng, share: float, hidden: float = 0.0) -> dict[str, np.ndarray]:
    """Values for about a share of the visible units, and of the hidden ones; NaN for the others."""
    out = {}
    for name, n in zip(model.groups, model.sizes, strict=True):
        known = rng.random(n) < (share if name == "visible" else hidden)
        out[name] = np.where(known, rng.integers(2, size=n).astype(float), np.nan)
    return out


ZOO = (
    Row("one", lambda rng: network(rng, [1, 1])),
    Row("two_causes", lambda rng: network(rng, [1, 2], 3.0)),
    Row("shallow", lambda rng: network(rng, [5, 6])),
    Row("deep", lambda rng: network(rng, [4, 3, 3])),
    Row("deep_three", lambda rng: network(rng, [3, 3, 2, 3])),
    Row("sparse", lambda rng: network(rng, [6, 5], 2.0, zeros=0.7)),
    Row("sparse_deep", lambda rng: network(rng, [4, 4, 3], 1.5, zeros=0.5)),
    Row("autoregressive", lambda rng: network(rng, [4, 4], within=(0, 1))),
    Row("autoregressive_top", lambda rng: network(rng, [3, 3, 4], within=(2,))),
    Row("strong", lambda rng: network(rng, [5, 5], 8.0)),
    Row("deep_belief", lambda rng: deep_belief(rng, [4, 3, 4])),
    Row("deep_belief_three", lambda rng: deep_belief(rng, [3, 3, 3, 2])),
)
DIRECTED = tuple(row for row in ZOO if not str(row).startswith("deep_belief"))
