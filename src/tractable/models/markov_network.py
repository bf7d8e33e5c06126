"""Markov random fields over discrete variables: a product of non-negative tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np

from tractable.graph import Graph
from tractable.models._base import ModelError, Tables, checked_states, checked_table, pack, set_fields, unknown_variable


class Factor(NamedTuple):
    """A non-negative table over the variables of its scope, one axis each (flat, in C order, beyond 64 variables).

    Examples
    --------
    >>> net = tr.MarkovNetwork({"a": "01", "b": "01"}, [tr.Factor(("a", "b"), [[1.0, 2.0], [3.0, 4.0]])])
    >>> net.factors[0].scope, net.factors[0].table.tolist()
    (('a', 'b'), [[1.0, 2.0], [3.0, 4.0]])
    """

    scope: tuple[str, ...]
    table: np.ndarray


@dataclass(frozen=True, eq=False)
class MarkovNetwork:
    """An undirected model p(x) = (1/Z) ∏ⱼ φⱼ(x_scope(j)) over discrete variables with named states.

    Parameters
    ----------
    states : mapping of variable name to the names of its states, in order.
    factors : sequence of ``(scope, table)``: variable names and a table with one axis for each of them. A scope may be
        empty (a constant), may occur twice, and a variable may occur in none.

    Raises
    ------
    ModelError : a table of the wrong shape, a negative entry, an unknown or repeated variable; the message names the
        factor.

    Examples
    --------
    >>> net = tr.MarkovNetwork({"a": "01", "b": "01"}, [(("a", "b"), [[1.0, 2.0], [3.0, 4.0]])])
    >>> net.factors[0].scope
    ('a', 'b')
    """

    family: ClassVar[str] = "tables"

    states: Mapping[str, Sequence[str]]
    factors: Sequence[Factor | tuple[Sequence[str], np.ndarray]]
    name: str = "network"
    packed: Tables = field(init=False, repr=False)
    graph: Graph = field(init=False, repr=False)

    def __post_init__(self) -> None:
        states = checked_states(self.states)
        index = {name: i for i, name in enumerate(states)}
        scopes = [tuple(scope) for scope, _ in self.factors]
        arrays = [
            _checked_factor(j, s, f[1], states) for j, (s, f) in enumerate(zip(scopes, self.factors, strict=True))
        ]
        packed = pack([len(s) for s in states.values()], [[index[v] for v in s] for s in scopes], arrays)
        graph = Graph(sizes={v: len(s) for v, s in states.items()}, links=tuple(scopes))
        factors = tuple(Factor(s, packed.table(j)) for j, s in enumerate(scopes))
        set_fields(self, states=states, factors=factors, packed=packed, graph=graph)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables, in order."""
        return tuple(self.states)

    def __repr__(self) -> str:
        return (
            f"MarkovNetwork({self.name!r}: {len(self.states)} variables, {len(self.factors)} factors, "
            f"{self.packed.values.size} table entries)"
        )


def _checked_factor(j: int, scope: tuple[str, ...], table: object, states: Mapping[str, tuple[str, ...]]) -> np.ndarray:
    where = f"factor {j} over ({', '.join(map(str, scope))})"
    for v in scope:
        if v not in states:
            raise ModelError(f"{where}: {unknown_variable(v, states)}")
    if len(set(scope)) != len(scope):
        raise ModelError(f"{where}: a variable occurs twice in the scope")
    return checked_table(where, table, tuple(len(states[v]) for v in scope))
