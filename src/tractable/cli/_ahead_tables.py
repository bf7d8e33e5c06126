"""States now and later, and what is expected of columns, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from tractable.cli._following import Followed, columns
from tractable.cli._printed import MAX_ROWS, console, new_table
from tractable.cli._tables import show_model

STATES = 8
"""So many states, and columns, are printed beside each row; of more states the most probable ones."""

BEST = 5


def show_filtered(asked: Followed, each: Sequence[np.ndarray], quiet: bool) -> None:
    """The states now: the last rows of a sequence, or the last row of each."""
    if not quiet:
        show_model(asked.path, asked.model)
    if len(each) == 1:
        own = each[0]
        start = max(0, len(own) - MAX_ROWS)
        rows = [((f"{t:,}",), own[t]) for t in range(start, len(own))]
        _show_states(("row",), rows, asked)
        if start:
            console.print(f"… and {start:,} rows before; --json and -o have them all")
        return
    _show_states(
        ("sequence", "row"), [((f"{s}", f"{len(own) - 1:,}"), own[-1]) for s, own in enumerate(each[:MAX_ROWS])], asked
    )
    if len(each) > MAX_ROWS:
        console.print(f"… and {len(each) - MAX_ROWS:,} sequences more; --json and -o have them all")


Places = tuple[str, ...]
"""What names a row."""


def _show_states(heads: Places, rows: Sequence[tuple[Places, np.ndarray]], asked: Followed) -> None:
    """Probabilities of states, each in a column; of many states the most probable ones."""
    names = asked.parts
    few = len(names) <= STATES
    table = new_table(*heads, *(names if few else ("most probable states",)), left=0 if few else len(heads) + 1)
    for place, p in rows:
        table.add_row(
            *place, *([f"{x:.6g}" if x == x else "impossible" for x in p.tolist()] if few else [_best(names, p)])
        )
    console.print(table)


def _best(names: Sequence[str], p: np.ndarray) -> str:
    if np.isnan(p).any():
        return "impossible"
    best = np.argsort(-p, kind="stable")[:BEST].tolist()
    return ", ".join(f"{names[k]}: {p[k]:.4g}" for k in best if p[k] > 0)


def show_forecast(asked: Followed, each: Sequence[Any], coverage: float, quiet: bool) -> None:
    """Of each sequence a table of states and one of columns, as many rows as are printed in all."""
    if not quiet:
        show_model(asked.path, asked.model)
    left = MAX_ROWS
    for s, own in enumerate(each):
        if left <= 0:
            console.print(f"… and {len(each) - s:,} sequences more; --json and -o have them all")
            break
        if len(each) > 1:
            console.print(f"sequence {s}")
        _show_ahead(asked, own, coverage, rows := min(len(own.states), left))
        left -= rows
    predictive = each[0].predictive if each else None
    if predictive is not None and None in predictive.emissions.column_states:
        console.print(f"mean ± standard deviation, and the interval that holds {100 * coverage:g} %; exact")


def _show_ahead(asked: Followed, own: Any, coverage: float, rows: int) -> None:
    """What comes after one sequence."""
    _show_states(("ahead",), [((f"{h + 1}",), own.states[h]) for h in range(rows)], asked)
    _show_columns(asked, own, coverage, rows)
    if len(own.states) > rows:
        console.print(f"… and {len(own.states) - rows:,} steps more; --json and -o have them all")


def _show_columns(asked: Followed, own: Any, coverage: float, rows: int) -> None:
    """What is expected of the first columns: a mean and an interval, or the likeliest category."""
    if own.predictive is None:
        found = columns(asked, own, coverage)
        cells = {name: [f"{x:.6g}" for x in values.tolist()] for name, values in islice(found.items(), STATES)}
        n = len(found)
    else:
        low, high = own.predictive.interval(coverage)
        names = own.predictive.names
        n = len(names)
        cells = {name: list(_expected(own.predictive, j, low, high)) for j, name in enumerate(names[:STATES])}
    table = new_table("ahead", *cells, left=0)
    for h in range(rows):
        table.add_row(f"{h + 1}", *(column[h] for column in cells.values()))
    console.print(table)
    if n > STATES:
        console.print(f"… and {n - STATES:,} columns more; --json and -o have them all")


def _expected(predictive: Any, j: int, low: np.ndarray, high: np.ndarray) -> Iterator[str]:
    if np.isnan(predictive.weights).any():
        yield from ["impossible"] * len(predictive.weights)
    elif states := predictive.states(j):
        yield from (f"{states[k]} {p[k]:.4g}" for p in predictive.probabilities(j) for k in [int(p.argmax())])
    else:
        rows = zip(predictive.means[:, j], predictive.deviations[:, j], low[:, j], high[:, j], strict=True)
        yield from (f"{m:.5g} ± {s:.3g} [{a:.4g}, {b:.4g}]" for m, s, a, b in rows)
