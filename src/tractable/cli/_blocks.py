"""Numbers with names on both sides: what a model is made of, before it becomes text, JSON or rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from math import prod
from typing import Any, NamedTuple, overload

import numpy as np

HEADS = ("table", "given", "variable", "what", "value")
"""The columns of a tidy table: a row for each number."""


class RowNames(Sequence[tuple[str, ...]]):
    """The rows of a table, each named by a state of several variables, the last the fastest; made when asked for.

    >>> RowNames([["no", "yes"], "01"])[2], len(RowNames([]))
    (('yes', '0'), 1)
    """

    def __init__(self, states: Iterable[Sequence[str]]):
        self.states = [tuple(own) for own in states]

    def __len__(self) -> int:
        return prod(map(len, self.states))

    @overload
    def __getitem__(self, i: int) -> tuple[str, ...]: ...
    @overload
    def __getitem__(self, i: slice) -> list[tuple[str, ...]]: ...
    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        if not 0 <= i < len(self):
            raise IndexError(i)
        out = []
        for states in reversed(self.states):
            i, own = divmod(i, len(states))
            out.append(states[own])
        return tuple(reversed(out))


class Block(NamedTuple):
    """A table of numbers [rows, columns]."""

    name: str
    over: tuple[str, ...]
    """What names a row, such as parents or the state before; none of a single row."""

    rows: Sequence[tuple[str, ...]]
    of: str
    """The variable whose states the columns are; empty where each column is a variable of its own."""

    columns: Sequence[str]
    values: np.ndarray
    deviations: np.ndarray | None = None
    """How far each is spread, where the numbers are means."""

    what: str = ""
    """What the numbers are, where the columns are no states."""

    links: bool = False
    """Whether these are couplings between the rows and the columns: of many the strongest are worth seeing."""

    def tidy(self) -> Iterator[tuple[str, str, str, str, float]]:
        """A row for each number, as `HEADS` say."""
        for i, row in enumerate(self.rows):
            given = ", ".join(f"{v}={x}" for v, x in zip(self.over, row, strict=True))
            for j, (column, value) in enumerate(zip(self.columns, self.values[i].tolist(), strict=True)):
                own = (self.of, column) if self.of else (column, self.what)
                yield self.name, given, *own, value
                if self.deviations is not None and not np.isnan(self.deviations[i, j]):
                    yield self.name, given, own[0], "standard deviation", float(self.deviations[i, j])

    def to_json(self) -> dict[str, Any]:
        """All of it; a single row has no names."""
        rows = [dict(zip(self.over, row, strict=True)) for row in self.rows] if self.over else None
        told = {"table": self.name, **({"variable": self.of} if self.of else {"what": self.what})}
        told |= {"rows": rows, "columns": [*self.columns], "values": self.values.tolist()}
        return told if self.deviations is None else told | {"deviations": self.deviations.tolist()}


def one_row(name: str, of: str, columns: Sequence[str], values: Any) -> Block:
    """A distribution, or a vector."""
    return Block(name, (), [()], of, columns, np.asarray(values, np.float64).reshape(1, -1))


def numbered(n: int) -> list[str]:
    """The names of what has numbers alone."""
    return [str(i) for i in range(n)]


def alone(names: Iterable[str]) -> list[tuple[str]]:
    """Rows that one name stands for."""
    return [(name,) for name in names]


# ---------------------------------------------------------------- to a file


def columns_of(found: Iterable[Block]) -> dict[str, list[Any]]:
    """All numbers as columns, a row each."""
    rows = [*chain.from_iterable(block.tidy() for block in found)]
    return {head: [row[i] for row in rows] for i, head in enumerate(HEADS)}


def strongest(block: Block, most: int) -> list[tuple[str, str, float]]:
    """The couplings that are furthest from zero, the strongest first."""
    flat = np.abs(np.nan_to_num(block.values)).ravel()
    n = min(most, flat.size)
    best = np.argpartition(-flat, n - 1)[:n] if n else np.zeros(0, int)
    best = best[np.argsort(-flat[best], kind="stable")]
    places = zip(*np.unravel_index(best, block.values.shape), strict=True)
    return [(" ".join(block.rows[i]), str(block.columns[j]), float(block.values[i, j])) for i, j in places]
