"""What the parts of a report share: the model, the rows, and what has been found so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tractable._blocks import said, sure, text
from tractable.cli._limited import TimeLeft
from tractable.models.rows import n_rows_of, take

MOST_ROWS = 5000
"""So many rows of the data are looked at, evenly spaced; of sequences the first that have as many rows."""


@dataclass
class Report:
    """A report in the making: parts that are HTML by section, and the same as plain values."""

    path: str
    model: Any
    time: TimeLeft
    how: dict[str, Any]
    """Memory and key, as the verbs take them."""

    data: str | None = None
    rows: Any = None
    numbers: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    """Which rows of the file these are."""

    n_rows: int = 0
    """How many there are in the file."""

    sections: dict[str, list[str]] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    """What there was no time for, or nothing to draw with."""

    found: dict[str, Any] = field(default_factory=dict)
    """What later parts look at again: the posterior, likelihoods."""

    @property
    def sequential(self) -> bool:
        """Whether it is a model of sequences."""
        return self.model.family in ("hidden_markov", "factorial_hidden_markov")

    @property
    def n_seen(self) -> int:
        """How many of them are looked at."""
        return len(self.numbers)

    @property
    def unit(self) -> str:
        """What the likelihood is a mean of."""
        return "sequence" if self.sequential else "row"

    def add(self, section: str, *parts: str) -> None:
        """More of a section."""
        self.sections.setdefault(section, []).extend(part for part in parts if part)


def some_of(rows: Any, sequential: bool) -> tuple[Any, np.ndarray, int]:
    """At most `MOST_ROWS` of the rows, their numbers, and how many there are in all."""
    n = len(rows) if sequential else n_rows_of(rows)
    if sequential:
        kept = np.arange(max(1, int(np.searchsorted(np.cumsum(rows.sizes), MOST_ROWS, side="right"))))
        return (rows[kept], kept, n) if len(kept) < n else (rows, np.arange(n), n)
    if n <= MOST_ROWS:
        return rows, np.arange(n), n
    kept = np.linspace(0, n - 1, MOST_ROWS).astype(int)
    return take(rows, kept), kept, n


def shown_number(found: Any) -> str:
    """A certified number on a page."""
    return said(found, float(found.value), float(found.lower), float(found.upper), "{:.6g}".format)


def certified(what: str, found: Any) -> list[tuple[str, str]]:
    """A certified number as facts: its value and interval, how sure it is, the verdict on it."""
    kind = "warn" if (found.verdict or "").startswith("unreliable") else "soft"
    return [
        (what, f"{shown_number(found)} nats"),
        ("certificate", text(sure(found))),
        ("verdict", f'<span class="{kind}">{text(found.verdict)}</span>' if found.verdict else ""),
    ]


def first_sequence(report: Report) -> Any:
    """The first of the sequences."""
    return next(iter(report.rows)) if report.sequential else None
