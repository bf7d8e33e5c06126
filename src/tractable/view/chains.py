"""Hidden Markov models in a browser: the states along the data, and what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from tractable.models import ModelError
from tractable.posterior import forecast, infer, log_evidence, most_probable
from tractable.view._base import Message, Reply, certificate
from tractable.view.columns import SHOWN, by_component, column_names, curves, expected

LONGEST = 2_000
"""Rows that are shown at once, and the most that are looked ahead."""

KEPT, AHEAD = 8, 20
"""Sequences whose answers are kept, or carried by a file, and how far these look ahead."""


def session(model: Any, data: Any, run: Any, name: str) -> ChainSession:
    """A hidden Markov model, with sequences if there are some."""
    return ChainSession(model, None if data is None else model.check(data), run, name)


class ChainSession:
    """A hidden Markov model that is looked at."""

    def __init__(self, model: Any, sequences: Any, run: Any, name: str):
        self.model, self.run, self.name = model, run, name
        sizes = [] if sequences is None else sequences.sizes.tolist()
        self.ends = [0, *np.cumsum(sizes, dtype=int).tolist()]
        self.data = None if sequences is None else np.asarray(sequences.rows, float).reshape(self.ends[-1], -1)
        self._answered = lru_cache(KEPT)(self._answer)

    def describe(self) -> Reply:
        """Start, transitions, what the states emit, and how long the sequences are."""
        return {
            "family": "hidden_markov",
            "kind": type(self.model).__name__,
            "name": self.name,
            "live": True,
            "first": self.model.first,
            "transition": self.model.transition,
            "columns": by_component(self.model, self.model.n_states),
            "left_out": max(len(column_names(self.model)) - SHOWN, 0),
            "lengths": np.diff(self.ends),
            "longest": LONGEST,
            "curves": curves(self.run),
        }

    def carried(self) -> Reply:
        """The answers about the first sequences."""
        n = min(len(self.ends) - 1, KEPT)
        lengths = [min(self.ends[i + 1] - self.ends[i], LONGEST) for i in range(n)]
        asked = [{"verb": "window", "sequence": i, "end": t, "ahead": AHEAD} for i, t in enumerate(lengths)]
        return {"replies": [next(self.answers(message)) for message in asked]} if n else {}

    def answers(self, message: Message) -> Iterator[Reply]:
        """Rows of a sequence: ``{"verb": "window", "sequence": i, "begin": t, "end": t, "ahead": n}``."""
        if message.get("verb") != "window":
            raise ModelError(f"the verb of a hidden Markov model is window, got {message.get('verb')!r:.80}")
        i = _number(message, "sequence", len(self.ends) - 2)
        length = self.ends[i + 1] - self.ends[i]
        begin, end = _number(message, "begin", length), _number(message, "end", length)
        end = min(end, begin + LONGEST)
        ahead = _number(message, "ahead", LONGEST)
        shares, path, log_p = self._answered(i)
        rows = self._rows(i)
        names = column_names(self.model)[:SHOWN]
        yield {
            "begin": begin,
            "path": path[begin:end],
            "probabilities": shares[begin:end],
            "values": [rows[begin:end, j] for j in range(len(names))],
            "log_evidence": certificate(log_p),
            **(self._ahead(rows, ahead) if ahead and end == length else {}),
        }

    def _rows(self, i: int) -> np.ndarray:
        assert self.data is not None
        return self.data[self.ends[i] : self.ends[i + 1]]

    def _answer(self, i: int) -> tuple[np.ndarray, np.ndarray, Any]:
        """The states along a sequence: their probabilities, the best path, and log p of the rows."""
        rows = self._rows(i)
        best = most_probable(self.model, rows)
        shares = np.asarray(infer(self.model, rows).marginals["state"])
        return shares, np.asarray(best.assignment["state"]), log_evidence(self.model, rows)

    def _ahead(self, rows: np.ndarray, n: int) -> Reply:
        found = forecast(self.model, rows, n)
        assert found.predictive is not None
        columns = expected(found.predictive, column_names(self.model))
        return {"ahead": {"probabilities": found.states, "columns": columns}}


def _number(message: Message, name: str, most: int) -> int:
    given = message.get(name, 0)
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= most:
        raise ModelError(f"{name} is a number from 0 to {most}, got {given!r:.80}")
    return given
