"""Bayesian networks over discrete variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from tractable.graph import Graph
from tractable.models._base import (
    ModelError,
    Tables,
    check_known,
    checked_states,
    checked_table,
    pack,
    set_fields,
    unknown_variable,
)

ROW_SUM_TOLERANCE = 1e-3
"""A row of a conditional table further than this from summing to one is an error; a nearer one is renormalized."""

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class BayesianNetwork:
    """A directed model p(x) = ∏ p(xᵢ | parents(xᵢ)) over discrete variables with named states.

    Parameters
    ----------
    states : mapping of variable name to the names of its states, in order.
    parents : mapping of variable name to the names of its parents, in the order of the table's axes; a variable left
        out has none.
    tables : mapping of variable name to p(x | parents), shape ``(*parent sizes, own size)``: rows along the last axis
        sum to one (a row within 1e-3 of one is renormalized).

    Raises
    ------
    ModelError : a table of the wrong shape, a negative entry, a row that does not sum to one, an unknown or duplicate
        parent, a directed cycle; the message names the variable.

    Examples
    --------
    >>> net = BayesianNetwork(
    ...     states={"rain": ["no", "yes"], "wet": ["no", "yes"]},
    ...     parents={"wet": ["rain"]},
    ...     tables={"rain": [0.8, 0.2], "wet": [[0.9, 0.1], [0.2, 0.8]]},
    ... )
    >>> net.variables
    ('rain', 'wet')
    >>> float(net.tables["wet"][1, 0])
    0.2
    """

    family: ClassVar[str] = "tables"

    states: Mapping[str, Sequence[str]]
    parents: Mapping[str, Sequence[str]]
    tables: Mapping[str, np.ndarray]
    name: str = "network"
    packed: Tables = field(init=False, repr=False)
    graph: Graph = field(init=False, repr=False)

    def __post_init__(self) -> None:
        states = checked_states(self.states)
        index = {name: i for i, name in enumerate(states)}
        check_known((*self.parents, *self.tables), index)
        parents = {name: tuple(self.parents.get(name, ())) for name in states}
        scopes = [_family(name, own, index) for name, own in parents.items()]
        arrays = [_checked_rows(name, self.tables, [len(states[v]) for v in (*parents[name], name)]) for name in states]
        packed = pack([len(s) for s in states.values()], scopes, arrays)
        graph = Graph(sizes={v: len(s) for v, s in states.items()}, parents=parents)
        if cycle := graph.directed_cycle():
            raise ModelError("the parents form a directed cycle: " + " → ".join(cycle))
        tables = {v: packed.table(j) for j, v in enumerate(states)}
        set_fields(self, states=states, parents=parents, tables=tables, packed=packed, graph=graph)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables, in order."""
        return tuple(self.states)

    def __repr__(self) -> str:
        return (
            f"BayesianNetwork({self.name!r}: {len(self.states)} variables, "
            f"{sum(map(len, self.parents.values()))} links, {self.packed.values.size} table entries)"
        )


def _family(name: str, parents: tuple[str, ...], index: Mapping[str, int]) -> tuple[int, ...]:
    for parent in parents:
        if parent not in index:
            raise ModelError(f"variable {name!r}: {unknown_variable(parent, index)}")
    family = (*parents, name)
    if len(set(family)) != len(family):
        raise ModelError(f"variable {name!r} names a parent twice, or itself: {', '.join(parents)}")
    return tuple(index[v] for v in family)


def _checked_rows(name: str, tables: Mapping[str, np.ndarray], shape: list[int]) -> np.ndarray:
    if name not in tables:
        raise ModelError(f"variable {name!r} has no table; give p({name} | parents)")
    where = f"variable {name!r}"
    return _normalized(where, checked_table(where, tables[name], tuple(shape)), shape[-1])


def _normalized(where: str, table: np.ndarray, size: int) -> np.ndarray:
    rows = table.reshape(-1, size)
    sums = rows.sum(axis=1)
    error = np.abs(sums - 1)
    if not error.size or error.max() <= _ROUNDING:
        return table
    if error.max() > ROW_SUM_TOLERANCE:
        row = int(error.argmax())
        raise ModelError(f"{where}: row {row} of the table sums to {sums[row]:.6g}, not to 1")
    return (rows / np.where(error > _ROUNDING, sums, 1.0)[:, None]).reshape(table.shape)
