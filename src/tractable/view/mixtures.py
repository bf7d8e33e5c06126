"""Mixtures in a browser: what each component emits, and to which a row belongs that somebody types."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from tractable.models import ModelError
from tractable.posterior import infer
from tractable.view._base import Message, Reply, certificate
from tractable.view.columns import SHOWN, by_component, column_names, curves

ROWS = 200
"""Rows of data that can be looked at one by one."""


def session(model: Any, data: Any, run: Any, name: str) -> MixtureSession:
    """A mixture, with rows of data if there are some."""
    rows = None if data is None else np.asarray(model.check(data), float).reshape(-1, model.n_columns)
    return MixtureSession(model, rows, run, name)


class MixtureSession:
    """A mixture that is looked at."""

    def __init__(self, model: Any, rows: np.ndarray | None, run: Any, name: str):
        self.model, self.rows, self.run, self.name = model, rows, run, name

    def describe(self) -> Reply:
        """Weights, what components emit, and the first rows of the data."""
        rows = [] if self.rows is None else self.rows[:ROWS, :SHOWN]
        return {
            "family": "mixture",
            "kind": type(self.model).__name__,
            "name": self.name,
            "live": True,
            "weights": self.model.weights,
            "columns": by_component(self.model, self.model.n_components),
            "left_out": max(len(column_names(self.model)) - SHOWN, 0),
            "rows": list(rows),
            "n_rows": 0 if self.rows is None else len(self.rows),
            "curves": curves(self.run),
        }

    def carried(self) -> Reply:
        """Nothing: what somebody may type cannot be asked before."""
        return {}

    def answers(self, message: Message) -> Iterator[Reply]:
        """The components that a row may be of: ``{"verb": "infer", "row": [number or null, …]}``."""
        if message.get("verb") != "infer":
            raise ModelError(f"the verb of a mixture is infer, got {message.get('verb')!r:.80}")
        given = message.get("row")
        n = min(self.model.n_columns, SHOWN)
        if not isinstance(given, list) or len(given) != n or not all(isinstance(x, int | float | None) for x in given):
            raise ModelError(f"a row is a list of {n} numbers, null for what is not known")
        row, start = np.full(self.model.n_columns, np.nan), time.perf_counter()
        row[:n] = [np.nan if x is None else x for x in given]
        found = infer(self.model, row)
        if found.log_partition.value == -np.inf:
            yield {"impossible": True, "log_evidence": certificate(found.log_partition)}
            return
        shares = list(found.marginals["component"].values())
        yield {
            "components": shares,
            "log_evidence": certificate(found.log_partition),
            "elapsed": time.perf_counter() - start,
        }
