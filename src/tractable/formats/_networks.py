"""What the readers and writers of networks share: the parts of one as they are gathered, and what a format can hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tractable.formats._base import Source, amount, repeated, shown
from tractable.graph import Graph
from tractable.models import BayesianNetwork
from tractable.models._base import ModelError, unknown_variable
from tractable.models.bayesian_network import ROW_SUM_TOLERANCE
from tractable.models.sparse_tables import SparseTable, held

SURROGATES = re.compile("[\ud800-\udfff]")
"""What no UTF-8 can hold: halves of characters."""


@dataclass
class Families:
    """The parts of a Bayesian network as a reader gathers them."""

    states: dict[str, tuple[str, ...]]
    parents: dict[str, tuple[str, ...]]
    tables: dict[str, np.ndarray | SparseTable]

    def put(self, source: Source, family: Sequence[str], table: np.ndarray, line: int) -> None:
        """A table, the last of the family its child; an error at the line where it does not fit the variables."""
        child, needed = family[-1], 1
        for name in family:
            if name not in self.states:
                raise source.error(unknown_variable(name, self.states), line)
            needed *= len(self.states[name])
        if (twice := repeated(family)) is not None:
            raise source.error(f"a table names {shown(twice)} twice", line)
        if child in self.tables:
            raise source.error(f"variable {shown(child)} has a second table; keep one", line)
        if table.size != needed:
            cause = f"the table of {shown(child)} has {table.size} numbers, it needs {amount(needed)}"
            raise source.error(cause, line)
        self.parents[child], self.tables[child] = tuple(family[:-1]), table

    def uneven(self, normalize: bool = False) -> tuple[str, int, float] | None:
        """Variable, row and sum of a row that does not sum to one, or that cannot be divided by its sum."""
        for name, states in self.states.items():
            sums = _sums(self.tables[name], len(states))
            error = (sums <= 0).astype(float) if normalize else np.abs(sums - 1)
            if error.max() > ROW_SUM_TOLERANCE:
                return name, int(error.argmax()), float(sums[error.argmax()])
        return None

    def fault(self, normalize: bool) -> tuple[str, int] | None:
        """Variable and row of the first table row that does not sum to one, or a variable on a directed cycle."""
        if uneven := self.uneven(normalize):
            return uneven[:2]
        cycle = Graph({v: len(s) for v, s in self.states.items()}, self.parents).directed_cycle()
        return (cycle[0], 0) if cycle else None

    def network(self, source: Source, name: str, line_of: Callable[[str, int], int]) -> BayesianNetwork:
        """The network; its errors become errors of the file, at the line ``line_of(variable, row)``."""
        shapes = {v: [len(self.states[u]) for u in (*self.parents[v], v)] for v in self.tables}
        tables = {v: held(table, shapes[v]) for v, table in self.tables.items()}
        try:
            return BayesianNetwork(self.states, self.parents, tables, name, normalize=source.normalize)
        except ModelError as error:
            fault = self.fault(source.normalize)
            raise source.error(error, line_of(*fault) if fault else None) from None


def _sums(table: np.ndarray | SparseTable, size: int) -> np.ndarray:
    """The sum of each row."""
    if isinstance(table, SparseTable):
        return np.bincount(table.places // size, table.values, minlength=table.size // size)
    return table.reshape(-1, size).sum(axis=1)


def rows_of(table: np.ndarray | SparseTable, size: int) -> Iterator[np.ndarray]:
    """The rows of a table, all at once or so many at a time [n, size]."""
    if isinstance(table, SparseTable):
        return table.rows()
    return iter([table.reshape(-1, size)])


def bayesian(model: object, extension: str, barred: re.Pattern[str] = SURROGATES) -> BayesianNetwork:
    """The model itself if it is a Bayesian network that text can hold, else an error with the remedy."""
    if isinstance(model, BayesianNetwork):
        check_learned(model, extension)
        _check_names(model, extension, barred)
        return model
    other = ".uai or .safetensors" if getattr(model, "family", "") == "tables" else ".safetensors"
    raise ModelError(f"a {type(model).__name__} cannot be written as {extension}; write {other} instead")


def _check_names(net: BayesianNetwork, extension: str, barred: re.Pattern[str]) -> None:
    """Refuse a name with characters that the format has no way to write."""
    names = [("the network", net.name), *((f"variable {shown(v)}", v) for v in net.states)]
    names += [(f"variable {shown(v)}: the state {shown(s)}", s) for v, states in net.states.items() for s in states]
    for what, name in names:
        if found := barred.search(name):
            raise ModelError(f"{what} has {found[0]!r} in its name, which {extension} cannot hold; rename it")


def check_learned(model: object, extension: str) -> None:
    """Refuse a network that says how its tables are learned where the format has no place for it."""
    if lost := [name for name in ("ties", "fixed") if getattr(model, name, ())]:
        raise ModelError(f"{extension} has no place for the {' and '.join(lost)} of a network; write .safetensors")
