"""Boltzmann machines and layers of causes in a browser: what hidden units look for, prices, and how a fit went."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tractable.models import ModelError
from tractable.plan import explain
from tractable.view._base import Message, Reply, in_words
from tractable.view.columns import curves

MOST = 100
"""Hidden units whose weights are shown."""


def session(model: Any, data: Any, run: Any, name: str) -> MachineSession:
    """A machine, by itself.

    Raises
    ------
    ModelError : data, which a machine is not shown with.
    """
    if data is not None:
        raise ModelError("a machine is shown by itself: leave the data out")
    return MachineSession(model, run, name)


class MachineSession:
    """A machine that is looked at: nothing is asked of it, all is said at once."""

    def __init__(self, model: Any, run: Any, name: str):
        self.model, self.run, self.name = model, run, name

    def describe(self) -> Reply:
        """Groups of units, weights as images, the price of its queries, and the curves of its fit."""
        own = getattr(self.model, "model", self.model)  # of a Helmholtz machine the one that generates
        told = explain(self.model)
        return {
            "family": "machine",
            "kind": type(self.model).__name__,
            "name": self.name,
            "live": True,
            "groups": [{"name": name, "kind": type(units).__name__, "n": units.n} for name, units in own.units.items()],
            "filters": _filters(own),
            "prices": [{"query": plan.query, "words": in_words(plan), "why": plan.why} for plan in told],
            "curves": curves(self.run),
        }

    def carried(self) -> Reply:
        """Nothing: all is said at once."""
        return {}

    def answers(self, message: Message) -> Iterator[Reply]:
        """Nothing is asked."""
        raise ModelError(f"a machine answers no message, got {message.get('verb')!r:.80}")


def _filters(model: Any) -> Reply | None:
    """The weights between the visible units and the first hidden ones, an image for each hidden unit."""
    weights = getattr(model, "weights", None)
    pairs = {} if weights is not None else model.couplings
    found = next((own for (a, _), own in pairs.items() if a == "visible"), None) if weights is None else weights[0]
    images = None if found is None else np.asarray(found, float)
    if images is None or not images.size:
        return None
    images = images.reshape(images.shape[0], -1).T
    side = math.isqrt(images.shape[1])
    shape = [side, side] if side * side == images.shape[1] else [1, images.shape[1]]
    largest = float(np.abs(images).max(initial=0.0))
    return {"shape": shape, "images": images[:MOST], "left_out": max(len(images) - MOST, 0), "largest": largest}
